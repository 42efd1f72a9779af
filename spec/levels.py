"""Levels: three ways to serve a read, which give the same value.

A read gets the value at its position (SCCP 3, "wr"): from a version that was kept; or from the cached result of an
analytical read that was made for another position; or, where neither is there, by undoing what lies above, reading the
live state, and redoing what was undone.

Versions may be dropped at any time: to keep them is an option. A cached result carries the writes that it was made of;
it serves whoever has these same writes as the greatest below its position, whatever came above. So it is dropped for
nobody: whether it is good is a question of position, asked when it is served.

A read that undoes has the object to itself until all is redone. Who looks at the live state in between would find its
past (``levels.every-way``); versions and cached results serve on. What was undone is redone: nothing below it has
changed (``levels.leaves-no-trace``), so to withdraw it, as late writes do under *cancel*, would be a loss (F26).

One object is modelled. That a result is of many, and an undo takes back calls on many, is the same for each of them.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.language import Bool, OrderedSort, Sort, Spec, conj, exists, forall, iff, implies, ite, require

levels: Final = Spec("levels", __doc__)


class Position(OrderedSort):
    """a place in the serial order: that of a write, or of a reader"""


class Query(Sort):
    """an analytical read that several readers make"""


first = levels.const("first", to=Position, doc="the write that made the initial value")

done = levels.var("done", Position, init=lambda w: w == first(), doc="a write at that position was accepted")
live = levels.var("live", Position, init=lambda w: w == first(), doc="its effect is in place")
top = levels.var("top", to=Position, init=lambda: first(), doc="the write whose value the object holds")
kept = levels.var("kept", Position, init=lambda w: w == first(), doc="the version that the write left can be read")
under = levels.var("under", to=Position, init=lambda: first(), doc="the position of the reader that undoes")
undoing = levels.var("undoing", init=lambda: False, doc="a reader has the object to itself, to look beneath")
cached = levels.var("cached", Query, init=lambda q: False, doc="a result of the query is there")
made = levels.var("made", Query, to=Position, init=lambda q: first(), doc="the write whose value the result is of")
served = levels.var("served", Position, init=lambda r: False, doc="the reader has its value")
got = levels.var("got", Position, to=Position, init=lambda r: first(), doc="the write whose value it got, now below it")


def below(w: Position, r: Position) -> Bool:
    """w is the greatest write below the position r."""
    return done(w) & (w < r) & forall(Position, lambda x: implies(done(x) & (x < r), x <= w))


def reader(r: Position) -> None:
    """The clauses of whoever reads."""
    require("new", ~served(r) & ~done(r))


def serve(r: Position, w: Position) -> None:
    """r has the value of w."""
    served[r] = True
    got[r] = w


@levels.action
def write(w: Position) -> None:
    "A write takes effect, late or not; readers above it whose value it changes are told (here at once: spec mtpo)."
    require("new", ~done(w) & ~served(w))
    require("unlocked", ~undoing())
    done[w] = True
    live[w] = True
    kept[w] = True
    top.becomes(ite(top() < w, w, top()))
    got.becomes(lambda r: ite((got(r) < w) & (w < r), w, got(r)))


@levels.action
def drop(w: Position) -> None:
    "A version is kept no longer."
    require("kept", kept(w))
    kept[w] = False


@levels.action
def read_kept(r: Position, w: Position) -> None:
    "Level 1: the version at the position was kept."
    reader(r)
    require("greatest", below(w, r))
    require("kept", kept(w))
    serve(r, w)


@levels.action
def read_cached(r: Position, q: Query, w: Position) -> None:
    "Level 2: a result is there, and what it was made of is what is at this position."
    reader(r)
    require("cached", cached(q) & (made(q) == w))
    require("unchanged", below(w, r))
    serve(r, w)


@levels.action
def cache(q: Query, r: Position) -> None:
    "The result of a reader's query is kept for others."
    require("served", served(r))
    cached[q] = True
    made[q] = got(r)


@levels.action
def look_beneath(r: Position) -> None:
    "Level 3: a reader begins to undo what lies above it."
    reader(r)
    require("unlocked", ~undoing())
    undoing.becomes(True)
    under.becomes(r)


@levels.action
def undo(w: Position, v: Position) -> None:
    "The write on top is undone; the object holds what it had replaced."
    require("undoing", undoing() & (under() < w) & ~served(under()))
    require("top", top() == w)
    require("replaced", live(v) & (v < w) & forall(Position, lambda x: implies(live(x) & (x < w), x <= v)))
    live[w] = False
    top.becomes(v)


@levels.action
def read_beneath(r: Position) -> None:
    "What is live is what lies below the reader."
    require("undoing", undoing() & (under() == r) & ~served(r))
    require("all-undone", forall(Position, lambda w: implies(live(w), w < r)))
    serve(r, top())


@levels.action
def redo(w: Position) -> None:
    "What was undone last is redone: on what it had replaced, so to the same value."
    require("looked", served(under()))
    require("undone", done(w) & ~live(w))
    require("in-order", forall(Position, lambda x: implies(done(x) & ~live(x), w <= x)))
    live[w] = True
    top.becomes(w)


@levels.action
def give_back() -> None:
    "All is redone, and the object free."
    require("looked", undoing() & served(under()))
    require("all-redone", forall(Position, lambda w: implies(done(w), live(w))))
    undoing.becomes(False)


@levels.action
def read_live(r: Position) -> None:
    "A reader above all writes needs no level: the live value is at its position."
    reader(r)
    require("unlocked", ~undoing())
    require("above-all", top() < r)
    serve(r, top())


EQUIVALENT: Final = {
    "levels.read_kept.greatest/0@eb25e508": "versions are kept of writes that were accepted",
    "levels.read_cached.unchanged/0@eb1d3705": "results are of writes that were accepted",
    "levels.read_beneath.undoing/0@471b9d70": "who has nothing live above it reads what is at its position",
    "levels.read_live.new/1@49f98d6e": "a write that is in place is not above the top",
}

# -- assumptions ---------------------------------------------------------------------------------------------------


@levels.assume("levels.first")
def first_is_least() -> Bool:
    "The initial value is below every position."
    return forall(Position, lambda p: first() <= p)


# -- properties ----------------------------------------------------------------------------------------------------


@levels.step_property("levels.every-way")
def every_way() -> Bool:
    "However a read is served, it gets the value at its position."
    return forall(Position, lambda r: implies(served.next(r) & ~served(r), below(got.next(r), r)))


@levels.step_property("levels.from-somewhere")
def from_somewhere() -> Bool:
    "What a reader is served is there: kept, cached, or live on top."
    return forall(
        Position,
        lambda r: implies(
            served.next(r) & ~served(r),
            kept(got.next(r)) | (top() == got.next(r)) | exists(Query, lambda q: cached(q) & (made(q) == got.next(r))),
        ),
    )


@levels.step_property("levels.kept-from-the-start")
def kept_from_the_start() -> Bool:
    "A version is kept from its write on, or not at all: none comes back."
    return forall(Position, lambda w: iff(kept.next(w) & ~kept(w), done.next(w) & ~done(w)))


@levels.invariant("levels.as-positioned")
def as_positioned() -> Bool:
    "What a reader goes by stays the greatest write below it."
    return forall(Position, lambda r: implies(served(r), below(got(r), r)))


@levels.invariant("levels.leaves-no-trace")
def leaves_no_trace() -> Bool:
    "Outside a read that undoes all that was accepted is in place, and the greatest of it on top."
    return implies(
        ~undoing(),
        forall(Position, lambda w: iff(done(w), live(w)) & implies(done(w), w <= top())),
    )


@levels.invariant("levels.top-is-live")
def top_is_live() -> Bool:
    "The object holds the greatest write that is in place; what is undone lies above that and above the reader."
    return conj(
        live(top()) & live(first()),
        forall(Position, lambda w: implies(live(w), done(w) & (w <= top()))),
        forall(Position, lambda w: implies(done(w) & ~live(w), undoing() & (under() < w) & (top() < w))),
    )


@levels.step_property("levels.nothing-withdrawn")
def nothing_withdrawn() -> Bool:
    "No read takes a write out of the order, and none is accepted while one undoes."
    return forall(
        Position,
        lambda w: implies(done(w), done.next(w)) & implies(done.next(w) & ~done(w), ~undoing() & ~undoing.next()),
    )


@levels.step_property("levels.given-back")
def given_back() -> Bool:
    "An object is taken by a reader without a value, and free again when that was served and all is in place."
    return conj(
        implies(undoing() & ~undoing.next(), served(under()) & forall(Position, lambda w: iff(done(w), live(w)))),
        forall(Position, lambda r: implies(served(r), served.next(r))),
        implies(undoing() & undoing.next(), under.next() == under()),
        implies(~undoing() & undoing.next(), ~served(under.next())),
    )


@levels.lemma("levels.made-of")
def made_of() -> Bool:
    "A version that is kept was accepted, and so was what a cached result is of; positions are of one kind."
    return conj(
        forall(Position, lambda w: implies(kept(w), done(w))),
        forall(Query, lambda q: implies(cached(q), done(made(q)))),
        forall(Position, lambda p: ~(done(p) & served(p))),
        implies(undoing(), ~done(under()) & (first() < under())),
        done(first()),
    )


@levels.variant(
    "levels.undo-ends",
    Position,
    decreases=("undo", "read_beneath", "redo", "give_back"),
    raised_by=("write", "look_beneath"),
)
def undo_ends(x: Position) -> tuple[Bool, ...]:
    "A read that undoes comes to its end: what is above is undone, it reads, all is redone."
    return (
        undoing() & ~served(under()),
        live(x) & ~served(under()),
        done(x) & ~live(x),
        undoing(),
    )


@levels.variant("levels.served-once", Position, decreases=("read_kept", "read_cached", "read_beneath", "read_live"))
def served_once(x: Position) -> tuple[Bool, ...]:
    "Each reader is served once, in one of the ways."
    return (~served(x),)


@levels.variant("levels.dropped-once", Position, decreases=("drop",), raised_by=("write",))
def dropped_once(x: Position) -> tuple[Bool, ...]:
    "What is dropped is gone."
    return (kept(x),)


@levels.reachable("levels.reach-beneath")
def reach_beneath() -> Bool:
    "A reader was served by undoing, and what it undid is not redone yet."
    return undoing() & served(under()) & exists(Position, lambda w: done(w) & ~live(w))


@levels.reachable("levels.reach-cached")
def reach_cached() -> Bool:
    "A result is there for a position below a write that came since."
    return exists(Query, Position, lambda q, r: cached(q) & served(r) & (got(r) == made(q)) & (made(q) < top()))
