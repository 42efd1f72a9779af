"""What a simulation measures: of each turn, of the cluster over time, and in sum.

A token's deadline is ``arrival + ttft_slo + tpot_slo * j``, j = 0 for the first (FairBatching, on deadlines): an
envelope that does not depend on progress. A turn is in violation when any of its tokens is after its deadline.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import attrs


@attrs.frozen
class TurnRecord:
    """A turn that ended. Times in seconds.

    ``submitted``: when its conversation asked for it; ``arrival``: when it reached a worker, after admission and
    placement; ``first`` and ``end``: when its first and last tokens were there. ``gap``: the largest time between two
    tokens; ``late``: tokens after their deadline; ``hits``: prompt tokens that the cache had; ``worker`` that decoded.
    ``began``: when its first step began; ``held``: seconds for which, prefilled, it waited for a place to decode.
    ``gaps``: all times between two tokens, where they were asked for.
    """

    conversation: str
    turn: int
    submitted: float
    arrival: float
    first: float
    end: float
    prompt: int
    output: int
    hits: int
    gap: float
    late: int
    preempted: int
    worker: int
    began: float = 0.0
    held: float = 0.0
    gaps: tuple[float, ...] = ()

    @property
    def ttft(self) -> float:
        """Time to the first token, since it was asked for."""
        return self.first - self.submitted

    @property
    def tpot(self) -> float:
        """Mean time per output token after the first; 0 for a single one."""
        return (self.end - self.first) / (self.output - 1) if self.output > 1 else 0.0


@attrs.frozen
class Window:
    """A stretch of time, beginning at ``start``: means over it, of all workers, and its counts. ``steps`` began in it,
    and took ``busy`` seconds together."""

    start: float
    kv_usage: float
    running: float
    waiting: float
    tokens: int
    prompt: int
    hits: int
    steps: int = 0
    busy: float = 0.0

    @property
    def hit_rate(self) -> float | None:
        """Token-weighted; None when no prompt was looked up."""
        return self.hits / self.prompt if self.prompt else None


@attrs.define
class _Sums:
    usage: float = 0.0
    running: float = 0.0
    waiting: float = 0.0
    tokens: int = 0
    prompt: int = 0
    hits: int = 0
    steps: int = 0
    busy: float = 0.0


FINE: Final = 1.02
"""Step times are counted by their logarithm to this base: to within 2 %."""
_PER_BIN: Final = 1.0 / math.log(FINE)


class Meter:
    """Counts what happens on one worker, in windows of ``width`` seconds.

    A step belongs to the window in which it begins. ``prompt`` and ``hits`` count the tokens that were looked up in the
    cache, and found, in all; recomputation after a preemption counts too.
    """

    def __init__(self, width: float = 10.0) -> None:
        self.width = width
        self.busy = self.arithmetic = 0.0
        self.tokens = self.prompt = self.hits = 0
        self.peak = 0.0
        self._sums: dict[int, _Sums] = {}
        self._lengths: dict[int, int] = {}

    def _at(self, now: float) -> _Sums:
        index = int(now / self.width)
        sums = self._sums.get(index)
        if sums is None:
            sums = self._sums[index] = _Sums()
        return sums

    def step(
        self, now: float, seconds: float, usage: float, running: int, waiting: int, tokens: int, arithmetic: float = 0.0
    ) -> None:
        """A step of so many seconds began; ``usage`` is the share of the KV cache that is held, ``arithmetic`` the
        seconds that its new tokens take."""
        sums = self._at(now)
        sums.usage += usage * seconds
        sums.running += running * seconds
        sums.waiting += waiting * seconds
        sums.tokens += tokens
        sums.steps += 1
        sums.busy += seconds
        if seconds > 0:
            length = math.floor(math.log(seconds) * _PER_BIN)
            self._lengths[length] = self._lengths.get(length, 0) + 1
        self.busy += seconds
        self.arithmetic += arithmetic
        self.tokens += tokens
        if usage > self.peak:
            self.peak = usage

    def looked_up(self, now: float, prompt: int, hits: int) -> None:
        """A sequence of ``prompt`` tokens was admitted, the cache had ``hits`` of them."""
        sums = self._at(now)
        sums.prompt += prompt
        sums.hits += hits
        self.prompt += prompt
        self.hits += hits


def windows(meters: Sequence[Meter]) -> tuple[Window, ...]:
    """The windows of several workers together, in order; those in which nothing happened are left out."""
    width = meters[0].width
    found = []
    for index in sorted({index for meter in meters for index in meter._sums}):
        sums = [meter._sums[index] for meter in meters if index in meter._sums]
        found.append(
            Window(
                index * width,
                sum(one.usage for one in sums) / width / len(meters),
                sum(one.running for one in sums) / width,
                sum(one.waiting for one in sums) / width,
                sum(one.tokens for one in sums),
                sum(one.prompt for one in sums),
                sum(one.hits for one in sums),
                sum(one.steps for one in sums),
                sum(one.busy for one in sums),
            )
        )
    return tuple(found)


def step_times(meters: Sequence[Meter]) -> tuple[tuple[float, int], ...]:
    """Seconds and how many steps took at most so long but longer than the entry before, in order; to within 2 %."""
    counts: dict[int, int] = {}
    for meter in meters:
        for length, count in meter._lengths.items():
            counts[length] = counts.get(length, 0) + count
    return tuple((FINE ** (length + 1), count) for length, count in sorted(counts.items()))


@attrs.frozen
class Spread:
    """Mean, percentiles (nearest rank) and the largest of ``count`` values; 0 for none."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float
    count: int


def spread(values: Iterable[float]) -> Spread:
    """See :class:`Spread`."""
    ordered = sorted(values)
    if not ordered:
        return Spread(0.0, 0.0, 0.0, 0.0, 0.0, 0)

    def rank(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return Spread(math.fsum(ordered) / len(ordered), rank(0.5), rank(0.95), rank(0.99), ordered[-1], len(ordered))
