"""Step times fitted to measurements: least squares that a few disturbed steps can't bend.

The model is :class:`~mtpo.schedulers.simulator.steptime.StepTime`, ``max(floor, a + b * new + c * context + d * pairs +
e * requests)`` (FairBatching, arXiv 2510.14392, section on batch time, with the floor and the quadratic term of
ConServe's artifact; the term per request is kept where it predicts steps better that it was not fitted to). Residuals
are relative: steps differ by powers of ten in length, and a policy suffers from a decode step that is off by half as it
does from a prompt that is.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import attrs

from mtpo.schedulers.simulator.steptime import StepTime

_positive = attrs.validators.gt(0)

_ROUNDS: Final = 12
"""Of reweighting; the weights of a linear fit in four terms settle sooner."""
_CLEAR: Final = 0.9
"""A floor has to bring the loss below this share of what it is without one; a term more for nothing is no model."""
_CANDIDATES: Final = 20
"""Lengths of a step that are tried as the floor."""
_TERMS: Final = {3: "a, b and c", 4: "a, b, c and d"}
_FOLDS: Final = 5
"""Parts of the measurements, each predicted by a fit to the others."""


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


@attrs.frozen
class Choice:
    """A fit with a term per request or without, whichever predicts better. ``without``, ``with_it``: the mean absolute
    relative error of each on points that it was not fitted to; ``with_it`` None where the points can't tell the term
    from the others."""

    fit: Fit
    without: float
    with_it: float | None

    @property
    def kept(self) -> bool:
        """Whether the term is in the model."""
        return self.fit.step.e > 0.0


def choose(points: Sequence[Point], terms: Literal[3, 4] = 3) -> Choice:
    """The fit with a term per request where that brings the held-out error clearly down, else without. Raises
    :class:`FitError` as :func:`fit` does."""
    plain = fit(points, terms)
    without = _held_out(points, terms, False)
    try:
        more, with_it = fit(points, terms, True), _held_out(points, terms, True)
    except FitError:
        return Choice(plain, plain.errors.mape if without is None else without, None)
    if without is None or with_it is None:
        return Choice(plain, plain.errors.mape if without is None else without, None)
    return Choice(more if with_it < _CLEAR * without else plain, without, with_it)


def _held_out(points: Sequence[Point], terms: Literal[3, 4], requests: bool) -> float | None:
    """Each point predicted by a fit to others: the mean absolute relative error; None where the others are too few."""
    # Kinds that are alike lie side by side: every fifth, so that no fit lacks all of a kind.
    ordered = sorted(points, key=lambda p: (p.new, p.context))
    away = []
    for fold in range(_FOLDS):
        try:
            found = fit([p for at, p in enumerate(ordered) if at % _FOLDS != fold], terms, requests).step
        except FitError:
            return None
        held = ordered[fold::_FOLDS]
        away += [abs(found.seconds(p.new, p.context, p.pairs, p.requests) / p.seconds - 1) for p in held]
    return math.fsum(away) / len(away)


def fit(points: Iterable[Point], terms: Literal[3, 4] = 3, requests: bool = False) -> Fit:
    """The non-negative coefficients of least Huber loss of relative residuals. ``terms``: 3 leaves ``d`` out;
    ``requests``: with ``e``.

    A floor is kept where it makes the loss clearly less. Raises :class:`FitError` for points that leave the
    coefficients open.
    """
    known = list(points)
    rows = [_row(one, terms, requests) for one in known]
    seconds = [one.seconds for one in known]
    if _rank(rows) < terms + requests:
        names = _TERMS[terms] + (" and e" if requests else "")
        raise FitError(
            f"{len(known)} kinds of steps do not tell {names} apart: measure decodes and prompts of different "
            "lengths, in batches of different sizes"
        )
    best, floor = _linear(rows, seconds, 0.0), 0.0
    least = _loss(rows, seconds, best, floor)
    # A floor shows as short steps of about one length; nothing above the median can be one.
    short = sorted(seconds)[2 : len(seconds) // 2]
    for candidate in short[:: -(-len(short) // _CANDIDATES) or 1]:
        inner = _floored(rows, seconds, candidate)
        if inner is None:
            continue
        loss = _loss(rows, seconds, inner, candidate)
        if loss < (_CLEAR if floor == 0.0 else 1.0) * least:
            best, least, floor = inner, loss, candidate
    e = best[-1] if requests else 0.0
    a, b, c, d = (*best[:terms], 0.0)[:4]
    step = StepTime(a, b, c, d, floor, e)
    return Fit(step, compare(step, known))


def compare(step: StepTime, points: Sequence[Point]) -> Errors:
    """How far a model is from what was measured."""
    return errors([p.seconds for p in points], [step.seconds(p.new, p.context, p.pairs, p.requests) for p in points])


_Row = tuple[float, ...]


def _row(one: Point, terms: int, requests: bool) -> _Row:
    row = (1.0, float(one.new), float(one.context), one.pairs)[:terms]
    return (*row, float(one.requests)) if requests else row


def _predicted(row: _Row, coefficients: _Row) -> float:
    return sum(x * y for x, y in zip(row, coefficients, strict=True))


_KNEE: Final = 0.1
"""Relative residuals beyond this count linearly (Huber): a step that was disturbed pulls no harder for it."""


def _loss(rows: Sequence[_Row], seconds: Sequence[float], coefficients: _Row, floor: float) -> float:
    total = 0.0
    for row, measured in zip(rows, seconds, strict=True):
        away = abs(max(floor, _predicted(row, coefficients)) - measured) / measured
        total += away * away / 2 if away <= _KNEE else _KNEE * (away - _KNEE / 2)
    return total


def _floored(rows: Sequence[_Row], seconds: Sequence[float], floor: float) -> _Row | None:
    """The fit of the points that are above a floor by the fit itself; None where too few are."""
    above = [index for index, one in enumerate(seconds) if one > floor]
    for _ in range(_ROUNDS):
        kept = [rows[index] for index in above]
        if _rank(kept) < len(rows[0]):
            return None
        found = _linear(kept, [seconds[index] for index in above], floor)
        now = [i for i, row in enumerate(rows) if _predicted(row, found) > floor]
        if now == above:
            break
        above = now
    return found


def _linear(rows: Sequence[_Row], seconds: Sequence[float], floor: float) -> _Row:
    """Iteratively reweighted least squares."""
    weights = [1.0 / one**2 for one in seconds]
    found = _solve(rows, seconds, weights)
    for _ in range(_ROUNDS):
        weights = []
        for row, measured in zip(rows, seconds, strict=True):
            away = abs(max(floor, _predicted(row, found)) - measured) / measured
            weights.append(min(1.0, _KNEE / away if away else 1.0) / measured**2)
        after = _solve(rows, seconds, weights)
        settled = all(math.isclose(x, y, rel_tol=1e-4) for x, y in zip(found, after, strict=True))
        found = after
        if settled:
            break
    return found


def _solve(rows: Sequence[_Row], seconds: Sequence[float], weights: Sequence[float]) -> _Row:
    """Weighted least squares without negative coefficients: of all sets of terms, the best that has none."""
    terms = len(rows[0])
    scale = [max(row[k] for row in rows) or 1.0 for k in range(terms)]
    best, least = (0.0,) * terms, math.inf
    for kept in itertools.chain.from_iterable(itertools.combinations(range(terms), n) for n in range(terms, 0, -1)):
        matrix = [
            [
                math.fsum(w * row[i] * row[j] / scale[i] / scale[j] for w, row in zip(weights, rows, strict=True))
                for j in kept
            ]
            for i in kept
        ]
        right = [
            math.fsum(w * row[i] / scale[i] * t for w, row, t in zip(weights, rows, seconds, strict=True)) for i in kept
        ]
        solved = _gauss(matrix, right)
        if solved is None or min(solved) < 0:
            continue
        full = [0.0] * terms
        for i, value in zip(kept, solved, strict=True):
            full[i] = value / scale[i]
        found = tuple(full)
        left = math.fsum(
            w * (_predicted(row, found) - t) ** 2 for w, row, t in zip(weights, rows, seconds, strict=True)
        )
        if left < least:
            best, least = found, left
        if len(kept) == terms:
            break  # nothing is better than the best of all
    return best


def _gauss(matrix: list[list[float]], right: list[float]) -> list[float] | None:
    """A small linear system by elimination with pivots; None where it has no single solution."""
    rows = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for k in range(size):
        pivot = max(range(k, size), key=lambda i: abs(rows[i][k]))
        if abs(rows[pivot][k]) <= 1e-12 * max(1e-300, max(abs(matrix[i][i]) for i in range(size))):
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for i in range(k + 1, size):
            share = rows[i][k] / rows[k][k]
            rows[i] = [x - share * y for x, y in zip(rows[i], rows[k], strict=True)]
    found = [0.0] * size
    for k in reversed(range(size)):
        found[k] = (rows[k][size] - sum(rows[k][j] * found[j] for j in range(k + 1, size))) / rows[k][k]
    return found


def _rank(rows: Sequence[_Row]) -> int:
    """Of the points, columns scaled to 1: how many coefficients they can tell apart."""
    if not rows:
        return 0
    scale = [max(abs(row[k]) for row in rows) or 1.0 for k in range(len(rows[0]))]
    left = [[x / s for x, s in zip(row, scale, strict=True)] for row in rows]
    rank = 0
    for k in range(len(scale)):
        pivot = max(range(rank, len(left)), key=lambda i: abs(left[i][k]), default=None)
        if pivot is None or abs(left[pivot][k]) < 1e-6:
            continue
        left[rank], left[pivot] = left[pivot], left[rank]
        for i in range(rank + 1, len(left)):
            share = left[i][k] / left[rank][k]
            left[i] = [x - share * y for x, y in zip(left[i], left[rank], strict=True)]
        rank += 1
    return rank
