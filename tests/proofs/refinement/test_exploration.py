"""Every interleaving of small plans: the machine refines the spec in each state, and the counts are exact."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import attrs
import pytest

from mtpo.proofs.refinement.exploration import explore
from mtpo.proofs.refinement.pair import Pair
from mtpo.proofs.refinement.plans import Plan, Use, small_plans
from mtpo.proofs.refinement.refined import ADD, total
from mtpo_core.machine import Policy
from tests.proofs.refinement.alone import alone


def test_every_interleaving_of_two_calls_on_one_object() -> None:
    plans, found = total(small_plans(agents=2, calls=1, objects=1))
    assert plans == 30
    assert (found.states, found.ends) == (2570, 486)
    assert found.own == sum(alone(plan) for plan in small_plans(agents=2, calls=1, objects=1)) == 2554
    assert found.refused > 10 * found.states


def with_faults(plans: Iterable[Plan]) -> Iterator[Plan]:
    return (attrs.evolve(plan, faults=True) for plan in plans)


def test_every_interleaving_of_two_calls_on_one_object_with_aborts_and_retractions() -> None:
    plans, found = total(with_faults(small_plans(agents=2, calls=1, objects=1)))
    assert plans == 30
    assert found.states == 12_224
    assert found.own == sum(alone(plan) for plan in with_faults(small_plans(agents=2, calls=1, objects=1))) == 10_816


def test_every_interleaving_of_two_calls_on_two_objects() -> None:
    """Every third of the plans; all of them in the slow set."""
    plans, found = total(itertools.islice(small_plans(agents=2, calls=1, objects=2), 0, None, 3))
    assert plans == 140
    assert (found.states, found.own, found.ends) == (18_603, 18_427, 3_542)


def test_every_interleaving_of_four_calls_on_one_object() -> None:
    """Every fifteenth of the plans; all of them in the slow set, and some with aborts and retractions in the ledger."""
    plans, found = total(itertools.islice(small_plans(agents=2, calls=2, objects=1), 4, None, 15))
    assert plans == 30
    assert (found.states, found.own) == (30_543, 28_307)


def test_every_interleaving_of_three_agents_on_one_object() -> None:
    """Every twenty-fifth of the plans; all of them in the slow set."""
    plans, found = total(itertools.islice(small_plans(agents=3, calls=1, objects=1), 0, None, 25))
    assert plans == 6
    assert (found.states, found.own) == (27_198, 20_766)


def test_every_interleaving_of_three_agents_on_one_object_with_aborts_and_retractions() -> None:
    """Some of the plans whose first agent reads; those that were chosen are in the ledger."""
    some = list(with_faults(itertools.islice(small_plans(agents=3, calls=1, objects=1), 61, 100, 9)))
    plans, found = total(some)
    assert plans == 5
    assert (found.states, found.ends) == (8_399, 2_364)
    assert found.own == sum(map(alone, some)) == 8_075


@pytest.mark.slow
def test_every_interleaving_of_four_calls_on_one_object_in_full() -> None:
    plans, found = total(small_plans(agents=2, calls=2, objects=1))
    assert plans == 450
    assert (found.states, found.own, found.ends) == (726_450, 660_962, 116_230)
    assert found.own == sum(alone(plan) for plan in small_plans(agents=2, calls=2, objects=1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "counts"), [(Policy.REPLAY, (564_114, 298_379, 48_952)), (Policy.CANCEL, (115_286, 71_702, 17_751))]
)
def test_every_interleaving_of_four_calls_that_read_and_write_with_aborts_and_retractions(
    policy: Policy, counts: tuple[int, int, int]
) -> None:
    """Too long to be recorded with those that are chosen."""
    plan = Plan(((ADD, ADD), (ADD, ADD)), ("x",), 2, policy, faults=True)
    found = explore(plan)
    assert (found.states, found.own, found.ends) == counts
    assert found.own == alone(plan)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "counts"), [(Policy.REPLAY, (195_328, 120_828, 12_213)), (Policy.CANCEL, (66_060, 50_914, 6_081))]
)
def test_every_interleaving_of_three_agents_that_read_and_write_with_aborts_and_retractions(
    policy: Policy, counts: tuple[int, int, int]
) -> None:
    """Too long to be recorded with those that are chosen."""
    plan = Plan(((ADD,), (ADD,), (ADD,)), ("x",), 2, policy, faults=True)
    found = explore(plan)
    assert (found.states, found.own, found.ends) == counts
    assert found.own == alone(plan)


def test_the_count_of_states_does_not_depend_on_the_order_of_exploration() -> None:
    plan = Plan(((Use("x", "x"),), (Use("x", "x"),)), ("x",))
    assert explore(plan) == explore(plan)
    machine = Pair(plan).machine
    assert not machine.agents, "an exploration leaves nothing behind"
