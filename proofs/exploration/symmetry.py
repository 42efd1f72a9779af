"""Symmetry: renamings of elements that a spec can't tell apart.

The elements of an unordered sort have no structure but equality: no term of the language can name one of them, except
through a constant. So a renaming that leaves the fixed constants as they are maps steps to steps and keeps every
property, and of the states that differ by a renaming one is enough: the least. Open constants are part of the state and
are renamed with it.
"""

from __future__ import annotations

import itertools
import math
from typing import Final

import attrs
import numpy as np
import numpy.typing as npt

from mtpo.spec.concrete import Instance, InstanceError
from mtpo.spec.language import Bool, Function, Int, Sort, Term

MAX_GROUP: Final = 5040
"""More renamings than this are refused: trying all of them at each state would cost more than it saves."""

Renaming = dict[type[Sort], tuple[int, ...]]


@attrs.frozen(eq=False)
class Symmetry:
    """The renamings of an instance, the identity first.

    ``place`` (renamings, cells) is where each cell of a row goes; ``relabel`` (renamings, sorts, elements) what becomes
    of a value, by the ``sort`` (cells) of the cell, -1 where values stay as they are.
    """

    renamings: tuple[Renaming, ...]
    place: npt.NDArray[np.int32]
    relabel: npt.NDArray[np.int32]
    sort: npt.NDArray[np.int32]

    def canonical(self, row: tuple[int, ...]) -> tuple[int, ...]:
        """A representative of the states that differ from this one by a renaming: the least row."""
        return min(self.images(row))

    def images(self, row: tuple[int, ...]) -> set[tuple[int, ...]]:
        """The states that differ from this one by a renaming."""
        found = set()
        for number in range(len(self.renamings)):
            image = [0] * len(row)
            for cell, value in enumerate(row):
                kind = self.sort[cell]
                image[self.place[number, cell]] = value if kind < 0 else int(self.relabel[number, kind, value])
            found.add(tuple(image))
        return found


def symmetry_of(instance: Instance) -> Symmetry:
    """Every renaming of unordered sorts that leaves the fixed constants as they are."""
    sorts = [s for s in instance.spec.sorts if not s.ordered]
    size = math.prod(math.factorial(instance.size(s)) for s in sorts)
    if size > MAX_GROUP:
        raise InstanceError(
            f"{instance.spec.name}: {size:,} renamings, at most {MAX_GROUP:,}; choose smaller sizes or no symmetry"
        )
    choices = itertools.product(*(itertools.permutations(range(instance.size(s))) for s in sorts))
    renamings = [r for r in (dict(zip(sorts, choice, strict=True)) for choice in choices) if _keeps(instance, r)]
    held = (*(instance.spec.constants[name] for name in instance.open), *instance.spec.variables.values())
    width, largest = instance.width, max([2, *(instance.size(s) for s in sorts)])
    place = np.zeros((len(renamings), width), dtype=np.int32)
    relabel = np.tile(np.arange(largest, dtype=np.int32), (len(renamings), max(1, len(sorts)), 1))
    sort = np.full(width, -1, dtype=np.int32)
    for symbol in held:
        offset = instance.offsets[symbol.name]
        for position, point in enumerate(instance.points(symbol)):
            if symbol.range in sorts:
                sort[offset + position] = sorts.index(symbol.range)
            for number, renaming in enumerate(renamings):
                place[number, offset + position] = offset + instance.index(symbol, _renamed(symbol, point, renaming))
    for number, renaming in enumerate(renamings):
        for kind, one in enumerate(sorts):
            relabel[number, kind, : instance.size(one)] = renaming[one]
    return Symmetry(tuple(renamings), place, relabel, sort)


def _keeps(instance: Instance, renaming: Renaming) -> bool:
    for name, table in instance.constants.items():
        symbol = instance.spec.constants[name]
        for position, point in enumerate(instance.points(symbol)):
            image = table[instance.index(symbol, _renamed(symbol, point, renaming))]
            if image != _value(symbol.range, table[position], renaming):
                return False
    return True


def _renamed(symbol: Function[Term], point: tuple[int, ...], renaming: Renaming) -> tuple[int, ...]:
    return tuple(_value(sort, arg, renaming) for sort, arg in zip(symbol.domain, point, strict=True))


def _value(sort: type[Term], value: int, renaming: Renaming) -> int:
    if sort in (Bool, Int) or sort not in renaming:
        return value
    return renaming[sort][value]
