"""Constants of which more is known than their values: programs that take steps are made for it.

A relation that holds of few elements is asked quickest by rows: nothing is to be built from it, and what is said of one
element is in one place. Where a function never falls, searches need not look for where it would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

_WIDE: Final = 16
"""Elements in a row from which on looking at one after the other takes longer than hashing."""


@attrs.frozen(eq=False)
class Rows:
    """A relation: for each first argument, the second ones for which it holds, in order, none twice (:func:`row`)."""

    rows: Sequence[Sequence[int]]

    def __bool__(self) -> bool:
        """Whether it holds of anything."""
        return any(self.rows)


@attrs.frozen(eq=False)
class Rising:
    """A function of one argument that never falls: its values, in the order of the elements."""

    values: Sequence[int]


def row(elements: Iterable[int]) -> Sequence[int]:
    """Elements in order, each once, in which one is found quickly however many there are."""
    found = [*elements]
    if len(found) > 1:
        found = sorted({*found})
    return tuple(found) if len(found) < _WIDE else _Wide(found)


class _Wide(tuple[int, ...]):
    """A long row."""

    def __init__(self, elements: Iterable[int]) -> None:
        self._elements = frozenset(elements)

    def __contains__(self, element: object) -> bool:
        return element in self._elements


def pairs(firsts: Iterable[int], rows: Iterable[Iterable[int]]) -> Iterator[tuple[int, int]]:
    """What a relation holds of, by its first arguments and their rows."""
    return ((first, second) for first, row in zip(firsts, rows, strict=True) for second in row)
