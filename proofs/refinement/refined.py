"""That the core refines the spec, shown: every plan of some small sizes to its end, and every planted bug caught.

``mtpo certificate --refine --record LEDGER`` writes the outcome, for the sources of the machine and of the spec as they
are; :mod:`mtpo.proofs.refinement.pair` says what is compared. This is all that the core can be told
(:mod:`mtpo_core.events`), and what of it the sizes of ``SIZES`` have, under both policies:

=============  =====================================================================================================
``Launch``     at any time: late, when others have committed, in the middle of a repair
``Read``       of one object or two; of none (``LOOK``, chosen plans); of objects that the core was not told of before,
               whose value is the absent one (the second of two)
``Call``       blind or not, of one object or two; that only reads, by undoing (``ASK``, chosen); of no object (``DO``,
               chosen); without an inverse, too early (gated) or not
``Retract``    with faults: of the last call; of an earlier one beside a later one, live or not (chosen); what can't be:
               of what is not in effect, is final or was never made, by who has finished
``Abort``      with faults: at rest, finished, reopened, told or not; what can't be: twice, once committed
``Undone``     of a member, and of the call that is taken out
``Applied``    with every value of every object; what can't be: for an object too few, or too many
``Redone``     likewise, with the same value as before or not, on what the call saw before or not
``Failed``     instead of ``Applied``, each time
``Stranded``   instead of ``Redone``, each time
``Deliver``    to who acts, or has finished (and reopens); of nothing, which comes to nothing
``Finish``     before the planned calls are made, between them and after
=============  =====================================================================================================

Each is tried in each state where it must not be, also while a repair is open: there the core refuses it. A read, call,
retraction or end of an agent that has not read its notices is held off. Three agents abort and retract in chosen plans.
More agents, objects and calls, and three values, are in random schedules (``tests/proofs/refinement/test_driving.py``).

The core has no event for an author's predicate (so none waives anything here: ``accepts`` is true of nothing), for
somebody who changes an object without a tool, for an inverse that fails (both are ``external``; the runtime halts the
run), and for a crash: what it would be to recover from one is ``spec/recovery``, which nothing refines in this version.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from mtpo.proofs.refinement.driving import drive
from mtpo.proofs.refinement.exploration import Explored, explore
from mtpo.proofs.refinement.pair import Pair
from mtpo.proofs.refinement.plans import Plan, Use, small_plans
from mtpo.proofs.refinement.planted import BUGS, FAULTY
from mtpo.proofs.refinement.sides import Divergence
from mtpo_core.machine import Machine, Policy

OBJECTS: Final = tuple("uvwxyz")


READ, ASK = Use("x"), Use("x", (), by_undo=True)
SET, ADD = Use((), "x"), Use("x", "x")
SEND, POST = Use("x", "x", invertible=False), Use((), "x", invertible=False)
LOOK, DO = Use(), Use((), (), by_undo=True)
"""A read of one object, from what was kept or by undoing; a write of it, blind or not; the same without an inverse; and
what has no footprint, as a read and as a call."""

CHOSEN: Final = (
    ((READ, ADD), (ADD, SET)),
    ((SET, READ), (ADD, ADD)),
    ((SET, ADD), (READ, ASK)),
    ((ADD, ADD), (READ, READ)),
    ((ADD, READ), (ADD, SEND)),
    ((ADD, SET), (POST, ADD)),
    ((READ, ASK), (ASK, ADD)),
    ((ASK, DO), (ADD, LOOK)),
    ((LOOK, LOOK), (DO, DO)),
    ((READ,), (ADD,), (ADD,)),
    ((ADD,), (READ,), (SET,)),
    ((SET,), (SEND,), (SET,)),
    ((ADD,), (ADD,), (POST,)),
    ((ADD,), (READ,), (ASK,)),
    ((ADD,), (ASK,), (SEND,)),
)
"""What two agents with two calls each plan, so that who takes its first call back has a later one: which went by it,
covers it, is a read, or is final. And three agents with a call each, so that one may give up between two others, of
which the higher went by its call or covered it. All such plans are 225 and 75 with a footprint in every call; most of
their states are those of the few that write throughout, which are too many to be gone through each time."""


@attrs.frozen
class Size:
    """All plans of so many agents with so many calls each, or (``chosen``) those of ``CHOSEN``; with ``faults`` agents
    also abort and retract calls. The chosen plans have one object."""

    agents: int
    calls: int
    objects: int
    faults: bool = False
    chosen: bool = False

    def plans(self) -> Iterator[Plan]:
        """Every plan of the size, under both policies."""
        if self.chosen:
            size = (self.calls,) * self.agents
            found = (uses for uses in CHOSEN if tuple(map(len, uses)) == size)
            yield from (Plan(uses, ("x",), 2, policy, self.faults) for uses in found for policy in Policy)
            return
        for plan in small_plans(self.agents, self.calls, self.objects):
            yield attrs.evolve(plan, faults=self.faults)


SIZES: Final = (
    Size(2, 1, 1),
    Size(2, 1, 1, faults=True),
    Size(2, 1, 2),
    Size(2, 1, 2, faults=True),
    Size(3, 1, 1),
    Size(2, 2, 1, faults=True, chosen=True),
    Size(3, 1, 1, faults=True, chosen=True),
)
"""What is explored in full, some six minutes on one core."""


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
    number, sums = 0, (0, 0, 0, 0, 0)
    for number, plan in enumerate(plans, 1):
        found = attrs.astuple(explore(plan, make))
        sums = tuple(map(operator.add, sums, found))
        tell(f"plan {number:,} of {len(plan.uses)} agents, {sums[0]:,} states")
    return number, Explored(*sums)


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
