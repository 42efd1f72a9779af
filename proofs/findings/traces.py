"""How the trace of a finding is made: each kind is computed when it is asked for, checked as it is made, never stored.

A run of a spec is a :class:`Mutated` or :class:`Weakened` spec's shortest one to what is false, one :class:`Reached`
by exploring, or a :class:`Script`: steps that are written out, each looked at by the spec before it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any, ClassVar, Final

import attrs

from mtpo.proofs.explore import explore, witness
from mtpo.proofs.instances import is_mtpo, mtpo_instance, sizes_for, small_instance
from mtpo.proofs.mutate import SIZES, mutants
from mtpo.proofs.refuting import step_breaking
from mtpo.proofs.verdicts import Status, Trace, element
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import Function, Sort, Spec

LIMIT: Final = 400_000
"""States after which a search for a run gives up."""

Roots = Iterable[State]
Given = tuple[Any, ...]
"""A step as data: the action and its arguments. Elements are numbers; a table is a tuple, a relation also the set of
the elements of which it is true."""


class NotShown(ValueError):
    """A trace that does not show what its finding says; the message names the step, or what should be so and is not."""


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
class Told:
    """What a run shows after so many of its steps, as text; ``step`` is one that is refused, ``by`` these clauses."""

    after: int
    text: str
    step: Step | None = None
    by: str = ""


@attrs.frozen
class Run:
    """A run of a spec, ready to be drawn: ``breaks`` is what is false at its end, if anything is."""

    trace: Trace
    breaks: tuple[str, ...] = ()
    weakened: str = ""
    told: tuple[Told, ...] = ()


@attrs.frozen
class Mutated:
    """The shortest run of a mutant that makes ``breaks`` false, whatever else is false before; where small instances
    have none, a step out of a state that every property allows."""

    says: str
    spec: Spec
    rule: str
    breaks: str
    ends_with: str = ""
    kind: ClassVar[str] = "mutant"

    @property
    def id(self) -> str:
        """The mutant's."""
        return f"{self.spec.name}.{self.rule}"

    def run(self) -> Run:
        """Search for it. Raises :class:`NotShown`."""
        mutant = next((m for m in mutants(self.spec) if m.id == self.id), None)
        if mutant is None:
            raise NotShown(f"no mutant {self.id}")
        for instance, roots in small_instances(narrowed(mutant.spec, self.breaks)):
            trace = shortest(instance, roots)
            if trace is not None:
                return ended(Run(trace, (self.breaks,), mutant.what), self.ends_with)
        spec = mutant.spec
        goal = spec.properties.get(self.breaks) or spec.variants[self.breaks]
        sizes = SIZES.get(spec.name, dict.fromkeys(spec.sorts, 3))
        found = step_breaking(spec, mutant.action, [goal], sizes, 5_000)
        if not isinstance(found, Trace):
            raise NotShown(f"nothing was found that breaks {self.breaks} without {self.id}")
        return ended(Run(found, (self.breaks,), mutant.what), self.ends_with)


@attrs.frozen
class Weakened:
    """The shortest run, from ``roots``, of a spec that ``weaken`` makes, to where ``breaks`` is false."""

    says: str
    without: str
    weaken: Callable[[], Spec]
    breaks: str
    instance: Callable[[Spec], tuple[Instance, Roots | None]]
    ends_with: str = ""
    kind: ClassVar[str] = "weakened spec"

    def run(self) -> Run:
        """Search for it. Raises :class:`NotShown`."""
        trace = shortest(*self.instance(narrowed(self.weaken(), self.breaks)))
        if trace is None:
            raise NotShown(f"no run breaks {self.breaks}")
        return ended(Run(trace, (self.breaks,), self.without), self.ends_with)


@attrs.frozen
class Reached:
    """The shortest run to a state that a spec must be able to reach."""

    says: str
    spec: Spec
    goal: str
    instance: Callable[[], tuple[Instance, Roots]]
    kind: ClassVar[str] = "reachable state"

    def run(self) -> Run:
        """Search for it. Raises :class:`NotShown`."""
        trace = witness(*self.instance(), self.goal, LIMIT)
        if trace is None:
            raise NotShown(f"{self.goal} was not reached")
        return Run(trace, told=(Told(len(trace.steps), f"reached: {self.goal}"),))


@attrs.frozen
class Script:
    """A run that is written out. Every step must be allowed, and every property hold until the end; of a weakened spec
    ``breaks`` must be false there, and not before."""

    says: str
    spec: Spec
    sizes: Mapping[type[Sort], int]
    constants: Mapping[str, Any]
    steps: tuple[Given | Refused | Holds, ...]
    breaks: tuple[str, ...] = ()
    without: str = ""
    weaken: Callable[[], Spec] | None = None
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
        at = self.instance()
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
                if false & set(self.breaks) or (false and not self.breaks):
                    raise NotShown(f"after step {len(steps)}, {', '.join(sorted(false))} is false")
                at.perform(state, step)
                states.append(at.freeze(state))
                steps.append(step)
                broken = (*at.violated(state), *at.violated_step(states[-2], states[-1]))
                false = {p.id for p in broken}
        if lacking := set(self.breaks) - false:
            raise NotShown(f"at the end {', '.join(sorted(lacking))} is not false")
        if false and not self.breaks:
            raise NotShown(f"at the end {', '.join(sorted(false))} is false")
        return Run(Trace(at, tuple(states), tuple(steps)), self.breaks, self.without, tuple(told))


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


def ended(run: Run, action: str) -> Run:
    """The run, which must end with this action if one is named."""
    if action and run.trace.steps[-1].action != action:
        raise NotShown(f"{run.breaks[0]} fails at {run.trace.steps[-1].action}, not at {action}")
    return run


def narrowed(spec: Spec, property: str) -> Spec:
    """A spec of which nothing is asked but one property."""
    wanted = [spec.properties[property]] if property in spec.properties else []
    return spec.without(properties={p.id: p for p in (*spec.role("assumption"), *wanted)}, variants={})


def shortest(instance: Instance, roots: Roots | None) -> Trace | None:
    """A shortest run that makes false what is asked of the spec; None where no state that was looked at does."""
    found = explore(instance, roots, limit=LIMIT)
    return next((v.trace for v in found.verdicts if v.status is Status.FAILED and v.method == "exhaustive"), None)


def small_instances(spec: Spec) -> Iterator[tuple[Instance, Roots]]:
    """Where mutants are explored."""
    if is_mtpo(spec):
        yield mtpo_instance(2, 1, 1, spec=spec, faults=True)
        yield mtpo_instance(2, 1, 2, spec=spec)
    else:
        yield small_instance(spec, sizes_for(spec))
