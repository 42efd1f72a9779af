"""The simulator's benchmark: how a peer is found, asked, and left out. What it measures is not asserted here."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mtpo.schedulers.traces.load import load_workload
from mtpo_core.cli.bench import _load

PEER = """#!{python}
import json, sys
if sys.argv[1] == "-c":
    sys.exit(0)
given = json.load(sys.stdin)
assert given["step"]["a"] > 0 and given["chunk"] == 512 and given["most"] == 256
assert sys.argv[1].endswith("vidur_simulation.py")
arrivals = [arrival for arrival, prompt, output in given["requests"]]
json.dump({{"steps": 50, "seconds": 0.5 if given["metrics"] else 0.1, "first": [a + 1 for a in arrivals]}}, sys.stdout)
"""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    _load("measure")
    made = _load("simulator")
    monkeypatch.setattr(made, "BESIDE", 8)
    return made


def test_without_the_peer_its_figures_are_null_and_say_why(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in (None, "/nosuch/python", sys.executable):
        if given is None:
            monkeypatch.delenv("VIDUR_PYTHON", raising=False)
        else:
            monkeypatch.setenv("VIDUR_PYTHON", given)
        python, why = bench._python()
        assert python is None and "VIDUR_PYTHON" in why
        figures = bench._beside(load_workload("poisson:rate=2,n=8,output=4"), lambda text: None)
        assert len(figures) == 4 and all(one.peer is None and one.met is None and one.why == why for one in figures)


def test_a_peer_is_given_the_same_and_set_beside(bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text(PEER.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VIDUR_PYTHON", str(path))
    workload = load_workload("poisson:rate=2,n=8,output=4")
    *rates, steps, ttft = bench._beside(workload, lambda text: None)
    assert [one.peer for one in rates] == [100.0, 500.0, 100.0, 500.0]
    assert [one.goal for one in rates] == [10.0, None, 10.0, None]
    assert (steps.peer, ttft.peer) == (50, pytest.approx(1.0)) and 0 < ttft.ours < 1
    assert json.dumps([one.as_json() for one in rates])


def test_a_peer_that_fails_is_left_out_with_what_it_said(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\nimport sys\nif sys.argv[1] != '-c': sys.exit('no such scheduler')\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VIDUR_PYTHON", str(path))
    figures = bench._beside(load_workload("poisson:rate=2,n=8,output=4"), lambda text: None)
    assert {(one.peer, one.met, one.why) for one in figures} == {(None, None, "vidur failed: no such scheduler")}
