"""Step times fitted to measurements: least squares that a few disturbed steps can't bend.

The model is :class:`~mtpo.schedulers.simulator.steptime.StepTime`, ``max(floor, a + b * new + c * context + d * pairs +
e * requests)`` (FairBatching, arXiv 2510.14392, section on batch time, with the floor and the quadratic term of
ConServe's artifact). Which of its terms a machine needs, and whether small batches are a regime of their own, is found
by :mod:`mtpo.schedulers.simulator.regimes`. Residuals are relative: steps differ by powers of ten in length, and a
policy suffers from a decode step that is off by half as it does from a prompt that is.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import attrs

from mtpo.schedulers.simulator.huber import Row, System, rank
from mtpo.schedulers.simulator.steptime import StepTime

_positive = attrs.validators.gt(0)

_CLEAR: Final = 0.9
"""A floor has to bring the loss below this share of what it is without one; a term more for nothing is no model."""
_CANDIDATES: Final = 20
"""Lengths of a step that are tried as the floor."""
_TERMS: Final = {3: "a, b and c", 4: "a, b, c and d"}


class FitError(ValueError):
    """Measurements that no model can be fitted to; one line."""


@attrs.frozen
class Point:
    """Steps of one composition (see :class:`StepTime` for ``new``, ``context``, ``pairs``): the median ``seconds`` of
    ``times`` of them, and their ``spread``: the median distance from it, in seconds."""

    new: int = attrs.field(validator=_positive)
    context: int = attrs.field(validator=_positive)
    pairs: float = attrs.field(validator=attrs.validators.ge(0.0))
    seconds: float = attrs.field(validator=_positive)
    times: int = attrs.field(default=1, validator=_positive)
    spread: float = 0.0
    requests: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    """In the batch; 0 where that was not noted."""


def point(new: int, context: int, pairs: float, seconds: Sequence[float], requests: int = 0) -> Point:
    """Several measurements of one composition as a point."""
    middle = statistics.median(seconds)
    away = statistics.median(abs(one - middle) for one in seconds)
    return Point(new, context, pairs, middle, len(seconds), away, requests)


@attrs.frozen
class Errors:
    """How far predictions are from what was measured. ``mape``: mean absolute error relative to the measured value
    (0.05: 5 %); ``bias``: the mean signed one; ``p95`` of the absolute ones; ``r2``: the share of the variance that is
    explained, in seconds; at most 1, negative when the mean would predict better. ``n`` values."""

    n: int
    mape: float
    bias: float
    p95: float
    r2: float


def errors(measured: Sequence[float], predicted: Sequence[float]) -> Errors:
    """See :class:`Errors`; pairs whose measured value is 0 have no relative error, and are left out.

    Raises :class:`FitError` when nothing is left.
    """
    both = [(m, p) for m, p in zip(measured, predicted, strict=True) if m > 0]
    if not both:
        raise FitError("no measured values to compare predictions with")
    relative = [(p - m) / m for m, p in both]
    away = sorted(map(abs, relative))
    mean = math.fsum(m for m, _ in both) / len(both)
    total = math.fsum((m - mean) ** 2 for m, _ in both)
    left = math.fsum((m - p) ** 2 for m, p in both)
    r2 = 1.0 - left / total if total else 1.0 if left == 0 else -math.inf
    return Errors(
        len(both),
        math.fsum(away) / len(away),
        math.fsum(relative) / len(relative),
        away[max(0, math.ceil(0.95 * len(away)) - 1)],
        r2,
    )


@attrs.frozen
class Fit:
    """A fitted model, and how well it describes the points that it was fitted to."""

    step: StepTime
    errors: Errors


def fit(points: Iterable[Point], terms: Literal[3, 4] = 3, requests: bool = False, floors: bool = True) -> Fit:
    """The non-negative coefficients of least Huber loss of relative residuals. ``terms``: 3 leaves ``d`` out;
    ``requests``: with ``e``.

    With ``floors``, a floor is kept where it makes the loss clearly less. Raises :class:`FitError` for points that
    leave the coefficients open.
    """
    known = list(points)
    system = _system(known, terms, requests)
    if system is None:
        names = _TERMS[terms] + (" and e" if requests else "")
        raise FitError(
            f"{len(known)} kinds of steps do not tell {names} apart: measure decodes and prompts of different "
            "lengths, in batches of different sizes"
        )
    best, floor = system.fit(), 0.0
    least = system.loss(best)
    # A floor shows as short steps of about one length; nothing above the median can be one.
    short = sorted(system.seconds)[2 : len(known) // 2] if floors else []
    for candidate in short[:: -(-len(short) // _CANDIDATES) or 1]:
        inner = system.above(candidate)
        if inner is None:
            continue
        loss = system.loss(inner, candidate)
        if loss < (_CLEAR if floor == 0.0 else 1.0) * least:
            best, least, floor = inner, loss, candidate
    e = best[-1] if requests else 0.0
    a, b, c, d = (*best[:terms], 0.0)[:4]
    step = StepTime(a, b, c, d, floor, e)
    return Fit(step, compare(step, known))


def line_loss(points: Sequence[Point], terms: Literal[3, 4], requests: bool) -> float | None:
    """The loss that :func:`fit` would have without a floor; None for points that leave the coefficients open."""
    system = _system(points, terms, requests)
    return None if system is None else system.loss(system.fit())


def compare(step: StepTime, points: Sequence[Point]) -> Errors:
    """How far a model is from what was measured."""
    return errors([p.seconds for p in points], [step.seconds(p.new, p.context, p.pairs, p.requests) for p in points])


def _system(points: Sequence[Point], terms: int, requests: bool) -> System | None:
    """None for points that leave the coefficients open."""
    rows = [_row(one, terms, requests) for one in points]
    return System(rows, [one.seconds for one in points]) if rank(rows) == terms + requests else None


def _row(one: Point, terms: int, requests: bool) -> Row:
    row = (1.0, float(one.new), float(one.context), one.pairs)[:terms]
    return (*row, float(one.requests)) if requests else row
