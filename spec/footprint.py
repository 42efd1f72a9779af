"""Admission by footprint: as many agents as fit by what one takes now; the youngest are paused, the oldest goes on.

Beside CONCUR (arXiv 2601.22705, ``spec/concur.py``), with the same primitives: agents are admitted, and paused at a
boundary only. The window is a set of *open* seats, every admitted agent has a seat of its own, and closed seats are in
use only after a cut, by the youngest. What is measured is which seats *fit*: how many agents of the present size the
share of the KV cache has room for that agents may take. No usage below which alone the window may grow, no hit rate
that has to collapse before it is cut. How many seats a decision opens or closes is left open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mtpo.spec.language import (
    FALSE,
    TRUE,
    Bool,
    Function,
    Sort,
    Spec,
    conj,
    exists,
    forall,
    function,
    iff,
    implies,
    require,
)

footprint: Final = Spec("footprint", __doc__)


class Agent(Sort):
    """an agent"""


class Seat(Sort):
    """room for one active agent"""


least = footprint.const("least", Seat, doc="the seat is in the smallest window: so many agents always finish")
most = footprint.const("most", Seat, doc="the seat is in the largest window: there are no more agents")
no_seat = footprint.const("no_seat", to=Seat, doc="what `seat` is at first, which means nothing")

pending = footprint.var("pending", Agent, init=lambda a: False, doc="it has arrived and was never admitted")
generating = footprint.var("generating", Agent, init=lambda a: False, doc="it is admitted, a step of it runs")
tool = footprint.var("tool", Agent, init=lambda a: False, doc="it is admitted and uses its tools")
paused = footprint.var("paused", Agent, init=lambda a: False, doc="it is paused at a boundary")
done = footprint.var("done", Agent, init=lambda a: False, doc="it has finished")
before = footprint.var("before", Agent, Agent, init=lambda p, q: False, doc="both wait, the first for longer")
older = footprint.var("older", Agent, Agent, init=lambda p, q: False, doc="both are admitted, the first for longer")
seat = footprint.var("seat", Agent, to=Seat, init=lambda a: no_seat(), doc="the seat it has, if it is admitted")
open_ = footprint.var("open", Seat, init=lambda s: least(s), doc="the seat is in the window")
fit = footprint.var("fit", Seat, init=lambda s: False, doc="by the last measurement it fits")
due = footprint.var("due", init=lambda: False, doc="something was measured, and the window not yet decided")
bottom = footprint.var("bottom", init=lambda: False, doc="the window was cut to the smallest, at least once")


def admitted(a: Agent) -> Bool:
    """It is active."""
    return generating(a) | tool(a)


def waits(a: Agent) -> Bool:
    """It wants to be admitted or resumed."""
    return pending(a) | paused(a)


def over(a: Agent) -> Bool:
    """It is one of those that are more than the window allows."""
    return admitted(a) & ~open_(seat(a))


def reseat(stays: Callable[[Agent], Bool], to: Function[Seat], window: Callable[[Seat], Bool]) -> None:
    """Those who stay take the seats that ``to`` gives them, each another one; closed ones only when no open one is
    empty, and then the youngest."""
    require("own-seats", forall(Agent, Agent, lambda a, b: implies(stays(a) & stays(b) & (to(a) == to(b)), a == b)))
    require(
        "open-seats-first",
        forall(
            Agent,
            Seat,
            lambda a, s: implies(
                stays(a) & ~window(to(a)) & window(s), exists(Agent, lambda b: stays(b) & (to(b) == s))
            ),
        ),
    )
    require(
        "oldest-first",
        forall(
            Agent,
            Agent,
            lambda a, b: implies(stays(a) & stays(b) & older(a, b) & window(to(b)), window(to(a))),
        ),
    )
    seat.becomes(lambda a: to(a))


def leave(a: Agent) -> None:
    """It is admitted no more."""
    generating[a] = False
    tool[a] = False
    older.becomes(lambda p, q: older(p, q) & (p != a) & (q != a))


# -- agents ------------------------------------------------------------------------------------------------------------


@footprint.action
def arrive(a: Agent) -> None:
    "An agent joins the line, at its end."
    require("new", ~waits(a) & ~admitted(a) & ~done(a))
    pending[a] = True
    before.becomes(lambda p, q: before(p, q) | ((q == a) & waits(p)))


@footprint.action
def admit(a: Agent, s: Seat) -> None:
    "Fill: the oldest paused agent is resumed, else the oldest pending one is admitted; it is the youngest then."
    require("waits", waits(a))
    require("paused-first", paused(a) | forall(Agent, lambda q: ~paused(q)))
    require("oldest", forall(Agent, lambda q: ~(before(q, a) & iff(paused(q), paused(a)))))
    require("open", open_(s))
    require("empty", forall(Agent, lambda b: ~(admitted(b) & (seat(b) == s))))
    pending[a] = False
    paused[a] = False
    generating[a] = True
    seat[a] = s
    before.becomes(lambda p, q: before(p, q) & (p != a) & (q != a))
    older.becomes(lambda p, q: older(p, q) | ((q == a) & admitted(p)))


@footprint.action
def end(a: Agent) -> None:
    "A generation step ends; the agent turns to its tools."
    require("generates", generating(a))
    generating[a] = False
    tool[a] = True


@footprint.action
def go_on(a: Agent) -> None:
    "At a boundary an agent within the window submits its next step at once."
    require("boundary", tool(a))
    require("within", open_(seat(a)))
    tool[a] = False
    generating[a] = True


@footprint.action(to=function(Agent, to=Seat))
def pause(a: Agent, to: Function[Seat]) -> None:
    "At a boundary, one of those that are more than the window allows."
    require("boundary", tool(a))
    require("over", ~open_(seat(a)))
    reseat(lambda b: admitted(b) & (b != a), to, open_)
    leave(a)
    paused[a] = True
    before.becomes(lambda p, q: before(p, q) | ((q == a) & waits(p)))


@footprint.action(to=function(Agent, to=Seat))
def finish(a: Agent, to: Function[Seat]) -> None:
    "An admitted agent is done."
    require("admitted", admitted(a))
    reseat(lambda b: admitted(b) & (b != a), to, open_)
    leave(a)
    done[a] = True


# -- decisions ---------------------------------------------------------------------------------------------------------


@footprint.action(now=function(Seat))
def measure(now: Function[Bool]) -> None:
    "What one agent takes is measured, and so how many fit; anything may come out."
    require("decided", ~due())
    fit.becomes(lambda s: now(s))
    due.becomes(TRUE)


def too_many(s: Seat) -> Bool:
    """The seat is in the window, does not fit, and may be closed."""
    return open_(s) & ~fit(s) & ~least(s)


def too_few(s: Seat) -> Bool:
    """The seat fits, is not in the window, and may be opened."""
    return ~open_(s) & fit(s) & most(s)


@footprint.action(more=function(Seat), to=function(Agent, to=Seat))
def grow(more: Function[Bool], to: Function[Seat]) -> None:
    "More fit than the window has: it grows, by some of them."
    require("due", due())
    require("fits", forall(Seat, lambda s: ~too_many(s)))
    require("only", forall(Seat, lambda s: implies(more(s), too_few(s))))
    require("some", exists(Seat, lambda s: more(s)))
    reseat(admitted, to, lambda s: open_(s) | more(s))
    open_.becomes(lambda s: open_(s) | more(s))
    due.becomes(FALSE)


@footprint.action(less=function(Seat), to=function(Agent, to=Seat))
def cut(less: Function[Bool], to: Function[Seat]) -> None:
    "Fewer fit than the window has: it is cut, whatever the hit rate is; nobody is paused by that alone."
    require("due", due())
    require("only", forall(Seat, lambda s: implies(less(s), too_many(s))))
    require("some", exists(Seat, lambda s: less(s)))
    reseat(admitted, to, lambda s: open_(s) & ~less(s))
    open_.becomes(lambda s: open_(s) & ~less(s))
    bottom.becomes(bottom() | forall(Seat, lambda s: implies(open_(s) & ~less(s), least(s))))
    due.becomes(FALSE)


@footprint.action
def stay() -> None:
    "As many as there are fit, within the bounds."
    require("due", due())
    require("settled", forall(Seat, lambda s: ~too_many(s) & ~too_few(s)))
    due.becomes(FALSE)


# -- properties --------------------------------------------------------------------------------------------------------


@footprint.assume("footprint.A-bounds")
def bounds() -> Bool:
    "The smallest window has a seat and is within the largest."
    return exists(Seat, lambda s: least(s)) & forall(Seat, lambda s: implies(least(s), most(s)))


@footprint.invariant("footprint.bounds")
def window_bounds() -> Bool:
    "The window is never smaller than the smallest, nor larger than the largest."
    return forall(Seat, lambda s: implies(least(s), open_(s)) & implies(open_(s), most(s)))


@footprint.step_property("footprint.never-stuck")
def never_stuck() -> Bool:
    "A decision changes the window if more fit or fewer, however much of the cache one agent takes."
    return implies(
        due() & ~due.next(),
        exists(Seat, lambda s: too_few(s) & open_.next(s))
        | exists(Seat, lambda s: too_many(s) & ~open_.next(s))
        | forall(Seat, lambda s: ~too_few(s) & ~too_many(s)),
    )


@footprint.step_property("footprint.cut-in-time")
def cut_in_time() -> Bool:
    "If the window has more than fit, a decision cuts it and opens nothing: no collapse is waited for."
    return implies(
        due() & ~due.next() & exists(Seat, lambda s: too_many(s)),
        exists(Seat, lambda s: too_many(s) & ~open_.next(s)) & forall(Seat, lambda s: implies(open_.next(s), open_(s))),
    )


@footprint.step_property("footprint.only-by-measure")
def only_by_measure() -> Bool:
    "A seat is opened only if it fits and closed only if it does not; one measurement is for one decision."
    return conj(
        forall(
            Seat,
            lambda s: (
                implies(~open_(s) & open_.next(s), due() & ~due.next() & fit(s))
                & implies(open_(s) & ~open_.next(s), due() & ~due.next() & ~fit(s))
                & (iff(fit.next(s), fit(s)) | (~due() & due.next()))
            ),
        ),
        implies(exists(Seat, lambda s: ~iff(open_(s), open_.next(s))), ~due.next()),
    )


@footprint.step_property("footprint.no-preemption")
def no_preemption() -> Bool:
    "A step that runs ends by itself; no agent is paused within one."
    return forall(
        Agent,
        lambda a: (
            implies(generating(a) & ~generating.next(a), tool.next(a) | done.next(a))
            & implies(generating(a), ~paused.next(a))
            & implies(waits(a) | done(a), ~tool.next(a))
        ),
    )


@footprint.step_property("footprint.oldest-goes-on")
def oldest_goes_on() -> Bool:
    "The agent that was admitted first is never paused: it is done in the end, and so is everyone in turn."
    return forall(
        Agent,
        lambda a: implies(
            admitted(a) & forall(Agent, lambda b: ~older(b, a)),
            ~paused.next(a) & (done.next(a) | (admitted(a) & ~over(a))),
        ),
    )


@footprint.step_property("footprint.youngest-paused")
def youngest_paused() -> Bool:
    "Who is paused is at a boundary, and is one of the youngest, which are more than the window allows."
    return forall(
        Agent,
        Agent,
        lambda a, b: implies(
            ~paused(a) & paused.next(a), tool(a) & over(a) & implies(admitted(b) & ~over(b), older(b, a))
        ),
    )


@footprint.step_property("footprint.over-submits-nothing")
def over_submits_nothing() -> Bool:
    "One that is more than the window allows submits no further step."
    return forall(Agent, lambda a: implies(tool(a) & over(a), ~generating.next(a)))


@footprint.step_property("footprint.admitted-into-room")
def admitted_into_room() -> Bool:
    "An agent is admitted into an open seat that was empty, and while more are admitted than the window allows none is."
    return forall(
        Agent,
        Agent,
        lambda a, b: implies(
            ~admitted(a) & generating.next(a),
            open_(seat.next(a)) & implies(admitted(b), open_(seat(b)) & (seat(b) != seat.next(a)) & older.next(b, a)),
        ),
    )


@footprint.step_property("footprint.first-come-first-served")
def first_come_first_served() -> Bool:
    "Of two that wait alike, the later one is not admitted first; nor a new one before one that is paused."
    return forall(
        Agent,
        Agent,
        lambda p, q: (
            implies(before(p, q) & iff(paused(p), paused(q)), ~generating.next(q))
            & implies(paused(p) & pending(q), pending.next(q))
        ),
    )


@footprint.step_property("footprint.bottom-is-told")
def bottom_is_told() -> Bool:
    "That a decision closed seats down to the smallest window is told when it happens, and for good."
    closes = exists(Seat, lambda s: open_(s) & ~open_.next(s))
    return iff(bottom.next(), bottom() | (closes & forall(Seat, lambda s: implies(open_.next(s), least(s)))))


@footprint.invariant("footprint.room-when-nobody-runs")
def room_when_nobody_runs() -> Bool:
    "When nobody is admitted there is an open, empty seat: whoever waits can be admitted."
    return implies(
        forall(Agent, lambda a: ~admitted(a)),
        exists(Seat, lambda s: open_(s) & forall(Agent, lambda b: ~(admitted(b) & (seat(b) == s)))),
    )


@footprint.invariant("footprint.packed")
def packed() -> Bool:
    "Each admitted agent has its own seat; a closed one only while every open one is taken, and then the youngest."
    return conj(
        forall(Agent, Agent, lambda a, b: implies(admitted(a) & admitted(b) & (seat(a) == seat(b)), a == b)),
        forall(
            Agent,
            Seat,
            lambda a, s: implies(over(a) & open_(s), exists(Agent, lambda b: admitted(b) & (seat(b) == s))),
        ),
        forall(Agent, Agent, lambda a, b: implies(older(a, b) & over(a), over(b))),
    )


@footprint.invariant("footprint.one-line")
def one_line() -> Bool:
    "Those who wait stand in one line, those who are admitted in another."

    def line(first: Callable[[Agent, Agent], Bool], stands: Callable[[Agent], Bool]) -> Bool:
        return conj(
            forall(Agent, Agent, lambda p, q: implies(first(p, q), stands(p) & stands(q) & ~first(q, p))),
            forall(Agent, Agent, Agent, lambda p, q, r: implies(first(p, q) & first(q, r), first(p, r))),
            forall(Agent, Agent, lambda p, q: implies(stands(p) & stands(q) & (p != q), first(p, q) | first(q, p))),
        )

    return conj(line(before, waits), line(older, admitted))


@footprint.invariant("footprint.one-stage")
def one_stage() -> Bool:
    "An agent is in one stage at a time."
    kinds = (pending, generating, tool, paused, done)
    pairs = [(f, g) for k, f in enumerate(kinds) for g in kinds[k + 1 :]]
    return forall(Agent, lambda a: conj(*(~(f(a) & g(a)) for f, g in pairs)))


@footprint.variant("footprint.decides", Seat, decreases=("grow", "cut", "stay"), raised_by=("measure",))
def decides(s: Seat) -> tuple[Bool, ...]:
    "A measurement is followed by one decision."
    return (due(),)


@footprint.reachable("footprint.reach-over")
def reach_over() -> Bool:
    "After a cut one agent more is admitted than the window allows, while the other generates."
    return exists(Agent, Agent, lambda a, b: over(a) & generating(b) & ~over(b))


@footprint.reachable("footprint.reach-regrown")
def reach_regrown() -> Bool:
    "The window was cut to the smallest and has grown again, with an agent admitted all the while."
    return bottom() & exists(Agent, lambda a: admitted(a)) & exists(Seat, lambda s: open_(s) & ~least(s))


@footprint.reachable("footprint.reach-resumed")
def reach_resumed() -> Bool:
    "One is paused while another has finished."
    return exists(Agent, Agent, lambda a, b: paused(a) & done(b))


_EITHER: Final = "each two agents are asked for twice, once in either order"

EQUIVALENT: Final = {
    "footprint.pause.own-seats~4@8b1ab075": _EITHER,
    "footprint.pause.own-seats~5@f0e870d4": _EITHER,
    "footprint.finish.own-seats~4@8b1ab075": _EITHER,
    "footprint.finish.own-seats~5@f0e870d4": _EITHER,
    "footprint.grow.own-seats~4@38b866bc": _EITHER,
    "footprint.grow.own-seats~5@ca78e016": _EITHER,
    "footprint.cut.own-seats~4@38b866bc": _EITHER,
    "footprint.cut.own-seats~5@ca78e016": _EITHER,
    "footprint.pause.seat:=@4e12abc3": (
        "who is paused had a closed seat: that the others keep theirs is one of the choices"
    ),
    "footprint.pause.generating:=@ef4931fe": "at a boundary it does not generate",
}
