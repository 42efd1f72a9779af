"""Why an uncontrolled run has no serial order: a cycle of conflicts between agents, with a witness for each edge.

An edge from i to j says that every equivalent serial order runs i before j (Bernstein, Hadzilacos and Goodman, 1987,
chapter 2). Accesses are taken in log order, which in the modes without repair is the order in which they took effect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

import attrs

from mtpo_core.view.gather import Call

Reason = Literal["read before", "wrote before", "read from"]


@attrs.frozen
class Conflict:
    """``first`` must come before ``second`` in any equivalent serial order, because of ``object``."""

    first: str
    second: str
    first_rank: int
    second_rank: int
    object: str
    reason: Reason


def conflicts(calls: Iterable[Call]) -> dict[tuple[int, int], Conflict]:
    """One witness for each ordered pair of agents that conflict; calls that had no effect are left out."""
    found: dict[tuple[int, int], Conflict] = {}
    writers: dict[str, dict[int, str]] = {}
    readers: dict[str, dict[int, str]] = {}

    def note(first: str, rank: int, call: Call, name: str, reason: Reason) -> None:
        if rank != call.rank:
            found.setdefault((rank, call.rank), Conflict(first, call.id, rank, call.rank, name, reason))

    acted = [call for call in calls if call.status in ("served", "applied", "redone")]
    for call in sorted(acted, key=lambda call: call.applied_seq):
        # A blind write records what it replaced too; that is not a premise.
        reads = [seen.object for seen in call.saw if call.write_class != "blind" or seen.object not in call.out]
        for name in reads:
            for rank, first in writers.get(name, {}).items():
                note(first, rank, call, name, "read from")
        for name in call.out:
            for rank, first in readers.get(name, {}).items():
                note(first, rank, call, name, "read before")
            for rank, first in writers.get(name, {}).items():
                note(first, rank, call, name, "wrote before")
        for name in reads:
            readers.setdefault(name, {}).setdefault(call.rank, call.id)
        for name in call.out:
            writers.setdefault(name, {}).setdefault(call.rank, call.id)
    return found


def cycle(found: dict[tuple[int, int], Conflict]) -> tuple[Conflict, ...]:
    """A shortest cycle of conflicts, starting at its lowest rank; empty when there is a serial order."""
    after: dict[int, list[int]] = {}
    for first, second in sorted(found):
        after.setdefault(first, []).append(second)
    best: list[int] = []
    for start in sorted(after):
        came: dict[int, int] = {}
        queue = deque([start])
        while queue and start not in came:
            here = queue.popleft()
            for there in after.get(here, []):
                if there not in came:
                    came[there] = here
                    queue.append(there)
        if start in came:
            path = [start, came[start]]
            while path[-1] != start:
                path.append(came[path[-1]])
            path.reverse()
            if not best or len(path) < len(best):
                best = path
    return tuple(found[pair] for pair in pairwise(best))
