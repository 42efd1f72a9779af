"""Charts of what a scheduler did: a row for each request or worker, bars and ticks on an axis, as static SVG.

A chart is data, as the picture of a run is; nothing in it moves, so the page of one needs no script.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias

import attrs

Tone = Literal["run", "wait", "bad", "good", "free"]
Keys: TypeAlias = tuple[tuple[Tone, str], ...]
"""Tones, and what they stand for."""

WIDTH: Final = 1_100
LEAST: Final = 900
"""Pixels below which its texts would be too small to be read; a narrower page scrolls."""
_NAMES: Final = 210
"""Pixels on the left that the names of the rows take."""
_AXIS: Final = 26
_LABELS: Final = 16
"""Pixels above the rows that the numbers of the axis take, and the labels of the lines."""
_FILL: Final = {
    "run": "var(--tool)",
    "wait": "var(--held)",
    "bad": "var(--bad)",
    "good": "var(--good)",
    "free": "var(--sunk)",
}


@attrs.frozen
class Bar:
    """Something that lasted from ``start`` to ``end`` on the axis."""

    start: float
    end: float
    tone: Tone = "run"
    label: str = ""


@attrs.frozen
class Row:
    """A row, bars beneath ticks, which are points, such as tokens. Where rows are too low for all names, those are
    written that are to be ``shown``."""

    name: str
    bars: tuple[Bar, ...] = ()
    ticks: tuple[float, ...] = ()
    note: str = ""
    shown: bool = False


@attrs.frozen
class Line:
    """A point of the axis that all rows share: an objective, a loss."""

    at: float
    label: str


@attrs.frozen
class Chart:
    """``axis`` names what it is of, with its unit; ``keys`` say what the tones stand for, and ``tick`` what a tick
    does. ``height`` is that of a row, in pixels: names are written where there is room for them."""

    title: str
    axis: str
    rows: tuple[Row, ...]
    keys: Keys = ()
    tick: str = ""
    lines: tuple[Line, ...] = ()
    height: int = 34

    @property
    def end(self) -> float:
        """The greatest point that anything has."""
        points = [x for r in self.rows for x in (*(b.end for b in r.bars), *r.ticks)]
        return max([*points, *(line.at for line in self.lines), 1e-9])


def chart_svg(chart: Chart, says: str = "") -> str:
    """The chart as an ``svg`` element under its title and what it says, over its legend."""
    end, top = chart.end, _AXIS + (_LABELS if chart.lines else 0)
    total = top + len(chart.rows) * chart.height

    def x(at: float) -> float:
        return round(_NAMES + at / end * (WIDTH - _NAMES - 14), 2)

    parts = [_text(4, _AXIS - 9, chart.axis, soft=True)]
    for at in ticks_of(end):
        parts.append(f'<path d="M{x(at)} {_AXIS - 5}V{total}" stroke="var(--line)"/>')
        parts.append(_text(x(at), _AXIS - 9, f"{at:g}", "middle", soft=True))
    for number, row in enumerate(chart.rows):
        parts += _row(row, top + number * chart.height, chart.height, x)
    for line in chart.lines:
        dash = 'stroke="var(--note)" stroke-width="1.5" stroke-dasharray="4 3"'
        parts.append(f'<path d="M{x(line.at)} {_AXIS - 4}V{total}" {dash}/>')
        left = x(line.at) + 8 * len(line.label) < WIDTH
        at, anchor = (x(line.at) + 4, "start") if left else (x(line.at) - 4, "end")
        parts.append(_text(at, _AXIS + 8, line.label, anchor, tone="var(--note)"))
    label = html.escape(chart.title, quote=True)
    size = (
        f'viewBox="0 0 {WIDTH} {total + 4}" width="100%" style="min-width:{LEAST}px;max-width:{WIDTH}px;display:block"'
    )
    return (
        f'<section class="part"><div class="bar-top"><h2>{html.escape(chart.title)}</h2>'
        f'<span class="soft">{html.escape(says)}</span></div>'
        f'<div style="overflow-x:auto"><svg {size} role="img" aria-label="{label}">{"".join(parts)}</svg></div>'
        f"{_legend(chart)}</section>"
    )


def ticks_of(end: float, most: int = 10) -> list[float]:
    """Round points from 0 to the end of an axis."""
    least = end / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * times for times in (1, 2, 5, 10, 20) if power * times >= least)
    return [round(n * step, 12) for n in range(int(end / step + 1e-9) + 1)]


def _row(row: Row, top: int, height: int, x: Callable[[float], float]) -> Iterable[str]:
    middle, thick = top + height / 2, max(3.0, height * 0.5)
    if height >= 14:
        yield f'<path d="M0 {top}H{WIDTH}" stroke="var(--line)"/>'
        yield _text(4, middle + (0 if row.note else 4), row.name)
        yield _text(4, middle + 13, row.note, soft=True)
    elif row.shown:
        yield _text(4, middle + 4, row.name)
    for bar in row.bars:
        left, wide = x(bar.start), max(x(bar.end) - x(bar.start), 1.0)
        fill = f'fill="{_FILL[bar.tone]}"' + (' stroke="var(--strong)"' if bar.tone == "free" else "")
        title = html.escape(f"{row.name}: {bar.label or bar.tone}, {bar.start:.4g} to {bar.end:.4g}")
        box = f'x="{left}" y="{middle - thick / 2}" width="{wide:.2f}" height="{thick}" rx="2"'
        yield f"<rect {box} {fill}><title>{title}</title></rect>"
        if height >= 14 and wide > 7 * len(bar.label):
            tone = "var(--surface)" if bar.tone in ("bad", "good") else "var(--ink)"
            yield _text(left + 5, middle + 4, bar.label, tone=tone)
    if row.ticks:
        path = "".join(f"M{x(at)} {middle - thick / 2 - 3}v{thick + 6}" for at in row.ticks)
        yield f'<path d="{path}" stroke="var(--ink)" stroke-width="1" stroke-opacity=".7"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", soft: bool = False, tone: str = "") -> str:
    if not text:
        return ""
    style = f' style="fill:{"var(--soft)" if soft else tone}"' if soft or tone else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{style}>{html.escape(text)}</text>'


def _legend(chart: Chart) -> str:
    box = '<svg width="14" height="12"><rect width="14" height="12" rx="2" fill="{}"/></svg>'
    keys = [f"<span>{box.format(_FILL[tone])}{html.escape(text)}</span>" for tone, text in chart.keys]
    if chart.tick:
        mark = '<svg width="6" height="12"><path d="M3 0V12" stroke="var(--ink)" stroke-width="1.5"/></svg>'
        keys.append(f"<span>{mark}{html.escape(chart.tick)}</span>")
    return f'<div class="legend">{"".join(keys)}</div>' if keys else ""
