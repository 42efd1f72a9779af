"""Exhaustive exploration: every reachable state of a finite instance, breadth first.

All properties are checked at each state and each step, so a counterexample is a shortest one. Whole states are kept,
not fingerprints: nothing is missed by collision. Reachability properties that are never reached are failures, and the
actions and clauses that were exercised are counted, so that nothing holds for want of being tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from mtpo.proofs.verdicts import Status, Trace, Verdict
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.terms import conj

DEFAULT_LIMIT = 5_000_000


@attrs.frozen
class Exploration:
    """What an exploration saw. ``complete`` is False when it stopped at the state limit: then nothing is CHECKED."""

    instance: Instance
    initial: int
    states: int
    transitions: int
    depth: int
    seconds: float
    complete: bool
    taken: dict[str, int]
    verdicts: list[Verdict]

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "sizes": {sort.__name__: n for sort, n in self.instance.sizes.items()},
            "initial_states": self.initial,
            "states": self.states,
            "transitions": self.transitions,
            "depth": self.depth,
            "seconds": round(self.seconds, 2),
            "states_per_second": round(self.states / max(self.seconds, 1e-9)),
            "complete": self.complete,
            "symmetry": False,
            "actions": self.taken,
            "verdicts": [v.as_json() for v in self.verdicts],
        }


def explore(
    instance: Instance,
    initial: Iterable[State] | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    progress: Callable[[int, int], None] = lambda states, frontier: None,
) -> Exploration:
    """Explore from the initial states (by default the one initial state) to the end, the limit or a violation."""
    start = time.perf_counter()
    spec = instance.spec
    steps, successors = instance.ground()
    roots = [instance.freeze(instance.initial())] if initial is None else list(dict.fromkeys(initial))
    states = spec.role("invariant", "lemma")
    moves = spec.role("step")
    holds = instance.formula(conj(*(p.formula for p in states)), "all invariants", grounded=True)
    allows = instance.formula(conj(*(p.formula for p in moves)), "all step properties", grounded=True)
    goals = {p.id: instance.formula(p.formula, p.id, grounded=True) for p in spec.role("reachable")}
    reached: dict[str, State] = {}
    parent: dict[State, tuple[State, int] | None] = dict.fromkeys(roots)
    taken = [0] * len(steps)
    transitions = depth = 0
    broken: list[Verdict] = []
    complete = True

    def look(state: State) -> bool:
        for id in [id for id in goals if id not in reached and goals[id](state)]:
            reached[id] = state
        return holds(state)

    def trace(state: State, last: int | None = None, after: State | None = None) -> Trace:
        row, path = [state], []
        while (link := parent[row[-1]]) is not None:
            row.append(link[0])
            path.append(steps[link[1]])
        row.reverse()
        path.reverse()
        if last is not None and after is not None:
            row.append(after)
            path.append(steps[last])
        return Trace(instance, tuple(row), tuple(path))

    def fail(found: Trace) -> None:
        after = found.states[-1]
        bad = instance.violated(after)
        if not bad and found.steps:
            bad = instance.violated_step(found.states[-2], after)
        broken.extend(Verdict(p.id, Status.FAILED, "exhaustive", {}, clause=p.doc, trace=found) for p in bad)

    frontier = list(roots)
    for state in roots:
        if not look(state):
            fail(trace(state))
            break
    while frontier and not broken:
        following: list[State] = []
        for position, state in enumerate(frontier):
            if position % 4096 == 0:
                progress(len(parent), len(frontier) - position)
            for number, after in successors(state):
                transitions += 1
                taken[number] += 1
                if not allows(state, after):
                    fail(trace(state, number, after))
                    break
                if after not in parent:
                    parent[after] = (state, number)
                    following.append(after)
                    if not look(after):
                        fail(trace(after))
                        break
            if broken or len(parent) > limit:
                break
        if len(parent) > limit:
            complete = False
            break
        depth += bool(following)
        frontier = following
    seconds = time.perf_counter() - start
    by_action: dict[str, int] = dict.fromkeys(spec.actions, 0)
    for step, count in zip(steps, taken, strict=True):
        by_action[step.action] += count
    verdicts = list(broken)
    size = {"sizes": {s.__name__: n for s, n in instance.sizes.items()}, "states": len(parent), "depth": depth}
    if not broken:
        status = Status.CHECKED if complete else Status.UNKNOWN
        why = {} if complete else {"why": f"stopped at {limit:,} states"}
        verdicts += [Verdict(p.id, status, "exhaustive", {**size, **why}) for p in (*states, *moves)]
        for id in goals:
            if id in reached:
                verdicts.append(Verdict(id, Status.CHECKED, "reached", size, trace=None))
            else:
                verdicts.append(
                    Verdict(id, Status.FAILED if complete else Status.UNKNOWN, "never reached", {**size, **why})
                )
        verdicts += [
            Verdict(f"{spec.name}.{name}", Status.FAILED, "action never taken", size)
            for name, count in by_action.items()
            if complete and not count
        ]
    return Exploration(
        instance, len(roots), len(parent), transitions, depth, seconds, complete and not broken, by_action, verdicts
    )


def witness(instance: Instance, initial: Iterable[State], property: str, limit: int = DEFAULT_LIMIT) -> Trace | None:
    """A shortest run to a state that satisfies a reachability property."""
    goal = instance.formula(instance.spec.properties[property].formula, property, grounded=True)
    steps, successors = instance.ground()
    parent: dict[State, tuple[State, int] | None] = dict.fromkeys(initial)
    frontier = list(parent)
    while frontier and len(parent) <= limit:
        following = []
        for state in frontier:
            if goal(state):
                row, path = [state], list[Step]()
                while (link := parent[row[-1]]) is not None:
                    row.append(link[0])
                    path.append(steps[link[1]])
                return Trace(instance, tuple(reversed(row)), tuple(reversed(path)))
            for number, after in successors(state):
                if after not in parent:
                    parent[after] = (state, number)
                    following.append(after)
        frontier = following
    return None
