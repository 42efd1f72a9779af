"""Readers of public trace formats. A row that is not as it should be is an error that names file and line.

========== ==================================================================================================
azure      Azure LLM inference traces 2023 and 2024: TIMESTAMP, ContextTokens, GeneratedTokens
burstgpt   BurstGPT: Timestamp (s), Model, Request tokens, Response tokens, Total tokens, Log Type; other columns
           are ignored; rows without response are failed requests, left out and counted
mooncake   Mooncake: JSON lines with timestamp (ms), input_length, output_length, hash_ids of 512-token blocks
bailian    Qwen-Bailian: JSON lines with timestamp (s), input_length, output_length, hash_ids of 16-token blocks
swe-agent  turn lengths of mini-swe-agent: conv_id, iter_id, appended_input, total_input, out_token_size, carried_over
sessions   coding-agent sessions: trace_id, req_idx, t_s, type, in_tokens, out_tokens, reused_prefix_tokens,
           think_time_s, api_time_s
========== ==================================================================================================
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Final

import attrs

from mtpo.schedulers.traces.rows import Row, csv_rows, json_rows
from mtpo.schedulers.traces.workload import Conversation, Piece, TraceError, Turn, Workload

MOONCAKE_BLOCK: Final = 512
"""Tokens that one hash id of Mooncake stands for."""
BAILIAN_BLOCK: Final = 16
"""Tokens that one hash id of Qwen-Bailian stands for."""
_HASH: Final = 2**64
"""Hash ids are smaller: what nobody shares has tags of its own beyond."""


def _workload(path: Path, found: list[Conversation], timed: bool = True, notes: tuple[str, ...] = ()) -> Workload:
    """Conversations by arrival. No publisher promises that rows are in order, and each stands for itself: they are put
    in order, and that is said."""
    if not found:
        raise TraceError(f"{path}: holds no requests")
    first = min(one.arrival for one in found)
    ordered = sorted((attrs.evolve(one, arrival=one.arrival - first) for one in found), key=lambda one: one.arrival)
    early = [after.turns[0].line for before, after in pairwise(found) if after.arrival < before.arrival]
    if early:
        rows = "row is" if len(early) == 1 else "rows are"
        where = f"first in line {early[0]}"
        notes += (f"{path.name}: {len(early)} {rows} earlier than the one before, {where}; put in order of time",)
    return Workload(path.name, tuple(ordered), timed, notes, str(path))


def read_azure(path: Path) -> Workload:
    """See the module's docstring."""
    found: list[Conversation] = []
    for row in csv_rows(path, ("TIMESTAMP", "ContextTokens", "GeneratedTokens")):
        stamp = row.cells["TIMESTAMP"]
        try:
            when = datetime.fromisoformat(stamp)
        except ValueError:
            raise row.wrong(f"TIMESTAMP is {reprlib.repr(stamp)}, expected a date and a time") from None
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        turn = Turn(row.whole("ContextTokens", 1), row.whole("GeneratedTokens", 1), line=row.line)
        found.append(Conversation(str(len(found)), seconds, (turn,)))
    return _workload(path, found)


def read_burstgpt(path: Path) -> Workload:
    """See the module's docstring."""
    found: list[Conversation] = []
    failed: list[int] = []
    for row in csv_rows(path, ("Timestamp", "Request tokens", "Response tokens")):
        seconds = row.seconds("Timestamp")
        output = row.whole("Response tokens")
        if output == 0:
            failed.append(row.line)
            continue
        turn = Turn(row.whole("Request tokens", 1), output, line=row.line)
        found.append(Conversation(str(row.line), seconds, (turn,)))
    notes: tuple[str, ...] = ()
    if failed:
        notes = (f"{path.name}: {len(failed)} failed requests without response left out, first in line {failed[0]}",)
    return _workload(path, found, notes=notes)


def _hashed(path: Path, block: int, scale: float) -> Workload:
    """JSON lines with the hashes of the prompt's prefix blocks."""
    found: list[Conversation] = []
    for row in json_rows(path):
        prompt, output = row.whole("input_length", 1), row.whole("output_length", 1)
        hashes = row.cells.get("hash_ids")
        if not isinstance(hashes, list) or any(type(one) is not int or abs(one) >= _HASH for one in hashes):
            raise row.wrong("hash_ids is no list of whole numbers of at most 64 bits")
        if len(hashes) != -(-prompt // block):
            expected = -(-prompt // block)
            raise row.wrong(f"{len(hashes)} hash_ids for {prompt} tokens, expected {expected} of {block}-token blocks")
        pieces = [Piece(one, block) for one in hashes]
        pieces[-1] = Piece(hashes[-1], prompt - block * (len(hashes) - 1))
        turn = Turn(prompt, output, 0.0, tuple(pieces), row.line)
        found.append(Conversation(str(row.line), row.seconds("timestamp", scale), (turn,)))
    return _workload(path, found)


def read_mooncake(path: Path) -> Workload:
    """See the module's docstring."""
    return _hashed(path, MOONCAKE_BLOCK, 1e-3)


def read_bailian(path: Path) -> Workload:
    """See the module's docstring."""
    return _hashed(path, BAILIAN_BLOCK, 1.0)


def _grouped(rows: Iterator[Row], key: str) -> Iterator[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.cells[key], []).append(row)
    yield from groups.items()


def read_swe_agent(path: Path) -> Workload:
    """See the module's docstring. No times: every conversation begins at 0, and tools take none."""
    columns = ("conv_id", "iter_id", "appended_input", "total_input", "out_token_size", "carried_over")
    found = []
    for tag, (name, rows) in enumerate(_grouped(csv_rows(path, columns), "conv_id")):
        turns, total = [], 0
        for index, row in enumerate(rows):
            if row.whole("iter_id") != index:
                raise row.wrong(f"iter_id is {row.cells['iter_id']}, expected {index} in conversation {name}")
            appended, prompt = row.whole("appended_input"), row.whole("total_input", 1)
            output = row.whole("out_token_size", 1)
            if row.whole("carried_over") != total or appended + total != prompt:
                raise row.wrong(f"total_input is {prompt}, but {total} were carried over and {appended} appended")
            total = prompt + output
            turns.append(Turn(prompt, output, 0.0, (Piece(tag, total),), row.line))
        found.append(Conversation(name, 0.0, tuple(turns)))
    return _workload(path, found, timed=False)


def read_sessions(path: Path) -> Workload:
    """See the module's docstring. Sessions have no common clock: each begins at 0.

    A turn's prompt starts with ``reused_prefix_tokens`` of the prompt before it; what follows is new. An empty think
    time is what the clock leaves between two requests.
    """
    columns = ("trace_id", "t_s", "in_tokens", "out_tokens", "reused_prefix_tokens", "think_time_s", "api_time_s")
    found: list[Conversation] = []
    empty: list[int] = []
    tag = 0
    for name, rows in _grouped(csv_rows(path, columns), "trace_id"):
        turns: list[Turn] = []
        content: tuple[Piece, ...] = ()
        end: float | None = None
        asked = 0.0
        for row in rows:
            prompt, output, begin = row.whole("in_tokens", 1), row.whole("out_tokens"), row.seconds("t_s")
            reused = row.whole("reused_prefix_tokens")
            think, took = row.known_seconds("think_time_s"), row.known_seconds("api_time_s")
            if reused > prompt:
                raise row.wrong(f"reused_prefix_tokens is {reused}, more than in_tokens, {prompt}")
            if begin < asked:
                raise row.wrong(f"t_s is {begin:g}, earlier than {asked:g} in the row of {name} before")
            asked = begin
            gap = think if think is not None else max(0.0, begin - end) if end is not None else 0.0
            end = begin + (took or 0.0)
            if output == 0:
                empty.append(row.line)
                continue
            kept = _head(content, reused)
            fresh = prompt + output - sum(piece.tokens for piece in kept)
            content = (*kept, Piece(tag, fresh))
            tag += 1
            turns.append(Turn(prompt, output, gap if turns else 0.0, content, row.line))
        if turns:
            found.append(Conversation(name, 0.0, tuple(turns)))
    notes: tuple[str, ...] = ()
    if empty:
        notes = (f"{path.name}: {len(empty)} requests without output left out, first in line {empty[0]}",)
    return _workload(path, found, timed=False, notes=notes)


def _head(content: tuple[Piece, ...], tokens: int) -> tuple[Piece, ...]:
    """The first tokens of some content."""
    kept: list[Piece] = []
    for piece in content:
        if tokens < 1:
            break
        kept.append(piece if piece.tokens <= tokens else Piece(piece.tag, tokens))
        tokens -= piece.tokens
    return tuple(kept)


FORMATS: Final[Mapping[str, Callable[[Path], Workload]]] = MappingProxyType(
    {
        "azure": read_azure,
        "bailian": read_bailian,
        "burstgpt": read_burstgpt,
        "mooncake": read_mooncake,
        "sessions": read_sessions,
        "swe-agent": read_swe_agent,
    }
)
"""Readers by the name of the format."""
