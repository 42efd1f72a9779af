"""State machines derived from specs: they hold what the spec holds, and find what it or an implementation breaks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from mtpo.proofs.mutants.mutate import mutants
from mtpo.proofs.refinement.statemachine import Beside, Violated, state_machine
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.mtpo import mtpo
from mtpo.spec.paged_kv import kv
from tests.spec.lock import lock

QUICK = settings(
    max_examples=40, stateful_step_count=30, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def run(machine: type[Beside]) -> None:
    run_state_machine_as_test(machine, settings=QUICK)


@pytest.mark.parametrize(
    "machine",
    [state_machine(lock, Process=4), state_machine(kv, Block=3, Request=2), state_machine(mtpo, objects=1)],
    ids=["lock", "kv", "mtpo"],
)
def test_a_spec_that_holds_holds_in_its_machine(machine: type[Beside]) -> None:
    run(machine)


def test_every_action_is_a_rule() -> None:
    machine = state_machine(lock, size=2)
    assert {name for name in vars(machine) if name.startswith("step_")} == {f"step_{name}" for name in lock.actions}


def test_a_broken_spec_is_found() -> None:
    (mutant,) = (m for m in mutants(lock) if m.id == "lock.acquire.free")
    with pytest.raises(Violated, match=r"acquire\(.*\) violates lock\.(exclusion|no-barging) \("):
        run(state_machine(mutant.spec, Process=3))


class Mine:
    """A lock with a mistake: it counts who leaves, not who is inside."""

    def __init__(self, wrong: bool) -> None:
        self.inside: list[int] = []
        self.wrong = wrong

    def acquire(self, p: int) -> None:
        self.inside.append(p)

    def release(self, p: int) -> None:
        if not (self.wrong and p == 2):
            self.inside.remove(p)


def beside(wrong: bool) -> type[Beside]:
    base: Any = state_machine(lock, Process=3)

    class Both(base):
        def begin(self, instance: Instance, state: State) -> None:
            self.mine = Mine(wrong)

        def took(self, step: Step, before: State, after: State) -> None:
            getattr(self.mine, step.action)(*step.args)
            assert self.mine.inside == [p for p in range(3) if self.value("holds", p)], step

    return Both


def test_an_implementation_runs_beside_the_spec() -> None:
    run(beside(wrong=False))
    with pytest.raises(AssertionError, match=r"Step\(action='release', args=\(2,\)\)"):
        run(beside(wrong=True))


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="Page"):
        state_machine(kv, Page=2)
    with pytest.raises(ValueError, match="mtpo: no size 'Agent'; it has agents, calls, objects"):
        state_machine(mtpo, Agent=2)
