"""A run's records, gathered by what they are about: agents, calls, inferences, notifications.

Nothing is judged here and nothing is required: a log that was cut short gathers to what it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mtpo.spec.records import Record


@attrs.define
class Agent:
    """One agent: how it was launched and where it stands after the last record."""

    rank: int
    name: str
    task: str = ""
    launched: float = 0.0
    state: str = "at work"
    aborted: bool = False


@attrs.frozen
class Saw:
    """The version of one object that a call saw: the write it came from (None: the initial value) and its digest."""

    object: str
    write: str | None
    digest: str | None


@attrs.frozen
class Repair:
    """One undo or redo of a call: when, and the call that made it necessary."""

    seq: int
    at: float
    by: str | None


@attrs.define
class Call:
    """One tool call through its life."""

    id: str
    rank: int
    kind: str
    tool: str
    began: float
    ended: float | None = None
    args: str | None = None
    write_class: str = ""
    invertible: bool = True
    writes: tuple[str, ...] = ()
    saw: tuple[Saw, ...] = ()
    out: dict[str, str] = attrs.Factory(dict)
    result: str | None = None
    filtered: bool = False
    status: str = "running"
    error: str = ""
    withdrawn: Repair | None = None
    waits_for: tuple[int, ...] = ()
    held_from: float | None = None
    undos: list[Repair] = attrs.Factory(list)
    redos: list[Repair] = attrs.Factory(list)
    applied_seq: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """Place in the serial order of calls."""
        _, _, seq = self.id.partition(".")
        return (self.rank, int(seq) if seq.isdecimal() and seq.isascii() else 0)


@attrs.define
class Note:
    """One notification, from its sending to what its reader made of it."""

    id: str
    reader: int
    at: float
    by: str | None
    premises: tuple[Mapping[str, Any], ...]
    results: tuple[Mapping[str, Any], ...]
    delivered: float | None = None
    delivery: int | None = None
    verdict: str | None = None
    waiver: str | None = None


@attrs.frozen
class Inference:
    """One inference of an agent, with the tokens it read and wrote."""

    seq: int
    rank: int
    began: float
    ended: float
    prompt: int
    new: int
    text: str | None
    steps: tuple[int, ...]


@attrs.define
class Gathered:
    """Everything a log says, by subject. ``events`` are the records that stand for themselves."""

    run: str
    mode: str = "mtpo"
    policy: str = ""
    scenario: str = ""
    inference: str = ""
    initial: dict[str, str] = attrs.Factory(dict)
    final: dict[str, str] | None = None
    outcome: str | None = None
    error: str | None = None
    end: float = 0.0
    records: int = 0
    agents: dict[int, Agent] = attrs.Factory(dict)
    calls: dict[str, Call] = attrs.Factory(dict)
    notes: dict[str, Note] = attrs.Factory(dict)
    inferences: list[Inference] = attrs.Factory(list)
    events: list[Record] = attrs.Factory(list)


_STATES = {"finish": "finished", "reopen": "reopened", "commit": "committed", "abort": "gave up"}
_ALONE = {"bounce", "deliver", "finish", "reopen", "commit", "abort", "external", "recover"}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _digests(value: object) -> dict[str, str]:
    return {str(k): v for k, v in value.items() if isinstance(v, str)} if isinstance(value, Mapping) else {}


def _saw(value: object) -> tuple[Saw, ...]:
    if not isinstance(value, Mapping):
        return ()
    return tuple(
        Saw(str(name), _text(seen.get("write")), _text(seen.get("digest")))
        for name, seen in value.items()
        if isinstance(seen, Mapping)
    )


def _rows(value: object) -> tuple[Mapping[str, Any], ...]:
    return tuple(row for row in value if isinstance(row, Mapping)) if isinstance(value, Sequence) else ()


def strings(value: object) -> tuple[str, ...]:
    """A list of names out of a record's body; empty when the body has something else there."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ()
    return tuple(str(item) for item in value)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _wholes(value: object) -> tuple[int, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ()
    return tuple(_whole(item) for item in value)


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default


def gather(records: Sequence[Record]) -> Gathered:
    """Gather a run's records, in log order. The sequence must not be empty."""
    run = Gathered(records[0].run)
    for record in records:
        run.records += 1
        run.end = max(run.end, record.t)
        if record.agent is not None and record.agent not in run.agents:
            run.agents[record.agent] = Agent(record.agent, f"agent {record.agent}", launched=record.t)
        if record.kind in _ALONE:
            run.events.append(record)
        if record.call is not None and record.agent is not None:
            _call(run, record, record.call, record.agent)
        else:
            _other(run, record)
    return run


def _call(run: Gathered, record: Record, name: str, rank: int) -> None:
    body = record.body
    call = run.calls.get(name)
    if call is None:
        reading = record.kind == "read"
        call = Call(name, rank, "read" if reading else "write", str(body.get("tool") or "call"), record.t)
        run.calls[name] = call
    match record.kind:
        case "read" | "call":
            call.tool = str(body.get("tool") or call.tool)
            call.args = _text(body.get("args"))
            call.write_class = str(body.get("class") or "")
            call.invertible = body.get("invertible") is not False
            call.writes = strings(body.get("writes"))
            if record.kind == "read":
                call.ended, call.status = record.t, "served"
                call.saw, call.result = _saw(body.get("saw")), _text(body.get("result"))
                call.filtered = body.get("filtered") is True
                call.applied_seq = record.seq
        case "gate":
            call.waits_for = _wholes(body.get("waits_for"))
            call.held_from = record.t if call.held_from is None else call.held_from
            call.status = "held"
        case "applied":
            call.ended, call.status, call.applied_seq = record.t, "applied", record.seq
            call.saw, call.out = _saw(body.get("saw")), _digests(body.get("out"))
            call.result = _text(body.get("result"))
        case "failed":
            call.ended, call.status, call.error = record.t, "failed", str(body.get("error") or "")
        case "undone":
            call.status = "undone"
            call.undos.append(Repair(record.seq, record.t, _text(body.get("by"))))
        case "redone":
            call.status = "redone"
            call.redos.append(Repair(record.seq, record.t, _text(body.get("by"))))
            call.saw = _saw(body.get("saw")) or call.saw
            call.out = _digests(body.get("out")) or call.out
            call.result = _text(body.get("result")) or call.result
        case "cancelled" | "stranded" | "retracted":
            call.status, call.error = record.kind, str(body.get("error") or "")
            call.withdrawn = Repair(record.seq, record.t, _text(body.get("by")))


def _other(run: Gathered, record: Record) -> None:
    body, rank = record.body, record.agent
    if record.kind == "run-open":
        run.mode, run.policy = str(body.get("mode") or "mtpo"), str(body.get("policy") or "")
        run.scenario, run.inference = str(body.get("scenario") or ""), str(body.get("inference") or "")
        run.initial = _digests(body.get("initial"))
    elif record.kind == "close":
        run.outcome, run.final = str(body.get("outcome") or "complete"), _digests(body.get("final"))
        run.error = _text(body.get("error"))
    elif rank is not None:
        agent = run.agents[rank]
        agent.state = _STATES.get(record.kind, agent.state)
        agent.aborted = agent.aborted or record.kind == "abort"
        if record.kind == "launch":
            agent.name, agent.task = str(body.get("name") or agent.name), str(body.get("task") or "")
            agent.launched = record.t
        elif record.kind == "infer":
            run.inferences.append(
                Inference(
                    record.seq, rank, min(_number(body.get("began"), record.t), record.t), record.t,
                    _whole(body.get("prompt_tokens")), _whole(body.get("new_tokens")), _text(body.get("text")),
                    _wholes(body.get("steps")),
                )
            )  # fmt: skip
        elif record.kind == "notify":
            name = str(body.get("id") or f"n{record.seq}")
            by = _text(body.get("by"))
            run.notes[name] = Note(name, rank, record.t, by, _rows(body.get("premises")), _rows(body.get("results")))
        elif record.kind in ("deliver", "judge"):
            for name in strings(body.get("ids")):
                note = run.notes.get(name)
                if note is not None and record.kind == "deliver":
                    note.delivered, note.delivery = record.t, record.seq
                elif note is not None:
                    note.verdict, note.waiver = _text(body.get("verdict")), _text(body.get("waiver"))
