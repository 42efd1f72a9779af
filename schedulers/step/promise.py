"""Promises of step policies: what is decided next, told from less than a whole observation.

In most steps every running decode goes on by a token, and a batch of hundreds changes by one or two requests. Who
drives a policy may then count its decodes instead of showing each (:class:`Digest`), and ask what the policy promises
to do: a token for each of them and, beside them, some work that is told. A promise is the decision, not a hint:
``decide`` of the whole observation says the same (:func:`kept`; tested for every policy here). Where a policy can't
tell from the digest it promises nothing, and is asked to decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import attrs

from mtpo.schedulers.types import RequestView, StepDecision, StepModel, StepObservation, StepPolicy, Work


@attrs.define(slots=True)
class Digest:
    """An observation in which the running decodes are only counted. Whoever is shown one must not change it.

    ``decodes``: how many; ``context``: the sum of their tokens with keys and values once each has computed one more;
    ``lacking``: free blocks that this takes; ``tpots``: their times per token, each different one once. ``prefills``:
    the other running requests, in order of admission; ``behind``: whether each of those was admitted after all of the
    decodes. The rest is that of :class:`~mtpo.schedulers.types.StepObservation`.
    """

    now: float
    decodes: int
    context: int
    lacking: int
    tpots: tuple[float | None, ...]
    prefills: Sequence[RequestView]
    behind: bool
    waiting: Sequence[RequestView]
    free_blocks: int
    block_size: int
    max_tokens: int
    max_requests: int

    @property
    def fits(self) -> bool:
        """Whether the caps and the free blocks allow a token of each decode."""
        return self.decodes <= min(self.max_tokens, self.max_requests) and self.lacking <= self.free_blocks


@attrs.frozen
class Promise:
    """The next batch: a token of every running decode, then ``work``; nobody is preempted.

    ``steps``: so many batches after it are the same, None for any number, while nothing arrives, ends, or changes
    otherwise than by these steps, and what waits has the same prefixes cached; only where ``work`` is empty, and only
    while free blocks last. ``ordered``: the decodes come in order of admission, before ``work``; else their order is
    the policy's own.
    """

    work: tuple[Work, ...] = ()
    steps: int | None = 0
    ordered: bool = True


FOREVER = Promise(steps=None)
"""All decodes and nothing else, until something changes."""


@runtime_checkable
class PromisingPolicy(Protocol):
    """A step policy that makes promises."""

    def promise(self, digest: Digest) -> Promise | None:
        """What it will decide, a pure function of the digest; None where it does not tell."""


def digest_of(seen: StepObservation) -> Digest:
    """What is told of an observation."""
    decodes = [r for r in seen.running if r.decoding]
    prefills = [r for r in seen.running if not r.decoding]
    return Digest(
        seen.now,
        len(decodes),
        sum(r.computed + 1 for r in decodes),
        sum(seen.blocks_for(r, 1) for r in decodes),
        tuple(dict.fromkeys(r.tpot_slo for r in decodes)),
        prefills,
        seen.running == (*decodes, *prefills),
        seen.waiting,
        seen.free_blocks,
        seen.block_size,
        seen.max_tokens,
        seen.max_requests,
    )


def kept(promise: Promise, seen: StepObservation, decision: StepDecision) -> bool:
    """Whether a decision is what was promised."""
    decodes = tuple(Work(r.id, 1) for r in seen.running if r.decoding)
    if decision.preempt:
        return False
    if promise.ordered:
        return decision.work == (*decodes, *promise.work)
    return len(decision.work) == len(decodes) + len(promise.work) and {*decision.work} == {*decodes, *promise.work}


def promised(policy: StepPolicy, digest: Digest) -> Promise | None:
    """What a policy promises; None of one that makes no promises."""
    return policy.promise(digest) if isinstance(policy, PromisingPolicy) else None


MARGIN = 1.0 - 1e-9
"""Of a bound in seconds: sums are added up in another order here than where each request is gone through."""


def steps_within(model: StepModel, digest: Digest, seconds: float) -> int | None:
    """For how many batches after the next one all decodes, and nothing else, are predicted to take at most ``seconds``
    each: None for any number, -1 where the next one takes longer."""
    bound = seconds * MARGIN
    spare = bound - model.a - model.b * digest.decodes - model.c * digest.context
    if spare < 0 or model.floor > bound:
        return -1
    growth = model.c * digest.decodes
    return int(spare / growth) if growth > spare * 1e-12 else None
