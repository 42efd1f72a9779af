"""Runs of the protocol as data: footprints, steps, and the spec with a rule left out or another in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import attrs

from mtpo.proofs.findings.scripted import Given, Holds, Refused, Script
from mtpo.proofs.mutants.ablate import without
from mtpo.spec.language import Action, Bool, Clause, Spec
from mtpo.spec.mtpo import Agent, Call, Object, Value, mtpo

X, Y = {0}, {1}
XY = X | Y
NONE: set[int] = set()

One = tuple[int, str, str]
"""A call as data: the rank of its author, what it reads, what it writes; a ``!`` says that it has no inverse."""


def footprints(calls: Sequence[One], objects: str, cancel: bool) -> Mapping[str, Any]:
    """The constants of so many calls, numbered from 1 on: the origin is 0."""
    return {
        "origin": [0],
        "author": [0, *(rank for rank, _, _ in calls)],
        "reads": [0] * len(objects) + [int(o in r) for _, r, _ in calls for o in objects],
        "writes": [1] * len(objects) + [int(o in w) for _, _, w in calls for o in objects],
        "invertible": [1, *("!" not in w for _, _, w in calls)],
        "replay": [not cancel],
    }


def script(
    says: str,
    calls: Sequence[One],
    steps: Iterable[Given | Refused | Holds],
    *,
    objects: str = "xy",
    cancel: bool = False,
    lacks: Sequence[str] = (),
    breaks: Sequence[str] = (),
    accepts: Set[tuple[int, int, int]] = frozenset(),
) -> Script:
    """A run of the protocol, all agents launched first; ``objects`` are their names, a letter each, ``lacks`` the rules
    that it is without, ``accepts`` the calls, objects and values of which an author's predicate is true."""
    agents = 1 + max(rank for rank, _, _ in calls)
    return Script(
        says,
        mtpo,
        {Agent: agents, Call: 1 + len(calls), Object: len(objects), Value: 2},
        {**footprints(calls, objects, cancel), "accepts": lambda *which: int(which in accepts)},
        (*(("launch", agent) for agent in range(agents)), *steps),
        tuple(breaks),
        f"without {', '.join(f'mtpo.{rule}' for rule in lacks)}" if lacks else "",
        (lambda: without(mtpo, lacks)) if lacks else None,
        objects,
    )


def act(call: int, where: set[int], left: Sequence[int]) -> tuple[Given, ...]:
    """A write with nothing to undo; ``left`` on each object (what it does not write is not looked at)."""
    return ("call", call, NONE, where), ("applied", call, left), ("settle", call)


def with_actions(*changed: Action) -> Spec:
    """The protocol with some actions in the place of those of their names."""
    return mtpo.without(actions={**mtpo.actions, **{action.name: action for action in changed}})


def with_clause(action: Action, clause: str, formula: Bool) -> Action:
    """An action of which one clause says something else."""

    def changed(one: Clause) -> Clause:
        return attrs.evolve(one, formula=formula) if one.id.rpartition(".")[2] == clause else one

    return attrs.evolve(action, guard=tuple(map(changed, action.guard)))
