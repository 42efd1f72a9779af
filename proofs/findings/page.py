"""The page of a finding: its title, its traces drawn, its text with what mends it, and the evidence that it holds.

A page is one file that loads nothing. Runs are drawn as ``mtpo mutate --picture`` and ``mtpo view`` draw them; charts
are static.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Final, TypeAlias

import attrs

from mtpo.proofs.findings import Finding
from mtpo.proofs.findings.catalogue import TRACES, Charted, Shown
from mtpo.proofs.findings.chart import Chart, chart_svg
from mtpo.proofs.findings.core import CoreRun
from mtpo.proofs.findings.standing import Row
from mtpo.proofs.findings.traces import NotShown, Reached, Run, names
from mtpo.proofs.pictures.layout import laid_out
from mtpo.proofs.pictures.picture import FORMULA, Case, attempt, reason_lines, reasons_of, timeline_of
from mtpo.proofs.replay.judge import judge
from mtpo.proofs.verdicts import naming
from mtpo_core.view.page import render
from mtpo_core.view.shapes import Timeline, Tone, Verdict
from mtpo_core.view.timeline import timeline_of as timeline_of_log

Drawn: TypeAlias = Timeline | Chart

INDEX: Final = "index.html"

_MAIN: Final = '<main id="main"></main>'
"""Beneath this a page of runs has what a finding has beside its runs."""

_STYLE: Final = """<style>
table.standing td:first-child { width: 20% } table.standing td:nth-child(2) { width: 34% }
table.standing td:last-child { width: 46% } a { color: var(--write) } .part li, .part p { max-width: 110ch }
</style>"""
"""What the pages of findings have beside the style of the pages of runs."""

_TOLD: Final = re.compile(r"\b(?:Trace|a0|a1|c0)\b")
"""What a text has that tells of a run, step by step; others say what was found in general."""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_PLAIN: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header class="top"><h1>{title}</h1></header>
<main>{body}</main>
<footer>This page is one file: it loads nothing and sends nothing.</footer>
</body>
</html>
"""


def name_of(finding: Finding) -> str:
    """The name of its page in a folder of all."""
    return f"{finding.id.lower()}.html"


def heading(finding: Finding) -> str:
    """Its number and title."""
    return f"{finding.id}. {finding.title}"


def draw(shown: Shown, tab: str) -> Drawn:
    """A trace, made now and ready to be drawn. Raises :class:`~mtpo.proofs.findings.traces.NotShown`."""
    if isinstance(shown, Charted):
        return shown.draw()
    if isinstance(shown, CoreRun):
        run = shown.run()
        verdict = Verdict("good", shown.says, (judge(run).certificate.verdict,))
        line = timeline_of_log(run.records, run.values, case=tab, verdict=verdict)
        # Its clock counts records: what is told in seconds of other runs is left out.
        return attrs.evolve(line, mode=shown.kind, unit="step", serial_end=None, facts=())
    with naming(names(shown.objects)):
        return _run(shown.run(), shown.says, shown.kind, tab)


def _run(run: Run, says: str, kind: str, tab: str) -> Timeline:
    broken = run.breaks[0] if run.breaks else ""
    reasons = laid_out(f"weakened: {run.weakened}", FORMULA).splitlines() if run.weakened else []
    reasons += [f"after step {told.after}: {told.text}" for told in run.told]
    for id in run.breaks:
        spec = run.trace.instance.spec
        what = spec.claims.get(id)
        reasons.append(f"violated: {id}{f': {what.doc}' if what and what.doc else ''}")
        reasons += [f"  {line}" for line in reason_lines(reasons_of(run.trace, id))]
    verdict = Verdict(_tone(run, kind), says, tuple(reasons))
    line = timeline_of(Case(run.trace, broken, tab=tab, shows=None if run.breaks else verdict, stays=run.stays))
    tried = [attempt(run.trace, t.after, t.step, t.by) for t in run.told if t.step is not None]
    count = len(run.trace.steps)
    how = (
        "one step from a state that every property allows"
        if run.trace.inductive
        else f"{kind}, {count} step{'' if count == 1 else 's'}"
    )
    marks = tuple(sorted((*line.marks, *tried), key=lambda mark: mark.at))
    end = max(line.end, *(mark.at for mark in tried)) if tried else line.end
    return attrs.evolve(line, case=tab, mode=how, verdict=verdict, facts=(), marks=marks, end=end)


def _tone(run: Run, kind: str) -> Tone:
    """How a run is to be taken: it breaks something, shows what there is without a mend, or what there is with it."""
    if run.breaks:
        return "bad"
    return "warn" if run.weakened or kind == Reached.kind else "good"


def page_of(finding: Finding, rows: Sequence[Row], traces: Mapping[str, Shown] | None = None) -> str:
    """The page of a finding; ``rows`` are the evidence, ``traces`` its own, or those of the catalogue. Raises
    :class:`~mtpo.proofs.findings.traces.NotShown`."""
    title = heading(finding)
    shown = TRACES.get(finding.id, {}) if traces is None else traces
    if not shown:
        raise NotShown(f"{finding.id} has no trace: proofs/findings/catalogue.py has none for it")
    drawn = {tab: draw(one, tab) for tab, one in shown.items()}
    lines = [one for one in drawn.values() if isinstance(one, Timeline)]
    charts = [chart_svg(one, shown[tab].says) for tab, one in drawn.items() if isinstance(one, Chart)]
    beneath = "".join([_STYLE, *charts, _text(finding), _evidence(rows)])
    if not lines:
        return _plain(title, beneath)
    if len(lines) == 1:
        lines = [attrs.evolve(lines[0], case=title)]
    head, main, tail = render(lines, title=title).partition(_MAIN)
    assert main, "the template of the page has another main part"
    return f'{head}{main}<div class="top">{beneath}</div>{tail}'


def index_of(findings: Sequence[Finding]) -> str:
    """The page that lists all, with links to theirs beside it."""
    rows = [
        f'<tr><td class="mono"><a href="{name_of(f)}">{f.id}</a></td><td>{html.escape(f.title)}</td>'
        f"<td>{html.escape(kinds(f))}</td></tr>"
        for f in findings
    ]
    head = "<thead><tr><th>Finding</th><th>What it says</th><th>Its traces</th></tr></thead>"
    return _plain("Findings", f'<table class="properties">{head}<tbody>{"".join(rows)}</tbody></table>')


def kinds(finding: Finding) -> str:
    """The kinds of its traces, each once."""
    return ", ".join(dict.fromkeys(one.kind for one in TRACES.get(finding.id, {}).values()))


# -- beneath the traces --------------------------------------------------------------------------------------------


def _plain(title: str, body: str) -> str:
    style = resources.files("mtpo_core.view").joinpath("style.html").read_text("utf-8")
    css = style.split("\n", 1)[1].rsplit("</", 1)[0]
    return _PLAIN.format(policy=_POLICY, title=html.escape(title), style=css, body=body)


def _text(finding: Finding) -> str:
    parts = [
        ("The trace" if _TOLD.search(finding.trace) else "What was found", finding.trace),
        ("What mends it", finding.mend),
    ]
    return "".join(
        f'<section class="part"><div class="bar-top"><h2>{head}</h2></div>{_prose(text)}</section>'
        for head, text in parts
        if text
    )


def _evidence(rows: Sequence[Row]) -> str:
    cells = "".join(
        f'<tr><td class="mono">{html.escape(row.id)}</td><td>{html.escape(row.english)}</td>'
        f"<td>{'<br>'.join(map(html.escape, row.evidence)) or 'none recorded'}</td></tr>"
        for row in rows
    )
    head = "<thead><tr><th>What the text names</th><th>What it says</th><th>Evidence</th></tr></thead>"
    none = "<p>The text names no property and no clause: what is said of it is tested.</p>"
    table = f'<table class="properties standing">{head}<tbody>{cells}</tbody></table>' if rows else none
    return f'<section class="part"><div class="bar-top"><h2>That the mend holds</h2></div>{table}</section>'


def _prose(text: str) -> str:
    """The text, which is of paragraphs and lists, as HTML."""
    out = []
    for block in re.split(r"\n\s*\n", text):
        head, *items = re.split(r"(?m)^- ", block)
        out.append(f"<p>{_inline(head)}</p>" if head.strip() else "")
        out.append(f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ul>" if items else "")
    return "".join(out)


def _inline(text: str) -> str:
    """Code, bold and emphasis; all else is text."""
    pieces = re.split(r"(`[^`]+`)", " ".join(text.split()))
    shown = []
    for piece in pieces:
        if piece.startswith("`"):
            shown.append(f"<code>{html.escape(piece.strip('`'))}</code>")
        else:
            bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html.escape(piece))
            shown.append(re.sub(r"(?<![\w*])\*(?=\S)([^*]+)(?<=\S)\*(?![\w*])", r"<em>\1</em>", bold))
    return "".join(shown)
