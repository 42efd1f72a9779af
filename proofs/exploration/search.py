"""Breadth-first search over packed states, in machine code: the engine of a compiled exploration.

Every state is kept whole, in order of discovery, which is breadth first; ``parents`` gives each its predecessor. A hash
table of positions finds a state again; two states are the same when all their words are. So nothing is missed by
collision, and a state costs its words, 4 bytes of parent and 4 to 8 bytes of table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from mtpo.proofs.exploration.checkpoint import Checkpoint, Loaded, Standing
from mtpo.proofs.exploration.kernel import (
    COUNT,
    CROWDED,
    FULL,
    KIND,
    REACHED,
    RUNNING,
    STOP,
    TRANSITIONS,
    VIOLATED,
    WIDE,
    Kernel,
)
from mtpo.proofs.exploration.packing import Cells, TooWide, Words
from mtpo.proofs.exploration.rows import Progress

_CHUNK: Final = 1 << 15
_LOAD: Final = 0.6


@attrs.define(eq=False)
class Search:
    """The search of one instance. ``states`` and ``parents`` are valid up to ``count``; ``levels`` are their ends."""

    kernel: Kernel
    states: Words
    parents: npt.NDArray[np.uint32]
    table: npt.NDArray[np.uint32]
    control: npt.NDArray[np.int64]
    taken: npt.NDArray[np.int64]
    out: npt.NDArray[Any]
    done: int = 0
    levels: list[int] = attrs.Factory(list)

    @property
    def count(self) -> int:
        """States found."""
        return int(self.control[COUNT])

    @property
    def bytes_per_state(self) -> float:
        """Memory that the states, their parents and the table take, per state."""
        kept = self.count * (self.states.itemsize * self.states.shape[1] + self.parents.itemsize)
        return float(kept + self.table.nbytes) / max(1, self.count)


def new_search(kernel: Kernel, roots: Cells) -> Search:
    """A search that has found the roots, rows of cells. Raises :class:`TooWide` for an integer beyond its bits."""
    count = len(roots)
    capacity = max(1 << 12, 2 * count)
    words = kernel.packing.words
    control = np.full(REACHED + max(1, len(kernel.goals)), -1, dtype=np.int64)
    control[[COUNT, KIND, TRANSITIONS, STOP]] = 0
    search = Search(
        kernel,
        np.zeros((capacity, words), dtype=np.uint64),
        np.zeros(capacity, dtype=np.uint32),
        _table(capacity),
        control,
        np.zeros(max(1, len(kernel.packing.instance.spec.actions)), dtype=np.int64),
        np.zeros((1 << 10, len(kernel.packing.cells)), dtype=kernel.packing.dtype),
    )
    if kernel.code.seed(
        roots.astype(kernel.packing.dtype),
        search.states,
        search.parents,
        search.table,
        control,
        np.zeros(words, dtype=np.uint64),
    ):
        raise TooWide
    search.levels = [search.count]
    return search


def resumed(kernel: Kernel, loaded: Loaded) -> Search:
    """The search that a checkpoint is of."""
    at, control = loaded.standing, np.full(REACHED + max(1, len(kernel.goals)), -1, dtype=np.int64)
    capacity = max(1 << 12, at.count)
    control[[COUNT, KIND, TRANSITIONS, STOP]] = at.count, 0, at.transitions, RUNNING
    for number, goal in enumerate(kernel.goals):
        if goal in at.reached:
            control[REACHED + number] = 0
    states = np.zeros((capacity, kernel.packing.words), dtype=np.uint64)
    states[: at.count] = loaded.states
    parents = np.zeros(capacity, dtype=np.uint32)
    parents[: at.count] = loaded.parents
    taken = np.zeros(max(1, len(kernel.packing.instance.spec.actions)), dtype=np.int64)
    taken[: len(at.taken)] = at.taken
    out = np.zeros((1 << 10, len(kernel.packing.cells)), dtype=kernel.packing.dtype)
    search = Search(kernel, states, parents, _table(capacity), control, taken, out, at.done, list(at.levels))
    kernel.code.rehash(search.table, states, at.count)
    return search


def save(search: Search, checkpoint: Checkpoint, initial: int) -> None:
    """Save how far the search is."""
    new = slice(checkpoint.saved, search.count)
    standing = Standing(
        initial,
        search.count,
        search.done,
        search.count,
        int(search.control[TRANSITIONS]),
        tuple(search.levels),
        tuple(map(int, search.taken)),
        tuple(goal for n, goal in enumerate(search.kernel.goals) if search.control[REACHED + n] >= 0),
    )
    checkpoint.save(standing, search.states[new], search.parents[new])


def run(search: Search, limit: int, progress: Progress, boundary: Callable[[], None] = lambda: None) -> None:
    """Search on until nothing is left, the limit is passed, or something is violated.

    ``boundary`` is called at the end of each level.
    """
    control = search.control
    scratch = np.zeros(search.states.shape[1], dtype=np.uint64)
    by = np.zeros(len(search.out), dtype=np.int64)
    while search.done < search.count and control[STOP] != VIOLATED and search.count <= limit:
        end = search.levels[-1]
        if search.done == end:
            boundary()
            search.levels.append(search.count)
            end = search.count
        upto = min(end, search.done + _CHUNK)
        control[STOP] = RUNNING
        search.done = search.kernel.code.advance(
            search.done,
            upto,
            search.states,
            search.parents,
            search.table,
            control,
            search.taken,
            search.out,
            by,
            scratch,
        )
        if control[STOP] == FULL:
            _grow(search)
        if control[STOP] == CROWDED:
            search.out = np.zeros((2 * len(search.out), search.out.shape[1]), dtype=search.out.dtype)
            by = np.zeros(len(search.out), dtype=np.int64)
        if control[STOP] == WIDE:
            return
        progress(search.count, search.count - search.done)


def _table(capacity: int) -> npt.NDArray[np.uint32]:
    size = 1 << (int(capacity / _LOAD) - 1).bit_length()
    return np.zeros(size, dtype=np.uint32)


def _grow(search: Search) -> None:
    """Twice the room; the table is made anew once it would be too full."""
    capacity = 2 * len(search.states)
    states = np.zeros((capacity, search.states.shape[1]), dtype=np.uint64)
    states[: search.count] = search.states[: search.count]
    parents = np.zeros(capacity, dtype=np.uint32)
    parents[: search.count] = search.parents[: search.count]
    search.states, search.parents = states, parents
    if len(search.table) * _LOAD < capacity:
        search.table = _table(capacity)
        search.kernel.code.rehash(search.table, states, search.count)
