"""Random walks in instances too large to explore: every property at every state and step that they come through.

What is found is a run; what is not found is not shown to be absent: a verdict is SAMPLED, with how much was seen. At
each state an action is drawn among those that change something, then one of its steps, so that an action with many
choices of arguments does not crowd out the others. Each walk leaves out half of the actions as long as others are
enabled (swarm testing), or what ends a run early would end most; and what was seldom taken so far is likelier. The seed
decides all of it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import attrs

from mtpo.proofs.exploration.kernel import compile_kernel
from mtpo.proofs.exploration.rows import successors
from mtpo.proofs.exploration.starts import Draw
from mtpo.proofs.verdicts import Status, Trace, Verdict
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import Property

DEPTH = 100
"""Steps that a walk has at most."""

SELDOM = 1e-4
"""What an action weighs in a walk that leaves it out as long as others are enabled."""


@attrs.frozen
class Sample:
    """What was seen: ``states`` different ones, ``depth`` the longest walk, ``taken`` the steps of each action."""

    instance: Instance
    walks: int
    steps: int
    states: int
    depth: int
    seed: int
    seconds: float
    taken: dict[str, int]
    unreached: tuple[str, ...]
    verdicts: list[Verdict]

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "sizes": {sort.__name__: n for sort, n in self.instance.sizes.items()},
            "walks": self.walks,
            "steps": self.steps,
            "states": self.states,
            "depth": self.depth,
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
            "actions": self.taken,
            "not_reached": list(self.unreached),
            "verdicts": [v.as_json() for v in self.verdicts],
        }


def walk(
    instance: Instance,
    draw: Draw,
    *,
    walks: int,
    seed: int = 0,
    depth: int = DEPTH,
    progress: Callable[[int, int], None] = lambda walks, steps: None,
) -> Sample:
    """So many walks of at most ``depth`` steps, from initial states that are drawn; they end with a violation."""
    start, spec = time.perf_counter(), instance.spec
    walker = _Walker(instance)
    failed: list[State] = []
    done = 0
    while done < walks and not failed:
        failed = walker.walk(draw, Random(f"{seed}/{done}"), depth)
        done += 1
        progress(done, walker.steps)
    detail = {
        "sizes": {sort.__name__: n for sort, n in instance.sizes.items()},
        "walks": done,
        "steps": walker.steps,
        "states": len(walker.seen),
        "depth": walker.depth,
        "seed": seed,
    }
    verdicts: list[Verdict] = []
    if failed:
        trace = shortened(_through(instance, failed, walker.path))
        verdicts += [Verdict(p.id, Status.FAILED, "sampled", detail, clause=p.doc, trace=trace) for p in _broken(trace)]
    bad = {v.property for v in verdicts}
    checked = [p.id for p in spec.role("invariant", "lemma", "step") if p.id not in bad]
    verdicts += [Verdict(id, Status.SAMPLED, "sampled", detail) for id in checked]
    goals = [p.id for p in spec.role("reachable")]
    verdicts += [Verdict(id, Status.CHECKED, "reached", detail) for id in goals if id in walker.reached]
    return Sample(
        instance,
        done,
        walker.steps,
        len(walker.seen),
        walker.depth,
        seed,
        time.perf_counter() - start,
        walker.taken,
        tuple(id for id in goals if id not in walker.reached),
        verdicts,
    )


class _Rows(list[Any]):
    """Rows that generated code writes successors to."""

    @property
    def shape(self) -> tuple[int]:
        return (len(self),)


def _rows(count: int) -> tuple[_Rows, list[int]]:
    return _Rows([] for _ in range(count)), [0] * count


class _Walker:
    """Walks by the code that is generated of a spec, run by Python: it has no limit on choices, and needs no minute."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.kernel = compile_kernel(instance, jit=False)
        self.actions = list(instance.spec.actions)
        self.rows, self.by = _rows(256)
        self.scratch = [0] * self.kernel.scratch
        self.seen = set[State]()
        self.reached = set[str]()
        self.taken = dict.fromkeys(self.actions, 0)
        self.path: list[str] = []
        self.steps = self.depth = 0

    def walk(self, draw: Draw, random: Random, depth: int) -> list[State]:
        """One walk: its states, if the last of them, or the last step, violates something; ``path`` are its actions."""
        cells = list(draw(random))
        weights = [random.choice((1.0, SELDOM)) for _ in self.actions]
        states, self.path = [self.instance.freeze(cells)], []
        good = self._look(states[0], cells)
        while good and len(self.path) < depth:
            choices = self._choices(cells)
            if not choices:
                return []
            tried = [weights[n] / (1 + self.taken[self.actions[n]]) for n in choices]
            (action,) = random.choices(list(choices), tried)
            after = random.choice(choices[action])
            good = bool(self.kernel.code.allows(cells, after, cells))
            cells = after
            states.append(self.instance.freeze(cells))
            self.path.append(self.actions[action])
            self.taken[self.actions[action]] += 1
            self.steps += 1
            self.depth = max(self.depth, len(self.path))
            good = self._look(states[-1], cells) and good
        return [] if good else states

    def _look(self, state: State, cells: list[int]) -> bool:
        if state in self.seen:  # all that was seen holds, or the walks end
            return True
        self.seen.add(state)
        for number, id in enumerate(self.kernel.goals):
            if id not in self.reached and self.kernel.code.goal(cells, number):
                self.reached.add(id)
        return bool(self.kernel.code.holds(cells, cells, cells))

    def _choices(self, cells: list[int]) -> dict[int, list[list[int]]]:
        """The states after, by the number of the action."""
        while (found := self.kernel.code.expand(cells, self.scratch, self.rows, self.by)) < 0:
            self.rows, self.by = _rows(2 * len(self.by))
        choices: dict[int, list[list[int]]] = {}
        for number in range(found):
            if self.rows[number] != cells:
                choices.setdefault(self.by[number], []).append(list(self.rows[number]))
        return choices


# -- the run that is shown -----------------------------------------------------------------------------------------


def _through(instance: Instance, states: Sequence[State], actions: Sequence[str]) -> Trace:
    """The trace of a walk: to each action, the arguments that lead on."""
    steps = []
    for before, after, action in zip(states, states[1:], actions, strict=False):
        steps.append(next(step for step, found in successors(_only(instance, action), before) if found == after))
    return Trace(instance, tuple(states), tuple(steps))


@functools.lru_cache(maxsize=64)
def _only(instance: Instance, action: str) -> Instance:
    """The instance with one action, of which alone the arguments are tried."""
    spec = instance.spec.without(actions={action: instance.spec.actions[action]})
    return Instance(spec, instance.sizes, instance.constants, instance.open)


def _broken(trace: Trace) -> list[Property]:
    """What is false at the end of a trace."""
    found = trace.instance.violated(trace.states[-1])
    return found + (trace.instance.violated_step(*trace.states[-2:]) if trace.steps else [])


def shortened(trace: Trace) -> Trace:
    """The same violation with fewer steps: pieces of the run are left out, ever smaller ones, as long as it fails.

    What is not enabled without them is left out as well.
    """
    (wanted, *_) = _broken(trace)
    size = len(trace.steps)
    while size:
        start, before = 0, len(trace.steps)
        while start < len(trace.steps):
            rest = (*trace.steps[:start], *trace.steps[start + size :])
            shorter = _replayed(trace.instance, trace.states[0], rest, wanted)
            if shorter is None:
                start += size
            else:
                trace = shorter
        if size > 1 or len(trace.steps) == before:
            size //= 2
    return trace


def _replayed(instance: Instance, first: State, steps: Sequence[Step], wanted: Property) -> Trace | None:
    """The run of those of the steps that are enabled, up to where a property is false; None if it never is."""
    holds = instance.formula(wanted.formula, wanted.id)
    states, taken = [first], list[Step]()
    if wanted.role != "step" and not holds(first):
        return Trace(instance, (first,), ())
    for step in steps:
        if not instance.enabled(states[-1], step):
            continue
        after = list(states[-1])
        instance.perform(after, step)
        states.append(instance.freeze(after))
        taken.append(step)
        if not (holds(*states[-2:]) if wanted.role == "step" else holds(states[-1])):
            return Trace(instance, tuple(states), tuple(taken))
    return None
