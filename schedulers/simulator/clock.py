"""Virtual time in doubles: the instants of a periodic event, and how late a step can still be told from no time."""

from __future__ import annotations

import math
from typing import Final

_SHARE: Final = 0.01
"""Of a step's time, the part that may be lost in the rounding of the time at which it ends."""


def last_before(first: float, period: float, until: float) -> float:
    """The last of the instants ``first``, ``first + period``, ... that is at most ``until``; all in seconds.

    Exactly what adding again and again gives, rounding included. ``first``, at least 0, is returned where it is past
    ``until`` itself; ``period`` is above 0. Where a period is lost in the rounding the instants stand still, and so
    does what is returned.
    """
    now = first
    while now < (then := now + period) <= until:
        top = min(until, math.nextafter(_next_power(then), 0.0))
        if (after := then + period) > top or (third := after + period) > top:
            now = then
            continue
        if third == after:
            return after
        # From here to the next power of two all doubles are the same distance apart, and all sums advance by as many
        # of them: halves are rounded to even, so only the first could be another. Whole numbers: nothing is rounded.
        unit = math.ulp(then)
        at, advance, last = int(third / unit), int((third - after) / unit), int(top / unit)
        now = (last - (last - at) % advance) * unit
    return now


def _next_power(value: float) -> float:
    """The power of two above a number, infinite past the largest."""
    exponent = math.frexp(value)[1]
    return math.inf if exponent > 1023 else math.ldexp(1.0, exponent)


def horizon(step: float, window: float) -> float:
    """Seconds up to which steps of so many seconds, and windows of that width, are told apart; without end for a step
    that takes no time."""
    return min(_SHARE * step * 2.0**53 if step > 0 else math.inf, window * 2.0**53)
