"""ConServe's policy beside ``spec/conserve.py``: in every reachable state of a small cluster, and on random runs."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.placement.conserve import Ampd, ConServe
from mtpo.schedulers.types import PlacementObservation, PlacementPolicy, WorkerView
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
        if decision.shed:
            assert need > max(self.slots)
            return None
        if decision.decode is None:
            assert seen.ahead or all(len(self.free(state, d)) < need for d in range(len(self.slots)))
            return None
        assert decision.bind and decision.reserve == SLOT * need and decision.prefill == PREFILLER
        chosen = self.free(state, decision.decode)[:need]
        assert len(chosen) == need
        assert all(len(self.free(state, d)) <= len(self.free(state, decision.decode)) for d in range(len(self.slots)))
        return Step("bind", (c, decision.decode, tuple(int(s in chosen) for s in range(len(self.home)))))

    def later(self, state: State, c: int) -> Step | None:
        """What a later turn that runs takes, a slot at a time: what the policy reserves; None for no more."""
        d = self.at.value(state, "at", c)
        decision = self.policy.decide(self.observe(state, c, 2))
        assert (decision.prefill, decision.decode, decision.bind) == (d, d, True)
        lacking = decision.reserve // SLOT - len(self.held_by(state, c))
        if self.oracle:
            assert lacking == 0
        if lacking <= 0:
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


@pytest.mark.parametrize("policy", [ConServe(), ConServe(oracle=True), Ampd(0.0)], ids=["seen", "oracle", "ampd"])
def test_in_every_state_of_a_small_cluster_it_decides_as_the_spec_allows(policy: PlacementPolicy) -> None:
    world = Small(((1, 2), (1, 1)), (2, 1), policy)
    seen, line, taken = {world.first}, [world.first], set()
    while line:
        state = line.pop()
        for step in world.steps(state):
            taken.add(step.action)
            found = world.after(state, step)
            if found not in seen:
                seen.add(found)
                line.append(found)
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
