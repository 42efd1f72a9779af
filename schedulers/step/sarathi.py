"""Sarathi-Serve: stall-free batching (OSDI 2024).

Every decode first, one token each, in order of admission; then prefills that have begun; then new requests in order of
arrival, while the token budget and the KV cache last. The budget counts decodes too; prompts are cut into chunks that
fit into what is left, so no decode ever waits for a prompt.
"""

from __future__ import annotations

import attrs

from mtpo.schedulers.types import RequestView, StepDecision, StepObservation, Work


@attrs.frozen
class Sarathi:
    """``budget``: tokens in a step, at least 1. The paper uses 512 (strict latency) and 2048 (relaxed)."""

    budget: int = attrs.field(default=512, validator=attrs.validators.ge(1))

    def decide(self, observation: StepObservation) -> StepDecision:
        """See :class:`~mtpo.schedulers.types.StepPolicy`."""
        left = min(self.budget, observation.max_tokens)
        room = observation.max_requests
        blocks = observation.free_blocks
        work: list[Work] = []

        def take(request: RequestView, wanted: int) -> bool:
            nonlocal left, room, blocks
            # Clamped at zero: decodes may use up the budget (the published code is not clamped, and goes negative).
            tokens = max(0, min(wanted, left, self._fits(observation, request, blocks)))
            if not tokens or not room:
                return False
            work.append(Work(request.id, tokens))
            blocks -= observation.blocks_for(request, tokens)
            left -= tokens
            room -= 1
            return True

        for request in observation.running:
            if request.decoding:
                take(request, 1)
        for request in observation.running:
            if not request.decoding:
                take(request, request.remaining)
        for request in observation.waiting:
            # A request is admitted only if its whole prompt fits: no request holds blocks that it cannot use.
            if observation.blocks_for(request, request.remaining) > blocks or not take(request, request.remaining):
                break
        if work or not observation.running:
            return StepDecision(tuple(work))
        return self._preempt(observation)

    def _fits(self, observation: StepObservation, request: RequestView, blocks: int) -> int:
        """Tokens of a request that the held and the free blocks have slots for."""
        return (request.blocks + blocks - request.cached) * observation.block_size - request.computed

    def _preempt(self, observation: StepObservation) -> StepDecision:
        """Nothing fits: the newest requests give up their blocks until the oldest can go on."""
        oldest, *others = observation.running
        blocks, given_up = observation.free_blocks, []
        for request in reversed(others):
            if observation.blocks_for(oldest, 1) <= blocks:
                break
            given_up.append(request.id)
            blocks += request.blocks - request.shared
        tokens = min(oldest.remaining, self.budget, observation.max_tokens, self._fits(observation, oldest, blocks))
        work = (Work(oldest.id, tokens),) if tokens > 0 else ()
        return StepDecision(work, tuple(given_up))
