"""Curves of a plot that run one on another, so that only the last of them would be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import attrs

from mtpo.schedulers.papers.table import Plot

NEAR: Final = 0.005
"""Of the width and height of what is drawn: points no farther apart are one to the eye."""
MOSTLY: Final = 0.5
"""Curves with at least this share of their points so near have little to be told apart by."""


@attrs.frozen
class Place:
    """Where a curve stands among those that run as it does: ``at``, from 0, of ``of``; ``first``: the number of the
    first of them; ``whole``: whether it is nowhere apart from that."""

    at: int
    of: int
    first: int
    whole: bool


def places(plot: Plot) -> list[Place]:
    """For each curve its place, 0 of 1 for one that runs alone."""
    drawn = _drawn(plot)
    groups: dict[int, list[int]] = {}
    for number, one in enumerate(drawn):
        first = next((first for first in groups if _shared(drawn[first], one) >= MOSTLY), number)
        groups.setdefault(first, []).append(number)
    found = {
        number: Place(at, len(group), first, _shared(drawn[first], drawn[number]) == 1)
        for first, group in groups.items()
        for at, number in enumerate(group)
    }
    return [found[number] for number in range(len(drawn))]


_Points = Sequence[tuple[float, float]]


def _shared(one: _Points, other: _Points) -> float:
    """The share of points that lie on those of another curve."""
    near = sum(abs(a[0] - b[0]) <= NEAR >= abs(a[1] - b[1]) for a, b in zip(one, other, strict=False))
    return near / (max(len(one), len(other)) or 1)


def _drawn(plot: Plot) -> list[_Points]:
    """The points of each curve as shares of the axes, which end where the data do."""
    scaled = [list(zip(_scaled(one.x, plot.log_x), _scaled(one.y, plot.log_y), strict=True)) for one in plot.series]
    across, up = (_span([point[axis] for points in scaled for point in points]) for axis in (0, 1))
    return [[(x / across, y / up) for x, y in points] for points in scaled]


def _scaled(values: Sequence[float] | Sequence[str], log: bool) -> list[float]:
    numbers = list(map(float, values))
    return [math.log(one) if one > 0 else math.nan for one in numbers] if log else numbers


def _span(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return (max(finite) - min(finite) if finite else 0.0) or 1.0
