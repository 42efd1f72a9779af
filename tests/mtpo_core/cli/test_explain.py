"""The verbs ``explain`` and ``certificate``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mtpo.proofs.evidence as evidence
from mtpo_core.cli.specs import BUILT_IN

Mtpo = Callable[..., Any]


def test_an_id_is_explained(mtpo: Mtpo) -> None:
    said = mtpo("explain", "mtpo.call.gate")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("mtpo.call.gate   guard clause   spec/mtpo/")
    assert "caught by mtpo." in said.out
    said = mtpo("explain", "mtpo.one-way", "--json")
    assert said.json["kind"] == "step"
    assert {e["status"] for e in said.json["evidence"]} == {"PROVED", "CHECKED"}
    said = mtpo("explain", "mtpo.zzz")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("mtpo: unknown id 'mtpo.zzz'; close ones: mtpo.")


def test_the_rules_of_the_papers_and_their_clauses(mtpo: Mtpo) -> None:
    said = mtpo("explain", "--rules", "concur")
    assert (said.code, said.err) == (0, "")
    assert "concur:law                   W grows by alpha if U < U_low" in said.out
    assert "  carried by     concur.grow, concur.cut, concur.hold," in said.out
    assert "concur.first-come-first-served         concur:resume, concur:liveness" in said.out.splitlines()
    said = mtpo("explain", "--rules", "mtpo:individual-success")
    assert "  by no clause   Assumed of the agents" in said.out
    assert "and back" not in said.out
    said = mtpo("explain", "--rules", "--json")
    assert {rule["id"].partition(":")[0] for rule in said.json["rules"]} == set(BUILT_IN)
    assert said.json["clauses"]["mtpo.gate"] == ["mtpo:gate"]
    assert all(said.json["clauses"].values())
    assert "  for mtpo:gate (SCCP 3, non-invertible; ours, F3)" in mtpo("explain", "mtpo.call.gate").out
    for wrong in (["--rules", "raft"], ["--json"]):
        said = mtpo("explain", *wrong)
        assert (said.code, said.out) == (2, "")
        assert said.err.count("\n") == 1


def test_the_certificate_of_the_installed_sources(mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    said = mtpo("certificate")
    assert (said.code, said.err) == (0, "")
    assert "properties have evidence, 0 pieces of it are for other sources" in said.out
    monkeypatch.setattr(evidence, "stale", lambda entries: [e for e in entries if e.property == "kv.conservation"])
    said = mtpo("certificate")
    assert said.code == 1
    assert "CHANGED SINCE" in said.out
    said = mtpo("certificate", "--json")
    assert said.code == 1
    assert [c.split()[0] for c in said.json["changed"]] == ["kv.conservation"] * 2


def test_the_story_of_a_call_of_a_run(mtpo: Mtpo, logs: Path) -> None:
    said = mtpo("explain", "0.0", "--log", logs / "run.mtpo")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("call 0.0 by ")
    assert "allowed by mtpo." in said.out
    assert mtpo("explain", "0.0", "--log", logs / "run.mtpo", "--json").json["call"] == "0.0"
    said = mtpo("explain", "99.0", "--log", logs / "run.mtpo")
    assert (said.code, said.out) == (2, "")
    assert "no call '99.0' in this log; its calls: " in said.err


def test_a_check_of_logs_is_explained(mtpo: Mtpo) -> None:
    said = mtpo("explain", "run.gate")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[1] == "  A call without an inverse runs after every lower rank has committed."
    assert mtpo("explain", "log.chain", "--json").json["kind"] == "check of a log"


def test_the_name_of_a_spec_is_no_id(mtpo: Mtpo) -> None:
    said = mtpo("explain", "names")
    assert (said.code, said.out) == (2, "")
    assert said.err == "mtpo: names is a spec: `mtpo explain --rules names` lists its actions and properties\n"
