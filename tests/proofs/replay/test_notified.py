"""Notifications that say too little, too much, or what is not so; and the calls for which undos are said to be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mtpo.proofs.replay.judge import judge
from mtpo.proofs.runs.checker import check
from mtpo_core.log import LoggedRun

Written = Callable[[Any], LoggedRun]


def committed(s: Any, final: dict[str, str]) -> Any:
    """The script, after A and B have finished and committed."""
    s.plain("finish", 0, 1)
    s.plain("commit", 0, 1)
    s.close(final)
    return s


def stale(s: Any, call: str, *named: str) -> None:
    s.of("settle", call).body["stale"] = list(named)


def back_again(script: Any) -> Any:
    """B reads x, A changes it and B is told; B writes y; A changes x back, and B is told again."""
    s = script("mtpo", ["A", "B"], {"x": "0", "y": "0"})
    s.read("1.0", {"x": (None, "0")})
    s.write("0.0", {"x": (None, "0")}, {"x": "1"})
    stale(s, "0.0", "1.0")
    s.notify(1, 1, "0.0", [("1.0", "x", "0", "1", "0.0")])
    s.deliver(1, 1)
    s.write("1.1", {}, {"y": "b"})
    s.write("0.1", {"x": ("0.0", "1")}, {"x": "0"})
    stale(s, "0.1", "1.0")
    s.notify(2, 1, "0.1", [("1.0", "x", "1", "0", "0.1")])
    s.deliver(1, 2)
    return committed(s, {"x": "0", "y": "b"})


def unread(script: Any) -> Any:
    """A changes x, which B has read, to 1, 2 and 1; B consumes all three notifications together."""
    s = script("mtpo", ["A", "B"], {"x": "0"})
    s.read("1.0", {"x": (None, "0")})
    before = None
    for number, value in enumerate("121"):
        s.write(f"0.{number}", {}, {"x": value})
        before = f"0.{number}"
        stale(s, before, "1.0")
        s.notify(number, 1, before, [("1.0", "x", "0", value, before)])
    s.deliver(1, 0, 1, 2)
    return committed(s, {"x": "1"})


def withdrawn(script: Any) -> Any:
    """B writes x; A writes it before, and under policy cancel B's write is withdrawn."""
    s = script("mtpo", ["A", "B"], {"x": "0"}, "cancel")
    s.write("1.0", {}, {"x": "b"})
    s.call("0.0", [], ["x"], ["1.0"])
    s.undo("1.0", "0.0", {"x": "0"})
    s.act("0.0", {}, {"x": "a"})
    s.add("cancelled", 1, "1.0", by="0.0")
    s.settle("0.0", "1.0")
    s.notify(1, 1, "0.0", [], [("1.0", "cancelled")])
    s.deliver(1, 1)
    return committed(s, {"x": "a"})


def retracted(script: Any) -> Any:
    """A takes its own call out."""
    s = script("mtpo", ["A", "B"], {"x": "0"})
    s.write("0.0", {}, {"x": "a"})
    s.add("retract", 0, "0.0", members=[])
    s.add("undo", 0, "0.0", by="0.0")
    s.add("retracted", 0, "0.0", restored=dict(s.lines[0].body["initial"]))
    s.settle("0.0")
    return committed(s, {"x": "0"})


@pytest.mark.parametrize("make", [back_again, unread, withdrawn, retracted])
def test_runs_whose_notifications_are_right(script: Any, written: Written, make: Callable[[Any], Any]) -> None:
    found = judge(written(make(script)))
    assert found.exit_code == 0, found.verdict


def says_nothing(s: Any) -> None:
    s.of("notify").body["premises"] = []
    s.of("notify", nth=1).body["premises"] = []


def says_it_twice(s: Any) -> None:
    s.of("notify").body["premises"] *= 2


def says_what_was_not_read(s: Any) -> None:
    s.of("notify").body["premises"][0]["was"] = s.of("applied", "1.1").body["out"]["y"]


def says_what_is_no_news(s: Any) -> None:
    """B has read y, too, which did not change."""
    old = s.lines[0].body["initial"]["y"]
    s.of("read", "1.0").body["saw"]["y"] = {"write": None, "digest": old}
    s.of("notify").body["premises"].append({"call": "1.0", "object": "y", "was": old, "now": old, "write": None})


def skips_one(s: Any) -> None:
    """The value comes back to what the first notification said, so B would not be misled in the end."""
    stale(s, "0.1")
    stale(s, "0.2")
    s.drop(s.of("notify", nth=2), s.of("notify", nth=1))
    s.of("deliver").body["ids"] = [0]


def another_outcome(s: Any) -> None:
    s.of("notify").body["results"][0]["status"] = "changed"


def two_outcomes(s: Any) -> None:
    s.of("notify").body["results"].append({"call": "1.0", "status": "changed"})


def no_outcome(s: Any) -> None:
    s.of("notify").body["results"] = []


def a_premise_of_a_withdrawn_call(s: Any) -> None:
    s.of("call", "1.0").body["reads"] = ["x"]
    seen = {"x": {"write": None, "digest": s.lines[0].body["initial"]["x"]}}
    s.of("applied", "1.0").body["saw"] = seen
    a = s.of("applied", "0.0").body["out"]["x"]
    s.of("notify").body["premises"] = [
        {"call": "1.0", "object": "x", "was": seen["x"]["digest"], "now": a, "write": "0.0"}
    ]


def no_premise_of_a_withdrawn_call(s: Any) -> None:
    a_premise_of_a_withdrawn_call(s)
    s.of("notify").body["premises"] = []


def an_outcome_of_what_had_none(s: Any) -> None:
    s.of("notify").body["results"].append({"call": "1.0", "status": "stranded"})


def an_outcome_that_is_not_due(s: Any) -> None:
    s.of("notify").body["results"] = [{"call": "1.0", "status": "stranded"}]


def told_a_second_time(s: Any) -> None:
    s.moved(lambda: s.notify(9, 1, "0.1"), s.of("reopen"))
    s.of("deliver").body["ids"] = [1, 9]


def told_without_cause(s: Any) -> None:
    s.moved(lambda: s.notify(9, 1, "0.0"), s.of("finish"))
    s.moved(lambda: s.deliver(1, 9), s.of("finish"))


def named_twice(s: Any) -> None:
    s.of("settle", "0.1").body["stale"] = ["1.0", "1.1", "1.1"]


def one_not_named(s: Any) -> None:
    stale(s, "0.1", "1.0")


def for_no_call(s: Any) -> None:
    s.of("undo").body["by"] = "7.7"


def for_another_call(s: Any) -> None:
    s.moved(lambda: s.write("0.1", {}, {"y": "1"}), s.of("retract"))
    s.of("close").body["final"]["y"] = s.of("applied", "0.1").body["out"]["y"]
    s.of("undo").body["by"] = "0.1"


TOLD, FORM, ATOMIC = "run.premise-told", "log.body", "run.repair-atomic"
WRONG: list[tuple[Any, Callable[[Any], None], str, str]] = [
    (back_again, says_nothing, TOLD, "(notify): B (rank 1) is not told that x is"),
    (back_again, says_it_twice, TOLD, "(notify): x at call 1.0 stands more than once in premises"),
    (back_again, says_what_was_not_read, TOLD, "(notify): says that 1.0 had x as"),
    (back_again, says_what_is_no_news, TOLD, "(notify): y at 1.0 is as before"),
    (back_again, an_outcome_that_is_not_due, TOLD, "1.0 is stranded; by the repair of call 0.0 it did not change"),
    (unread, skips_one, TOLD, "(settle 0.1): x changed at call 1.0 of B (rank 1), and stale does not name it"),
    (withdrawn, another_outcome, TOLD, "is told that its 1.0 is changed; by the repair of call 0.0 it is cancelled"),
    (withdrawn, two_outcomes, TOLD, "(notify): call 1.0 stands more than once in results"),
    (withdrawn, no_outcome, TOLD, "(notify): B (rank 1) is not told that its 1.0 is cancelled"),
    (withdrawn, no_premise_of_a_withdrawn_call, TOLD, "(notify): B (rank 1) is not told that x is "),
    (None, an_outcome_of_what_had_none, TOLD, "is told that its 1.0 is stranded; by the repair of call 0.1 it did not"),
    (None, told_a_second_time, TOLD, "B (rank 1) is told a second time of the repair of call 0.1"),
    (None, named_twice, FORM, "(settle 0.1): call 1.1 stands more than once in stale"),
    (None, one_not_named, TOLD, "(settle 0.1): member 1.1 is changed, and stale does not name it"),
    (retracted, told_without_cause, TOLD, "stale at the settle of call 0.0 names no call of it"),
    (retracted, for_no_call, ATOMIC, "(undo 0.0): said to be undone for call 7.7; it is taken out itself: by is 0.0"),
    (retracted, for_another_call, ATOMIC, "(undo 0.0): said to be undone for call 0.1"),
]


def test_what_a_withdrawn_call_had_read_is_told(script: Any, written: Written) -> None:
    """Its author goes by it still (F33)."""
    s = withdrawn(script)
    a_premise_of_a_withdrawn_call(s)
    assert check(written(s)).problems == ()


@pytest.mark.parametrize(("make", "change", "property", "what"), WRONG, ids=[row[1].__name__ for row in WRONG])
def test_what_is_wrong_with_a_notification_is_said(
    script: Any, written: Written, good: Any, make: Any, change: Callable[[Any], None], property: str, what: str
) -> None:
    s = good if make is None else make(script)
    change(s)
    report = check(written(s))
    assert {p.property for p in report.problems} == {property}
    assert any(what in str(p) for p in report.problems), [str(p) for p in report.problems]


def test_what_is_unread_may_be_told_again(script: Any, written: Written) -> None:
    """A's second write concerns B again: of the first, whose notification is unread, it may be told twice."""
    s = withdrawn(script)
    s.moved(lambda: s.write("0.1", {}, {"x": "c"}), s.of("deliver"))
    stale(s, "0.1", "1.0")
    s.moved(lambda: s.notify(2, 1, "0.1", [], [("1.0", "cancelled")]), s.of("deliver"))
    s.of("deliver").body["ids"] = [1, 2]
    s.of("close").body["final"]["x"] = s.of("applied", "0.1").body["out"]["x"]
    assert judge(written(s)).problems == ()
    second = s.of("notify", nth=1)
    second.body["results"] = []
    assert judge(written(s)).problems == ()
    second.body["results"] = [{"call": "1.0", "status": "stranded"}]
    assert {p.property for p in check(written(s)).problems} == {TOLD}
