"""What changed in a text, in the hunks of a unified diff without context, and such hunks put to a text.

A text counts as its parts between newlines, the last of which is empty when it ends with one: so every text is told
exactly, and nothing has to be said of a newline that is missing at its end.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from itertools import takewhile

MOST_COMPARED = 4_000_000
"""Above this product of the numbers of lines that differ they are not compared one by one: all are replaced."""

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class PatchError(ValueError):
    """The hunks can't be read, or were not made for this text."""


def difference(was: str, now: str) -> str:
    """The hunks that make ``now`` of ``was``; empty when they are the same."""
    old, new = was.split("\n"), now.split("\n")
    lines = list[str]()
    for first, last, start, end in _replaced(old, new):
        lines.append(f"@@ -{_span(first, last)} +{_span(start, end)} @@")
        lines += [f"-{line}" for line in old[first:last]]
        lines += [f"+{line}" for line in new[start:end]]
    return "\n".join(lines)


def patched(text: str, hunks: str) -> str:
    """The text that :func:`difference` described. Raises :class:`PatchError` where the text is not the one it was."""
    lines, found, at = text.split("\n"), list[str](), 0
    rest = hunks.split("\n") if hunks else []
    while rest:
        head = _HUNK.fullmatch(rest[0])
        if head is None:
            raise PatchError(f"not the head of a hunk: {rest[0][:80]!r}")
        out, into = (int(head[group]) if head[group] is not None else 1 for group in (2, 4))
        begin = int(head[1]) - (1 if out else 0)
        removed, added = rest[1 : 1 + out], rest[1 + out : 1 + out + into]
        rest = rest[1 + out + into :]
        if removed != [f"-{line}" for line in lines[begin : begin + out]] or not at <= begin <= len(lines):
            raise PatchError(f"the text has something else at line {head[1]}")
        if len(added) != into or not all(line.startswith("+") for line in added):
            raise PatchError(f"the hunk at line {head[1]} is cut short")
        found += lines[at:begin] + [line[1:] for line in added]
        at = begin + out
    return "\n".join(found + lines[at:])


def _span(first: int, last: int) -> str:
    """A range of lines as unified diffs have it: an empty one is named by the line before it."""
    return f"{first + 1}" if last == first + 1 else f"{first + 1 if last > first else first},{last - first}"


def _replaced(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """The ranges of lines that differ: of ``old``, and what stands for them in ``new``."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    tails = zip(reversed(old[same:]), reversed(new[same:]), strict=False)
    ends = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], tails))
    left, right = old[same : len(old) - ends], new[same : len(new) - ends]
    if len(left) * len(right) > MOST_COMPARED:
        yield same, same + len(left), same, same + len(right)
        return
    for tag, first, last, start, end in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag != "equal":
            yield same + first, same + last, same + start, same + end
