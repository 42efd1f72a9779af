"""Batches under a budget of tokens, as three published schedulers form them: Sarathi-Serve, vLLM V1, prefill first.

A step computes a batch of tokens: of prompts (*prefill*, in chunks if need be), or the next one of a sequence
(*decode*). Its budget is a number of *slots*, each for one token. Requests arrive in order, wait, are admitted with the
first token that they are given, run, and leave after some token that they emit. Three policies:

* ``decodes_first``: Sarathi-Serve's stall-free batching (OSDI 2024). Every decode first, then prompts that have begun,
  then new ones, in chunks that fill the budget.
* ``prefill_first``: vLLM V0 without chunked prefill (SOSP 2023). If a prompt can be had the step computes prompts only,
  whole ones; else a decode of each running request. A prompt longer than a step has steps of its own.
* with neither: vLLM V1. Running requests in the order of their list, each all that it lacks; then waiting ones, unless
  somebody was preempted; no cap on long prompts beside the budget.

The cache is not modelled, but what it may do is: at any moment of a step it may turn out to have no room for what a
request would be given (``tight``; of a waiting request under Sarathi and prefill first its whole prompt), until
somebody is preempted, who gives up all that was computed of it. So what is shown holds for a cache of any size. Caps on
the number of requests are left out, and how many whole prompts prefill first puts into one step is left open.

Stages of a round: 0 between steps, 1 the batch is formed, 2 it is complete.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.language import (
    FALSE,
    TRUE,
    Bool,
    Function,
    Int,
    OrderedSort,
    Spec,
    conj,
    exists,
    forall,
    function,
    iff,
    implies,
    ite,
    require,
)

batching: Final = Spec("batching", __doc__)


class Request(OrderedSort):
    """a request; the order is that of arrival"""


class Position(OrderedSort):
    """a place in a sequence of tokens; all of them are the longest context"""


class Slot(OrderedSort):
    """room for one token in a step"""


decodes_first = batching.const("decodes_first", doc="policy: decodes, then prompts (Sarathi)")
prefill_first = batching.const("prefill_first", doc="policy: prompts alone, whole, before decodes (vLLM V0)")
budget = batching.const("budget", to=Slot, doc="the last slot of a step")
last = batching.const("last", Request, to=Position, doc="where its prompt ends")

here = batching.var("here", Request, init=lambda r: False, doc="it has arrived and not left")
gone = batching.var("gone", Request, init=lambda r: False, doc="it has left")
runs = batching.var("runs", Request, init=lambda r: False, doc="it is admitted")
known = batching.var(
    "known", Request, Position, init=lambda r, p: p <= last(r), doc="the token is there: prompt, output"
)
computed = batching.var("computed", Request, Position, init=lambda r, p: False, doc="its keys and values are there")

stage = batching.var("stage", to=Int, init=lambda: 0, doc="of the round")
decodes = batching.var("decodes", Request, init=lambda r: False, doc="it is a decode in this step")
tight = batching.var("tight", Request, init=lambda r: False, doc="the cache has no room for what it would be given")
short = batching.var("short", init=lambda: False, doc="somebody was preempted in this step")
taken = batching.var("taken", Request, init=lambda r: False, doc="it is in the batch")
filled = batching.var("filled", Slot, init=lambda s: False, doc="the slot has its token")
batch = batching.var("batch", Slot, Request, Position, init=lambda s, r, p: False, doc="the slot is for that token")


def lacks(r: Request) -> Bool:
    """There is a token of it that is not computed."""
    return exists(Position, lambda p: known(r, p) & ~computed(r, p))


def decoding(r: Request) -> Bool:
    """All is computed but the token that it emitted last."""
    return runs(r) & exists(
        Position,
        lambda p: conj(
            last(r) < p,
            forall(Position, lambda q: iff(computed(r, q), q < p) & iff(known(r, q), q <= p)),
        ),
    )


def emitted(r: Request) -> Bool:
    """It has emitted a token; the last one that the context has room for is not kept."""
    return exists(Position, lambda p: known(r, p) & (last(r) < p)) | forall(Position, lambda p: computed(r, p))


def full() -> Bool:
    """The budget is used up."""
    return forall(Slot, lambda s: implies(s <= budget(), filled(s)))


def waits(r: Request) -> Bool:
    """It has arrived and is not admitted."""
    return here(r) & ~runs(r)


def first_waiting(r: Request) -> Bool:
    """Nobody waits for longer."""
    return waits(r) & forall(Request, lambda x: implies(waits(x), r <= x))


def by_itself(r: Request) -> Bool:
    """In a step in which somebody was preempted Sarathi computes the oldest request and no other."""
    return implies(decodes_first() & short(), forall(Request, lambda x: implies(runs(x), r <= x)))


def first_prompt(r: Request) -> Bool:
    """Of those that are no decodes it is the first, running or waiting."""
    return here(r) & ~decodes(r) & forall(Request, lambda x: implies(here(x) & ~decodes(x), r <= x))


def of_prompts() -> Bool:
    """A prompt is in the batch."""
    return exists(Request, lambda x: taken(x) & ~decodes(x))


def no_prompt_to_be_had() -> Bool:
    """No prompt is in the batch, and the first one has no room."""
    return ~of_prompts() & (short() | forall(Request, lambda x: implies(first_prompt(x), tight(x))))


def in_turn(r: Request) -> Bool:
    """Those that run for longer have all their tokens."""
    return forall(Request, lambda x: implies(runs(x) & (x < r), ~lacks(x)))


def could(r: Request) -> Bool:
    """The policy would give it another token, were there a slot."""
    return conj(
        lacks(r),
        runs(r) | (first_waiting(r) & ~short()),
        ~tight(r) | (runs(r) & ~decodes_first()),
        by_itself(r),
        implies(prefill_first() & of_prompts(), taken(r)),
    )


def served(x: Request) -> Bool:
    """It has all its tokens, or Sarathi passes over it, since the cache has no room."""
    return ~lacks(x) | (decodes_first() & tight(x))


# -- actions -----------------------------------------------------------------------------------------------------------


@batching.action
def arrive(r: Request) -> None:
    "A request arrives between steps."
    require("between", stage() == 0)
    require("new", ~here(r) & ~gone(r))
    require("in-order", forall(Request, lambda x: implies(x < r, here(x) | gone(x))))
    here[r] = True


@batching.action
def begin() -> None:
    "A step begins; who is a decode is settled."
    require("between", stage() == 0)
    require("work", exists(Request, lambda r: here(r)))
    require("context-left", forall(Request, lambda r: implies(runs(r), lacks(r))))
    stage.becomes(1)
    decodes.becomes(decoding)


@batching.action
def squeeze(r: Request) -> None:
    "It turns out that the cache has no room for what a request would be given; only Sarathi cuts its chunk there."
    require("stage", stage() == 1)
    require("here", here(r) & ~tight(r))
    require("before-its-chunk", ~taken(r) | decodes_first())
    tight[r] = True


def next_slot(s: Slot) -> None:
    """The next slot of the step, if there is one."""
    require("stage", stage() == 1)
    require("within-budget", s <= budget())
    require("next-slot", ~filled(s) & forall(Slot, lambda t: implies(t < s, filled(t))))


def next_token(r: Request, p: Position) -> None:
    """All tokens before are computed."""
    require("next-token", forall(Position, lambda q: implies(q < p, computed(r, q))))


def missing(r: Request, p: Position) -> None:
    """The token is there, and is not computed."""
    require("token", known(r, p) & ~computed(r, p))


def give(r: Request, p: Position, s: Slot) -> None:
    """The slot is for the token, which is computed in this step."""
    taken[r] = True
    filled[s] = True
    batch[s, r, p] = True
    computed[r, p] = True


@batching.action
def decode(r: Request, p: Position, s: Slot) -> None:
    "A decode has its token."
    next_slot(s)
    missing(r, p)
    require("decode", runs(r) & decodes(r))
    require("room", ~tight(r))
    require(
        "earlier-ones",
        # Of vLLM V1 earlier prompts lack nothing: it admits nobody after one that does.
        forall(Request, lambda x: implies(runs(x) & decodes(x) & (x < r), served(x))),
    )
    require("oldest-alone", by_itself(r))
    require("no-prompt", implies(prefill_first(), no_prompt_to_be_had()))
    give(r, p, s)


@batching.action
def prefill(r: Request, p: Position, s: Slot) -> None:
    "A prompt that has begun, now or earlier, has one token more."
    next_slot(s)
    missing(r, p)
    next_token(r, p)
    require("prompt", runs(r) & ~decodes(r))
    require("room", ~tight(r))
    require(
        "decodes-before",
        implies(
            decodes_first() & ~short(), forall(Request, lambda x: implies(runs(x) & decodes(x), ~lacks(x) | tight(x)))
        ),
    )
    require("oldest-alone", by_itself(r))
    require(
        "earlier-ones",
        forall(Request, lambda x: implies(runs(x) & (x < r) & ~prefill_first(), served(x))),
    )
    require("alone", implies(prefill_first(), ~short() & forall(Request, lambda x: implies(taken(x), x == r))))
    give(r, p, s)


@batching.action
def admit(r: Request, p: Position, s: Slot) -> None:
    "The first of those that wait begins."
    next_slot(s)
    next_token(r, p)
    require("first", first_waiting(r))
    require("room", ~tight(r))
    require("none-preempted", ~short())
    require(
        "running-before",
        forall(Request, lambda x: implies(runs(x) & implies(prefill_first(), ~decodes(x)), served(x))),
    )
    require("alone", implies(prefill_first(), forall(Request, lambda x: ~taken(x))))
    runs[r] = True
    give(r, p, s)


@batching.action(where=function(Position, to=Slot))
def admit_whole(r: Request, where: Function[Slot]) -> None:
    "Prefill first: another prompt joins the batch, if all of it fits."
    require("stage", stage() == 1)
    require("policy", prefill_first())
    require("first", first_waiting(r))
    require("room", ~tight(r))
    require("prompts", of_prompts())
    require("all-whole", forall(Request, lambda x: implies(taken(x), ~lacks(x))))
    require("fits", forall(Position, lambda p: implies(known(r, p), (where(p) <= budget()) & ~filled(where(p)))))
    require(
        "side-by-side",
        forall(Position, Position, lambda p, q: implies(known(r, p) & known(r, q) & (p < q), where(p) < where(q))),
    )
    require(
        "next-slots",
        forall(
            Position,
            Slot,
            lambda p, s: implies(
                known(r, p) & (s < where(p)), filled(s) | exists(Position, lambda q: known(r, q) & (where(q) == s))
            ),
        ),
    )
    runs[r] = True
    taken[r] = True
    filled.becomes(lambda s: filled(s) | exists(Position, lambda p: known(r, p) & (where(p) == s)))
    computed.becomes(lambda x, p: computed(x, p) | ((x == r) & known(r, p)))
    batch.becomes(lambda s, x, p: batch(s, x, p) | ((x == r) & known(r, p) & (where(p) == s)))


@batching.action
def preempt(r: Request, x: Request) -> None:
    "It is the turn of x, the cache has no room for it: the newest gives up what was computed of it, and waits again."
    require("stage", stage() == 1)
    require("turn", runs(x) & lacks(x) & in_turn(x))
    require("no-room", tight(x))
    require("newest", runs(r) & forall(Request, lambda y: implies(runs(y), y <= r)))
    require("not-in-batch", ~taken(r))
    require("nobody-else", implies(decodes_first(), (r != x) & forall(Request, lambda y: ~taken(y))))
    require("no-prompt", implies(prefill_first(), no_prompt_to_be_had()))
    runs[r] = False
    computed.becomes(lambda y, p: computed(y, p) & (y != r))
    tight.becomes(lambda y: FALSE)
    short.becomes(TRUE)


@batching.action
def complete() -> None:
    "The budget is used up, or nobody can be given more."
    require("stage", stage() == 1)
    require("some", short() | exists(Request, lambda r: taken(r)))
    require("no-more", full() | forall(Request, lambda r: ~could(r)))
    stage.becomes(2)


@batching.action
def run() -> None:
    "The step is computed; who lacks nothing emits a token."
    require("stage", stage() == 2)
    stage.becomes(0)
    known.becomes(
        lambda r, p: known(r, p) | (taken(r) & ~lacks(r) & forall(Position, lambda q: implies(q < p, known(r, q))))
    )
    taken.becomes(lambda r: FALSE)
    filled.becomes(lambda s: FALSE)
    batch.becomes(lambda s, r, p: FALSE)
    decodes.becomes(lambda r: FALSE)
    tight.becomes(lambda r: FALSE)
    short.becomes(FALSE)


@batching.action
def leave(r: Request) -> None:
    "A request ends with some token that it has emitted."
    require("between", stage() == 0)
    require("emitted", runs(r) & emitted(r))
    runs[r] = False
    here[r] = False
    gone[r] = True


# -- properties --------------------------------------------------------------------------------------------------------


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


@batching.variant("batching.slots-end", Slot, decreases=("decode", "prefill", "admit", "admit_whole"))
def slots_end(s: Slot) -> tuple[Bool, ...]:
    "A step has so many slots, and each token takes one."
    return (~filled(s),)


@batching.variant("batching.round-ends", Request, decreases=("squeeze", "preempt", "complete"))
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


EQUIVALENT: Final = {
    "batching.arrive.new/0@74ba0dd8": "to arrive again changes nothing",
    "batching.decode.stage@4b3126ab": "when a batch is complete there is no slot, or no decode could take a token",
}
