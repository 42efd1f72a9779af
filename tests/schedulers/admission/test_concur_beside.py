"""CONCUR's policy and the gate below it, step for step beside ``spec/concur.py``."""

from __future__ import annotations

import contextlib
import copy
import itertools
import re
from collections.abc import Iterator

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.admission.concur import Concur
from mtpo.schedulers.admission.gate import Gate, Stage
from mtpo.schedulers.types import AdmissionDecision, AdmissionObservation
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.concur import Agent, Level, Seat, concur

NEARLY_EMPTY, BETWEEN, FULL = 0, 1, 2
TICKS = ((0.1, None), (0.1, 0.05), (0.3, 0.05), (0.9, 0.05), (0.9, 0.9), (0.9, None))
"""Usage and hit rate at a tick: each of the cases that the law tells apart."""


class Beside:
    """Seats are places by the order of admission, the first ones are open."""

    def __init__(self, agents: int, policy: Concur, gate: type[Gate[int]] = Gate) -> None:
        self.policy, self.agents = policy, agents
        decision = policy.decide(self.seen(None, Gate(), 0.0, None))
        self.window, self.gate = decision.window, gate(decision)
        assert policy.most is None
        self.at = Instance(
            concur,
            {Agent: agents, Seat: agents, Level: 3},
            {
                "least": lambda s: s < policy.least,
                "most": lambda s: True,
                "low": lambda: NEARLY_EMPTY,
                "high": lambda: FULL,
                "lazy": lambda: not policy.youngest_first,
                "heavy": lambda: False,
                "no_seat": lambda: 0,
            },
        )
        assert not self.at.assumed()
        self.state = self.at.initial()

    def seen(self, window: float | None, gate: Gate[int], usage: float, hit_rate: float | None) -> AdmissionObservation:
        return AdmissionObservation(
            0.0, gate.active, gate.waiting, usage, hit_rate, window, requests=gate.requests, agents=self.agents
        )

    def take(self, action: str, *args: object) -> None:
        step, before = Step(action, args), self.at.freeze(self.state)  # type: ignore[arg-type]
        assert not self.at.refused(before, step), (step, [clause.id for clause in self.at.refused(before, step)])
        self.at.perform(self.state, step)
        after = self.at.freeze(self.state)
        assert not self.at.violated(after) and not self.at.violated_step(before, after)

    def places(self, without: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The seat of each agent that stays: its place in the order of admission."""
        order = [agent for agent in self.gate._admitted if agent not in without]
        return tuple(order.index(agent) if agent in order else 0 for agent in range(self.agents))

    def do(self, op: str, agent: int, tick: tuple[float, float | None]) -> bool:
        """One operation; whether it was allowed."""
        allowed = self.tries(op, agent, tick)
        room = (self.gate.limit or 0) - self.gate.active
        assert not self.gate.waiting or room <= 0, "a seat is left empty"
        return allowed

    def tries(self, op: str, agent: int, tick: tuple[float, float | None]) -> bool:
        gate, limit, order = self.gate, self.gate.limit or 0, list(self.gate._admitted)
        stage = gate._stage.get(agent)
        admitted = gate.active
        submitted: tuple[int, ...]
        if op == "ready" and stage is None:
            submitted = gate.ready(agent)
            self.take("arrive", agent)
        elif op == "ready" and stage is Stage.TOOL:
            submitted = gate.ready(agent)
            # Who is to be paused the paper leaves open, and so does the spec.
            if self.policy.youngest_first:
                assert (submitted == (agent,)) == (order.index(agent) < limit), "another one is to be paused"
            if submitted == (agent,):
                self.take("go_on", agent)
                return True
            self.take("pause", agent, self.places())
            assert submitted == ()
        elif op == "ended" and stage is Stage.GENERATING:
            submitted = gate.ended(agent)
            self.take("end", agent)
        elif op == "done" and stage in (Stage.GENERATING, Stage.TOOL):
            submitted = gate.done(agent)
            self.take("finish", agent, self.places(submitted))
            admitted -= 1
        elif op == "tick":
            return self.tick(*tick)
        else:
            return False
        self.admits(submitted, admitted)
        return True

    def tick(self, usage: float, hit_rate: float | None) -> bool:
        gate, policy = self.gate, self.policy
        decision = policy.decide(self.seen(self.window, gate, usage, hit_rate))
        old, new = gate.limit, decision.limit
        assert old is not None and new is not None
        self.window = decision.window
        places, admitted = self.places(), gate.active
        level = NEARLY_EMPTY if usage < policy.low else FULL if usage > policy.high else BETWEEN
        gone = hit_rate is not None and hit_rate < policy.hit
        if level == NEARLY_EMPTY:
            self.take("grow", level, tuple(int(old <= s < new) for s in range(self.agents)), places)
        elif level == FULL and gone:
            self.take("cut", level, tuple(int(new <= s < old) for s in range(self.agents)), places)
        else:
            assert new == old, "neither grows nor cuts here"
            self.take("hold", level, gone)
        self.admits(gate.obey(decision), admitted)
        return True

    def admits(self, submitted: tuple[int, ...], admitted: int) -> None:
        for at, agent in enumerate(submitted):
            self.take("admit", agent, admitted + at)


def policy(youngest_first: bool, alpha: float = 1.0, least: float = 1.0) -> Concur:
    # The window of the spec begins at its smallest.
    return Concur(alpha=alpha, least=least, start=least, youngest_first=youngest_first)


ops = st.tuples(st.sampled_from(["ready", "ended", "done", "tick", "tick"]), st.integers(0, 4), st.sampled_from(TICKS))


@given(st.lists(ops, max_size=80), st.booleans(), st.sampled_from([1.0, 2.0, 2.5]), st.sampled_from([1.0, 2.0]))
@settings(max_examples=60, deadline=None)
def test_random_runs_are_of_the_spec(
    operations: list[tuple[str, int, tuple[float, float | None]]], youngest: bool, alpha: float, least: float
) -> None:
    beside = Beside(5, policy(youngest, alpha, least))
    for op, agent, tick in operations:
        beside.do(op, agent, tick)


def key(now: Beside) -> tuple[object, ...]:
    """What the policy and the gate go on from; the last tick and the transcripts, which the spec remembers, are not of
    it."""
    gate = now.gate
    stages = tuple(gate._stage.get(agent) for agent in range(now.agents))
    return stages, tuple(gate._admitted), gate.line, frozenset(gate._marked), now.window


def every_run(first: Beside) -> list[Beside]:
    """Where every run leads: one of each."""
    line = [first]
    seen = {key(first)}
    for now in line:
        for op, agent, tick in itertools.product(("ready", "ended", "done", "tick"), range(first.agents), TICKS):
            if (op == "tick" and agent) or (op != "tick" and tick != TICKS[0]):
                continue
            after = copy.copy(now)
            after.state, after.gate = list(now.state), copy.deepcopy(now.gate)
            if after.do(op, agent, tick) and key(after) not in seen:
                seen.add(key(after))
                line.append(after)
    return line


@pytest.mark.parametrize("youngest", [False, True])
def test_every_run_of_two_agents_is_of_the_spec(youngest: bool) -> None:
    found = every_run(Beside(2, policy(youngest)))
    assert {now.gate.limit for now in found} == {1, 2}
    assert any(now.gate.active > (now.gate.limit or 0) for now in found) and len(found) > 40


def test_who_was_paused_goes_on_before_those_who_came_later_and_those_in_order() -> None:
    empty, full = TICKS[0], TICKS[3]
    beside = Beside(5, policy(False))
    for op, agent, tick in (
        *(("ready", agent, empty) for agent in range(4)),
        ("tick", 0, empty),
        ("tick", 0, full),
        ("ended", 0, empty),
        ("ready", 0, empty),
        ("tick", 0, empty),
        ("done", 1, empty),
        ("done", 0, empty),
        ("done", 2, empty),
    ):
        assert beside.do(op, agent, tick), (op, agent)
    stages = {agent: beside.gate.stage(agent) for agent in range(4)}
    assert stages == {0: Stage.DONE, 1: Stage.DONE, 2: Stage.DONE, 3: Stage.GENERATING}


# -- planted bugs --------------------------------------------------------------------------------------------------


class GrowsUntilFull(Concur):
    """The window grows as long as the cache is not full."""

    def law(self, window: float, usage: float, hit_rate: float | None) -> float:
        return super().law(window, 0.0 if usage <= self.high else usage, hit_rate)


class CutsWhenFull(Concur):
    """A full cache is enough for a cut, however many hits there are."""

    def law(self, window: float, usage: float, hit_rate: float | None) -> float:
        return super().law(window, usage, 0.0)


class NoHitsIsNone(Concur):
    """Without a prefill there was no hit: cut."""

    def law(self, window: float, usage: float, hit_rate: float | None) -> float:
        return super().law(window, usage, hit_rate or 0.0)


class NeverCuts(Concur):
    """The window stays as large as it ever was."""

    def law(self, window: float, usage: float, hit_rate: float | None) -> float:
        return max(window, super().law(window, usage, hit_rate))


class NeverGrows(Concur):
    """The window stays as small as it ever was."""

    def law(self, window: float, usage: float, hit_rate: float | None) -> float:
        return min(window, super().law(window, usage, hit_rate))


class OneMore(Gate[int]):
    """Admits one over the limit."""

    def _fill(self) -> tuple[int, ...]:
        with self.another(attrs.evolve(self._decision, limit=(self._decision.limit or 0) + 1)):
            return super()._fill()

    @contextlib.contextmanager
    def another(self, decision: AdmissionDecision) -> Iterator[None]:
        kept, self._decision = self._decision, decision
        yield
        self._decision = kept


class NobodyIsAdmittedLater(Gate[int]):
    """A seat that becomes free stays empty."""

    def done(self, agent: int) -> tuple[int, ...]:
        fill, self._fill = self._fill, tuple  # type: ignore[method-assign]
        try:
            return super().done(agent)
        finally:
            self._fill = fill  # type: ignore[method-assign]


class LastComeFirst(Gate[int]):
    """The one that came last is admitted first."""

    def _fill(self) -> tuple[int, ...]:
        for queue in (self._paused, self._pending):
            for agent in list(queue)[::-1]:
                queue.move_to_end(agent)
        return super()._fill()


class NewBeforePaused(Gate[int]):
    """Who never began is admitted before those that were paused."""

    def _fill(self) -> tuple[int, ...]:
        self._paused, self._pending = self._pending, self._paused
        found = super()._fill()
        self._paused, self._pending = self._pending, self._paused
        return found


class NobodyPauses(Gate[int]):
    """A cut ends with those who finish."""

    def _over(self, agent: int) -> bool:
        return False


class AllPause(Gate[int]):
    """Whoever reaches a boundary is paused, when the limit is reached."""

    def _over(self, agent: int) -> bool:
        return len(self._admitted) >= (self._decision.limit or 0)


class OldestFirst(Gate[int]):
    """Of those admitted the first are paused, not the last."""

    def _mark(self) -> None:
        super()._mark()
        self._marked = set(list(self._admitted)[: len(self._marked)])


LAWS = [
    (GrowsUntilFull, "neither grows nor cuts here"),
    (CutsWhenFull, "neither grows nor cuts here"),
    (NoHitsIsNone, "neither grows nor cuts here"),
    (NeverCuts, "concur.cut.some"),
    (NeverGrows, "concur.grow.some"),
]
GATES = [
    (OneMore, False, "concur.admit.open"),
    (NobodyIsAdmittedLater, False, "a seat is left empty"),
    (LastComeFirst, False, "concur.admit.oldest"),
    (NewBeforePaused, False, "concur.admit.paused-first"),
    (NobodyPauses, False, "concur.go_on.not-over"),
    (AllPause, False, "concur.pause.over"),
    (OldestFirst, True, "another one is to be paused"),
]


@pytest.mark.parametrize(("law", "caught"), LAWS, ids=[law.__name__ for law, _ in LAWS])
def test_a_bug_that_is_planted_in_the_law_is_caught(law: type[Concur], caught: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(caught)):
        every_run(Beside(2, law(alpha=1.0, least=1.0, start=1.0)))


@pytest.mark.parametrize(("gate", "youngest", "caught"), GATES, ids=[gate.__name__ for gate, *_ in GATES])
def test_a_bug_that_is_planted_in_the_gate_is_caught(gate: type[Gate[int]], youngest: bool, caught: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(caught)):
        every_run(Beside(3, policy(youngest), gate))
