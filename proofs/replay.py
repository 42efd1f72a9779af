"""Replay of a log against the spec: every record is a step; its guard must hold, its outcome be the one logged.

The log fixes everything that the spec leaves open: the calls with their footprints are the elements of sort Call in
serial order, the digests are the values. The first record that is no step of the spec is reported with the clause that
refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from mtpo.spec.concrete import Instance, Step
from mtpo.spec.language import Sort
from mtpo.spec.mtpo import Agent, Call, Object, Value, mtpo
from mtpo.spec.records import Record
from mtpo_core.problems import Problem

_STEPS = frozenset(
    {
        "launch",
        "read",
        "call",
        "retract",
        "retracted",
        "undone",
        "applied",
        "failed",
        "redone",
        "cancelled",
        "stranded",
        "settle",
        "deliver",
        "reopen",
        "finish",
        "commit",
        "abort",
        "external",
    }
)


SLICED: Final = {"source": "reads", "saw": "reads"}
"""Of what a call saw, and where it comes from, only the objects that it reads matter."""


@attrs.frozen
class Replay:
    """The outcome: ``steps`` taken, ``problems`` (at most the first refused record, or differing outcomes)."""

    steps: int
    problems: tuple[Problem, ...]
    invariants: int
    """States in which all invariants were evaluated."""


class _Names:
    """Numbers for what the log names."""

    def __init__(self, records: Sequence[Record]) -> None:
        keys: set[tuple[int, int]] = set()
        objects: set[str] = set()
        digests: dict[str, int] = {}
        self.agents = 0
        self.footprints: dict[tuple[int, int], tuple[set[str], set[str], bool]] = {}
        self.policy = "replay"
        initial: dict[str, str] = {}
        for r in records:
            if r.kind == "launch":
                self.agents += 1
            elif r.kind == "run-open":
                initial = dict(r.body["initial"])
                self.policy = r.body["policy"]
            elif r.kind in ("read", "call") and r.call is not None:
                key = parse_key(r.call)
                keys.add(key)
                if r.kind == "read":
                    self.footprints[key] = (set(r.body["saw"]), set(), True)
                else:
                    self.footprints[key] = (set(r.body["reads"]), set(r.body["writes"]), bool(r.body["invertible"]))
        for reads, writes, _ in self.footprints.values():
            objects |= reads | writes
        self.objects = {o: i for i, o in enumerate(sorted(objects))}
        self.calls = {key: i + 1 for i, key in enumerate(sorted(keys))}
        absent = _absent_digest(records, initial, objects)
        self.given = {o: initial.get(o, absent) for o in objects}
        for d in self.given.values():
            digests.setdefault(d, len(digests))
        for r in records:
            for part in ("out", "restored"):
                for d in r.body.get(part, {}).values():
                    digests.setdefault(d, len(digests))
            for sight in r.body.get("saw", {}).values():
                digests.setdefault(sight["digest"], len(digests))
        self.values = digests

    def instance(self) -> Instance:
        """The spec, sized for the log."""
        calls, objects = sorted(self.calls, key=self.calls.__getitem__), sorted(self.objects)
        sizes: dict[type[Sort], int] = {
            Agent: max(1, self.agents),
            Call: len(calls) + 1,
            Object: max(1, len(objects)),
            Value: max(1, len(self.values)),
        }
        names: list[str] = objects or [""]  # a sort has an element, though no call names an object
        rows = [(set[str](), set(names), True), *(self.footprints[k] for k in calls)]
        return Instance(
            mtpo,
            sizes,
            {
                "origin": [0],
                "author": [0] + [rank for rank, _ in calls],
                "reads": [int(o in reads) for reads, _, _ in rows for o in names],
                "writes": [int(o in writes) for _, writes, _ in rows for o in names],
                "invertible": [int(inverse) for _, _, inverse in rows],
                "given": [self.values[self.given[o]] if objects else 0 for o in names],
                "replay": [int(self.policy == "replay")],
            },
        )

    def noted(self, instance: Instance, state: list[int]) -> set[tuple[int, int]]:
        """The calls whose authors are to be told of a change."""
        return {key for key, call in self.calls.items() if instance.value(state, "note", call)}


def parse_key(text: str) -> tuple[int, int]:
    """A call id as (rank, issue number)."""
    rank, _, seq = text.partition(".")
    return int(rank), int(seq)


def _absent_digest(records: Iterable[Record], initial: dict[str, str], objects: set[str]) -> str:
    """The digest of an absent object: what a call saw, before any write, on one that was not there at the start."""
    for r in records:
        for o, sight in r.body.get("saw", {}).items():
            if sight["write"] is None and o not in initial:
                return str(sight["digest"])
    return "absent"


def replay(records: Sequence[Record]) -> Replay:
    """Replay the records of an ``mtpo`` run. Malformed bodies raise KeyError or ValueError: check the log first."""
    names = _Names(records)
    instance = names.instance()
    state = instance.initial()
    steps = looked = 0
    problems: list[Problem] = []
    noted: set[tuple[int, int]] = set()
    owed: set[int] = set()
    for record in records:
        if record.kind == "notify":
            owed.discard(record.agent if record.agent is not None else -1)
        elif owed and (record.kind in _STEPS or record.kind == "close"):
            ranks = ", ".join(map(str, sorted(owed)))
            what = f"the repair before it is to be told to rank {ranks}, and no notification is logged"
            problems.append(Problem("mtpo.settled-told", f"record {record.seq} ({record.kind})", what))
            break
        if record.kind not in _STEPS or (record.kind == "external" and record.body["object"] not in names.objects):
            continue
        step = _step(record, names)
        where = f"record {record.seq} ({record.kind}{f' {record.call}' if record.call else ''})"
        refused = instance.refused(state, step)
        if refused:
            clause = refused[0]
            what = f"not a step of the spec: {clause.formula!r} is false"
            problems.append(Problem(clause.id, where, what))
            break
        before = list(state)
        instance.perform(state, step)
        steps += 1
        problems += [
            Problem(p.id, where, f"the step violates it: {p.doc}") for p in instance.violated_step(before, state)
        ]
        if record.kind in ("call", "retract"):
            noted = names.noted(instance, state)
        problems += _outcome(record, names, instance, before, state, noted, where)
        if record.kind == "settle":
            owed = {parse_key(k)[0] for k in record.body["stale"]}
        if record.kind in ("settle", "commit"):
            looked += 1
            problems += [Problem(p.id, where, f"violated in the state: {p.doc}") for p in instance.violated(state)]
        if problems:
            break
    return Replay(steps, tuple(problems), looked)


def _step(record: Record, names: _Names) -> Step:
    agent = record.agent if record.agent is not None else 0
    match record.kind:
        case "launch" | "finish" | "reopen" | "deliver" | "commit" | "abort":
            return Step(record.kind, (agent,))
        case "settle":
            return Step("settle", ())
        case "external":
            return Step("external", (names.objects[record.body["object"]],))
    call = names.calls[parse_key(str(record.call))]
    match record.kind:
        case "read":
            below = [0] * max(1, len(names.objects))
            for o, sight in record.body["saw"].items():
                below[names.objects[o]] = 0 if sight["write"] is None else names.calls[parse_key(sight["write"])]
            return Step("read", (call, tuple(below)))
        case "call" | "retract":
            members = [0] * (len(names.calls) + 1)
            for m in record.body["members"]:
                members[names.calls[parse_key(m)]] = 1
            return Step(record.kind, (call, tuple(members)))
        case "applied" | "redone":
            out = [0] * max(1, len(names.objects))
            for o, digest in record.body["out"].items():
                out[names.objects[o]] = names.values[digest]
            return Step(record.kind, (call, tuple(out)))
    return Step(record.kind, (call,))


def _outcome(
    record: Record,
    names: _Names,
    instance: Instance,
    before: list[int],
    state: list[int],
    noted: set[tuple[int, int]],
    where: str,
) -> list[Problem]:
    """What the record says came of the step, against what the spec says; ``noted`` when the open repair began."""
    found = []
    if record.kind in ("read", "applied", "redone"):
        call = names.calls[parse_key(str(record.call))]
        for o, sight in record.body["saw"].items():
            if instance.value(state, "saw", call, names.objects[o]) != names.values[sight["digest"]]:
                found.append(Problem("mtpo.filtered-read", where, f"saw another value of {o} than is at its position"))
    if record.kind in ("undone", "retracted"):
        for o, digest in record.body["restored"].items():
            top = instance.value(state, "top", names.objects[o])
            if instance.value(state, "value", top, names.objects[o]) != names.values[digest]:
                found.append(
                    Problem("mtpo.top-only-undo", where, f"{o} was not restored to what the call had replaced")
                )
    if record.kind == "redone":
        call = names.calls[parse_key(str(record.call))]
        note = bool(instance.value(state, "note", call))
        if not instance.value(before, "note", call) and bool(record.body["changed"]) != note:
            found.append(Problem("mtpo.redo-told", where, f"`changed` is {record.body['changed']}, by the spec {note}"))
    if record.kind == "settle":
        notes = names.noted(instance, state)
        logged = {parse_key(k) for k in record.body["stale"]}
        untold = notes - noted
        if not logged <= notes or not untold <= logged:
            odd = ", ".join(f"{a}.{b}" for a, b in sorted((logged - notes) | (untold - logged)))
            found.append(
                Problem("mtpo.settled-told", where, f"the log and the spec differ on who is to be told: {odd}")
            )
    return found
