"""Crash and recovery: how one atomic step of the protocol is made of logged phases.

In ``mtpo`` a call takes effect, or is undone, in one step. A runtime does it in several, and may die between any two of
them, also while it recovers; then its memory is gone, and the log and the resource are what is left. Recovery reads the
log: an attempt that was announced and not completed is put back by its undo data, an undo that was announced is
finished, and of a call without an inverse the resource is asked. What then becomes of a call that is not there (run
again, failed, withdrawn) is the protocol's business: here it may run again.

Write-ahead logging: ARIES (Mohan et al., TODS 17(1), 1992). The phases are records of docs/records.md: ``accept`` is
``call``, ``prepare`` is ``prepared``, ``announce`` is ``exec`` or ``redo``, ``complete`` is ``applied`` or ``redone``.

Assumed, beside what is assumed by name: a record is in the log wholly or not at all; the tools of invertible calls die
with the runtime (``called`` is memory); a call without an inverse takes effect on all its objects at once, perhaps
while no runtime is there, but not after the resource was asked about it: the question is a fence. Calls whose objects
are disjoint may be in flight together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mtpo.spec.language import Bool, Function, Sort, Spec, conj, exists, forall, function, iff, implies, ite, require

recovery: Final = Spec("recovery", __doc__)


class Call(Sort):
    """one use of a tool that writes"""


class Object(Sort):
    """a piece of shared state"""


class Value(Sort):
    """what an object holds"""


origin = recovery.const("origin", to=Call, doc="the write that made the initial state")
writes = recovery.const("writes", Call, Object, doc="the call may change the object")
invertible = recovery.const("invertible", Call, doc="the call has an inverse, registered in advance")
askable = recovery.const("askable", Call, doc="the resource can tell whether the call took effect")
given = recovery.const("given", Object, to=Value, doc="the initial value")
tame = recovery.const("tame", Call, doc="its inverse leaves alone an object that holds what it held before the call")

# -- the log: survives -------------------------------------------------------------------------------------------------

accepted = recovery.var("accepted", Call, init=lambda c: c == origin(), doc="log: the call was accepted")
prepared = recovery.var("prepared", Call, init=lambda c: False, doc="log: its undo data count")
pre = recovery.var("pre", Call, Object, to=Value, init=lambda c, o: given(o), doc="log: its undo data")
executing = recovery.var(
    "executing", Call, init=lambda c: False, doc="log: announced, and neither completed nor undone"
)
applied = recovery.var("applied", Call, init=lambda c: c == origin(), doc="log: completed, and not undone since")
left = recovery.var("left", Call, Object, to=Value, init=lambda c, o: given(o), doc="log: what it left on the object")
undoing = recovery.var("undoing", Call, init=lambda c: False, doc="log: its undo is announced and not completed")
top = recovery.var("top", Object, to=Call, init=lambda o: origin(), doc="log: the applied write that came last")
base = recovery.var("base", Call, Object, to=Call, init=lambda c, o: origin(), doc="log: the write that it replaced")

# -- the resource: survives --------------------------------------------------------------------------------------------

held = recovery.var("held", Object, to=Value, init=lambda o: given(o), doc="resource: what the object holds")
hit = recovery.var("hit", Call, Object, init=lambda c, o: c == origin(), doc="resource: the call's effect is there")
under_way = recovery.var("under_way", Call, init=lambda c: False, doc="resource: a request that may still take effect")

# -- memory: a crash ends it -------------------------------------------------------------------------------------------

up = recovery.var("up", init=lambda: True, doc="memory: there is a runtime")
recovering = recovery.var("recovering", init=lambda: False, doc="memory: it recovers, and takes up nothing new")
claimed = recovery.var("claimed", Call, init=lambda c: False, doc="memory: it is at this call")
called = recovery.var("called", Call, init=lambda c: False, doc="memory: it has called the tool")
failing = recovery.var("failing", Call, init=lambda c: False, doc="memory: the attempt is to be put back")
put = recovery.var("put", Call, Object, init=lambda c, o: False, doc="memory: the inverse has put the object back")


def everywhere(body: Callable[[Call, Object], Bool]) -> Bool:
    """For every call and every object."""
    return forall(Call, Object, body)


def running() -> Bool:
    """The runtime is there and does not recover."""
    return up() & ~recovering()


def in_flight(c: Call) -> Bool:
    """The log announces that the call is acting or is being undone."""
    return executing(c) | undoing(c)


def at_work(c: Call) -> Bool:
    """The runtime is at the call, or the log has it in flight."""
    return claimed(c) | in_flight(c)


def free_for(c: Call) -> Bool:
    """No call is at work on any object of c."""
    return forall(Call, Object, lambda d, o: implies(writes(c, o) & writes(d, o), ~at_work(d)))


def logged(o: Object) -> Value:
    """What the object holds by the log, if nothing is in flight."""
    return left(top(o), o)


def due(o: Object) -> Value:
    """What the object will hold when what the log announces is put back: what recovery is to arrive at."""
    return ite(undoing(top(o)), left(base(top(o), o), o), left(top(o), o))


def due_next(o: Object) -> Value:
    """``due`` after the step."""
    last = top.next(o)
    return ite(undoing.next(last), left.next(base.next(last, o), o), left.next(last, o))


def to_undo(c: Call) -> Bool:
    """The inverse of the call is to run."""
    return undoing(c) | failing(c)


# -- a call takes effect -----------------------------------------------------------------------------------------------


@recovery.action
def accept(c: Call) -> None:
    "Log: a call is accepted."
    require("running", running())
    accepted[c] = True


@recovery.action
def begin(c: Call) -> None:
    "The runtime turns to a call that is not there: for the first time, or again."
    require("running", running())
    require("accepted", accepted(c) & ~applied(c))
    require("free", free_for(c))
    claimed[c] = True


@recovery.action
def prepare(c: Call) -> None:
    "The undo data are captured and logged."
    require("claimed", claimed(c))
    require("invertible", invertible(c))
    require("before-the-effect", ~executing(c))
    prepared[c] = True
    pre.becomes(lambda d, o: ite(d == c, held(o), pre(d, o)))


@recovery.action
def announce(c: Call) -> None:
    "Log: the call is about to act."
    require("claimed", claimed(c))
    require("prepared", implies(invertible(c), prepared(c)))
    executing[c] = True


@recovery.action
def start(c: Call) -> None:
    "The tool is called; that of a call without an inverse sends a request."
    require("claimed", claimed(c))
    require("announced", executing(c))
    require("once", ~called(c))
    called[c] = True
    under_way[c] = ~invertible(c)


@recovery.action
def effect(c: Call, o: Object, v: Value) -> None:
    "The tool of an invertible call writes one of its objects."
    require("called", called(c) & ~failing(c))
    require("invertible", invertible(c))
    require("declared", writes(c, o))
    require("once", ~hit(c, o))
    held[o] = v
    hit[c, o] = True


@recovery.action(out=function(Object, to=Value))
def land(c: Call, out: Function[Value]) -> None:
    "A request takes effect, whether there is a runtime or not."
    require("under-way", under_way(c))
    held.becomes(lambda o: ite(writes(c, o), out(o), held(o)))
    hit.becomes(lambda d, o: hit(d, o) | ((d == c) & writes(c, o)))
    under_way[c] = False


def on_top(c: Call, *conditions: Bool) -> None:
    """If so, the log has c as the last write of its objects, with what they hold now."""
    top.becomes(lambda o: ite(conj(*conditions, writes(c, o)), c, top(o)))
    base.becomes(lambda d, o: ite(conj(d == c, *conditions, writes(c, o)), top(o), base(d, o)))
    left.becomes(lambda d, o: ite(conj(d == c, *conditions, writes(c, o)), held(o), left(d, o)))


@recovery.action
def complete(c: Call) -> None:
    "The tool has returned. Log: what the call left."
    require("returned", called(c) & ~failing(c))
    require("wholly", forall(Object, lambda o: implies(writes(c, o), hit(c, o))))
    applied[c] = True
    executing[c] = False
    claimed[c] = False
    called[c] = False
    on_top(c)


@recovery.action
def fail(c: Call) -> None:
    "The tool of an invertible call fails, anywhere on its way."
    require("called", called(c))
    require("invertible", invertible(c))
    failing[c] = True


@recovery.action
def ask(c: Call) -> None:
    "The resource tells whether a call without an inverse took effect, and that it will not any more. Log: the answer."
    require("up", up())
    require("in-flight", executing(c))
    require("without-inverse", ~invertible(c))
    require("askable", askable(c))
    yes = exists(Object, lambda o: hit(c, o))
    applied[c] = yes
    executing[c] = False
    claimed[c] = False
    called[c] = False
    under_way[c] = False
    on_top(c, yes)


# -- a call is taken back ----------------------------------------------------------------------------------------------


@recovery.action
def undo(c: Call) -> None:
    "Log: an applied call is about to be undone."
    require("running", running())
    require("invertible", invertible(c))
    require("top-only", forall(Object, lambda o: implies(writes(c, o), top(o) == c)))
    require("free", free_for(c))
    undoing[c] = True


@recovery.action
def reverse(c: Call, o: Object, v: Value) -> None:
    "The inverse puts one object back, whether the effect had reached it or not; one that is not tame may spoil it."
    require("up", up())
    require("to-undo", to_undo(c))
    require("declared", writes(c, o))
    require("once", ~put(c, o))
    held[o] = ite(tame(c) | (held(o) != pre(c, o)), pre(c, o), v)
    hit[c, o] = False
    put[c, o] = True


@recovery.action
def undone(c: Call) -> None:
    "Log: the call is not there any more."
    require("wholly", forall(Object, lambda o: implies(writes(c, o), put(c, o))))
    applied[c] = False
    undoing[c] = False
    executing[c] = False
    prepared[c] = False
    claimed[c] = False
    called[c] = False
    failing[c] = False
    put.becomes(lambda d, o: put(d, o) & (d != c))
    top.becomes(lambda o: ite(applied(c) & writes(c, o), base(c, o), top(o)))


# -- crash and recovery ------------------------------------------------------------------------------------------------


@recovery.action
def crash() -> None:
    "The runtime dies, with all that was in its memory only."
    up.becomes(False)
    recovering.becomes(False)
    claimed.becomes(lambda c: False)
    called.becomes(lambda c: False)
    failing.becomes(lambda c: False)
    put.becomes(lambda c, o: False)


@recovery.action
def restart() -> None:
    "A runtime reads the log. What was acting counts as failed; undo data without an announcement do not count."
    require("down", ~up())
    up.becomes(True)
    recovering.becomes(True)
    failing.becomes(lambda c: executing(c) & invertible(c))
    prepared.becomes(lambda c: prepared(c) & (executing(c) | applied(c)))


@recovery.action
def resume() -> None:
    "Recovery is over."
    require("recovering", recovering())
    require("nothing-in-flight", forall(Call, lambda c: ~in_flight(c)))
    recovering.becomes(False)


# -- assumptions -------------------------------------------------------------------------------------------------------


@recovery.assume("recovery.writes-something")
def writes_something() -> Bool:
    "A call writes something; the origin everything, and for good."
    return conj(
        forall(Call, lambda c: exists(Object, lambda o: writes(c, o))),
        forall(Object, lambda o: writes(origin(), o)),
        ~invertible(origin()),
    )


@recovery.assume("recovery.inverse-idempotent")
def inverse_idempotent() -> Bool:
    "An inverse leaves alone what is as it was: what was put back already, or what the call has not reached."
    return forall(Call, lambda c: tame(c))


@recovery.assume("recovery.resource-answers")
def resource_answers() -> Bool:
    "The resource can be asked about every call that has no inverse."
    return forall(Call, lambda c: invertible(c) | askable(c))


# -- properties --------------------------------------------------------------------------------------------------------


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


@recovery.variant("recovery.ends", Object, decreases=("restart", "reverse", "undone", "ask", "resume"))
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


EQUIVALENT: Final = {
    "recovery.ask.askable@5370ad55": "it is assumed of every call that has no inverse",
    "recovery.begin.free~0@57a3c7e1": "while a runtime is running it is at whatever executes (recovery.stages)",
    "recovery.undo.free~0@57a3c7e1": "while a runtime is running it is at whatever executes (recovery.stages)",
    "recovery.undo.free~1@8ffde4ab": (
        "what is being undone is on top (recovery.stacks): it is c, to begin again does nothing"
    ),
    "recovery.undo.free~3@71a3eac6": (
        "as undo.free~0 and undo.free~1: whatever executes is claimed, what is being undone is c"
    ),
    "recovery.complete.base:=~1@9a2fad15": "the base of what a call does not write is asked for nowhere",
    "recovery.complete.left:=~1@6ae8b465": "what a call left on what it does not write is asked for nowhere",
    "recovery.ask.base:=~2@949df30a": (
        "the base of a call that is not applied is asked for nowhere, and set when it is applied"
    ),
    "recovery.ask.base:=~3@88c25cd6": "the base of what a call does not write is asked for nowhere",
    "recovery.ask.left:=~2@d3a038aa": (
        "what a call that is not applied left is asked for nowhere, and set when it is applied"
    ),
    "recovery.ask.left:=~3@2d3ed72c": "what a call left on what it does not write is asked for nowhere",
    "recovery.reverse.held:=~1@50477677": "it is assumed that every inverse is tame",
    "recovery.reverse.held:=~2@4141dc44": "it is assumed that every inverse is tame",
}
"""Mutants that change nothing that anybody could observe, with the reason."""
