"""Pages of logged runs, with the verdict of the checker where the prover's package is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mtpo_core.log import LoggedRun
from mtpo_core.scenarios import SCENARIOS
from mtpo_core.view import Verdict, render, timeline_of
from mtpo_core.view.shapes import Tone


def verdict_of(run: LoggedRun) -> tuple[Verdict, Any]:
    """What the checker says of a run, as a sentence for a page, and its certificate."""
    from mtpo.proofs.judge import judge

    found = judge(run)
    tone: Tone = "bad" if found.problems else "good" if found.report.complete else "warn"
    reasons = tuple(str(problem) for problem in found.problems[:4])
    return Verdict(tone, found.certificate.verdict, reasons), found.certificate


def page_of(
    runs: Sequence[LoggedRun],
    right: Mapping[str, bool | str] | None = None,
    certificate: Any = None,
    title: str = "MTPO run",
) -> str:
    """One page; ``right`` says by log path whether the final state was right, or why that is not known."""
    timelines = []
    for run in runs:
        opened = next((r for r in run.records if r.kind == "run-open"), None)
        scenario = SCENARIOS.get(str(opened.body.get("scenario"))) if opened else None
        case = scenario.title if scenario else None
        verdict, found = verdict_of(run)
        certificate = certificate or (found if opened and opened.body.get("mode") == "mtpo" else None)
        known = None if right is None else right.get(run.path)
        notes = [f"final state not checked: {known}"] if isinstance(known, str) else []
        known = None if isinstance(known, str) else known
        timelines.append(timeline_of(run.records, run.values, case=case, right=known, verdict=verdict, notes=notes))
    shown = None if certificate is None else attrs.asdict(certificate)
    return render(timelines, certificate=shown, title=title)
