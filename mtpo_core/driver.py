"""Runs a scenario: minds, inference and a session, in one of three modes, deterministically.

Agents whose inference ends with the same step act in rank order, so a run repeats. Notifications reach an agent before
its next inference. One that arrives during an inference ends that inference at once: the call that it would have
emitted would have been bounced, whatever it was, so nothing is lost but tokens that need not be generated.
"""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import attrs

from mtpo_core.inference import Generated, Inference, NoInference
from mtpo_core.interrupts import run_to_its_end
from mtpo_core.machine import Policy
from mtpo_core.minds.base import Message, Mind, notice_message, result_message, system_message
from mtpo_core.notices import Notice
from mtpo_core.runtime import Mode, Session
from mtpo_core.scenarios.base import AgentSpec, Scenario, final_files
from mtpo_core.tools import ToolCall, ToolError, parse_call
from mtpo_core.turns import Turn, Turns

MAX_TURNS = 60


class DriverError(RuntimeError):
    """A run that does not end: names the agent."""


@attrs.frozen
class Outcome:
    """What a run came to. ``laps``: the seconds of each of its turns, a step in each, from the first inference to the
    last commit; tokens over all agents."""

    mode: Mode
    log: Path
    laps: tuple[float, ...]
    steps: int
    prompt_tokens: int
    new_tokens: int
    files: Mapping[str, str]
    failures: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return sum(self.laps)


@attrs.define
class _Agent:
    spec: AgentSpec
    mind: Mind
    messages: list[Message]
    text: str = ""
    turns: int = 0
    judging: tuple[int, ...] = ()
    state: Literal["waiting", "inferring", "held", "resting"] = "waiting"
    """Not begun; generating; its call is held at the gate; finished."""
    held: ToolCall | None = None


class Driver:
    """One run of one scenario."""

    def __init__(
        self,
        scenario: Scenario,
        session: Session,
        inference: Inference,
        progress: Callable[[str], None] = lambda text: None,
        turn: Turn | None = None,
    ) -> None:
        self.scenario, self.session, self.inference, self.turn = scenario, session, inference, turn
        self.progress = progress
        self.agents: list[_Agent] = []
        self.prompt_tokens = self.new_tokens = self.steps = 0
        self._began: dict[int, float] = {}

    async def run(self) -> None:
        """Run to the end: every agent committed (or finished, without coordination)."""
        for spec in self.scenario.agents:
            await self.session.launch(spec.name, spec.task)
            head = system_message(spec.name, self.session.tools.describe())
            self.agents.append(_Agent(spec, spec.mind(), [head, Message("user", spec.task)]))
        serial = self.session.mode == "serial"
        for rank in range(1 if serial else len(self.agents)):
            await self._infer(rank)
        started = 1 if serial else len(self.agents)
        while True:
            if serial and started < len(self.agents) and self.session.committed(started - 1):
                await self._infer(started)
                started += 1
            if started == len(self.agents) and all(map(self.session.committed, range(started))):
                return
            if not any(agent.state == "inferring" for agent in self.agents):
                stuck = ", ".join(f"{a.spec.name} is {a.state}" for a in self.agents if a.state != "resting")
                raise DriverError(f"nobody can go on: {stuck or 'all have finished and not committed'}")
            if self.turn is not None:
                await self.turn.over()
            ended = self.inference.advance()
            self.steps += 1
            for generated in sorted(ended, key=lambda g: g.agent):
                await self._act(generated)
                await self._wake()

    async def _infer(self, rank: int) -> None:
        """Hand over what the agent must know, then start its next inference."""
        agent = self.agents[rank]
        agent.turns += 1
        if agent.turns > MAX_TURNS:
            raise DriverError(f"agent {rank} ({agent.spec.name}) is not done after {MAX_TURNS} turns")
        self._tell(agent, await self.session.drain(rank))
        agent.state = "inferring"
        agent.text = agent.mind.next(agent.messages)
        self._began[rank] = self.session.log.elapsed()
        self.inference.begin(rank, agent.messages, agent.text)

    def _tell(self, agent: _Agent, notices: tuple[Notice, ...]) -> None:
        if notices:
            agent.messages.append(notice_message(notices))
            agent.judging += tuple(id for notice in notices for id in notice.ids)

    async def _act(self, generated: Generated) -> None:
        rank = generated.agent
        agent = self.agents[rank]
        self._log_inference(generated, agent.text)
        agent.messages.append(Message("assistant", agent.text))
        try:
            call = parse_call(agent.text)
        except ToolError as error:
            agent.messages.append(Message("tool", f'<result status="refused" call="">\n{error}\n</result>'))
            await self._infer(rank)
            return
        await self._submit(rank, call)

    async def _submit(self, rank: int, call: ToolCall | None) -> None:
        """Make a call, or finish (None), and go on with what comes of it. A call that is held is made again later."""
        agent = self.agents[rank]
        writes = call is not None and self.session.tools.writes(call.name)
        answer = await (self.session.finish(rank) if call is None else self.session.call(rank, call, wait=0))
        if answer.kind != "held" or agent.held is None:
            self.progress(f"{agent.spec.name}: {call.name if call else 'finish'} {answer.kind}")
        agent.held = call if answer.kind == "held" else None
        if answer.kind == "held":
            agent.state = "held"
            return
        if answer.kind == "bounced":
            agent.judging += tuple(id for notice in answer.notices for id in notice.ids)
        elif agent.judging and (call is None or writes):
            self._judge(rank, agent, "ignore" if call is None else "repair")
        if call is None and answer.kind == "result":
            agent.state = "resting"
            return
        agent.messages.append(result_message(answer))
        await self._infer(rank)

    def _log_inference(self, generated: Generated, text: str | None) -> None:
        """``text`` None: the inference was ended by a notification."""
        self.prompt_tokens += generated.prompt_tokens
        self.new_tokens += generated.new_tokens
        body = {
            "began": round(self._began[generated.agent], 6),
            "prompt_tokens": generated.prompt_tokens,
            "new_tokens": generated.new_tokens,
            "steps": list(generated.steps),
            "text": None if text is None else self.session.log.put(text.encode()),
        }
        self.session.record("infer", generated.agent, body)

    def _judge(self, rank: int, agent: _Agent, verdict: str) -> None:
        """Log what the agent made of its notifications. A replayed mind is a program: its waiver is replayed."""
        body = {"ids": list(agent.judging), "verdict": verdict, "waiver": "replayed" if verdict == "ignore" else None}
        self.session.record("judge", rank, body)
        agent.judging = ()

    async def _wake(self) -> None:
        """Let those go on whom something has reached: a call at the gate is made again, a finished agent goes back to
        work, an inference is ended. One pass in rank order is enough: an agent's calls concern only later ones."""
        for rank, agent in enumerate(self.agents):
            if agent.held is not None:
                await self._submit(rank, agent.held)
            if not self.session.notified(rank):
                continue
            stopped = self.inference.stop(rank)
            if stopped is not None:
                self._log_inference(stopped, None)
            if agent.state == "resting" or stopped is not None:
                await self._infer(rank)


async def run_scenario(
    scenario: Scenario,
    mode: Mode,
    directory: Path,
    log: Path,
    *,
    inference: Inference | None = None,
    policy: Policy = Policy.REPLAY,
    turns: Turns | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Set the scenario up in ``directory``, run it, and say what came of it. ``turns``: those of runs beside it, of
    which none does anything while another does.

    Raises :class:`DriverError` for a run that does not end, and :class:`RunHalted` for one that is halted, if only
    while it is closed. Its log has its end, in any case and also when the run is cancelled.
    """
    inference = inference or NoInference()
    async with (turns or Turns()).one() as turn:
        repository, tools = scenario.build(directory)
        session = Session.open(
            repository,
            tools,
            log,
            mode=mode,
            policy=policy,
            scenario=scenario.name,
            inference=inference.name,
            clock=turn.clock,
        )
        driver = Driver(scenario, session, inference, progress, turn)
        start = turn.clock()
        try:
            await driver.run()
            laps = [after - before for before, after in itertools.pairwise([start, *turn.ends, turn.clock()])]
        finally:
            try:
                inference.close()
            finally:
                await session.close()
            if session.halted is not None:  # also while the run is cancelled: then nobody else says it
                raise session.halted
        files = final_files(directory)
    return Outcome(
        mode,
        log,
        tuple(laps),
        driver.steps,
        driver.prompt_tokens,
        driver.new_tokens,
        files,
        tuple(scenario.failures(files)),
    )


def serial_states(scenario: Scenario) -> dict[tuple[str, ...], Mapping[str, str]]:
    """The final files of every serial order of the agents, found by running them one after the other."""
    found: dict[tuple[str, ...], Mapping[str, str]] = {}
    for order in itertools.permutations(scenario.agents):
        outcome = run_to_its_end(functools.partial(_serially, attrs.evolve(scenario, agents=order)))
        found[tuple(spec.name for spec in order)] = outcome.files
    return found


async def _serially(case: Scenario) -> Outcome:
    """One serial run, of which nothing is left behind."""
    with tempfile.TemporaryDirectory(prefix="mtpo-serial-") as folder:
        return await run_scenario(case, "serial", Path(folder) / "repo", Path(folder) / "run.mtpo")
