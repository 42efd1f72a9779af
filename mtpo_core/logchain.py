"""Whether a log is the one that was written: the chain of its records, and the values that they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mtpo.spec.records import GENESIS, Record, value_digest
from mtpo_core.logfile import DIGEST, LoggedRun, record_of, sha
from mtpo_core.problems import Problem

_VALUE_FIELDS: Final = frozenset({"args", "result", "text", "undo", "digest", "was", "now", "expected", "found"})
_VALUE_MAPS: Final = frozenset({"initial", "out", "restored", "final", "undeclared"})


def check_chain(run: LoggedRun, head: str | None = None) -> list[Problem]:
    """Every way in which a log is not the one that was written; ``head`` is the one on the run certificate.

    Properties: ``log.chain`` (a record was altered, or does not carry the digest of the one before it), ``log.body`` (a
    record was written in another form than the documented one; the first is named with the reason), ``log.gap`` (a
    record is missing or out of place), ``log.value`` (a value does not match its digest, or is neither kept nor
    redacted), ``log.incomplete`` (no close), ``log.head`` (not the log that the certificate is for).
    """
    problems: list[Problem] = []

    def report(property: str, where: str, what: str) -> None:
        problems.append(Problem(property, where, what))

    malformed: list[int] = []
    before, expected, closed = GENESIS, 0, False
    for row in run.rows:
        where, found = f"record {row.seq}", sha(row.text)
        gap = row.seq != expected
        if row.seq < expected:
            report("log.gap", where, "out of place: its number is negative, or there is another of the same number")
        elif gap:
            lost = f"record {expected}" if row.seq == expected + 1 else f"records {expected} to {row.seq - 1}"
            report("log.gap", where, f"{lost} missing before it")
        record = record_of(row)
        if found != row.digest and not row.fault:
            report("log.chain", where, "altered: its text does not match the digest stored with it")
        if isinstance(record, str):
            if found != row.digest or row.fault:
                report("log.chain", where, f"not a canonical record: {record}")
            else:
                if not malformed:
                    report("log.body", where, f"not a canonical record: {record}")
                malformed.append(row.seq)
        else:
            if record.seq != row.seq:
                report("log.gap", where, f"out of place: it is record {record.seq} of its run")
            elif record.prev != before and not gap:
                report(
                    "log.chain", where, f"prev is not the digest of record {row.seq - 1}: one of the two was altered"
                )
            if record.run != run.run:
                report("log.chain", where, f"belongs to run {record.run!r}, not to {run.run!r}")
            if closed:
                report("log.body", where, "follows the close of the run, after which there is nothing")
            closed = closed or record.kind == "close"
        before, expected = found, row.seq + 1
    if len(malformed) > 1:
        more = ", ".join(map(str, malformed[1:6])) + (", ..." if len(malformed) > 6 else "")
        report("log.body", f"records {more}", f"{len(malformed) - 1} more that are no canonical records")
    faulty = dict(run.faults)
    for name, what in faulty.items():
        report("log.value", f"value {name[:12]}", what)
    for digest, value in run.values.items():
        if value_digest(run.salt, value) != digest:
            report("log.value", f"value {digest[:12]}", "does not match its digest: it was altered")
    named = {digest: record.seq for record in reversed(run.records) for digest in digests_of(record)}
    missing = named.keys() - run.values.keys() - run.redacted - faulty.keys()
    for digest in sorted(missing, key=lambda digest: (named[digest], digest)):
        report(
            "log.value", f"value {digest[:12]}", f"record {named[digest]} names it, and it is neither kept nor redacted"
        )
    if not closed:
        report("log.incomplete", f"record {expected - 1}" if run.rows else "log", "the last; the run has no close")
    if head is not None and run.head != head:
        report("log.head", f"record {expected - 1}", f"head is {run.head[:12]}, the certificate says {head[:12]}")
    return problems


def digests_of(record: Record) -> frozenset[str]:
    """The digests of values that a record's body names (see the table of bodies in ``docs/records.md``)."""
    found: set[str] = set()
    nodes: list[tuple[Any, str]] = [(record.body, "")]
    while nodes:
        node, name = nodes.pop()
        if isinstance(node, Mapping):
            nodes += ((value, name if name in _VALUE_MAPS else key) for key, value in node.items())
        elif isinstance(node, list | tuple):
            nodes += ((value, name) for value in node)
        elif isinstance(node, str) and (name in _VALUE_FIELDS or name in _VALUE_MAPS) and DIGEST.fullmatch(node):
            found.add(node)
    return frozenset(found)
