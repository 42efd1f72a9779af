"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable

import attrs


@attrs.frozen
class Rule:
    """What a paper says, where, the ids of the clauses that carry it, and what of it none does."""

    id: str
    source: str
    says: str
    carried_by: tuple[str, ...] = ()
    lacks: str = ""


def rules_of(spec: str) -> Callable[..., Rule]:
    """Makes rules of one spec: id, source, what it says, names of clauses that blanks separate, and what is lacking."""

    def rule(id: str, source: str, says: str, names: str = "", lacks: str = "") -> Rule:
        return Rule(f"{spec}:{id}", source, says, tuple(f"{spec}.{name}" for name in names.split()), lacks)

    return rule
