"""Why a run misses its goal: what of the goal is false where it ends, and what keeps each action from a step there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import attrs

from mtpo.proofs.exploration.goals import goals_of
from mtpo.proofs.pictures.why import Reason, why_false
from mtpo.proofs.verdicts import Trace
from mtpo.spec.concrete import Step
from mtpo.spec.language import Property, Spec

LOOKED_AT: Final = 2_000
"""Steps of an action that are asked for what refuses them."""

NAMED: Final = 3
"""Steps that are named of those which the same clauses refuse, and such groups of an action."""


@attrs.frozen
class Still:
    """An action at the end of a run: its steps by the clauses that refuse them, the fewest first. ``needless`` are
    those that may be taken and need not, ``idle`` those that may be and change nothing; ``whole`` if all were asked."""

    action: str
    refused: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    needless: tuple[str, ...]
    idle: tuple[str, ...]
    whole: bool

    def line(self) -> str:
        """The action as text."""
        groups = [f"refused by {' and '.join(clauses)}: {_some(steps)}" for clauses, steps in self.refused[:NAMED]]
        if (others := len(self.refused) - NAMED) > 0:
            groups.append(f"by other clauses in {others} more ways")
        if self.idle:
            groups.append(f"changes nothing: {_some(self.idle)}")
        if self.needless:
            groups.append(f"need not be taken: {_some(self.needless)}")
        if not self.whole:
            groups.append(f"of more steps than the first {LOOKED_AT:,} nothing was asked")
        return f"{self.action}: {'; '.join(groups) or 'there is nobody to take it'}"

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        refused = [{"clauses": list(clauses), "steps": list(steps)} for clauses, steps in self.refused]
        return {
            "action": self.action,
            "refused": refused,
            "changes_nothing": list(self.idle),
            "need_not_be_taken": list(self.needless),
            "whole": self.whole,
        }


def _some(steps: tuple[str, ...]) -> str:
    more = len(steps) - NAMED
    return ", ".join(steps[:NAMED]) + (f" and {more} more" if more > 0 else "")


def ends(trace: Trace) -> bool:
    """Whether the run ends where it misses its goal; else its end is a cycle, which leads to a state of before."""
    return trace.states[-1] not in trace.states[:-1]


def goal_reasons(trace: Trace, id: str) -> list[Reason]:
    """What of a goal is false at the end of a run: a property of states, or a goal of whole runs."""
    spec = trace.instance.spec
    goal = next((g for g in goals_of(spec) if g.id == id), None)
    found = Property(id, goal.doc, goal.formula, "reachable", goal.at) if goal else spec.properties.get(id)
    return why_false(found, trace.instance, trace.states[-1]) if found else []


def stills(trace: Trace) -> Iterator[Still]:
    """Of each action, in order, what keeps it from a step where the run may end."""
    by_action: dict[str, list[Step]] = {name: [] for name in trace.instance.spec.actions}
    for step in trace.instance.ground()[0]:
        by_action[step.action].append(step)
    for name, steps in by_action.items():
        yield _still(trace, name, steps)


def _still(trace: Trace, action: str, steps: list[Step]) -> Still:
    at, state = trace.instance, trace.states[-1]
    refused, needless, idle = dict[tuple[str, ...], list[str]](), list[str](), list[str]()
    for step in steps[:LOOKED_AT]:
        text = trace.step_text(step)
        if clauses := at.refused(state, step):
            refused.setdefault(tuple(c.id for c in clauses), []).append(text)
            continue
        after = list(state)
        at.perform(after, step)
        (idle if at.freeze(after) == state else needless).append(text)
    fewest = sorted(refused.items(), key=lambda item: len(item[0]))
    groups = tuple((clauses, tuple(texts)) for clauses, texts in fewest)
    return Still(action, groups, tuple(needless), tuple(idle), len(steps) <= LOOKED_AT)


def missed(spec: Spec, id: str, trace: Trace, why: str) -> str:
    """What a run is short of, as a sentence; ``why`` says how."""
    goals: Iterable[Any] = (*goals_of(spec), *spec.properties.values())
    says = next((goal.doc for goal in goals if goal.id == id), "")
    how = "A run may end here, short of" if ends(trace) else f"{why[:1].upper()}{why[1:]}:"
    return f"{how} {id}. {says}".strip()


def data_of(result: Any) -> dict[str, Any]:
    """What was found of whole runs as plain data; of one that may end short of its goal, why no step must follow."""
    trace = result.verdict.trace
    last = [still.as_json() for still in stills(trace)] if trace is not None and ends(trace) else None
    return {**result.as_json(), "no_step": last}


def dead_end(trace: Trace) -> list[str]:
    """Why no step need follow where a run may end, a line for each action; nothing of a run that goes on."""
    return ["no step must follow:", *(f"  {still.line()}" for still in stills(trace))] if ends(trace) else []
