"""The machine beside the spec on random schedules, of up to 64 agents; where the two part is told."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import get_args

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtpo.proofs.refinement.driving import drive
from mtpo.proofs.refinement.moves import answer, forbidden, moves
from mtpo.proofs.refinement.pair import Pair
from mtpo.proofs.refinement.plans import Plan, Use
from mtpo.proofs.refinement.planted import NoGate
from mtpo.proofs.refinement.refined import OBJECTS, random_plan
from mtpo.proofs.refinement.sides import Divergence
from mtpo_core import machine as m
from mtpo_core.machine import Event, Policy


def some_objects(most: int) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(OBJECTS), max_size=most)


@st.composite
def uses(draw: st.DrawFn) -> Use:
    reads, writes = draw(some_objects(3)), draw(some_objects(2))
    return Use(reads or {"u"}, writes, draw(st.integers(0, 7)) > 0 or not writes)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    agents = draw(st.integers(2, 8))
    calls = draw(st.integers(1, 4))
    rows = tuple(tuple(draw(uses()) for _ in range(calls)) for _ in range(agents))
    return Plan(rows, OBJECTS, 3, draw(st.sampled_from(Policy)), draw(st.booleans()))


@settings(max_examples=150, deadline=None)
@given(plans(), st.lists(st.integers(0, 2**16), max_size=250))
def test_a_random_schedule(plan: Plan, tape: list[int]) -> None:
    pair = Pair(plan)
    drive(pair, tape)
    assert pair.machine.quiet
    assert all(agent.committed for agent in pair.machine.agents)


@pytest.mark.parametrize("policy", Policy)
def test_a_random_schedule_of_64_agents(policy: Policy) -> None:
    rng = random.Random(64)
    plan = random_plan(rng, 64, 1, 6, policy)
    pair = Pair(plan)
    drive(pair, (16 * rng.randrange(2**20) + rng.randint(1, 15) for _ in range(1500)))  # nobody finishes early
    assert len(pair.machine.calls) == 64
    assert sum(isinstance(event, m.Undone) for event in pair.trace) > 20
    assert pair.machine.quiet


@st.composite
def large_plans(draw: st.DrawFn) -> Plan:
    """Of up to 64 agents; what fails shrinks to two."""
    agents, calls = draw(st.sampled_from((8, 16, 32, 64))), draw(st.integers(1, 2))
    rows = tuple(tuple(draw(uses()) for _ in range(calls)) for _ in range(agents))
    return Plan(rows, OBJECTS, 3, draw(st.sampled_from(Policy)), faults=True)


@st.composite
def tapes(draw: st.DrawFn, most: int) -> list[int]:
    """Of every length alike: lists that Hypothesis makes by itself are short."""
    return [draw(st.integers(0, 2**16)) for _ in range(draw(st.integers(0, most)))]


def drive_with_faults(pair: Pair, tape: Iterable[int]) -> None:
    """Follow a tape, then run to the end. Of 16 steps one aborts an agent and two retract calls; one of eight pieces of
    repairs fails. Where nothing of the wanted kind is possible, somebody acts."""
    faults: dict[int, type[Event]] = {0: m.Abort, 1: m.Retract, 2: m.Retract, 3: m.Finish}
    for number in tape:
        choice, kind = divmod(number, 16)
        if kind == 15:
            events = forbidden(pair)
            pair.refuse(events[choice % len(events)])
        elif pair.waiting is not None:
            out = {o: str(choice % pair.plan.values) for o in pair.use(pair.waiting.call).writes}
            pair.step(answer(pair, None if kind < 2 else out))
        else:
            can = moves(pair)
            acts = [e for e in can if not isinstance(e, m.Abort | m.Retract | m.Finish)]
            wanted = [e for e in can if isinstance(e, faults[kind])] if kind in faults else []
            if events := wanted or acts or can:
                pair.step(events[choice % len(events)])
    drive(pair, ())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(large_plans(), st.integers(0, 64), tapes(400))
def test_a_random_schedule_of_many_agents_with_aborts_retractions_and_failures(
    plan: Plan, early: int, tape: list[int]
) -> None:
    """The first ones are launched at once, the others along the way."""
    pair = Pair(plan)
    for _ in range(min(early, len(plan.uses))):
        pair.step(m.Launch())
    drive_with_faults(pair, tape)
    assert pair.machine.quiet
    assert all(agent.committed for agent in pair.machine.agents)


def test_a_schedule_of_64_agents_has_faults_of_every_kind() -> None:
    rng, kinds = random.Random(64), set[type[Event]]()
    for policy in Policy:
        pair = Pair(attrs.evolve(random_plan(rng, 64, 2, 6, policy), faults=True))
        drive_with_faults(pair, [rng.randrange(2**16) for _ in range(600)])
        kinds |= {type(event) for event in pair.trace}
    assert kinds == set(get_args(Event))


@pytest.mark.parametrize("policy", Policy)
def test_a_snapshot_is_independent_and_restores(policy: Policy) -> None:
    rng = random.Random(5)
    plan = random_plan(rng, 4, 3, 3, policy)
    pair = Pair(plan)
    for _ in range(60):
        kept = pair.machine.snapshot()
        form = repr(vars(kept))
        assert form == repr(vars(pair.machine))
        can = moves(pair)
        if not can:
            break
        pair.copy().step(can[0])
        assert repr(vars(pair.machine)) == form, "a step of the copy moved the original"
        pair.step(rng.choice([move for move in can if not isinstance(move, m.Finish)] or can))
        assert repr(vars(kept)) == form, "a step of the original moved the copy"
        after = pair.machine.snapshot()
        pair.machine.restore(kept)
        assert repr(vars(pair.machine)) == form
        pair.machine.restore(after)
    assert len(pair.trace) > 20


def test_the_message_of_a_divergence_names_the_clause_and_the_events() -> None:
    plan = Plan(((Use("x"),), (Use((), "x", False),)), ("x",))
    pair = Pair(plan, NoGate)
    pair.step(m.Launch())
    pair.step(m.Launch())
    with pytest.raises(Divergence, match=r"mtpo\.call\.gate: call.* is no step of the spec, after\n  0: Launch"):
        pair.step(m.Call(1, frozenset(), frozenset("x"), False))
