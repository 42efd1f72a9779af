"""Exploration in parts, on several cores.

Where first states have different constants, the states fall into parts that never meet
(:mod:`mtpo.proofs.parts.partition`). Each is explored by itself, in a child process: what all of them come to is what
one exploration finds, while memory is that of the parts under way. A violating run is a shortest one of all: when a
part has one, the others are looked at as far as a run of that length goes. How many first states a part has is
estimated from a few that are drawn, always the same ones; a part that turns out too large is given up and cut in two.
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
from mtpo.proofs.exploration.explore import DEFAULT_LIMIT, Exploration, Found, verdicts_of
from mtpo.proofs.exploration.instances import Roots
from mtpo.proofs.exploration.starts import NoStart, drawing
from mtpo.proofs.exploration.symmetry import symmetry_of
from mtpo.proofs.parts.part import NONE, Explorer, Outcome, PartEngine, Shared
from mtpo.proofs.parts.partition import Group, Part, Partition, shares
from mtpo.proofs.parts.partsaved import PartsSaved
from mtpo.proofs.parts.partwork import Progress, cells, outcomes, saving, telling
from mtpo.proofs.verdicts import Picture, Status, Trace, Verdict
from mtpo.spec.concrete import Instance, InstanceError, State

TARGET: Final = 1_000_000
"""States that a part should have: enough for columns to be fast, few enough for the table of them to be."""

CEILING: Final = 8 * TARGET
"""States at which a part of several choices of constants is given up and cut in two."""

SAMPLE: Final = 12
"""First states that are explored beforehand, to see how many states there are for each; fewer where they have many."""

LEAST: Final = 50
"""States for each choice of constants, at least, that the limit must have room for if all are to be looked at."""


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
    """What :func:`mtpo.proofs.exploration.explore.explore` finds, in parts, by ``jobs`` processes, by default
    one for each core.

    With one job everything is done in this process. ``size`` is how many choices of constants a part has, by default
    what comes to some :data:`TARGET` states. The limit counts over all parts; what it left out is looked at once more,
    up to as many states again, unless there are too many first states for that. With the python engine there is no
    symmetry. First states that are :class:`Roots` are made as parts are; :class:`~mtpo.proofs.parts.partition.Apart` is
    raised where those with equal constants do not come together.
    """
    if symmetry and engine == "python":
        raise ValueError("symmetry needs another engine than python")
    begun, cores = time.perf_counter(), processes()
    most = (jobs or cores) if cores else 1
    renamings = symmetry_of(instance) if symmetry else None
    initial = initial if isinstance(initial, Roots) else list(initial)
    explorer = Explorer(instance, engine, renamings, Shared(cells(most)), limit, ceiling=CEILING)
    partition, total = Partition(instance, initial, renamings), Total()
    shared, each = explorer.shared, size or part_size(explorer, initial)
    if checkpoint is not None:
        checkpoint.begin(instance, symmetry)

    def take() -> Part | None:
        while checkpoint is not None and (done := checkpoint.take(partition)) is not None:
            shared.count(done[1].states)
            total.add(done[0], Outcome(done[1], NONE))
        if shared.states > limit or total.stopped:
            return None
        room = each if checkpoint is None else checkpoint.room(partition.taken, each)
        return partition.take(min(room, limit - shared.states + 1))

    def work(explorer: Explorer, take: Callable[[], Part | None], saved: PartsSaved | None) -> None:
        with contextlib.closing(outcomes(explorer, take, count)) as found:
            for part, answer in found:
                if total.add(part, answer) and saved is not None and isinstance(answer, Outcome):
                    saved.add(part, answer.found)

    def now() -> None:
        progress(Progress(shared.states, total.parts, total.done, total.states))

    first = [part] if (part := take()) is not None else []
    count = 1 if partition.over else most
    with telling(now), saving(checkpoint):
        work(explorer, lambda: first.pop() if first else take(), checkpoint)
        if left := _left(partition, total, limit):
            parts = shares(left, max(count, limit // TARGET))
            again = attrs.evolve(explorer, limit=NONE, each=max(1, limit // len(parts)), ceiling=NONE)
            again.adopt(explorer)
            work(again, lambda: parts.pop(0) if parts and not total.lost else None, None)
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
    ``states``; ``lost``: why a process was; ``error``: why the engine could not go on somewhere."""

    parts: int = 0
    done: int = 0
    states: int = 0
    lost: str = ""
    error: str = ""
    _founds: list[Found] = attrs.field(factory=list, init=False)
    _cut: list[tuple[Part, Outcome]] = attrs.field(factory=list, init=False)
    _reached: frozenset[str] = attrs.field(default=frozenset(), init=False)
    _first: tuple[int, int] = attrs.field(default=(NONE, 0), init=False)
    _run: Picture | None = attrs.field(default=None, init=False)

    @property
    def violated(self) -> bool:
        """Whether some run violates something."""
        return self._run is not None

    @property
    def stopped(self) -> bool:
        """Whether to begin no more parts, though there is room for them."""
        return bool(self.lost or self.error)

    def add(self, part: Part, answer: Outcome | Lost) -> bool:
        """Take account of a part; return whether it was explored to the end."""
        if isinstance(answer, Lost):
            self.lost = answer.why.replace("the solver's process", "it")
            return False
        self._reached |= answer.found.reached
        self.error = self.error or answer.error
        if answer.run is not None and (len(answer.run.steps), part.start) < self._first:
            self._first, self._run = (len(answer.run.steps), part.start), answer.run
        if answer.run is None and not answer.found.complete:
            self._cut.append((part, answer))
            return False
        self._founds.append(answer.found)
        if answer.found.complete:
            self.parts += 1
            self.done += len(part.groups)
            self.states += answer.found.states
        return answer.found.complete

    @property
    def cut(self) -> list[Part]:
        """Parts that were begun, but neither explored to the end nor to a violation."""
        return [part for part, _ in self._cut]

    def forget_cut(self) -> None:
        """Those parts are explored again: count nothing of them twice."""
        self._cut = []

    def found(self, instance: Instance, over: bool) -> Found:
        """All together; ``over``: whether there was a part for each first state. Raises :class:`InstanceError` where
        nothing is violated and the engine could not go on."""
        each, run = [*self._founds, *(outcome.found for _, outcome in self._cut)], self._run
        if self.error and run is None:
            raise InstanceError(self.error)
        states = sum(f.states for f in each)
        taken = {name: sum(f.taken[name] for f in each) for name in instance.spec.actions}
        sized = [f.bytes_per_state * f.states for f in each if f.bytes_per_state is not None]
        return Found(
            sum(f.initial for f in each),
            states,
            sum(f.transitions for f in each),
            max((f.depth for f in each), default=0),
            over and not self.lost and not self._cut and run is None,
            taken,
            self._reached,
            None if run is None else Trace(instance, run.states, run.steps),
            sum(sized) / states if sized else None,
        )

    def told(self, verdict: Verdict, limit: int, over: bool) -> Verdict:
        """A verdict, with what the parts have to do with it."""
        looked = min((outcome.looked for _, outcome in self._cut), default=NONE)
        if verdict.trace is not None and (self.lost or not over or looked < self._first[0]):
            who = "the loss of a process" if self.lost else "an integer without room" if self.error else "the limit"
            return attrs.evolve(verdict, detail={"why": f"a shorter run may be where {who} left states out"})
        if verdict.status is not Status.UNKNOWN or self._run is not None or verdict.method != "exhaustive":
            return verdict
        why = verdict.detail["why"].partition("; stopped at ")[0]
        where = f"the loss of a process: {self.lost}" if self.lost else f"the limit of {limit:,} states"
        why = f"{why}; stopped at {where}, with {self.done:,} choices of constants explored to the end"
        if over and not self.lost and looked >= 0:
            why += f", all others to depth {min(looked, verdict.detail['depth'])}"
        return attrs.evolve(verdict, detail={**verdict.detail, "why": why})


# -- what is left when the limit is hit --------------------------------------------------------------------------------


def _left(partition: Partition, total: Total, limit: int) -> list[Group]:
    """The first states that were not explored to the end, to look at them all again; none of them where they are too
    many for that, or were all looked at together already."""
    cut = [group for part in total.cut for group in part.groups]
    room = limit // LEAST - len(cut)
    if total.lost or room < 0 or (partition.over and len(total.cut) < 2):
        return []
    rest = partition.take(room)
    if not partition.over:
        return []
    total.forget_cut()
    return [*cut, *(() if rest is None else rest.groups)]


# -- how large a part is -----------------------------------------------------------------------------------------------


def part_size(explorer: Explorer, initial: Roots | list[State]) -> int:
    """How many choices of constants come to some :data:`TARGET` states, judging by a few of them, and of those by no
    more states than the limit or the target."""
    own = attrs.evolve(explorer, shared=Shared(), limit=NONE, each=min(explorer.limit, TARGET))
    tried = states = 0
    for state in _some(explorer.instance, initial):
        if states < own.each:
            with contextlib.suppress(InstanceError):  # it is met again, and said, if nothing is violated before
                states += own.explore(Part(0, ((state,),))).found.states
                tried += 1
    explorer.adopt(own)
    return max(1, TARGET * tried // states) if states else 1


def _some(instance: Instance, initial: Roots | list[State]) -> list[State]:
    """A few of the first states, always the same."""
    if isinstance(initial, list):
        return initial[:: -(-len(initial) // SAMPLE)] if initial else []
    try:
        draw = drawing(instance, initial)
        return [draw(Random(f"part/{number}")) for number in range(SAMPLE)]
    except NoStart:
        return list(itertools.islice(initial, 1))
