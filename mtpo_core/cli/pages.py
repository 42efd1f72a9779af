"""Pages of logged runs, with the verdict of the checker where the prover's package is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from mtpo_core.causes import alike
from mtpo_core.log import LoggedRun
from mtpo_core.scenarios import SCENARIOS
from mtpo_core.view import Verdict, render, timeline_of
from mtpo_core.view.shapes import TONES, Timeline, Tone


def verdict_of(run: LoggedRun) -> tuple[Verdict, Any]:
    """What the checker says of a run, as a sentence for a page, and its certificate."""
    from mtpo.proofs.replay.judge import judge

    found = judge(run)
    tone: Tone = "bad" if found.problems else "good" if found.report.complete else "warn"
    sentence = found.certificate.verdict
    reasons = [str(kind[0]) for kind in alike(found.problems)]
    return Verdict(tone, sentence, tuple(r for r in reasons[:4] if r not in sentence)), found.certificate


def page_of(
    runs: Sequence[LoggedRun],
    right: Mapping[str, bool | str] | None = None,
    certificate: Any = None,
    title: str = "MTPO run",
) -> str:
    """One page; ``right`` says by log path whether the final state was right, or why that is not known."""
    timelines: list[Timeline] = []
    certificates: list[Any] = []
    for run in runs:
        opened = next((r for r in run.records if r.kind == "run-open"), None)
        scenario = SCENARIOS.get(str(opened.body.get("scenario"))) if opened else None
        case = scenario.title if scenario else None
        verdict, found = verdict_of(run)
        certificates.append(found)
        known = None if right is None else right.get(run.path)
        notes = [f"final state not checked: {known}"] if isinstance(known, str) else []
        known = None if isinstance(known, str) else known
        timelines.append(timeline_of(run.records, run.values, case=case, right=known, verdict=verdict, notes=notes))
    named = [attrs.evolve(one, mode=name) for one, name in zip(timelines, told_apart(timelines, runs), strict=True)]
    certificate = certificate or _telling(named, certificates)
    if certificate is None:
        return render(named, title=title)
    of = [_named(one, named) for one, each in zip(named, certificates, strict=True) if each.head == certificate.head]
    return render(named, certificate={"of": of[0] if of else "", **attrs.asdict(certificate)}, title=title)


def _telling(timelines: Sequence[Timeline], certificates: Sequence[Any]) -> Any:
    """The certificate of the run of MTPO with the worst verdict; None where there is none."""
    ours = [(one, found) for one, found in zip(timelines, certificates, strict=True) if found.mode == "mtpo"]
    return max(ours, key=lambda pair: TONES.index(pair[0].verdict.tone))[1] if ours else None


def _named(timeline: Timeline, beside: Sequence[Timeline]) -> str:
    """Which run of a page that is; empty where it is the only one."""
    cases = {one.case for one in beside}
    return ", ".join([timeline.case] * (len(cases) > 1) + [timeline.mode]) if len(beside) > 1 else ""


def told_apart(timelines: Sequence[Timeline], runs: Sequence[LoggedRun]) -> list[str]:
    """The names of runs on a page: the mode; of several of one case and mode also the policy where that differs, and
    the file where that does not tell them apart."""
    names = [timeline.mode for timeline in timelines]
    policies = [_policy(run) for run in runs]
    for marks in (policies, _files(runs)):
        same: dict[tuple[str, str], list[int]] = {}
        for at, name in enumerate(names):
            same.setdefault((timelines[at].case, name), []).append(at)
        for places in same.values():
            if len({marks[at] for at in places}) > 1:
                for at in places:
                    names[at] = f"{names[at]}, {marks[at]}"
    return names


def _policy(run: LoggedRun) -> str:
    """What is undone and not redone, or is, in mode mtpo; the others know no repair."""
    opened = next((r.body for r in run.records if r.kind == "run-open"), {})
    return f"{opened.get('policy')}" if opened.get("mode") == "mtpo" else ""


def _files(runs: Sequence[LoggedRun]) -> list[str]:
    """The names of the files, with their folders where two have one name; a file that is given again is numbered."""
    names = [Path(run.path).name for run in runs]
    paths = {run.path for run in runs}
    names = [run.path if len(set(names)) < len(paths) else name for run, name in zip(runs, names, strict=True)]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: at + 1].count(name)})" for at, name in enumerate(names)
    ]
