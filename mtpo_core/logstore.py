"""The SQLite file of a log: opened to write, added to in one transaction, rid of one value."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtpo_core.logfile import LogError, read_log


def connect(path: Path, full: bool) -> sqlite3.Connection:
    """Open the file of a log to write; ``full``: what is committed survives a power failure."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def store(
    db: sqlite3.Connection,
    values: Mapping[str, bytes | None],
    rows: Sequence[tuple[int, str, str]],
    durable: bool,
) -> None:
    """Add values by their digests, and records, all or nothing. ``durable``: this commit, and with it all before it,
    survives a power failure, also where the file is not open so."""
    if durable:
        db.execute("PRAGMA synchronous = FULL")
    try:
        if values:
            db.execute("BEGIN IMMEDIATE")
            db.executemany('INSERT OR IGNORE INTO "values" VALUES (?, ?, ?)', _value_rows(values))
        for row in rows:
            db.execute("INSERT INTO records VALUES (?, ?, ?)", row)
        if db.in_transaction:
            db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
        if durable:
            db.execute("PRAGMA synchronous = NORMAL")


def redact(path: str | Path, digest: str) -> None:
    """Drop one value of a log for good and keep the chain. ``digest`` may be shortened to a unique beginning.

    Raises :class:`LogError` when the log holds no such value, or more than one.
    """
    run = read_log(path)
    matches = [known for known in (*run.values, *run.redacted) if known.startswith(digest)]
    if len(matches) != 1 or not digest:
        raise LogError(f"{path}: {len(matches)} values begin with {digest!r}; name one")
    try:
        with contextlib.closing(connect(Path(path), full=True)) as db:
            db.execute("PRAGMA secure_delete = ON")
            db.execute('UPDATE "values" SET state = ?, value = NULL WHERE digest = ?', ("redacted", matches[0]))
            db.execute("VACUUM")  # pages freed earlier may hold old bytes
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise LogError(f"{path}: {error}") from None


def _value_rows(values: Mapping[str, bytes | None]) -> list[tuple[str, str, bytes | None]]:
    return [(digest, "absent" if value is None else "kept", value) for digest, value in values.items()]
