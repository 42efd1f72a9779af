"""Predicates of premises: a change that leaves one true is waived, any other is told, and effects stay exact."""

from __future__ import annotations

import pytest

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import mtpo_instance
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.mtpo import Agent, Call, Object, Value, mtpo

FEW, FEWER, MANY = 0, 1, 2
"""What the object holds; "few" is what the reader's predicate is true of."""


def instance(accepted, reader_writes=False):
    """Agent 0 writes the object twice (calls 1, 2); agent 1 reads it (call 3), and may write it back."""
    return Instance(
        mtpo,
        {Agent: 2, Call: 4, Object: 1, Value: 3},
        {
            "origin": [0],
            "author": [0, 0, 0, 1],
            "reads": [0, 0, 0, 1],
            "writes": [1, 1, 1, int(reader_writes)],
            "invertible": [1] * 4,
            "given": [FEW],
            "accepts": lambda c, o, v: int(c == 3 and v in accepted),
            "replay": [1],
        },
    )


def story(at, *steps):
    """The state after steps that are all allowed and break nothing."""
    state = at.initial()
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not at.refused(state, step), step
        before = at.freeze(state)
        at.perform(state, step)
        assert not at.violated(state) and not at.violated_step(before, at.freeze(state)), step
    return state


START = (("launch", 0), ("launch", 1), ("read", 3, (0,)))


def write(call, value):
    """A write with nothing above it to undo."""
    return ("call", call, (0,) * 4, (1,)), ("applied", call, (value,)), ("settle", call)


def test_a_change_that_leaves_the_predicate_true_is_not_told():
    at = instance({FEW, FEWER})
    state = story(at, *START, *write(1, FEWER))
    assert not at.value(state, "note", 3)
    assert (at.value(state, "saw", 3, 0), at.value(state, "value", 1, 0)) == (FEW, FEWER)
    assert not at.refused(state, Step("finish", (1,)))


def test_a_change_that_makes_the_predicate_false_is_told_whatever_was_waived_before():
    at = instance({FEW, FEWER})
    state = story(at, *START, *write(1, FEWER), *write(2, MANY))
    assert at.value(state, "note", 3)
    assert [c.id for c in at.refused(state, Step("finish", (1,)))] == ["mtpo.finish.inbox-empty"]


@pytest.mark.parametrize("accepted", [set(), {FEW}, {FEWER}, {FEWER, MANY}])
def test_a_predicate_that_is_not_true_of_both_waives_nothing(accepted):
    at = instance(accepted)
    assert at.value(story(at, *START, *write(1, FEWER)), "note", 3)


def test_who_was_not_told_goes_by_the_exact_value_where_it_acts():
    at = instance({FEW, FEWER}, reader_writes=True)
    late = (
        *START[:2],
        ("call", 3, (0,) * 4, (1,)),
        ("applied", 3, (MANY,)),
        ("settle", 3),
        ("call", 1, (0, 0, 0, 1), (1,)),
        ("undone", 3),
        ("applied", 1, (FEWER,)),
    )
    state = story(at, *late, ("redone", 3, (MANY,)), ("settle", 1))
    assert not at.value(state, "note", 3), "another input, which the predicate waives, and the same result"
    assert at.value(state, "saw", 3, 0) == FEWER, "but the redo went by what there was"
    state = story(at, *late, ("redone", 3, (FEW,)), ("settle", 1))
    assert at.value(state, "note", 3), "another result is told, whatever the input"


FAILED = (*START[:2], ("call", 3, (0,) * 4, (1,)), ("failed", 3), ("settle", 3))


def test_of_what_made_a_call_fail_nothing_is_waived():
    """F37: its author would do the same with the other value; the tool might not fail of it."""
    at = instance({FEW, FEWER}, reader_writes=True)
    state = story(at, *FAILED, *write(1, FEWER))
    assert at.value(state, "void", 3) and at.value(state, "note", 3)
    assert [c.id for c in at.refused(state, Step("finish", (1,)))] == ["mtpo.finish.inbox-empty"]


def test_once_its_author_is_told_a_failed_call_is_a_premise_like_any_other():
    at = instance({FEW, FEWER}, reader_writes=True)
    told = (*FAILED, *write(1, FEWER), ("deliver", 1))
    state = story(at, *told)
    assert not at.value(state, "void", 3) and at.value(state, "saw", 3, 0) == FEWER
    assert not at.value(story(at, *told, *write(2, FEW)), "note", 3), "its author took it or left it, and accepts this"
    assert at.value(story(at, *told, *write(2, MANY)), "note", 3)


def test_every_state_with_predicates_on_all_premises():
    found = explore(*mtpo_instance(2, 1, 1, predicates=True))
    assert (found.initial, found.states, found.transitions, found.depth) == (50, 17_284, 27_732, 15)
    assert {v.property for v in found.verdicts if v.status is not Status.CHECKED} == set()
    assert "mtpo.reach-waived" in {v.property for v in found.verdicts if v.method == "reached"}
