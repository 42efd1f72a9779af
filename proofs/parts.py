"""Exploration in parts, on several cores.

Where first states have different constants, the states fall into parts that never meet (:mod:`mtpo.proofs.partition`).
Each is explored by itself, in a child process: what all of them come to is what one exploration finds, while memory is
that of the parts under way. A violating run is a shortest one of all: when a part has one, the others are looked at as
far as a run of that length goes. How many first states a part has is estimated from a few that are drawn, always the
same ones; a part that turns out too large is given up and cut in two.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

import attrs

from mtpo.proofs.children import Lost, processes
from mtpo.proofs.explore import DEFAULT_LIMIT, Exploration, Found, verdicts_of
from mtpo.proofs.instances import Roots
from mtpo.proofs.part import NONE, Explorer, Outcome, PartEngine, Shared
from mtpo.proofs.partition import Part, Partition
from mtpo.proofs.partsaved import PartsSaved
from mtpo.proofs.partwork import outcomes, saving, telling
from mtpo.proofs.starts import NoStart, drawing
from mtpo.proofs.symmetry import symmetry_of
from mtpo.proofs.verdicts import Picture, Status, Trace, Verdict
from mtpo.spec.concrete import Instance, State

TARGET: Final = 1_000_000
"""States that a part should have: enough for columns to be fast, few enough for the table of them to be."""

CEILING: Final = 8 * TARGET
"""States at which a part of several choices of constants is given up and cut in two."""

SAMPLE: Final = 12
"""First states that are explored beforehand, to see how many states there are for each."""


@attrs.frozen
class Progress:
    """How far an exploration in parts is: ``states`` found, ``parts`` done, with ``done`` choices of constants, which
    have ``of_these`` states."""

    states: int
    parts: int
    done: int
    of_these: int

    def text(self, total: int | None = None) -> str:
        """For people; ``total``: of how many choices of constants."""
        of = f" of {total:,}" if total else ""
        said = f"{self.states:,} states; {self.parts:,} parts done, {self.done:,}{of} choices of constants"
        return f"{said}, about {self.of_these * total // self.done:,} states in all" if total and self.done else said


def explore_in_parts(
    instance: Instance,
    initial: Iterable[State],
    *,
    limit: int = DEFAULT_LIMIT,
    engine: PartEngine = "numpy",
    symmetry: bool = False,
    jobs: int | None = None,
    size: int | None = None,
    checkpoint: PartsSaved | None = None,
    progress: Callable[[Progress], None] = lambda told: None,
) -> Exploration:
    """What :func:`mtpo.proofs.explore.explore` finds, in parts, by ``jobs`` processes, by default one for each core.

    With one job everything is done in this process. ``size`` is how many choices of constants a part has, by default
    what comes to some :data:`TARGET` states. The limit counts over all parts. With the python engine there is no
    symmetry. First states that are :class:`Roots` are made as parts are; :class:`~mtpo.proofs.partition.Apart` is
    raised where those with equal constants do not come together.
    """
    if symmetry and engine == "python":
        raise ValueError("symmetry needs another engine than python")
    begun, cores = time.perf_counter(), processes()
    renamings = symmetry_of(instance) if symmetry else None
    initial = initial if isinstance(initial, Roots) else list(initial)
    explorer = Explorer(instance, engine, renamings, Shared(), limit, ceiling=CEILING)
    partition, total = Partition(instance, initial, renamings), Total()
    shared, each = explorer.shared, size or part_size(explorer, initial)
    if checkpoint is not None:
        checkpoint.begin(instance, symmetry)

    def take() -> Part | None:
        while checkpoint is not None and (done := checkpoint.take(partition)) is not None:
            shared.count(done[1].states)
            total.add(done[0], Outcome(done[1], NONE))
        if shared.states > limit or total.lost:
            return None
        room = each if checkpoint is None else checkpoint.room(partition.taken, each)
        return partition.take(min(room, limit - shared.states + 1))

    first = [part] if (part := take()) is not None else []
    count = 1 if partition.over or not cores else jobs or cores

    def now() -> None:
        progress(Progress(shared.states, total.parts, total.done, total.states))

    with (
        contextlib.closing(outcomes(explorer, lambda: first.pop() if first else take(), count)) as found,
        telling(now),
        saving(checkpoint),
    ):
        for part, answer in found:
            if isinstance(answer, Lost):
                total.lose(answer)
            elif total.add(part, answer) and checkpoint is not None:
                checkpoint.add(part, answer.found)
    result = total.found(instance, partition.over)
    choice = initial.choice if isinstance(initial, Roots) else ""
    verdicts = verdicts_of(instance, result, limit, symmetry, choice)
    return Exploration(
        instance,
        result.initial,
        result.states,
        result.transitions,
        result.depth,
        time.perf_counter() - begun + (0.0 if checkpoint is None else checkpoint.spent),
        result.complete,
        result.taken,
        [total.told(v, limit, partition.over) for v in verdicts],
        symmetry,
        result.bytes_per_state,
        engine,
        count,
        total.parts,
    )


@attrs.define
class Total:
    """What parts come to together. ``done``: choices of constants explored to the end, with so many
    ``states``; ``lost``: why a process was."""

    parts: int = 0
    done: int = 0
    states: int = 0
    lost: str = ""
    _founds: list[Found] = attrs.field(factory=list, init=False)
    _looked: int = attrs.field(default=NONE, init=False)
    _first: tuple[int, int] = attrs.field(default=(NONE, 0), init=False)
    _run: Picture | None = attrs.field(default=None, init=False)

    @property
    def violated(self) -> bool:
        """Whether some run violates something."""
        return self._run is not None

    def add(self, part: Part, outcome: Outcome) -> bool:
        """Take account of a part; return whether it was explored to the end."""
        self._founds.append(outcome.found)
        self._looked = min(self._looked, outcome.looked)
        if outcome.run is not None and (len(outcome.run.steps), part.start) < self._first:
            self._first, self._run = (len(outcome.run.steps), part.start), outcome.run
        if outcome.found.complete:
            self.parts += 1
            self.done += len(part.groups)
            self.states += outcome.found.states
        return outcome.found.complete

    def lose(self, process: Lost) -> None:
        """A process was lost, and its part with it."""
        self.lost = process.why.replace("the solver's process", "it")

    def found(self, instance: Instance, over: bool) -> Found:
        """All together; ``over``: whether there was a part for each first state."""
        each, run = self._founds, self._run
        states = sum(f.states for f in each)
        taken = {name: sum(f.taken[name] for f in each) for name in instance.spec.actions}
        sized = [f.bytes_per_state * f.states for f in each if f.bytes_per_state is not None]
        return Found(
            sum(f.initial for f in each),
            states,
            sum(f.transitions for f in each),
            max((f.depth for f in each), default=0),
            over and not self.lost and all(f.complete for f in each) and run is None,
            taken,
            frozenset[str]().union(*(f.reached for f in each)),
            None if run is None else Trace(instance, run.states, run.steps),
            sum(sized) / states if sized else None,
        )

    def told(self, verdict: Verdict, limit: int, over: bool) -> Verdict:
        """A verdict, with what the parts have to do with it."""
        if verdict.trace is not None and (self.lost or not over or self._looked < self._first[0]):
            return attrs.evolve(verdict, detail={"why": "a shorter run may be where the limit left states out"})
        if verdict.status is not Status.UNKNOWN or self._run is not None or verdict.method != "exhaustive":
            return verdict
        why = verdict.detail["why"].partition("; stopped at ")[0]
        where = f"the loss of a process: {self.lost}" if self.lost else f"the limit of {limit:,} states"
        why = f"{why}; stopped at {where}, with {self.done:,} choices of constants explored to the end"
        return attrs.evolve(verdict, detail={**verdict.detail, "why": why})


# -- how large a part is -----------------------------------------------------------------------------------------------


def part_size(explorer: Explorer, initial: Roots | list[State]) -> int:
    """How many choices of constants come to some :data:`TARGET` states, judging by a few of them."""
    states = _some(explorer.instance, initial)
    if not states:
        return 1
    own = attrs.evolve(explorer, shared=Shared(), limit=NONE, each=TARGET)
    found = [own.explore(Part(0, ((state,),))) for state in states]
    explorer.adopt(own)
    return max(1, TARGET * len(found) // sum(outcome.found.states for outcome in found))


def _some(instance: Instance, initial: Roots | list[State]) -> list[State]:
    """A few of the first states, always the same."""
    if isinstance(initial, list):
        return initial[:: -(-len(initial) // SAMPLE)] if initial else []
    try:
        draw = drawing(instance, initial)
        return [draw(Random(f"part/{number}")) for number in range(SAMPLE)]
    except NoStart:
        return list(itertools.islice(initial, 1))
