"""Bounded gap: no decode waits longer than G for its next token, whatever arrives (our own; ``spec/bounded_gap.py``).

The budget of a step is FairBatching's (arXiv 2510.14392), the least slack of a decode, and prompts come by deadline; so
prompts get long steps while nobody is late. But every running request is in every batch, and a new one is admitted only
while a reserve holds: ``a`` and ``b + c * most`` of every running request, the last token of each, which is its
dearest, keep G together; and so do the blocks that they may still need keep what is free. Hence, with step times as
predicted:

- a running decode gets a token in every step, and a step ends within G: the bound in steps is 1, in seconds G;
- nobody is preempted, and every prompt that was begun gets on in every step.

That holds while whoever asks tells the most tokens of each sequence (``RequestView.most``), and all requests enter
through this policy. One that alone breaks the bound or the cache runs alone; G is then what it needs. Where the most is
not told, the next token counts for it: steps may grow beyond G with what runs, never with what arrives.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

import attrs

from mtpo.schedulers.step.batch import Batch
from mtpo.schedulers.step.calibrator import Calibrator
from mtpo.schedulers.step.deadlines import Objectives
from mtpo.schedulers.step.fairbatching import chunk
from mtpo.schedulers.step.line import Key, Line, running
from mtpo.schedulers.step.promise import Digest, Promise
from mtpo.schedulers.types import RequestView, StepDecision, StepMeasured, StepModel, StepObservation


@attrs.frozen
class BoundedGap:
    """``gap``: G in seconds. ``calibrator``: the step times it predicts with, and how it learns them. ``objectives``:
    deadlines. ``learns``: whether measurements count.

    ``relegate``: prompts whose first token would be late even if they had all steps to themselves come after those that
    can still be on time; each kind by deadline. Nothing can be saved for them, and they would make others late; under
    load they wait for long. All that is proven holds but ``gap.admitted-in-order``, which then holds within each kind.
    """

    gap: float = attrs.field(default=0.2, validator=attrs.validators.gt(0.0))
    calibrator: Calibrator = attrs.field(factory=lambda: Calibrator(StepModel(8e-3, 0.095e-3, 0.13e-6)))
    objectives: Objectives = attrs.field(factory=Objectives)
    learns: bool = True
    relegate: bool = False
    _line: Line = attrs.field(factory=Line, kw_only=True, eq=False, repr=False)

    def learn(self, measured: StepMeasured) -> BoundedGap:
        """See :class:`~mtpo.schedulers.types.LearningPolicy`."""
        if not self.learns:
            return self
        return attrs.evolve(self, calibrator=self.calibrator.learn(measured))

    def share(self, request: RequestView) -> float:
        """Seconds that the last token of a request adds to a step."""
        return self.calibrator.model.cost(_most(request) - 1, 1)

    def reserved(self, observation: StepObservation) -> float:
        """Seconds that a step takes at most in which every running request emits its last token."""
        return self.calibrator.model.a + sum(map(self.share, observation.running))

    def budget(self, observation: StepObservation) -> float:
        """Seconds that a step may take, at most G: the least slack of a running decode, and at least the strictest time
        per token of one; G when none decodes."""
        return self._budget(observation, running(observation.running, self.objectives)[0])

    def _budget(self, observation: StepObservation, decodes: list[Key]) -> float:
        if not decodes:
            return self.gap
        tightest = min(self.objectives.tpot_of(key[3]) for key in decodes)
        # Below the floor work costs nothing.
        least = max(tightest, self.calibrator.model.floor)
        return min(self.gap, max(decodes[0][0] - observation.now, least))

    def decide(self, observation: StepObservation) -> StepDecision:
        """See :class:`~mtpo.schedulers.types.StepPolicy`."""
        model, batch, reserve = self.calibrator.model, Batch(observation), _Reserve(self, observation)
        decodes, prefills = running(observation.running, self.objectives)
        linear = model.a
        for *_, request in decodes:
            if request.id in batch.preempted:
                continue
            if (batch.fits(request) >= 1 or self._make_room(observation, batch, request)) and batch.take(request, 1):
                linear += model.cost(request.computed, 1)
        budget = self._budget(observation, decodes) if decodes else max(self.gap, reserve.seconds)
        # A token of each prompt that was begun is set aside before any of them gets more.
        aside = sum(model.cost(key[3].computed, 1) for key in prefills)
        left, closed = len(prefills), False
        line = heapq.merge(prefills, self._line.sort(observation.waiting, self.objectives))
        for *_, request in self._relegated(line, observation.now) if self.relegate else line:
            if closed and not left:
                break
            one = model.cost(request.computed, 1)
            if reserve.has(request):
                left, aside, least = left - 1, aside - one, 1
                if request.id in batch.preempted:
                    continue
            elif closed:
                continue
            else:
                least = 1 if reserve.empty else 0
                closed = not reserve.admits(request) or (not least and linear + aside + one > budget)
                if closed:
                    continue
                if least:
                    budget = max(budget, model.a + self.share(request))
            tokens = max(least, chunk(model, budget - aside, linear, request.computed))
            taken = batch.take(request, min(request.remaining, tokens))
            if taken:
                linear += model.cost(request.computed, taken)
                reserve.add(request)
            else:
                closed = True
        if not batch.work:
            self._progress(observation, batch, prefills)
        return batch.decision()

    def _relegated(self, line: Iterable[Key], now: float) -> Iterator[Key]:
        """The same, those for whom it is too late last."""
        model, late = self.calibrator.model, []
        for key in line:
            request = key[3]
            if now + model.a + model.cost(request.computed, request.remaining) > key[0]:
                late.append(key)
            else:
                yield key
        yield from late

    def promise(self, digest: Digest) -> Promise | None:
        """See :class:`~mtpo.schedulers.step.promise.PromisingPolicy`: told where there are only decodes; each has a
        token in every step, whatever that takes."""
        if digest.prefills or digest.waiting or not digest.decodes or not digest.fits:
            return None
        return Promise(steps=None, ordered=False)

    def _make_room(self, observation: StepObservation, batch: Batch, request: RequestView) -> bool:
        """The blocks that were reserved are gone: those that were admitted last give up theirs."""
        done = {work.id for work in batch.work}
        for other in reversed(observation.running):
            if other.id == request.id or batch.fits(request) >= 1:
                break
            if other.id not in done and other.id not in batch.preempted:
                batch.preempt(other)
        return batch.fits(request) >= 1

    def _progress(self, observation: StepObservation, batch: Batch, prefills: list[Key]) -> None:
        """Nobody finds a block: one item, the first for which there is room once others give up theirs."""
        for *_, request in prefills or self._line.sort(observation.waiting, self.objectives):
            self._make_room(observation, batch, request)
            if batch.take(request, 1):
                return


class _Reserve:
    """What is promised to the requests that run, and to those that join them: seconds, blocks and places in a batch."""

    def __init__(self, policy: BoundedGap, observation: StepObservation) -> None:
        self.policy, self.seen = policy, observation
        self.ids = {request.id for request in observation.running}
        self.empty = not self.ids
        self.seconds = policy.reserved(observation)
        self.blocks = sum(self._lacking(request) for request in observation.running)

    def _lacking(self, request: RequestView) -> int:
        return max(0, -(-_most(request) // self.seen.block_size) - request.blocks) + request.cached

    def has(self, request: RequestView) -> bool:
        """Whether a request runs already."""
        return request.id in self.ids

    def admits(self, request: RequestView) -> bool:
        """Whether one more can be promised all that it will need; one alone is admitted in any case."""
        if self.empty:
            return True
        places = min(self.seen.max_requests, self.seen.max_tokens)
        return (
            len(self.ids) < places
            and self.seconds + self.policy.share(request) <= self.policy.gap
            and self.blocks + self._lacking(request) <= self.seen.free_blocks
        )

    def add(self, request: RequestView) -> None:
        """A request has joined the batch."""
        if request.id not in self.ids:
            self.ids.add(request.id)
            self.seconds += self.policy.share(request)
            self.blocks += self._lacking(request)
            self.empty = False


def _most(request: RequestView) -> int:
    """Tokens of its sequence at most; where that is not told, those that it will have after its next one."""
    return request.known + 1 if request.most is None else max(request.most, request.known)
