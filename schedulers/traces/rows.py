"""Rows of a trace, of a table or of JSON lines: numbers in plain digits, and where each stands, for errors."""

from __future__ import annotations

import csv
import json
import math
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from mtpo.schedulers.traces.workload import TraceError, plain

LARGEST: Final = 2**53
"""No number of tokens and no time is larger: up to here a double counts every whole number."""


@attrs.frozen
class Row:
    """One row and where it stands."""

    path: Path
    line: int
    cells: Mapping[str, Any]

    def wrong(self, why: str) -> TraceError:
        return TraceError(f"{self.path}:{self.line}: {why}")

    def whole(self, name: str, least: int = 0) -> int:
        """A whole number of at least so much."""
        value = self.cells.get(name)
        try:
            number = value if type(value) is int else int(plain(value)) if isinstance(value, str) else None
        except ValueError:
            number = None
        if number is None:
            raise self.wrong(f"{name} is {reprlib.repr(value)}, expected a whole number")
        if number < least:
            raise self.wrong(f"{name} is {reprlib.repr(number)}, expected at least {least}")
        if number > LARGEST:
            raise self.wrong(f"{name} is {reprlib.repr(number)}, expected at most {LARGEST}")
        return number

    def seconds(self, name: str, scale: float = 1.0) -> float:
        """A time of at least 0, in units of ``scale`` seconds."""
        value = self.cells.get(name)
        try:
            text = plain(value) if isinstance(value, str) else value
            number = float(text) if isinstance(text, (str, int, float)) and not isinstance(text, bool) else math.nan
        except (ValueError, OverflowError):
            number = math.nan
        if not 0 <= number <= LARGEST:
            raise self.wrong(f"{name} is {reprlib.repr(value)}, expected a time from 0 to {LARGEST}")
        return number * scale

    def known_seconds(self, name: str) -> float | None:
        """A time, or None where the cell is empty."""
        return None if self.cells.get(name) == "" else self.seconds(name)


def csv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    """Those of a table with a head, which has each of the columns once."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            for name in columns:
                if (times := list(reader.fieldnames or ()).count(name)) != 1:
                    what = f"{times} columns are called {name}" if times else f"no column {name}"
                    raise TraceError(f"{path}:1: {what}; expected {', '.join(columns)}")
            for cells in reader:
                row = Row(path, reader.line_num, cells)
                if None in cells or None in cells.values():
                    raise row.wrong(f"expected {len(reader.fieldnames or ())} cells, as in the first line")
                yield row
    except csv.Error as error:
        raise TraceError(f"{path}:{reader.line_num}: {error}") from None
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: not text in UTF-8 ({error.reason})") from None


def json_rows(path: Path) -> Iterator[Row]:
    """JSON objects, one a line."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                row = Row(path, number, {})
                try:
                    pairs = json.loads(line, object_pairs_hook=tuple)
                except (ValueError, RecursionError) as error:
                    raise row.wrong(f"not JSON ({error})") from None
                if not isinstance(pairs, tuple):
                    raise row.wrong("expected a JSON object")
                cells = dict(pairs)
                if len(cells) < len(pairs):
                    names = [name for name, _ in pairs]
                    raise row.wrong(f"{next(name for name in names if names.count(name) > 1)} is there twice")
                yield Row(path, number, cells)
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: not text in UTF-8 ({error.reason})") from None
