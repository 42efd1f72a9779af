"""The equivalent serial schedule: the same work with the agents one after the other, in rank order.

An agent keeps the time in which it was at work (inferring, calling) and loses the rest. What the cancellation laws of
notified serializability (Lyu et al., SCCP 2026) cancel has no place in it: undone work, notifications, bounces.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import attrs

from mtpo_core.view.shapes import Mark, Span

_DROPPED = frozenset(
    {"failed", "bounce", "told", "undone", "redone", "cancelled", "stranded", "retracted", "reopen", "recover"}
)


@attrs.frozen
class _Busy:
    """The intervals in which one agent was at work, disjoint and ascending, and how much came before each."""

    starts: tuple[float, ...]
    ends: tuple[float, ...]
    before: tuple[float, ...]
    offset: float

    @property
    def total(self) -> float:
        return self.before[-1] + self.ends[-1] - self.starts[-1] if self.starts else 0.0

    def at(self, t: float) -> float:
        """The serial place of real time ``t``."""
        index = bisect_right(self.starts, t) - 1
        if index < 0:
            return self.offset
        return self.offset + self.before[index] + min(t, self.ends[index]) - self.starts[index]


def _busy(spans: Iterable[tuple[float, float]], offset: float) -> _Busy:
    merged: list[list[float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    before, total = [], 0.0
    for start, end in merged:
        before.append(total)
        total += end - start
    return _Busy(tuple(a for a, _ in merged), tuple(b for _, b in merged), tuple(before), offset)


def serialize(
    ranks: Iterable[int], spans: Sequence[Span], marks: Sequence[Mark]
) -> tuple[list[Span], list[Mark], float]:
    """Give every span and mark its place in the serial schedule; also the schedule's length."""
    work: dict[int, list[tuple[float, float]]] = {}
    for span in spans:
        if span.kind != "held":
            work.setdefault(span.lane, []).append((span.start, span.end))
    busy: dict[int, _Busy] = {}
    offset = 0.0
    for rank in sorted(ranks):
        busy[rank] = _busy(work.get(rank, []), offset)
        offset += busy[rank].total
    gone = {mark.id for mark in marks if mark.kind in _DROPPED or (mark.struck and not _lives_on(mark))}
    last_finish = {mark.lane: mark.id for mark in marks if mark.kind == "finish"}

    def place(mark: Mark) -> float | None:
        superseded = mark.kind == "finish" and last_finish[mark.lane] != mark.id
        return None if mark.id in gone or mark.lane not in busy or superseded else busy[mark.lane].at(mark.at)

    placed = [
        span
        if span.kind == "held" or span.lane not in busy or span.of in gone
        else attrs.evolve(span, serial=(busy[span.lane].at(span.start), busy[span.lane].at(span.end)))
        for span in spans
    ]
    return placed, [attrs.evolve(mark, serial=place(mark)) for mark in marks], offset


def _lives_on(mark: Mark) -> bool:
    """An undone write that was re-applied keeps its place: the serial run has it once, where it was issued."""
    return any(field.label == "Re-applied" for field in mark.fields)
