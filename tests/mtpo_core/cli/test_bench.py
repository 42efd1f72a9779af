"""The benchmark verb: its form, its goals, unknown names. What it measures is not asserted here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mtpo_core.cli.bench import FOLDER


def measure() -> ModuleType:
    found = importlib.util.spec_from_file_location("measure", FOLDER / "measure.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_an_unknown_benchmark_is_named_with_the_known_ones() -> None:
    command = [str(Path(sys.executable).parent / "mtpo"), "bench", "nope"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mtpo: unknown benchmark 'nope'; known: engine, explore")


@pytest.mark.parametrize(
    ("ours", "peer", "goal", "more", "why", "met"),
    [
        (2.0, 1.0, 1.5, True, "", True),
        (1.0, 1.0, 1.5, True, "", False),
        (20.0, None, 32, False, "", True),
        (40.0, None, 32, False, "", False),
        (2.0, None, 1.5, True, "no peer here", None),
        (2.0, 1.0, None, True, "", None),
    ],
)
def test_a_goal_is_judged_by_the_ratio_where_there_is_a_peer(
    ours: float, peer: float | None, goal: float | None, more: bool, why: str, met: bool | None
) -> None:
    figure = measure().Figure("m", ours, peer, goal, more, why)
    assert figure.met is met
    data = figure.as_json()
    assert list(data)[:6] == ["measure", "ours", "peer", "ratio", "goal", "met"]
    assert data.get("why", "") == why
