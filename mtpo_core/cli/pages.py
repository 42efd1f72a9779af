"""Pages of logged runs, with the verdict of the checker where the prover's package is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mtpo_core.log import LoggedRun
from mtpo_core.scenarios import SCENARIOS
from mtpo_core.view import Verdict, render, timeline_of


def verdict_of(run: LoggedRun) -> tuple[Verdict, Any]:
    """What the checker says of a run, as a sentence for a page, and its certificate."""
    from mtpo.proofs.certificate import certify
    from mtpo.proofs.checker import check

    report = check(run)
    certificate = certify(run, report)
    tone = "bad" if report.problems else "good"
    if not report.complete and not report.problems:
        tone = "warn"
    reasons = tuple(str(problem) for problem in report.problems[:4])
    return Verdict(tone, certificate.verdict, reasons), certificate  # type: ignore[arg-type]


def page_of(
    runs: Sequence[LoggedRun],
    right: Mapping[str, bool] | None = None,
    certificate: Any = None,
    title: str = "MTPO run",
) -> str:
    """One page; ``right`` says by log path whether the final state was right, where that is known."""
    timelines = []
    for run in runs:
        opened = next((r for r in run.records if r.kind == "run-open"), None)
        scenario = SCENARIOS.get(str(opened.body.get("scenario"))) if opened else None
        case = scenario.title if scenario else None
        verdict, found = verdict_of(run)
        certificate = certificate or (found if opened and opened.body.get("mode") == "mtpo" else None)
        known = None if right is None else right.get(run.path)
        timelines.append(timeline_of(run.records, run.values, case=case, right=known, verdict=verdict))
    shown = None if certificate is None else attrs.asdict(certificate)
    return render(timelines, certificate=shown, title=title)
