"""The ways to weaken one action of a spec, one at a time.

- a conjunct of its guard is dropped;
- a part of the guard is weakened from within: a conjunct under a quantifier or a disjunct of a premise is left out, or
  a quantifier ranges over all elements but one;
- an update is dropped;
- what is written is altered: a conjunct, disjunct or case is left out, or a quantifier ranges over all elements but
  one.

The element that a shrunk quantifier leaves out is any: it is one more parameter of the action.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from mtpo.proofs.digests import formula_digest
from mtpo.spec.language import Action, Bool, Clause, Spec, Term, Update, conj, conjuncts, formals_of, show
from mtpo.spec.language.terms import bound, names_for

Names: TypeAlias = Mapping[Term, str]

Polarity = Literal[-1, 0, 1]
"""Whether a part that becomes more true makes the whole more true (1), less (-1), or either (0)."""

SKIPPED: Final = "skipped"
"""The parameter for the element that a quantifier leaves out; with a ``_`` more where that name is taken."""

DIGITS: Final = 8
"""Letters of a digest."""


@attrs.frozen(eq=False)
class Alteration:
    """An action with one rule weakened. ``id`` is that of the clause, or ``SPEC.ACTION.VARIABLE:=`` for an update, with
    the arguments where the action updates the variable twice; with ``/N`` for a conjunct of several that is dropped,
    ``~N`` for a change within. ``digest`` is a few letters for what the rule says before and after, which an id with a
    number does not tell for good."""

    id: str
    digest: str
    what: str
    action: Action


@attrs.frozen(eq=False)
class _Change:
    """A term in place of another; ``skipped`` is the element that it leaves out, if it does."""

    term: Term
    what: str
    skipped: Term | None = None


def alterations(spec: Spec, action: Action) -> Iterator[Alteration]:
    """Every way to weaken an action."""
    names = names_for(action.elements)
    for number, clause in enumerate(action.guard):
        parts = conjuncts(clause.formula)

        def digest(formula: Term, skipped: Term | None = None, before: Term = clause.formula) -> str:
            return _digest(action, (before, formula), (skipped,) if skipped is not None else ())

        for k, part in enumerate(parts):
            rest = conj(*(p for i, p in enumerate(parts) if i != k))
            id = clause.id if len(parts) == 1 else f"{clause.id}/{k}"
            yield Alteration(id, digest(rest), f"guard: {show(part, names)}", _with_clause(action, number, rest))
        for k, change in enumerate(_different(action, clause.formula, _inside(parts, names))):
            altered = _with_clause(action, number, change)
            yield Alteration(f"{clause.id}~{k}", digest(change.term, change.skipped), f"guard: {change.what}", altered)
    for number, update in enumerate(action.updates):
        twice = sum(u.variable is update.variable for u in action.updates) > 1
        inner = names_for(update.args, names) if update.whole else names
        place = _place(update, inner)
        id = f"{spec.name}.{action.name}.{place if twice else update.variable.name}:="
        kept = tuple(u for i, u in enumerate(action.updates) if i != number)
        cell = update.variable(*update.args)
        formals = update.args if update.whole else ()
        written = f"{place} := {show(update.value, inner)}"
        dropped = attrs.evolve(action, updates=kept)
        yield Alteration(id, _digest(action, (cell, update.value), formals), f"update dropped: {written}", dropped)
        for k, change in enumerate(_different(action, update.value, _changes(update.value, 0, inner), formals)):
            if not _stays(update, change.term):
                what = f"update: {change.what}, in {written}"
                skipped = (change.skipped,) if change.skipped is not None else ()
                now = _digest(action, (cell, update.value, change.term), (*formals, *skipped))
                yield Alteration(f"{id}~{k}", now, what, _with_update(action, number, change))


def _place(update: Update, names: Names) -> str:
    """What is updated: ``holds[p]``, or ``holds`` of all at once."""
    if not update.args:
        return update.variable.name
    return f"{update.variable.name}[{', '.join(show(arg, names) for arg in update.args)}]"


def _inside(parts: list[Bool], names: Names) -> Iterator[_Change]:
    """Weaker forms of a conjunction that keep all its conjuncts."""
    for k, part in enumerate(parts):
        for change in _changes(part, 1, names):
            others = [p if i != k else change.term for i, p in enumerate(parts)]
            yield attrs.evolve(change, term=conj(*others))  # type: ignore[arg-type]


def _different(
    action: Action, term: Term, changes: Iterator[_Change], formals: tuple[Term, ...] = ()
) -> Iterator[_Change]:
    """Those that say something else than the term, and each but once."""
    seen = {_digest(action, (term,), formals)}
    for change in changes:
        skipped = (change.skipped,) if change.skipped is not None else ()
        digest = _digest(action, (change.term,), (*formals, *skipped))
        if digest not in seen:
            seen.add(digest)
            yield change


def _digest(action: Action, terms: tuple[Term, ...], more: tuple[Term, ...]) -> str:
    """A few letters for terms of the action's parameters and more variables, whatever their names."""
    variables = {id(v): f"v{n}" for n, v in enumerate(more)}
    whole = " ".join(formula_digest(term, action, variables) for term in terms)
    return hashlib.sha256(whole.encode()).hexdigest()[:DIGITS]


def _stays(update: Update, value: Term) -> bool:
    """Whether to write the value is to write nothing, which is the update dropped."""
    if value.op != "apply" or value.data[0] is not update.variable:
        return False
    return all(a is b for a, b in zip(value.args, update.args, strict=True))


def _with_clause(action: Action, number: int, change: _Change | Bool) -> Action:
    change = _named_apart(change, action) if isinstance(change, _Change) else change
    formula: Any = change.term if isinstance(change, _Change) else change
    guard = tuple(Clause(c.id, formula, c.at) if i == number else c for i, c in enumerate(action.guard))
    return attrs.evolve(action, guard=guard, params=_params(action, change))


def _with_update(action: Action, number: int, change: _Change) -> Action:
    change = _named_apart(change, action)
    updates = tuple(attrs.evolve(u, value=change.term) if i == number else u for i, u in enumerate(action.updates))
    return attrs.evolve(action, updates=updates, params=_params(action, change))


def _params(action: Action, change: _Change | Bool) -> tuple[Any, ...]:
    skipped = change.skipped if isinstance(change, _Change) else None
    return action.params if skipped is None else (*action.params, skipped)


def _named_apart(change: _Change, action: Action) -> _Change:
    """The change, its element named as no parameter is."""
    if change.skipped is None or SKIPPED not in formals_of(action):
        return change
    name = SKIPPED
    while name in formals_of(action):
        name += "_"
    other = bound(change.skipped.sort, name)
    return attrs.evolve(change, term=_replaced(change.term, change.skipped, other), skipped=other)


def _replaced(term: Term, old: Term, new: Term) -> Term:
    args = [_replaced(arg, old, new) for arg in term.args]
    if all(a is b for a, b in zip(args, term.args, strict=True)):
        return new if term is old else term
    return _with_args(term, args)


def _changes(term: Term, polarity: Polarity, names: Names) -> Iterator[_Change]:
    """The term with one change within; ``names`` are those of the variables that it does not bind."""
    args = term.args
    inner = names_for(term.data, names) if term.op in ("forall", "exists") else names
    for k, arg in enumerate(args):
        for change in _changes(arg, _polarity(term, k, polarity), inner):
            others = [a if i != k else change.term for i, a in enumerate(args)]
            yield attrs.evolve(change, term=_with_args(term, others))
    if (term.op == "and" and polarity >= 0) or (term.op == "or" and polarity <= 0):
        for k, arg in enumerate(args):
            rest = [a for i, a in enumerate(args) if i != k]
            yield _Change(rest[0] if len(rest) == 1 else _with_args(term, rest), f"without {show(arg, names)}")
    if term.op == "ite":
        yield _Change(args[1], f"always {show(args[1], names)}")
        yield _Change(args[2], f"always {show(args[2], names)}")
    if (term.op == "forall" and polarity >= 0) or (term.op == "exists" and polarity <= 0):
        for variable in term.data:
            skipped = bound(variable.sort, SKIPPED)
            other = ~(variable == skipped)
            body = (~other | args[0]) if term.op == "forall" else (other & args[0])
            what = f"one {variable.sort.__name__} {inner[variable]} left out of {show(term, names)}"
            yield _Change(type(term)(term.op, (body,), term.data), what, skipped)


def _polarity(term: Term, place: int, polarity: Polarity) -> Polarity:
    match term.op:
        case "and" | "or" | "forall" | "exists":
            return polarity
        case "not":
            return -polarity
        case "ite" if place > 0 and term.sort is Bool:
            return polarity
        case _:
            return 0


def _with_args(term: Term, args: list[Term]) -> Term:
    return type(term)(term.op, tuple(args), term.data)
