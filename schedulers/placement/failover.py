"""Placement of conversations, first come, first served, through the loss of workers (our own; ``spec/failover.py``).

As ConServe (arXiv 2606.01839): the first prompt of a conversation is computed on a prefiller, its KV cache moves once,
to the decoder with the most cache promised to nobody, and later turns run there. Beyond it:

- who waits for a decoder has a place in one line and keeps it; nobody is placed before one that waits ahead;
- a conversation whose worker is lost is treated as a new one, but for its place: its sequence is computed anew and it
  is placed before all that came later;
- a first prompt is computed on the decoder itself where that prefills as well, or there is no prefiller, or too long a
  wait for one (``spill``).
"""

from __future__ import annotations

from typing import Final

import attrs

from mtpo.schedulers.placement.choose import emptiest, most_unheld, need_of
from mtpo.schedulers.types import PlacementDecision, PlacementObservation, WorkerView

_SPILL: Final[float | None] = 1.0


@attrs.frozen
class Failover:
    """``spill``: a first prompt is computed where it decodes if the prefiller has more than so many times its tokens to
    compute first, beyond what that decoder has; None: only if there is no prefiller. ``promise``: so many times what a
    decoder's cache holds may be promised; above 1, conversations that wait for their tools may lose their prefixes, and
    the step policy has to keep those that run within the cache."""

    spill: float | None = attrs.field(default=_SPILL, validator=attrs.validators.optional(attrs.validators.ge(0.0)))

    promise: float = attrs.field(default=1.0, validator=attrs.validators.ge(1.0))

    def room(self, worker: WorkerView) -> float:
        """Tokens that may still be promised on a worker."""
        return self.promise * worker.capacity - worker.held

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """See :class:`~mtpo.schedulers.types.PlacementPolicy`."""
        if observation.prefilled:
            return self._bind(observation)
        bound, there = observation.bound, {worker.id for worker in observation.workers}
        if bound in there:
            need = max(observation.reserved, need_of(observation))
            return PlacementDecision(bound, bound, bind=True, reserve=need)
        return self._begin(observation)

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
