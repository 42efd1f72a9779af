"""What whole runs are to come to: the goals of the built-in specs, for :mod:`mtpo.proofs.exploration.liveness`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Final

import attrs

from mtpo.spec.language import Bool, Spec, exists, forall, implies
from mtpo.spec.language.terms import walk
from mtpo.spec.mtpo.model import (
    Agent,
    Call,
    Object,
    committed,
    foreign,
    launched,
    live,
    locked,
    origin,
    orphan,
    touches,
)


@attrs.frozen(eq=False)
class Goal:
    """A state formula that every run is to come to, and keep. ``may``: the actions that nobody need ever take."""

    id: str
    doc: str
    formula: Bool
    may: frozenset[str] = frozenset()
    at: str = ""


GOALS: Final[dict[str, Goal]] = {}
"""The goals of the built-in specs, by id."""


def goal(id: str, may: Iterable[str] = ()) -> Callable[[Callable[[], Bool]], Callable[[], Bool]]:
    """Declare a goal; its formula is what the function returns."""

    def declare(body: Callable[[], Bool]) -> Callable[[], Bool]:
        at = f"{body.__code__.co_filename}:{body.__code__.co_firstlineno}"
        GOALS[id] = Goal(id, inspect.cleandoc(body.__doc__ or ""), body(), frozenset(may), at)
        return body

    return declare


def goals_of(spec: Spec) -> tuple[Goal, ...]:
    """The goals that speak of a spec: a built-in one, or one made of it by changing rules."""
    symbols = {*spec.variables.values(), *spec.constants.values()}
    return tuple(g for g in GOALS.values() if {t.data[0] for t in walk(g.formula) if t.op == "apply"} <= symbols)


@goal("mtpo.runs-end", may=("launch", "read", "call", "abort", "external"))
def runs_end() -> Bool:
    "Every run ends, with each launched agent committed, unless what was changed without a tool is in the way."
    # In the way: a repair that holds it goes no further, and a call of an aborted agent can't be retracted, nor can who
    # comes after that agent commit, if it touches the object, or if a later call does that would be undone for it.
    held = exists(Object, lambda o: foreign(o) & locked(o))
    left = exists(
        Call,
        Call,
        Object,
        lambda c, d, o: (c != origin()) & live(c) & orphan(c) & (c <= d) & live(d) & touches(d, o) & foreign(o),
    )
    return forall(Agent, lambda a: implies(launched(a), committed(a))) | held | left
