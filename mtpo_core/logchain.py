"""Whether a log is the one that was written: the chain of its records, and the values that they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final

from mtpo.spec.records import GENESIS, Record, value_digest
from mtpo_core.logfile import DIGEST, LoggedRun, Row, record_of, sha
from mtpo_core.problems import Problem

_VALUE_FIELDS: Final = frozenset({"args", "result", "text", "undo", "digest", "was", "now", "expected", "found"})
_VALUE_MAPS: Final = frozenset({"initial", "out", "restored", "final", "undeclared"})


NOT_CANONICAL: Final = "not a canonical record"
"""How the reason begins where a row holds no record."""


def check_chain(run: LoggedRun, head: str | None = None) -> list[Problem]:
    """Every way in which a log is not the one that was written; ``head`` is the one on the run certificate.

    Properties: ``log.chain`` (a record, or the digest stored with it, was altered, or the record does not carry the
    digest of the one before it), ``log.body`` (a record was written in another form than the documented one),
    ``log.gap`` (a record is missing or out of place), ``log.value`` (a value does not match its digest, or is neither
    kept nor redacted), ``log.incomplete`` (no close, and the last record can be read), ``log.head`` (not the log that
    the certificate is for).
    """
    problems = [*_of_records(run), *_of_values(run)]
    last = f"record {run.rows[-1].seq}" if run.rows else "log"
    closed = any(record.kind == "close" for record in run.records)
    if not closed and run.reads_to_its_end:
        problems.append(Problem("log.incomplete", last, "the last; the run has no close"))
    if head is not None and run.head != head:
        what = f"head is {run.head[:12]}, the certificate says {head[:12]}"
        problems.append(Problem("log.head", last, what))
    return problems


def _of_records(run: LoggedRun) -> Iterator[Problem]:
    before, stored, expected, closed = GENESIS, GENESIS, 0, False
    for row, after in zip_longest(run.rows, run.rows[1:]):
        where, found = f"record {row.seq}", sha(row.text)
        gap = row.seq != expected
        if row.seq < expected:
            what = "out of place: its number is negative, or there is another of the same number"
            yield Problem("log.gap", where, what)
        elif gap:
            lost = f"record {expected}" if row.seq == expected + 1 else f"records {expected} to {row.seq - 1}"
            yield Problem("log.gap", where, f"{lost} missing before it")
        record = record_of(row)
        if found != row.digest and not row.fault:
            what = _capitals("the digest stored with it", row.digest, found)
            yield Problem("log.chain", where, what or _altered(row, after))
        if isinstance(record, str):
            property = "log.chain" if found != row.digest or row.fault else "log.body"
            yield Problem(property, where, f"{NOT_CANONICAL}: {record}")
        else:
            if record.seq != row.seq:
                yield Problem("log.gap", where, f"out of place: it is record {record.seq} of its run")
            elif record.prev != before and not gap:
                what = f"prev is not the digest of record {row.seq - 1}: one of the two was altered"
                if record.prev == stored:
                    what = f"prev is the digest stored with record {row.seq - 1}, whose text was altered"
                yield Problem("log.chain", where, _capitals("prev", record.prev, before) or what)
            if record.run != run.run:
                yield Problem("log.chain", where, f"belongs to run {record.run!r}, not to {run.run!r}")
            if closed:
                yield Problem("log.body", where, "follows the close of the run, after which there is nothing")
            closed = closed or record.kind == "close"
        before, stored, expected = found, row.digest, row.seq + 1


def _altered(row: Row, after: Row | None) -> str:
    """Which of the two was altered, a record's text or the digest stored with it: the one that is not as the record
    ``after`` it has it, if that has either."""
    record = record_of(after) if after is not None else None
    if after is not None and isinstance(record, Record):
        if record.prev == sha(row.text):
            return f"the digest stored with it was altered: its text has the one that record {after.seq} has in prev"
        if record.prev == row.digest:
            return f"its text was altered: the digest stored with it is the one that record {after.seq} has in prev"
    return "altered: its text does not match the digest stored with it"


def _capitals(name: str, stored: str, digest: str) -> str:
    """What to say of the right digest in the wrong letters; empty for any other."""
    return f"{name} is in capitals: a digest is lower-case hexadecimal" if stored.lower() == digest else ""


def _of_values(run: LoggedRun) -> Iterator[Problem]:
    named = {digest: record for record in reversed(run.records) for digest in digests_of(record)}
    faulty = dict(run.faults)
    for name, what in faulty.items():
        told = f": {_who_names(name, named)}" if DIGEST.fullmatch(name) else ""
        yield Problem("log.value", f"value {name[:12]}", f"{what}{told}")
    altered = [digest for digest, value in run.values.items() if value_digest(run.salt, value) != digest]
    kept = [digest for digest, value in run.values.items() if value is not None]
    what = ""
    if len(kept) > 1 and set(kept) <= set(altered):
        what = (
            f"does not match its digest, as none of {len(kept)} does: a digest is the SHA-256 of the salt, a byte 01 "
            "and the value (docs/records.md); was one left out, or the salt altered?"
        )
    for digest in altered:
        own = what or f"does not match its digest: it was altered; {_who_names(digest, named)}"
        yield Problem("log.value", f"value {digest[:12]}", own)
    missing = named.keys() - run.values.keys() - run.redacted - faulty.keys()
    if missing and not (run.values or run.redacted or faulty):
        count = f"the {len(missing)} values" if len(missing) > 1 else "the one value"
        what = f"{count} that the records name: none is kept"
        if run.lines:
            last = run.rows[-1].seq
            what = f"the file ends after record {last}, before {count} that its records name: is it cut off?"
        yield Problem("log.value", "values", what)
        return
    for digest in sorted(missing, key=lambda digest: (named[digest].seq, digest)):
        what = f"is neither kept nor redacted: {_who_names(digest, named)}"
        yield Problem("log.value", f"value {digest[:12]}", what)


def _who_names(digest: str, named: Mapping[str, Record]) -> str:
    """The first record that names a value, and as what: ``record 0 names it (initial of deploy/geo.yaml)``."""
    record = named.get(digest)
    if record is None:
        return "no record names it"
    for field, part in record.body.items():
        if isinstance(part, Mapping):
            entries = [*part.items()]
        elif isinstance(part, list | tuple):
            entries = [(entry.get("object"), entry) for entry in part if isinstance(entry, Mapping)]
        else:
            entries = [(record.body.get("object"), part)]
        for object, entry in entries:
            if entry == digest or (isinstance(entry, Mapping) and digest in entry.values()):
                return f"record {record.seq} names it ({field}{f' of {object}' if object else ''})"
    return f"record {record.seq} names it"


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
