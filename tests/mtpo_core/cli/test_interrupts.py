"""Ctrl-C: one line that says where the work was, exit code 3, and what was shown up to there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

import mtpo.proofs.exploration.explore as exploring
import mtpo.proofs.mutants.mutate as mutating
import mtpo_core.cli
from mtpo.proofs.induction.prover import Prover
from mtpo_core.cli.common import progress, verb
from mtpo_core.log import read_log

Mtpo = Callable[..., Any]


def test_an_interrupted_exploration_says_where_it_was(mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, progress: Callable[[int, int], None], **kwargs: object) -> None:
        progress(1_234, 56)
        raise KeyboardInterrupt

    monkeypatch.setattr(exploring, "explore", stop)
    said = mtpo("explore", "kv", "--json")
    assert (said.code, said.out) == (3, "")
    assert said.err == (
        "mtpo: interrupted while exploring kv: 1,234 states, 56 to go on this level; nothing is concluded\n"
    )


def test_an_interrupted_proof_tells_what_it_has_shown(
    mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch, lock_path: Path
) -> None:
    own, asked = Prover.discharge, [0]

    def discharge(self: Prover, obligation: Any) -> Any:
        asked[0] += 1
        if asked[0] == 5:
            raise KeyboardInterrupt
        return own(self, obligation)

    monkeypatch.setattr(Prover, "discharge", discharge)
    said = mtpo("prove", lock_path, "--jobs", "0", "--json")
    assert said.code == 3
    fates = {v["property"]: v["status"] for v in said.json["verdicts"]}
    assert "UNKNOWN" in fates.values()
    assert {v["why"] for v in said.json["verdicts"] if v["status"] == "UNKNOWN"} & {
        "interrupted after 4 of 6 obligations"
    }


def test_an_interrupted_search_for_mutants_tells_of_those_tried(mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    own, tried = mutating.try_mutant, [0]

    def try_mutant(*args: Any, **kwargs: Any) -> Any:
        tried[0] += 1
        if tried[0] == 2:
            raise KeyboardInterrupt
        return own(*args, **kwargs)

    monkeypatch.setattr(mutating, "try_mutant", try_mutant)
    monkeypatch.setattr(mutating, "processes", lambda: 0)
    said = mtpo("mutate", "kv", "--only", "kv.evict")
    assert said.code == 3
    first, blank, last, held = said.out.splitlines()
    assert held.startswith("that kv itself holds is in the ledger")
    assert first.startswith("equivalent kv.evict.published ") and blank == ""
    assert last.startswith("interrupted after 1 of ")
    total = last.split()[4]
    assert last.endswith(f": {total} mutants, 0 killed, 0 survived, 1 equivalent, {int(total) - 1} unknown")
    tried[0] = 0
    said = mtpo("mutate", "kv", "--only", "kv.evict", "--json")
    assert (said.code, [m["unknown"] is None for m in said.json["mutants"]]) == (3, [True] + [False] * (int(total) - 1))


def test_an_interrupt_before_the_first_mutant_concludes_nothing(mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(mutating, "broken_by", stop)
    monkeypatch.setattr(mutating, "processes", lambda: 0)
    said = mtpo("mutate", "kv", "--only", "kv.evict.leaf", "--size", 2)
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("mtpo: interrupted while trying mutants of kv: 0 of ")
    assert said.err.endswith("first whether the spec itself holds: evict; nothing is concluded\n")


def test_an_interrupted_exploration_says_what_is_saved(
    mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(*args: object, progress: Callable[[int, int], None], **kwargs: object) -> None:
        progress(7, 3)
        raise KeyboardInterrupt

    monkeypatch.setattr(exploring, "explore", stop)
    said = mtpo("explore", "kv", "--engine", "numpy", "--checkpoint", tmp_path)
    assert said.code == 3
    assert said.err.endswith(
        "exploring kv: 7 states, 3 to go on this level (nothing saved yet); nothing is concluded\n"
    )


def test_nothing_to_resume_is_said_at_once(mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(exploring, "explore", None)  # not even begun
    said = mtpo("explore", "kv", "--engine", "numpy", "--checkpoint", tmp_path, "--resume")
    assert (said.code, said.out) == (2, "")
    assert "holds no checkpoint to resume; leave out --resume to begin" in said.err


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("", "mtpo: interrupted; nothing is concluded\n"),
        (" counting \n  to ten\n", "mtpo: interrupted while counting; to ten; nothing is concluded\n"),
    ],
)
def test_an_interrupted_verb_says_so_in_one_line(at: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    @verb
    def stopped() -> None:
        raise KeyboardInterrupt(at)

    with pytest.raises(typer.Exit) as ended:
        stopped()
    assert (ended.value.exit_code, *capsys.readouterr()) == (3, "", said)


@pytest.mark.parametrize("quiet", [False, True])
def test_an_interrupt_says_what_was_told_last(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    def count(*told: str) -> None:
        with progress("counting", quiet) as tell:
            for text in told:
                tell(text)
            raise KeyboardInterrupt

    for told, at in (((), "counting"), (("1 of 9", "2 of 9"), "counting: 2 of 9")):
        with pytest.raises(KeyboardInterrupt) as stopped:
            count(*told)
        assert str(stopped.value) == at
    assert capsys.readouterr() == ("", "")


def test_an_interrupt_before_a_verb_begins_is_one_line_too(mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mtpo_core.cli, "_run", stop)
    said = mtpo("explore", "kv")
    assert (said.code, said.out, said.err) == (3, "", "mtpo: interrupted; nothing is concluded\n")


def test_an_interrupt_that_no_verb_has_heard_is_one_line_too(mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the command line and the verb it is typer that hears it."""
    import mtpo_core.cli.explore as module

    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "explore_command", stop)
    said = mtpo("explore")
    assert (said.code, said.out, said.err) == (3, "", "mtpo: interrupted; nothing is concluded\n")


GIT = """#!/bin/sh
case " $* " in *" {command} "*) mkdir "{mark}" 2> /dev/null && {{ {then}; }} ;; esac
exec "{git}" "$@"
"""
"""A git to which something happens once."""

CTRL_C = "kill -s INT -- -$PPID"
"""Whoever is in the process group of the one who called it is interrupted, as by Ctrl-C."""

FAILS = "echo fatal: out of luck >&2; exit 128"
TAKEN_BACK = "log -1"
"""What git is asked only where a commit is taken back: whose it is."""


def with_git(
    tmp_path: Path, command: str, then: str, *args: str, first: str = "pass"
) -> subprocess.CompletedProcess[str]:
    """``mtpo`` with a git to which that happens at its first ``command``."""
    mark, folder = tmp_path / "happened", tmp_path / "bin"
    for each in (folder, tmp_path / "temporary"):
        each.mkdir()
    (folder / "git").write_text(GIT.format(command=command, mark=mark, then=then, git=shutil.which("git")))
    (folder / "git").chmod(0o755)
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # background jobs do not
    done = subprocess.run(
        [sys.executable, "-c", f"{listening}; {first}; from mtpo_core.cli import main; main()", *args],
        env=os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
    )
    assert mark.is_dir(), "git was called so"
    assert not any((tmp_path / "temporary").iterdir()), "nothing is left behind"
    return done


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("command", ["update-index", "commit-tree", "rev-parse", TAKEN_BACK])
def test_an_interrupt_while_git_runs_is_for_the_program_alone(tmp_path: Path, command: str, times: int) -> None:
    """In a terminal the whole process group gets it; git ends what it has begun, so that no call fails half way. Who is
    impatient and interrupts again changes nothing."""
    log = tmp_path / "run.mtpo"
    done = with_git(tmp_path, command, "; sleep 0.01; ".join([CTRL_C] * times), "run", "release", "--log", str(log))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1), done.stderr
    assert done.stderr.startswith("mtpo: interrupted while release, mtpo")
    assert "halted" not in done.stderr
    if log.exists():  # else it was before the run began
        last = read_log(log).records[-1]
        assert (last.kind, last.body["error"]) == ("close", "closed before every agent had committed")


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_failing_inverse_is_one_line_and_the_log_has_its_end(tmp_path: Path, interrupted: bool) -> None:
    log = tmp_path / "run.mtpo"
    then = f"{CTRL_C}; {CTRL_C}; {FAILS}" if interrupted else FAILS
    done = with_git(tmp_path, TAKEN_BACK, then, "run", "release", "--log", str(log))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1), done.stderr
    last = read_log(log).records[-1]
    assert last.kind == "close" and last.body["outcome"] == "halted"
    why = last.body["error"]
    assert why.startswith("core.inverse-runs: ") and "fatal: out of luck" in why
    if interrupted:
        assert done.stderr.startswith("mtpo: interrupted while release, mtpo")
        assert done.stderr.endswith(f"; {why}; nothing is concluded\n")
    else:
        assert done.stderr == f"mtpo: the run halted: {why}; its log says how far it came\n"


def test_interrupts_while_modes_take_turns_leave_every_log_with_its_end(tmp_path: Path) -> None:
    unproven = "import mtpo_core.cli.demo; mtpo_core.cli.demo._check_spec = lambda say: {}"
    then, runs = f"{CTRL_C}; {CTRL_C}; {CTRL_C}", tmp_path / "runs"
    done = with_git(tmp_path, TAKEN_BACK, then, "demo", "--inference", "none", "--output", str(runs), first=unproven)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr
    assert re.match("mtpo: interrupted while (canary|release): round 1, (serial|naive|mtpo): ", done.stderr)
    logs = [log for log in runs.rglob("*.mtpo") if log.parent.name == "round-1"]
    assert len(logs) in (3, 6)
    assert all(read_log(log).records[-1].kind == "close" for log in logs)
