"""How a logged run of a known case ended, from its log: as the files that it left, and right or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.spec.records import Record
from mtpo_core.cli.outcomes import files_of, right_of
from mtpo_core.driver import Outcome, run_scenario
from mtpo_core.log import LoggedRun, read_log, redact
from mtpo_core.machine import Policy
from mtpo_core.scenarios import SCENARIOS
from mtpo_core.view.gather import gather

Mtpo = Callable[..., Any]
Ran = Mapping[tuple[str, str], Outcome]
KINDS: dict[str, dict[str, Any]] = {
    "serial": {"mode": "serial"},
    "naive": {"mode": "naive"},
    "mtpo": {"mode": "mtpo"},
    "cancel": {"mode": "mtpo", "policy": Policy.CANCEL},
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Every case in every mode, and with either policy."""
    found = {}
    for name, scenario in SCENARIOS.items():
        for kind, how in KINDS.items():
            folder = tmp_path_factory.mktemp("run")
            found[name, kind] = asyncio.run(
                run_scenario(scenario, directory=folder / "repo", log=folder / "run.mtpo", **how)
            )
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_log_has_the_files_that_the_run_left_and_those_that_it_committed(ran: Ran, name: str, kind: str) -> None:
    run = read_log(ran[name, kind].log)
    assert files_of(gather(run.records), run.values) == ran[name, kind].files


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_naive_run_ended_wrong_and_the_others_right(ran: Ran, name: str, kind: str) -> None:
    assert right_of(read_log(ran[name, kind].log)) is (kind != "naive")


def changed(run: LoggedRun, change: Callable[[Record], Record | None]) -> LoggedRun:
    return attrs.evolve(run, records=tuple(r for r in map(change, run.records) if r is not None))


def of(kind: str, **body: Any) -> Callable[[Record], Record]:
    return lambda r: attrs.evolve(r, body={**r.body, **body}) if r.kind == kind else r


def test_a_run_that_left_a_file_or_a_commit_out_ended_wrong(ran: Ran) -> None:
    run = read_log(ran["canary", "mtpo"].log)
    final = dict(run.records[-1].body["final"])
    assert right_of(changed(run, of("close", final=final))) is True
    del final["deploy/canary.yaml"]
    assert right_of(changed(run, of("close", final=final))) is False
    commit = next(r.call for r in run.records if r.body.get("tool") == "git_commit")
    assert right_of(changed(run, lambda r: None if r.call == commit else r)) is False


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (of("run-open", scenario="mine"), "it is of no case of `mtpo run`"),
        (of("run-open", initial={}), "it does not begin with the files of canary"),
        (of("launch", name="X"), "its agents are not those of canary"),
        (of("close", outcome="halted"), "the run did not come to its end"),
        (of("call", args="0" * 64), "committed is not all in the log"),
        (of("call", tool="git_push"), ", git_push, moved a branch"),
        (lambda r: None, "it is of no case of `mtpo run`"),
    ],
)
def test_where_it_can_not_be_said_how_a_run_ended_the_reason_is(
    ran: Ran, change: Callable[[Record], Record | None], why: str
) -> None:
    said = right_of(changed(read_log(ran["canary", "naive"].log), change))
    assert isinstance(said, str) and why in said


def test_a_page_says_how_the_run_ended_or_why_that_is_not_known(ran: Ran, tmp_path: Path, mtpo: Mtpo) -> None:
    page, log = tmp_path / "page.html", ran["release", "serial"].log
    for kind, state in (("mtpo", "right"), ("naive", "wrong")):
        said = mtpo("view", ran["canary", kind].log, "-o", page)
        assert (said.code, said.out, said.err) == (0, f"page: {page}\n", "")
        assert f'"Final state","value":"{state}"' in page.read_text()
    run = read_log(log)
    status = next(digest for digest, value in run.values.items() if value == b"unknown\n")
    redact(log, status)
    said = mtpo("view", log, "-o", page)
    assert said.out.splitlines()[1] == (
        f"final state of {log} not checked: STATUS.md is redacted in the log; `mtpo verify` judges the run by its log"
    )
    assert "final state not checked: STATUS.md is redacted in the log" in page.read_text()
