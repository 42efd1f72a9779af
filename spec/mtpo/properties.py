"""MTPO: what holds in every reachable state, and the lemmas that make it inductive."""

from __future__ import annotations

from mtpo.spec.language import Bool, conj, forall, implies, ite
from mtpo.spec.mtpo.model import (
    Agent,
    Call,
    Object,
    aborted,
    acting,
    author,
    base,
    busy,
    by,
    committed,
    conflict,
    feeds,
    finished,
    follows,
    global_quiet,
    invertible,
    issued,
    kept,
    landed,
    launched,
    live,
    live_write,
    member,
    mtpo,
    note,
    origin,
    orphan,
    pending,
    quiet,
    reads,
    retracting,
    saw,
    sighted,
    source,
    top,
    value,
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
    # of what it read (A2) and its author's part of it right (A1, A3).
    return implies(
        global_quiet(),
        conj(
            forall(
                Call,
                Object,
                lambda p, o: implies(
                    sighted(p) & reads(p, o),
                    conj(
                        saw(p, o) == value(source(p, o), o),
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
            sighted(p) & reads(p, o) & ~note(p) & ~orphan(p) & (~busy() | (p <= acting())),
            saw(p, o) == value(source(p, o), o),
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
    "Every accepted call is a read (which an abort forgets), under way, live, pending, or withdrawn: exactly one."
    return forall(
        Call,
        lambda c: conj(
            implies(
                issued(c),
                live(c)
                | pending(c)
                | withdrawn(c)
                | (busy() & ~landed() & (acting() == c))
                | ((sighted(c) | aborted(author(c))) & forall(Object, lambda o: ~writes(c, o))),
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


# -- lemmas --------------------------------------------------------------------------------------------------------


@mtpo.lemma("mtpo.lemma-agents")
def lemma_agents() -> Bool:
    "Finished agents were launched; issued calls have launched authors; the origin is always live and silent."
    return conj(
        forall(Agent, lambda a: implies(finished(a), launched(a))),
        forall(Agent, lambda a: implies(aborted(a), finished(a))),
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
        implies(landed() | retracting(), busy()),
        implies(~busy(), acting() == origin()),
        implies(landed(), forall(Call, Call, lambda m, w: implies(member(m) & live(m) & pending(w), m < w))),
    )


@mtpo.lemma("mtpo.lemma-acting")
def lemma_acting() -> Bool:
    "The acting call is the newest of its author, who is at work and has nothing to be told; or it is to be retracted."
    return implies(
        busy(),
        conj(
            acting() != origin(),
            issued(acting()),
            ~committed(author(acting())),
        ),
    ) & implies(
        busy() & ~retracting(),
        conj(
            launched(author(acting())) & ~finished(author(acting())),
            quiet(author(acting())),
            forall(Call, lambda d: implies(issued(d) & by(d, author(acting())), d <= acting())),
            implies(~landed(), ~live(acting()) & ~sighted(acting()) & ~withdrawn(acting()) & ~pending(acting())),
            forall(Agent, lambda b: implies(~invertible(acting()) & (b < author(acting())), committed(b))),
        ),
    )


@mtpo.lemma("mtpo.lemma-retracting")
def lemma_retracting() -> Bool:
    "A call to be retracted is live until it is out, and nothing of its author from then on is without an inverse."
    return implies(
        retracting(),
        conj(
            ite(landed(), withdrawn(acting()), live(acting()) & sighted(acting())),
            ~pending(acting()),
            aborted(author(acting())) | (~finished(author(acting())) & (landed() | quiet(author(acting())))),
            forall(
                Call,
                lambda d: implies(by(d, author(acting())) & (acting() <= d) & (live(d) | pending(d)), invertible(d)),
            ),
        ),
    )


@mtpo.lemma("mtpo.lemma-aborted")
def lemma_aborted() -> Bool:
    "An aborted agent is told nothing, and reasons from nothing but what it did and is still there."
    return forall(
        Call,
        lambda c: implies((c != origin()) & aborted(author(c)), ~note(c) & implies(sighted(c), live(c) | pending(c))),
    )


@mtpo.invariant("mtpo.final-told")
def final_told() -> Bool:
    "Who made a call without an inverse knew all there was to know: nothing up to it has anything to be told any more."
    return forall(Call, lambda c: implies((c != origin()) & kept(c), ~note(c)))


@mtpo.lemma("mtpo.lemma-closed")
def lemma_closed() -> Bool:
    "The set of an open repair stays closed and contains every live call above that conflicts with the acting one."
    return conj(
        forall(
            Call,
            Object,
            lambda w, o: implies(
                busy()
                & live(w)
                & (acting() < w)
                & (feeds(acting(), w, o) | (~retracting() & conflict(acting(), w, o))),
                member(w),
            ),
        ),
        forall(
            Call,
            Call,
            Object,
            lambda m, w, o: implies(member(m) & live(w) & (m < w) & follows(m, w, o), member(w)),
        ),
    )
