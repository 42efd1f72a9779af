"""Crash and recovery: what it is made of, and every step that can be taken. The package's docstring tells the story."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mtpo.spec.language import Bool, Function, Sort, Spec, conj, exists, forall, function, implies, ite, require

recovery: Final = Spec("recovery", "Crash and recovery: how one atomic step of the protocol is made of logged phases.")


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
