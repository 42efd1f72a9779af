"""That an action can be taken, as a formula of the state: its guard, of given elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from mtpo.spec.substitution import substituted
from mtpo.spec.terms import FALSE, TRUE, Bool, Function, Int, Term, bound, conj, conjuncts, disj, fail, walk

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
    """Its clauses, of these elements and ``given`` functions. Any other parameter that is a function has at each point
    some value that will do: the clauses that read it are put together, point by point; of any other element there is
    one, which a mutant's guard leaves out."""
    values = dict(zip(action.elements, elements, strict=False))
    clauses = [cast(Bool, substituted(part, values)) for clause in action.guard for part in conjuncts(clause.formula)]
    for function in action.functions:
        if function.name in given:
            clauses = [cast(Bool, _replaced(clause, function, given[function.name])) for clause in clauses]
        asking = [bool(_read(clause, function)) for clause in clauses]
        if any(asking):
            some = _somewhere(action, function, [c for c, asks in zip(clauses, asking, strict=True) if asks])
            clauses = [*(c for c, asks in zip(clauses, asking, strict=True) if not asks), some]
    rest = action.elements[len(elements) :]
    return Bool("exists", (conj(*clauses),), rest) if rest else conj(*clauses)


def _read(term: Term, function: Function[Term]) -> list[tuple[Term, ...]]:
    """The points at which a function is read."""
    return [t.args for t in walk(term) if t.op == "apply" and t.data[0] is function]


def _somewhere(action: Action, function: Function[Term], clauses: list[Bool]) -> Bool:
    """At each point the function has a value for which all the clauses hold, each of which is said of every point."""
    if function.range is Int:
        raise fail(f"whether `{action.name}` is enabled is no formula: `{function.name}` is any of all integers")
    points = tuple(bound(sort, name) for sort, name in zip(function.domain, "xyzuvw", strict=False))
    bodies = [_at(points, clause, function, action.name) for clause in clauses]

    def with_value(value: Term) -> Bool:
        return conj(*(cast(Bool, _replaced(body, function, lambda *point: value)) for body in bodies))

    if function.range is Bool:
        some = disj(with_value(FALSE), with_value(TRUE))
    else:
        value = bound(function.range, function.name)
        some = Bool("exists", (with_value(value),), (value,))
    return Bool("forall", (some,), points) if points else some


def _at(points: tuple[Term, ...], clause: Bool, function: Function[Term], action: str) -> Bool:
    """What a clause says of some points, which must be said of every point and read the function there alone."""
    if not points:
        return clause
    at: tuple[Term, ...] = clause.data if clause.op == "forall" else ()
    read = _read(clause, function)
    if len(at) != len(points) or any(x is not y for args in read for x, y in zip(args, at, strict=True)):
        raise fail(f"whether `{action}` is enabled is no formula: a clause reads `{function.name}` at several points")
    return cast(Bool, substituted(clause.args[0], dict(zip(at, points, strict=True))))


def _replaced(term: Term, function: Function[Term], value: Callable[..., Term]) -> Term:
    """The term with values for what a function is at each point."""
    args = tuple(_replaced(arg, function, value) for arg in term.args)
    if term.op == "apply" and term.data[0] is function:
        return value(*args)
    return term if term.op == "bound" else term.sort(term.op, args, term.data)
