"""Rows, their text, the page of a study, and jobs side by side."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import attrs
import pytest

from mtpo.schedulers.papers import page as pages
from mtpo.schedulers.papers.coincide import Place, places
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


def curves(*ys: tuple[float, ...], **more: bool) -> Plot:
    found = (Series(f"s{at}", tuple(float(x) for x in range(1, len(y) + 1)), y) for at, y in enumerate(ys))
    return Plot("curves", "x", "y", tuple(found), **more)  # type: ignore[arg-type]


def test_curves_that_run_one_on_another_all_have_a_place() -> None:
    low, high, near = (0.0, 1.0, 2.0, 3.0), (0.0, 4.0, 8.0, 9.0), (0.0, 1.01, 2.0, 3.6)
    alone, first = Place(0, 1, 0, True), Place(0, 3, 0, True)
    assert places(curves(low, high)) == [alone, attrs.evolve(alone, first=1)]
    assert places(curves(low, high, low, near)) == [
        first,
        attrs.evolve(alone, first=1),
        Place(1, 3, 0, True),
        Place(2, 3, 0, False),
    ]
    assert places(curves(low, low[:1])) == [alone, attrs.evolve(alone, first=1)], "one point of four is not the curve"
    tens, more = (1.0, 10.0, 100.0, 1000.0), (1.5, 15.0, 150.0, 1001.0)
    assert [one.of for one in places(curves(tens, more))] == [2, 2], "near zero all is near"
    assert [one.of for one in places(curves(tens, more, log_y=True))] == [1, 1]
    assert [one.of for one in places(curves((), ()))] == [1, 1], "what is not drawn hides nothing"


def test_a_curve_on_another_is_dashed_and_said_to_be() -> None:
    rising, same, other = (0.0, 1.0, 2.0), (0.0, 1.0, 2.0), (2.0, 1.0, 0.0)
    drawn = pages.svg(curves(rising, other, same), "0")
    assert drawn.count("stroke-dasharray") == 2, "the curve and its line in the legend"
    assert "(as s0)" in drawn
    assert "stroke-dasharray" not in pages.svg(curves(rising, other), "0")


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
