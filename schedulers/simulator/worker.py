"""One simulated worker: a queue, a KV cache, and steps under a policy; in virtual time.

A request has no prefill or decode phase: it has tokens, of which some are computed, and catches up, as in the engine
(:mod:`mtpo.engine.engine`). The policy sees the same records here as there. They are kept up to date rather than built
anew: a record changes when its request was in a step, or when the cache says that what it shares has changed.
"""

from __future__ import annotations

import attrs

from mtpo.schedulers.simulator.kv import Holding, KVError, PrefixCache, Runs, runs_of
from mtpo.schedulers.simulator.metrics import Meter
from mtpo.schedulers.simulator.steptime import Hardware
from mtpo.schedulers.traces.workload import Piece, Turn
from mtpo.schedulers.types import (
    LearningPolicy,
    RequestView,
    StepDecision,
    StepMeasured,
    StepObservation,
    StepPolicy,
)

_UNSHARED = 1 << 80
"""Tags from here on stand for tokens that no trace names."""


class SimulationError(ValueError):
    """A simulation that can't go on: what asked for what, and why that can't be done; one line."""


class StuckError(SimulationError):
    """Nothing can go on though there is work: policies wait for each other."""


def policy_failed(policy: object, error: Exception) -> SimulationError:
    """What a policy raised, as one line."""
    return SimulationError(" ".join(f"policy {type(policy).__name__}: {type(error).__name__}: {error}".split()))


@attrs.frozen
class Caps:
    """Of a worker: tokens and requests in a step at most, tokens in a block of its KV cache, blocks of it."""

    blocks: int = attrs.field(validator=attrs.validators.ge(1))
    block_size: int = attrs.field(default=16, validator=attrs.validators.ge(1))
    max_tokens: int = attrs.field(default=8192, validator=attrs.validators.ge(1))
    max_requests: int = attrs.field(default=256, validator=attrs.validators.ge(1))


@attrs.define(eq=False)
class Request:
    """A turn on a worker. Times in seconds; ``due`` is the deadline of its next token, ``late`` counts tokens emitted
    after theirs, ``gap`` is the largest time between two tokens, ``gaps`` all of them, None where nobody asked;
    ``began``: when its first step began. It leaves the worker when it has emitted ``until``."""

    id: int
    arrival: float
    prompt: int
    output: int
    holding: Holding
    ttft_slo: float | None
    tpot_slo: float | None
    known: int
    due: float
    until: int
    moves: bool = False
    """Whether its KV cache is to be moved then, and stays where it is until that has been done."""
    computed: int = 0
    emitted: int = 0
    first: float | None = None
    last: float = 0.0
    gap: float = 0.0
    gaps: list[float] | None = None
    began: float | None = None
    late: int = 0
    hits: int = -1
    """Prompt tokens that the cache had when it was first admitted; -1 before."""
    preempted: int = 0


def request_of(
    id: int,
    turn: Turn,
    arrival: float,
    ttft_slo: float | None,
    tpot_slo: float | None,
    block_size: int,
) -> Request:
    """A turn as a request that waits."""
    content, total = turn.content, turn.prompt + turn.output
    if content:
        rest = total - sum(piece.tokens for piece in content)
        # In a real cache what is shared with nobody takes its place in the order of eviction too.
        content = (*content, Piece(_UNSHARED + id, rest)) if rest > 0 else content
    holding = Holding(id, runs_of(content, block_size))
    due = arrival + ttft_slo if ttft_slo is not None else float("inf")
    return Request(id, arrival, turn.prompt, turn.output, holding, ttft_slo, tpot_slo, turn.prompt, due, turn.output)


def brought(id: int) -> int:
    """The id of the blocks that were brought to a worker for a request."""
    return -2 - id


class Worker:
    """``id`` in its cluster; one step at a time: :meth:`begin`, and :meth:`finish` when its time is over."""

    def __init__(self, id: int, hardware: Hardware, policy: StepPolicy, caps: Caps, meter: Meter | None = None) -> None:
        self.id, self.hardware, self.policy, self.caps = id, hardware, policy, caps
        self.kv = PrefixCache(caps.blocks)
        self.meter = meter or Meter()
        self.steps = 0
        self._running: dict[int, Request] = {}
        self._views: dict[int, RequestView] = {}
        self._waiting: dict[int, Request] = {}
        self._queue: dict[int, RequestView] = {}
        self._line: tuple[RequestView, ...] | None = ()
        self._batch: list[tuple[Request, int]] = []
        self._pinned: dict[int, Holding] = {}
        self._dropped: set[int] = set()
        self._began = 0.0
        self._measured = StepMeasured(0, 0, 0.0)
        self._learns = isinstance(policy, LearningPolicy)

    @property
    def busy(self) -> bool:
        """Whether it has anything to do."""
        return bool(self._running or self._waiting)

    @property
    def stepping(self) -> bool:
        """Whether a step is under way."""
        return bool(self._batch)

    def submit(self, request: Request) -> None:
        """Queue a request. Raises :class:`SimulationError` for one that can never fit."""
        needed = -(-(request.prompt + request.output - 1) // self.caps.block_size)
        if needed > self.caps.blocks:
            raise SimulationError(
                f"a request of {request.prompt} + {request.output} tokens needs {needed} blocks; "
                f"the KV cache of {self.hardware.name} has {self.caps.blocks}"
            )
        self._waiting[request.id] = request
        self._wait(request)

    def _wait(self, request: Request) -> None:
        holding = request.holding
        if holding.runs:
            holding.limit = (request.known - 1) // self.caps.block_size
            self.kv.watch(holding)
        self._queue[request.id] = self._view_waiting(request)
        self._line = None

    # -- transfers ---------------------------------------------------------------------------------------------

    def unpin(self, id: int) -> None:
        """Give up the blocks of a request that left, now that its KV cache has been moved."""
        self.kv.release(self._pinned.pop(id))

    def has(self, request: Request) -> bool:
        """Whether a request, or some of its KV cache, is here."""
        return any(request.id in one for one in (self._running, self._waiting, self._pinned)) or (
            brought(request.id) in self._pinned
        )

    def drop(self, request: Request) -> None:
        """Forget a request, and all that is here of it; a step that computes some of it goes on without it."""
        for id in (request.id, brought(request.id)):
            if id in self._pinned:
                self.unpin(id)
        if request.id in self._running:
            del self._running[request.id], self._views[request.id]
            self.kv.release(request.holding)
            self._dropped.update(one.id for one, _ in self._batch if one is request)
        elif request.id in self._waiting:
            self.kv.unwatch(request.holding)
            del self._waiting[request.id], self._queue[request.id]
            self._line = None

    def prefix(self, runs: Runs, prompt: int) -> int:
        """Blocks at the beginning of a prompt that the cache has."""
        probe = Holding(-1, runs, (prompt - 1) // self.caps.block_size)
        self.kv.watch(probe)
        self.kv.unwatch(probe)
        return probe.found

    def receive(self, request: Request, blocks: int) -> int:
        """Make room for blocks at the beginning of a request that are brought here for this one turn, and keep them
        until it leaves (:meth:`unpin` of :func:`brought`). Returns how many tokens have to be moved: none when they are
        here already, or would take so much of the cache that requests block each other."""
        holding = Holding(brought(request.id), request.holding.runs, blocks)
        self.kv.watch(holding)
        lacking = blocks - holding.found
        if lacking <= 0 or self.kv.available - lacking - holding.cached < self.kv.total // 2:
            self.kv.unwatch(holding)
            return 0
        self.kv.admit(holding)
        self.kv.allocate(holding, lacking)
        self._pinned[holding.id] = holding
        return lacking * self.caps.block_size

    def received(self, request: Request) -> None:
        """The blocks that :meth:`receive` made room for are here."""
        holding = self._pinned[brought(request.id)]
        self.kv.publish(holding, holding.blocks)

    def expect(self, request: Request) -> int | None:
        """Make room for the KV cache of a request that was prefilled elsewhere; its holding is this worker's from now.

        Returns how many tokens have to be moved, beside those that the prefix cache has; None when there is no room.
        """
        holding = Holding(request.id, request.holding.runs, request.computed // self.caps.block_size)
        request.holding = holding
        self.kv.watch(holding)
        lacking = -(-request.computed // self.caps.block_size) - holding.found
        if lacking + holding.cached > self.kv.available:
            self.kv.unwatch(holding)
            return None
        found = self.kv.admit(holding) * self.caps.block_size
        self.kv.allocate(holding, lacking)
        self._pinned[request.id] = holding
        return request.computed - found

    def land(self, request: Request) -> None:
        """The KV cache of an expected request is here, or was here all the time: it decodes, or leaves when it has
        emitted all. One without room waits, to be computed anew."""
        here = self._pinned.pop(request.id, None) is not None
        if here and request.holding.runs:
            self.kv.publish(request.holding, request.computed // self.caps.block_size)
        if request.emitted == request.until:
            self.kv.release(request.holding)
        elif here:
            self._running[request.id] = request
            self._views[request.id] = self._view(request)
        else:
            request.computed = 0
            request.preempted += 1
            self._waiting[request.id] = request
            self._wait(request)

    # -- what the policy sees ----------------------------------------------------------------------------------

    def _view_waiting(self, request: Request) -> RequestView:
        holding = request.holding
        return RequestView(
            request.id,
            request.arrival,
            request.known,
            holding.found * self.caps.block_size,
            request.emitted,
            holding.found,
            cached=holding.cached,
            ttft_slo=request.ttft_slo,
            tpot_slo=request.tpot_slo,
            first=request.first,
            most=request.prompt + request.until,
        )

    def _view(self, request: Request) -> RequestView:
        holding = request.holding
        return RequestView(
            request.id,
            request.arrival,
            request.known,
            request.computed,
            request.emitted,
            holding.tree + holding.private,
            holding.shared,
            0,
            request.ttft_slo,
            request.tpot_slo,
            request.first,
            request.prompt + request.until,
        )

    def views(self) -> tuple[tuple[RequestView, ...], tuple[RequestView, ...]]:
        """The requests that run, and those that wait."""
        if self.kv.changed:
            for holding in list(self.kv.changed):
                if holding.id in self._waiting:
                    self.kv.watch(holding)
                    self._queue[holding.id] = self._view_waiting(self._waiting[holding.id])
                    self._line = None
                elif holding.id in self._running:
                    self._views[holding.id] = self._view(self._running[holding.id])
            self.kv.changed.clear()
        if self._line is None:
            self._line = tuple(self._queue.values())
        return tuple(self._views.values()), self._line

    def observe(self, now: float) -> StepObservation:
        """What the policy sees."""
        caps = self.caps
        running, waiting = self.views()
        return StepObservation(
            now,
            running,
            waiting,
            self.kv.available,
            caps.block_size,
            caps.max_tokens,
            caps.max_requests,
        )

    # -- steps -------------------------------------------------------------------------------------------------

    def begin(self, now: float) -> float | None:
        """Start a step; returns its duration in seconds, None when there is nothing to do, or no room to do it in
        until a transfer ends.

        Raises :class:`SimulationError` for a decision that can't be carried out.
        """
        if not self.busy:
            return None
        while True:
            seen = self.observe(now)
            try:
                decision = self.policy.decide(seen)
            except Exception as error:
                raise policy_failed(self.policy, error) from error
            if self._pinned and not decision.work and not decision.preempt:
                return None
            self._check(decision)
            for id in decision.preempt:
                self._preempt(id)
            if decision.work:
                break
        self._began = now
        size, kv = self.caps.block_size, self.kv
        # Every prefix is taken before any block is allocated, since an allocation may evict.
        for work in decision.work:
            if work.id in self._waiting:
                self._admit(work.id)
        new, context, pairs = 0, 0, 0.0
        batch, running = self._batch, self._running
        for work in decision.work:
            request, tokens = running[work.id], work.tokens
            before, holding = request.computed, request.holding
            after = before + tokens
            lacking = -(-after // size) - holding.tree - holding.private
            if lacking > 0:
                try:
                    kv.allocate(holding, lacking)
                except KVError as error:
                    raise SimulationError(f"policy {type(self.policy).__name__} overbooked: {error}") from None
            new += tokens
            context += after
            if tokens > 1:
                pairs += (tokens - 1) * (before + tokens / 2)
            batch.append((request, tokens))
        self.steps += 1
        seconds = self.hardware.step.seconds(new, context, pairs)
        self._measured = StepMeasured(new, context, seconds)
        work_of = self.hardware.step.arithmetic(new, pairs)
        self.meter.step(now, seconds, kv.used / kv.total, len(running), len(self._waiting), new, work_of)
        return seconds

    def _check(self, decision: StepDecision) -> None:
        """That a decision names requests under way, each once, with work that they have, within the caps."""
        work, preempt = decision.work, decision.preempt
        if not work and not preempt:
            raise self._wrong(f"nothing though {len(self._running)} requests run and {len(self._waiting)} wait")
        seen = {one.id for one in work}
        total = 0
        for one in work:
            request = self._running.get(one.id)
            if request is not None:
                left = request.known - request.computed
            elif one.id in self._queue:
                left = self._queue[one.id].remaining
            else:
                raise self._wrong(f"request {one.id}, which is not there")
            if not 1 <= one.tokens <= left:
                raise self._wrong(f"{one.tokens} tokens of request {one.id}, which has {left} to compute")
            total += one.tokens
        if len(seen) < len(work):
            raise self._wrong("a request twice")
        if total > self.caps.max_tokens or len(work) > self.caps.max_requests:
            caps = f"{self.caps.max_tokens} and {self.caps.max_requests}"
            raise self._wrong(f"{total} tokens of {len(work)} requests; the caps are {caps}")
        for id in preempt:
            if id in seen or id not in self._running or preempt.count(id) > 1:
                raise SimulationError(
                    f"policy {type(self.policy).__name__} preempted request {id}, which is not running or scheduled too"
                )

    def _wrong(self, what: str) -> SimulationError:
        return SimulationError(f"policy {type(self.policy).__name__} scheduled {what}")

    def _admit(self, id: int) -> None:
        request = self._waiting.pop(id)
        del self._queue[id]
        self._line = None
        self._running[id] = request
        self._views[id] = self._view(request)
        found = self.kv.admit(request.holding) * self.caps.block_size
        request.computed = found
        self.meter.looked_up(self._began, request.known, found)
        if request.hits < 0:
            request.hits, request.began = found, self._began

    def _preempt(self, id: int) -> None:
        """By recomputation: its blocks go, its tokens stay, it waits first in line."""
        request = self._running.pop(id)
        del self._views[id]
        self.kv.release(request.holding)
        request.computed = 0
        request.preempted += 1
        self._waiting[id] = request
        self._wait(request)
        # To the front; a plain dict is rebuilt for it, and read several times faster in all other steps.
        self._queue = {id: self._queue.pop(id), **self._queue}

    def finish(self, now: float) -> list[Request]:
        """The step is over: tokens are computed, some emitted; returns the requests that ended with it."""
        ended: list[Request] = []
        size, kv, views = self.caps.block_size, self.kv, self._views
        for request, tokens in self._batch:
            if self._dropped and request.id in self._dropped:
                continue
            computed = request.computed = request.computed + tokens
            holding = request.holding
            if holding.runs and holding.publishing and computed // size > holding.tree:
                kv.publish(holding, computed // size)
            if computed == request.known:
                if request.emitted:
                    gap = now - request.last
                    if gap > request.gap:
                        request.gap = gap
                    if request.gaps is not None:
                        request.gaps.append(gap)
                else:
                    request.first = now
                if now > request.due:
                    request.late += 1
                request.last = now
                request.known += 1
                request.emitted += 1
                request.due += request.tpot_slo or 0.0
                if request.emitted == request.until:
                    ended.append(request)
                    continue
            views[request.id] = RequestView(
                request.id,
                request.arrival,
                request.known,
                computed,
                request.emitted,
                holding.tree + holding.private,
                holding.shared,
                0,
                request.ttft_slo,
                request.tpot_slo,
                request.first,
                request.prompt + request.until,
            )
        self._batch.clear()
        self._dropped.clear()
        if self._learns and isinstance(self.policy, LearningPolicy):
            self.policy = self.policy.learn(self._measured)
        for request in ended:
            del self._running[request.id], views[request.id]
            if request.moves:
                self._pinned[request.id] = request.holding
            else:
                kv.release(request.holding)
        return ended
