"""As many agents as the KV cache has room for, by what an agent takes now.

CONCUR's window (arXiv 2601.22705) grows only while less than a fifth of the cache is referenced, and is cut only when
the hit rate has collapsed. Here the share of the cache that a request in the engine references is measured, and the
limit is how many such shares fit: it falls as contexts grow, before anything is evicted, and rises as agents end. What
is proven of it is in ``spec/footprint.py``: it is never stuck, is cut in time, and the oldest agent always goes on.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs

from mtpo.schedulers.types import AdmissionDecision, AdmissionObservation


@attrs.frozen
class Footprint:
    """``target``: the share (0..1) of the KV cache that all active agents may take together, those with tools included.
    ``period``: seconds between decisions. ``slack``: the window moves by at most this factor in one of them, or by one
    agent, since one measurement may see requests that hold nothing yet. ``least``: agents that may always be active.
    Those admitted last are paused first, so that the others keep their prefixes. ``per_request``: the limit is of
    requests in the engine, for agents that come and go and wait for their tools far longer than they generate. Agents
    that have room promised go on while others are held for want of it (finding F25)."""

    target: float = attrs.field(default=0.6, validator=[attrs.validators.gt(0.0), attrs.validators.le(1.0)])
    period: float = attrs.field(default=1.0, validator=attrs.validators.gt(0.0))
    slack: float = attrs.field(default=1.25, validator=attrs.validators.gt(1.0))
    least: int = attrs.field(default=2, validator=attrs.validators.ge(1))
    per_request: bool = False
    clock: ClassVar[bool] = False

    @property
    def interval(self) -> float | None:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        return self.period

    def decide(self, observation: AdmissionObservation) -> AdmissionDecision:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        agents = observation.agents or observation.active + observation.waiting
        window = observation.window
        if window is None:
            window = float(self.least)
        elif observation.requests and observation.kv_usage > 0:
            fits = self.fits(observation)
            window = min(max(fits, min(window / self.slack, window - 1)), max(window * self.slack, window + 1))
        window = min(max(window, float(self.least)), float(max(self.least, agents)))
        return AdmissionDecision(math.floor(window), window, self.per_request, not self.per_request, unlocks=True)

    def fits(self, observation: AdmissionObservation) -> float:
        """How many agents take the target, at what a request takes now; there has to be one that holds something."""
        return self.target * observation.requests / observation.kv_usage
