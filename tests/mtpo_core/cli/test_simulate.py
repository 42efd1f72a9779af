"""The verb ``simulate``: rows, figures, and mistakes that end with one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from mtpo.schedulers.simulator.steptime import PRESETS

Mtpo = Callable[..., Any]

SMALL = ("--trace", "poisson:rate=3,n=25,prompt=200..900,output=20")


def test_one_row_for_each_combination(mtpo: Mtpo) -> None:
    said = mtpo("simulate", *SMALL, "--step", "sarathi:512,fairbatching", "--admission", "none,concur:alpha=2,beta=0.5")
    assert (said.code, said.err) == (0, "")
    title, setting, heads, *rows = said.out.splitlines()
    assert title.startswith("poisson:rate=3,n=25,prompt=200..900,output=20: 25 turns of 25 conversations, ")
    assert setting == "1 x a100-llama3-8b; objectives: TTFT 1 s, TPOT 50 ms"
    assert heads.split()[:5] == ["step", "admission", "placement", "viol", "%"]
    assert [tuple(row.split()[:3]) for row in rows] == [
        ("sarathi:512", "none", "one_worker"),
        ("sarathi:512", "concur:alpha=2,beta=0.5", "one_worker"),
        ("fairbatching", "none", "one_worker"),
        ("fairbatching", "concur:alpha=2,beta=0.5", "one_worker"),
    ]
    assert len({len(line) for line in (heads, *rows)}) == 1


def test_the_same_as_json(mtpo: Mtpo) -> None:
    said = mtpo("simulate", *SMALL, "--capacity", "10", "--json")
    assert (said.code, said.err) == (0, "")
    assert said.json["workload"]["requests"] == 25
    (found,) = said.json["results"]
    summary = found["summary"]
    assert (found["step"], summary["ended"], summary["violations"]) == ("sarathi:512", 25, 0.0)
    assert summary["ttft"]["p50"] <= summary["ttft"]["p99"] <= summary["ttft"]["max"]
    assert sum(window["tokens"] for window in found["windows"]) > 25 * 200
    (capacity,) = found["capacity"]
    assert capacity["rate"] == max(rate for rate, share in capacity["tried"] if share <= 0.1) > 0.25


def test_presets_are_told_and_say_where_they_are_from(mtpo: Mtpo) -> None:
    said = " ".join(mtpo("simulate", "--help").out.split())
    for name, hardware in PRESETS.items():
        assert name in said
        assert any(word in hardware.source for word in ("arXiv", "not measured"))


def test_side_by_side_is_the_same_as_one_after_the_other(mtpo: Mtpo) -> None:
    options = ("simulate", *SMALL, "--step", "sarathi:64,vllm_v1", "--json")
    alone, together = mtpo(*options, "--jobs", "1"), mtpo(*options, "--jobs", "2")
    assert together.json == alone.json and len(alone.json["results"]) == 2


def test_policies_that_fail_side_by_side_end_with_one_line(
    mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "import os\nclass Dies:\n    def decide(self, seen):\n        os._exit(7)\n"
    module += "class Fails:\n    def decide(self, seen):\n        raise KeyError('x')\n"
    (tmp_path / "users_policies.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    for name, why in (("Dies", "a process that simulated was ended"), ("Fails", "policy Fails: KeyError: 'x'")):
        said = mtpo("simulate", *SMALL, "--step", f"users_policies:{name},sarathi:64", "--jobs", 2)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1) and why in said.err


def test_conversations_without_a_common_clock_begin_at_once_and_that_is_said(mtpo: Mtpo, tmp_path: Path) -> None:
    heads = "conv_id,iter_id,appended_input,total_input,out_token_size,carried_over"
    (tmp_path / "agents.csv").write_text(f"{heads}\n4,0,100,100,10,0\n6,0,50,50,5,0\n")
    trace = ("--trace", tmp_path / "agents.csv", "--format", "swe-agent")
    note = "agents.csv: conversations have no common clock, each begins at 0; --rate draws their arrivals"
    title, said, *_ = mtpo("simulate", *trace).out.splitlines()
    assert (title.split(", ")[-1], said) == ("all at once", note)
    assert mtpo("simulate", *trace, "--json").json["workload"]["notes"] == [note]
    for others in (("--rate", "1"), ("--first", "1")):
        assert mtpo("simulate", *trace, *others, "--json").json["workload"]["notes"] == []


def test_step_times_of_a_machine_of_ones_own(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    step = {"a": 0.5, "b": 1e-4, "floor": 0.6}
    known = {"mtpo": "steptime", "version": 1, "name": "mine", "machine": "an abacus", "step": step}
    path.write_text(json.dumps(known))
    said = mtpo("simulate", "--trace", "poisson:rate=0.01,n=5,prompt=100,output=3", "--steptime", path, "--json")
    assert (said.code, said.json["hardware"]["source"]) == (0, "measured on an abacus")
    summary = said.json["results"][0]["summary"]
    assert summary["tpot"]["p50"] == summary["ttft"]["p50"] == pytest.approx(0.6)
    # Decodes are small batches here, the prompt is none.
    path.write_text(json.dumps(known | {"step": step | {"few": {"most": 4, "a": 0.2, "b": 0.0}}}))
    said = mtpo("simulate", "--trace", "poisson:rate=0.01,n=5,prompt=100,output=3", "--steptime", path, "--json")
    assert said.json["hardware"]["step"]["few"]["most"] == 4
    summary = said.json["results"][0]["summary"]
    assert (summary["tpot"]["p50"], summary["ttft"]["p50"]) == (pytest.approx(0.2), pytest.approx(0.6))
    path.write_text(json.dumps(known | {"step": {"a": 1}}))
    said = mtpo("simulate", *SMALL, "--steptime", path)
    assert (said.code, said.err) == (2, f"mtpo: {path}: step.b is None, expected seconds, from 0 to 1e+09\n")


@pytest.mark.parametrize("suffix", ["html", "svg"])
def test_plots_show_latencies_cache_and_steps_with_their_units(mtpo: Mtpo, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"out.{suffix}"
    options = ("--trace", "agents:n=4,turns=3,first=64,append=32,output=8,system=64", "--plot", path)
    said = mtpo("simulate", *options, "--step", "sarathi:64,vllm_v1", "--jobs", "1")
    assert (said.code, said.out.splitlines()[-1]) == (0, f"plots: {path}")
    text = path.read_text()
    if suffix == "svg":
        ET.fromstring(text.encode())
    for label in (
        "TTFT (s), logarithmic",
        "TPOT (ms), logarithmic",
        "turns, cumulative (%)",
        "blocks held (%)",
        "prompt tokens found (%)",
        "step (ms), logarithmic",
        "time (s)",
        "sarathi:64",
        "vllm_v1",
    ):
        assert label in text, label
    assert text.count("</svg>") == (9 if suffix == "html" else 10) and 'href="http' not in text


def test_a_trace_from_the_folder_of_traces(mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["conv_id,iter_id,appended_input,total_input,out_token_size,carried_over"]
    lines += [
        f"{at},{turn},{[400, 10][turn]},{[400, 420][turn]},10,{[0, 410][turn]}" for at in (0, 1) for turn in (0, 1)
    ]
    (tmp_path / "swe.csv").write_text("\n".join(lines))
    monkeypatch.setenv("MTPO_TRACES", str(tmp_path))
    options = ("--hardware", "a40-qwen3-0.6b", "--workers", "1+2", "--placement", "conserve,ampd:0.5,3")
    said = mtpo("simulate", "--trace", "swe.csv", "--format", "swe-agent", *options, "--json")
    assert (said.code, said.err) == (0, "")
    conserve, ampd = said.json["results"]
    assert (conserve["summary"]["transfers"], conserve["summary"]["most_transfers"]) == (2, 1)
    assert ampd["placement"] == "ampd:0.5,3"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--step", "nosuch"), "step policy 'nosuch' is not known; known: "),
        (("--step", ","), "--step names no policy"),
        (("--admission", "agent_cap"), "policy 'agent_cap': it needs cap"),
        (
            ("--placement", "collocated", "--workers", "1+3"),
            "--placement collocated computes whole turns on one worker, and with --workers 1+3 no worker both prefills "
            "and decodes: give --workers 4, or a --placement for both kinds (full_disaggregation, ampd, conserve, ",
        ),
        (("--workers", "2+3"), "--placement one_worker computes whole turns on one worker"),
        (("--hardware", "abacus"), "--hardware 'abacus' is not known; known: a100-llama3-8b"),
        (("--workers", "1+"), "--workers is '1+'"),
        (("--capacity", "1,x"), "--capacity is '1,x'"),
        (("--capacity", "1_0"), "--capacity is '1_0'"),
        (("--workers", "1_0"), "--workers is '1_0', expected how many (4) or PREFILLERS+DECODERS (1+3)"),
        (("--workers", "1+\u0663"), "--workers is '1+\u0663'"),
        (("--lose", "0_0@1"), "--lose is '0_0@1'"),
        (("--lose", "0@1_0"), "--lose is '0@1_0'"),
        (("--admission", "agent_cap:1_0"), "cap must be a whole number, got '1_0'"),
        (("--tpot", "0"), "--tpot must be a number above 0"),
        (("--rate", "0"), "a rate of conversations must be a number above 0"),
        (("--rate", "inf"), "a rate of conversations must be a number above 0, got inf"),
        (("--window", "inf"), "--window must be a number above 0, in seconds, got inf"),
        (("--tpot", "inf"), "--tpot must be a number above 0, in seconds, got inf"),
        (("--rate", "1e-320"), "at 9.99989e-321 conversations/s: arrivals can't be told as numbers of seconds"),
        (("--rate", "1e-300"), "the steps of these workers are lost in the rounding of the time"),
        (("--trace", "poisson:rate=1e-320,n=5"), "workload 'poisson:rate=1e-320,n=5': arrivals can't be told"),
        (("--trace", "gamma:cv=1e-200"), "its numbers are too large or too small"),
        (("--trace", "bursts:rate=1e-300,fano=1e200"), "its numbers are too large or too small"),
        (("--lose", "0@1"), "(lost: worker 0 at 1 s), which the placement OneWorker can't go on without"),
        (("--admission", "concur:period=1e-30"), "policy Concur decides every 1e-30 s, which is no time at "),
        (("--kv", "320"), "the KV cache of a100-llama3-8b has 20"),
        (("--trace", "poisson:n=0"), "n is 0, expected at least 1"),
        (("--trace", "nosuch.csv", "--format", "azure"), "nosuch.csv"),
        (("--steptime", "nosuch.json"), "nosuch.json: No such file"),
        (("--plot", "x.png"), "--plot x.png: expected a file that ends in .html or .svg"),
        (("--plot", "nosuch/x.svg"), "--plot nosuch/x.svg: its folder does not exist"),
        (("--trace", "nosuch.csv"), "name the format of this file"),
    ],
)
def test_a_mistake_is_one_line(mtpo: Mtpo, options: tuple[str, ...], why: str) -> None:
    said = mtpo("simulate", *SMALL, *options)
    assert (said.code, said.out) == (2, "")
    assert why in said.err and said.err.startswith("mtpo: ") and said.err.count("\n") == 1


def test_without_workers_there_are_no_times_and_what_was_not_served_is_told(mtpo: Mtpo) -> None:
    lost = ("--workers", "2", "--lose", "0@0.01,1@0.01")
    said = mtpo("simulate", *SMALL, "--placement", "failover:1", *lost)
    assert (said.code, said.err) == (0, "")
    *_, row, note = said.out.splitlines()
    assert row.split()[:10] == ["sarathi:512", "none", "failover:1", "100.0", *["-"] * 6]
    assert note == "sarathi:512 none failover:1: 25 of 25 turns were not served, so there are no times"
    summary = mtpo("simulate", *SMALL, "--placement", "failover:1", *lost, "--json").json["results"][0]["summary"]
    assert (summary["ended"], summary["shed"], summary["violations"]) == (0, 25, 1.0)
    assert {summary[name] for name in ("ttft", "wait", "tpot", "gap", "ttfet", "turn", "late_tokens")} == {None}
    some = mtpo("simulate", *SMALL, "--placement", "collocated", "--workers", "2", "--lose", "0@4")
    assert "1 of 25 turns was not served, conversations placed on a lost worker: 1" in some.out.splitlines()[-1]


@pytest.mark.parametrize("admission", ["concur", "footprint"])
def test_long_idle_times_are_passed_at_once(mtpo: Mtpo, admission: str) -> None:
    said = mtpo("simulate", "--trace", "poisson:rate=1e-9,n=4", "--admission", admission, "--json")
    summary = said.json["results"][0]["summary"]
    assert (said.code, summary["ended"], summary["violations"]) == (0, 4, 0.0) and summary["end"] > 1e9


def test_a_malformed_row_is_named(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,374,44\n2023-11-16 18:15:47,-1,2\n")
    said = mtpo("simulate", "--trace", path, "--format", "azure")
    assert (said.code, said.err) == (2, f"mtpo: {path}:3: ContextTokens is -1, expected at least 1\n")


def test_one_is_told_in_the_singular(mtpo: Mtpo) -> None:
    said = mtpo("simulate", "--trace", "poisson:rate=1,n=1,prompt=20,output=2")
    assert said.code == 0 and said.out.startswith("poisson:rate=1,n=1,prompt=20,output=2: 1 turn of 1 conversation, ")
