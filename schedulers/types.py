"""What policies see and what they decide: plain frozen records, the same in the engine, the simulator and the proofs.

Times are seconds on the clock of whoever asks; a policy has no clock of its own. Tokens are counted whole.
"""

from __future__ import annotations

from typing import Protocol

import attrs


@attrs.frozen
class RequestView:
    """One request as a step policy sees it.

    ``known`` tokens are in its sequence (prompt and emitted), ``computed`` of them have their keys and values;
    ``known - computed`` is what it still has to catch up, 1 for a decode. ``emitted`` counts output tokens. ``blocks``
    are held already, ``shared`` of them by somebody else too: a preemption gives back the rest. A waiting request holds
    none: its ``blocks`` and ``computed`` are what the prefix cache has for it, and ``cached`` of these blocks count as
    free until it is admitted. ``ttft_slo`` and ``tpot_slo`` in seconds, None where there is no objective.
    """

    id: int
    arrival: float
    known: int
    computed: int
    emitted: int
    blocks: int
    shared: int = 0
    cached: int = 0
    ttft_slo: float | None = None
    tpot_slo: float | None = None

    @property
    def remaining(self) -> int:
        """Tokens to compute before the next one can be emitted."""
        return self.known - self.computed

    @property
    def decoding(self) -> bool:
        """The prompt is computed; one token of work yields one token of output."""
        return self.emitted > 0 and self.remaining == 1


@attrs.frozen
class StepObservation:
    """Everything a step policy may look at.

    ``running`` hold blocks, in order of admission; ``waiting`` hold none, in order of arrival. ``free_blocks`` can be
    allocated (those that can be evicted or taken from idle conversations included). ``max_tokens`` and ``max_requests``
    are the engine's caps.
    """

    now: float
    running: tuple[RequestView, ...]
    waiting: tuple[RequestView, ...]
    free_blocks: int
    block_size: int
    max_tokens: int
    max_requests: int

    def blocks_for(self, request: RequestView, tokens: int) -> int:
        """Free blocks that it takes to compute so many more tokens of a request."""
        needed = -(-(request.computed + tokens) // self.block_size)
        return max(0, needed - request.blocks) + request.cached


@attrs.frozen
class Work:
    """``tokens`` of the request ``id`` to compute in this step; at least 1."""

    id: int
    tokens: int


@attrs.frozen
class StepDecision:
    """The batch: each request at most once. ``preempt`` names requests that give up their blocks first."""

    work: tuple[Work, ...]
    preempt: tuple[int, ...] = ()


class StepPolicy(Protocol):
    """What runs in the next step."""

    def decide(self, observation: StepObservation) -> StepDecision:
        """A pure function of the observation."""


@attrs.frozen
class AdmissionObservation:
    """What an admission controller may look at: how many agents are active and waiting, and how the cache does."""

    now: float
    active: int
    waiting: int
    kv_usage: float
    hit_rate: float


@attrs.frozen
class AdmissionDecision:
    """At most so many agents may be active."""

    limit: int


class AdmissionPolicy(Protocol):
    """How many agents run at once."""

    def decide(self, observation: AdmissionObservation) -> AdmissionDecision:
        """A pure function of the observation."""


@attrs.frozen
class WorkerView:
    """One worker as a placement policy sees it."""

    id: int
    free_blocks: int
    running: int
    waiting_tokens: int
    holds_prefix: int


@attrs.frozen
class PlacementObservation:
    """A conversation's turn that needs a worker: ``prompt`` tokens to read, and the workers."""

    now: float
    conversation: str
    prompt: int
    workers: tuple[WorkerView, ...]


@attrs.frozen
class PlacementDecision:
    """Prefill on one worker, decode on another or the same; None: hold the turn."""

    prefill: int | None
    decode: int | None


class PlacementPolicy(Protocol):
    """Which worker a conversation lives on."""

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """A pure function of the observation."""
