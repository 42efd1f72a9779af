"""CONCUR: how many agents are active, under additive increase and multiplicative decrease.

"High-Throughput Agentic Batch Inference via Congestion-Based Concurrency Control" (arXiv 2601.22705), primitives and
control law. The window is a set of *open* seats, and every admitted agent has a seat of its own; so "fewer than the
window are admitted" reads "an open seat is empty", for any number of agents, without counting. Closed seats are in use
only after a cut, and only while every open one is (``concur.packed``): then more are admitted than the window allows.
Which seat an agent has means nothing, so a step may reseat all of them (``to``). How many seats a tick opens (alpha) or
closes (beta) is left open; every choice keeps the properties.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mtpo.spec.language import (
    FALSE,
    TRUE,
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
    require,
)

concur: Final = Spec("concur", __doc__)


class Agent(Sort):
    """an agent"""


class Seat(Sort):
    """room for one active agent"""


class Level(OrderedSort):
    """how full the KV cache is"""


least = concur.const("least", Seat, doc="the seat is in the smallest window, W_min")
most = concur.const("most", Seat, doc="the seat is in the largest window, W_max")
low = concur.const("low", to=Level, doc="the highest usage at which the window grows: the last one below U_low")
high = concur.const("high", to=Level, doc="the lowest usage at which it may be cut: the first one above U_high")
lazy = concur.const("lazy", doc="after a cut the first to reach a boundary are paused, else some chosen ones")
heavy = concur.const("heavy", doc="any admitted agent alone fills the cache up to U_low")
no_seat = concur.const("no_seat", to=Seat, doc="what `seat` is at first, which means nothing")

pending = concur.var("pending", Agent, init=lambda a: False, doc="it has arrived and was never admitted")
generating = concur.var("generating", Agent, init=lambda a: False, doc="it is admitted, a step of it runs")
tool = concur.var("tool", Agent, init=lambda a: False, doc="it is admitted and uses its tools")
paused = concur.var("paused", Agent, init=lambda a: False, doc="it is paused at a boundary")
done = concur.var("done", Agent, init=lambda a: False, doc="it has finished")
before = concur.var("before", Agent, Agent, init=lambda p, q: False, doc="both wait, the first for longer")
seat = concur.var("seat", Agent, to=Seat, init=lambda a: no_seat(), doc="the seat it has, if it is admitted")
open_ = concur.var("open", Seat, init=lambda s: least(s), doc="the seat is in the window")
usage = concur.var("usage", to=Level, init=lambda: low(), doc="how full the cache was at the last tick")
gone = concur.var(
    "gone",
    init=lambda: False,
    doc="at the last tick, if that mattered, something had been prefilled, with a hit rate below H_thresh",
)
ticks = concur.var("ticks", init=lambda: False, doc="changes with every tick")
text = concur.var("text", Agent, init=lambda a: False, doc="stands for its transcript: changes with what it says")


def admitted(a: Agent) -> Bool:
    """It is active."""
    return generating(a) | tool(a)


def waits(a: Agent) -> Bool:
    """It wants to be admitted or resumed."""
    return pending(a) | paused(a)


def over() -> Bool:
    """More agents are admitted than the window allows: one of them has a closed seat."""
    return exists(Agent, lambda a: admitted(a) & ~open_(seat(a)))


def reseat(stays: Callable[[Agent], Bool], to: Function[Seat], window: Callable[[Seat], Bool]) -> None:
    """Those who stay take the seats that ``to`` gives them, each another one; closed ones only when no open one is
    empty."""
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
    seat.becomes(lambda a: to(a))


# -- agents ------------------------------------------------------------------------------------------------------------


@concur.action
def arrive(a: Agent) -> None:
    "An agent joins the line, at its end."
    require("new", ~waits(a) & ~admitted(a) & ~done(a))
    pending[a] = True
    before.becomes(lambda p, q: before(p, q) | ((q == a) & waits(p)))


@concur.action
def admit(a: Agent, s: Seat) -> None:
    "Fill: the oldest paused agent is resumed, else the oldest pending one is admitted; its step is submitted."
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


@concur.action
def end(a: Agent) -> None:
    "A generation step ends; the agent turns to its tools."
    require("generates", generating(a))
    generating[a] = False
    tool[a] = True
    text[a] = ~text(a)


@concur.action
def go_on(a: Agent) -> None:
    "At a boundary an admitted agent submits its next step at once."
    require("boundary", tool(a))
    require("not-over", ~lazy() | ~over())
    tool[a] = False
    generating[a] = True


@concur.action(to=function(Agent, to=Seat))
def pause(a: Agent, to: Function[Seat]) -> None:
    "At a boundary, when more are admitted than the window allows."
    require("boundary", tool(a))
    require("over", over())
    reseat(lambda b: admitted(b) & (b != a), to, open_)
    tool[a] = False
    paused[a] = True
    before.becomes(lambda p, q: before(p, q) | ((q == a) & waits(p)))


@concur.action(to=function(Agent, to=Seat))
def finish(a: Agent, to: Function[Seat]) -> None:
    "An admitted agent is done."
    require("admitted", admitted(a))
    reseat(lambda b: admitted(b) & (b != a), to, open_)
    generating[a] = False
    tool[a] = False
    done[a] = True


# -- ticks -------------------------------------------------------------------------------------------------------------


def measured(u: Level, g: Bool) -> None:
    """A tick, and what it sees."""
    usage.becomes(u)
    gone.becomes(g)
    ticks.becomes(~ticks())


@concur.action(more=function(Seat), to=function(Agent, to=Seat))
def grow(u: Level, more: Function[Bool], to: Function[Seat]) -> None:
    "The cache is nearly empty: the window grows, unless it is the largest."
    require("low", u <= low())
    # That a heavy agent shows in the usage is about the world, not about the controller.
    require("heavy", ~heavy() | forall(Agent, lambda a: ~admitted(a)))
    require("at-most", forall(Seat, lambda s: implies(more(s), most(s))))
    require("some", exists(Seat, lambda s: more(s) & ~open_(s)) | forall(Seat, lambda s: implies(most(s), open_(s))))
    reseat(admitted, to, lambda s: open_(s) | more(s))
    open_.becomes(lambda s: open_(s) | more(s))
    measured(u, FALSE)


@concur.action(less=function(Seat), to=function(Agent, to=Seat))
def cut(u: Level, less: Function[Bool], to: Function[Seat]) -> None:
    "The cache is full and its hit rate has collapsed: the window is cut, unless it is the smallest; nobody is paused."
    require("high", high() <= u)
    require("at-least", forall(Seat, lambda s: implies(less(s), ~least(s))))
    require("some", exists(Seat, lambda s: less(s) & open_(s)) | forall(Seat, lambda s: implies(open_(s), least(s))))
    reseat(admitted, to, lambda s: open_(s) & ~less(s))
    open_.becomes(lambda s: open_(s) & ~less(s))
    measured(u, TRUE)


@concur.action
def hold(u: Level, g: Bool) -> None:
    "Neither: the window stays, however full the cache is while its hit rate is healthy, or there is none."
    require("not-low", ~(u <= low()))
    require("not-collapsed", ~((high() <= u) & g))
    measured(u, g)


# -- properties --------------------------------------------------------------------------------------------------------


@concur.assume("concur.A-marks")
def marks() -> Bool:
    "The mark below which the window grows is below the one above which it may be cut."
    return low() < high()


@concur.assume("concur.A-bounds")
def bounds() -> Bool:
    "The smallest window has a seat and is within the largest."
    return exists(Seat, lambda s: least(s)) & forall(Seat, lambda s: implies(least(s), most(s)))


@concur.step_property("concur.no-preemption")
def no_preemption() -> Bool:
    "S1: a step that runs ends by itself; no agent is paused within one, and no tick ends anything."
    return forall(
        Agent,
        lambda a: (
            implies(generating(a) & ~generating.next(a), tool.next(a) | done.next(a))
            & implies(generating(a), ~paused.next(a))
        ),
    )


@concur.step_property("concur.admitted-into-room")
def admitted_into_room() -> Bool:
    "S2: an agent is admitted only while fewer are than the window: into an open seat that was empty."
    return forall(
        Agent,
        Agent,
        lambda a, b: implies(
            ~admitted(a) & (generating.next(a) | tool.next(a)),
            open_(seat.next(a)) & implies(admitted(b), open_(seat(b)) & (seat(b) != seat.next(a))),
        ),
    )


@concur.step_property("concur.no-growth-above-the-window")
def no_growth_above_the_window() -> Bool:
    "S3: while more are admitted than the window allows, nobody is admitted."
    return forall(Agent, lambda a: implies(over() & ~admitted(a), ~generating.next(a) & ~tool.next(a)))


@concur.invariant("concur.bounds")
def window_bounds() -> Bool:
    "S4: the window is between its smallest and its largest."
    return forall(Seat, lambda s: implies(least(s), open_(s)) & implies(open_(s), most(s)))


def ticked() -> Bool:
    """The step is a tick."""
    return ~iff(ticks(), ticks.next())


@concur.step_property("concur.one-rule-a-tick")
def one_rule_a_tick() -> Bool:
    "S4: the window grows only when the cache is nearly empty, and is cut only when its hit rate has collapsed too."
    return forall(
        Seat,
        lambda s: (
            implies(~open_(s) & open_.next(s), ticked() & (usage.next() <= low()))
            & implies(open_(s) & ~open_.next(s), ticked() & (high() <= usage.next()) & gone.next())
        ),
    )


@concur.step_property("concur.measured-at-ticks")
def measured_at_ticks() -> Bool:
    "What the controller goes by is measured at ticks, and only then."
    return implies(~ticked(), (usage.next() == usage()) & iff(gone.next(), gone()))


@concur.step_property("concur.rules-applied")
def rules_applied() -> Bool:
    "S4: at a tick at which a rule applies the window does change, unless it is at its bound."
    return conj(
        implies(
            ticked() & (usage.next() <= low()),
            exists(Seat, lambda s: ~open_(s) & open_.next(s)) | forall(Seat, lambda s: implies(most(s), open_(s))),
        ),
        implies(
            ticked() & (high() <= usage.next()) & gone.next(),
            exists(Seat, lambda s: open_(s) & ~open_.next(s)) | forall(Seat, lambda s: implies(open_(s), least(s))),
        ),
    )


@concur.step_property("concur.healthy-keeps-running")
def healthy_keeps_running() -> Bool:
    "A full cache with a healthy hit rate, or with none, leaves the window as it is: so a cut is late."
    return forall(Seat, lambda s: implies(~(usage.next() <= low()) & ~gone.next(), iff(open_(s), open_.next(s))))


@concur.step_property("concur.paused-when-over")
def paused_when_over() -> Bool:
    "An agent is paused at a boundary, only while more are admitted than the window allows; lazily, the first to come."
    return forall(
        Agent,
        lambda a: (
            implies(~paused(a) & paused.next(a), tool(a) & over())
            & implies(lazy() & tool(a) & over(), ~generating.next(a))
        ),
    )


@concur.step_property("concur.transcript-kept")
def transcript_kept() -> Bool:
    "S5: what an agent knows when it is resumed is what it knew when it was paused; only its own steps change it."
    return forall(Agent, lambda a: implies(~generating(a), iff(text.next(a), text(a))))


@concur.step_property("concur.no-regrowth")
def no_regrowth() -> Bool:
    "N1: if one agent alone fills the cache up to U_low, the window never grows while anybody is admitted."
    return forall(
        Seat,
        Agent,
        lambda s, a: implies(heavy() & admitted(a) & open_.next(s), open_(s)),
    )


@concur.invariant("concur.room-when-nobody-runs")
def room_when_nobody_runs() -> Bool:
    "L1, the part about states: when nobody is admitted there is an open, empty seat: whoever waits can be admitted."
    return implies(
        forall(Agent, lambda a: ~admitted(a)),
        exists(Seat, lambda s: open_(s) & forall(Agent, lambda b: ~(admitted(b) & (seat(b) == s)))),
    )


@concur.step_property("concur.first-come-first-served")
def first_come_first_served() -> Bool:
    "L1: of two that wait alike, the later one is not admitted first; nor a new one before one that is paused."
    return forall(
        Agent,
        Agent,
        lambda p, q: (
            implies(before(p, q) & iff(paused(p), paused(q)), ~generating.next(q))
            & implies(paused(p) & pending(q), pending.next(q))
        ),
    )


@concur.invariant("concur.packed")
def packed() -> Bool:
    "Each admitted agent has its own seat, a closed one only while every open one is taken."
    return conj(
        forall(Agent, Agent, lambda a, b: implies(admitted(a) & admitted(b) & (seat(a) == seat(b)), a == b)),
        forall(
            Agent,
            Seat,
            lambda a, s: implies(
                admitted(a) & ~open_(seat(a)) & open_(s), exists(Agent, lambda b: admitted(b) & (seat(b) == s))
            ),
        ),
    )


@concur.invariant("concur.one-line")
def one_line() -> Bool:
    "Those who wait stand in one line."
    return conj(
        forall(Agent, Agent, lambda p, q: implies(before(p, q), waits(p) & waits(q) & ~before(q, p))),
        forall(Agent, Agent, Agent, lambda p, q, r: implies(before(p, q) & before(q, r), before(p, r))),
        forall(Agent, Agent, lambda p, q: implies(waits(p) & waits(q) & (p != q), before(p, q) | before(q, p))),
    )


@concur.invariant("concur.one-stage")
def one_stage() -> Bool:
    "An agent is in one stage at a time."
    stages = (pending, generating, tool, paused, done)
    pairs = [(f, g) for k, f in enumerate(stages) for g in stages[k + 1 :]]
    return forall(Agent, lambda a: conj(*(~(f(a) & g(a)) for f, g in pairs)))


@concur.reachable("concur.reach-over")
def reach_over() -> Bool:
    "After a cut one agent more is admitted than the window allows."
    return over()


@concur.reachable("concur.reach-paused")
def reach_paused() -> Bool:
    "An agent is paused while another one generates, and has said something."
    return exists(Agent, Agent, lambda a, b: paused(a) & generating(b) & text(a))


@concur.reachable("concur.reach-done")
def reach_done() -> Bool:
    "One agent is done, and another one has taken its seat."
    return exists(Agent, Agent, lambda a, b: done(a) & tool(b) & (seat(a) == seat(b)))


_EITHER: Final = "each two agents are asked for twice, once in either order"

EQUIVALENT: Final = {
    "concur.pause.own-seats~4@8b1ab075": _EITHER,
    "concur.pause.own-seats~5@f0e870d4": _EITHER,
    "concur.finish.own-seats~4@8b1ab075": _EITHER,
    "concur.finish.own-seats~5@f0e870d4": _EITHER,
    "concur.grow.own-seats~4@04407317": _EITHER,
    "concur.grow.own-seats~5@312a4197": _EITHER,
    "concur.cut.own-seats~4@04407317": _EITHER,
    "concur.cut.own-seats~5@312a4197": _EITHER,
    "concur.grow.gone:=@6c95faad": "a tick at a low usage asks for no hit rate, and no rule reads what it leaves",
}
