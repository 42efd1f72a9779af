"""Sarathi-Serve: stall-free batching (OSDI 2024).

Every decode first, one token each, in order of admission; then prefills that have begun; then new requests in order of
arrival, while the token budget and the KV cache last. The budget counts decodes too; prompts are cut into chunks that
fit into what is left, so no decode ever waits for a prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from mtpo.schedulers.step.batch import Batch
from mtpo.schedulers.step.promise import FOREVER, Digest, Promise
from mtpo.schedulers.types import RequestView, StepDecision, StepObservation


@attrs.frozen
class Sarathi:
    """``budget``: tokens in a step, at least 1. The paper uses 512 (strict latency) and 2048 (relaxed)."""

    budget: int = attrs.field(default=512, validator=attrs.validators.ge(1))

    def decide(self, observation: StepObservation) -> StepDecision:
        """See :class:`~mtpo.schedulers.types.StepPolicy`."""
        batch = Batch(observation, self.budget)
        for request in observation.running:
            if request.decoding:
                batch.take(request, 1)
        self._prefill(batch, (r for r in observation.running if not r.decoding), observation.waiting)
        if batch.work or not observation.running:
            return batch.decision()
        return self._preempt(observation)

    def promise(self, digest: Digest) -> Promise | None:
        """See :class:`~mtpo.schedulers.step.promise.PromisingPolicy`: prompts come after the decodes, whatever those
        are."""
        batch = Batch(digest, self.budget)
        if batch.left < 0 or batch.room < 0 or batch.blocks < 0:
            return None
        self._prefill(batch, digest.prefills, digest.waiting)
        if batch.work:
            return Promise(tuple(batch.work))
        # Nobody finds more room later: blocks only become fewer.
        return FOREVER if digest.decodes else None

    def _prefill(self, batch: Batch, begun: Iterable[RequestView], waiting: Sequence[RequestView]) -> None:
        for request in begun:
            batch.take(request, request.remaining)
        for request in waiting:
            # A request is admitted only if its whole prompt fits: no request holds blocks that it cannot use.
            if not (batch.left and batch.room) or batch.fits(request) < request.remaining:
                break
            batch.take(request, request.remaining)

    def _preempt(self, observation: StepObservation) -> StepDecision:
        """Nothing fits: the newest requests give up their blocks until the oldest can go on."""
        batch = Batch(observation, self.budget)
        oldest, *others = observation.running
        for request in reversed(others):
            if batch.fits(oldest) >= 1:
                break
            batch.preempt(request)
        batch.take(oldest, oldest.remaining)
        return batch.decision()
