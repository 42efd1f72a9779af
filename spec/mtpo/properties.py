"""MTPO: what holds in every reachable state, and the lemmas that make it inductive."""

from __future__ import annotations

import itertools

from mtpo.spec.language import FALSE, Bool, conj, disj, exists, forall, implies, ite
from mtpo.spec.mtpo.model import (
    Agent,
    Call,
    Object,
    aborted,
    author,
    base,
    by,
    committed,
    conflict,
    feeds,
    finished,
    follows,
    global_quiet,
    holder,
    idle,
    invertible,
    issued,
    kept,
    landed,
    launched,
    lies_below,
    live,
    live_write,
    locked,
    member,
    mtpo,
    note,
    opened,
    origin,
    orphan,
    ours,
    pending,
    quiet,
    reads,
    replay,
    retracting,
    saw,
    sighted,
    source,
    top,
    tops,
    touches,
    undoer,
    unlike,
    unsettled,
    value,
    void,
    withdrawn,
    writes,
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


@mtpo.invariant("mtpo.notified-serializable")
def notified_serializable() -> Bool:
    "At GlobalQuiet the run satisfies the equations of the serial run of its live calls, which have no other solution."
    # Each call goes by the value that the greatest live write below it left, and each object holds that of the greatest
    # of all. By induction over the order of calls the serial run is the only solution, a call's effect being a function
    # of what it read (A2, mtpo.effects-exact) and its author's part of it right (A1, A3). Where an author declared a
    # predicate, A3 says that it would have done the same for every value of which that is true. In spec/serial.py these
    # are formulas, and that the serial run ends in the same state is a theorem.
    return implies(
        global_quiet(),
        conj(
            forall(
                Call,
                Object,
                lambda p, o: implies(
                    sighted(p) & reads(p, o),
                    conj(
                        ~unlike(p, o, saw(p, o), value(source(p, o), o)),
                        live_write(source(p, o), o) & (source(p, o) < p),
                        forall(Call, lambda w: implies(live_write(w, o) & (w < p), w <= source(p, o))),
                    ),
                ),
            ),
            forall(Object, lambda o: live_write(top(o), o)),
            forall(Call, Object, lambda w, o: implies(live_write(w, o), w <= top(o))),
        ),
    )


@mtpo.invariant("mtpo.filtered-read")
def filtered_read() -> Bool:
    "The source of what an author reasons from is the greatest live write below its call."
    return conj(
        forall(
            Call,
            Object,
            lambda p, o: implies(sighted(p) & reads(p, o), live_write(source(p, o), o) & (source(p, o) < p)),
        ),
        forall(
            Call,
            Call,
            Object,
            lambda p, w, o: implies(sighted(p) & reads(p, o) & live_write(w, o) & (w < p), w <= source(p, o)),
        ),
    )


@mtpo.invariant("mtpo.premise-fresh-or-notified")
def premise_fresh_or_notified() -> Bool:
    "What an author reasons from is the value at its position or, by its predicate, as good; or it is notified."
    # Always, but above an open repair, which judges at its end.
    return forall(
        Call,
        Object,
        lambda p, o: implies(
            sighted(p) & reads(p, o) & ~note(p) & ~orphan(p) & ~unsettled(p, o),
            ~unlike(p, o, saw(p, o), value(source(p, o), o)),
        ),
    )


@mtpo.invariant("mtpo.effects-exact")
def effects_exact() -> Bool:
    "The effect of a live call is of exactly the values at its position: a predicate waives what is told, nothing else."
    return forall(
        Call,
        Object,
        lambda c, o: implies(
            live(c) & reads(c, o) & (~member(c) | landed(undoer(c))),
            saw(c, o) == value(source(c, o), o),
        ),
    )


@mtpo.invariant("mtpo.failures-exact")
def failures_exact() -> Bool:
    "What made a call fail is exactly the value at its position, or its author is notified: no predicate waives it."
    # The tool would fail again (A2) of the same value, not of every value that its author accepts.
    return conj(
        forall(Call, lambda p: implies(void(p), withdrawn(p))),
        forall(
            Call,
            Object,
            lambda p, o: implies(
                void(p) & sighted(p) & reads(p, o) & ~note(p) & ~unsettled(p, o), saw(p, o) == value(source(p, o), o)
            ),
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


@mtpo.invariant("mtpo.abort-undone")
def abort_undone() -> Bool:
    "When an aborted agent commits nothing of it is in place but what its last call without an inverse made final."
    return forall(
        Call,
        lambda c: implies((c != origin()) & aborted(author(c)) & committed(author(c)) & live(c), kept(c)),
    )


@mtpo.invariant("mtpo.no-lost-call")
def no_lost_call() -> Bool:
    "An accepted call is exactly one: live, pending in an open repair, withdrawn, under way, or a read (or forgotten)."

    # A call that is being retracted is live until it is out. A read has no state of its own: it is none of the others;
    # an abort forgets it.
    def stands(c: Call) -> tuple[Bool, ...]:
        return live(c), pending(c), withdrawn(c), opened(c) & ~retracting(c) & ~landed(c)

    return forall(
        Call,
        lambda c: conj(
            *(~(one & other) for one, other in itertools.combinations(stands(c), 2)),
            implies(
                issued(c) & ~disj(*stands(c)),
                (sighted(c) | aborted(author(c))) & forall(Object, lambda o: ~writes(c, o)),
            ),
            implies(pending(c), opened(undoer(c)) & (undoer(c) < c)),
        ),
    )


@mtpo.invariant("mtpo.locks-held")
def locks_held() -> Bool:
    "An open repair has all that its call and its members touch to itself; nothing is locked without one."
    return conj(
        forall(Call, Object, lambda c, o: implies(opened(c) & touches(c, o), holder(o) == c)),
        forall(Call, Object, lambda m, o: implies(member(m) & touches(m, o), holder(o) == undoer(m))),
        forall(Object, lambda o: implies(locked(o), opened(holder(o)))),
    )


@mtpo.invariant("mtpo.locks-needed")
def locks_needed() -> Bool:
    "A repair locks nothing but what its call or one of its members touches: the rest need not wait for it."
    return forall(
        Object,
        lambda o: implies(
            locked(o), touches(holder(o), o) | exists(Call, lambda m: (undoer(m) == holder(o)) & touches(m, o))
        ),
    )


@mtpo.invariant("mtpo.position-defined")
def position_defined() -> Bool:
    "Below every call there is a greatest live write on each object that it touches: a read is always of something."

    def is_something(c: Call, o: Object) -> Bool:
        return exists(Call, lambda w: lies_below(w, c, o) & tops(w, c, o))

    return conj(
        forall(Call, Object, lambda c, o: implies(reads(c, o), is_something(c, o))),
        forall(Call, Object, lambda c, o: implies((c != origin()) & writes(c, o), is_something(c, o))),
    )


# -- who has to wait, and for whom: else the step can be taken, whatever guard it has ---------------------------------


def waits(a: Agent) -> Bool:
    """a has a call under way, or has not been told all."""
    return ~quiet(a) | exists(Call, lambda c: by(c, a) & opened(c))


def to_be_issued(c: Call) -> Bool:
    """c is a call that its author, which is at work, has not made and may make now."""
    later = forall(Call, lambda d: implies(issued(d) & by(d, author(c)), d < c))
    return conj(c != origin(), launched(author(c)) & ~finished(author(c)) & ~waits(author(c)), later)


def gated(c: Call) -> Bool:
    """c has no inverse, and somebody below its author has not committed."""
    return ~invertible(c) & exists(Agent, lambda b: (b < author(c)) & ~committed(b))


def touched_from(c: Call, o: Object) -> Bool:
    """c, or something live that lies above it, touches o: what a repair of c may need at most."""
    return touches(c, o) | exists(Call, lambda m: live(m) & (c < m) & touches(m, o))


def ours_from(c: Call) -> Bool:
    """Nothing that c or what is live above it touches was changed without a tool."""
    return ours(c) & forall(Call, lambda m: implies(live(m) & (c < m), ours(m)))


def taken_out(c: Call) -> Bool:
    """c can be taken out, with all that lies above it undone for it."""
    return mtpo.enabled("retract", c, members=lambda m: live(m) & (c < m), locks=lambda o: touched_from(c, o))


@mtpo.invariant("mtpo.no-wait-for-successors", derived=True)
def no_wait_for_successors() -> Bool:
    "To read what was kept and to be told an agent waits for no repair but a lower-ranked one, or its own: else it can."

    # Of its own repairs a note waits for a retraction alone: what it puts in lies above all that it is told of.
    def reads_now(c: Call) -> Bool:
        asked = to_be_issued(c) & forall(Object, lambda o: ~writes(c, o))
        held_above = forall(Object, lambda o: implies(reads(c, o) & locked(o), author(c) < author(holder(o))))
        served = forall(
            Object, lambda o: implies(reads(c, o), exists(Call, lambda w: lies_below(w, c, o) & tops(w, c, o)))
        )
        return implies(asked & held_above, served & mtpo.enabled("read", c))

    def told_now(a: Agent) -> Bool:
        held_above = forall(
            Call,
            Object,
            lambda c, o: implies(
                by(c, a) & touches(c, o) & locked(o),
                (a < author(holder(o))) | ((author(holder(o)) == a) & ~retracting(holder(o))),
            ),
        )
        return implies(~quiet(a) & held_above, mtpo.enabled("reopen", a) | mtpo.enabled("deliver", a))

    return forall(Call, reads_now) & forall(Agent, told_now)


@mtpo.invariant("mtpo.agents-go-on", derived=True)
def agents_go_on() -> Bool:
    "To enter, complete and commit an agent waits for lower ranks, its own repairs and what it is told; for no other."
    return forall(
        Agent,
        lambda a: conj(
            implies(~launched(a) & forall(Agent, lambda b: implies(b < a, launched(b))), mtpo.enabled("launch", a)),
            implies(launched(a) & ~finished(a) & ~waits(a), mtpo.enabled("finish", a)),
            implies(
                conj(
                    finished(a) & ~committed(a) & ~waits(a),
                    forall(Agent, lambda b: implies(b < a, committed(b))),
                    forall(Call, lambda c: implies(by(c, a), ~(live(c) & orphan(c)) & ~pending(c))),
                ),
                mtpo.enabled("commit", a),
            ),
        ),
    )


@mtpo.invariant("mtpo.writes-go-on", derived=True)
def writes_go_on() -> Bool:
    "A write that is not late waits for the gate, if it has no inverse, and for who holds what it touches: else it can."

    def acts_now(c: Call) -> Bool:
        unheld = forall(Object, lambda o: implies(touches(c, o), ~locked(o)))
        late = exists(Call, Object, lambda w, o: live(w) & (c < w) & conflict(c, w, o))
        begins = mtpo.enabled("call", c, members=lambda m: FALSE, locks=lambda o: touches(c, o))
        return implies(to_be_issued(c) & ~gated(c) & unheld & ours(c) & ~late, begins)

    return forall(Call, acts_now)


@mtpo.invariant("mtpo.late-writes-go-on", derived=True)
def late_writes_go_on() -> Bool:
    "A write may be late: between repairs it begins, whatever has come above it, if that is of tools alone."

    def acts_now(c: Call) -> Bool:
        begins = mtpo.enabled("call", c, members=lambda m: live(m) & (c < m), locks=lambda o: touched_from(c, o))
        return implies(to_be_issued(c) & ~gated(c) & ours_from(c), begins)

    return implies(forall(Call, lambda c: ~opened(c)), forall(Call, acts_now))


@mtpo.invariant("mtpo.may-give-up", derived=True)
def may_give_up() -> Bool:
    "Between its calls an agent may abort, and until it finishes take back a call of its own, if nobody else acts."

    def gives_up(a: Agent) -> Bool:
        return implies(launched(a) & ~committed(a) & ~aborted(a) & idle(a), mtpo.enabled("abort", a))

    def takes_back(c: Call) -> Bool:
        own = (c != origin()) & live(c) & ~finished(author(c)) & quiet(author(c)) & ~kept(c)
        return implies(own & ours_from(c), taken_out(c))

    between = forall(Call, lambda c: ~opened(c))
    return forall(Agent, gives_up) & implies(between, forall(Call, takes_back))


@mtpo.invariant("mtpo.repairs-go-on", derived=True)
def repairs_go_on() -> Bool:
    "A repair waits for nobody: unless its objects were changed without a tool, it has a step to take until it ends."

    def all_undone(c: Call) -> Bool:
        return forall(Call, lambda m: implies(undoer(m) == c, ~live(m)))

    def undoes(m: Call) -> Bool:
        greatest = forall(Call, lambda w: implies((undoer(w) == undoer(m)) & live(w), w <= m))
        return implies(member(m) & live(m) & ~landed(undoer(m)) & greatest & ours(m), mtpo.enabled("undone", m))

    def lands(c: Call) -> Bool:
        lands = ite(retracting(c), mtpo.enabled("retracted", c), mtpo.enabled("applied", c) & mtpo.enabled("failed", c))
        return implies(opened(c) & ~landed(c) & all_undone(c) & ours(c), lands)

    def resolves(m: Call) -> Bool:
        least = forall(Call, lambda w: implies((undoer(w) == undoer(m)) & pending(w), m <= w))
        again = mtpo.enabled("redone", m) | ~replay() | aborted(author(m)) | ~least | ~ours(m)
        out = mtpo.enabled("cancelled", m) | replay()
        return implies(pending(m) & landed(undoer(m)), again & out & mtpo.enabled("stranded", m))

    def closes(c: Call) -> Bool:
        left = exists(Call, lambda m: (undoer(m) == c) & pending(m))
        return implies(landed(c) & ~left, mtpo.enabled("settle", c))

    return conj(forall(Call, undoes), forall(Call, lands), forall(Call, resolves), forall(Call, closes))


@mtpo.invariant("mtpo.no-deadlock", derived=True)
def no_deadlock() -> Bool:
    "Between repairs the least agent that has not committed has a step to take, unless a change by hand is in the way."

    def least(a: Agent) -> Bool:
        return launched(a) & ~committed(a) & forall(Agent, lambda b: implies(b < a, committed(b)))

    def to_retract(c: Call) -> Bool:
        return (c != origin()) & live(c) & orphan(c)

    def goes_on(a: Agent) -> Bool:
        last = finished(a) & quiet(a) & forall(Call, lambda c: ~(by(c, a) & to_retract(c)))
        return conj(
            implies(~quiet(a), mtpo.enabled("reopen", a) | mtpo.enabled("deliver", a)),
            implies(~finished(a) & quiet(a), mtpo.enabled("finish", a)),
            implies(last, mtpo.enabled("commit", a)),
            forall(Call, lambda c: implies(by(c, a) & to_retract(c) & ours_from(c), taken_out(c))),
        )

    between = forall(Call, lambda c: ~opened(c))
    return implies(between, forall(Agent, lambda a: implies(least(a), goes_on(a))))


@mtpo.invariant("mtpo.undo-enabled")
def undo_enabled() -> Bool:
    "Whatever lies on top of a live member is a member: the greatest live member can always be undone."
    return forall(
        Call,
        Object,
        lambda m, o: implies(
            member(m) & ~landed(undoer(m)) & live_write(m, o) & (top(o) != m),
            (undoer(top(o)) == undoer(m)) & live(top(o)) & (m < top(o)),
        ),
    )


# -- lemmas --------------------------------------------------------------------------------------------------------


@mtpo.lemma("mtpo.lemma-agents")
def lemma_agents() -> Bool:
    "Finished agents were launched; issued calls have launched authors; the origin is always live and silent."
    return conj(
        forall(Agent, lambda a: implies(finished(a), launched(a))),
        forall(Agent, lambda a: implies(aborted(a), finished(a))),
        forall(Call, lambda c: implies(issued(c) & (c != origin()), launched(author(c)))),
        live(origin()) & issued(origin()) & ~note(origin()) & ~sighted(origin()) & ~opened(origin()),
    )


@mtpo.lemma("mtpo.lemma-issued")
def lemma_issued() -> Bool:
    "Only issued calls have any other status; who made a call and acts has seen what came of it."
    return forall(
        Call,
        lambda c: conj(
            implies(live(c) | pending(c) | withdrawn(c) | sighted(c) | note(c), issued(c)),
            implies((live(c) | pending(c)) & (c != origin()), sighted(c)),
            implies(withdrawn(c) & ~aborted(author(c)), sighted(c)),
            implies(note(c), sighted(c) | withdrawn(c)),
        ),
    )


@mtpo.lemma("mtpo.lemma-repair")
def lemma_repair() -> Bool:
    "Members lie above the call whose repair undoes them and are invertible; what is pending is a member."
    return conj(
        forall(
            Call,
            lambda m: implies(
                member(m),
                conj(
                    opened(undoer(m)) & (undoer(m) < m),
                    invertible(m) & (live(m) | pending(m) | withdrawn(m)) & ~opened(m),
                ),
            ),
        ),
        forall(Call, lambda m: implies(pending(m), member(m))),
        forall(Call, lambda c: implies(landed(c) | retracting(c), opened(c))),
        forall(
            Call,
            Call,
            lambda m, w: implies(
                member(m) & (undoer(m) == undoer(w)) & landed(undoer(m)) & live(m) & pending(w), m < w
            ),
        ),
    )


@mtpo.lemma("mtpo.lemma-acting")
def lemma_acting() -> Bool:
    "An agent has one repair open at most; the call is its newest, and it is at work; or the call is to be retracted."
    return conj(
        forall(
            Call,
            Call,
            lambda c, d: implies(opened(c) & opened(d) & (author(c) == author(d)), c == d),
        ),
        forall(
            Call,
            lambda c: implies(opened(c), (c != origin()) & issued(c) & ~committed(author(c)) & ~pending(c)),
        ),
        forall(
            Call,
            lambda c: implies(
                opened(c) & ~retracting(c),
                conj(
                    launched(author(c)) & ~finished(author(c)),
                    forall(Call, lambda d: implies(issued(d) & by(d, author(c)), d <= c)),
                    implies(~landed(c), ~live(c) & ~sighted(c) & ~withdrawn(c)),
                    forall(Agent, lambda b: implies(~invertible(c) & (b < author(c)), committed(b))),
                    implies(~invertible(c), quiet(author(c))),
                ),
            ),
        ),
    )


@mtpo.lemma("mtpo.lemma-retracting")
def lemma_retracting() -> Bool:
    "A call to be retracted is live until it is out, and nothing of its author from then on is without an inverse."
    return forall(
        Call,
        lambda c: implies(
            retracting(c),
            conj(
                ite(landed(c), withdrawn(c), live(c) & sighted(c)),
                aborted(author(c)) | ~finished(author(c)),
                forall(Call, lambda d: implies(by(d, author(c)) & (c <= d) & (live(d) | pending(d)), invertible(d))),
            ),
        ),
    )


@mtpo.lemma("mtpo.lemma-aborted")
def lemma_aborted() -> Bool:
    "An aborted agent is told nothing, and reasons from nothing but what it did and is still there."
    return forall(
        Call,
        lambda c: implies(
            (c != origin()) & aborted(author(c)), ~note(c) & ~void(c) & implies(sighted(c), live(c) | pending(c))
        ),
    )


@mtpo.invariant("mtpo.final-told")
def final_told() -> Bool:
    "Who made a call without an inverse knew all there was to know: nothing up to it has anything to be told any more."
    return forall(Call, lambda c: implies((c != origin()) & kept(c), ~note(c)))


@mtpo.lemma("mtpo.lemma-closed")
def lemma_closed() -> Bool:
    "The set of an open repair stays closed and contains every live call above that conflicts with its call."
    return conj(
        forall(
            Call,
            Call,
            Object,
            lambda c, w, o: implies(
                opened(c) & live(w) & (c < w) & (feeds(c, w, o) | (~retracting(c) & conflict(c, w, o))),
                undoer(w) == c,
            ),
        ),
        forall(
            Call,
            Call,
            Object,
            lambda m, w, o: implies(member(m) & live(w) & (m < w) & follows(m, w, o), undoer(w) == undoer(m)),
        ),
    )
