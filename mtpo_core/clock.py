"""The clock of a run, which the embedding code may give: a function without arguments that says seconds."""

from __future__ import annotations

import math
from collections.abc import Callable

from mtpo_core.foreign import one_line
from mtpo_core.logfile import LogError
from mtpo_core.tools import brief


class ClockError(LogError):
    """What was given as a clock gives no time."""


def seconds(clock: Callable[[], object]) -> float:
    """What a clock says now. Raises :class:`ClockError` for one that fails, and for all that is no finite number."""
    try:
        now = clock()
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything
        raise ClockError(f"the clock raised {one_line(error)}") from None
    try:
        if isinstance(now, int | float) and not isinstance(now, bool) and math.isfinite(now):
            return float(now)
    except OverflowError:  # a whole number beyond the floats
        pass
    raise ClockError(f"the clock gave {brief(now)}")
