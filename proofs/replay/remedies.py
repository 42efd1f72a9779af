"""Which steps would have made a clause of a refused step true: a few taken here, or one before an earlier record.

The search is bounded, breadth first: from the state in which the step is refused, over the steps by the elements for
which the clause is false and by who has to do with them. Where so few do not do, all steps of one kind are taken one
after the other, and those left out that are not needed. Where nothing that can be done here lets the step be taken, one
more is tried before each of the last records, nearest first; those after it must all still be steps then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attrs

from mtpo.proofs.replay.candidates import Candidates
from mtpo.proofs.replay.numbering import OF_AGENTS, Taken
from mtpo.proofs.replay.trail import Cells, Trail
from mtpo.proofs.replay.witness import Finder, named
from mtpo.spec.mtpo import Agent, Call

DEEP: Final = 3
"""Steps that are tried one after the other; and kinds of steps, all that there are of each."""

BACK: Final = 64
"""Steps before the refused one before which another is tried."""

MOST_TRIED: Final = 4_000
"""Steps that are tried here one by one; so many again of one kind together, and four times so many further back."""

LONG: Final = 8
"""Steps of a way after which the step may not be taken, though the clause is true: a longer one says nothing."""

MOST_TOLD: Final = 3
"""Remedies of one clause that are told: those that are equally near."""

_ALONE: Final = frozenset({"abort", "call", "retract", "read"})
"""Steps that are not taken together: they are somebody's choice."""

Path = tuple[Taken, ...]


@attrs.frozen
class Remedy:
    """Steps after which a clause is true, where the refused step stands; or, of one, before the record of number
    ``before``. ``still`` is the clause by which the step is refused even then, empty if it may be taken."""

    steps: tuple[str, ...]
    before: int | None = None
    still: str = ""

    def __str__(self) -> str:
        steps = ", then ".join(self.steps)
        where = "" if self.before is None else f", before record {self.before}"
        return f"{steps}{where}{f' (but {self.still} is false then)' if self.still else ''}"


@attrs.frozen
class Ways:
    """The nearest ways after which the step may be taken, and by clause those after which it is true."""

    whole: list[Path]
    holds: dict[str, list[Path]]


@attrs.define
class Remedies:
    """The search for one refused step. ``past`` are the last steps before it, each with the number of its record and
    what it changed; ``by`` is the call that the record names as the one whose repair it is of, or 0."""

    candidates: Candidates
    step: Taken
    finders: Sequence[Finder]
    past: Sequence[tuple[int, Taken, Cells]]
    by: int = 0
    _trail: Trail = attrs.field(init=False)
    _base: tuple[set[int], set[int]] = attrs.field(init=False)
    _tried: int = 0

    def __attrs_post_init__(self) -> None:
        self._trail = Trail(self.candidates.sparse)
        calls, agents = self._elements()
        self._base = calls | ({self.by} - {0}), agents

    def find(self) -> dict[str, tuple[Remedy, ...]]:
        """By clause that is false: the nearest remedies. Afterwards the state is as before."""
        wanted = [f for f in self.finders if not self._holds(f)]
        ways = self._search(wanted, self._singly)
        paths = {id: ways.whole or found for id, found in ways.holds.items()}
        if not ways.whole:
            others = self._search(wanted, self._together)
            for f in wanted:
                if others.whole:
                    paths[f.clause.id] = [self._needed(others.whole[0], f)]
                elif not paths[f.clause.id]:
                    shorter = [self._needed(path, f) for path in others.holds[f.clause.id][:1]]
                    paths[f.clause.id] = [path for path in shorter if len(path) <= LONG]
        made = {id: tuple(map(self._remedy, found[:MOST_TOLD])) for id, found in paths.items()}
        for f in wanted:
            here = made[f.clause.id]
            if not here or here[0].still:
                earlier = self._earlier(f)
                made[f.clause.id] = earlier if earlier and not earlier[0].still else here or earlier
        return made

    def _holds(self, finder: Finder) -> bool:
        return finder.find(self.step[1]) is None

    def _refused(self) -> str:
        clause = self.candidates.sparse.refused(self.step)
        return "" if clause is None else clause.id

    def _remedy(self, path: Path) -> Remedy:
        self._trail.walk(path)
        still = self._refused()
        self._trail.back(len(path))
        return Remedy(tuple(named(self.candidates.numbering, step) for step in path), None, still)

    # -- here --------------------------------------------------------------------------------------------------

    def _search(self, wanted: Sequence[Finder], more: Callable[[], Iterator[Path]]) -> Ways:
        ways = Ways([], {f.clause.id: [] for f in wanted})
        frontier: list[Path] = [()]
        seen = {self._trail.now({})}
        self._tried = 0
        for _ in range(DEEP):
            further: list[Path] = []
            for path in frontier:
                if self._tried > MOST_TRIED:
                    break
                self._trail.walk(path)
                for part in list(more()):
                    if self._trail.walk(part):
                        state = self._trail.now(self._trail.since(len(path) + len(part)))
                        if state not in seen:
                            seen.add(state)
                            further.append((*path, *part))
                            self._look(further[-1], wanted, ways)
                        self._trail.back(len(part))
                self._trail.back(len(path))
            if ways.whole:
                break
            frontier = further
        return ways

    def _look(self, path: Path, wanted: Sequence[Finder], ways: Ways) -> None:
        """Keep a way if it does and none does that is shorter."""
        does = [ways.holds[f.clause.id] for f in wanted if self._holds(f)]
        for found in [*does, ways.whole] if not self._refused() else does:
            if not found or len(found[0]) == len(path):
                found.append(path)

    def _elements(self) -> tuple[set[int], set[int]]:
        """The calls and agents of the step, and those for which a clause is false of it now."""
        first = {self.step[1][0]} if self.step[1] else set[int]()
        calls, agents = (set[int](), first) if self.step[0] in OF_AGENTS else (first, set[int]())
        for finder in self.finders:
            found = finder.find(self.step[1])
            if found is not None:
                calls |= finder.numbers(found, Call)
                agents |= finder.numbers(found, Agent)
        return calls, agents

    def near(self) -> list[Taken]:
        """The steps that come into question in the state as it is."""
        calls, agents = self._elements()
        return list(self.candidates.near(calls | self._base[0], agents | self._base[1]))

    def _singly(self) -> Iterator[Path]:
        for step in self.near():
            self._tried += 1
            yield (step,)

    def _together(self) -> Iterator[Path]:
        """All steps of one kind that there are, one after the other."""
        for kind in sorted({step[0] for step in self.near()} - _ALONE):
            path: Path = ()
            while self._tried <= 2 * MOST_TRIED:
                steps = [step for step in self.near() if step[0] == kind]
                self._tried += len(steps)
                step = next((s for s in steps if self.candidates.sparse.refused(s) is None and s not in path), None)
                if step is None:
                    break
                self._trail.go(step)
                path = (*path, step)
            self._trail.back(len(path))
            if path:
                yield path

    def _needed(self, path: Path, finder: Finder) -> Path:
        """The path without steps that are not needed for the clause, or for the step where it does for that."""
        whole = not self._remedy(path).still
        for step in path:
            less = tuple(s for s in path if s is not step)
            if self._trail.walk(less):
                does = not self._refused() if whole else self._holds(finder)
                self._trail.back(len(less))
                path = less if does else path
        return path

    # -- before ------------------------------------------------------------------------------------------------

    def _earlier(self, finder: Finder) -> tuple[Remedy, ...]:
        """The nearest record before which one more step makes the clause true, and which steps do: those after which
        the refused one may be taken, if there are any."""
        self._tried, undone, found = 0, list[Taken](), list[Remedy]()
        for seq, step, cells in reversed(self.past):
            self._trail.restore(cells)
            undone.insert(0, step)
            nearest = []
            for other in self.near():
                path = (other, *undone)
                self._tried += 1
                if self._trail.walk(path):
                    self._tried += len(undone)
                    if self._holds(finder):
                        nearest.append(Remedy((named(self.candidates.numbering, other),), seq, self._refused()))
                    self._trail.back(len(path))
            whole = [remedy for remedy in nearest if not remedy.still]
            found = whole or found or nearest
            if whole or self._tried > 4 * MOST_TRIED:
                break
        for step in undone:
            self.candidates.sparse.perform(step)
        return tuple(found[:MOST_TOLD])


__all__ = ["BACK", "DEEP", "Remedies", "Remedy"]
