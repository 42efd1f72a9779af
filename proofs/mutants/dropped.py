"""Ablation of any spec: its guard clauses are dropped one at a time, and everything that breaks then is looked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mtpo.proofs.exploration.instances import Roots, is_mtpo, mtpo_instance, sizes_for, small_instance
from mtpo.proofs.mutants.ablate import LIMIT, Row, Rule, without
from mtpo.proofs.mutants.alterations import alterations
from mtpo.proofs.mutants.breaking import all_broken
from mtpo.proofs.mutants.listed import reason_for
from mtpo.proofs.mutants.mutate import NotSound
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Action, Clause, Sort, Spec, show
from mtpo.spec.language.terms import names_for

Sizes = Mapping[type[Sort], int]


def clause_rules(spec: Spec) -> list[Rule]:
    """The guard clauses of a spec as rules: what each says, and where it is written."""
    return [_rule(spec, action, clause) for action in spec.actions.values() for clause in action.guard]


def ablate_clauses(
    spec: Spec,
    only: str = "",
    limit: int = LIMIT,
    sizes: Sizes | None = None,
    listed: Mapping[str, str] | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> list[Row]:
    """The matrix of a spec: one row for each clause whose id contains ``only``, in the instance that is explored.

    ``listed``: mutants that change nothing, with the reasons. Raises :class:`~mtpo.proofs.mutants.mutate.NotSound` for
    a spec that is violated there as it stands: it would be whichever clause goes.
    """
    wanted = [rule for rule in clause_rules(spec) if only in rule.id]
    reasons = _reasons(spec, listed) if listed else {}
    rows: list[Row] = []
    if wanted:
        progress(0, len(wanted), "first whether the spec itself holds")
        _check_sound(spec, sizes, limit)
    for number, rule in enumerate(wanted):
        progress(number, len(wanted), rule.id)
        start = time.perf_counter()
        found = all_broken(*_instance(without(spec, rule.carried_by), sizes), limit, supporting=True)
        rows.append(Row(rule, *found, time.perf_counter() - start, reasons.get(rule.id, "")))
    progress(len(wanted), len(wanted), "")
    return rows


def _rule(spec: Spec, action: Action, clause: Clause) -> Rule:
    says = show(clause.formula, names_for(action.elements))
    file, _, line = clause.at.rpartition(":")
    return Rule(clause.id, says, f"{Path(file).name}:{line}", (clause.id.removeprefix(f"{spec.name}."),))


def _reasons(spec: Spec, listed: Mapping[str, str]) -> dict[str, str]:
    """Why clauses change nothing, of those whose every conjunct is listed as such."""
    of_clause: dict[str, list[str]] = {}
    for action in spec.actions.values():
        clauses = {clause.id for clause in action.guard}
        for found in alterations(spec, action):
            id = found.id.partition("/")[0]
            if id in clauses:
                of_clause.setdefault(id, []).append(reason_for(found, listed))
    return {id: "; ".join(dict.fromkeys(each)) for id, each in of_clause.items() if all(each)}


def _instance(spec: Spec, sizes: Sizes | None) -> tuple[Instance, Roots]:
    """What ``mtpo explore`` looks at."""
    if is_mtpo(spec):
        return mtpo_instance(2, 1, 2, spec=spec)
    return small_instance(spec, dict(sizes or sizes_for(spec)))


def _check_sound(spec: Spec, sizes: Sizes | None, limit: int) -> None:
    instance, roots = _instance(spec, sizes)
    broken, states, _ = all_broken(instance, roots, limit, supporting=True)
    if not states:
        raise NotSound(
            f"{spec.name}: no initial state of these sizes satisfies the assumptions, so nothing can break: give --size"
        )
    if broken:
        shows = "prove" if broken.keys() <= spec.variants.keys() else "explore"
        raise NotSound(
            f"{spec.name} fails as it stands: {', '.join(broken)}; `mtpo {shows}` shows how; mend it before its rules "
            "are dropped"
        )
