"""FairBatching: what holds in every reachable state and of every step, and what must be possible."""

from __future__ import annotations

from mtpo.spec.fairbatching.model import (
    Request,
    a,
    alone,
    b,
    budget,
    c,
    calm,
    chunks_complete,
    cost,
    decodes,
    due,
    est,
    fair,
    fits,
    gone,
    here,
    idle,
    left,
    next_other,
    next_prefill,
    next_urgent,
    now,
    output,
    passed,
    prefills,
    prompt,
    rem,
    stage,
    taken,
    tight,
    tpot,
    urgent,
)
from mtpo.spec.language import Bool, conj, exists, forall, iff, implies, ite


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
    raised_by=("arrive", "begin", "begin_idle", "run"),
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
