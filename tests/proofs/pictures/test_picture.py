"""Why a formula is false, and the picture of that: lanes, arrows, states; hostile names do nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import every_instance, mtpo_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.pictures.picture import Case, page_of, reasons_of, timeline_of, write_picture
from mtpo.proofs.pictures.shown import pictures_of
from mtpo.proofs.pictures.why import why_false
from mtpo.proofs.verdicts import Trace
from mtpo.spec.concrete import Instance, evaluate
from mtpo.spec.language import Bool, Sort, Spec, forall, require
from mtpo.spec.mtpo import mtpo
from mtpo_core.view import ViewError

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e"


def run_to(spec: Spec, instance: Instance, initial: Any) -> Trace:
    found = next(v for v in explore(instance, initial, limit=60_000).verdicts if v.trace is not None)
    assert found.trace is not None
    return found.trace


@pytest.fixture(scope="module")
def untold() -> Case:
    """MTPO without the clause that has readers told: a shortest run to a premise that is old and not noted."""
    settle = mtpo.actions["settle"]
    kept = tuple(u for u in settle.updates if u.variable.name != "note")
    changed = type(settle)(settle.name, settle.doc, settle.params, settle.guard, kept, settle.at)
    spec = mtpo.without(
        actions={**mtpo.actions, "settle": changed},
        properties={id: p for id, p in mtpo.properties.items() if id == "mtpo.premise-fresh-or-notified"},
    )
    instance, initial = mtpo_instance(2, 1, 1, spec=spec)
    return Case(run_to(spec, instance, initial), "mtpo.premise-fresh-or-notified")


def test_a_false_conjunct_comes_with_the_elements_and_the_facts(untold: Case) -> None:
    (reason,) = reasons_of(untold.trace, untold.property)
    assert [(f.text, f.value) for f in reason.where] == [("p", "call2"), ("o", "object0")]
    facts = {f.text: f.value for f in reason.facts}
    assert facts["sighted(call2)"] == "true" and facts["note(call2)"] == "false"
    assert facts["saw(call2, object0)"] != facts["value(source(call2, object0), object0)"]
    assert reason.lines()[0].startswith("false: forall p: Call, o: Object. ")
    instance, last = untold.trace.instance, untold.trace.states[-1]
    named = {instance.row(last, place)[0] for primed, place in reason.reads if not primed}
    assert {"sighted", "note", "saw", "source", "value", "holder"} <= named


def test_nothing_is_said_of_what_holds(untold: Case) -> None:
    assert reasons_of(untold.trace, "mtpo.repair-ends") == []
    first = Trace(untold.trace.instance, untold.trace.states[:1], ())
    assert reasons_of(first, untold.property) == []


def test_steps_are_in_the_lanes_of_who_takes_them(untold: Case) -> None:
    line = timeline_of(untold)
    assert [lane.name for lane in line.lanes] == ["agent0", "agent1"]
    assert line.lanes_are == "" and line.unit == "step"
    by = {mark.label: (mark.lane, mark.kind) for mark in line.marks}
    assert by["read call2"] == (1, "read")
    assert by["applied call1"] == (0, "write")
    assert by["settle call1"] == (0, "step")  # who opened the repair closes it
    assert [mark.at for mark in line.marks] == [float(n + 1) for n in range(len(untold.trace.steps))]


def test_the_table_has_every_change_and_what_the_false_formula_reads(untold: Case) -> None:
    line, trace = timeline_of(untold), untold.trace
    table = line.states
    assert table is not None
    assert table.columns[0] == "first state" and len(table.columns) == len(trace.states)
    assert table.false_in == (len(trace.steps),)
    rows = {row.name: row for row in table.rows}
    changed = {(row.name, n) for row in table.rows for n in row.changed}
    wanted = set()
    for n, (old, new) in enumerate(zip(trace.states, trace.states[1:], strict=False), 1):
        for place in (p for p in range(len(old)) if old[p] != new[p]):
            name, args = trace.instance.row(new, place)
            sorts = mtpo.variables[name].domain
            inner = ", ".join(f"{sort.__name__.lower()}{arg}" for sort, arg in zip(sorts, args, strict=True))
            wanted.add((f"{name}({inner})" if inner else name, n))
    assert changed == wanted
    assert rows["note(call2)"].read == (len(trace.steps),) and not rows["note(call2)"].changed
    assert {row.name for row in table.constants} == set(mtpo.constants)


def test_who_is_told_is_at_the_end_of_an_arrow() -> None:
    spec = mtpo.without(properties={})
    spec.reachable("mtpo.told")(lambda: mtpo.properties["mtpo.reach-stale-reader"].formula)
    spec.invariant("mtpo.nobody-told")(lambda: ~mtpo.properties["mtpo.reach-stale-reader"].formula)
    instance, initial = mtpo_instance(2, 1, 1, spec=spec)
    line = timeline_of(Case(run_to(spec, instance, initial), "mtpo.nobody-told"))
    (arrow,) = (one for one in line.arrows if one.kind == "notify")
    assert (arrow.source_lane, arrow.target_lane, arrow.label) == (0, 1, "note(call2)")
    assert arrow.source == f"step:{len(line.marks)}"


def test_a_counterexample_to_induction_is_one_step(broken_lock: Spec) -> None:
    cases = pictures_of(prove(broken_lock))
    line = timeline_of(cases[0])
    assert line.mode == "one step from a state that every property allows"
    assert line.states is not None and line.states.columns[0] == "allowed by every property"
    assert line.lanes_are == "Each process"
    assert line.verdict.sentence.startswith("lock.exclusion is violated. At most one process is inside.")
    assert any(reason.strip().startswith("for p = ") for reason in line.verdict.reasons)


def test_facts_are_what_the_formula_says(broken_lock: Spec) -> None:
    """Every fact has the value that its term has, for the elements that are named."""
    instance, initial = every_instance(broken_lock, {broken_lock.sorts[0]: 3})
    for verdict in explore(instance, initial).verdicts:
        if verdict.trace is not None:
            p = broken_lock.properties[verdict.property]
            ends = verdict.trace.states[-2:] if p.role == "step" else (verdict.trace.states[-1], None)
            assert not evaluate(p.formula, instance, ends[0], {}, ends[1])
            assert all(reason.facts and reason.where for reason in reasons_of(verdict.trace, p.id))


def hostile() -> Case:
    spec = Spec("hostile", HOSTILE)
    thing = type("Thing", (Sort,), {"__doc__": HOSTILE})
    on = spec.var("on", thing, init=lambda x: False, doc=HOSTILE)

    def go(x):
        require("off", ~on(x))
        on[x] = True

    go.__annotations__["x"] = thing
    go.__doc__ = HOSTILE
    spec.action(go)

    def none() -> Bool:
        return forall(thing, lambda x: ~on(x))

    none.__doc__ = HOSTILE
    spec.invariant("hostile.none")(none)
    thing.__name__ = HOSTILE  # with which it could not be declared
    instance, initial = every_instance(spec, {thing: 2})
    return Case(run_to(spec, instance, initial), "hostile.none")


def test_variables_of_one_name_are_two_and_an_element_is_one() -> None:
    spec = Spec("pairs")

    class Item(Sort):
        "an item"

    likes = spec.var("likes", Item, Item, init=lambda x, y: True)

    def none_liked(who: Any) -> Any:
        return forall(Item, lambda x: ~(likes(who, who) & likes(who, x)))

    @spec.invariant("pairs.nobody")
    def nobody() -> Bool:
        return forall(Item, lambda x: none_liked(x))

    at = Instance(spec, {Item: 1})
    (reason,) = why_false(spec.properties["pairs.nobody"], at, at.freeze(at.initial()))
    assert reason.lines() == [
        "false: forall x: Item. forall x_2: Item. ~(likes(x, x) & likes(x, x_2))",
        "for x = item0, x_2 = item0",
        "where likes(item0, item0) is true",
    ]


def test_hostile_names_are_text(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert write_picture([hostile()], path, HOSTILE)
    page = path.read_text(encoding="utf-8")
    assert page.count("</script>") == 2 and "<img" not in page and "\u202e" not in page
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    data = json.loads(found[1])["timelines"][0]
    assert HOSTILE.lower()[:-1] in data["states"]["rows"][0]["name"]
    assert "⟨U+202E⟩" in data["verdict"]["sentence"]


def test_no_counterexample_no_page(tmp_path: Path) -> None:
    assert not write_picture([], tmp_path / "none.html", "nothing")
    assert not (tmp_path / "none.html").exists()
    with pytest.raises(ViewError, match="no timelines"):
        page_of([], "nothing")
