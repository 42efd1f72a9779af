"""That the core refines the spec, shown: every plan of some small sizes to its end, and every planted bug caught.

``mtpo certificate --refine --record LEDGER`` writes the outcome, for the sources of the machine and of the spec as they
are; :mod:`mtpo.proofs.refinement` says what is compared.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from mtpo.proofs.planted import BUGS, FAULTY
from mtpo.proofs.refinement import Divergence, Explored, Pair, Plan, Use, drive, explore, small_plans
from mtpo_core.machine import Machine, Policy

OBJECTS: Final = tuple("uvwxyz")


@attrs.frozen
class Size:
    """All plans of so many agents with so many calls each; with ``faults`` agents also abort and retract calls."""

    agents: int
    calls: int
    objects: int
    faults: bool = False

    def plans(self) -> Iterator[Plan]:
        """Every plan of the size, under both policies."""
        for plan in small_plans(self.agents, self.calls, self.objects):
            yield attrs.evolve(plan, faults=self.faults)


SIZES: Final = (Size(2, 1, 1), Size(2, 1, 1, faults=True), Size(2, 1, 2), Size(2, 1, 2, faults=True), Size(3, 1, 1))
"""What is explored in full, a minute or so in all."""


@attrs.frozen
class Refined:
    """What came of it: the extent of each size, which property caught each planted bug, and the bugs that nothing did.

    A machine that does not refine the spec does not get here: :class:`Divergence` is raised.
    """

    explored: tuple[tuple[Size, int, Explored], ...]
    caught: Mapping[str, str]
    escaped: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data, as the ledger keeps it."""
        sizes = [{**attrs.asdict(size), "plans": n, **attrs.asdict(found)} for size, n, found in self.explored]
        return {"explored": sizes, "planted": dict(self.caught), "escaped": list(self.escaped)}


def refine(
    sizes: Iterable[Size] = SIZES,
    make: type[Machine] = Machine,
    tell: Callable[[str], None] = lambda text: None,
) -> Refined:
    """Explore the sizes and try the planted bugs. Raises :class:`Divergence` where the machine leaves the spec."""
    explored = tuple((size, *total(size.plans(), make, tell)) for size in sizes)
    caught, escaped = dict[str, str](), []
    for bug, wanted in (*BUGS.items(), *FAULTY.items()):
        tell(f"planted bug {bug.__name__}")
        found = caught_by(bug)
        if found is not None and found.property in wanted:
            caught[bug.__name__] = found.property
        else:
            escaped.append(bug.__name__)
    return Refined(explored, caught, tuple(escaped))


def total(
    plans: Iterable[Plan], make: type[Machine] = Machine, tell: Callable[[str], None] = lambda text: None
) -> tuple[int, Explored]:
    """Explore every plan; how many there were, and the sums."""
    number, states, events, ends = 0, 0, 0, 0
    for number, plan in enumerate(plans, 1):
        found = explore(plan, make)
        states, events, ends = states + found.states, events + found.events, ends + found.ends
        tell(f"plan {number:,} of {len(plan.uses)} agents, {states:,} states")
    return number, Explored(states, events, ends)


def caught_by(bug: type[Machine]) -> Divergence | None:
    """Where a machine with a bug first leaves the spec, on schedules that the machine itself goes through."""
    for plan, tape in schedules(faults=bug in FAULTY):
        try:
            drive(Pair(plan, bug), tape)
        except Divergence as found:
            drive(Pair(plan), tape)  # it is the bug: without it the same tape goes through
            return found
    return None


def schedules(faults: bool) -> Iterator[tuple[Plan, list[int]]]:
    """The same few hundred schedules for every bug, both policies in turn."""
    rng = random.Random(7)
    for number in range(400):
        policy = Policy.CANCEL if number % 3 == 2 else Policy.REPLAY
        plan = attrs.evolve(random_plan(rng, 3, 3, 2, policy), faults=faults)
        yield plan, [rng.randrange(2**20) for _ in range(60)]


def random_plan(rng: random.Random, agents: int, calls: int, objects: int, policy: Policy) -> Plan:
    """A plan of a size, with three values; some calls have no inverse."""
    names = OBJECTS[:objects]

    def use() -> Use:
        writes = rng.sample(names, rng.randint(0, min(2, objects)))
        reads = rng.sample(names, rng.randint(0 if writes else 1, min(2, objects)))
        return Use(reads, writes, not writes or rng.random() < 0.85)

    return Plan(tuple(tuple(use() for _ in range(calls)) for _ in range(agents)), names, 3, policy)
