"""``mtpo verify`` tells the cause, once: damage to the log before all else, then what is wrong at the first record."""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpo.proofs.replay.shrink import rechained
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.logchain import digests_of
from mtpo_core.loglines import export_jsonl

Mtpo = Callable[..., Any]
PAGE = Path(__file__).parents[3] / "docs" / "records.md"


@pytest.fixture
def run(logs: Path) -> LoggedRun:
    return read_log(logs / "run.mtpo")


def written(path: Path, run: LoggedRun, lines: int | None = None) -> Path:
    """The log, or as many of its lines, as a file of lines of JSON."""
    path.write_text("".join(f"{line}\n" for line in list(export_jsonl(run))[:lines]))
    return path


def told(text: str) -> list[str]:
    """What is violated and what is open, without the list of checks."""
    return [line for line in text.splitlines() if re.match(r"(violated|incomplete)  +[a-z.-]+: | {12}\d", line)]


def test_a_violation_that_follows_is_not_told_as_the_cause(run: LoggedRun, tmp_path: Path, mtpo: Mtpo) -> None:
    """Without its `notify`, the `deliver` is the first record that is wrong; that the next judges what was not given
    follows from it."""
    session = [r for r in run.records if r.kind != "notify"]
    delivered = next(n for n, r in enumerate(session) if r.kind == "deliver")
    ids = session[delivered].body["ids"]
    judged = session[delivered].__class__(
        **{
            **{name: getattr(session[delivered], name) for name in ("v", "run", "seq", "t", "agent", "call", "prev")},
            "kind": "judge",
            "body": {"ids": ids, "verdict": "ignore", "waiver": "trusted"},
        }
    )
    forged = written(
        tmp_path / "forged.jsonl", rechained(run, [*session[: delivered + 1], judged, *session[delivered + 1 :]])
    )
    found = mtpo("verify", forged)
    first, more, *_ = told(found.out)
    assert first == (
        f"violated    run.consumed-before-action: record {delivered} (deliver): "
        f"consumed {ids} out of order; unread: none"
    )
    assert "violations more, which may follow (1 mtpo.settled-told, 1 log.body, " in more
    assert found.out.splitlines()[-1].startswith(f"notified-serializable in the order A < B: no ({first[12:]}; and ")
    violated = mtpo("verify", forged, "--json").json["violated"]
    assert (violated[0]["property"], violated[0]["where"]) == (
        "run.consumed-before-action",
        f"record {delivered} (deliver)",
    )


def test_lines_that_end_before_their_values_say_so_once(run: LoggedRun, tmp_path: Path, mtpo: Mtpo) -> None:
    found = mtpo("verify", written(tmp_path / "cut.jsonl", run, 11))
    value, close = told(found.out)
    assert re.fullmatch(
        r"violated    log.value: values: the file ends after record 9, before the \d+ values that its records name: "
        r"is it cut off\?",
        value,
    )
    assert close == "incomplete  log.incomplete: record 9: the last; the run has no close"
    assert mtpo("log", tmp_path / "cut.jsonl").err.count("the file ends after record 9") == 1


def test_values_that_are_missing_in_part_are_named_once(run: LoggedRun, tmp_path: Path, mtpo: Mtpo) -> None:
    kept = len(run.rows) + 2
    found = told(mtpo("verify", written(tmp_path / "cut.jsonl", run, kept)).out)
    assert len(found) == 2 and re.search(r": is neither kept nor redacted: record \d+ names it \(.+\)$", found[0])
    assert re.fullmatch(
        r" {12}\d+ more log.value like it \(values [0-9a-f]{12}, .*, \.\.\.\); --all names each", found[1]
    )
    named = {digest for record in run.records for digest in digests_of(record)}
    every = told(mtpo("verify", tmp_path / "cut.jsonl", "--all").out)
    assert len([line for line in every if "neither kept nor redacted" in line]) == len(named) - 1


WRITERS = {
    "capitals": ("hexdigest()", "hexdigest().upper()"),
    "no byte 01": ('SALT + b"\\x01" + value', "SALT + value"),
    "spaces": ('separators=(",", ":"), ', ""),
}


def by(writer: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log by the program of the page with one mistake in it."""
    match = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    right, wrong = WRITERS[writer]
    assert match is not None and right in match[1]
    program = path.with_suffix(".py")
    program.write_text(match[1].replace(right, wrong))
    monkeypatch.setattr(sys, "argv", [str(program), str(path)])
    runpy.run_path(str(program))
    return path


def test_capitals_are_told_as_such_and_once(tmp_path: Path, mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    found = mtpo("verify", by("capitals", tmp_path / "log", monkeypatch)).out
    assert told(found) == [
        "violated    log.chain: record 0: the digest stored with it is in capitals: a digest is lower-case hexadecimal",
        "            10 more log.chain like it (records 1, 2, 3, 4, 5, ...); --all names each",
        "violated    log.chain: record 1: prev is in capitals: a digest is lower-case hexadecimal",
        "            9 more log.chain like it (records 2, 3, 4, 5, 6, ...); --all names each",
        "violated    log.value: value in row 0: its digest is no SHA-256 in lower-case hexadecimal",
        "            5 more log.value like it (value in rows 1, 2, 3, 4, 5); --all names each",
        "            1 violation more, which may follow (1 log.body); --all names each",
    ]
    assert len([line for line in found.splitlines() if line.startswith("incomplete")]) == 1


def test_where_no_value_has_its_digest_the_rule_is_told(
    tmp_path: Path, mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, more = told(mtpo("verify", by("no byte 01", tmp_path / "log", monkeypatch)).out)
    assert "as none of 5 does: a digest is the SHA-256 of the salt, a byte 01 and the value (docs/records.md)" in first
    assert more.startswith("            4 more log.value like it (values ")


def test_a_close_that_cannot_be_read_may_be_there(tmp_path: Path, mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    path = by("spaces", tmp_path / "log", monkeypatch)
    found = mtpo("verify", path)
    first, more = told(found.out)
    assert first.startswith("violated    log.body: record 0: not a canonical record: another form of the same record: ")
    assert more == "            10 more log.body like it (records 1, 2, 3, 4, 5, ...); --all names each"
    assert "cut short" not in found.out and "no close" not in found.out
    assert "20 further properties          record 0, which says what run it is, can't be read" in found.out
    assert "log.incomplete" not in json.dumps(mtpo("verify", path, "--json").json)
