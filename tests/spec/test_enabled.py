"""What a spec says of its own guards: that an action is enabled, of given elements and functions, or of some."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mtpo.spec.concrete import Instance
from mtpo.spec.language import (
    Bool,
    Function,
    Int,
    OrderedSort,
    Sort,
    Spec,
    SpecError,
    exists,
    forall,
    function,
    implies,
    require,
)


class Seat(OrderedSort):
    """a seat"""


class Guest(Sort):
    """a guest"""


def theatre() -> Spec:
    """Guests take seats; whoever shows them in names a free seat for each ticket."""
    spec = Spec("theatre", "Seats and guests.")
    open_ = spec.const("open", Seat, doc="may be taken")
    taken = spec.var("taken", Seat, init=lambda s: False)
    inside = spec.var("inside", Guest, init=lambda g: False)

    @spec.action(place=function(Guest, to=Seat))
    def enter(g: Guest, place: Function[Seat]) -> None:
        "A guest is shown in; everybody has a place to go to that is open, and free."
        require("outside", ~inside(g))
        require("open", forall(Guest, lambda x: open_(place(x))))
        require("free", forall(Guest, lambda y: ~taken(place(y))))
        inside[g] = True

    @spec.action
    def take(s: Seat) -> None:
        "A seat is taken."
        require("free", ~taken(s))
        taken[s] = True

    return spec


def _holds(spec: Spec, id: str, instance: Instance, state: Any) -> bool:
    return instance.formula(spec.properties[id].formula, id)(state)


def test_it_is_what_the_guard_says_of_the_elements_with_some_function():
    """Against all the functions that there are, in every state of an instance: each clause reads it at one point."""
    spec = theatre()
    spec.invariant("theatre.in")(lambda: forall(Guest, lambda g: spec.enabled("enter", g)))
    spec.invariant("theatre.takes")(lambda: forall(Seat, lambda s: spec.enabled("take", s)))
    seen = set()
    for table in ([0, 0], [0, 1], [1, 1]):
        instance = Instance(spec, {Seat: 2, Guest: 2}, {"open": table})
        for bits in range(16):
            state = instance.freeze([bits >> i & 1 for i in range(4)])
            for id, name, elements in (("theatre.in", "enter", 2), ("theatre.takes", "take", 2)):
                taken = [step for step in instance.ground()[0] if step.action == name]
                can = {step.args[0] for step in taken if instance.enabled(state, step)}
                assert _holds(spec, id, instance, state) == (len(can) == elements)
                seen.add((id, len(can) == elements))
    assert len(seen) == 4


def test_a_function_may_be_given():
    spec = theatre()
    spec.invariant("theatre.first")(
        lambda: forall(
            Guest, Seat, lambda g, s: implies(spec.enabled("take", s), spec.enabled("enter", g, place=lambda x: s))
        )
    )
    instance = Instance(spec, {Seat: 2, Guest: 1}, {"open": [1, 0]})
    assert not _holds(spec, "theatre.first", instance, instance.freeze(instance.initial())), "the other seat is shut"
    both = Instance(spec, {Seat: 2, Guest: 1}, {"open": [1, 1]})
    assert _holds(spec, "theatre.first", both, both.freeze(both.initial()))


def test_a_function_without_arguments_has_some_value_too():
    spec = Spec("flags", "An action with a flag, and a seat.")
    lit = spec.var("lit", Guest, init=lambda g: False)

    @spec.action(flag=function(), seat=function(to=Seat))
    def go(g: Guest, flag: Function[Bool], seat: Function[Seat]) -> None:
        "With a flag, and a seat above which there is none."
        require("off", ~flag())
        require("or", flag() | lit(g))
        require("seat", forall(Seat, lambda s: implies(seat() <= s, s == seat())))
        lit[g] = ~lit(g)

    spec.invariant("flags.can")(lambda: forall(Guest, lambda g: spec.enabled("go", g)))
    for seats in (1, 2):
        instance = Instance(spec, {Guest: 2, Seat: seats}, {})
        for bits in range(4):
            state = instance.freeze([bits & 1, bits >> 1])
            steps = [step for step in instance.ground()[0] if instance.enabled(state, step)]
            assert _holds(spec, "flags.can", instance, state) == ({step.args[0] for step in steps} == {0, 1})


def test_it_follows_the_guard_of_whatever_the_action_is_made_to_be():
    """A guard that is made stronger refutes it; an action that is gone is enabled for nobody."""
    spec = theatre()
    spec.invariant("theatre.takes")(
        lambda: forall(Seat, lambda s: implies(~spec.variables["taken"](s), spec.enabled("take", s)))
    )
    take = spec.actions["take"]
    clause = attrs.evolve(take.guard[0], id="theatre.take.open", formula=spec.constants["open"](take.params[0]))
    for actions, holds in (
        (spec.actions, True),
        ({**spec.actions, "take": attrs.evolve(take, guard=(*take.guard, clause))}, False),
        ({"enter": spec.actions["enter"]}, False),
    ):
        other = spec.without(actions=dict(actions))
        instance = Instance(other, {Seat: 2, Guest: 1}, {"open": [1, 0]})
        assert _holds(other, "theatre.takes", instance, instance.freeze(instance.initial())) == holds
    assert spec.properties["theatre.takes"].formula is not other.properties["theatre.takes"].formula


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda spec, g: spec.enabled("leave", g), "`leave` is no action declared before; known: enter, take"),
        (lambda spec, g: spec.enabled("enter"), r"`enter` is taken with \(Guest\)"),
        (lambda spec, g: spec.enabled("take", g), r"`take` is taken with \(Seat\)"),
        (lambda spec, g: spec.enabled("enter", g, seat=lambda x: g), "has no function `seat`; it has: place"),
        (
            lambda spec, g: spec.enabled("enter", g, place=3),
            "`place` of `enter` is a function of 1 arg.*found 3",
        ),
        (lambda spec, g: spec.enabled("enter", g, place=lambda x: x), "`place` of `enter` is Guest, wanted Seat"),
        (lambda spec, g: spec.enabled("enter", g, place=lambda: g), "`place` of `enter`"),
        (lambda spec, g: spec.enabled("enter", True), r"`enter` is taken with \(Guest\)"),
    ],
)
def test_mistakes_are_named(wrong, said):
    spec = theatre()
    with pytest.raises(SpecError, match=rf"test_enabled.py:\d+: .*{said}"):
        spec.invariant("theatre.wrong")(lambda: forall(Guest, lambda g: wrong(spec, g)))


def test_only_properties_can_say_it():
    spec = theatre()
    with pytest.raises(SpecError, match="says that `take` is enabled, which only properties can"):

        @spec.action
        def wait(s: Seat) -> None:
            "For a seat."
            require("free", spec.enabled("take", s))

    def two() -> Bool:
        return forall(Guest, lambda g: spec.enabled("pair", g))

    @spec.action(place=function(Guest, to=Seat))
    def pair(g: Guest, place: Function[Seat]) -> None:
        "Two places are compared."
        require("in-order", forall(Guest, lambda x: place(g) <= place(x)))

    @spec.action(number=function(Guest, to=Int))
    def count(g: Guest, number: Function[Int]) -> None:
        "There is no end of numbers."
        require("more", forall(Guest, lambda x: number(x) > 0))

    with pytest.raises(SpecError, match="whether `count` is enabled is no formula: `number` is any of all integers"):
        spec.invariant("theatre.counts")(lambda: forall(Guest, lambda g: spec.enabled("count", g)))
    with pytest.raises(
        SpecError, match="whether `pair` is enabled is no formula: a clause reads `place` at several points"
    ):
        spec.invariant("theatre.two")(two)


def test_a_function_may_be_read_at_the_elements_too() -> None:
    """At points that may be the same, beside what holds of each point."""
    spec = Spec("pairs", "Two guests are shown to seats.")
    open_ = spec.const("open", Seat, doc="may be taken")
    inside = spec.var("inside", Guest, init=lambda g: False)

    @spec.action(place=function(Guest, to=Seat), first=function(Guest))
    def pair(g: Guest, h: Guest, place: Function[Seat], first: Function[Bool]) -> None:
        "To seats in order, one of them first."
        require("open", forall(Guest, lambda x: open_(place(x)) | inside(x)))
        require("in-order", place(g) < place(h))
        require("one", first(g) & ~first(h))
        inside[g] = True

    spec.invariant("pairs.can")(lambda: exists(Guest, Guest, lambda g, h: spec.enabled("pair", g, h)))
    seen = set()
    for table in ([1, 1], [0, 1], [1, 0]):
        instance = Instance(spec, {Seat: 2, Guest: 2}, {"open": table})
        for bits in range(4):
            state = instance.freeze([bits & 1, bits >> 1])
            can = any(instance.enabled(state, step) for step in instance.ground()[0])
            assert _holds(spec, "pairs.can", instance, state) == can
            seen.add(can)
    assert seen == {True, False}
