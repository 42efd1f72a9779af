"""The calibrator: weighted least squares, one measurement at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo.schedulers.step.calibrator import Calibrator
from mtpo.schedulers.step.fairbatching import FairBatching
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.types import StepMeasured, StepModel, learned

PRIOR = StepModel(8e-3, 0.095e-3, 0.13e-6)
steps = st.builds(StepMeasured, st.integers(1, 4000), st.integers(1, 300_000), st.floats(1e-3, 1.0))


@given(st.lists(steps, min_size=1, max_size=30), st.sampled_from([1.0, 0.99, 0.9]))
def test_it_is_weighted_least_squares_with_the_prior_as_one_more_measurement(measured, forgetting):
    calibrator = Calibrator(PRIOR, forgetting, doubt=0.5, noise=1e-2)
    for one in measured:
        calibrator = calibrator.learn(one)
    features = np.array([[PRIOR.a, PRIOR.b * m.new, PRIOR.c * m.context] for m in measured])
    rest = np.array([m.seconds for m in measured]) - features.sum(axis=1)
    n = len(measured)
    weights = forgetting ** np.arange(n - 1, -1, -1.0)
    precision = (features.T * weights) @ features + forgetting**n * np.eye(3) * (1e-2 / 0.5) ** 2
    expected = np.linalg.solve(precision, (features.T * weights) @ rest)
    assert np.allclose(calibrator.x, expected, rtol=1e-4, atol=1e-5)


def test_it_finds_the_coefficients_and_follows_a_change():
    slow = StepModel(20e-3, 0.2e-3, 0.05e-6)
    fast = StepModel(6e-3, 0.03e-3, 0.1e-6)
    draw = np.random.default_rng(1)
    calibrator = Calibrator(PRIOR, 0.98)
    for truth in (slow, fast):
        for _ in range(400):
            new, context = int(draw.integers(1, 2000)), int(draw.integers(1000, 400_000))
            calibrator = calibrator.learn(StepMeasured(new, context, truth.seconds(new, context)))
        assert calibrator.model.a == pytest.approx(truth.a, rel=0.01)
        assert calibrator.model.b == pytest.approx(truth.b, rel=0.01)
        assert calibrator.model.c == pytest.approx(truth.c, rel=0.01)


@given(st.lists(steps, max_size=40))
def test_no_coefficient_becomes_negative_whatever_is_measured(measured):
    calibrator = Calibrator(PRIOR, 0.9)
    for one in measured:
        calibrator = calibrator.learn(one)
    model = calibrator.model
    assert model.a > 0 and model.b > 0 and model.c > 0


def test_steps_that_tell_nothing_new_do_not_blow_it_up():
    calibrator = Calibrator(PRIOR, 0.9)
    for _ in range(5000):
        calibrator = calibrator.learn(StepMeasured(100, 10_000, 0.02))
    assert calibrator.model.seconds(100, 10_000) == pytest.approx(0.02, rel=0.02)
    assert sum(calibrator.covariance[i][i] for i in range(3)) < 1e13
    calibrator = calibrator.learn(StepMeasured(1000, 50_000, 0.2))
    assert calibrator.model.seconds(1000, 50_000) == pytest.approx(0.2, rel=0.05)


def test_a_step_at_the_floor_is_left_out():
    calibrator = Calibrator(StepModel(6.6e-3, 2e-5, 1.96e-7, floor=14.4e-3))
    assert calibrator.learn(StepMeasured(1, 100, 14.4e-3)) is calibrator
    assert calibrator.learn(StepMeasured(1, 100, 15e-3)) != calibrator


def test_a_policy_that_learns_is_another_value_and_others_stay():
    measured = StepMeasured(100, 1000, 0.5)
    policy = FairBatching()
    after = learned(policy, measured)
    assert isinstance(after, FairBatching)
    assert after.calibrator.model.seconds(100, 1000) > policy.calibrator.model.seconds(100, 1000)
    assert FairBatching() == policy
    assert learned(FairBatching(learns=False), measured) == FairBatching(learns=False)
    assert learned(Sarathi(), measured) == Sarathi()


def test_the_prior_of_the_time_per_token_must_be_positive():
    with pytest.raises(ValueError, match="b, must be positive"):
        Calibrator(StepModel(1e-3, 0.0))
