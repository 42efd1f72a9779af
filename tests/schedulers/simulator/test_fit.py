"""Fits find what the measurements were made with, whatever disturbs a few of them; files of step times."""

from __future__ import annotations

import json
import random
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.simulator.fit import FitError, Point, choose, errors, fit, point
from mtpo.schedulers.simulator.measured import Measured, SteptimeError, lines, read_hardware
from mtpo.schedulers.simulator.steptime import A40_QWEN_06B, StepTime


def steps() -> list[tuple[int, int, float]]:
    """Decode batches and chunks of prompts: new tokens, context, pairs."""
    decodes = [(n, n * h, 0.0) for n in (1, 2, 4, 16, 64) for h in (64, 512, 4096)]
    chunks = [(k, h + k, (k - 1) * (h + k / 2)) for k in (32, 128, 512, 2048) for h in (0, 1024, 8192)]
    return decodes + chunks


def made_with(model: StepTime, noise: float = 0.0, seed: int = 0) -> list[Point]:
    draw = random.Random(seed)
    return [Point(*one, model.seconds(*one) * (1 + noise * draw.uniform(-1, 1))) for one in steps()]


@settings(max_examples=15, deadline=None)
@given(st.floats(1e-4, 1e-1), st.floats(1e-6, 1e-2), st.floats(1e-9, 1e-5), st.integers(0, 9))
def test_coefficients_are_found_again(a: float, b: float, c: float, seed: int) -> None:
    model = StepTime(a, b, c)
    found = fit(made_with(model, 0.01, seed))
    assert found.errors.mape < 0.015 and found.errors.p95 < 0.05
    exact = fit(made_with(model))
    assert exact.errors.mape < 1e-4 and exact.errors.r2 > 0.9999


def test_a_floor_and_a_quadratic_term_are_found() -> None:
    model = A40_QWEN_06B.step
    found = fit(made_with(model), 4).step
    assert found.floor == pytest.approx(model.floor)
    assert (found.a, found.c) == (pytest.approx(model.a, rel=0.02), pytest.approx(model.c, rel=0.02))
    assert (found.b, found.d) == (pytest.approx(model.b, rel=0.02), pytest.approx(model.d, rel=0.02))


def test_no_floor_is_seen_where_there_is_none() -> None:
    assert fit(made_with(StepTime(5e-3, 1e-4, 1e-7), 0.03)).step.floor == 0.0


def test_disturbed_steps_do_not_bend_the_fit() -> None:
    model = StepTime(5e-3, 1e-4, 1e-7)
    clean = made_with(model, 0.01)
    disturbed = [attrs.evolve(p, seconds=10 * p.seconds) if i % 9 == 4 else p for i, p in enumerate(clean)]
    found = fit(disturbed).step
    for p in clean:
        assert found.seconds(p.new, p.context) == pytest.approx(p.seconds, rel=0.15)


def test_points_are_medians() -> None:
    one = point(4, 100, 0.0, [1.0, 9.0, 1.2, 1.1, 0.9])
    assert (one.seconds, one.times, one.spread) == (1.1, 5, pytest.approx(0.1))


def test_what_can_not_be_told_apart_is_refused() -> None:
    decodes = [Point(n, 100 * n, 0.0, 0.01 + n) for n in range(1, 9)]
    with pytest.raises(FitError, match="8 kinds of steps do not tell a, b and c apart"):
        fit(decodes)
    with pytest.raises(FitError, match="0 kinds"):
        fit([])


def test_errors_against_a_count_by_hand() -> None:
    found = errors([1.0, 2.0, 0.0, 4.0], [1.1, 1.8, 5.0, 4.0])
    assert (found.n, found.mape, found.bias) == (3, pytest.approx(0.2 / 3), pytest.approx(0.0))
    assert found.p95 == pytest.approx(0.1) and found.r2 == pytest.approx(1 - 0.05 / (42 / 9))
    with pytest.raises(FitError, match="no measured values"):
        errors([0.0], [1.0])


def test_a_file_of_step_times_says_all_and_is_read_back(tmp_path: Path) -> None:
    points = tuple(made_with(StepTime(5e-3, 1e-4, 1e-7)))
    found = fit(points)
    measured = Measured("mine", "a machine", "a model", "cpu", found.step, 8192, found.errors, points)
    path = tmp_path / "steptime.json"
    path.write_text(json.dumps(measured.as_json()))
    read = read_hardware(path)
    assert (read.name, read.step, read.kv_tokens) == ("mine", found.step, 8192)
    said = "\n".join(lines(measured))
    assert "a          5.0000 ms" in said and "c          0.1000 us/token" in said and "R2 1.0000" in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("[]", "no file of step times"),
        ('{"mtpo": "steptime", "version": 2}', "version is 2, this reads 1"),
        ('{"mtpo": "steptime", "version": 1}', "name is None"),
        ('{"mtpo": "steptime", "version": 1, "name": "x", "step": 3}', "step is 3, expected an object"),
        ('{"mtpo": "steptime", "version": 1, "name": "x", "step": {"a": 1}}', "step.b is None"),
        ('{"mtpo": "steptime", "version": 1, "name": "x", "step": {"a": 1, "b": -1}}', "step.b is -1"),
        ('{"mtpo": "steptime", "version": 1, "name": "x", "step": {"a": 1, "b": NaN}}', "step.b is nan"),
        ('{"mtpo": "steptime", "version": 1, "name": "x", "step": {"a": 0, "b": 0}}', "a step takes time"),
        ('{"mtpo": "steptime", "version": 1, "name": "x", "step": {"a": 1, "b": 1, "z": 1}}', "step.z is not known"),
        ('{"mtpo": "steptime", "version": 1, "name": "x", "step": {"a": 1, "b": 1}, "kv_tokens": 3}', "kv_tokens is 3"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(SteptimeError) as caught:
        read_hardware(path)
    assert str(caught.value).startswith(f"{path}: ") and why in str(caught.value)


def in_batches(model: StepTime, noise: float = 0.0) -> list[Point]:
    """The same kinds of steps, and how many requests are in each."""
    found = []
    draw = random.Random(1)
    for n, context, pairs in [*steps(), *((n, n * 900, 0.0) for n in (3, 8, 24, 48))]:
        requests = 1 if pairs else n
        seconds = model.seconds(n, context, pairs, requests) * (1 + noise * draw.uniform(-1, 1))
        found.append(Point(n, context, pairs, seconds, requests=requests))
    return found


def test_a_term_per_request_is_kept_where_it_predicts_what_was_held_out() -> None:
    model = StepTime(5e-3, 1e-4, 1e-7, e=2e-3)
    found = choose(in_batches(model, 0.02))
    assert found.kept and found.with_it is not None and found.with_it < 0.03 < 0.1 < found.without
    assert found.fit.step.e == pytest.approx(model.e, rel=0.1) and found.fit.errors.mape < 0.02
    plain = choose(in_batches(StepTime(5e-3, 1e-4, 1e-7), 0.05))
    assert not plain.kept and plain.fit.step.e == 0.0 and plain.with_it is not None
    assert plain.fit == fit(in_batches(StepTime(5e-3, 1e-4, 1e-7), 0.05))


def test_without_batches_of_several_the_term_can_not_be_told() -> None:
    assert choose(made_with(StepTime(5e-3, 1e-4, 1e-7))).with_it is None
    with pytest.raises(FitError, match="do not tell a, b and c and e apart"):
        fit(made_with(StepTime(5e-3, 1e-4, 1e-7)), requests=True)
