"""Certificates: what they say, that they are kept whole, and that they tell a log from another."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.proofs.runs.certificate import (
    CertificateError,
    Property,
    Redaction,
    RunCertificate,
    certify,
    compare,
)
from mtpo.proofs.runs.checker import CHECKS, check
from mtpo.proofs.runs.runfacts import A1, A2, A3, Held
from mtpo_core.log import LoggedRun, read_log, redact

Written = Callable[[Any], LoggedRun]


def certificate_of(run: LoggedRun) -> RunCertificate:
    return certify(run, check(run))


def test_a_certificate_says_in_what_order_and_on_what_it_rests(good: Any, written: Written) -> None:
    run = written(good)
    found = certificate_of(run)
    assert found.verdict == (
        "notified-serializable in the order A < B: yes "
        f"(checked from the log alone, {len(CHECKS)} of {len(CHECKS)} checks hold, under A1, A2, A3 as counted)"
    )
    assert (found.order, found.claimed, found.mode, found.scenario, found.status) == (
        ("A", "B"),
        True,
        "mtpo",
        "case",
        "holds",
    )
    assert [(row.id, row.verdict) for row in found.properties] == [(id, "holds") for id in CHECKS]
    assert found.counts == {
        "reads": 2,
        "writes": 2,
        "failed": 0,
        "notifications": 1,
        "undos": 1,
        "redos": 1,
        "bounces": 0,
        "cancelled": 0,
        "stranded": 0,
        "retracted": 0,
        "aborts": 0,
    }
    assert found.assumptions[A1] == {"assumed of agents": 2}
    assert found.assumptions[A2] == {"audited by the runtime": 4, "violations put back": 0, "changes by nobody": 0}
    assert found.assumptions[A3]["waived, replayed"] == 1
    assert sum(found.assumptions[A3].values()) == 1
    assert found.tokens == {"read": 100, "written": 7}
    assert (found.head, found.records, found.redacted, found.held) == (run.head, len(run.rows), (), ())
    assert found.seconds == run.records[-1].t


@pytest.mark.parametrize(
    ("verdict", "waiver", "counted"),
    [
        ("ignore", "mechanical", "waived, mechanical"),
        ("ignore", "trusted", "waived, trusted"),
        ("ignore", None, "waived, unexplained"),
        ("repair", None, "repaired"),
        ("retract", None, "retracted"),
    ],
)
def test_judgments_are_counted_by_how_they_are_known(
    good: Any, written: Written, verdict: str, waiver: str | None, counted: str
) -> None:
    good.of("judge").body |= {"verdict": verdict, "waiver": waiver}
    counts = certificate_of(written(good)).assumptions[A3]
    assert {name: count for name, count in counts.items() if count} == {counted: 1}


def test_a_notification_without_a_judgment_is_counted(good: Any, written: Written) -> None:
    good.drop(good.of("judge"))
    counts = certificate_of(written(good)).assumptions[A3]
    assert {name: count for name, count in counts.items() if count} == {"notifications without a judgment": 1}


def test_a_call_without_an_inverse_names_what_it_waited_for(script: Any, written: Written) -> None:
    s = script("mtpo", ["A", "B"], {"x": "0"})
    s.add("gate", 1, "1.0", waits_for=[0])
    s.plain("finish", 0)
    s.plain("commit", 0)
    s.write("1.0", {}, {"x": "1"}, invertible=False)
    s.plain("finish", 1)
    s.plain("commit", 1)
    s.close({"x": "1"})
    found = certificate_of(written(s))
    assert found.status == "holds" and found.held == (Held("1.0", "edit", (0,)),)


def test_violated_incomplete_naive_and_serial_runs_say_so(good: Any, script: Any, written: Written) -> None:
    good.of("read", "0.0").body["filtered"] = True
    assert certificate_of(written(good)).verdict.startswith(
        "notified-serializable in the order A < B: no (run.filtered-read: record 5 (read 0.0)"
    )
    good.of("read", "0.0").body["filtered"] = False
    del good.lines[-3:]
    cut = certificate_of(written(good))
    assert cut.status == "incomplete" and "not known (log.incomplete" in cut.verdict and "committed: A" in cut.verdict
    for mode, said in (
        ("naive", "serializable in some order (none is claimed): yes"),
        ("serial", "serial in the order A: yes"),
    ):
        s = script(mode, ["A"], {"x": "0"})
        s.plain("finish", 0)
        s.close({"x": "0"})
        found = certificate_of(written(s))
        assert found.verdict.startswith(said) and found.claimed == (mode == "serial")


def test_changes_by_nobody_and_dishonest_footprints_are_counted(script: Any, written: Written) -> None:
    s = script("mtpo", ["A"], {"x": "0", "y": "0"})
    s.fail("0.0", [], ["x"])
    s.of("failed").body["error"] = "edit: wrote outside its footprint: z [core.footprint-honest]"
    x = s.of("run-open").body["initial"]["x"]
    s.add("external", None, None, object="y", expected=x, found=attrs.evolve(x, text="theirs"))
    s.plain("finish", 0)
    s.plain("commit", 0)
    s.close({"x": "0", "y": "theirs"})
    found = certificate_of(written(s))
    assert found.assumptions[A2] == {"audited by the runtime": 1, "violations put back": 1, "changes by nobody": 1}
    assert "run.external" in found.verdict


def test_further_checks_are_listed_and_count(good: Any, written: Written) -> None:
    run = written(good)
    held = certify(run, check(run), extra=[Property("spec.replay", "Every record is a step of the spec.", "holds")])
    assert held.status == "holds" and held.properties[-1].id == "spec.replay"
    broken = certify(
        run, check(run), extra=[Property("spec.replay", "Every record is a step of the spec.", "violated")]
    )
    assert broken.status == "violated" and "no (spec.replay: the run: Every record is a step" in broken.verdict


def test_saved_and_loaded_it_is_the_same(good: Any, written: Written, tmp_path: Path) -> None:
    found = certificate_of(written(good))
    found.save(tmp_path / "c.json")
    assert RunCertificate.load(tmp_path / "c.json") == found
    assert json.loads((tmp_path / "c.json").read_text())["verdict"] == found.verdict


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not a run certificate"),
        ('{"format": "other"}', "not a run certificate"),
        ('{"format": "mtpo-run-certificate"}', "missing or unknown field"),
    ],
)
def test_what_is_no_certificate_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(CertificateError, match=said) as caught:
        RunCertificate.load(path)
    assert "\n" not in str(caught.value) and "c.json" in str(caught.value)


@pytest.mark.parametrize(("field", "value"), [("head", 7), ("properties", [{"id": 1}]), ("held", 5), ("order", None)])
def test_a_field_of_another_type_is_refused(
    good: Any, written: Written, tmp_path: Path, field: str, value: object
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(certificate_of(written(good)).as_json() | {field: value}))
    with pytest.raises(CertificateError, match="not of its type"):
        RunCertificate.load(path)


def test_files_that_can_not_be_read_or_written(good: Any, written: Written, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="No such file"):
        RunCertificate.load(tmp_path / "none.json")
    with pytest.raises(CertificateError, match="No such file"):
        certificate_of(written(good)).save(tmp_path / "none" / "c.json")


def test_a_log_matches_its_certificate_and_a_cut_tail_does_not(good: Any, written: Written) -> None:
    run = written(good)
    found = certificate_of(run)
    assert compare(run, found) == []
    with sqlite3.connect(run.path) as db:
        db.execute("DELETE FROM records WHERE seq = (SELECT max(seq) FROM records)")
    db.close()
    assert {p.property for p in compare(read_log(run.path), found)} == {"log.head"}


def test_a_cut_tail_behind_a_rewritten_end_does_not_match_either(good: Any, written: Written) -> None:
    """The attack that the chain alone can't see: a shorter run, closed and hashed anew."""
    found = certificate_of(written(good))
    good.drop(good.of("infer"))
    forged = written(good)
    assert check(forged).status == "holds"
    assert {p.property for p in compare(forged, found)} == {"log.head"}


def test_what_was_redacted_before_is_listed_with_the_records_that_name_it(good: Any, written: Written) -> None:
    run = written(good)
    digest = next(d for d, value in run.values.items() if value == b"thinking")
    redact(run.path, digest)
    dropped = read_log(run.path)
    found = certificate_of(dropped)
    named = next(r.seq for r in run.records if r.kind == "infer")
    assert found.redacted == (Redaction(digest, (named,)),) and found.status == "holds"
    assert [row.note for row in found.properties if row.id == "log.value"] == [
        "1 value redacted: the content is not checked"
    ]
    assert compare(dropped, found) == [] == compare(dropped, certificate_of(run))


def test_what_a_certificate_says_of_the_run_must_be_so(good: Any, written: Written) -> None:
    run = written(good)
    found = certificate_of(run)
    false = attrs.evolve(found, order=("B", "A"), tokens={"read": 1, "written": 7}, seconds=0.0)
    assert [(p.property, p.where) for p in compare(run, false)] == [
        ("certificate.content", "order"),
        ("certificate.content", "tokens"),
        ("certificate.content", "seconds"),
    ]
    assert compare(run, attrs.evolve(false, version="of another time")) == []


def test_what_the_verdict_rests_on_is_said_in_sentences(good: Any, script: Any, written: Written) -> None:
    one, two, three = certificate_of(written(good)).assumed()
    assert one == "A1 individual success: that each of 2 agents alone completes its task is assumed, not checked."
    assert "4 effects held against the declared writes; none went beyond; no change came from no tool." in two
    assert three.endswith("taken as right: waived as replayed: 1.")
    s = script("naive", ["A"], {"x": "0"})
    s.fail("0.0", [], ["x"])
    s.of("failed").body["error"] = "edit: wrote outside its footprint: z [core.footprint-honest]"
    s.plain("finish", 0)
    s.close({"x": "0"})
    (only,) = certificate_of(written(s)).assumed()
    assert "1 effect held against the declared writes; 1 went beyond it and was put back" in only


def test_a_verdict_that_the_checker_does_not_come_to_is_reported(good: Any, written: Written) -> None:
    run = written(good)
    found = certificate_of(run)
    false = attrs.evolve(found, properties=(Property(found.properties[0].id, "", "violated"), *found.properties[1:]))
    assert [p.property for p in compare(run, false)] == ["certificate.verdict"]
