"""What a spec answers in a notebook of its rules: what becomes of mutants, and what breaks when a rule is dropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from mtpo.proofs.notebook.answers import Answer, StudyError, check_record, places
from mtpo.proofs.pictures.picture import Case


@attrs.frozen(repr=False)
class Mutated(Answer):
    """What became of each mutant: ``verdicts`` are their fates. With ``traces`` the runs that caught them are shown."""

    verdicts: Sequence[Any]
    traces: bool = False
    whole: bool = False
    """Whether these are all mutants, at the sizes that are the default."""

    @property
    def holds(self) -> bool:
        """Every mutant is caught, or is known to change nothing."""
        return not any(f.survived or f.mislisted or f.why for f in self.verdicts)

    def rows(self) -> Iterable[tuple[str, str, str]]:
        from mtpo_core.cli.mutate import word_of

        for f in self.verdicts:
            remark = ", ".join(f.killed_by) or f.why or f.reason or f.mutant.what
            if f.killed_by and not f.told_by:
                remark += f", a lemma alone: {f.reason or 'lemmas serve the proof, and tell nothing of the system'}"
            yield word_of(f), f.mutant.id, remark

    def cases(self) -> Sequence[Case]:
        return self.drawn() if self.traces else ()

    def drawn(self) -> Sequence[Case]:
        return [Case(f.trace, f.killed_by[0], tab=f.mutant.id) for f in self.verdicts if f.killed_by and f.trace]

    def trace(self, id: str) -> Case:
        """How a mutant was caught, to be drawn. Raises StudyError when there is no run that shows it."""
        for f in self.verdicts:
            if f.mutant.id == id and f.trace is not None and f.killed_by:
                return Case(f.trace, f.killed_by[0], tab=f"without {id}")
        raise StudyError(f"{id}: no mutant of that id was caught by a run")

    def record(self, ledger: str) -> None:
        """Write what became of all mutants of a built-in spec into a ledger."""
        from mtpo_core.cli.mutate import _record

        if not self.whole or any(f.why for f in self.verdicts):
            raise StudyError(
                f"{self.spec.name}: what is recorded is of all mutants, each decided: leave out only, size"
            )
        check_record(self.spec, ledger)
        with places(self.spec.name):
            _record(Path(ledger), self.spec, list(self.verdicts))

    def as_json(self) -> dict[str, Any]:
        survived = [f.mutant.id for f in self.verdicts if f.survived]
        return {"mutants": [f.as_json() for f in self.verdicts], "survived": survived}


@attrs.frozen(repr=False)
class Ablated(Answer):
    """What breaks without each rule: ``verdicts`` are a row each, with a shortest run for each property that does."""

    verdicts: Sequence[Any]
    traces: bool = False

    @property
    def holds(self) -> bool:
        """Every rule is for something, or is listed with a reason."""
        return not any(row.idle or row.unknown for row in self.verdicts)

    def rows(self) -> Iterable[tuple[str, str, str]]:
        for row in self.verdicts:
            word = "IDLE" if row.idle else "UNKNOWN" if row.unknown else "breaks" if row.broken else "equivalent"
            broken = sorted(row.broken.items(), key=lambda item: len(item[1].steps))
            remark = ", ".join(f"{id} ({len(trace.steps)})" for id, trace in broken) or row.reason
            yield word, row.rule.id, remark or f"breaks nothing in {row.states:,} states"

    def notes(self) -> Sequence[str]:
        from mtpo_core.cli.ablated import summary

        return ("a number is the steps of a shortest run that breaks it", summary(self.verdicts))

    def cases(self) -> Sequence[Case]:
        return self.drawn() if self.traces else ()

    def drawn(self) -> Sequence[Case]:
        from mtpo_core.cli.ablate import RUNS_DRAWN

        return [
            Case(trace, id, tab=f"without {row.rule.id}")
            for row in self.verdicts
            for id, trace in sorted(row.broken.items(), key=lambda item: len(item[1].steps))[:RUNS_DRAWN]
        ]

    def as_json(self) -> dict[str, Any]:
        idle = [row.rule.id for row in self.verdicts if row.idle]
        unknown = [row.rule.id for row in self.verdicts if row.unknown]
        return {"rows": [row.as_json() for row in self.verdicts], "breaks_nothing": idle, "unknown": unknown}
