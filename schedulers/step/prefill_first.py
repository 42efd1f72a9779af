"""Prefill first, as vLLM V0 schedules by default (SOSP 2023; version 0 of the engine, without chunked prefill).

If a waiting prompt fits, the step computes prompts only, whole ones, in order of arrival; else it is one decode of
every running request. Prompts are served soon, decodes stall behind them: the case that stall-free batching was made
for.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from mtpo.schedulers.step.batch import Batch
from mtpo.schedulers.step.promise import FOREVER, Digest, Promise
from mtpo.schedulers.types import RequestView, StepDecision, StepObservation


@attrs.frozen
class PrefillFirst:
    """``budget``: tokens of prompts in a step, None for the engine's cap.

    A prompt longer than that can't be computed whole: it gets steps of its own, as many as it takes, before anything
    else (the original refuses it).
    """

    budget: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))

    def decide(self, observation: StepObservation) -> StepDecision:
        """See :class:`~mtpo.schedulers.types.StepPolicy`."""
        batch, running = Batch(observation, self.budget), observation.running
        prefill = self._prefill(batch, (r for r in running if not r.decoding), len(running))
        return prefill if prefill.work else self._decode(observation)

    def promise(self, digest: Digest) -> Promise | None:
        """See :class:`~mtpo.schedulers.step.promise.PromisingPolicy`: told where no prompt is under way and none of
        those that wait would be begun."""
        if digest.prefills or not digest.decodes or not digest.fits:
            return None
        batch = Batch(digest, self.budget)
        # Prompts come first: as if no decode were in this step.
        batch.left += digest.decodes
        batch.room += digest.decodes
        batch.blocks += digest.lacking
        return None if self._prefill(batch, (), digest.decodes).work else FOREVER

    def _prefill(self, batch: Batch, begun: Iterable[RequestView], running: int) -> StepDecision:
        observation = batch.seen
        whole = batch.left
        for request in begun:
            batch.take(request, request.remaining)
        # The cap on requests counts those that run and are not in this step.
        batch.room = min(batch.room, observation.max_requests - running)
        for request in observation.waiting:
            long = request.remaining > whole and not batch.work
            if batch.room <= 0 or batch.fits(request) < request.remaining:
                break
            if request.remaining > batch.left and not long:
                break
            batch.take(request, request.remaining)
        return batch.decision()

    def _decode(self, observation: StepObservation) -> StepDecision:
        batch = Batch(observation)
        running = list(observation.running)
        while running and batch.left and batch.room:
            request = running.pop(0)
            while batch.fits(request) < 1:
                # The newest gives way; in the end the request itself, to be computed anew when there is room.
                batch.preempt(running.pop() if running else request)
                if batch.preempted[-1] == request.id:
                    return batch.decision()
            batch.take(request, request.remaining)
        return batch.decision()
