"""Levels of a read: proven for any number of writes and readers, and what a race with an undo would do."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import sizes_for, small_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.mutate import mutants
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.levels import Position, Query, levels

FIRST, LOW, READER, HIGH, LAST = range(5)
WRITES = (("write", LOW), ("write", HIGH))
BENEATH = (("look_beneath", READER), ("undo", HIGH, LOW), ("read_beneath", READER))


def story(*steps, spec=levels):
    """The instance, the state after steps that are all allowed, and the properties that the last of them breaks."""
    at = Instance(spec, {Position: 5, Query: 1}, {"first": [FIRST]})
    state, broken = at.initial(), []
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not at.refused(state, step), step
        before = at.freeze(state)
        at.perform(state, step)
        broken = [p.id for p in (*at.violated(state), *at.violated_step(before, at.freeze(state)))]
    return at, state, broken


def test_every_property_is_inductive():
    verdicts = {v.property: v.status for v in prove(levels)}
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()
    assert "levels.every-way" in verdicts


def test_every_state_of_a_small_size():
    found = explore(*small_instance(levels, sizes_for(levels)))
    assert found.complete and all(found.taken.values())
    assert {v.property for v in found.verdicts if v.status is not Status.CHECKED} == set()


@pytest.mark.parametrize("way", [(("read_kept", READER, LOW),), (*BENEATH, ("redo", HIGH), ("give_back",))])
def test_each_way_gives_the_same_value(way):
    at, state, broken = story(*WRITES, *way)
    assert not broken and at.value(state, "got", READER) == LOW and at.value(state, "live", HIGH)


def test_a_cached_result_serves_positions_where_nothing_of_it_has_changed():
    made = ("write", LOW), ("read_live", READER), ("cache", 0, READER), ("write", HIGH)
    at, state, _ = story(*made)
    assert [c.id for c in at.refused(state, Step("read_cached", (LAST, 0, LOW)))] == ["levels.read_cached.unchanged"]
    at, state, broken = story(("write", LOW), ("read_live", HIGH), ("cache", 0, HIGH), ("write", LAST))
    assert not broken and not at.refused(state, Step("read_cached", (READER, 0, LOW))), "whatever came above"


def test_who_looked_at_the_live_state_during_an_undo_would_find_its_past():
    at, state, _ = story(*WRITES, *BENEATH)
    assert [c.id for c in at.refused(state, Step("read_live", (LAST,)))] == ["levels.read_live.unlocked"]
    spec = next(m.spec for m in mutants(levels) if m.id == "levels.read_live.unlocked")
    _, _, broken = story(*WRITES, *BENEATH, ("read_live", LAST), spec=spec)
    assert "levels.every-way" in broken
    at, state, broken = story(*WRITES, *BENEATH, ("read_kept", LAST, HIGH))
    assert not broken and at.value(state, "got", LAST) == HIGH, "a kept version serves on"
