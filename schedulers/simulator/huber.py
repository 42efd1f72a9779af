"""Least squares of relative residuals, without negative coefficients, that a few disturbed measurements can't bend.

Rows are scaled to columns of largest value 1 and divided by what was measured: a residual is then relative as it
stands. Residuals beyond a knee count linearly (Huber), by weights that are found again until they settle. Everything
is summed up by columns: a choice between models solves some thousand of these systems.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from operator import mul
from typing import Final

Row = tuple[float, ...]

KNEE: Final = 0.1
"""Relative residuals beyond this count linearly: a step that was disturbed pulls no harder for it."""
_ROUNDS: Final = 12
"""Of reweighting; the weights of a linear fit in four terms settle sooner."""


class System:
    """``rows`` of regressors, none negative, and the seconds that were measured with each, all positive."""

    def __init__(self, rows: Sequence[Row], seconds: Sequence[float]) -> None:
        self.rows, self.seconds = rows, seconds
        columns = list(zip(*rows, strict=True))
        self.terms = len(columns)
        self._scale = [max(column) or 1.0 for column in columns]
        self._columns = [
            [x / scale / t for x, t in zip(column, seconds, strict=True)]
            for column, scale in zip(columns, self._scale, strict=True)
        ]
        self._products = [
            [list(map(mul, self._columns[i], self._columns[j])) for j in range(i + 1)] for i in range(self.terms)
        ]

    def predicted(self, coefficients: Row) -> list[float]:
        """What each row comes to, relative to what was measured."""
        total = [0.0] * len(self.rows)
        for column, scale, value in zip(self._columns, self._scale, coefficients, strict=True):
            if value:
                scaled = value * scale
                total = [sofar + scaled * x for sofar, x in zip(total, column, strict=True)]
        return total

    def away(self, coefficients: Row, floor: float = 0.0) -> list[float]:
        """How far each row is from what was measured, relative, where no step is shorter than ``floor``."""
        found = self.predicted(coefficients)
        if floor:
            low = [floor / t for t in self.seconds]
            return [abs((p if p > least else least) - 1.0) for p, least in zip(found, low, strict=True)]
        return [abs(p - 1.0) for p in found]

    def loss(self, coefficients: Row, floor: float = 0.0) -> float:
        """Huber's, of all rows together."""
        return math.fsum(
            one * one / 2 if one <= KNEE else KNEE * (one - KNEE / 2) for one in self.away(coefficients, floor)
        )

    def fit(self, floor: float = 0.0) -> Row:
        """The coefficients of least loss; ``floor`` counts in the residuals only."""
        found = self._solve([1.0] * len(self.rows))
        for _ in range(_ROUNDS):
            after = self._solve([1.0 if one <= KNEE else KNEE / one for one in self.away(found, floor)])
            settled = all(math.isclose(x, y, rel_tol=1e-4) for x, y in zip(found, after, strict=True))
            found = after
            if settled:
                break
        return found

    def above(self, floor: float) -> Row | None:
        """The fit of the rows that are above a floor by the fit itself; None where too few are."""
        kept = [index for index, one in enumerate(self.seconds) if one > floor]
        for _ in range(_ROUNDS):
            if len(kept) < self.terms:
                return None
            found = System([self.rows[index] for index in kept], [self.seconds[index] for index in kept]).fit(floor)
            predicted = zip(self.predicted(found), self.seconds, strict=True)
            now = [index for index, (p, t) in enumerate(predicted) if p * t > floor]
            if now == kept:
                break
            kept = now
        return found if rank([self.rows[index] for index in kept]) == self.terms else None

    def _solve(self, weights: list[float]) -> Row:
        """Weighted least squares: of all sets of terms, the best that has no negative coefficient."""
        terms, scale = self.terms, self._scale
        half = [[math.fsum(map(mul, weights, product)) for product in line] for line in self._products]
        matrix = [[half[max(i, j)][min(i, j)] for j in range(terms)] for i in range(terms)]
        right = [math.fsum(map(mul, weights, column)) for column in self._columns]
        best, most = [0.0] * terms, 0.0
        for kept in itertools.chain.from_iterable(itertools.combinations(range(terms), n) for n in range(terms, 0, -1)):
            solved = _gauss([[matrix[i][j] for j in kept] for i in kept], [right[i] for i in kept])
            if solved is None or min(solved) < 0:
                continue
            full = [0.0] * terms
            for i, value in zip(kept, solved, strict=True):
                full[i] = value
            # What a set explains is told by its own equations; and where no other term would bring the rest down, no
            # set explains more (Karush, Kuhn, Tucker).
            explained = math.fsum(map(mul, full, right))
            if explained > most:
                best, most = full, explained
            if all(i in kept or math.fsum(map(mul, matrix[i], full)) >= right[i] for i in range(terms)):
                break
        return tuple(value / by for value, by in zip(best, scale, strict=True))


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


def rank(rows: Sequence[Row]) -> int:
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
