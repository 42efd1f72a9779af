"""The footprint controller: what it admits, its bounds, and that it is a fixed point of its own measurement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo.schedulers.admission.footprint import Footprint
from mtpo.schedulers.load import load_policy
from mtpo.schedulers.types import AdmissionObservation


def seen(window: float | None, requests: int, usage: float, agents: int = 100) -> AdmissionObservation:
    return AdmissionObservation(0.0, requests, 5, usage, window=window, requests=requests, agents=agents)


def test_it_admits_as_many_as_fit_by_what_one_takes_now() -> None:
    policy = Footprint(target=0.6)
    assert policy.decide(seen(None, 0, 0.0)).limit == 2
    # Twenty requests take a fifth of the cache: sixty fit into three fifths, and the window is on its way there.
    assert policy.decide(seen(20.0, 20, 0.2)).limit == 25
    assert policy.decide(seen(59.0, 20, 0.2)).limit == 60
    # Contexts have grown: fewer fit, before the cache is full and whatever the hit rate is.
    grown = policy.decide(seen(60.0, 20, 0.24))
    assert (grown.limit, grown.youngest_first) == (50, True)
    # Nothing to measure: as before.
    assert policy.decide(seen(60.0, 0, 0.0)).limit == 60
    assert load_policy("footprint:0.7,period=2", "admission") == Footprint(0.7, 2.0)


@given(st.floats(1.0, 300.0), st.integers(0, 300), st.floats(0.0, 1.0), st.integers(1, 300))
def test_its_window_stays_within_its_bounds(window: float, requests: int, usage: float, agents: int) -> None:
    policy = Footprint()
    decision = policy.decide(seen(window, requests, usage, agents))
    assert decision.window is not None and decision.limit is not None
    assert policy.least <= decision.limit <= decision.window <= max(policy.least, agents)
    if policy.least <= window <= agents:
        assert (
            window / policy.slack * 0.999 <= decision.window <= window * policy.slack or decision.window == policy.least
        )


@given(st.integers(5, 100), st.floats(0.001, 0.1))
def test_it_settles_where_the_agents_take_the_target(agents: int, share: float) -> None:
    policy, window = Footprint(), 2.0
    for _ in range(60):
        working = min(agents, int(window))
        found = policy.decide(seen(window, working, min(1.0, working * share), agents)).window
        assert found is not None
        window = found
    assert window == pytest.approx(min(policy.target / share, agents))
