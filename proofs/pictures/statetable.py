"""The states of a trace as a table: a row for each cell that a step changes or a false formula reads, a column for each
state, headed by the step that led to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mtpo.proofs.pictures.why import Reason
from mtpo.proofs.verdicts import Trace, element
from mtpo.spec.concrete import Step
from mtpo.spec.language import Action, Function
from mtpo.spec.language.terms import Bool
from mtpo_core.view.shapes import StateRow, StateTable
from mtpo_core.view.texts import clip

MAX_ROWS = 400
"""Cells of a state that are listed one by one."""


def step_label(action: Action, step: Step) -> str:
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
    return "; ".join([step_label(action, step), *tables])


def cell_name(symbol: Function[Any], args: Sequence[int]) -> str:
    """A cell of a state: the symbol with its arguments."""
    inner = ", ".join(element(sort, arg) for sort, arg in zip(symbol.domain, args, strict=True))
    return f"{symbol.name}({inner})" if inner else symbol.name


def states_of(
    trace: Trace, reasons: Sequence[Reason] = (), false_in: tuple[int, ...] = (), *, of_step: bool = False
) -> StateTable:
    """A row for each cell that some step changes or that a false formula reads; what is left is listed by symbol.
    ``of_step``: the formula is one of the last step, not of the last state."""
    instance, spec = trace.instance, trace.instance.spec
    last = len(trace.states) - 1
    base = last - 1 if of_step else last
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
        rows.append(StateRow(cell_name(symbol, args), texts, symbol.doc, changed, tuple(sorted(read.get(place, ())))))
        listed.add(place)
    columns = tuple([_column(trace, step) for step in trace.steps])
    labels = tuple([step_label(spec.actions[step.action], step) for step in trace.steps])
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
