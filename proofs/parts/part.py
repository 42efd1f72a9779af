"""One part of an exploration: what is reached from some of the first states.

Processes that explore parts at the same time share two numbers: how many states all of them have found, so that a limit
counts over all parts, and how long the shortest violating run is, so that no part is explored further than a run of
that length may hide. Each process writes into cells of its own: there is no lock that a process could be killed with.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence
from typing import Final, Literal

import attrs

from mtpo.proofs.columns.arrays import Numpy
from mtpo.proofs.columns.batches import Batches, Wide, advance, new_batches, run
from mtpo.proofs.columns.columnar import _found
from mtpo.proofs.columns.columns import Columns, columns_of
from mtpo.proofs.exploration.explore import Found, search_plainly
from mtpo.proofs.exploration.packing import Packing
from mtpo.proofs.exploration.rows import integers, layout, roots_of, successors
from mtpo.proofs.exploration.symmetry import Symmetry
from mtpo.proofs.parts.partition import Part
from mtpo.proofs.verdicts import Picture
from mtpo.spec.concrete import Instance, InstanceError, State

PartEngine = Literal["python", "numpy"]

NONE: Final = sys.maxsize
"""Steps of a violating run when there is none."""


class Shared:
    """What processes share: ``states`` found by all, and the steps of the ``shortest`` violating run, or NONE.

    There are cells for so many ``processes``, and for this one: only one process at a time writes into each.
    """

    def __init__(self, processes: int = 0) -> None:
        self._states = multiprocessing.RawArray("q", 1 + processes)
        self._shortest = multiprocessing.RawArray("q", [NONE] * (1 + processes))
        self._own = 0

    def write_into(self, cell: int) -> None:
        """From now on this process has that cell."""
        self._own = cell

    @property
    def states(self) -> int:
        """States found so far, in all parts."""
        return int(sum(self._states))

    def count(self, more: int) -> None:
        """So many more states were found."""
        self._states[self._own] += more

    @property
    def shortest(self) -> int:
        """Steps of the shortest violating run so far."""
        return int(min(self._shortest))

    def violated(self, steps: int) -> None:
        """There is a violating run of so many steps."""
        self._shortest[self._own] = min(steps, self._shortest[self._own])


@attrs.frozen
class Outcome:
    """What came of a part. ``run`` is a shortest one that violates something; its trace is not in ``found``, since a
    process can't send a spec. ``looked``: all runs of at most so many steps were looked at; -1, not even all
    first states. ``heavy``: the part was
    given up, since it has more states than a part may have. ``error``: why the engine can't go on from there."""

    found: Found
    looked: int
    run: Picture | None = None
    heavy: bool = False
    error: str = ""


@attrs.define(eq=False)
class Explorer:
    """Explores parts of an instance, one after another. ``limit``: states, of all parts; ``each``: of one part.

    A part of several groups with more than ``ceiling`` states is given up.
    """

    instance: Instance
    engine: PartEngine
    symmetry: Symmetry | None
    shared: Shared
    limit: int = NONE
    each: int = NONE
    ceiling: int = NONE
    _programs: dict[tuple[int, bool], Columns] = attrs.field(factory=dict, init=False)
    _seen: list[int] = attrs.field(factory=list, init=False)
    """The least and the greatest integer that states were seen to have."""
    _told: int = attrs.field(default=0, init=False)
    """States of this part that the others know of."""
    _looked: int = attrs.field(default=0, init=False)
    _error: str = attrs.field(default="", init=False)

    def explore(self, part: Part) -> Outcome:
        """Every state of a part, up to a limit or a violation; no further than the shortest violating run."""
        self._told, self._looked, self._error = 0, -1, ""
        divisible = len(part.groups) > 1
        found = self._plain(part.roots, divisible) if self.engine == "python" else self._columns(part.roots, divisible)
        self._tell(found.states)
        if found.violated is not None:
            steps = len(found.violated.steps)
            self.shared.violated(steps)
            return Outcome(attrs.evolve(found, violated=None), steps, Picture.of(found.violated))
        if self._error:
            return Outcome(attrs.evolve(found, complete=False), self._looked, error=self._error)
        heavy = divisible and found.states > self.ceiling and not found.complete
        if heavy:
            self.shared.count(-found.states)
        return Outcome(found, NONE if found.complete else self._looked, heavy=heavy)

    def adopt(self, other: Explorer) -> None:
        """Know the programs that another explorer of the instance has made."""
        self._programs |= other._programs
        self._note(other._seen)

    def program(self, bits: int, signed: bool) -> Columns:
        """The program for states with integers of so many bits, made once."""
        if (bits, signed) not in self._programs:
            self._programs[bits, signed] = columns_of(Packing(self.instance, bits, signed), self.symmetry)
        return self._programs[bits, signed]

    def _tell(self, states: int) -> None:
        self.shared.count(states - self._told)
        self._told = states

    def _over(self, states: int, divisible: bool) -> bool:
        """Whether so many states of a part are enough."""
        return self.shared.states > self.limit or states > (min(self.each, self.ceiling) if divisible else self.each)

    def _plain(self, roots: Sequence[State], divisible: bool) -> Found:
        left = max(0, self.limit - self.shared.states)
        most = min(left, self.each, self.ceiling if divisible else NONE)

        def enough(depth: int) -> bool:
            self._looked = depth
            return depth >= self.shared.shortest or self._over(self._told, divisible)

        return search_plainly(self.instance, roots, most, lambda states, left: self._tell(states), enough)

    def _columns(self, roots: Sequence[State], divisible: bool) -> Found:
        table = roots_of(self.instance, roots, NONE, lambda states, left: None).table
        self._note(integers(self.instance, table))
        while True:
            bits, signed = layout(self.instance, self._seen)
            columns = self.program(bits, signed)
            search = new_batches(columns, Numpy(), columns.packing.pack(table))
            initial = search.count
            try:
                self._run(search, divisible)
            except Wide as wide:
                try:
                    self._widen(search, wide)
                except InstanceError as error:
                    self._error = str(error)
                    run(search, 0, lambda states, left: None)  # what was found is looked at
                else:
                    continue
            return _found(self.instance, search, self.symmetry, initial)

    def _run(self, search: Batches, divisible: bool) -> None:
        while search.bad is None and search.done < search.count:
            between = search.done == search.levels[-1]
            self._looked = len(search.levels) - (0 if between else 1)  # once the states found last are looked at
            if self._looked >= self.shared.shortest or self._over(search.count, divisible):
                break
            advance(search)
            self._tell(search.count)
        run(search, 0, lambda states, left: None)

    def _note(self, found: list[int]) -> None:
        seen = [*self._seen, *found]
        self._seen = [min(seen), max(seen)] if seen else []

    def _widen(self, search: Batches, wide: Wide) -> None:
        """Take note of the integers that had no room; not of those for which there is none."""
        known, before = self._seen, layout(self.instance, self._seen)
        (cells,) = search.columns.packing.unpack(search.kept([wide.position]))
        row = self.instance.freeze([int(v) for v in cells])
        self._note(integers(self.instance, [after for _, after in successors(self.instance, row)]))
        try:
            after = layout(self.instance, self._seen)
        except InstanceError:
            self._seen = known
            raise
        if after == before:
            raise InstanceError(
                f"{self.instance.spec.name}: the generated program finds an integer of more than {before[0]} bits that "
                "the spec does not have; that is a mistake in mtpo, please report it; explore with --engine python"
            )
