"""The recorded sizes: what is in the plans that were chosen, and what the ledger says of some, counted again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import attrs
import pytest

from mtpo.proofs.ledger import REFINES, read_ledger
from mtpo.proofs.refinement.exploration import Explored, explore
from mtpo.proofs.refinement.plans import Plan
from mtpo.proofs.refinement.refined import CHOSEN, Size, total
from mtpo_core import machine as m
from mtpo_core.machine import Effect, Event, Key, Machine, MachineError, Policy
from tests.proofs.refinement.alone import alone


def recorded(size: Size) -> dict[str, Any]:
    """What the ledger says of a size."""
    (entry,) = (entry for entry in read_ledger() if entry.property == REFINES)
    names = attrs.asdict(size)
    (row,) = (row for row in entry.detail["explored"] if {name: row.get(name, False) for name in names} == names)
    return {name: count for name, count in row.items() if name not in names}


def look_at(size: Size) -> Explored:
    """Go through every plan of a size beside the spec, and once more with the machine by itself; the ledger agrees."""
    plans, found = total(size.plans())
    assert found.own == sum(alone(plan) for plan in size.plans())
    assert recorded(size) == {"plans": plans, **attrs.asdict(found)}
    return found


@pytest.mark.slow
def test_every_interleaving_of_two_calls_on_two_objects_in_full() -> None:
    found = look_at(Size(agents=2, calls=1, objects=2))
    assert (found.states, found.own, found.ends) == (57_774, 57_182, 10_878)


@pytest.mark.slow
def test_every_interleaving_of_three_agents_on_one_object_in_full() -> None:
    found = look_at(Size(agents=3, calls=1, objects=1))
    assert (found.states, found.own, found.ends) == (224_766, 205_814, 16_626)


@pytest.mark.slow
def test_every_interleaving_of_three_agents_with_aborts_and_retractions_of_the_chosen_plans() -> None:
    found = look_at(Size(agents=3, calls=1, objects=1, faults=True, chosen=True))
    assert (found.states, found.own, found.ends) == (118_712, 95_992, 19_230)


def test_what_is_listed_of_the_chosen_plans_is_in_them() -> None:
    """Four of them, those with few states, have it all."""
    Watched.told.clear()
    for uses in (CHOSEN[4], CHOSEN[5], CHOSEN[6], CHOSEN[8]):
        explore(Plan(uses, ("x",), 2, Policy.REPLAY, faults=True), Watched)
    assert Watched.told == {
        *("launched in a repair", "launched late", "reads nothing", "is called for nothing", "reads by undoing"),
        *("is gated", "is final", "takes back the last", "takes back an earlier one", "is given up when finished"),
        *("is given up untold", "fails", "strands", "redone alike", "redone otherwise", "told nothing", "reopens"),
        *("finishes early", "acts untold", "refused"),
    }


def test_of_three_agents_the_one_between_gives_up_a_call_that_the_one_above_went_by_and_covered() -> None:
    """The other call is undone with it; or nothing is, where there is none."""
    Between.undone.clear()
    uses = CHOSEN[9]
    explore(Plan(uses, ("x",), 2, Policy.CANCEL, faults=True), Between)
    assert len(uses) == 3
    assert Between.undone == {(), (Key(2, 0),)}


class Between(Machine):
    """The machine, and what it undoes when the agent between two others gives up its call."""

    undone: ClassVar[set[tuple[Key, ...]]] = set()

    def step(self, event: Event) -> list[Effect]:
        effects = super().step(event)
        if event == m.Abort(1) and len(self.agents) == 3:
            self.undone.update(effect.members for effect in effects if isinstance(effect, m.Retracting))
        return effects


class Watched(Machine):
    """The machine, and what of the odder things it was told."""

    told: ClassVar[set[str]] = set()

    def step(self, event: Event) -> list[Effect]:
        before = self.snapshot()
        try:
            effects = super().step(event)
        except MachineError:
            self.told.add("refused")
            raise
        self.told.update(what for what, so in self._of(before, event, effects) if so)
        return effects

    @staticmethod
    def _of(before: Machine, event: Event, effects: list[Effect]) -> Iterator[tuple[str, bool]]:
        def has(kind: type[Effect]) -> bool:
            return any(isinstance(effect, kind) for effect in effects)

        yield "acts untold", has(m.Bounced)
        match event:
            case m.Launch():
                yield "launched in a repair", before.repair is not None
                yield "launched late", any(agent.committed for agent in before.agents)
            case m.Read(objects=objects):
                yield "reads nothing", has(m.Served) and not objects
            case m.Call(reads=reads, writes=writes, invertible=invertible):
                yield "is gated", has(m.Gated)
                yield "is final", has(m.Accepted) and not invertible
                yield "reads by undoing", has(m.Undo) and bool(reads) and not writes
                yield "is called for nothing", has(m.Accepted) and not reads and not writes
            case m.Retract(call=key) if has(m.Retracting):
                last = key == before.agents[key.rank].live[-1]
                yield "takes back the last" if last else "takes back an earlier one", True
            case m.Abort(agent=rank):
                yield "is given up when finished", before.agents[rank].finished
                yield "is given up untold", bool(before.agents[rank].noted)
            case m.Failed() | m.Stranded():
                yield "fails" if isinstance(event, m.Failed) else "strands", True
            case m.Redone():
                otherwise = any(isinstance(effect, m.Resolved) and effect.changed for effect in effects)
                yield "redone otherwise" if otherwise else "redone alike", True
            case m.Deliver():
                yield "told nothing", not effects
                yield "reopens", has(m.Reopened)
            case m.Finish(agent=rank):
                yield "finishes early", has(m.Finished) and before.agents[rank].issued < 2
