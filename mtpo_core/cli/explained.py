"""What an id stands for that is no part of a spec: a check of a log, another problem, a finding, a rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from mtpo_core.cli.common import lacking
from mtpo_core.problems import MEANINGS, meaning_of

if TYPE_CHECKING:
    from mtpo.spec.language import Spec


@attrs.frozen
class Explained:
    """As text, and as plain data."""

    lines: tuple[str, ...]
    data: dict[str, Any]


def explained(id: str, specs: Sequence[Spec]) -> Explained | None:
    """What an id is, if it is one of these: ``run.gate``, ``core.performed``, ``F29``, ``mtpo:gate``; of a rule also
    its name alone."""
    return _check(id) or _problem(id) or _finding(id) or _rules(id, specs)


def others() -> list[str]:
    """Every such id, for those that name none."""
    from mtpo.proofs.findings import findings
    from mtpo.proofs.mutants.ablate import RULES as ABLATED
    from mtpo.proofs.runs.runreport import CHECKS
    from mtpo.spec.rules import RULES

    return [*CHECKS, *MEANINGS, *findings(), *(rule.id for rule in RULES), *(rule.id for rule in ABLATED)]


def rule_lines(rule: Any) -> list[str]:
    """A rule of a paper: what it says, who carries it, and what of it nobody does."""
    lines = [f"{rule.id:<28} {rule.says} ({rule.source})"]
    if rule.carried_by:
        lines.append(f"  {'carried by':<14} {', '.join(rule.carried_by)}")
    if rule.lacks:
        lines.append(f"  {'in part not' if rule.carried_by else 'by no clause':<14} {rule.lacks}")
    return lines


def rule_data(rule: Any) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "id": rule.id,
        "source": rule.source,
        "says": rule.says,
        "carried_by": list(rule.carried_by),
        "lacks": rule.lacks or None,
    }


def _check(id: str) -> Explained | None:
    from mtpo.proofs.runs.runreport import CHECKS

    check = CHECKS.get(id)
    if check is None:
        return None
    asked = f"  asked of runs in mode {', '.join(sorted(check.modes))}; docs/records.md says what a log must hold"
    data = {"id": id, "kind": "check of a log", "english": check.english, "modes": sorted(check.modes)}
    return Explained((f"{id}   check of a log", f"  {check.english}", asked), data)


def _problem(id: str) -> Explained | None:
    """With what the ledger has on it, of the core."""
    from mtpo.proofs.ledger import REFINES, read_ledger

    meaning = meaning_of(id)
    if meaning is None:
        return None
    lines = [f"{id}   {meaning.kind}", f"  {meaning.english}", f"  where it does not hold: {meaning.do}"]
    data: dict[str, Any] = {"id": id, "kind": meaning.kind}
    data |= {"english": meaning.english, "do": meaning.do, "evidence": []}
    if id.startswith(REFINES):
        try:
            from mtpo.proofs.evidence import evidence_of
        except ModuleNotFoundError as error:
            lacks = f"what is recorded of it needs {lacking(error)}"
            return Explained((*lines, f"  {lacks}"), data | {"evidence": None})
        from mtpo_core.cli.explained_evidence import evidence_lines

        found = evidence_of(REFINES, read_ledger())
        lines += evidence_lines(found)
        data["evidence"] = [attrs.asdict(e) for e in found]
    return Explained(tuple(lines), data)


def _finding(id: str) -> Explained | None:
    from mtpo.proofs.findings import findings

    found = findings().get(id.upper())
    if found is None:
        return None
    drawn = f"drawn by `mtpo explain {found.id} --picture {found.id.lower()}.html`"
    return Explained((*found.lines(), "", drawn), found.as_json())


def _ablated(id: str) -> list[Any]:
    from mtpo.proofs.mutants.ablate import RULES

    return [rule for rule in RULES if rule.id == id]


def _rules(id: str, specs: Iterable[Spec]) -> Explained | None:
    """The rules of a name: those of the papers, and what becomes of the protocol without it."""
    from mtpo.spec.rules import RULES, clauses_of

    rules = [rule for rule in RULES if id in (rule.id, rule.id.partition(":")[2])]
    dropped = _ablated(id) if ":" not in id else []
    if not rules and not dropped:
        return None
    parts = [part for spec in specs for part in clauses_of(spec) if part.rpartition(".")[2] == id]
    lines = [line for rule in rules for line in rule_lines(rule)]
    for rule in dropped:
        lines.append(f"{rule.id:<28} {rule.english} ({rule.source})")
        lines.append(
            f"  {'dropped by':<14} `mtpo ablate --only {rule.id} --traces`, which shows what breaks without it"
        )
    if parts:
        lines.append(f"parts of specs of that name: {', '.join(parts)}")
    data = {"id": id, "kind": "rule", "rules": [rule_data(rule) for rule in rules]}
    data["ablated"] = [{"id": r.id, "says": r.english, "source": r.source} for r in dropped]
    return Explained(tuple(lines), data | {"parts": parts})
