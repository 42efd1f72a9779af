"""A log that violates a property, made smaller: agents, calls, objects and records are dropped while it still does.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", TSE 2002): of a list of
things, halves, quarters and so on are left out, as long as what is wrong with the rest first is what was wrong with the
whole (:class:`Trouble`), and it violates nothing that the whole did not. What is left is renumbered and chained anew,
so that it is a log like any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import attrs

from mtpo.proofs.replay.judge import Judgment, judge
from mtpo.proofs.replay.leaving import (
    objects_of,
    without_agents,
    without_calls,
    without_objects,
    without_records,
)
from mtpo.proofs.replay.rechaining import chained, rechained, renumbered
from mtpo.proofs.runs.runform import call_of
from mtpo.spec.records import Record
from mtpo_core.causes import is_damage
from mtpo_core.logchain import check_chain
from mtpo_core.logfile import LoggedRun
from mtpo_core.problems import Problem

T = TypeVar("T")

MOST_CHECKS = 600
"""Judgments of one shrinking."""

MOST_RECORDS = 500_000
"""Records of all logs that are judged to leave things out."""


class NothingToShrink(ValueError):
    """The log violates nothing, or only what making it anew would mend: one line that says which."""


@attrs.frozen
class Trouble:
    """What is wrong with a log first: the ``property`` that is violated, at which ``kind`` of record (empty where it is
    said of no record); where the replay stops, the ``clause`` or property by which, and the kind of record ``at``."""

    property: str
    kind: str = ""
    clause: str = ""
    at: str = ""

    @classmethod
    def of(cls, found: Judgment) -> Trouble | None:
        """The trouble that was found; None if there is none."""
        if not found.problems:
            return None
        first = found.problems[0]
        stop = found.replay.problems[0] if found.replay is not None and found.replay.problems else None
        replayed = ("", "") if stop is None else (stop.property, _kind(stop))
        return cls(first.property, _kind(first), *replayed)

    def __str__(self) -> str:
        where = f" at a record of kind {self.kind}" if self.kind else ""
        if not self.clause or (self.property, self.kind) == (self.clause, self.at):
            return f"{self.property}{where}"
        return f"{self.property}{where}, and the replay stops by {self.clause} at one of kind {self.at}"


@attrs.frozen
class Shrunk:
    """The smaller log, what is wrong with it, as with the whole, and how many logs were judged. ``mended`` is damage of
    the whole that a log numbered and chained anew does not have: ``trouble`` is what is wrong beside it."""

    run: LoggedRun
    trouble: Trouble
    checks: int
    mended: tuple[Problem, ...] = ()

    @property
    def property(self) -> str:
        """The property that it violates."""
        return self.trouble.property


def shrink(run: LoggedRun, tell: Callable[[str], None] = lambda text: None) -> Shrunk:
    """Make a log smaller in which something is wrong: what its judgment says is wrong first, beside damage that
    numbers and a chain of its own mend, stays so.

    Raises :class:`NothingToShrink` when nothing is but with the file itself: its chain, its values.
    """
    tell(f"judging {len(run.records)} records")
    whole = judge(rechained(run, run.records))
    trouble = Trouble.of(whole)
    if trouble is None:
        said = judge(run).problems
        why = f"only {said[0].property}, which a log made anew does not have" if said else "nothing"
        raise NothingToShrink(f"{run.path}: nothing to shrink: it violates {why}")
    allowed = frozenset(p.property for p in whole.problems)
    mended = tuple(p for p in check_chain(run) if is_damage(p) and p.property not in allowed)
    search = _Search(run, trouble, allowed, tell)
    records = search.prefix(list(run.records), _end(whole))
    records = search.around(records)
    size = -1
    while size != len(records):
        size = len(records)
        for things, drop in (
            (lambda rs: sorted({r.agent for r in rs if r.agent is not None}), without_agents),
            (lambda rs: sorted({key for r in rs if (key := call_of(r)) is not None}), without_calls),
            (lambda rs: sorted({o for r in rs for o in objects_of(r)}), without_objects),
            (lambda rs: [r.seq for r in rs[1:]], without_records),
        ):
            records = search.fewer(records, things, drop)
    return Shrunk(rechained(run, records), trouble, search.checks, mended)


class _Search:
    def __init__(self, run: LoggedRun, trouble: Trouble, allowed: frozenset[str], tell: Callable[[str], None]) -> None:
        self.run, self.trouble, self.allowed, self.tell = run, trouble, allowed, tell
        self.checks = self.judged = 0

    def fails(self, records: Sequence[Record]) -> bool:
        """Whether what is wrong with the log is still what was, and nothing new."""
        self.checks += 1
        self.judged += len(records)
        self.tell(f"{len(records)} records, {self.checks} logs judged")
        found = judge(rechained(self.run, records))
        return Trouble.of(found) == self.trouble and {p.property for p in found.problems} <= self.allowed

    def prefix(self, records: list[Record], end: int) -> list[Record]:
        """The shortest beginning that bisection finds; where the trouble was found, at ``end``, is tried first."""
        low, high = 1, len(records)
        if 0 < end < high and self.fails(records[:end]):
            if end == 1 or not self.fails(records[: end - 1]):
                return records[:end]
            high = end - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.fails(records[:middle]) else (middle + 1, high)
        return records[:high] if high == len(records) or self.fails(records[:high]) else records

    @property
    def spent(self) -> bool:
        """Enough was tried."""
        return self.checks >= MOST_CHECKS or self.judged >= MOST_RECORDS

    def around(self, records: list[Record]) -> list[Record]:
        """What the agent of the last record did, with those that share objects with it, and so on: the fewest."""
        touched: dict[int, set[str]] = {}
        for r in records:
            if r.agent is not None:
                touched.setdefault(r.agent, set()).update(objects_of(r))
        kept = {agent for agent in touched if agent == records[-1].agent}
        while kept and self.judged < MOST_RECORDS:
            tried = without_agents(records, touched.keys() - kept)
            if 2 * len(tried) > len(records):
                break
            if self.fails(tried):
                return renumbered(tried)
            objects = set[str]().union(*(touched[agent] for agent in kept))
            wider = {agent for agent, own in touched.items() if own & objects}
            if wider <= kept:
                break
            kept |= wider
        return records

    def fewer(
        self,
        records: list[Record],
        things: Callable[[list[Record]], Sequence[T]],
        drop: Callable[[list[Record], set[T]], list[Record]],
    ) -> list[Record]:
        """Leave out things, many at a time at first."""
        chunk = max(1, len(things(records)) // 2)
        while True:
            place, dropped = 0, False
            while place < len(things(records)) and not self.spent:
                tried = drop(records, set(things(records)[place : place + chunk]))
                if len(tried) and tried != records and self.fails(tried):
                    records, dropped = renumbered(tried), True
                else:
                    place += chunk
            if (chunk == 1 and not dropped) or self.spent:
                return records
            chunk = max(1, chunk // 2)


def _end(found: Judgment) -> int:
    """After how many records the trouble was found; 0 if that is not said."""
    first = _PLACE.match(found.problems[0].where)
    if first is None:
        return 0
    stopped = found.replay.stopped if found.replay is not None else None
    return 1 + max(int(first["seq"]), -1 if stopped is None else stopped)


def _kind(problem: Problem) -> str:
    """The kind of the record of which it is said; empty if it is of none, or none is named."""
    place = _PLACE.match(problem.where)
    return (place["kind"] or "") if place is not None else ""


_PLACE: Final = re.compile(r"record (?P<seq>\d+)(?: \((?P<kind>[a-z-]+))?")


__all__ = ["NothingToShrink", "Shrunk", "Trouble", "chained", "rechained", "shrink"]
