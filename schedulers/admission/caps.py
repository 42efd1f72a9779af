"""No limit, and fixed ones: the baselines of CONCUR (arXiv 2601.22705, section on baselines)."""

from __future__ import annotations

import attrs

from mtpo.schedulers.types import AdmissionDecision, AdmissionObservation

_cap = attrs.validators.ge(1)


@attrs.frozen
class NoLimit:
    """Every agent runs at once."""

    @property
    def interval(self) -> float | None:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        return None

    def decide(self, observation: AdmissionObservation) -> AdmissionDecision:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        return AdmissionDecision(None)


@attrs.frozen
class RequestCap:
    """At most ``cap`` requests in the engine at once, whichever agents they are of: first come, first served."""

    cap: int = attrs.field(validator=_cap)

    @property
    def interval(self) -> float | None:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        return None

    def decide(self, observation: AdmissionObservation) -> AdmissionDecision:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        return AdmissionDecision(self.cap, per_request=True)


@attrs.frozen
class AgentCap:
    """At most ``cap`` agents at once, each from its first step to its last."""

    cap: int = attrs.field(validator=_cap)

    @property
    def interval(self) -> float | None:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        return None

    def decide(self, observation: AdmissionObservation) -> AdmissionDecision:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        return AdmissionDecision(self.cap)
