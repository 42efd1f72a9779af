"""A log as if some of what is in it had not been: records, agents, calls, objects.

It may be damaged: what is not of its form names nothing, and stays as it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mtpo.proofs.runs.runform import Key, call_of, key_of, parts_of
from mtpo.spec.records import Record


def objects_of(record: Record) -> set[str]:
    """The objects that a record names."""
    parts = parts_of(record)
    found = {o for part in _BY_OBJECT for o in parts.get(part, ())} | {p["object"] for p in parts.get("premises", ())}
    return found | ({parts["object"]} if "object" in parts else set())


_BY_OBJECT = ("saw", "out", "restored", "undeclared", "initial", "final", "reads", "writes")


def without_records(records: list[Record], gone: set[int]) -> list[Record]:
    """The log without the records of these numbers."""
    return [r for r in records if r.seq not in gone]


def without_agents(records: list[Record], gone: set[Any]) -> list[Record]:
    """The log as if these agents had not been there."""
    calls = {key for r in records if r.agent in gone and (key := call_of(r)) is not None}
    return without_calls([r for r in records if r.agent not in gone], calls)


def without_calls(records: list[Record], gone: set[Key]) -> list[Record]:
    """The log as if these calls had not been made: what saw them saw what is below them."""
    legible = [(r, parts_of(r)) for r in records]
    kept = [(r, parts) for r, parts in legible if call_of(r) not in gone]
    kept = [(r, parts) for r, parts in kept if "by" not in parts or key_of(parts["by"]) not in gone]
    initial: dict[str, str] = next((parts["initial"] for _, parts in kept if "initial" in parts), {})
    sights = (sight for _, parts in legible for sight in parts.get("saw", {}).items())
    absent = next((s["digest"] for o, s in sights if _blank(s, o, initial)), "")
    below = _Below(kept, initial, absent)
    return [attrs.evolve(r, body=_body_without(r, parts, gone, below)) for r, parts in kept]


def _blank(sight: Mapping[str, Any], o: str, initial: Mapping[str, str]) -> bool:
    return sight["write"] is None and o not in initial


class _Below:
    """The writes that are left, for sights of those that are not."""

    def __init__(
        self, records: Sequence[tuple[Record, Mapping[str, Any]]], initial: Mapping[str, str], absent: str
    ) -> None:
        self.initial, self.absent = initial, absent
        self.left: dict[str, dict[Key, str]] = {}
        for r, parts in records:
            if (key := call_of(r)) is not None:
                for o, found in parts.get("out", {}).items():
                    self.left.setdefault(o, {})[key] = found
        self.order = {o: sorted(found) for o, found in self.left.items()}

    def sight(self, o: str, key: Key) -> dict[str, Any]:
        """What the greatest of them below a call left."""
        keys = self.order.get(o, [])
        lower = bisect_left(keys, key)
        if not lower:
            return {"write": None, "digest": self.initial.get(o, self.absent)}
        return {"write": "{}.{}".format(*keys[lower - 1]), "digest": self.left[o][keys[lower - 1]]}


def _body_without(record: Record, parts: Mapping[str, Any], gone: set[Key], below: _Below) -> dict[str, Any]:
    body = dict(record.body)
    for part in ("members", "stale"):
        if part in parts:
            body[part] = [k for k in parts[part] if key_of(k) not in gone]
    for part in ("premises", "results"):
        if part in parts:
            body[part] = [x for x in parts[part] if key_of(x["call"]) not in gone]
    if "saw" in parts and (key := call_of(record)) is not None:
        body["saw"] = {
            o: below.sight(o, key) if s["write"] is not None and key_of(s["write"]) in gone else s
            for o, s in parts["saw"].items()
        }
    return body


def without_objects(records: list[Record], gone: set[str]) -> list[Record]:
    """The log as if there were not these objects; calls on nothing else go with them."""
    empty: set[Key] = set()
    made = []
    for r in records:
        parts, left = parts_of(r), dict[str, Any]()
        for part in _BY_OBJECT:
            if part in parts:
                named = parts[part]
                kept = [o for o in named if o not in gone]
                left[part] = {o: named[o] for o in kept} if isinstance(named, dict) else kept
        if "premises" in parts:
            left["premises"] = [p for p in parts["premises"] if p["object"] not in gone]
        whole = "saw" if r.kind == "read" else "writes" if r.kind == "call" else ""
        if left.get(whole, True) in ({}, []) and (key := call_of(r)) is not None:
            empty.add(key)
        if r.kind != "external" or parts.get("object") not in gone:
            made.append(attrs.evolve(r, body={**r.body, **left}))
    return without_calls(made, empty) if empty else made
