"""Runs that are written out: steps as data, each looked at by the spec before it is taken, and what is to be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any, ClassVar

import attrs

from mtpo.proofs.findings.traces import OBJECTS, NotShown, Run, Told
from mtpo.proofs.verdicts import Trace, element
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import Function, Sort, Spec

Given = tuple[Any, ...]
"""A step as data: the action and its arguments. Elements are numbers; a table is a tuple, a relation also the set of
the elements of which it is true."""


@attrs.frozen
class Refused:
    """In a script: the step may not be taken here, and these clauses say so."""

    step: Given
    clauses: tuple[str, ...]

    @classmethod
    def by(cls, step: Given, *clauses: str) -> Refused:
        """The step and the clauses that refuse it."""
        return cls(step, clauses)


@attrs.frozen
class Holds:
    """In a script: what cells of the state hold here, by name and arguments."""

    cells: Mapping[Given, int]


@attrs.frozen
class Script:
    """A run that is written out. Every step must be allowed, and every property hold until the end; of a weakened spec
    ``breaks`` must be false there, and not before; or it is so before the last ``stays`` steps, and stays so."""

    says: str
    spec: Spec
    sizes: Mapping[type[Sort], int]
    constants: Mapping[str, Any]
    steps: tuple[Given | Refused | Holds, ...]
    breaks: tuple[str, ...] = ()
    without: str = ""
    weaken: Callable[[], Spec] | None = None
    objects: str = OBJECTS
    stays: int = 0
    kind: ClassVar[str] = "scripted run"

    def instance(self) -> Instance:
        """The instance that it runs in; constants that are not given are false, or the first element."""
        spec = self.weaken() if self.weaken else self.spec
        tables = {name: self.constants.get(name, lambda *args: 0) for name in spec.constants}
        instance = Instance(spec, self.sizes, tables)
        if wrong := instance.assumed():
            raise NotShown(f"its constants violate {', '.join(p.id for p in wrong)}")
        return instance

    def run(self) -> Run:
        """Take the steps. Raises :class:`NotShown`."""
        at, count = self.instance(), sum(isinstance(one, tuple) for one in self.steps)
        state, told = at.initial(), list[Told]()
        states, steps, false = [at.freeze(state)], list[Step](), set[str]()
        for one in self.steps:
            if isinstance(one, Refused):
                told.append(_refused(at, state, one, len(steps)))
            elif isinstance(one, Holds):
                told += _holds(at, state, one, len(steps))
            else:
                step = step_of(at, one)
                if clauses := at.refused(state, step):
                    raise NotShown(f"step {len(steps) + 1}, {one}: refused by {', '.join(c.id for c in clauses)}")
                self._check(false, count - len(steps), f"after step {len(steps)},")
                at.perform(state, step)
                states.append(at.freeze(state))
                steps.append(step)
                broken = (*at.violated(state), *at.violated_step(states[-2], states[-1]))
                false = {p.id for p in broken}
        self._check(false, 0, "at the end")
        return Run(Trace(at, tuple(states), tuple(steps)), self.breaks, self.without, tuple(told), self.stays)

    def _check(self, false: set[str], left: int, where: str) -> None:
        """That so many steps before the end is false what should be, and nothing else."""
        wanted = set(self.breaks) if left <= self.stays else set[str]()
        if lacking := wanted - false:
            raise NotShown(f"{where} {', '.join(sorted(lacking))} is not false")
        if not wanted and (false & set(self.breaks) if self.breaks else false):
            raise NotShown(f"{where} {', '.join(sorted(false))} is false")


def step_of(at: Instance, given: Given) -> Step:
    """A step as data, as the instance takes it."""
    name, *args = given
    if name not in at.spec.actions:
        raise NotShown(f"{given}: {at.spec.name} has no action {name}")
    params = at.spec.actions[name].params
    if len(params) != len(args):
        raise NotShown(f"{given}: {name} has {len(params)} parameters")
    pairs = zip(params, args, strict=True)
    return Step(name, tuple(_table(at, p, arg) if isinstance(p, Function) else arg for p, arg in pairs))


def _table(at: Instance, param: Function[Any], arg: Any) -> tuple[int, ...]:
    if isinstance(arg, Set):
        return tuple(int((point[0] if len(point) == 1 else point) in arg) for point in at.points(param))
    return tuple(arg)


def _refused(at: Instance, state: State, one: Refused, after: int) -> Told:
    step = step_of(at, one.step)
    found = tuple(c.id for c in at.refused(state, step))
    if found != one.clauses:
        raise NotShown(f"after step {after}, {one.step}: refused by {found or 'nothing'}, not by {one.clauses}")
    text = Trace(at, (state,), ()).step_text(step)
    by = ", ".join(found)
    return Told(after, f"refused: {text}, by {by}", step, by)


def _holds(at: Instance, state: State, one: Holds, after: int) -> Iterator[Told]:
    for (name, *args), wanted in one.cells.items():
        found, symbol = at.value(state, name, *args), at.spec.variables[name]
        inner = ", ".join(element(sort, arg) for sort, arg in zip(symbol.domain, args, strict=True))
        shown = f"{name}({inner})" if inner else name
        if found != wanted:
            raise NotShown(f"after step {after}, {shown} is {element(symbol.range, found)}")
        yield Told(after, f"{shown} is {element(symbol.range, found)}")
