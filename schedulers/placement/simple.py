"""The placements that ConServe is compared with: one worker, collocated, full disaggregation (arXiv 2606.01839)."""

from __future__ import annotations

from typing import ClassVar

import attrs

from mtpo.schedulers.placement.choose import emptiest, most_unheld, need_of
from mtpo.schedulers.types import PlacementDecision, PlacementObservation


@attrs.frozen
class OneWorker:
    """Everything on one worker, the one with the number ``worker``, None for the first."""

    worker: int | None = None
    requests: ClassVar[bool] = False

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """See :class:`~mtpo.schedulers.types.PlacementPolicy`."""
        ids = [one.id for one in observation.workers]
        chosen = ids[0] if self.worker is None else self.worker
        if chosen not in ids:
            raise ValueError(f"placement one_worker: there is no worker {chosen}; there are {', '.join(map(str, ids))}")
        return PlacementDecision(chosen, chosen, bind=True, reserve=need_of(observation))


@attrs.frozen
class Collocated:
    """A conversation begins on the worker with the most KV cache that is promised to nobody, and stays there: prompts
    and decodes side by side.

    ``hold``: one that fits nowhere is held, first come, first served; else it waits in the worker's own queue.
    ``oracle``: what is reserved is the largest sequence that it will ever have, which nobody can observe; with both,
    nothing is ever preempted: the baseline of ConServe's published code.
    """

    hold: bool = False
    oracle: bool = False
    requests: ClassVar[bool] = False

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """See :class:`~mtpo.schedulers.types.PlacementPolicy`."""
        need = max(observation.reserved, need_of(observation))
        if self.oracle:
            if observation.peak is None:
                raise ValueError("placement collocated: an oracle needs to be shown the peak of the conversation")
            need = observation.peak
        if observation.bound is not None:
            return PlacementDecision(observation.bound, observation.bound, bind=True, reserve=need)
        workers = [w for w in observation.workers if w.prefills and w.decodes]
        if not workers:
            raise ValueError("placement collocated: no worker both prefills and decodes")
        if not self.hold:
            chosen = most_unheld(workers)
        elif all(w.capacity < need for w in workers):
            return PlacementDecision(None, None, shed=True)
        else:
            chosen = None if observation.ahead else most_unheld(w for w in workers if w.unheld >= need)
        if chosen is None:
            return PlacementDecision(None, None)
        return PlacementDecision(chosen, chosen, bind=True, reserve=need)


@attrs.frozen
class FullDisaggregation:
    """Every turn is prefilled on the prefiller with the least to do and decoded on the decoder with the most KV cache
    that is promised to nobody: one transfer a turn. A turn that fits nowhere waits, first come, first served."""

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """See :class:`~mtpo.schedulers.types.PlacementPolicy`."""
        if not observation.prefilled:
            return PlacementDecision(emptiest(observation), None)
        need = need_of(observation)
        decoders = [w for w in observation.workers if w.decodes]
        if all(w.capacity < need for w in decoders):
            return PlacementDecision(observation.prefiller, None, shed=True)
        chosen = None if observation.ahead else most_unheld(w for w in decoders if w.unheld >= need)
        return PlacementDecision(observation.prefiller, chosen, reserve=need if chosen is not None else 0)
