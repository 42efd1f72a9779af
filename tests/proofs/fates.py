"""What becomes of a mutant, by its id."""

from __future__ import annotations

from collections.abc import Iterator

from mtpo.proofs.mutants.alterations import alterations
from mtpo.proofs.mutants.mutate import SIZES, Mutant, try_mutant
from mtpo.spec.bounded_gap import gap
from mtpo.spec.delivery import delivery
from mtpo.spec.failover import failover
from mtpo.spec.footprint import footprint
from mtpo.spec.language import Spec
from mtpo.spec.locks import locks
from mtpo.spec.mtpo import mtpo
from mtpo.spec.recovery import recovery
from mtpo.spec.shadows import shadows


def mutants_of(spec: Spec, start: str) -> Iterator[Mutant]:
    """The mutants whose id begins so; the specs of the others are not made, which takes a while."""
    for action in spec.actions.values():
        for found in alterations(spec, action):
            if found.id.startswith(start):
                changed = spec.without(actions={**spec.actions, action.name: found.action})
                yield Mutant(found.id, found.digest, action.name, found.what, changed)


def mutant_of(id: str):
    spec = next(
        spec
        for spec in (mtpo, recovery, delivery, gap, failover, footprint, shadows, locks)
        if spec.name == id.partition(".")[0]
    )
    return next(mutant for mutant in mutants_of(spec, id) if mutant.id == id)


def fate(id: str):
    mutant = mutant_of(id)
    return try_mutant(mutant, SIZES.get(mutant.spec.name, dict.fromkeys(mutant.spec.sorts, 3)))
