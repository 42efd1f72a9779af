"""A study as one HTML page: tables and inline SVG, nothing fetched from anywhere.

Plots need matplotlib; :func:`page` leaves them out, and says so, where it is not installed.
"""

from __future__ import annotations

import html
import importlib.util
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from mtpo.schedulers.papers.coincide import places
from mtpo.schedulers.papers.table import HEADS, Plot, Study, cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASH: Final = 5
"""The length of a dash, in widths of a line."""
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222;
       background: #fff }
h1 { font-size: 1.5em; margin-bottom: .2em } h2 { font-size: 1.15em; margin: 2em 0 .4em }
.source, .note { color: #666 } .scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th { border-bottom: 2px solid #999 } .name { text-align: left } td.note { white-space: normal }
.yes { color: #137a3a; font-weight: 600 } .no { color: #b3261e; font-weight: 600 }
figure { margin: 1.5em 0 } figure svg { max-width: 100%; height: auto }
"""


def can_plot() -> bool:
    """Whether plots can be drawn here."""
    return importlib.util.find_spec("matplotlib") is not None


def page(study: Study) -> str:
    """The whole page."""
    parts = [f"<h1>{_text(study.title)}</h1>", f'<p class="source">{_text(study.source)}</p>']
    if study.rows:
        verdicts = {"yes": "yes", "NO": "no"}
        body = "".join(
            "<tr>"
            + "".join(
                f'<td class="{"name" if at < 2 else "name note" if at == 6 else verdicts.get(cell, "")}">'
                f"{_text(cell)}</td>"
                for at, cell in enumerate(cells(row))
            )
            + "</tr>"
            for row in study.rows
        )
        parts += ["<h2>Claims</h2>", _table(HEADS, body, (0, 1, 6))]
    for grid in study.grids:
        body = "".join(_row(row, grid.names) for row in grid.rows)
        parts += [f"<h2>{_text(grid.title)}</h2>", _table(grid.heads, body, range(grid.names))]
        parts += [f'<p class="note">{_text(grid.note)}</p>'] if grid.note else []
    if study.plots and can_plot():
        parts += [f"<figure>{svg(plot, str(at))}</figure>" for at, plot in enumerate(study.plots)]
    elif study.plots:
        parts.append('<p class="note">Plots are left out: matplotlib is not installed.</p>')
    body = "".join(_row(pair, 2) for pair in study.settings)
    parts += ["<h2>Settings</h2>", f'<div class="scroll"><table>{body}</table></div>']
    parts += [f'<p class="note">{_text(note)}</p>' for note in study.notes]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(study.title)}</title><style>{_STYLE}</style></head>\n<body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )


def _text(value: str) -> str:
    return html.escape(value)


def _row(row: Sequence[str], names: int) -> str:
    made = (f'<td class="name">{_text(c)}</td>' if at < names else f"<td>{_text(c)}</td>" for at, c in enumerate(row))
    return f"<tr>{''.join(made)}</tr>"


def _table(heads: Sequence[str], body: str, names: Iterable[int]) -> str:
    left = set(names)
    head = "".join(f'<th class="{"name" if at in left else ""}">{_text(one)}</th>' for at, one in enumerate(heads))
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def svg(plot: Plot, salt: str) -> str:
    """A plot as an SVG element. ``salt``: elements of one page need different ones, for their ids."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    # Labels are whatever a policy or a file is called: none of it is a formula.
    options = {"svg.fonttype": "none", "svg.hashsalt": salt, "text.parse_math": False, "font.family": "sans-serif"}
    with matplotlib.rc_context(options):
        # A figure without pyplot: no backend is chosen, no window system is asked for.
        shown = Figure(figsize=(8.5, 3.8), layout="constrained")
        axes = shown.add_subplot()
        if plot.kind == "bar":
            labels = list(dict.fromkeys(str(x) for one in plot.series for x in one.x))
            width = 0.8 / max(1, len(plot.series))
            for at, one in enumerate(plot.series):
                places = [labels.index(str(x)) + (at - (len(plot.series) - 1) / 2) * width for x in one.x]
                axes.bar(places, one.y, width, label=one.name)
            many = len(labels) > 4
            place, slant = ("right" if many else "center"), (20 if many else 0)
            axes.set_xticks(range(len(labels)), labels, fontsize=8, rotation=slant, ha=place, rotation_mode="anchor")
        else:
            _curves(axes, plot)
        if plot.level is not None:
            axes.axhline(plot.level[0], color="#666", linestyle="--", linewidth=1, label=plot.level[1])
        for log, axis, scale in (
            (plot.log_x, axes.xaxis, axes.set_xscale),
            (plot.log_y, axes.yaxis, axes.set_yscale),
        ):
            if log:
                scale("log")
                # The usual labels are formulas, which are not drawn as such here.
                axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_formatter(NullFormatter())
        if plot.top is not None:
            axes.set_ylim(top=plot.top)
        axes.set_title(plot.title, fontsize=11, loc="left")
        axes.set_xlabel(plot.x)
        axes.set_ylabel(plot.y)
        axes.grid(alpha=0.3)
        # A name with an underscore in front would be left out of the legend.
        handles, names = axes.get_legend_handles_labels()
        if handles:
            axes.legend(handles, names, fontsize=8, handlelength=4, loc="center left", bbox_to_anchor=(1.0, 0.5))
        file = io.StringIO()
        shown.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn = file.getvalue()
    # Ids are counted anew in each figure: without the salt two plots of a page would share their clip paths.
    return re.sub(r'(id="|xlink:href="#|url\(#)', rf"\g<1>{_plain(salt)}-", drawn[drawn.index("<svg") :])


def _curves(axes: Axes, plot: Plot) -> None:
    """The curves; one that runs as others before it is dashed, on larger dots of theirs, so that all of them show."""
    for one, place in zip(plot.series, places(plot), strict=True):
        period, label = place.of * _DASH, one.name
        if place.at:
            label += f"\n({'' if place.whole else 'mostly '}as {plot.series[place.first].name})"
        axes.plot(
            one.x,
            one.y,
            label=label,
            linestyle=(period - place.at * _DASH, (_DASH, period - _DASH)) if place.at else "-",
            linewidth=1.4,
            marker="o",
            markersize=3 + min(2.5, 10 / place.of) * (place.of - 1 - place.at),
        )


def _plain(salt: str) -> str:
    return "p" + re.sub(r"\W", "", salt)
