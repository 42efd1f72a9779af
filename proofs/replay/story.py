"""The story of one call of a run, from its log: what it went through, whom it concerned, who was told, and the clauses
of the spec that allowed each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from mtpo.proofs.replay.numbering import STEPS, parse_key
from mtpo.proofs.replay.replay import replay
from mtpo.proofs.runs.runform import fault
from mtpo.spec.mtpo import mtpo
from mtpo.spec.records import Record, value_digest
from mtpo_core.logfile import LoggedRun


class NoSuchCall(ValueError):
    """The log has no call of this id: one line that says which there are."""


@attrs.frozen
class Event:
    """A record of the story: ``what`` happened; ``clauses`` of the guard of its step, all of which held; ``refused``
    the one that did not, where the log stops being a run of the spec."""

    seq: int
    t: float
    what: str
    clauses: tuple[str, ...] = ()
    refused: str = ""


@attrs.frozen
class Story:
    """A call, who made it with which tool, and its events in order."""

    call: str
    author: str
    tool: str
    events: tuple[Event, ...]
    judged: str
    """Why no clauses are named; empty when they are."""

    def lines(self) -> list[str]:
        """The story as text."""
        out = [f"call {self.call} by {self.author}: {self.tool}"]
        for event in self.events:
            out.append(f"{event.seq:>7}  {event.t:>9.3f} s  {event.what}")
            if event.clauses:
                action = event.clauses[0].rpartition(".")[0]
                names = ", ".join(clause.rpartition(".")[2] for clause in event.clauses)
                out.append(f"{'':<21}allowed by {action}: {names}")
            if event.refused:
                out.append(f"{'':<21}NOT allowed: {event.refused}")
        return out + ([self.judged] if self.judged else [])

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return attrs.asdict(self)


def story(run: LoggedRun, call: str) -> Story:
    """What a log says of a call (``RANK.SEQ``). Raises :class:`NoSuchCall`."""
    records = [r for r in run.records if fault(r) is None]
    opened = next((r for r in records if r.call == call and r.kind in ("call", "read")), None)
    if opened is None:
        known = [r.call for r in records if r.kind in ("call", "read") and r.call is not None]
        some = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise NoSuchCall(f"{run.path}: no call {call!r} in this log; its calls: {some or 'none'}")
    names = {r.agent: str(r.body.get("name", r.agent)) for r in records if r.kind == "launch"}
    mode = next((r.body["mode"] for r in records if r.kind == "run-open"), "unknown")
    refused: dict[int, str] = {}
    judged, last = "", len(records)
    if mode == "mtpo":
        try:
            found = replay(records, absent=value_digest(run.salt, None))
        except (KeyError, ValueError, IndexError, TypeError) as error:
            judged, last = (
                f"the log can't be replayed against the spec: it names what it does not introduce: {error}",
                -1,
            )
        else:
            if found.problems:
                last = found.stopped if found.stopped is not None else 0
                refused[last] = str(found.problems[0])
                judged = f"from record {records[last].seq} on the log is no run of the spec: {found.problems[0]}"
    else:
        judged, last = f"no clauses are named: the spec is that of mode mtpo, the run is {mode}", -1
    events = [
        Event(
            r.seq,
            r.t,
            what,
            _clauses(r) if place < last else (),
            refused.get(place, ""),
        )
        for place, r, what in _told(records, call, names)
    ]
    author = f"{names.get(opened.agent, '?')} (rank {opened.agent})"
    return Story(call, author, str(opened.body.get("tool", "")), tuple(events), judged)


def _clauses(record: Record) -> tuple[str, ...]:
    if record.kind not in STEPS:
        return ()
    return tuple(clause.id for clause in mtpo.actions[record.kind].guard)


def _told(records: Sequence[Record], call: str, names: Mapping[int | None, str]) -> Iterator[tuple[int, Record, str]]:
    """The records that concern a call, with their place and what happened."""
    notices: dict[Any, int | None] = {}
    for place, r in enumerate(records):
        body = r.body
        if r.kind == "notify" and (body["by"] == call or _concerns(body, call)):
            notices[body["id"]] = r.agent
            yield place, r, f"told {_who(r.agent, names)}: {_news(body)}"
        elif r.kind == "deliver" and notices.keys() & set(body["ids"]):
            ids = ", ".join(str(i) for i in body["ids"] if i in notices)
            yield place, r, f"{_who(r.agent, names)} has read notification {ids}"
        elif r.call == call:
            yield place, r, _own(r)
        elif body.get("by") == call:
            yield place, r, f"because of it: {r.kind} {r.call}{_left(body)}"
        elif call in body.get("members", ()):
            yield place, r, f"is to be undone: {r.kind} {r.call} comes before it in the order"
        elif call in body.get("stale", ()):
            yield place, r, f"its author is to be told, by the repair of {r.call}"
        elif any(sight.get("write") == call for sight in body.get("saw", {}).values()):
            seen = ", ".join(o for o, sight in body["saw"].items() if sight.get("write") == call)
            yield place, r, f"{r.kind} {r.call} sees what it left on {seen}"


def _concerns(body: Mapping[str, Any], call: str) -> bool:
    return any(x["call"] == call for x in (*body["premises"], *body["results"]))


def _who(rank: int | None, names: Mapping[int | None, str]) -> str:
    return f"{names.get(rank, '?')} (rank {rank})"


def _news(body: Mapping[str, Any]) -> str:
    news = [f"{p['object']}, which {p['call']} saw, is now {p['now'][:8]}" for p in body["premises"]]
    news += [f"{r['call']} {r['status']}" for r in body["results"]]
    return "; ".join(news) or "a value is back at what it had seen"


def _own(record: Record) -> str:
    body, kind = record.body, record.kind
    parts = [kind]
    if kind == "call":
        parts.append(f"reads {', '.join(body['reads']) or 'nothing'}, writes {', '.join(body['writes']) or 'nothing'}")
    if "members" in body:
        members = sorted(body["members"], key=parse_key)
        parts.append(f"undoes {', '.join(members)}" if members else "nothing to undo")
    if body.get("saw"):
        seen = [(o, s["write"]) for o, s in body["saw"].items()]
        sights = [f"{o} as {'at the start' if write is None else f'{write} left it'}" for o, write in seen]
        parts.append(f"sees {', '.join(sights)}")
    if "by" in body:
        parts.append(f"for call {body['by']}" if body["by"] != record.call else "taken out")
    if "changed" in body:
        parts.append("with another result" if body["changed"] else "with the same result")
    if "error" in body:
        parts.append(str(body["error"]))
    return "; ".join(parts) + _left(body)


def _left(body: Mapping[str, Any]) -> str:
    left = [f"{o} = {digest[:8]}" for o, digest in {**body.get("out", {}), **body.get("restored", {})}.items()]
    return f": {', '.join(left)}" if left else ""
