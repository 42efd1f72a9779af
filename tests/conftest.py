"""Shared by the tests of the formal side: the lock example, as a file and as a spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtpo.spec.language import Action, Clause, Spec
from mtpo_core.cli.specs import find_specs


@pytest.fixture(scope="session")
def lock_path() -> Path:
    """The example of the language's documentation, as a user's file."""
    return Path(__file__).parent / "spec" / "lock.py"


@pytest.fixture(scope="session")
def lock(lock_path: Path) -> Spec:
    """The spec that the file declares."""
    (spec,) = find_specs(str(lock_path))
    return spec


@pytest.fixture(scope="session")
def broken_lock(lock: Spec) -> Spec:
    """The lock without its clause ``lock.acquire.free``: anybody enters at any time."""
    return without_clause(lock, "lock.acquire.free")


def without_clause(spec: Spec, id: str) -> Spec:
    """A copy of a spec without one guard clause."""
    name = id.split(".")[1]
    action = spec.actions[name]
    kept: tuple[Clause, ...] = tuple(clause for clause in action.guard if clause.id != id)
    assert len(kept) == len(action.guard) - 1, f"{spec.name} has no clause {id}"
    weaker = Action(action.name, action.doc, action.params, kept, action.updates, action.at)
    return spec.without(actions={**spec.actions, name: weaker})
