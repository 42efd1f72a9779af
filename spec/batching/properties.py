"""Batches under a budget of tokens: what is shown of them, for any number of requests, tokens and slots."""

from __future__ import annotations

from mtpo.spec.batching.model import (
    Position,
    Request,
    Slot,
    batch,
    batching,
    budget,
    computed,
    could,
    decodes,
    decodes_first,
    decoding,
    emitted,
    filled,
    first_prompt,
    first_waiting,
    full,
    gone,
    here,
    in_turn,
    known,
    lacks,
    last,
    no_prompt_to_be_had,
    of_prompts,
    prefill_first,
    runs,
    short,
    stage,
    taken,
    tight,
    waits,
)
from mtpo.spec.language import Bool, conj, exists, forall, iff, implies, ite


@batching.assume("batching.A-one-policy")
def one_policy() -> Bool:
    "There is one policy."
    return ~(decodes_first() & prefill_first())


def given(r: Request, p: Position) -> Bool:
    """The token is computed in this step."""
    return computed.next(r, p) & ~computed(r, p)


def gets(r: Request) -> Bool:
    """It is given a token."""
    return exists(Position, lambda p: given(r, p))


def ends() -> Bool:
    """The step is the end of a round."""
    return (stage() == 2) & (stage.next() == 0)


@batching.invariant("batching.within-budget")
def within_budget() -> Bool:
    "Each token of a batch has a slot of its own, within the budget."
    return conj(
        forall(Slot, Request, Position, lambda s, r, p: implies(batch(s, r, p), s <= budget())),
        forall(
            Slot,
            lambda s: forall(
                Request,
                Position,
                Request,
                Position,
                lambda r, p, x, q: implies(batch(s, r, p) & batch(s, x, q), (r == x) & (p == q)),
            ),
        ),
        forall(Slot, Slot, Request, Position, lambda s, t, r, p: implies(batch(s, r, p) & batch(t, r, p), s == t)),
    )


@batching.step_property("batching.slot-for-each")
def slot_for_each() -> Bool:
    "What is computed takes an empty slot, and keeps it until the step ends; no slot is taken for nothing."
    return conj(
        forall(
            Request,
            Position,
            lambda r, p: implies(given(r, p), exists(Slot, lambda s: batch.next(s, r, p) & ~filled(s))),
        ),
        forall(Slot, Request, Position, lambda s, r, p: implies(batch.next(s, r, p) & ~batch(s, r, p), given(r, p))),
        forall(Slot, Request, Position, lambda s, r, p: implies(batch(s, r, p) & ~batch.next(s, r, p), ends())),
    )


@batching.invariant("batching.from-the-left")
def from_the_left() -> Bool:
    "The slots of a step are filled one beside the other."
    return forall(Slot, Slot, lambda s, t: implies(filled(t) & (s < t), filled(s)))


@batching.invariant("batching.within-context")
def within_context() -> Bool:
    "Nothing is computed but the prompt and what was emitted, from its beginning on and without holes."
    return conj(
        forall(Request, Position, lambda r, p: implies(computed(r, p), known(r, p))),
        forall(Request, Position, lambda r, p: implies(p <= last(r), known(r, p))),
        forall(
            Request,
            Position,
            Position,
            lambda r, p, q: implies(q < p, implies(computed(r, p), computed(r, q)) & implies(known(r, p), known(r, q))),
        ),
    )


@batching.step_property("batching.emits-in-turn")
def emits_in_turn() -> Bool:
    "A step emits one token of each request that is in it and then lacks nothing, and of no other."
    return forall(
        Request,
        Position,
        lambda r, p: conj(
            implies(known(r, p), known.next(r, p)),
            iff(
                ~known(r, p) & known.next(r, p),
                ends() & taken(r) & ~lacks(r) & ~known(r, p) & forall(Position, lambda q: implies(q < p, known(r, q))),
            ),
        ),
    )


@batching.step_property("batching.stall-free")
def stall_free() -> Bool:
    "But for prefill first, no prompt is given a token before every decode has its own, or has no room in the cache."
    return implies(
        ~prefill_first(),
        forall(
            Request,
            Request,
            lambda r, x: implies(
                gets(x) & ~decodes(x) & runs(r) & decodes(r),
                taken(r) | (decodes_first() & (tight(r) | short())),
            ),
        ),
    )


@batching.step_property("batching.oldest-alone")
def oldest_alone() -> Bool:
    "Sarathi: once somebody was preempted, nobody but the oldest request is given tokens in that step."
    return implies(
        decodes_first() & short(),
        forall(Request, Request, lambda r, x: implies(gets(r) & runs(x), r <= x)),
    )


@batching.step_property("batching.prompts-in-order")
def prompts_in_order() -> Bool:
    "First come, first served: no prompt is given a token while an earlier one, running or waiting, could take more."
    return forall(
        Request,
        Request,
        lambda r, x: implies(
            gets(x) & ~decodes(x) & here(r) & ~decodes(r) & (r < x),
            ~lacks(r) | (decodes_first() & runs(r) & tight(r)),
        ),
    )


@batching.step_property("batching.decodes-in-order")
def decodes_in_order() -> Bool:
    "No decode is given its token before an earlier one that there is room for."
    return forall(
        Request,
        Request,
        lambda r, x: implies(
            gets(x) & decodes(x) & runs(r) & decodes(r) & (r < x), taken(r) | (decodes_first() & tight(r))
        ),
    )


@batching.step_property("batching.running-first")
def running_first() -> Bool:
    "vLLM V1: nobody is given a token while one lacks any that runs for longer, decode or prompt."
    return implies(
        ~decodes_first() & ~prefill_first(),
        forall(Request, Request, lambda r, x: implies(gets(x) & runs(r) & (r < x), ~lacks(r))),
    )


@batching.step_property("batching.admitted-in-order")
def admitted_in_order() -> Bool:
    "Who waits is admitted in order of arrival, with a token, if there is room, and in no step that preempted somebody."
    return forall(
        Request,
        lambda r: implies(~runs(r) & runs.next(r), first_waiting(r) & ~tight(r) & gets(r) & ~short() & (stage() == 1)),
    )


@batching.invariant("batching.running-are-earlier")
def running_are_earlier() -> Bool:
    "Whoever runs arrived before all that wait, those that were preempted too."
    return forall(Request, Request, lambda r, x: implies(runs(r) & waits(x), r < x))


@batching.invariant("batching.one-kind")
def one_kind() -> Bool:
    "Prefill first: a batch is prompts or decodes, never both."
    return implies(
        prefill_first(),
        forall(Request, Request, lambda r, x: implies(taken(r) & taken(x), iff(decodes(r), decodes(x)))),
    )


@batching.step_property("batching.prompts-first")
def prompts_first() -> Bool:
    "Prefill first: a decode waits while a prompt can be had."
    return implies(
        prefill_first(),
        forall(
            Request,
            Request,
            lambda r, x: implies(gets(r) & decodes(r) & first_prompt(x), tight(x) | short()),
        ),
    )


@batching.invariant("batching.whole-prompts")
def whole_prompts() -> Bool:
    "Prefill first: only a prompt that is longer than a step is cut, and has that step to itself."
    return implies(
        prefill_first() & (stage() == 2),
        forall(
            Request,
            lambda r: implies(taken(r) & lacks(r), full() & forall(Request, lambda x: implies(taken(x), x == r))),
        ),
    )


@batching.invariant("batching.work-conserving")
def work_conserving() -> Bool:
    "A batch is complete only when its budget is used up or nobody can be given more; it has something in it, then."
    return implies(
        stage() == 2,
        (short() | exists(Request, lambda r: taken(r))) & (full() | forall(Request, lambda r: ~could(r))),
    )


@batching.step_property("batching.preempted-last")
def preempted_last() -> Bool:
    "Who is preempted is the newest, and not in the batch: there was no room for one whose turn it was."
    return forall(
        Request,
        lambda r: implies(
            runs(r) & ~runs.next(r) & here.next(r),
            conj(
                (stage() == 1) & short.next() & ~taken(r),
                forall(Request, lambda x: implies(runs(x), x <= r)),
                exists(
                    Request,
                    lambda x: runs(x) & lacks(x) & tight(x) & in_turn(x) & implies(decodes_first(), x != r),
                ),
                implies(decodes_first(), forall(Request, lambda x: ~taken(x))),
                implies(prefill_first(), no_prompt_to_be_had()),
                forall(Position, lambda p: ~computed.next(r, p)),
            ),
        ),
    )


@batching.step_property("batching.room")
def room() -> Bool:
    "That there is no room is found before the first token, by Sarathi in a chunk too; it lasts until one gives way."
    return conj(
        forall(
            Request,
            lambda r: conj(
                implies(~tight(r) & tight.next(r), (stage() == 1) & here(r) & (~taken(r) | decodes_first())),
                implies(gets(r), ~tight(r)),
                implies(tight(r) & ~tight.next(r), ends() | exists(Request, lambda x: runs(x) & ~runs.next(x))),
            ),
        ),
        forall(
            Request,
            Request,
            lambda r, x: implies(runs(x) & ~runs.next(x), ~tight.next(r)),
        ),
    )


@batching.step_property("batching.kept")
def kept() -> Bool:
    "What is computed of a request is lost only when it is preempted."
    return forall(
        Request,
        Position,
        lambda r, p: implies(computed(r, p) & ~computed.next(r, p), runs(r) & ~runs.next(r) & here.next(r)),
    )


@batching.step_property("batching.comes-and-goes")
def comes_and_goes() -> Bool:
    "Requests arrive in order, once, and leave between steps when they have emitted something, for good."
    return forall(
        Request,
        lambda r: conj(
            implies(
                ~here(r) & here.next(r),
                (stage() == 0) & ~gone(r) & forall(Request, lambda x: implies(x < r, here(x) | gone(x))),
            ),
            implies(here(r) & ~here.next(r), (stage() == 0) & runs(r) & emitted(r) & ~runs.next(r) & gone.next(r)),
            implies(gone(r), gone.next(r) & ~here.next(r)),
            implies(~gone(r) & gone.next(r), here(r) & ~here.next(r)),
        ),
    )


@batching.step_property("batching.one-snapshot")
def one_snapshot() -> Bool:
    "Who is a decode is settled when a step begins, and stays so; whoever runs then has a token to be computed."
    return conj(
        (stage.next() == stage()) | (stage.next() == stage() + 1) | ends(),
        implies(
            (stage() == 0) & (stage.next() == 1),
            forall(Request, lambda r: iff(decodes.next(r), decoding(r)) & implies(runs(r), lacks(r)))
            & exists(Request, lambda r: here(r)),
        ),
        implies((stage() >= 1) & ~ends(), forall(Request, lambda r: iff(decodes.next(r), decodes(r)))),
    )


@batching.lemma("batching.books")
def books() -> Bool:
    "What is kept of a step agrees with what is known of the requests."
    return conj(
        (stage() >= 0) & (stage() <= 2),
        implies(
            stage() == 0,
            forall(Request, lambda r: ~decodes(r) & ~tight(r) & ~taken(r)) & ~short(),
        ),
        forall(Request, lambda r: implies(here(r), ~gone(r)) & implies(runs(r) | decodes(r) | tight(r), here(r))),
        forall(Request, lambda r: implies(taken(r), runs(r))),
        forall(Request, lambda r: iff(taken(r), exists(Slot, Position, lambda s, p: batch(s, r, p)))),
        forall(Slot, lambda s: iff(filled(s), exists(Request, Position, lambda r, p: batch(s, r, p)))),
        forall(Request, Position, lambda r, p: implies(here(r) & ~runs(r), ~computed(r, p))),
        forall(
            Request,
            Position,
            lambda r, p: implies(~here(r) & ~gone(r), ~computed(r, p) & implies(known(r, p), p <= last(r))),
        ),
        forall(Request, Request, lambda r, x: implies((here(r) | gone(r)) & (x < r), here(x) | gone(x))),
        forall(Slot, Request, Position, lambda s, r, p: implies(batch(s, r, p), computed(r, p))),
        forall(Request, lambda r: implies(decodes(r) & ~runs(r), short())),
        forall(Request, lambda r: implies(decodes(r) & runs(r), ite(taken(r), ~lacks(r), decoding(r)))),
        # Once a prompt is in a batch of prefill first, others that run have all of theirs, or it has the batch alone.
        implies(
            prefill_first() & of_prompts(),
            ~short() & forall(Request, lambda r: implies(runs(r) & ~decodes(r) & lacks(r), taken(r))),
        ),
        implies(
            prefill_first(),
            forall(Request, Request, lambda r, x: implies(taken(r) & lacks(r) & taken(x), r == x)),
        ),
    )


@batching.lemma("batching.one-begun")
def one_begun() -> Bool:
    "But for Sarathi, only the newest of those that run can lack more of its prompt than it is given."
    return implies(
        ~decodes_first(),
        conj(
            forall(
                Request,
                Request,
                lambda r, x: implies(runs(r) & runs(x) & (r < x) & (stage() == 0), decoding(r) | ~lacks(r)),
            ),
            forall(
                Request,
                Request,
                lambda r, x: implies(runs(r) & runs(x) & (r < x) & (stage() >= 1), decodes(r) | ~lacks(r)),
            ),
        ),
    )


@batching.variant(
    "batching.slots-end", Slot, decreases=("decode", "prefill", "admit", "admit_whole"), raised_by=("run",)
)
def slots_end(s: Slot) -> tuple[Bool, ...]:
    "A step has so many slots, and each token takes one."
    return (~filled(s),)


@batching.variant(
    "batching.round-ends",
    Request,
    decreases=("squeeze", "preempt", "complete"),
    raised_by=("admit", "admit_whole", "run"),
)
def round_ends(r: Request) -> tuple[Bool, ...]:
    "A batch is complete in the end: who has given way is admitted in none, and room is looked for once in between."
    return stage() <= 1, ~short(), runs(r), ~tight(r)


@batching.reachable("batching.reach-stalled")
def reach_stalled() -> Bool:
    "Prefill first stalls a decode that there is room for, for all of a longer prompt that arrived later."
    return prefill_first() & exists(
        Request,
        Request,
        lambda r, x: conj(
            (stage() == 2) & runs(r) & decodes(r) & ~taken(r) & ~tight(r),
            (r < x) & taken(x) & ~decodes(x) & ~lacks(x),
            exists(Position, Position, lambda p, q: (p < q) & known(x, q)),
        ),
    )


@batching.reachable("batching.reach-starved")
def reach_starved() -> Bool:
    "Sarathi leaves a decode out that there is room for: those before it use up the budget, in every step alike (F20)."
    return decodes_first() & exists(
        Request,
        lambda r: conj(
            (stage() == 2) & runs(r) & decodes(r) & ~taken(r) & ~tight(r),
            forall(Request, lambda x: implies(taken(x), decodes(x) & (x < r))),
        ),
    )


@batching.reachable("batching.reach-mixed")
def reach_mixed() -> Bool:
    "A decode and the chunk of a prompt are in one batch of Sarathi's."
    return decodes_first() & exists(
        Request, Request, lambda r, x: (stage() == 2) & taken(r) & decodes(r) & taken(x) & ~decodes(x)
    )


@batching.reachable("batching.reach-chunk")
def reach_chunk() -> Bool:
    "A prompt is cut where the budget ends."
    return exists(Request, lambda r: (stage() == 2) & taken(r) & lacks(r) & ~tight(r))


@batching.reachable("batching.reach-preempted")
def reach_preempted() -> Bool:
    "One waits that was preempted after it had emitted something, and another is in the batch."
    return short() & exists(Request, Request, lambda r, x: (stage() == 2) & waits(r) & emitted(r) & taken(x))


@batching.reachable("batching.reach-together")
def reach_together() -> Bool:
    "Prefill first computes two whole prompts in one step."
    return prefill_first() & exists(
        Request, Request, lambda r, x: (stage() == 2) & (r < x) & taken(r) & ~decodes(r) & taken(x) & ~lacks(x)
    )
