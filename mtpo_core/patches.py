"""What changed in a text, in the hunks of a unified diff without context, and such hunks put to a text.

Nothing is said of the end of texts that both end with a newline, or both do not. Where one does, the line :data:`OPEN`
stands after the last line of the other, as in any unified diff.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

MOST_COMPARED = 200_000
"""Where more comparisons of lines than this would be needed all lines between the first and the last that differ are
replaced."""

OPEN = r"\ No newline at end of file"
"""What stands after the last line of a text that has none."""

_NEWLINE = re.compile(rf"\n(?!{re.escape(OPEN)}(?:\n|\Z))")
"""Between two lines of hunks, where what is said of the end of a line is part of it."""

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class PatchError(ValueError):
    """The hunks can't be read, or were not made for this text."""


def difference(was: str, now: str) -> str:
    """The hunks that make ``now`` of ``was``; empty when they are the same."""
    both_open = _is_open(was) and _is_open(now)
    old, new = (text.split("\n") if both_open else _lines(text) for text in (was, now))
    lines = list[str]()
    for first, last, start, end in _replaced(old, new):
        lines.append(f"@@ -{_span(first, last)} +{_span(start, end)} @@")
        lines += [f"-{line}" for line in old[first:last]]
        lines += [f"+{line}" for line in new[start:end]]
    return "\n".join(lines)


def patched(text: str, hunks: str) -> str:
    """The text that :func:`difference` described. Raises :class:`PatchError` where the text is not the one it was."""
    rest = _NEWLINE.split(hunks) if hunks else []
    both_open = _is_open(text) and not any("\n" in line for line in rest)
    lines, found, at = text.split("\n") if both_open else _lines(text), list[str](), 0
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
    found += lines[at:]
    if both_open:
        return "\n".join(found)
    if any("\n" in line for line in found[:-1]):
        raise PatchError("the text does not end where the hunks say that it does")
    text = "".join(f"{line}\n" for line in found)
    return text.removesuffix(f"\n{OPEN}\n") if found and "\n" in found[-1] else text


def _is_open(text: str) -> bool:
    """Whether the last line of a text has no newline."""
    return bool(text) and not text.endswith("\n")


def _lines(text: str) -> list[str]:
    """The lines of a text. The last one, if it has no newline, is like no other: with the line that says so."""
    lines = text.split("\n")
    last = lines.pop()
    return [*lines, f"{last}\n{OPEN}"] if last else lines


def _span(first: int, last: int) -> str:
    """A range of lines as unified diffs have it: an empty one is named by the line before it."""
    return f"{first + 1}" if last == first + 1 else f"{first + 1 if last > first else first},{last - first}"


def _replaced(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """The ranges of lines that differ: of ``old``, and what stands for them in ``new``."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    tails = zip(reversed(old[same:]), reversed(new[same:]), strict=False)
    ends = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], tails))
    left, right = old[same : len(old) - ends], new[same : len(new) - ends]
    first = start = 0
    for last, end, length in (*_common(left, right), (len(left), len(right), 0)):
        if last > first or end > start:
            yield same + first, same + last, same + start, same + end
        first, start = last + length, end + length


def _common(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int, int]]:
    """Runs of equal lines, each by where it begins in both texts and its length, in order, with as little as possible
    besides (E. W. Myers, "An O(ND) difference algorithm and its variations", 1986); none where that takes too long.

    ``reached[k]`` is how far into ``left`` so many lines taken out or put in lead at most on the diagonal k, on which
    so many lines more of ``left`` than of ``right`` are behind.
    """
    compared, steps = 0, list[dict[int, int]]()
    while compared <= MOST_COMPARED:
        before, reached = steps[-1] if steps else {}, dict[int, int]()
        for k in range(-len(steps), len(steps) + 1, 2):
            begin, compared = _entered(before, k, len(left), len(right)) if steps else 0, compared + 1
            if begin is None:
                continue
            x = begin
            while x < len(left) and x - k < len(right) and left[x] == right[x - k]:
                x += 1
            reached[k], compared = x, compared + x - begin
        steps.append(reached)
        if reached.get(len(left) - len(right)) == len(left):
            return _path(steps, len(left), len(right))
    return []


def _entered(before: dict[int, int], k: int, most: int, room: int) -> int | None:
    """Where a diagonal is entered by one line more taken out or put in; None where none can be."""
    out, into = before.get(k - 1, most) + 1, before.get(k + 1, -1)
    best = max(out if out <= most else -1, into if into - k <= room else -1)
    return best if best >= 0 else None


def _path(steps: Sequence[dict[int, int]], x: int, y: int) -> list[tuple[int, int, int]]:
    """The runs of equal lines on the way to the end of both texts."""
    most, room, found = x, y, list[tuple[int, int, int]]()
    for number in range(len(steps) - 1, -1, -1):
        k = x - y
        begin = 0 if number == 0 else _entered(steps[number - 1], k, most, room)
        assert begin is not None
        if x > begin:
            found.append((begin, begin - k, x - begin))
        if number:
            out = steps[number - 1].get(k - 1) == begin - 1
            x, y = (begin - 1, begin - k) if out else (begin, begin - k - 1)
    return found[::-1]
