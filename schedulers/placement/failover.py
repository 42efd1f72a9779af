"""Placement of conversations, first come, first served, through the loss of workers (our own; ``spec/failover.py``).

As ConServe (arXiv 2606.01839): the first prompt of a conversation is computed on a prefiller, its KV cache moves once,
to the decoder with the most cache promised to nobody, and later turns run there. Beyond it:

- who waits for a decoder has a place in one line and keeps it; nobody is placed before one that waits ahead;
- a conversation whose worker is lost is treated as a new one, but for its place: its sequence is computed anew and it
  is placed before all that came later;
- at a later turn a conversation may move to a decoder where it has to wait for less (``move``); of the spec all holds
  but ``failover.bound-until-the-end`` and ``failover.moved-once``: a binding then ends with a move, too;
- a first prompt is computed on the decoder itself where that prefills as well, or there is no prefiller, or too long a
  wait for one (``spill``).
"""

from __future__ import annotations

from typing import Final

import attrs

from mtpo.schedulers.placement.choose import emptiest, most_unheld, need_of
from mtpo.schedulers.types import PlacementDecision, PlacementObservation, WorkerView

_SPILL: Final[float | None] = 1.0
_CARRY: Final = 0.05
"""What it takes to bring a token, over what it takes to compute it; 0.03 where a transfer of 100,000 takes 0.1 s."""


@attrs.frozen
class Failover:
    """``spill``: a first prompt is computed where it decodes if the prefiller has more than so many times its tokens to
    compute first, beyond what that decoder has; None: only if there is no prefiller. ``promise``: so many times what a
    decoder's cache holds may be promised; above 1, conversations that wait for their tools may lose their prefixes, and
    the step policy has to keep those that run within the cache. ``move``: a conversation whose turn would have to wait
    for more than so many tokens more than on another decoder moves there for good, with what its own still has of its
    sequence; nobody who waits for a decoder is passed over by that. None: never."""

    spill: float | None = attrs.field(default=_SPILL, validator=attrs.validators.optional(attrs.validators.ge(0.0)))

    promise: float = attrs.field(default=1.0, validator=attrs.validators.ge(1.0))
    move: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(0)))

    def room(self, worker: WorkerView) -> float:
        """Tokens that may still be promised on a worker."""
        return self.promise * worker.capacity - worker.held

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """See :class:`~mtpo.schedulers.types.PlacementPolicy`."""
        if observation.prefilled:
            return self._bind(observation)
        home = next((worker for worker in observation.workers if worker.id == observation.bound), None)
        need = max(observation.reserved, need_of(observation))
        # What was on its way to a decoder that was lost meanwhile has nothing reserved where it is bound.
        if home is not None and (observation.reserved or self._vacant(observation, home, need)):
            to = home.id if self.move is None else self._elsewhere(observation, home, need)
            return PlacementDecision(to, to, bind=True, reserve=need, fetch=to != home.id)
        return self._begin(observation)

    def _vacant(self, observation: PlacementObservation, worker: WorkerView, need: int) -> bool:
        """Whether there is room on a worker, for which nobody waits."""
        return not (observation.line or observation.ahead) and self.room(worker) >= need

    def _elsewhere(self, observation: PlacementObservation, home: WorkerView, need: int) -> int:
        """Where the next turn of a conversation that is bound is to run: mostly where it is bound."""
        assert self.move is not None
        if observation.line or observation.ahead:
            return home.id

        def before(worker: WorkerView) -> float:
            """Tokens to be computed before the turn's first one is there; what has to be brought counts too."""
            lacking = max(0, home.prefix - worker.prefix)
            # What is brought has to leave room for those that run.
            if worker.free_tokens - lacking < worker.capacity / 2:
                lacking = 0
            return worker.backlog + observation.prompt - worker.prefix - lacking + _CARRY * lacking

        others = [w for w in observation.workers if w.decodes and w is not home and self.room(w) >= need]
        best = min(others, key=lambda w: (before(w), w.id), default=home)
        return best.id if before(home) - before(best) > self.move else home.id

    def _begin(self, observation: PlacementObservation) -> PlacementDecision:
        """A conversation that has no decoder, and no KV cache either."""
        need = need_of(observation)
        if all(w.capacity < need for w in observation.workers if w.decodes):
            return PlacementDecision(None, None, shed=True)
        # Nobody who waits for a decoder is passed over.
        local = None if observation.line or observation.ahead else self._local(observation, need)
        if local is not None:
            return PlacementDecision(local, local, bind=True, reserve=need)
        # What is parked on a worker that decodes would take the room that those bound to it need: the line would lock.
        apart = tuple(w for w in observation.workers if w.prefills and not w.decodes)
        return PlacementDecision(emptiest(attrs.evolve(observation, workers=apart)) if apart else None, None)

    def _local(self, observation: PlacementObservation, need: int) -> int | None:
        """The decoder on which the prompt is computed at once, None where a prefiller is to do it."""
        prefillers = [w for w in observation.workers if w.prefills]
        wait = min((w.backlog for w in prefillers), default=None)
        found: list[WorkerView] = []
        for worker in observation.workers:
            if not worker.decodes or self.room(worker) < need:
                continue
            # One that does both saves the transfer, unless another one would begin much earlier.
            both = worker.prefills and wait is not None and worker.backlog <= wait + observation.prompt
            more = None if self.spill is None else worker.backlog + self.spill * (observation.prompt - worker.prefix)
            if wait is None or both or (more is not None and wait > more):
                found.append(worker)
        return most_unheld(found)

    def _bind(self, observation: PlacementObservation) -> PlacementDecision:
        """A decoder for one that is prefilled, chosen and reserved on in one decision; or it is held."""
        need = need_of(observation)
        decoders = [w for w in observation.workers if w.decodes]
        if all(w.capacity < need for w in decoders):
            # It could never be placed, and would hold up all behind it.
            return PlacementDecision(observation.prefiller, None, shed=True)
        chosen = None if observation.line else most_unheld(w for w in decoders if self.room(w) >= need)
        if chosen is None:
            return PlacementDecision(observation.prefiller, None)
        return PlacementDecision(observation.prefiller, chosen, bind=True, reserve=need)
