"""The verb ``simulate``: rows, figures, and mistakes that end with one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
        (("--placement", "collocated", "--workers", "1+1"), "no worker both prefills and decodes"),
        (("--hardware", "abacus"), "--hardware 'abacus' is not known; known: a100-llama3-8b"),
        (("--workers", "1+"), "--workers is '1+'"),
        (("--capacity", "1,x"), "--capacity is '1,x'"),
        (("--tpot", "0"), "--tpot must be above 0"),
        (("--rate", "0"), "a rate of conversations must be positive"),
        (("--kv", "320"), "the KV cache of a100-llama3-8b has 20"),
        (("--trace", "poisson:n=0"), "n is 0, expected at least 1"),
        (("--trace", "nosuch.csv", "--format", "azure"), "nosuch.csv"),
        (("--trace", "nosuch.csv"), "name the format of this file"),
    ],
)
def test_a_mistake_is_one_line(mtpo: Mtpo, options: tuple[str, ...], why: str) -> None:
    said = mtpo("simulate", *SMALL, *options)
    assert (said.code, said.out) == (2, "")
    assert why in said.err and said.err.startswith("mtpo: ") and said.err.count("\n") == 1


def test_a_malformed_row_is_named(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,374,44\n2023-11-16 18:15:47,-1,2\n")
    said = mtpo("simulate", "--trace", path, "--format", "azure")
    assert (said.code, said.err) == (2, f"mtpo: {path}:3: ContextTokens is -1, expected at least 1\n")
