"""ConServe: placement by observation, not prediction (Ding et al., arXiv 2606.01839, the rule).

The first turn of a conversation is prefilled on a prefiller; its KV cache then moves exactly once, to the decoder with
the most free cache among those that have room, and the conversation is bound to it. Every later turn runs there, prompt
and decode. No length threshold, no second transfer, no migration, no model of what a turn will cost.
"""

from __future__ import annotations

import random

import attrs

from mtpo.schedulers.placement.choose import emptiest, most_unheld, need_of
from mtpo.schedulers.types import PlacementDecision, PlacementObservation


@attrs.frozen
class ConServe:
    """``oracle``: a conversation reserves the largest sequence it will ever have, as the published code does; else what
    can be observed, turn by turn. Then a decoder may be promised to more than it has as conversations grow: its engine
    preempts and computes anew, still there.

    ``poll``: seconds after which a conversation that found no room looks again, whoever waits longer, as the published
    code does (0.05): small ones barge past a large one, which may starve. None: first come, first served.
    """

    oracle: bool = False
    poll: float | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.gt(0.0)))

    def need(self, observation: PlacementObservation) -> int:
        """Tokens to reserve. Raises :class:`ValueError` when an oracle is not shown the peak."""
        if not self.oracle:
            return max(observation.reserved, need_of(observation))
        if observation.peak is None:
            raise ValueError("placement conserve: oracle accounting needs to be shown the peak of the conversation")
        return observation.peak

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """See :class:`~mtpo.schedulers.types.PlacementPolicy`."""
        bound = observation.bound
        if bound is not None and not observation.prefilled:
            return PlacementDecision(bound, bound, bind=True, reserve=self.need(observation))
        if not observation.prefilled:
            return PlacementDecision(emptiest(observation), None)
        return self.bind(observation)

    def bind(self, observation: PlacementObservation) -> PlacementDecision:
        """Choose a decoder and reserve on it, in one decision; or hold. ``prefill`` is where the prompt already is."""
        need = self.need(observation)
        decoders = [w for w in observation.workers if w.decodes]
        if all(w.capacity < need for w in decoders):
            # It could never be placed, and would hold up all behind it.
            return PlacementDecision(observation.prefiller, None, shed=True)
        if observation.ahead and self.poll is None:
            return PlacementDecision(observation.prefiller, None)
        chosen = most_unheld(w for w in decoders if w.unheld >= need)
        if chosen is None:
            return PlacementDecision(observation.prefiller, None, retry=self.poll)
        return PlacementDecision(observation.prefiller, chosen, bind=True, reserve=need)


@attrs.frozen
class Ampd:
    """Adaptive per-turn disaggregation with predictions that are wrong at a given rate, as ConServe emulates it.

    A turn is misrouted with probability ``error``, by a draw that depends on ``seed``, conversation and turn only: a
    later turn is then prefilled on a prefiller, to which its history is brought first, and from which what is new goes
    back. ``first``: first turns are misrouted too, and prefilled on their decoder; the published emulation leaves them
    alone. At 0 it *is* ConServe.
    """

    error: float = attrs.field(default=0.1, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    seed: int = 0
    rule: ConServe = attrs.field(factory=ConServe)
    first: bool = False

    @property
    def oracle(self) -> bool:
        """Whether it is to be shown peaks."""
        return self.rule.oracle

    def misrouted(self, conversation: str, turn: int) -> bool:
        """Whether the prediction is wrong for a turn."""
        if turn == 1 and not self.first:
            return False
        return random.Random(f"{self.seed}/{conversation}/{turn}").random() < self.error

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """See :class:`~mtpo.schedulers.types.PlacementPolicy`."""
        if observation.prefilled or not self.misrouted(observation.conversation, observation.turn):
            return self.rule.decide(observation)
        if observation.bound is not None:
            at_home = self.rule.decide(observation)
            return attrs.evolve(at_home, prefill=emptiest(observation), fetch=True)
        local = self.rule.bind(observation)
        return attrs.evolve(local, prefill=local.decode)
