"""What is said of a step as a formula of the state before it: the next state is put in, as an action makes it.

Where the arguments of the action are functions, there is one for which some clauses hold if at each point there is a
value for which they do. So no quantifier ranges over functions (:func:`chosen`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from mtpo.spec.language.terms import (
    FALSE,
    TRUE,
    Bool,
    Function,
    Int,
    SpecError,
    Term,
    bound,
    conj,
    conjuncts,
    disj,
    fail,
    free,
    implies,
    ite,
    walk,
)

if TYPE_CHECKING:
    from mtpo.spec.language import Action

After = Callable[[Function[Any], tuple[Term, ...]], Term]
"""The value of a variable at a point after a step."""


def reads_next(formula: Term) -> bool:
    """Whether a formula is one of steps."""
    return any(t.op == "apply" and t.data[1] for t in walk(formula))


def refutation(claim: Bool, actions: Iterable[Action], at: str) -> Bool:
    """The states that refute a claim: those where it is false; where it is one of steps, those from which some action
    takes a step of which it is false.

    Raises SpecError for an action of whose arguments no formula says that there are some: an Int, or a function that
    :func:`chosen` refuses.
    """
    if not reads_next(claim):
        return ~claim
    return disj(*(_some_step(claim, action, at) for action in actions))


def _some_step(claim: Bool, action: Action, at: str) -> Bool:
    """There are arguments for which the action may be taken, and the claim is false of that step."""

    def refused(why: str) -> SpecError:
        return fail(
            f"what must be refuted of a step is asked for all arguments that an action may be taken with, but of "
            f"`{action.name}` no formula says so: {why}; say it of states, where it is asked of none",
            at,
        )

    if numbers := [p.data[0] for p in action.elements if p.sort is Int]:
        raise refused(f"`{numbers[0]}` is any of all integers")
    broken = conj(*(c.formula for c in action.guard), ~cast(Bool, substituted(claim, {}, _after(action))))
    for function in action.functions:
        some, body = _opened(cast(Bool, substituted(broken, {})))
        broken = conj(*chosen(function, conjuncts(body), refused))
        broken = Bool("exists", (broken,), some) if some else broken
    for truth in (p for p in action.elements if p.sort is Bool):
        broken = disj(*(cast(Bool, substituted(broken, {truth: value})) for value in (FALSE, TRUE)))
    elements = tuple(p for p in action.elements if p.sort is not Bool)
    return Bool("exists", (broken,), elements) if elements else broken


def _after(action: Action) -> After:
    """The state after an action; where points coincide the last update counts."""

    def value(symbol: Function[Any], args: tuple[Term, ...]) -> Term:
        found: Term = symbol(*args)
        for update in action.updates:
            if update.variable is not symbol:
                continue
            if update.whole:
                found = substituted(update.value, dict(zip(update.args, args, strict=True)))
            else:
                here = conj(*(arg == point for arg, point in zip(args, update.args, strict=True)))
                found = ite(here, substituted(update.value, {}), found)
        return found

    return value


def substituted(term: Term, values: Mapping[Term, Term], after: After | None = None) -> Term:
    """A term with ``values`` for free variables and, if it is given, the state ``after`` for the next one. Quantifiers
    get fresh variables, so that what is put in twice, one in the other, keeps them apart."""
    match term.op:
        case "bound":
            return values.get(term, term)
        case "forall" | "exists":
            own = tuple(bound(v.sort, v.data[0]) for v in term.data)
            inner = {**values, **dict(zip(term.data, own, strict=True))}
            return Bool(term.op, (substituted(term.args[0], inner, after),), own)
    args = tuple(substituted(arg, values, after) for arg in term.args)
    if term.op == "apply" and term.data[1] and after is not None:
        return after(term.data[0], args)
    return term.sort(term.op, args, term.data)


# -- functions that are arguments ----------------------------------------------------------------------------------

MOST_POINTS: Final = 6
"""Points that are given, at which clauses may read a function: each pair of them may be one point."""


def _opened(formula: Bool, said: bool = True) -> tuple[tuple[Term, ...], Bool]:
    """A formula, or its negation, as variables and what is to hold for some values of them."""
    parts = cast(tuple[Bool, ...], formula.args)
    match formula.op:
        case "not":
            return _opened(parts[0], not said)
        case "and" | "or":
            found = [_opened(part, said) for part in parts]
            joined = conj if (formula.op == "and") is said else disj
            return tuple(x for some, _ in found for x in some), joined(*(body for _, body in found))
        case "exists" | "forall" if (formula.op == "exists") is said:
            some, body = _opened(parts[0], said)
            return (*formula.data, *some), body
        case "exists":
            return (), Bool("forall", (~parts[0],), formula.data)
    return (), formula if said else ~formula


def chosen(function: Function[Any], clauses: Sequence[Bool], refused: Callable[[str], SpecError]) -> list[Bool]:
    """That there is a function for which the clauses hold, none of which has a variable both free and bound. A clause
    may read it at each point, in a ``forall`` of its own, for which there must be some value then; or at points that
    are given, of which each has a value, the same one where they are the same.

    Raises what ``refused`` makes of the reason why no formula says so.
    """
    if function.range is Int and any(_read(clause, function) for clause in clauses):
        raise refused(f"`{function.name}` is any of all integers")
    formals = tuple(bound(sort, f"x{i}") for i, sort in enumerate(function.domain))
    found: list[Bool] = []
    given: list[Bool] = []
    bodies: list[Bool] = []
    for clause in clauses:
        if not _read(clause, function):
            found.append(clause)
        elif formals and _at_given(clause, function):
            given.append(clause)
        else:
            bodies.append(_at_each(formals, clause, function, refused))
    if bodies:
        some = _some(function, 1, lambda values: conj(*(_with(body, function, values[0]) for body in bodies)))
        found.append(Bool("forall", (some,), formals) if formals else some)
    points = list({_key(point): point for clause in given for point in _read(clause, function)}.values())
    if len(points) > MOST_POINTS:
        raise refused(f"`{function.name}` is read at {len(points)} points, at most {MOST_POINTS}")

    def hold(values: Sequence[Term]) -> Bool:
        """The clauses hold with these values at the points, of which two may be one."""
        table = {_key(point): value for point, value in zip(points, values, strict=True)}
        here = [cast(Bool, replaced(clause, function, lambda *point: table[_key(point)])) for clause in given]
        for point, value in zip(points, values, strict=True):
            at = dict(zip(formals, point, strict=True))
            here += (cast(Bool, substituted(_with(body, function, value), at)) for body in bodies)
        for (one, its), (other, its_own) in itertools.combinations(zip(points, values, strict=True), 2):
            same = conj(*(a == b for a, b in zip(one, other, strict=True)))
            here.append(implies(same, its == its_own))
        return conj(*here)

    return [*found, *([_some(function, len(points), hold)] if given else [])]


def _some(function: Function[Any], count: int, holds: Callable[[Sequence[Term]], Bool]) -> Bool:
    """There are so many values of a function for which something holds."""
    if function.range is Bool:
        return disj(*(holds(values) for values in itertools.product((FALSE, TRUE), repeat=count)))
    values = tuple(bound(function.range, function.name) for _ in range(count))
    return Bool("exists", (holds(values),), values)


def _at_given(clause: Bool, function: Function[Any]) -> bool:
    """Whether a clause reads a function only at points that are the same throughout the clause, and not by it."""
    outside = set(free(clause))
    return all(
        outside.issuperset(free(arg)) and not _read(arg, function) for point in _read(clause, function) for arg in point
    )


def _at_each(
    formals: tuple[Term, ...], clause: Bool, function: Function[Any], refused: Callable[[str], SpecError]
) -> Bool:
    """What a clause says of a point, which must be said of every point and read the function there alone."""
    if not formals:
        return clause
    at: tuple[Term, ...] = clause.data if clause.op == "forall" else ()
    read = _read(clause, function)
    if len(at) != len(formals) or any(x is not y for point in read for x, y in zip(point, at, strict=True)):
        raise refused(f"a clause reads `{function.name}` at several points, which depend on each other")
    return cast(Bool, substituted(clause.args[0], dict(zip(at, formals, strict=True))))


def _read(term: Term, function: Function[Any]) -> list[tuple[Term, ...]]:
    """The points at which a function is read."""
    return [t.args for t in walk(term) if t.op == "apply" and t.data[0] is function]


def _with(term: Bool, function: Function[Any], value: Term) -> Bool:
    return cast(Bool, replaced(term, function, lambda *point: value))


def replaced(term: Term, function: Function[Any], value: Callable[..., Term]) -> Term:
    """The term with values for what a function is at each point."""
    args = tuple(replaced(arg, function, value) for arg in term.args)
    if term.op == "apply" and term.data[0] is function:
        return value(*args)
    return term if term.op == "bound" else term.sort(term.op, args, term.data)


def _key(terms: tuple[Term, ...]) -> tuple[Any, ...]:
    """What is the same of terms that are written the same."""
    return tuple(
        (t.op, id(t) if t.op == "bound" else t.data if t.op == "lit" else tuple(map(id, t.data or ())), _key(t.args))
        for t in terms
    )
