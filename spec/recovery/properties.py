"""Crash and recovery: what holds in every reachable state and of every step, and what must be possible."""

from __future__ import annotations

from mtpo.spec.language import Bool, conj, exists, forall, iff, implies, ite
from mtpo.spec.recovery.model import (
    Call,
    Object,
    accepted,
    applied,
    askable,
    at_work,
    base,
    called,
    claimed,
    due,
    due_next,
    everywhere,
    executing,
    failing,
    held,
    hit,
    in_flight,
    invertible,
    left,
    logged,
    origin,
    pre,
    prepared,
    put,
    recovering,
    recovery,
    running,
    to_undo,
    top,
    under_way,
    undoing,
    up,
    writes,
)
from mtpo.spec.trajectory import one_step


@recovery.step_property("recovery.write-ahead")
def write_ahead() -> Bool:
    "An object changes only by a call that the log announces and that says it writes it."
    return forall(
        Object, lambda o: implies(held.next(o) != held(o), exists(Call, lambda c: writes(c, o) & in_flight(c)))
    )


@recovery.invariant("recovery.undo-data-first")
def undo_data_first() -> Bool:
    "From before its effect on, the log has of an invertible call, for each of its objects, what was there before."
    return everywhere(
        lambda c, o: implies(
            invertible(c) & writes(c, o) & (executing(c) | applied(c)),
            prepared(c) & (pre(c, o) == ite(applied(c), left(base(c, o), o), logged(o))),
        )
    )


@recovery.invariant("recovery.atomic")
def atomic() -> Bool:
    "A call that is not in flight is wholly there, if the log says so, or wholly not."
    return everywhere(lambda c, o: implies(writes(c, o) & ~in_flight(c), iff(hit(c, o), applied(c))))


@recovery.invariant("recovery.as-logged")
def as_logged() -> Bool:
    "An object that no call in flight writes holds what the log says; so does every object when recovery is over."
    return forall(
        Object, lambda o: implies(forall(Call, lambda c: implies(writes(c, o), ~in_flight(c))), held(o) == logged(o))
    )


@recovery.step_property("recovery.quiet-after-recovery")
def quiet_after_recovery() -> Bool:
    "When recovery ends nothing is in flight, every object holds what the log says, and every call is there or not."
    return implies(
        recovering() & up.next() & ~recovering.next(),
        conj(
            forall(Call, lambda c: ~in_flight(c)),
            forall(Object, lambda o: held(o) == logged(o)),
            everywhere(lambda c, o: implies(writes(c, o), iff(hit(c, o), applied(c)))),
        ),
    )


@recovery.step_property("recovery.idempotent")
def idempotent() -> Bool:
    "Crash, restart and recovery, as often as it takes, arrive at what the log said first, but for what is answered."
    return forall(
        Object,
        lambda o: implies(
            ~running() | ~up.next(),
            (due(o) == due_next(o))
            | exists(Call, lambda c: writes(c, o) & executing(c) & ~invertible(c) & ~executing.next(c) & hit(c, o)),
        ),
    )


@recovery.step_property("recovery.no-lost-effect")
def no_lost_effect() -> Bool:
    "What the log has as applied stays, unless the log announced its undo; so does what a call without an inverse did."
    return everywhere(
        lambda c, o: conj(
            implies(applied(c) & ~applied.next(c), undoing(c)),
            implies(hit(c, o) & ~hit.next(c, o), invertible(c) & (undoing(c) | executing(c))),
        )
    )


@recovery.step_property("recovery.no-double-effect")
def no_double_effect() -> Bool:
    "A call takes effect on what the log says is there, not on its own remains, and on each object once."
    return everywhere(
        lambda c, o: conj(
            implies(~hit(c, o) & hit.next(c, o), held(o) == logged(o)),
            implies(executing(c) & hit(c, o) & hit.next(c, o), held.next(o) == held(o)),
        )
    )


@recovery.invariant("recovery.fenced")
def fenced() -> Bool:
    "A request that may still take effect is one that the log has as in flight, and has not taken effect."
    return everywhere(lambda c, o: implies(under_way(c), executing(c) & ~invertible(c) & ~hit(c, o)))


@recovery.step_property("recovery.never-guessed")
def never_guessed() -> Bool:
    "The log has a call without an inverse as applied, or as not there, just when its effect is there, or is not."
    return everywhere(
        lambda c, o: implies(
            ~invertible(c) & writes(c, o) & executing(c) & ~executing.next(c), iff(applied.next(c), hit(c, o))
        )
    )


@recovery.step_property("recovery.trajectory-steps")
def trajectory_steps() -> Bool:
    "Whatever phases a call takes, and wherever it dies: for the trajectories, as logged, each is a step as in mtpo."
    return one_step(Call, Object, writes=writes, live=applied, top=top, base=base, value=left)


@recovery.step_property("recovery.from-the-top")
def from_the_top() -> Bool:
    "An inverse runs on an object only when its call came last there, by the log and of those in flight."
    return everywhere(
        lambda c, o: implies(
            put.next(c, o) & ~put(c, o),
            invertible(c)
            & implies(applied(c), top(o) == c)
            & forall(Call, lambda d: implies((c != d) & writes(d, o), ~at_work(d))),
        )
    )


@recovery.step_property("recovery.nothing-new")
def nothing_new() -> Bool:
    "While a runtime recovers nothing is accepted or announced; without a runtime nothing is logged."
    return forall(
        Call,
        lambda c: conj(
            implies(~running(), iff(accepted(c), accepted.next(c))),
            implies(~running() & ~in_flight(c), ~executing.next(c) & ~undoing.next(c)),
            implies(~up(), conj(*(iff(said(c), said.next(c)) for said in (executing, applied, undoing)))),
        ),
    )


@recovery.step_property("recovery.lets-go")
def lets_go() -> Bool:
    "A call that is in flight no more, whichever way it ended, has let go of its objects."
    return forall(Call, lambda c: implies(in_flight(c) & ~executing.next(c) & ~undoing.next(c), ~claimed.next(c)))


@recovery.invariant("recovery.memory-is-lost")
def memory_is_lost() -> Bool:
    "Without a runtime nothing is remembered, and recovery knows what it found out itself."
    return conj(
        implies(recovering(), up()),
        forall(Call, lambda c: implies(~running(), ~claimed(c) & ~called(c))),
        everywhere(lambda c, o: implies(~up(), ~failing(c) & ~put(c, o))),
    )


@recovery.invariant("recovery.never-stuck")
def never_stuck() -> Bool:
    "Whatever is in flight when a runtime recovers has a next step: its inverse, or the question."
    return forall(Call, lambda c: implies(recovering() & in_flight(c), to_undo(c) | (~invertible(c) & askable(c))))


@recovery.lemma("recovery.stages")
def stages() -> Bool:
    "Which of the log's words go together, and what memory knows of them; calls at work have disjoint objects."
    return conj(
        everywhere(
            lambda c, o: forall(
                Call, lambda d: implies((c != d) & writes(c, o) & writes(d, o), ~at_work(c) | ~at_work(d))
            )
        ),
        forall(Call, lambda c: implies(prepared(c) | in_flight(c) | applied(c) | claimed(c), accepted(c))),
        forall(Call, lambda c: implies(undoing(c), applied(c)) & implies(undoing(c) | prepared(c), invertible(c))),
        forall(Call, lambda c: implies(executing(c) | claimed(c), ~applied(c))),
        forall(Call, lambda c: implies(called(c), claimed(c) & executing(c))),
        forall(Call, lambda c: implies(failing(c), executing(c) & invertible(c))),
        forall(Call, lambda c: implies(executing(c) & running(), claimed(c))),
        applied(origin()),
    )


@recovery.lemma("recovery.half-way")
def half_way() -> Bool:
    "What an object of a call in flight holds: what was there before, until the call has reached it."
    return conj(
        everywhere(lambda c, o: implies(writes(c, o) & executing(c) & ~hit(c, o), held(o) == logged(o))),
        everywhere(lambda c, o: implies(writes(c, o) & undoing(c) & hit(c, o), held(o) == left(c, o))),
        everywhere(lambda c, o: implies(writes(c, o) & undoing(c) & ~hit(c, o), held(o) == pre(c, o))),
        everywhere(lambda c, o: implies(put(c, o), writes(c, o) & to_undo(c) & ~hit(c, o))),
        everywhere(lambda c, o: implies(claimed(c) & ~called(c), ~hit(c, o) & ~under_way(c))),
        everywhere(
            lambda c, o: implies(
                prepared(c) & writes(c, o) & up() & ~executing(c) & ~applied(c), claimed(c) & (pre(c, o) == logged(o))
            )
        ),
        forall(Call, Object, Object, lambda c, o, p: implies(~invertible(c) & hit(c, o) & writes(c, p), hit(c, p))),
        everywhere(lambda c, o: implies(hit(c, o), writes(c, o))),
    )


def replaced(c: Call, o: Object) -> Bool:
    """c is applied on o, and not the first there."""
    return applied(c) & writes(c, o) & (c != origin())


@recovery.lemma("recovery.stacks")
def stacks() -> Bool:
    "The applied writes of an object are a stack: each replaced another one, no two the same, nobody the top."
    return conj(
        forall(Object, lambda o: applied(top(o)) & writes(top(o), o)),
        everywhere(
            lambda c, o: implies(replaced(c, o), applied(base(c, o)) & writes(base(c, o), o) & (base(c, o) != top(o)))
        ),
        everywhere(
            lambda c, o: forall(
                Call, lambda d: implies(replaced(c, o) & replaced(d, o) & (c != d), base(c, o) != base(d, o))
            )
        ),
        everywhere(lambda c, o: implies(undoing(c) & writes(c, o), top(o) == c)),
    )


@recovery.variant(
    "recovery.ends",
    Object,
    decreases=("restart", "reverse", "undone", "ask", "resume"),
    raised_by=("announce", "fail", "undo", "crash"),
)
def ends(o: Object) -> tuple[Bool, ...]:
    "Recovery ends if crashes stop: fewer objects in flight, fewer that are to be put back, then the runtime runs."
    return (
        ~up(),
        exists(Call, lambda c: in_flight(c) & writes(c, o)),
        exists(Call, lambda c: to_undo(c) & writes(c, o) & ~put(c, o)),
        recovering(),
    )


def touched(c: Call, o: Object) -> Bool:
    """The call acts, and has changed what the object holds."""
    return executing(c) & hit(c, o) & (held(o) != logged(o))


@recovery.reachable("recovery.reach-failed")
def reach_failed() -> Bool:
    "A tool has failed half way, and its runtime is there to put back what it did."
    return running() & exists(Call, Object, lambda c, o: failing(c) & touched(c, o))


@recovery.reachable("recovery.reach-torn")
def reach_torn() -> Bool:
    "The runtime is dead, and a call has reached one of its objects and not another."
    return ~up() & exists(Call, Object, Object, lambda c, o, p: touched(c, o) & writes(c, p) & ~hit(c, p))


@recovery.reachable("recovery.reach-torn-undo")
def reach_torn_undo() -> Bool:
    "The runtime is dead, and an undo has put back one object and not another."
    return ~up() & exists(Call, Object, Object, lambda c, o, p: undoing(c) & writes(c, o) & ~hit(c, o) & hit(c, p))


@recovery.reachable("recovery.reach-landed")
def reach_landed() -> Bool:
    "A call without an inverse has taken effect, and the runtime that sent its request is dead."
    return ~up() & exists(Call, Object, lambda c, o: ~invertible(c) & touched(c, o))


@recovery.reachable("recovery.reach-unknown")
def reach_unknown() -> Bool:
    "A runtime recovers, and a request that its predecessor sent may still take effect."
    return recovering() & exists(Call, lambda c: under_way(c))
