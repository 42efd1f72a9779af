"""Values as text for a reader: clipped, compared line by line, and honest about what is missing."""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections.abc import Iterable, Mapping

import attrs

from mtpo_core.view.shapes import DiffLine

CLIP = 4_000
"""Characters of one value that a page shows."""

DIFF_INPUT = 400
"""Lines of each side that are compared; comparing is quadratic in the worst case."""

DIFF_OUTPUT = 40
"""Lines of a difference that are shown."""


def clip(text: str, limit: int = CLIP) -> str:
    """``text``, or its beginning with a remark on how much more there is."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def visible(text: str) -> str:
    """``text`` with characters that hide or reorder others spelled out: ``⟨U+202E⟩`` for a right-to-left override."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"⟨U+{ord(char):04X}⟩"
        if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else char
        for char in text
    )


def short(name: str) -> str:
    """The last part of an object's name: ``geo.yaml`` of ``deploy/geo.yaml``, ``deploy/`` of ``deploy/``."""
    _, slash, tail = name.rstrip("/").rpartition("/")
    last = tail if slash else name.rstrip("/")
    return clip((last or name) + ("/" if name.endswith("/") and last else ""), 48)


def listed(names: Iterable[str], limit: int = 3) -> str:
    """``a, b and 2 more``: at most ``limit`` names written out."""
    every = list(names)
    if len(every) <= limit:
        return " and ".join([", ".join(every[:-1]), every[-1]]) if len(every) > 1 else "".join(every)
    return f"{', '.join(every[:limit])} and {len(every) - limit} more"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 undo``, ``1,204 undos``."""
    return f"{number:,} {noun if number == 1 else plural or (noun[:-1] + 'ies' if noun.endswith('ry') else noun + 's')}"


def difference(old: str | None, new: str | None) -> tuple[DiffLine, ...]:
    """Line by line, with two lines of context; empty when the two are equal or one is not known."""
    if old is None or new is None or old == new:
        return ()
    before, after = old.splitlines()[:DIFF_INPUT], new.splitlines()[:DIFF_INPUT]
    lines: list[DiffLine] = []
    for row in list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:]:
        if row.startswith("@@"):
            if lines:
                lines.append(DiffLine("…", ""))
        elif row[:1] in ("+", "-", " "):
            lines.append(DiffLine(row[0], clip(row[1:], 400)))  # type: ignore[arg-type]
    if not lines:
        lines.append(DiffLine("…", "the difference is past the lines compared, or in the line endings"))
    if len(lines) > DIFF_OUTPUT:
        hidden = len(lines) - DIFF_OUTPUT
        lines = [*lines[:DIFF_OUTPUT], DiffLine("…", f"{counted(hidden, 'more line')} of the difference")]
    return tuple(lines)


@attrs.frozen
class Values:
    """The values of a run by digest; a digest that has none was redacted."""

    known: Mapping[str, bytes | None]

    def raw(self, digest: str | None) -> str | None:
        """The whole text, the empty text when the object is absent, None when redacted or not text."""
        if digest is None or digest not in self.known:
            return None
        value = self.known[digest]
        if value is None:
            return ""
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None

    def text(self, digest: str | None) -> str:
        """The value for a reader, clipped; says so in brackets when it is absent, redacted, empty or not text."""
        if digest is None:
            return "(not recorded)"
        if digest not in self.known:
            return f"(redacted, {clip(digest, 12)})"
        value = self.known[digest]
        if value is None:
            return "(absent)"
        if not value:
            return "(empty)"
        try:
            return clip(value.decode())
        except UnicodeDecodeError:
            return f"({counted(len(value), 'byte')}, not text: {value[:24].hex(' ')}{' …' if len(value) > 24 else ''})"

    def arguments(self, digest: str | None) -> str:
        """Arguments as ``name: value`` lines when they are a JSON object, else as text."""
        text = self.raw(digest)
        try:
            data = json.loads(text) if text else None
        except ValueError:
            data = None
        if not isinstance(data, dict) or not data:
            return self.text(digest)
        rows = []
        for name, value in data.items():
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            rows.append(f"{name}: {shown}" if "\n" not in shown else f"{name}:\n{shown}")
        return clip("\n".join(rows))

    def diff(self, old: str | None, new: str | None) -> tuple[DiffLine, ...]:
        """The difference between two values; a value that cannot be read line by line stands for itself."""
        if old == new:
            return ()
        before, after = self.raw(old), self.raw(new)
        if before is None or after is None:
            return (DiffLine("-", self.text(old)), DiffLine("+", self.text(new)))
        # Absence is not emptiness: a file that is created empty, or deleted, has no lines that differ.
        if not before.splitlines() or not after.splitlines():
            gone = [DiffLine("-", self.text(old))] if not before.splitlines() else []
            come = [DiffLine("+", self.text(new))] if not after.splitlines() else []
            body = difference(before, after) if before.splitlines() or after.splitlines() else ()
            return (*gone, *body, *come)
        return difference(before, after)
