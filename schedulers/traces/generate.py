"""Generated workloads: arrivals of a given burstiness, lengths, and batches of agents. Deterministic by seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from mtpo.schedulers.traces.workload import Conversation, Piece, Turn, Workload, linear

Z99: Final = 2.3263478740408408
"""The 99th percentile of the standard normal distribution."""


@attrs.frozen
class Lengths:
    """Token counts: always ``median``, or log-normal with that median and 99th percentile. At least 1."""

    median: int = attrs.field(validator=attrs.validators.ge(1))
    p99: int | None = attrs.field(default=None)

    @p99.validator
    def _order(self, attribute: object, value: int | None) -> None:
        if value is not None and value < self.median:
            raise ValueError(f"the 99th percentile, {value}, is below the median, {self.median}")

    def draw(self, random: random.Random) -> int:
        """One length."""
        if self.p99 is None or self.p99 == self.median:
            return self.median
        return max(1, round(random.lognormvariate(math.log(self.median), math.log(self.p99 / self.median) / Z99)))


PROMPT: Final = Lengths(1020, 4142)
OUTPUT: Final = Lengths(129, 601)
"""Lengths like those of the Azure conversation trace of 2023."""


def poisson_times(rate: float, draw: random.Random) -> Iterator[float]:
    """Arrivals of a Poisson process of so many per second, without end."""
    now = 0.0
    while True:
        now += draw.expovariate(rate)
        yield now


def gamma_times(rate: float, cv: float, draw: random.Random) -> Iterator[float]:
    """A renewal process with Gamma-distributed gaps: mean 1/rate, coefficient of variation ``cv`` (1: Poisson)."""
    shape, now = 1.0 / (cv * cv), 0.0
    while True:
        now += draw.gammavariate(shape, 1.0 / (rate * shape))
        yield now


def burst_times(rate: float, fano: float, draw: random.Random) -> Iterator[float]:
    """Bursts: groups that arrive at once, at the times of a Poisson process, of geometric size.

    Counts over any window have the Fano factor (variance over mean) ``fano`` exactly: for a compound Poisson process it
    is E[B^2]/E[B], which is 2m - 1 for geometric B of mean m.
    """
    mean = (fano + 1) / 2
    now = 0.0
    while True:
        now += draw.expovariate(rate / mean)
        while True:
            yield now
            if draw.random() * mean < 1:
                break


def requests(
    name: str,
    times: Callable[[random.Random], Iterator[float]],
    n: int,
    prompt: Lengths = PROMPT,
    output: Lengths = OUTPUT,
    seed: int = 0,
) -> Workload:
    """``n`` single requests that share nothing. Times and lengths are drawn from separate streams, so that another
    rate keeps the lengths."""
    arrivals, lengths = times(random.Random(f"times {seed}")), random.Random(f"lengths {seed}")
    made = [
        Conversation(str(index), next(arrivals), (Turn(prompt.draw(lengths), output.draw(lengths)),))
        for index in range(n)
    ]
    return Workload(name, tuple(made))


def agents(
    name: str,
    n: int,
    turns: int,
    first: Lengths,
    append: Lengths,
    output: Lengths,
    tool: float,
    system: int = 0,
    rate: float | None = None,
    seed: int = 0,
) -> Workload:
    """``n`` agents whose context grows from turn to turn.

    The first turn brings ``first`` tokens after ``system`` shared by all, later ones append ``append``; each generates
    ``output``; between turns a tool runs for an exponential time of mean ``tool`` seconds. Agents arrive at ``rate``
    per second (Poisson), or all at 0.
    """
    draw = random.Random(f"agents {seed}")
    arrivals = poisson_times(rate, random.Random(f"times {seed}")) if rate is not None else None
    made = []
    for index in range(n):
        lengths = [
            (
                system + first.draw(draw) if turn == 0 else append.draw(draw),
                output.draw(draw),
                0.0 if turn == 0 or tool == 0 else draw.expovariate(1 / tool),
            )
            for turn in range(turns)
        ]
        shared = Piece(-1, system) if system else None
        arrival = 0.0 if arrivals is None else next(arrivals)
        made.append(Conversation(str(index), arrival, linear(index, lengths, shared)))
    return Workload(name, tuple(made), timed=rate is not None)
