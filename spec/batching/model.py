"""Batches under a budget of tokens: what they are made of, and every step of a round. The package tells the story."""

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
    require,
)

batching: Final = Spec("batching", "Batches under a budget of tokens: Sarathi-Serve, vLLM V1, prefill first.")


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
