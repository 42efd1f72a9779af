"""The rules of the papers and the clauses that carry them: which part of a spec is for which rule, and back.

A clause is named by its id: a property, an action (``mtpo.read``, its whole guard and all its updates), a conjunct of a
guard (``mtpo.read.is-below``) or an update (``mtpo.deliver.saw:=``). ``lacks`` says what of a rule no clause carries,
and why. Sources: "SCCP" is "Notified Serializability" (SCCP workshop, VLDB 2026), "CoAgent" arXiv 2606.15376,
"FairBatching" arXiv 2510.14392, "Sarathi-Serve" OSDI 2024, "CONCUR" arXiv 2601.22705, "ConServe" arXiv 2606.01839,
"PagedAttention" SOSP 2023, "ARIES" TODS 17(1), 1992; "ours" is what they leave open, those numbered F that
proofs/FINDINGS.md tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from mtpo.spec.language import Spec
from mtpo.spec.rules import beside, cache, ours, protocol, published
from mtpo.spec.rules.rule import Rule

__all__ = ["RULES", "Rule", "carried", "clauses_of", "unknown", "unmapped"]

RULES: Final[tuple[Rule, ...]] = (
    *protocol.MTPO,
    *protocol.SERIAL,
    *cache.KV,
    *published.BATCHING,
    *published.FAIR,
    *published.CONCUR,
    *published.CONSERVE,
    *protocol.RECOVERY,
    *protocol.DELIVERY,
    *beside.SHADOWS,
    *beside.NAMES,
    *beside.LEVELS,
    *beside.LOCKS,
    *ours.GAP,
    *ours.FAILOVER,
    *ours.FOOTPRINT,
)


def clauses_of(spec: Spec) -> tuple[str, ...]:
    """Every id that a rule may name: actions, guard conjuncts, updates, properties, variants."""
    found = []
    for action in spec.actions.values():
        id = f"{spec.name}.{action.name}"
        found += [id, *(c.id for c in action.guard), *(f"{id}.{u.variable.name}:=" for u in action.updates)]
    return tuple(dict.fromkeys([*found, *spec.claims]))


def carried(id: str) -> tuple[Rule, ...]:
    """The rules that a clause carries: those that name it; of a conjunct or an update that none names, its action's."""
    named = tuple(rule for rule in RULES if id in rule.carried_by)
    if named or id.count(".") < 2:
        return named
    return tuple(rule for rule in RULES if id.rpartition(".")[0] in rule.carried_by)


def unknown(specs: Iterable[Spec]) -> tuple[str, ...]:
    """What rules name that no spec has."""
    known = {id for spec in specs for id in clauses_of(spec)}
    return tuple(dict.fromkeys(id for rule in RULES for id in rule.carried_by if id not in known))


def unmapped(specs: Sequence[Spec]) -> tuple[str, ...]:
    """The actions and properties that no rule names."""
    wanted = [f"{spec.name}.{name}" for spec in specs for name in spec.actions]
    wanted += [id for spec in specs for id in spec.claims]
    return tuple(id for id in wanted if not carried(id))
