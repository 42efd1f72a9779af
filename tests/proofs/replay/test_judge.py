"""The whole judgment: one verdict that agrees with the exit code, also of a log that was cut, redacted, or is not the
one that was certified."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.proofs.replay.judge import REPLAY, Judgment, judge
from mtpo.proofs.runs.certificate import RunCertificate
from mtpo.proofs.runs.checker import CHECKS
from mtpo_core.log import LoggedRun, read_log, redact

Written = Callable[[Any], LoggedRun]
SAID = {"yes": 0, "no": 1, "not known": 3}


def judged(run: LoggedRun, code: int, expected: RunCertificate | None = None) -> Judgment:
    """The judgment, whose verdict must say what the exit code says and nothing else."""
    found = judge(run, expected)
    assert found.exit_code == code, found.verdict
    assert [SAID[word] for word in re.findall(r": (yes|no|not known)(?: \(|, the log)", found.verdict)] == [code]
    assert "\n" not in found.verdict
    return found


def verdicts(found: Judgment) -> dict[str, str]:
    return {row.id: row.verdict for row in found.certificate.properties}


def notes(found: Judgment) -> dict[str, str]:
    return {row.id: row.note for row in found.certificate.properties}


def test_a_good_run_holds_and_so_does_its_replay(good: Any, written: Written) -> None:
    run = written(good)
    found = judged(run, 0)
    assert verdicts(found) == dict.fromkeys([*CHECKS, REPLAY], "holds")
    assert found.replay is not None and notes(found)[REPLAY].startswith(f"{found.replay.steps} steps")
    assert judged(run, 0, found.certificate).differences == ()


@pytest.mark.parametrize("mode", ["naive", "serial"])
def test_the_replay_is_not_asked_of_other_modes_and_says_why(script: Any, written: Written, mode: str) -> None:
    s = script(mode, ["A"], {"x": "0"})
    s.write("0.0", {}, {"x": "1"})
    s.plain("finish", 0)
    s.close({"x": "1"})
    found = judged(written(s), 0)
    assert found.replay is None and verdicts(found)[REPLAY] == "not asked"
    assert notes(found)[REPLAY] == f"the spec is that of mode mtpo, the run is {mode}"


def test_what_is_no_run_is_replayed_up_to_what_cant_be_read(good: Any, written: Written) -> None:
    good.of("judge").body["verdict"] = "maybe"
    run = written(good)
    found = judged(run, 1)
    place = next(r.seq for r in run.records if r.kind == "judge")
    assert verdicts(found)[REPLAY] == "incomplete" and found.replay is not None and found.replay.problems == ()
    assert notes(found)[REPLAY].startswith(
        f"{found.replay.steps} steps, every property after each up to record {place}"
    )
    assert (
        f"can't be read as a step; the records are not those of a run (log.body: record {place}" in notes(found)[REPLAY]
    )
    good.drop(good.of("settle", "1.1"))
    found = judged(written(good), 1)
    assert verdicts(found)[REPLAY] == "violated" and "log.body" in notes(found)[REPLAY]
    good.lines = good.lines[1:]
    assert notes(judged(written(good), 1))[REPLAY] == "the log does not say what run it is"


def test_a_record_that_names_what_the_log_does_not_introduce_ends_the_replay(good: Any, written: Written) -> None:
    out = good.of("applied", "0.1").body["out"]
    out["q"] = out["x"]
    run = written(good)
    found = judged(run, 1)
    place = next(n for n, r in enumerate(run.records) if r.kind == "applied" and r.call == "0.1")
    assert found.replay is not None and (found.replay.stopped, found.replay.refused) == (place, None)
    (problem,) = found.replay.problems
    assert (
        str(problem) == f"spec.replay: record {place} (applied): names something that the log does not introduce: 'q'"
    )


def test_what_the_replay_finds_is_in_the_verdict(good: Any, written: Written) -> None:
    good.of("settle", "0.1").body["stale"].append("0.0")
    found = judged(written(good), 1)
    assert found.report.problems == () and "mtpo.settled-told: record" in found.verdict
    assert found.certificate.status == "violated" and "mtpo.settled-told: record" in found.certificate.verdict


# -- logs that were cut short --------------------------------------------------------------------------------------

NEED_THE_END = {id for id, check in CHECKS.items() if check.needs_end}


def test_what_a_beginning_decides_is_decided(good: Any, written: Written) -> None:
    assert {
        *("run.premise-told", "run.failure-told", "run.consumed-before-action", "run.no-lost-call"),
        *("run.repair-atomic", "run.commit-order", "run.external", "run.final-state", "run.serializable"),
    } == NEED_THE_END
    while len(good.lines) > 3:
        del good.lines[-1:]
        found = judged(written(good), 3)
        last = len(good.lines) - 1
        for id, verdict in verdicts(found).items():
            assert verdict == ("incomplete" if id in NEED_THE_END else "holds"), (id, last)
            if id != REPLAY:
                assert f"records 0 to {last}" in notes(found)[id] and "cut short" in notes(found)[id]
    assert "nothing violated so far" in found.verdict and "cut short" in notes(found)[REPLAY]


def test_what_is_wrong_in_a_beginning_is_found(good: Any, written: Written) -> None:
    good.of("read", "0.0").body["filtered"] = True
    del good.lines[8:]
    found = judged(written(good), 1)
    assert verdicts(found)["run.filtered-read"] == "violated" and verdicts(found)["run.gate"] == "holds"
    assert verdicts(found)["run.final-state"] == "incomplete"


def test_a_halted_run_is_decided_as_far_as_it_went(good: Any, written: Written) -> None:
    good.of("close").body |= {"outcome": "halted", "error": "core.inverse-runs: the disk is full"}
    found = judged(written(good), 3)
    assert verdicts(found)["run.gate"] == "holds" and "halted" in notes(found)["run.gate"]
    assert verdicts(found)["run.final-state"] == "incomplete" and "the disk is full" in found.verdict


def test_a_kind_without_rules_leaves_what_follows_open(good: Any, written: Written) -> None:
    good.moved(lambda: good.add("recover", None, None), good.of("close"))
    found = judged(written(good), 3)
    decided = {id for id, verdict in verdicts(found).items() if verdict == "holds"}
    assert decided == {"log.chain", "log.gap", "log.value"}
    assert notes(found)["run.gate"] == "the checker has no rules for 'recover'"
    assert verdicts(found)[REPLAY] == "incomplete" and "can't be read as a step" in notes(found)[REPLAY]


# -- certificates --------------------------------------------------------------------------------------------------


def edited(run: LoggedRun, statement: str) -> LoggedRun:
    with sqlite3.connect(run.path) as db:
        assert db.execute(statement).rowcount > 0
    db.close()
    return read_log(run.path)


def test_a_log_that_is_not_the_certified_one_is_no(good: Any, written: Written) -> None:
    saved = judge(written(good)).certificate
    good.drop(good.of("infer"))
    forged = written(good)
    judged(forged, 0)
    found = judged(forged, 1, saved)
    assert {p.property for p in found.differences} == {"log.head"}
    assert "the log is not the one that was certified (log.head: record" in found.verdict


def test_a_cut_tail_is_no_against_the_certificate(good: Any, written: Written) -> None:
    run = written(good)
    saved = judge(run).certificate
    cut = edited(run, "DELETE FROM records WHERE seq > 20")
    judged(cut, 3)
    judged(cut, 1, saved)


def test_a_false_certificate_is_no(good: Any, written: Written) -> None:
    run = written(good)
    saved = judge(run).certificate
    for false in (
        attrs.evolve(saved, order=("B", "A")),
        attrs.evolve(saved, properties=tuple(attrs.evolve(row, verdict="not asked") for row in saved.properties)),
        attrs.evolve(saved, run="another"),
        attrs.evolve(saved, head="0" * 64),
    ):
        judged(run, 1, false)


def test_a_violation_comes_before_a_difference(good: Any, written: Written) -> None:
    saved = judge(written(good)).certificate
    good.of("read", "0.0").body["filtered"] = True
    found = judged(written(good), 1, saved)
    assert "no (run.filtered-read" in found.verdict and "; and 1 more)" in found.verdict


# -- redaction -----------------------------------------------------------------------------------------------------


def test_what_is_redacted_after_the_certificate_is_no_longer_known(good: Any, written: Written) -> None:
    run = written(good)
    saved = judge(run).certificate
    for digest in run.values:
        redact(run.path, digest)
    dropped = read_log(run.path)
    found = judged(dropped, 3, saved)
    assert found.differences == ()
    assert f"{len(run.values)} values redacted since the certificate: the content is no longer checked" in found.verdict
    assert {id for id, verdict in verdicts(found).items() if verdict != "holds"} == {"log.value"}
    assert "record" in str(found.report.unfinished[0])


def test_what_the_certificate_lists_as_redacted_is_allowed(good: Any, written: Written) -> None:
    run = written(good)
    first, second = (next(d for d, v in run.values.items() if v == value) for value in (b"thinking", b"0ab"))
    redact(run.path, first)
    before = read_log(run.path)
    saved = judge(before).certificate
    assert [row.digest for row in saved.redacted] == [first]
    found = judged(before, 0, saved)
    assert notes(found)["log.value"] == "1 value redacted, as the certificate lists: the content is not checked"
    redact(run.path, second)
    found = judged(read_log(run.path), 3, saved)
    assert "1 value redacted since the certificate" in found.verdict


def test_without_a_certificate_redaction_is_said(good: Any, written: Written) -> None:
    run = written(good)
    redact(run.path, next(iter(run.values)))
    assert notes(judged(read_log(run.path), 0))["log.value"] == "1 value redacted: the content is not checked"


def test_a_value_that_was_removed_is_no_redaction(good: Any, written: Written) -> None:
    run = written(good)
    saved = judge(run).certificate
    found = judged(edited(run, "DELETE FROM \"values\" WHERE CAST(value AS TEXT) = '0ab'"), 1, saved)
    assert {p.property for p in found.problems} == {"log.value"}


def test_a_certificate_is_kept_with_its_redactions(good: Any, written: Written, tmp_path: Any) -> None:
    run = written(good)
    redact(run.path, next(iter(run.values)))
    saved = judge(read_log(run.path)).certificate
    saved.save(tmp_path / "c.json")
    assert RunCertificate.load(tmp_path / "c.json") == saved


def test_a_run_that_was_halted_in_the_middle_of_a_repair_is_not_known(tmp_path: Path) -> None:
    """An inverse fails: that is why the run stopped, and no fault of the order of its records."""
    from mtpo_core.errors import RunHalted
    from mtpo_core.resources.filesystem import FileSystem
    from mtpo_core.resources.filetools import file_tools
    from mtpo_core.runtime import Session
    from mtpo_core.sync import SyncSession
    from mtpo_core.tools import Footprint, Toolbox, ToolCall, WriteClass, write_tool

    def jammed(resource: object, args: object, undo: bytes) -> None:
        raise RuntimeError("jammed")

    def write(resource: FileSystem, args: object) -> str:
        resource.write("x", b"b\n")
        return "written"

    tool = write_tool(
        "stiff",
        "for tests",
        [],
        WriteClass.BLIND,
        lambda view, args: Footprint(writes=["x"]),
        write,  # type: ignore[arg-type]
        prepare=lambda resource, args, footprint: b"",
        reverse=jammed,
    )
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "x").write_text("start\n")
    log = tmp_path / "run.mtpo"
    sync = SyncSession(lambda: Session.open(FileSystem(tmp_path / "tree"), Toolbox([*file_tools(), tool]), log))
    first, second = sync.launch("first"), sync.launch("second")
    assert sync.call(second, ToolCall("stiff")).kind == "result"
    with pytest.raises(RunHalted, match="jammed"):
        sync.call(first, ToolCall("append", {"path": "x", "content": "a\n"}))
    assert sync.close() == "halted"
    judgment = judge(read_log(log))
    assert judgment.exit_code == 3, judgment.verdict
    assert "jammed" in judgment.verdict
