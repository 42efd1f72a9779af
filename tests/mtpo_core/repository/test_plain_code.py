"""A session without asyncio."""

from __future__ import annotations

import threading

from mtpo_core.machine import Key

from .conftest import A, B, C, Make, of


def test_a_synchronous_session_from_several_threads(world: Make) -> None:
    """Each agent is a thread; whatever the order, the end is that of rank order."""
    w = world()
    lines: dict[int, str] = {A: "a\n", B: "b\n", C: "c\n"}

    def agent(rank: int) -> None:
        answer = w.call(rank, "append", path="notes.md", content=lines[rank])
        while answer.kind == "bounced":
            answer = w.call(rank, "append", path="notes.md", content=lines[rank])
        while w.sync.finish(rank).kind == "bounced" or w.sync.wait(rank) == "notified":
            w.sync.drain(rank)

    threads = [threading.Thread(target=agent, args=(rank,)) for rank in (C, B, A)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert w.text("notes.md") == "start\na\nb\nc\n"
    run = w.finish()
    assert [r.agent for r in of(run, "commit")] == [A, B, C]


def test_an_answer_names_its_call(world: Make) -> None:
    w = world()
    assert w.done(B, "read_file", path="VERSION").call == Key(B, 0)
    assert w.done(B, "append", path="VERSION", content="x\n").call == Key(B, 1)
    assert w.call(B, "append", path="nowhere", content="x\n").call == Key(B, 2)
    assert w.call(B, "no_such_tool").call is None
    w.finish()
