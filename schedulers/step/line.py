"""Requests in the order of their deadlines: those that run, and the line of those that wait."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from mtpo.schedulers.step.deadlines import Objectives
from mtpo.schedulers.types import RequestView

Key = tuple[float, float, int, RequestView]
"""When the next token is due, arrival, id: slack has the same order as deadlines, at any time."""


@attrs.define(eq=False)
class Line:
    """The waiting requests seen last, by deadline: most steps see the same ones, and sorting them costs most."""

    waiting: tuple[RequestView, ...] = ()
    objectives: Objectives | None = None
    ordered: list[Key] = attrs.field(factory=list)

    def sort(self, waiting: tuple[RequestView, ...], objectives: Objectives) -> list[Key]:
        """Those that wait now, by deadline."""
        old, same = self.waiting, self.objectives == objectives
        if same and old is waiting:
            return self.ordered
        self.waiting, self.objectives = waiting, objectives
        # As a rule some left in front and some came at the end; found by comparing whole tuples, which is fast.
        gone = next((at for at, r in enumerate(old[:_FEW]) if waiting and r is waiting[0]), -1)
        kept = len(old) - gone
        if not same or gone < 0 or len(waiting) - kept > _FEW or old[gone:] != waiting[:kept]:
            self.ordered = sorted(keys(waiting, objectives))
            return self.ordered
        # Another list, since somebody may still go through the one before.
        self.ordered = self.ordered.copy()
        for key in keys(old[:gone], objectives):
            del self.ordered[bisect.bisect_left(self.ordered, key[:3])]
        for key in keys(waiting[kept:], objectives):
            bisect.insort(self.ordered, key)
        return self.ordered


_FEW: Final = 32
"""So many changes of the waiting line are cheaper to follow than sorting it anew."""


def keys(requests: Sequence[RequestView], objectives: Objectives) -> Iterator[Key]:
    """Each with what it is sorted by."""
    for due, r in zip(objectives.dues(requests), requests, strict=True):
        yield due, r.arrival, r.id, r


def running(requests: Sequence[RequestView], objectives: Objectives) -> tuple[list[Key], list[Key]]:
    """The running decodes and the running prefills, by deadline."""
    decodes: list[Key] = []
    prefills: list[Key] = []
    for key in keys(requests, objectives):
        r = key[3]
        # As r.decoding, which takes two calls.
        kind = decodes if r.emitted > 0 and r.known - r.computed == 1 else prefills
        kind.append(key)
    decodes.sort()
    prefills.sort()
    return decodes, prefills
