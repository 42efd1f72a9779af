"""How the trace of a finding is made: each kind is computed when it is asked for, checked as it is made, never stored.

A run of a spec is a :class:`Mutated` or :class:`Weakened` spec's shortest one to what is false, one :class:`Reached`
by exploring, or one that is written out, a :class:`~mtpo.proofs.findings.scripted.Script`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final

import attrs

from mtpo.proofs.exploration.explore import explore, witness
from mtpo.proofs.exploration.instances import is_mtpo, mtpo_instance, sizes_for, small_instance
from mtpo.proofs.induction.refuting import step_breaking
from mtpo.proofs.mutants.fates import altered
from mtpo.proofs.mutants.mutate import SIZES
from mtpo.proofs.verdicts import Status, Trace
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import Spec

LIMIT: Final = 400_000
"""States after which a search for a run gives up."""

OBJECTS: Final = "xyz"
"""What the texts call objects, where a trace does not say otherwise; agents are ``a0``, ``a1``, ... by rank."""

Roots = Iterable[State]


class NotShown(ValueError):
    """A trace that does not show what its finding says; the message names the step, or what should be so and is not."""


@attrs.frozen
class Told:
    """What a run shows after so many of its steps, as text; ``step`` is one that is refused, ``by`` these clauses."""

    after: int
    text: str
    step: Step | None = None
    by: str = ""


@attrs.frozen
class Run:
    """A run of a spec, ready to be drawn: ``breaks`` is what is false at its end, if anything is, and was already
    before its last ``stays`` steps."""

    trace: Trace
    breaks: tuple[str, ...] = ()
    weakened: str = ""
    told: tuple[Told, ...] = ()
    stays: int = 0


@attrs.frozen
class Mutated:
    """The shortest run of a mutant that makes ``breaks`` false, whatever else is false before; where small instances
    have none, a step out of a state that every property allows."""

    says: str
    spec: Spec
    rule: str
    breaks: str
    ends_with: str = ""
    objects: ClassVar[str] = OBJECTS
    kind: ClassVar[str] = "mutant"

    @property
    def id(self) -> str:
        """The mutant's."""
        return f"{self.spec.name}.{self.rule}"

    def run(self) -> Run:
        """Search for it. Raises :class:`NotShown`."""
        name = self.rule.partition(".")[0]
        mutant = next((m for m in altered(self.spec) if m.id == self.id), None)
        if mutant is None:
            raise NotShown(f"no mutant {self.id}")
        spec = self.spec.without(actions={**self.spec.actions, name: mutant.action})
        for instance, roots in small_instances(narrowed(spec, self.breaks)):
            trace = shortest(instance, roots)
            if trace is not None:
                return ended(Run(trace, (self.breaks,), mutant.what), self.ends_with)
        goal = spec.properties.get(self.breaks) or spec.variants[self.breaks]
        sizes = SIZES.get(spec.name, dict.fromkeys(spec.sorts, 3))
        found = step_breaking(spec, name, [goal], sizes, 5_000)
        if not isinstance(found, Trace):
            raise NotShown(f"nothing was found that breaks {self.breaks} without {self.id}")
        return ended(Run(found, (self.breaks,), mutant.what), self.ends_with)


@attrs.frozen
class Weakened:
    """The shortest run of the spec that ``weaken`` makes, in the instance that ``instance`` makes of it, to where
    ``breaks`` is false. ``without`` says what the spec lacks, or has instead."""

    says: str
    without: str
    weaken: Callable[[], Spec]
    breaks: str
    instance: Callable[[Spec], tuple[Instance, Roots | None]]
    ends_with: str = ""
    objects: ClassVar[str] = OBJECTS
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
    objects: ClassVar[str] = OBJECTS
    kind: ClassVar[str] = "reachable state"

    def run(self) -> Run:
        """Search for it. Raises :class:`NotShown`."""
        trace = witness(*self.instance(), self.goal, LIMIT)
        if trace is None:
            raise NotShown(f"{self.goal} was not reached")
        return Run(trace, told=(Told(len(trace.steps), f"reached: {self.goal}"),))


def names(objects: str = OBJECTS) -> Mapping[str, Sequence[str]]:
    """What the elements of a finding's trace are called (:func:`~mtpo.proofs.verdicts.naming`): as its text does."""
    return {"Agent": [f"a{rank}" for rank in range(10)], "Object": objects}


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
