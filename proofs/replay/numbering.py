"""What a log names, as elements of the spec's sorts; and its records as steps.

The log fixes everything that the spec leaves open: the calls with their footprints are the elements of sort Call in
serial order, the digests are the values.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from mtpo.proofs.incremental.incremental import Constant, Incremental, prepare
from mtpo.proofs.incremental.relations import Rising, Rows, row
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Sort
from mtpo.spec.mtpo import Agent, Call, Object, Value, mtpo
from mtpo.spec.records import Record

OF_AGENTS: Final = frozenset({"launch", "finish", "reopen", "deliver", "commit", "abort"})
"""Steps of an agent."""

STEPS: Final = OF_AGENTS | {
    *("read", "call", "retract", "retracted", "undone", "applied", "failed", "redone", "cancelled", "stranded"),
    *("settle", "external"),
}
"""The kinds of records that are steps of the spec."""

REPLAYED: Final = mtpo.without(properties={id: p for id, p in mtpo.properties.items() if not p.derived})
"""What a log is replayed against: what is derived follows from the rest, in every state."""

SLICED: Final = {"source": "reads", "saw": "reads"}
"""Of what a call saw, and where it comes from, only the objects that it reads matter."""

NARROW: Final = {"reads": 1, "writes": 1, "undoer": 0, "holder": 0, "pending": 0}
"""A call touches few objects; its repair holds few objects and has few members, fewer of which are pending."""

FIXED: Final = ("origin", "replay", "accepts")
"""What is the same in every log of a policy."""

_APART: Final = 1 << 29
"""How far apart the cells of two calls are in long logs: tables find them by their last bits, so what is near in the
log should differ there, and be near."""

_SEEING: Final = frozenset({"read", "applied", "redone"})
"""Those that say what was seen."""

_compiled: Final = set[str]()
"""The policies for which all programs were made in this process."""

_NAMING: Final = _SEEING | {"run-open", "launch", "call"}
"""Those that name what no record before does."""

Taken = tuple[str, tuple[Any, ...]]
"""An action with its arguments; of a function, where it is not 0."""


class Numbering:
    """Numbers for what the log names. ``absent``: the digest of an object that is not there; without it, the one that
    the records show, if they do."""

    def __init__(self, records: Sequence[Record], absent: str | None = None) -> None:
        objects: set[str] = set()
        self.agents = 0
        self.footprints: dict[tuple[int, int], tuple[Iterable[str], Iterable[str], bool, str]] = {}
        """By call: what it reads and writes, whether it has an inverse; its key as the log has it."""
        self.policy = "replay"
        initial: Mapping[str, str] = {}
        footprints, written = self.footprints, 0
        for r in records:
            kind = r.kind
            if kind not in _NAMING:
                continue
            body = r.body
            if kind in _SEEING:
                if absent is None:
                    absent = next((x["digest"] for o, x in body["saw"].items() if _missing(x, o, initial)), None)
                if kind != "read":
                    written += len(body["out"])
                elif r.call is not None:
                    saw = body["saw"]
                    footprints[parse_key(r.call)] = saw, (), True, r.call
                    objects.update(saw)
            elif kind == "call":
                if r.call is not None:
                    read, write = body["reads"], body["writes"]
                    footprints[parse_key(r.call)] = read, write, bool(body["invertible"]), r.call
                    objects.update(read, write)
            elif kind == "launch":
                self.agents += 1
            else:
                initial, self.policy = body["initial"], body["policy"]
        self.names = sorted(objects)
        self.objects = {o: i for i, o in enumerate(self.names)}
        calls = sorted(footprints.items())
        self.keys = [key for key, _ in calls]
        self.calls = dict(zip([text for _, (_, _, _, text) in calls], itertools.count(1)))
        given = [initial.get(o, absent or "absent") for o in self.names]
        self.digests = dict(zip(dict.fromkeys(given), itertools.count()))
        """Of the values that there are at first, and of those that are written, as soon as the step is made."""
        self.values = len(self.digests) + written
        """How many there can be."""
        self.given = [self.digests[d] for d in given] or [0]
        self.reads: list[Sequence[int]] = [()]
        self.writes: list[Sequence[int]] = [range(len(self.names) or 1)]
        """The objects that each call reads and writes, in order."""
        same = dict[int, int]().setdefault  # one number for each, not equal ones: memory that is near
        self.authors, self.invertible = [0, *(same(rank, rank) for rank, _ in self.keys)], [1]
        """Who issued each call, and whether it has an inverse."""
        rows = _Rows(self.objects)
        for _, (read, write, invertible, _) in calls:
            self.reads.append(rows[tuple(read)])
            self.writes.append(rows[tuple(write)])
            self.invertible.append(int(invertible))

    @property
    def makers(self) -> Mapping[str, Callable[[Record], Taken | None]]:
        """By kind of record: the step that one is."""
        return {
            **dict.fromkeys(STEPS, self._of_call),
            **dict.fromkeys(OF_AGENTS, self._of_agent),
            **dict.fromkeys(("call", "retract"), self._repair),
            **dict.fromkeys(("applied", "redone"), self._effect),
            "read": self._read,
            "external": self._external,
        }

    def call(self, text: str) -> int:
        """The number of a call."""
        found = self.calls.get(text)
        return bisect_left(self.keys, self._known(text)) + 1 if found is None else found

    def _known(self, text: str) -> tuple[int, int]:
        key = parse_key(text)
        if key not in self.footprints:
            raise KeyError(text)
        return key

    def key(self, call: int) -> str:
        """The call of a number."""
        return "{}.{}".format(*self.keys[call - 1]) if call else "the initial state"

    def element(self, sort: type[Any], number: int) -> str:
        """An element as the log names it."""
        if sort is Call:
            return self.key(number)
        if sort is Object:
            return self.names[number] if self.names else "-"
        if sort is Value:
            return next((d[:8] for d, n in self.digests.items() if n == number), str(number))
        return str(number)

    @property
    def sizes(self) -> dict[type[Sort], int]:
        """How many elements each sort has; a sort has one, though the log names none."""
        return {
            Agent: max(1, self.agents),
            Call: len(self.keys) + 1,
            Object: max(1, len(self.names)),
            Value: max(1, self.values),
        }

    def incremental(self, *, checked: bool = True) -> Incremental:
        """The spec, sized for the log. Without ``checked`` steps are only taken."""
        width = self.sizes[Object]
        if width * self.sizes[Call] >= _APART:
            width = max(width, _APART + 4)
        constants = {**self._constants(), **_known(self.authors, self.reads, self.writes)}
        return Incremental(
            REPLAYED, self.sizes, constants, SLICED, NARROW, FIXED, strides={Object: width}, checked=checked
        )

    def compile(self) -> None:
        """Make the programs that any log of the policy needs, for processes that are forked from this one."""
        for checked in (True, False):
            prepare(REPLAYED, {**self._fixed(), **_known((), (), ())}, SLICED, NARROW, FIXED, checked=checked)
        _compiled.add(self.policy)

    @property
    def compiled(self) -> bool:
        """Whether these programs are made already."""
        return self.policy in _compiled

    def instance(self) -> Instance:
        """The same in the plain interpretation, for short logs."""
        names = self.names or [""]
        rows = [((), names), *(self.footprints[key][:2] for key in self.keys)]
        tables = {
            "reads": [int(o in reads) for reads, _ in rows for o in names],
            "writes": [int(o in writes) for _, writes in rows for o in names],
            "accepts": [0] * (len(rows) * len(names) * self.sizes[Value]),
        }
        return Instance(REPLAYED, self.sizes, {**self._constants(), **tables})

    def _constants(self) -> dict[str, Sequence[int]]:
        return {
            **self._fixed(),
            "author": self.authors,
            "invertible": self.invertible,
            "given": self.given,
        }

    def _fixed(self) -> dict[str, Sequence[int]]:
        """Of the constants those that are the same in every log of the policy."""
        return {"origin": [0], "replay": [int(self.policy == "replay")]}

    def step(self, record: Record) -> Taken | None:
        """The step that a record is; None when it is none."""
        make = self.makers.get(record.kind)
        return None if make is None else make(record)

    def _number(self, record: Record) -> int:
        return self.calls.get(record.call or "") or self.call(str(record.call))

    def _of_call(self, record: Record) -> Taken:
        return record.kind, (self._number(record),)

    def _of_agent(self, record: Record) -> Taken:
        rank = record.agent if record.agent is not None else 0
        if not 0 <= rank < max(1, self.agents):
            raise ValueError(f"record {record.seq} ({record.kind}): of {self.agents} agents none has rank {rank}")
        return record.kind, (rank,)

    def _external(self, record: Record) -> Taken | None:
        place = self.objects.get(record.body["object"])
        return None if place is None else (record.kind, (place,))

    def _read(self, record: Record) -> Taken:
        below: dict[int, int] = {}
        for o, sight in record.body["saw"].items():
            write = sight["write"]
            if write is not None:
                below[self.objects[o]] = self.calls.get(write) or self.call(write)
        return record.kind, (self._number(record), below)

    def _repair(self, record: Record) -> Taken:
        call, members = self._number(record), [self.call(m) for m in record.body["members"]]
        touched = [*self.reads[call], *self.writes[call]]
        for member in members:
            touched += self.reads[member]
            touched += self.writes[member]
        return record.kind, (call, dict.fromkeys(members, 1), dict.fromkeys(touched, 1))

    def _effect(self, record: Record) -> Taken:
        objects, number = self.objects, self.digests.setdefault
        out = {objects[o]: number(digest, len(self.digests)) for o, digest in record.body["out"].items()}
        return record.kind, (self._number(record), out)

    def value(self, digest: str) -> int:
        """The number of a value; -1 of one that nobody has written yet."""
        return self.digests.get(digest, -1)


class _Rows(dict[tuple[str, ...], Sequence[int]]):
    """Objects by number, of names: the same row for the same names, since many calls touch the same."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self._number = numbers.__getitem__

    def __missing__(self, names: tuple[str, ...]) -> Sequence[int]:
        found = self[names] = row(map(self._number, names))
        return found


def _known(
    authors: Sequence[int], reads: Sequence[Sequence[int]], writes: Sequence[Sequence[int]]
) -> dict[str, Constant]:
    """Constants of which more is known: agents come in serial order, calls touch few objects, nothing is accepted."""
    return {"author": Rising(authors), "reads": Rows(reads), "writes": Rows(writes), "accepts": set()}


def _missing(sight: Mapping[str, Any], o: str, initial: Mapping[str, str]) -> bool:
    """Whether it shows the digest of an object which is not there: seen before any write."""
    return sight["write"] is None and o not in initial


def parse_key(text: str) -> tuple[int, int]:
    """A call id as (rank, issue number)."""
    rank, _, seq = text.partition(".")
    return int(rank), int(seq)
