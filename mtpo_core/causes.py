"""Which of several problems of a log is the cause: damage to the log comes first, as it may explain all else, then what
is wrong at the first record."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from mtpo_core.logchain import NOT_CANONICAL
from mtpo_core.problems import Problem

_DAMAGE: Final = frozenset({"log.chain", "log.gap", "log.value"})
_RECORD: Final = re.compile(r"record (-?\d+)")
_ITS_OWN: Final = re.compile(r"[0-9a-f]{8,}|\d+|'[^']*'")


def is_damage(problem: Problem) -> bool:
    """Whether the log itself is not as it was written, whatever its records say."""
    return problem.property in _DAMAGE or problem.what.startswith(NOT_CANONICAL)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Causes first: damage, then the rest; each by record, in the end what is said of the run as a whole."""
    return tuple(sorted(problems, key=_place))


def alike(problems: Iterable[Problem]) -> list[list[Problem]]:
    """Problems that say the same of several places, together, in the order of the first of each."""
    found: dict[tuple[str, str], list[Problem]] = {}
    for one in problems:
        kind = _ITS_OWN.sub("", one.what.partition(": ")[0])
        found.setdefault((one.property, kind), []).append(one)
    return list(found.values())


def _place(problem: Problem) -> tuple[bool, float]:
    match = _RECORD.match(problem.where)
    return not is_damage(problem), float(match[1]) if match else float("inf")
