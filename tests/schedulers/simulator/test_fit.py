"""Fits find what the measurements were made with, whatever disturbs a few of them; files of step times."""

from __future__ import annotations

import json
import random
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.simulator.fit import FitError, Point, errors, fit, point
from mtpo.schedulers.simulator.measured import Measured, SteptimeError, lines, read_hardware
from mtpo.schedulers.simulator.steptime import A40_QWEN_06B, Few, StepTime


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


def test_a_part_for_small_batches_is_written_shown_and_read_back(tmp_path: Path) -> None:
    points = tuple(made_with(StepTime(5e-3, 1e-4, 1e-7)))
    step = StepTime(5e-3, 1e-4, 1e-7, few=Few(2e-3, 3e-4, 2e-7, 0.0, 1e-3, 1e-5, most=12))
    measured = Measured("mine", "a machine", "a model", "cpu", step, 8192, fit(points).errors, points)
    path = tmp_path / "steptime.json"
    path.write_text(json.dumps(measured.as_json()))
    assert read_hardware(path).step == step
    said = list(lines(measured))
    assert said[1] == " steps of at most 12 new tokens:" and said[7] == " larger ones:"
    assert "a          2.0000 ms" in said[2] and "a          5.0000 ms" in said[8]


@pytest.mark.parametrize("part", [{"c": 1e-6}, {"e": 1e-3}, {"d": 1e-7, "floor": 1e-3}])
def test_steps_that_take_time_by_other_terms_than_a_and_b_are_read_back(tmp_path: Path, part: dict[str, float]) -> None:
    """As a fit may find them: decodes, say, whose caches cost all that there is."""
    step = StepTime(0.0, 0.0, **part, few=Few(0.0, 0.0, **part, most=4))
    path = tmp_path / "steptime.json"
    measured = Measured("mine", "a machine", "a model", "cpu", step, 8192, errors([1.0], [1.0]))
    path.write_text(json.dumps(measured.as_json()))
    assert read_hardware(path).step == step


BEGIN = '{"mtpo": "steptime", "version": 1, "name": "x", "step": {"a": 1, "b": 1, '


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
        (BEGIN + '"c": 1' + 400 * "0" + "}}", "expected seconds, from 0 to 1e+09"),
        (BEGIN + '"c": 1e308}}', "step.c is 1e+308, expected seconds, from 0 to 1e+09"),
        (BEGIN + '"few": 3}}', "step.few is 3, expected an object with most, a, b"),
        (BEGIN + '"few": {"a": 1, "b": 1}}}', "step.few.most is None, expected a whole number of tokens"),
        (BEGIN + '"few": {"most": true, "a": 1, "b": 1}}}', "step.few.most is True"),
        (BEGIN + '"few": {"most": 0, "a": 1, "b": 1}}}', "step.few.most is 0"),
        (BEGIN + '"few": {"most": 8, "a": 1}}}', "step.few.b is None"),
        (BEGIN + '"few": {"most": 8, "a": 1, "b": Infinity}}}', "step.few.b is inf"),
        (BEGIN + '"few": {"most": 8, "a": 0, "b": 0}}}', "step.few.a, b, c, e and floor are all 0"),
        (BEGIN + f'"few": {{"most": {10**400}, "a": 1, "b": 0}}}}}}', "whole number of tokens, from 1 to 1e+09"),
        (BEGIN + '"few": {"most": 8, "a": 1, "b": 1, "few": null}}}', "step.few.few is not known"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(SteptimeError) as caught:
        read_hardware(path)
    assert str(caught.value).startswith(f"{path}: ") and why in str(caught.value)
