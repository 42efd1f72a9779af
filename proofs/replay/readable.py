"""How far the records of a log can be read as steps, where they are not those of a run.

A record may be damaged, may lack its form, or may name what no record before it introduces. What comes before the first
that can't be read is replayed all the same: the spec says sooner than the form of a later record, and more exactly,
what is wrong. A call, or an agent, that is named and never introduced is no reason to stop: it stands there as one that
was not issued, or not launched, and the clause that asks for it is false.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs

from mtpo.proofs.runs.runform import FORMS, fault
from mtpo.spec.records import Record
from mtpo_core.causes import in_order
from mtpo_core.log import LoggedRun
from mtpo_core.problems import Problem

NO_RUN: Final = frozenset({"log.chain", "log.gap", "log.body", "log.launch-order", "log.call-order"})
"""Of a log with such a problem the records are not those of a run."""

_DAMAGED: Final = frozenset({"log.chain", "log.gap"})
_RECORD: Final = re.compile(r"record (-?\d+)")
_INTRODUCED: Final = frozenset({"read", "call"})


@attrs.frozen
class Readable:
    """``records`` from the first on that can be read as steps; ``beside`` them, records that are not replayed: they
    introduce what these only name. ``why`` says what keeps the log from being one of a run, None where nothing does."""

    records: Sequence[Record]
    beside: tuple[Record, ...] = ()
    why: Problem | None = None


def readable(run: LoggedRun, problems: Iterable[Problem]) -> Readable:
    """What can be replayed of a log, given all that the checker says of it, what it has no rules for included."""
    wrong = [p for p in in_order(problems) if p.property in NO_RUN or p.property == "log.unjudged"]
    if not wrong:
        return Readable(run.records)
    damaged = [int(m[1]) for p in wrong if p.property in _DAMAGED and (m := _RECORD.match(p.where))]
    damaged += [seq for seq, _ in run.unreadable()]
    end = min(damaged, default=None)
    records = run.records[: _legible(run.records, end)]
    return Readable(records, tuple(_beside(records)), wrong[0])


def _legible(records: Sequence[Record], end: int | None) -> int:
    """The place of the first record that can't be read as a step, or as none."""
    footprints: dict[str, Any] = {}
    closed = False
    for place, r in enumerate(records):
        if (end is not None and r.seq >= end) or closed or r.kind not in FORMS or fault(r) is not None:
            return place
        if place and r.kind == "run-open":
            return place
        if max([r.agent or 0, *map(_rank, _calls(r))]) >= len(
            records
        ):  # each agent has a record: so many there are not
            return place
        if r.kind in _INTRODUCED and r.call is not None:
            footprint = {part: r.body.get(part) for part in ("reads", "writes", "invertible", "saw")}
            if footprints.setdefault(r.call, footprint) != footprint:  # two calls of one name
                return place
        closed = r.kind == "close"
    return len(records)


def _beside(records: Sequence[Record]) -> Iterable[Record]:
    """Records that launch the agents, and issue the calls, which are named only: what is seen is read, what is left is
    written."""
    if not records:
        return
    named: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    known = {r.call for r in records if r.kind in _INTRODUCED}
    for r in records:
        for call in _calls(r):
            if call not in known:
                reads, writes = named.setdefault(call, ({}, {}))
                if call == r.call:
                    reads.update(dict.fromkeys(r.body.get("saw", ())))
                    writes.update(dict.fromkeys([*r.body.get("out", ()), *r.body.get("restored", ())]))
    ranks = {r.agent for r in records if r.agent is not None} | set(map(_rank, named))
    launched = sum(r.kind == "launch" for r in records)
    bare = attrs.evolve(records[0], kind="launch", agent=None, call=None, body={})
    for _ in range(launched, max(ranks, default=-1) + 1):
        yield bare
    for call, (reads, writes) in named.items():
        body = {"reads": list(reads), "writes": list(writes), "invertible": True}
        yield attrs.evolve(bare, kind="call", call=call, body=body)


def _calls(record: Record) -> Iterable[str]:
    """The calls that a record names."""
    body = record.body
    if record.call is not None:
        yield record.call
    for part in ("members", "stale"):
        yield from body.get(part, ())
    if "by" in body:
        yield body["by"]
    for sight in body.get("saw", {}).values():
        if sight["write"] is not None:
            yield sight["write"]


def _rank(call: str) -> int:
    return int(call.partition(".")[0])


__all__ = ["NO_RUN", "Readable", "readable"]
