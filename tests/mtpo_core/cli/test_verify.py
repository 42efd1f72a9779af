"""``mtpo verify``: the last line is the verdict, and it agrees with the exit code; assumptions are sentences."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.proofs.replay.replay import Run
from mtpo.proofs.replay.shrink import rechained
from mtpo.spec.records import GENESIS, Record, canonical, value_digest
from mtpo_core.log import LoggedRun, read_log, redact
from mtpo_core.logfile import Row, sha
from mtpo_core.loglines import export_jsonl, import_jsonl

Mtpo = Callable[..., Any]


@pytest.fixture
def log(logs: Path, tmp_path: Path) -> Path:
    """A copy of the log of a real run, that may be spoiled."""
    return Path(shutil.copy(logs / "run.mtpo", tmp_path / "copy.mtpo"))


def spoil(log: Path, statement: str) -> None:
    with sqlite3.connect(log) as db:
        assert db.execute(statement).rowcount > 0
    db.close()


def verdict(found: Any) -> str:
    """The last line of the output; no other line may be a verdict."""
    *_, last = found.out.splitlines()
    claims = [line for line in found.out.splitlines() if line.startswith("notified-serializable in the order A < B: ")]
    assert claims == [last]
    return str(last.removeprefix("notified-serializable in the order A < B: "))


def test_the_last_line_is_yes_only_when_all_holds(log: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    saved = tmp_path / "certificate.json"
    found = mtpo("verify", log, "--save", saved)
    assert found.code == 0 and verdict(found).startswith("yes (")
    found = mtpo("verify", log, "--certificate", saved)
    assert found.code == 0 and verdict(found).startswith("yes (")
    spoil(log, "DELETE FROM records WHERE seq > 12")
    found = mtpo("verify", log)
    assert found.code == 3 and verdict(found).startswith("not known (log.incomplete")
    assert "holds       run.gate" in found.out and "decided on records 0 to 12: the run was cut short" in found.out
    assert "incomplete  run.final-state" in found.out and "needs the end of the run" in found.out
    found = mtpo("verify", log, "--certificate", saved)
    assert found.code == 1 and verdict(found).startswith("no, the log is not the one that was certified (log.head: ")


def test_output_for_machines_says_the_same(log: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    saved = tmp_path / "certificate.json"
    assert mtpo("verify", log, "--save", saved).code == 0
    found = mtpo("verify", log, "--certificate", saved, "--json")
    assert (found.code, found.json["status"], found.json["violated"]) == (0, "holds", [])
    spoil(log, "DELETE FROM records WHERE seq > 12")
    found = mtpo("verify", log, "--certificate", saved, "--json")
    assert (found.code, found.json["status"]) == (1, "violated") and ": no, the log is not" in found.json["verdict"]
    assert [row["property"] for row in found.json["violated"]] == ["log.head"]


def test_a_log_that_differs_is_not_certified_anew(log: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    saved = tmp_path / "certificate.json"
    assert mtpo("verify", log, "--save", saved).code == 0
    before = saved.read_bytes()
    spoil(log, "DELETE FROM records WHERE seq > 12")
    found = mtpo("verify", log, "--certificate", saved, "--save", saved)
    assert found.code == 2 and "not written" in found.err and found.err.count("\n") == 1
    assert saved.read_bytes() == before


def test_what_was_redacted_since_the_certificate_is_said_last(log: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    saved = tmp_path / "certificate.json"
    assert mtpo("verify", log, "--save", saved).code == 0
    redact(log, next(digest for digest, value in read_log(log).values.items() if value == b"x0\nb\n"))
    found = mtpo("verify", log, "--certificate", saved)
    assert found.code == 3 and verdict(found).startswith("not known (log.value: record")
    assert "1 value redacted since the certificate: the content is no longer checked" in verdict(found)
    assert "incomplete  log.value" in found.out
    assert mtpo("verify", log, "--save", saved).code == 0
    found = mtpo("verify", log, "--certificate", saved)
    assert found.code == 0 and "1 value redacted, as the certificate lists" in found.out


def test_assumptions_are_sentences(log: Path, mtpo: Mtpo) -> None:
    found = mtpo("verify", log)
    lines = found.out.splitlines()
    rests = lines[lines.index("The verdict rests on") + 1 : -1]
    assert [line.partition(":")[0] for line in rests] == ["A1 individual success", "A2 footprints", "A3 judgments"]
    for line in rests:
        assert line.endswith(".") and "{" not in line


def test_a_run_that_is_not_replayed_says_why(tmp_path: Path, mtpo: Mtpo) -> None:
    assert mtpo("run", "canary", "--mode", "serial", "--log", tmp_path / "s.mtpo").code == 0
    found = mtpo("verify", tmp_path / "s.mtpo")
    (line,) = (line for line in found.out.splitlines() if "spec.replay" in line)
    assert line.startswith("not asked") and line.endswith("[the spec is that of mode mtpo, the run is serial]")


def test_several_processes_say_what_one_says(log: Path, mtpo: Mtpo) -> None:
    one, two = (mtpo("verify", log, "--jobs", jobs) for jobs in (1, 2))
    assert (one.code, one.out) == (0, two.out)
    assert mtpo("verify", log, "--jobs", 0).code == 2


def test_why_a_log_stops_being_a_run_and_a_smaller_one(log: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    small = tmp_path / "small.jsonl"
    found = mtpo("verify", log, "--shrink", small)
    assert found.code == 0 and verdict(found).startswith("yes (") and not small.exists()
    assert f"{small}: not written: {log}: nothing to shrink: it violates nothing" in found.out
    path = without_settle(log, tmp_path)
    forged = read_log(path)
    found = mtpo("verify", path, "--shrink", small)
    assert found.code == 1 and verdict(found).startswith("no (")
    assert "mtpo.call.unlocked is false: " in found.out and "  it would hold after: settle 1.1" in found.out
    assert f"{small}: the log shrunk from {len(forged.records)} records to " in found.out
    assert len(small.read_text().splitlines()) < len(list(export_jsonl(forged)))
    found = mtpo("verify", path, "--json")
    assert found.json["unmatched"]["clauses"][0]["remedies"][0]["steps"] == ["settle 1.1"]


def test_a_smaller_log_of_one_with_a_gap_says_that_it_has_none(log: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    small = tmp_path / "small.jsonl"
    settled = next(r for r in read_log(log).records if r.kind == "settle")
    spoil(log, f"DELETE FROM records WHERE seq = {settled.seq}")
    found = mtpo("verify", log, "--shrink", small, "--json").json
    gap = f"log.gap: record {settled.seq + 1}: record {settled.seq} missing before it"
    assert found["violated"][0]["property"] == "log.gap"
    anew = f", numbered and chained anew, which mends {gap}; beside that it violates, as the whole does, "
    assert anew in found["shrunk"]
    property, *_ = found["shrunk"].partition(anew)[2].split()
    assert property in {p["property"] for p in mtpo("verify", small, "--json").json["violated"]}


def without_settle(log: Path, folder: Path) -> Path:
    """A log that was made without one of its records: it violates a property."""
    run = read_log(log)
    settled = next(r for r in run.records if r.kind == "settle")
    path = folder / "forged.mtpo"
    import_jsonl(export_jsonl(rechained(run, [r for r in run.records if r is not settled])), path)
    return path


def test_a_shrunk_log_is_read_by_every_verb_and_violates_the_same(log: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    forged, small = without_settle(log, tmp_path), tmp_path / "small.jsonl"
    found = mtpo("verify", forged, "--shrink", small, "--json")
    property = found.json["violated"][0]["property"]
    assert f"as the whole it violates {property} at a record of kind " in found.json["shrunk"]
    assert f"`mtpo verify {small}` says so" in found.json["shrunk"]
    again = mtpo("verify", small, "--json")
    assert again.code == 1 and property in {p["property"] for p in again.json["violated"]}
    assert {p["property"] for p in again.json["violated"]} <= {p["property"] for p in found.json["violated"]}
    assert len(mtpo("log", small).out.splitlines()) == again.json["records"]
    assert mtpo("log", small, "--json").out == small.read_text()
    assert (mtpo("view", small, "-o", tmp_path / "page.html").code, mtpo("explain", "0.0", "--log", small).code) == (
        0,
        0,
    )
    smaller = mtpo("verify", small, "--shrink", tmp_path / "smaller.jsonl", "--json").json["shrunk"]
    assert f"it violates {property} at a record of kind " in smaller


def test_a_log_as_lines_is_judged_as_the_file_is(log: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    lines, saved = tmp_path / "run.jsonl", tmp_path / "certificate.json"
    lines.write_text(mtpo("log", log, "--json").out)
    assert mtpo("verify", lines).out == mtpo("verify", log).out
    assert mtpo("verify", log, "--save", saved).code == 0
    assert mtpo("verify", lines, "--certificate", saved).code == 0
    lines.write_text(lines.read_text().replace('"name":"A"', '"name":"Z"'))
    assert "violated    log.chain: record 2: prev is not the digest of record 1" in mtpo("verify", lines).out


@pytest.mark.parametrize("verb", [("verify", "--save"), ("verify", "--shrink"), ("view", "-o")])
def test_what_is_read_is_not_overwritten(log: Path, tmp_path: Path, mtpo: Mtpo, verb: tuple[str, str]) -> None:
    lines = tmp_path / "run.jsonl"
    lines.write_text(text := mtpo("log", log, "--json").out)
    found = mtpo(verb[0], lines, verb[1], lines)
    assert (found.code, found.err.count("\n")) == (2, 1) and "is what is read; it is not overwritten" in found.err
    assert lines.read_text() == text


@pytest.mark.parametrize("verb", [("verify", "--save"), ("verify", "--shrink"), ("view", "-o")])
def test_what_is_read_is_not_overwritten_by_another_name_either(
    log: Path, tmp_path: Path, mtpo: Mtpo, verb: tuple[str, str]
) -> None:
    lines, link, hard, folder = (tmp_path / name for name in ("run.jsonl", "link.jsonl", "hard.jsonl", "sub"))
    lines.write_text(text := mtpo("log", log, "--json").out)
    folder.mkdir()
    link.symlink_to(lines.name)
    hard.hardlink_to(lines)
    for read, written in ((link, lines), (lines, link), (lines, folder / ".." / lines.name), (lines, hard)):
        found = mtpo(verb[0], read, verb[1], written)
        assert (found.code, found.err.count("\n")) == (2, 1), written
        assert f"{written}: is what is read; it is not overwritten" in found.err
    assert lines.read_text() == text


@pytest.mark.parametrize("verb", [("verify", "--save"), ("verify", "--shrink"), ("view", "-o")])
def test_another_log_as_lines_is_not_overwritten(log: Path, tmp_path: Path, mtpo: Mtpo, verb: tuple[str, str]) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(text := mtpo("log", log, "--json").out)
    found = mtpo(verb[0], log, verb[1], other)
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert f"{other}: is a run log or another database; it is not overwritten" in found.err
    assert other.read_text() == text


@pytest.mark.parametrize("before", ["", "{", "[1]\n", '{"format": 1}\n', "[" * 100_000, "<html>"])
def test_what_is_no_log_may_be_written_over(log: Path, tmp_path: Path, mtpo: Mtpo, before: str) -> None:
    place = tmp_path / "certificate.json"
    place.write_text(before)
    assert mtpo("verify", log, "--save", place).code == 0
    assert mtpo("verify", log, "--certificate", place, "--save", place).code == 0


def test_a_long_violation_is_told_once(tmp_path: Path, mtpo: Mtpo) -> None:
    log = tmp_path / "naive.mtpo"
    assert mtpo("run", "canary", "--mode", "naive", "--log", log).code == 1
    found = mtpo("verify", log)
    cycle = "A repairer -> B canary -> A repairer"
    assert found.out.count("no serial order has this outcome") == 1
    assert found.out.endswith(f": no (run.serializable: {cycle}, told above)\n")
    assert found.out.count(f"violated    run.serializable: {cycle}: no serial order has this outcome (") == 1
    assert "no serial order has this outcome" in mtpo("verify", log, "--json").json["verdict"]


def altered(log: Path, folder: Path, change: Callable[[LoggedRun], tuple[int, dict[str, Any]]]) -> Path:
    """A log of which one record says something else, chained as if it had always been so."""
    run = read_log(log)
    seq, body = change(run)
    records = [attrs.evolve(r, body={**r.body, **body}) if r.seq == seq else r for r in run.records]
    rows: list[Row] = []
    for at, record in enumerate(records):
        records[at] = attrs.evolve(record, prev=rows[-1].digest if rows else GENESIS)
        text = canonical(records[at]).decode()
        rows.append(Row(record.seq, text, sha(text)))
    path = folder / "altered.mtpo"
    import_jsonl(export_jsonl(attrs.evolve(run, rows=tuple(rows), records=tuple(records))), path)
    return path


def of_kind(run: LoggedRun, kind: str) -> int:
    return next(r.seq for r in run.records if r.kind == kind)


def test_of_a_bad_field_the_cause_is_told_and_what_it_leaves_open_is_counted(
    log: Path, tmp_path: Path, mtpo: Mtpo
) -> None:
    path = altered(log, tmp_path, lambda run: (of_kind(run, "applied"), {"out": 5}))
    found = mtpo("verify", path)
    assert found.code == 1
    lines = [line for line in found.out.splitlines() if line.startswith("incomplete")]
    assert len(lines) == 2 and " further properties " in lines[0] and "decided up to record 7, which" in lines[0]
    assert lines[1].startswith("incomplete  spec.replay ") and "up to record 7, which can't be read" in lines[1]
    said = [line for line in found.out.splitlines() if "record 7" in line and line.startswith("violated")]
    assert said == ["violated    log.body: record 7 (applied 1.1): field 'out' is not a table by object, each a digest"]
    every = [line for line in mtpo("verify", path, "--all").out.splitlines() if line.startswith("incomplete")]
    assert f"incomplete  {len(every) - 2} further properties " in lines[0]
    assert every[-1] == "incomplete  run.unjudged: record 7: the rules stop here: it can't be understood"


def test_of_violations_the_first_by_record_is_told_and_the_others_are_counted(
    log: Path, tmp_path: Path, mtpo: Mtpo
) -> None:
    path = altered(log, tmp_path, lambda run: (of_kind(run, "deliver"), {"ids": [7]}))
    every = [line for line in mtpo("verify", path, "--all").out.splitlines() if line.startswith("violated    run.")]
    found = [line for line in every if ": " in line]
    first = [line for line in mtpo("verify", path).out.splitlines() if line.startswith("violated    run.")]
    assert [line for line in first if ": " in line] == found[:1] and "(deliver): consumed [7]" in found[0]
    assert (
        len(found) == 6
        and "            5 violations more, which may follow (2 run.consumed" in mtpo("verify", path).out
    )
    assert len(mtpo("verify", path, "--json").json["violated"]) == 6


def test_a_final_state_is_told_by_its_values(log: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    def without_x(run: LoggedRun) -> tuple[int, dict[str, Any]]:
        final = run.records[-1].body["final"]
        return run.records[-1].seq, {"final": {**final, "x": value_digest(run.salt, None)}}

    found = mtpo("verify", altered(log, tmp_path, without_x))
    assert found.code == 1 and "run.final-state: record 25 (close): x holds absent, not " in found.out


def test_where_nothing_can_be_written_is_said_before_the_log_is_judged(
    log: Path, tmp_path: Path, mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtpo.proofs.replay.judge.judge", None)  # not even begun
    one, link, locked = tmp_path / "one.json", tmp_path / "link.json", tmp_path / "nosuch" / "x.json"
    link.symlink_to(one)
    certificate = tmp_path / "certificate.json"
    certificate.write_text("{}")
    for option in ("--save", "--shrink"):
        for path, why in (
            (locked, "its folder does not exist"),
            (tmp_path, "is a folder"),
            (log, "is what is read"),
            (log / "x", "its folder does not exist"),
        ):
            found = mtpo("verify", log, option, path)
            assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
            assert found.err.startswith(f"mtpo: {path}: {why}")
    found = mtpo("verify", log, "--certificate", certificate, "--shrink", certificate)
    assert found.code == 2 and f"{certificate}: is what is read" in found.err
    for other in (one, link, tmp_path / "." / "one.json"):
        found = mtpo("verify", log, "--save", one, "--shrink", other)
        assert (found.code, found.out) == (2, "")
        assert (
            found.err == f"mtpo: --save {one} and --shrink {other} are one file; choose another name for one of them\n"
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["certificate.json", "copy.mtpo", "link.json"]


def test_an_interrupt_says_how_far_it_came(log: Path, mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, exit code 3; nothing that looks like a verdict."""
    taken = 0

    def take(self: Run, record: Record) -> None:
        nonlocal taken
        if taken == 7:
            raise KeyboardInterrupt
        taken += 1
        original(self, record)

    original = Run.take
    monkeypatch.setattr(Run, "take", take)
    found = mtpo("verify", log)
    total = len(read_log(log).records)
    assert (found.code, found.out) == (3, "")
    assert found.err == f"mtpo: {log}: interrupted: 7 of {total} records replayed against the spec; no verdict\n"


def test_an_interrupt_before_the_replay(log: Path, mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mtpo.proofs.replay.judge.check", check)
    found = mtpo("verify", log)
    assert found.code == 3
    assert len(found.err.splitlines()) == 1 and "checking the chain and the rules of" in found.err
