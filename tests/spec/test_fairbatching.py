"""FairBatching: proven for any number of requests and any times, explored at small sizes; and its mutants."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.induction.refuting import broken_by
from mtpo.proofs.mutants.listed import key_of
from mtpo.proofs.mutants.mutate import mutants, mutate
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.fairbatching import EQUIVALENT, Request, fair

PROVEN = {
    "fair.envelope",
    "fair.budget-floor",
    "fair.budget-rule",
    "fair.urgent-in-time",
    "fair.within-budget",
    "fair.safe-deferral",
    "fair.no-inversion",
    "fair.work-conserving",
    "fair.group-order",
    "fair.chunk-within-prompt",
    "fair.prefill-gets-on",
    "fair.never-empty",
    "fair.urgent-first-alone",
    "fair.served-to-the-end",
    "fair.time-adds-up",
    "fair.time-passes",
    "fair.round-ends",
}


def instance(requests=3, spec=fair, **changed):
    """Requests with short prompts and outputs, the first one strict, the second one with much time."""
    constants = {
        "a": lambda: 1,
        "b": lambda: 1,
        "c": lambda: 1,
        "idle": lambda: 4,
        "prompt": lambda r: (3, 2, 1)[r],
        "output": lambda r: (2, 3, 2)[r],
        "tpot": lambda r: (3, 9, 4)[r],
        "ddl": lambda r: (14, 60, 25)[r],
        **changed,
    }
    return Instance(spec, {Request: requests}, constants)


def test_every_property_is_inductive_for_any_number_of_requests_and_any_times():
    verdicts = {v.property: v.status for v in prove(fair)}
    assert verdicts.keys() >= PROVEN
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()


def test_every_action_is_taken_and_nothing_is_violated_at_a_small_size():
    seen = explore(instance())
    assert seen.complete
    assert set(seen.taken) == set(fair.actions) and all(seen.taken.values())
    assert not [v for v in seen.verdicts if v.status is Status.FAILED]


@pytest.mark.parametrize(
    "changed",
    [{"c": lambda: 0}, {"ddl": lambda r: 0}, {"idle": lambda: 1}, {"a": lambda: 0, "tpot": lambda r: 1}],
)
def test_nothing_is_violated_with_other_times(changed):
    seen = explore(instance(**changed))
    assert seen.complete
    failed = [v.property for v in seen.verdicts if v.status is Status.FAILED]
    rules = {id for id, p in fair.properties.items() if p.role != "reachable"}
    assert not rules & set(failed)


def story(*steps, **changed):
    """The state after steps that are all allowed, with two requests."""
    at = instance(2, **changed)
    state = at.initial()
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not at.refused(state, step), step
        at.perform(state, step)
        assert not at.violated(state)
    return at, state


PREFILLED = (
    ("arrive", 0),
    ("begin_idle", 0),
    ("turn_to_prefills",),
    ("take_prefill", 0),
)


@pytest.mark.parametrize(
    ("steps", "refused", "clause"),
    [
        ((*PREFILLED, ("extend", 0)), ("turn_to_others",), None),
        (PREFILLED, ("extend", 0), "fair.extend.fits"),
        (PREFILLED, ("run",), "fair.run.stage"),
        (PREFILLED, ("arrive", 1), "fair.arrive.between"),
        ((("arrive", 1), *PREFILLED[:3]), ("take_prefill", 1), "fair.take_prefill.next"),
    ],
)
def test_what_is_refused_and_by_which_clause(steps, refused, clause):
    at, state = story(*steps, idle=lambda: 5 if clause is None else 4)
    action, *args = refused
    found = [c.id for c in at.refused(state, Step(action, tuple(args)))]
    assert (clause in found) if clause else not found


@pytest.mark.slow
def test_every_mutant_is_caught_or_known_to_change_nothing():
    fates = mutate(fair, equivalent=EQUIVALENT)
    assert [key_of(f.mutant) for f in fates if not f.killed_by] == list(EQUIVALENT)


def test_to_pass_over_without_remembering_it_is_a_round_without_end():
    (mutant,) = (m for m in mutants(fair) if m.id == "fair.pass_urgent.passed:=")
    assert broken_by(mutant.spec, mutant.action, {Request: 2}, 5_000)[0] == ["fair.round-ends"]
