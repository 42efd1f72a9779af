"""A log that violates a property, made smaller: agents, calls, objects and records are dropped while it still does.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", TSE 2002): of a list of
things, halves, quarters and so on are left out, as long as the rest is still judged to violate the property and nothing
that the whole did not violate. What is left is renumbered and chained anew, so that it is a log like any other.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from mtpo.proofs.judge import Judgment, judge
from mtpo.spec.records import GENESIS, Record, canonical
from mtpo_core.logchain import digests_of
from mtpo_core.logfile import LoggedRun, Row, sha

T = TypeVar("T")
Key = tuple[int, int]

MOST_CHECKS = 600
"""Judgments of one shrinking."""

MOST_RECORDS = 500_000
"""Records of all logs that are judged to leave things out."""


class NothingToShrink(ValueError):
    """The log violates nothing, or only what making it anew would mend: one line that says which."""


@attrs.frozen
class Shrunk:
    """The smaller log, the property that it violates, and how many logs were judged."""

    run: LoggedRun
    property: str
    checks: int


def shrink(run: LoggedRun, tell: Callable[[str], None] = lambda text: None) -> Shrunk:
    """Make a log smaller that violates a property: the first of the run that its judgment names, or of the log.

    Raises :class:`NothingToShrink` when none is violated but by the file itself: its chain, its values.
    """
    tell(f"judging {len(run.records)} records")
    whole = judge(rechained(run, run.records))
    allowed = list(dict.fromkeys(p.property for p in whole.problems))
    if not allowed:
        said = judge(run).problems
        why = f"only {said[0].property}, which a log made anew does not have" if said else "nothing"
        raise NothingToShrink(f"{run.path}: nothing to shrink: it violates {why}")
    allowed.sort(key=lambda property: property.startswith("log."))  # what the run did, before how it is written
    search = _Search(run, allowed, tell)
    records = search.prefix(list(run.records), _end(whole, allowed[0]))
    records = search.around(records)
    size = -1
    while size != len(records):
        size = len(records)
        for things, drop in (
            (lambda rs: sorted({r.agent for r in rs if r.agent is not None}), without_agents),
            (lambda rs: sorted({key_of(r.call) for r in rs if r.call is not None}), without_calls),
            (lambda rs: sorted({o for r in rs for o in objects_of(r)}), without_objects),
            (lambda rs: [r.seq for r in rs[1:]], without_records),
        ):
            records = search.fewer(records, things, drop)
    return Shrunk(rechained(run, records), allowed[0], search.checks)


class _Search:
    def __init__(self, run: LoggedRun, allowed: Sequence[str], tell: Callable[[str], None]) -> None:
        self.run, self.allowed, self.tell = run, allowed, tell
        self.checks = self.judged = 0

    def fails(self, records: Sequence[Record]) -> bool:
        """Whether the log still violates the property, and nothing new."""
        self.checks += 1
        self.judged += len(records)
        self.tell(f"{len(records)} records, {self.checks} logs judged")
        found = _violated(rechained(self.run, records))
        return self.allowed[0] in found and set(found) <= set(self.allowed)

    def prefix(self, records: list[Record], end: int) -> list[Record]:
        """The shortest beginning that bisection finds; where the violation was found, at ``end``, is tried first."""
        low, high = 1, len(records)
        if 0 < end < high and self.fails(records[:end]):
            if end == 1 or not self.fails(records[: end - 1]):
                return records[:end]
            high = end - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.fails(records[:middle]) else (middle + 1, high)
        return records[:high] if high == len(records) or self.fails(records[:high]) else records

    @property
    def spent(self) -> bool:
        """Enough was tried."""
        return self.checks >= MOST_CHECKS or self.judged >= MOST_RECORDS

    def around(self, records: list[Record]) -> list[Record]:
        """What the agent of the last record did, with those that share objects with it, and so on: the fewest."""
        touched: dict[int, set[str]] = {}
        for r in records:
            if r.agent is not None:
                touched.setdefault(r.agent, set()).update(objects_of(r))
        kept = {agent for agent in touched if agent == records[-1].agent}
        while kept and self.judged < MOST_RECORDS:
            tried = without_agents(records, touched.keys() - kept)
            if 2 * len(tried) > len(records):
                break
            if self.fails(tried):
                return renumbered(tried)
            objects = set[str]().union(*(touched[agent] for agent in kept))
            wider = {agent for agent, own in touched.items() if own & objects}
            if wider <= kept:
                break
            kept |= wider
        return records

    def fewer(
        self,
        records: list[Record],
        things: Callable[[list[Record]], Sequence[T]],
        drop: Callable[[list[Record], set[T]], list[Record]],
    ) -> list[Record]:
        """Leave out things, many at a time at first."""
        chunk = max(1, len(things(records)) // 2)
        while True:
            place, dropped = 0, False
            while place < len(things(records)) and not self.spent:
                tried = drop(records, set(things(records)[place : place + chunk]))
                if len(tried) and tried != records and self.fails(tried):
                    records, dropped = renumbered(tried), True
                else:
                    place += chunk
            if (chunk == 1 and not dropped) or self.spent:
                return records
            chunk = max(1, chunk // 2)


def _end(found: Judgment, property: str) -> int:
    """After how many records a property was found to be violated first; 0 if that is not said."""
    replayed = found.replay
    if replayed is not None and replayed.stopped is not None and property in {p.property for p in replayed.problems}:
        return replayed.stopped + 1
    places = (re.match(r"record (\d+)", p.where) for p in found.problems if p.property == property)
    return min((int(place[1]) + 1 for place in places if place), default=0)


def _violated(run: LoggedRun) -> list[str]:
    return list(dict.fromkeys(p.property for p in judge(run).problems))


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


# -- leaving out ---------------------------------------------------------------------------------------------------


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


# -- a log again ---------------------------------------------------------------------------------------------------


def renumbered(records: Sequence[Record]) -> list[Record]:
    """The records with ranks, calls and places without gaps."""
    agents = {r.agent for r in records if r.agent is not None}
    ranks = {rank: n for n, rank in enumerate(sorted(agents))}
    calls: dict[Key, str] = {}
    counts: dict[int, int] = {}
    for key in sorted({key_of(r.call) for r in records if r.call is not None}):
        rank = ranks.get(key[0], key[0])
        calls[key] = f"{rank}.{counts.get(rank, 0)}"
        counts[rank] = counts.get(rank, 0) + 1

    def name(text: str) -> str:
        return calls.get(key_of(text), text)

    made = []
    for seq, r in enumerate(records):
        body = dict(r.body)
        for part in ("members", "stale"):
            if part in body:
                body[part] = [name(k) for k in body[part]]
        if "by" in body:
            body["by"] = name(body["by"])
        if "saw" in body:
            body["saw"] = {o: _renamed(s, "write", name) for o, s in body["saw"].items()}
        if "premises" in body:
            body["premises"] = [_renamed(_renamed(p, "call", name), "write", name) for p in body["premises"]]
        if "results" in body:
            body["results"] = [_renamed(p, "call", name) for p in body["results"]]
        if "waits_for" in body:
            body["waits_for"] = [ranks[rank] for rank in body["waits_for"] if rank in ranks]
        agent = None if r.agent is None else ranks[r.agent]
        made.append(attrs.evolve(r, seq=seq, agent=agent, call=None if r.call is None else name(r.call), body=body))
    return made


def _renamed(part: Mapping[str, Any], field: str, name: Callable[[str], str]) -> dict[str, Any]:
    return {**part, field: None if part[field] is None else name(part[field])}


def rechained(run: LoggedRun, records: Sequence[Record]) -> LoggedRun:
    """A log of these records, numbered and chained as if they had been written so, with the values that they name."""
    made: list[Record] = []
    rows: list[Row] = []
    for record in renumbered(records):
        made.append(attrs.evolve(record, prev=rows[-1].digest if rows else GENESIS))
        text = canonical(made[-1]).decode()
        rows.append(Row(record.seq, text, sha(text)))
    named = {d for r in made for d in digests_of(r)}
    values = {d: v for d, v in run.values.items() if d in named}
    return attrs.evolve(
        run, rows=tuple(rows), records=tuple(made), values=values, redacted=run.redacted & named, faults=()
    )
