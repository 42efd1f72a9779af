"""FairBatching: what it is made of, and every step of a round. The package's docstring tells the story."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mtpo.spec.language import FALSE, TRUE, Bool, Int, Sort, Spec, exists, forall, implies, ite, require

fair: Final = Spec("fair", "FairBatching: one round of batch formation after the other, with linear arithmetic.")


class Request(Sort):
    """a request"""


a = fair.const("a", to=Int, doc="time of any step")
b = fair.const("b", to=Int, doc="time per token")
c = fair.const("c", to=Int, doc="time per token of context")
idle = fair.const("idle", to=Int, doc="the budget when no decode runs")
prompt = fair.const("prompt", Request, to=Int, doc="tokens of its prompt")
output = fair.const("output", Request, to=Int, doc="tokens that it will emit")
tpot = fair.const("tpot", Request, to=Int, doc="its time per output token")
ddl = fair.const("ddl", Request, to=Int, doc="when its first token is due: its arrival and its time to first token")

now = fair.var("now", to=Int, init=lambda: 0, doc="the clock")
here = fair.var("here", Request, init=lambda r: False, doc="it has arrived and is not finished")
gone = fair.var("gone", Request, init=lambda r: False, doc="it has finished")
rem = fair.var("rem", Request, to=Int, init=lambda r: prompt(r), doc="prompt tokens not computed; none: it decodes")
left = fair.var("left", Request, to=Int, init=lambda r: output(r), doc="output tokens not emitted")
due = fair.var("due", Request, to=Int, init=lambda r: ddl(r), doc="the deadline of its next output token")
cost = fair.var("cost", Request, to=Int, init=lambda r: b() + c(), doc="what its next token adds to a batch without it")

stage = fair.var("stage", to=Int, init=lambda: 0, doc="of the round")
decodes = fair.var("decodes", Request, init=lambda r: False, doc="it is a decode in this round")
urgent = fair.var("urgent", Request, init=lambda r: False, doc="it is an urgent one")
taken = fair.var("taken", Request, init=lambda r: False, doc="it is in the batch")
passed = fair.var("passed", Request, init=lambda r: False, doc="a decode passed over, for it does not fit")
budget = fair.var("budget", to=Int, init=lambda: 0, doc="B")
tight = fair.var("tight", to=Int, init=lambda: 0, doc="Tmin, the least time per token of a decode")
est = fair.var("est", to=Int, init=lambda: 0, doc="predicted time of the batch")
calm = fair.var("calm", init=lambda: False, doc="at the beginning every decode had a slack of at least Tmin")
alone = fair.var("alone", init=lambda: False, doc="the batch is the one item of the progress rule")


def decoding(r: Request) -> Bool:
    """Its prompt is computed."""
    return here(r) & (rem(r) == 0)


def prefills(r: Request) -> Bool:
    """It is a prefill in this round; its prompt may be completed by it."""
    return here(r) & ~decodes(r)


def first(r: Request, group: Callable[[Request], Bool]) -> Bool:
    """Nobody left in the group has less slack."""
    return group(r) & forall(Request, lambda x: implies(group(x), due(r) <= due(x)))


def next_urgent(r: Request) -> Bool:
    """An urgent decode not looked at yet."""
    return urgent(r) & ~taken(r) & ~passed(r)


def next_prefill(r: Request) -> Bool:
    """A prefill that is not in the batch."""
    return prefills(r) & ~taken(r)


def next_other(r: Request) -> Bool:
    """Another decode not looked at yet."""
    return decodes(r) & ~urgent(r) & ~taken(r) & ~passed(r)


def fits(r: Request) -> Bool:
    """The next token of a request that is not in the batch fits into the budget."""
    return est() + cost(r) <= budget()


def chunks_complete() -> Bool:
    """No chunk in the batch can be longer."""
    return forall(Request, lambda x: implies(prefills(x) & taken(x), (rem(x) == 0) | ~(est() + b() + c() <= budget())))


def start(limit: Int, least: Int | int, ease: Bool, late: Callable[[Request], Bool]) -> None:
    """A round begins with an empty batch; the late are the urgent decodes."""
    stage.becomes(1)
    budget.becomes(limit)
    tight.becomes(least)
    calm.becomes(ease)
    est.becomes(a())
    decodes.becomes(decoding)
    urgent.becomes(late)
    taken.becomes(lambda r: FALSE)
    passed.becomes(lambda r: FALSE)
    alone.becomes(FALSE)


def add(r: Request) -> None:
    """A token of r joins the batch, the first one of it."""
    taken[r] = True
    est.becomes(est() + cost(r))
    cost[r] = cost(r) + c()


# -- actions -----------------------------------------------------------------------------------------------------------


@fair.action
def arrive(r: Request) -> None:
    "A request arrives between rounds."
    require("between", stage() == 0)
    require("new", ~here(r) & ~gone(r))
    here[r] = True


@fair.action
def begin(i: Request, j: Request) -> None:
    "A round with decodes: i has the least slack, j the least time per token; B is the greater of the two."
    require("between", stage() == 0)
    require("least-slack", first(i, decoding))
    require("strictest", decoding(j) & forall(Request, lambda x: implies(decoding(x), tpot(j) <= tpot(x))))
    slack, least = due(i) - now(), tpot(j)
    limit = ite(least <= slack, slack, least)
    start(limit, least, least <= slack, lambda r: decoding(r) & (due(r) - now() < limit + least))


@fair.action
def begin_idle(r: Request) -> None:
    "A round in which no request decodes."
    require("between", stage() == 0)
    require("work", here(r))
    require("no-decode", forall(Request, lambda x: ~decoding(x)))
    start(idle(), 0, FALSE, lambda x: FALSE)


@fair.action
def take_urgent(r: Request) -> None:
    "The next urgent decode joins the batch."
    require("stage", stage() == 1)
    require("next", first(r, next_urgent))
    require("fits", fits(r))
    add(r)


@fair.action
def pass_urgent(r: Request) -> None:
    "The next urgent decode does not fit; the loop goes on."
    require("stage", stage() == 1)
    require("next", first(r, next_urgent))
    require("misfit", ~fits(r))
    passed[r] = True


@fair.action
def turn_to_prefills() -> None:
    "All urgent decodes were looked at."
    require("stage", stage() == 1)
    require("all", forall(Request, lambda x: ~next_urgent(x)))
    stage.becomes(2)


@fair.action
def take_prefill(r: Request) -> None:
    "The next prefill joins the batch with one token; those before it are in it to the end of their prompts."
    require("stage", stage() == 2)
    require("next", first(r, next_prefill))
    require("before-complete", forall(Request, lambda x: implies(prefills(x) & taken(x), rem(x) == 0)))
    require("fits", fits(r))
    add(r)
    rem[r] = rem(r) - 1


@fair.action
def extend(r: Request) -> None:
    "The chunk grows by a token."
    require("stage", stage() == 2)
    require("chunk", taken(r))
    require("prompt-left", rem(r) > 0)  # so it is a prefill
    require("fits", est() + b() + c() <= budget())
    est.becomes(est() + b() + c())
    cost[r] = cost(r) + c()
    rem[r] = rem(r) - 1


@fair.action
def turn_to_others() -> None:
    "Every prefill is in the batch, as far as it fits."
    require("stage", stage() == 2)
    require("all", forall(Request, lambda x: ~next_prefill(x)))
    require("chunks", chunks_complete())
    stage.becomes(3)


@fair.action
def stop_at(r: Request) -> None:
    "The next prefill does not fit: the group ends there."
    require("stage", stage() == 2)
    require("next", first(r, next_prefill))
    require("misfit", ~fits(r))
    require("chunks", chunks_complete())
    stage.becomes(3)


@fair.action
def take_other(r: Request) -> None:
    "The next of the other decodes joins the batch."
    require("stage", stage() == 3)
    require("next", first(r, next_other))
    require("fits", fits(r))
    add(r)


@fair.action
def pass_other(r: Request) -> None:
    "The next of the other decodes does not fit."
    require("stage", stage() == 3)
    require("next", first(r, next_other))
    require("misfit", ~fits(r))
    passed[r] = True


@fair.action
def complete() -> None:
    "All were looked at, and something is in the batch."
    require("stage", stage() == 3)
    require("all", forall(Request, lambda x: ~next_other(x)))
    require("some", exists(Request, lambda x: taken(x)))
    stage.becomes(4)


@fair.action
def progress(r: Request) -> None:
    "Nothing fits: the batch is one token, of the most urgent decode, or of the first prefill where none decodes."
    require("stage", stage() == 3)
    require("all", forall(Request, lambda x: ~next_other(x)))
    require("none", forall(Request, lambda x: ~taken(x)))
    # Where nobody decodes, all that are here are prefills, and none is in the batch.
    require("most-urgent", first(r, decodes) | (forall(Request, lambda x: ~decodes(x)) & first(r, here)))
    add(r)
    rem[r] = ite(decodes(r), rem(r), rem(r) - 1)
    alone.becomes(TRUE)
    stage.becomes(4)


def emits(r: Request) -> Bool:
    """It is in the batch, with the end of its prompt or a decode."""
    return taken(r) & (rem(r) == 0)


@fair.action
def run() -> None:
    "The step takes the predicted time; who computed all it had to emits a token."
    require("stage", stage() == 4)
    now.becomes(now() + est())
    due.becomes(lambda r: ite(emits(r), due(r) + tpot(r), due(r)))
    left.becomes(lambda r: ite(emits(r), left(r) - 1, left(r)))
    here.becomes(lambda r: here(r) & ~(emits(r) & (left(r) == 1)))
    gone.becomes(lambda r: gone(r) | (emits(r) & (left(r) == 1)))
    stage.becomes(0)
