"""What each rule is for: the properties that break without it, by shortest runs."""

from __future__ import annotations

import pytest

from mtpo.proofs.ablate import RULES, ablate, all_broken, one_case, why_broken, without
from mtpo.proofs.explore import explore
from mtpo.proofs.inductive import prove
from mtpo.proofs.instances import mtpo_instance, small_instance
from mtpo.spec.mtpo import mtpo
from mtpo.spec.revisions import one_way


def test_the_rules_are_carried_by_clauses_and_updates_that_exist() -> None:
    for rule in RULES:
        assert without(mtpo, rule.carried_by).actions.keys() == mtpo.actions.keys()
    with pytest.raises(AssertionError):
        without(mtpo, ["call.nothing"])


def test_with_all_rules_nothing_breaks() -> None:
    broken, states, complete = all_broken(*mtpo_instance(2, 1, 1), limit=10**6)
    assert (broken, complete) == ({}, True)
    assert states == explore(*mtpo_instance(2, 1, 1)).states
    for case in {rule.case for rule in RULES if rule.case}:
        broken, _, complete = all_broken(*one_case(mtpo, case), limit=10**6)
        assert (broken, complete) == ({}, True)


@pytest.mark.parametrize(
    ("rule", "property", "steps"),
    [
        ("closure", "mtpo.undo-enabled", 10),
        ("top-first", "mtpo.top-only-undo", 11),
        ("redo-order", "mtpo.in-place", 15),
    ],
)
def test_what_a_case_shows(rule: str, property: str, steps: int) -> None:
    (row,) = ablate(rule)
    assert row.complete
    assert property in row.broken
    assert len(row.broken[property].steps) == steps


def test_a_run_is_a_shortest_run_of_the_spec_without_the_rule() -> None:
    (row,) = ablate("closure")
    trace = row.broken["mtpo.undo-enabled"]
    for number, step in enumerate(trace.steps):
        assert trace.instance.enabled(trace.states[number], step)
        after = list(trace.states[number])
        trace.instance.perform(after, step)
        assert trace.instance.freeze(after) == trace.states[number + 1]
    assert [p.id for p in trace.instance.violated(trace.states[-1], ("invariant",))] == ["mtpo.undo-enabled"]
    assert not any(trace.instance.violated(state, ("invariant",)) for state in trace.states[:-1])
    first, where, facts = why_broken(trace, "mtpo.undo-enabled")
    assert first.startswith("false: forall m: Call, o: Object. ")
    assert where == "for m = call2, o = object1"
    assert "top(object1) is call3" in facts
    assert row.as_json()["breaks"]["mtpo.undo-enabled"]["why"] == [first, where, facts]


def test_notifications_both_ways_never_end_and_one_way_they_do() -> None:
    """SCCP 4.1: x := y/2 beside y := x/2. The one is proven of any run, the other by what decreases."""
    (row,) = ablate("one-way")
    assert row.complete
    trace = row.broken["mtpo.notes-consumed"]
    values = [[trace.instance.value(state, "halved", a) for a in (0, 1)] for state in trace.states]
    assert values == [[0, 0], [1, 0], [1, 2], [3, 2], [3, 4], [5, 4], [5, 6]]
    assert why_broken(trace, "mtpo.notes-consumed") == [
        "and so on: nothing ends it, as is proven",
        "two_way.endless: Somebody has still to act, or has been told of a change.",
    ]
    assert {v.property: str(v.status) for v in prove(one_way)}["one_way.ends"] == "PROVED"
    found = explore(*small_instance(one_way, dict.fromkeys(one_way.sorts, 2)))
    assert found.complete and {str(v.status) for v in found.verdicts} == {"CHECKED"}


@pytest.mark.slow
def test_every_rule_is_for_something() -> None:
    rows = ablate()
    assert [row.rule.id for row in rows if not row.broken] == []
    assert all(row.complete for row in rows)
