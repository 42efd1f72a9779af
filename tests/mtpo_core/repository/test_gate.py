"""Calls without an inverse wait until every lower rank has committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from mtpo.proofs.replay.judge import judge
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Session
from mtpo_core.tools import Tool, Toolbox, ToolCall

from .conftest import A, B, C, Make, a_repository, a_tool, announce, of

ANNOUNCE = a_tool("announce", announce, reads=["notes.md"], writes=["notes.md"], invertible=False)


def in_asyncio(tmp_path: Path, work: Callable[[Session], Coroutine[Any, Any, None]], *extra: Tool) -> LoggedRun:
    """Runs ``work`` on a session with agents A and B; gives the log."""

    async def main() -> None:
        repository = a_repository(tmp_path / "repo")
        session = Session.open(repository, Toolbox([*file_tools(), *extra]), tmp_path / "run.mtpo")
        for name in "AB":
            await session.launch(name)
        await work(session)
        assert await session.close() == "complete"

    asyncio.run(main())
    run = read_log(tmp_path / "run.mtpo")
    judgment = judge(run)
    assert not judgment.problems, "\n".join(map(str, judgment.problems))
    return run


def test_a_call_without_inverse_is_held_until_lower_ranks_have_committed(tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        held = asyncio.create_task(session.call(B, ToolCall("announce", {"text": "b\n"})))
        await asyncio.sleep(0)
        assert (await session.call(A, ToolCall("append", {"path": "notes.md", "content": "a\n"}))).kind == "result"
        await asyncio.sleep(0)
        assert not held.done()
        await session.finish(A)
        assert (await held).text == "announced"
        await session.finish(B)

    run = in_asyncio(tmp_path, work, ANNOUNCE)
    assert (tmp_path / "repo" / "notes.md").read_text() == "start\na\nb\n"
    assert all(gate.body["waits_for"] == [A] for gate in of(run, "gate"))
    kinds = [(r.kind, r.call) for r in run.records]
    assert kinds.index(("gate", "1.0")) < kinds.index(("commit", None)) < kinds.index(("exec", "1.0"))
    assert ("prepared", "1.0") not in kinds


def test_a_held_call_whose_author_is_notified_meanwhile_is_bounced(tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        await session.call(B, ToolCall("read_file", {"path": "VERSION"}))
        held = asyncio.create_task(session.call(B, ToolCall("announce")))
        await asyncio.sleep(0)
        await session.call(A, ToolCall("write_file", {"path": "VERSION", "content": "1.5\n"}))
        assert (await held).kind == "bounced"
        await session.finish(A)
        assert (await session.call(B, ToolCall("announce"))).kind == "result"
        await session.finish(B)

    run = in_asyncio(tmp_path, work, ANNOUNCE)
    assert (tmp_path / "repo" / "notes.md").read_text() == "start\ntext\n"
    assert len(of(run, "exec")) == 2


def test_a_late_call_without_inverse_undoes_the_live_writes_above_it(world: Make) -> None:
    w = world(ANNOUNCE)
    w.done(C, "append", path="notes.md", content="c\n")
    w.done(B, "append", path="notes.md", content="b\n")
    w.sync.drain(C)
    w.done(A, "announce", text="a\n")
    assert w.text("notes.md") == "start\na\nb\nc\n"
    run = w.finish()
    late = next(r for r in of(run, "call") if r.call == "0.0")
    assert late.body["members"] == ["1.0", "2.0"]
    assert late.body["invertible"] is False
