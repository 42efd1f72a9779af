"""The driver: turns, results as messages, inferences that a notification ends, and agents that never end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import pytest

from mtpo.proofs.replay.judge import judge
from mtpo_core.driver import MAX_TURNS, Driver, DriverError
from mtpo_core.inference import Generated, NoInference
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.minds import Message, Mind
from mtpo_core.resources.base import Resource
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Mode, Session
from mtpo_core.scenarios.base import AgentSpec, Scenario
from mtpo_core.tools import Args, Footprint, Tool, Toolbox, ToolCall, WriteClass, write_tool


@attrs.define
class Scripted:
    """Says its lines in turn, and keeps what it was shown."""

    lines: list[str]
    shown: list[Sequence[Message]] = attrs.Factory(list)

    def next(self, messages: Sequence[Message]) -> str:
        self.shown.append(tuple(messages))
        return self.lines.pop(0) if self.lines else "Done."


@attrs.define
class Times(NoInference):
    """Inferences of the given lengths, per agent; 1 when there are no more."""

    lengths: dict[int, list[int]] = attrs.Factory(dict)

    def begin(self, agent: int, messages: Sequence[Message], text: str) -> None:
        super().begin(agent, messages, text)
        first, _, fresh = self._active[agent]
        left = self.lengths.get(agent)
        self._active[agent] = (first, left.pop(0) if left else 1, fresh)


def line(name: str, **args: object) -> str:
    return f"I will.\n{ToolCall(name, args).text()}"


@attrs.define
class Stage:
    """Runs scripts, one per agent, on a tree with one file."""

    folder: Path
    tools: tuple[Tool, ...] = ()
    log: LoggedRun | None = None

    def play(self, minds: Sequence[Mind], mode: Mode = "mtpo", **lengths: list[int]) -> str:
        """The outcome of the run."""
        root = self.folder / "tree"
        root.mkdir()
        (root / "x").write_text("x0\n")
        agents = tuple(AgentSpec("ABC"[n], "a task", lambda mind=mind: mind) for n, mind in enumerate(minds))
        times = Times(lengths={"abc".index(name): steps for name, steps in lengths.items()})

        async def main() -> str:
            session = Session.open(
                FileSystem(root), Toolbox([*file_tools(), *self.tools]), self.folder / "run.mtpo", mode=mode
            )
            try:
                await Driver(Scenario("case", "", "", {}, agents, {}), session, times).run()
            finally:
                outcome = await session.close()
                self.log = read_log(self.folder / "run.mtpo")
            return outcome

        return asyncio.run(main())

    def text(self) -> str:
        return (self.folder / "tree" / "x").read_text()

    def of(self, kind: str, agent: int | None = None) -> list[dict[str, object]]:
        """The bodies of the records of a kind (and agent)."""
        assert self.log is not None
        return [dict(r.body) for r in self.log.records if r.kind == kind and agent in (None, r.agent)]


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Stage]:
    return lambda *tools: Stage(tmp_path, tools)


Make = Callable[..., Stage]


def test_an_agent_sees_its_task_its_tools_and_its_results(stage: Make) -> None:
    mind, one = Scripted([line("read_file", path="x"), line("append", path="x", content="x1\n")]), stage()
    assert one.play([mind]) == "complete"
    assert one.text() == "x0\nx1\n"
    first, second, third = mind.shown
    assert [m.role for m in first] == ["system", "user"]
    assert "append(path, content)" in first[0].text
    assert first[1].text == "a task"
    assert second[-1].text == '<result status="result" call="0.0">\nx0\n\n</result>'
    assert third[-1].text == '<result status="result" call="0.1">\nappended 3 bytes to x\n</result>'
    assert third[:4] == second, "a context only grows"


def test_a_call_that_can_not_be_read_is_answered_and_the_agent_goes_on(stage: Make) -> None:
    mind, one = Scripted(['<tool_call>{"name": 7}</tool_call>', line("nothing"), "Done."]), stage()
    assert one.play([mind]) == "complete"
    assert '<result status="refused" call="">\ntool call needs an object with a "name"' in mind.shown[1][-1].text
    assert "unknown tool 'nothing'" in mind.shown[2][-1].text


def test_a_notification_ends_the_inference_of_its_reader(stage: Make) -> None:
    """B reads x and thinks for 50 steps; A writes x after 3. B starts again at once, told."""
    a = Scripted([line("write_file", path="x", content="x1\n")])
    b = Scripted([line("read_file", path="x"), "never said", "Done, knowing."])
    one = stage()
    assert one.play([a, b], a=[4, 1], b=[1, 50, 1]) == "complete"
    assert one.of("infer", 1)[1]["text"] is None
    assert one.of("infer", 1)[1]["new_tokens"] == 3
    assert one.of("infer", 1)[1]["steps"] == [1, 4]
    assert "<notification>" in b.shown[2][-1].text
    assert '"now":"x1\\n"' in b.shown[2][-1].text
    assert "never said" not in "".join(m.text for m in b.shown[2])
    assert not one.of("bounce")
    (verdict,) = one.of("judge", 1)
    assert verdict == {"ids": [1], "verdict": "ignore", "waiver": "replayed"}


def test_a_finished_agent_goes_back_to_work_and_its_repair_is_logged(stage: Make) -> None:
    a = Scripted([line("write_file", path="x", content="x1\n")])
    b = Scripted([line("read_file", path="x"), "Done.", line("write_file", path="y", content="y1\n"), "Done again."])
    one = stage()
    assert one.play([a, b], a=[10, 1], b=[1, 1, 1, 1]) == "complete"
    assert len(one.of("reopen", 1)) == 1
    assert [body["verdict"] for body in one.of("judge", 1)] == ["repair"]
    assert (one.folder / "tree" / "y").read_text() == "y1\n"
    assert one.log is not None
    assert not judge(one.log).problems


def test_an_inference_begins_on_the_clock_of_the_records_after_what_its_agent_was_told(stage: Make) -> None:
    one = stage()
    minds = [Scripted([line("read_file", path="x"), line("read_file", path="x"), "Done."]) for _ in range(2)]
    assert one.play(minds, a=[2, 3, 1], b=[1, 2, 2]) == "complete"
    for agent in (0, 1):
        before = 0.0
        for record in one.log.records:
            if record.agent == agent and record.kind == "infer":
                assert before <= record.body["began"] <= record.t
            if record.agent == agent:
                before = record.t
    assert len(one.of("infer")) == 6


def test_agents_whose_inference_ends_with_the_same_step_act_in_rank_order(stage: Make) -> None:
    minds = [Scripted([line("append", path="x", content=f"{name}\n")]) for name in "abc"]
    one = stage()
    assert one.play(minds) == "complete"
    assert one.text() == "x0\na\nb\nc\n"
    assert not one.of("undo")


def test_in_series_an_agent_starts_when_the_one_before_it_is_done(stage: Make) -> None:
    minds = [Scripted([line("append", path="x", content=f"{name}\n")]) for name in "ab"]
    one = stage()
    assert one.play(minds, mode="serial", a=[9, 9], b=[1, 1]) == "complete"
    assert one.text() == "x0\na\nb\n"
    (first, *_), (second, *_) = one.of("infer", 0), one.of("infer", 1)
    assert first["steps"] == [0, 9]
    assert second["steps"] == [18, 19]


def test_a_call_at_the_gate_waits_while_the_others_go_on(stage: Make) -> None:
    """B's call has no inverse: it is held until A has committed, and A is not kept from working by that."""
    sent: list[str] = []

    def send(resource: Resource, args: Args) -> str:
        sent.append((resource.read("x") or b"").decode())
        return "sent"

    tool = write_tool("send", "", [], WriteClass.RMW, lambda v, a: Footprint(reads=["x"]), send, invertible=False)
    a = Scripted([line("write_file", path="x", content="a1\n"), line("write_file", path="x", content="a2\n")])
    b, c = Scripted([line("send")]), Scripted([line("send")])
    one = stage(tool)
    assert one.play([a, b, c], a=[5, 5, 5]) == "complete"
    assert sent == ["a2\n"] * 2
    assert one.log is not None
    gates = [(r.agent, r.body["waits_for"]) for r in one.log.records if r.kind == "gate"]
    assert gates == [(1, [0]), (2, [0, 1]), (2, [1])]
    assert judge(one.log).exit_code == 0


def test_an_agent_that_never_ends_is_named_and_the_log_is_closed(stage: Make) -> None:
    class Restless:
        def next(self, messages: Sequence[Message]) -> str:
            return line("read_file", path="x")

    one = stage()
    with pytest.raises(DriverError, match=f"agent 0 \\(A\\) is not done after {MAX_TURNS} turns"):
        one.play([Restless()])
    (close,) = one.of("close")
    assert (close["outcome"], close["error"]) == ("halted", "closed before every agent had committed")


# -- the counter ---------------------------------------------------------------------------------------------------


def test_the_counter_counts_what_is_new() -> None:
    counter = NoInference()
    counter.begin(0, [Message("user", "x" * 40)], "y" * 8)
    assert counter.advance() == []
    assert counter.advance() == [Generated(0, 10, 2, (0, 2))]
    counter.begin(0, [Message("user", "x" * 40), Message("assistant", "y" * 8), Message("tool", "z" * 12)], "done")
    assert counter.advance() == [Generated(0, 3, 1, (2, 3))]
    assert counter.advance() == []


def test_an_inference_that_is_stopped_counts_what_it_made() -> None:
    counter = NoInference()
    messages = [Message("user", "x" * 40)]
    counter.begin(0, messages, "y" * 400)
    counter.advance()
    counter.advance()
    assert counter.stop(0) == Generated(0, 10, 2, (0, 2))
    assert counter.stop(0) is None
    assert counter.advance() == []
    counter.begin(0, [*messages, Message("user", "n" * 20)], "done")
    assert counter.advance() == [Generated(0, 5, 1, (3, 4))], "what was read is kept, what was made is not"
