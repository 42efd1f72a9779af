"""Where turns go: asks the placement policy, keeps what it decided (bindings, reservations), holds turns in line."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import attrs

from mtpo.schedulers.simulator.kv import Runs, runs_of
from mtpo.schedulers.simulator.request import Request
from mtpo.schedulers.simulator.worker import SimulationError, Worker, policy_failed
from mtpo.schedulers.traces.workload import Conversation, moment
from mtpo.schedulers.types import (
    PlacementDecision,
    PlacementObservation,
    PlacementPolicy,
    WorkerView,
    is_oracle,
    sees_requests,
)


@attrs.define(eq=False)
class Talk:
    """A conversation under way. ``turn`` counts from 0; ``asked`` when that turn was asked for, ``reached`` when it
    reached a worker; ``transfers`` of KV cache so far; ``request`` its present turn on ``prefiller``, then on
    ``decoder``; ``left`` when it was prefilled there, ``held`` seconds for which it then waited for a decoder.

    ``source``: the worker that it was bound to when its turn was placed, ``bound`` the one since then; ``past``: the
    requests of its turns there.

    ``rank``: its place in the line for decoders; ``moving``: the event at which a transfer ends, -1 without one;
    ``anew``: its prompt has to be computed again, since a worker was lost; ``replaced``: how often it lost a worker."""

    conversation: Conversation
    turn: int = 0
    asked: float = 0.0
    reached: float = 0.0
    transfers: int = 0
    left: float = 0.0
    held: float = 0.0
    request: Request | None = None
    prefiller: int | None = None
    decoder: int | None = None
    bound: int | None = None
    source: int | None = None
    past: list[int] = attrs.Factory(list)
    reserved: int = 0
    reserved_on: int | None = None
    rank: int | None = None
    moving: int = -1
    anew: bool = False
    replaced: int = 0

    @property
    def prefilled(self) -> bool:
        """Whether the prompt of its present turn is computed, elsewhere than where it decodes."""
        return self.request is not None and self.request.emitted > 0 and not self.anew


@attrs.define(eq=False)
class Site:
    """A worker of a cluster: what it is there for, and the tokens that are promised on it. ``lost``: since when it is
    gone, None while it is there."""

    worker: Worker
    prefills: bool = True
    decodes: bool = True
    held: int = 0
    lost: float | None = None


class Router:
    """``retry`` is called with a delay and a turn that is to be asked about again after it."""

    def __init__(
        self,
        policy: PlacementPolicy,
        sites: Sequence[Site],
        ttft_slo: float | None,
        tpot_slo: float | None,
        retry: Callable[[float, Talk], None],
    ) -> None:
        self.policy, self.sites = policy, sites
        self.shed = self.abandoned = 0
        self._ranks = itertools.count()
        self._slos = ttft_slo, tpot_slo
        self._oracle, self._requests = is_oracle(policy), sees_requests(policy)
        self._retry = retry
        self._lines: dict[bool, dict[Talk, bool]] = {False: {}, True: {}}
        """Turns that are held, by whether they are prefilled: longest first, and whether each waits for a timer."""

    @property
    def holding(self) -> int:
        """Turns that are held."""
        return sum(map(len, self._lines.values()))

    @property
    def first(self) -> Talk | None:
        """The turn that is held for longest, prefilled ones first."""
        return next((talk for prefilled in (True, False) for talk in self._lines[prefilled]), None)

    def ask(self, talk: Talk, now: float) -> PlacementDecision | None:
        """Where a turn goes now, None when it is held. What was decided is done when this returns, but for the work
        itself. Raises :class:`SimulationError` for a decision that can't be carried out."""
        line = self._lines[talk.prefilled]
        if talk.prefilled and talk.rank is None:
            talk.rank = next(self._ranks)
        if talk in line:
            ahead = next(at for at, other in enumerate(line) if other is talk)
        else:
            ahead = self._before(talk) if talk.prefilled else len(line)
        seen = self._observe(talk, now, ahead)
        try:
            decision = self.policy.decide(seen)
        except Exception as error:
            if lost := [site for site in self.sites if site.lost is not None]:
                raise self._lost_too_much(lost, now, error) from error
            raise policy_failed(self.policy, error) from error
        held = decision.decode is None if talk.prefilled else decision.prefill is None
        if held and not decision.shed:
            self._hold(line, talk, decision.retry is not None, ahead)
            if decision.retry is not None:
                self._retry(decision.retry, talk)
            return None
        line.pop(talk, None)
        if not decision.shed and self._gone(talk, decision):
            self.abandoned += 1
            decision = attrs.evolve(decision, shed=True)
        if decision.shed:
            self.shed += 1
            return decision
        self._check(talk, decision)
        if decision.decode is not None:
            if talk.rank is None:
                talk.rank = next(self._ranks)
            self._reserve(talk, decision.reserve, decision.decode)
            talk.decoder, talk.source = decision.decode, talk.bound
            if decision.bind:
                talk.bound = decision.decode
        if not talk.prefilled:
            talk.prefiller = decision.prefill
        return decision

    def _lost_too_much(self, lost: Sequence[Site], now: float, error: Exception) -> SimulationError:
        """What a policy raised when workers were gone."""
        gone = ", ".join(f"worker {site.worker.id} at {site.lost:g} s" for site in lost)
        if len(lost) == len(self.sites):
            name = type(self.policy).__name__
            return SimulationError(
                f"no worker is left at {moment(now)} (lost: {gone}), which the placement {name} can't go on without; "
                "the placement failover could"
            )
        return SimulationError(f"{policy_failed(self.policy, error)} (lost: {gone})")

    def _before(self, talk: Talk) -> int:
        """How many prefilled turns are held whose place is before that of a turn; all where it has none yet."""
        line = self._lines[True]
        return len(line) if talk.rank is None else sum(_rank(other) < talk.rank for other in line)

    def _hold(self, line: dict[Talk, bool], talk: Talk, timed: bool, ahead: int) -> None:
        behind = [] if talk in line else list(line.items())[ahead:]
        line[talk] = timed
        # One that had a place before is back at it.
        for other, its in behind:
            del line[other]
            line[other] = its

    def _gone(self, talk: Talk, decision: PlacementDecision) -> bool:
        """Whether a decision names a worker that was lost."""
        named = (decision.decode, None if talk.prefilled else decision.prefill)
        return any(id is not None and 0 <= id < len(self.sites) and self.sites[id].lost is not None for id in named)

    def forget(self, talk: Talk) -> None:
        """A turn is no longer held: it is to be asked about anew."""
        for line in self._lines.values():
            line.pop(talk, None)

    def release(self, talk: Talk) -> None:
        """What a conversation had reserved is free."""
        self._reserve(talk, 0, None)

    def again(self, now: float) -> list[tuple[Talk, PlacementDecision]]:
        """Something has changed: ask about held turns, longest first, until one is held again."""
        found = []
        for prefilled in (True, False):
            for talk, timed in list(self._lines[prefilled].items()):
                if timed:
                    continue
                decision = self.ask(talk, now)
                if decision is None:
                    break
                found.append((talk, decision))
        return found

    def waits(self, talk: Talk) -> bool:
        """Whether a turn is held."""
        return talk in self._lines[talk.prefilled]

    def turn_ended(self, talk: Talk) -> None:
        """A turn is over: what a conversation that is not bound had reserved is free."""
        if talk.bound is None:
            self._reserve(talk, 0, talk.reserved_on)
            talk.rank = None
        talk.request = talk.prefiller = talk.decoder = None

    def ended(self, talk: Talk) -> None:
        """A conversation is over."""
        self._reserve(talk, 0, talk.reserved_on)
        talk.bound = talk.request = None

    def _reserve(self, talk: Talk, tokens: int, on: int | None) -> None:
        if talk.reserved_on is not None:
            self.sites[talk.reserved_on].held -= talk.reserved
        talk.reserved, talk.reserved_on = tokens, on
        if on is not None:
            self.sites[on].held += tokens

    def _observe(self, talk: Talk, now: float, ahead: int) -> PlacementObservation:
        conversation = talk.conversation
        turn = conversation.turns[talk.turn]
        # Every cache of a cluster has blocks of one size.
        runs = runs_of(turn.content, self.sites[0].worker.caps.block_size) if turn.content else ()
        prompt, output = turn.prompt, turn.output
        if talk.anew and talk.request is not None:
            prompt, output = talk.request.known, output - talk.request.emitted
        return PlacementObservation(
            now,
            conversation.name,
            talk.turn + 1,
            prompt,
            tuple(self._view(site, runs, prompt) for site in self.sites if site.lost is None),
            output,
            talk.prefilled,
            talk.prefiller if talk.prefilled else None,
            talk.bound,
            talk.reserved,
            conversation.peak if self._oracle else None,
            ahead,
            *self._slos,
            talk.asked,
            self._before(talk),
        )

    def _view(self, site: Site, runs: Runs, prompt: int) -> WorkerView:
        worker = site.worker
        size = worker.caps.block_size
        found = worker.prefix(runs, prompt) * size if runs else 0
        running, waiting = worker.views() if self._requests else ((), ())
        return WorkerView(
            worker.id,
            worker.caps.blocks * size,
            worker.kv.available * size,
            site.held,
            site.prefills,
            site.decodes,
            found,
            running,
            waiting,
            worker.caps.max_tokens,
            worker.hardware.step.model,
        )

    def _check(self, talk: Talk, decision: PlacementDecision) -> None:
        for what, id in (("prefill", decision.prefill), ("decode", decision.decode)):
            if id is None or (what == "prefill" and talk.prefilled):
                continue
            name = f"policy {type(self.policy).__name__} placed the {what} of turn {talk.turn + 1}"
            if not 0 <= id < len(self.sites):
                raise SimulationError(f"{name} of conversation {talk.conversation.name} on worker {id}: there is none")
            able = self.sites[id].prefills if what == "prefill" else self.sites[id].decodes
            # A worker that decodes can compute a prompt too: that of a turn whose prefix it has.
            if not able and not (what == "prefill" and self.sites[id].decodes):
                raise SimulationError(
                    f"{name} of conversation {talk.conversation.name} on worker {id}, which does not {what}"
                )


def _rank(talk: Talk) -> int:
    """The place of a turn in the line for decoders, which it has."""
    assert talk.rank is not None
    return talk.rank
