"""Where turns go: asks the placement policy, keeps what it decided (bindings, reservations), holds turns in line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from mtpo.schedulers.simulator.kv import Runs, runs_of
from mtpo.schedulers.simulator.worker import Request, SimulationError, Worker, policy_failed
from mtpo.schedulers.traces.workload import Conversation
from mtpo.schedulers.types import (
    PlacementDecision,
    PlacementObservation,
    PlacementPolicy,
    WorkerView,
    is_oracle,
)


@attrs.define(eq=False)
class Talk:
    """A conversation under way. ``turn`` counts from 0; ``asked`` when that turn was asked for, ``reached`` when it
    reached a worker; ``transfers`` of KV cache so far; ``request`` its present turn on ``prefiller``, then on
    ``decoder``; ``left`` when it was prefilled there, ``held`` seconds for which it then waited for a decoder."""

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
    reserved: int = 0
    reserved_on: int | None = None

    @property
    def prefilled(self) -> bool:
        """Whether the prompt of its present turn is computed, elsewhere than where it decodes."""
        return self.request is not None and self.request.emitted > 0


@attrs.define(eq=False)
class Site:
    """A worker of a cluster: what it is there for, and the tokens that are promised on it."""

    worker: Worker
    prefills: bool = True
    decodes: bool = True
    held: int = 0


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
        self.shed = 0
        self._slos = ttft_slo, tpot_slo
        self._oracle = is_oracle(policy)
        self._retry = retry
        self._lines: dict[bool, dict[Talk, bool]] = {False: {}, True: {}}
        """Turns that are held, by whether they are prefilled: longest first, and whether each waits for a timer."""

    @property
    def holding(self) -> int:
        """Turns that are held."""
        return sum(map(len, self._lines.values()))

    def ask(self, talk: Talk, now: float) -> PlacementDecision | None:
        """Where a turn goes now, None when it is held. What was decided is done when this returns, but for the work
        itself. Raises :class:`SimulationError` for a decision that can't be carried out."""
        line = self._lines[talk.prefilled]
        ahead = next(at for at, other in enumerate(line) if other is talk) if talk in line else len(line)
        seen = self._observe(talk, now, ahead)
        try:
            decision = self.policy.decide(seen)
        except Exception as error:
            raise policy_failed(self.policy, error) from error
        held = decision.decode is None if talk.prefilled else decision.prefill is None
        if held and not decision.shed:
            line[talk] = decision.retry is not None
            if decision.retry is not None:
                self._retry(decision.retry, talk)
            return None
        line.pop(talk, None)
        if decision.shed:
            self.shed += 1
            return decision
        self._check(talk, decision)
        if decision.decode is not None:
            self._reserve(talk, decision.reserve, decision.decode)
            talk.decoder = decision.decode
            if decision.bind:
                talk.bound = decision.decode
        if not talk.prefilled:
            talk.prefiller = decision.prefill
        return decision

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
        return PlacementObservation(
            now,
            conversation.name,
            talk.turn + 1,
            turn.prompt,
            tuple(self._view(site, runs, turn.prompt) for site in self.sites),
            turn.output,
            talk.prefilled,
            talk.prefiller if talk.prefilled else None,
            talk.bound,
            talk.reserved,
            conversation.peak if self._oracle else None,
            ahead,
            *self._slos,
            talk.asked,
        )

    def _view(self, site: Site, runs: Runs, prompt: int) -> WorkerView:
        worker = site.worker
        size = worker.caps.block_size
        found = worker.prefix(runs, prompt) * size if runs else 0
        running, waiting = worker.views()
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
