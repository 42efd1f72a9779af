"""The log of a run: a chain of records and the values they name, in one SQLite file.

A record is committed before :meth:`RunLog.append` returns, so a phase is logged before it acts. With ``synchronous``
NORMAL, the default, what was appended survives the death of the process; with FULL, for the whole log or for one append
(``durable=True``, before a call that can't be undone), it survives a power failure as well. Values are kept apart from
the records under salted digests, so that redaction drops a value and keeps the chain. The salt is part of the log: who
has the log can still test a guess at a redacted value.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import attrs

from mtpo.spec.records import GENESIS, VERSION, Record, RecordError, canonical, parse, value_digest
from mtpo_core.problems import Problem

APPLICATION_ID: Final = 0x4D54504F
"""Marks a SQLite file as a run log (``MTPO``)."""

FORMAT: Final = "mtpo-run-log"

_SCHEMA: Final = """
CREATE TABLE records (seq INTEGER PRIMARY KEY, record TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE "values" (digest TEXT PRIMARY KEY, state TEXT NOT NULL, value BLOB);
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL);
"""

_EMPTY: Final[Mapping[str, Any]] = {}

_VALUE_FIELDS: Final = frozenset({"args", "result", "text", "undo", "digest", "was", "now", "expected", "found"})
_VALUE_MAPS: Final = frozenset({"initial", "out", "restored", "final"})


class LogError(ValueError):
    """A log can't be made, read or continued: one line that names the file and says why."""


class RunLog:
    """The writer of one run's log. One process writes a log; any number may read it meanwhile."""

    def __init__(self, path: Path, run: str, salt: bytes, db: sqlite3.Connection, full: bool) -> None:
        """Use :meth:`create` or :meth:`resume`."""
        self.path, self.run, self.salt = path, run, salt
        self._db, self._full = db, full
        self._lock = threading.Lock()
        self._pending: dict[str, bytes | None] = {}
        self._stored: set[str] = set()
        self._clock: Callable[[], float] = time.monotonic
        self._seq, self._head, self._start = 0, GENESIS, 0.0

    @classmethod
    def create(
        cls,
        path: str | Path,
        run: str,
        *,
        salt: bytes | None = None,
        full: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Begin the log of ``run`` in a new file; ``clock`` gives seconds. :class:`LogError` when the file exists."""
        path = Path(path)
        try:
            path.open("xb").close()  # exclusive: two runs never share a file
        except FileExistsError:
            raise LogError(f"{path}: exists already; a log is never overwritten, choose another name") from None
        except OSError as error:
            raise LogError(f"{path}: {error.strerror or error}") from None
        try:
            db = _connect(path, full)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.executescript(_SCHEMA)
            salt = secrets.token_bytes(16) if salt is None else salt
            meta = {"format": FORMAT.encode(), "version": str(VERSION).encode(), "run": run.encode(), "salt": salt}
            db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        except sqlite3.Error as error:
            path.unlink()
            raise LogError(f"{path}: {error}") from None
        log = cls(path, run, salt, db, full)
        log._clock, log._start = clock, clock()
        return log

    @classmethod
    def resume(
        cls, path: str | Path, *, full: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> tuple[Self, LoggedRun]:
        """Continue the log of a run whose process died, after its last record; also gives what it holds.

        Time goes on from the last record's. Raises :class:`LogError` when the run is closed or its chain is broken.
        """
        logged = read_log(path)
        if logged.records and logged.records[-1].kind == "close":
            raise LogError(f"{path}: the run is closed; there is nothing to continue")
        broken = [problem for problem in check_chain(logged) if problem.property != "log.incomplete"]
        if broken:
            raise LogError(f"{path}: can't be continued: {broken[0]}")
        try:
            db = _connect(Path(path), full)
        except sqlite3.Error as error:
            raise LogError(f"{path}: {error}") from None
        log = cls(Path(path), logged.run, logged.salt, db, full)
        log._clock, log._start = clock, clock() - (logged.records[-1].t if logged.records else 0.0)
        log._seq, log._head = len(logged.records), logged.head
        log._stored = set(logged.values) | set(logged.redacted)
        return log, logged

    @property
    def head(self) -> str:
        """The digest of the last record, which a run certificate carries."""
        return self._head

    def append(
        self,
        kind: str,
        *,
        agent: int | None = None,
        call: str | None = None,
        body: Mapping[str, Any] = _EMPTY,
        durable: bool = False,
    ) -> Record:
        """Add a record, and every value put since the last one, in one transaction that has committed on return.

        ``durable`` makes this commit, and with it all before it, survive a power failure. Raises
        :class:`RecordError` when the record is malformed and :class:`LogError` when it can't be stored; nothing is
        added then.
        """
        with self._lock:
            t = round(max(0.0, self._clock() - self._start), 6)
            record = Record(VERSION, self.run, self._seq, t, agent, call, kind, body, self._head)
            try:
                text = canonical(record)
            except (TypeError, ValueError) as error:
                raise RecordError(f"record {self._seq}: body of {kind!r} is not JSON ({error})") from None
            head = hashlib.sha256(text).hexdigest()
            self._commit([(record.seq, text.decode(), head)], durable and not self._full)
            self._seq, self._head = self._seq + 1, head
            return record

    def put(self, value: bytes | None) -> str:
        """Keep a value and give its digest. It is stored with the next record, the first that can name it."""
        digest = value_digest(self.salt, value)
        with self._lock:
            if digest not in self._stored:
                self._pending[digest] = value
        return digest

    def get(self, digest: str) -> bytes | None:
        """The value of a digest; None when it stands for an absent object. Raises :class:`LogError` when not kept."""
        with self._lock:
            if digest in self._pending:
                return self._pending[digest]
            row = self._db.execute('SELECT state, value FROM "values" WHERE digest = ?', (digest,)).fetchone()
        if row is None or row[0] == "redacted":
            raise LogError(f"{self.path}: value {digest[:12]} is {'redacted' if row else 'not in this log'}")
        return None if row[0] == "absent" else bytes(row[1])

    def close(self) -> None:
        """Store what is pending and make the log a single file. Doing it twice is doing it once."""
        with self._lock:
            if self._pending:
                self._commit([], durable=False)
            with contextlib.suppress(sqlite3.Error):  # a reader at work keeps the side file; nothing is lost by that
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _commit(self, rows: list[tuple[int, str, str]], durable: bool) -> None:
        db = self._db
        try:
            if durable:
                db.execute("PRAGMA synchronous = FULL")
            try:
                if self._pending:
                    db.execute("BEGIN IMMEDIATE")
                    db.executemany('INSERT OR IGNORE INTO "values" VALUES (?, ?, ?)', _value_rows(self._pending))
                for row in rows:
                    db.execute("INSERT INTO records VALUES (?, ?, ?)", row)
                if db.in_transaction:
                    db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                if durable:
                    db.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error as error:
            raise LogError(f"{self.path}: {error}") from None
        self._stored.update(self._pending)
        self._pending.clear()


@attrs.frozen
class Row:
    """A record as it is stored: its place, its text and the digest kept beside it."""

    seq: int
    text: str
    digest: str


@attrs.frozen
class LoggedRun:
    """What a log holds. ``rows`` is everything stored, ``records`` those rows that are well-formed records.

    ``values`` by digest (None for an absent object); ``redacted`` are digests whose value was dropped; ``head`` is the
    SHA-256 of the last row's text.
    """

    path: str
    run: str
    salt: bytes
    rows: tuple[Row, ...]
    records: tuple[Record, ...]
    values: Mapping[str, bytes | None]
    redacted: frozenset[str]

    @property
    def head(self) -> str:
        return _sha(self.rows[-1].text) if self.rows else GENESIS


def read_log(path: str | Path) -> LoggedRun:
    """Read a log, also one that is being written or that a dead process left. It is judged by :func:`check_chain`.

    Raises :class:`LogError` when the file is missing, is no SQLite file, is damaged as one, or is no run log.
    """
    path = Path(path)
    if not path.is_file():
        raise LogError(f"{path}: no such file")
    with _reading(path) as db:
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise LogError(f"{path}: a SQLite file, but not a run log")
        db.execute("BEGIN")  # one moment of a log that may be growing
        meta = {key: bytes(value) for key, value in db.execute("SELECT key, CAST(value AS BLOB) FROM meta")}
        if meta.get("version", b"").decode(errors="replace") != str(VERSION):
            raise LogError(f"{path}: log version {meta.get('version', b'none')!r}, this program reads {VERSION}")
        if "run" not in meta or "salt" not in meta:
            raise LogError(f"{path}: a run log without its run id or salt")
        rows = tuple(Row(*row) for row in db.execute(_ROWS))
        kept = {d: (state, value) for d, state, value in db.execute(_VALUES)}
    return LoggedRun(
        path=str(path),
        run=meta["run"].decode(errors="replace"),
        salt=meta["salt"],
        rows=rows,
        records=tuple(record for row in rows if isinstance(record := _record(row), Record)),
        values={
            d: None if state == "absent" else bytes(value or b"")
            for d, (state, value) in kept.items()
            if state != "redacted"
        },
        redacted=frozenset(d for d, (state, _) in kept.items() if state == "redacted"),
    )


_ROWS: Final = "SELECT seq, CAST(record AS TEXT), CAST(digest AS TEXT) FROM records ORDER BY seq"
_VALUES: Final = 'SELECT CAST(digest AS TEXT), state, CAST(value AS BLOB) FROM "values"'


def check_chain(run: LoggedRun, head: str | None = None) -> list[Problem]:
    """Every way in which a log is not the one that was written; ``head`` is the one on the run certificate.

    Properties: ``log.chain`` (a record was altered: it is malformed, or does not carry the digest of the one before
    it), ``log.gap`` (a record is missing or out of place), ``log.value`` (a value does not match its digest, or is
    neither kept nor redacted), ``log.incomplete`` (no close), ``log.head`` (not the log that the certificate is for).
    """
    problems: list[Problem] = []

    def report(property: str, where: str, what: str) -> None:
        problems.append(Problem(property, where, what))

    before, expected, last = GENESIS, 0, None
    for row in run.rows:
        where, found = f"record {row.seq}", _sha(row.text)
        gap = row.seq != expected
        if gap:
            missing = f"record {expected}" if row.seq == expected + 1 else f"records {expected} to {row.seq - 1}"
            report("log.gap", where, f"{missing} missing before it")
        record = _record(row)
        if found != row.digest:
            report("log.chain", where, "altered: its text does not match the digest stored with it")
        if isinstance(record, str):
            report("log.chain", where, f"not a canonical record: {record}")
        else:
            if record.seq != row.seq:
                report("log.gap", where, f"out of place: it is record {record.seq} of its run")
            elif record.prev != before and not gap:
                report(
                    "log.chain", where, f"prev is not the digest of record {row.seq - 1}: one of the two was altered"
                )
            if record.run != run.run:
                report("log.chain", where, f"belongs to run {record.run!r}, not to {run.run!r}")
            if last is not None and last.kind == "close":
                report("log.chain", where, "follows the close of the run")
            last = record
        before, expected = found, row.seq + 1
    for digest, value in run.values.items():
        if value_digest(run.salt, value) != digest:
            report("log.value", f"value {digest[:12]}", "does not match its digest: it was altered")
    named = {digest: record.seq for record in reversed(run.records) for digest in digests_of(record)}
    for digest in sorted(named.keys() - run.values.keys() - run.redacted, key=lambda digest: (named[digest], digest)):
        report(
            "log.value", f"value {digest[:12]}", f"record {named[digest]} names it, and it is neither kept nor redacted"
        )
    if last is None or last.kind != "close":
        report("log.incomplete", f"record {expected - 1}" if run.rows else "log", "the last; the run has no close")
    if head is not None and run.head != head:
        report("log.head", f"record {expected - 1}", f"head is {run.head[:12]}, the certificate says {head[:12]}")
    return problems


def digests_of(record: Record) -> frozenset[str]:
    """The digests of values that a record's body names (see the table of bodies in ``docs/records.md``)."""
    found: set[str] = set()

    def walk(node: object, name: str) -> None:
        if isinstance(node, Mapping):
            for key, value in node.items():
                walk(value, name if name in _VALUE_MAPS else key)
        elif isinstance(node, list | tuple):
            for value in node:
                walk(value, name)
        elif isinstance(node, str) and (name in _VALUE_FIELDS or name in _VALUE_MAPS) and _is_digest(node):
            found.add(node)

    walk(record.body, "")
    return frozenset(found)


def redact(path: str | Path, digest: str) -> None:
    """Drop one value of a log for good and keep the chain. ``digest`` may be shortened to a unique beginning.

    Raises :class:`LogError` when the log holds no such value, or more than one.
    """
    run = read_log(path)
    matches = [known for known in (*run.values, *run.redacted) if known.startswith(digest)]
    if len(matches) != 1 or not digest:
        raise LogError(f"{path}: {len(matches)} values begin with {digest!r}; name one")
    try:
        with contextlib.closing(_connect(Path(path), full=True)) as db:
            db.execute("PRAGMA secure_delete = ON")
            db.execute('UPDATE "values" SET state = ?, value = NULL WHERE digest = ?', ("redacted", matches[0]))
            db.execute("VACUUM")  # pages freed earlier may hold old bytes
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise LogError(f"{path}: {error}") from None


def export_jsonl(run: LoggedRun, *, values: bool = True) -> Iterator[str]:
    """The log as lines of JSON without line ends: a header, the records as they are stored, then the values."""
    yield _line({"format": FORMAT, "v": VERSION, "run": run.run, "salt": run.salt.hex()})
    yield from (row.text for row in run.rows)
    if values:
        for digest, value in run.values.items():
            yield _line({"digest": digest, **_value_fields(value)})
        yield from (_line({"digest": digest, "redacted": True}) for digest in sorted(run.redacted))


def import_jsonl(lines: Iterable[str], path: str | Path) -> None:
    """Make a log out of exported lines. :class:`LogError` names the line that is malformed; no file is made then."""
    rows: list[tuple[int, str, str]] = []
    kept: list[tuple[str, str, bytes | None]] = []
    header: dict[str, Any] | None = None
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            if not isinstance(line, dict):
                raise ValueError("not a JSON object")
            if header is None:
                if (line["format"], line["v"]) != (FORMAT, VERSION):
                    raise ValueError(f"not a header of format {FORMAT}, version {VERSION}")
                header = {"run": str(line["run"]), "salt": bytes.fromhex(line["salt"])}
            elif "digest" in line:
                kept.append((line["digest"], *_value_of(line)))
            else:
                record = parse(text, f"line {number}")
                rows.append((record.seq, text.strip(), _sha(text.strip())))
        except KeyError as error:
            raise LogError(f"line {number}: field {error} is missing") from None
        except (ValueError, TypeError, AttributeError) as error:
            raise LogError(f"line {number}: {str(error).removeprefix(f'line {number}: ')}") from None
    if header is None:
        raise LogError("no lines: an exported log begins with a header")
    log = RunLog.create(path, header["run"], salt=header["salt"])
    try:
        log._db.execute("BEGIN")
        log._db.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
        log._db.executemany('INSERT INTO "values" VALUES (?, ?, ?)', kept)
        log._db.execute("COMMIT")
    except sqlite3.Error as error:
        log._db.execute("ROLLBACK")
        log.close()
        Path(path).unlink()
        raise LogError(f"{path}: {error}; is a line there twice?") from None
    log.close()


def _connect(path: Path, full: bool) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
    except sqlite3.Error:
        db.close()
        raise
    return db


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection; SQLite's errors become :class:`LogError`."""
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10.0)
        db.text_factory = lambda raw: raw.decode(errors="surrogateescape")
        try:
            yield db
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        raise LogError(f"{path}: not a readable SQLite file ({error})") from None


def _record(row: Row) -> Record | str:
    """The record in a row, or why there is none: it must be in canonical form, which is what is hashed."""
    try:
        record = parse(row.text, f"record {row.seq}")
        return record if canonical(record) == row.text.encode() else "another form of the same record"
    except (ValueError, RecursionError) as error:
        return str(error)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _value_rows(values: Mapping[str, bytes | None]) -> list[tuple[str, str, bytes | None]]:
    return [(digest, "absent" if value is None else "kept", value) for digest, value in values.items()]


def _line(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _value_fields(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"absent": True}
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _value_of(line: Mapping[str, Any]) -> tuple[Literal["kept", "absent", "redacted"], bytes | None]:
    if line.get("absent") is True:
        return "absent", None
    if line.get("redacted") is True:
        return "redacted", None
    return "kept", line["text"].encode() if "text" in line else base64.b64decode(line["base64"], validate=True)
