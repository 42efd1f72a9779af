"""A batch being filled: what the caps and the KV cache still allow."""

from __future__ import annotations

from mtpo.schedulers.step.promise import Digest
from mtpo.schedulers.types import RequestView, StepDecision, StepObservation, Work


class Batch:
    """``left`` tokens, ``room`` requests and ``blocks`` of KV cache remain; both caps of the engine are kept.

    ``budget``: tokens, in addition to the engine's own cap; None for that cap alone. Of a digest, what is left when
    each decode has its token, negative where that is too much.
    """

    def __init__(self, observation: StepObservation | Digest, budget: int | None = None) -> None:
        self.seen = observation
        self.left = observation.max_tokens if budget is None else min(budget, observation.max_tokens)
        self.room = observation.max_requests
        self.blocks = observation.free_blocks
        if isinstance(observation, Digest):
            self.left -= observation.decodes
            self.room -= observation.decodes
            self.blocks -= observation.lacking
        self.work: list[Work] = []
        self.preempted: list[int] = []
        self._freed = 0
        self._waiting: frozenset[int] | None = None

    def fits(self, request: RequestView) -> int:
        """Tokens of a request that the held and the free blocks have slots for; negative when there are none."""
        return (request.blocks + self.blocks - self._taken(request)) * self.seen.block_size - request.computed

    def _taken(self, request: RequestView) -> int:
        """Blocks found by a waiting request that count as free until it is admitted: those that were cached, and at
        worst those that were given up in this very decision by requests that had the same prefix."""
        if not self._freed:
            return request.cached
        if self._waiting is None:
            self._waiting = frozenset(one.id for one in self.seen.waiting)
        return min(request.blocks, request.cached + self._freed) if request.id in self._waiting else 0

    def take(self, request: RequestView, wanted: int) -> int:
        """Schedule up to ``wanted`` tokens of a request that is not in the batch; returns how many."""
        # Clamped at zero: decodes may use up the budget (the published Sarathi code is not clamped, and goes negative).
        size, held, computed = self.seen.block_size, request.blocks, request.computed
        taken = self._taken(request) if self._freed else request.cached
        slots = (held + self.blocks - taken) * size - computed
        tokens = wanted if wanted < slots else slots
        if tokens > self.left:
            tokens = self.left
        if tokens < 1 or not self.room:
            return 0
        self.work.append(Work(request.id, tokens))
        lacking = -(-(computed + tokens) // size) - held
        self.blocks -= taken + lacking if lacking > 0 else taken
        self.left -= tokens
        self.room -= 1
        return tokens

    def preempt(self, request: RequestView) -> None:
        """A running request that is not in the batch gives up its blocks."""
        self.preempted.append(request.id)
        freed = request.blocks - request.shared
        self.blocks += freed
        self._freed += freed

    def decision(self) -> StepDecision:
        """What was scheduled, in order."""
        return StepDecision(tuple(self.work), tuple(self.preempted))
