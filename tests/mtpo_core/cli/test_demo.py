"""The main job: what it prints, and that it fails where something is not as it should be."""

from __future__ import annotations

import pytest

from mtpo_core.cli import demo
from mtpo_core.inference import NoInference


def test_the_demo_without_inference_comes_out_as_it_should(mtpo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = mtpo("demo", "--inference", "none", "--json")
    data = done.json
    assert done.code == 0, done.err
    assert data["holds"] and data["spec"]["not_shown"] == [] and data["spec"]["complete"]
    for case in data["cases"]:
        rows = {row["mode"]: row for row in case["rows"]}
        assert [rows[mode]["right"] for mode in ("serial", "naive", "mtpo")] == [True, False, True]
        assert all(row["repeated"] for row in rows.values())
        assert rows["mtpo"]["undos"] > 0 and rows["mtpo"]["notifications"] > 0
        assert rows["mtpo"]["steps"] < rows["serial"]["steps"]
        assert rows["mtpo"]["steps"] <= demo.ABOUT["steps"] * rows["naive"]["steps"]
        assert case["certificate"]["status"] == "holds"
    assert "times naive's steps" in done.err and "naive's time" not in done.err, "nothing was inferred"
    assert max(map(len, done.err.splitlines())) > 100, "lines are as long as they are, as they are without --json"
    assert (tmp_path / data["page"]).stat().st_size > 50_000


@pytest.mark.parametrize("what", ["steps", "time"])
def test_a_demo_in_which_mtpo_is_slow_says_so_and_fails(what, mtpo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = {"proved": 1, "properties": 1, "obligations": 1, "states": 1, "complete": True, "not_shown": []}
    monkeypatch.setattr(demo, "_check_spec", lambda say: shown)
    monkeypatch.setattr(demo, "_start_engine", lambda inference, say: NoInference)
    monkeypatch.setattr(demo, "ABOUT", {"steps": 100.0, "time": 100.0, what: 0.5})
    done = mtpo("demo")
    assert done.code == 1
    assert done.out.count("NOT AS IT SHOULD BE: MTPO took ") == 2
    assert done.out.count(f"times naive's {what}, more than 0.5") == 2
    rounds = {folder.name for folder in tmp_path.glob("runs/*/round-*")}
    assert rounds == ({"round-1", "round-2"} | ({"round-3", "round-4"} if what == "time" else set()))
