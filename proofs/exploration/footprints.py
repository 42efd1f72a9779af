"""The whole state space of footprints that are drawn at random, where there are too many to explore them all.

Of each footprint that is drawn every state is looked at, so what is shown of it holds without exception; of the others
nothing is shown. So a verdict is SAMPLED, with how many footprints of how many were explored, and UNKNOWN as soon as
one of them has more states than the limit.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

import attrs

from mtpo.proofs.children import Lost, processes
from mtpo.proofs.exploration.explore import DEFAULT_LIMIT, Found, verdicts_of
from mtpo.proofs.exploration.starts import drawing, footprints
from mtpo.proofs.parts.part import Explorer, Shared
from mtpo.proofs.parts.partition import Part
from mtpo.proofs.parts.parts import Total
from mtpo.proofs.parts.partwork import Progress, cells, outcomes, telling
from mtpo.proofs.verdicts import Status, Verdict
from mtpo.spec.concrete import Instance, State


class TooFew(ValueError):
    """There are not so many footprints; the message says how many there are."""


@attrs.frozen
class Footprints:
    """What was seen: ``explored`` footprints to the end, of ``drawn`` ones, of ``total``, and ``cut`` at the limit;
    ``states`` of each, as far as it was explored, in the order in which they were drawn."""

    instance: Instance
    drawn: int
    explored: int
    cut: int
    total: int
    seed: int
    states: tuple[int, ...]
    found: Found
    seconds: float
    jobs: int
    unreached: tuple[str, ...]
    verdicts: list[Verdict]

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "sizes": {sort.__name__: n for sort, n in self.instance.sizes.items()},
            "engine": "numpy",
            "jobs": self.jobs,
            "footprints": self.drawn,
            "explored": self.explored,
            "over_limit": self.cut,
            "of": self.total,
            "seed": self.seed,
            "states": self.found.states,
            "states_of_each": list(self.states),
            "transitions": self.found.transitions,
            "depth": self.found.depth,
            "seconds": round(self.seconds, 2),
            "symmetry": False,
            "actions": self.found.taken,
            "not_reached": list(self.unreached),
            "verdicts": [v.as_json() for v in self.verdicts],
        }


def explore_footprints(
    instance: Instance,
    count: int,
    *,
    seed: int = 0,
    limit: int = DEFAULT_LIMIT,
    jobs: int | None = None,
    progress: Callable[[Progress], None] = lambda told: None,
) -> Footprints:
    """Explore so many footprints of mtpo, each drawn once, each up to ``limit`` states or a violation.

    Raises :class:`TooFew`. A violating run is a shortest one of all drawn, unless the limit stopped one of them.
    """
    begun = time.perf_counter()
    roots = distinct(instance, count, seed)
    cores = 1 if count == 1 else jobs or max(1, processes())
    explorer = Explorer(instance, "numpy", None, Shared(cells(cores)), each=limit)
    total, left, states = Total(), iter(range(count)), dict[int, int]()

    def take() -> Part | None:
        number = None if total.stopped else next(left, None)
        return None if number is None else Part(number, ((roots[number],),))

    def now() -> None:
        progress(Progress(explorer.shared.states, total.parts, total.done, total.states))

    with contextlib.closing(outcomes(explorer, take, cores)) as found, telling(now):
        for part, answer in found:
            total.add(part, answer)
            if not isinstance(answer, Lost):
                states[part.start] = answer.found.states
    over, cut = len(states) == count, sum(n > limit for n in states.values())
    result = total.found(instance, over)
    detail = {
        "sizes": {sort.__name__: n for sort, n in instance.sizes.items()},
        "states": result.states,
        "depth": result.depth,
        "symmetry": False,
        "footprints": count,
        "explored": total.done,
        "of": footprints(instance),
        "seed": seed,
    }
    verdicts = [
        _of_a_sample(total.told(v, limit, over), detail, limit, total, cut)
        for v in verdicts_of(instance, result, limit, symmetry=False)
        if v.method not in _ABSENT
    ]
    return Footprints(
        instance,
        count,
        total.done,
        cut,
        footprints(instance),
        seed,
        tuple(states[number] for number in sorted(states)),
        result,
        time.perf_counter() - begun,
        cores,
        tuple(p.id for p in instance.spec.role("reachable") if p.id not in result.reached),
        verdicts,
    )


def distinct(instance: Instance, count: int, seed: int) -> list[State]:
    """So many footprints, drawn at random, each once. Raises :class:`TooFew`."""
    total = footprints(instance)
    if count > total:
        raise TooFew(f"{count:,} footprints: there are {total:,} of these sizes; explore them all, without drawing")
    draw, found = drawing(instance, ()), dict[State, None]()
    for number in itertools.count():
        if len(found) == count:
            break
        found[draw(Random(f"{seed}/{number}"))] = None
    return list(found)


_ABSENT: Final = frozenset({"never reached", "not reached", "action never taken"})
"""What is no failure of a sample."""


def _of_a_sample(verdict: Verdict, detail: Mapping[str, Any], limit: int, total: Total, cut: int) -> Verdict:
    if verdict.method == "reached":
        return attrs.evolve(verdict, detail={**detail})
    if verdict.trace is not None:
        return attrs.evolve(verdict, method="sampled", detail={**detail, **verdict.detail})
    if verdict.status is Status.CHECKED:
        return attrs.evolve(verdict, status=Status.SAMPLED, method="sampled", detail={**detail})
    why = verdict.detail["why"].partition("; ")[0]
    if not total.violated:
        more = f"{cut:,} {'has' if cut == 1 else 'have'} more than {limit:,} states: a higher --limit explores "
        what = f"a process was lost: {total.lost}" if total.lost else more + ("it" if cut == 1 else "them")
        why = f"{why}; {total.done:,} of {detail['footprints']:,} footprints explored to the end, {what}"
    return attrs.evolve(verdict, method="sampled", detail={**detail, "why": why})
