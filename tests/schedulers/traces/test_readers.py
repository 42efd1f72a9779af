"""The trace formats: what is read, and that nothing malformed passes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Piece, TraceError, Turn, Workload


def read(tmp_path: Path, format: str, *lines: str) -> Workload:
    path = tmp_path / "trace"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return load_workload(str(path), format)


AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"
SWE = "conv_id,iter_id,appended_input,total_input,out_token_size,carried_over"
SESSIONS = "trace_id,req_idx,t_s,type,in_tokens,out_tokens,reused_prefix_tokens,think_time_s,api_time_s"
ROW = '{"timestamp": %s, "input_length": 9, "output_length": 5, "hash_ids": [%d]}'


def test_azure_2023_and_2024(tmp_path: Path) -> None:
    found = read(tmp_path, "azure", AZURE, "2023-11-16 18:15:50.9951690,396,109", "2023-11-16 18:15:46.5000000,374,44")
    assert [one.turns for one in found.conversations] == [(Turn(374, 44),), (Turn(396, 109),)]
    assert [one.arrival for one in found.conversations] == pytest.approx([0.0, 4.495169])
    assert found.timed and found.rate == pytest.approx(1 / 4.495169)
    found = read(
        tmp_path, "azure", AZURE, "2024-05-10 00:00:00.009930+00:00,10,2", "2024-05-10 00:00:01.009930+00:00,11,3"
    )
    assert [one.arrival for one in found.conversations] == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(
    ("format", "rows"),
    [
        ("azure", [AZURE, *(f"2023-11-16 18:15:{second},9,5" for second in (46, 44, 45, 43))]),
        ("burstgpt", [BURST, *(f"{second},ChatGPT,9,5,14,API log" for second in (46, 44, 45, 43))]),
        ("mooncake", ["", *(ROW % (1000 * second, 1) for second in (46, 44, 45, 43))]),
    ],
)
def test_rows_out_of_order_are_put_in_order_and_that_is_said(tmp_path: Path, format: str, rows: list[str]) -> None:
    found = read(tmp_path, format, *rows)
    assert [one.arrival for one in found.conversations] == pytest.approx([0.0, 1.0, 2.0, 3.0])
    assert [one.turns[0].line for one in found.conversations] == [5, 3, 4, 2]
    assert found.notes == ("trace: 2 rows are earlier than the one before, first in line 3; put in order of time",)
    assert found.first(2).source == str(tmp_path / "trace")


def test_burstgpt_says_what_it_leaves_out(tmp_path: Path) -> None:
    rows = ["5,ChatGPT,472,18,490,Conversation log", "6,GPT-4,0,0,0,API log", "45,ChatGPT,1087,230,1317,API log"]
    found = read(tmp_path, "burstgpt", BURST, *rows)
    assert [(one.arrival, one.turns[0].prompt) for one in found.conversations] == [(0.0, 472), (40.0, 1087)]
    assert found.notes == ("trace: 1 failed requests without response left out, first in line 3",)


def test_mooncake_and_bailian_carry_prefix_hashes(tmp_path: Path) -> None:
    row = {"timestamp": 3000, "input_length": 600, "output_length": 5, "hash_ids": [7, 9]}
    found = read(tmp_path, "mooncake", json.dumps(row | {"timestamp": 1000}), "", json.dumps(row))
    assert [one.arrival for one in found.conversations] == pytest.approx([0.0, 2.0])
    assert found.conversations[1].turns == (Turn(600, 5, 0.0, (Piece(7, 512), Piece(9, 88))),)
    chat = {"chat_id": 1, "parent_chat_id": -1, "timestamp": 61.5, "input_length": 33, "output_length": 4, "turn": 1}
    found = read(tmp_path, "bailian", json.dumps(chat | {"hash_ids": [3, 4, 5]}))
    assert found.conversations[0].turns == (Turn(33, 4, 0.0, (Piece(3, 16), Piece(4, 16), Piece(5, 1))),)


def test_a_conversation_of_swe_agent_only_appends(tmp_path: Path) -> None:
    found = read(tmp_path, "swe-agent", SWE, "4,0,100,100,10,0", "4,1,7,117,20,110", "6,0,50,50,1,0")
    first, second = found.conversations
    assert first.turns == (Turn(100, 10, 0.0, (Piece(0, 110),)), Turn(117, 20, 0.0, (Piece(0, 137),)))
    assert (first.name, first.peak, second.turns[0].content) == ("4", 137, (Piece(1, 51),))
    assert not found.timed and found.requests == 3


def test_a_session_reuses_a_prefix_of_what_was_before(tmp_path: Path) -> None:
    rows = ["a,0,0.0,n,1000,10,0,0.0,2.0", "a,1,14.0,n,1500,20,960,12.0,3.0", "a,2,30.0,s,800,0,64,1.0,"]
    found = read(tmp_path, "sessions", SESSIONS, *rows, "a,3,40.0,n,1600,5,1200,,4.0")
    (one,) = found.conversations
    assert one.turns == (
        Turn(1000, 10, 0.0, (Piece(0, 1010),)),
        Turn(1500, 20, 12.0, (Piece(0, 960), Piece(1, 560))),
        Turn(1600, 5, 10.0, (Piece(0, 960), Piece(1, 240), Piece(2, 405))),
    )
    assert found.notes == ("trace: 1 requests without output left out, first in line 4",)


@pytest.mark.parametrize(
    ("format", "lines", "why"),
    [
        ("azure", [AZURE, "2023-11-16 18:15:46,374,44", "2023-11-16 18:15:47,x,44"], ":3: ContextTokens is 'x'"),
        ("azure", [AZURE, "2023-11-16 18:15:46,374,0"], ":2: GeneratedTokens is 0, expected at least 1"),
        ("azure", [AZURE, "2023-11-16 18:15:46,374"], ":2: expected 3 cells"),
        ("azure", [AZURE, "2023-11-16 18:15:46,374,1,1"], ":2: expected 3 cells"),
        ("azure", [AZURE, "yesterday,374,1"], ":2: TIMESTAMP is 'yesterday'"),
        ("azure", [AZURE, f"2023-11-16 18:15:46,1{'0' * 400},1"], ":2: ContextTokens is 1000"),
        (
            "azure",
            [AZURE, "2023-11-16 18:15:46,1,9007199254740993"],
            ":2: GeneratedTokens is 9007199254740993, expected",
        ),
        ("azure", ["TIME,ContextTokens,GeneratedTokens"], ":1: no column TIMESTAMP"),
        ("azure", [f"{AZURE},ContextTokens", "2023-11-16 18:15:46,1,2,3"], ":1: 2 columns are called ContextTokens"),
        ("azure", [AZURE, "2023-11-16 18:15:46,1_0,1"], ":2: ContextTokens is '1_0', expected a whole number"),
        ("azure", [AZURE, "2023-11-16 18:15:46,1,\u0661"], ":2: GeneratedTokens is '\u0661', expected a whole number"),
        ("burstgpt", [BURST, "1_0,ChatGPT,472,18,490,API log"], ":2: Timestamp is '1_0', expected a time"),
        ("burstgpt", [BURST, "\u0661,ChatGPT,472,18,490,API log"], ":2: Timestamp is '\u0661', expected a time"),
        ("bailian", ['{"timestamp": 1, "timestamp": 2, "input_length": 9}'], ":1: timestamp is there twice"),
        ("bailian", ['[["timestamp", 1]]'], ":1: expected a JSON object"),
        ("azure", [AZURE], ": holds no requests"),
        ("burstgpt", [BURST, "-5,ChatGPT,472,18,490,API log"], ":2: Timestamp is '-5'"),
        ("burstgpt", [BURST, "inf,ChatGPT,472,18,490,API log"], ":2: Timestamp is 'inf'"),
        (
            "burstgpt",
            [BURST, "1e17,ChatGPT,472,18,490,API log"],
            ":2: Timestamp is '1e17', expected a time from 0 to 9007",
        ),
        ("mooncake", ['{"timestamp": 1, "input_length": 600, "output_length": 5, "hash_ids": [7]}'], ":1: 1 hash_ids"),
        ("mooncake", ['{"timestamp": 1, "input_length": 9, "output_length": 5, "hash_ids": ["7"]}'], ":1: hash_ids is"),
        ("mooncake", ['{"timestamp": 1, "input_length": 9.5, "output_length": 5}'], ":1: input_length is 9.5"),
        (
            "mooncake",
            ['{"timestamp": true, "input_length": 9, "output_length": 5, "hash_ids": [7]}'],
            "timestamp is True",
        ),
        ("mooncake", ["[1]"], ":1: expected a JSON object"),
        ("bailian", [ROW % ("1" + "0" * 400, 7)], ":1: timestamp is 1000"),
        ("bailian", [ROW % (1, 2**80)], ":1: hash_ids is no list of whole numbers of at most 64 bits"),
        ("bailian", ["{}", "{"], ":1: input_length is None"),
        ("bailian", ["{"], ":1: not JSON"),
        ("swe-agent", [SWE, "4,0,100,100,10,0", "4,1,7,118,20,110"], ":3: total_input is 118"),
        ("swe-agent", [SWE, "4,0,100,100,10,0", "4,2,7,117,20,110"], ":3: iter_id is 2, expected 1"),
        (
            "sessions",
            [SESSIONS, "a,0,9.0,n,100,10,0,,2.0", "a,1,5.0,n,100,10,9,,2.0"],
            ":3: t_s is 5, earlier than 9 in the row of a before",
        ),
        ("sessions", [SESSIONS, "a,0,0.0,n,100,10,101,0.0,2.0"], ":2: reused_prefix_tokens is 101, more than"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, format: str, lines: list[str], why: str) -> None:
    with pytest.raises(TraceError) as caught:
        read(tmp_path, format, *lines)
    message = str(caught.value)
    assert why in message and message.startswith(str(tmp_path)) and "\n" not in message


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(b"\xff\xfe\x00")
    for format in ("azure", "mooncake"):
        with pytest.raises(TraceError, match="not text in UTF-8"):
            load_workload(str(path), format)


def test_a_file_needs_a_known_format(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="unknown format 'parquet'; known: azure, bailian"):
        load_workload(str(tmp_path / "x"), "parquet")
    with pytest.raises(TraceError, match="name the format of this file"):
        load_workload(str(tmp_path / "x"))


def test_a_trace_at_another_rate_keeps_its_burstiness(tmp_path: Path) -> None:
    rows = [f"{second},m,10,1,11,API log" for second in (10, 10, 14, 20)]
    found = read(tmp_path, "burstgpt", BURST, *rows).at_rate(0.6)
    assert [one.arrival for one in found.conversations] == pytest.approx([0.0, 0.0, 2.0, 5.0])
    assert found.rate == pytest.approx(0.6)
    drawn = read(tmp_path, "swe-agent", SWE, "4,0,9,9,1,0", "6,0,5,5,1,0")
    assert drawn.at_rate(2.0, seed=1) == drawn.at_rate(2.0, seed=1) != drawn.at_rate(2.0, seed=2)
    assert drawn.at_rate(2.0).conversations[0].arrival > 0
    with pytest.raises(TraceError, match="must be a number above 0"):
        drawn.at_rate(0)
    with pytest.raises(TraceError, match="must be a number above 0, got inf"):
        drawn.at_rate(math.inf)


def test_the_first_conversations_and_turns(tmp_path: Path) -> None:
    found = read(tmp_path, "swe-agent", SWE, "4,0,100,100,10,0", "4,1,7,117,20,110", "6,0,50,50,1,0")
    assert [len(one.turns) for one in found.first(turns=1).conversations] == [1, 1]
    assert [one.name for one in found.first(1).conversations] == ["4"]
