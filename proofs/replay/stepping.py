"""Records taken as steps of the spec, one after the other: the guard must hold, the outcome be the one logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from mtpo.proofs.incremental.incremental import Incremental
from mtpo.proofs.replay.numbering import Numbering, Taken, parse_key
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.language import Clause, Function, Property
from mtpo.spec.records import Record
from mtpo_core.problems import Problem


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

    def __init__(self, numbering: Numbering, spec: Incremental | None = None) -> None:
        self.spec: Incremental = numbering.incremental() if spec is None else spec
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

    def skim(self, record: Record) -> None:
        """:meth:`take` a record without looking: whether it is a step, and its outcome the one logged, somebody else
        says."""
        kind = record.kind
        make = self._makers.get(kind)
        step = None if make is None else make(record)
        if step is None:
            if kind == "notify":
                self._owed.discard(record.agent if record.agent is not None else -1)
            return
        repair = 0
        if kind in _TELLS:
            repair = step[1][0] if kind == "settle" else self._undoer(step[1][0])
        self._perform(step)
        self.steps += 1
        if repair and (changed := self.spec.noted()):
            self._since[repair] = {**changed, **self._since.get(repair, {})}
        if kind == "settle":
            self._since.pop(step[1][0], None)
            self._owed = {parse_key(k)[0] for k in record.body["stale"]}

    def going_on(self, spec: Interpretation) -> Run:
        """A run that goes on from here, in another interpretation of the same state."""
        other = Run(self.numbering, spec)
        other.steps, other._owed, other._since = self.steps, self._owed, self._since
        return other

    def standing(self) -> tuple[int, tuple[int, ...], tuple[tuple[int, tuple[tuple[int, int], ...]], ...]]:
        """What is known besides the state: the steps taken, who is to be told, what open repairs have changed."""
        since = sorted((repair, tuple(sorted(noted.items()))) for repair, noted in self._since.items())
        return self.steps, tuple(sorted(self._owed)), tuple(since)

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
                if self._saw(call, names.objects[o]) != names.value(sight["digest"]):
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
                if self._value(self._top(place), place) != names.value(digest):
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
