"""The states of a counterexample as a static table: for notebooks, and for a page whose scripts are not allowed."""

from __future__ import annotations

import html

from mtpo_core.view.shapes import StateRow, StateTable
from mtpo_core.view.texts import visible

_CELL = "padding:2px 9px;text-align:left;white-space:nowrap;border-bottom:1px solid #8883"
_HEAD = f"{_CELL};font-weight:600;white-space:normal;vertical-align:bottom;max-width:150px"
_CHANGED = "background:#f3b94c55;font-weight:600"
_READ = "box-shadow:inset 0 0 0 1.5px #bf3527"


def state_table(table: StateTable) -> str:
    """A ``table`` element: a column for each state, headed by the step that led to it; what a step changed is marked,
    and what the false formula reads."""
    heads = "".join(f'<th style="{_HEAD}">{_text(column)}</th>' for column in table.columns)
    rows = []
    for row in table.rows:
        cells = []
        for place, value in enumerate(row.values):
            marks = [_CELL]
            if place in row.changed:
                marks.append(_CHANGED)
            if place in row.read:
                marks.append(_READ)
            cells.append(f'<td style="{";".join(marks)}">{_text(value)}</td>')
        rows.append(f"<tr>{_name(row)}{''.join(cells)}</tr>")
    wide = f'style="{_CELL};white-space:normal" colspan="{len(table.columns)}"'
    rest = (*table.constants, *table.still)
    rows += [f"<tr>{_name(row)}<td {wide}>{_text(row.values[0])}</td></tr>" for row in rest]
    return (
        f'<table style="border-collapse:collapse;font-size:12px;margin:6px 0">'
        f'<thead><tr><th style="{_HEAD}"></th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _name(row: StateRow) -> str:
    style = f"{_CELL};font-weight:400;font-family:monospace"
    return f'<th style="{style}" title="{_text(row.doc)}">{_text(row.name)}</th>'


def _text(text: str) -> str:
    return html.escape(visible(text))
