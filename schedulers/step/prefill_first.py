"""Prefill first, as vLLM V0 schedules by default (SOSP 2023; version 0 of the engine, without chunked prefill).

If a waiting prompt fits, the step computes prompts only, whole ones, in order of arrival; else it is one decode of
every running request. Prompts are served soon, decodes stall behind them: the case that stall-free batching was made
for.
"""

from __future__ import annotations

import attrs

from mtpo.schedulers.step.batch import Batch
from mtpo.schedulers.types import StepDecision, StepObservation


@attrs.frozen
class PrefillFirst:
    """``budget``: tokens of prompts in a step, None for the engine's cap.

    A prompt longer than that can't be computed whole: it gets steps of its own, as many as it takes, before anything
    else (the original refuses it).
    """

    budget: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))

    def decide(self, observation: StepObservation) -> StepDecision:
        """See :class:`~mtpo.schedulers.types.StepPolicy`."""
        prefill = self._prefill(observation)
        return prefill if prefill.work else self._decode(observation)

    def _prefill(self, observation: StepObservation) -> StepDecision:
        batch = Batch(observation, self.budget)
        whole = batch.left
        for request in observation.running:
            if not request.decoding:
                batch.take(request, request.remaining)
        # The cap on requests counts those that run and are not in this step.
        batch.room = min(batch.room, observation.max_requests - len(observation.running))
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
