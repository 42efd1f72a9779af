"""FairBatching: one round of batch formation after the other, item by item, with linear arithmetic.

"FairBatching: Fairness-Aware Batch Formation for LLM Inference" (arXiv 2510.14392): deadlines, budget, formation. A
round looks at the clock once, sets the time budget, and fills the batch: urgent decodes, prefills, other decodes, each
group by deadline. A token costs ``b + c * context``, the next one of the same prompt in the same batch ``b + c``; so
the predicted time is a sum, kept as the batch grows. The batch then takes exactly that long (the exact time model):
what is shown here is what the rule gives when its predictions are right. Caps on tokens and memory are left out: they
only make more misfits.

Stages of a round: 0 between rounds, 1 urgent decodes, 2 prefills, 3 other decodes, 4 the batch is complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mtpo.spec.language import FALSE, TRUE, Bool, Int, Sort, Spec, conj, exists, forall, iff, implies, ite, require

fair: Final = Spec("fair", __doc__)


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


# -- properties --------------------------------------------------------------------------------------------------------


@fair.assume("fair.A-parameters")
def parameters() -> Bool:
    "Times are positive, and every request has a prompt and emits something."
    return conj(
        a() >= 0,
        b() >= 1,
        c() >= 0,
        idle() >= 1,
        forall(Request, lambda r: (prompt(r) >= 1) & (output(r) >= 1) & (tpot(r) >= 1)),
    )


def running() -> Bool:
    """The batch is complete and has not run."""
    return stage() == 4


def formed() -> Bool:
    """The batch is formed, or was, by what fits."""
    return (stage() >= 1) & ~alone()


@fair.step_property("fair.envelope")
def envelope() -> Bool:
    "P1, P2: a deadline moves on by the time per token with each token, however early or late that one was."
    return forall(
        Request,
        lambda r: (
            (due.next(r) == ite(left.next(r) < left(r), due(r) + tpot(r), due(r)))
            & (left(r) - 1 <= left.next(r))
            & (left.next(r) <= left(r))
        ),
    )


@fair.invariant("fair.budget-floor")
def budget_floor() -> Bool:
    "P3: the budget is at least the least time per token of a decode; and at most the least slack, if it is not that."
    return forall(
        Request,
        lambda r: implies(
            (stage() >= 1) & decodes(r),
            (budget() >= tight())
            & (tight() <= tpot(r))
            & ((budget() <= due(r) - now()) | (~calm() & (budget() == tight()))),
        ),
    )


@fair.invariant("fair.budget-rule")
def budget_rule() -> Bool:
    "The budget is the slack of some decode or the time per token of some decode; the idle budget when there is none."
    return conj(
        implies(
            (stage() >= 1) & exists(Request, lambda r: decodes(r)),
            exists(Request, lambda r: decodes(r) & ((budget() == due(r) - now()) | (~calm() & (budget() == tight()))))
            & exists(Request, lambda r: decodes(r) & (tight() == tpot(r))),
        ),
        implies((stage() >= 1) & forall(Request, lambda r: ~decodes(r)), budget() == idle()),
    )


@fair.step_property("fair.urgent-in-time")
def urgent_in_time() -> Bool:
    "P3: if at the beginning every decode had a slack of at least Tmin, then those in the batch emit in time."
    return forall(
        Request,
        lambda r: implies(
            running() & (stage.next() == 0) & calm() & ~alone() & decodes(r) & taken(r), now.next() <= due(r)
        ),
    )


@fair.invariant("fair.within-budget")
def within_budget() -> Bool:
    "P4: a batch is predicted to keep the budget, but for the one item of the progress rule."
    return forall(Request, lambda r: implies(formed() & taken(r), est() <= budget()))


@fair.step_property("fair.safe-deferral")
def safe_deferral() -> Bool:
    "P5: a decode that is not urgent and was put off has at least Tmin of slack after the batch."
    return forall(
        Request,
        lambda r: implies(
            running() & (stage.next() == 0) & ~alone() & decodes(r) & ~urgent(r) & ~taken(r),
            due(r) - now.next() >= tight(),
        ),
    )


@fair.invariant("fair.no-inversion")
def no_inversion() -> Bool:
    "P6: in a group nobody is served before one with less slack, but for a decode that does not fit."
    return conj(
        forall(
            Request,
            Request,
            lambda x, y: implies(
                formed() & decodes(x) & decodes(y) & (urgent(x) == urgent(y)) & taken(y) & (due(x) < due(y)),
                taken(x) | passed(x),
            ),
        ),
        forall(
            Request,
            Request,
            lambda x, y: implies(
                (stage() >= 1) & prefills(x) & prefills(y) & taken(y) & (due(x) < due(y)),
                taken(x) & ((rem(x) == 0) | (rem(y) == 0)),
            ),
        ),
    )


@fair.invariant("fair.work-conserving")
def work_conserving() -> Bool:
    "P7: no decode that was left out would fit, and of the prefills left out not the first."
    return conj(
        forall(Request, lambda r: implies(running() & ~alone() & decodes(r) & ~taken(r), ~fits(r))),
        forall(
            Request,
            lambda r: implies(
                (stage() >= 3) & ~alone() & next_prefill(r),
                exists(Request, lambda x: next_prefill(x) & (due(x) <= due(r)) & ~fits(x)),
            ),
        ),
        implies((stage() >= 3) & ~alone(), chunks_complete()),
    )


@fair.invariant("fair.group-order")
def group_order() -> Bool:
    "P8: urgent decodes before prefills before the others."
    return forall(
        Request,
        lambda r: (
            implies(formed() & taken(r) & prefills(r), stage() >= 2)
            & implies(formed() & taken(r) & decodes(r) & ~urgent(r), stage() >= 3)
            & implies(stage() >= 2, ~next_urgent(r))
            & implies(running(), ~next_other(r))
        ),
    )


@fair.invariant("fair.chunk-within-prompt")
def chunk_within_prompt() -> Bool:
    "P9: what is computed of a prompt never exceeds it, and no more is emitted than wanted."
    return forall(Request, lambda r: (rem(r) >= 0) & (rem(r) <= prompt(r)) & (left(r) >= 0) & (left(r) <= output(r)))


@fair.step_property("fair.prefill-gets-on")
def prefill_gets_on() -> Bool:
    "P10: if the urgent decodes leave room for a token of the first prefill, a prefill is in the batch."
    return forall(
        Request,
        lambda r: implies(
            (stage() == 2)
            & (stage.next() == 3)
            & prefills(r)
            & forall(Request, lambda x: implies(prefills(x), fits(x) | taken(x))),
            exists(Request, lambda x: prefills(x) & taken(x)),
        ),
    )


@fair.invariant("fair.never-empty")
def never_empty() -> Bool:
    "A batch that runs has something in it, so every step computes a token and takes time."
    return conj(
        implies(running(), exists(Request, lambda r: taken(r))),
        implies(running(), est() >= 1),
        implies(stage() >= 1, exists(Request, lambda r: here(r))),
        implies(running() & alone(), exists(Request, lambda r: forall(Request, lambda x: iff(taken(x), x == r)))),
    )


@fair.invariant("fair.urgent-first-alone")
def urgent_first_alone() -> Bool:
    "If nothing fits, what runs all the same is a decode before a prefill, and of its kind the one with least slack."
    return forall(
        Request,
        Request,
        lambda r, x: implies(
            running() & alone() & taken(r) & here(x),
            implies(decodes(x), decodes(r)) & implies(iff(decodes(x), decodes(r)), due(r) <= due(x)),
        ),
    )


@fair.step_property("fair.served-to-the-end")
def served_to_the_end() -> Bool:
    "A request that has arrived stays until its last token is emitted, and then is gone for good."
    return forall(
        Request,
        lambda r: (
            implies(here(r) & ~here.next(r), (left.next(r) == 0) & gone.next(r))
            & implies(gone(r), gone.next(r) & ~here.next(r))
        ),
    )


@fair.step_property("fair.time-adds-up")
def time_adds_up() -> Bool:
    "The predicted time is that of the tokens in the batch: each adds its cost once, and costs c more from then on."

    def joins(r: Request) -> Bool:
        return (stage() >= 1) & ~taken(r) & taken.next(r)

    def grows(r: Request) -> Bool:
        return taken(r) & (rem.next(r) < rem(r))

    return conj(
        forall(
            Request,
            lambda r: implies(joins(r), (est.next() == est() + cost(r)) & (decodes(r) | (rem.next(r) == rem(r) - 1))),
        ),
        forall(Request, lambda r: implies(grows(r), est.next() == est() + b() + c())),
        (stage() == 0) | (est.next() == est()) | exists(Request, lambda r: joins(r) | grows(r)),
        forall(
            Request,
            lambda r: (rem.next(r) == rem(r)) | ((rem.next(r) == rem(r) - 1) & (cost.next(r) == cost(r) + c())),
        ),
        forall(Request, lambda r: cost.next(r) == cost(r) + ite(joins(r) | grows(r), c(), 0)),
    )


@fair.step_property("fair.time-passes")
def time_passes() -> Bool:
    "A round goes through its stages, none of its items leaves it, and it ends when the predicted time has passed."
    ends = (stage() == 4) & (stage.next() == 0)
    return conj(
        (stage.next() == stage()) | (stage.next() == stage() + 1) | ends,
        forall(Request, lambda r: implies((stage() >= 1) & taken(r), taken.next(r))),
        now.next() == now() + ite(ends, est(), 0),
    )


@fair.lemma("fair.books")
def books() -> Bool:
    "What is kept of a round agrees with what is known of the requests."
    return conj(
        (stage() >= 0) & (stage() <= 4),
        est() >= 0,
        implies(alone(), (stage() == 4) | (stage() == 0)),
        implies(stage() >= 1, est() >= a()),
        forall(Request, lambda r: implies(taken(r) & (stage() >= 1), est() >= b())),
        forall(Request, lambda r: cost(r) >= b() + c()),
        forall(Request, lambda r: implies(here(r), ~gone(r)) & implies(~gone(r), left(r) >= 1)),
        forall(Request, lambda r: implies((stage() >= 1) & decodes(r), here(r) & (rem(r) == 0))),
        forall(Request, lambda r: implies((stage() >= 1) & urgent(r), decodes(r))),
        forall(Request, lambda r: implies((stage() >= 1) & taken(r), here(r))),
        forall(Request, lambda r: implies((stage() >= 1) & prefills(r) & ~taken(r), rem(r) >= 1)),
        forall(Request, lambda r: implies((stage() >= 1) & passed(r), decodes(r) & ~fits(r) & (~taken(r) | alone()))),
        forall(
            Request,
            lambda r: implies((stage() >= 1) & decodes(r) & ~urgent(r), due(r) - now() >= budget() + tight()),
        ),
    )


@fair.variant(
    "fair.round-ends",
    Request,
    decreases=(
        "take_urgent",
        "pass_urgent",
        "turn_to_prefills",
        "take_prefill",
        "turn_to_others",
        "stop_at",
        "take_other",
        "pass_other",
        "complete",
        "progress",
    ),
)
def round_ends(r: Request) -> tuple[Bool, ...]:
    "A round ends: each item is looked at once and each stage left for good; a chunk can only grow to the prompt's end."
    return stage() <= 1, stage() <= 2, stage() <= 3, next_urgent(r), next_prefill(r), next_other(r)


@fair.reachable("fair.reach-mixed")
def reach_mixed() -> Bool:
    "A batch has an urgent decode and the beginning of a prompt, which does not end in it."
    return exists(
        Request, Request, lambda r, q: running() & taken(r) & urgent(r) & taken(q) & prefills(q) & (rem(q) > 0)
    )


@fair.reachable("fair.reach-deferred")
def reach_deferred() -> Bool:
    "A decode with much slack is put off."
    return exists(Request, lambda r: running() & ~alone() & decodes(r) & ~urgent(r) & ~taken(r))


@fair.reachable("fair.reach-left-out")
def reach_left_out() -> Bool:
    "A prefill does not fit at all, and others run without it."
    return exists(Request, lambda r: running() & ~alone() & next_prefill(r))


@fair.reachable("fair.reach-alone")
def reach_alone() -> Bool:
    "Nothing fits, and one item runs."
    return running() & alone()


EQUIVALENT: Final = {
    "fair.arrive.new/0@74ba0dd8": "to arrive again changes nothing",
    "fair.begin_idle.tight:=@ed6fc5c4": "without a decode nothing reads it",
    "fair.begin_idle.calm:=@ae648cff": "without a decode nothing reads it",
    "fair.take_urgent.next/2@b4c095fa": "what did not fit does not fit later: the predicted time only grows",
    "fair.pass_urgent.stage@4b3126ab": "in no other stage is an urgent decode left",
    "fair.pass_urgent.next/3@54c98237": "the order of those that do not fit means nothing",
    "fair.pass_urgent.next~0@e5457dbb": "the order of those that do not fit means nothing",
    "fair.extend.stage@ecf691bc": "after stage 2 no chunk can grow",
    "fair.take_other.next/1@21ab8e75": "after stage 1 no urgent decode is left",
    "fair.take_other.next/3@08fbde6c": "what did not fit does not fit later: the predicted time only grows",
    "fair.pass_other.stage@7f1bb4c2": (
        "to pass over what does not fit, early, changes nothing: it does not fit later either"
    ),
    "fair.pass_other.next/1@21ab8e75": "after stage 1 no urgent decode is left",
    "fair.pass_other.next/4@2ccb1171": "the order of those that do not fit means nothing",
    "fair.pass_other.next~0@b1260671": "the order of those that do not fit means nothing",
}
