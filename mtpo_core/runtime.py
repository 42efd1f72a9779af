"""The runtime: a run on one resource, its agents' calls put into the serial order, logged and performed.

A :class:`Session` is one run. Every phase is logged before it acts; tools run in a worker thread; one repair is open at
a time. An adapter maps an agent framework's hooks onto four calls: :meth:`Session.call` around every tool call,
:meth:`Session.drain` before every inference, :meth:`Session.finish` on a final answer, and :meth:`Session.committed`,
which is when the answer may be shown. :class:`mtpo_core.sync.SyncSession` is the same for code without asyncio.

The modes ``naive`` and ``serial`` run the same tools with the same log and no coordination: they are what the protocol
is compared with.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from mtpo.spec.records import RecordError
from mtpo_core import asked
from mtpo_core import machine as m
from mtpo_core.calls import Answer, Calls
from mtpo_core.errors import RunHalted, SessionError
from mtpo_core.foreign import ForeignThread, one_line
from mtpo_core.journal import Journal
from mtpo_core.log import LogError, RunLog
from mtpo_core.machine import AgentState, Key, Machine, Policy
from mtpo_core.notices import Notice
from mtpo_core.occupancy import Occupancy
from mtpo_core.performer import Performer
from mtpo_core.resources.base import Resource
from mtpo_core.tools import Toolbox, ToolCall, ToolError, WriteClass, brief

__all__ = ["Answer", "Mode", "Outcome", "Session"]

T = TypeVar("T")
Mode = Literal["mtpo", "naive", "serial"]
Outcome = Literal["complete", "disturbed", "halted"]


class Session:
    """One run. Build it with :meth:`open`; close it, or the log stays INCOMPLETE and the tree taken.

    Every method raises :class:`SessionError` when it is misused (an unknown rank, a finished agent, a closed session, a
    tool that calls the session that runs it) and :class:`RunHalted` when the run can't go on. What has begun is
    finished even when its caller is cancelled, so that no repair is left open. Foreign code, tools and resources, runs
    in one thread of the session's own.
    """

    def __init__(
        self, resource: Resource, tools: Toolbox, log: RunLog, mode: Mode, policy: Policy, occupancy: Occupancy
    ) -> None:
        self.resource = resource
        self.tools = tools
        self.log = log
        self.mode = mode
        initial = {o: log.put(resource.read(o)) for o in sorted(resource.objects())}
        self.machine = Machine(initial, log.put(None), policy)
        self.names: list[str] = []
        self._journal = Journal(log)
        self._thread = ForeignThread()
        self._performer = Performer(resource, self._journal, self.machine, self._thread, mode == "mtpo")
        self._watch = self._performer.watch
        self._occupancy = occupancy
        self._lock = asyncio.Lock()
        self._moved = asyncio.Event()
        self._recorded = asked.Recorded()
        self._calls = Calls(self._performer, self.names, self._recorded)
        self._outcome: Outcome | None = None

    @classmethod
    def open(
        cls,
        resource: Resource,
        tools: Toolbox,
        path: str | Path,
        *,
        mode: Mode = "mtpo",
        policy: Policy | Literal["replay", "cancel"] = Policy.REPLAY,
        scenario: str = "",
        inference: str = "none",
        run: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Session:
        """Begin a run: its log is created at ``path``, which must not exist. ``clock`` gives the seconds in the log.

        Raises :class:`SessionError` for an unknown mode or policy, a clock or tools that are none, a log inside the
        resource's own tree, a tree that another session is at work on, or a state that can't be read, and LogError for
        a log that can't be made.
        """
        asked.toolbox(tools)
        asked.one_of("mode", mode, get_args(Mode))
        policy = policy.value if isinstance(policy, Policy) else policy
        asked.one_of("policy", policy, [p.value for p in Policy])
        for what, text in (("scenario", scenario), ("inference", inference), ("run", run or "")):
            asked.text(f"open: the {what}", text)
        asked.clock(clock)
        asked.log_place(resource, path)
        occupancy = Occupancy(getattr(resource, "places", ()))
        try:
            log = RunLog.create(path, run or secrets.token_hex(4), clock=clock)
            try:
                session = cls(resource, tools, log, mode, Policy(policy), occupancy)
                body = {
                    "mode": mode,
                    "policy": policy,
                    "scenario": scenario,
                    "inference": inference,
                    "initial": session.machine.given,
                }
                log.append("run-open", body=body)
            except BaseException:
                log.discard()
                raise
        except BaseException as error:
            occupancy.leave()
            if isinstance(error, LogError) or not isinstance(error, Exception):
                raise
            raise SessionError(f"open: the state can't be read: {one_line(error)}") from error
        return session

    async def _alone(self, what: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do something while nothing else is done, to its end even when the caller is cancelled."""
        self._refuse_tools(what)
        await self._lock.acquire()

        async def whole() -> T:
            try:
                return await work()
            except BaseException:
                self._moved.set()  # who waits finds out why it waits in vain
                raise
            finally:
                self._lock.release()

        doing = asyncio.ensure_future(whole())
        doing.add_done_callback(_retrieved)
        return await asyncio.shield(doing)

    # -- agents ------------------------------------------------------------------------------------------------

    async def launch(self, name: str, task: str = "") -> int:
        """An agent enters; returns its rank."""
        asked.name("launch: the name", name)
        asked.text("launch: the task", task)

        async def work() -> int:
            self._check("launch")
            if name in self.names:
                raise SessionError(f"launch: {brief(name)} is rank {self.names.index(name)} already; give another name")
            rank = len(self.names)
            self._journal.append("launch", agent=rank, body={"name": name, "task": task})
            self.machine.step(m.Launch())
            self.names.append(name)
            return rank

        return await self._alone("launch", work)

    async def call(self, agent: int, request: ToolCall, *, wait: float = math.inf) -> Answer:
        """Run a tool for an agent, at its place in the serial order.

        A call without an inverse has to wait until every earlier rank has committed: ``wait`` is for how long at most
        (s); when that is over, the answer is ``held``. Code that drives several agents from one thread passes 0 and
        makes the call again after others have moved. A call that has begun is finished even when its caller is
        cancelled: a repair is never left open.
        """
        request, wait = asked.request(request), asked.wait(wait)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            answer = await self._alone("call", lambda: self._attempt(agent, request))
            left = deadline - loop.time()
            if answer.kind != "held" or left <= 0:
                return answer
            try:
                await asyncio.wait_for(self._moved.wait(), None if left == math.inf else left)
            except TimeoutError:
                return answer

    async def _attempt(self, agent: int, request: ToolCall) -> Answer:
        """One attempt at a call."""
        state = self._at_work("call", agent)
        if self.mode == "mtpo" and state.noted:
            return self._calls.bounce(agent, request)
        if state.finished:
            raise SessionError(f"call: agent {agent} ({self.names[agent]}) {_end(state)}; launch another for more")
        try:
            tool, args = self.tools.bind(request)
        except ToolError as error:
            return Answer("refused", str(error))
        try:
            if tool.write_class is WriteClass.READ:
                return await self._calls.read(agent, tool, args)
            answer = await self._calls.write(agent, tool, args)
        except ToolError as error:
            self._journal.check()  # what the tool took for its own failure may be the run's
            return Answer("refused", f"{tool.name}: {one_line(error)}")
        if answer.kind == "held":
            self._moved.clear()
        else:
            self._moved.set()
        return answer

    async def drain(self, agent: int) -> tuple[Notice, ...]:
        """Hand an agent its notifications, before its next inference; they count as consumed."""

        async def work() -> tuple[Notice, ...]:
            self._at_work("drain", agent)
            return self._calls.deliver(agent)

        return await self._alone("drain", work)

    async def finish(self, agent: int) -> Answer:
        """An agent reports its task complete; it is reopened if it is told of a change before it commits.

        Nobody finishes on a state that can't be seen: :class:`SessionError`, and nothing happened.
        """

        async def work() -> Answer:
            state = self._at_work("finish", agent)
            if self.mode == "mtpo" and state.noted:
                return self._calls.bounce(agent, ToolCall("finish"))
            if state.finished:
                raise SessionError(f"finish: agent {agent} ({self.names[agent]}) {_end(state)} already")
            try:
                await self._watch.look()
            except ToolError as error:
                why = f"the state can't be seen ({one_line(error)})"
                raise SessionError(f"finish: {why}; mend that and finish again") from None
            if self.mode == "mtpo":
                await self._performer.perform(self.machine.step(m.Finish(agent)))
            else:
                self._journal.append("finish", agent=agent)
                state.finished = True
            self._moved.set()
            return Answer("result", "finished")

        return await self._alone("finish", work)

    async def retract(self, agent: int, call: Key | str) -> Answer:
        """Take a call of the agent's own out, as if it had not been made; ``call`` is :attr:`Answer.call` of then.

        Later calls of anybody that built on it are redone, or cancelled, without it, and their authors told, the agent
        itself included. Refused for a call that is not in effect, or that a call without an inverse came after.
        """
        key = asked.key("retract: the call", call)

        async def work() -> Answer:
            state = self._at_work("retract", agent)
            self._coordinated("retract")
            if key.rank != agent:
                raise SessionError(f"retract: call {key} is not of agent {agent} ({self.names[agent]})")
            if state.noted:
                return self._calls.bounce(agent, ToolCall("retract", {"call": str(key)}))
            if state.finished:
                raise SessionError(f"retract: agent {agent} ({self.names[agent]}) {_end(state)}")
            answer = await self._calls.retract(key)
            self._moved.set()
            return answer

        return await self._alone("retract", work)

    async def abort(self, agent: int) -> None:
        """Give an agent up: it acts no more, and everything it did is taken out, the last first, so that the others can
        commit.

        What it did up to its last call without an inverse stays: that can't be taken back.
        """

        async def work() -> None:
            state = self._at_work("abort", agent)
            self._coordinated("abort")
            if state.committed or state.aborted:
                done = "was given up already" if state.aborted else "has committed"
                raise SessionError(f"abort: agent {agent} ({self.names[agent]}) {done}")
            await self._calls.abort(agent)
            self._moved.set()

        await self._alone("abort", work)

    def notified(self, agent: int) -> bool:
        """Whether notifications wait for the agent."""
        return bool(self._agent("notified", agent).noted)

    def committed(self, agent: int) -> bool:
        """Whether everything the agent did is final."""
        state = self._agent("committed", agent)
        return state.finished if self.mode != "mtpo" else state.committed

    async def wait(self, agent: int) -> Literal["committed", "notified"]:
        """After :meth:`finish`: wait until the agent has committed, or must be reopened.

        One thread that drives several agents asks :meth:`committed` and :meth:`notified` instead.
        """
        self._refuse_tools("wait")
        while True:
            self._at_work("wait", agent)
            if self.committed(agent):
                return "committed"
            if self.notified(agent):
                return "notified"
            if not self.machine.agents[agent].finished:
                raise SessionError(f"wait: agent {agent} ({self.names[agent]}) has not finished; call finish first")
            self._moved.clear()
            await self._moved.wait()

    def record(self, kind: Literal["infer", "judge"], agent: int, body: Mapping[str, Any]) -> None:
        """Log an inference or a judgment of an agent; ``docs/records.md`` says what its body holds."""
        self._refuse_tools("record")
        self._at_work("record", agent)
        try:
            found = asked.body(kind, body, self.log)
            self._recorded.check(kind, agent, found)
            self.log.append(kind, agent=agent, body=found)
        except RecordError as error:
            raise SessionError(f"record: {error}") from None
        except LogError as error:
            self._moved.set()
            raise self._journal.halt("log.written", f"{kind} can't be logged: {error}") from None
        self._recorded.add(kind, agent, found)

    @property
    def halted(self) -> RunHalted | None:
        """Why the run can't go on, or could not be closed as it should; None as long as nothing is wrong with it."""
        return self._journal.halted

    async def close(self) -> Outcome:
        """End the run; returns the outcome. A second time it only returns it again.

        ``complete``: every agent's work is final. ``disturbed``: so it is, but somebody changed objects without a tool,
        so that the order is not vouched for (assumption A2; the log names them, ``external``, and ``mtpo verify`` says
        no). ``halted``: the run did not come to its end; the log says why, where it can still be written.
        """
        return await self._alone("close", self._close)

    async def _close(self) -> Outcome:
        if self._outcome is not None:
            return self._outcome
        try:
            self._journal.check()
            await self._watch.look()
            final = await self._watch.final()
            done = all(self.committed(a) for a in range(len(self.names)))
            error = "" if done else "closed before every agent had committed"
        except (RunHalted, ToolError) as trouble:
            halted = isinstance(trouble, RunHalted)
            error = str(trouble if halted else self._journal.halt("core.state-seen", one_line(trouble)))
            try:
                final = await self._watch.final()
            except (RunHalted, ToolError):
                final = await self._watch.remains()
        body = {"final": final, "outcome": "halted" if error else "complete", "error": error or None}
        try:
            try:
                self._journal.append("close", body=body)
            finally:
                self.log.close()
        except (RunHalted, LogError) as trouble:
            halted = isinstance(trouble, RunHalted)
            error = error or str(trouble if halted else self._journal.halt("log.written", one_line(trouble)))
        disturbed = self.mode == "mtpo" and bool(self._watch.strange)
        self._outcome = "halted" if error else "disturbed" if disturbed else "complete"
        self._thread.close()
        self._occupancy.leave()
        self._moved.set()
        return self._outcome

    def _refuse_tools(self, what: str) -> None:
        """A tool that waits for its own session would wait for itself."""
        if self._thread.within:
            raise SessionError(f"{what}: a tool can't call the session that runs it; it has its view, or the resource")

    def _coordinated(self, what: str) -> None:
        if self.mode != "mtpo":
            raise SessionError(f"{what}: only in mode mtpo; this run is {self.mode}")

    def _check(self, what: str) -> None:
        self._journal.check()
        if self._outcome is not None:
            raise SessionError(f"{what}: the session is closed; open another, with another log")

    def _at_work(self, what: str, agent: int) -> AgentState:
        """The agent's state, once it is clear that the session can do something for it."""
        self._check(what)
        return self._agent(what, agent)

    def _agent(self, what: str, agent: int) -> AgentState:
        if isinstance(agent, bool) or not isinstance(agent, int) or not 0 <= agent < len(self.names):
            known = f"0 to {len(self.names) - 1}" if self.names else "none: launch one first"
            raise SessionError(f"{what}: no agent has rank {brief(agent)}; known: {known}")
        return self.machine.agents[agent]


def _retrieved(done: asyncio.Future[Any]) -> None:
    """A caller that is cancelled does not ask what came of its call, and asyncio would print that as lost. What halts
    the run is kept by the journal."""
    if not done.cancelled():
        done.exception()


def _end(state: AgentState) -> str:
    return "was given up" if state.aborted else "has finished"
