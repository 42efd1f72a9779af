"""A step of the trajectories: what it allows of two calls and two objects, and what it catches in mtpo and recovery."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.spec.concrete import Instance
from mtpo.spec.language import Bool, Sort, Spec
from mtpo.spec.trajectory import one_step
from tests.proofs.fates import fate


class Call(Sort):
    """a write"""


class Object(Sort):
    """what is written"""


class Value(Sort):
    """what an object holds"""


def instance():
    """Call 0 has written both objects, call 1 writes both, call 2 the second."""
    spec = Spec("moves", "Any change at all.")
    first, zero = spec.const("first", to=Call), spec.const("zero", to=Value)
    writes = spec.const("writes", Call, Object)
    live = spec.var("live", Call, init=lambda c: c == first())
    top = spec.var("top", Object, to=Call, init=lambda o: first())
    base = spec.var("base", Call, Object, to=Call, init=lambda c, o: first())
    value = spec.var("value", Call, Object, to=Value, init=lambda c, o: zero())

    @spec.step_property("moves.one-step")
    def property() -> Bool:
        return one_step(Call, Object, writes=writes, live=live, top=top, base=base, value=value)

    constants = {"first": [0], "writes": [1, 1, 1, 1, 0, 1], "zero": [0]}
    return Instance(spec, {Call: 3, Object: 2, Value: 2}, constants)


def step(before, **changed):
    """Whether a change of cells is a step; a cell is named by its variable and arguments: ``top_0``."""
    at = instance()

    def state(cells):
        found = at.initial()
        for name, value in cells.items():
            variable, *args = name.split("_")
            place = at.offsets[variable] + at.index(at.spec.variables[variable], [int(a) for a in args])
            found[place] = value
        return at.freeze(found)

    return not at.violated_step(state(before), state({**before, **changed}))


ON = {"live_1": 1, "top_0": 1, "top_1": 1}
"""Call 1 is on top of both objects."""


def test_nothing_or_one_call_on_top_or_one_off():
    assert step({})
    assert step({}, **ON) and step({}, **ON, value_1_0=1)
    assert step(ON, live_1=0, top_0=0, top_1=0)
    assert step(ON, live_2=1, top_1=2, base_2_1=1)


@pytest.mark.parametrize(
    "changed",
    [
        {"live_1": 1, "top_0": 1},
        {**ON, "base_1_0": 2},
        {**ON, "live_2": 1},
        {**ON, "value_0_0": 1},
        {**ON, "base_2_1": 2},
        {"top_0": 1},
        {"value_1_1": 1},
        {"live_0": 0, "top_0": 1},
    ],
)
def test_no_half_a_step_and_no_two(changed):
    assert not step({}, **changed)


def test_what_is_not_on_top_does_not_come_off():
    over = {**ON, "live_2": 1, "top_1": 2, "base_2_1": 1}
    assert not step(over, live_1=0, top_0=0)
    assert not step(over, live_1=0, top_0=0, top_1=0)
    assert step(over, live_2=0, top_1=1)


@pytest.mark.parametrize(
    "id",
    ["recovery.complete.top:=", "recovery.complete.base:=", "recovery.undone.top:=", "mtpo.applied.base:="],
)
def test_a_phase_that_is_no_step_is_noticed(id):
    spec = id.partition(".")[0]
    assert f"{spec}.trajectory-steps" in fate(id).killed_by
