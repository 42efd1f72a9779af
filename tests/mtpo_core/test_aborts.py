"""Calls that are taken out: by an author who retracts, and because their author was given up. On real files."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mtpo.proofs.replay.judge import judge
from mtpo_core.errors import RunHalted, SessionError
from mtpo_core.log import read_log
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.runtime import Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import (
    Args,
    Footprint,
    Param,
    Toolbox,
    ToolCall,
    ToolError,
    View,
    WriteClass,
    read_tool,
    write_tool,
)

FILE, OTHER = Param("file", "a file"), Param("from_", "another", default="")
A, B, C = 0, 1, 2


def _value(text: bytes | None) -> str:
    return "-" if text is None else text.decode()


def _append(resource: FileSystem, args: Args) -> str:
    old, other = _value(resource.read(args["file"])), args["from_"] and _value(resource.read(args["from_"]))
    if "poison" in old:
        raise ToolError("poisoned")
    resource.restore(args["file"], f"{old}+{other}{args['word']}"[-300:].encode())
    return "appended"


def _both(view: View, args: Args) -> Footprint:
    return Footprint(reads={args["file"], *filter(None, [args["from_"]])}, writes={args["file"]})


def toolbox() -> Toolbox:
    show = read_tool("show", "A file.", [FILE], lambda view, args: _value(view.get(args["file"])))
    params = [FILE, Param("word", "what to add"), OTHER]
    add = write_tool("add", "Add a word.", params, WriteClass.RMW, _both, _append)
    mail = write_tool("mail", "Add a word for good.", params, WriteClass.RMW, _both, _append, invertible=False)
    return Toolbox([show, add, mail])


Make = Callable[..., SyncSession]


@pytest.fixture
def run(tmp_path: Path) -> Make:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in "xyz":
        (tree / name).write_text("0")

    def make(agents: int = 2, **options: str) -> SyncSession:
        session = SyncSession(lambda: Session.open(FileSystem(tree), toolbox(), tmp_path / "run.mtpo", **options))
        for rank in range(agents):
            session.launch("ABCDEFGH"[rank])
        return session

    return make


def add(file: str, word: str, from_: str = "", tool: str = "add") -> ToolCall:
    return ToolCall(tool, {"file": file, "word": word, "from_": from_})


def verdict(tmp_path: Path) -> tuple[int, str]:
    found = judge(read_log(tmp_path / "run.mtpo"))
    return found.exit_code, found.verdict


def end(session: SyncSession, agents: int) -> str:
    """Everybody reads what it is told and finishes, as often as it takes."""
    for _ in range(4):
        for rank in range(agents):
            session.drain(rank)
            if not session.session.machine.agents[rank].finished:
                session.finish(rank)
    return session.close()


@pytest.mark.parametrize("policy", ["replay", "cancel"])
def test_an_author_takes_a_call_out(run: Make, tmp_path: Path, policy: str) -> None:
    session = run(policy=policy)
    first = session.call(A, add("x", "a"))
    session.call(B, add("y", "b", from_="x"))
    assert first.call is not None
    assert session.retract(A, first.call).kind == "result"
    assert (tmp_path / "tree" / "x").read_text() == "0"
    assert (tmp_path / "tree" / "y").read_text() == ("0+0b" if policy == "replay" else "0")
    (notice,) = session.drain(B)
    assert "1.0" in notice.text() or "y" in notice.text()
    assert end(session, 2) == "complete"
    assert verdict(tmp_path)[0] == 0, verdict(tmp_path)


def test_who_retracts_hears_of_its_own_later_calls(run: Make, tmp_path: Path) -> None:
    session = run(agents=1)
    session.call(A, add("x", "a"))
    session.call(A, add("y", "b", from_="x"))
    session.retract(A, "0.0")
    assert session.notified(A)
    assert session.call(A, add("z", "c")).kind == "bounced"
    assert (tmp_path / "tree" / "y").read_text() == "0+0b"
    assert end(session, 1) == "complete"
    assert verdict(tmp_path)[0] == 0


def test_an_agent_that_is_given_up_leaves_nothing_and_holds_nobody_up(run: Make, tmp_path: Path) -> None:
    session = run(agents=3)
    session.call(B, ToolCall("show", {"file": "x"}))
    session.call(A, add("x", "a"))
    assert session.notified(B)
    session.call(A, add("y", "a", from_="x"))
    session.call(C, add("y", "c"))
    session.drain(B), session.finish(B), session.finish(C)
    assert not session.committed(C)
    session.abort(A)
    assert session.committed(A) and session.notified(B) and session.notified(C)
    assert {name: (tmp_path / "tree" / name).read_text() for name in "xy"} == {"x": "0", "y": "0+c"}
    for act in (lambda: session.call(A, add("x", "a")), lambda: session.finish(A)):
        with pytest.raises(SessionError, match="was given up"):
            act()
    with pytest.raises(SessionError, match=r"abort: agent 0 \(A\) was given up already"):
        session.abort(A)
    assert end(session, 3) == "complete"
    assert verdict(tmp_path)[0] == 0, verdict(tmp_path)


def test_what_came_before_a_call_without_an_inverse_stays(run: Make, tmp_path: Path) -> None:
    session = run(agents=1)
    session.call(A, add("x", "a"))
    session.call(A, add("x", "sent", tool="mail"))
    session.call(A, add("x", "c"))
    refused = session.retract(A, "0.0")
    assert (refused.kind, "0.1 has no inverse and was made after it" in refused.text) == ("refused", True)
    session.abort(A)
    assert (tmp_path / "tree" / "x").read_text() == "0+a+sent"
    assert session.close() == "complete"
    assert verdict(tmp_path)[0] == 0, verdict(tmp_path)


def test_what_is_not_to_be_taken_out(run: Make, tmp_path: Path) -> None:
    session = run()
    read, write = session.call(A, ToolCall("show", {"file": "x"})), session.call(A, add("x", "a"))
    assert session.retract(A, str(read.call)).text.endswith("not in effect (it is read) [mtpo.retract.live]")
    assert session.retract(A, "0.7").kind == "refused"
    for odd, why in (("x", "must be a call id"), (None, "must be a call id"), ("1.0", "is not of agent 0")):
        with pytest.raises(SessionError, match=why):
            session.retract(A, odd)
    (tmp_path / "tree" / "x").write_text("mine")
    assert "was changed by no tool; not overwritten" in session.retract(A, str(write.call)).text
    with pytest.raises(RunHalted, match=r"run\.external"):
        session.abort(A)
    assert (tmp_path / "tree" / "x").read_text() == "mine"
    assert session.close() == "halted"


@pytest.mark.parametrize("mode", ["naive", "serial"])
def test_only_with_coordination(run: Make, mode: str) -> None:
    session = run(mode=mode)
    session.call(A, add("x", "a"))
    for act in (lambda: session.retract(A, "0.0"), lambda: session.abort(A)):
        with pytest.raises(SessionError, match=f"only in mode mtpo; this run is {mode}"):
            act()
    session.close()


@pytest.mark.parametrize("seed", range(12))
def test_runs_at_random(run: Make, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    session = run(agents=4, policy=rng.choice(["replay", "cancel"]))
    machine = session.session.machine
    for _ in range(40):
        rank = rng.randrange(4)
        agent = machine.agents[rank]
        if agent.finished and not agent.noted:
            continue
        match rng.randrange(12):
            case 0:
                session.finish(rank)
            case 1 | 2 if agent.live:
                session.retract(rank, rng.choice(agent.live)) if not agent.finished else session.drain(rank)
            case 3 if rng.random() < 0.3:
                session.abort(rank)
            case 4 | 5:
                session.drain(rank)
            case 6 | 7:
                session.call(rank, ToolCall("show", {"file": rng.choice("xyz")}))
            case 8:
                session.call(rank, add(rng.choice("xyz"), "m", tool="mail"), wait=0)
            case _:
                session.call(rank, add(rng.choice("xyz"), f"{rank}", from_=rng.choice(["", *"xyz"])))
    assert end(session, 4) == "complete"
    assert verdict(tmp_path)[0] == 0, verdict(tmp_path)
