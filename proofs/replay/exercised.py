"""What logs exercise of the spec: one, and a suite of them, each clause with the number of logs in which it was.

Every record that is a step counts for its action. Conjuncts of guards, updates and premises are looked at in the states
between the steps, as :mod:`mtpo.proofs.exploration.coverage` does in those of an exploration: a conjunct with all
elements that the log names as arguments, and as functions (the set to undo, say) those that a record of the same action
has. So what is true, false or decisive here was so in a state of this run, for a step of which the log has all that it
speaks of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from mtpo.proofs.exploration.watching import Line, Test, Watched
from mtpo.proofs.replay.numbering import Numbering, Taken
from mtpo.proofs.replay.premises import Premise, premises
from mtpo.proofs.replay.stepping import Plain, Run
from mtpo.spec.concrete import State
from mtpo.spec.language import Function, Property
from mtpo.spec.mtpo import mtpo
from mtpo.spec.records import Record

LOOKED: Final = 200
"""Records of a log in the states of which clauses and premises are looked at, unless said otherwise: what a state costs
grows with all that the log names."""

ROLES: Final = {"invariant": "premise", "lemma": "premise", "step": "premise", "reachable": "reachable"}
"""Properties that are watched, and the kind of line that they have."""


class Watching(Plain):
    """The plain interpretation, which looks at what a run exercises instead of at properties."""

    def __init__(self, numbering: Numbering, steps: Iterable[Taken]) -> None:
        super().__init__(numbering)
        tables = self._tables(steps)
        self.actions = [Watched.of(self.spec, action, tables[name]) for name, action in mtpo.actions.items()]
        self.named = dict(zip(mtpo.actions, self.actions, strict=True))
        self.premises = [(p, premise) for p in mtpo.role(*ROLES) for premise in _watched(p)]
        self.states = 0
        self._open = {premise.id: (p.role == "step", premise.test(self.spec)) for p, premise in self.premises}
        self._look(self.state, None)

    def _tables(self, steps: Iterable[Taken]) -> dict[str, dict[str, list[tuple[int, ...]]]]:
        """By action and parameter that is a function: those that the steps have."""
        found: dict[str, dict[str, dict[tuple[int, ...], None]]] = {
            name: {p.name: {} for p in action.functions} for name, action in mtpo.actions.items()
        }
        for step in steps:
            taken = self._step(step)
            for param, arg in zip(mtpo.actions[taken.action].params, taken.args, strict=True):
                if isinstance(param, Function) and isinstance(arg, tuple):
                    found[taken.action][param.name][arg] = None
        return {action: {name: list(seen) for name, seen in given.items()} for action, given in found.items()}

    def perform(self, step: Taken) -> list[Property]:
        taken, self.before = self._step(step), list(self.state)
        self.named[taken.action].take(self.before, taken.args)
        self.spec.perform(self.state, taken)
        self._look(self.state, self.before)
        return []

    def _look(self, state: State, before: State | None) -> None:
        self.states += 1
        for action in self.actions:
            action.look(state)
        for id in [id for id, (of_step, test) in self._open.items() if _met(test, of_step, state, before)]:
            del self._open[id]

    def lines(self) -> Iterator[Line]:
        """What was seen, as a report."""
        for action in self.actions:
            yield from action.lines(action.name, {})
        for property, premise in self.premises:
            kind = ROLES[property.role]
            wanted, what = ("met", premise.what) if kind == "premise" else ("reached", property.doc)
            seen = frozenset[str]() if premise.id in self._open else frozenset({wanted})
            yield Line(premise.id, kind, what, (wanted,), seen)


def _watched(property: Property) -> list[Premise]:
    return [Premise(property.id, (), (property.formula,))] if property.role == "reachable" else premises(property)


def _met(test: Test, of_step: bool, state: State, before: State | None) -> bool:
    if not of_step:
        return test(state)
    return before is not None and test(before, state)


@attrs.frozen
class Exercised:
    """What a log exercises: ``steps`` of it are steps of the spec, the states of the first ``looked`` records of
    ``records`` were looked at."""

    log: str
    records: int
    steps: int
    looked: int
    lines: tuple[Line, ...]


def exercised(
    log: str,
    records: Sequence[Record],
    *,
    absent: str | None = None,
    limit: int = LOOKED,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exercised:
    """What the records of an ``mtpo`` run exercise, all of which are steps of the spec or none of its concern: replay
    them first. Malformed ones raise KeyError or ValueError."""
    numbering, beginning = Numbering(records, absent), records[:limit]
    taken = [step for record in records if (step := numbering.step(record)) is not None]
    counts = {name: sum(step[0] == name for step in taken) for name in mtpo.actions}
    numbering = Numbering(beginning, absent)
    watching = Watching(numbering, [step for r in beginning if (step := numbering.step(r)) is not None])
    run = Run(numbering, watching)
    for place, record in enumerate(beginning):
        progress(place, len(beginning))
        run.take(record)
        if run.problems:
            raise ValueError(f"{log}: {run.problems[0]}")
    lines = [_counted(line, counts) for line in watching.lines()]
    return Exercised(log, len(records), len(taken), len(beginning), tuple(lines))


def _counted(line: Line, counts: Mapping[str, int]) -> Line:
    """The line of an action with its steps in the whole log."""
    if line.kind != "action":
        return line
    count = counts[line.id.removeprefix(f"{mtpo.name}.")]
    return attrs.evolve(line, count=count, seen=frozenset({"taken"} if count else ()))


# -- suites ------------------------------------------------------------------------------------------------------------


@attrs.frozen
class SuiteLine:
    """What a suite exercised of an action, a conjunct, an update or a property: ``steps`` taken in all, and ``logs``,
    in how many it had each of its values, of a conjunct also ``decisive``."""

    id: str
    kind: str
    what: str
    steps: int
    wanted: tuple[str, ...]
    logs: Mapping[str, int]

    @property
    def missing(self) -> tuple[str, ...]:
        """The values that it had in no log."""
        return tuple(value for value in self.wanted if not self.logs[value])

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        steps = {"steps": self.steps} if self.kind == "action" else {}
        return {
            "id": self.id,
            "kind": self.kind,
            "what": self.what,
            **steps,
            "logs": dict(self.logs),
            "missing": list(self.missing),
        }


@attrs.frozen
class Suite:
    """What several logs exercised together."""

    logs: tuple[Exercised, ...]
    lines: tuple[SuiteLine, ...]

    @classmethod
    def of(cls, logs: Sequence[Exercised]) -> Suite:
        """The union, with in how many logs each thing was exercised."""
        lines = [_together(same) for same in zip(*(log.lines for log in logs), strict=True)]
        return cls(tuple(logs), tuple(lines))

    @property
    def missing(self) -> tuple[str, ...]:
        """What no log exercises, as ``ID VALUE``."""
        return tuple(f"{line.id} {value}" for line in self.lines for value in line.missing)

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        logs = [attrs.asdict(log, filter=lambda field, _: field.name != "lines") for log in self.logs]
        return {
            "spec": mtpo.name,
            "logs": logs,
            "missing": list(self.missing),
            "lines": [line.as_json() for line in self.lines],
        }


def _together(lines: Sequence[Line]) -> SuiteLine:
    """One thing, in every log."""
    first = lines[0]
    logs = {value: sum(value in line.seen for line in lines) for value in first.wanted}
    if first.decisive is not None:
        logs["decisive"] = sum(bool(line.decisive) for line in lines)
    steps = sum(line.count for line in lines)
    return SuiteLine(first.id, first.kind, first.what, steps, first.wanted, logs)
