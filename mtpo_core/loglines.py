"""A log as lines of JSON: out of one, and into a new one."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from mtpo.spec.records import VERSION, parse
from mtpo_core.log import RunLog
from mtpo_core.logfile import DIGEST, FORMAT, LogError, LoggedRun, sha


def export_jsonl(run: LoggedRun, *, values: bool = True) -> Iterator[str]:
    """The log as lines of JSON without line ends: a header, the records as they are stored, then the values.

    Rows that are no records (:meth:`LoggedRun.unreadable`) have no line.
    """
    yield _line({"format": FORMAT, "v": VERSION, "run": run.run, "salt": run.salt.hex()})
    unreadable = {seq for seq, _ in run.unreadable()}
    yield from (row.text for row in run.rows if row.seq not in unreadable)
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
                kept.append((_digest(line), *_value_of(line)))
            else:
                record = parse(text, f"line {number}")
                rows.append((record.seq, text.strip(), sha(text.strip())))
        except KeyError as error:
            raise LogError(f"line {number}: field {error} is missing") from None
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
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


def _line(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _value_fields(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"absent": True}
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _digest(line: Mapping[str, Any]) -> str:
    if isinstance(line["digest"], str) and DIGEST.fullmatch(line["digest"]):
        return line["digest"]
    raise ValueError(f"{line['digest']!r} is no digest")


def _value_of(line: Mapping[str, Any]) -> tuple[Literal["kept", "absent", "redacted"], bytes | None]:
    if line.get("absent") is True:
        return "absent", None
    if line.get("redacted") is True:
        return "redacted", None
    return "kept", line["text"].encode() if "text" in line else base64.b64decode(line["base64"], validate=True)
