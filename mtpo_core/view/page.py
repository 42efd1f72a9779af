"""One self-contained HTML file that shows one or several runs.

The page loads nothing and may run only its own script: a content security policy names that script's hash. The text of
a run travels as JSON with every ``<``, ``>`` and ``&`` escaped, is put on the page as text nodes only, and has control
and bidirectional override characters made visible, so a hostile string is shown and does nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

import attrs

from mtpo_core.view.shapes import Arrow, Field, Mark, Span, Timeline, ViewError
from mtpo_core.view.tables import state_table
from mtpo_core.view.texts import clip, counted, visible

PAGE_TEXT: Final = 1_600_000
"""Bytes of details, as embedded, that one page may carry; what is past it is left out, and said to be."""

PAGE_ITEMS: Final = 5_000
"""Spans, marks and arrows that one page may carry."""

_LEFT_OUT: Final = "(left out: the page is full)"

# What goes first when there is too much: the colour of an inference tells less than an undone write.
_WEIGHT: Final = {"infer": 5, "tool": 4, "read": 3, "failed": 2, "finish": 2, "bounce": 2, "told": 1}
_NOUNS: Final = {"infer": "inference", "tool": "tool time", "told": "delivery", "notify": "notification"}


def render(
    timelines: Timeline | Sequence[Timeline],
    certificate: Mapping[str, Any] | None = None,
    *,
    title: str = "MTPO run",
) -> str:
    """The page as text.

    Timelines of one ``case`` stand under one another on a common axis, below what the worst verdict among them says;
    several cases become tabs, and the one with the worst is open. ``certificate`` is a run certificate: ``of`` (which
    run, where there are several), ``order`` (names or ranks), ``verdict``, ``properties`` (``id``, ``english``,
    ``verdict`` of each), ``assumptions`` (name to count, or to counts by name) and ``head``, the hash of the log's last
    record; parts that it lacks are not shown. The page stays below a few megabytes: what was left out is said in it.
    Raises :class:`ViewError` when there is no timeline or the certificate is not of that shape.
    """
    shown = [timelines] if isinstance(timelines, Timeline) else list(timelines)
    if not shown:
        raise ViewError("no timelines: a page needs at least one")
    pool = _Pool(PAGE_TEXT // len(shown))
    share = max(PAGE_ITEMS // len(shown), 200)
    data = {
        "title": visible(clip(title, 200)),
        "timelines": [_encode(_thin(timeline, share), pool) for timeline in shown],
        "certificate": None if certificate is None else _certificate(certificate),
        "texts": pool.texts,
    }
    parts = {name: _part(name) for name in ("style", "draw", "panels")}
    script = parts["draw"] + parts["panels"]
    pin = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    fill = {
        "@TITLE@": html.escape(visible(clip(title, 200))),
        "@PIN@": pin,
        "@STYLE@": parts["style"],
        "@PLAIN@": "\n".join(map(_plain, shown)),
        "@DATA@": embed(data),
        "@SCRIPT@": script,
    }
    page = resources.files("mtpo_core.view").joinpath("page.html").read_text("utf-8")
    return "".join(fill.get(piece, piece) for piece in _split(page, fill))


def embed(data: object) -> str:
    """JSON that may stand inside a ``script`` element: plain ASCII, with ``<``, ``>`` and ``&`` escaped."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _split(page: str, marks: Mapping[str, str]) -> list[str]:
    """The template cut at its marks, so that inserted text is never searched for marks again."""
    return re.split("(" + "|".join(map(re.escape, marks)) + ")", page)


def _part(name: str) -> str:
    """The content of a part of the page; its outer tag only lets editors know the language."""
    text = resources.files("mtpo_core.view").joinpath(f"{name}.html").read_text("utf-8")
    return text.split("\n", 1)[1].rsplit("</", 1)[0]


def _plain(timeline: Timeline) -> str:
    facts = ", ".join(f"{fact.label.lower()} {fact.value}" for fact in timeline.facts)
    text = f"{timeline.case}, {timeline.mode}: {timeline.verdict.sentence} {facts}"
    lines = [text, *timeline.verdict.reasons] if timeline.states else [text]
    told = "".join(f"<p>{html.escape(visible(line))}</p>" for line in lines)
    return told + (state_table(timeline.states) if timeline.states else "")


def _thin(timeline: Timeline, share: int) -> Timeline:
    """The timeline with at most ``share`` items, the most telling ones kept, and a note of what was left out."""
    items: list[Span | Mark | Arrow] = [*timeline.spans, *timeline.marks, *timeline.arrows]
    if len(items) <= share:
        return timeline
    ranked = sorted(range(len(items)), key=lambda index: (_WEIGHT.get(items[index].kind, 0), index))
    kept = {id(items[index]) for index in ranked[:share]}
    lost: dict[str, int] = {}
    for item in items:
        if id(item) not in kept:
            lost[item.kind] = lost.get(item.kind, 0) + 1
    note = ", ".join(counted(number, _NOUNS.get(kind, kind)) for kind, number in lost.items())
    return attrs.evolve(
        timeline,
        spans=tuple(item for item in timeline.spans if id(item) in kept),
        marks=tuple(item for item in timeline.marks if id(item) in kept),
        arrows=tuple(item for item in timeline.arrows if id(item) in kept),
        left_out=f"Too much for one picture; left out: {note}.",
    )


@attrs.define
class _Pool:
    """Texts of the page, each once, named by number; each timeline may add up to ``share`` bytes."""

    share: int
    texts: list[str] = attrs.Factory(list)
    known: dict[str, int] = attrs.Factory(dict)
    left: int = 0

    def put(self, text: str) -> int:
        """The number of ``text``, or of the remark that it was left out."""
        if text in self.known:
            return self.known[text]
        shown = visible(text)
        cost = len(embed(shown))
        if cost > self.left and text != _LEFT_OUT:
            return self.put(_LEFT_OUT)
        self.left -= cost
        self.known[text] = len(self.texts)
        self.texts.append(shown)
        return self.known[text]


def _encode(timeline: Timeline, pool: _Pool) -> dict[str, Any]:
    pool.left = pool.share

    def value(thing: Any) -> Any:
        if isinstance(thing, Field):
            return _field(thing, pool)
        if isinstance(thing, str):
            return visible(thing)
        if isinstance(thing, tuple):
            return [value(item) for item in thing]
        if attrs.has(type(thing)):
            return {
                field.name: value(getattr(thing, field.name))
                for field in attrs.fields(type(thing))
                if getattr(thing, field.name) not in (None, (), "")
            }
        return round(thing, 6) if isinstance(thing, float) else thing

    data: dict[str, Any] = value(attrs.evolve(timeline, trajectories=()))
    # Objects last: when a page is full, the details of its items matter more.
    shown = timeline.trajectories[:200]
    data["trajectories"] = [
        {
            "object": visible(one.object),
            "initial": pool.put(one.initial),
            "final": None if one.final is None else pool.put(one.final),
            "order": one.order,
            "agrees": one.agrees,
            "entries": [
                {
                    "mark": entry.mark and visible(entry.mark),
                    "lane": entry.lane,
                    "label": visible(entry.label),
                    "status": visible(entry.status),
                    "value": pool.put(entry.value),
                    "diff": [[line.op, pool.put(line.text)] for line in entry.diff],
                    "struck": entry.struck,
                }
                for entry in one.entries[:100]
            ],
            "more": max(len(one.entries) - 100, 0),
        }
        for one in shown
    ]
    if len(timeline.trajectories) > len(shown):
        note = f"{len(timeline.trajectories) - len(shown):,} more objects were written and are not listed"
        data["notes"] = [*data.get("notes", []), note]
    return data


def _field(field: Field, pool: _Pool) -> dict[str, Any]:
    data: dict[str, Any] = {"label": visible(field.label)}
    if field.text:
        data["text"] = pool.put(field.text)
    if field.code:
        data["code"] = True
    if field.diff:
        data["diff"] = [[line.op, pool.put(line.text)] for line in field.diff]
    if field.links:
        data["links"] = [[visible(link.target), visible(link.text)] for link in field.links]
    return data


def _certificate(given: Mapping[str, Any]) -> dict[str, Any]:
    def text(value: object, limit: int = 400) -> str:
        return visible(clip(str(value), limit))

    order = given.get("order", ())
    properties = given.get("properties", ())
    assumptions = given.get("assumptions", {})
    if isinstance(properties, str | Mapping) or not all(isinstance(row, Mapping) for row in properties):
        raise ViewError("certificate: properties must be a list of mappings with id, english and verdict")
    if not isinstance(assumptions, Mapping):
        raise ViewError("certificate: assumptions must map a name to a count, or to counts by name")
    counts = []
    for name, count in assumptions.items():
        if isinstance(count, Mapping):
            count = ", ".join(f"{text(part, 80)} {text(number, 80)}" for part, number in count.items())
        counts.append([text(name, 80), text(count)])
    return {
        "of": text(given.get("of", ""), 200),
        "order": text(order if isinstance(order, str) else " < ".join(str(one) for one in order)),
        "verdict": text(given.get("verdict", "")),
        "properties": [
            [text(row.get("id", ""), 80), text(row.get("english", "")), text(row.get("verdict", ""), 80)]
            for row in list(properties)[:500]
        ],
        "assumptions": counts[:200],
        "head": text(given.get("head", ""), 128),
    }
