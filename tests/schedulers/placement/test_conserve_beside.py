"""ConServe's policy beside ``spec/conserve.py``: in every reachable state of a small cluster, and on random runs."""

from __future__ import annotations

import random
import re
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.placement.choose import most_unheld, need_of
from mtpo.schedulers.placement.conserve import Ampd, ConServe
from mtpo.schedulers.types import PlacementDecision, PlacementObservation, PlacementPolicy, WorkerView
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.conserve import Conversation, Decoder, Slot, conserve

PREFILLER, SLOT = 100, 10

State = Any
"""As the spec freezes it."""


class Small:
    """Conversations that need so many slots of ten tokens for their first turn and later on, and decoders with so many
    slots each; the state is that of the spec. Decoders are not lost: of that the paper says nothing."""

    def __init__(self, needs: tuple[tuple[int, int], ...], slots: tuple[int, ...], policy: PlacementPolicy) -> None:
        self.needs, self.slots, self.policy = needs, slots, policy
        self.oracle = getattr(policy, "oracle", False)
        self.home = [d for d, n in enumerate(slots) for _ in range(n)]
        self.at = Instance(
            conserve,
            {Conversation: len(needs), Decoder: len(slots), Slot: len(self.home)},
            {"home": lambda s: self.home[s], "oracle": lambda: self.oracle, "nowhere": lambda: 0},
        )
        self.first = self.at.freeze(self.at.initial())

    def held_by(self, state: State, c: int) -> list[int]:
        return [s for s in range(len(self.home)) if self.at.value(state, "holds", s, c)]

    def free(self, state: State, d: int) -> list[int]:
        taken = {s for c in range(len(self.needs)) for s in self.held_by(state, c)}
        return [s for s, home in enumerate(self.home) if home == d and s not in taken]

    def observe(self, state: State, c: int, turn: int) -> PlacementObservation:
        def value(name: str, *args: int) -> int:
            return self.at.value(state, name, *args)

        workers = [WorkerView(PREFILLER, 1000, 1000, decodes=False)]
        for d, slots in enumerate(self.slots):
            free = SLOT * len(self.free(state, d))
            workers.append(WorkerView(d, SLOT * slots, free, SLOT * slots - free, prefills=False))
        waits = [q for q in range(len(self.needs)) if value("prefilled", q) and not value("bound", q)]
        later = turn > 1
        return PlacementObservation(
            0.0,
            str(c),
            turn,
            SLOT * self.needs[c][later],
            tuple(workers),
            prefilled=not later,
            prefiller=None if later else PREFILLER,
            bound=value("at", c) if later else None,
            reserved=SLOT * len(self.held_by(state, c)),
            peak=SLOT * max(self.needs[c]) if self.oracle else None,
            ahead=sum(value("before", q, c) for q in waits if q != c and not value("done", q)),
        )

    def bind(self, state: State, c: int) -> Step | None:
        """What the policy decides of one that is prefilled; None when it is held, or fits nowhere."""
        seen = self.observe(state, c, 1)
        decision = self.policy.decide(seen)
        need = max(self.needs[c]) if self.oracle else self.needs[c][0]
        room = [len(self.free(state, d)) for d in range(len(self.slots))]
        if decision.shed:
            assert need > max(self.slots), "sheds what would fit"
            return None
        if decision.decode is None:
            assert need <= max(self.slots), "holds what fits nowhere"
            assert seen.ahead or max(room) < need, "holds where there is room"
            return None
        assert decision.bind, "places without binding"
        assert decision.reserve == SLOT * need, "reserves something else"
        assert decision.prefill == PREFILLER, "prefills again"
        chosen = self.free(state, decision.decode)[:need]
        assert len(chosen) == need, "places where there is no room"
        assert len(self.free(state, decision.decode)) == max(room), "not where there is most room"
        return Step("bind", (c, decision.decode, tuple(int(s in chosen) for s in range(len(self.home)))))

    def later(self, state: State, c: int) -> Step | None:
        """What a later turn that runs takes, a slot at a time: what the policy reserves; None for no more."""
        d = self.at.value(state, "at", c)
        decision = self.policy.decide(self.observe(state, c, 2))
        held = len(self.held_by(state, c))
        assert (decision.prefill, decision.decode, decision.bind) == (d, d, True), "leaves home"
        assert decision.reserve == SLOT * max(held, max(self.needs[c]) if self.oracle else self.needs[c][1]), (
            "not what it needs"
        )
        lacking = decision.reserve // SLOT - held
        if self.oracle:
            assert lacking == 0
        if not lacking:
            return None
        free = self.free(state, d)
        return Step("grow", (c, free[0])) if free else Step("overflow", (c,))

    def steps(self, state: State) -> list[Step]:
        """What may happen next: anything in the world, and what the policy says."""
        talks, found = range(len(self.needs)), []
        for name, args in [
            *((name, (c,)) for c in talks for name in ("arrive", "prefill", "transfer", "finish")),
            *((name, (c, d)) for c in talks for d in range(len(self.slots)) for name in ("begin", "end")),
        ]:
            if self.at.enabled(state, Step(name, args)):
                found.append(Step(name, args))
        for c in talks:
            waits = self.at.value(state, "prefilled", c) and not self.at.value(state, "bound", c)
            step = None
            if waits and not self.at.value(state, "done", c):
                step = self.bind(state, c)
            elif self.at.value(state, "bound", c) and self.at.value(state, "runs", c, self.at.value(state, "at", c)):
                step = self.later(state, c)
            if step is not None:
                assert not self.at.refused(state, step), (step, [x.id for x in self.at.refused(state, step)])
                found.append(step)
        return found

    def after(self, state: State, step: Step) -> State:
        found = list(state)
        self.at.perform(found, step)
        done = self.at.freeze(found)
        assert not self.at.violated(done) and not self.at.violated_step(state, done)
        return done


def explored(world: Small) -> tuple[set[State], set[str]]:
    """Every state that is reached when the policy decides, and the actions taken."""
    seen, line, taken = {world.first}, [world.first], set()
    while line:
        state = line.pop()
        for step in world.steps(state):
            taken.add(step.action)
            found = world.after(state, step)
            if found not in seen:
                seen.add(found)
                line.append(found)
    return seen, taken


@pytest.mark.parametrize("policy", [ConServe(), ConServe(oracle=True), Ampd(0.0)], ids=["seen", "oracle", "ampd"])
def test_in_every_state_of_a_small_cluster_it_decides_as_the_spec_allows(policy: PlacementPolicy) -> None:
    world = Small(((1, 2), (1, 1)), (2, 1), policy)
    seen, taken = explored(world)
    assert taken >= {"arrive", "prefill", "bind", "transfer", "begin", "end", "finish"}
    assert taken.isdisjoint({"grow", "overflow"}) if world.oracle else taken >= {"grow", "overflow"}
    assert len(seen) > 70


turns = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    st.lists(turns, min_size=2, max_size=5),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.booleans(),
    st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_random_runs_are_of_the_spec(needs: list[tuple[int, int]], slots: list[int], oracle: bool, seed: int) -> None:
    world, draw = Small(tuple(needs), tuple(slots), ConServe(oracle)), random.Random(seed)
    state = world.first
    for _ in range(60):
        steps = world.steps(state)
        if not steps:
            break
        state = world.after(state, draw.choice(steps))


def test_by_polling_a_small_one_is_placed_before_a_large_one_that_waits_ahead() -> None:
    """What the published code does is not what the spec allows: the first in line is passed over."""
    world = Small(((1, 1), (2, 2), (1, 1)), (2,), ConServe(poll=0.05))
    state = world.first
    for c in range(3):
        for name in ("arrive", "prefill"):
            state = world.after(state, Step(name, (c,)))
        if c == 0:
            step = world.bind(state, 0)
            assert step is not None
            state = world.after(state, step)
    assert world.bind(state, 1) is None
    step = world.bind(state, 2)
    assert step is not None
    assert [clause.id for clause in world.at.refused(state, step)] == ["conserve.bind.first-in-line"]


# -- planted bugs --------------------------------------------------------------------------------------------------


class Barges(ConServe):
    """Places whoever fits, however long another waits."""

    def bind(self, observation: PlacementObservation) -> PlacementDecision:
        return super().bind(attrs.evolve(observation, ahead=0))


class Waits(ConServe):
    """Places on a decoder that holds nothing, and on no other."""

    def bind(self, observation: PlacementObservation) -> PlacementDecision:
        found = super().bind(observation)
        chosen = next((w for w in observation.workers if w.id == found.decode), None)
        return found if chosen is None or not chosen.held else PlacementDecision(observation.prefiller, None)


class Overbooks(ConServe):
    """Places where there is most room, be it enough or not."""

    def bind(self, observation: PlacementObservation) -> PlacementDecision:
        found = super().bind(observation)
        if found.shed or found.bind or observation.ahead:
            return found
        chosen = most_unheld(w for w in observation.workers if w.decodes)
        return PlacementDecision(observation.prefiller, chosen, bind=True, reserve=self.need(observation))


class BestFit(ConServe):
    """Places where the least room is left."""

    def bind(self, observation: PlacementObservation) -> PlacementDecision:
        found, need = super().bind(observation), self.need(observation)
        fits = [w for w in observation.workers if w.decodes and w.unheld >= need]
        return attrs.evolve(found, decode=min(fits, key=lambda w: w.unheld).id) if found.bind else found


class Largest(ConServe):
    """Places on the largest decoder that has room, however much it holds."""

    def bind(self, observation: PlacementObservation) -> PlacementDecision:
        found, need = super().bind(observation), self.need(observation)
        fits = [w for w in observation.workers if w.decodes and w.unheld >= need]
        return attrs.evolve(found, decode=max(fits, key=lambda w: w.capacity).id) if found.bind else found


class OneTooFew(ConServe):
    """Reserves a slot too little."""

    def bind(self, observation: PlacementObservation) -> PlacementDecision:
        found = super().bind(observation)
        return attrs.evolve(found, reserve=found.reserve - SLOT) if found.bind else found


class NotBound(ConServe):
    """Chooses a decoder for this turn only."""

    def bind(self, observation: PlacementObservation) -> PlacementDecision:
        return attrs.evolve(super().bind(observation), bind=False)


class ShedsWhatWaits(ConServe):
    """Turns away what has no room now, though it would have later."""

    def bind(self, observation: PlacementObservation) -> PlacementDecision:
        found = super().bind(observation)
        return found if found.bind or observation.ahead else attrs.evolve(found, shed=True)


class ShedsNothing(ConServe):
    """Holds what is larger than any decoder, and all behind it."""

    def bind(self, observation: PlacementObservation) -> PlacementDecision:
        return attrs.evolve(super().bind(observation), shed=False)


class Moves(ConServe):
    """Later turns go where there is most room: the cache moves again."""

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        found = super().decide(observation)
        if observation.bound is None:
            return found
        chosen = most_unheld(w for w in observation.workers if w.decodes)
        return attrs.evolve(found, prefill=chosen, decode=chosen)


class PrefillsElsewhere(ConServe):
    """The prompts of later turns are computed by the prefiller: the cache moves there and back."""

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        found = super().decide(observation)
        return found if observation.bound is None else attrs.evolve(found, prefill=PREFILLER)


class GivesBack(ConServe):
    """A later turn that needs less gives back what an earlier one reserved."""

    def need(self, observation: PlacementObservation) -> int:
        return need_of(observation)


class LooksAhead(ConServe):
    """Reserves a slot more than it has seen."""

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        found = super().decide(observation)
        return found if observation.bound is None else attrs.evolve(found, reserve=found.reserve + SLOT)


class SeesOneTurn(ConServe):
    """An oracle that reserves what the turn needs, not the whole conversation."""

    def need(self, observation: PlacementObservation) -> int:
        return max(observation.reserved, need_of(observation))


TIGHT = ((1, 1), (1, 1)), (1,)
ROOMY = ((2, 2), (1, 1)), (3, 2)
GROWING = ((1, 2), (1, 1)), (2, 1)
BUGS = [
    (Barges(), TIGHT, "conserve.bind.first-in-line"),
    (Waits(), ROOMY, "holds where there is room"),
    (Overbooks(), TIGHT, "places where there is no room"),
    (BestFit(), ROOMY, "not where there is most room"),
    (Largest(), ROOMY, "not where there is most room"),
    (OneTooFew(), TIGHT, "reserves something else"),
    (NotBound(), TIGHT, "places without binding"),
    (ShedsWhatWaits(), TIGHT, "sheds what would fit"),
    (ShedsNothing(), (((3, 3), (1, 1)), (2, 1)), "holds what fits nowhere"),
    (Moves(), GROWING, "leaves home"),
    (PrefillsElsewhere(), GROWING, "leaves home"),
    (GivesBack(), (((2, 1), (1, 1)), (2, 1)), "not what it needs"),
    (LooksAhead(), GROWING, "not what it needs"),
    (SeesOneTurn(oracle=True), GROWING, "reserves something else"),
]


@pytest.mark.parametrize(("bug", "cluster", "caught"), BUGS, ids=[type(bug).__name__ for bug, *_ in BUGS])
def test_a_planted_bug_is_caught(bug: ConServe, cluster: Any, caught: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(caught)):
        explored(Small(*cluster, bug))
    explored(Small(*cluster, ConServe(bug.oracle)))  # it is the bug: without it all goes well
