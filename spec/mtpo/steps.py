"""MTPO: what holds of every step, what must be reachable, and what decreases."""

from __future__ import annotations

from mtpo.spec.language import Bool, conj, exists, forall, iff, implies
from mtpo.spec.mtpo.model import (
    Agent,
    Call,
    Object,
    aborted,
    author,
    base,
    by,
    committed,
    finished,
    foreign,
    global_quiet,
    holder,
    invertible,
    issued,
    landed,
    launched,
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
    retracting,
    saw,
    sighted,
    source,
    top,
    touches,
    undoer,
    unlike,
    unsettled,
    value,
    void,
    withdrawn,
    writes,
)
from mtpo.spec.trajectory import one_step

# -- properties of steps -------------------------------------------------------------------------------------------


@mtpo.step_property("mtpo.one-way")
def one_way() -> Bool:
    "The repair that tells is of a lower-ranked call, or of an earlier one of the told author's own, being retracted."
    # What tells is the repair that has undone the call, or one that closes and has an object that the call read.
    return forall(
        Call,
        lambda p: implies(
            note.next(p) & ~note(p),
            exists(
                Call,
                lambda c: conj(
                    opened(c) & (c < p),
                    (author(c) < author(p)) | (retracting(c) & (author(c) == author(p))),
                    (undoer(p) == c)
                    | (~opened.next(c) & exists(Object, lambda o: sighted(p) & reads(p, o) & (holder(o) == c))),
                ),
            ),
        ),
    )


@mtpo.step_property("mtpo.consumed-before-action")
def consumed_before_action() -> Bool:
    "An agent acts, and finishes, only when it has consumed every notification; it consumes them while at work."
    return conj(
        forall(Call, lambda c: implies(issued.next(c) & ~issued(c), quiet(author(c)) & ~finished(author(c)))),
        forall(Agent, lambda a: implies(finished.next(a) & ~finished(a), quiet(a) | aborted.next(a))),
        forall(Call, lambda c: implies(note(c) & ~note.next(c), ~finished(author(c)) | aborted.next(author(c)))),
    )


@mtpo.step_property("mtpo.retract-by-author")
def retract_by_author() -> Bool:
    "A call is retracted by its author, at work and with nothing left to be told, or because its author has aborted."
    return forall(
        Call,
        lambda c: implies(
            retracting.next(c) & ~retracting(c), aborted(author(c)) | (~finished(author(c)) & quiet(author(c)))
        ),
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
    return forall(
        Call,
        lambda w: implies(withdrawn.next(w) & ~withdrawn(w), note.next(w) | opened(w) | aborted(author(w))),
    )


@mtpo.step_property("mtpo.failure-is-a-premise")
def failure_is_a_premise() -> Bool:
    "A call that fails, or is taken back, is still a sight of what it read: its author goes by it, as long as it acts."
    # It fails where its own repair, if that puts it in, withdraws it; and has failed until its author is told more.
    return forall(
        Call,
        lambda w: conj(
            implies(withdrawn.next(w) & ~withdrawn(w), iff(sighted.next(w), ~aborted(author(w)))),
            iff(
                void.next(w),
                (withdrawn.next(w) & ~withdrawn(w) & opened(w) & ~retracting(w))
                | (void(w) & ~(note(w) & ~note.next(w)) & ~aborted.next(author(w))),
            ),
        ),
    )


@mtpo.step_property("mtpo.outcome-as-seen")
def outcome_as_seen() -> Bool:
    "As long as a call is live, or has failed, what its author saw of it is what it acted on, or failed of."
    return forall(
        Call,
        Object,
        lambda c, o: implies(
            (live(c) & live.next(c)) | (void(c) & void.next(c) & sighted.next(c)),
            implies(reads(c, o), saw.next(c, o) == saw(c, o)) & (value.next(c, o) == value(c, o)),
        ),
    )


@mtpo.step_property("mtpo.redo-told")
def redo_told() -> Bool:
    "When a redo leaves another value, or goes by another input and no predicate waives that, the author is notified."
    return forall(
        Call,
        Object,
        lambda w, o: implies(
            pending(w)
            & live.next(w)
            & (
                (writes(w, o) & (value.next(w, o) != value(w, o)))
                | (reads(w, o) & unlike(w, o, saw(w, o), saw.next(w, o)))
            ),
            note.next(w),
        ),
    )


@mtpo.step_property("mtpo.told-only-of-change")
def told_only_of_change() -> Bool:
    "Nobody is notified but of a call withdrawn, another result, or an input that has changed and no predicate waives."
    return forall(
        Call,
        lambda p: implies(
            note.next(p) & ~note(p),
            withdrawn.next(p)
            | exists(
                Object,
                lambda o: (
                    (writes(p, o) & (value.next(p, o) != value(p, o)))
                    | (reads(p, o) & unlike(p, o, saw(p, o), value.next(source.next(p, o), o)))
                ),
            ),
        ),
    )


@mtpo.step_property("mtpo.told-when-settled")
def told_when_settled() -> Bool:
    "Nobody is told of what a repair holds that is still open, but of a call of one's own that it redoes or withdraws."
    return forall(
        Call,
        lambda p: implies(
            note.next(p) & ~note(p),
            (pending(p) & ~pending.next(p))
            | exists(
                Object,
                lambda o: (
                    (holder.next(o) == origin())
                    & sighted(p)
                    & reads(p, o)
                    & unlike(p, o, saw(p, o), value.next(source.next(p, o), o))
                ),
            ),
        ),
    )


@mtpo.step_property("mtpo.read-levels")
def read_levels() -> Bool:
    "However a read is served, from what was kept or by undoing what is above it, it gets the value at its position."
    # What that is, the greatest live write below the call, is for mtpo.filtered-read to say.
    return forall(
        Call,
        Object,
        lambda p, o: implies(
            sighted.next(p) & ~sighted(p) & reads(p, o),
            saw.next(p, o) == value.next(source.next(p, o), o),
        ),
    )


@mtpo.step_property("mtpo.withdrawn-after-landing")
def withdrawn_after_landing() -> Bool:
    "No undone call is withdrawn before the call that displaced it has landed."
    return forall(Call, lambda w: implies(withdrawn.next(w) & ~withdrawn(w), opened(w) | landed(undoer(w))))


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


@mtpo.step_property("mtpo.trajectory-steps")
def trajectory_steps() -> Bool:
    "A step puts one call on top of all that it writes, takes one off, or leaves the trajectories as they are."
    return one_step(Call, Object, writes=writes, live=live, top=top, base=base, value=value)


@mtpo.step_property("mtpo.undo-for-lower")
def undo_for_lower() -> Bool:
    "Only a lower-ranked call undoes a call, or its own author who retracts; never one of a committed agent."
    return forall(
        Call,
        lambda w: implies(
            live(w) & ~live.next(w),
            conj(
                ~committed(author(w)),
                (opened(w) & retracting(w))
                | (
                    member(w)
                    & ((author(undoer(w)) < author(w)) | (retracting(undoer(w)) & (author(undoer(w)) == author(w))))
                ),
            ),
        ),
    )


@mtpo.step_property("mtpo.aborted-act-no-more")
def aborted_act_no_more() -> Bool:
    "No call of an aborted agent takes effect, not again either; it can only be taken out."
    return forall(Call, lambda c: implies(aborted(author(c)) & live.next(c), live(c)))


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
    "Nobody sees the middle of a repair: no call begins on what it holds, no note about it is read, its author waits."
    # Who lies below a repair sees nothing of it (mtpo.moved-from-below): it reads, and is told, meanwhile.
    return conj(
        forall(
            Call,
            Object,
            lambda p, o: implies(
                issued.next(p) & ~issued(p) & touches(p, o),
                ~unsettled(p, o) & implies(opened.next(p) | writes(p, o), ~locked(o)),
            ),
        ),
        forall(
            Call,
            Object,
            lambda p, o: implies(note(p) & ~note.next(p) & touches(p, o), ~unsettled(p, o) | aborted.next(author(p))),
        ),
        forall(
            Call,
            Object,
            lambda p, o: implies(
                sighted(p) & reads(p, o) & (saw.next(p, o) != saw(p, o)), ~unsettled(p, o) | pending(p)
            ),
        ),
        forall(Call, Object, lambda p, o: implies(sighted.next(p) & ~sighted(p) & reads(p, o), ~unsettled(p, o))),
        forall(
            Call,
            lambda c: implies(
                opened(c),
                iff(finished(author(c)), finished.next(author(c)))
                & iff(committed(author(c)), committed.next(author(c)))
                & iff(aborted(author(c)), aborted.next(author(c))),
            ),
        ),
    )


@mtpo.step_property("mtpo.moved-from-below")
def moved_from_below() -> Bool:
    "The value at a position, and the write that left it, change in a repair from below alone: none waits for another."
    return forall(
        Call,
        Object,
        lambda p, o: implies(
            sighted(p) & sighted.next(p) & reads(p, o) & ~unsettled(p, o),
            (source.next(p, o) == source(p, o)) & (value.next(source.next(p, o), o) == value(source(p, o), o)),
        ),
    )


@mtpo.step_property("mtpo.foreign-untouched")
def foreign_untouched() -> Bool:
    "What somebody changed without a tool is not read into an effect, not overwritten and not undone; nor is it begun."
    return conj(
        forall(Call, lambda w: implies(live(w) & ~live.next(w), ours(w))),
        forall(Call, lambda w: implies(~live(w) & live.next(w), ours(w))),
        forall(
            Call,
            Call,
            lambda c, m: implies(~opened(c) & opened.next(c) & ((undoer.next(m) == c) | (m == c)), ours(m)),
        ),
        forall(Object, lambda o: implies(foreign(o), foreign.next(o))),
    )


@mtpo.step_property("mtpo.settled-told")
def settled_told() -> Bool:
    "When a repair closes, who has a premise that is not the value at its position, nor waived, is notified."
    return forall(
        Call,
        Call,
        Object,
        lambda c, p, o: implies(
            (holder(o) == c) & opened(c) & ~opened.next(c) & sighted.next(p) & reads(p, o) & ~note.next(p) & ~orphan(p),
            ~unlike(p, o, saw.next(p, o), value.next(source.next(p, o), o)),
        ),
    )


# -- what must be possible -----------------------------------------------------------------------------------------


@mtpo.reachable("mtpo.reach-redone-otherwise")
def reach_redone_otherwise() -> Bool:
    "A call was undone and redone, and its author must be told."
    return exists(Call, lambda w: member(w) & landed(undoer(w)) & live(w) & note(w))


@mtpo.reachable("mtpo.reach-withdrawn")
def reach_withdrawn() -> Bool:
    "A call was withdrawn and its author told."
    return exists(Call, lambda w: withdrawn(w) & ~note(w) & ~opened(w))


@mtpo.reachable("mtpo.reach-stale-reader")
def reach_stale_reader() -> Bool:
    "A reader that writes nothing, and is not taken back, is notified: a premise of it has changed."
    return exists(Call, lambda p: note(p) & sighted(p) & ~withdrawn(p) & forall(Object, lambda o: ~writes(p, o)))


@mtpo.reachable("mtpo.reach-read-by-undo")
def reach_read_by_undo() -> Bool:
    "A call that writes nothing has undone what is above it and read; the rest is still to be redone."
    return exists(
        Call,
        Call,
        lambda c, m: (
            opened(c) & landed(c) & live(c) & forall(Object, lambda o: ~writes(c, o)) & pending(m) & (undoer(m) == c)
        ),
    )


@mtpo.reachable("mtpo.reach-waived")
def reach_waived() -> Bool:
    "All is quiet, and a reader goes by a value that is not there any more: its predicate is true of the new one too."
    return global_quiet() & exists(
        Call, Object, lambda p, o: sighted(p) & reads(p, o) & (saw(p, o) != value(source(p, o), o))
    )


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


@mtpo.reachable("mtpo.reach-two-repairs")
def reach_two_repairs() -> Bool:
    "Two repairs are open at once."
    return exists(Call, Call, lambda c, d: opened(c) & opened(d) & (c != d))


@mtpo.reachable("mtpo.reach-aborted")
def reach_aborted() -> Bool:
    "An agent aborts after a write and commits empty; who had built on the write was told."
    return exists(
        Agent, Call, lambda a, c: aborted(a) & committed(a) & by(c, a) & withdrawn(c) & exists(Call, lambda p: note(p))
    )


@mtpo.reachable("mtpo.reach-foreign")
def reach_foreign() -> Bool:
    "The rest of a run goes on beside an object that somebody changed."
    return exists(Object, lambda o: foreign(o)) & exists(Agent, lambda a: committed(a))


@mtpo.reachable("mtpo.reach-kept")
def reach_kept() -> Bool:
    "An aborted agent leaves a call behind that nobody can take back."
    return exists(Agent, Call, lambda a, c: aborted(a) & committed(a) & by(c, a) & live(c))


# -- every run ends: what is taken finitely often bounds the next, in this order --------------------------------------


@mtpo.variant("mtpo.calls-run-out", Call, decreases=("read", "call"))
def calls_run_out(x: Call) -> tuple[Bool, ...]:
    "Every call is issued once."
    return (~issued(x),)


@mtpo.variant("mtpo.retractions-run-out", Call, decreases=("retract",))
def retractions_run_out(x: Call) -> tuple[Bool, ...]:
    "A call is taken out once."
    return (~withdrawn(x) & ~retracting(x),)


@mtpo.variant(
    "mtpo.repair-ends",
    Call,
    decreases=("undone", "applied", "failed", "retracted", "redone", "cancelled", "stranded", "settle"),
    raised_by=("call", "retract"),
)
def repair_ends(x: Call) -> tuple[Bool, ...]:
    "A repair ends: first its members are undone, then its call lands, then the undone ones are resolved."
    return (
        opened(x) & ~landed(x),
        live(x) & member(x) & ~landed(undoer(x)),
        pending(x),
        opened(x),
    )


@mtpo.variant("mtpo.withdrawals-end", Call, decreases=("failed", "retracted", "cancelled", "stranded"))
def withdrawals_end(x: Call) -> tuple[Bool, ...]:
    "What is withdrawn is withdrawn for good: there are no more withdrawals than calls."
    return (~withdrawn(x),)


@mtpo.variant(
    "mtpo.notes-consumed",
    Call,
    decreases=("reopen", "deliver"),
    raised_by=("redone", "cancelled", "stranded", "settle"),
)
def notes_consumed(x: Call) -> tuple[Bool, ...]:
    "Notifications are used up: a finished agent reopens, then consumes. Only repairs make new ones."
    return note(x) & finished(author(x)), note(x)


@mtpo.variant("mtpo.agents-advance", Agent, decreases=("launch", "abort", "finish", "commit"), raised_by=("reopen",))
def agents_advance(a: Agent) -> tuple[Bool, ...]:
    "Agents launch, finish and commit, or abort and commit, each once unless it reopens."
    return ~launched(a), ~aborted(a), ~finished(a), ~committed(a)


@mtpo.ends("mtpo.no-livelock", but=("external",))
def no_livelock() -> None:
    "No run goes on for ever, whoever is told of what and however often: so many calls allow so many steps."
