"""What each rule is for: the properties that break without it, by shortest runs."""

from __future__ import annotations

import itertools

import attrs
import pytest

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import mtpo_instance, sizes_for, small_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.ablate import ENDLESS, RULES, ablate, why_broken, without
from mtpo.proofs.mutants.alterations import alterations
from mtpo.proofs.mutants.breaking import all_broken, bounded
from mtpo.proofs.mutants.cases import case_instance
from mtpo.proofs.mutants.dropped import ablate_clauses, clause_rules
from mtpo.proofs.mutants.listed import key_of
from mtpo.proofs.mutants.mutate import EQUIVALENT, NotSound
from mtpo.spec.concrete import Instance
from mtpo.spec.language import FALSE, Bool, Sort, Spec, forall, require
from mtpo.spec.mtpo import mtpo
from mtpo.spec.paged_kv import kv
from mtpo.spec.revisions import one_way
from mtpo.spec.rules import RULES as MAPPED
from mtpo.spec.rules import carried

twice = Spec("twice", "What is taken is no longer free: both are kept.")


class Place(Sort):
    "a place"


free = twice.var("free", Place, init=lambda p: True)
held = twice.var("held", Place, init=lambda p: False)


@twice.action
def take(p: Place) -> None:
    require("both", free(p) & ~held(p))
    free[p] = False
    held[p] = True


@twice.invariant("twice.other")
def other() -> Bool:
    return forall(Place, lambda p: free(p) == ~held(p))


@twice.variant("twice.falls", Place, decreases=("take",))
def falls(p: Place) -> tuple[Bool, ...]:
    return free(p), held(p)


NOT_SHOWN = set[str]()
"""Rules of the map that no row is for, though a clause carries them."""


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
        broken, _, complete = all_broken(*case_instance(mtpo, case), limit=10**6)
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
    violated = [p.id for p in trace.instance.violated(trace.states[-1], ("invariant",))]
    assert violated == ["mtpo.repairs-go-on", "mtpo.undo-enabled"], "the first follows from the second"
    assert not any(trace.instance.violated(state, ("invariant",)) for state in trace.states[:-1])
    first, where, facts = why_broken(trace, "mtpo.undo-enabled")
    assert first.startswith("false: forall m: Call, o: Object. ")
    assert where == "for m = call2, o = object1"
    assert "top(object1) is call3" in facts
    assert row.as_json()["breaks"]["mtpo.undo-enabled"]["why"] == [first, where, facts]


@pytest.mark.parametrize(
    ("rule", "property", "steps"),
    [
        ("rank-order", "mtpo.launch-in-rank-order", 1),
        ("issue-order", "mtpo.issue-order", 3),
        ("judge", "mtpo.retract-by-author", 6),
        ("abort", "mtpo.abort-undone", 6),
        ("failure", "mtpo.failure-is-a-premise", 3),
        ("failure-exact", "mtpo.failure-is-a-premise", 3),
        ("waivers", "mtpo.effects-exact", 7),
    ],
)
def test_what_a_rule_is_for(rule: str, property: str, steps: int) -> None:
    (row,) = [row for row in ablate(rule) if row.rule.id == rule]
    assert row.complete
    assert len(row.broken[property].steps) == steps


def test_every_rule_of_the_papers_that_a_clause_carries_has_a_row() -> None:
    """A rule of the map (spec/rules) has one if the clauses of a row are its own, or are in an action of its own."""
    dropped = {f"mtpo.{part}" for rule in RULES for part in rule.carried_by}
    shown = {mapped.id for part in dropped for mapped in carried(part)}
    of_guards = {
        rule.id
        for rule in MAPPED
        if rule.id.startswith("mtpo:") and any(id.count(".") == 2 or id[5:] in mtpo.actions for id in rule.carried_by)
    }
    assert of_guards - shown == NOT_SHOWN


def test_notifications_both_ways_never_end_and_one_way_they_do() -> None:
    """SCCP 4.1: x := y/2 beside y := x/2. The one is proven of any run, the other by what decreases."""
    (row,) = ablate("one-way")
    assert row.complete
    assert [*row.broken] == [ENDLESS]
    trace = row.broken[ENDLESS]
    assert trace.instance.spec.name == "two_way"
    assert [step.action for step in trace.steps] == ["act", "act", "revise", "revise"]
    values = [[trace.instance.value(state, "halved", a) for a in (0, 1)] for state in trace.states]
    assert values == [[0, 0], [1, 0], [1, 2], [3, 2], [3, 4]]
    steps, successors = trace.instance.ground()
    left = [[steps[number] for number, _ in successors(state)] for state in (trace.states[2], trace.states[-1])]
    assert left[0] == left[1] == [trace.steps[2]], "there is to do what was to be done two steps before"
    assert why_broken(trace, ENDLESS) == [
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


def test_the_rules_of_a_spec_are_its_guard_clauses(lock):
    assert [(rule.id, rule.english, rule.source) for rule in clause_rules(lock)] == [
        ("lock.acquire.free", "~(exists q: Process. holds(q))", "lock.py:18"),
        ("lock.release.holder", "holds(p)", "lock.py:25"),
    ]


def test_everything_that_breaks_without_a_clause_is_found_by_shortest_runs(lock):
    free, holder = ablate_clauses(lock)
    assert {id: len(trace.steps) for id, trace in free.broken.items()} == {"lock.exclusion": 2, "lock.no-barging": 2}
    assert {id: len(trace.steps) for id, trace in holder.broken.items()} == {"lock.emptied": 1}
    assert (free.states, free.complete, holder.states, holder.complete) == (4, True, 3, True)
    assert why_broken(holder.broken["lock.emptied"], "lock.emptied") == ["false: release decreases (holds(x))"]
    exclusion = attrs.evolve(lock.properties["lock.exclusion"], role="lemma")
    (alone, _) = ablate_clauses(lock.without(properties={exclusion.id: exclusion}, variants={}))
    assert [*alone.broken] == ["lock.exclusion"]


def test_what_exploration_finds_first_is_among_what_breaks_and_its_runs_are_no_longer():
    rows = {row.rule.id: row for row in ablate_clauses(kv, listed=EQUIVALENT)}
    assert len(rows) == 20
    for row in rows.values():
        instance, roots = small_instance(without(kv, row.rule.carried_by), sizes_for(kv))
        first = {v.property: v.trace for v in explore(instance, roots).verdicts if v.trace}
        assert first.keys() <= row.broken.keys() and bool(first) == bool(row.broken), row.rule.id
        assert all(len(trace.steps) == len(row.broken[id].steps) for id, trace in first.items())
        assert all(
            len(trace.steps) >= len(shortest.steps) for trace in row.broken.values() for shortest in first.values()
        )
    reasons = {id: row.reason for id, row in rows.items() if not row.broken}
    assert reasons == {key.partition("@")[0]: EQUIVALENT[key] for key in EQUIVALENT if key.split("@")[0] in reasons}
    assert not any(row.idle for row in rows.values())


def test_a_clause_is_excused_when_all_its_conjuncts_are_listed():
    plain = twice.without(variants={})  # which breaks when a place is taken again
    keys = {key_of(a): f"reason {a.id[-1]}" for a in alterations(twice, twice.actions["take"]) if "/" in a.id}
    assert [key.partition("@")[0] for key in keys] == ["twice.take.both/0", "twice.take.both/1"]
    one, both = dict([*keys.items()][:1]), keys
    assert [(row.idle, row.reason) for row in ablate_clauses(plain)] == [(True, "")]
    assert [(row.idle, row.reason) for row in ablate_clauses(plain, listed=one)] == [(True, "")]
    assert [(row.idle, row.reason) for row in ablate_clauses(plain, listed=both)] == [(False, "reason 0; reason 1")]


def test_a_spec_that_is_violated_as_it_stands_is_refused(broken_lock, lock):
    with pytest.raises(NotSound, match=r"^lock fails as it stands: lock.exclusion, lock.no-barging; `mtpo explore`"):
        ablate_clauses(broken_lock)
    from_the_start = attrs.evolve(lock.properties["lock.exclusion"], formula=lock.properties["lock.entered"].formula)
    with pytest.raises(NotSound, match=r"^lock fails as it stands: lock.exclusion; "):
        ablate_clauses(lock.without(properties={from_the_start.id: from_the_start}))
    impossible = attrs.evolve(lock.properties["lock.entered"], formula=FALSE, role="assumption")
    with pytest.raises(NotSound, match=r"no initial state of these sizes satisfies the assumptions"):
        ablate_clauses(lock.without(properties={**lock.properties, impossible.id: impossible}))


def test_a_variant_decreases_in_the_order_of_its_sets():
    """Of every pair of states, reachable or not: a set before the one that shrinks stays or shrinks, none grows."""
    instance = Instance(twice, {Place: 2})
    variant = twice.variants["twice.falls"]
    falls, stays = (instance.formula(bounded(variant, name), name, grounded=True) for name in ("take", "look"))
    answers = set()
    for cells in itertools.product((0, 1), repeat=8):
        before, after = bytes(cells[:4]), bytes(cells[4:])
        now, then = ([{p for p in (0, 1) if row[at + p]} for at in (0, 2)] for row in (before, after))
        expected = then[0] < now[0] or (then[0] <= now[0] and then[1] < now[1])
        assert falls(before, after) == expected
        assert stays(before, after) == (expected or (then[0] <= now[0] and then[1] <= now[1]))
        answers.add(expected)
    assert answers == {False, True}
