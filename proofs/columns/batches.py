"""Breadth-first search in batches: every operation is on whole arrays of states, on the processor or a GPU.

Kept is what :mod:`mtpo.proofs.exploration.search` keeps: every state whole, in order of discovery, its parent, and a
hash table of positions. A batch of successors is looked up at once: each goes to its slot; where that is empty it
claims it, and the first of those that claim it stays; who finds another state there, all words being compared, goes on
to the next slot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from mtpo.proofs.columns.arrays import Arrays
from mtpo.proofs.columns.columns import Columns, transpose
from mtpo.proofs.exploration.checkpoint import Checkpoint, Loaded, Standing
from mtpo.proofs.exploration.packing import WORD, Words
from mtpo.proofs.exploration.rows import Progress
from mtpo.spec.concrete import InstanceError

LOAD: Final = 0.6
MOST: Final = (1 << 31) - (1 << 28)
"""States whose positions, and those of a batch, fit 32 bits."""

_FACTOR: Final = 0xFF51AFD7ED558CCD - (1 << 64)
_START: Final = 0x9E3779B97F4A7C15 - (1 << 64)
_HALF: Final = 0xFFFFFFFF


class Wide(Exception):
    """A successor of the state at ``position`` has an integer that has no room in its cell."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


@attrs.define(eq=False)
class Batches:
    """The search of one instance. ``states`` (capacity, words), ``parents`` and ``levels`` as in a :class:`Search`.

    ``looked`` of the states have been looked at. ``bad`` is the position of a state that violates something, or from
    which a step does (``step``).
    """

    columns: Columns
    arrays: Arrays
    states: Any
    parents: Any
    table: Any
    taken: npt.NDArray[np.int64]
    lanes: int
    count: int = 0
    done: int = 0
    looked: int = 0
    transitions: int = 0
    levels: list[int] = attrs.Factory(list)
    reached: set[str] = attrs.Factory(set)
    bad: int | None = None
    step: bool = False

    @property
    def bytes_per_state(self) -> float:
        """Memory that the states, their parents and the table take, per state."""
        kept = self.count * (8 * self.columns.packing.words + 4)
        return float(kept + 4 * self.table.shape[0]) / max(1, self.count)

    def kept(self, positions: list[int]) -> Words:
        """The words of the states at positions, and of none else, as NumPy's."""
        found = self.states[self.arrays.given(np.array(positions, dtype=np.int64))]
        return self.arrays.host(found).view(np.uint64)


def new_batches(columns: Columns, arrays: Arrays, roots: Words, lanes: int | None = None) -> Batches:
    """A search that has found the roots, rows of words, but has not looked at them."""
    words, capacity = columns.packing.words, 1 << 10
    search = Batches(
        columns,
        arrays,
        arrays.zeros((capacity, words), "int64"),
        arrays.zeros((capacity,), "int32"),
        arrays.zeros((capacity,), "int32"),
        np.zeros(max(1, len(columns.packing.instance.spec.actions)), dtype=np.int64),
        lanes or arrays.lanes,
    )
    for start in range(0, len(roots), search.lanes):
        part = arrays.given(roots[start : start + search.lanes].view(np.int64))
        if columns.canonical is not None:
            part = _rows(_canonical(search, _planes(search, part)), part.shape[0])
        keep(search, part, None)
    search.levels = [search.count]
    return search


def resumed(columns: Columns, arrays: Arrays, loaded: Loaded, lanes: int | None = None) -> Batches:
    """The search that a checkpoint is of."""
    search = new_batches(columns, arrays, loaded.states[:0], lanes)
    at = loaded.standing
    _room(search, at.count)
    for start in range(0, at.count, search.lanes):
        stop = min(at.count, start + search.lanes)
        search.states[start:stop] = arrays.given(loaded.states[start:stop].view(np.int64))
        search.parents[start:stop] = arrays.given(loaded.parents[start:stop].view(np.int32))
    search.count, search.done, search.looked = at.count, at.done, at.looked
    search.transitions, search.levels, search.reached = at.transitions, list(at.levels), set(at.reached)
    search.taken[: len(at.taken)] = at.taken
    rehash(search)
    return search


def save(search: Batches, checkpoint: Checkpoint, initial: int) -> None:
    """Save how far the search is."""
    new = slice(checkpoint.saved, search.count)
    standing = Standing(
        initial,
        search.count,
        search.done,
        search.looked,
        search.transitions,
        tuple(search.levels),
        tuple(map(int, search.taken)),
        tuple(sorted(search.reached)),
    )
    states = search.arrays.host(search.states[new]).view(np.uint64)
    checkpoint.save(standing, states, search.arrays.host(search.parents[new]).view(np.uint32))


def run(search: Batches, limit: int, progress: Progress, boundary: Callable[[], None] = lambda: None) -> None:
    """Search on until nothing is left, the limit is passed, or something is violated. Raises :class:`Wide`.

    ``boundary`` is called at the end of each level.
    """
    while search.bad is None and search.count <= limit and search.done < search.count:
        if search.done == search.levels[-1]:
            boundary()
        advance(search)
        progress(search.count, search.count - search.done)
    while search.bad is None and search.looked < search.count:
        _look(search, search.looked, min(search.count, search.looked + search.lanes))


def advance(search: Batches) -> None:
    """Expand one batch of states of a level."""
    if search.done == search.levels[-1]:
        search.levels.append(search.count)
    lo, hi = search.done, min(search.levels[-1], search.done + search.lanes)
    planes = _planes(search, search.states[lo:hi])
    _look(search, lo, hi, planes)
    if search.bad is not None:
        return
    lane, by = _enabled(search, planes, hi - lo)
    pieces = _pieces(by, 2 * search.lanes)
    for start, stop, counts in pieces:
        _expand(search, planes, lo, lane[start:stop], counts)
        if search.bad is not None:
            break
    if search.bad is not None:  # a state of this level that violates something ends a shorter run
        while search.step and search.looked < search.levels[-1]:
            _look(search, search.looked, min(search.levels[-1], search.looked + search.lanes))
        return
    search.done = hi


def _planes(search: Batches, rows: Any) -> Any:
    """States, rows of words, as planes; those beyond them are zeros."""
    count, words = rows.shape
    length = -(-count // WORD)
    block = search.arrays.zeros((words, WORD * length), "int64")
    for word in range(words):
        block[word, :count] = rows[:, word]
    return transpose(block.reshape(words, WORD, length)).reshape(words * WORD, length)


def _rows(planes: Any, count: int) -> Any:
    """The first states of planes, as rows of words; the planes are no planes any more."""
    length = planes.shape[1]
    return transpose(planes.reshape(-1, WORD, length)).reshape(-1, WORD * length)[:, :count].T


def _canonical(search: Batches, t: Any) -> Any:
    """Planes of the representatives of states."""
    if search.columns.canonical is None:
        return t
    out = t + 0
    search.columns.canonical(t, out)
    return out


def _valid(search: Batches, count: int, length: int) -> Any:
    """One plane: the first states of a block are real."""
    lanes = (np.arange(WORD * length) < count).reshape(WORD, length)
    bits = lanes.astype(np.uint64) << np.arange(WORD, dtype=np.uint64)[:, None]
    return search.arrays.given(np.bitwise_or.reduce(bits, axis=0).view(np.int64))


def _look(search: Batches, lo: int, hi: int, planes: Any = None) -> None:
    """Whether every invariant holds of the states from lo to hi, and which goals are reached."""
    if hi <= search.looked:
        return
    planes = _planes(search, search.states[lo:hi]) if planes is None else planes
    length, goals = planes.shape[1], search.columns.goals
    out = search.arrays.zeros((1 + len(goals), length), "int64")
    search.columns.holds(planes, out)
    valid = _valid(search, hi - lo, length)
    out[0] = ~out[0]
    out &= valid
    for row, goal in enumerate(goals, 1):
        if goal not in search.reached and bool((out[row] != 0).any()):
            search.reached.add(goal)
    lane = _first(search, out[0])
    if lane is not None:
        search.bad, search.step = lo + lane, False
    search.looked = hi


def _first(search: Batches, plane: Any) -> int | None:
    """A state for which a plane is set, or None."""
    words = search.arrays.where(plane != 0)
    if not words.shape[0]:
        return None
    column = int(words[0])
    word = int(plane[column]) & ((1 << 64) - 1)
    bit = (word & -word).bit_length() - 1
    return bit * int(plane.shape[0]) + column


def _enabled(search: Batches, planes: Any, count: int) -> tuple[Any, npt.NDArray[np.int64]]:
    """For each step that may be taken its state, step by step; and how many there are of each step."""
    arrays, moves = search.arrays, len(search.columns.moves)
    length = planes.shape[1]
    out = arrays.zeros((moves, length), "int64")
    search.columns.guards(planes, out)
    if count < WORD * length:
        out &= _valid(search, count, length)
    flat = out.reshape(-1)
    words = arrays.where(flat != 0)
    octets = arrays.bytes_of(flat[words])
    some = arrays.where(octets != 0)
    bits = arrays.bits_of(octets[some])
    octet = some[bits >> 3]
    word = words[octet >> 3]
    bit = ((octet & 7) << 3) | (bits & 7)
    by = word // length
    return bit * length + (word - by * length), arrays.counts(by, moves)


def _pieces(by: npt.NDArray[np.int64], most: int) -> list[tuple[int, int, npt.NDArray[np.int64]]]:
    """The steps cut into pieces of at most ``most``: where each begins and ends, and how many of each step it has."""
    ends = np.cumsum(by)
    found: list[tuple[int, int, npt.NDArray[np.int64]]] = []
    for start in range(0, int(ends[-1]) if len(ends) else 0, most):
        stop = min(int(ends[-1]), start + most)
        upto = np.clip(ends, start, stop)
        counts = upto.copy()
        counts[1:] -= upto[:-1]
        counts[0] -= start
        found.append((start, stop, counts))
    return found


def _expand(search: Batches, planes: Any, base: int, lane: Any, by: npt.NDArray[np.int64]) -> None:
    """Take steps: ``lane`` their states in the block that begins at ``base``, ``by`` how many of each step."""
    arrays, columns = search.arrays, search.columns
    words, total = columns.packing.words, lane.shape[0]
    lengths = -(-by // WORD)
    starts = np.cumsum(lengths) - lengths
    length = int(lengths.sum())
    # the i-th of all is the j-th of its step: word `starts + j // 64`, bit `j % 64`
    shift = arrays.given(np.repeat(WORD * starts - (np.cumsum(by) - by), by))
    slot = shift + arrays.arange(total)
    place = (slot & (WORD - 1)) * length + (slot >> 6)
    source = arrays.rows(search.states, base + lane)
    before = arrays.zeros((words, WORD * length), "int64")
    for word in range(words):
        before[word, place] = source[:, word]
    s = transpose(before.reshape(words, WORD, length)).reshape(words * WORD, length)
    t = s + 0
    fits = arrays.zeros((1, length), "int64")
    fits -= 1
    columns.steps(s, t, fits, lengths)
    valid = arrays.given(_filled(by, lengths, starts, length))
    lost = _first(search, ~fits[0] & valid)
    if lost is not None:
        raise Wide(base + int(lane[arrays.where(place == lost)[0]]))
    allowed = arrays.zeros((1, length), "int64")
    columns.allows(s, t, allowed)
    wrong = _first(search, ~allowed[0] & valid)
    after = transpose(_canonical(search, t).reshape(words, WORD, length)).reshape(words, WORD * length)
    found = source
    for word in range(words):
        found[:, word] = after[word, place]
    keep(search, found, base + lane)
    search.transitions += total
    moves = columns.moves
    np.add.at(search.taken, [moves[n].number for n in range(len(moves))], by)
    if wrong is not None:
        search.bad, search.step = base + int(lane[arrays.where(place == wrong)[0]]), True


def _filled(
    by: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], length: int
) -> npt.NDArray[np.int64]:
    """One plane: of each step the first states are real, as many as there are."""
    valid = np.full(length, -1, dtype=np.int64)
    rest = by % WORD
    part = np.flatnonzero(rest)
    valid[starts[part] + lengths[part] - 1] = (np.int64(1) << rest[part]) - 1
    return valid


# -- states that were found ----------------------------------------------------------------------------------------


def keep(search: Batches, found: Any, parents: Any | None) -> None:
    """Keep those of the states, rows of words, that are new, each once; ``parents`` are positions, None for roots."""
    arrays, base, total = search.arrays, search.count, found.shape[0]
    _room(search, base + total)
    table, states, mask = search.table, search.states, search.table.shape[0] - 1
    states[base : base + total] = found
    at = _hashes(found) & mask
    taken = arrays.zeros((total,), "int64")
    taken -= 1
    who = arrays.arange(total)
    while who.shape[0]:
        there = table[at]
        empty = arrays.where(there == 0)
        if empty.shape[0]:
            slots = at[empty]
            arrays.claim(table, slots, arrays.narrow(who[empty] + (base + 1)))
            there[empty] = table[slots]
        own = there == who + (base + 1)
        won = arrays.where(own)
        taken[who[won]] = at[won]
        lost = arrays.where(~own)
        who, at = who[lost], at[lost]
        other, this = arrays.rows(states, arrays.wide(there[lost]) - 1), arrays.rows(found, who)
        rest = arrays.where(_unlike(other, this))
        who, at = who[rest], (at[rest] + 1) & mask
    new = arrays.where(taken >= 0)
    count = new.shape[0]
    states[base : base + count] = arrays.rows(found, new)
    positions = arrays.arange(count) + base
    search.parents[base : base + count] = arrays.narrow(positions if parents is None else parents[new])
    table[taken[new]] = arrays.narrow(positions + 1)
    search.count = base + count


def _unlike(a: Any, b: Any) -> Any:
    """Which rows differ; word by word, since a reduction of short rows is slow."""
    found = a[:, 0] != b[:, 0]
    for word in range(1, a.shape[1]):
        found |= a[:, word] != b[:, word]
    return found


def _hashes(rows: Any) -> Any:
    """A number for each row of words, all of whose bits count."""
    found = rows[:, 0] ^ _START
    for word in range(rows.shape[1]):
        if word:
            found = found ^ rows[:, word]
        found = found * _FACTOR
        found = found ^ ((found >> 32) & _HALF)
    return found


def _room(search: Batches, wanted: int) -> None:
    """Room for so many states, and a table that is not too full then."""
    arrays = search.arrays
    if wanted > MOST:
        raise InstanceError(f"more than {MOST:,} states at once: choose smaller sizes or a lower --limit")
    have = search.states.shape[0]
    if wanted > have:
        capacity = max(2 * have, wanted)
        states = arrays.zeros((capacity, search.states.shape[1]), "int64")
        states[: search.count] = search.states[: search.count]
        search.states = states
        parents = arrays.zeros((capacity,), "int32")
        parents[: search.count] = search.parents[: search.count]
        search.parents = parents
    size = search.table.shape[0]
    if size * LOAD < wanted:
        while size * LOAD < wanted:
            size *= 2
        search.table = arrays.zeros((size,), "int32")
        rehash(search)


def rehash(search: Batches) -> None:
    """Fill an empty table with the states that were found: all differ, so none is compared."""
    arrays, table, mask = search.arrays, search.table, search.table.shape[0] - 1
    for start in range(0, search.count, search.lanes):
        stop = min(search.count, start + search.lanes)
        at = _hashes(search.states[start:stop]) & mask
        who = arrays.arange(stop - start) + (start + 1)
        while who.shape[0]:
            empty = arrays.where(table[at] == 0)
            if empty.shape[0]:
                arrays.claim(table, at[empty], arrays.narrow(who[empty]))
            rest = arrays.where(table[at] != who)
            who, at = who[rest], (at[rest] + 1) & mask
