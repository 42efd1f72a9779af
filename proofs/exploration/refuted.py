"""Expected counterexamples: a shortest run that refutes what must be refuted (``Spec.refuted``), and why it does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from mtpo.proofs.exploration.explore import Exploration, witness
from mtpo.proofs.pictures.why import Reason, why_false
from mtpo.proofs.verdicts import Status, Trace
from mtpo.spec.concrete import Instance, InstanceError, State
from mtpo.spec.language.substitution import reads_next

LIMIT: Final = 1_000_000
"""States up to which a run is looked for, one by one; that there is one is known by then."""


def with_refuting_runs(found: Exploration, initial: Iterable[State]) -> Exploration:
    """An exploration whose verdicts on what was refuted, as it must be, have a shortest run that does; without one
    where it is not among the first :data:`LIMIT` states, or there are too many steps to take them one by one."""
    verdicts = []
    for v in found.verdicts:
        property = found.instance.spec.properties.get(v.property)
        if v.status is Status.CHECKED and property is not None and property.refutes is not None:
            v = attrs.evolve(v, trace=refuting_run(found.instance, initial, v.property))
        verdicts.append(v)
    return attrs.evolve(found, verdicts=verdicts)


def refuting_run(instance: Instance, initial: Iterable[State], id: str, limit: int = LIMIT) -> Trace | None:
    """A shortest run to a state of which a claim is false, or through a step of which it is."""
    claim = instance.spec.properties[id].refutes
    assert claim is not None, f"{id} need not be refuted"
    try:
        found = witness(instance, initial, id, limit)
    except InstanceError:
        return None
    if found is None or not reads_next(claim):
        return found
    holds = instance.formula(claim, f"{id}, as it is claimed", grounded=True)
    steps, successors = instance.ground()
    last = found.states[-1]
    number, after = next((number, after) for number, after in successors(last) if not holds(last, after))
    return attrs.evolve(found, states=(*found.states, after), steps=(*found.steps, steps[number]))


def refuting_reasons(trace: Trace, id: str) -> list[Reason]:
    """Why the claim is false at the end of a run that refutes it."""
    property = trace.instance.spec.properties[id]
    assert property.refutes is not None, f"{id} need not be refuted"
    claimed = attrs.evolve(property, formula=property.refutes)
    if reads_next(property.refutes):
        return why_false(claimed, trace.instance, *trace.states[-2:])
    return why_false(claimed, trace.instance, trace.states[-1])
