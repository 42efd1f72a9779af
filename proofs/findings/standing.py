"""How what a finding names stands: properties, clauses and updates of the specs, and checks of a log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from mtpo.proofs.evidence import Evidence, NoSuchClause, evidence_of, explain
from mtpo.proofs.findings import Finding
from mtpo.proofs.ledger import Entry, read_ledger
from mtpo.proofs.runs.runreport import CHECKS
from mtpo.spec.language import Spec


@attrs.frozen
class Row:
    """What the text names: its id, what it says, and each piece of evidence as a sentence."""

    id: str
    english: str
    evidence: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {"id": self.id, "english": self.english, "evidence": list(self.evidence)}


def standing_of(finding: Finding, specs: Sequence[Spec], entries: Iterable[Entry] | None = None) -> list[Row]:
    """A row for each thing that a finding names; what is spelt like an id and is none has no row."""
    ledger = list(read_ledger() if entries is None else entries)
    found = (_row(id, specs, ledger) for id in finding.named)
    return [row for row in found if row is not None]


def _row(id: str, specs: Sequence[Spec], ledger: Sequence[Entry]) -> Row | None:
    if id in CHECKS:
        return Row(id, CHECKS[id].english, ("asked of every log that `mtpo verify` judges",))
    spec = next((spec for spec in specs if spec.name == id.partition(".")[0]), None)
    if spec is None:
        return None
    try:
        found = explain(id, [spec], ledger)
    except NoSuchClause:
        return None
    if found.kind == "mutant":
        return _mutant(id, spec, ledger)
    if found.kind == "assumption":
        return Row(id, found.english, ("taken, not shown: it is an assumption",))
    dropped = [row for row in found.mutants if "~" not in row[0] or found.kind == "action"]
    fates = [f"{what}: {fate}" for _, what, fate in dropped] if found.kind in ("guard clause", "action") else []
    return Row(id, found.english or found.formula, (*map(_sentence, found.evidence), *fates))


def _mutant(id: str, spec: Spec, ledger: Sequence[Entry]) -> Row | None:
    """An update, or a part of a clause, by what became of it among the mutants."""
    for entry in ledger:
        caught = entry.detail.get("killed_by", {}).get(id) if entry.property == f"{spec.name}.mutants" else None
        if caught:
            (evidence,) = evidence_of(entry.property, [entry])
            return Row(id, "left out, or weakened", (_sentence(evidence, f"caught by {', '.join(caught)}"),))
    return None


def _sentence(evidence: Evidence, instead: str = "") -> str:
    """As the ledger has it; of many instances the largest by name."""
    changed = "" if evidence.fresh else " (the sources have changed since)"
    told, many = instead or evidence.sentence, evidence.instances
    if len(many) > 2:
        largest = max(many, key=lambda extent: int(extent.partition(" ")[0].replace(",", "")))
        told = told.replace("; ".join(many), f"{len(many)} instances, the largest of {largest}")
    return f"{evidence.status} {told}{changed}"
