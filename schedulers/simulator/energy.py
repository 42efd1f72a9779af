"""Energy of a board from what it did: how long it was busy, and how much of that was arithmetic.

A step bound by memory (decodes, small batches) draws less than one bound by arithmetic (prompts): that is why a cap on
the power of decoders costs little time (ConServe, arXiv 2606.01839, section on heterogeneous tiers).
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

_watts = attrs.validators.ge(0.0)


@attrs.frozen
class Load:
    """What one worker did: seconds in steps, ``arithmetic`` seconds of them that new tokens took (``b`` and ``d`` of
    :class:`~mtpo.schedulers.simulator.steptime.StepTime`)."""

    busy: float
    arithmetic: float


@attrs.frozen
class Draw:
    """Watts of a board between steps, in a step that is bound by memory, and in one that is bound by arithmetic.

    ``limit``: the power cap; no step draws more. What a cap does to the *time* of steps is the step model's business.
    """

    idle: float = attrs.field(validator=_watts)
    memory: float = attrs.field(validator=_watts)
    arithmetic: float = attrs.field(validator=_watts)
    limit: float = attrs.field(default=float("inf"), validator=_watts)

    def joules(self, load: Load, total: float) -> float:
        """Energy over ``total`` seconds. A step draws in proportion to the two kinds of work in it."""
        memory, arithmetic = min(self.memory, self.limit), min(self.arithmetic, self.limit)
        still = max(0.0, total - load.busy)
        return self.idle * still + memory * (load.busy - load.arithmetic) + arithmetic * load.arithmetic


def memory_watts(joules: float, loads: Iterable[Load], total: float, idle: float, arithmetic: float) -> float:
    """The draw of memory-bound work at which boards that did this took so many joules in ``total`` seconds.

    Raises :class:`ValueError` when none of them did memory-bound work.
    """
    rest, seconds = joules, 0.0
    for load in loads:
        rest -= Draw(idle, 0.0, arithmetic).joules(load, total)
        seconds += load.busy - load.arithmetic
    if seconds <= 0:
        raise ValueError("energy: no memory-bound work to tell its power from")
    return rest / seconds
