"""The steps that come into question in a state: those by given calls and agents, and by who has to do with them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from mtpo.proofs.replay.numbering import OF_AGENTS, Numbering, Taken
from mtpo.proofs.replay.replay import Sparse
from mtpo.proofs.replay.witness import Finder, Instance
from mtpo.spec.language import Clause
from mtpo.spec.language.terms import Bool
from mtpo.spec.mtpo import Agent, Call
from mtpo.spec.records import Record

MOST_CALLS: Final = 64
"""Calls whose steps are looked at in one state."""

AHEAD: Final = 4096
"""Records from a place on that are looked at for the arguments of steps."""

_WITH_ARGUMENTS: Final = frozenset({"call", "retract", "read", "applied", "redone"})
_COMPLETED: Final = 256
"""Elements of an argument that are found one by one."""


class Candidates:
    """Steps in the state in which the spec is. Arguments that are functions are those of the record that takes the
    step in the log, if there is one; relations are else what the guard asks for, values those that there are."""

    def __init__(self, numbering: Numbering, sparse: Sparse, records: Sequence[Record], place: int) -> None:
        self.numbering, self.sparse = numbering, sparse
        self._finders: dict[str, Finder] = {}
        self._members: dict[int, tuple[int, ...]] = {}
        self._later: dict[tuple[str, int], Taken] = {}
        self._openers: deque[int] = deque(maxlen=MOST_CALLS)
        for record in itertools.islice(records, place):
            if record.kind in ("call", "retract"):
                call = numbering.call(str(record.call))
                self._openers.append(call)
                if record.body["members"]:
                    self._members[call] = tuple(map(numbering.call, record.body["members"]))
        for record in itertools.islice(records, place, place + AHEAD):
            if record.kind in _WITH_ARGUMENTS and (taken := self._taken(record)) is not None:
                self._later.setdefault((record.kind, taken[1][0]), taken)

    def _taken(self, record: Record) -> Taken | None:
        try:
            return self.numbering.step(record)
        except (KeyError, ValueError, IndexError, TypeError):  # of a record that is not reached
            return None

    def finder(self, action: str, clause: Clause) -> Finder:
        """What finds the elements for which a clause of an action is false."""
        if clause.id not in self._finders:
            spec = self.sparse.spec
            self._finders[clause.id] = Finder(spec, spec.spec.actions[action], clause)
        return self._finders[clause.id]

    def refused(self, step: Taken) -> tuple[Finder, Instance] | None:
        """The first clause of a step that is false, and for what; None if the step may be taken."""
        clause = self.sparse.refused(step)
        if clause is None:
            return None
        finder = self.finder(step[0], clause)
        found = finder.find(step[1])
        assert found is not None
        return finder, found

    def of(self, calls: Iterable[int], agents: Iterable[int]) -> Iterator[Taken]:
        """Every step of these calls and agents, in serial order; but what is above is undone first."""
        for action in self.sparse.spec.spec.actions.values():
            if any(p.sort not in (Agent, Call) for p in action.elements):
                continue
            first = agents if action.name in OF_AGENTS else calls
            downwards = action.name == "undone"  # what is above goes first
            yield from (self._with_arguments(action.name, element) for element in sorted(first, reverse=downwards))

    def near(self, calls: Iterable[int], agents: Iterable[int]) -> Iterator[Taken]:
        """Every step of these, of who undoes them, of what they undo, of the last repairs if they are open, and of the
        authors."""
        value, most = self.sparse.spec.value, len(self.numbering.keys)
        found = {c for c in calls if 0 < c <= most}
        found |= {value("undoer", c) for c in found} - {0}
        found |= {holder for c in found for o in self._touched(c) if (holder := value("holder", o))}
        found |= {c for c in self._openers if value("opened", c)}
        for c in sorted(found):
            found.update(itertools.islice((m for m in self._members.get(c, ()) if value("undoer", m) == c), MOST_CALLS))
        known = set(sorted(found)[:MOST_CALLS])
        authors = {self.numbering.authors[c] for c in known} | {a for a in agents if a < self.numbering.agents}
        return self.of(known, authors)

    def _touched(self, call: int) -> Iterable[int]:
        return itertools.chain(self.numbering.reads[call], self.numbering.writes[call])

    def _with_arguments(self, name: str, element: int) -> Taken:
        logged = self._later.get((name, element))
        if logged is not None and (name in ("applied", "redone") or self.sparse.refused(logged) is None):
            return logged
        params = self.sparse.spec.spec.actions[name].functions
        args: list[dict[int, int]] = [{} for _ in params]
        if any(p.range is Bool for p in params):
            return self._completed(name, element, dict(zip((f"p_{p.name}" for p in params), args, strict=True)))
        if name in ("applied", "redone"):
            value = self.sparse.spec.value
            args = [{o: value("value", element, o) for o in self.numbering.writes[element]}]
        return name, (element, *args)

    def _completed(self, name: str, element: int, args: Mapping[str, dict[int, int]]) -> Taken:
        """The step whose relations hold of what the guard asks for, one element after the other."""
        step = name, (element, *args.values())
        for _ in range(_COMPLETED):
            refused = self.refused(step)
            lacking = refused[1].lacking if refused is not None else []
            if refused is None or not lacking:
                break
            for symbol, variable in lacking:
                args[symbol][refused[1].values[variable]] = 1
        return step


__all__ = ["Candidates"]
