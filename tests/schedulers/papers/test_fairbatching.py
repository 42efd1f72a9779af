"""FairBatching's study: what it compares, on workloads that take no time."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from mtpo.schedulers.papers import fairbatching
from mtpo.schedulers.papers.fairbatching import gain_row, study, tail_row
from mtpo.schedulers.papers.fairbatching_bed import BOUNDED, OURS, FewestRequests, Found, RoundRobin, measure
from mtpo.schedulers.papers.table import Options
from mtpo.schedulers.simulator.capacity import Capacity
from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.types import PlacementObservation, RequestView, WorkerView

TRACE = "poisson:rate=3,n=60,prompt=300..2000,output=20..60"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    size = attrs.evolve(fairbatching.FULL, requests=40, cluster=48, precision=0.5, rates=(0.8, 1.0), candidates=(384,))
    monkeypatch.setattr(fairbatching, "FULL", size)
    monkeypatch.setattr(fairbatching, "cluster_setups", lambda quick: [(OURS, "PAB"), ("Sarathi 512", "round robin")])


def test_every_baseline_is_compared_in_every_measure(tiny: None) -> None:
    told: list[str] = []
    found = study(Options(trace=TRACE), told.append)
    baselines = {"Sarathi 256", "Sarathi 512", "Sarathi 2048", "Sarathi, best budget", "vLLM V1, 2048", "prefill first"}
    single = ("P99 TTFT, times lower", "capacity at 1 %", "capacity at 5 %", "capacity at 10 %")
    own = {row.measure for row in found.rows if row.measure.endswith("bounded gap")}
    assert {row.measure for row in found.rows} == {*single, *own, "cluster of 8, at 1 %"} and len(own) == 5
    for kind in single:
        assert {row.setting for row in found.rows if row.measure == kind} == baselines
    assert all(row.holds == (row.ours >= row.paper) for row in found.rows if row.ours is not None and row.paper)
    figures, tails, capacities = found.grids
    assert {row[0] for row in figures.rows} == {row[0] for row in tails.rows} == {OURS, BOUNDED, *baselines}
    assert len(capacities.rows) == len(baselines) + 2 + 2
    best = dict(found.settings)["best budget"].partition(",")[0]
    at_one = {row[0]: float(row[2].removeprefix(">= ")) for row in capacities.rows}
    assert at_one["Sarathi, best budget"] >= max(at_one[f"Sarathi {budget}"] for budget in (256, 512, 2048))
    assert best in {f"Sarathi {budget}" for budget in (256, 384, 512, 2048)}
    assert told and all(len(plot.series) >= 1 for plot in found.plots)
    assert sum("holds against" in note for note in found.notes) == 5


def test_quick_says_that_it_is(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fairbatching, "QUICK", attrs.evolve(fairbatching.FULL, shares=(0.01,)))
    found = study(Options(quick=True, trace=TRACE), lambda text: None)
    assert "--quick" in found.notes[-1] and "40 requests" in dict(found.settings)["trace"]


def test_what_the_reader_of_a_trace_says_is_said(tiny: None, tmp_path: Path) -> None:
    rows = [f"2024-05-10 09:00:{second:02},400,20" for second in (1, 0, *range(2, 50))]
    (tmp_path / "mine.csv").write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows, ""]))
    found = study(Options(trace=str(tmp_path / "mine.csv")), lambda text: None)
    assert found.notes[0] == "mine.csv: 1 row is earlier than the one before, first in line 3; put in order of time"


def test_ratios_past_saturation_do_not_count() -> None:
    fake = measure(load_workload(TRACE).first(20), "sarathi:512", "", (), (1.0, 2.0), 1.0, 0.5)

    def at(violations: dict[float, float], tail: dict[float, float]) -> Found:
        known = {
            rate: attrs.evolve(s, violations=violations[rate], ttft=attrs.evolve(s.ttft, p99=tail[rate]))
            for rate, s in fake.known.items()
        }
        return Found({}, known)

    ours, theirs = at({1.0: 0.0, 2.0: 0.5}, {1.0: 0.5, 2.0: 1.0}), at({1.0: 0.1, 2.0: 0.9}, {1.0: 1.0, 2.0: 50.0})
    row = tail_row("x", ours, theirs, (1.0, 2.0))
    assert row.ours == 2.0 and not row.holds and "at 1.00/s" in row.note


def test_a_baseline_that_never_keeps_the_objectives_gives_no_figure() -> None:
    none, some = Capacity(0.01, 0.0, False, ()), Capacity(0.01, 3.0, False, ())
    assert gain_row("m", "x", 20.0, some, none).holds is None
    row = gain_row("m", "x", 20.0, some, attrs.evolve(some, rate=2.5))
    assert row.ours == pytest.approx(20.0) and row.holds


def test_how_the_baselines_of_the_cluster_place() -> None:
    request = RequestView(0, 0.0, 10, 0, 0, 0)
    workers = (
        WorkerView(0, 100, 100, running=(request,) * 5),
        WorkerView(1, 100, 100, waiting=(request,)),
        WorkerView(2, 100, 100, running=(request,) * 4),
    )
    seen = PlacementObservation(0.0, "7", 1, 10, workers)
    assert RoundRobin().decide(seen).prefill == 1
    assert RoundRobin().decide(attrs.evolve(seen, conversation="abc")).prefill in (0, 1, 2)
    assert FewestRequests().decide(seen).prefill == 1, "one that waits counts as four, and the first of equals is taken"
