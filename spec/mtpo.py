"""MTPO, the Monotonic Trajectory Pre-Order: the protocol.

Sources: "CoAgent" (arXiv 2606.15376) and "Notified Serializability" (SCCP at VLDB 2026), sections 3 and 4; where they
are silent the choice is ours and is named in proofs/FINDINGS.md.

A *call* is one use of a tool, read or write. Calls are totally ordered by (rank of the author, issue order): the
serial order that the run must be equivalent to, fixed before the run. A trajectory is not a list: T(o) is the set of
live writes on o, and its order is the order of calls. Each live write remembers ``base``, the write that it was applied
on, so "live equals materialized" says: the top of o is its greatest live write, and each base is its predecessor.
The initial state is the write of the ``origin``, the least call.

A write opens a *repair* (often an empty one): ``call`` fixes the closed set of later calls to undo; ``undone`` for each
of them, from the top; ``applied`` (or ``failed``); ``redone``, ``cancelled`` or ``stranded`` for each undone call, in
order; ``settle``, which tells every reader whose premise changed. Every micro-step is a step of the model, so crashes
and interleavings in the middle are in it. Objects of an open repair are closed to everyone else: one repair at a time.

Two policies: with ``replay`` an undone call is re-applied mechanically, without it is cancelled and its author decides.
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
    exists,
    forall,
    function,
    iff,
    implies,
    ite,
    require,
)

mtpo: Final = Spec("mtpo", __doc__)


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
replay = mtpo.const("replay", doc="policy: re-apply undone calls (replay) or withdraw them (cancel)")

# -- state ---------------------------------------------------------------------------------------------------------

launched = mtpo.var("launched", Agent, init=lambda a: False, doc="has its rank and is in the run")
finished = mtpo.var("finished", Agent, init=lambda a: False, doc="reported its task complete")
committed = mtpo.var("committed", Agent, init=lambda a: False, doc="all it did is final")

issued = mtpo.var("issued", Call, init=lambda c: c == origin(), doc="was accepted")
live = mtpo.var("live", Call, init=lambda c: c == origin(), doc="its effect is in place")
pending = mtpo.var("pending", Call, init=lambda c: False, doc="undone, to be re-applied or withdrawn")
withdrawn = mtpo.var("withdrawn", Call, init=lambda c: False, doc="out of the trajectory for good")

top = mtpo.var("top", Object, to=Call, init=lambda o: origin(), doc="the write whose value the object holds")
base = mtpo.var("base", Call, Object, to=Call, init=lambda c, o: origin(), doc="the write that the call replaced")
value = mtpo.var("value", Call, Object, to=Value, init=lambda c, o: given(o), doc="what the call left on the object")

sighted = mtpo.var("sighted", Call, init=lambda c: False, doc="its author may reason from what it saw")
source = mtpo.var("source", Call, Object, to=Call, init=lambda c, o: origin(), doc="the write below the call, now")
saw = mtpo.var("saw", Call, Object, to=Value, init=lambda c, o: given(o), doc="what the author last saw or was told")
note = mtpo.var("note", Call, init=lambda c: False, doc="the author has yet to be told of a change to it")

busy = mtpo.var("busy", init=lambda: False, doc="a repair is open")
acting = mtpo.var("acting", to=Call, init=lambda: origin(), doc="the call that opened it")
landed = mtpo.var("landed", init=lambda: False, doc="that call was applied or has failed")
member = mtpo.var("member", Call, init=lambda c: False, doc="belongs to the set that the repair undoes")


# -- vocabulary ----------------------------------------------------------------------------------------------------


def by(c: Call, a: Agent) -> Bool:
    """c is a call of a."""
    return (c != origin()) & (author(c) == a)


def quiet(a: Agent) -> Bool:
    """No notification waits for a."""
    return forall(Call, lambda c: implies(by(c, a), ~note(c)))


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


def stale(p: Call) -> Bool:
    """Something that p saw is not the value at p's position any more."""
    return exists(Object, lambda o: reads(p, o) & (saw(p, o) != value(source(p, o), o)))


def is_next(c: Call) -> None:
    """The clauses common to every new call."""
    require("not-the-origin", c != origin())
    require("in-issue-order", forall(Call, lambda d: implies(issued(d) & by(d, author(c)), d < c)))
    require("author-at-work", launched(author(c)) & ~finished(author(c)))
    require("inbox-empty", quiet(author(c)))
    require("no-open-repair", ~busy())


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
    require("no-open-repair", ~busy())
    finished[a] = True


@mtpo.action
def reopen(a: Agent) -> None:
    "A finished agent has been notified and goes back to work."
    require("finished", finished(a))
    require("notified", ~quiet(a))
    require("no-open-repair", ~busy())
    finished[a] = False


@mtpo.action
def deliver(a: Agent) -> None:
    "An agent consumes its notifications: each of its premises is refreshed to the value at its position."
    require("at-work", ~finished(a))
    require("notified", ~quiet(a))
    require("no-open-repair", ~busy())
    note.becomes(lambda c: note(c) & ~by(c, a))
    saw.becomes(lambda c, o: ite(by(c, a) & sighted(c), value(source(c, o), o), saw(c, o)))


@mtpo.action
def commit(a: Agent) -> None:
    "Nothing below the agent can change any more: what it did is final."
    require("finished", finished(a) & ~committed(a))
    require("inbox-empty", quiet(a))
    require("no-open-repair", ~busy())
    require("lower-committed", forall(Agent, lambda b: implies(b < a, committed(b))))
    committed[a] = True


# -- reads ---------------------------------------------------------------------------------------------------------


@mtpo.action(below=function(Object, to=Call))
def read(c: Call, below: Function[Call]) -> None:
    "A filtered read: of each object the greatest live write below the call, higher-ranked writes screened out."
    is_next(c)
    require("writes-nothing", forall(Object, lambda o: ~writes(c, o)))
    require("is-below", forall(Object, lambda o: implies(reads(c, o), live_write(below(o), o) & (below(o) < c))))
    require(
        "is-greatest",
        forall(Call, Object, lambda w, o: implies(reads(c, o) & live_write(w, o) & (w < c), w <= below(o))),
    )
    issued[c] = True
    sighted[c] = True
    source.becomes(lambda p, o: ite((p == c) & reads(c, o), below(o), source(p, o)))
    saw.becomes(lambda p, o: ite((p == c) & reads(c, o), value(below(o), o), saw(p, o)))


# -- writes and repairs --------------------------------------------------------------------------------------------


@mtpo.action(members=function(Call))
def call(c: Call, members: Function[Bool]) -> None:
    "A write is accepted; it is late if the set to undo is not empty."
    is_next(c)
    require("gate", invertible(c) | forall(Agent, lambda b: implies(b < author(c), committed(b))))
    require("members-live-above", forall(Call, lambda m: implies(members(m), live(m) & (c < m))))
    require(
        "seeds",
        forall(Call, Object, lambda w, o: implies(live(w) & (c < w) & conflict(c, w, o), members(w))),
    )
    require(
        "closed",
        forall(
            Call,
            Call,
            Object,
            lambda m, w, o: implies(members(m) & live(w) & (m < w) & follows(m, w, o), members(w)),
        ),
    )
    issued[c] = True
    busy.becomes(True)
    acting.becomes(c)
    member.becomes(lambda m: members(m))


@mtpo.action
def undone(w: Call) -> None:
    "The inverse of a member ran: its objects hold again what it had replaced."
    require("before-landing", ~landed())
    require("live-member", member(w) & live(w))
    require("top-only", forall(Object, lambda o: implies(writes(w, o), top(o) == w)))
    live[w] = False
    pending[w] = True
    top.becomes(lambda o: ite(writes(w, o), base(w, o), top(o)))
    source.becomes(lambda p, o: ite(writes(w, o) & (source(p, o) == w), base(w, o), source(p, o)))


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
    require("its-turn", busy() & ~landed() & (acting() == c))
    require("all-undone", forall(Call, lambda m: implies(member(m), ~live(m))))
    push(c, out)
    sighted[c] = True
    landed.becomes(True)


@mtpo.action
def failed(c: Call) -> None:
    "The call had no effect. Its author learns it as the result of the call, and reasons from what made it fail (F8)."
    require("its-turn", busy() & ~landed() & (acting() == c))
    require("all-undone", forall(Call, lambda m: implies(member(m), ~live(m))))
    withdrawn[c] = True
    sighted[c] = True
    source.becomes(lambda p, o: ite((p == c) & reads(c, o), top(o), source(p, o)))
    saw.becomes(lambda p, o: ite((p == c) & reads(c, o), value(top(o), o), saw(p, o)))
    landed.becomes(True)


@mtpo.action(out=function(Object, to=Value))
def redone(w: Call, out: Function[Value]) -> None:
    "An undone call is re-applied; its author is to be told if it read or left another value than before (finding F2)."
    require("after-landing", landed())
    require("policy", replay())
    require("pending", pending(w))
    require("ascending", forall(Call, lambda m: implies(pending(m), w <= m)))
    push(w, out)
    pending[w] = False
    note[w] = (
        note(w)
        | exists(Object, lambda o: writes(w, o) & (out(o) != value(w, o)))
        | exists(Object, lambda o: reads(w, o) & (value(top(o), o) != saw(w, o)))
    )


def withdraw(w: Call) -> None:
    """w leaves the trajectory and its author is told."""
    pending[w] = False
    withdrawn[w] = True
    sighted[w] = False
    note[w] = True


@mtpo.action
def cancelled(w: Call) -> None:
    "Policy cancel: an undone call is withdrawn; its author reissues it or not."
    require("after-landing", landed())
    require("policy", ~replay())
    require("pending", pending(w))
    withdraw(w)


@mtpo.action
def stranded(w: Call) -> None:
    "An undone call could not be re-applied (its object is gone, say) and is withdrawn."
    require("after-landing", landed())
    require("pending", pending(w))
    withdraw(w)


@mtpo.action
def settle() -> None:
    "The repair is complete; equality of premises is judged now, not in its middle."
    require("landed", landed())
    require("none-pending", forall(Call, lambda m: ~pending(m)))
    note.becomes(lambda p: note(p) | (sighted(p) & stale(p)))
    busy.becomes(False)
    landed.becomes(False)
    acting.becomes(origin())
    member.becomes(lambda m: False)


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


# -- properties of states ------------------------------------------------------------------------------------------


@mtpo.invariant("mtpo.live-materialized")
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


@mtpo.invariant("mtpo.filtered-read")
def filtered_read() -> Bool:
    "The source of what an author reasons from is the greatest live write below its call."
    return conj(
        forall(
            Call,
            Object,
            lambda p, o: implies(
                sighted(p) & ~pending(p) & reads(p, o), live_write(source(p, o), o) & (source(p, o) < p)
            ),
        ),
        forall(
            Call,
            Call,
            Object,
            lambda p, w, o: implies(
                sighted(p) & ~pending(p) & reads(p, o) & live_write(w, o) & (w < p), w <= source(p, o)
            ),
        ),
    )


@mtpo.invariant("mtpo.premise-fresh-or-notified")
def premise_fresh_or_notified() -> Bool:
    "What an author reasons from is the value at its position, or it is notified: always, but above an open repair."
    return forall(
        Call,
        Object,
        lambda p, o: implies(
            sighted(p) & reads(p, o) & ~note(p) & (~busy() | (p <= acting())), saw(p, o) == value(source(p, o), o)
        ),
    )


@mtpo.invariant("mtpo.commit-in-rank-order")
def commit_in_rank_order() -> Bool:
    "An agent commits after every lower rank, finished and with nothing left to be told."
    return conj(
        forall(Agent, Agent, lambda a, b: implies(committed(a) & (b < a), committed(b))),
        forall(Agent, lambda a: implies(committed(a), finished(a))),
        forall(Call, lambda c: implies((c != origin()) & committed(author(c)), ~note(c) & ~pending(c))),
    )


@mtpo.invariant("mtpo.launch-in-rank-order")
def launch_in_rank_order() -> Bool:
    "An agent launched later has a higher rank."
    return forall(Agent, Agent, lambda a, b: implies(launched(a) & (b < a), launched(b)))


@mtpo.invariant("mtpo.gate")
def gate() -> Bool:
    "A call without an inverse takes effect only after every lower rank has committed."
    return forall(
        Call,
        Agent,
        lambda c, b: implies(live(c) & ~invertible(c) & (c != origin()) & (b < author(c)), committed(b)),
    )


@mtpo.invariant("mtpo.no-lost-call")
def no_lost_call() -> Bool:
    "Every accepted call is a served read, under way, live, pending, or withdrawn: exactly one of them."
    return forall(
        Call,
        lambda c: conj(
            implies(
                issued(c),
                live(c)
                | pending(c)
                | withdrawn(c)
                | (busy() & ~landed() & (acting() == c))
                | (sighted(c) & forall(Object, lambda o: ~writes(c, o))),
            ),
            ~(live(c) & pending(c)),
            ~(live(c) & withdrawn(c)),
            ~(pending(c) & withdrawn(c)),
        ),
    )


@mtpo.invariant("mtpo.undo-enabled")
def undo_enabled() -> Bool:
    "Whatever lies on top of a live member is a member: the greatest live member can always be undone."
    return forall(
        Call,
        Object,
        lambda m, o: implies(
            busy() & ~landed() & member(m) & live_write(m, o) & (top(o) != m),
            member(top(o)) & live(top(o)) & (m < top(o)),
        ),
    )


# -- properties of steps -------------------------------------------------------------------------------------------


@mtpo.step_property("mtpo.one-way")
def one_way() -> Bool:
    "Notifications go from lower to higher ranks only."
    return forall(Call, lambda p: implies(note.next(p) & ~note(p), author(acting()) < author(p)))


@mtpo.step_property("mtpo.consumed-before-action")
def consumed_before_action() -> Bool:
    "An agent acts, and finishes, only when it has consumed every notification; it consumes them while at work."
    return conj(
        forall(Call, lambda c: implies(issued.next(c) & ~issued(c), quiet(author(c)) & ~finished(author(c)))),
        forall(Agent, lambda a: implies(finished.next(a) & ~finished(a), quiet(a))),
        forall(Call, lambda c: implies(note(c) & ~note.next(c), ~finished(author(c)))),
    )


@mtpo.step_property("mtpo.issue-order")
def issue_order() -> Bool:
    "A new call is above every earlier call of its author."
    return forall(
        Call,
        Call,
        lambda c, d: implies(issued.next(c) & ~issued(c) & issued(d) & by(d, author(c)), d < c),
    )


@mtpo.step_property("mtpo.withdrawn-told")
def withdrawn_told() -> Bool:
    "A withdrawn call's author is notified, unless it is told in the result of the call itself."
    return forall(Call, lambda w: implies(withdrawn.next(w) & ~withdrawn(w), note.next(w) | (busy() & (acting() == w))))


@mtpo.step_property("mtpo.failure-is-a-premise")
def failure_is_a_premise() -> Bool:
    "A call that fails is a sight of what made it fail; one that is withdrawn later is a sight of nothing."
    return forall(Call, lambda w: implies(withdrawn.next(w) & ~withdrawn(w), iff(sighted.next(w), w == acting())))


@mtpo.step_property("mtpo.redo-told")
def redo_told() -> Bool:
    "When a call leaves another value than before, or is refreshed with another input, its author is notified."
    return forall(
        Call,
        Object,
        lambda w, o: implies(
            pending(w)
            & live.next(w)
            & ((writes(w, o) & (value.next(w, o) != value(w, o))) | (reads(w, o) & (saw.next(w, o) != saw(w, o)))),
            note.next(w),
        ),
    )


@mtpo.step_property("mtpo.told-only-of-change")
def told_only_of_change() -> Bool:
    "A redone call's author is not notified when it read and left what it had before."
    return forall(
        Call,
        lambda w: implies(
            pending(w) & live.next(w) & note.next(w) & ~note(w),
            exists(
                Object,
                lambda o: (
                    (writes(w, o) & (value.next(w, o) != value(w, o))) | (reads(w, o) & (saw.next(w, o) != saw(w, o)))
                ),
            ),
        ),
    )


@mtpo.step_property("mtpo.withdrawn-after-landing")
def withdrawn_after_landing() -> Bool:
    "No undone call is withdrawn before the call that displaced it has landed."
    return forall(Call, lambda w: implies(withdrawn.next(w) & ~withdrawn(w), landed() | (w == acting())))


@mtpo.step_property("mtpo.top-only-undo")
def top_only_undo() -> Bool:
    "A write is undone only when it is on top of every object it wrote, and leaves there what it had replaced."
    return forall(
        Call,
        Object,
        lambda w, o: implies(
            live(w) & ~live.next(w),
            invertible(w) & implies(writes(w, o), (top(o) == w) & (top.next(o) == base(w, o))),
        ),
    )


@mtpo.step_property("mtpo.in-place")
def in_place() -> Bool:
    "A write takes effect above every live write of a smaller call and below none of a greater one."
    return forall(
        Call,
        Call,
        Object,
        lambda w, x, o: implies(~live(w) & live.next(w) & (writes(w, o) | reads(w, o)) & live_write(x, o), x < w),
    )


@mtpo.step_property("mtpo.undo-for-lower")
def undo_for_lower() -> Bool:
    "Only a lower-ranked call undoes a call, and never one of a committed agent."
    return forall(
        Call,
        lambda w: implies(live(w) & ~live.next(w), busy() & (author(acting()) < author(w)) & ~committed(author(w))),
    )


@mtpo.step_property("mtpo.committed-stable")
def committed_stable() -> Bool:
    "What a committed agent did and saw never changes."
    return forall(
        Call,
        Object,
        lambda c, o: implies(
            (c != origin()) & committed(author(c)) & issued(c),
            iff(live(c), live.next(c))
            & iff(note(c), note.next(c))
            & (value.next(c, o) == value(c, o))
            & (saw.next(c, o) == saw(c, o)),
        ),
    )


@mtpo.step_property("mtpo.repair-atomic")
def repair_atomic() -> Bool:
    "Nobody sees the middle of a repair: meanwhile no call begins, no note is read, no agent finishes or commits."
    return implies(
        busy(),
        conj(
            forall(Call, lambda p: iff(issued(p), issued.next(p))),
            forall(Call, lambda p: implies(sighted.next(p) & ~sighted(p), p == acting())),
            forall(Call, lambda p: implies(note(p), note.next(p))),
            forall(Agent, lambda a: iff(finished(a), finished.next(a)) & iff(committed(a), committed.next(a))),
        ),
    )


@mtpo.step_property("mtpo.settled-told")
def settled_told() -> Bool:
    "When a repair closes, every premise that is not the value at its position has its author notified."
    return forall(
        Call,
        Object,
        lambda p, o: implies(
            busy() & ~busy.next() & sighted.next(p) & reads(p, o) & ~note.next(p),
            saw.next(p, o) == value.next(source.next(p, o), o),
        ),
    )


# -- lemmas --------------------------------------------------------------------------------------------------------


@mtpo.lemma("mtpo.lemma-agents")
def lemma_agents() -> Bool:
    "Finished agents were launched; issued calls have launched authors; the origin is always live and silent."
    return conj(
        forall(Agent, lambda a: implies(finished(a), launched(a))),
        forall(Call, lambda c: implies(issued(c) & (c != origin()), launched(author(c)))),
        live(origin()) & issued(origin()) & ~note(origin()) & ~sighted(origin()) & ~member(origin()),
    )


@mtpo.lemma("mtpo.lemma-issued")
def lemma_issued() -> Bool:
    "Only issued calls have any other status; the author of a live or pending call has seen its result."
    return forall(
        Call,
        lambda c: conj(
            implies(live(c) | pending(c) | withdrawn(c) | sighted(c) | note(c), issued(c)),
            implies((live(c) | pending(c)) & (c != origin()), sighted(c)),
            implies(note(c), sighted(c) | withdrawn(c)),
        ),
    )


@mtpo.lemma("mtpo.lemma-repair")
def lemma_repair() -> Bool:
    "Members lie above the acting call and are invertible; without a repair there are none."
    return conj(
        forall(
            Call,
            lambda m: implies(
                member(m), busy() & (acting() < m) & invertible(m) & (live(m) | pending(m) | withdrawn(m))
            ),
        ),
        forall(Call, lambda m: implies(pending(m), member(m))),
        implies(landed(), busy()),
        implies(~busy(), acting() == origin()),
        implies(landed(), forall(Call, Call, lambda m, w: implies(member(m) & live(m) & pending(w), m < w))),
    )


@mtpo.lemma("mtpo.lemma-acting")
def lemma_acting() -> Bool:
    "The acting call is the newest of its author, who is at work and has nothing to be told."
    return implies(
        busy(),
        conj(
            acting() != origin(),
            issued(acting()),
            launched(author(acting())) & ~finished(author(acting())),
            quiet(author(acting())),
            forall(Call, lambda d: implies(issued(d) & by(d, author(acting())), d <= acting())),
            implies(~landed(), ~live(acting()) & ~sighted(acting()) & ~withdrawn(acting()) & ~pending(acting())),
            forall(Agent, lambda b: implies(~invertible(acting()) & (b < author(acting())), committed(b))),
        ),
    )


@mtpo.lemma("mtpo.lemma-closed")
def lemma_closed() -> Bool:
    "The set of an open repair stays closed and contains every live call above that conflicts with the acting one."
    return conj(
        forall(
            Call,
            Object,
            lambda w, o: implies(busy() & live(w) & (acting() < w) & conflict(acting(), w, o), member(w)),
        ),
        forall(
            Call,
            Call,
            Object,
            lambda m, w, o: implies(member(m) & live(w) & (m < w) & follows(m, w, o), member(w)),
        ),
    )


# -- what must be possible -----------------------------------------------------------------------------------------


@mtpo.reachable("mtpo.reach-redone-otherwise")
def reach_redone_otherwise() -> Bool:
    "A call was undone and redone, and its author must be told."
    return busy() & landed() & exists(Call, lambda w: member(w) & live(w) & note(w))


@mtpo.reachable("mtpo.reach-withdrawn")
def reach_withdrawn() -> Bool:
    "A call was withdrawn and its author told."
    return ~busy() & exists(Call, lambda w: withdrawn(w) & ~note(w))


@mtpo.reachable("mtpo.reach-stale-reader")
def reach_stale_reader() -> Bool:
    "A reader that writes nothing is notified."
    return exists(Call, lambda p: note(p) & sighted(p) & forall(Object, lambda o: ~writes(p, o)))


@mtpo.reachable("mtpo.reach-reopened")
def reach_reopened() -> Bool:
    "A finished agent waits to be told."
    return exists(Agent, lambda a: finished(a) & ~quiet(a))


@mtpo.reachable("mtpo.reach-all-committed")
def reach_all_committed() -> Bool:
    "Everyone commits, after at least one write each."
    return forall(Agent, lambda a: committed(a) & exists(Call, Object, lambda c, o: by(c, a) & live_write(c, o)))


@mtpo.reachable("mtpo.reach-gated")
def reach_gated() -> Bool:
    "A call without an inverse takes effect."
    return exists(Call, lambda c: (c != origin()) & live(c) & ~invertible(c))


@mtpo.variant(
    "mtpo.repair-ends",
    Call,
    decreases=("undone", "applied", "failed", "redone", "cancelled", "stranded", "settle"),
)
def repair_ends(x: Call) -> tuple[Bool, ...]:
    "A repair ends: first its members are undone, then its call lands, then the undone ones are resolved."
    return (
        busy() & ~landed() & (x == acting()),
        ~landed() & member(x) & live(x),
        pending(x),
        busy() & (x == acting()),
    )


@mtpo.variant("mtpo.notes-consumed", Call, decreases=("reopen", "deliver"))
def notes_consumed(x: Call) -> tuple[Bool, ...]:
    "Without new changes notifications are used up: a finished agent reopens, then consumes."
    return note(x) & finished(author(x)), note(x)


@mtpo.variant("mtpo.agents-advance", Agent, decreases=("launch", "finish", "commit"))
def agents_advance(a: Agent) -> tuple[Bool, ...]:
    "Without new changes agents launch, finish and commit, each once."
    return ~launched(a), ~finished(a), ~committed(a)
