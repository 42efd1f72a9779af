"""What an exploration exercised: each action taken, each guard conjunct true and false, each update a change.

A conjunct is looked at with all arguments, in every state that can be reached. It is *decisive* where it alone forbids
a step: false while the rest of the guard is true; one that never is could go, and nothing would change at these sizes.
What no run exercises is a failure unless it is listed as unreachable, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs

from mtpo.proofs.exploration.explore import DEFAULT_LIMIT
from mtpo.proofs.exploration.watching import Line, Watched, conjuncts_of, updates_of
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, State

UNREACHABLE: Final[Mapping[str, str]] = {}
"""What no run of a built-in spec exercises, as ``ID VALUE``, with the reason."""


@attrs.frozen
class Coverage:
    """What was exercised in ``states`` states; ``complete`` when those are all that can be reached."""

    instance: Instance
    states: int
    complete: bool
    lines: tuple[Line, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """What should have been exercised and was not, as ``ID VALUE``."""
        return tuple(f"{line.id} {value}" for line in self.lines for value in line.missing)

    @property
    def mislisted(self) -> tuple[str, ...]:
        """What is listed as unreachable and was exercised, as ``ID VALUE``."""
        return tuple(f"{line.id} {value}" for line in self.lines for value in line.mislisted)

    @property
    def status(self) -> Status:
        """FAILED when something is never exercised; UNKNOWN when the exploration stopped before it was."""
        if self.mislisted or (self.missing and self.complete):
            return Status.FAILED
        return Status.UNKNOWN if self.missing else Status.CHECKED

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "spec": self.instance.spec.name,
            "states": self.states,
            "complete": self.complete,
            "status": str(self.status),
            "missing": list(self.missing),
            "mislisted": list(self.mislisted),
            "lines": [line.as_json() for line in self.lines],
        }


def ids_of(instance_spec: Any) -> set[str]:
    """Everything that can be listed as unreachable: ``ID VALUE``."""
    found = set()
    for action in instance_spec.actions.values():
        found.add(f"{instance_spec.name}.{action.name} taken")
        found |= {f"{id} {value}" for id, _ in conjuncts_of(action) for value in ("true", "false")}
        found |= {f"{id} change" for id, _ in updates_of(instance_spec.name, action)}
    return found


def coverage(
    instance: Instance,
    initial: Iterable[State],
    *,
    limit: int = DEFAULT_LIMIT,
    unreachable: Mapping[str, str] = UNREACHABLE,
    progress: Callable[[int, int], None] = lambda states, frontier: None,
) -> Coverage:
    """Explore from the initial states to the end or the limit, whatever is violated on the way."""
    spec = instance.spec
    watched = {name: Watched.of(instance, action) for name, action in spec.actions.items()}
    known = set[State]()
    for state in initial:
        known.add(state)
        if len(known) > limit:
            break
    steps, successors = instance.ground()
    frontier = list(known)
    while frontier:
        following: list[State] = []
        for position, state in enumerate(frontier):
            if position % 4096 == 0:
                progress(len(known), len(frontier) - position)
            for one in watched.values():
                if one.open:
                    one.look(state)
            if len(known) > limit:
                continue
            for number, after in successors(state):
                watched[steps[number].action].take(state, steps[number].args)
                if after not in known:
                    known.add(after)
                    following.append(after)
        frontier = following
    lines = [line for name, one in watched.items() for line in one.lines(f"{spec.name}.{name}", unreachable)]
    return Coverage(instance, len(known), len(known) <= limit, tuple(lines))
