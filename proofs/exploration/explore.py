"""Exhaustive exploration: every reachable state of a finite instance, breadth first.

All properties are checked at each state and each step, so a counterexample is a shortest one. Whole states are kept,
not fingerprints: nothing is missed by collision. Reachability properties that are never reached are failures, and the
actions and clauses that were exercised are counted, so that nothing holds for want of being tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import attrs

from mtpo.proofs.exploration.instances import Roots
from mtpo.proofs.verdicts import Status, Trace, Verdict
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language.terms import conj

if TYPE_CHECKING:
    from mtpo.proofs.exploration.checkpoint import Checkpoint

DEFAULT_LIMIT = 5_000_000

Engine = Literal["python", "compiled", "numpy", "torch", "cupy"]

ENGINES: Final = get_args(Engine)


@attrs.frozen
class Exploration:
    """What an exploration saw. ``complete`` is False when it stopped early: CHECKED is then only what was reached."""

    instance: Instance
    initial: int
    states: int
    transitions: int
    depth: int
    seconds: float
    complete: bool
    taken: dict[str, int]
    verdicts: list[Verdict]
    symmetry: bool = False
    bytes_per_state: float | None = None
    engine: Engine = "python"
    jobs: int = 1
    parts: int = 1

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "sizes": {sort.__name__: n for sort, n in self.instance.sizes.items()},
            "engine": self.engine,
            "jobs": self.jobs,
            "parts": self.parts,
            "initial_states": self.initial,
            "states": self.states,
            "transitions": self.transitions,
            "depth": self.depth,
            "seconds": round(self.seconds, 2),
            "states_per_second": round(self.states / max(self.seconds, 1e-9)),
            "complete": self.complete,
            "symmetry": self.symmetry,
            "bytes_per_state": self.bytes_per_state and round(self.bytes_per_state, 1),
            "actions": self.taken,
            "verdicts": [v.as_json() for v in self.verdicts],
        }


@attrs.frozen
class Found:
    """What a search found, before it is judged.

    ``taken`` the steps of each action; ``reached`` the goals that some state satisfies; ``violated`` a shortest run
    whose last state, or last step, violates something; ``renamings`` those that one state stands for.
    """

    initial: int
    states: int
    transitions: int
    depth: int
    complete: bool
    taken: dict[str, int]
    reached: frozenset[str]
    violated: Trace | None
    bytes_per_state: float | None = None
    renamings: int = 1


def explore(
    instance: Instance,
    initial: Iterable[State] | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    engine: Engine = "python",
    symmetry: bool = False,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[int, int], None] = lambda states, frontier: None,
) -> Exploration:
    """Explore from the initial states (by default the one initial state) to the end, the limit or a violation.

    ``engine`` numpy explores in columns: many states at once, by a program on arrays that is generated from the spec in
    a second; torch and cupy run the same program, on a GPU. compiled makes machine code of the spec first (a minute for
    a large one, kept for the next time). All of these need a tenth of the memory of python. With ``symmetry``, which
    python lacks, one of all states that differ by a renaming of unordered sorts is looked at. Initial states count
    against the limit as they are made. ``checkpoint``, for all engines but python: see
    :mod:`mtpo.proofs.exploration.checkpoint`; the seconds are then those of all processes that had a part.
    """
    start = time.perf_counter()
    roots: Iterable[State] = [instance.freeze(instance.initial())] if initial is None else initial
    if engine == "compiled":
        from mtpo.proofs.exploration.compiled import search_compiled

        found = search_compiled(
            instance, roots, limit=limit, symmetry=symmetry, checkpoint=checkpoint, progress=progress
        )
    elif engine != "python":
        from mtpo.proofs.columns.arrays import arrays_of
        from mtpo.proofs.columns.columnar import search_columns

        found = search_columns(
            instance,
            roots,
            limit=limit,
            arrays=arrays_of(engine),
            symmetry=symmetry,
            checkpoint=checkpoint,
            progress=progress,
        )
    elif symmetry or checkpoint is not None:
        raise ValueError(f"{'symmetry' if symmetry else 'a checkpoint'} needs another engine than python")
    else:
        found = search_plainly(instance, roots, limit, progress)
    seconds = time.perf_counter() - start + (0.0 if checkpoint is None else checkpoint.spent)
    choice = initial.choice if isinstance(initial, Roots) else ""
    verdicts = verdicts_of(instance, found, limit, symmetry, choice)
    return Exploration(
        instance,
        found.initial,
        found.states,
        found.transitions,
        found.depth,
        seconds,
        found.complete,
        found.taken,
        verdicts,
        symmetry,
        found.bytes_per_state,
        engine,
    )


def search_plainly(
    instance: Instance,
    roots: Iterable[State],
    limit: int,
    progress: Callable[[int, int], None],
    enough: Callable[[int], bool] = lambda depth: False,
) -> Found:
    """Every reachable state, one after another, up to ``limit`` states or the first violation.

    ``enough`` is asked before each level, when all runs of so many steps were looked at, whether that will do.
    """
    spec = instance.spec
    states, moves = spec.role("invariant", "lemma"), spec.role("step")
    holds = instance.formula(conj(*(p.formula for p in states)), "all invariants", grounded=True)
    allows = instance.formula(conj(*(p.formula for p in moves)), "all step properties", grounded=True)
    goals = {p.id: instance.formula(p.formula, p.id, grounded=True) for p in spec.role("reachable")}
    reached = set[str]()
    parent: dict[State, tuple[State, int] | None] = {}
    transitions = depth = 0
    violated: Trace | None = None

    def look(state: State) -> bool:
        reached.update([id for id in goals if id not in reached and goals[id](state)])
        return holds(state)

    for state in roots:
        if state in parent:
            continue
        parent[state] = None
        if len(parent) % 4096 == 0:
            progress(len(parent), len(parent))
        if not look(state):
            violated = Trace(instance, (state,), ())
        if violated or len(parent) > limit:
            break
    initial, frontier = len(parent), list(parent)
    if violated or initial > limit:
        nothing = dict.fromkeys(spec.actions, 0)
        return Found(initial, initial, 0, 0, False, nothing, frozenset(reached), violated)
    steps, successors = instance.ground()
    taken = [0] * len(steps)

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

    while frontier and not violated and len(parent) <= limit and not enough(depth):
        following: list[State] = []
        for position, state in enumerate(frontier):
            if position % 4096 == 0:
                progress(len(parent), len(frontier) - position)
            for number, after in successors(state):
                transitions += 1
                taken[number] += 1
                if not allows(state, after):
                    violated = trace(state, number, after)
                    break
                if after not in parent:
                    parent[after] = (state, number)
                    following.append(after)
                    if not look(after):
                        violated = trace(after)
                        break
            if violated or len(parent) > limit:
                break
        depth += bool(following)
        frontier = following
    by_action: dict[str, int] = dict.fromkeys(spec.actions, 0)
    for step, count in zip(steps, taken, strict=True):
        by_action[step.action] += count
    complete = violated is None and len(parent) <= limit and not frontier
    return Found(initial, len(parent), transitions, depth, complete, by_action, frozenset(reached), violated)


def verdicts_of(instance: Instance, found: Found, limit: int, symmetry: bool, choice: str = "") -> list[Verdict]:
    """One for each property, and one for each action that was never taken."""
    spec = instance.spec
    detail: dict[str, Any] = {
        "sizes": {s.__name__: n for s, n in instance.sizes.items()},
        "states": found.states,
        "depth": found.depth,
        "symmetry": symmetry,
        **({"constants": choice} if choice else {}),
    }
    verdicts: list[Verdict] = []
    if found.violated is not None:
        last = found.violated.states[-1]
        bad = instance.violated(last)
        if found.violated.steps:
            bad += instance.violated_step(found.violated.states[-2], last)
        verdicts += [Verdict(p.id, Status.FAILED, "exhaustive", {}, clause=p.doc, trace=found.violated) for p in bad]
    if not found.initial:
        why = "no initial state of these sizes satisfies the assumptions: nothing was looked at"
        empty = [f"{spec.name}.init", *(p.id for p in spec.role("invariant", "lemma", "step", "reachable"))]
        return [Verdict(id, Status.FAILED, "vacuous", {**detail, "why": why}) for id in empty]
    if found.complete:
        status, open_detail = Status.CHECKED, detail
    else:
        status = Status.UNKNOWN
        where = "the violation" if found.violated else f"the limit of {limit:,} states"
        if not found.transitions and not found.violated:
            where += ", before any step"
        why = f"not violated in the {found.states:,} states seen, at depths up to {found.depth}; stopped at {where}"
        open_detail = {**detail, "why": why}
    failed = {v.property for v in verdicts}
    verdicts += [
        Verdict(p.id, status, "exhaustive", open_detail)
        for p in spec.role("invariant", "lemma", "step")
        if p.id not in failed
    ]
    for p in spec.role("reachable"):
        if p.id in found.reached:
            verdicts.append(Verdict(p.id, Status.CHECKED, "reached", detail))
        elif found.complete:
            verdicts.append(Verdict(p.id, Status.FAILED, "never reached", detail))
        else:
            verdicts.append(Verdict(p.id, Status.UNKNOWN, "not reached", {**open_detail, "why": "not reached so far"}))
    verdicts += [
        Verdict(f"{spec.name}.{name}", Status.FAILED, "action never taken", detail)
        for name, count in found.taken.items()
        if found.complete and not count
    ]
    return verdicts


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
