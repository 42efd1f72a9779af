"""CONCUR: the number of active agents under additive increase and multiplicative decrease (arXiv 2601.22705).

The signals are how full the KV cache is, which is early, and its hit rate, which is late (section on the control law).
The window grows while the cache is nearly empty, is cut when the cache is full *and* the hit rate has collapsed, and
otherwise stays. Agents are admitted, paused and resumed at boundaries only, by
:class:`~mtpo.schedulers.admission.gate.Gate`.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

import attrs

from mtpo.schedulers.types import AdmissionDecision, AdmissionObservation

_share = [attrs.validators.ge(0.0), attrs.validators.le(1.0)]
_optional_positive = attrs.validators.optional(attrs.validators.gt(0.0))
_START: Final[float | None] = 2.0


@attrs.frozen
class Concur:
    """The paper uses one set of parameters for all models, workloads and engines: the first five defaults.

    ``alpha``: agents added to the window in one tick. ``beta``: what a cut multiplies it by, below 1. ``low``,
    ``high``: shares of the KV cache in use below which it grows and above which it may be cut; ``low < high`` makes the
    rules exclusive. ``hit``: the hit rate below which it is cut then. ``period``: seconds between ticks. ``least``,
    ``most``: bounds of the window, in agents; ``most`` None for all agents. ``start``: the first window, None for all
    agents. ``youngest_first``: a cut pauses the agents admitted last; else those that reach a boundary first.
    ``unlocks``: see :class:`~mtpo.schedulers.types.AdmissionDecision`; it is not the paper's.
    """

    alpha: float = attrs.field(default=2.0, validator=attrs.validators.gt(0.0))
    beta: float = attrs.field(default=0.5, validator=[attrs.validators.gt(0.0), attrs.validators.lt(1.0)])
    low: float = attrs.field(default=0.2, validator=_share)
    high: float = attrs.field(default=0.5, validator=_share)
    hit: float = attrs.field(default=0.2, validator=_share)
    period: float = attrs.field(default=5.0, validator=attrs.validators.gt(0.0))
    least: float = attrs.field(default=1.0, validator=attrs.validators.ge(1.0))
    most: float | None = attrs.field(default=None, validator=_optional_positive)
    start: float | None = attrs.field(default=_START, validator=_optional_positive)
    youngest_first: bool = False
    unlocks: bool = False
    clock: ClassVar[bool] = False

    @high.validator
    def _above_low(self, _: object, value: float) -> None:
        if not self.low < value:
            raise ValueError(f"low must be below high, got low={self.low:g}, high={value:g}")

    @most.validator
    def _above_least(self, _: object, value: float | None) -> None:
        if value is not None and value < self.least:
            raise ValueError(f"most must not be below least, got least={self.least:g}, most={value:g}")

    @property
    def interval(self) -> float | None:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        return self.period

    def decide(self, observation: AdmissionObservation) -> AdmissionDecision:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        agents = observation.agents or observation.active + observation.waiting
        most = self.most if self.most is not None else max(self.least, float(agents))
        if observation.window is None:
            window = self.start if self.start is not None else most
        else:
            window = self.law(observation.window, observation.kv_usage, observation.hit_rate)
        window = min(max(window, self.least), most)
        return AdmissionDecision(
            max(1, math.floor(window)), window, youngest_first=self.youngest_first, unlocks=self.unlocks
        )

    def law(self, window: float, usage: float, hit_rate: float | None) -> float:
        """One tick of the control law, before the bounds. Without a prefill since the last tick there is no hit rate,
        and nothing is cut."""
        if usage < self.low:
            return window + self.alpha
        if usage > self.high and hit_rate is not None and hit_rate < self.hit:
            return window * self.beta
        return window
