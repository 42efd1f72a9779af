"""Why a log stops being a run of the spec: of the first record that is no step, every guard clause that is false, the
elements for which it is, the facts that make it so, since when, and which steps would make it true; then the steps that
are possible instead, and of the others of its call and agent the clause that is false.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs

from mtpo.proofs.replay.candidates import Candidates
from mtpo.proofs.replay.numbering import OF_AGENTS, Numbering, Taken
from mtpo.proofs.replay.remedies import BACK, DEEP, Remedies, Remedy
from mtpo.proofs.replay.replay import Progress, Run, Sparse
from mtpo.proofs.replay.trail import Cells, Trail
from mtpo.proofs.replay.witness import Finder, named, told
from mtpo.spec.records import Record


@attrs.frozen
class Refusal:
    """A clause of another step that is false: ``elements`` for which (name, value), those of the step itself left out,
    and the ``facts`` there."""

    id: str
    formula: str
    elements: tuple[tuple[str, str], ...]
    facts: tuple[str, ...]

    @property
    def reason(self) -> str:
        """What is said after its id, in one line."""
        of = ", ".join(f"{name} = {value}" for name, value in self.elements)
        since = ", ".join(self.facts)
        if not since:
            return f"is false: {self.formula}"
        return f"is false{f' for {of}' if of else ''} since {since}"


@attrs.frozen
class FalseClause:
    """A guard clause of the record that is false. ``until`` says which record made it false, empty if it never held;
    ``remedies`` are the nearest steps that would make it true."""

    id: str
    formula: str
    elements: tuple[tuple[str, str], ...]
    facts: tuple[str, ...]
    until: str
    remedies: tuple[Remedy, ...]

    def lines(self) -> list[str]:
        """The clause as text."""
        out = [f"{self.id} is false: {self.formula}"]
        if self.elements:
            out.append(f"  for {', '.join(f'{name} = {value}' for name, value in self.elements)}")
        if self.facts:
            out.append(f"  since {', '.join(self.facts)}")
        out.append(f"  it held until {self.until}" if self.until else "  it had never held before")
        if self.remedies:
            out.append(f"  it would hold after: {'; or after: '.join(map(str, self.remedies))}")
        else:
            out.append(f"  no way to make it true was found: {DEEP} steps here, or one before any of the {BACK} before")
        return out


@attrs.frozen
class Unmatched:
    """The record that is no step, its false clauses, the steps near it that are possible ``instead``, and those of its
    call and agent that are no ``others``, each with what refuses it."""

    record: Record
    clauses: tuple[FalseClause, ...]
    instead: tuple[str, ...]
    others: tuple[tuple[str, Refusal], ...] = ()

    def lines(self) -> list[str]:
        """The whole as text."""
        head = f"{place_of(self.record)} is no step of the spec"
        out = [head, *(line for clause in self.clauses for line in clause.lines())]
        out.append(f"possible here: {', '.join(self.instead) if self.instead else 'no step of this agent or call'}")
        return out + [f"not possible: {name}: {x.id} {x.reason}" for name, x in self.others]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "record": self.record.seq,
            "clauses": [attrs.asdict(clause) for clause in self.clauses],
            "instead": list(self.instead),
            "others": [{"step": name, **attrs.asdict(refusal)} for name, refusal in self.others],
        }


def place_of(record: Record) -> str:
    """A record by number, kind and call."""
    return f"record {record.seq} ({record.kind}{f' {record.call}' if record.call else ''})"


def unmatched(
    records: Sequence[Record],
    place: int,
    absent: str | None = None,
    progress: Progress = lambda done, total: None,
    beside: Sequence[Record] = (),
) -> Unmatched:
    """Why the record at a place is no step, all before it being some
    (:attr:`mtpo.proofs.replay.replay.Replay.refused`)."""
    numbering = Numbering([*records, *beside], absent)
    step = numbering.step(records[place])
    assert step is not None
    sparse = Sparse(numbering)
    action = sparse.spec.spec.actions[step[0]]
    finders = [Finder(sparse.spec, action, clause) for clause in action.guard]
    until, past = _before(records, place, Run(numbering, sparse), finders, step, progress)
    candidates = Candidates(numbering, sparse, records, place)
    by = records[place].body.get("by")
    search = Remedies(candidates, step, finders, past, 0 if by is None else numbering.call(by))
    remedies, clauses = search.find(), []
    for finder in finders:
        found, clause = finder.find(step[1]), finder.clause
        if found is not None:
            elements, facts = told(numbering, finder, found)
            ended = until.get(clause.id, "")
            clauses.append(FalseClause(clause.id, finder.formula, elements, facts, ended, remedies[clause.id]))
    instead = [named(numbering, s) for s in search.near() if sparse.refused(s) is None]
    return Unmatched(records[place], tuple(clauses), tuple(instead), _others(candidates, step))


def _before(
    records: Sequence[Record], place: int, run: Run, finders: Sequence[Finder], step: Taken, progress: Progress
) -> tuple[dict[str, str], list[tuple[int, Taken, Cells]]]:
    """The records before: which one made each clause false last, and the last steps with what they changed."""
    assert isinstance(run.spec, Sparse)
    held = {f.clause.id: f.find(step[1]) is None for f in finders}
    until: dict[str, str] = {}
    past: deque[tuple[int, Taken, Cells]] = deque(maxlen=BACK)
    trail = Trail(run.spec)
    for number, record in enumerate(itertools.islice(records, place)):
        if number % 4096 == 0:
            progress(number, place)
        steps = run.steps
        run.take(record)
        if run.steps == steps:
            continue
        if place - number <= 64 * BACK and (taken := run.numbering.step(record)) is not None:
            past.append((record.seq, taken, trail.cells()))
        for f in finders:
            now = f.find(step[1]) is None
            if held[f.clause.id] and not now:
                until[f.clause.id] = place_of(record)
            held[f.clause.id] = now
    return until, list(past)


def _others(candidates: Candidates, step: Taken) -> tuple[tuple[str, Refusal], ...]:
    """The steps of the same call and agent that are not possible either, each with what refuses it; but for those
    whose arguments would have to be made up."""
    first = step[1][0] if step[1] else None
    if first is None:
        return ()
    of_agent = step[0] in OF_AGENTS
    agents = {first} if of_agent else {candidates.numbering.authors[first]}
    made = []
    for other in candidates.of(() if of_agent else (first,), agents):
        refused = candidates.refused(other) if other[0] != step[0] else None
        if refused is not None and not refused[1].of_arguments:
            finder, found = refused
            (_, *elements), facts = told(candidates.numbering, finder, found)
            refusal = Refusal(finder.clause.id, finder.formula, tuple(elements), facts)
            made.append((named(candidates.numbering, other), refusal))
    return tuple(made)


__all__ = ["FalseClause", "Refusal", "Unmatched", "unmatched"]
