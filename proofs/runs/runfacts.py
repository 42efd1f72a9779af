"""What a certificate says of a run besides its verdict: counts, and what the verdict rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from mtpo.spec.records import Record

A1: Final = "A1 individual success"
A2: Final = "A2 footprints"
A3: Final = "A3 judgments"


@attrs.frozen
class Held:
    """A call without an inverse, and the ranks that it was held for (none when they had all committed)."""

    call: str
    tool: str
    waited_for: tuple[int, ...]


def counts_of(records: Sequence[Record]) -> dict[str, int]:
    """How often what happened."""
    kinds = Counter(r.kind for r in records)
    names = {
        "reads": "read",
        "writes": "call",
        "failed": "failed",
        "notifications": "notify",
        "undos": "undone",
        "redos": "redone",
        "bounces": "bounce",
        "cancelled": "cancelled",
        "stranded": "stranded",
        "retracted": "retracted",
        "aborts": "abort",
    }
    return {name: kinds[kind] for name, kind in names.items()}


def assumptions_of(records: Sequence[Record], agents: int) -> dict[str, dict[str, int]]:
    """What the verdict rests on, and how often the run relied on it."""
    kinds = Counter(r.kind for r in records)
    dishonest = sum("core.footprint-honest" in r.body["error"] for r in records if r.kind in ("failed", "stranded"))
    waivers: Counter[str] = Counter()
    given = {(r.agent, n) for r in records if r.kind == "deliver" for n in r.body["ids"]}
    judged = set[tuple[int | None, int]]()
    for r in records:
        if r.kind == "judge":
            waivers[r.body["waiver"] or ("unexplained" if r.body["verdict"] == "ignore" else r.body["verdict"])] += 1
            judged |= {(r.agent, n) for n in r.body["ids"]}
    return {
        A1: {"assumed of agents": agents},
        A2: {
            "audited by the runtime": kinds["exec"] + kinds["redo"] + kinds["undo"],
            "violations put back": dishonest,
            "changes by nobody": kinds["external"],
        },
        A3: {
            "waived, mechanical": waivers["mechanical"],
            "waived, replayed": waivers["replayed"],
            "waived, trusted": waivers["trusted"],
            "waived, unexplained": waivers["unexplained"],
            "repaired": waivers["repair"],
            "retracted": waivers["retract"],
            "notifications without a judgment": len(given - judged),
        },
    }


def sentence_of(name: str, counts: Mapping[str, int]) -> str:
    """An assumption and its counts as a sentence."""
    match name:
        case _ if name == A1:
            agents = counts.get("assumed of agents", 0)
            return f"{name}: that each of {many(agents, 'agent')} alone completes its task is assumed, not checked."
        case _ if name == A2:
            audited, back, foreign = (
                counts.get(n, 0) for n in ("audited by the runtime", "violations put back", "changes by nobody")
            )
            beyond = (
                f"{back} went beyond it and {'was' if back == 1 else 'were'} put back" if back else "none went beyond"
            )
            strangers = f"{many(foreign, 'change')} came from no tool" if foreign else "no change came from no tool"
            return (
                f"{name}: by the word of who wrote the log, {many(audited, 'effect')} held against the declared "
                f"writes; {beyond}; {strangers}. Not seen: what a tool read without declaring it, and who else changed "
                "a declared object in the very moment that a tool wrote it."
            )
        case _ if name == A3:
            rows = (f"{how.replace(', ', ' as ')}: {count}" for how, count in counts.items() if count)
            judged = ", ".join(rows) or "there were none"
            return f"{name}: what agents made of their notifications is taken as right: {judged}."
    return f"{name}: {', '.join(f'{count} {what}' for what, count in counts.items())}."


def many(count: int, noun: str) -> str:
    """``1 effect``, ``2 effects``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def held_of(records: Sequence[Record]) -> tuple[Held, ...]:
    """The calls without an inverse, in the order in which they were accepted."""
    waits = {r.call: set[int]() for r in records if r.kind == "call" and not r.body["invertible"]}
    for r in records:
        if r.kind == "gate" and r.call in waits:
            waits[r.call] |= set(r.body["waits_for"])
    return tuple(
        Held(r.call or "", r.body["tool"], tuple(sorted(waits[r.call])))
        for r in records
        if r.kind == "call" and r.call in waits
    )
