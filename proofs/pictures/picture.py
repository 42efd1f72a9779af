"""Pictures of counterexamples: lanes, steps, and what each state holds, as a page in one file.

A lane is an agent where the spec has agents, in order of rank; else an element of the sort that most steps are taken
by. A step stands in the lane of who takes it: its first parameter, or the author of that, or who the state says is at
work; steps of none of them, such as a change from outside, have a lane below, which has no rank. An arrow goes from
there to everyone else of whom the step changes a relation: who is undone, who is notified.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from mtpo.proofs.exploration.deadends import goal_reasons
from mtpo.proofs.pictures.lanes import Lanes
from mtpo.proofs.pictures.layout import laid_out
from mtpo.proofs.pictures.statetable import cell_name, states_of, step_label
from mtpo.proofs.pictures.why import Reason, why_false
from mtpo.proofs.verdicts import Trace, element
from mtpo.spec.concrete import Step
from mtpo.spec.language import Function, Property, Spec, Variant, show
from mtpo.spec.language.terms import Bool
from mtpo_core.view.page import render
from mtpo_core.view.shapes import (
    Arrow,
    ArrowKind,
    DiffLine,
    Fact,
    Field,
    Link,
    Mark,
    MarkKind,
    Timeline,
)
from mtpo_core.view.shapes import Verdict as Sentence

MARKS: dict[str, MarkKind] = {
    "mtpo.read": "read",
    "mtpo.applied": "write",
    "mtpo.failed": "failed",
    "mtpo.undone": "undone",
    "mtpo.redone": "redone",
    "mtpo.cancelled": "cancelled",
    "mtpo.stranded": "stranded",
    "mtpo.deliver": "told",
    "mtpo.finish": "finish",
    "mtpo.reopen": "reopen",
    "mtpo.commit": "commit",
}
"""Steps that have a shape of their own, as in the picture of a run; others are dots."""

ARROWS: dict[str, ArrowKind] = {"mtpo.note": "notify", "mtpo.undoer": "undo"}
"""Changes of a relation of somebody else that have a colour of their own."""

FORMULA = 130
"""Characters of a line of a formula on a page."""


@attrs.frozen
class Case:
    """A counterexample to be drawn: the tab it goes under and its name there. ``shows`` says of a run that breaks
    nothing what is to be seen in it; ``stays`` are the steps after the one from which on the property is false."""

    trace: Trace
    property: str = ""
    english: str = ""
    tab: str = ""
    method: str = ""
    shows: Sentence | None = None
    stays: int = 0


def write_picture(cases: Sequence[Case], path: Path, title: str) -> bool:
    """Write the page of some counterexamples; False, and no file, when there is none."""
    if not cases:
        return False
    path.write_text(page_of(cases, title), encoding="utf-8")
    return True


def page_of(cases: Sequence[Case], title: str) -> str:
    """The page; raises :class:`mtpo_core.view.ViewError` when there is nothing to draw."""
    return render([timeline_of(case) for case in cases], title=title)


def reasons_of(trace: Trace, property: str) -> list[Reason]:
    """Why a property is false at the end of a trace; empty for what is not a formula, such as a variant."""
    found = trace.instance.spec.properties.get(property)
    if found is None:
        return []
    if found.role != "step":
        return why_false(found, trace.instance, trace.states[-1])
    return why_false(found, trace.instance, trace.states[-2], trace.states[-1])


def violations_of(trace: Trace, ids: Iterable[str]) -> list[str]:
    """Which of some properties are false at the end of a trace, and why, as text; of a variant, what the last step was
    to make smaller."""
    found, spec = [], trace.instance.spec
    for id in ids:
        lines: list[str] = []
        role = spec.properties[id].role if id in spec.properties else ""
        if id in spec.variants:
            name, variant = trace.steps[-1].action, spec.variants[id]
            does = "decreases" if name in variant.decreases else "does not raise"
            lines = [f"false: {name} {does} ({'; '.join(map(show, variant.sets))})"]
        elif role in ("invariant", "lemma") or (role == "step" and trace.steps):
            lines = [line for reason in reasons_of(trace, id) for line in reason.lines()]
        if lines:
            found += [f"violated: {id}", *(f"  {line}" for line in lines)]
    return found


def timeline_of(case: Case) -> Timeline:
    """A counterexample as the picture of a run: an axis of steps, lanes, marks, arrows, and a table of states."""
    trace, spec = case.trace, case.trace.instance.spec
    lanes = Lanes.of(trace.instance)
    reasons = reasons_of(trace, case.property) if case.shows is None else []
    if case.method == "live":
        reasons = goal_reasons(trace, case.property)
    marks, arrows = [], []
    owners = [lanes.taker(trace, number) for number in range(len(trace.steps))]
    for number in range(len(trace.steps)):
        sent = _arrows(trace, number, lanes, owners[number])
        arrows += sent
        breaks = case.shows is None and number + 1 == len(trace.steps) - case.stays
        marks.append(_mark(trace, number, owners[number], sent, breaks))
    count = len(trace.steps)
    how = "one step from a state that every property allows" if trace.inductive else f"a shortest run, {count} steps"
    if not count:
        how = "the first state"
    elif count == 1 and not trace.inductive:
        how = "a shortest run, one step"
    if case.shows is not None:
        how = f"a run, {count} step{'' if count == 1 else 's'}"
    of_step = case.shows is None and _role(spec, case.property) == "step"
    places = {count - 1, count} if of_step else {*range(count - case.stays, count + 1)}
    return Timeline(
        case=case.tab or case.property,
        mode=case.property if case.property and case.tab not in ("", case.property) else how,
        lanes=lanes.shown(owners),
        spans=(),
        marks=tuple(marks),
        arrows=tuple(arrows),
        trajectories=(),
        verdict=case.shows or Sentence("bad", _sentence(case), tuple(reason_lines(reasons))),
        facts=(Fact("Steps", str(count)),) if case.tab not in ("", case.property) else (),
        unit="step",
        end=float(max(count, 1))
        + (0.0 if case.shows is None else 0.5),  # a mark at the end is one that breaks something
        states=states_of(trace, reasons, tuple(sorted(places)) if case.shows is None else (), of_step=of_step),
        lanes_are=lanes.title(owners),
    )


def attempt(trace: Trace, after: int, step: Step, why: str) -> Mark:
    """A step that may not be taken after so many of a trace's steps, as a mark between it and the next."""
    state, lanes = trace.states[after], Lanes.of(trace.instance)
    owner = lanes.taker(Trace(trace.instance, (state, state), (step,)), 0)
    action, text = trace.instance.spec.actions[step.action], trace.step_text(step)
    fields = (Field("Says", action.doc), Field("Refused by", why, code=True))
    label = f"refused: {step_label(action, step)}"
    return Mark(f"refused:{after}:{text}", lanes.row(owner), "bounce", after + 0.5, label, text, fields)


def reason_lines(reasons: Iterable[Reason]) -> Iterator[str]:
    """Reasons for a page: the false formulas laid out, and beneath each for what it is false."""
    for reason in reasons:
        first, *rest = reason.lines()
        yield from laid_out(first, FORMULA).splitlines()
        yield from (f"  {line}" for line in rest)


def _sentence(case: Case) -> str:
    spec = case.trace.instance.spec
    found: Property | Variant | None = spec.properties.get(case.property) or spec.variants.get(case.property)
    return f"{case.property} is violated. {case.english or (found.doc if found else '')}".strip()


def _role(spec: Spec, id: str) -> str:
    return spec.properties[id].role if id in spec.properties else "step"


def _mark(trace: Trace, number: int, owner: int | None, sent: Sequence[Arrow], breaks: bool) -> Mark:
    instance, step = trace.instance, trace.steps[number]
    action = instance.spec.actions[step.action]
    changes: list[DiffLine] = []
    for name, symbol, old, new in _changes(trace, number):
        changes.append(DiffLine("-", f"{name}: {element(symbol.range, old)}"))
        changes.append(DiffLine("+", f"{name}: {element(symbol.range, new)}"))
    fields = [Field("Says", action.doc)] if action.doc else []
    if any(isinstance(p, Function) for p in action.params):
        fields.append(Field("Arguments", trace.step_text(step), code=True))
    fields.append(Field("Changes", diff=tuple(changes)) if changes else Field("Changes", "nothing"))
    if sent:
        fields.append(Field("Reaches", links=tuple(Link(a.id, a.title) for a in sent)))
    if breaks:
        fields.append(Field("After it", "the property is false"))
    kind = MARKS.get(f"{instance.spec.name}.{step.action}", "step")
    lane = Lanes.of(instance).row(owner)
    return Mark(
        f"step:{number + 1}",
        lane,
        kind,
        float(number + 1),
        step_label(action, step),
        trace.step_text(step),
        tuple(fields),
    )


def _changes(trace: Trace, number: int) -> list[tuple[str, Function[Any], int, int]]:
    """The cells that a step changes: name with arguments, symbol, old and new value."""
    instance, before, after = trace.instance, trace.states[number], trace.states[number + 1]
    found: list[tuple[str, Function[Any], int, int]] = []
    for place, (old, new) in enumerate(zip(before, after, strict=True)):
        if old != new:
            name, args = instance.row(after, place)
            symbol = instance.spec.variables[name]
            found.append((cell_name(symbol, args), symbol, old, new))
    return found


def _arrows(trace: Trace, number: int, lanes: Lanes, owner: int | None) -> list[Arrow]:
    """To everyone else for whom the step makes a relation of one argument true."""
    instance, spec = trace.instance, trace.instance.spec
    found = []
    for place, (old, new) in enumerate(zip(trace.states[number], trace.states[number + 1], strict=True)):
        if old == new or not new:
            continue
        name, args = instance.row(trace.states[number], place)
        symbol = spec.variables[name]
        if symbol.range is not Bool or len(args) != 1:
            continue
        to = lanes.owner(symbol.domain[0], args[0], trace.states[number])
        if to is None or owner is None or to == owner:
            continue
        at, text = float(number + 1), cell_name(symbol, args)
        found.append(
            Arrow(
                id=f"arrow:{number + 1}:{place}",
                kind=ARROWS.get(f"{spec.name}.{name}", "redo"),
                source_lane=lanes.row(owner),
                source_at=at,
                target_lane=to,
                target_at=at,
                label=text,
                title=f"{text} becomes true: {symbol.doc}" if symbol.doc else f"{text} becomes true",
                source=f"step:{number + 1}",
            )
        )
    return found
