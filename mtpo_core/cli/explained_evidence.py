"""Evidence as text for ``explain``: what several instances have in common is said once, above them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mtpo.proofs.evidence import Evidence

LONGEST: Final = 100
"""Characters of what a mutant does otherwise, in a list of many."""


def evidence_lines(found: Iterable[Evidence]) -> Iterator[str]:
    """A line for each piece of evidence; where it is of several instances these are below it, by what they have in
    common."""
    for one in found:
        old = "" if one.fresh else "   (the sources have changed since)"
        many = "; ".join(one.instances)
        if len(one.instances) < 2 or many not in one.sentence:
            yield f"  {one.status:<8} {one.sentence}{old}"
            continue
        yield f"  {one.status:<8} {one.sentence.replace(many, f'{len(one.instances)} instances')}{old}"
        yield from (f"{'':<11}{line}" for line in _instances(one))


def _instances(one: Evidence) -> Iterator[str]:
    from mtpo.proofs.evidence import by_scope

    for scope, rows in by_scope(one.instances).items():
        if scope:
            yield f"{scope}:"
        sizes = max(len(row.partition(": ")[0]) for row in rows) if scope else 0
        for row in rows:
            size, _, reached = row.partition(": ")
            yield f"  {size:<{sizes}}  {reached}" if scope else row


def brief(what: str) -> str:
    """What a mutant does otherwise, without the whole of what is written: `explain` shows that of the mutant itself."""
    text = what.partition(" := ")[0] if what.startswith("update") else what
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
