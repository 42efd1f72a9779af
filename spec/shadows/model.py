"""Shadows: what they are made of, and every step that can be taken. The package's docstring tells the story."""

from __future__ import annotations

from typing import Final

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
    implies,
    ite,
    require,
)

shadows: Final = Spec("shadows", "Shadows: blind writes that need not act, because a later blind write covers them.")


class Call(OrderedSort):
    """one use of a tool; the order is the serial order"""


class Object(Sort):
    """a piece of shared state"""


origin = shadows.const("origin", to=Call, doc="the write that made the initial state")
reads = shadows.const("reads", Call, Object, doc="the call reads the object")
writes = shadows.const("writes", Call, Object, doc="the call changes the object; blindly, if it does not read it")

issued = shadows.var("issued", Call, init=lambda c: c == origin(), doc="was accepted")
live = shadows.var("live", Call, init=lambda c: c == origin(), doc="its effect is in place")
pending = shadows.var("pending", Call, init=lambda c: False, doc="undone, to be re-applied, shadowed or withdrawn")
shadowed = shadows.var("shadowed", Call, init=lambda c: False, doc="in the trajectory, its effect not in place")
withdrawn = shadows.var("withdrawn", Call, init=lambda c: False, doc="out of the trajectory for good")
cover = shadows.var("cover", Call, Object, to=Call, init=lambda c, o: origin(), doc="the write that hides a shadow")

top = shadows.var("top", Object, to=Call, init=lambda o: origin(), doc="the write whose value the object holds")
base = shadows.var("base", Call, Object, to=Call, init=lambda c, o: origin(), doc="the write that the call replaced")
sighted = shadows.var("sighted", Call, init=lambda c: False, doc="its author may reason from what it saw")
source = shadows.var("source", Call, Object, to=Call, init=lambda c, o: origin(), doc="the live write below the call")

at = shadows.var("at", to=Call, init=lambda: origin(), doc="the call whose repair is open, or the origin")
outward = shadows.var("outward", init=lambda: False, doc="the repair takes its call out instead of putting it in")
landed = shadows.var("landed", init=lambda: False, doc="the call of the repair is in, or out")
member = shadows.var("member", Call, init=lambda m: False, doc="the open repair undoes it")


# -- vocabulary ----------------------------------------------------------------------------------------------------


def idle() -> Bool:
    """No repair is open."""
    return at() == origin()


def live_write(w: Call, o: Object) -> Bool:
    """w wrote o, and its effect is in place."""
    return live(w) & writes(w, o)


def ordered(w: Call, o: Object) -> Bool:
    """w is in T(o), in place or shadowed."""
    return (live(w) | shadowed(w)) & writes(w, o)


def feeds(x: Call, y: Call, o: Object) -> Bool:
    """y reads or writes o, which x writes."""
    return writes(x, o) & (reads(y, o) | writes(y, o))


def conflict(x: Call, y: Call, o: Object) -> Bool:
    """One of the two writes o, and the other reads or writes it."""
    return feeds(x, y, o) | (reads(x, o) & writes(y, o))


def bare(s: Call, o: Object) -> Bool:
    """What covered s on o is gone for good."""
    return shadowed(s) & writes(s, o) & withdrawn(cover(s, o))


def covers(w: Call, s: Call, o: Object) -> Bool:
    """w, in place or to be re-applied, hides what s would leave on o: a blind write above it, and no reader between."""
    return conj(
        live(w) | pending(w),
        writes(w, o) & ~reads(w, o) & (s < w),
        forall(Call, lambda p: implies(sighted(p) & reads(p, o) & (s < p), w < p)),
    )


def blind(c: Call) -> Bool:
    """c reads nothing, and writes something."""
    return forall(Object, lambda o: ~reads(c, o)) & exists(Object, lambda o: writes(c, o))


def nothing_hidden_below(c: Call) -> None:
    """What lies below a new reader of an object is in place there."""
    require(
        "unshadowed",
        forall(
            Call,
            Object,
            lambda s, o: implies(reads(c, o) & shadowed(s) & writes(s, o) & (s < c), cover(s, o) < c),
        ),
    )


def begin(c: Call, members: Function[Bool]) -> None:
    """What opens the repair of c: a closed set of later calls to undo."""
    require("members-live-above", forall(Call, lambda m: implies(members(m), live(m) & (c < m))))
    require(
        "closed",
        forall(
            Call,
            Call,
            Object,
            lambda m, w, o: implies(members(m) & live(w) & (m < w) & conflict(m, w, o), members(w)),
        ),
    )
    at.becomes(c)
    member.becomes(lambda m: members(m))


def seeds(c: Call, members: Function[Bool]) -> None:
    """Every later call that conflicts with c is undone for it."""
    require("seeds", forall(Call, Object, lambda w, o: implies(live(w) & (c < w) & conflict(c, w, o), members(w))))


# -- reads and late writes -----------------------------------------------------------------------------------------


@shadows.action(below=function(Object, to=Call))
def read(c: Call, below: Function[Call]) -> None:
    "A filtered read: of each object the greatest write below the call, which must be in place."
    require("new", ~issued(c))
    require("idle", idle())
    require("writes-nothing", forall(Object, lambda o: ~writes(c, o)))
    require("is-below", forall(Object, lambda o: implies(reads(c, o), live_write(below(o), o) & (below(o) < c))))
    require(
        "is-greatest",
        forall(Call, Object, lambda w, o: implies(reads(c, o) & live_write(w, o) & (w < c), w <= below(o))),
    )
    nothing_hidden_below(c)
    issued[c] = True
    sighted[c] = True
    source.becomes(lambda p, o: ite((p == c) & reads(c, o), below(o), source(p, o)))


@shadows.action(by=function(Object, to=Call))
def shadow(c: Call, by: Function[Call]) -> None:
    "A late blind write that is covered on every object: it enters the trajectory, and nothing is done."
    require("new", ~issued(c))
    require("idle", idle())
    require("blind", blind(c))
    require("covered", forall(Object, lambda o: implies(writes(c, o), covers(by(o), c, o))))
    issued[c] = True
    shadowed[c] = True
    cover.becomes(lambda s, o: ite((s == c) & writes(c, o), by(o), cover(s, o)))


@shadows.action(members=function(Call))
def call(c: Call, members: Function[Bool]) -> None:
    "A write is accepted that is to act."
    require("new", ~issued(c))
    require("idle", idle())
    nothing_hidden_below(c)
    seeds(c, members)
    begin(c, members)
    issued[c] = True


@shadows.action(members=function(Call))
def retract(c: Call, members: Function[Bool]) -> None:
    "A live call is to be taken out."
    require("live", live(c) & (c != origin()))
    require("idle", idle())
    require("seeds", forall(Call, Object, lambda w, o: implies(live(w) & (c < w) & feeds(c, w, o), members(w))))
    begin(c, members)
    outward.becomes(True)


@shadows.action
def drop(s: Call) -> None:
    "A shadow is taken out: nobody has seen it, and nothing is in place."
    require("shadowed", shadowed(s))
    require("idle", idle())
    shadowed[s] = False
    withdrawn[s] = True


@shadows.action(members=function(Call))
def surface(s: Call, members: Function[Bool]) -> None:
    "A shadow is to act at its place: its cover is gone, or somebody wants to read what it left."
    require("shadowed", shadowed(s))
    require("between-repairs", idle() | landed())
    require("none-pending", forall(Call, lambda m: ~pending(m)))
    seeds(s, members)
    begin(s, members)
    shadowed[s] = False
    landed.becomes(False)
    outward.becomes(False)


# -- repairs -------------------------------------------------------------------------------------------------------


def pull(w: Call) -> None:
    """The inverse of w ran: each of its objects holds again what w had replaced, whatever was shadowed since."""
    live[w] = False
    top.becomes(lambda o: ite(writes(w, o), base(w, o), top(o)))
    source.becomes(lambda p, o: ite(writes(w, o) & (source(p, o) == w), base(w, o), source(p, o)))


def push(c: Call) -> None:
    """c takes effect on top of every object it writes, and becomes the source of the reads above it."""
    live[c] = True
    top.becomes(lambda o: ite(writes(c, o), c, top(o)))
    base.becomes(lambda w, o: ite((w == c) & writes(c, o), top(o), base(w, o)))
    source.becomes(
        lambda p, o: ite(
            (p == c) & reads(c, o),
            top(o),
            ite(sighted(p) & writes(c, o) & (source(p, o) < c) & (c < p), c, source(p, o)),
        )
    )


@shadows.action
def undone(w: Call) -> None:
    "The inverse of a member ran."
    require("before-landing", ~landed())
    require("live-member", member(w) & live(w))
    require("top-only", forall(Object, lambda o: implies(writes(w, o), top(o) == w)))
    pull(w)
    pending[w] = True


@shadows.action
def applied(c: Call) -> None:
    "The call of the repair acts, on the state that its place in the order implies."
    require("its-turn", (at() == c) & ~idle() & ~landed() & ~outward())
    require("all-undone", forall(Call, lambda m: implies(member(m), ~live(m))))
    push(c)
    sighted[c] = True
    landed.becomes(True)


@shadows.action
def taken(c: Call) -> None:
    "The call that the repair takes out is out; what it covered is bare."
    require("its-turn", (at() == c) & ~landed() & outward())
    require("all-undone", forall(Call, lambda m: implies(member(m), ~live(m))))
    pull(c)
    withdrawn[c] = True
    sighted[c] = False
    landed.becomes(True)


@shadows.action
def redone(w: Call) -> None:
    "An undone call is re-applied."
    require("after-landing", landed())
    require("pending", pending(w))
    require("ascending", forall(Call, lambda m: implies(pending(m), w <= m)))
    push(w)
    pending[w] = False


@shadows.action(by=function(Object, to=Call))
def skipped(w: Call, by: Function[Call]) -> None:
    "An undone blind write that is covered is not re-applied; or a shadow gets other covers, which cover what it did."
    require("after-landing", landed())
    require("pending-or-shadowed", pending(w) | shadowed(w))
    require("blind", blind(w))
    require("covered", forall(Object, lambda o: implies(writes(w, o), covers(by(o), w, o))))
    pending[w] = False
    sighted[w] = False
    shadowed[w] = True
    cover.becomes(lambda s, o: ite(writes(w, o) & ((s == w) | (cover(s, o) == w)), by(o), cover(s, o)))


@shadows.action
def stranded(w: Call) -> None:
    "An undone call is withdrawn: it could not be re-applied, or the policy is to cancel. What it covered is bare."
    require("after-landing", landed())
    require("pending", pending(w))
    pending[w] = False
    withdrawn[w] = True
    sighted[w] = False


@shadows.action
def settle() -> None:
    "The repair is complete: nothing is to be re-applied, and no shadow is without its cover."
    require("landed", landed())
    require("none-pending", forall(Call, lambda m: ~pending(m)))
    require("none-bare", forall(Call, Object, lambda s, o: ~bare(s, o)))
    at.becomes(origin())
    landed.becomes(False)
    outward.becomes(False)
    member.becomes(lambda m: False)


# -- assumptions ---------------------------------------------------------------------------------------------------


@shadows.assume("shadows.origin-first")
def origin_first() -> Bool:
    "The origin is the least call; it writes every object and reads none."
    return conj(
        forall(Call, lambda c: origin() <= c),
        forall(Object, lambda o: writes(origin(), o) & ~reads(origin(), o)),
    )
