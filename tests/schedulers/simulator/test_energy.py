"""Energy from what a board did, and the draw that explains a measured energy."""

from __future__ import annotations

import pytest

from mtpo.schedulers.simulator.energy import Draw, Load, memory_watts


def test_a_step_draws_by_what_it_is_bound_by_and_never_more_than_the_cap() -> None:
    load = Load(busy=10.0, arithmetic=4.0)
    assert Draw(50.0, 200.0, 300.0).joules(load, 30.0) == 20 * 50 + 6 * 200 + 4 * 300
    assert Draw(50.0, 200.0, 300.0, limit=250.0).joules(load, 30.0) == 20 * 50 + 6 * 200 + 4 * 250
    assert Draw(50.0, 200.0, 300.0, limit=150.0).joules(load, 10.0) == 10 * 150
    # More work of either kind never takes less.
    assert Draw(50.0, 200.0, 300.0).joules(Load(10.0, 5.0), 30.0) > Draw(50.0, 200.0, 300.0).joules(load, 30.0)


def test_the_draw_of_memory_bound_work_is_found_again() -> None:
    loads = [Load(10.0, 4.0), Load(25.0, 0.5)]
    joules = sum(Draw(50.0, 233.0, 300.0).joules(load, 30.0) for load in loads)
    assert memory_watts(joules, loads, 30.0, 50.0, 300.0) == pytest.approx(233.0)
    with pytest.raises(ValueError, match="no memory-bound work"):
        memory_watts(joules, [Load(3.0, 3.0)], 30.0, 50.0, 300.0)
