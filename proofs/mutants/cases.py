"""Cases of MTPO: a few calls with given footprints, where every footprint of as many calls is too much to look at."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import attrs

from mtpo.proofs.exploration.instances import FAULTS, Roots, without_actions
from mtpo.spec.concrete import Instance, State
from mtpo.spec.language import Sort, Spec
from mtpo.spec.mtpo import Agent, Call, Object, Value

OBJECTS = "xy"


@attrs.frozen
class Planned:
    """A call of a case: the rank of its author, what it reads and writes of the objects x and y, whether it has an
    inverse."""

    rank: int
    reads: str = ""
    writes: str = ""
    invertible: bool = True


def case_instance(spec: Spec, case: tuple[Planned, ...], left_out: Collection[str] = FAULTS) -> tuple[Instance, Roots]:
    """The instance with these calls, in the order of their authors' ranks, under both policies, in which some actions
    are not taken: by default aborts, retractions and changes from outside. Nothing must be reached in it."""
    spec = without_actions(spec, left_out)
    spec = spec.without(properties={id: p for id, p in spec.properties.items() if p.role != "reachable"})
    total = 1 + len(case)
    sizes: dict[type[Sort], int] = {Agent: 1 + case[-1].rank, Call: total, Object: len(OBJECTS), Value: 2}
    fixed = {
        "origin": [0],
        "author": [0, *(planned.rank for planned in case)],
        "given": [0] * len(OBJECTS),
        "accepts": [0] * total * len(OBJECTS) * sizes[Value],
    }
    instance = Instance(spec, sizes, fixed, open=("reads", "writes", "invertible", "replay"))

    def roots() -> Iterator[State]:
        for replay in (0, 1):
            chosen = {
                "reads": [0] * len(OBJECTS) + [int(o in planned.reads) for planned in case for o in OBJECTS],
                "writes": [1] * len(OBJECTS) + [int(o in planned.writes) for planned in case for o in OBJECTS],
                "invertible": [1, *(int(planned.invertible) for planned in case)],
                "replay": [replay],
            }
            yield instance.freeze(instance.initial(chosen))

    return instance, Roots(roots)
