"""Every finding has traces; each shows what it says, or is refused; pages load nothing, and name what they draw."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from xml.etree import ElementTree

import attrs
import pytest

from mtpo.proofs.findings import Finding, findings
from mtpo.proofs.findings.beside import NEVER_GROWS
from mtpo.proofs.findings.calls import NONE, X, act, script
from mtpo.proofs.findings.catalogue import TRACES, Charted, Shown
from mtpo.proofs.findings.chart import LEAST, Bar, Chart, Line, Row, chart_svg, ticks_of
from mtpo.proofs.findings.core import CoreRun, Player
from mtpo.proofs.findings.page import draw, heading, index_of, kinds, name_of, page_of
from mtpo.proofs.findings.protocol import LATE_BY_A_READ, REDO_THAT_READS, RESULT_NOT_TOLD, WRITES_OVER_WRITES
from mtpo.proofs.findings.repairs import HALF_A_REPAIR, SUCCESSOR_WAITED_FOR
from mtpo.proofs.findings.scripted import Holds, Refused, Script
from mtpo.proofs.findings.standing import Row as Standing
from mtpo.proofs.findings.standing import standing_of
from mtpo.proofs.findings.traces import Mutated, NotShown
from mtpo.proofs.ledger import Entry
from mtpo.proofs.pictures.picture import FORMULA
from mtpo.proofs.verdicts import element
from mtpo.spec.footprint import footprint
from mtpo.spec.language import show
from mtpo.spec.mtpo import Agent, mtpo
from mtpo_core.cli.specs import find_specs
from mtpo_core.view.shapes import Timeline

EVERY = [(id, name) for id, named in TRACES.items() for name in named]


def test_every_finding_has_traces_and_only_they():
    assert list(findings()) == sorted(TRACES, key=lambda id: int(id[1:])), (
        "add its trace to proofs/findings/catalogue.py"
    )
    assert all(TRACES.values()) and all(one.says.endswith(".") for id, name in EVERY for one in [TRACES[id][name]])


@pytest.mark.parametrize(("id", "name"), EVERY)
def test_a_trace_is_made_and_shows_something(id: str, name: str):
    shown = TRACES[id][name]
    drawn = draw(shown, name)
    if isinstance(shown, Charted):
        assert isinstance(drawn, Chart) and drawn.rows and any(row.bars for row in drawn.rows)
        assert all(0 <= bar.start <= bar.end <= drawn.end for row in drawn.rows for bar in row.bars)
        return
    assert isinstance(drawn, Timeline) and drawn.case == name and drawn.verdict.sentence == shown.says
    assert len(drawn.marks) >= 1 and all(mark.at <= drawn.end for mark in drawn.marks)
    if not isinstance(shown, CoreRun):
        run = shown.run()
        before = None if len(run.trace.states) < 2 else run.trace.states[-2]
        false = {p.id for p in run.trace.instance.violated(run.trace.states[-1])}
        if before is not None:
            false |= {p.id for p in run.trace.instance.violated_step(before, run.trace.states[-1])}
        variants = set(run.trace.instance.spec.variants)
        assert set(run.breaks) <= false | variants and bool(run.breaks) == (drawn.verdict.tone == "bad")
        assert run.breaks or run.told, "a run that breaks nothing says what is to be seen in it"
        assert drawn.states is not None and bool(drawn.states.false_in) == bool(run.breaks)


SMALL: list[Any] = [(0, "", "x"), (1, "", "x")]


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([("call", 1, {2}, X)], "step 3, .* refused by mtpo.call.members-live-above"),
        ([("finnish", 1)], "mtpo has no action finnish"),
        ([("finish",)], "finish has 1 parameters"),
        ([*act(2, X, (1,)), Holds({("live", 2): 0})], r"after step 5, live\(call2\) is true"),
        ([Refused.by(("finish", 0), "mtpo.finish.inbox-empty")], "refused by nothing, not by"),
        ([Refused.by(("applied", 1, (0,)), "mtpo.applied.ours")], "refused by .*its-turn.*, not by"),
    ],
)
def test_a_script_that_is_wrong_is_refused(steps: list[Any], why: str):
    with pytest.raises(NotShown, match=why):
        script("It is wrong.", SMALL, steps, objects="x").run()


def test_what_is_to_be_false_must_be_so_at_the_end_and_not_before():
    with pytest.raises(NotShown, match=r"at the end mtpo\.undo-enabled is not false"):
        attrs.evolve(WRITES_OVER_WRITES, steps=WRITES_OVER_WRITES.steps[:-1]).run()
    with pytest.raises(NotShown, match=r"at the end .*mtpo\.undo-enabled is false"):
        attrs.evolve(WRITES_OVER_WRITES, breaks=()).run()
    late = attrs.evolve(WRITES_OVER_WRITES, steps=(*WRITES_OVER_WRITES.steps, ("external", 0)))
    with pytest.raises(NotShown, match=r"after step 9, .*mtpo\.undo-enabled is false"):
        late.run()
    assert attrs.evolve(late, stays=1).run().stays == 1
    with pytest.raises(NotShown, match=r"after step 8, mtpo\.undo-enabled is not false"):
        attrs.evolve(late, stays=2).run()
    with pytest.raises(NotShown, match="refused by"):
        attrs.evolve(WRITES_OVER_WRITES, weaken=None).run()
    with pytest.raises(NotShown, match=r"its constants violate mtpo\.origin-first"):
        attrs.evolve(WRITES_OVER_WRITES, constants={**WRITES_OVER_WRITES.constants, "writes": [0] * 8}).run()


def test_a_search_that_finds_nothing_or_something_else_is_refused():
    with pytest.raises(NotShown, match=r"no mutant mtpo\.call\.seed"):
        attrs.evolve(RESULT_NOT_TOLD, rule="call.seed").run()
    with pytest.raises(NotShown, match="fails at redone, not at settle"):
        attrs.evolve(RESULT_NOT_TOLD, ends_with="settle").run()
    harmless = Mutated("Nothing.", mtpo, "read.not-the-origin", "mtpo.top-only-undo")
    with pytest.raises(NotShown, match=r"nothing was found that breaks mtpo\.top-only-undo without "):
        harmless.run()


def test_a_run_of_the_core_that_goes_otherwise_is_refused():
    def play(run: Player) -> None:
        run.call(0, "read_file", path="x", kind="bounced")

    with pytest.raises(NotShown, match="a0's read_file came to result"):
        CoreRun("It bounces.", 1, {"x": "0"}, play).run()
    with pytest.raises(NotShown, match=r"a0 is told of nothing, not of \['x'\]"):
        CoreRun("It is told.", 1, {"x": "0"}, lambda run: run.told(0, "x")).run()


def test_a_step_that_is_refused_stands_between_those_that_are_taken():
    line = draw(SUCCESSOR_WAITED_FOR, "t")
    assert isinstance(line, Timeline)
    (mark,) = (mark for mark in line.marks if mark.id.startswith("refused:"))
    assert (mark.kind, mark.lane, mark.at, mark.label) == ("bounce", 1, 12.5, "refused: deliver a1")
    assert line.marks[-1] is mark and line.end == 12.5
    assert line.states is not None and line.states.false_in == (11, 12)
    (broke,) = (one for one in line.marks if any(field.text == "the property is false" for field in one.fields))
    assert broke.label == "retract call3"
    assert "after step 12: refused: deliver(a=a1), by mtpo.deliver.settled" in line.verdict.reasons
    middle = draw(HALF_A_REPAIR, "t")
    assert isinstance(middle, Timeline) and middle.marks[-1].label == "deliver a1"


def test_a_run_of_the_core_counts_records_and_no_seconds():
    line = draw(TRACES["F8"]["a failure that is told"], "t")
    assert isinstance(line, Timeline) and (line.unit, line.facts, line.serial_end) == ("step", (), None)
    assert [mark.kind for mark in line.marks if mark.kind in ("failed", "told", "write")] == [
        "failed",
        "write",
        "told",
        "write",
    ]
    assert line.end == 25.0 and line.verdict.reasons[0].startswith("notified-serializable in the order a0 < a1: yes")


def test_what_a_run_without_a_mend_shows_is_not_told_as_good():
    tones = {id: [draw(one, "t").verdict.tone for one in TRACES[id].values()] for id in ("F26", "F29", "F31")}
    assert tones == {"F26": ["good", "warn"], "F29": ["bad", "good"], "F31": ["good", "bad"]}


# -- pages ---------------------------------------------------------------------------------------------------------


def self_contained(page: str) -> bool:
    """Whether a page loads nothing: no address in it but names of XML, and a policy that forbids the rest."""
    addresses = [found for found in re.findall(r"""\b(?:https?:)?//[\w.-]+\.[\w./-]+""", page) if "w3.org" not in found]
    loads = re.findall(r"<(?:link|img|iframe|script[^>]+src|object|embed)\b", page)
    return not addresses and not loads and "default-src 'none'" in page


@pytest.mark.parametrize("id", ["F3", "F8", "F18", "F20", "F25", "F29"])
def test_a_page_is_one_file_with_the_trace_the_mend_and_the_evidence(id: str):
    finding = findings()[id]
    rows = standing_of(finding, find_specs(None))
    page = page_of(finding, rows)
    assert self_contained(page) and page.count("</html>") == 1
    assert f"<title>{html.escape(heading(finding))}</title>" in page
    told = "What was found" if id in ("F3", "F18", "F20") else "The trace"
    assert page.count("<h2>The trace</h2>") + page.count("<h2>What was found</h2>") == 1
    for head in (told, "What mends it", "That the mend holds"):
        assert page.count(f"<h2>{head}</h2>") == 1
    assert [row.id for row in rows] == [row.id for row in rows if f'<td class="mono">{row.id}</td>' in page]
    lines = json.loads(found[1]) if (found := re.search(r'id="data">(.*?)</script>', page)) else {"timelines": []}
    shown = TRACES[id]
    charts = [name for name, one in shown.items() if isinstance(one, Charted)]
    assert len(lines["timelines"]) + len(charts) == len(shown) and page.count('<svg viewBox="0 0') == len(charts)
    assert ("<noscript>" in page) == bool(lines["timelines"])


@pytest.mark.parametrize(("id", "told"), [("F9", False), ("F16", False), ("F24", True), ("F37", True)])
def test_a_text_is_headed_as_a_trace_only_where_it_tells_one(id: str, told: bool):
    page = page_of(findings()[id], (), {"chart": Charted("", lambda: Chart("", "", ()))})
    assert ("<h2>The trace</h2>" in page) == told and ("<h2>What was found</h2>" in page) == (not told)


def test_a_change_from_outside_is_in_a_lane_of_no_agent():
    for shown in TRACES["F29"].values():
        line = draw(shown, "")
        assert isinstance(line, Timeline) and line.lanes_are == "Agents by rank"
        assert [lane.name for lane in line.lanes] == ["a0", "a1", "a2", "no agent"]
        assert [mark.label for mark in line.marks if mark.lane == 3] == ["external x"]


def test_a_picture_calls_things_by_the_names_of_the_text():
    """And no other: neither a lane, nor a step, nor what is false of which elements, nor what a state holds."""
    for shown in (WRITES_OVER_WRITES, REDO_THAT_READS, LATE_BY_A_READ, RESULT_NOT_TOLD):
        page = page_of(findings()["F1"], (), {"": shown})
        assert not re.findall(r"\b(?:agent|object)\d", page)
        line = draw(shown, "")
        assert isinstance(line, Timeline) and line.states is not None
        assert [lane.name for lane in line.lanes] == [f"a{rank}" for rank in range(len(line.lanes))]
        named = {row.name for row in line.states.rows}
        assert {f"top({one})" for one in shown.objects[:2]} & named
    late = draw(LATE_BY_A_READ, "")
    assert isinstance(late, Timeline) and any("source(call1, q) is call2" in reason for reason in late.verdict.reasons)
    assert element(Agent, 1) == "agent1", "elsewhere elements are called by their sort"


def test_long_formulas_are_laid_out_on_a_page_and_say_the_same():
    line = draw(NEVER_GROWS, "")
    assert isinstance(line, Timeline)
    start, end = line.verdict.reasons.index("  false:"), line.verdict.reasons.index("    for s = seat0")
    formula = line.verdict.reasons[start + 1 : end]
    assert len(formula) > 3 and max(map(len, formula)) <= FORMULA + 2
    flat = show(footprint.properties[NEVER_GROWS.breaks].formula)
    assert re.sub(r"\s", "", "".join(formula)) == re.sub(r"\s", "", flat)


def test_a_chart_on_a_narrow_page_is_scrolled_and_not_shrunk():
    markup = chart_svg(Chart("C", "seconds", (Row("r", (Bar(0.0, 1.0),)),)))
    scrolled = ElementTree.fromstring(markup).find("div[@style='overflow-x:auto']")
    (svg,) = [] if scrolled is None else list(scrolled)
    assert svg.attrib["width"] == "100%" and f"min-width:{LEAST}px" in svg.attrib["style"]


def test_hostile_text_is_text():
    hostile = "</script><img src=x onerror=alert(1)>"
    bad = Finding("F1", hostile, f"{hostile} `{hostile}` **{hostile}**\n\n- {hostile}\n\n**Mend**: {hostile}")
    chart = Chart(
        hostile, hostile, (Row(hostile, (Bar(0, 1, "bad", hostile),), note=hostile),), (("bad", hostile),), hostile
    )
    traces: dict[str, Shown] = {hostile: SUCCESSOR_WAITED_FOR, "chart": Charted(hostile, lambda: chart)}
    for shown in (traces, {"chart": traces["chart"]}):
        page = page_of(bad, [Standing(hostile, hostile, (hostile,))], shown)
        assert "<img" not in page and self_contained(page)
    assert "<img" not in index_of([bad])


def test_a_finding_without_a_trace_is_said_to_have_none():
    with pytest.raises(NotShown, match=r"F99 has no trace: proofs/findings/catalogue\.py"):
        page_of(Finding("F99", "None.", "None."), ())
    assert kinds(Finding("F99", "None.", "None.")) == ""


def test_the_index_names_every_finding_and_its_page():
    every = list(findings().values())
    page = index_of(every)
    assert self_contained(page)
    assert re.findall(r'href="([^"]+)">(\w+)</a>', page) == [(name_of(one), one.id) for one in every]
    assert kinds(findings()["F2"]) == "mutant, run of the core"


def test_the_text_is_cut_at_its_mend():
    for finding in findings().values():
        assert finding.trace and re.match(r"\*\*(No m|M)end\*\*", finding.mend), finding.id
        assert " ".join(f"{finding.trace} {finding.mend}".split()) == " ".join(finding.text.split())


# -- charts --------------------------------------------------------------------------------------------------------


def test_a_chart_is_drawn_to_scale():
    rows = (Row("one", (Bar(1.0, 3.0, "run", "a bar"),), (0.5, 4.0)), Row("two", note="a note"))
    chart = Chart("A & B", "s", rows, (("run", "runs"),), "a token", (Line(2.0, "here"),))
    markup = chart_svg(chart, "What it says")
    tree = ElementTree.fromstring(markup)
    (box,) = (one for one in tree.iter("rect") if one.find("title") is not None)
    left, width = float(box.get("x", "")), float(box.get("width", ""))
    (ticks,) = (
        one.get("d", "") for one in tree.iter("path") if one.get("stroke") == "var(--ink)" and one.get("stroke-opacity")
    )
    first, last = (float(at) for at in re.findall(r"M([\d.]+) ", ticks))
    assert last - first == pytest.approx(3.5 * width / 2, abs=0.1) and left - first == pytest.approx(width / 4, abs=0.1)
    texts = ["".join(one.itertext()) for one in tree.iter("text")]
    assert {"one", "two", "a note", "a bar", "here", "s"} <= set(texts)
    assert "A & B" in "".join(tree.itertext()) and "What it says" in markup


@pytest.mark.parametrize(("end", "expected"), [(1.0, 11), (0.15, 8), (7.4, 8), (100.0, 11), (15.06, 8), (3e-7, 7)])
def test_the_points_of_an_axis_are_round(end: float, expected: int):
    found = ticks_of(end)
    assert found[0] == 0 and found[-1] <= end * (1 + 1e-9) and len(found) == expected
    assert all(f"{at:g}" == f"{at:.3g}" for at in found)


# -- evidence ------------------------------------------------------------------------------------------------------


def test_what_a_finding_names_stands_as_the_ledger_has_it():
    ids = ("mtpo.one-way", "mtpo.call.gate", "recovery.ask.under_way:=", "run.gate")
    text = " ".join(f"`{id}`" for id in (*ids, "call.closed", "mtpo.nothing", "spec/mtpo.py"))
    sizes = [{"states": n, "depth": 1, "symmetry": False, "sizes": {"Agent": 2}} for n in (5, 700, 60)]
    killed = {"recovery.ask.under_way:=": ["recovery.fenced"]}
    mutated = {"mutants": 1, "killed": 1, "equivalent": {}, "killed_by": killed}
    entries = [
        Entry("mtpo.one-way", "exhaustive", "CHECKED", "", "others", {"instances": sizes}),
        Entry("recovery.mutants", "mutants", "CHECKED", "", "others", mutated),
    ]
    rows = {row.id: row.evidence for row in standing_of(Finding("F0", "", text), find_specs(None), entries)}
    assert tuple(rows) == ids
    changed = " (the sources have changed since)"
    largest = "700 states to depth 1, symmetry off (2 Agent)"
    assert rows["mtpo.one-way"] == (f"CHECKED every state and step of 3 instances, the largest of {largest}{changed}",)
    assert rows["recovery.ask.under_way:="] == (f"CHECKED caught by recovery.fenced{changed}",)
    (dropped,) = rows["mtpo.call.gate"]  # the clause; what is altered within it is told by its own id
    assert dropped.endswith(": not tried")
    assert rows["run.gate"] == ("asked of every log that `mtpo verify` judges",)


def test_a_run_is_made_anew_each_time():
    assert set() == NONE and isinstance(HALF_A_REPAIR, Script)
    one, other = HALF_A_REPAIR.run(), HALF_A_REPAIR.run()
    assert one.trace.states == other.trace.states and one.trace.instance is not other.trace.instance
