"""What a spec answers in a notebook to ``prove()``, ``mutate()`` and ``ablate()``; to ``explore()``: ``exploring``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtpo.proofs.exploration.instances import is_mtpo
from mtpo.proofs.notebook.answers import Proved, StudyError, built_in, places
from mtpo.proofs.notebook.asking import checked
from mtpo.proofs.notebook.exploring import Tell, explored
from mtpo.proofs.notebook.sizing import instance_of
from mtpo.proofs.notebook.told import explained, verified
from mtpo.proofs.notebook.weakened import Ablated, Mutated
from mtpo.proofs.verdicts import Status, Verdict
from mtpo.spec.language import Spec
from mtpo_core.view.texts import counted

__all__ = ["StudyError", "ablated", "checked", "explained", "explored", "instance_of", "mutated", "places", "proved"]
__all__ += ["verified"]


def proved(
    spec: Spec,
    *,
    properties: Sequence[str],
    property: Sequence[str],
    timeout: float,
    jobs: int | None,
    remember: Path | None,
    cvc5: bool,
    smt2: Path | None,
    progress: Tell,
) -> Proved:
    """See ``Spec.prove``."""
    from mtpo.proofs.induction.inductive import prove
    from mtpo.proofs.induction.remembered import check_place, memory
    from mtpo.proofs.induction.second import SecondSolver
    from mtpo.proofs.induction.surviving import proven
    from mtpo_core.cli.common import counted as told
    from mtpo_core.cli.prove import _keeper

    provable = [*(p.id for p in spec.role("invariant", "lemma", "step")), *spec.variants, *spec.endings]
    wanted = (*properties, *property)
    for id in wanted:
        if id not in provable:
            raise StudyError(f"{spec.name}: {id!r} is nothing to prove; there are {', '.join(provable)}")
    if not provable:
        raise StudyError(f"{spec.name}: no invariant, step property or variant to prove")
    hints = memory()
    if remember is not None:
        check_place(remember)
    with SecondSolver(timeout) if cvc5 else contextlib.nullcontext() as second:
        how: dict[str, Any] = {"timeout_ms": int(timeout * 1000), "confirm": second, "hints": hints, "jobs": jobs}

        def asked(what: Spec, ids: frozenset[str], folder: Path | None = smt2) -> list[Verdict]:
            keep = _keeper(folder)
            return prove(what, properties=ids, keep_smt2=keep, progress=told(progress, "obligations"), **how)

        def again(what: Spec, ids: frozenset[str]) -> list[Verdict]:
            return asked(what, ids, smt2 and smt2 / "without")

        verdicts, _ = proven(spec, wanted or provable, asked, again)
    hints.keep()
    if remember is not None:
        hints.keep(remember)
    count = sum(v.status is Status.PROVED for v in verdicts)
    return Proved(spec, f"{spec.name}: {count} of {len(verdicts)} proved, for any number of elements", verdicts)


def ablated(
    spec: Spec,
    *,
    only: str,
    size: int | None,
    sizes: Mapping[str, int],
    limit: int,
    traces: bool,
    equivalent: Mapping[str, str],
    progress: Tell,
) -> Ablated:
    """See ``Spec.ablate``."""
    from mtpo.proofs.mutants.ablate import RULES, ablate
    from mtpo.proofs.mutants.dropped import ablate_clauses, clause_rules
    from mtpo_core.cli.common import counted as told

    published = is_mtpo(spec) and built_in(spec)
    if is_mtpo(spec) and (size is not None or sizes):
        raise StudyError(f"{spec.name}: size means nothing for it: its instances have two agents with one call each")
    if not published and not spec.role("invariant", "lemma", "step") and not spec.variants:
        raise StudyError(f"{spec.name}: no invariant, step property or variant that could break; declare one")
    rules = RULES if published else clause_rules(spec)
    if not any(only in rule.id for rule in rules):
        known = f"no rule's id contains {only!r}; known: {', '.join(rule.id for rule in rules)}"
        raise StudyError(f"{spec.name}: {known if rules else 'no action has a guard clause to drop'}")
    tell = told(progress, "rules")
    if published:
        rows = ablate(only, limit, tell)
    else:
        given = None if is_mtpo(spec) else instance_of(spec, size, sizes)[0].sizes
        rows = ablate_clauses(spec, only, limit, given, _listed(spec, equivalent), tell)
    without = "it" if len(rows) == 1 else "each"
    title = f"{spec.name}: {counted(len(rows), 'rule')}, and what breaks without {without}"
    return Ablated(spec, title, rows, traces)


def _listed(spec: Spec, equivalent: Mapping[str, str]) -> dict[str, str]:
    """Mutants that change nothing: those that are given and, of a built-in spec, those that it lists."""
    from mtpo.proofs.mutants.fates import altered
    from mtpo.proofs.mutants.listed import check_listed
    from mtpo.proofs.mutants.mutate import EQUIVALENT
    from mtpo_core.cli.specs import find_source

    check_listed(equivalent, altered(spec), f"{spec.name}: equivalent")
    ours = {**EQUIVALENT, **find_source(None).equivalent} if built_in(spec) else {}
    return {**{key: why for key, why in ours.items() if key.partition(".")[0] == spec.name}, **equivalent}


def mutated(
    spec: Spec, *, only: str, size: int | None, traces: bool, equivalent: Mapping[str, str], progress: Tell
) -> Mutated:
    """See ``Spec.mutate``."""
    from mtpo.proofs.evidence import held_before
    from mtpo.proofs.mutants.fates import altered
    from mtpo.proofs.mutants.listed import check_listed
    from mtpo.proofs.mutants.mutate import EQUIVALENT, mutate
    from mtpo_core.cli.common import counted as told
    from mtpo_core.cli.mutate import summary
    from mtpo_core.cli.specs import find_source

    if size is not None and is_mtpo(spec):
        raise StudyError(f"{spec.name}: size means nothing for it: its instances have two agents with one call each")
    check_listed(equivalent, altered(spec), f"{spec.name}: equivalent")
    ours = built_in(spec)
    listed = {**EQUIVALENT, **(find_source(None).equivalent if ours else {}), **equivalent}
    tell = told(progress, "mutants")
    held = bool(only) and ours and size is None and held_before(spec.name)
    fates = mutate(spec, only=only, held=held, equivalent=listed, size=size, progress=tell)
    if not fates:
        raise StudyError(f"{spec.name}: no mutant's id contains {only!r}; an id is SPEC.ACTION.CLAUSE")
    whole = not only and size is None
    return Mutated(spec, f"{spec.name}: {summary(fates)}", fates, traces, whole)
