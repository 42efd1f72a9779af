"""Shadows: blind writes that need not act, because a later blind write covers them.

A write is *blind* on an object if it does not read it (CoAgent, "replay"): what it leaves does not depend on what it
replaces. A late blind write below a live blind write on the same object, with no reader between, would be overwritten
before anybody could see it: it is *shadowed*, in the trajectory, its effect not in place. So is an undone blind write
that is not re-applied. A call on several objects acts on all of them or on none, so each of them must be covered.

The papers say no more than that a covered write "needs no replay". What is undone gets back what it had replaced, and
that was captured when the shadow's effect was not there. So when a cover goes for good, the object holds what lies
below the shadow, not what the order implies (F28). Here the shadow *surfaces*: it acts at its place, as a late call
would, with a repair of its own; the repair in which its cover was lost does not end before. So it does for whoever
wants to read between the shadow and its cover: nothing that was kept has that value.

One repair at a time; who is told what is as in ``mtpo``. Shadowed are only calls that read nothing and can't fail.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.language import (
    Bool,
    Function,
    OrderedSort,
    Sort,
    Spec,
    conj,
    disj,
    exists,
    forall,
    function,
    implies,
    ite,
    require,
)

shadows: Final = Spec("shadows", __doc__)


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
    cover.becomes(
        lambda s, o: ite(
            writes(w, o) & ((s == w) | (shadowed(s) & writes(s, o) & (cover(s, o) == w))), by(o), cover(s, o)
        )
    )


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


# -- properties ----------------------------------------------------------------------------------------------------


@shadows.invariant("shadows.live-materialized")
def live_materialized() -> Bool:
    "Every object holds the value of its greatest live write, and every write was applied on its predecessor."
    return conj(
        forall(Object, lambda o: live_write(top(o), o)),
        forall(Call, Object, lambda w, o: implies(live_write(w, o), w <= top(o))),
        forall(
            Call,
            Object,
            lambda w, o: implies(live_write(w, o) & (w != origin()), live_write(base(w, o), o) & (base(w, o) < w)),
        ),
        forall(
            Call,
            Call,
            Object,
            lambda w, x, o: implies(live_write(w, o) & live_write(x, o) & (x < w), x <= base(w, o)),
        ),
    )


@shadows.invariant("shadows.as-ordered")
def as_ordered() -> Bool:
    "Between repairs an object holds the greatest write of its trajectory, shadows included: what the order implies."
    return implies(idle(), forall(Call, Object, lambda w, o: implies(ordered(w, o), w <= top(o))))


@shadows.invariant("shadows.reads-as-ordered")
def reads_as_ordered() -> Bool:
    "Between repairs what an author reasons from is the greatest write below its call, shadows included."
    return implies(
        idle(),
        forall(
            Call,
            Call,
            Object,
            lambda p, w, o: implies(
                sighted(p) & reads(p, o),
                live_write(source(p, o), o) & (source(p, o) < p) & implies(ordered(w, o) & (w < p), w <= source(p, o)),
            ),
        ),
    )


@shadows.invariant("shadows.covered")
def covered() -> Bool:
    "A shadow is covered on every object, with no reader between, by a blind write; it may be bare in a repair only."
    return forall(
        Call,
        Object,
        lambda s, o: implies(
            shadowed(s) & writes(s, o),
            conj(
                s < cover(s, o),
                writes(cover(s, o), o) & ~reads(cover(s, o), o),
                live(cover(s, o)) | pending(cover(s, o)) | (withdrawn(cover(s, o)) & ~idle()),
                forall(Call, lambda p: implies(sighted(p) & reads(p, o) & (s < p), cover(s, o) < p)),
            ),
        ),
    )


@shadows.invariant("shadows.unseen")
def unseen() -> Bool:
    "A shadow reads nothing and writes something, and nobody goes by it; nor is a withdrawn call a premise."
    return conj(
        forall(Call, lambda s: implies(shadowed(s), ~sighted(s) & blind(s))),
        forall(Call, lambda c: implies(withdrawn(c), ~sighted(c))),
        forall(
            Call,
            Call,
            Object,
            lambda p, s, o: implies(sighted(p) & ~pending(p) & reads(p, o) & shadowed(s), source(p, o) != s),
        ),
    )


@shadows.invariant("shadows.no-lost-call")
def no_lost_call() -> Bool:
    "An accepted call is a read, under way, live, pending, shadowed, or withdrawn: exactly one."
    return forall(
        Call,
        lambda c: conj(
            implies(
                issued(c),
                disj(
                    live(c),
                    pending(c),
                    shadowed(c),
                    withdrawn(c),
                    (at() == c) & ~landed(),
                    sighted(c) & forall(Object, lambda o: ~writes(c, o)),
                ),
            ),
            implies(live(c) | pending(c) | shadowed(c) | withdrawn(c) | sighted(c), issued(c)),
            ~(live(c) & (pending(c) | shadowed(c) | withdrawn(c))),
            ~(pending(c) & (shadowed(c) | withdrawn(c))),
            ~(shadowed(c) & withdrawn(c)),
        ),
    )


@shadows.invariant("shadows.undo-enabled")
def undo_enabled() -> Bool:
    "Whatever lies on top of a live member is a member: the greatest live member can always be undone."
    return forall(
        Call,
        Object,
        lambda m, o: implies(
            member(m) & ~landed() & live_write(m, o) & (top(o) != m), member(top(o)) & live(top(o)) & (m < top(o))
        ),
    )


@shadows.step_property("shadows.in-place")
def in_place() -> Bool:
    "A call takes effect above every live write of a smaller call and below none of a greater one."
    return forall(
        Call,
        Call,
        Object,
        lambda w, x, o: implies(~live(w) & live.next(w) & (writes(w, o) | reads(w, o)) & live_write(x, o), x < w),
    )


@shadows.step_property("shadows.top-only-undo")
def top_only_undo() -> Bool:
    "A write is undone only when it is on top of every object it wrote, and leaves there what it had replaced."
    return forall(
        Call,
        Object,
        lambda w, o: implies(live(w) & ~live.next(w) & writes(w, o), (top(o) == w) & (top.next(o) == base(w, o))),
    )


@shadows.step_property("shadows.hidden-costs-nothing")
def hidden_costs_nothing() -> Bool:
    "To become a shadow, or to be dropped as one, changes no object and nobody's source."
    return implies(
        exists(Call, lambda s: (shadowed.next(s) & ~shadowed(s)) | (shadowed(s) & withdrawn.next(s))),
        forall(Object, lambda o: top.next(o) == top(o))
        & forall(Call, Object, lambda p, o: source.next(p, o) == source(p, o)),
    )


@shadows.step_property("shadows.repair-atomic")
def repair_atomic() -> Bool:
    "While a repair is open no call is accepted, nobody reads but its call, and no shadow is dropped."
    return implies(
        ~idle(),
        forall(
            Call,
            lambda c: conj(
                implies(issued.next(c), issued(c)),
                implies(sighted.next(c) & ~sighted(c), c == at()),
                implies(shadowed(c), ~withdrawn.next(c)),
            ),
        ),
    )


@shadows.step_property("shadows.for-good")
def for_good() -> Bool:
    "What was accepted and what was withdrawn stay so; a retracted call is out when its repair ends."
    return conj(
        forall(Call, lambda c: implies(issued(c), issued.next(c)) & implies(withdrawn(c), withdrawn.next(c))),
        implies(~idle() & outward() & landed.next() & ~landed(), withdrawn.next(at())),
    )


# -- lemmas --------------------------------------------------------------------------------------------------------


@shadows.lemma("shadows.sources")
def sources() -> Bool:
    "The source of what an author reasons from is the greatest live write below its call."
    return forall(
        Call,
        Object,
        lambda p, o: implies(
            sighted(p) & ~pending(p) & reads(p, o),
            live_write(source(p, o), o)
            & (source(p, o) < p)
            & forall(Call, lambda w: implies(live_write(w, o) & (w < p), w <= source(p, o))),
        ),
    )


@shadows.lemma("shadows.repair")
def repair() -> Bool:
    "A repair has one call, not yet in place or, to be taken out, still there; its members lie above it."
    return conj(
        live(origin()) & issued(origin()) & ~sighted(origin()) & ~shadowed(origin()) & ~withdrawn(origin()),
        implies(idle(), ~landed() & ~outward() & forall(Call, lambda m: ~member(m))),
        implies(~idle(), issued(at()) & ~pending(at())),
        implies(~idle() & ~landed(), ~shadowed(at()) & ~withdrawn(at())),
        implies(~idle() & ~landed() & ~outward(), ~live(at()) & ~sighted(at())),
        implies(outward() & ~landed(), live(at())),
        forall(Call, lambda m: implies(pending(m), member(m))),
        forall(
            Call,
            lambda m: implies(member(m), (at() < m) & (live(m) | pending(m) | withdrawn(m) | (shadowed(m) & landed()))),
        ),
        forall(Call, lambda m: implies(member(m) & ~landed(), live(m) | pending(m))),
        forall(Call, Call, lambda m, w: implies(landed() & member(m) & live(m) & pending(w), m < w)),
        forall(Call, lambda c: implies((live(c) | pending(c)) & (c != origin()), sighted(c))),
    )


@shadows.lemma("shadows.closed")
def closed() -> Bool:
    "The set of an open repair stays closed and contains every live call above that conflicts with its call."
    return conj(
        forall(
            Call,
            Object,
            lambda w, o: implies(
                ~idle() & ~landed() & live(w) & (at() < w) & (feeds(at(), w, o) | (~outward() & conflict(at(), w, o))),
                member(w),
            ),
        ),
        forall(
            Call,
            Call,
            Object,
            lambda m, w, o: implies(
                (pending(m) | (member(m) & ~landed())) & live(w) & (m < w) & conflict(m, w, o), member(w)
            ),
        ),
    )


@shadows.lemma("shadows.hidden-below")
def hidden_below() -> Bool:
    "No shadow lies between the call of a repair, which reads, and what it reads."
    return forall(
        Call,
        Object,
        lambda s, o: implies(
            ~idle() & ~landed() & reads(at(), o) & shadowed(s) & writes(s, o) & (s < at()), cover(s, o) < at()
        ),
    )


# -- what must be possible, and what ends --------------------------------------------------------------------------


@shadows.variant("shadows.repair-ends", Call, decreases=("undone", "applied", "taken", "redone", "stranded", "settle"))
def repair_ends(x: Call) -> tuple[Bool, ...]:
    "A repair ends: its members are undone, its call lands, the undone ones are resolved, each once."
    return (
        ~idle() & ~landed(),
        live(x) & member(x) & ~landed(),
        pending(x),
        ~idle() & (at() == x),
    )


@shadows.variant("shadows.withdrawals-end", Call, decreases=("drop", "taken", "stranded"))
def withdrawals_end(x: Call) -> tuple[Bool, ...]:
    "A cover is lost no more often than calls are withdrawn, each once."
    return (~withdrawn(x),)


@shadows.reachable("shadows.reach-two-covers")
def reach_two_covers() -> Bool:
    "A write on two objects is a shadow, covered by two calls."
    return idle() & exists(
        Call,
        Object,
        Object,
        lambda s, o, q: shadowed(s) & writes(s, o) & writes(s, q) & (cover(s, o) != cover(s, q)),
    )


@shadows.reachable("shadows.reach-half-bare")
def reach_half_bare() -> Bool:
    "A shadow has lost its cover on one object and not on the other."
    return exists(
        Call,
        Object,
        Object,
        lambda s, o, q: bare(s, o) & writes(s, q) & ~bare(s, q),
    )


@shadows.reachable("shadows.reach-surfaced")
def reach_surfaced() -> Bool:
    "A shadow has surfaced after its cover was withdrawn, and a cover on another object is to be re-applied."
    return (
        ~idle()
        & landed()
        & exists(
            Call,
            Object,
            lambda w, o: withdrawn(cover(at(), o)) & writes(at(), o) & pending(w) & (at() < w),
        )
    )


@shadows.reachable("shadows.reach-skipped")
def reach_skipped() -> Bool:
    "An undone call was not re-applied but shadowed."
    return exists(Call, lambda m: member(m) & shadowed(m))
