"""The records of a study, and their text.

A *row* sets a figure that a paper claims beside ours; a *grid* is a plain table (policies across, measures down); a
*plot* is data only, drawn by :mod:`~mtpo.schedulers.papers.page`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import attrs

from mtpo.schedulers.simulator.report import table

Tell = Callable[[str], None]
"""Called with a few words on how far a study is."""


class StudyError(ValueError):
    """A study that can't be made with what it was given; one line."""


@attrs.frozen
class Options:
    """``quick``: a shorter trace and fewer searches, about a minute. ``trace``: a file, or a generator as in
    ``mtpo simulate``; None for the study's own workload. ``format`` of the file, None for the one the study expects.
    ``jobs``: processes side by side."""

    quick: bool = False
    trace: str | None = None
    format: str | None = None
    jobs: int = attrs.field(default=1, validator=attrs.validators.ge(1))


def _judge(row: Row) -> bool | None:
    if row.paper is None or row.ours is None:
        return None
    return row.ours <= row.paper if row.less else row.ours >= row.paper


@attrs.frozen
class Row:
    """One claim in one setting. ``measure``: what was measured; ``setting``: against what, where. ``paper`` and
    ``ours`` in ``unit`` ("x", "%", "s", "ms", "/s", "" for a count); None where there is none. ``less``: smaller is
    better. ``holds``: whether ours is at least as good as the paper's, None where the paper gives no figure, unless
    told otherwise. ``note``: one line on what the figure depends on."""

    measure: str
    setting: str
    paper: float | None
    ours: float | None
    unit: str = ""
    less: bool = False
    note: str = ""
    holds: bool | None = attrs.field(default=attrs.Factory(_judge, takes_self=True), kw_only=True)

    @property
    def ratio(self) -> float | None:
        """Ours over the paper's."""
        return self.ours / self.paper if self.paper and self.ours is not None else None


@attrs.frozen
class Grid:
    """A plain table: ``heads`` of all columns, the first ``names`` of them names; ``rows`` of cells."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    note: str = ""


@attrs.frozen
class Series:
    """One curve (``x`` and ``y`` of one length) or one set of bars (``x`` their labels)."""

    name: str
    x: tuple[float, ...] | tuple[str, ...]
    y: tuple[float, ...]


@attrs.frozen
class Plot:
    """``kind``: curves, or bars side by side. ``level``: a horizontal line with its label. ``log_x``, ``log_y``: a
    logarithmic axis. ``top``: where the vertical axis ends, None for where the data do."""

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    kind: Literal["line", "bar"] = "line"
    level: tuple[float, str] | None = None
    log_x: bool = False
    log_y: bool = False
    top: float | None = None


@attrs.frozen
class Study:
    """``name`` of the paper for ``mtpo paper``; ``source``: authors, where it was published. ``settings``: names and
    what they were; ``notes``: what a reader has to know, a line each."""

    name: str
    title: str
    source: str
    settings: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    grids: tuple[Grid, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every claim that was judged holds."""
        return all(row.holds is not False for row in self.rows)


def figure(value: float | None, unit: str = "") -> str:
    """A figure in three digits or so, with its unit; "-" for none."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    whole = size >= 100 or value == int(value)
    digits = 1 if unit == "%" else 0 if whole else 1 if size >= 20 else 2 if size >= 1 else 3
    text = f"{value:,.{digits}f}"
    return f"{text}{unit}" if unit in ("", "x", "/s") else f"{text} {unit}"


HEADS = ("measure", "setting", "paper", "ours", "ratio", "holds", "note")
_VERDICTS = {True: "yes", False: "NO", None: "-"}


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, under :data:`HEADS`."""
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    paper, ours = figure(row.paper, row.unit), figure(row.ours, row.unit)
    return row.measure, row.setting, paper, ours, ratio, _VERDICTS[row.holds], row.note


def lines(study: Study) -> list[str]:
    """A study as text."""
    found = [study.title, study.source, ""]
    found += table(("setting", ""), study.settings, names=2)[1:]
    for grid in study.grids:
        found += ["", grid.title, *(f"  {line}" for line in table(grid.heads, grid.rows, grid.names))]
        found += [f"  {grid.note}"] if grid.note else []
    if study.rows:
        shown = _without_empty([cells(row) for row in study.rows])
        found += ["", "Claims", *(f"  {line}" for line in table(shown[0], shown[1:], names=2))]
    return [*found, *(["", *study.notes] if study.notes else [])]


def _without_empty(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """With heads; the notes on the left of their column, and no column for them when there are none."""
    if not any(row[-1] for row in rows):
        return [HEADS[:-1], *(row[:-1] for row in rows)]
    width = max(len(row[-1]) for row in rows)
    return [(*row[:-1], row[-1].ljust(width)) for row in (HEADS, *rows)]


def as_json(study: Study) -> dict[str, Any]:
    """A study as a JSON object."""
    found = attrs.asdict(study) | {"holds": study.holds, "settings": dict(study.settings)}
    for row, made in zip(study.rows, found["rows"], strict=True):
        made["ratio"] = row.ratio
    return found
