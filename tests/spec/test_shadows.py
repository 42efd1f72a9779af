"""Shadows: proven for any number of calls, explored at a small size, and what goes wrong without surfacing."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import shadows_instance, sizes_for
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.induction.refuting import broken_by
from mtpo.proofs.mutants.mutate import mutants
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.shadows import Call, Object, shadows

X, Y = 0, 1
NONE = (0, 0, 0, 0)


def instance(spec=shadows, reads=((), (), ()), writes=((X, Y), (X,), (Y,))):
    """Three calls on two objects; the first may be late, below the other two."""
    tables = [
        [int(o in row) for row in ((), *reads) for o in (X, Y)],
        [1, 1, *(int(o in r) for r in writes for o in (X, Y))],
    ]
    return Instance(spec, {Call: 4, Object: 2}, {"origin": [0], "reads": tables[0], "writes": tables[1]})


def story(at, *steps):
    """The state after steps that are all allowed, and the properties that the last of them breaks."""
    state, broken = at.initial(), []
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not at.refused(state, step), step
        before = at.freeze(state)
        at.perform(state, step)
        broken = [p.id for p in (*at.violated(state), *at.violated_step(before, at.freeze(state)))]
    return state, broken


def act(call):
    """A write with nothing above it to undo."""
    return ("call", call, NONE), ("applied", call), ("settle",)


HIDDEN = (*act(2), *act(3), ("shadow", 1, (2, 3)))
"""Call 1 writes x and y, late: call 2 covers it on x, call 3 on y."""
OUT = (("retract", 2, NONE), ("taken", 2))
"""The cover on x is taken out."""


@pytest.mark.slow
def test_every_property_is_inductive_for_any_number_of_calls():
    verdicts = {v.property: v.status for v in prove(shadows)}
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()
    assert verdicts.keys() >= {"shadows.as-ordered", "shadows.no-lost-call", "shadows.reads-as-ordered"}


def test_every_state_of_a_small_size():
    found = explore(*shadows_instance(sizes_for(shadows)))
    assert found.complete and all(found.taken.values())
    assert {v.property for v in found.verdicts if v.status is not Status.CHECKED} == set()


def test_a_covered_write_does_nothing():
    at = instance()
    state, broken = story(at, *HIDDEN)
    assert not broken and at.value(state, "shadowed", 1)
    assert [at.value(state, "top", o) for o in (X, Y)] == [2, 3]


def test_a_write_covered_on_one_object_only_must_act():
    at = instance()
    state, _ = story(at, *act(2))
    assert [c.id for c in at.refused(state, Step("shadow", (1, (2, 2))))] == ["shadows.shadow.covered"]
    assert [c.id for c in at.refused(state, Step("call", (1, NONE)))] == ["shadows.call.seeds"]


def test_a_reader_between_keeps_a_write_from_being_shadowed():
    at = instance(reads=((), (X,), ()), writes=((X,), (), (X,)))
    state, _ = story(at, *act(3), ("read", 2, (0, 0)))
    assert [c.id for c in at.refused(state, Step("shadow", (1, (3, 3))))] == ["shadows.shadow.covered"]


def test_a_shadow_surfaces_below_what_still_covers_it():
    at = instance()
    state, _ = story(at, *HIDDEN, *OUT)
    assert [c.id for c in at.refused(state, Step("settle", ()))] == ["shadows.settle.none-bare"]
    assert [c.id for c in at.refused(state, Step("surface", (1, NONE)))] == ["shadows.surface.seeds"]
    ends = ("surface", 1, (0, 0, 0, 1)), ("undone", 3), ("applied", 1), ("redone", 3), ("settle",)
    state, broken = story(at, *HIDDEN, *OUT, *ends)
    assert not broken
    assert [at.value(state, "top", o) for o in (X, Y)] == [1, 3], "x holds what the shadow left, y what covers it"


def test_who_reads_between_a_shadow_and_its_cover_makes_it_surface():
    at = instance(reads=((), (X,), ()), writes=((X,), (), (X,)))
    hidden = (*act(3), ("shadow", 1, (3, 3)))
    state, _ = story(at, *hidden)
    assert [c.id for c in at.refused(state, Step("read", (2, (0, 0))))] == ["shadows.read.unshadowed"]
    up = ("surface", 1, (0, 0, 0, 1)), ("undone", 3), ("applied", 1), ("redone", 3), ("settle",), ("read", 2, (1, 0))
    state, broken = story(at, *hidden, *up)
    assert not broken and at.value(state, "source", 2, X) == 1


def test_the_published_rule_loses_a_write():
    spec = next(m.spec for m in mutants(shadows) if m.id == "shadows.settle.none-bare")
    at = instance(spec)
    state, broken = story(at, *HIDDEN, *OUT, ("settle",))
    assert "shadows.as-ordered" in broken
    assert at.value(state, "top", X) == 0 and at.value(state, "shadowed", 1), "x holds what was there at first"


@pytest.mark.parametrize(
    ("id", "property"),
    [
        ("shadows.skipped.covered~7", "shadows.covered"),  # the reader between
        ("shadows.skipped.cover:=~1", "shadows.covered"),  # the shadows of a new shadow
        ("shadows.redone.source:=~3", "shadows.sources"),
    ],
)
def test_what_goes_wrong_only_with_more_calls(id, property):
    """The origin, the call of the repair and two or three others: fewer can't show it."""
    mutant = next(m for m in mutants(shadows) if m.id == id)
    assert property in broken_by(mutant.spec, mutant.action, {Call: 5, Object: 1}, 60_000)[0]
