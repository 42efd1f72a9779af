"""Batches under a bound on the gap between two tokens: who is admitted has its share of the bound reserved.

A step is predicted to take ``a + b * new + c * context``. The last token of a request is its dearest: ``b + c *
(prompt + output)`` is its *share*. A request is admitted only while ``a`` and all shares together keep the bound; then
every step can give every running request a token, whatever has arrived, and what is left of the bound goes to prompts.
So a decode gets its next token in the next step, and that step ends within the bound. Any smaller budget for prompts
(as FairBatching's, arXiv 2510.14392) only makes chunks shorter: here a batch may be complete at any time.

The sum of the shares is kept as a layout: running requests lie side by side between ``a`` and ``top``, each as long as
its share. The unit of time is what a token of context costs, unless that costs nothing (``c`` is 1 or 0); it makes all
arithmetic linear. The exact time model is assumed, and a cache that never runs short; the policy reserves its blocks in
the same way.

Stages of a round: 0 between rounds, 1 a token of each, 2 chunks and admissions, 3 the batch is complete.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.language import FALSE, Bool, Int, Sort, Spec, conj, exists, forall, implies, ite, require

gap: Final = Spec("gap", __doc__)


class Request(Sort):
    """a request"""


a = gap.const("a", to=Int, doc="time of any step")
b = gap.const("b", to=Int, doc="time per token")
c = gap.const("c", to=Int, doc="time per token of context: the unit, or nothing")
bound = gap.const("bound", to=Int, doc="G: the longest time between two tokens of a request")
prompt = gap.const("prompt", Request, to=Int, doc="tokens of its prompt")
output = gap.const("output", Request, to=Int, doc="tokens that it will emit, at most")
ddl = gap.const("ddl", Request, to=Int, doc="when its first token is due")

now = gap.var("now", to=Int, init=lambda: 0, doc="the clock")
here = gap.var("here", Request, init=lambda r: False, doc="it has arrived and is not finished")
gone = gap.var("gone", Request, init=lambda r: False, doc="it has finished")
runs = gap.var("runs", Request, init=lambda r: False, doc="it is admitted")
at = gap.var("at", Request, to=Int, init=lambda r: 0, doc="where its share begins, if it is admitted")
top = gap.var("top", to=Int, init=lambda: a(), doc="where the last share ends: a and all shares together")
rem = gap.var("rem", Request, to=Int, init=lambda r: prompt(r), doc="prompt tokens not computed; none: it decodes")
left = gap.var("left", Request, to=Int, init=lambda r: output(r), doc="output tokens not emitted")
last = gap.var("last", Request, to=Int, init=lambda r: 0, doc="when its last token was there, once there was one")

stage = gap.var("stage", to=Int, init=lambda: 0, doc="of the round")
taken = gap.var("taken", Request, init=lambda r: False, doc="it is in the batch")
est = gap.var("est", to=Int, init=lambda: 0, doc="predicted time of the batch")


def read(tokens: Int) -> Int:
    """What so many tokens of context cost."""
    return ite(c() == 1, tokens, 0)


def share(r: Request) -> Int:
    """What its dearest token adds to a batch, its last one: the whole sequence is read for it."""
    return b() + read(prompt(r) + output(r))


def cost(r: Request) -> Int:
    """What its next token adds to a batch without it."""
    return b() + read(prompt(r) - rem(r) + ite(rem(r) == 0, output(r) - left(r), 1))


def waits(r: Request) -> Bool:
    """It has arrived and is not admitted."""
    return here(r) & ~runs(r)


def emits(r: Request) -> Bool:
    """It is in the batch, with the end of its prompt or a decode."""
    return taken(r) & (rem(r) == 0)


# -- actions -----------------------------------------------------------------------------------------------------------


@gap.action
def arrive(r: Request) -> None:
    "A request arrives between rounds."
    require("between", stage() == 0)
    require("new", ~here(r) & ~gone(r))
    here[r] = True


@gap.action
def begin() -> None:
    "A round begins with an empty batch."
    require("between", stage() == 0)
    require("work", exists(Request, lambda r: here(r)))
    require("left", forall(Request, lambda r: ~(runs(r) & (left(r) == 0))))
    stage.becomes(1)
    est.becomes(a())
    taken.becomes(lambda r: FALSE)


@gap.action
def take(r: Request) -> None:
    "The next of the running requests gets a token: nobody asks whether it fits."
    require("stage", stage() == 1)
    require("runs", runs(r) & ~taken(r))
    require("in-order", forall(Request, lambda x: implies(runs(x) & ~taken(x), at(r) <= at(x))))
    taken[r] = True
    est.becomes(est() + cost(r))
    rem[r] = ite(rem(r) == 0, 0, rem(r) - 1)


@gap.action
def turn_to_chunks() -> None:
    "Every running request has a token."
    require("stage", stage() == 1)
    require("all", forall(Request, lambda r: implies(runs(r), taken(r))))
    stage.becomes(2)


@gap.action
def extend(r: Request) -> None:
    "The chunk of a prompt grows by a token, while the bound is kept."
    require("stage", stage() == 2)
    require("chunk", taken(r) & (rem(r) > 0))
    require("fits", est() + b() + c() <= bound())
    est.becomes(est() + b() + c())
    rem[r] = rem(r) - 1


@gap.action
def admit(r: Request) -> None:
    "The first of those that wait is admitted, with its first token: its share and all others together keep the bound."
    require("stage", stage() == 2)
    require("waits", waits(r))
    require("first", forall(Request, lambda x: implies(waits(x), ddl(r) <= ddl(x))))
    require("reserved", top() + share(r) <= bound())
    require("fits", est() + b() + c() <= bound())
    runs[r] = True
    at[r] = top()
    top.becomes(top() + share(r))
    taken[r] = True
    est.becomes(est() + b() + c())
    rem[r] = rem(r) - 1


@gap.action
def complete() -> None:
    "Something is in the batch; it may be complete at any time after the running requests have their tokens."
    require("stage", stage() == 2)
    require("some", exists(Request, lambda r: taken(r)))
    stage.becomes(3)


@gap.action
def run() -> None:
    "The step takes the predicted time; who computed all it had to emits a token."
    require("stage", stage() == 3)
    now.becomes(now() + est())
    last.becomes(lambda r: ite(emits(r), now() + est(), last(r)))
    left.becomes(lambda r: ite(emits(r), left(r) - 1, left(r)))
    stage.becomes(0)


@gap.action
def leave(r: Request) -> None:
    "A request that has emitted everything gives back its share; those above move down."
    require("between", stage() == 0)
    require("ended", runs(r) & (left(r) == 0))
    runs[r] = False
    here[r] = False
    gone[r] = True
    top.becomes(top() - share(r))
    at.becomes(lambda x: ite(at(x) > at(r), at(x) - share(r), at(x)))


# -- properties --------------------------------------------------------------------------------------------------------


@gap.assume("gap.A-parameters")
def parameters() -> Bool:
    "Times are positive, every request has a prompt and emits something; a token of context costs the unit or nothing."
    return conj(
        a() >= 0,
        b() >= 1,
        (c() == 0) | (c() == 1),
        forall(Request, lambda r: (prompt(r) >= 1) & (output(r) >= 1)),
    )


@gap.assume("gap.A-each-fits")
def each_fits() -> Bool:
    "Every request alone keeps the bound."
    return forall(Request, lambda r: a() + share(r) <= bound())


def ends() -> Bool:
    """The step is the end of a round."""
    return (stage() == 3) & (stage.next() == 0)


@gap.step_property("gap.bounded")
def bounded() -> Bool:
    "No more than the bound passes between two tokens of a request, whatever arrives."
    return forall(
        Request,
        lambda r: implies((left.next(r) < left(r)) & (left(r) < output(r)), last.next(r) - last(r) <= bound()),
    )


@gap.step_property("gap.next-step")
def next_step() -> Bool:
    "In steps: a running decode gets one token in every step, at its end."
    return forall(
        Request,
        lambda r: conj(
            implies(ends() & runs(r) & (rem(r) == 0), (left.next(r) == left(r) - 1) & (last.next(r) == now.next())),
            (left.next(r) == left(r)) | (ends() & emits(r)),
            (last.next(r) == last(r)) | (ends() & emits(r)),
        ),
    )


@gap.invariant("gap.within-bound")
def within_bound() -> Bool:
    "A batch is predicted to keep the bound, at every moment of its formation."
    return implies(stage() >= 1, est() <= bound())


@gap.invariant("gap.all-get-on")
def all_get_on() -> Bool:
    "Every running request is in every batch, prompts too: none is passed over."
    return forall(Request, lambda r: implies((stage() >= 2) & runs(r), taken(r)))


@gap.step_property("gap.prompts-get-on")
def prompts_get_on() -> Bool:
    "Who joins a batch with a part of its prompt left computes a token of it, at least."
    return forall(
        Request,
        lambda r: (
            implies((stage() >= 1) & ~taken(r) & taken.next(r) & (rem(r) > 0), rem.next(r) == rem(r) - 1)
            & ((rem.next(r) == rem(r)) | ((rem.next(r) == rem(r) - 1) & taken.next(r)))
        ),
    )


@gap.step_property("gap.no-preemption")
def no_preemption() -> Bool:
    "Who is admitted runs until it has emitted everything, and then leaves for good."
    return forall(
        Request,
        lambda r: (
            implies(runs(r) & ~runs.next(r), (left(r) == 0) & gone.next(r) & ~here.next(r))
            & implies(here(r) & ~here.next(r), runs(r))
            & implies(gone(r), gone.next(r) & ~here.next(r))
            & implies(~gone(r) & gone.next(r), runs(r))
        ),
    )


@gap.step_property("gap.one-snapshot")
def one_snapshot() -> Bool:
    "Requests come and go between rounds only."
    return implies(stage() >= 1, forall(Request, lambda r: (here.next(r) == here(r)) & (gone.next(r) == gone(r))))


@gap.invariant("gap.reserved")
def reserved() -> Bool:
    "The shares of the running requests lie side by side between a and the bound: together they keep it."
    return conj(
        (a() <= top()) & (top() <= bound()),
        forall(Request, lambda r: implies(runs(r), (a() <= at(r)) & (at(r) + share(r) <= top()))),
        forall(
            Request,
            Request,
            lambda r, x: implies(
                runs(r) & runs(x) & (r != x), (at(r) + share(r) <= at(x)) | (at(x) + share(x) <= at(r))
            ),
        ),
    )


@gap.invariant("gap.room-comes-back")
def room_comes_back() -> Bool:
    "Nothing is reserved but the shares of those that run, without holes; when nobody runs, the first that waits fits."
    return conj(
        (top() == a()) | exists(Request, lambda x: runs(x) & (at(x) + share(x) == top())),
        forall(
            Request,
            lambda r: implies(
                runs(r), (at(r) == a()) | exists(Request, lambda x: runs(x) & (at(x) + share(x) == at(r)))
            ),
        ),
        forall(
            Request,
            lambda r: implies(
                (stage() == 2) & forall(Request, lambda x: ~taken(x)),
                (top() + share(r) <= bound()) & (est() + share(r) <= bound()),
            ),
        ),
    )


@gap.step_property("gap.admitted-in-order")
def admitted_in_order() -> Bool:
    "Nobody is admitted before one that waits with an earlier deadline."
    return forall(
        Request,
        Request,
        lambda r, x: implies(~runs(r) & runs.next(r), here(r) & implies(waits(x), ddl(r) <= ddl(x))),
    )


@gap.invariant("gap.within-prompt")
def within_prompt() -> Bool:
    "What is computed of a prompt never exceeds it, and no more is emitted than wanted."
    return forall(Request, lambda r: (rem(r) >= 0) & (rem(r) <= prompt(r)) & (left(r) >= 0) & (left(r) <= output(r)))


@gap.step_property("gap.time-adds-up")
def time_adds_up() -> Bool:
    "The predicted time is that of the tokens in the batch, and passes when the round ends."

    def joins(r: Request) -> Bool:
        return (stage() >= 1) & ~taken(r) & taken.next(r)

    def grows(r: Request) -> Bool:
        return taken(r) & (rem.next(r) < rem(r))

    return conj(
        forall(Request, lambda r: implies(joins(r), est.next() == est() + cost(r))),
        forall(Request, lambda r: implies(grows(r), est.next() == est() + b() + c())),
        forall(Request, lambda r: implies((stage() >= 1) & taken(r), taken.next(r))),
        (stage.next() == stage()) | (stage.next() == stage() + 1) | ends(),
        implies((stage() == 0) & (stage.next() == 1), est.next() == a()),
        (stage() == 0) | (est.next() == est()) | exists(Request, lambda r: joins(r) | grows(r)),
        now.next() == now() + ite(ends(), est(), 0),
    )


@gap.invariant("gap.never-empty")
def never_empty() -> Bool:
    "A round has work, and a batch that runs has something in it: every step computes a token and takes time."
    return conj(
        implies(stage() >= 1, exists(Request, lambda r: here(r))),
        implies(stage() == 3, exists(Request, lambda r: taken(r)) & (est() >= 1)),
    )


@gap.lemma("gap.books")
def books() -> Bool:
    "What is kept of a round agrees with what is known of the requests."
    return conj(
        (stage() >= 0) & (stage() <= 3),
        implies(stage() >= 1, est() >= a()),
        implies((stage() >= 1) & forall(Request, lambda x: ~taken(x)), est() == a()),
        forall(Request, lambda r: implies((stage() >= 1) & taken(r), runs(r) & (est() >= b()))),
        forall(Request, lambda r: implies((stage() == 1) & runs(r) & ~taken(r), est() <= at(r))),
        forall(Request, lambda r: implies(runs(r), here(r)) & implies(here(r), ~gone(r))),
        forall(Request, lambda r: implies(waits(r), (rem(r) == prompt(r)) & (left(r) == output(r)))),
        forall(Request, lambda r: implies(~here(r) & ~gone(r), (rem(r) == prompt(r)) & (left(r) == output(r)))),
        forall(Request, lambda r: implies(left(r) < output(r), rem(r) == 0)),
        forall(Request, lambda r: implies((stage() >= 1) & runs(r), left(r) >= 1)),
        forall(Request, lambda r: implies(runs(r) & (rem(r) == 0) & (left(r) == output(r)), (stage() >= 1) & taken(r))),
        forall(Request, lambda r: implies(runs(r) & (left(r) < output(r)), last(r) == now())),
    )


@gap.variant(
    "gap.round-ends",
    Request,
    decreases=("take", "turn_to_chunks", "admit", "complete"),
    raised_by=("arrive", "begin", "run"),
)
def round_ends(r: Request) -> tuple[Bool, ...]:
    "A round ends: each request joins it once, each stage is left for good; a chunk grows to its prompt's end at most."
    return stage() <= 1, stage() <= 2, runs(r) & ~taken(r), waits(r)


@gap.reachable("gap.reach-gap")
def reach_gap() -> Bool:
    "A decode runs while a prompt is admitted into the same batch, which is as long as the bound."
    return exists(
        Request,
        Request,
        lambda r, q: (stage() == 3) & runs(r) & (left(r) < output(r)) & taken(q) & (rem(q) > 0) & (est() == bound()),
    )


@gap.reachable("gap.reach-reserved")
def reach_reserved() -> Bool:
    "A request waits although its first token would fit: its share would not."
    return exists(
        Request,
        lambda r: (stage() == 3) & waits(r) & (est() + cost(r) <= bound()) & (top() + share(r) > bound()),
    )


@gap.reachable("gap.reach-again")
def reach_again() -> Bool:
    "One has left from below another, which goes on."
    return exists(Request, Request, lambda r, q: gone(r) & runs(q) & (left(q) < output(q)) & (left(q) > 0))


EQUIVALENT: Final = {
    "gap.arrive.new/0@74ba0dd8": "to arrive again changes nothing",
    "gap.leave.between@42aca13f": "within a round everybody that runs has something left to emit",
}
