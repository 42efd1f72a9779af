"""What became of each mutant of a spec, as the ledger has it: who caught it, or why it changes nothing.

To tell of a mutant, what it alters is enough (:mod:`mtpo.proofs.mutants.alterations`): the spec that has it is not
made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mtpo.proofs.ledger import Entry
from mtpo.proofs.mutants.alterations import Alteration, alterations
from mtpo.proofs.mutants.listed import reason_for
from mtpo.proofs.mutants.mutate import EQUIVALENT
from mtpo.spec.language import Spec

Fate = tuple[str, str, str]
"""A mutant: its id, what was dropped, and who catches it or why nothing changes."""


def altered(spec: Spec) -> list[Alteration]:
    """Every way to weaken a rule of the spec, in the order of its mutants."""
    return [one for action in spec.actions.values() for one in alterations(spec, action)]


def killed_by(spec: Spec, ledger: Iterable[Entry]) -> dict[str, list[str]]:
    """The properties that caught each mutant, by its id."""
    return dict(_detail(spec, ledger).get("killed_by", {}))


def caught_by(id: str, spec: Spec, ledger: Iterable[Entry]) -> tuple[Fate, ...]:
    """The mutants that a property or a variant catches."""
    killed = killed_by(spec, ledger)
    return tuple((m.id, m.what, "caught by this") for m in altered(spec) if id in killed.get(m.id, ()))


def fates(own: Iterable[Alteration], spec: Spec, ledger: Sequence[Entry]) -> tuple[Fate, ...]:
    """What became of some mutants of the spec."""
    detail, killed = _detail(spec, ledger), killed_by(spec, ledger)
    equivalent = detail.get("equivalent", {})
    rows = []
    for mutant in own:
        if mutant.id in killed:
            fate = f"caught by {', '.join(killed[mutant.id])}"
            if reason := detail.get("by_a_lemma_alone", {}).get(mutant.id):
                fate += f", a lemma alone: {reason}"
        elif reason := equivalent.get(mutant.id) or reason_for(mutant, EQUIVALENT):
            fate = f"equivalent: {reason}"
        else:
            fate = "not tried"
        rows.append((mutant.id, mutant.what, fate))
    return tuple(rows)


def _detail(spec: Spec, ledger: Iterable[Entry]) -> dict[str, Any]:
    return dict(next((e.detail for e in ledger if e.property == f"{spec.name}.mutants"), {}))
