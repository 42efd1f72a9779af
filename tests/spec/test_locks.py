"""Locks: proven for any number of calls and objects, and how a call is overtaken for ever without the line."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import sizes_for, small_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.mutate import mutants
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.locks import Call, Object, locks

WAITER, ON_X, ON_Y = range(3)
TOUCHES = [1, 1, 1, 0, 0, 1]
X, Y, BOTH = (1, 0), (0, 1), (1, 1)


def story(*steps, spec=locks):
    """The instance, the state after steps that are all allowed, and the properties that the last of them breaks."""
    at = Instance(spec, {Call: 3, Object: 2}, {"touches": TOUCHES})
    state, broken = at.initial(), []
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not at.refused(state, step), step
        before = at.freeze(state)
        at.perform(state, step)
        broken = [p.id for p in (*at.violated(state), *at.violated_step(before, at.freeze(state)))]
    return at, state, broken


HELD_UP = ("ask", ON_X, X), ("begin", ON_X, X), ("ask", WAITER, BOTH)


def test_every_property_is_inductive():
    verdicts = {v.property: v.status for v in prove(locks)}
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()
    assert "locks.no-bypass" in verdicts


def test_every_state_of_a_small_size():
    found = explore(*small_instance(locks, sizes_for(locks)))
    assert found.complete and all(found.taken.values())
    assert {v.property for v in found.verdicts if v.status is not Status.CHECKED} == set()


def test_a_later_call_waits_behind_and_the_waiting_one_gets_its_turn():
    at, state, _ = story(*HELD_UP, ("ask", ON_Y, Y))
    assert [c.id for c in at.refused(state, Step("begin", (WAITER, BOTH)))] == ["locks.begin.free"]
    assert [c.id for c in at.refused(state, Step("begin", (ON_Y, Y)))] == ["locks.begin.in-line"]
    _, _, broken = story(*HELD_UP, ("ask", ON_Y, Y), ("settle", ON_X), ("begin", WAITER, BOTH))
    assert not broken


def test_without_the_line_there_is_always_one_in_the_way():
    spec = next(m.spec for m in mutants(locks) if m.id == "locks.begin.in-line")
    steps, free = [*HELD_UP], (ON_Y, Y)
    for _ in range(5):
        here, there = free, ((ON_X, X) if free == (ON_Y, Y) else (ON_Y, Y))
        steps += [("ask", *here), ("begin", *here)]
        at, state, broken = story(*steps, spec=spec)
        assert "locks.no-bypass" in broken
        steps.append(("settle", there[0]))
        at, state, _ = story(*steps, spec=spec)
        assert [c.id for c in at.refused(state, Step("begin", (WAITER, BOTH)))] == ["locks.begin.free"]
        free = there


def test_what_shares_an_object_with_what_is_touched_is_reserved_too():
    at = Instance(locks, {Call: 3, Object: 2}, {"touches": [1, 0, 1, 1, 0, 1]})
    state = at.initial()
    for action, *args in (("ask", 1, BOTH), ("begin", 1, BOTH), ("settle", 1)):
        at.perform(state, Step(action, tuple(args)))
    assert [c.id for c in at.refused(state, Step("ask", (0, X)))] == ["locks.ask.closed"]
    assert not at.refused(state, Step("ask", (0, BOTH)))
