"""The machine refines the spec: exhaustively at small sizes, at random at large ones; planted bugs are caught."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import get_args

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtpo.proofs.planted import BUGS, FAULTY, NoGate
from mtpo.proofs.refined import OBJECTS, caught_by, random_plan, total
from mtpo.proofs.refinement import Divergence, Pair, Plan, Use, drive, explore, small_plans
from mtpo_core import machine as m
from mtpo_core.machine import Event, Machine, Policy

# -- exhaustive ----------------------------------------------------------------------------------------------------


def test_every_interleaving_of_two_calls_on_one_object() -> None:
    plans, found = total(small_plans(agents=2, calls=1, objects=1))
    assert plans == 30
    assert found.states == 2554
    assert found.ends == 482


def with_faults(plans: Iterable[Plan]) -> Iterator[Plan]:
    return (attrs.evolve(plan, faults=True) for plan in plans)


def test_every_interleaving_of_two_calls_on_one_object_with_aborts_and_retractions() -> None:
    plans, found = total(with_faults(small_plans(agents=2, calls=1, objects=1)))
    assert plans == 30
    assert found.states == 11_288


@pytest.mark.slow
def test_every_interleaving_of_four_calls_and_of_three_agents_with_aborts_and_retractions() -> None:
    """Some of the plans."""
    plans, found = total(with_faults(itertools.islice(small_plans(agents=2, calls=2, objects=1), 4, None, 150)))
    assert plans == 3
    assert found.states == 163_984
    plans, found = total(with_faults(itertools.islice(small_plans(agents=3, calls=1, objects=1), 0, None, 50)))
    assert plans == 3
    assert found.states == 368_715


def test_every_interleaving_of_two_calls_on_two_objects() -> None:
    """Every third of the plans; all of them in the slow set."""
    plans, found = total(itertools.islice(small_plans(agents=2, calls=1, objects=2), 0, None, 3))
    assert plans == 140
    assert found.states == 18_427
    assert found.ends == 3_498


@pytest.mark.slow
def test_every_interleaving_of_two_calls_on_two_objects_in_full() -> None:
    plans, found = total(small_plans(agents=2, calls=1, objects=2))
    assert plans == 420
    assert found.states == 56_102
    assert found.ends == 10_460


def test_every_interleaving_of_four_calls_on_one_object() -> None:
    """Every fifteenth of the plans; all of them in the slow set."""
    plans, found = total(itertools.islice(small_plans(agents=2, calls=2, objects=1), 4, None, 15))
    assert plans == 30
    assert found.states == 30_083


def test_every_interleaving_of_three_agents_on_one_object() -> None:
    """Every twenty-fifth of the plans; all of them in the slow set."""
    plans, found = total(itertools.islice(small_plans(agents=3, calls=1, objects=1), 0, None, 25))
    assert plans == 6
    assert found.states == 27_198


@pytest.mark.slow
def test_every_interleaving_of_four_calls_on_one_object_in_full() -> None:
    plans, found = total(small_plans(agents=2, calls=2, objects=1))
    assert plans == 450
    assert found.states == 673_634
    assert found.ends == 105_586


@pytest.mark.slow
def test_every_interleaving_of_three_agents_on_one_object_in_full() -> None:
    plans, found = total(small_plans(agents=3, calls=1, objects=1))
    assert plans == 150
    assert found.states == 208_694
    assert found.ends == 15_034


def test_the_count_of_states_does_not_depend_on_the_order_of_exploration() -> None:
    plan = Plan(((Use("x", "x"),), (Use("x", "x"),)), ("x",))
    assert explore(plan) == explore(plan)
    machine = Pair(plan).machine
    assert not machine.agents, "an exploration leaves nothing behind"


# -- at random -----------------------------------------------------------------------------------------------------


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
            events = pair.forbidden()
            pair.refuse(events[choice % len(events)])
        elif pair.waiting is not None:
            out = {o: str(choice % pair.plan.values) for o in pair.use(pair.waiting.call).writes}
            pair.step(pair.answer(None if kind < 2 else out))
        else:
            moves = pair.moves()
            acts = [e for e in moves if not isinstance(e, m.Abort | m.Retract | m.Finish)]
            wanted = [e for e in moves if isinstance(e, faults[kind])] if kind in faults else []
            if events := wanted or acts or moves:
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
        moves = pair.moves()
        if not moves:
            break
        pair.copy().step(moves[0])
        assert repr(vars(pair.machine)) == form, "a step of the copy moved the original"
        pair.step(rng.choice([move for move in moves if not isinstance(move, m.Finish)] or moves))
        assert repr(vars(kept)) == form, "a step of the original moved the copy"
        after = pair.machine.snapshot()
        pair.machine.restore(kept)
        assert repr(vars(pair.machine)) == form
        pair.machine.restore(after)
    assert len(pair.trace) > 20


# -- planted bugs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bug", [*BUGS, *FAULTY], ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug: type[Machine]) -> None:
    found = caught_by(bug)
    assert found is not None, f"nothing catches: {bug.__doc__}"
    assert found.property in (BUGS.get(bug) or FAULTY[bug]), str(found)
    assert found.trace


def test_the_message_of_a_divergence_names_the_clause_and_the_events() -> None:
    plan = Plan(((Use("x"),), (Use((), "x", False),)), ("x",))
    pair = Pair(plan, NoGate)
    pair.step(m.Launch())
    pair.step(m.Launch())
    with pytest.raises(Divergence, match=r"mtpo\.call\.gate: call.* is no step of the spec, after\n  0: Launch"):
        pair.step(m.Call(1, frozenset(), frozenset("x"), False))
