"""Rows, their text, the page of a study, and jobs side by side."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from mtpo.schedulers.papers import page as pages
from mtpo.schedulers.papers.side import Job, run
from mtpo.schedulers.papers.table import Grid, Plot, Row, Series, Study, as_json, cells, figure, lines

HOSTILE = "<script>alert('$\\frac{')</script>&_"


def a_study(name: str = "sarathi:512") -> Study:
    return Study(
        "x",
        f"A title {name}",
        f"Someone, {name}",
        (("trace", name), ("rate", "4 /s")),
        (
            Row("P99 TTFT", name, 2.29, 2.4, "x"),
            Row("capacity", name, 20.0, 11.5, "%", note=name),
            Row("gap", name, None, 0.3, "s"),
        ),
        (Grid(f"Figures {name}", ("policy", name), ((name, "1"),), note=name),),
        (
            Plot(f"CDF {name}", name, "share", (Series(name, (1.0, 2.0), (0.1, 0.9)),), level=(0.5, name), log_x=True),
            Plot("bars", "", "x", (Series(name, ("a", name), (1.0, 2.0)), Series("_b", ("a",), (3.0,))), "bar"),
        ),
        (name,),
    )


def test_a_row_holds_when_ours_is_at_least_as_good() -> None:
    assert [row.holds for row in a_study().rows] == [True, False, None]
    assert Row("m", "s", 2.0, 1.5, less=True).holds and not Row("m", "s", 2.0, 2.5, less=True).holds
    assert Row("m", "s", None, 1.0, holds=True).holds
    assert Row("m", "s", 2.0, 3.0).ratio == 1.5 and Row("m", "s", None, 3.0).ratio is None
    assert not a_study().holds


def test_figures() -> None:
    shown = [figure(v, u) for v, u in ((2.294, "x"), (0.0312, "s"), (1234.4, ""), (20.04, "%"), (None, "s"), (3.0, ""))]
    assert shown == ["2.29x", "0.031 s", "1,234", "20.0 %", "-", "3"]
    assert figure(math.inf, "x") == "inf"
    assert cells(a_study().rows[1]) == ("capacity", "sarathi:512", "20.0 %", "11.5 %", "0.57", "NO", "sarathi:512")


def test_the_text_and_the_json_tell_everything() -> None:
    study = a_study()
    text = "\n".join(lines(study))
    for part in ("A title", "Someone", "4 /s", "Figures", "2.29x", "11.5 %", "NO"):
        assert part in text
    found = json.loads(json.dumps(as_json(study)))
    assert found["holds"] is False and found["settings"]["rate"] == "4 /s"
    assert found["rows"][0]["ratio"] == pytest.approx(2.4 / 2.29)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_stands_alone_and_escapes_what_it_is_given() -> None:
    pytest.importorskip("matplotlib")
    made = pages.page(a_study(HOSTILE))
    found = _Tags()
    found.feed(made)
    assert "script" not in found.tags and found.tags.count("svg") == 2
    assert found.text.count(HOSTILE) >= 10
    # Names of XML namespaces are no addresses: nothing is loaded.
    assert not re.search(r'(src|href)="(?!#)', made) and "@import" not in made
    assert "mathdefault" not in made and ">2</text>" in made, "the labels of a logarithmic axis are plain numbers"
    drawings = re.findall(r"<svg.*?</svg>", made, re.DOTALL)
    ids = [set(re.findall(r'\bid="([^"]+)"', one)) for one in drawings]
    assert ids[0] and not ids[0] & ids[1]
    for one, known in zip(drawings, ids, strict=True):
        ElementTree.fromstring(one)
        assert set(re.findall(r"url\(#([^)]+)\)", one)) <= known
    assert pages.page(a_study(HOSTILE)) == made


def test_without_matplotlib_there_are_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "can_plot", lambda: False)
    made = pages.page(a_study())
    assert "<svg" not in made and "matplotlib is not installed" in made and "2.29x" in made


def test_jobs_side_by_side_keep_their_order_and_their_errors() -> None:
    jobs = [Job(str(n), math.factorial, (n,)) for n in (5, 3, 4)]
    told: list[str] = []
    assert run(jobs, 2, told.append) == [120, 6, 24] == run(jobs, 1, told.append)
    assert told[0] == "0 of 3 done" and "now 4" in told[-1]
    with pytest.raises(ValueError, match="negative"):
        run([*jobs, Job("bad", math.factorial, (-1,))], 2, told.append)
