"""Capacity: the highest rate at which few enough requests are in violation, by bisection (FairBatching)."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from mtpo.schedulers.simulator.cluster import Progress, Setup, simulate
from mtpo.schedulers.simulator.report import Summary, summarise
from mtpo.schedulers.traces.workload import Workload


@attrs.frozen
class Capacity:
    """``rate``: conversations per second, the highest found at which at most ``share`` (0..1) of the requests are in
    violation; 0 when even ``low`` is too much. ``tried``: rates and their shares, in order.
    ``bounded``: the highest rate that was tried still held, so the capacity is at least that."""

    share: float
    rate: float
    bounded: bool
    tried: tuple[tuple[float, float], ...]


class Search:
    """Searches with one workload and setup; what was simulated for one share is not simulated again for another."""

    def __init__(self, workload: Workload, setup: Setup, seed: int = 0) -> None:
        self.workload, self.setup, self.seed = workload, setup, seed
        self.known: dict[float, Summary] = {}
        """What was simulated, by rate."""

    def summary(self, rate: float, progress: Progress | None = None) -> Summary:
        """The figures at a rate."""
        if rate not in self.known:
            outcome = simulate(self.workload.at_rate(rate, self.seed), self.setup, progress)
            setup = self.setup
            self.known[rate] = summarise(outcome, len(setup.workers), setup.ttft_slo, setup.tpot_slo)
        return self.known[rate]

    def violations(self, rate: float, progress: Progress | None = None) -> float:
        """The share of requests in violation at a rate."""
        return self.summary(rate, progress).violations

    def capacity(
        self,
        share: float,
        low: float = 0.25,
        high: float = 64.0,
        precision: float = 0.02,
        tell: Callable[[float], Progress | None] = lambda rate: None,
        start: float | None = None,
        growth: float = 2.0,
    ) -> Capacity:
        """From ``start`` (``low`` if not given) go up by the factor ``growth`` until more than ``share`` are in
        violation or ``high`` is reached, or down until no more than that are, or ``low`` is reached; then bisect to the
        relative ``precision``. Violations need not grow with the rate; what is found is one crossing of the share."""
        tried: list[tuple[float, float]] = []

        def holds(rate: float) -> bool:
            found = self.violations(rate, tell(rate))
            tried.append((rate, found))
            return found <= share

        rate = low if start is None else min(max(start, low), high)
        above: float | None = None
        while not holds(rate):
            if rate <= low:
                return Capacity(share, 0.0, False, tuple(tried))
            above, rate = rate, max(rate / growth, low)
        while above is None:
            if rate >= high:
                return Capacity(share, rate, True, tuple(tried))
            after = min(growth * rate, high)
            if holds(after):
                rate = after
            else:
                above = after
        while above - rate > precision * rate:
            middle = (rate + above) / 2
            if holds(middle):
                rate = middle
            else:
                above = middle
        return Capacity(share, rate, False, tuple(tried))
