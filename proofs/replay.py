"""Replay of a log against the spec: every record is a step; its guard must hold, its outcome be the one logged.

The log fixes everything that the spec leaves open (:mod:`mtpo.proofs.numbering`). The first record that is no step of
the spec is reported with the clause that refuses it, and with the reasons (:mod:`mtpo.proofs.unmatched`). What a record
costs depends on what it touches, not on how long the log is.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs

from mtpo.proofs.incremental import Incremental
from mtpo.proofs.numbering import SLICED, Numbering, Taken, parse_key
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.language import Clause, Function, Property
from mtpo.spec.records import Record
from mtpo_core.problems import Problem

__all__ = ["SLICED", "Progress", "Replay", "Run", "replay"]


@attrs.frozen
class Replay:
    """The outcome: ``steps`` taken, in each of which all properties were evaluated, and ``problems``, at most those of
    one record.

    ``refused``: the place among the records of the one
    that is no step, None when each is; ``stopped`` that of the one whose problems these are.
    """

    steps: int
    problems: tuple[Problem, ...]
    refused: int | None = None
    stopped: int | None = None


class Interpretation(Protocol):
    """The spec in one state."""

    def refused(self, step: Taken, /) -> Clause | None:
        """The first guard clause that is false."""

    def perform(self, step: Taken, /) -> Sequence[Property]:
        """Take the step; the step properties that it violates, and the invariants that are false then."""

    def reader(self, variable: str, /) -> Callable[..., int]:
        """A function that gives the value of a variable for its arguments."""

    def noted(self) -> Mapping[int, int]:
        """The calls whose notes the last step changed, with what they were."""


class Sparse:
    """The interpretation for runs of any length: it looks at what a step can have changed."""

    def __init__(self, numbering: Numbering) -> None:
        self.spec: Incremental = numbering.incremental()
        self.refused, self.perform, self.reader = self.spec.refuses, self.spec.goes, self.spec.reader

    def noted(self) -> Mapping[int, int]:
        return self.spec.changed("note")


class Plain:
    """The plain interpretation, for short runs: what the other is tested against."""

    def __init__(self, numbering: Numbering) -> None:
        self.spec: Instance = numbering.instance()
        self.state = self.spec.initial()
        self.before = list(self.state)

    def _step(self, step: Taken) -> Step:
        name, given = step
        args: list[Any] = []
        for param, arg in zip(self.spec.spec.actions[name].params, given, strict=True):
            table = isinstance(param, Function)
            args.append(tuple(arg.get(i, 0) for i in range(self.spec.cells(param))) if table else arg)  # type: ignore[arg-type]
        return Step(name, tuple(args))

    def refused(self, step: Taken) -> Clause | None:
        return next(iter(self.spec.refused(self.state, self._step(step))), None)

    def perform(self, step: Taken) -> list[Property]:
        self.before = list(self.state)
        self.spec.perform(self.state, self._step(step))
        return [*self.spec.violated_step(self.before, self.state), *self.spec.violated(self.state)]

    def reader(self, variable: str) -> Callable[..., int]:
        return lambda *args: self.spec.value(self.state, variable, *args)

    def noted(self) -> Mapping[int, int]:
        calls, note = range(self.spec.cells(self.spec.spec.variables["note"])), self.reader("note")
        old = {c: self.spec.value(self.before, "note", c) for c in calls}
        return {c: was for c, was in old.items() if was != note(c)}


class Run:
    """A replay under way: :meth:`take` one record after the other, until ``problems`` is not empty."""

    def __init__(self, numbering: Numbering, spec: Interpretation) -> None:
        self.numbering, self.spec = numbering, spec
        self.steps = 0
        self.problems: list[Problem] = []
        self.unmatched = False
        self._makers, self._refused, self._perform = numbering.makers, spec.refused, spec.perform
        self._note, self._undoer, self._saw = spec.reader("note"), spec.reader("undoer"), spec.reader("saw")
        self._top, self._value = spec.reader("top"), spec.reader("value")
        self._owed: set[int] = set()
        self._since: dict[int, dict[int, int]] = {}
        """By open repair: the calls whose notes it changed, with what they were before."""

    def take(self, record: Record) -> None:
        """Replay one record."""
        kind = record.kind
        make = self._makers.get(kind)
        if make is None:
            if kind == "notify":
                self._owed.discard(record.agent if record.agent is not None else -1)
            elif kind == "close" and self._owed:
                self._untold(record)
            return
        step = make(record)
        if self._owed and (step is not None or kind == "external"):
            self._untold(record)
            return
        if step is None:
            return
        refused = self._refused(step)
        if refused is not None:
            self.unmatched = True
            self._report(record, refused.id, f"not a step of the spec: {refused.formula!r} is false")
            return
        noted = kind == "redone" and bool(self._note(step[1][0]))
        repair = 0
        if kind in _TELLS:
            repair = step[1][0] if kind == "settle" else self._undoer(step[1][0])
        for p in self._perform(step):
            where = "the step violates it" if p.role == "step" else "violated in the state"
            self._report(record, p.id, f"{where}: {p.doc}")
        self.steps += 1
        if repair and (changed := self.spec.noted()):
            self._since[repair] = {**changed, **self._since.get(repair, {})}
        if kind in _WITH_OUTCOME:
            self._outcome(record, step, noted)

    def _untold(self, record: Record) -> None:
        ranks = ", ".join(map(str, sorted(self._owed)))
        what = f"the repair before it is to be told to rank {ranks}, and no notification is logged"
        self.problems.append(Problem("mtpo.settled-told", f"record {record.seq} ({record.kind})", what))

    def _report(self, record: Record, property: str, what: str) -> None:
        where = f"record {record.seq} ({record.kind}{f' {record.call}' if record.call else ''})"
        self.problems.append(Problem(property, where, what))

    def _outcome(self, record: Record, step: Taken, noted: bool) -> None:
        """What the record says came of the step, against what the spec says; ``noted`` before it."""
        kind, body, names = record.kind, record.body, self.numbering
        if kind in _SEEING:
            call = step[1][0]
            for o, sight in body["saw"].items():
                if self._saw(call, names.objects[o]) != names.digests[sight["digest"]]:
                    self._report(record, "mtpo.filtered-read", f"saw another value of {o} than is at its position")
            if kind == "redone" and not noted:
                note = bool(self._note(call))
                if bool(body["changed"]) != note:
                    self._report(record, "mtpo.redo-told", f"`changed` is {body['changed']}, by the spec {note}")
        elif kind == "settle":
            self._settled(record, self._since.pop(step[1][0], {}))
        else:
            for o, digest in body["restored"].items():
                place = names.objects[o]
                if self._value(self._top(place), place) != names.digests[digest]:
                    self._report(record, "mtpo.top-only-undo", f"{o} was not restored to what the call had replaced")

    def _settled(self, record: Record, noted: dict[int, int]) -> None:
        names, note, stale = self.numbering, self._note, record.body["stale"]
        if not stale and not noted:
            self._owed = set()
            return
        self._owed = {parse_key(k)[0] for k in stale}
        logged = {names.call(k) for k in stale}
        untold = {c for c, was in noted.items() if not was and note(c)}
        odd = {c for c in logged if not note(c)} | (untold - logged)
        if odd:
            who = ", ".join(names.key(c) for c in sorted(odd))
            self._report(record, "mtpo.settled-told", f"the log and the spec differ on who is to be told: {who}")


_TELLS = frozenset({"redone", "cancelled", "stranded", "settle"})
"""Steps of a repair after which somebody is to be told something."""

_WITH_OUTCOME = frozenset({"read", "applied", "redone", "settle", "undone", "retracted"})


_SEEING = frozenset({"read", "applied", "redone"})
"""Those that say what the call saw."""


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """No search for garbage in cycles meanwhile: a long log is millions of objects, and replaying it makes no cycle."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


Progress = Callable[[int, int], None]
"""Told how many records were replayed, of how many."""

_CHUNK = 4096
"""Records between two words of progress."""


def replay(
    records: Sequence[Record],
    *,
    absent: str | None = None,
    plain: bool = False,
    progress: Progress = lambda done, total: None,
) -> Replay:
    """Replay the records of an ``mtpo`` run.

    ``absent``: the digest of the absent value, which every object has that ``run-open`` does not name. ``plain``: with
    the plain interpretation, whose cost grows with the log. ``progress`` is told now and then, and on an interrupt, how
    many records are steps, with every property.

    Malformed bodies raise KeyError or ValueError: check the log first.
    """
    with without_collection():
        progress(0, len(records))
        numbering = Numbering(records, absent)
        return _replayed(records, Run(numbering, Plain(numbering) if plain else Sparse(numbering)), progress)


def _replayed(records: Sequence[Record], run: Run, progress: Progress) -> Replay:
    take, problems, place, total = run.take, run.problems, 0, len(records)
    try:
        for start in range(0, total, _CHUNK):
            for place, record in enumerate(records[start : start + _CHUNK], start):
                take(record)
                if problems:
                    return Replay(run.steps, tuple(problems), place if run.unmatched else None, place)
            progress(min(start + _CHUNK, total), total)
    except KeyboardInterrupt:
        progress(place, total)
        raise
    return Replay(run.steps, ())
