"""The file of a run's log, and how it is read: every row as it is stored, whatever state the file is in.

Damage never ends in a traceback. What makes the file unreadable is a :class:`LogDamage`; a row that can be read and
holds no record is kept, with the reason, and reported by :func:`mtpo_core.logchain.check_chain`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from mtpo.spec.records import GENESIS, VERSION, Record, canonical, parse

APPLICATION_ID: Final = 0x4D54504F
"""Marks a SQLite file as a run log (``MTPO``)."""

FORMAT: Final = "mtpo-run-log"

SCHEMA: Final = """
CREATE TABLE records (seq INTEGER PRIMARY KEY, record TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE "values" (digest TEXT PRIMARY KEY, state TEXT NOT NULL, value BLOB);
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL);
"""

GREATEST: Final = 2**53
"""No number in a record is greater, or smaller than its negative: beyond it, readers of JSON differ."""

DEEPEST: Final = 64
"""No body is nested deeper."""

DIGEST: Final = re.compile("[0-9a-f]{64}")
"""The form of every digest: SHA-256 in lower-case hexadecimal."""

_MAGIC: Final = b"SQLite format 3\x00"
_MARK: Final = 68  # where the application id stands in a SQLite file


class LogError(ValueError):
    """A log can't be made, read or continued: one line that names the file and says why."""


class LogDamage(LogError):
    """The file is a run log and is damaged: one line that names the file, the place and what is wrong with it."""


@attrs.frozen
class Row:
    """A record as it is stored: its place, its text and the digest kept beside it.

    ``fault`` says why the row can hold no record at all (a column is NULL, or of another type); empty when it can.
    """

    seq: int
    text: str
    digest: str
    fault: str = ""


@attrs.frozen
class LoggedRun:
    """What a log holds. ``rows`` is everything stored, ``records`` those rows that are well-formed records.

    ``values`` by digest (None for an absent object); ``redacted`` are digests whose value was dropped; ``faults`` are
    stored values that are neither, each its digest (or its row) and a reason; ``lines`` says that they were lines of
    JSON; ``head`` is the SHA-256 of the last row's text.
    """

    path: str
    run: str
    salt: bytes
    rows: tuple[Row, ...]
    records: tuple[Record, ...]
    values: Mapping[str, bytes | None]
    redacted: frozenset[str]
    faults: tuple[tuple[str, str], ...] = ()
    lines: bool = False

    @property
    def reads_to_its_end(self) -> bool:
        """Whether the last row is a record, so that it is known whether the log has the close of its run."""
        return not self.rows or (bool(self.records) and self.records[-1].seq == self.rows[-1].seq)

    @property
    def head(self) -> str:
        return sha(self.rows[-1].text) if self.rows else GENESIS

    def unreadable(self) -> Iterator[tuple[int, str]]:
        """The rows that are no records: their place, and why."""
        if len(self.records) < len(self.rows):
            for row in self.rows:
                found = record_of(row)
                if isinstance(found, str):
                    yield row.seq, found


def read_log(path: str | Path) -> LoggedRun:
    """Read a log, also one that is being written or that a dead process left. It is judged by
    :func:`mtpo_core.logchain.check_chain`.

    Raises :class:`LogError` when there is no such file or it is no run log, :class:`LogDamage` when it is one that
    can't be read.
    """
    path = Path(path)
    marked = _look(path)
    with reading(path) as db:
        if _one(db, "PRAGMA application_id") != APPLICATION_ID:
            if marked:
                raise LogDamage(f"{path}: damaged: {path.name}-wal beside it belongs to another database")
            raise LogError(f"{path}: a SQLite file, but not a run log")
        db.execute("BEGIN")  # one moment of a log that may be growing
        meta = _meta(path, db)
        rows = tuple(_row(path, *row) for row in db.execute(_ROWS))
        values: dict[str, bytes | None] = {}
        redacted: set[str] = set()
        faults: list[tuple[str, str]] = []
        for number, (digest, state, value) in enumerate(db.execute(_VALUES)):
            wrong = _value_fault(digest, state, value)
            if wrong:
                named = isinstance(digest, str) and DIGEST.fullmatch(digest)
                faults.append((digest if named else f"in row {number}", wrong))
            elif state == "redacted":
                redacted.add(digest)
            else:
                values[digest] = value
    return LoggedRun(
        path=str(path),
        run=meta["run"].decode(errors="replace"),
        salt=meta["salt"],
        rows=rows,
        records=tuple(record for row in rows if isinstance(record := record_of(row), Record)),
        values=values,
        redacted=frozenset(redacted),
        faults=tuple(faults),
    )


_ROWS: Final = "SELECT seq, record, digest FROM records ORDER BY seq"
_VALUES: Final = 'SELECT digest, state, value FROM "values"'


def _look(path: Path) -> bool:
    """That the path is a SQLite file, before SQLite sees it: :class:`LogError` when it is not. True when the file
    itself, without what SQLite keeps beside it, is marked as a run log."""
    try:
        if path.is_dir():
            raise LogError(f"{path}: a folder, not a run log")
        if not path.exists():
            raise LogError(f"{path}: no such file")
        if not path.is_file():
            raise LogError(f"{path}: not a file, so no run log")
        with path.open("rb") as file:
            start = file.read(_MARK + 4)
    except (OSError, ValueError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not start:
        raise LogError(f"{path}: an empty file, not a run log")
    if not start.startswith(_MAGIC):
        raise LogError(f"{path}: not a SQLite file, so no run log")
    return int.from_bytes(start[_MARK:]) == APPLICATION_ID


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection; what SQLite says of a damaged file becomes :class:`LogDamage`."""
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10.0)
        db.text_factory = lambda raw: raw.decode(errors="surrogateescape")
        try:
            yield db
        finally:
            db.close()
    except sqlite3.Error as error:
        raise LogDamage(f"{path}: damaged: SQLite can't read it ({' '.join(str(error).split())})") from None
    except (UnicodeError, MemoryError, OverflowError) as error:  # SQLite's message, or a length, is itself damaged
        raise LogDamage(f"{path}: damaged: SQLite can't read it ({type(error).__name__})") from None


def record_of(row: Row) -> Record | str:
    """The record in a row, or why there is none: it must be in canonical form, which is what is hashed."""
    if row.fault:
        return row.fault
    try:
        record = parse(row.text, f"record {row.seq}")
        if canonical(record) != row.text.encode():
            return _other_form(row.text, canonical(record).decode())
    except (ValueError, RecursionError) as error:
        return str(error).removeprefix(f"record {row.seq}: ")
    return out_of_range(record, row.text) or record


def _other_form(text: str, wanted: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(text, wanted, strict=False)) if a != b), min(len(text), len(wanted)))
    return f"another form of the same record: {text[at : at + 12]!r} at character {at}, not {wanted[at : at + 12]!r}"


def sha(text: str) -> str:
    """SHA-256 (hex) of a row's text, byte for byte as it is stored."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def out_of_range(record: Record, text: str) -> str:
    """Why a well-formed record, in its canonical form ``text``, is more than a reader can be asked to take; empty when
    it is not."""
    if not _LONG.search(text) and text.count("[") + text.count("{") <= DEEPEST:
        return ""
    nodes: list[tuple[object, int]] = [(x, 0) for x in (record.v, record.seq, record.t, record.agent, record.body)]
    while nodes:
        node, depth = nodes.pop()
        if depth > DEEPEST:
            return f"its body is nested deeper than {DEEPEST} levels"
        if isinstance(node, int | float) and abs(node) > GREATEST:
            return "a number in it is out of range (2^53)"
        inner: Any = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
        nodes += ((x, depth + 1) for x in inner)
    return ""


_LONG: Final = re.compile(r"\d{16}|\d[eE]\+?\d")


def _row(path: Path, seq: object, text: object, digest: object) -> Row:
    if not isinstance(seq, int):
        raise LogDamage(f"{path}: damaged: a record's number is {_kind(seq)}, not an integer")
    odd = [f"its {name} is {_kind(x)}, not text" for name, x in (("text", text), ("digest", digest)) if not _text(x)]
    return Row(seq, text if isinstance(text, str) else "", digest if isinstance(digest, str) else "", ", ".join(odd))


def _meta(path: Path, db: sqlite3.Connection) -> dict[str, bytes]:
    meta = {
        key: value if isinstance(value, bytes) else str(value).encode(errors="surrogateescape")
        for key, value in db.execute("SELECT key, value FROM meta")
        if value is not None
    }
    version = meta.get("version", b"none").decode(errors="replace")
    if version != str(VERSION):
        raise LogError(f"{path}: log version {version!r}, this program reads {VERSION}")
    for name in ("run", "salt"):
        if name not in meta:
            raise LogDamage(f"{path}: damaged: a run log without its {'run id' if name == 'run' else name}")
    return meta


def _value_fault(digest: object, state: object, value: object) -> str:
    if not isinstance(digest, str):
        return f"its digest is {_kind(digest)}, not text"
    if not DIGEST.fullmatch(digest):
        return "its digest is no SHA-256 in lower-case hexadecimal"
    if state not in ("kept", "absent", "redacted"):
        said = repr(state) if isinstance(state, str) else _kind(state)
        return f"its state is {said}, not kept, absent or redacted"
    if state == "kept" and not isinstance(value, bytes):
        return f"it is kept, and its value is {_kind(value)}, not bytes"
    if state != "kept" and value is not None:
        return f"it is {state}, and a value is stored with it"
    return ""


def _text(value: object) -> bool:
    return isinstance(value, str)


def _kind(value: object) -> str:
    """What SQLite stored, in its own words."""
    if value is None:
        return "NULL"
    return {int: "an integer", float: "a real number", str: "text", bytes: "a blob"}.get(type(value), "of another type")


def _one(db: sqlite3.Connection, statement: str) -> object:
    row = db.execute(statement).fetchone()
    return row[0] if row else None
