"""Which model of step times describes a machine: the published line, or one with more terms, or with a part of its own
for small batches.

An engine may compute small batches another way than large ones (compiled kernels for decodes, another algorithm for
thin products), and one line through both is off for both. Where the change is, nobody has to say: it is where two lines
describe the measurements best. More terms always describe better what they were fitted to, so what counts is how
steps are predicted that were held out: all steps of so many new tokens of so many requests together, each such kind
counting once, since decodes differ in context by a token from step to step, and there are hundreds of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final, Literal

import attrs

from mtpo.schedulers.simulator.fit import Fit, FitError, Point, compare, fit, line_loss
from mtpo.schedulers.simulator.steptime import Few

FOLDS: Final = 5
"""Parts of the measurements, each predicted by a fit to the others."""
CLEAR: Final = 0.9
"""More terms are kept where they bring the held-out error below this share of what it is without them."""
EXACT: Final = 1e-3
"""A held-out error this small leaves nothing to explain: no clock is better."""


@attrs.frozen
class Model:
    """What a model has beside a, b and c: ``pairs``, the term d; ``requests``, the term e; ``few``, coefficients of its
    own for small batches."""

    pairs: bool = False
    requests: bool = False
    few: bool = False

    @property
    def coefficients(self) -> int:
        """How many it has, floors aside; where small batches begin is one."""
        line = 3 + self.pairs + self.requests
        return 2 * line + 1 if self.few else line

    @property
    def more(self) -> tuple[str, ...]:
        """The names of what it has."""
        named = (("d", self.pairs), ("e", self.requests), ("few", self.few))
        return tuple(name for name, there in named if there)

    def fit(self, points: Sequence[Point], floor: bool = True) -> Fit:
        """Its fit, with a floor where that pays and is asked for. Raises :class:`FitError` for points that leave its
        coefficients open."""
        if self.few:
            return in_two(points, 4 if self.pairs else 3, self.requests, floor)
        return fit(points, 4 if self.pairs else 3, self.requests, floor)


@attrs.frozen
class Tried:
    """``error``: see :func:`held_out`; None where the points can't tell the coefficients of the ``model`` apart."""

    model: Model
    error: float | None


@attrs.frozen
class Choice:
    """The ``model`` that was kept, its fit, and all that were tried, by their number of coefficients."""

    model: Model
    fit: Fit
    tried: tuple[Tried, ...]

    def error(self, model: Model) -> float | None:
        """The held-out error of one of those that were tried."""
        return next((one.error for one in self.tried if one.model == model), None)


def choose(points: Sequence[Point], terms: Literal[3, 4] | None = None) -> Choice:
    """The simplest model than which none with more coefficients is clearly better. ``terms``: 3 leaves d out, 4 has it
    in every model. Raises :class:`FitError` for points that leave the coefficients of the simplest open."""
    pairs = (False, True) if terms is None else (terms == 4,)
    models = [Model(*which) for which in itertools.product(pairs, (False, True), (False, True))]
    models.sort(key=lambda one: one.coefficients)
    kept = models[0]
    found = kept.fit(points)
    tried = [Tried(model, held_out(points, model)) for model in models]
    least = tried[0].error
    for one in tried[1:]:
        if least is not None and one.error is not None and least > EXACT and one.error < CLEAR * least:
            kept, least = one.model, one.error
    return Choice(kept, found if kept == models[0] else kept.fit(points), tuple(tried))


def held_out(points: Sequence[Point], model: Model) -> float | None:
    """Kinds of steps predicted by a fit to others: the mean over kinds of the mean absolute error, relative; None where
    the others are too few."""
    kinds: dict[tuple[int, int], list[Point]] = {}
    for one in sorted(points, key=_kind):
        kinds.setdefault(_kind(one), []).append(one)
    found = []
    try:
        # Whether there is a floor shows in all of them together, and to look for one takes longest.
        whole = model.fit(points).step
        floor = whole.floor > 0 or (whole.few is not None and whole.few.floor > 0)
        for fold in range(FOLDS):
            # Kinds that are alike lie side by side: every fifth.
            held = list(kinds)[fold::FOLDS]
            step = model.fit([one for one in points if _kind(one) not in held], floor).step
            for kind in held:
                away = [abs(step.seconds(p.new, p.context, p.pairs, p.requests) / p.seconds - 1) for p in kinds[kind]]
                found.append(math.fsum(away) / len(away))
    except FitError:
        return None
    return math.fsum(found) / len(found)


def _kind(one: Point) -> tuple[int, int]:
    return one.new, one.requests


def in_two(points: Sequence[Point], terms: Literal[3, 4] = 3, requests: bool = False, floor: bool = True) -> Fit:
    """The fit of least loss with a part of its own for steps of at most so many new tokens as one of the points has.
    Raises :class:`FitError` where no such part leaves enough points on both sides."""
    best, least = None, math.inf
    for most in sorted({one.new for one in points}):
        small, large = _sides(points, most)
        # As many points as there are coefficients are described by any line.
        if min(len(small), len(large)) < 2 * (terms + requests):
            continue
        losses = line_loss(small, terms, requests), line_loss(large, terms, requests)
        if losses[0] is not None and losses[1] is not None and losses[0] + losses[1] < least:
            best, least = most, losses[0] + losses[1]
    if best is None:
        raise FitError(f"{len(points)} kinds of steps do not tell small batches from large ones: measure more of each")
    low, high = (fit(side, terms, requests, floor).step for side in _sides(points, best))
    few = Few(low.a, low.b, low.c, low.d, low.floor, low.e, most=best)
    step = attrs.evolve(high, few=few)
    return Fit(step, compare(step, points))


def _sides(points: Sequence[Point], most: int) -> tuple[list[Point], list[Point]]:
    return [one for one in points if one.new <= most], [one for one in points if one.new > most]
