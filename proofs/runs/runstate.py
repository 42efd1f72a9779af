"""What a run's log says so far: calls, agents, and the trajectory of every object. Used by the checker only."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from typing import Literal

import attrs

from mtpo.proofs.runs.runform import Key

Phase = Literal[
    "read",
    "called",
    "executing",
    "live",
    "undoing",
    "undone",
    "redoing",
    "failed",
    "cancelled",
    "stranded",
    "retracted",
]
"""Where a call stands. Those in ``AT_REST`` are where it may end."""

AT_REST: frozenset[Phase] = frozenset({"read", "live", "failed", "cancelled", "stranded", "retracted"})

OUT: tuple[Phase, ...] = ("failed", "cancelled", "stranded", "retracted")
"""Out of the trajectory for good. Its author still goes by what such a call saw (F8, F33)."""

Version = tuple[Key | None, str]
"""A value of an object: the write that left it (None: the initial value) and its digest."""


@attrs.define
class Operation:
    """A read or a write call. ``saw`` is what it last read by its record; ``held`` the digests that its author has read
    or was told since; ``told`` what it was told of an object and has not read yet, with the last notification that says
    so; ``out`` what it left on each object it writes."""

    key: Key
    tool: str
    seq: int
    phase: Phase
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    invertible: bool = True
    prepared: bool = False
    saw: dict[str, Version] = attrs.Factory(dict)
    held: dict[str, str] = attrs.Factory(dict)
    told: dict[str, tuple[int, str]] = attrs.Factory(dict)
    out: dict[str, str] = attrs.Factory(dict)


@attrs.define
class Agent:
    """An agent. ``inbox`` unread notification ids in order; ``owed`` own calls it must be told of, with the status;
    ``outcomes`` those it was told of and has not read yet, with the last notification that says so, and the status;
    ``steps`` the engine step with which its last inference ended."""

    rank: int
    name: str
    issued: int = 0
    steps: int = 0
    finished: bool = False
    committed: bool = False
    aborted: bool = False
    inbox: list[int] = attrs.Factory(list)
    delivered: set[int] = attrs.Factory(set)
    judged: set[int] = attrs.Factory(set)
    owed: dict[Key, str] = attrs.Factory(dict)
    outcomes: dict[Key, tuple[int, str]] = attrs.Factory(dict)


@attrs.define
class Repair:
    """A call under way, with the calls it has to undo and the objects that are locked meanwhile: all that it and they
    touch. ``landed``: it was applied, has failed, or (``retracting``) is out. ``stale``: the calls that its settle
    names, whose authors are told; ``told``: the ranks that were."""

    acting: Key
    members: frozenset[Key]
    locks: frozenset[str]
    retracting: bool = False
    undone: set[Key] = attrs.Factory(set)
    landed: bool = False
    stale: frozenset[Key] = frozenset()
    told: set[int] = attrs.Factory(set)


@attrs.define
class Trajectories:
    """The live writes on every object, twice: in the order in which they took effect, and in the serial order.

    ``initial`` digests at the start; ``absent`` the digest of an object that is not there; ``readers`` the calls that
    saw an object, in serial order.
    """

    initial: Mapping[str, str]
    absent: str
    operations: dict[Key, Operation] = attrs.Factory(dict)
    physical: dict[str, list[Key]] = attrs.Factory(dict)
    ordered: dict[str, list[Key]] = attrs.Factory(dict)
    readers: dict[str, list[Key]] = attrs.Factory(dict)

    def start(self, o: str) -> Version:
        """The initial value."""
        return None, self.initial.get(o, self.absent)

    def version(self, key: Key | None, o: str) -> Version:
        """The value that a write left on an object."""
        if key is None:
            return self.start(o)
        return key, self.operations[key].out.get(o, self.absent)

    def below(self, key: Key, o: str) -> Version:
        """The value at a call's position: that of the greatest live write below it."""
        writes = self.ordered.get(o, [])
        place = bisect_left(writes, key)
        return self.version(writes[place - 1] if place else None, o)

    def top(self, o: str) -> Version:
        """The value that the object holds: that of the write which took effect last and is live."""
        writes = self.physical.get(o)
        return self.version(writes[-1] if writes else None, o)

    def above(self, key: Key, o: str) -> Key | None:
        """The greatest live write on an object if it is above a call, else None."""
        writes = self.ordered.get(o)
        return writes[-1] if writes and writes[-1] > key else None

    def sees(self, operation: Operation) -> None:
        """A call saw what it now holds."""
        for o in operation.held:
            row = self.readers.setdefault(o, [])
            place = bisect_left(row, operation.key)
            if place == len(row) or row[place] != operation.key:
                row.insert(place, operation.key)

    def readers_above(self, key: Key, o: str) -> list[Key]:
        """The calls above a call that saw an object."""
        row = self.readers.get(o, [])
        return row[bisect_right(row, key) :]

    def push(self, key: Key) -> None:
        """A write takes effect on every object it writes."""
        for o in self.operations[key].writes:
            self.physical.setdefault(o, []).append(key)
            insort(self.ordered.setdefault(o, []), key)

    def drop(self, key: Key) -> list[str]:
        """A write is taken back; the objects on which it was not on top."""
        buried = []
        for o in sorted(self.operations[key].writes):
            writes = self.physical.get(o, [])
            if writes and writes[-1] == key:
                writes.pop()
            elif key in writes:
                buried.append(o)
                writes.remove(key)
            if key in self.ordered.get(o, ()):
                self.ordered[o].remove(key)
        return buried
