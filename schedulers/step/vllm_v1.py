"""vLLM V1: one token budget for decodes and prefills alike (version 1 of the engine, its default scheduler).

Running requests in the order of their list, each what it lacks or what is left of the budget; then waiting ones in
order of arrival, unless something was preempted in this step. When the KV cache runs short the tail of the running list
is preempted, and computed anew later. A waiting request is admitted as soon as its first chunk fits.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from mtpo.schedulers.step.batch import Batch
from mtpo.schedulers.step.promise import FOREVER, Digest, Promise
from mtpo.schedulers.types import RequestView, StepDecision, StepObservation


@attrs.frozen
class VllmV1:
    """``budget``: tokens in a step, None for the engine's cap. ``long_prefill``: the most tokens of one prompt in a
    step, 0 for no such cap."""

    budget: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    long_prefill: int = attrs.field(default=0, validator=attrs.validators.ge(0))

    def decide(self, observation: StepObservation) -> StepDecision:
        """See :class:`~mtpo.schedulers.types.StepPolicy`."""
        batch = Batch(observation, self.budget)
        running = observation.running
        stop = len(running)
        index = 0
        while index < stop and batch.left and batch.room:
            request = running[index]
            wanted = min(self._chunk(request.remaining), batch.left)
            while index < stop and batch.fits(request) < wanted:
                stop -= 1
                batch.preempt(running[stop])
            if index < stop:
                batch.take(request, wanted)
            index += 1
        if batch.preempted:
            return batch.decision()
        self._admit(batch, len(running), observation.waiting)
        return batch.decision()

    def promise(self, digest: Digest) -> Promise | None:
        """See :class:`~mtpo.schedulers.step.promise.PromisingPolicy`: told where all prompts under way come after the
        decodes, and nobody has to be preempted."""
        batch = Batch(digest, self.budget)
        if not digest.behind or batch.left < 0 or batch.room < 0 or batch.blocks < 0:
            return None
        for request in digest.prefills:
            if not (batch.left and batch.room):
                break
            wanted = min(self._chunk(request.remaining), batch.left)
            if batch.fits(request) < wanted:
                return None
            batch.take(request, wanted)
        self._admit(batch, digest.decodes + len(digest.prefills), digest.waiting)
        if batch.work:
            return Promise(tuple(batch.work))
        return FOREVER if digest.decodes and not digest.prefills else None

    def _admit(self, batch: Batch, running: int, waiting: Sequence[RequestView]) -> None:
        admitted = running
        for request in waiting:
            wanted = min(self._chunk(request.remaining), batch.left)
            if not wanted or admitted >= batch.seen.max_requests or batch.fits(request) < wanted:
                break
            if not batch.take(request, wanted):
                break
            admitted += 1

    def _chunk(self, remaining: int) -> int:
        return min(remaining, self.long_prefill) if self.long_prefill else remaining
