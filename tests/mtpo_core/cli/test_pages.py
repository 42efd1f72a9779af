"""Pages of several runs: each has a name of its own, and what is violated is said once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpo.proofs.replay.shrink import rechained
from mtpo_core.cli.pages import page_of, verdict_of
from mtpo_core.log import read_log

Mtpo = Callable[..., Any]


def data(page: str) -> Any:
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def timelines(page: str) -> Any:
    return data(page)["timelines"]


def certificate(page: str) -> Any:
    return data(page)["certificate"]


@pytest.fixture
def two(tmp_path: Path, mtpo: Mtpo) -> list[Path]:
    """Two runs of one case and mode, one of each policy."""
    paths = [tmp_path / f"{policy}.log" for policy in ("cancel", "replay")]
    for path in paths:
        assert mtpo("run", "release", "--policy", path.stem, "--log", path).code == 0
    return paths


def names(logs: list[Path]) -> list[str]:
    return [line["mode"] for line in timelines(page_of([read_log(path) for path in logs]))]


def test_runs_of_one_mode_are_told_apart_by_their_policies(two: list[Path], tmp_path: Path, mtpo: Mtpo) -> None:
    assert mtpo("view", *two, "-o", tmp_path / "two.html").code == 0
    shown = timelines((tmp_path / "two.html").read_text())
    assert [line["mode"] for line in shown] == ["MTPO, cancel", "MTPO, replay"]
    assert names(two[:1]) == ["MTPO"]


def test_runs_of_one_policy_are_told_apart_by_their_files(two: list[Path], tmp_path: Path) -> None:
    again, elsewhere = tmp_path / "again.log", tmp_path / "b" / "cancel.log"
    elsewhere.parent.mkdir()
    for path in (again, elsewhere):
        path.write_bytes(two[0].read_bytes())
    assert names([two[0], again]) == ["MTPO, cancel.log", "MTPO, again.log"]
    assert names([*two, again]) == ["MTPO, cancel, cancel.log", "MTPO, replay", "MTPO, cancel, again.log"]
    assert names([two[0], elsewhere]) == [f"MTPO, {two[0]}", f"MTPO, {elsewhere}"]
    assert names([two[0], two[0]]) == ["MTPO, cancel.log (1)", "MTPO, cancel.log (2)"]


def test_the_certificate_on_a_page_is_that_of_the_worst_run_and_names_it(two: list[Path]) -> None:
    cancel, replay = map(read_log, two)
    broken = rechained(replay, [r for r in replay.records if r.kind != "notify"])
    for runs in ([cancel, broken], [broken, cancel]):
        shown = certificate(page_of(runs))
        assert shown["of"] == "MTPO, replay" and ": no (run." in shown["verdict"]
    assert certificate(page_of([cancel, replay]))["of"] == "MTPO, cancel"
    assert certificate(page_of([broken]))["of"] == ""
    given = certificate(page_of([cancel, broken], None, verdict_of(cancel)[1]))
    assert given["of"] == "MTPO, cancel" and ": yes (" in given["verdict"]


def test_a_violation_is_told_once_on_a_page(logs: Path) -> None:
    whole = read_log(logs / "run.mtpo")
    broken = rechained(whole, [r for r in whole.records if r.kind != "notify"])
    [shown] = timelines(page_of([broken]))
    verdict = shown["verdict"]
    assert verdict["tone"] == "bad" and "no (run.consumed-before-action: record " in verdict["sentence"]
    assert verdict["reasons"] and not [one for one in verdict["reasons"] if one in verdict["sentence"]]
