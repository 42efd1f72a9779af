"""Which model of step times is kept: the simplest that predicts what it was not fitted to."""

from __future__ import annotations

import random

import pytest

from mtpo.schedulers.simulator.fit import FitError, Point, fit
from mtpo.schedulers.simulator.regimes import Model, choose, in_two
from mtpo.schedulers.simulator.steptime import Few, StepTime


def kinds() -> list[tuple[int, int, float, int]]:
    """New tokens, context, pairs, requests: decodes, chunks of prompts, and chunks beside decodes."""
    decodes = [(n, n * h, 0.0, n) for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32) for h in (40, 700)]
    chunks = [(k, h + k, (k - 1) * (h + k / 2), 1) for k in (8, 12, 20, 40, 64, 128, 512) for h in (0, 1000)]
    mixed = [
        (k + n, h + k + 200 * n, (k - 1) * (h + k / 2), n + 1) for k in (10, 50, 110) for n in (3, 9) for h in (0, 300)
    ]
    return decodes + chunks + mixed


def made_with(model: StepTime, noise: float = 0.02, seed: int = 1) -> list[Point]:
    draw = random.Random(seed)
    return [
        Point(n, c, p, model.seconds(n, c, p, r) * (1 + noise * draw.uniform(-1, 1)), requests=r)
        for n, c, p, r in kinds()
    ]


LINE = StepTime(5e-3, 1e-4, 1e-6)


@pytest.mark.parametrize(("most", "seed"), [(8, 1), (16, 2)])
def test_small_batches_are_found_where_they_are_computed_another_way(most: int, seed: int) -> None:
    step = StepTime(60e-3, 3.5e-3, 2e-6, few=Few(11e-3, 4.7e-3, 1e-6, most=most))
    found = choose(made_with(step, seed=seed))
    assert found.model == Model(few=True) and found.fit.errors.mape < 0.015
    few = found.fit.step.few
    assert few is not None and few.most == most
    assert (few.a, few.b) == (pytest.approx(11e-3, rel=0.1), pytest.approx(4.7e-3, rel=0.05))
    assert (found.fit.step.a, found.fit.step.b) == (pytest.approx(60e-3, rel=0.1), pytest.approx(3.5e-3, rel=0.05))
    alone, kept = found.error(Model()), found.error(found.model)
    # The kind at the boundary is held out once, too, and then predicted by the wrong side.
    assert alone is not None and kept is not None and kept < 0.03 < 0.05 < alone


@pytest.mark.parametrize("step", [LINE, StepTime(5e-3, 1e-4, 1e-6, floor=9e-3)])
def test_one_line_stays_one(step: StepTime) -> None:
    """A floor is not taken for a regime either."""
    points = made_with(step, 0.04)
    found = choose(points)
    assert found.model == Model() and found.fit == fit(points) and found.fit.step.few is None
    assert [one.model.coefficients for one in found.tried] == [3, 4, 4, 5, 7, 9, 9, 11]
    assert all(one.error is not None for one in found.tried)


def test_terms_are_added_that_predict_what_was_held_out() -> None:
    per_request = choose(made_with(StepTime(5e-3, 1e-4, 1e-7, e=2e-3)))
    assert per_request.model == Model(requests=True) and per_request.fit.step.e == pytest.approx(2e-3, rel=0.1)
    within = StepTime(5e-3, 1e-4, 1e-7, 1e-6)
    assert choose(made_with(within)).model == Model(pairs=True)
    # As it is asked for: never, or always.
    assert not any(one.model.pairs for one in choose(made_with(within), 3).tried)
    assert all(one.model.pairs for one in choose(made_with(LINE), 4).tried)


def test_a_step_that_was_disturbed_makes_no_regime() -> None:
    points = made_with(LINE)
    disturbed = [Point(p.new, p.context, p.pairs, p.seconds * (4 if at % 9 == 4 else 1)) for at, p in enumerate(points)]
    assert choose(disturbed).fit.step.few is None


def test_what_can_not_be_told_apart_is_not_added() -> None:
    """Requests were not noted, and there are no small batches to speak of."""
    few = [Point(n, c, p, LINE.seconds(n, c, p)) for n, c, p, _ in kinds() if n > 24]
    found = choose(few)
    assert found.model == Model() and found.error(Model(requests=True)) is None
    with pytest.raises(FitError, match="5 kinds of steps do not tell small batches from large ones"):
        in_two(few[:5])
    with pytest.raises(FitError, match="do not tell a, b and c and e apart"):
        fit(few, requests=True)
    with pytest.raises(FitError, match="do not tell a, b and c apart"):
        choose([Point(n, 100 * n, 0.0, 0.01 + n) for n in range(1, 9)])


def test_small_batches_go_by_their_own_line() -> None:
    step = StepTime(60e-3, 3e-3, 1e-6, 1e-6, few=Few(10e-3, 5e-3, 2e-6, e=1e-3, floor=18e-3, most=16))
    assert step.seconds(16, 100, 50.0, 2) == 10e-3 + 5e-3 * 16 + 2e-6 * 100 + 1e-3 * 2
    assert step.seconds(17, 100, 50.0, 2) == 60e-3 + 3e-3 * 17 + 1e-6 * 100 + 1e-6 * 50
    assert step.seconds(1, 1, 0.0, 1) == 18e-3 == step.shortest
    assert (step.arithmetic(16, 50.0), step.arithmetic(17, 50.0)) == (5e-3 * 16, 3e-3 * 17 + 1e-6 * 50)
    # A chunk that is left over is small: 64 + 64 + 2 tokens.
    whole = sum(step.seconds(k, h + k, (k - 1) * (h + k / 2), 1) for k, h in ((64, 0), (64, 64), (2, 128)))
    assert step.prefill_seconds(130, 64) == whole
    assert (step.model.a, step.model.b, step.model.c) == (60e-3, 3e-3, 1e-6)
    slow = StepTime(1e-3, 1e-4, few=Few(0.5, 0.0, most=4))
    assert slow.shortest == slow.seconds(5, 5, 0.0, 1) < slow.seconds(1, 1, 0.0, 1)
    for most in (0, -1, 1.5):
        with pytest.raises((ValueError, TypeError)):
            Few(1.0, 1.0, most=most)  # type: ignore[arg-type]
