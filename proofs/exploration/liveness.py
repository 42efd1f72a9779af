"""Liveness of whole runs of a finite instance: all of them come to a goal, and keep it.

A run goes on as long as a step is enabled that changes something, but for the steps of actions that nobody need take:
it may end where only those are left. A run without end is weakly fair: an action that stays enabled for the same
elements is taken at some time. So there are two ways only to miss a goal, and both are looked for: a state where a run
may end and the goal is false, and a fair cycle with a state where it is. Where steps form no cycle at all every run
ends, and nothing rests on fairness.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from mtpo.proofs.exploration.cycles import Graph, components, fair_cycle
from mtpo.proofs.exploration.goals import Goal
from mtpo.proofs.exploration.instances import Roots
from mtpo.proofs.verdicts import Status, Trace, Verdict
from mtpo.spec.concrete import Instance, State

LIMIT = 20_000_000
"""States that are looked at."""

Progress = Callable[[int, int], None]


@attrs.frozen
class Liveness:
    """What was looked at: ``ends`` the states where a run may end, ``cyclic`` those that lie on a cycle."""

    instance: Instance
    initial: int
    states: int
    transitions: int
    depth: int
    ends: int
    cyclic: int
    seconds: float
    complete: bool
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "sizes": {sort.__name__: n for sort, n in self.instance.sizes.items()},
            "initial_states": self.initial,
            "states": self.states,
            "transitions": self.transitions,
            "depth": self.depth,
            "ends": self.ends,
            "states_on_cycles": self.cyclic,
            "seconds": round(self.seconds, 2),
            "complete": self.complete,
            "verdict": self.verdict.as_json(),
        }


def check_goal(
    instance: Instance,
    initial: Iterable[State],
    goal: Goal,
    *,
    limit: int = LIMIT,
    progress: Progress = lambda states, frontier: None,
) -> Liveness:
    """Whether every fair run from the initial states comes to the goal and keeps it; else a run that does not.

    The run is a shortest one to where it may end short of the goal; or, if there is no such state, to a fair cycle.
    """
    start = time.perf_counter()
    reached = instance.formula(goal.formula, goal.id, grounded=True)
    seen = _Search(instance, goal.may)
    short = seen.run(initial, reached, limit, progress)
    graph, cyclic, trace, why = seen.graph, 0, None, ""
    if short is not None:
        trace, why = seen.trace(short), "a run may end here, short of the goal"
    elif seen.complete:
        found = components(graph)
        cyclic = sum(map(len, found))
        if lasso := _endless(seen, found, reached):
            trace, again = lasso
            why = f"steps {again} to {len(trace.steps)} can be taken over and over, which is fair, short of the goal"
    if not graph.states:
        status, why = Status.FAILED, "no initial state of these sizes satisfies the assumptions: nothing was looked at"
    elif trace is not None:
        status = Status.FAILED
    elif not seen.complete:
        status, why = Status.UNKNOWN, f"stopped at the limit of {limit:,} states, at depths up to {seen.depth}"
    else:
        status = Status.CHECKED
    detail = {
        "sizes": {sort.__name__: n for sort, n in instance.sizes.items()},
        "states": len(graph.states),
        "transitions": len(graph.targets),
        "depth": seen.depth,
        "ends": seen.ends,
        "states_on_cycles": cyclic,
        "symmetry": False,
        **({"constants": initial.choice} if isinstance(initial, Roots) and initial.choice else {}),
        **({"why": why} if why else {}),
    }
    verdict = Verdict(goal.id, status, "live", detail, clause=goal.doc if trace else "", trace=trace)
    return Liveness(
        instance,
        seen.initial,
        len(graph.states),
        len(graph.targets),
        seen.depth,
        seen.ends,
        cyclic,
        time.perf_counter() - start,
        seen.complete and trace is None,
        verdict,
    )


class _Search:
    """A breadth-first search that keeps the steps, four bytes each, and of each state the way back."""

    def __init__(self, instance: Instance, may: frozenset[str]) -> None:
        self.instance = instance
        self.steps, self.successors = instance.ground()
        self.must = [step.action not in may for step in self.steps]
        self.graph = Graph([], array("Q", [0]), array("I"))
        self.parents, self.by = array("I"), array("I")
        self.initial = self.depth = self.ends = 0
        self.complete = False

    def run(self, roots: Iterable[State], reached: Callable[[State], bool], limit: int, tell: Progress) -> int | None:
        """Search to the end, the limit, or a state where a run may end short of the goal, which is returned."""
        states, starts, targets = self.graph.states, self.graph.starts, self.graph.targets
        known: dict[State, int] = {}

        def position(state: State, parent: int, by: int) -> int:
            if (found := known.setdefault(state, len(states))) == len(states):
                states.append(state)
                self.parents.append(parent)
                self.by.append(by)
            return found

        for root in roots:
            position(root, len(states), 0)
            if len(states) > limit:
                break
        self.initial = level = len(states)
        here = 0
        while here < len(states) and len(states) <= limit:
            if here % 4096 == 0:
                tell(len(states), len(states) - here)
            if here == level:
                self.depth, level = self.depth + 1, len(states)
            state, goes_on = states[here], False
            for number, after in self.successors(state):
                if after != state:
                    targets.append(position(after, here, number))
                    goes_on = goes_on or self.must[number]
            starts.append(len(targets))
            if not goes_on:
                self.ends += 1
                if not reached(state):
                    return here
            here += 1
        self.complete = here == len(states)
        return None

    def trace(self, last: int) -> Trace:
        """A shortest run to a state."""
        chain = [last]
        while self.parents[chain[-1]] != chain[-1]:
            chain.append(self.parents[chain[-1]])
        chain.reverse()
        steps = tuple(self.steps[self.by[position]] for position in chain[1:])
        return Trace(self.instance, tuple(self.graph.states[position] for position in chain), steps)


def _endless(seen: _Search, found: list[list[int]], reached: Callable[[State], bool]) -> tuple[Trace, int] | None:
    """A shortest run to a state short of the goal on a fair cycle, the cycle once, and the step it begins with."""
    short = ((min((p for p in each if not reached(seen.graph.states[p])), default=-1), each) for each in found)
    for start, component in sorted((s, each) for s, each in short if s >= 0):
        cycle = fair_cycle(seen.graph, component, start, seen.successors, seen.steps, seen.must)
        if cycle is not None:
            way = seen.trace(start)
            states = (*way.states, *(seen.graph.states[p] for _, p in cycle))
            return Trace(seen.instance, states, (*way.steps, *(seen.steps[n] for n, _ in cycle))), len(way.steps) + 1
    return None
