"""The certificate of a run: in what order it is as good as serial, who says so, and on what that rests.

It never says just "correct". It names the order, every check of the independent checker with its verdict, and each
assumption with how often the run relied on it. It carries the hash of the log's last record, so a log whose tail was
cut, or that was rewritten, does not match its certificate.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Self

import attrs

from mtpo.proofs.checker import Report, check
from mtpo.proofs.runform import FORMS, fault
from mtpo.spec.records import Record
from mtpo_core.log import LoggedRun, check_chain
from mtpo_core.problems import Problem

FORMAT: Final = "mtpo-run-certificate"

A1: Final = "A1 individual success"
A2: Final = "A2 footprints"
A3: Final = "A3 judgments"


class CertificateError(ValueError):
    """A file that is no run certificate: one line that names it and says why."""


@attrs.frozen
class Property:
    """A check and how it came out: ``verdict`` holds, violated, incomplete or not asked."""

    id: str
    english: str
    verdict: str


@attrs.frozen
class Held:
    """A call without an inverse, and the ranks that it was held for (none when they had all committed)."""

    call: str
    tool: str
    waited_for: tuple[int, ...]


@attrs.frozen
class RunCertificate:
    """What is certified of a run.

    ``order`` names by rank; ``claimed`` whether the run claims that order (a naive run claims none); ``status`` holds,
    violated or incomplete; ``verdict`` one sentence; ``properties`` every check; ``problems`` what does not hold;
    ``assumptions`` counts by name; ``held`` calls without an inverse; ``redacted`` values dropped from the log;
    ``counts`` of what happened; ``tokens`` read and written; ``seconds`` from the opening to the last record; ``head``
    SHA-256 of the last record; ``records`` how many; ``version`` of the program that certified.
    """

    run: str
    mode: str
    scenario: str
    order: tuple[str, ...]
    claimed: bool
    status: str
    verdict: str
    properties: tuple[Property, ...]
    problems: tuple[str, ...]
    assumptions: Mapping[str, Mapping[str, int]]
    held: tuple[Held, ...]
    redacted: int
    counts: Mapping[str, int]
    tokens: Mapping[str, int]
    seconds: float
    head: str
    records: int
    version: str

    def as_json(self) -> dict[str, Any]:
        """Plain data, as it is saved."""
        return {"format": FORMAT, **attrs.asdict(self)}

    def save(self, path: str | Path) -> None:
        """Write it as JSON. :class:`CertificateError` when the file can't be written."""
        try:
            Path(path).write_text(json.dumps(self.as_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise CertificateError(f"{path}: {error.strerror or error}") from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a saved one. :class:`CertificateError` names the file and what is wrong with it."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise CertificateError(f"{path}: {error.strerror or error}") from None
        except (ValueError, RecursionError) as error:
            raise CertificateError(f"{path}: not JSON ({error})") from None
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise CertificateError(f"{path}: not a run certificate (no format {FORMAT!r})")
        odd = sorted(data.keys() ^ {field.name for field in attrs.fields(cls)})
        if odd:
            raise CertificateError(f"{path}: missing or unknown field {', '.join(map(repr, odd))}")
        try:
            texts = [data[name] for name in ("run", "mode", "scenario", "status", "verdict", "head", "version")]
            if not all(isinstance(text, str) for text in texts):
                raise TypeError("a name is not a text")
            return cls(
                **data
                | {
                    "order": tuple(map(str, data["order"])),
                    "problems": tuple(map(str, data["problems"])),
                    "properties": tuple(Property(**row) for row in data["properties"]),
                    "held": tuple(Held(r["call"], r["tool"], tuple(r["waited_for"])) for r in data["held"]),
                }
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise CertificateError(f"{path}: a field is not of its type ({error})") from None


def certify(run: LoggedRun, report: Report, *, extra: Sequence[Property] = ()) -> RunCertificate:
    """The certificate of a run by the checker's report.

    ``extra``: further checks of the same run (its replay against the spec, say); one that is violated makes the run so.
    """
    records = [r for r in run.records if r.kind in FORMS and fault(r) is None]
    opened = next((r for r in records if r.kind == "run-open"), None)
    failed = [row for row in extra if row.verdict == "violated"]
    status = "violated" if failed else report.status
    return RunCertificate(
        run=run.run,
        mode=report.mode or "unknown",
        scenario=str(opened.body["scenario"]) if opened else "",
        order=report.agents,
        claimed=report.mode in ("mtpo", "serial"),
        status=status,
        verdict=_verdict(report, failed),
        properties=(*(Property(f.check.id, f.check.english, f.verdict) for f in report.findings), *extra),
        problems=tuple(map(str, (*report.problems, *report.unfinished))),
        assumptions=_assumptions(records, report),
        held=_held(records),
        redacted=len(run.redacted),
        counts=_counts(records),
        tokens={
            name: sum(r.body[field] for r in records if r.kind == "infer")
            for name, field in (("read", "prompt_tokens"), ("written", "new_tokens"))
        },
        seconds=max((r.t for r in run.records), default=0.0),
        head=run.head,
        records=len(run.rows),
        version=_version(),
    )


def compare(run: LoggedRun, certificate: RunCertificate) -> list[Problem]:
    """How a log differs from the one that a saved certificate is for: the chain, its head (a cut tail, a rewritten
    record), and a verdict that the checker does not come to again."""
    problems = [p for p in check_chain(run, certificate.head) if p.property != "log.incomplete"]
    if run.run != certificate.run:
        what = f"the log is of run {run.run!r}, the certificate of {certificate.run!r}"
        problems.append(Problem("log.head", "certificate", what))
    if problems:
        return problems
    report = check(run)
    found = {f.check.id: f.verdict for f in report.findings}
    for row in certificate.properties:
        if found.get(row.id, row.verdict) != row.verdict:
            what = f"the certificate says {row.verdict}, the checker now says {found[row.id]}"
            problems.append(Problem("certificate.verdict", row.id, what))
    return problems


def _verdict(report: Report, failed: Sequence[Property]) -> str:
    asked = [f for f in report.findings if f.verdict != "not asked"]
    kept = sum(f.verdict == "holds" for f in asked)
    order = " < ".join(report.agents) or "no agent"
    claim = {
        "mtpo": f"notified-serializable in the order {order}",
        "serial": f"serial in the order {order}",
        "naive": "serializable in some order (none is claimed)",
    }.get(report.mode or "", "a run of a known mode")
    if report.problems or failed:
        first = str(report.problems[0]) if report.problems else f"{failed[0].id}: {failed[0].english}"
        more = len(report.problems) + len(failed) - 1
        return f"{claim}: no ({first}{f'; and {more} more' if more else ''})"
    if not report.complete:
        committed = ", ".join(report.agents[rank] for rank in report.committed) or "nobody"
        return f"{claim}: not known ({report.unfinished[0]}; nothing violated so far; committed: {committed})"
    under = "under A1, A2, A3 as counted" if report.mode == "mtpo" else "under A2 as counted"
    return f"{claim}: yes (checked from the log alone, {kept} of {len(asked)} checks hold, {under})"


def _counts(records: Sequence[Record]) -> dict[str, int]:
    kinds = Counter(r.kind for r in records)
    names = {
        "reads": "read",
        "writes": "call",
        "failed": "failed",
        "notifications": "notify",
        "undos": "undone",
        "redos": "redone",
        "bounces": "bounce",
        "cancelled": "cancelled",
        "stranded": "stranded",
    }
    return {name: kinds[kind] for name, kind in names.items()}


def _assumptions(records: Sequence[Record], report: Report) -> dict[str, dict[str, int]]:
    """What the verdict rests on, and how often the run relied on it."""
    kinds = Counter(r.kind for r in records)
    dishonest = sum("core.footprint-honest" in r.body["error"] for r in records if r.kind in ("failed", "stranded"))
    waivers: Counter[str] = Counter()
    given = {(r.agent, n) for r in records if r.kind == "deliver" for n in r.body["ids"]}
    judged = set[tuple[int | None, int]]()
    for r in records:
        if r.kind == "judge":
            waivers[r.body["waiver"] or ("unexplained" if r.body["verdict"] == "ignore" else r.body["verdict"])] += 1
            judged |= {(r.agent, n) for n in r.body["ids"]}
    return {
        A1: {"assumed of agents": len(report.agents)},
        A2: {
            "audited by the runtime": kinds["exec"] + kinds["redo"] + kinds["undo"],
            "violations put back": dishonest,
            "changes by nobody": kinds["external"],
        },
        A3: {
            "waived, mechanical": waivers["mechanical"],
            "waived, replayed": waivers["replayed"],
            "waived, trusted": waivers["trusted"],
            "waived, unexplained": waivers["unexplained"],
            "repaired": waivers["repair"],
            "retracted": waivers["retract"],
            "notifications without a judgment": len(given - judged),
        },
    }


def _held(records: Sequence[Record]) -> tuple[Held, ...]:
    waits = {r.call: set[int]() for r in records if r.kind == "call" and not r.body["invertible"]}
    for r in records:
        if r.kind == "gate" and r.call in waits:
            waits[r.call] |= set(r.body["waits_for"])
    return tuple(
        Held(r.call or "", r.body["tool"], tuple(sorted(waits[r.call])))
        for r in records
        if r.kind == "call" and r.call in waits
    )


def _version() -> str:
    try:
        return version("mtpo")
    except PackageNotFoundError:
        return "unknown"
