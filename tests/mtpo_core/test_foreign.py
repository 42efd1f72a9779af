"""Tools that raise what nobody expects, that call their own session, that take long: the session stays whole."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpo_core.errors import SessionError
from mtpo_core.foreign import one_line
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import (
    Args,
    Footprint,
    Tool,
    Toolbox,
    ToolCall,
    ToolError,
    View,
    WriteClass,
    brief,
    read_tool,
    write_tool,
)

from .conftest import A, B, Make

READ = ToolCall("read_file", {"path": "x"})
ODD = ToolCall("odd")


class Odd(BaseException):
    """Derives from no Exception."""


class Mute(Exception):
    """Can't say what it is."""

    def __str__(self) -> str:
        raise RuntimeError


RAISED = [
    KeyboardInterrupt,
    SystemExit,
    GeneratorExit,
    asyncio.CancelledError,
    StopIteration,
    Odd,
    Mute,
    RecursionError,
]


def tools_that(act: Callable[[], Any]) -> dict[str, Tool]:
    """A tool for every piece of foreign code: it does ``act`` there."""

    def write(phase: str) -> Tool:
        def at(wanted: str, value: Any) -> Any:
            return act() if phase == wanted else value

        footprint = Footprint(writes={"x"})
        return write_tool(
            "odd",
            "for tests",
            [],
            WriteClass.BLIND,
            lambda view, args: at("footprint", footprint),
            lambda resource, args: at("exec", "done"),
            prepare=lambda resource, args, footprint: at("prepare", b""),
            reverse=lambda resource, args, undo: None,
        )

    return {"read": read_tool("odd", "for tests", [], lambda view, args: act())} | {
        phase: write(phase) for phase in ("footprint", "prepare", "exec")
    }


@pytest.mark.parametrize("phase", ["read", "footprint", "prepare", "exec"])
@pytest.mark.parametrize("error", RAISED, ids=lambda error: error.__name__)
def test_whatever_a_tool_raises_is_a_refusal(bench: Make, phase: str, error: type[BaseException]) -> None:
    def act() -> Any:
        raise error

    one = bench(tools_that(act)[phase])
    answer = one.sync.call(A, ODD)
    where = "prepare failed: " if phase == "prepare" else ""
    assert (answer.kind, answer.text) == ("refused", f"odd: {where}{error.__name__}")
    assert one.sync.call(B, READ).text == "start\n"
    one.end()


@pytest.mark.parametrize("phase", ["read", "footprint", "prepare", "exec"])
def test_a_tool_that_calls_its_own_session_is_told_so(bench: Make, phase: str) -> None:
    held: list[SyncSession] = []
    heard: list[str] = []

    def act() -> Any:
        for what in (
            lambda s: s.call(A, READ),
            lambda s: s.drain(A),
            lambda s: s.launch("C"),
            lambda s: s.finish(B),
            lambda s: s.wait(B),
            lambda s: s.record("infer", A, {}),
            lambda s: s.close(),
            lambda s: asyncio.run(s.session.call(A, READ)),
        ):
            with pytest.raises(SessionError, match=r"a tool can't call the session that runs it") as caught:
                what(held[0])
            heard.append(str(caught.value).partition(":")[0])
        raise ToolError("called all")

    one = bench(tools_that(act)[phase])
    held.append(one.sync)
    assert one.sync.call(A, ODD).text.endswith("called all")
    assert heard == ["call", "drain", "launch", "finish", "wait", "record", "close", "call"]
    assert one.sync.call(A, READ).kind == "result"
    one.end()


def test_a_tool_may_use_another_session(bench: Make, tmp_path: Path) -> None:
    inner = bench()

    def act() -> Any:
        return inner.sync.call(A, READ).text

    outer = bench(tools_that(act)["read"])
    assert outer.sync.call(A, ODD).text == "start\n"
    outer.end()
    inner.end()


@pytest.mark.parametrize("phase", ["read", "footprint", "prepare", "exec"])
def test_the_event_loop_does_not_wait_for_a_slow_tool(tmp_path: Path, phase: str) -> None:
    """The tool ends only when the loop has gone on meanwhile."""
    (tmp_path / "tree").mkdir()
    moved = threading.Event()

    def act() -> Any:
        if not moved.wait(20):
            raise ToolError("the loop stood still")
        raise ToolError("the loop went on")

    async def main() -> str:
        tools = Toolbox([tools_that(act)[phase]])
        session = Session.open(FileSystem(tmp_path / "tree"), tools, tmp_path / "run.mtpo")
        await session.launch("A")
        call = asyncio.create_task(session.call(A, ODD))
        await asyncio.sleep(0.01)
        moved.set()
        text = (await call).text
        await session.finish(A)
        assert await session.close() == "complete"
        return text

    assert asyncio.run(main()).endswith("the loop went on")


def test_a_caller_that_is_cancelled_leaves_nothing_half_done(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    begun, go_on = threading.Event(), threading.Event()

    def slow(resource: FileSystem, args: Args) -> str:
        begun.set()
        go_on.wait(20)
        resource.write("x", b"done\n")
        return "done"

    def footprint(view: View, args: Args) -> Footprint:
        return Footprint(writes={"x", "./"})

    async def main() -> None:
        tool = write_tool("odd", "for tests", [], WriteClass.BLIND, footprint, slow)  # type: ignore[arg-type]
        session = Session.open(FileSystem(tmp_path / "tree"), Toolbox([*file_tools(), tool]), tmp_path / "run.mtpo")
        await session.launch("A")
        call = asyncio.create_task(session.call(A, ODD))
        await asyncio.to_thread(begun.wait, 20)
        later = [asyncio.create_task(each) for each in (session.finish(A), session.close(), session.call(A, READ))]
        await asyncio.sleep(0)
        for task in (call, *later):
            task.cancel()
        assert all(
            isinstance(e, asyncio.CancelledError) for e in await asyncio.gather(call, *later, return_exceptions=True)
        )
        go_on.set()
        assert (await session.call(A, READ)).text == "done\n"
        await session.finish(A)
        assert await session.close() == "complete"

    asyncio.run(main())


def test_who_waits_for_a_closed_session_is_told(bench: Make) -> None:
    send = write_tool("odd", "t", [], WriteClass.BLIND, lambda v, a: Footprint(), lambda r, a: "", invertible=False)
    one = bench(send)
    heard: list[str] = []

    def held() -> None:
        with pytest.raises(SessionError) as caught:
            one.sync.call(B, ODD)
        heard.append(str(caught.value))

    threads = [threading.Thread(target=held) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not one.sync.session._calls._gated:
        threading.Event().wait(0.001)
    assert one.sync.close() == "halted"
    for thread in threads:
        thread.join(20)
    assert heard == ["call: the session is closed; open another, with another log"] * 2


def test_an_error_is_one_line_whatever_it_is() -> None:
    assert one_line(ToolError("a\n b")) == "a b"
    assert one_line(Mute()) == "Mute"
    assert one_line(ValueError("\ud800")) == "ValueError: \\ud800"
    assert brief(10**5000) == "a value of type int"
