"""FairBatching: prefills and decodes under one currency, slack (arXiv 2510.14392, sections on budget and formation).

A step gets a time budget instead of a token budget: the least slack of a running decode, and at least the strictest
time per token of one. Decodes that would be late if they waited for the step after this one go first, then prefills by
slack, in chunks, then the other decodes. What the paper leaves open is decided as follows: an empty batch where there
is work gets exactly one item; with no decode running the budget is ``idle``; where the KV cache is exhausted, those
with the most slack give up their blocks.
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Iterator

import attrs

from mtpo.schedulers.step.batch import Batch
from mtpo.schedulers.step.calibrator import Calibrator
from mtpo.schedulers.step.deadlines import Objectives
from mtpo.schedulers.step.line import Key, Line, running
from mtpo.schedulers.step.promise import Digest, Promise, steps_within
from mtpo.schedulers.types import RequestView, StepDecision, StepMeasured, StepModel, StepObservation

_optional_positive = attrs.validators.optional(attrs.validators.gt(0.0))


@attrs.frozen
class FairBatching:
    """``calibrator``: the step times it predicts with, and how it learns them. ``objectives``: deadlines. ``idle``: the
    budget in seconds when no decode runs. ``cap``: the most that the budget may be, in seconds, None for the literal
    rule, under which a step may last as long as the least slack. Either way a decode ahead of its envelope can pause
    for seconds. ``learns``: whether measurements count.
    """

    calibrator: Calibrator = attrs.field(factory=lambda: Calibrator(StepModel(8e-3, 0.095e-3, 0.13e-6)))
    objectives: Objectives = attrs.field(factory=Objectives)
    idle: float = attrs.field(default=0.25, validator=attrs.validators.gt(0.0))
    cap: float | None = attrs.field(default=None, validator=_optional_positive)
    learns: bool = True
    _line: Line = attrs.field(factory=Line, kw_only=True, eq=False, repr=False)

    def learn(self, measured: StepMeasured) -> FairBatching:
        """See :class:`~mtpo.schedulers.types.LearningPolicy`."""
        if not self.learns:
            return self
        return attrs.evolve(self, calibrator=self.calibrator.learn(measured))

    def tightest(self, observation: StepObservation) -> float | None:
        """Tmin: the strictest time per token of a running decode, in seconds; None when none runs."""
        return min((self.objectives.tpot_of(r) for r in observation.running if r.decoding), default=None)

    def budget(self, observation: StepObservation) -> float:
        """B, in seconds."""
        return self._budget(observation, self.tightest(observation), running(observation.running, self.objectives)[0])

    def groups(
        self, observation: StepObservation
    ) -> tuple[list[RequestView], Iterator[RequestView], list[RequestView]]:
        """Urgent decodes, unfinished prefills, other decodes; each by slack, then arrival, then id."""
        _, urgent, prefills, others = self._groups(observation)
        return urgent, prefills, others

    def _budget(self, observation: StepObservation, tightest: float | None, decodes: list[Key]) -> float:
        budget = self.idle if tightest is None else max(decodes[0][0] - observation.now, tightest)
        return budget if self.cap is None else min(budget, self.cap)

    def _groups(
        self, observation: StepObservation
    ) -> tuple[float, list[RequestView], Iterator[RequestView], list[RequestView]]:
        """The budget, and the groups."""
        decodes, prefills = running(observation.running, self.objectives)
        own = self.objectives.tpot
        tpots = {own if key[3].tpot_slo is None else key[3].tpot_slo for key in decodes}
        tightest = min(tpots, default=None)
        budget = self._budget(observation, tightest, decodes)
        end = bisect.bisect_left(decodes, (observation.now + budget + (tightest or 0.0),))
        merged = heapq.merge(prefills, self._line.sort(observation.waiting, self.objectives))
        return budget, [k[3] for k in decodes[:end]], (k[3] for k in merged), [k[3] for k in decodes[end:]]

    def decide(self, observation: StepObservation) -> StepDecision:
        """See :class:`~mtpo.schedulers.types.StepPolicy`."""
        model, batch = self.calibrator.model, Batch(observation)
        budget, urgent, prefills, others = self._groups(observation)
        # Below the floor items cost nothing, so what counts is the linear part; with the floor above B nothing fits.
        linear = model.a if model.floor <= budget else math.inf
        head: RequestView | None = None
        linear = _decodes(batch, urgent, budget, linear, model)
        for request in prefills:
            head = head or request
            tokens = min(request.remaining, chunk(model, budget, linear, request.computed))
            tokens = batch.take(request, tokens)
            if not tokens:
                break
            linear += model.cost(request.computed, tokens)
        _decodes(batch, others, budget, linear, model)
        first = urgent[0] if urgent else others[0] if others else head
        if batch.work or first is None:
            return batch.decision()
        return self._progress(observation, first)

    def promise(self, digest: Digest) -> Promise | None:
        """See :class:`~mtpo.schedulers.step.promise.PromisingPolicy`: told where there are only decodes, and time for
        all of them in the least that the budget can be, the strictest time per token."""
        if digest.prefills or digest.waiting or not digest.decodes or not digest.fits:
            return None
        own = self.objectives.tpot
        least = min(own if tpot is None else tpot for tpot in digest.tpots)
        steps = steps_within(self.calibrator.model, digest, least if self.cap is None else min(least, self.cap))
        if steps is not None and steps < 0:
            return None
        # What is learnt from a step may change the next one.
        return Promise(steps=0 if self.learns else steps, ordered=False)

    def _progress(self, observation: StepObservation, first: RequestView) -> StepDecision:
        """Nothing fits: exactly one item, and room for it from those that have the most slack."""
        batch = Batch(observation)
        due = self.objectives.due
        others = sorted((due(r), r.arrival, r.id, r) for r in observation.running if r.id != first.id)
        while batch.fits(first) < 1 and others:
            batch.preempt(others.pop()[3])
        batch.take(first, min(first.remaining, observation.block_size))
        return batch.decision()


def chunk(model: StepModel, budget: float, linear: float, done: int) -> int:
    """The most tokens of a prompt, ``done`` of it computed, that a batch predicted to take ``linear`` seconds has time
    for: ``floor((B - est - c * done) / (b + c))``, at least 0. Inputs and ``budget`` in seconds."""
    if linear >= budget:
        return 0
    tokens = max(0, math.floor((budget - linear - model.c * done) / (model.b + model.c)))
    # Rounding must not let a batch past its budget.
    return tokens - 1 if tokens and linear + model.cost(done, tokens) > budget else tokens


def _decodes(batch: Batch, requests: list[RequestView], budget: float, linear: float, model: StepModel) -> float:
    """One token of each that fits; a misfit is skipped. Returns the time predicted so far."""
    b, c, take = model.b, model.c, batch.take
    for request in requests:
        # As model.cost(request.computed, 1).
        after = linear + (b + c * (request.computed + 1))
        if after <= budget and take(request, 1):
            linear = after
    return linear
