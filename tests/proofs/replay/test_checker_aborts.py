"""The checker on runs in which calls are taken out: by an author who retracts, and after an abort."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mtpo.proofs.replay.judge import judge
from mtpo_core.log import LoggedRun

Written = Callable[[Any], LoggedRun]


def taken_out(script: Any, *, abort: bool) -> Any:
    """A writes x, B builds on it twice; A's call is taken out, and B's calls are undone and redone without it."""
    s = script("mtpo", ["A", "B"], {"x": "0", "y": "0"})
    s.write("0.0", {"x": (None, "0")}, {"x": "0a"})
    s.write("1.0", {"x": ("0.0", "0a")}, {"y": "from 0a"})
    s.write("1.1", {"y": ("1.0", "from 0a")}, {"y": "more"})
    s.plain("finish", 1)
    if abort:
        s.plain("abort", 0)
    s.add("retract", 0, "0.0", members=["1.0", "1.1"])
    s.undo("1.1", "0.0", {"y": "from 0a"})
    s.undo("1.0", "0.0", {"y": "0"})
    s.add("undo", 0, "0.0", by="0.0")
    s.add("retracted", 0, "0.0", restored={"x": s.lines[0].body["initial"]["x"]})
    s.redo("1.0", "0.0", {"x": (None, "0")}, {"y": "from 0"}, True)
    s.redo("1.1", "0.0", {"y": ("1.0", "from 0")}, {"y": "more"}, True)
    s.settle("0.0", "1.0", "1.1")
    s.notify(1, 1, "0.0", [], [("1.0", "changed"), ("1.1", "changed")])
    if not abort:
        s.plain("finish", 0)
    s.plain("commit", 0)
    s.plain("reopen", 1)
    s.deliver(1, 1)
    s.judge(1, 1)
    s.plain("finish", 1)
    s.plain("commit", 1)
    s.close({"x": "0", "y": "more"})
    return s


@pytest.mark.parametrize("abort", [False, True], ids=["retracted", "aborted"])
def test_a_call_is_taken_out(script: Any, written: Written, abort: bool) -> None:
    found = judge(written(taken_out(script, abort=abort)))
    assert found.exit_code == 0, found.verdict
    assert found.replay is not None and found.replay.steps > 15


def violated(script: Any, written: Written, change: Callable[[Any], None], abort: bool = True) -> set[str]:
    s = taken_out(script, abort=abort)
    change(s)
    found = judge(written(s))
    assert found.exit_code == 1
    return {p.property for p in found.problems}


def test_members_are_undone_from_the_top(script: Any, written: Written) -> None:
    """Also where they wrote nothing in common: 1.1 is moved behind 1.0, whole, and then into its middle."""

    def behind(s: Any) -> None:
        lines = [s.of("undo", "1.1"), s.of("undone", "1.1")]
        s.drop(*lines)
        place = s.lines.index(s.of("undone", "1.0")) + 1
        s.lines[place:place] = lines

    def between(s: Any) -> None:
        undone = s.of("undone", "1.1")
        s.drop(undone)
        s.lines.insert(s.lines.index(s.of("undo", "1.0")) + 1, undone)

    assert "run.order-respected" in violated(script, written, behind)
    assert "run.order-respected" in violated(script, written, between)


def test_an_abort_without_its_retractions(script: Any, written: Written) -> None:
    def left(s: Any) -> None:
        first, last = s.lines.index(s.of("retract")), s.lines.index(s.of("commit"))
        s.drop(*s.lines[first:last])
        s.drop(s.of("reopen"), s.of("deliver"), s.of("judge"), s.of("finish", nth=1))
        s.of("close").body["final"] = {
            "x": s.of("applied", "0.0").body["out"]["x"],
            "y": s.of("applied", "1.1").body["out"]["y"],
        }

    assert violated(script, written, left) >= {"run.abort"}


def test_the_aborted_are_told_nothing_and_do_nothing(script: Any, written: Written) -> None:
    told = violated(script, written, lambda s: s.moved(lambda: s.notify(2, 0, "0.0"), s.of("commit")))
    assert "run.abort" in told
    acts = violated(script, written, lambda s: s.moved(lambda: s.read("0.1", {"x": (None, "0")}), s.of("commit")))
    assert "run.commit-order" in acts


def test_what_is_taken_out_leaves_what_it_had_replaced(script: Any, written: Written) -> None:
    def kept(s: Any) -> None:
        s.of("retracted").body["restored"]["x"] = s.of("applied", "0.0").body["out"]["x"]

    assert "run.undo-restores" in violated(script, written, kept)


def test_nothing_is_taken_out_from_under_a_call_without_an_inverse(script: Any, written: Written) -> None:
    def mailed(s: Any) -> None:
        s.moved(lambda: s.write("0.1", {}, {"z": "sent"}, invertible=False), s.of("abort"))
        s.of("close").body["final"]["z"] = s.of("applied", "0.1").body["out"]["z"]

    assert violated(script, written, mailed) >= {"run.abort", "mtpo.retract.not-kept"}


def test_others_learn_of_it_by_the_repair_that_it_was(script: Any, written: Written) -> None:
    def unsaid(s: Any) -> None:
        s.drop(s.of("notify"), s.of("deliver"), s.of("judge"), s.of("reopen"), s.of("finish", nth=1))

    assert "run.premise-told" in violated(script, written, unsaid)
