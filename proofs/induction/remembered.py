"""Which hypotheses sufficed before: the search for them is what a proof spends most of its time on.

What is remembered is a hint and no evidence. It is tried first, on the formulas as they are now, and z3 must find the
proof again; a hint that no longer fits costs one question. Those for the specs that are built in come with the package
(``mtpo prove --remember proofs/remembered.json`` writes them); those for other specs stay in the user's cache.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.resources
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from mtpo.proofs.cachefolder import cache_folder, replace
from mtpo.proofs.digests import formula_digest
from mtpo.spec.language import Action, Bool

Hint = tuple[tuple[str, ...], ...]
"""For each conjunct of a goal, the digests of the hypotheses from which it follows."""

KEPT: Final = 20_000
"""Hints in the user's cache; older ones go."""

SHIPPED: Final = "remembered.json"

LARGEST: Final = 64 << 20
"""Bytes of a file of hints; what is larger is none."""


class HintsError(ValueError):
    """A place where hints can't be kept: the message says why."""


@attrs.define
class Memory:
    """Hints by goal. ``fresh`` are those that were not known before."""

    known: Mapping[str, Hint] = attrs.Factory(dict)
    fresh: dict[str, Hint] = attrs.Factory(dict)

    def hint(self, goal: str) -> Hint | None:
        """What sufficed for a goal."""
        return self.fresh.get(goal) or self.known.get(goal)

    def learn(self, goal: str, hint: Hint) -> None:
        """Remember what sufficed."""
        self.fresh[goal] = hint

    def keep(self, path: Path | None = None) -> None:
        """Add what is fresh to a file, by default in the user's cache; there it is no harm if that fails.

        Raises :class:`HintsError` for a file that holds something else: it is not overwritten.
        """
        if path is not None:
            _write(path, {**check_place(path), **self.fresh})
        elif self.fresh:
            with contextlib.suppress(OSError):
                hints = {**_read(_cached()), **self.fresh}
                _write(_cached(), dict(list(hints.items())[-KEPT:]))


def memory() -> Memory:
    """All that is known here and now."""
    return Memory({**_read(_cached()), **_shipped()})


def check_place(path: Path) -> dict[str, Hint]:
    """The hints that a file holds, none if there is no such file. Raises :class:`HintsError` if no hints can be kept
    there."""
    if not path.exists():
        if not path.absolute().parent.is_dir():
            raise HintsError(f"{path}: its folder does not exist")
        return {}
    try:
        return _parsed(path)
    except _NO_HINTS:
        raise HintsError(f"{path}: exists and holds no hints; it is not overwritten, choose another name") from None


def goal_digest(action: Action, part: Bool, step: bool) -> str:
    """A goal: a conjunct of the state after an action, or (``step``) of both states."""
    return f"{action.name}{'!' if step else ''}:{formula_digest(part)}"


def _cached() -> Path:
    return cache_folder("proofs") / SHIPPED


@functools.cache
def _shipped() -> dict[str, Hint]:
    file = importlib.resources.files("mtpo.proofs").joinpath(SHIPPED)
    return _hints(file.read_text(encoding="utf-8")) if file.is_file() else {}


_NO_HINTS: Final = (OSError, ValueError, TypeError, AttributeError, RecursionError)


def _read(path: Path) -> dict[str, Hint]:
    try:
        return _parsed(path)
    except _NO_HINTS:
        return {}


def _parsed(path: Path) -> dict[str, Hint]:
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise ValueError("no file of hints")
    return _hints(path.read_text(encoding="utf-8"))


def _hints(text: str) -> dict[str, Hint]:
    data: dict[str, Any] = json.loads(text)
    return {str(goal): tuple(tuple(map(str, facts)) for facts in hint) for goal, hint in data.items()}


def _write(path: Path, hints: Mapping[str, Hint]) -> None:
    lines = (f"{json.dumps(goal)}: {json.dumps(hint)}" for goal, hint in hints.items())
    replace(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
