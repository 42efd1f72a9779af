"""What a spec is made of beside its symbols: actions, properties, variants, endings."""

from __future__ import annotations

from typing import Any, cast

import attrs

from mtpo.spec.language.bodies import Clause, Update
from mtpo.spec.language.terms import Bool, Function, Term


@attrs.frozen(eq=False)
class Action:
    """A named step: for any ``params`` that satisfy all clauses of ``guard``, the updates happen together."""

    name: str
    doc: str
    params: tuple[Term | Function[Any], ...]
    guard: tuple[Clause, ...]
    updates: tuple[Update, ...]
    at: str

    @property
    def elements(self) -> tuple[Term, ...]:
        """The parameters that are elements of sorts."""
        return tuple(p for p in self.params if isinstance(p, Term))

    @property
    def functions(self) -> tuple[Function[Any], ...]:
        """The parameters that are functions."""
        return tuple(p for p in self.params if isinstance(p, Function))


@attrs.frozen(eq=False)
class Property:
    """A named formula. ``role``: assumption, invariant, lemma (an invariant that serves the proof), step, reachable.

    ``refutes``: of an expected counterexample the claim that must fail; ``formula`` then says of a state that it does.
    ``enables``: one that says that actions are enabled, as it was written; ``formula`` has their guards.
    ``derived``: it follows from the other invariants in every state, so that it need not be shown of each action.
    """

    id: str
    doc: str
    formula: Bool
    role: str
    at: str
    refutes: Bool | None = None
    enables: Bool | None = None
    derived: bool = False


@attrs.frozen(eq=False)
class Variant:
    """A termination measure: a lexicographic tuple of sets, given by predicates over ``over``.

    Each action named in ``decreases`` leaves the sets before some position unchanged or smaller and makes the set at
    that position strictly smaller. So does every other action, or leaves all of them unchanged or smaller, but those
    in ``raised_by``. Since the sets are finite in any run, the actions that decrease it are taken finitely often if
    those that raise it are.
    """

    id: str
    doc: str
    over: tuple[Term, ...]
    sets: tuple[Bool, ...]
    decreases: tuple[str, ...]
    raised_by: tuple[str, ...]
    at: str

    def bounds(self, action: str) -> bool:
        """Whether something is to be shown of an action: it decreases the measure, or does not raise it."""
        return action not in self.raised_by


@attrs.frozen(eq=False)
class Ending:
    """That no run goes on for ever: every action but those of ``but`` is taken finitely often, by the variants."""

    id: str
    doc: str
    but: tuple[str, ...]
    at: str


def formals_of(action: Action) -> tuple[str, ...]:
    """The names of an action's parameters, in order."""
    return tuple(p.name if isinstance(p, Function) else cast(str, p.data[0]) for p in action.params)
