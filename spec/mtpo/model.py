"""MTPO: what it is made of, and every step that it can take. The package's docstring tells the story."""

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

mtpo: Final = Spec("mtpo", "MTPO, the Monotonic Trajectory Pre-Order: the protocol.")


class Agent(OrderedSort):
    """an agent; the order is the rank"""


class Call(OrderedSort):
    """one use of a tool; the order is the serial order (rank of the author, issue order)"""


class Object(Sort):
    """a piece of shared state: a file, a listing, a ref, a row"""


class Value(Sort):
    """what an object holds"""


# -- constants: everything that is settled before a call runs ------------------------------------------------------

origin = mtpo.const("origin", to=Call, doc="the write that made the initial state")
author = mtpo.const("author", Call, to=Agent, doc="who issues the call")
reads = mtpo.const("reads", Call, Object, doc="the call reads the object")
writes = mtpo.const("writes", Call, Object, doc="the call may change the object")
invertible = mtpo.const("invertible", Call, doc="the call has an inverse, registered in advance")
given = mtpo.const("given", Object, to=Value, doc="the initial value")
accepts = mtpo.const(
    "accepts", Call, Object, Value, doc="what the call's author declared of the object is true of the value"
)
replay = mtpo.const("replay", doc="policy: re-apply undone calls (replay) or withdraw them (cancel)")

# -- state ---------------------------------------------------------------------------------------------------------

launched = mtpo.var("launched", Agent, init=lambda a: False, doc="has its rank and is in the run")
finished = mtpo.var("finished", Agent, init=lambda a: False, doc="reported its task complete")
committed = mtpo.var("committed", Agent, init=lambda a: False, doc="all it did is final")
aborted = mtpo.var("aborted", Agent, init=lambda a: False, doc="gave up, or died: its calls are to be retracted")

issued = mtpo.var("issued", Call, init=lambda c: c == origin(), doc="was accepted")
live = mtpo.var("live", Call, init=lambda c: c == origin(), doc="its effect is in place")
pending = mtpo.var("pending", Call, init=lambda c: False, doc="undone, to be re-applied or withdrawn")
withdrawn = mtpo.var("withdrawn", Call, init=lambda c: False, doc="out of the trajectory for good")
void = mtpo.var("void", Call, init=lambda c: False, doc="it failed, of what its author saw of it last")

top = mtpo.var("top", Object, to=Call, init=lambda o: origin(), doc="the write whose value the object holds")
base = mtpo.var("base", Call, Object, to=Call, init=lambda c, o: origin(), doc="the write that the call replaced")
value = mtpo.var("value", Call, Object, to=Value, init=lambda c, o: given(o), doc="what the call left on the object")

sighted = mtpo.var("sighted", Call, init=lambda c: False, doc="its author may reason from what it saw")
source = mtpo.var("source", Call, Object, to=Call, init=lambda c, o: origin(), doc="the write below the call, now")
saw = mtpo.var("saw", Call, Object, to=Value, init=lambda c, o: given(o), doc="what the author last saw or was told")
note = mtpo.var("note", Call, init=lambda c: False, doc="the author has yet to be told of a change to it")

opened = mtpo.var("opened", Call, init=lambda c: False, doc="the repair of the call is open")
retracting = mtpo.var("retracting", Call, init=lambda c: False, doc="it takes the call out instead of putting it in")
landed = mtpo.var("landed", Call, init=lambda c: False, doc="the call was applied, has failed, or is out")
undoer = mtpo.var("undoer", Call, to=Call, init=lambda m: origin(), doc="whose open repair undoes it, or the origin")
holder = mtpo.var("holder", Object, to=Call, init=lambda o: origin(), doc="whose open repair locks it, or the origin")
foreign = mtpo.var("foreign", Object, init=lambda o: False, doc="somebody changed it without a tool")


# -- vocabulary ----------------------------------------------------------------------------------------------------


def by(c: Call, a: Agent) -> Bool:
    """c is a call of a."""
    return (c != origin()) & (author(c) == a)


def quiet(a: Agent) -> Bool:
    """No notification waits for a."""
    return forall(Call, lambda c: implies(by(c, a), ~note(c)))


def global_quiet() -> Bool:
    """GlobalQuiet: no open repair, every agent at rest and told all, every aborted one without a call to retract."""
    return conj(
        forall(Call, lambda c: ~opened(c) & ~pending(c)),
        forall(Agent, lambda a: implies(launched(a), finished(a) & quiet(a))),
        forall(Call, lambda c: implies((c != origin()) & live(c), ~orphan(c))),
    )


def live_write(w: Call, o: Object) -> Bool:
    """w is in T(o)."""
    return live(w) & writes(w, o)


def feeds(x: Call, y: Call, o: Object) -> Bool:
    """y reads or writes o, which x writes."""
    return writes(x, o) & (reads(y, o) | writes(y, o))


def conflict(x: Call, y: Call, o: Object) -> Bool:
    """One of the two writes o, and the other reads or writes it."""
    return feeds(x, y, o) | (reads(x, o) & writes(y, o))


def follows(m: Call, w: Call, o: Object) -> Bool:
    """If m is undone, so must w be, because of o: under replay also if w changes what the redo of m reads (F1)."""
    return feeds(m, w, o) | (replay() & reads(m, o) & writes(w, o))


def touches(c: Call, o: Object) -> Bool:
    """o is in the footprint of c."""
    return reads(c, o) | writes(c, o)


def locked(o: Object) -> Bool:
    """An open repair has o to itself."""
    return holder(o) != origin()


def unsettled(p: Call, o: Object) -> Bool:
    """A repair from below p has o, so what is at p may be of its middle; one from above changes nothing there."""
    return locked(o) & (holder(o) < p)


def unlike(p: Call, o: Object, v: Value, u: Value) -> Bool:
    """To p's author v and u are two things: they differ, and its predicate on o, if it has one, is not true of both.

    Of what made a call fail every value counts: it might not fail of another, whatever its author accepts (F37)."""
    return (v != u) & (void(p) | ~(accepts(p, o, v) & accepts(p, o, u)))


def stale(p: Call, o: Object) -> Bool:
    """What p saw of o is not the value at p's position any more, nor does a predicate waive the change."""
    return reads(p, o) & unlike(p, o, saw(p, o), value(source(p, o), o))


def member(m: Call) -> Bool:
    """m is in the set that an open repair undoes."""
    return undoer(m) != origin()


def tellable(a: Agent) -> Bool:
    """What a reasons from and is to be told of is of no repair's middle; for a successor's nobody waits (F29, F30)."""
    return forall(
        Call,
        Object,
        lambda c, o: implies(
            by(c, a) & ((sighted(c) & reads(c, o)) | (note(c) & touches(c, o))),
            ~unsettled(c, o),
        ),
    )


def idle(a: Agent) -> Bool:
    """No call of a has its repair open."""
    return forall(Call, lambda c: implies(by(c, a), ~opened(c)))


def kept(c: Call) -> Bool:
    """c can't be retracted: its author made a call without an inverse, then or later, which is live (F9)."""
    return exists(Call, lambda d: (c <= d) & by(d, author(c)) & live(d) & ~invertible(d))


def orphan(c: Call) -> Bool:
    """c is to be retracted, its author having aborted."""
    return aborted(author(c)) & ~kept(c)


def ours(c: Call) -> Bool:
    """Nobody but tools changed what c reads or writes."""
    return forall(Object, lambda o: implies(foreign(o), ~reads(c, o) & ~writes(c, o)))


def lies_below(w: Call, c: Call, o: Object) -> Bool:
    """w is in T(o), below the position of c."""
    return live_write(w, o) & (w < c)


def tops(w: Call, c: Call, o: Object) -> Bool:
    """No live write on o that lies below c is greater than w."""
    return forall(Call, lambda x: implies(lies_below(x, c, o), x <= w))


# -- agents --------------------------------------------------------------------------------------------------------


@mtpo.action
def launch(a: Agent) -> None:
    "An agent enters; ranks are given in order of launch."
    require("new", ~launched(a))
    require("rank-order", forall(Agent, lambda b: implies(b < a, launched(b))))
    launched[a] = True


@mtpo.action
def finish(a: Agent) -> None:
    "An agent reports its task complete."
    require("at-work", launched(a) & ~finished(a))
    require("inbox-empty", quiet(a))
    require("one-at-a-time", idle(a))
    finished[a] = True


@mtpo.action
def reopen(a: Agent) -> None:
    "A finished agent has been notified and goes back to work."
    require("finished", finished(a))
    require("notified", ~quiet(a))
    finished[a] = False


@mtpo.action
def abort(a: Agent) -> None:
    "An agent gives up, or is given up: it acts no more, reasons from nothing and is told nothing."
    require("not-over", launched(a) & ~committed(a) & ~aborted(a))
    require("one-at-a-time", idle(a))
    aborted[a] = True
    finished[a] = True
    note.becomes(lambda c: note(c) & ~by(c, a))
    void.becomes(lambda c: void(c) & ~by(c, a))
    sighted.becomes(lambda c: sighted(c) & (live(c) | pending(c) | ~by(c, a)))


@mtpo.action
def deliver(a: Agent) -> None:
    "An agent consumes its notifications: each of its premises is refreshed to the value at its position."
    require("at-work", ~finished(a))
    require("notified", ~quiet(a))
    require("settled", tellable(a))
    note.becomes(lambda c: note(c) & ~by(c, a))
    void.becomes(lambda c: void(c) & ~(by(c, a) & note(c)))
    saw.becomes(lambda c, o: ite(by(c, a) & sighted(c), value(source(c, o), o), saw(c, o)))


@mtpo.action
def commit(a: Agent) -> None:
    "Nothing below the agent can change any more: what it did is final. An aborted one has nothing left to retract."
    require("finished", finished(a) & ~committed(a))
    require("retracted", implies(aborted(a), forall(Call, lambda c: implies(by(c, a) & live(c), kept(c)))))
    require("inbox-empty", quiet(a))
    require("one-at-a-time", forall(Call, lambda c: implies(by(c, a), ~opened(c) & ~pending(c))))
    require("lower-committed", forall(Agent, lambda b: implies(b < a, committed(b))))
    committed[a] = True


@mtpo.action
def external(o: Object) -> None:
    "Somebody changes an object without a tool; it may happen at any time."
    foreign[o] = True


# -- calls ---------------------------------------------------------------------------------------------------------


def issue(c: Call) -> None:
    """What is asked of every new call."""
    require("not-the-origin", c != origin())
    require("in-issue-order", forall(Call, lambda d: implies(issued(d) & by(d, author(c)), d < c)))
    require("author-at-work", launched(author(c)) & ~finished(author(c)))
    require("inbox-empty", quiet(author(c)))
    require("one-at-a-time", idle(author(c)))


# -- reads ---------------------------------------------------------------------------------------------------------


@mtpo.action(below=function(Object, to=Call))
def read(c: Call, below: Function[Call]) -> None:
    "A filtered read: of each object the greatest live write below the call, higher-ranked writes screened out."
    issue(c)
    require("writes-nothing", forall(Object, lambda o: ~writes(c, o)))
    require("settled", forall(Object, lambda o: implies(reads(c, o), ~unsettled(c, o))))
    require("is-below", forall(Object, lambda o: implies(reads(c, o), lies_below(below(o), c, o))))
    require("is-greatest", forall(Object, lambda o: implies(reads(c, o), tops(below(o), c, o))))
    issued[c] = True
    sighted[c] = True
    source.becomes(lambda p, o: ite((p == c) & reads(c, o), below(o), source(p, o)))
    saw.becomes(lambda p, o: ite((p == c) & reads(c, o), value(below(o), o), saw(p, o)))


# -- writes and repairs --------------------------------------------------------------------------------------------


def begin(c: Call, members: Function[Bool], locks: Function[Bool]) -> None:
    """What opens the repair of c: a set to undo that is closed, and locks on all that it and c touch."""
    require("ours", ours(c) & forall(Call, lambda m: implies(members(m), ours(m))))
    require("members-live-above", forall(Call, lambda m: implies(members(m), live(m) & (c < m))))
    require("members-free", forall(Call, lambda m: implies(members(m), ~opened(m) & ~member(m))))
    require(
        "closed",
        forall(
            Call,
            Call,
            Object,
            lambda m, w, o: implies(members(m) & live(w) & (m < w) & follows(m, w, o), members(w)),
        ),
    )
    require(
        "locks-all",
        forall(
            Object,
            lambda o: (
                implies(touches(c, o), locks(o)) & forall(Call, lambda m: implies(members(m) & touches(m, o), locks(o)))
            ),
        ),
    )
    require(
        "locks-only",
        forall(
            Object,
            lambda o: implies(locks(o), touches(c, o) | exists(Call, lambda m: members(m) & touches(m, o))),
        ),
    )
    require("unlocked", forall(Object, lambda o: implies(locks(o), ~locked(o))))
    opened[c] = True
    undoer.becomes(lambda m: ite(members(m), c, undoer(m)))
    holder.becomes(lambda o: ite(locks(o), c, holder(o)))


@mtpo.action(members=function(Call), locks=function(Object))
def call(c: Call, members: Function[Bool], locks: Function[Bool]) -> None:
    "A write is accepted; it is late if the set to undo is not empty."
    issue(c)
    require("gate", invertible(c) | forall(Agent, lambda b: implies(b < author(c), committed(b))))
    require(
        "seeds",
        forall(Call, Object, lambda w, o: implies(live(w) & (c < w) & conflict(c, w, o), members(w))),
    )
    begin(c, members, locks)
    issued[c] = True


@mtpo.action(members=function(Call), locks=function(Object))
def retract(c: Call, members: Function[Bool], locks: Function[Bool]) -> None:
    "A live call is to be taken out: by its author, who has read all it was told, or because its author has aborted."
    require("live", live(c) & (c != origin()))
    require("one-at-a-time", idle(author(c)))
    require("by-its-author", aborted(author(c)) | (~finished(author(c)) & quiet(author(c))))
    require("not-kept", ~kept(c))
    require("free", ~member(c))
    require("seeds", forall(Call, Object, lambda w, o: implies(live(w) & (c < w) & feeds(c, w, o), members(w))))
    begin(c, members, locks)
    retracting[c] = True


def pull(w: Call) -> None:
    """The inverse of w ran: each of its objects holds again what w had replaced."""
    live[w] = False
    top.becomes(lambda o: ite(writes(w, o), base(w, o), top(o)))
    source.becomes(lambda p, o: ite(writes(w, o) & (source(p, o) == w), base(w, o), source(p, o)))


@mtpo.action
def undone(w: Call) -> None:
    "The inverse of a member ran: its objects hold again what it had replaced."
    require("before-landing", ~landed(undoer(w)))
    require("live-member", member(w) & live(w))
    require("top-only", forall(Object, lambda o: implies(writes(w, o), top(o) == w)))
    require("ours", ours(w))
    pull(w)
    pending[w] = True


@mtpo.action
def retracted(c: Call) -> None:
    "The call that a repair takes out is out: the trajectory is what it is without it."
    require("its-turn", retracting(c) & ~landed(c))
    require("all-undone", forall(Call, lambda m: implies(undoer(m) == c, ~live(m))))
    require("ours", ours(c))
    pull(c)
    withdrawn[c] = True
    sighted[c] = ~aborted(author(c))
    landed[c] = True


def push(c: Call, out: Function[Value]) -> None:
    """c takes effect on top of every object it writes, and becomes the source of the reads above it."""
    live[c] = True
    top.becomes(lambda o: ite(writes(c, o), c, top(o)))
    base.becomes(lambda w, o: ite((w == c) & writes(c, o), top(o), base(w, o)))
    value.becomes(lambda w, o: ite((w == c) & writes(c, o), out(o), value(w, o)))
    saw.becomes(lambda p, o: ite((p == c) & reads(c, o), value(top(o), o), saw(p, o)))
    source.becomes(
        lambda p, o: ite(
            (p == c) & reads(c, o),
            top(o),
            ite(sighted(p) & writes(c, o) & (source(p, o) < c) & (c < p), c, source(p, o)),
        )
    )


@mtpo.action(out=function(Object, to=Value))
def applied(c: Call, out: Function[Value]) -> None:
    "The call acts, on the state that its place in the order implies."
    require("its-turn", opened(c) & ~landed(c) & ~retracting(c))
    require("all-undone", forall(Call, lambda m: implies(undoer(m) == c, ~live(m))))
    require("ours", ours(c))
    push(c, out)
    sighted[c] = True
    landed[c] = True


@mtpo.action
def failed(c: Call) -> None:
    "The call had no effect. Its author learns it as the result of the call, and reasons from what made it fail (F8)."
    require("its-turn", opened(c) & ~landed(c) & ~retracting(c))
    require("all-undone", forall(Call, lambda m: implies(undoer(m) == c, ~live(m))))
    withdrawn[c] = True
    void[c] = True
    sighted[c] = True
    source.becomes(lambda p, o: ite((p == c) & reads(c, o), top(o), source(p, o)))
    saw.becomes(lambda p, o: ite((p == c) & reads(c, o), value(top(o), o), saw(p, o)))
    landed[c] = True


@mtpo.action(out=function(Object, to=Value))
def redone(w: Call, out: Function[Value]) -> None:
    "An undone call is re-applied; its author is to be told if it read or left another value than before (finding F2)."
    require("after-landing", landed(undoer(w)))
    require("author-there", ~aborted(author(w)))
    require("policy", replay())
    require("pending", pending(w))
    require("ascending", forall(Call, lambda m: implies((undoer(m) == undoer(w)) & pending(m), w <= m)))
    require("ours", ours(w))
    push(w, out)
    pending[w] = False
    note[w] = (
        note(w)
        | exists(Object, lambda o: writes(w, o) & (out(o) != value(w, o)))
        | exists(Object, lambda o: reads(w, o) & unlike(w, o, saw(w, o), value(top(o), o)))
    )


def withdraw(w: Call) -> None:
    """w leaves the trajectory and its author, if there still is one, is told."""
    pending[w] = False
    withdrawn[w] = True
    sighted[w] = ~aborted(author(w))
    note[w] = ~aborted(author(w))


@mtpo.action
def cancelled(w: Call) -> None:
    "Policy cancel: an undone call is withdrawn; its author reissues it or not."
    require("after-landing", landed(undoer(w)))
    require("policy", ~replay())
    require("pending", pending(w))
    withdraw(w)


@mtpo.action
def stranded(w: Call) -> None:
    "An undone call could not be re-applied (its object, or its author, is gone, say) and is withdrawn."
    require("after-landing", landed(undoer(w)))
    require("pending", pending(w))
    withdraw(w)


@mtpo.action
def settle(c: Call) -> None:
    "The repair is complete; equality of premises on what it held is judged now, not in its middle."
    require("landed", landed(c))
    require("none-pending", forall(Call, lambda m: implies(undoer(m) == c, ~pending(m))))
    note.becomes(
        lambda p: (
            note(p) | (sighted(p) & ~aborted(author(p)) & exists(Object, lambda o: (holder(o) == c) & stale(p, o)))
        )
    )
    opened[c] = False
    retracting[c] = False
    landed[c] = False
    undoer.becomes(lambda m: ite(undoer(m) == c, origin(), undoer(m)))
    holder.becomes(lambda o: ite(holder(o) == c, origin(), holder(o)))


# -- assumptions ---------------------------------------------------------------------------------------------------


@mtpo.assume("mtpo.pre-order")
def pre_order() -> Bool:
    "The order of calls respects the ranks of their authors."
    return forall(
        Call,
        Call,
        lambda c, d: implies((c != origin()) & (d != origin()) & (author(c) < author(d)), c < d),
    )


@mtpo.assume("mtpo.origin-first")
def origin_first() -> Bool:
    "The origin is the least call; it writes every object and reads none."
    return conj(
        forall(Call, lambda c: origin() <= c),
        forall(Object, lambda o: writes(origin(), o) & ~reads(origin(), o)),
    )
