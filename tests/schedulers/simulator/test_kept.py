"""Measured steps in a file: what is kept is what is read, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.schedulers.simulator.fit import Point
from mtpo.schedulers.simulator.kept import Kept, read_points
from mtpo.schedulers.simulator.measured import SteptimeError

KEPT = Kept(
    "m on cpu", "a machine", "m", "cpu", (Point(1, 9, 0.0, 0.1, 3, 0.01, 1), Point(4, 9, 6.0, 0.2)), 3, 0.02, 0.1
)


def test_what_is_kept_is_read(tmp_path: Path) -> None:
    path, more = tmp_path / "a.json", tmp_path / "b.json"
    path.write_text(json.dumps(KEPT.as_json()))
    assert read_points([path]) == KEPT
    other = (Point(2, 9, 0.0, 0.1, 3, 0.01, 1),)
    again = attrs.evolve(KEPT, points=other, rounds=2, noise=0.3, disturbed=0.0)
    more.write_text(json.dumps(again.as_json()))
    both = read_points([path, more])
    assert (both.points, both.rounds, both.noise, both.disturbed) == (KEPT.points + other, 2, 0.3, 0.1)


def with_point(**fields: Any) -> dict[str, Any]:
    return {"points": [KEPT.as_json()["points"][0] | fields]}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mtpo": "log"}, "no file of measured points"),
        ({"version": 2}, "version is 2, this reads 1"),
        ({"machine": None}, "machine is None, expected a text"),
        ({"rounds": True}, "rounds is True, expected a whole number from 0"),
        ({"noise": "x"}, "noise is 'x', expected a number"),
        ({"points": []}, "points is no list of measured points"),
        ({"points": [3]}, "points[0] is 3, expected an object with new, context, pairs"),
        (with_point(new=0), "points[0].new is 0, expected a whole number from 1"),
        (with_point(context=1.5), "points[0].context is 1.5"),
        (with_point(seconds=0), "points[0].seconds is 0; a step takes time"),
        (with_point(seconds=10**400), "points[0].seconds is 1"),
        (with_point(pairs=float("nan")), "points[0].pairs is nan, expected a number"),
        (with_point(tokens=1), "points[0].tokens is not known; known: new, context"),
        ({"points": [{"new": 1, "context": 1, "pairs": 0}]}, "points[0].seconds is None"),
    ],
)
def test_what_is_not_as_it_should_be_is_named(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    path = tmp_path / "points.json"
    path.write_text(json.dumps(KEPT.as_json() | change))
    with pytest.raises(SteptimeError) as caught:
        read_points([path])
    assert str(caught.value).startswith(f"{path}: ") and why in str(caught.value)


def test_what_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "points.json"
    path.write_bytes(b"\xff{")
    with pytest.raises(SteptimeError, match=r"points\.json: not JSON"):
        read_points([path])
