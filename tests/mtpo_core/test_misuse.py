"""What a session answers to code that misuses it and to tools that misbehave: one clear line, and nothing half done."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpo_core.errors import RunHalted, SessionError
from mtpo_core.log import LogError, read_log
from mtpo_core.machine import Key
from mtpo_core.resources.base import Fingerprint, Resource, ResourceError
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Args, Footprint, Tool, Toolbox, ToolCall, ToolError, View, WriteClass, read_tool, write_tool

from .conftest import A, B, Make

READ = ToolCall("read_file", {"path": "x"})
APPEND = ToolCall("append", {"path": "x", "content": "a\n"})


# -- misuse --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [9, -1, True, None, "0"])
def test_an_unknown_rank_is_named_with_the_known_ones(bench: Make, rank: Any) -> None:
    sync = bench().sync
    for ask in (lambda: sync.call(rank, READ), lambda: sync.drain(rank), lambda: sync.finish(rank)):
        with pytest.raises(SessionError, match=rf"no agent has rank '?{rank}'?; known: 0 to 1$"):
            ask()
    with pytest.raises(SessionError, match="committed: no agent has rank"):
        sync.committed(rank)


@pytest.mark.parametrize("name", [None, 7, "\ud800"])
def test_a_name_that_is_no_text_is_refused(bench: Make, name: Any) -> None:
    one = bench()
    with pytest.raises(SessionError, match="launch: the name must be text"):
        one.sync.launch(name)
    assert [r.agent for r in one.end().records if r.kind == "launch"] == [A, B]


@pytest.mark.parametrize("request_", ["read_file", None, ToolCall(7), ToolCall("\ud800")])  # type: ignore[arg-type]
def test_a_request_that_is_no_tool_call_is_refused(bench: Make, request_: Any) -> None:
    with pytest.raises(SessionError, match="call: the request must be a ToolCall with a tool's name"):
        bench().sync.call(A, request_)


def test_a_call_of_a_finished_agent_is_refused_and_logged_nowhere(bench: Make) -> None:
    one = bench()
    one.sync.finish(B)
    for request in (READ, APPEND, ToolCall("no_such_tool")):
        with pytest.raises(SessionError, match=r"call: agent 1 \(B\) has finished"):
            one.sync.call(B, request)
    with pytest.raises(SessionError, match=r"finish: agent 1 \(B\) has finished already"):
        one.sync.finish(B)
    one.sync.finish(A)
    one.sync.close()
    assert not [r for r in read_log(one.log).records if r.call is not None]


def test_a_closed_session_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        session = Session.open(FileSystem(tmp_path), Toolbox(file_tools()), tmp_path.parent / "run.mtpo")
        await session.launch("A")
        await session.finish(A)
        assert await session.close() == "complete"
        assert await session.close() == "complete"
        with pytest.raises(SessionError, match="call: the session is closed; open another"):
            await session.call(A, READ)
        with pytest.raises(SessionError, match="launch: the session is closed"):
            await session.launch("B")
        with pytest.raises(SessionError, match="record: the session is closed"):
            session.record("judge", A, {})

    (tmp_path / "tree").mkdir()
    tmp_path = tmp_path / "tree"
    asyncio.run(main())


def test_a_closed_session_of_plain_code_says_so_too(bench: Make) -> None:
    one = bench()
    one.end()
    assert one.sync.close() == "complete"
    with pytest.raises(SessionError, match="the session is closed; open another"):
        one.sync.call(A, READ)


def test_waiting_for_an_agent_that_has_not_finished_is_refused(bench: Make) -> None:
    one = bench()
    with pytest.raises(SessionError, match=r"wait: agent 0 \(A\) has not finished; call finish first"):
        one.sync.wait(A)
    one.sync.finish(A)
    assert one.sync.wait(A) == "committed"


def test_two_agents_of_one_name_are_refused(bench: Make) -> None:
    with pytest.raises(SessionError, match="launch: 'A' is rank 0 already; give another name"):
        bench().sync.launch("A")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"mode": "fast"}, "unknown mode 'fast'; known: mtpo, naive, serial"),
        ({"policy": "x"}, "unknown policy 'x'"),
        ({"clock": 5}, "the clock must be a function that gives seconds, got 5"),
        ({"clock": str}, "open: the clock gave ''; it must give seconds, and is called without arguments$"),
        (
            {"clock": lambda at: at},
            r"open: the clock raised TypeError: .* missing 1 required positional argument: 'at';",
        ),
        ({"clock": lambda: 1 / 0}, "open: the clock raised ZeroDivisionError: division by zero; it must give seconds"),
        ({"clock": lambda: math.nan}, "open: the clock gave nan; it must give seconds"),
        ({"clock": lambda: math.inf}, "open: the clock gave inf; it must give seconds"),
        ({"clock": lambda: 10**400}, r"open: the clock gave 1000+\.\.\.; it must give seconds"),
        ({"clock": lambda: 10**9000}, "open: the clock gave a value of type int; it must give seconds"),
        ({"clock": lambda: True}, "open: the clock gave True; it must give seconds"),
    ],
)
def test_an_unknown_option_makes_no_log(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(SessionError, match=reason):
        SyncSession(lambda: Session.open(FileSystem(tmp_path / "tree"), Toolbox(), tmp_path / "run.mtpo", **options))
    assert not (tmp_path / "run.mtpo").exists()


def good_for(times: int, then: Callable[[], Any]) -> Callable[[], Any]:
    """A clock that fails from some time on. A session looks once what it is, once when the log opens, and then once for
    each record."""
    asked = itertools.count()
    return lambda: 7 if next(asked) < times else then()


def opened(folder: Path, clock: Callable[[], Any]) -> SyncSession:
    (folder / "tree").mkdir()
    tree, log = FileSystem(folder / "tree"), folder / "run.mtpo"
    return SyncSession(lambda: Session.open(tree, Toolbox(file_tools()), log, clock=clock))


@pytest.mark.parametrize("times", [1, 2])
def test_a_clock_that_fails_while_the_log_opens_leaves_none(tmp_path: Path, times: int) -> None:
    with pytest.raises(LogError, match=r"^the clock gave None$"):
        opened(tmp_path, good_for(times, lambda: None))
    assert [p.name for p in tmp_path.iterdir()] == ["tree"]


@pytest.mark.parametrize(
    ("then", "why"),
    [
        (lambda: 1 / 0, "the clock raised ZeroDivisionError: division by zero"),
        (lambda: None, "the clock gave None"),
        (lambda: math.nan, "the clock gave nan"),
        (lambda: 1e300, r"the clock says that the run is 1e\+300 s old"),
    ],
)
@pytest.mark.parametrize("first", ["read", "infer"])
def test_a_clock_that_fails_later_halts_the_run(tmp_path: Path, then: Callable[[], Any], why: str, first: str) -> None:
    sync = opened(tmp_path, good_for(4, then))
    sync.launch("A")
    infer = {"began": 0.0, "prompt_tokens": 1, "new_tokens": 1, "steps": [0, 1], "text": None}
    asks = [lambda: sync.call(A, READ), lambda: sync.record("infer", A, infer), lambda: sync.finish(A)]
    for ask in asks if first == "read" else asks[1:]:
        with pytest.raises(RunHalted, match=f"^log.written: {first} can't be logged: {why}$"):
            ask()
    assert sync.close() == "halted"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.mtpo", "tree"], "the log is let go of: one file"
    assert [r.kind for r in read_log(tmp_path / "run.mtpo").records] == ["run-open", "launch"]


def test_a_list_of_tools_is_refused_before_there_is_a_log(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    tools: Any = [*file_tools()]
    with pytest.raises(SessionError, match="open: the tools must be a Toolbox, as Toolbox"):
        Session.open(FileSystem(tmp_path / "tree"), tools, tmp_path / "run.mtpo")
    assert not (tmp_path / "run.mtpo").exists()


def test_a_policy_may_be_named_as_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    log = tmp_path / "run.mtpo"
    SyncSession(lambda: Session.open(FileSystem(tmp_path / "tree"), Toolbox(), log, policy="cancel")).close()
    assert read_log(log).records[0].body["policy"] == "cancel"


def test_plain_code_records_its_judgments(bench: Make) -> None:
    one = bench()
    one.sync.call(B, READ)
    one.sync.call(A, APPEND)
    assert one.sync.notified(B)
    (notice,) = one.sync.drain(B)
    one.sync.record("judge", B, {"ids": list(notice.ids), "verdict": "ignore", "waiver": "trusted"})
    assert [r.agent for r in one.end().records if r.kind == "judge"] == [B]


def test_what_is_no_tool_is_no_tool() -> None:
    with pytest.raises(ToolError, match="'x' is no tool: build one with read_tool or write_tool"):
        Toolbox(["x"])  # type: ignore[list-item]


def test_a_call_without_inverse_need_not_block_its_thread(bench: Make) -> None:
    """One thread drives both agents: it asks again after the other has moved."""
    tool = write_tool("send", "for tests", [], WriteClass.BLIND, lambda v, a: Footprint(), _sent, invertible=False)
    one = bench(tool)
    for wait in (0, 0.01, 0):
        held = one.sync.call(B, ToolCall("send"), wait=wait)
        assert (held.kind, held.call) == ("held", None)
        assert held.text == "send: held: it has no inverse, and A may still come before it; try again"
    one.sync.finish(A)
    assert one.sync.call(B, ToolCall("send"), wait=0).text == "sent"
    run = one.end()
    (gate,) = [r for r in run.records if r.kind == "gate"]
    assert (gate.call, gate.body["waits_for"]) == ("1.0", [A])


def _sent(resource: Resource, args: Args) -> str:
    return "sent"


# -- tools that misbehave ------------------------------------------------------------------------------------------


def _reads(what: Callable[[View], Any]) -> Tool:
    return read_tool("odd", "for tests", [], lambda view, args: what(view))


def _leave() -> Any:
    raise SystemExit(0)


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (lambda view: {}["key"], "odd: KeyError: 'key'"),
        (lambda view: _leave(), "odd: SystemExit: 0"),
        (lambda view: view.get("x"), "odd: read returned bytes, not text"),
        (lambda view: "\ud800", "odd: read returned a text with a lone surrogate"),
    ],
)
def test_a_read_tool_that_misbehaves_is_refused_and_what_it_saw_is_a_premise(
    bench: Make, read: Callable[[View], Any], reason: str
) -> None:
    one = bench(_reads(read))
    answer = one.sync.call(A, ToolCall("odd"))
    assert (answer.kind, answer.text, answer.call) == ("refused", reason, Key(A, 0))
    record = next(r for r in one.end().records if r.kind == "read")
    assert set(record.body["saw"]) == ({"x"} if "bytes" in reason else set())


@pytest.mark.parametrize(
    ("footprint", "reason"),
    [
        (lambda view, args: 1 / 0, "odd: ZeroDivisionError: division by zero"),
        (lambda view, args: None, "odd: footprint returned NoneType, not a Footprint"),
        (lambda view, args: Footprint(writes=[7]), "odd: footprint writes 7, which is no object's name"),  # type: ignore[list-item]
        (lambda view, args: Footprint(reads=[""]), "odd: footprint reads '', which is no object's name"),
        (
            lambda view, args: Footprint(["x", "y"], ["x", "z"], ["x", "y", "z"]),
            "odd: footprint keeps up y, z, which it does not both read and write",
        ),
        (lambda view, args: Footprint(writes=["../x"]), "odd: path '../x' has a '..'; give it relative to the root"),
    ],
)
def test_a_footprint_that_misbehaves_is_refused_before_anything_is_issued(
    bench: Make, footprint: Callable[[View, Args], Any], reason: str
) -> None:
    one = bench(write_tool("odd", "for tests", [], WriteClass.RMW, footprint, _sent))
    answer = one.sync.call(A, ToolCall("odd"))
    assert (answer.kind, answer.text, answer.call) == ("refused", reason, None)
    assert not [r for r in one.end().records if r.call is not None]


def test_a_prepare_that_returns_no_bytes_is_refused(bench: Make) -> None:
    one = bench(
        write_tool(
            "odd",
            "for tests",
            [],
            WriteClass.BLIND,
            lambda v, a: Footprint(writes=["x"]),
            _sent,
            prepare=lambda resource, args, footprint: "text",  # type: ignore[return-value, arg-type]
            reverse=lambda resource, args, undo: None,
        )
    )
    assert one.sync.call(A, ToolCall("odd")).text == "odd: prepare failed: it returned str, not bytes"
    assert not [r for r in one.end().records if r.kind == "exec"]


def test_an_edit_by_hand_while_a_tool_runs_is_kept_in_the_log(bench: Make, tmp_path: Path) -> None:
    """It can't be told from a write of the tool's own, so it is put back; but nothing is lost."""

    def slow(resource: Resource, args: Args) -> str:
        assert isinstance(resource, FileSystem)
        (resource.root / "mine").write_text("an hour of work\n")
        resource.write("x", b"written\n")
        return "written"

    one = bench(write_tool("slow", "for tests", [], WriteClass.BLIND, lambda v, a: Footprint(writes=["x"]), slow))
    answer = one.sync.call(A, ToolCall("slow"))
    assert answer.text == (
        "slow: wrote outside its footprint: ./, mine [core.footprint-honest]; "
        "put back, and what was found there is in the log: 'undeclared' of call 0.0"
    )
    assert not (one.root / "mine").exists()
    run = one.end()
    (failed,) = [r for r in run.records if r.kind == "failed"]
    assert run.values[failed.body["undeclared"]["mine"]] == b"an hour of work\n"


class Flickering(FileSystem):
    """A tree that can't be looked at once ``x`` is gone."""

    def fingerprint(self) -> Fingerprint:
        if self.read("x") is None:
            raise ResourceError("the disk is gone")
        return super().fingerprint()


def test_a_resource_that_fails_while_a_call_is_open_halts_the_run(bench: Make) -> None:
    one = bench(resource=Flickering)
    with pytest.raises(RunHalted, match=r"delete_file: what call 0\.0 changed can't be seen: the disk is gone"):
        one.sync.call(A, ToolCall("delete_file", {"path": "x"}))
    with pytest.raises(RunHalted, match=r"core\.footprint-honest"):
        one.sync.call(B, READ)
    assert one.sync.close() == "halted"
    kinds = [r.kind for r in read_log(one.log).records]
    assert kinds[-3:] == ["prepared", "exec", "close"]
