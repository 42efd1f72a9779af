"""What becomes of a mutant, by its id."""

from __future__ import annotations

from mtpo.proofs.mutate import SIZES, mutants, try_mutant
from mtpo.spec.bounded_gap import gap
from mtpo.spec.delivery import delivery
from mtpo.spec.failover import failover
from mtpo.spec.footprint import footprint
from mtpo.spec.locks import locks
from mtpo.spec.mtpo import mtpo
from mtpo.spec.recovery import recovery
from mtpo.spec.shadows import shadows


def mutant_of(id: str):
    spec = next(
        spec
        for spec in (mtpo, recovery, delivery, gap, failover, footprint, shadows, locks)
        if spec.name == id.partition(".")[0]
    )
    return next(mutant for mutant in mutants(spec) if mutant.id == id)


def fate(id: str):
    mutant = mutant_of(id)
    return try_mutant(mutant, SIZES.get(mutant.spec.name, dict.fromkeys(mutant.spec.sorts, 3)))
