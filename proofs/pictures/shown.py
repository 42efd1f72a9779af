"""Which verdicts have a run to show, what it shows, and why: one that violates a property or misses its goal, and one
that refutes what must be refuted. The command line and notebooks tell, draw and write the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mtpo.proofs.exploration.deadends import dead_end, goal_reasons, missed
from mtpo.proofs.exploration.refuted import refuting_reasons
from mtpo.proofs.pictures.picture import Case, reason_lines, reasons_of
from mtpo.proofs.pictures.why import Reason
from mtpo.proofs.verdicts import Status, Trace, Verdict
from mtpo_core.view.shapes import Verdict as Sentence


def refutes(verdict: Verdict) -> bool:
    """Whether its run refutes what must be refuted, and so violates nothing."""
    if verdict.trace is None or verdict.status is not Status.CHECKED:
        return False
    found = verdict.trace.instance.spec.properties.get(verdict.property)
    return found is not None and found.refutes is not None


def run_of(verdict: Verdict) -> Trace | None:
    """The run that is drawn, and written for viewers; None where there is none."""
    return verdict.trace if verdict.status is Status.FAILED or refutes(verdict) else None


def pictures_of(verdicts: Iterable[Verdict], english: Mapping[str, str] | None = None) -> list[Case]:
    """What can be drawn of verdicts, one a tab."""
    return [
        Case(run, v.property, (english or {}).get(v.property, ""), v.property, v.method, _shows(v, run))
        for v in verdicts
        if (run := run_of(v)) is not None
    ]


def kinds_of(verdicts: Sequence[Verdict]) -> str:
    """What their runs show, as a title."""
    refuted = any(map(refutes, verdicts))
    violated = not refuted or any(run_of(v) is not None and not refutes(v) for v in verdicts)
    kinds = (("what is violated", violated), ("what is refuted, as it must be", refuted))
    return " and ".join(kind for kind, some in kinds if some)


def sentence_of(verdict: Verdict, run: Trace) -> str:
    """What its run shows."""
    spec = run.instance.spec
    if verdict.method == "live":
        return missed(spec, verdict.property, run, verdict.detail.get("why", ""))
    claim = spec.claims.get(verdict.property)
    said = "refuted, as it must be" if refutes(verdict) else "violated"
    return f"{verdict.property} is {said}. {claim.doc if claim else ''}".strip()


def why_lines(verdict: Verdict, run: Trace) -> list[str]:
    """Why the property is false at the end of its run, or the goal is, or what must be refuted."""
    reasons, beside = _reasons(verdict, run)
    return [*(line for reason in reasons for line in reason.lines()), *beside]


def _shows(verdict: Verdict, run: Trace) -> Sentence | None:
    """What a picture says of a run of which no state need break anything; None where it ends by breaking a property."""
    if verdict.method != "live" and not refutes(verdict):
        return None
    reasons, beside = _reasons(verdict, run)
    return Sentence("good" if refutes(verdict) else "bad", sentence_of(verdict, run), (*reason_lines(reasons), *beside))


def _reasons(verdict: Verdict, run: Trace) -> tuple[list[Reason], list[str]]:
    """What is false, and of a run that may end why no step must follow."""
    if verdict.method == "live":
        return goal_reasons(run, verdict.property), dead_end(run)
    return (refuting_reasons if refutes(verdict) else reasons_of)(run, verdict.property), []
