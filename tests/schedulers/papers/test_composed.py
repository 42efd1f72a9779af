"""The three layers composed: a study from small runs, and what it judges."""

from __future__ import annotations

import json

import attrs
import pytest

from mtpo.schedulers.papers import composed, composed_bed
from mtpo.schedulers.papers.composed import best, ratio, study
from mtpo.schedulers.papers.composed_bed import COMBINATIONS, MIXED, OURS, Draw, Size, measure, read, together
from mtpo.schedulers.papers.table import Options, StudyError, as_json, lines

SMALL = Size(8, 2, 2, (0.5, 2.0))
SARATHI = "Sarathi 512, none, collocated"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: one for name, one in COMBINATIONS.items() if name in (OURS, SARATHI)}
    for module in (composed, composed_bed):
        monkeypatch.setattr(module, "COMBINATIONS", kept)
    monkeypatch.setattr(composed, "QUICK", attrs.evolve(SMALL, rates=(2.0,), draws=2))


def test_a_study_of_few_sessions(small: None) -> None:
    found = study(Options(quick=True), lambda text: None)
    assert len(found.grids) == 1 and len(found.plots) == 2 and "--quick" in found.notes[-1]
    judged, *alone = (row for row in found.rows if row.measure.startswith("useful"))
    assert judged.paper == 1.2 and judged.holds == (judged.ours is not None and judged.ours >= 1.2)
    assert all(row.holds is None and "by itself" in row.setting for row in alone)
    lost = {row.setting: row for row in found.rows if row.measure == "on time, a worker lost"}
    assert len(lost) == 2 and "0 turns given up" in lost[f"{OURS}, 2/s"].note
    assert OURS in "\n".join(lines(found))
    json.dumps(as_json(found))


def test_the_best_rate_is_the_one_with_the_most_useful_tokens_of_those_that_keep_the_objectives() -> None:
    workload = read(Options(), SMALL)
    assert len(workload.conversations) == 8 and max(len(one.turns) for one in workload.conversations) == 2
    draws = [measure(workload, OURS, 2, 1.0, seed) for seed in range(2)]
    assert draws[0] != draws[1] and draws[0] == measure(workload, OURS, 2, 1.0)
    one = together(draws)
    assert one.range[0] <= one.kept <= one.range[1] and sum(draw.asked for draw in draws) == 32
    made = {
        (OURS, rate): attrs.evolve(one, kept=kept, useful=10 * rate) for rate, kept in ((1, 1.0), (2, 0.9), (3, 0.5))
    }
    assert best(made, OURS, (1, 2, 3)) == (2, made[OURS, 2])
    assert best(made, OURS, (3,)) is None
    assert OURS not in MIXED and len(MIXED) == 5


def test_a_rate_that_is_kept_in_one_draw_only_does_not_decide(small: None) -> None:
    def draw(on_time: int, useful: float) -> Draw:
        return Draw(100, on_time, useful, (1.0,), (0.1,))

    drawn = {
        (OURS, 1.0): [draw(95, 10.0), draw(95, 10.0)],
        (OURS, 2.0): [draw(92, 20.0), draw(90, 20.0)],
        (SARATHI, 1.0): [draw(92, 10.0), draw(92, 10.0)],
        (SARATHI, 2.0): [draw(91, 24.0), draw(70, 16.0)],
    }
    alone = ratio({key: together(some[:1]) for key, some in drawn.items()}, (1.0, 2.0))
    both = ratio({key: together(some) for key, some in drawn.items()}, (1.0, 2.0))
    assert alone is not None and alone[0] == pytest.approx(20 / 24) and alone[1][:2] == (SARATHI, 2.0)
    assert both is not None and both[0] == pytest.approx(2.0) and both[1][:2] == (SARATHI, 1.0)
    assert ratio({key: together(some) for key, some in drawn.items()}, ()) is None


def test_a_trace_with_too_few_sessions_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    heads = "trace_id,t_s,in_tokens,out_tokens,reused_prefix_tokens,think_time_s,api_time_s"
    (tmp_path / "t.csv").write_text(f"{heads}\na,0,900,5,0,,1\n")
    with pytest.raises(StudyError, match="1 session of at most 400,000 tokens; 8 needed"):
        study(Options(trace=str(tmp_path / "t.csv")), lambda text: None)
