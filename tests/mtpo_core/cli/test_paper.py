"""The verb ``paper``: its page, its figures as JSON, and mistakes that end with one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.schedulers.papers import fairbatching

Mtpo = Callable[..., Any]
TRACE = ("--trace", "poisson:rate=3,n=30,prompt=300..900,output=10", "--jobs", "1")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    size = attrs.evolve(fairbatching.QUICK, requests=20, cluster=24, precision=0.9, rates=(1.0,))
    monkeypatch.setattr(fairbatching, "QUICK", size)


def test_text_and_page(mtpo: Mtpo, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = mtpo("paper", "fairbatching", "--quick", *TRACE, "--out", str(page))
    assert said.code in (0, 1)
    assert said.err == "mtpo paper fairbatching: about a minute\n"
    assert "Claims" in said.out and "P99 TTFT, times lower" in said.out and f"page: {page}" in said.out
    assert "2.29x" in page.read_text() and "arXiv 2510.14392" in said.out
    assert (said.code == 0) == ("  NO  " not in said.out)


def test_as_json(mtpo: Mtpo) -> None:
    said = mtpo("paper", "fairbatching", "--quick", *TRACE, "--json")
    rows = said.json["rows"]
    assert said.json["name"] == "fairbatching" and {row["paper"] for row in rows} - {None} == {2.29, 20.0, 54.3}
    assert said.code == (0 if said.json["holds"] else 1)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("nonesuch",), "unknown paper 'nonesuch'; known: fairbatching, concur, conserve"),
        (("fairbatching", "--trace", "missing.csv"), "missing.csv: No such file or directory"),
        (("fairbatching", "--trace", "poisson:cv=1"), "'cv=1' is not one of rate, n"),
        (("fairbatching", "--trace", "poisson:n=3"), "poisson:n=3: holds only 3 requests; 20 are needed"),
        (("fairbatching", "--trace", "x.csv", "--format", "csv"), "unknown format 'csv'"),
        (("fairbatching", "--out", "nowhere/page.html"), "its folder does not exist"),
        (("fairbatching", "--out", "."), "is a folder"),
    ],
)
def test_a_mistake_is_one_line(mtpo: Mtpo, arguments: tuple[str, ...], why: str) -> None:
    said = mtpo("paper", *arguments)
    assert said.code == 2 and said.out == ""
    (line,) = [line for line in said.err.splitlines() if line.startswith("mtpo: ")]
    assert why in line


def test_the_trace_is_not_overwritten_by_the_page(mtpo: Mtpo, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("TIMESTAMP")
    said = mtpo("paper", "fairbatching", "--trace", trace, "--out", tmp_path / "." / ".." / tmp_path.name / trace.name)
    assert said.code == 2 and "is what is read; it is not overwritten" in said.err and trace.read_text() == "TIMESTAMP"
