"""One simulated worker: a queue, a KV cache, and steps under a policy; in virtual time.

A request has no prefill or decode phase: it has tokens, of which some are computed, and catches up, as in the engine
(:mod:`mtpo.engine.engine`). The policy sees the same records here as there. They are kept up to date rather than built
anew: a record changes when its request was in a step, or when the cache says that what it shares has changed.

Where the policy makes promises (:mod:`mtpo.schedulers.step.promise`) the decodes are counted, in a
:class:`~mtpo.schedulers.simulator.lockstep.Lockstep`, and the policy is shown a digest; and where nothing else happens
before a step ends, the next one begins at once. What comes of it is the same, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

import attrs

from mtpo.schedulers.simulator.kv import Holding, KVError, PrefixCache, Runs
from mtpo.schedulers.simulator.lockstep import Lockstep
from mtpo.schedulers.simulator.metrics import Meter
from mtpo.schedulers.simulator.request import Request, brought
from mtpo.schedulers.simulator.steptime import Hardware
from mtpo.schedulers.step.promise import Digest, Promise, PromisingPolicy
from mtpo.schedulers.types import (
    LearningPolicy,
    RequestView,
    StepMeasured,
    StepObservation,
    StepPolicy,
    Work,
)

_PATIENCE: Final = 32
"""Steps after which a policy that promised nothing is asked for a promise again, at most."""


_SPARE: Final = 0.5
"""The share of a cache that has to stay available beside what is brought for requests that wait: they hold it as long
as they wait, and two that each lack a block more than is left would wait for each other for ever."""


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
        self._promises = isinstance(policy, PromisingPolicy)
        self._prefills: dict[int, Request] = {}
        """Those that run and do not decode, in order of admission."""
        self._seats = 0
        self._lock = Lockstep(caps.block_size)
        self._counting = self._together = False
        """Whether the decodes are counted; whether the step under way is one of all of them, and what is in _batch."""
        self._told: tuple[int, bool] | None = None
        """The step of the lockstep that its members' records are of, None where they are older."""
        self._landed: list[Request] = []
        """Those that decode here since the step under way began."""
        self._steady: int | None = 0
        """For how many steps more the last promise stands, None for any number."""
        self._ordered = True
        self._pause, self._paused, self._quiet = 0, [1, 1], False

    @property
    def busy(self) -> bool:
        """Whether it has anything to do."""
        return bool(self._running or self._waiting)

    @property
    def stepping(self) -> bool:
        """Whether a step is under way."""
        return self._together or bool(self._batch)

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
        self._line, self._steady = None, 0

    # -- transfers ---------------------------------------------------------------------------------------------

    def unpin(self, id: int) -> None:
        """Give up the blocks of a request that left, now that its KV cache has been moved."""
        self.kv.release(self._pinned.pop(id))
        self._steady = 0

    def has(self, request: Request) -> bool:
        """Whether a request, or some of its KV cache, is here."""
        return any(request.id in one for one in (self._running, self._waiting, self._pinned)) or (
            brought(request.id) in self._pinned
        )

    def stop(self) -> None:
        """It is lost: how far its requests are is told by them from now on."""
        self._uncount()

    def drop(self, request: Request) -> None:
        """Forget a request, and all that is here of it; a step that computes some of it goes on without it."""
        for id in (request.id, brought(request.id)):
            if id in self._pinned:
                self.unpin(id)
        if request.id in self._running:
            self._uncount()
            del self._running[request.id], self._views[request.id]
            self._prefills.pop(request.id, None)
            self.kv.release(request.holding)
            self._dropped.update(one.id for one, _ in self._batch if one is request)
        elif request.id in self._waiting:
            self.kv.unwatch(request.holding)
            del self._waiting[request.id], self._queue[request.id]
            self._line, self._steady = None, 0

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
        if lacking <= 0 or self.kv.available - lacking - holding.cached < int(self.kv.total * _SPARE):
            self.kv.unwatch(holding)
            return 0
        self.kv.admit(holding)
        self.kv.allocate(holding, lacking)
        self._pinned[holding.id] = holding
        return lacking * self.caps.block_size

    def send(self, request: Request, blocks: int) -> None:
        """Keep blocks at the beginning of a request, which are here, until they have been moved (:meth:`sent`)."""
        holding = Holding(brought(request.id), request.holding.runs, blocks)
        self.kv.admit(holding)
        self._pinned[holding.id] = holding
        self._steady = 0

    def sent(self, request: Request, past: Iterable[Runs]) -> None:
        """What :meth:`send` kept is elsewhere now: see :meth:`forget`."""
        self.unpin(brought(request.id))
        self.forget(request, past)

    def forget(self, request: Request, past: Iterable[Runs]) -> None:
        """A conversation has left: nothing of its sequences, ``past`` and present, stays in the cache but what those of
        others begin with too."""
        for runs in (*past, request.holding.runs):
            self.kv.forget(runs)
        self._steady = 0

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
            self._seat(request)
            if self._counting and request.decoding:
                self._landed.append(request)
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

    def views(self) -> tuple[tuple[RequestView, ...], tuple[RequestView, ...]]:
        """The requests that run, and those that wait."""
        line = self._lined()
        if self._counting and self._told != (self._lock.clock, self._together):
            self._tell()
        return tuple(self._views.values()), line

    def _lined(self) -> tuple[RequestView, ...]:
        """Those that wait; and what the cache says has changed is seen to."""
        if self.kv.changed:
            counted = self._lock.members
            for holding in list(self.kv.changed):
                if holding.id in self._waiting:
                    self.kv.watch(holding)
                    self._queue[holding.id] = self._view_waiting(self._waiting[holding.id])
                    self._line = None
                elif holding.id in counted:
                    self._told = None
                elif holding.id in self._running:
                    self._views[holding.id] = self._running[holding.id].view()
            self.kv.changed.clear()
        if self._line is None:
            self._line = tuple(self._queue.values())
        return self._line

    def _tell(self) -> None:
        """Bring the records of the decodes that are counted up to date."""
        lock, together, views = self._lock, self._together, self._views
        for request in lock.members.values():
            lock.settle(request, together)
            views[request.id] = request.view()
        self._told = lock.clock, together

    def _count(self) -> None:
        """Count decodes from now on."""
        self._counting, self._told = True, None
        for request in self._running.values():
            if request.id not in self._prefills:
                self._lock.join(request)

    def _uncount(self) -> None:
        """Go through decodes one by one from now on, in the step that is under way too."""
        if not self._counting:
            return
        self._tell()
        if self._together:
            members = self._lock.members
            self._batch[:0] = [(one, 1) for one in self._running.values() if one.id in members]
        self._lock.clear()
        self._landed.clear()
        self._counting = self._together = False

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

    def begin(self, now: float, until: float = 0.0) -> float | None:
        """Start a step; returns when it ends, None when there is nothing to do, or no room to do it in until a transfer
        ends. Steps that end before ``until``, and with which no request ends, are followed by the next one at once:
        nothing else may happen before that time.

        Raises :class:`SimulationError` for a decision that can't be carried out.
        """
        while self._running or self._waiting:
            end = self._by_promise(now) if self._promises and self._foreseen() else None
            if end is None:
                end = self._by_decision(now)
            if end is None or end >= until or self._ends():
                return end
            self.finish(end)
            now = end
        return None

    def _ends(self) -> bool:
        """Whether a request may end with the step under way."""
        if self._together and self._lock.clock + 1 in self._lock.ending:
            return True
        return any(request.emitted + 1 >= request.until for request, _ in self._batch)

    def _by_decision(self, now: float) -> float | None:
        """A step that the policy decides on having seen everything."""
        self._uncount()
        while True:
            seen = self.observe(now)
            try:
                decision = self.policy.decide(seen)
            except Exception as error:
                raise policy_failed(self.policy, error) from error
            if self._pinned and not decision.work and not decision.preempt:
                return None
            self._check(decision.work, decision.preempt)
            for id in decision.preempt:
                self._preempt(id)
            if decision.work:
                return self._carry_out(now, decision.work, 0, 0)

    def _foreseen(self) -> bool:
        """Whether to ask the policy for a promise: seldom, where it gave none."""
        if self._counting:
            return True
        quiet = not (self._waiting or self._prefills)
        if quiet != self._quiet:
            self._quiet, self._pause = quiet, 0 if quiet else self._paused[False] - 1
        if self._pause:
            self._pause -= 1
            return False
        return True

    def _by_promise(self, now: float) -> float | None:
        """A step of all decodes, as the policy promises; None where it does not."""
        if not self._counting:
            self._count()
        lock, kv = self._lock, self.kv
        for request in self._landed:
            lock.join(request)
        self._landed.clear()
        count, need = len(lock.members), lock.lacking
        work: tuple[Work, ...] = ()
        if self._steady == 0 or kv.changed or need > kv.available:
            promise = self._ask(now, count, need)
            if promise is None:
                return None
            self._ordered, self._steady, work = promise.ordered, 0 if promise.work else promise.steps, promise.work
        elif self._steady is not None:
            self._steady -= 1
        if not self._ordered and (len(lock.ending.get(lock.clock + 1, ())) > 1 or lock.collide()):
            # Who comes first in the batch counts, and only the policy knows.
            return None
        return self._carry_out(now, work, count, need)

    def _ask(self, now: float, count: int, need: int) -> Promise | None:
        lock, kv, caps, prefills, views = self._lock, self.kv, self.caps, self._prefills, self._views
        line = self._lined()
        digest = Digest(
            now,
            count,
            lock.context + count,
            need,
            lock.tpots,
            [views[id] for id in prefills] if prefills else (),
            not prefills or next(iter(prefills.values())).seat > lock.last_seat,
            line,
            kv.available,
            caps.block_size,
            caps.max_tokens,
            caps.max_requests,
        )
        try:
            promise = cast(PromisingPolicy, self.policy).promise(digest)
        except Exception as error:
            raise policy_failed(self.policy, error) from error
        quiet = not (line or prefills)
        if promise is None or not (count or promise.work):
            self._quiet, self._paused[quiet] = quiet, min(2 * self._paused[quiet], _PATIENCE)
            self._pause = self._paused[quiet] - 1
            return None
        self._paused[quiet] = 1
        if promise.work:
            self._check(promise.work, (), count)
        return promise

    def _carry_out(self, now: float, work: tuple[Work, ...], count: int, need: int) -> float:
        """A batch of ``count`` decodes that are counted, which take ``need`` blocks, and of work; when it ends."""
        self._began = now
        size, kv, running = self.caps.block_size, self.kv, self._running
        # Every prefix is taken before any block is allocated, since an allocation may evict.
        for one in work:
            if one.id in self._waiting:
                self._admit(one.id)
        new, context, pairs = count, 0, 0.0
        batch = self._batch
        try:
            if count:
                self._together, context = True, self._lock.context + count
                if need:
                    kv.take(need)
                    self._lock.allocated()
            for one in work:
                request, tokens = running[one.id], one.tokens
                before, holding = request.computed, request.holding
                after = before + tokens
                lacking = -(-after // size) - holding.tree - holding.private
                if lacking > 0:
                    kv.allocate(holding, lacking)
                new += tokens
                context += after
                if tokens > 1:
                    pairs += (tokens - 1) * (before + tokens / 2)
                batch.append((request, tokens))
        except KVError as error:
            raise SimulationError(f"policy {type(self.policy).__name__} overbooked: {error}") from None
        self.steps += 1
        step = self.hardware.step
        seconds = step.seconds(new, context, pairs, count + len(work))
        if self._learns:
            self._measured = StepMeasured(new, context, seconds)
        usage = kv.used / kv.total
        self.meter.step(now, seconds, usage, len(running), len(self._waiting), new, step.arithmetic(new, pairs))
        return now + seconds

    def _check(self, work: tuple[Work, ...], preempt: tuple[int, ...], decodes: int = 0) -> None:
        """That a decision names requests under way, each once, with work that they have, within the caps; ``decodes``
        beside them are counted."""
        if not work and not preempt:
            raise self._wrong(f"nothing though {len(self._running)} requests run and {len(self._waiting)} wait")
        seen = {one.id for one in work}
        total = decodes
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
        if len(seen) < len(work) or (decodes and not seen.isdisjoint(self._lock.members)):
            raise self._wrong("a request twice")
        if total > self.caps.max_tokens or decodes + len(work) > self.caps.max_requests:
            caps = f"{self.caps.max_tokens} and {self.caps.max_requests}"
            raise self._wrong(f"{total} tokens of {decodes + len(work)} requests; the caps are {caps}")
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
        self._seat(request)
        found = self.kv.admit(request.holding) * self.caps.block_size
        request.computed = found
        self._prefills[id] = request
        self.meter.looked_up(self._began, request.known, found)
        if request.hits < 0:
            request.hits, request.began = found, self._began

    def _seat(self, request: Request) -> None:
        """A request runs from now on."""
        self._seats += 1
        self._steady, request.seat = 0, self._seats
        self._running[request.id] = request
        self._views[request.id] = request.view()
        if not request.decoding:
            self._prefills[request.id] = request

    def _preempt(self, id: int) -> None:
        """By recomputation: its blocks go, its tokens stay, it waits first in line."""
        request = self._running.pop(id)
        self._prefills.pop(id, None)
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
        size, kv, views, prefills = self.caps.block_size, self.kv, self._views, self._prefills
        if self._together:
            lock = self._lock
            self._together = False
            lock.step(now)
            for request, full in lock.full():
                kv.publish(request.holding, full)
            ended = lock.ended()
        for request, tokens in self._batch:
            if self._dropped and request.id in self._dropped:
                continue
            computed = request.computed = request.computed + tokens
            holding = request.holding
            if holding.runs and holding.publishing and computed // size > holding.tree:
                kv.publish(holding, computed // size)
            if computed == request.known:
                request.emit(now)
                if request.emitted == request.until:
                    ended.append(request)
                    continue
            views[request.id] = request.view()
            if request.id in prefills and request.decoding:
                del prefills[request.id]
                if self._counting:
                    self._lock.join(request)
        self._batch.clear()
        self._dropped.clear()
        if self._learns:
            # Not asked again whether it is one: that takes longer than to learn.
            self.policy = cast(LearningPolicy, self.policy).learn(self._measured)
        if ended:
            self._steady = 0
        for request in ended:
            del self._running[request.id], views[request.id]
            prefills.pop(request.id, None)
            if request.moves:
                self._pinned[request.id] = request.holding
            else:
                kv.release(request.holding)
        return ended
