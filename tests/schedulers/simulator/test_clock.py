"""Virtual time: instants passed at once are those of adding again and again; what is lost in rounding is told."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.admission.concur import Concur
from mtpo.schedulers.admission.footprint import Footprint
from mtpo.schedulers.simulator.clock import horizon, last_before
from mtpo.schedulers.simulator.cluster import Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.loss import Loss
from mtpo.schedulers.simulator.steptime import Hardware, Power, StepTime
from mtpo.schedulers.simulator.worker import Caps, SimulationError, StuckError
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.traces.workload import Conversation, Turn, Workload, linear
from mtpo.schedulers.types import (
    AdmissionDecision,
    AdmissionObservation,
    AdmissionPolicy,
    PlacementDecision,
    PlacementObservation,
)

WORKER = WorkerSetup(Hardware("test", StepTime(0.01, 1e-4, 1e-7), 0, Power(100.0, 10.0)), Caps(400, 4, 256))
odd = st.integers(1, 2**53 - 1)


def one_by_one(first: float, period: float, until: float) -> float:
    while first < first + period <= until:
        first += period
    return first


@given(odd, st.integers(-60, 4), odd, st.integers(-12, 12), st.integers(0, 3000), st.integers(-2, 2))
@settings(max_examples=400, deadline=None)
def test_instants_are_those_of_adding(a: int, scale: int, b: int, apart: int, count: int, near: int) -> None:
    first, period = math.ldexp(a, scale), math.ldexp(b, scale + apart)
    until = first
    for _ in range(count):
        until += period
    until = math.nextafter(until, math.inf if near > 0 else 0.0) if near else until
    assert last_before(first, period, until) == one_by_one(first, period, until)


@given(st.integers(2**52, 2**53 - 64), st.integers(0, 40), st.sampled_from([0.5, 1.5, 2.5, 3.5, 0.25, 1.0, 40.5]))
def test_halves_are_rounded_to_even(first: int, more: int, period: float) -> None:
    # At this size all doubles are whole numbers.
    until = float(first + more)
    assert last_before(float(first), period, until) == one_by_one(float(first), period, until)


def test_a_long_time_is_passed_at_once() -> None:
    assert last_before(0.0, 5.0, 1e12 + 3) == 1e12 and last_before(1.0, 1e-3, 1e9) == pytest.approx(1e9, rel=1e-4)
    assert last_before(7.0, 5.0, 3.0) == 7.0
    assert last_before(1.0, 1e300, math.inf) > 1e308


@attrs.frozen
class Watching:
    """Another policy, of which nobody knows that it does not look at the clock: each of its ticks is gone through."""

    policy: AdmissionPolicy

    @property
    def interval(self) -> float | None:
        return self.policy.interval

    def decide(self, seen: AdmissionObservation) -> AdmissionDecision:
        return self.policy.decide(seen)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 400),
            st.lists(st.tuples(st.integers(1, 90), st.integers(1, 20), st.floats(0, 300)), min_size=1),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([Concur(period=0.7), Concur(period=3.0), Footprint(period=0.3), Footprint(period=1.1)]),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_ticks_that_are_passed_change_nothing(
    given: list[tuple[float, list[tuple[int, int, float]]]], policy: AdmissionPolicy, timed: bool
) -> None:
    parts = sorted((arrival if timed else 0.0, lengths[:3]) for arrival, lengths in given)
    talks = (Conversation(f"c{n}", arrival, linear(n, lengths)) for n, (arrival, lengths) in enumerate(parts))
    workload = Workload("talks", tuple(talks), timed=timed)
    setup = Setup(Sarathi(64), (WORKER,), policy)
    assert simulate(workload, setup) == simulate(workload, attrs.evolve(setup, admission=Watching(policy)))


def at(*arrivals: float, gap: float = 0.0) -> Workload:
    talks = (Conversation(f"c{n}", time, (Turn(20, 3), Turn(40, 2, gap))) for n, time in enumerate(arrivals))
    return Workload("talks", tuple(talks))


class Holds:
    def decide(self, seen: PlacementObservation) -> PlacementDecision:
        return PlacementDecision(None, None)


@pytest.mark.parametrize("policy", [Concur(), Watching(Concur())])
def test_only_what_nothing_can_free_is_given_up(policy: AdmissionPolicy) -> None:
    # 16,000 periods without anything, then an arrival, and then a tool as long.
    assert len(simulate(at(0.0, 80_000.0, gap=80_000.0), Setup(Sarathi(64), (WORKER,), policy)).turns) == 4
    with pytest.raises(
        StuckError, match=r"can go on at 36 h \d+ min .* Holds holds 1 turn, first turn 1 of conversation c0,"
    ):
        # The last thing that may free it is the loss of another worker.
        simulate(at(0.0), Setup(Sarathi(64), (WORKER, WORKER), policy, placement=Holds(), losses=(Loss(1, 80_000.0),)))


def test_a_time_at_which_steps_are_lost_in_the_rounding_is_told() -> None:
    limit = horizon(0.01, 10.0)
    assert math.ulp(limit) / 2 <= 0.01 * 0.01 and horizon(0.0, 10.0) == 10 * 2.0**53
    for workload in (at(1e300), at(0.0, gap=1e300), at(2 * limit)):
        with pytest.raises(SimulationError, match="steps of these workers are lost in the rounding of the time"):
            simulate(workload, Setup(Sarathi(64), (WORKER,)))
    assert simulate(at(limit / 2), Setup(Sarathi(64), (WORKER,))).turns[0].ttft == pytest.approx(0.012, rel=0.02)
