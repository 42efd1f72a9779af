"""The simulation: workers, agents, admission and placement, in virtual time.

Events are step ends, transfers, arrivals, tools that end, and the ticks of the admission policy; those of one instant
are all seen to before any worker begins its next step. The same workload, setup and seed give the same result. ::

    arrival or tool end ─▶ gate (admission) ─▶ router (placement) ─▶ worker: prefill ─▶ [transfer ─▶ worker:] decode
            ▲                                                                                    │
            └──────────────────────────── tools, while there are turns left ─────────────────────┘
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs

from mtpo.schedulers.admission.caps import NoLimit
from mtpo.schedulers.admission.gate import Gate
from mtpo.schedulers.placement.simple import OneWorker
from mtpo.schedulers.simulator.clock import horizon, last_before
from mtpo.schedulers.simulator.energy import Load
from mtpo.schedulers.simulator.kv import Runs
from mtpo.schedulers.simulator.loss import Loss, lose
from mtpo.schedulers.simulator.metrics import Meter, TurnRecord, Window, step_times, windows
from mtpo.schedulers.simulator.request import Request, brought, request_of, sequence
from mtpo.schedulers.simulator.router import Router, Site, Talk
from mtpo.schedulers.simulator.steptime import Hardware
from mtpo.schedulers.simulator.worker import (
    Caps,
    SimulationError,
    StuckError,
    Worker,
    policy_failed,
)
from mtpo.schedulers.traces.workload import Workload, counted, moment
from mtpo.schedulers.types import (
    AdmissionDecision,
    AdmissionObservation,
    AdmissionPolicy,
    PlacementDecision,
    PlacementPolicy,
    StepPolicy,
    reads_clock,
)

Progress = Callable[[int, int, float], None]
"""Called now and then with turns that ended, turns in all, and the virtual time."""


@attrs.frozen
class WorkerSetup:
    """One worker: what it is, what it is there for, its caps."""

    hardware: Hardware
    caps: Caps
    prefills: bool = True
    decodes: bool = True


@attrs.frozen
class Setup:
    """A cluster under three policies. ``ttft_slo`` and ``tpot_slo`` in seconds, None where there is no objective;
    ``window``: the width in seconds of the windows that usage is reported in; ``gaps``: whether all times between two
    tokens are kept; ``losses``: workers that are lost on the way."""

    step: StepPolicy
    workers: tuple[WorkerSetup, ...] = attrs.field(validator=attrs.validators.min_len(1))
    admission: AdmissionPolicy = attrs.field(factory=NoLimit)
    placement: PlacementPolicy = attrs.field(factory=OneWorker)
    ttft_slo: float | None = 1.0
    tpot_slo: float | None = 0.05
    window: float = 10.0
    gaps: bool = False
    losses: tuple[Loss, ...] = ()


@attrs.frozen
class Outcome:
    """What a simulation gave.

    ``turns`` in the order in which they ended; ``shed`` turns were refused, and with them ``lost`` more of their
    conversations never asked for. ``windows`` of ``window`` seconds. ``end`` in seconds; ``busy`` seconds, ``steps``,
    ``tokens`` computed, ``joules`` of all workers; ``prompt`` tokens looked up in the caches and ``hits`` found;
    ``peak``: the largest share of a worker's KV cache that was held. ``evicted`` blocks. ``transfers`` of KV cache,
    the tokens ``moved`` by them, and the most of one conversation. ``loads``: what each worker did. ``step_times``: see
    :func:`~mtpo.schedulers.simulator.metrics.step_times`. ``replaced``: turns that lost what they had with a worker and
    were asked about again; ``abandoned``: conversations given up because they were placed on a lost worker; their turns
    are among ``shed`` and ``lost``.
    """

    turns: tuple[TurnRecord, ...]
    windows: tuple[Window, ...]
    window: float
    shed: int
    lost: int
    end: float
    busy: float
    steps: int
    tokens: int
    joules: float
    prompt: int
    hits: int
    peak: float
    preemptions: int
    evicted: int
    transfers: int
    moved: int
    most_transfers: int
    loads: tuple[Load, ...]
    step_times: tuple[tuple[float, int], ...] = ()
    replaced: int = 0
    abandoned: int = 0


def simulate(workload: Workload, setup: Setup, progress: Progress | None = None) -> Outcome:
    """Run a workload to its end. Raises :class:`SimulationError`."""
    return Simulation(workload, setup, progress).run()


_STEP, _LAND, _FETCHED, _READY, _RETRY, _TICK, _LOSS = range(7)
_VAIN: Final = (_RETRY, _TICK)
"""What happens without anything having changed."""
_PATIENCE: Final = 10_000
"""Ticks, or times that a turn is asked about again in vain, without anything else, now or to come, before a simulation
is given up."""


class Simulation:
    """One run: :meth:`run` once, to the end."""

    def __init__(self, workload: Workload, setup: Setup, progress: Progress | None = None) -> None:
        self.setup, self.progress = setup, progress
        self.total, self.source = workload.requests, workload.source
        self.talks = [Talk(one) for one in workload.conversations]
        self.sites = [
            Site(Worker(id, one.hardware, setup.step, one.caps, Meter(setup.window)), one.prefills, one.decodes)
            for id, one in enumerate(setup.workers)
        ]
        if len({one.caps.block_size for one in setup.workers}) > 1:
            raise SimulationError("the workers of a cluster need blocks of one size")
        self.agents = 0 if workload.timed else len(self.talks)
        self.router = Router(setup.placement, self.sites, setup.ttft_slo, setup.tpot_slo, self._retry_later)
        self.gate: Gate[Talk] = Gate()
        self.window: float | None = None
        self._asked: tuple[AdmissionObservation, AdmissionDecision] | None = None
        """What the admission policy was last shown, its time aside, and decided."""
        self.now = 0.0
        quickest = min(one.hardware.step.shortest for one in setup.workers)
        self.horizon = horizon(quickest, setup.window)
        self.order = itertools.count()
        self.events: list[tuple[float, int, int, Talk | Worker | None]] = [
            (talk.conversation.arrival, _READY, next(self.order), talk) for talk in self.talks
        ]
        for loss in setup.losses:
            if loss.worker >= len(self.sites):
                raise SimulationError(f"worker {loss.worker} can't be lost: there are {len(self.sites)}, from 0 on")
            self.events.append((loss.at, _LOSS, next(self.order), self.sites[loss.worker].worker))
        heapq.heapify(self.events)
        self.void: set[int] = set()
        """Events that will not happen: transfers from or to a worker that was lost."""
        self.ids = itertools.count()
        self.by_request: dict[int, Talk] = {}
        self.turns: list[TurnRecord] = []
        self.left = len(self.talks)
        self.lost = self.preemptions = self.transfers = self.moved = self.looked_up = self.found = 0
        self.touched = False
        self.visits: set[int] = set()
        """Requests whose history was brought to where they are prefilled."""

    # -- the loop ----------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """See :func:`simulate`."""
        self._tick()
        workers = [site.worker for site in self.sites]
        events, told, vain = self.events, 0, 0
        while self.left:
            if not events or (vain > _PATIENCE and self._in_vain(vain)):
                raise self._stuck()
            self.now = events[0][0]
            if self.now > self.horizon:
                raise self._too_late()
            while events and events[0][0] == self.now:
                _, kind, order, what = heapq.heappop(events)
                vain = vain + 1 if kind in _VAIN else 0
                if not self.void or order not in self.void:
                    self._handle(kind, what)
            if self.touched and self.router.holding:
                for talk, decision in self.router.again(self.now):
                    self._placed(talk, decision)
            self.touched = False
            if self.router.holding and self.gate.waiting and self.gate.unlocks:
                for talk in self.gate.line:
                    if talk.reserved_on is not None:
                        self._submit(self.gate.pass_by(talk))
            idle = [one for one in workers if one.busy and not one.stepping and self.sites[one.id].lost is None]
            for worker in idle:
                # The last to begin may go on until something else happens: all others' steps are among the events.
                alone = worker is idle[-1] and not self.router.holding
                until = (events[0][0] if events else math.inf) if alone else self.now
                if (end := worker.begin(self.now, until)) is not None:
                    heapq.heappush(events, (end, _STEP, next(self.order), worker))
            if self.progress is not None and len(self.turns) >= told + 100:
                told = len(self.turns)
                self.progress(told, self.total, self.now)
        return self._outcome(workers)

    def _handle(self, kind: int, what: Talk | Worker | None) -> None:
        if kind == _LOSS:
            assert isinstance(what, Worker)
            self._lose(what)
        elif isinstance(what, Worker):
            if self.sites[what.id].lost is not None:
                return
            self.touched = True
            for request in what.finish(self.now):
                self._left_worker(self.by_request[request.id], request, what)
        elif kind == _READY:
            assert what is not None
            what.asked = self.now
            self._submit(self.gate.ready(what))
        elif kind == _LAND:
            assert what is not None
            self._landed(what)
        elif kind == _FETCHED:
            assert what is not None
            self._fetched(what)
        elif kind == _RETRY:
            assert what is not None
            if self.router.waits(what):
                self._place(what)
        else:
            self._tick()

    def _too_late(self) -> SimulationError:
        _, kind, _, what = self.events[0]
        where = f"{self._where(what)}: " if kind == _READY and isinstance(what, Talk) else ""
        return SimulationError(
            f"{where}at {self.now:g} s the steps of these workers are lost in the rounding of the time, as they are "
            f"after {self.horizon:g} s; {counted(self.left, 'conversation')} left: they have to come earlier "
            "(a higher rate, shorter tools)"
        )

    def _later(self, seconds: float, kind: int, what: Talk | None) -> int:
        order = next(self.order)
        heapq.heappush(self.events, (self.now + seconds, kind, order, what))
        return order

    def _lose(self, worker: Worker) -> None:
        """A worker is gone; whoever had something there is placed again."""
        self.touched = True

        def under_way(talk: Talk) -> bool:
            return talk.turn < len(talk.conversation.turns)

        for talk in lose(worker.id, self.now, self.sites, self.talks, self.router, self.void, under_way):
            if talk.request is not None:
                self.visits.discard(talk.request.id)
            self._place(talk)

    def _retry_later(self, seconds: float, talk: Talk) -> None:
        if not self.now + seconds > self.now:
            policy = type(self.setup.placement).__name__
            raise SimulationError(
                f"policy {policy} wants to be asked again {seconds:g} s after {self.now:g} s: at once"
            )
        self._later(seconds, _RETRY, talk)

    def _in_vain(self, vain: int) -> bool:
        """Whether nothing else is to come that may free somebody: after a tick there is one more, and after a turn was
        asked about in vain it is again."""
        return vain > _PATIENCE * len(self.events) and all(one[1] in _VAIN for one in self.events)

    def _stuck(self) -> SimulationError:
        why = [f"{counted(self.left, 'conversation')} left"]
        placement, admission = type(self.setup.placement).__name__, type(self.setup.admission).__name__
        first = self.router.first
        if first is not None:
            talk, turn = first, first.conversation.turns[first.turn]
            free = ", ".join(
                f"{site.worker.kv.available * site.worker.caps.block_size:,} on worker {site.worker.id}"
                for site in self.sites
                if site.decodes and site.lost is None
            )
            why.append(
                f"placement {placement} holds {counted(self.router.holding, 'turn')}, first turn {talk.turn + 1} of "
                f"conversation {talk.conversation.name}, which needs {turn.prompt + turn.output:,} tokens of KV cache "
                f"(free: {free or 'none'})"
            )
        if self.gate.waiting:
            why.append(f"{counted(self.gate.waiting, 'agent')} waiting for admission by {admission}")
        return StuckError(f"nothing can go on at {moment(self.now)}: {'; '.join(why)}")

    # -- admission ---------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Ask the admission policy, and again after its interval."""
        meters = [site.worker.meter for site in self.sites]
        prompt, found = sum(meter.prompt for meter in meters), sum(meter.hits for meter in meters)
        looked_up, hits = prompt - self.looked_up, found - self.found
        self.looked_up, self.found = prompt, found
        caches = [site.worker.kv for site in self.sites if site.lost is None] or [self.sites[0].worker.kv]
        observation = AdmissionObservation(
            self.now,
            self.gate.active,
            self.gate.waiting,
            sum(kv.used for kv in caches) / sum(kv.total for kv in caches),
            hits / looked_up if looked_up else None,
            self.window,
            self.gate.requests,
            self.agents,
        )
        try:
            decision = self.setup.admission.decide(observation)
        except Exception as error:
            raise policy_failed(self.setup.admission, error) from error
        self.window = decision.window
        self._submit(self.gate.obey(decision))
        interval = self.setup.admission.interval
        if interval is None:
            return
        if not self.now + interval > self.now:
            policy = type(self.setup.admission).__name__
            raise SimulationError(f"policy {policy} decides every {interval:g} s, which is no time at {self.now:g} s")
        seen, after = (attrs.evolve(observation, now=0.0), decision), self.now + interval
        if seen == self._asked and not reads_clock(self.setup.admission) and self._idle():
            # Nothing has changed since the last tick, and nothing will until something else happens.
            after = last_before(after, interval, self.events[0][0])
        self._asked = seen
        heapq.heappush(self.events, (after, _TICK, next(self.order), None))

    def _idle(self) -> bool:
        """Whether something is to come, and until then no worker has anything to begin."""
        return bool(self.events) and not any(
            one.worker.busy and not one.worker.stepping for one in self.sites if one.lost is None
        )

    def _submit(self, talks: Iterable[Talk]) -> None:
        for talk in talks:
            self._place(talk)

    # -- a turn ------------------------------------------------------------------------------------------------

    def _place(self, talk: Talk) -> None:
        decision = self.router.ask(talk, self.now)
        if decision is not None:
            self._placed(talk, decision)

    def _placed(self, talk: Talk, decision: PlacementDecision) -> None:
        if decision.shed:
            self._shed(talk)
        elif talk.prefilled:
            self._transfer(talk)
        else:
            turn = talk.conversation.turns[talk.turn]
            worker = self.sites[talk.prefiller or 0].worker
            slos = self.setup.ttft_slo, self.setup.tpot_slo
            request = talk.request
            if request is None:
                request = request_of(next(self.ids), turn, talk.asked, *slos, worker.caps.block_size)
                request.gaps = [] if self.setup.gaps else None
                talk.request, talk.reached, talk.held = request, self.now, 0.0
                self.by_request[request.id] = talk
            request.moves = talk.decoder != talk.prefiller
            request.until = request.emitted + 1 if request.moves else request.output
            if not (decision.fetch and self._fetch(talk, request, worker)):
                self._queue(talk, request, worker)

    def _queue(self, talk: Talk, request: Request, worker: Worker) -> None:
        try:
            worker.submit(request)
        except SimulationError as error:
            raise SimulationError(f"{self._where(talk)}: {error}") from None

    def _where(self, talk: Talk) -> str:
        """The present turn of a conversation, by file and line if it was read from one."""
        line = talk.conversation.turns[talk.turn].line
        named = f"conversation {talk.conversation.name}, turn {talk.turn + 1}"
        return f"{self.source}:{line}: {named}" if line else named

    def _fetch(self, talk: Talk, request: Request, worker: Worker) -> bool:
        """Bring what the worker has of a prompt that the conversation was bound to; whether there is anything to bring.
        If it is bound elsewhere from now on, nothing of it stays where it was."""
        if talk.source is None or talk.source == worker.id or self.sites[talk.source].lost is not None:
            return False
        source, leaves = self.sites[talk.source].worker, talk.source != talk.bound
        blocks = source.prefix(request.holding.runs, request.prompt)
        tokens = worker.receive(request, blocks)
        if tokens:
            if leaves:
                source.send(request, blocks)
            self._moves(talk, tokens, worker, _FETCHED)
        elif leaves:
            source.forget(request, self._past(talk))
        return tokens > 0

    def _past(self, talk: Talk) -> list[Runs]:
        """What the turns of a conversation may have left where it was bound, which it leaves now."""
        ids = talk.past
        turns = talk.conversation.turns[talk.turn - len(ids) : talk.turn]
        found = [sequence(id, turn, self.setup.workers[0].caps.block_size) for id, turn in zip(ids, turns, strict=True)]
        ids.clear()
        return found

    def _fetched(self, talk: Talk) -> None:
        self.touched = True
        request, worker = talk.request, self.sites[talk.prefiller or 0].worker
        assert request is not None
        talk.moving = -1
        if talk.source is not None and talk.source != talk.bound:
            self.sites[talk.source].worker.sent(request, self._past(talk))
        worker.received(request)
        self.visits.add(request.id)
        self._queue(talk, request, worker)

    def _moves(self, talk: Talk, tokens: int, to: Worker, then: int) -> None:
        talk.transfers += 1
        self.transfers += 1
        self.moved += tokens
        talk.moving = self._later(to.hardware.transfer.seconds(tokens), then, talk)

    def _left_worker(self, talk: Talk, request: Request, worker: Worker) -> None:
        """A request has emitted what it was to emit here."""
        if request.id in self.visits:
            self.visits.remove(request.id)
            worker.unpin(brought(request.id))
        talk.anew = False
        if worker.id == talk.decoder:
            self._turn_ended(talk)
            return
        talk.left = self.now
        if talk.decoder is None:
            self._place(talk)
        else:
            self._transfer(talk)

    def _transfer(self, talk: Talk) -> None:
        """Move the KV cache of a turn that was prefilled to where it decodes."""
        request, decoder = talk.request, self.sites[talk.decoder or 0].worker
        assert request is not None and talk.prefiller is not None
        talk.held = self.now - talk.left
        request.until, request.moves = request.output, False
        if decoder.id == talk.prefiller:
            self._landed(talk)
            return
        tokens = decoder.expect(request)
        if tokens is None:
            self._landed(talk)
            return
        self._moves(talk, tokens, decoder, _LAND)

    def _landed(self, talk: Talk) -> None:
        self.touched = True
        request, decoder = talk.request, self.sites[talk.decoder or 0].worker
        assert request is not None and talk.prefiller is not None
        talk.moving = -1
        if decoder.id != talk.prefiller:
            self.sites[talk.prefiller].worker.unpin(request.id)
        decoder.land(request)
        if request.emitted == request.output:
            self._turn_ended(talk)

    def _turn_ended(self, talk: Talk) -> None:
        request = talk.request
        assert request is not None and request.first is not None
        self.touched = True
        self.preemptions += request.preempted
        del self.by_request[request.id]
        self.turns.append(
            TurnRecord(
                talk.conversation.name,
                talk.turn + 1,
                talk.asked,
                talk.reached,
                request.first,
                request.last,
                request.prompt,
                request.output,
                request.hits,
                request.gap,
                request.late,
                request.preempted,
                -1 if talk.decoder is None else talk.decoder,
                talk.asked if request.began is None else request.began,
                talk.held,
                tuple(request.gaps or ()),
            )
        )
        self.router.turn_ended(talk)
        talk.past.append(request.id)
        talk.turn += 1
        turns = talk.conversation.turns
        if talk.turn == len(turns):
            self._talk_ended(talk)
        else:
            self._later(turns[talk.turn].gap, _READY, talk)
            self._submit(self.gate.ended(talk))

    def _talk_ended(self, talk: Talk) -> None:
        self.left -= 1
        self.router.ended(talk)
        self._submit(self.gate.done(talk))

    def _shed(self, talk: Talk) -> None:
        """A turn is refused: its conversation is over."""
        self.touched = True
        self.lost += len(talk.conversation.turns) - talk.turn - 1
        if talk.request is not None:
            if talk.prefiller is not None:
                self.sites[talk.prefiller].worker.unpin(talk.request.id)
            del self.by_request[talk.request.id]
        self._talk_ended(talk)
        talk.turn = len(talk.conversation.turns)

    def _outcome(self, workers: Sequence[Worker]) -> Outcome:
        meters = [worker.meter for worker in workers]
        end = self.now
        return Outcome(
            tuple(self.turns),
            windows(meters),
            self.setup.window,
            self.router.shed,
            self.lost,
            end,
            sum(meter.busy for meter in meters),
            sum(worker.steps for worker in workers),
            sum(meter.tokens for meter in meters),
            sum(
                site.worker.hardware.power.joules(site.worker.meter.busy, end if site.lost is None else site.lost)
                for site in self.sites
            ),
            sum(meter.prompt for meter in meters),
            sum(meter.hits for meter in meters),
            max(meter.peak for meter in meters),
            self.preemptions,
            sum(worker.kv.evicted for worker in workers),
            self.transfers,
            self.moved,
            max((talk.transfers for talk in self.talks), default=0),
            tuple(Load(meter.busy, meter.arithmetic) for meter in meters),
            step_times(meters),
            sum(talk.replaced for talk in self.talks),
            self.router.abandoned,
        )
