"""Repairs on objects that do not touch may be open at the same time: the checker and the spec agree on such logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mtpo.proofs.replay.replay import replay
from mtpo.proofs.runs.checker import check
from mtpo_core.log import LoggedRun

Written = Callable[[Any], LoggedRun]


@pytest.fixture
def two(script: type[Any]) -> Any:
    """C writes x and y; then A writes x and B writes y, late both, step by step in turn."""
    s = script("mtpo", ["A", "B", "C"], {"x": "0", "y": "0", "z": "0"})
    s.write("2.0", {"x": (None, "0")}, {"x": "0c"})
    s.write("2.1", {"y": (None, "0")}, {"y": "0c"})
    s.plain("finish", 2)
    s.call("0.0", ["x"], ["x"], ["2.0"])
    s.undo("2.0", "0.0", {"x": "0"})
    s.call("1.0", ["y"], ["y"], ["2.1"])
    s.undo("2.1", "1.0", {"y": "0"})
    s.act("1.0", {"y": (None, "0")}, {"y": "0b"})
    s.act("0.0", {"x": (None, "0")}, {"x": "0a"})
    s.redo("2.0", "0.0", {"x": ("0.0", "0a")}, {"x": "0ac"}, True)
    s.redo("2.1", "1.0", {"y": ("1.0", "0b")}, {"y": "0bc"}, True)
    s.settle("0.0", "2.0")
    s.notify(1, 2, "0.0", [], [("2.0", "changed")])
    s.settle("1.0", "2.1")
    s.notify(2, 2, "1.0", [], [("2.1", "changed")])
    s.plain("reopen", 2)
    s.deliver(2, 1, 2)
    s.judge(2, 1, 2)
    for agent in range(3):
        s.plain("finish", agent)
        s.plain("commit", agent)
    s.close({"x": "0ac", "y": "0bc", "z": "0"})
    return s


def test_two_repairs_at_once_are_a_run(two: Any, written: Written) -> None:
    run = written(two)
    assert check(run).problems == ()
    found = replay(run.records)
    assert (found.problems, found.refused) == ((), None)
    assert replay(run.records, plain=True).problems == ()


def test_what_neither_has_in_hand_is_free(two: Any, written: Written) -> None:
    two.moved(lambda: two.read("0.1", {"z": (None, "0")}), two.of("reopen"))
    run = written(two)
    assert check(run).problems == ()
    assert replay(run.records).problems == ()


TOUCHING = {
    "a read of what a repair has locked": lambda s: s.read("1.1", {"x": (None, "0")}),
    "a write of it": lambda s: s.call("1.1", ["x"], ["x"]),
    "an author that goes on before its own call is done": lambda s: s.read("0.1", {"z": (None, "0")}),
    "an author that finishes before": lambda s: s.plain("finish", 0),
    "an author that aborts before": lambda s: s.plain("abort", 0),
}


@pytest.mark.parametrize("name", TOUCHING)
def test_who_touches_an_open_repair_is_refused_by_both(two: Any, written: Written, name: str) -> None:
    two.moved(lambda: TOUCHING[name](two), two.of("settle", "0.0"))
    run = written(two)
    assert "run.repair-atomic" in {p.property for p in check(run).problems}
    (problem,) = replay(run.records).problems
    assert problem.property.rpartition(".")[2] in ("unlocked", "settled", "one-at-a-time")


def test_who_lies_below_an_open_repair_reads_and_is_told(two: Any, written: Written) -> None:
    """What is at its position does not change (F29)."""
    two.moved(lambda: two.read("0.1", {"y": (None, "0")}, True), two.of("settle", "1.0"))
    run = written(two)
    assert check(run).problems == ()
    assert replay(run.records).problems == ()


def test_a_step_of_one_repair_that_is_said_to_be_of_the_other(two: Any, written: Written) -> None:
    two.of("undo", "2.1").body["by"] = "0.0"
    assert "run.order-respected" in {p.property for p in check(written(two)).problems}


def test_the_effect_follows_what_was_captured_for_it(two: Any, written: Written) -> None:
    """Steps of the other repair may come between: its locks are others."""
    applied = two.of("exec", "1.0")
    two.drop(applied)
    two.lines.insert(two.lines.index(two.of("prepared", "0.0")) + 1, applied)
    late = two.of("applied", "1.0")
    two.drop(late)
    two.lines.insert(two.lines.index(applied) + 1, late)
    run = written(two)
    assert check(run).problems == ()
    assert replay(run.records).problems == ()


def halves(script: type[Any]) -> Any:
    """B writes x and y, both blindly; A is late on both, so under cancel both are withdrawn. A log up to the first."""
    s = script("mtpo", ["A", "B"], {"x": "0", "y": "0"}, "cancel")
    s.write("1.0", {}, {"x": "1x"})
    s.write("1.1", {}, {"y": "1y"})
    s.call("0.0", [], ["x", "y"], ["1.0", "1.1"])
    s.undo("1.1", "0.0", {"y": "0"})
    s.undo("1.0", "0.0", {"x": "0"})
    s.act("0.0", {}, {"x": "0x", "y": "0y"})
    s.add("cancelled", 1, "1.0", by="0.0")
    return s


def told_of_halves(script: type[Any]) -> Any:
    """The rest."""
    s = halves(script)
    s.add("cancelled", 1, "1.1", by="0.0")
    s.settle("0.0", "1.0", "1.1")
    s.notify(1, 1, "0.0", [], [("1.0", "cancelled"), ("1.1", "cancelled")])
    s.deliver(1, 1)
    for agent in range(2):
        s.plain("finish", agent)
        s.plain("commit", agent)
    s.close({"x": "0x", "y": "0y"})
    return s


def test_nobody_is_told_of_half_a_repair_of_which_no_premise_is(script: type[Any], written: Written) -> None:
    """B's writes read nothing (F30)."""
    whole = written(told_of_halves(script))
    assert (check(whole).problems, replay(whole.records).problems) == ((), ())
    early = told_of_halves(script)
    early.moved(lambda: early.deliver(1), early.of("cancelled", "1.1"))
    run = written(early)
    (problem,) = replay(run.records).problems
    assert problem.property == "mtpo.deliver.settled"
    found = check(run).problems
    assert {p.property for p in found} == {"run.repair-atomic"}
    assert any("x is locked by the repair of call 0.0" in str(p) for p in found)


def test_what_an_aborted_agent_did_is_not_redone(script: type[Any], written: Written) -> None:
    """It is withdrawn (F31)."""

    def aborted(redone: bool) -> LoggedRun:
        s = script("mtpo", ["A", "B"], {"x": "0"})
        s.write("1.0", {}, {"x": "1x"})
        s.call("0.0", [], ["x"], ["1.0"])
        s.undo("1.0", "0.0", {"x": "0"})
        s.plain("abort", 1)
        s.act("0.0", {}, {"x": "0x"})
        if redone:
            s.redo("1.0", "0.0", {}, {"x": "1x"}, False)
        else:
            s.add("stranded", 1, "1.0", by="0.0", error="its author is gone")
        s.settle("0.0")
        if redone:
            s.add("retract", 1, "1.0", members=[])
            s.add("undo", 1, "1.0", by="1.0")
            s.add("retracted", 1, "1.0", restored={})
            s.settle("1.0")
        s.plain("finish", 0)
        s.plain("commit", 0, 1)
        s.close({"x": "0x"})
        return written(s)

    run = aborted(redone=False)
    assert (check(run).problems, replay(run.records).problems) == ((), ())
    run = aborted(redone=True)
    assert [p.property for p in replay(run.records).problems] == ["mtpo.redone.author-there"]
    assert "run.abort" in {p.property for p in check(run).problems}
