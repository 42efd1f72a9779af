"""CONCUR's settings: hardware, batches, what has to be computed once, phases, and a study from small runs."""

from __future__ import annotations

import json

import attrs
import pytest

from mtpo.schedulers.papers import concur, concur_bed
from mtpo.schedulers.papers.concur_bed import CASES, batch, once, run
from mtpo.schedulers.papers.table import Options, StudyError, as_json, lines
from mtpo.schedulers.traces.workload import Conversation, Piece, Turn, Workload

SMALL = attrs.evolve(
    CASES["DeepSeek-V3"],
    hardware=attrs.evolve(CASES["DeepSeek-V3"].hardware, kv_tokens=16_000),
    agents=12,
    steps=4,
    output=30,
    caps=(2, 4),
    requests=(4,),
)


def test_kv_of_an_agent_at_its_tenth_step_is_what_the_paper_tells() -> None:
    # 1.5 GB of Qwen3-32B, 262,144 bytes a token; 17 GB of DeepSeek-V3, 6.67 GB for 4,096 tokens.
    for name, size, kv in (("Qwen3-32B TP8", 1.5e9, 262_144.0), ("DeepSeek-V3", 17e9, 6.67e9 / 4096)):
        agents = batch(CASES[name]).conversations
        mean = sum(one.turns[9].prompt for one in agents) / len(agents)
        assert abs(mean * kv / size - 1) < 0.05
    assert len(batch(CASES["Qwen3-32B TP8"]).conversations) == 256


def test_what_has_to_be_computed_once() -> None:
    kept = Conversation("a", 0.0, (Turn(10, 5, 0.0, (Piece(1, 15),)), Turn(20, 5, 0.0, (Piece(1, 25),))))
    dropped = Conversation("b", 0.0, (Turn(10, 5, 0.0, (Piece(2, 10),)), Turn(20, 5, 0.0, (Piece(2, 20),))))
    untold = Conversation("c", 0.0, (Turn(10, 5), Turn(20, 5)))
    assert [once(Workload("w", (one,))) for one in (kept, dropped, untold)] == [10 + 5, 10 + 10, 10 + 20]


def test_without_control_prefixes_are_lost_and_a_cap_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concur_bed, "CASES", {"small": attrs.evolve(SMALL, name="small")})
    free, capped = (run("small", policy, None, None, None, 1.0) for policy in ("none", "agent_cap:3"))
    assert free.agents == capped.agents == 12 and free.tokens == capped.tokens
    assert capped.hit_rate > free.hit_rate and capped.again < 0.1 < free.again
    assert free.middle > 0.3 and free.middle_hits is not None and free.middle_hits < capped.hit_rate
    assert 0 < free.usage <= 1 and sum(window.prompt for window in free.windows) > 0
    assert run("small", "none", 2, None, None, 1.0).agents == 2


def test_a_study_of_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {name: attrs.evolve(SMALL, name=name, steps=2, output=8) for name in CASES}
    monkeypatch.setattr(concur_bed, "CASES", cases)
    monkeypatch.setattr(concur, "CASES", cases)
    monkeypatch.setattr(concur, "PAPER_SIZES", {6: 80.4, 12: 35.4})
    study = concur.study(Options(), lambda text: None)
    speedups = [row for row in study.rows if row.measure == "speedup"]
    assert [row.paper for row in speedups] == [pytest.approx(1480 / 362)] * 2 + [pytest.approx(2527 / 846)] * 2 + [
        pytest.approx(3877 / 2043)
    ] * 2
    sizes = [row.setting for row in study.rows if row.setting.endswith("agents")]
    assert sizes == ["DeepSeek-V3, 6 agents", "DeepSeek-V3, 12 agents"]
    assert len(study.grids) == 3 and len(study.plots) == 6
    assert "concur:period=1" in "\n".join(lines(study))
    json.dumps(as_json(study))


def test_a_trace_without_conversations_that_fit_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    heads = "trace_id,t_s,in_tokens,out_tokens,reused_prefix_tokens,think_time_s,api_time_s"
    (tmp_path / "t.csv").write_text(f"{heads}\na,0,90000000,5,0,,1\n")
    with pytest.raises(StudyError, match="0 conversations small enough for the KV cache of qwen3-32b-tp8; 2 needed"):
        concur.study(Options(trace=str(tmp_path / "t.csv")), lambda text: None)
