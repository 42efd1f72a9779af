"""A log as lines of JSON: out of one, read as it is, and into a new one."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import attrs

from mtpo.spec.records import VERSION, Record, parse
from mtpo_core.log import RunLog
from mtpo_core.logfile import DIGEST, FORMAT, LogDamage, LogError, LoggedRun, Row, record_of, sha
from mtpo_core.tools import brief, encodable


def export_jsonl(run: LoggedRun, *, values: bool = True) -> Iterator[str]:
    """The log as lines of JSON without line ends: a header, the records as they are stored, then the values.

    Rows that are no records (:meth:`LoggedRun.unreadable`) have no line.
    """
    yield _line({"format": FORMAT, "v": VERSION, "run": run.run, "salt": run.salt.hex()})
    unreadable = {seq for seq, _ in run.unreadable()}
    yield from (row.text for row in run.rows if row.seq not in unreadable)
    if values:
        yield from _value_lines(run, lambda digest: True)


def part_jsonl(run: LoggedRun, wanted: Callable[[Record], bool]) -> Iterator[str]:
    """Some records of a log, as they are stored, then the values that they name. There is no header: a part of a log is
    no log, and not taken for one that is damaged."""
    named = set[str]()
    for row in run.rows:
        record = record_of(row)
        if isinstance(record, Record) and wanted(record):
            yield row.text
            named.update(_texts_in(record.body))
    yield from _value_lines(run, named.__contains__)


def _value_lines(run: LoggedRun, wanted: Callable[[str], bool]) -> Iterator[str]:
    for digest, value in run.values.items():
        if wanted(digest):
            yield _line({"digest": digest, **_value_fields(value)})
    yield from (_line({"digest": digest, "redacted": True}) for digest in sorted(run.redacted) if wanted(digest))


def _texts_in(body: object) -> Iterator[str]:
    """Every text in a body: those that are digests of values name them."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, Mapping | list | tuple):
        for each in body.values() if isinstance(body, Mapping) else body:
            yield from _texts_in(each)


def is_jsonl(path: str | Path) -> bool:
    """Whether a file looks like exported lines: it begins with a JSON object."""
    path = Path(path)
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError:
        return False


def read_jsonl(path: str | Path) -> LoggedRun:
    """The log in a file of exported lines. The digests of its records are those that their texts have: that the last
    line was altered shows against a certificate alone.

    Raises :class:`LogError` when the file has no header of an exported log, :class:`LogDamage` when a line after that
    is malformed.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="\n") as file:
            found = _Lines.of(file)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror or error}") from None
    except LogError as error:
        what = "damaged" if isinstance(error, LogDamage) else "neither a run log nor one as lines of JSON"
        raise type(error)(f"{path}: {what}: {error}") from None
    except UnicodeDecodeError as error:
        raise LogDamage(f"{path}: damaged: not UTF-8 (byte {error.object[error.start]:#x})") from None
    rows = tuple(Row(*row) for row in found.rows)
    return LoggedRun(
        path=str(path),
        run=found.run,
        salt=found.salt,
        rows=rows,
        records=tuple(record for row in rows if isinstance(record := record_of(row), Record)),
        values={digest: value for digest, state, value in found.values if state != "redacted"},
        redacted=frozenset(digest for digest, state, _ in found.values if state == "redacted"),
        lines=True,
    )


def import_jsonl(lines: Iterable[str], path: str | Path) -> None:
    """Make a log out of exported lines. :class:`LogError` names the line that is malformed; no file is made then."""
    found = _Lines.of(lines)
    log = RunLog.create(path, found.run, salt=found.salt)
    try:
        log._db.execute("BEGIN")
        log._db.executemany("INSERT INTO records VALUES (?, ?, ?)", found.rows)
        log._db.executemany('INSERT INTO "values" VALUES (?, ?, ?)', found.values)
        log._db.execute("COMMIT")
    except (sqlite3.Error, OverflowError) as error:
        log._db.execute("ROLLBACK")
        log.close()
        Path(path).unlink()
        raise LogError(f"{path}: {error}") from None
    log.close()


_HEXADECIMAL = re.compile(r"(?:[0-9a-f]{2})*")


@attrs.define
class _Lines:
    """What exported lines hold: the header, and rows of the tables of a log."""

    run: str
    salt: bytes
    rows: list[tuple[int, str, str]] = attrs.Factory(list)
    values: list[tuple[str, str, bytes | None]] = attrs.Factory(list)

    @classmethod
    def of(cls, lines: Iterable[str]) -> Self:
        """Read them. :class:`LogError` for what begins with no header, else :class:`LogDamage`; both name the line."""
        found: Self | None = None
        seen = set[int | str]()
        for number, text in _until_blank(lines):
            try:
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise ValueError("not a JSON object")
                if found is None:
                    found = cls._headed(line)
                    continue
                before = found.rows[-1][0] if found.rows else -1
                name = found._take(line, text.strip(), number)
                if name in seen:
                    raise ValueError(f"{'value' if isinstance(name, str) else 'record'} {name} is there twice")
                seen.add(name)
                if isinstance(name, int) and name < before:
                    raise ValueError(f"record {name} comes after record {before}: records go by their numbers")
            except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
                kind = LogError if found is None else LogDamage
                raise kind(f"line {number}: {_reason(error, number)}") from None
        if found is None:
            raise LogError("no lines: an exported log begins with a header")
        return found

    @classmethod
    def _headed(cls, line: Mapping[str, Any]) -> Self:
        if (line["format"], line["v"]) != (FORMAT, VERSION) or type(line["v"]) is not int:
            raise ValueError(f"not a header of format {FORMAT}, version {VERSION}")
        run, salt = line["run"], line["salt"]
        if not isinstance(run, str) or not encodable(run):
            raise ValueError(f"the run is no text: {brief(run)}")
        if not isinstance(salt, str) or not _HEXADECIMAL.fullmatch(salt):
            raise ValueError(f"the salt is not in hexadecimal: {brief(salt)}")
        return cls(run, bytes.fromhex(salt))

    def _take(self, line: Mapping[str, Any], text: str, number: int) -> int | str:
        """Add a line that is no header; the name of what it holds."""
        if "format" in line:
            raise ValueError("another header; a log has one, on its first line")
        if "digest" in line:
            self.values.append((_digest(line), *_value_of(line)))
            return self.values[-1][0]
        record = parse(text, f"line {number}")
        self.rows.append((record.seq, text, sha(text)))
        return record.seq


def _until_blank(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, without blank ones at the end."""
    blank = list[tuple[int, str]]()
    for number, text in enumerate(lines, 1):
        if text.strip():
            yield from blank
            blank.clear()
            yield number, text
        else:
            blank.append((number, text))


def _reason(error: Exception, number: int) -> str:
    if isinstance(error, KeyError):
        return f"field {error} is missing"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg.removesuffix(' starting at')}, character {error.pos})"
    return str(error).removeprefix(f"line {number}: ")


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
    text = line.get("text", line.get("base64"))
    if not isinstance(text, str) or not encodable(text):
        raise ValueError("a value has one of text, base64 (both texts), absent (true) and redacted (true)")
    return "kept", text.encode() if "text" in line else _unbased(text)


def _unbased(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"not base64: {error}") from None
