"""What a log names, as elements of the spec's sorts; and its records as steps.

The log fixes everything that the spec leaves open: the calls with their footprints are the elements of sort Call in
serial order, the digests are the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mtpo.proofs.incremental import Incremental
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

SLICED: Final = {"source": "reads", "saw": "reads"}
"""Of what a call saw, and where it comes from, only the objects that it reads matter."""

Taken = tuple[str, tuple[Any, ...]]
"""An action with its arguments; of a function, where it is not 0."""


class Numbering:
    """Numbers for what the log names. ``absent``: the digest of an object that is not there; without it, the one that
    the records show, if they do."""

    def __init__(self, records: Sequence[Record], absent: str | None = None) -> None:
        objects: set[str] = set()
        self.digests: dict[str, int] = {}
        self.agents = 0
        self.footprints: dict[tuple[int, int], tuple[Iterable[str], Iterable[str], bool]] = {}
        self.policy = "replay"
        initial: Mapping[str, str] = {}
        later: dict[str, None] = {}
        for r in records:
            kind, body = r.kind, r.body
            if kind == "launch":
                self.agents += 1
            elif kind == "run-open":
                initial, self.policy = body["initial"], body["policy"]
            elif kind == "read" and r.call is not None:
                self.footprints[parse_key(r.call)] = (body["saw"].keys(), (), True)
                objects.update(body["saw"])
            elif kind == "call" and r.call is not None:
                self.footprints[parse_key(r.call)] = (body["reads"], body["writes"], bool(body["invertible"]))
                objects.update(body["reads"])
                objects.update(body["writes"])
            for part in ("out", "restored"):
                if part in body:
                    later.update(dict.fromkeys(body[part].values()))
            if "saw" in body:
                for o, sight in body["saw"].items():
                    later[sight["digest"]] = None
                    if absent is None and sight["write"] is None and o not in initial:
                        absent = sight["digest"]  # that of an object which is not there, seen before any write
        self.names = sorted(objects)
        self.objects = {o: i for i, o in enumerate(self.names)}
        self.keys = sorted(self.footprints)
        self.calls = {f"{rank}.{seq}": i + 1 for i, (rank, seq) in enumerate(self.keys)}
        given = [initial.get(o, absent or "absent") for o in self.names]
        for digest in (*given, *later):
            self.digests.setdefault(digest, len(self.digests))
        self.given = [self.digests[d] for d in given] or [0]

    def call(self, text: str) -> int:
        """The number of a call."""
        found = self.calls.get(text)
        return self.calls["{}.{}".format(*parse_key(text))] if found is None else found

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
            Value: max(1, len(self.digests)),
        }

    def incremental(self) -> Incremental:
        """The spec, sized for the log."""
        width, places = max(1, len(self.names)), self.objects
        reads, writes = set[int](), set(range(width))
        for number, key in enumerate(self.keys, 1):
            read, written, _ = self.footprints[key]
            reads.update([number * width + places[o] for o in read])
            writes.update([number * width + places[o] for o in written])
        tables = {"reads": reads, "writes": writes, "accepts": set[int]()}
        return Incremental(mtpo, self.sizes, {**self._constants(), **tables}, SLICED)

    def instance(self) -> Instance:
        """The same in the plain interpretation, for short logs."""
        names = self.names or [""]
        rows = [((), names, True), *(self.footprints[key] for key in self.keys)]
        tables = {
            "reads": [int(o in reads) for reads, _, _ in rows for o in names],
            "writes": [int(o in writes) for _, writes, _ in rows for o in names],            "accepts": [0] * (len(rows) * len(names) * self.sizes[Value]),
        }
        return Instance(mtpo, self.sizes, {**self._constants(), **tables})

    def _constants(self) -> dict[str, Sequence[int]]:
        return {
            "origin": [0],
            "author": [0, *(rank for rank, _ in self.keys)],
            "invertible": [1, *(int(self.footprints[key][2]) for key in self.keys)],
            "given": self.given,
            "replay": [int(self.policy == "replay")],
        }

    def step(self, record: Record) -> Taken | None:
        """The step that a record is; None when it is none."""
        kind, body = record.kind, record.body
        if kind not in STEPS:
            return None
        if kind in OF_AGENTS:
            return kind, (record.agent if record.agent is not None else 0,)
        if kind == "external":
            return (kind, (self.objects[body["object"]],)) if body["object"] in self.objects else None
        call = self.call(str(record.call))
        if kind == "read":
            below = {o: sight["write"] for o, sight in body["saw"].items()}
            return kind, (call, {self.objects[o]: self.call(w) for o, w in below.items() if w is not None})
        if kind in ("call", "retract"):
            members = [self.call(m) for m in body["members"]]
            touched = {o for c in (call, *members) for part in self.footprints[self.keys[c - 1]][:2] for o in part}
            return kind, (call, dict.fromkeys(members, 1), {self.objects[o]: 1 for o in touched})
        if kind in ("applied", "redone"):
            return kind, (call, {self.objects[o]: self.digests[digest] for o, digest in body["out"].items()})
        return kind, (call,)


def parse_key(text: str) -> tuple[int, int]:
    """A call id as (rank, issue number)."""
    rank, _, seq = text.partition(".")
    return int(rank), int(seq)
