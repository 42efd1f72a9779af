"""The two sides of the refinement on one plan: the machine and an instance of the spec, as they stand."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Self

from mtpo.proofs.refinement.plans import Plan, Use
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Sort
from mtpo.spec.mtpo import Agent, Object, Value, mtpo
from mtpo.spec.mtpo import Call as CallSort
from mtpo.spec.mtpo.abstraction import Scope
from mtpo_core import machine as m
from mtpo_core.machine import Event, Key, Machine, Policy


class Divergence(Exception):
    """The machine did what the spec does not: ``property`` is what it broke, ``trace`` the events that led there."""

    def __init__(self, property: str, what: str, trace: Sequence[Event]) -> None:
        lines = "".join(f"\n  {number}: {event}" for number, event in enumerate(trace))
        super().__init__(f"{property}: {what}, after{lines}")
        self.property = property
        self.trace = tuple(trace)


_OPEN = ("author", "reads", "writes", "invertible", "given", "replay")


@functools.lru_cache(maxsize=64)
def _instance(agents: int, calls: int, objects: int, values: int) -> Instance:
    sizes: dict[type[Sort], int] = {Agent: agents, CallSort: calls, Object: objects, Value: values}
    return Instance(mtpo, sizes, {"origin": [0], "accepts": lambda *premise: 0}, open=_OPEN)


class Sides:
    """The machine and the spec on one plan. ``waiting`` is the piece of an open repair that must be answered next."""

    def __init__(self, plan: Plan, make: type[Machine] = Machine) -> None:
        self.plan = plan
        self.keys = [Key(rank, seq) for rank, uses in enumerate(plan.uses) for seq in range(len(uses))]
        self.scope = Scope(len(plan.uses), self.keys, plan.objects)
        self.number = self.scope.number
        self.places = {o: i for i, o in enumerate(plan.objects)}
        rows = [Use((), plan.objects), *(self.use(key) for key in self.keys)]
        self.instance = _instance(len(plan.uses), len(rows), len(plan.objects), plan.values)
        chosen = {
            "author": [0, *(key.rank for key in self.keys)],
            "reads": [int(o in use.reads) for use in rows for o in plan.objects],
            "writes": [int(o in use.writes) for use in rows for o in plan.objects],
            "invertible": [int(use.invertible) for use in rows],
            "given": [0] * len(plan.objects),
            "replay": [int(plan.policy is Policy.REPLAY)],
        }
        self.state = self.instance.initial(chosen)
        self._cells: dict[tuple[str, tuple[int, ...]], int] = {}
        named = plan.objects[:1]  # the others begin as what is not there: absent, which is as good
        self.machine = make(dict.fromkeys(named, "0"), "0", plan.policy)
        self.waiting: m.Undo | m.Exec | m.Redo | None = None
        self.sent: dict[int, tuple[int, ...]] = {}
        """Notices not yet delivered, per agent."""
        self.trace: tuple[Event, ...] = ()

    def use(self, key: Key) -> Use:
        """What the plan says of a call."""
        return self.plan.uses[key.rank][key.seq]

    def copy(self) -> Self:
        """Independent ones in the same state."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.machine, other.state = self.machine.snapshot(), list(self.state)
        return other

    def kept(self, key: Key) -> bool:
        """Whether its author may not take a live call back: it, or a later live one of theirs, has no inverse."""
        later = self.machine.agents[key.rank].live
        return any(w >= key and not self.use(w).invertible for w in later)

    def noted(self) -> set[Key]:
        """The calls that their authors have yet to read of."""
        return {key for agent in self.machine.agents for key in agent.noted}

    def value(self, variable: str, *args: int) -> int:
        """What a variable of the spec is now."""
        place = self._cells.get((variable, args))
        if place is None:
            place = self.instance.offsets[variable] + self.instance.index(mtpo.variables[variable], args)
            self._cells[variable, args] = place
        return self.state[place]

    def check(self, holds: bool, property: str, what: str) -> None:
        """Raise :class:`Divergence` for a property that does not hold."""
        if not holds:
            raise Divergence(property, what, self.trace)
