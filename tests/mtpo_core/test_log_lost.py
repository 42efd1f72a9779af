"""A log that can't be written halts the run at once: nothing is done, handed over or committed that is not logged."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from mtpo.proofs.replay.judge import judge
from mtpo_core.errors import RunHalted
from mtpo_core.log import LogError, RunLog, read_log
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Footprint, Toolbox, ToolCall, WriteClass, write_tool

from .conftest import A, B, Bench, Make

READ = ToolCall("read_file", {"path": "x"})
WRITE = ToolCall("write_file", {"path": "x", "content": "n\n"})
SEND = ToolCall("send")
INFER = {"began": 0.0, "prompt_tokens": 1, "new_tokens": 1, "steps": [0, 1], "text": None}

send = write_tool(
    "send", "for tests", [], WriteClass.BLIND, lambda v, a: Footprint(), lambda r, a: "", invertible=False
)


@attrs.define
class Locked:
    """A bench whose log somebody else has locked: B has been told of something."""

    bench: Bench
    other: sqlite3.Connection
    before: list[str]
    """The kinds of the records so far."""


@pytest.fixture
def locked(bench: Make) -> Iterator[Callable[..., Locked]]:
    made: list[Locked] = []

    def make(**options: str) -> Locked:
        one = bench(send, **options)
        one.sync.call(B, READ)
        one.sync.call(A, WRITE)
        one.sync.session.log._db.execute("PRAGMA busy_timeout = 0")
        other = sqlite3.connect(one.log, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        made.append(Locked(one, other, [r.kind for r in read_log(one.log).records]))
        return made[0]

    yield make
    for each in made:
        each.other.close()


STEPS: dict[str, Callable[[SyncSession], object]] = {
    "launch": lambda s: s.launch("C"),
    "read": lambda s: s.call(A, READ),
    "call": lambda s: s.call(A, WRITE),
    "bounce": lambda s: s.call(B, WRITE),
    "deliver": lambda s: s.drain(B),
    "finish": lambda s: s.finish(A),
    "infer": lambda s: s.record("infer", A, INFER),
}


@pytest.mark.parametrize("kind", STEPS)
def test_what_cannot_be_logged_halts_the_run(locked: Callable[..., Locked], kind: str) -> None:
    one = locked()
    sync = one.bench.sync
    for _ in range(2):
        with pytest.raises(RunHalted, match=rf"^log\.written: {kind} can't be logged: .*: database is locked$"):
            STEPS[kind](sync)
    one.other.rollback()
    for again in (*STEPS.values(), lambda s: s.wait(A)):
        with pytest.raises(RunHalted, match=rf"^log\.written: {kind}"):
            again(sync)
    assert sync.close() == sync.close() == "halted"
    run = read_log(one.bench.log)
    assert [r.kind for r in run.records] == [*one.before, "close"]
    assert run.records[-1].body["outcome"] == "halted"
    judgment = judge(run)
    assert not judgment.problems
    assert judgment.exit_code == 3, "not known: the run was halted"


def test_a_gate_that_cannot_be_logged_halts_the_run(bench: Make) -> None:
    one = bench(send)
    fail(one.sync.session.log, "gate")
    with pytest.raises(RunHalted, match=r"^log\.written: gate"):
        one.sync.call(B, SEND, wait=0)
    assert one.sync.close() == "halted"


@pytest.mark.parametrize("mode", ["naive", "serial"])
def test_without_coordination_too(bench: Make, mode: str) -> None:
    for kind, call in (("read", READ), ("call", WRITE), ("exec", WRITE), ("applied", WRITE)):
        one = bench(mode=mode)
        fail(one.sync.session.log, kind)
        with pytest.raises(RunHalted, match=rf"^log\.written: {kind}"):
            one.sync.call(A, call)
        with pytest.raises(RunHalted):
            one.sync.finish(A)
        assert one.sync.close() == "halted"


def test_who_waits_learns_that_the_run_is_halted(bench: Make) -> None:
    one = bench()
    one.sync.finish(B)
    heard: list[str] = []

    def wait() -> None:
        with pytest.raises(RunHalted) as caught:
            one.sync.wait(B)
        heard.append(caught.value.property)

    thread = threading.Thread(target=wait)
    thread.start()
    fail(one.sync.session.log, "finish")
    with pytest.raises(RunHalted):
        one.sync.finish(A)
    thread.join(20)
    assert heard == ["log.written"]


def test_a_log_that_stays_lost_still_lets_the_session_be_closed(locked: Callable[..., Locked]) -> None:
    one = locked()
    with pytest.raises(RunHalted):
        one.bench.sync.finish(A)
    assert one.bench.sync.close() == one.bench.sync.close() == "halted"
    one.other.rollback()
    assert "close" not in [r.kind for r in read_log(one.bench.log).records]


def test_a_close_that_cannot_be_logged_is_no_complete_run(bench: Make) -> None:
    one = bench()
    fail(one.sync.session.log, "close")
    assert one.finish() == "halted"


def test_a_value_that_the_log_does_not_give_back_halts_the_run(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bench()
    monkeypatch.setattr(one.sync.session.log, "get", _lost)
    with pytest.raises(RunHalted, match=r"^log\.value: the disk is gone"):
        one.sync.call(A, READ)
    with pytest.raises(RunHalted):
        one.sync.finish(A)


def test_a_run_that_can_not_be_opened_leaves_no_log_and_takes_no_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tree").mkdir()
    monkeypatch.setattr(RunLog, "append", _lost)
    with pytest.raises(LogError, match="the disk is gone"):
        Session.open(FileSystem(tmp_path / "tree"), Toolbox(file_tools()), tmp_path / "run.mtpo")
    assert [p.name for p in tmp_path.iterdir()] == ["tree"]
    monkeypatch.undo()
    SyncSession(lambda: Session.open(FileSystem(tmp_path / "tree"), Toolbox(), tmp_path / "run.mtpo")).close()


def _lost(*args: object, **more: object) -> None:
    raise LogError("the disk is gone")


def fail(log: RunLog, kind: str) -> None:
    """From now on records of a kind can't be added."""
    append = log.append

    def failing(what: str, **more: object) -> object:
        return _lost() if what == kind else append(what, **more)  # type: ignore[arg-type]

    log.append = failing  # type: ignore[method-assign, assignment]
