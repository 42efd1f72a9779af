"""ConServe's testbed: its lengths, what the two clocks tell, and a study from figures."""

from __future__ import annotations

import json

import attrs
import pytest

from mtpo.schedulers.papers import conserve, conserve_bed
from mtpo.schedulers.papers.conserve_bed import Cell, Figures, alone, measure
from mtpo.schedulers.papers.table import Options, StudyError, as_json, lines
from mtpo.schedulers.simulator.energy import Load
from mtpo.schedulers.simulator.steptime import A40_QWEN_06B, A40_QWEN_06B_200W


def test_lengths_are_those_of_the_artifact() -> None:
    workload = conserve_bed.conversations(255)
    turns = [[one.turns[at] for one in workload.conversations] for at in range(5)]
    first = sum(turn.prompt for turn in turns[0]) / 255
    peak = sum(turn.prompt + turn.output for turn in turns[4]) / 255
    assert abs(first / 15_290 - 1) < 0.02 and abs(peak / 16_431 - 1) < 0.02
    medians = [sorted(turn.output for turn in of)[127] for of in turns]
    assert medians == [106, 40, 49, 54, 131]
    assert conserve_bed.conversations(40, seed=1) != conserve_bed.conversations(40)


@pytest.mark.parametrize(
    ("step", "cold"),
    [
        (A40_QWEN_06B.step, {8: 0.29, 12: 0.46, 16: 0.70, 20: 0.98, 24: 1.31, 32: 2.10, 64: 7.1}),
        (A40_QWEN_06B_200W.step, {16: 0.83, 32: 2.8, 64: 10.2}),
    ],
)
def test_cold_prompts_take_as_long_as_the_artifact_measured(step, cold) -> None:  # type: ignore[no-untyped-def]
    for thousands, seconds in cold.items():
        assert abs(step.prefill_seconds(1024 * thousands, 8192) / seconds - 1) < 0.12


def test_the_published_clock_leaves_the_waits_out() -> None:
    workload = conserve_bed.workload_of(None, None, 24)
    solo = alone(workload)
    assert len(solo) == 24 and all(0 < one.ttfet < one.whole and one.gap > 0.01439 for one in solo.values())
    cell = measure(None, None, 24, 4.0, False, 0, solo, ("Collocated", "AMPD", "ConServe"))
    ours, ampd, direct = (cell.figures[name] for name in ("ConServe", "AMPD", "Collocated"))
    assert (ours.ended, ampd.ended, direct.ended) == (24, 24, 24)
    # Four a second are more than one prefiller can do: they queue, and the published clock does not see it.
    assert 1 < cell.served < 2 and ours.wait > 5 * 0.7
    assert 1 <= ours.ttfet < ours.ttfet_all and ours.ttfet_late <= ours.ttfet_all_late
    assert (ours.transfers, ours.most_transfers) == (24, 1)
    # What is misrouted waits in that queue, in sight of both clocks.
    assert ampd.most_transfers > 1 and ampd.ttfet > ours.ttfet
    assert direct.transfers == 0 and len(direct.loads) == len(ours.loads) == 4
    assert conserve.per_joule(ours, True, 250.0) > conserve.per_joule(ours, False, 250.0)


def _figures(factor: float) -> Figures:
    made = {
        field.name: 2.0 * factor if field.name.startswith(("ttfet", "gap", "whole", "wait")) else 1
        for field in attrs.fields(Figures)
    }
    return Figures(**made | {"tokens": 10**6, "end": 100.0, "loads": (Load(60.0 * factor, 20.0),) * 4})  # type: ignore[arg-type]


def test_a_study_from_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, bool, int]] = []

    def fake(trace, format, n, offered, capped, seed, solo, systems) -> Cell:  # type: ignore[no-untyped-def]
        asked.append((offered, capped, seed))
        return Cell(offered, capped, seed, 1.5, {name: _figures(2.0 if name == "AMPD" else 1.0) for name in systems})

    monkeypatch.setattr(conserve, "measure", fake)
    monkeypatch.setattr(conserve, "alone", lambda workload: {})
    study = conserve.study(Options(), lambda text: None)
    assert (2.0, True, 4) in asked and (0.5, False, 1) in asked and (1.634, False, 0) not in asked
    rows = {(row.measure, row.setting): row for row in study.rows}
    assert rows["p95 TTFET less by", "against AMPD, 1.634/s, as published"].ours == pytest.approx(50.0)
    assert rows["transfers of a conversation", "ConServe, every run"].holds
    assert not rows["violations, TTFET", "ConServe, 1.634/s"].holds
    assert "ConServe" in "\n".join(lines(study)) and len(study.plots) == 3
    json.dumps(as_json(study))


def test_a_trace_of_short_conversations_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    heads = "conv_id,iter_id,appended_input,total_input,out_token_size,carried_over"
    (tmp_path / "t.csv").write_text(f"{heads}\n0,0,10,10,5,0\n")
    with pytest.raises(StudyError, match="only 0 conversations of 5 turns"):
        conserve.study(Options(trace=str(tmp_path / "t.csv")), lambda text: None)
