"""Shadows: what holds in every reachable state, the lemmas that make it inductive, and what must be possible."""

from __future__ import annotations

from mtpo.spec.language import Bool, conj, disj, exists, forall, implies
from mtpo.spec.shadows.model import (
    Call,
    Object,
    at,
    bare,
    base,
    blind,
    conflict,
    cover,
    feeds,
    idle,
    issued,
    landed,
    live,
    live_write,
    member,
    ordered,
    origin,
    outward,
    pending,
    reads,
    shadowed,
    shadows,
    sighted,
    source,
    top,
    withdrawn,
    writes,
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


def to_land(c: Call) -> Bool:
    """c is to be put in by the open repair."""
    return ~idle() & (at() == c) & ~landed() & ~outward()


@shadows.invariant("shadows.no-lost-call")
def no_lost_call() -> Bool:
    "An accepted call is to land, live, pending, shadowed or withdrawn, one of these only, or else a read."
    return forall(
        Call,
        lambda c: conj(
            implies(
                issued(c),
                disj(
                    to_land(c),
                    live(c),
                    pending(c),
                    shadowed(c),
                    withdrawn(c),
                    sighted(c) & forall(Object, lambda o: ~writes(c, o)),
                ),
            ),
            implies(to_land(c) | live(c) | pending(c) | shadowed(c) | withdrawn(c) | sighted(c), issued(c)),
            ~(to_land(c) & (live(c) | pending(c) | shadowed(c) | withdrawn(c))),
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


@shadows.lemma("shadows.covers-above")
def covers_above() -> Bool:
    "What has or had a cover on an object writes it, and lies below the cover."
    return forall(Call, Object, lambda s, o: implies(cover(s, o) != origin(), writes(s, o) & (s < cover(s, o))))


# -- what must be possible, and what ends --------------------------------------------------------------------------


@shadows.variant(
    "shadows.repair-ends",
    Call,
    decreases=("undone", "applied", "taken", "redone", "stranded", "settle"),
    raised_by=("call", "retract", "surface"),
)
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
