"""Crash and recovery: proven for any number of calls and objects, explored at a small size, its holes shown by runs."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.mutate import mutants
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.recovery import Call, Object, Value, recovery

PROVEN = {
    "recovery.write-ahead",
    "recovery.undo-data-first",
    "recovery.atomic",
    "recovery.as-logged",
    "recovery.quiet-after-recovery",
    "recovery.idempotent",
    "recovery.no-lost-effect",
    "recovery.no-double-effect",
    "recovery.fenced",
    "recovery.never-guessed",
    "recovery.from-the-top",
    "recovery.trajectory-steps",
    "recovery.nothing-new",
    "recovery.lets-go",
    "recovery.memory-is-lost",
    "recovery.never-stuck",
    "recovery.ends",
}


def instance(spec=recovery, tame=True, askable=True):
    """Two objects; call 1 writes both and has an inverse, call 2 writes object 1 and has none."""
    constants = {
        "origin": lambda: 0,
        "writes": lambda c, o: c < 2 or o == 1,
        "invertible": lambda c: c == 1,
        "askable": lambda c: askable,
        "tame": lambda c: tame,
        "given": lambda o: 0,
    }
    return Instance(spec, {Call: 3, Object: 2, Value: 2}, constants)


def mutant(id):
    """The spec without one clause or update."""
    return next(m.spec for m in mutants(recovery) if m.id == id)


def without(id):
    """The spec without one assumption."""
    return recovery.without(properties={name: p for name, p in recovery.properties.items() if name != id})


def story(instance, *steps):
    """The state after steps that are all allowed, and the properties that the last of them breaks."""
    state = instance.initial()
    broken = []
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not instance.refused(state, step), step
        before = instance.freeze(state)
        instance.perform(state, step)
        broken = [p.id for p in (*instance.violated(state), *instance.violated_step(before, instance.freeze(state)))]
    return state, broken


ACTS = (("accept", 1), ("begin", 1), ("prepare", 1), ("announce", 1), ("start", 1))
TORN = (*ACTS, ("effect", 1, 0, 1))
DONE = (*TORN, ("effect", 1, 1, 1), ("complete", 1))
SENT = (("accept", 2), ("begin", 2), ("announce", 2), ("start", 2))
DIES = (("crash",), ("restart",))
PUT_BACK = (("reverse", 1, 0, 0), ("reverse", 1, 1, 0))


def test_every_property_is_inductive_for_any_number_of_calls_and_objects():
    verdicts = {v.property: v.status for v in prove(recovery)}
    assert verdicts.keys() >= PROVEN
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()


def test_every_action_is_taken_and_nothing_is_violated_at_a_small_size():
    seen = explore(instance())
    assert seen.complete
    assert set(seen.taken) == set(recovery.actions) and all(seen.taken.values())
    assert not [v for v in seen.verdicts if v.status is Status.FAILED]


@pytest.mark.parametrize(
    "steps",
    [
        (*TORN, *DIES, *PUT_BACK, ("undone", 1), ("resume",)),
        (*TORN, *DIES, PUT_BACK[0], *DIES, *PUT_BACK, ("undone", 1), ("resume",)),
        (*TORN, *DIES, *PUT_BACK, *DIES, *PUT_BACK, ("undone", 1), ("resume",)),
        (*DONE, ("undo", 1), PUT_BACK[1], *DIES, *PUT_BACK, ("undone", 1), ("resume",)),
        (*TORN, ("fail", 1), PUT_BACK[0], *DIES, *PUT_BACK, ("undone", 1), ("resume",)),
    ],
)
def test_wherever_the_runtime_dies_the_objects_hold_what_they_held_before(steps):
    at = instance()
    state, broken = story(at, *steps)
    assert not broken
    assert [at.value(state, "held", o) for o in (0, 1)] == [0, 0]
    assert not any(at.value(state, "hit", 1, o) for o in (0, 1))
    again, broken = story(at, *steps, *ACTS[1:], ("effect", 1, 0, 1), ("effect", 1, 1, 1), ("complete", 1))
    assert not broken and at.value(again, "applied", 1)


@pytest.mark.parametrize("landed", [False, True])
def test_what_became_of_a_request_is_asked(landed):
    at = instance()
    land = (("land", 2, (0, 1)),) if landed else ()
    state, broken = story(at, *SENT, ("crash",), *land, ("restart",), ("ask", 2), ("resume",))
    assert not broken
    assert bool(at.value(state, "applied", 2)) is landed
    assert at.value(state, "held", 1) == landed
    assert at.refused(state, Step("land", (2, (0, 1))))


HOLES = [
    # The effect comes before its announcement: an object changes, and the log knows of nothing.
    ("recovery.start.announced", (*SENT[:2], ("start", 2), ("land", 2, (0, 1))), "recovery.write-ahead"),
    # No undo data: what was on the object is gone with the memory of the runtime.
    ("recovery.announce.prepared", (*ACTS[:2], *ACTS[3:4]), "recovery.undo-data-first"),
    # A torn attempt counts as undone: it runs again on its own remains.
    ("recovery.undone.wholly", (*TORN, *DIES, ("undone", 1)), "recovery.atomic"),
    # Undo data of before the crash: they are those of before another call, which the undo would take away.
    (
        "recovery.restart.prepared:=",
        (*ACTS[:3], *DIES, ("resume",), *SENT, ("land", 2, (0, 1)), ("complete", 2), ("begin", 1), ("announce", 1)),
        "recovery.undo-data-first",
    ),
    # The resource was asked, and what was still under way came after the answer.
    ("recovery.ask.under_way:=", (*SENT, *DIES, ("ask", 2), ("land", 2, (0, 1))), "recovery.write-ahead"),
    # The outcome is guessed: the request was sent, so the call is taken to be there.
    ("recovery.complete.wholly", (*SENT, ("complete", 2)), "recovery.never-guessed"),
    # A request is sent again because no answer came: it takes effect twice.
    (
        "recovery.start.once",
        (*SENT, ("land", 2, (0, 0)), ("start", 2), ("land", 2, (0, 1))),
        "recovery.no-double-effect",
    ),
    # Not from the top: what came after is taken away.
    (
        "recovery.undo.top-only",
        (*DONE, *SENT, ("land", 2, (0, 1)), ("complete", 2), ("undo", 1), PUT_BACK[1]),
        "recovery.from-the-top",
    ),
]


@pytest.mark.parametrize(("id", "steps", "property"), HOLES, ids=[id for id, _, _ in HOLES])
def test_a_hole_in_the_design_shows_in_a_run(id, steps, property):
    _, broken = story(instance(mutant(id)), *steps)
    assert property in broken


def test_an_inverse_that_is_not_idempotent_spoils_what_the_call_had_not_reached():
    at = instance(without("recovery.inverse-idempotent"), tame=False)
    state, broken = story(at, *TORN, *DIES, ("reverse", 1, 0, 0), ("reverse", 1, 1, 1), ("undone", 1))
    assert "recovery.as-logged" in broken
    assert at.value(state, "held", 1) == 1


def test_a_resource_that_cannot_be_asked_leaves_recovery_without_a_next_step():
    at = instance(without("recovery.resource-answers"), askable=False)
    state, broken = story(at, *SENT, *DIES)
    assert broken == ["recovery.never-stuck"]
    assert [c.id for c in at.refused(state, Step("ask", (2,)))] == ["recovery.ask.askable"]
