"""``mtpo coverage``: what logs exercise together, of each what it counts for, one line for what is no such log."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpo.proofs.replay.shrink import rechained
from mtpo_core.cli import main
from mtpo_core.logfile import read_log
from mtpo_core.loglines import export_jsonl

Mtpo = Callable[..., Any]

TAKEN = {"launch", "finish", "reopen", "deliver", "commit", "read", "call", "undone", "applied", "redone", "settle"}
"""What agents do that work on the same files and neither fail nor give up."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the logs of the built-in cases, and that of a naive run."""
    folder = tmp_path_factory.mktemp("suite")
    for case, mode in (("canary", "mtpo"), ("release", "mtpo"), ("canary", "naive")):
        log = folder / (f"{case}.log" if mode == "mtpo" else "naive.log")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["mtpo", "run", case, "--mode", mode, "--inference", "none", "--log", str(log)])
            with pytest.raises(SystemExit):
                main()
    return folder


def test_a_suite_of_the_built_in_cases_takes_the_actions_that_they_are_known_to_take(suite: Path, mtpo: Mtpo) -> None:
    said = mtpo("coverage", suite / "canary.log", suite / "release.log", "--json")
    assert (said.code, said.err) == (0, "")
    lines = {line["id"]: line for line in said.json["lines"]}
    actions = {id.removeprefix("mtpo."): line for id, line in lines.items() if line["kind"] == "action"}
    assert {id for id, line in actions.items() if line["logs"] == {"taken": 2}} == TAKEN
    assert {id for id, line in actions.items() if line["logs"] == {"taken": 0}} == actions.keys() - TAKEN
    assert actions["launch"]["steps"] == 5 and actions["commit"]["steps"] == 5
    assert [(log["log"], log["violated"]) for log in said.json["logs"]] == [
        (str(suite / "canary.log"), False),
        (str(suite / "release.log"), False),
    ]
    assert lines["mtpo.call.inbox-empty"]["logs"]["decisive"] and not lines["mtpo.call.gate"]["logs"]["false"]
    assert {"mtpo.gate met", "mtpo.foreign-untouched/0 met", "mtpo.reach-gated reached"} <= set(said.json["missing"])
    assert lines["mtpo.redo-told"]["logs"] == {"met": 2}


def test_people_are_told_what_no_log_exercises_and_with_all_of_each_clause_in_how_many(suite: Path, mtpo: Mtpo) -> None:
    said = mtpo("coverage", suite / "canary.log", suite / "release.log")
    assert said.code == 0
    assert "exercised  mtpo.launch                          5 steps in 2 of 2 logs, 2 of 2 conjuncts true" in said.out
    assert "\nNEVER      mtpo.abort                           0 steps, 3 of 4 conjuncts true and false" in said.out
    assert "\n  NEVER      mtpo.call.gate false: invertible(c) | " in said.out
    assert "\nvacuous    mtpo.gate, never true: ((live(c) & ~invertible(c)) & " in said.out
    assert "\nNEVER      mtpo.reach-gated reached: A call without an inverse takes effect.\n" in said.out
    *_, blank, last = lines = said.out.splitlines()
    assert lines[2:4] == [last, ""] and blank == "" and lines.count(last) == 2, "the sums are found at either end"
    count, wanted, none = map(int, re.fullmatch(r"(\d+) of (\d+) exercised, (\d+) in no log", last).groups())
    assert count + none == wanted and count > 250 and none > 50
    every = mtpo("coverage", suite / "canary.log", suite / "release.log", "--all").out
    assert "\n  mtpo.launch.new: true in 2, false in 2, decisive in 2 of 2 logs: ~launched(a)\n" in every
    assert "\nmtpo.gate: met in 0 of 2 logs: " in every
    assert every.splitlines()[2] == every.splitlines()[-1] == last
    assert "never alone in refusing a step in these logs: mtpo.abort.not-over/2, " in every


def test_a_long_formula_is_ended_and_all_of_it_is_with_all_and_for_machines(suite: Path, mtpo: Mtpo) -> None:
    log = suite / "canary.log"
    lines = mtpo("coverage", log).out.splitlines()
    whole = {line["id"]: line["what"] for line in mtpo("coverage", log, "--json").json["lines"]}
    ended = [line for line in lines if line.endswith(" ...")]
    assert max(map(len, lines)) <= 160 and len(ended) > 20
    every = mtpo("coverage", log, "--all").out.splitlines()
    for line in ended:
        id, _, shown = re.sub(", never true:| false:| change:", ":", line.split(maxsplit=1)[1]).partition(": ")
        shown = shown.removesuffix(" ...")
        assert whole[id].startswith(shown) and len(whole[id]) > len(shown) > 40
        assert any(one.strip().startswith(f"{id}: ") and one.endswith(whole[id]) for one in every)


def test_lines_of_json_are_the_same_log(suite: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    path = tmp_path / "canary.jsonl"
    path.write_text("".join(f"{line}\n" for line in export_jsonl(read_log(suite / "canary.log"))), encoding="utf-8")
    text, file = (mtpo("coverage", log, "--json").json for log in (path, suite / "canary.log"))
    assert text["lines"] == file["lines"]
    said = mtpo("coverage", suite / "canary.log", path)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"mtpo: {path}: is the log {suite / 'canary.log'} again: leave one of them out\n"


def test_of_a_longer_log_the_beginning_is_looked_at_and_that_is_said(suite: Path, mtpo: Mtpo) -> None:
    said = mtpo("coverage", suite / "canary.log", "--records", 20)
    assert said.code == 0 and said.out.splitlines()[0].endswith("records, clauses looked at in the first 20")
    assert mtpo("coverage", suite / "canary.log", "--records", 0).code == 2


def test_a_log_that_violates_something_counts_up_to_the_first_record_that_is_wrong(
    suite: Path, logs: Path, tmp_path: Path, mtpo: Mtpo
) -> None:
    run, wrong = read_log(logs / "run.mtpo"), tmp_path / "wrong.jsonl"
    records = [record for record in run.records if record.kind != "deliver"]
    place = next(k for k, record in enumerate(records) if record.kind == "finish" and record.agent == 1)
    wrong.write_text("".join(f"{line}\n" for line in export_jsonl(rechained(run, records))), encoding="utf-8")
    said = mtpo("coverage", suite / "canary.log", wrong)
    assert said.code == 1
    note = f"violates run.consumed-before-action, counted before record {place}: `mtpo verify {wrong}` tells why"
    assert said.out.splitlines()[1] == f"{wrong}: 13 steps in {place} records; {note}"
    data = mtpo("coverage", wrong, "--json")
    (log,) = data.json["logs"]
    assert (data.code, log["violated"], log["records"], log["steps"]) == (1, True, place, 13)


def test_what_is_no_run_of_the_spec_is_refused_in_one_line(suite: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    said = mtpo("coverage", suite / "canary.log", suite / "naive.log")
    assert (said.code, said.out) == (2, "")
    assert said.err == (f"mtpo: {suite / 'naive.log'}: the spec is that of mode mtpo, the run is naive: leave it out\n")
    broken = Path(shutil.copy(suite / "canary.log", tmp_path / "broken.log"))
    with sqlite3.connect(broken) as db:
        assert db.execute("DELETE FROM records WHERE seq = 7").rowcount == 1
    db.close()
    said = mtpo("coverage", broken)
    assert (said.code, said.out) == (1, "") and said.err.count("\n") == 1
    assert said.err.startswith(f"mtpo: {broken}: not replayed: the records are not those of a run (log.")
    said = mtpo("coverage", tmp_path / "none.log")
    assert (said.code, said.out) == (2, "") and said.err.startswith(f"mtpo: {tmp_path / 'none.log'}: no such file")
