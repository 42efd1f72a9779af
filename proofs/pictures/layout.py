"""Formulas laid out over lines, as one would write them: what belongs together on a line where it fits, else an operand
a line, the operator before it, indented by its depth.

It is the text of a formula that is laid out, as :func:`mtpo.spec.language.show` writes it, maybe with a name before it:
every operand that is no atom is in parentheses, and those of one pair have one operator. Nothing but blanks is added;
left out are the parentheses of a conjunction of one atom, such as a guard of one clause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

WIDTH: Final = 100
"""Characters of a line, where nothing else is wanted."""

_LEADING: Final = ("->", "|", "&", "=", "<=", "<", "+", "-", "*")
"""Operators, which stand before what follows them; ``!=`` and ``~`` are within an atom."""

_LABEL: Final = re.compile(
    r"(?:[\w/.~-]+:|update dropped:|decreases with [\w, ]+:|(?:[\w.]+(?:\([^()]*\)|\[[^\[\]]*\])?) :=) (?=\S)"
)
"""A clause's name, what a mutant alters, the actions of a variant, or the place that is written to."""

_CHANGE: Final = re.compile(r"(?:one \w+ \w+ left out of|without|always) (?=\S)")
"""How a mutant alters what follows."""

_BINDER: Final = re.compile(r"(?:forall|exists) [^.]+\. ")

_ATOM: Final = r"~?\w[\w.']*(?:\([^()]*\))?"
_ALONE: Final = re.compile(rf"(?<=[&|>] )\(({_ATOM})\)|(?<![\w'])\(({_ATOM})\)(?= (?:&|\||->) )")
"""An atom in parentheses of its own, beside an operator."""


def laid_out(text: str, width: int = WIDTH) -> str:
    """The text with its lines, which may be indented, laid out; a word that is too long for a line stays whole."""
    rows = []
    for row in _ALONE.sub(lambda found: found[1] or found[2], text).splitlines():
        indent = " " * (len(row) - len(row.lstrip()))
        rows += [f"{indent}{line}" for line in _lines(row.strip(), width - len(indent))]
    return "\n".join(rows)


def _lines(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    if head := _LABEL.match(text) or _BINDER.match(text):
        return [head[0].rstrip(), *_hung("  ", text[head.end() :], width)]
    if found := _split(text, (", in ",)):
        return [*_ended(_lines(found[0], width - 1), ","), *_hung("in ", ", in ".join(found[1:]), width)]
    if head := _CHANGE.match(text):
        return [head[0].rstrip(), *_hung("  ", text[head.end() :], width)]
    if found := _split(text, ("; ",)):
        parts = [_lines(part, width - 1) for part in found]
        return [*(line for part in parts[:-1] for line in _ended(part, ";")), *parts[-1]]
    if text.startswith("if ") and (cases := _cases(text)):
        return [line for word, part in cases for line in _hung(f"{word} ", part, width)]
    for operator in _LEADING:
        if found := _split(text, (f" {operator} ",)):
            first, *others = found
            return [*_lines(first, width), *(line for part in others for line in _hung(f"{operator} ", part, width))]
    if text.startswith("~"):
        return _hung("~", text[1:], width)
    if text.startswith("(") and _closing(text, 0) == len(text) - 1:
        return _ended(_hung("(", text[1:-1], width - 1), ")")
    return [text]


def _ended(lines: list[str], tail: str) -> list[str]:
    """The lines with something after the last."""
    return [*lines[:-1], f"{lines[-1]}{tail}"]


def _hung(head: str, text: str, width: int) -> list[str]:
    """The lines of a text with something before the first, and as many blanks before the others."""
    first, *others = _lines(text, width - len(head))
    return [f"{head}{first}", *(f"{' ' * len(head)}{line}" for line in others)]


def _cases(text: str) -> list[tuple[str, str]] | None:
    """``if C then T else E``: each with its word."""
    condition = _split(text.removeprefix("if "), (" then ", " else "))
    return list(zip(("if", "then", "else"), condition, strict=True)) if len(condition) == 3 else None


def _split(text: str, at: tuple[str, ...]) -> list[str]:
    """The parts between some words that stand outside of all parentheses; nothing where there is none."""
    found, begun = [], 0
    for place in _outside(text):
        word = next((word for word in at if text.startswith(word, place)), None)
        if word is not None and place >= begun:
            found.append(text[begun:place])
            begun = place + len(word)
    return [*found, text[begun:]] if found else []


def _outside(text: str) -> Iterator[int]:
    """The places outside of all parentheses."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if not depth:
            yield place


def _closing(text: str, opening: int) -> int:
    """Where a parenthesis is closed."""
    return next(place for place in _outside(text[opening:])) + opening
