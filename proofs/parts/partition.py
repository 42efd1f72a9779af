"""First states cut into parts whose explorations share no state.

No step changes an open constant. So states with different constants never meet, and what is reached from first states
with one choice of constants can be explored apart from the rest. With symmetry one state stands for its renamings, and
a renaming may lead from one choice of constants to another: choices that differ by a renaming count as one here, which
makes the parts closed under renaming.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence

import attrs

from mtpo.proofs.exploration.instances import Roots
from mtpo.proofs.exploration.symmetry import Symmetry
from mtpo.spec.concrete import Instance, State

Group = tuple[State, ...]
"""First states with the same constants."""


class Apart(ValueError):
    """First states with the same constants came one by one, with others between them; the message says what to do."""


@attrs.frozen
class Part:
    """Some groups of first states, those from place ``start`` on among all."""

    start: int
    groups: tuple[Group, ...]

    @property
    def stop(self) -> int:
        """The place after the last group."""
        return self.start + len(self.groups)

    @property
    def roots(self) -> list[State]:
        """The first states, each once."""
        return [state for group in self.groups for state in group]

    def halves(self) -> tuple[Part, Part]:
        """Two parts with the same first states. There must be two groups."""
        middle = len(self.groups) // 2
        return Part(self.start, self.groups[:middle]), Part(self.start + middle, self.groups[middle:])

    def digest(self) -> str:
        """SHA-256 of the first states."""
        return hashlib.sha256(repr(self.groups).encode()).hexdigest()


class Partition:
    """The first states of an instance, taken part by part; those of :class:`Roots` are made as they are taken."""

    def __init__(self, instance: Instance, initial: Iterable[State], symmetry: Symmetry | None = None) -> None:
        self._groups = _groups(instance, initial, symmetry)
        self._next = next(self._groups, None)
        self.taken = 0
        """Groups that were taken."""

    @property
    def over(self) -> bool:
        """Whether all were taken."""
        return self._next is None

    def take(self, count: int) -> Part | None:
        """The next groups, at most so many; None when there are no more."""
        start, found = self.taken, list[Group]()
        while len(found) < count and self._next is not None:
            found.append(self._next)
            self._next = next(self._groups, None)
        self.taken += len(found)
        return Part(start, tuple(found)) if found else None


def shares(groups: Sequence[Group], count: int) -> list[Part]:
    """Groups cut into so many parts, or into one for each group, that are as large as each other."""
    count = min(count, len(groups))
    ends = [len(groups) * number // count for number in range(count + 1)]
    return [Part(start, tuple(groups[start:stop])) for start, stop in itertools.pairwise(ends)]


def rigid(instance: Instance) -> int:
    """How many cells of a state, the first ones, are open constants."""
    return sum(instance.cells(instance.spec.constants[name]) for name in instance.open)


def _groups(instance: Instance, initial: Iterable[State], symmetry: Symmetry | None) -> Iterator[Group]:
    cells = rigid(instance)
    rows = (root if symmetry is None else instance.freeze(symmetry.canonical(tuple(root))) for root in initial)
    if cells and isinstance(initial, Roots):
        yield from _one_by_one(instance, rows, cells)
        return
    held: dict[State, dict[State, None]] = {}
    for row in rows:
        held.setdefault(row[:cells], {})[row] = None
    yield from (tuple(group) for group in held.values())


def _one_by_one(instance: Instance, rows: Iterable[State], cells: int) -> Iterator[Group]:
    """A group for each state: where nothing but the constants is chosen, no two have the same ones. That is checked."""
    seen: dict[State, State] = {}
    rests: dict[State, State] = {}
    for row in rows:
        constants, rest = row[:cells], rests.setdefault(row[cells:], row[cells:])
        if constants not in seen:
            seen[constants] = rest
            yield (row,)
        elif seen[constants] is not rest:
            raise Apart(f"{instance.spec.name}: several first states have the same constants: give them as one list")
