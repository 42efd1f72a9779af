"""What policies see and what they decide: plain frozen records, the same in the engine, the simulator and the proofs.

Three layers, each a pure function of its observation: *step* (which tokens are computed next on one worker),
*admission* (how many agents or requests are active), *placement* (which worker a turn is computed on). A policy that
learns is still a value: ``learn`` returns another policy, and who drives it keeps that one from then on.

Times are seconds on the clock of whoever asks; a policy has no clock of its own. Tokens are counted whole.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import attrs

# -- steps -------------------------------------------------------------------------------------------------------------


@attrs.frozen
class RequestView:
    """One request as a step policy sees it.

    ``known`` tokens are in its sequence (prompt and emitted), ``computed`` of them have their keys and values;
    ``known - computed`` is what it still has to catch up, 1 for a decode. ``emitted`` counts output tokens. ``blocks``
    are held already, ``shared`` of them by somebody else too: a preemption gives back the rest. A waiting request holds
    none: its ``blocks`` and ``computed`` are what the prefix cache has for it, and ``cached`` of these blocks count as
    free until it is admitted. ``ttft_slo`` and ``tpot_slo`` in seconds, None where there is no objective. ``first``:
    when its first output token was there, None while it was not, or where that is not told. ``most``: tokens that its
    sequence will have at most, prompt and output, where that is told: a cap, not a prediction.
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
    first: float | None = None
    most: int | None = None

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
class StepMeasured:
    """A step that was run. ``new`` tokens were computed; ``context`` is the sum, over the requests of the batch, of the
    tokens that have keys and values after it; ``seconds`` of wall time from this decision to the next one, or to the
    end of the step where the worker had nothing to do afterwards."""

    new: int
    context: int
    seconds: float


@runtime_checkable
class LearningPolicy(Protocol):
    """A step policy that predicts how long a step takes, and learns it from those that were run."""

    def learn(self, measured: StepMeasured) -> StepPolicy:
        """The policy to ask from now on; a pure function of the policy and the measurement."""


def learned(policy: StepPolicy, measured: StepMeasured) -> StepPolicy:
    """The policy to ask after a step was measured: the same one, unless it learns."""
    return policy.learn(measured) if isinstance(policy, LearningPolicy) else policy


# -- admission ---------------------------------------------------------------------------------------------------------


@attrs.frozen
class AdmissionObservation:
    """What an admission policy may look at, once at the start and then every ``interval`` seconds.

    ``active``: agents that were admitted and are neither paused nor done; ``requests``: those of them in the engine;
    ``waiting``: agents that want to be admitted or resumed. ``kv_usage``: the share (0..1) of the KV cache that is
    referenced; cached blocks that could be evicted do not count. ``hit_rate``: the share (0..1) of the prompt tokens
    looked up since the observation before that the prefix cache had; None when none was looked up. ``window``: that of
    the decision before, None at the start. ``agents``: how many there are in all, 0 when that is not known.
    """

    now: float
    active: int
    waiting: int
    kv_usage: float
    hit_rate: float | None = None
    window: float | None = None
    requests: int = 0
    agents: int = 0


@attrs.frozen
class AdmissionDecision:
    """At most so many may be active: ``limit``, None for no limit.

    ``per_request``: what is limited are requests in the engine, so an agent that waits for its tools counts for nothing
    and queues again; else agents, from their first step to their last, tools included. ``window``: the policy's own
    figure, to be shown to it next time. ``youngest_first``: when the limit falls below what is active, those admitted
    last are the ones to be paused; else the first to reach a boundary. Either way none is paused within a step.
    ``unlocks``: while a turn is held because there is no room for it, agents that have room promised go on whatever the
    limit; else those that wait for room and those that have it may wait for each other.
    :class:`~mtpo.schedulers.admission.gate.Gate` carries decisions out.
    """

    limit: int | None
    window: float | None = None
    per_request: bool = False
    youngest_first: bool = False
    unlocks: bool = False


class AdmissionPolicy(Protocol):
    """How many agents run at once."""

    @property
    def interval(self) -> float | None:
        """Seconds between two decisions; None: one, at the start, is enough."""

    def decide(self, observation: AdmissionObservation) -> AdmissionDecision:
        """A pure function of the observation."""


# -- placement ---------------------------------------------------------------------------------------------------------


@attrs.frozen
class StepModel:
    """Predicted seconds of a step: ``max(floor, a + b * new + c * context)`` (FairBatching, on batch time).

    ``new`` tokens are computed in it; ``context`` is the sum, over the requests of the batch, of their tokens with keys
    and values after the step. ``a`` in seconds, ``b`` and ``c`` in seconds per token.
    """

    a: float = attrs.field(validator=attrs.validators.ge(0.0))
    b: float = attrs.field(validator=attrs.validators.ge(0.0))
    c: float = attrs.field(default=0.0, validator=attrs.validators.ge(0.0))
    floor: float = attrs.field(default=0.0, validator=attrs.validators.ge(0.0))

    def seconds(self, new: int, context: int) -> float:
        """How long a step takes."""
        return max(self.floor, self.a + self.b * new + self.c * context)

    def cost(self, done: int, tokens: int) -> float:
        """What ``tokens`` after ``done`` computed ones of one request add to a step, in seconds."""
        return self.b * tokens + self.c * (done + tokens)


@attrs.frozen
class WorkerView:
    """One worker as a placement policy sees it.

    ``prefills``, ``decodes``: what it is there for; a worker for both may do whole turns. ``capacity``: tokens that
    its KV cache holds; ``held``: tokens of it promised to the conversations that are bound to this worker (the sum of
    their ``reserve``). ``free_tokens``: those that could be allocated now, blocks that can be evicted included.
    ``prefix``: tokens from the start of this conversation that it still has. ``running`` and ``waiting`` are its
    requests, as in :class:`StepObservation`, not told to policies that never look (:func:`sees_requests`).
    ``max_tokens`` caps its steps. ``model``: its own estimate of step times, if it has one.
    """

    id: int
    capacity: int
    free_tokens: int
    held: int = 0
    prefills: bool = True
    decodes: bool = True
    prefix: int = 0
    running: tuple[RequestView, ...] = ()
    waiting: tuple[RequestView, ...] = ()
    max_tokens: int = 8192
    model: StepModel | None = None

    @property
    def unheld(self) -> int:
        """Tokens that are promised to nobody; negative when conversations grew past what there is."""
        return self.capacity - self.held

    @property
    def backlog(self) -> int:
        """Tokens of prompts that it has yet to compute."""
        requests = (*self.running, *self.waiting)
        return sum(request.remaining for request in requests if not request.decoding)


@attrs.frozen
class PlacementObservation:
    """A turn that needs a worker.

    Asked when the turn arrives, and again when ``prefilled`` if the decision left open where it decodes. A turn that
    was held is asked about again as the decision said. ``turn`` counts from 1. ``prompt``: tokens of the whole
    sequence, history included; ``output``: tokens that it will generate at most, where that is told (a cap, not a
    prediction). ``bound``: the worker that the conversation is bound to; ``prefiller``: where this turn was prefilled.
    ``reserved``: tokens promised to the conversation so far. ``peak``: the largest sequence that it will ever have;
    only an oracle sees it, so it is None but for policies that ask for it (``oracle``). ``ahead``: turns that have been
    held for longer than this one, in the same state (``prefilled`` or not). ``arrival``: when it was first asked for.
    ``line``: turns that are held, prefilled, and whose place in the line for decoders is before this one's. A turn gets
    its place when it is prefilled or placed first, and keeps it when a worker is lost; until then it comes last. A
    worker that was lost is not among ``workers``; ``bound`` may still name it. Then, as for a turn whose KV cache was
    lost otherwise, ``prompt`` and ``output`` are what is to be computed anew and what is left to generate.
    """

    now: float
    conversation: str
    turn: int
    prompt: int
    workers: tuple[WorkerView, ...]
    output: int = 0
    prefilled: bool = False
    prefiller: int | None = None
    bound: int | None = None
    reserved: int = 0
    peak: int | None = None
    ahead: int = 0
    ttft_slo: float | None = None
    tpot_slo: float | None = None
    arrival: float = 0.0
    line: int = 0


@attrs.frozen
class PlacementDecision:
    """Where a turn goes.

    ``prefill``: the worker for the prompt, None holds the turn. ``decode``: the worker for the rest, None leaves it
    open until the prompt is computed; when asked ``prefilled``, None holds the turn: its KV cache stays where it is.
    If ``decode`` is not ``prefill``, the KV cache is moved once, between the two. ``bind``: the conversation's later
    turns see ``decode`` as ``bound``. ``reserve``: tokens promised to the conversation on ``decode`` from now on, in
    all, in the place of what was reserved before; taken in the same instant. ``fetch``: what the bound worker has of
    the prompt is first brought to ``prefill``, if that is another one; whoever can't do so computes it there anew. If
    the same decision binds the conversation elsewhere, it moves: nothing of it is reusable on the way, and then only
    where it is bound.
    ``retry``: seconds after which a held turn is asked about again, whoever else waits; None: whenever something has
    changed, longest held first. ``shed``: the turn is refused for good.
    """

    prefill: int | None
    decode: int | None
    bind: bool = False
    reserve: int = 0
    retry: float | None = None
    shed: bool = False
    fetch: bool = False


class PlacementPolicy(Protocol):
    """Which worker a turn is computed on."""

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """A pure function of the observation."""


def sees_requests(policy: PlacementPolicy) -> bool:
    """Whether a placement policy looks at the requests of workers, or at their ``backlog``: all do but those that say
    ``requests = False``. To tell of each request of each worker costs more than most decisions."""
    return bool(getattr(policy, "requests", True))


def reads_clock(policy: AdmissionPolicy) -> bool:
    """Whether an admission policy looks at the time of an observation: any may but those that say ``clock = False``."""
    return bool(getattr(policy, "clock", True))


def is_oracle(policy: PlacementPolicy) -> bool:
    """Whether a placement policy asks to be shown the peaks of conversations, which nobody can observe."""
    return bool(getattr(policy, "oracle", False))
