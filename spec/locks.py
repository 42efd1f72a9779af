"""Locks: who waits for what a repair has locked is not overtaken for ever.

A repair takes all its locks at once, or waits with none (F24). A call that needs several objects can then be starved:
there is always some repair that has one of them. So calls wait in line, in the order of calls: who waits has *reserved*
what its repair will lock, and no later call begins a repair that locks any of that. What is reserved is what the call
touches, and whatever is touched by a later call that shares an object with that, and so on (the closure of F1, taken
over footprints). It neither grows nor moves while the call waits, whatever the others do (``locks.need-stays``): so
the repairs of later calls that are in its way when it asks are all that ever will be.

A call is a write or a retraction; it may leave the line: its author was notified, and the call bounces, or was aborted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from mtpo.spec.language import (
    Bool,
    Function,
    OrderedSort,
    Sort,
    Spec,
    conj,
    exists,
    forall,
    function,
    iff,
    implies,
    ite,
    require,
)

locks: Final = Spec("locks", "Locks: who waits for what a repair has locked is not overtaken for ever.")


class Call(OrderedSort):
    """one use of a tool that writes, or its retraction; the order is the serial order"""


class Object(Sort):
    """a piece of shared state"""


touches = locks.const("touches", Call, Object, doc="the object is in the call's footprint")

placed = locks.var("placed", Call, init=lambda c: False, doc="in the trajectory: live, undone, or under way")
waits = locks.var("waits", Call, init=lambda c: False, doc="it is in line")
reserved = locks.var("reserved", Call, Object, init=lambda c, o: False, doc="what it reserved when it asked last")
opened = locks.var("opened", Call, init=lambda c: False, doc="its repair is open")
holds = locks.var("holds", Call, Object, init=lambda c, o: False, doc="its repair locks the object")


def in_the_way(d: Call, c: Call) -> Bool:
    """The open repair of d has something that c waits for."""
    return exists(Object, lambda o: holds(d, o) & reserved(c, o))


def before(d: Call, c: Call) -> Bool:
    """d waits too, for something that c waits for, and comes first."""
    return waits(d) & (d < c) & exists(Object, lambda o: reserved(d, o) & reserved(c, o))


Guard: TypeAlias = tuple[tuple[str, Bool], ...]
"""Clauses with their names."""


def to_begin(c: Call, taken: Callable[[Object], Bool]) -> Guard:
    """What the repair of c waits for, if it is to lock what is taken."""
    return (
        ("asked", waits(c)),
        ("own", forall(Object, lambda o: implies(touches(c, o), taken(o)))),
        ("within", forall(Object, lambda o: implies(taken(o), reserved(c, o)))),
        ("free", forall(Call, Object, lambda d, o: implies(taken(o), ~holds(d, o)))),
        ("in-line", forall(Call, Object, lambda d, o: implies(waits(d) & (d < c) & reserved(d, o), ~taken(o)))),
    )


# -- steps ---------------------------------------------------------------------------------------------------------


@locks.action(need=function(Object))
def ask(c: Call, need: Function[Bool]) -> None:
    "A call gets in line, and reserves what its repair may have to lock."
    require("not-under-way", ~waits(c) & ~opened(c))
    require("own", forall(Object, lambda o: implies(touches(c, o), need(o))))
    require(
        "closed",
        forall(
            Call,
            Object,
            Object,
            lambda m, o, p: implies(placed(m) & (c < m) & touches(m, o) & need(o) & touches(m, p), need(p)),
        ),
    )
    waits[c] = True
    reserved.becomes(lambda d, o: ite(d == c, need(o), reserved(d, o)))


@locks.action(taken=function(Object))
def begin(c: Call, taken: Function[Bool]) -> None:
    "Its repair opens: of what it reserved it locks what it needs by now, all at once."
    for name, formula in to_begin(c, taken):
        require(name, formula)
    waits[c] = False
    placed[c] = True
    opened[c] = True
    holds.becomes(lambda d, o: ite(d == c, taken(o), holds(d, o)))


@locks.action
def settle(c: Call) -> None:
    "The repair ends."
    require("open", opened(c))
    opened[c] = False
    holds.becomes(lambda d, o: holds(d, o) & (d != c))


@locks.action
def leave(c: Call) -> None:
    "A call is withdrawn from the trajectory."
    require("placed", placed(c))
    require("not-open", ~opened(c))
    placed[c] = False


@locks.action
def give_up(c: Call) -> None:
    "A call leaves the line: its author was notified or aborted."
    require("in-line", waits(c))
    waits[c] = False


# -- properties ----------------------------------------------------------------------------------------------------


@locks.invariant("locks.exclusive")
def exclusive() -> Bool:
    "An open repair has what its call touches to itself, and nobody has anything without one."
    return conj(
        forall(Call, Call, Object, lambda c, d, o: implies(holds(c, o) & holds(d, o), c == d)),
        forall(Call, Object, lambda c, o: implies(holds(c, o), opened(c))),
        forall(Call, Object, lambda c, o: implies(opened(c) & touches(c, o), holds(c, o))),
    )


@locks.invariant("locks.one-stage")
def one_stage() -> Bool:
    "A call waits or its repair is open, not both; what is open is in the trajectory."
    return forall(Call, lambda c: ~(waits(c) & opened(c)) & implies(opened(c), placed(c)))


@locks.invariant("locks.need-stays")
def need_stays() -> Bool:
    "While a call waits all that it may have to undo touches nothing but what it reserved."
    return conj(
        forall(Call, Object, lambda c, o: implies(waits(c) & touches(c, o), reserved(c, o))),
        forall(
            Call,
            Call,
            Object,
            Object,
            lambda c, m, o, p: implies(
                waits(c) & placed(m) & (c < m) & touches(m, o) & reserved(c, o) & touches(m, p), reserved(c, p)
            ),
        ),
    )


@locks.invariant("locks.gets-its-turn")
def gets_its_turn() -> Bool:
    "A waiting call can begin once no open repair and no earlier waiting call has what it reserved."
    return forall(
        Call,
        lambda c: implies(
            waits(c) & forall(Call, lambda d: ~in_the_way(d, c) & ~before(d, c)),
            conj(*(formula for _, formula in to_begin(c, lambda o: reserved(c, o)))),
        ),
    )


@locks.step_property("locks.no-bypass")
def no_bypass() -> Bool:
    "The repairs of later calls that are in the way of a waiting call only become fewer."
    return forall(
        Call,
        Call,
        Object,
        lambda c, d, o: implies(waits(c) & waits.next(c) & (c < d) & reserved(c, o) & holds.next(d, o), holds(d, o)),
    )


@locks.step_property("locks.keeps-its-place")
def keeps_its_place() -> Bool:
    "What a waiting call has reserved stays as it was when it asked."
    return forall(
        Call, Object, lambda c, o: implies(waits(c) & waits.next(c), iff(reserved(c, o), reserved.next(c, o)))
    )


@locks.step_property("locks.all-at-once")
def all_at_once() -> Bool:
    "A repair takes its locks when it opens, of what its call waited for, and keeps them until it ends."
    return conj(
        forall(
            Call,
            Object,
            lambda c, o: implies(holds.next(c, o) & ~holds(c, o), ~opened(c) & waits(c) & reserved(c, o)),
        ),
        forall(Call, lambda c: implies(opened.next(c) & ~opened(c), waits(c))),
        forall(Call, Object, lambda c, o: implies(opened(c) & opened.next(c) & holds(c, o), holds.next(c, o))),
    )


@locks.reachable("locks.reach-held-up")
def reach_held_up() -> Bool:
    "The repair of a later call is in the way of one that waits."
    return exists(Call, Call, lambda c, d: waits(c) & (c < d) & in_the_way(d, c))


@locks.reachable("locks.reach-behind")
def reach_behind() -> Bool:
    "A later call waits behind an earlier one."
    return exists(Call, Call, lambda c, d: waits(d) & before(c, d))


@locks.reachable("locks.reach-beside")
def reach_beside() -> Bool:
    "The repair of a later call is open beside one that waits, and not in its way."
    return exists(
        Call,
        Call,
        lambda c, d: waits(c) & (c < d) & ~in_the_way(d, c) & exists(Object, lambda o: holds(d, o)),
    )


@locks.variant("locks.line-moves", Call, decreases=("begin", "give_up", "settle"), raised_by=("ask",))
def line_moves(x: Call) -> tuple[Bool, ...]:
    "Without new calls everyone in line begins or gives up, and every repair ends."
    return waits(x), opened(x)


@locks.variant("locks.leaves", Call, decreases=("leave",), raised_by=("begin",))
def leaves(x: Call) -> tuple[Bool, ...]:
    "A call leaves the trajectory once."
    return (placed(x),)
