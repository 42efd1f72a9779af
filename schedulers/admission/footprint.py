"""As many agents as the KV cache has room for, by what an agent takes now.

CONCUR's window (arXiv 2601.22705) grows only while less than a fifth of the cache is referenced, and is cut only when
the hit rate has collapsed. Here the share of the cache that a request in the engine references is measured, and the
limit is how many such shares fit: it falls as contexts grow, before anything is evicted, and rises as agents end.
"""

from __future__ import annotations

import math

import attrs

from mtpo.schedulers.types import AdmissionDecision, AdmissionObservation


@attrs.frozen
class Footprint:
    """``target``: the share (0..1) of the KV cache that all active agents may take together, those with tools included.
    ``period``: seconds between decisions. ``slack``: the window moves by at most this factor in one of them, since one
    measurement may see requests that hold nothing yet. ``least``: agents that may always be active. Those admitted last
    are paused first, so that the others keep their prefixes."""

    target: float = attrs.field(default=0.6, validator=[attrs.validators.gt(0.0), attrs.validators.le(1.0)])
    period: float = attrs.field(default=1.0, validator=attrs.validators.gt(0.0))
    slack: float = attrs.field(default=1.25, validator=attrs.validators.gt(1.0))
    least: int = attrs.field(default=2, validator=attrs.validators.ge(1))

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
            fits = self.target * observation.requests / observation.kv_usage
            window = min(max(fits, window / self.slack), window * self.slack)
        window = min(max(window, float(self.least)), float(max(self.least, agents)))
        return AdmissionDecision(math.floor(window), window, youngest_first=True)
