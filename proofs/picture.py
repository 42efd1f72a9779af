"""Pictures of counterexamples: lanes, steps, and what each state holds, as a page in one file.

A lane is an agent where the spec has agents, in order of rank; else an element of the sort that most steps are taken
by. A step stands in the lane of who takes it: its first parameter, or the author of that, or who the state says is at
work; steps of none of them, such as a change from outside, have a lane below, which has no rank. An arrow goes from
there to everyone else of whom the step changes a relation: who is undone, who is notified.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from mtpo.proofs.layout import laid_out
from mtpo.proofs.verdicts import Status, Trace, Verdict, element
from mtpo.proofs.why import Reason, why_false
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import Action, Function, Property, Sort, Spec, Variant, show
from mtpo.spec.terms import Bool
from mtpo_core.view.page import render
from mtpo_core.view.shapes import (
    Arrow,
    ArrowKind,
    DiffLine,
    Fact,
    Field,
    Lane,
    Link,
    Mark,
    MarkKind,
    StateRow,
    StateTable,
    Timeline,
)
from mtpo_core.view.shapes import Verdict as Sentence
from mtpo_core.view.texts import clip

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

MAX_ROWS = 400
"""Cells of a state that are listed one by one."""


@attrs.frozen
class Case:
    """A counterexample to be drawn: the tab it goes under and its name there. ``shows`` says of a run that breaks
    nothing what is to be seen in it."""

    trace: Trace
    property: str = ""
    english: str = ""
    tab: str = ""
    method: str = ""
    shows: Sentence | None = None


def pictures_of(verdicts: Iterable[Verdict], english: dict[str, str] | None = None) -> list[Case]:
    """What can be drawn of verdicts: the counterexamples, one a tab."""
    return [
        Case(v.trace, v.property, (english or {}).get(v.property, ""), v.property, v.method)
        for v in verdicts
        if v.trace is not None and v.status is Status.FAILED
    ]


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
    lanes = _Lanes.of(trace.instance)
    reasons = reasons_of(trace, case.property) if case.shows is None else []
    marks, arrows = [], []
    owners = [lanes.taker(trace, number) for number in range(len(trace.steps))]
    for number in range(len(trace.steps)):
        sent = _arrows(trace, number, lanes, owners[number])
        arrows += sent
        breaks = case.shows is None and number + 1 == len(trace.steps)
        marks.append(_mark(trace, number, owners[number], sent, breaks))
    count = len(trace.steps)
    how = "one step from a state that every property allows" if trace.inductive else f"a shortest run, {count} steps"
    if not count:
        how = "the first state"
    elif count == 1 and not trace.inductive:
        how = "a shortest run, one step"
    if case.shows is not None:
        how = f"a run, {count} step{'' if count == 1 else 's'}"
    places = {count} if _role(spec, case.property) != "step" else {count - 1, count}
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
        states=states_of(trace, reasons, tuple(sorted(places)) if case.shows is None else ()),
        lanes_are=lanes.title(owners),
    )


def attempt(trace: Trace, after: int, step: Step, why: str) -> Mark:
    """A step that may not be taken after so many of a trace's steps, as a mark between it and the next."""
    state, lanes = trace.states[after], _Lanes.of(trace.instance)
    owner = lanes.taker(Trace(trace.instance, (state, state), (step,)), 0)
    action, text = trace.instance.spec.actions[step.action], trace.step_text(step)
    fields = (Field("Says", action.doc), Field("Refused by", why, code=True))
    label = f"refused: {_label(action, step)}"
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


# -- who takes a step ------------------------------------------------------------------------------------------------


@attrs.frozen
class _Lanes:
    """Whose lanes there are: those of the elements of ``sort``; ``via`` finds them for elements of other sorts."""

    instance: Instance
    sort: type[Sort] | None
    via: dict[type[Any], Function[Any]]

    @classmethod
    def of(cls, instance: Instance) -> _Lanes:
        spec = instance.spec
        named = [s for s in spec.sorts if s.__name__ == "Agent"]
        firsts = Counter(a.elements[0].sort for a in spec.actions.values() if a.elements)
        often = [sort for sort, _ in firsts.most_common() if issubclass(sort, Sort)]
        sort = next(iter(named or often), None)
        via = {f.domain[0]: f for f in spec.constants.values() if len(f.domain) == 1 and f.range is sort}
        return cls(instance, sort, via)

    def title(self, owners: Sequence[int | None]) -> str:
        """What the lanes stand for; empty where each is an agent's, which the page gives its rank."""
        if self.sort is None:
            return "Steps"
        if self.sort.__name__ == "Agent" and self.sort.ordered:
            return "Agents by rank" if None in owners else ""
        return f"Each {self.sort.__name__.lower()}"

    def owner(self, sort: type[Any], value: int, state: State) -> int | None:
        """The lane of an element, if it has one."""
        if sort is self.sort:
            return value
        if sort not in self.via:
            return None
        symbol = self.via[sort]
        table = self.instance.constants.get(symbol.name)
        place = self.instance.index(symbol, [value])
        return int(table[place] if table is not None else state[self.instance.offsets[symbol.name] + place])

    def taker(self, trace: Trace, number: int) -> int | None:
        """Who takes a step: its first parameter that has a lane, else who the state before it names."""
        step, before = trace.steps[number], trace.states[number]
        action = trace.instance.spec.actions[step.action]
        for param, arg in zip(action.params, step.args, strict=True):
            if not isinstance(param, Function) and isinstance(arg, int):
                found = self.owner(param.sort, arg, before)
                if found is not None:
                    return found
        for variable in trace.instance.spec.variables.values():
            if not variable.domain and not action.elements:
                found = self.owner(variable.range, trace.instance.value(before, variable.name), before)
                if found is not None:
                    return found
        return None

    def shown(self, owners: Sequence[int | None]) -> tuple[Lane, ...]:
        """A lane for each element, and one below for steps that none of them takes."""
        count = self.instance.size(self.sort) if self.sort else 0
        rows = [Lane(n, element(self.sort, n)) for n in range(count)] if self.sort else []
        if None in owners or not rows:
            rows.append(Lane(count, f"no {self.sort.__name__.lower()}" if self.sort else "everyone"))
        return tuple(rows)

    def row(self, owner: int | None) -> int:
        """The lane of an owner, or the last one."""
        if owner is not None:
            return owner
        return self.instance.size(self.sort) if self.sort else 0


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
    lane = _Lanes.of(instance).row(owner)
    return Mark(
        f"step:{number + 1}", lane, kind, float(number + 1), _label(action, step), trace.step_text(step), tuple(fields)
    )


def _label(action: Action, step: Step) -> str:
    """The step with its parameters that are elements."""
    args = zip(action.params, step.args, strict=True)
    shown = [element(p.sort, a) for p, a in args if not isinstance(p, Function) and isinstance(a, int)]
    return f"{action.name} {', '.join(shown)}".strip()


def _column(trace: Trace, step: Step) -> str:
    """The step with all its parameters, as short as can be."""
    instance, action = trace.instance, trace.instance.spec.actions[step.action]
    tables = [
        f"{p.name} {_summary(p, list(zip(instance.points(p), a, strict=True)), 'none')}"
        for p, a in zip(action.params, step.args, strict=True)
        if isinstance(p, Function) and not isinstance(a, int)
    ]
    return "; ".join([_label(action, step), *tables])


def _changes(trace: Trace, number: int) -> list[tuple[str, Function[Any], int, int]]:
    """The cells that a step changes: name with arguments, symbol, old and new value."""
    instance, before, after = trace.instance, trace.states[number], trace.states[number + 1]
    found: list[tuple[str, Function[Any], int, int]] = []
    for place, (old, new) in enumerate(zip(before, after, strict=True)):
        if old != new:
            name, args = instance.row(after, place)
            symbol = instance.spec.variables[name]
            found.append((_cell(symbol, args), symbol, old, new))
    return found


def _arrows(trace: Trace, number: int, lanes: _Lanes, owner: int | None) -> list[Arrow]:
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
        at, text = float(number + 1), _cell(symbol, args)
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


# -- states ----------------------------------------------------------------------------------------------------------


def _cell(symbol: Function[Any], args: Sequence[int]) -> str:
    inner = ", ".join(element(sort, arg) for sort, arg in zip(symbol.domain, args, strict=True))
    return f"{symbol.name}({inner})" if inner else symbol.name


def states_of(trace: Trace, reasons: Sequence[Reason] = (), false_in: tuple[int, ...] = ()) -> StateTable:
    """A row for each cell that some step changes or that a false formula reads; what is left is listed by symbol."""
    instance, spec = trace.instance, trace.instance.spec
    last = len(trace.states) - 1
    base = last - 1 if len(false_in) == 2 else last
    read: dict[int, set[int]] = {}
    for primed, place in (cell for reason in reasons for cell in reason.reads):
        read.setdefault(place, set()).add(base + primed)
    rows: list[StateRow] = []
    listed = set[int]()
    for place in range(instance.width):
        values = [state[place] for state in trace.states]
        changed = tuple(n for n in range(1, last + 1) if values[n] != values[n - 1])
        if (not changed and place not in read) or len(rows) >= MAX_ROWS:
            continue
        name, args = instance.row(trace.states[0], place)
        symbol = spec.variables[name] if name in spec.variables else spec.constants[name]
        texts = tuple(element(symbol.range, value) for value in values)
        rows.append(StateRow(_cell(symbol, args), texts, symbol.doc, changed, tuple(sorted(read.get(place, ())))))
        listed.add(place)
    columns = tuple([_column(trace, step) for step in trace.steps])
    labels = tuple([_label(spec.actions[step.action], step) for step in trace.steps])
    first = "allowed by every property" if trace.inductive else "first state"
    marks = tuple(f"step:{n + 1}" for n in range(len(columns)))
    constants = tuple(_rest(trace, spec.constants.values(), set()))
    still = tuple(_rest(trace, spec.variables.values(), listed))
    return StateTable((first, *columns), (None, *marks), tuple(rows), constants, still, false_in, (first, *labels))


def _rest(trace: Trace, symbols: Iterable[Function[Any]], listed: set[int]) -> Iterable[StateRow]:
    """Symbols at the points that have no row of their own, and that do not change."""
    instance = trace.instance
    for symbol in symbols:
        table = instance.constants.get(symbol.name)
        if table is None:
            start = instance.offsets[symbol.name]
            table = tuple(trace.states[0][start : start + instance.cells(symbol)])
        else:
            start = instance.width
        points = zip(instance.points(symbol), table, strict=True)
        cells = [(args, value) for place, (args, value) in enumerate(points) if start + place not in listed]
        if cells:
            other = len(cells) < len(table)
            yield StateRow(
                symbol.name, (clip(_summary(symbol, cells, "nowhere else" if other else "nowhere"), 600),), symbol.doc
            )


def _summary(symbol: Function[Any], cells: Sequence[tuple[tuple[int, ...], int]], none: str) -> str:
    """The values of a symbol at some points: of a relation those where it is true, or ``none``."""
    if not symbol.domain:
        return element(symbol.range, cells[0][1])

    def point(args: tuple[int, ...]) -> str:
        text = ", ".join(element(sort, arg) for sort, arg in zip(symbol.domain, args, strict=True))
        return text if len(args) == 1 else f"({text})"

    if symbol.range is Bool:
        return ", ".join(point(args) for args, value in cells if value) or none
    return ", ".join(f"{point(args)}: {element(symbol.range, value)}" for args, value in cells)
