"""The certificate of a run: in what order it is as good as serial, who says so, and on what that rests.

It never says just "correct". It names the order, every check of the independent checker with its verdict, and each
assumption with how often the run relied on it. It carries the hash of the log's last record, so a log whose tail was
cut, or that was rewritten, does not match its certificate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Self

import attrs

from mtpo.proofs.runs.checker import Report, check
from mtpo.proofs.runs.runfacts import A1, A2, A3, Held, assumptions_of, counts_of, held_of, sentence_of
from mtpo.proofs.runs.runform import FORMS, fault
from mtpo.proofs.runs.runreport import values
from mtpo_core.causes import in_order
from mtpo_core.log import LoggedRun
from mtpo_core.logchain import digests_of
from mtpo_core.problems import Problem

FORMAT: Final = "mtpo-run-certificate"


class CertificateError(ValueError):
    """A file that is no run certificate: one line that names it and says why."""


@attrs.frozen
class Property:
    """A check and how it came out: ``verdict`` holds, violated, incomplete or not asked; ``note`` to what extent, or
    why it was not decided."""

    id: str
    english: str
    verdict: str
    note: str = ""


@attrs.frozen
class Redaction:
    """A value that was dropped from the log: its digest, and the records that name it."""

    digest: str
    records: tuple[int, ...]


@attrs.frozen
class RunCertificate:
    """What is certified of a run.

    ``order`` names by rank; ``claimed`` whether the run claims that order (a naive run claims none); ``status`` holds,
    violated or incomplete; ``verdict`` one sentence; ``properties`` every check; ``problems`` what does not hold;
    ``assumptions`` counts by name; ``held`` calls without an inverse; ``redacted`` values that were dropped from the
    log before it was certified; ``counts`` of what happened; ``tokens`` read and written; ``seconds`` from the opening
    to the last record; ``head`` SHA-256 of the last record; ``records`` how many; ``version`` of the program that
    certified.
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
    redacted: tuple[Redaction, ...]
    counts: Mapping[str, int]
    tokens: Mapping[str, int]
    seconds: float
    head: str
    records: int
    version: str

    @property
    def redacted_digests(self) -> frozenset[str]:
        """The digests of the values that it lists as redacted."""
        return frozenset(r.digest for r in self.redacted)

    def assumed(self) -> tuple[str, ...]:
        """What the verdict rests on, a sentence for each assumption."""
        names = (A1, A2, A3) if self.mode == "mtpo" else (A2,)
        return tuple(sentence_of(name, counts) for name, counts in self.assumptions.items() if name in names)

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
                    "redacted": tuple(Redaction(str(r["digest"]), tuple(r["records"])) for r in data["redacted"]),
                }
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise CertificateError(f"{path}: a field is not of its type ({error})") from None


def certify(
    run: LoggedRun, report: Report, *, extra: Sequence[Property] = (), found: Sequence[Problem] = ()
) -> RunCertificate:
    """The certificate of a run by the checker's report.

    ``extra``: further checks of the same run (its replay against the spec, say); one that is violated makes the run so.
    ``found``: what those found.
    """
    records = [r for r in run.records if r.kind in FORMS and fault(r) is None]
    opened = next((r for r in records if r.kind == "run-open"), None)
    failed = [Problem(row.id, "the run", row.english) for row in extra if row.verdict == "violated"]
    further = [*found] or failed
    return RunCertificate(
        run=run.run,
        mode=report.mode or "unknown",
        scenario=str(opened.body["scenario"]) if opened else "",
        order=report.agents,
        claimed=report.mode in ("mtpo", "serial"),
        status="violated" if further else report.status,
        verdict=verdict_of(report, further, rows=extra),
        properties=(*(Property(f.check.id, f.check.english, f.verdict, f.note) for f in report.findings), *extra),
        problems=tuple(map(str, (*report.problems, *report.unfinished, *further))),
        assumptions=assumptions_of(records, len(report.agents)),
        held=held_of(records),
        redacted=_redacted(run),
        counts=counts_of(records),
        tokens={
            name: sum(r.body[field] for r in records if r.kind == "infer")
            for name, field in (("read", "prompt_tokens"), ("written", "new_tokens"))
        },
        seconds=max((r.t for r in run.records), default=0.0),
        head=run.head,
        records=len(run.rows),
        version=_version(),
    )


def compare(run: LoggedRun, certificate: RunCertificate, now: RunCertificate | None = None) -> list[Problem]:
    """How a log differs from the one that a saved certificate is for: its head (a cut tail, a rewritten record), what
    the certificate says of the run, and a verdict that the checker does not come to again.

    ``now``: the log's own certificate, if it is at hand. What is wrong with the log by itself is not repeated, and
    values redacted since are the checker's matter (:func:`mtpo.proofs.runs.checker.check`).
    """
    problems = []
    if run.head != certificate.head:
        where = f"record {run.rows[-1].seq}" if run.rows else "log"
        what = f"head is {run.head[:12]}, the certificate says {certificate.head[:12]}"
        problems.append(Problem("log.head", where, what))
    if run.run != certificate.run:
        what = f"the log is of run {run.run!r}, the certificate of {certificate.run!r}"
        problems.append(Problem("log.head", "certificate", what))
    now = now or certify(run, check(run))
    if problems or now.status == "violated" != certificate.status:
        return problems
    verdicts = {row.id: row.verdict for row in now.properties}
    for row in certificate.properties:
        verdict = verdicts.get(row.id, row.verdict)
        if verdict != row.verdict and not (row.id == "log.value" and verdict == "incomplete"):
            what = f"the certificate says {row.verdict}, the checker now says {verdict}"
            problems.append(Problem("certificate.verdict", row.id, what))
    if certificate.version == now.version:
        for name in _FACTS:
            said, is_so = getattr(certificate, name), getattr(now, name)
            if said != is_so:
                what = f"the certificate says {_short(said)}, the log {_short(is_so)}"
                problems.append(Problem("certificate.content", name, what))
    return problems


_FACTS: Final = (
    "mode",
    "scenario",
    "order",
    "claimed",
    "held",
    "assumptions",
    "counts",
    "tokens",
    "seconds",
    "records",
)


def verdict_of(
    report: Report,
    further: Sequence[Problem] = (),
    differences: Sequence[Problem] = (),
    rows: Sequence[Property] = (),
) -> str:
    """The verdict in one sentence: yes, no or not known, and of what.

    ``further``: what other checks found; ``differences``: how the log differs from a certificate. Either makes it no.
    ``rows``: those other checks, which are counted with the checker's.
    """
    verdicts = [f.verdict for f in report.findings] + [row.verdict for row in rows]
    asked = [verdict for verdict in verdicts if verdict != "not asked"]
    kept = asked.count("holds")
    order = " < ".join(report.agents) or "no agent"
    claim = {
        "mtpo": f"notified-serializable in the order {order}",
        "serial": f"serial in the order {order}",
        "naive": "serializable in some order (none is claimed)",
    }.get(report.mode or "", "a run of a known mode")
    wrong = in_order((*report.problems, *further))
    others = len(wrong) + len(differences) - 1
    more = f"; and {others} more" if others else ""
    if wrong:
        altered = claim.endswith(order) and any(p.property == "log.chain" for p in report.problems)
        names = "; the names are as the altered log has them" if altered else ""
        return f"{claim}: no ({wrong[0]}{more}{names})"
    if differences:
        other = claim.endswith(order) and any(p.property == "log.head" for p in differences)
        names = "; the names are those of the log as it is now" if other else ""
        return f"{claim}: no, the log is not the one that was certified ({differences[0]}{more}{names})"
    if not report.complete:
        committed = ", ".join(report.agents[rank] for rank in report.committed) or "nobody"
        why = "; ".join(map(str, report.unfinished))
        so_far = f"nothing violated so far, {kept} of {len(asked)} checks decided; committed: {committed}"
        return f"{claim}: not known ({why}; {so_far})"
    under = "under A1, A2, A3 as counted" if report.mode == "mtpo" else "under A2 as counted"
    unread = f", but for the content of {values(report.redacted)}, redacted" if report.redacted else ""
    return f"{claim}: yes (checked from the log alone{unread}, {kept} of {len(asked)} checks hold, {under})"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _redacted(run: LoggedRun) -> tuple[Redaction, ...]:
    named: dict[str, list[int]] = {digest: [] for digest in sorted(run.redacted)}
    for record in run.records if named else ():
        for digest in digests_of(record) & named.keys():
            named[digest].append(record.seq)
    return tuple(Redaction(digest, tuple(records)) for digest, records in named.items())


def _version() -> str:
    try:
        return version("mtpo")
    except PackageNotFoundError:
        return "unknown"
