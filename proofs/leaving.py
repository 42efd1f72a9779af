"""A log as if some of what is in it had not been: records, agents, calls, objects."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mtpo.spec.records import Record

Key = tuple[int, int]


def key_of(text: str) -> Key:
    """A call id as a key."""
    rank, _, seq = text.partition(".")
    return int(rank), int(seq)


def objects_of(record: Record) -> set[str]:
    """The objects that a record names."""
    body = record.body
    found = {o for part in _BY_OBJECT for o in body.get(part, ())} | {p["object"] for p in body.get("premises", ())}
    return found | ({body["object"]} if "object" in body else set())


_BY_OBJECT = ("saw", "out", "restored", "undeclared", "initial", "final", "reads", "writes")


def without_records(records: list[Record], gone: set[int]) -> list[Record]:
    """The log without the records of these numbers."""
    return [r for r in records if r.seq not in gone]


def without_agents(records: list[Record], gone: set[Any]) -> list[Record]:
    """The log as if these agents had not been there."""
    calls = {key_of(r.call) for r in records if r.call is not None and r.agent in gone}
    return without_calls([r for r in records if r.agent not in gone], calls)


def without_calls(records: list[Record], gone: set[Key]) -> list[Record]:
    """The log as if these calls had not been made: what saw them saw what is below them."""
    kept = [r for r in records if r.call is None or key_of(r.call) not in gone]
    kept = [r for r in kept if "by" not in r.body or key_of(r.body["by"]) not in gone]
    initial: dict[str, str] = next((r.body["initial"] for r in kept if r.kind == "run-open"), {})
    absent = next((s["digest"] for r in records for o, s in r.body.get("saw", {}).items() if _blank(s, o, initial)), "")
    below = _Below(kept, initial, absent)
    return [attrs.evolve(r, body=_body_without(r, gone, below)) for r in kept]


def _blank(sight: Mapping[str, Any], o: str, initial: Mapping[str, str]) -> bool:
    return sight["write"] is None and o not in initial


class _Below:
    """The writes that are left, for sights of those that are not."""

    def __init__(self, records: Sequence[Record], initial: Mapping[str, str], absent: str) -> None:
        self.initial, self.absent = initial, absent
        self.left: dict[str, dict[Key, str]] = {}
        for r in records:
            for o, found in r.body.get("out", {}).items() if r.call is not None else ():
                self.left.setdefault(o, {})[key_of(r.call)] = found  # type: ignore[arg-type]
        self.order = {o: sorted(found) for o, found in self.left.items()}

    def sight(self, o: str, key: Key) -> dict[str, Any]:
        """What the greatest of them below a call left."""
        keys = self.order.get(o, [])
        lower = bisect_left(keys, key)
        if not lower:
            return {"write": None, "digest": self.initial.get(o, self.absent)}
        return {"write": "{}.{}".format(*keys[lower - 1]), "digest": self.left[o][keys[lower - 1]]}


def _body_without(record: Record, gone: set[Key], below: _Below) -> dict[str, Any]:
    body = dict(record.body)
    for part in ("members", "stale"):
        if part in body:
            body[part] = [k for k in body[part] if key_of(k) not in gone]
    for part in ("premises", "results"):
        if part in body:
            body[part] = [x for x in body[part] if key_of(x["call"]) not in gone]
    if "saw" in body and record.call is not None:
        key = key_of(record.call)
        body["saw"] = {
            o: below.sight(o, key) if s["write"] is not None and key_of(s["write"]) in gone else s
            for o, s in body["saw"].items()
        }
    return body


def without_objects(records: list[Record], gone: set[str]) -> list[Record]:
    """The log as if there were not these objects; calls on nothing else go with them."""
    empty = set()
    made = []
    for r in records:
        body = dict(r.body)
        for part in _BY_OBJECT:
            if part in body:
                named = body[part]
                left = [o for o in named if o not in gone]
                body[part] = {o: named[o] for o in left} if isinstance(named, dict) else left
        if "premises" in body:
            body["premises"] = [p for p in body["premises"] if p["object"] not in gone]
        whole = "saw" if r.kind == "read" else "writes" if r.kind == "call" else ""
        if whole and not body[whole] and r.call is not None:
            empty.add(key_of(r.call))
        if r.kind != "external" or body["object"] not in gone:
            made.append(attrs.evolve(r, body=body))
    return without_calls(made, empty) if empty else made
