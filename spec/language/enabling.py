"""That an action can be taken, as a formula of the state: its guard, of given elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from mtpo.spec.language.substitution import chosen, replaced, substituted
from mtpo.spec.language.terms import FALSE, Bool, SpecError, Term, conj, conjuncts, fail, walk

if TYPE_CHECKING:
    from mtpo.spec.language import Action


def actions_in(formula: Term) -> frozenset[str]:
    """The actions of which a formula says that they are enabled."""
    return frozenset(t.data[0] for t in walk(formula) if t.op == "enabled")


def with_guards(formula: Bool, actions: Mapping[str, Action]) -> Bool:
    """The formula with guards for what it says to be enabled; of an action that there is not, nothing is."""
    return cast(Bool, _with_guards(formula, actions))


def _with_guards(term: Term, actions: Mapping[str, Action]) -> Term:
    args = tuple(_with_guards(arg, actions) for arg in term.args)
    if term.op == "enabled":
        name, given = term.data
        return _guard(actions[name], args, given) if name in actions else FALSE
    return term if term.op == "bound" else term.sort(term.op, args, term.data)


def _guard(action: Action, elements: tuple[Term, ...], given: Mapping[str, Callable[..., Term]]) -> Bool:
    """Its clauses, of these elements and ``given`` functions. Of any other parameter that is a function there is one
    that will do; of any other element, too, which a mutant's guard leaves out."""

    def refused(why: str) -> SpecError:
        return fail(f"whether `{action.name}` is enabled is no formula: {why}")

    values = dict(zip(action.elements, elements, strict=False))
    clauses = [cast(Bool, substituted(part, values)) for clause in action.guard for part in conjuncts(clause.formula)]
    for function in action.functions:
        if function.name in given:
            clauses = [cast(Bool, replaced(clause, function, given[function.name])) for clause in clauses]
    for function in action.functions:
        clauses = chosen(function, clauses, refused)
    rest = action.elements[len(elements) :]
    return Bool("exists", (conj(*clauses),), rest) if rest else conj(*clauses)
