"""A log again of records that are those of another in part: numbered, and chained, as if they had been written so.

What is not of its form, in one that is damaged, stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from mtpo.proofs.runs.runform import Key, call_of, key_of, name_of, parts_of
from mtpo.spec.records import GENESIS, Record, canonical
from mtpo_core.logchain import digests_of
from mtpo_core.logfile import LoggedRun, Row, sha


def renumbered(records: Sequence[Record]) -> list[Record]:
    """The records with ranks, calls and places without gaps."""
    agents = {r.agent for r in records if r.agent is not None}
    ranks = {rank: n for n, rank in enumerate(sorted(agents))}
    calls: dict[Key, str] = {}
    counts: dict[int, int] = {}
    for key in sorted({key for r in records if (key := call_of(r)) is not None}):
        rank = ranks.get(key[0], key[0])
        calls[key] = name_of((rank, counts.get(rank, 0)))
        counts[rank] = counts.get(rank, 0) + 1

    def name(text: str) -> str:
        return calls.get(key_of(text), text)

    made = []
    for seq, r in enumerate(records):
        parts, again = parts_of(r), dict[str, Any]()
        for part in ("members", "stale"):
            if part in parts:
                again[part] = [name(k) for k in parts[part]]
        if "by" in parts:
            again["by"] = name(parts["by"])
        if "saw" in parts:
            again["saw"] = {o: _renamed(s, "write", name) for o, s in parts["saw"].items()}
        if "premises" in parts:
            again["premises"] = [_renamed(_renamed(p, "call", name), "write", name) for p in parts["premises"]]
        if "results" in parts:
            again["results"] = [_renamed(p, "call", name) for p in parts["results"]]
        if "waits_for" in parts:
            again["waits_for"] = [ranks[rank] for rank in parts["waits_for"] if rank in ranks]
        agent, key = None if r.agent is None else ranks[r.agent], call_of(r)
        call = r.call if key is None else calls[key]
        made.append(attrs.evolve(r, seq=seq, agent=agent, call=call, body={**r.body, **again}))
    return made


def _renamed(part: Mapping[str, Any], field: str, name: Callable[[str], str]) -> dict[str, Any]:
    return {**part, field: None if part[field] is None else name(part[field])}


def rechained(run: LoggedRun, records: Sequence[Record]) -> LoggedRun:
    """A log of these records, numbered and chained as if they had been written so, with the values that they name."""
    return chained(run, renumbered(records))


def chained(run: LoggedRun, records: Sequence[Record]) -> LoggedRun:
    """:func:`rechained`, with agents and calls named as they are."""
    made: list[Record] = []
    rows: list[Row] = []
    for seq, record in enumerate(records):
        made.append(attrs.evolve(record, seq=seq, prev=rows[-1].digest if rows else GENESIS))
        text = canonical(made[-1]).decode()
        rows.append(Row(seq, text, sha(text)))
    named = {d for r in made for d in digests_of(r)}
    values = {d: v for d, v in run.values.items() if d in named}
    return attrs.evolve(
        run, rows=tuple(rows), records=tuple(made), values=values, redacted=run.redacted & named, faults=()
    )


__all__ = ["chained", "rechained", "renumbered"]
