"""The log of a run: a chain of records and the values they name, in one SQLite file.

A record is committed before :meth:`RunLog.append` returns, so a phase is logged before it acts. With ``synchronous``
NORMAL, the default, what was appended survives the death of the process; with FULL, for the whole log or for one append
(``durable=True``, before a call that can't be undone), it survives a power failure as well. Values are kept apart from
the records under salted digests, so that redaction drops a value and keeps the chain. The salt is part of the log: who
has the log can still test a guess at a redacted value.

This module writes, to the file of :mod:`mtpo_core.logstore`; :mod:`mtpo_core.logfile` reads,
:mod:`mtpo_core.logchain` checks what was read, and :mod:`mtpo_core.loglines` exports and imports.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from mtpo.spec.records import GENESIS, VERSION, Record, RecordError, canonical, value_digest
from mtpo_core.clock import ClockError, seconds
from mtpo_core.logchain import check_chain
from mtpo_core.logfile import (
    APPLICATION_ID,
    FORMAT,
    GREATEST,
    SCHEMA,
    LogDamage,
    LogError,
    LoggedRun,
    Row,
    out_of_range,
    read_log,
)
from mtpo_core.logstore import connect, redact, store

__all__ = ["LogDamage", "LogError", "LoggedRun", "Row", "RunLog", "check_chain", "read_log", "redact"]

_EMPTY: Final[Mapping[str, Any]] = {}


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
        self._seq, self._head, self._start, self._last = 0, GENESIS, 0.0, 0.0

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
        path, start = Path(path), seconds(clock)
        try:
            path.open("xb").close()  # exclusive: two runs never share a file
        except FileExistsError:
            raise LogError(f"{path}: exists already; a log is never overwritten, choose another name") from None
        except OSError as error:
            raise LogError(f"{path}: {error.strerror or error}") from None
        try:
            db = connect(path, full)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.executescript(SCHEMA)
            salt = secrets.token_bytes(16) if salt is None else salt
            meta = {"format": FORMAT.encode(), "version": str(VERSION).encode(), "run": run.encode(), "salt": salt}
            db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        except sqlite3.Error as error:
            path.unlink()
            raise LogError(f"{path}: {error}") from None
        log = cls(path, run, salt, db, full)
        log._clock, log._start = clock, start
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
            db = connect(Path(path), full)
        except sqlite3.Error as error:
            raise LogError(f"{path}: {error}") from None
        log = cls(Path(path), logged.run, logged.salt, db, full)
        log._last = float(logged.records[-1].t) if logged.records else 0.0
        log._clock, log._start = clock, seconds(clock) - log._last
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
            t = self._now()
            record = Record(VERSION, self.run, self._seq, t, agent, call, kind, body, self._head)
            try:
                text = canonical(record)
            except (TypeError, ValueError, RecursionError) as error:
                raise RecordError(f"record {self._seq}: body of {kind!r} is not JSON ({error})") from None
            wrong = out_of_range(record, text.decode())
            if wrong:
                raise RecordError(f"record {self._seq}: body of {kind!r}: {wrong}")
            head = hashlib.sha256(text).hexdigest()
            self._commit([(record.seq, text.decode(), head)], durable and not self._full)
            self._seq, self._head, self._last = self._seq + 1, head, t
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
            try:
                row = self._db.execute('SELECT state, value FROM "values" WHERE digest = ?', (digest,)).fetchone()
            except sqlite3.Error as error:
                raise LogError(f"{self.path}: {error}") from None
        if row is None or row[0] == "redacted":
            raise LogError(f"{self.path}: value {digest[:12]} is {'redacted' if row else 'not in this log'}")
        return None if row[0] == "absent" else bytes(row[1])

    def holds(self, digest: str) -> bool:
        """Whether that is the digest of a value of this log."""
        with self._lock:
            return digest in self._pending or digest in self._stored

    def elapsed(self) -> float:
        """The time that a record would get now (s). Raises :class:`LogError` when the clock fails."""
        with self._lock:
            return self._now()

    def close(self) -> None:
        """Store what is pending and make the log a single file. Doing it twice is doing it once.

        The file is let go of in any case; :class:`LogError` when what was pending can't be stored.
        """
        with self._lock:
            try:
                if self._pending:
                    self._commit([], durable=False)
            finally:
                with contextlib.suppress(sqlite3.Error):  # a reader at work keeps the side file; nothing is lost
                    self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    self._db.execute("PRAGMA journal_mode = DELETE")
                with contextlib.suppress(sqlite3.Error):
                    self._db.close()

    def discard(self) -> None:
        """Close a log to which nothing was added, and remove it. :class:`LogError` when it has a record."""
        if self._seq:
            raise LogError(f"{self.path}: has records; only an empty log is discarded")
        self._pending.clear()
        self.close()
        self.path.unlink(missing_ok=True)

    def _now(self) -> float:
        elapsed = round(seconds(self._clock) - self._start, 6)
        if elapsed > GREATEST:
            raise ClockError(f"the clock says that the run is {elapsed:g} s old")
        return max(self._last, elapsed)  # a clock may be set back; a log's is not

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _commit(self, rows: list[tuple[int, str, str]], durable: bool) -> None:
        try:
            store(self._db, self._pending, rows, durable)
        except sqlite3.Error as error:
            raise LogError(f"{self.path}: {error}") from None
        self._stored.update(self._pending)
        self._pending.clear()
