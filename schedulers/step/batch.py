"""A batch being filled: what the caps and the KV cache still allow."""

from __future__ import annotations

from mtpo.schedulers.types import RequestView, StepDecision, StepObservation, Work


class Batch:
    """``left`` tokens, ``room`` requests and ``blocks`` of KV cache remain; both caps of the engine are kept.

    ``budget``: tokens, in addition to the engine's own cap; None for that cap alone.
    """

    def __init__(self, observation: StepObservation, budget: int | None = None) -> None:
        self.seen = observation
        self.left = observation.max_tokens if budget is None else min(budget, observation.max_tokens)
        self.room = observation.max_requests
        self.blocks = observation.free_blocks
        self.work: list[Work] = []
        self.preempted: list[int] = []

    def fits(self, request: RequestView) -> int:
        """Tokens of a request that the held and the free blocks have slots for; negative when there are none."""
        return (request.blocks + self.blocks - request.cached) * self.seen.block_size - request.computed

    def take(self, request: RequestView, wanted: int) -> int:
        """Schedule up to ``wanted`` tokens of a request that is not in the batch; returns how many."""
        # Clamped at zero: decodes may use up the budget (the published Sarathi code is not clamped, and goes negative).
        tokens = max(0, min(wanted, self.left, self.fits(request)))
        if not tokens or not self.room:
            return 0
        self.work.append(Work(request.id, tokens))
        self.blocks -= self.seen.blocks_for(request, tokens)
        self.left -= tokens
        self.room -= 1
        return tokens

    def preempt(self, request: RequestView) -> None:
        """A running request that is not in the batch gives up its blocks."""
        self.preempted.append(request.id)
        self.blocks += request.blocks - request.shared

    def decision(self) -> StepDecision:
        """What was scheduled, in order."""
        return StepDecision(tuple(self.work), tuple(self.preempted))
