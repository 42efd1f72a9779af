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

from collections.abc import Iterator
from typing import Any, Final, Literal

import attrs

from mtpo.proofs.digests import formula_digest
from mtpo.spec.language import Action, Bool, Clause, Spec, Term, Update, conj, conjuncts, formals_of, show
from mtpo.spec.terms import bound

Polarity = Literal[-1, 0, 1]
"""Whether a part that becomes more true makes the whole more true (1), less (-1), or either (0)."""

SKIPPED: Final = "skipped"
"""The parameter for the element that a quantifier leaves out; with a ``_`` more where that name is taken."""


@attrs.frozen(eq=False)
class Alteration:
    """An action with one rule weakened. ``id`` is that of the clause, or ``SPEC.ACTION.VARIABLE:=`` for an update, with
    the arguments where the action updates the variable twice; with ``/N`` for a conjunct of several that is dropped,
    ``~N`` for a change within."""

    id: str
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
    for number, clause in enumerate(action.guard):
        parts = conjuncts(clause.formula)
        for k, part in enumerate(parts):
            rest = conj(*(p for i, p in enumerate(parts) if i != k))
            id = clause.id if len(parts) == 1 else f"{clause.id}/{k}"
            yield Alteration(id, f"guard: {show(part)}", _with_clause(action, number, rest))
        for k, change in enumerate(_different(clause.formula, _inside(parts))):
            yield Alteration(f"{clause.id}~{k}", f"guard: {change.what}", _with_clause(action, number, change))
    for number, update in enumerate(action.updates):
        twice = sum(u.variable is update.variable for u in action.updates) > 1
        id = f"{spec.name}.{action.name}.{_place(update) if twice else update.variable.name}:="
        kept = tuple(u for i, u in enumerate(action.updates) if i != number)
        written = f"{_place(update)} := {show(update.value)}"
        yield Alteration(id, f"update dropped: {written}", attrs.evolve(action, updates=kept))
        for k, change in enumerate(_different(update.value, _changes(update.value, 0))):
            if not _stays(update, change.term):
                what = f"update: {change.what}, in {written}"
                yield Alteration(f"{id}~{k}", what, _with_update(action, number, change))


def _place(update: Update) -> str:
    """What is updated: ``holds[p]``, or ``holds`` of all at once."""
    return f"{update.variable.name}[{', '.join(map(show, update.args))}]" if update.args else update.variable.name


def _inside(parts: list[Bool]) -> Iterator[_Change]:
    """Weaker forms of a conjunction that keep all its conjuncts."""
    for k, part in enumerate(parts):
        for change in _changes(part, 1):
            others = [p if i != k else change.term for i, p in enumerate(parts)]
            yield attrs.evolve(change, term=conj(*others))  # type: ignore[arg-type]


def _different(term: Term, changes: Iterator[_Change]) -> Iterator[_Change]:
    """Those that say something else than the term, and each but once."""
    seen = {_digest(term)}
    for change in changes:
        digest = _digest(change.term)
        if digest not in seen:
            seen.add(digest)
            yield change


def _digest(term: Term) -> str:
    free = {id(v): f"free {show(v)}" for v in _free(term, frozenset())}
    return formula_digest(term, free=free)


def _free(term: Term, inside: frozenset[int]) -> Iterator[Term]:
    if term.op == "bound" and id(term) not in inside:
        yield term
    if term.op in ("forall", "exists"):
        inside |= {id(v) for v in term.data}
    for arg in term.args:
        yield from _free(arg, inside)


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


def _changes(term: Term, polarity: Polarity) -> Iterator[_Change]:
    """The term with one change within."""
    args = term.args
    for k, arg in enumerate(args):
        for change in _changes(arg, _polarity(term, k, polarity)):
            others = [a if i != k else change.term for i, a in enumerate(args)]
            yield attrs.evolve(change, term=_with_args(term, others))
    if (term.op == "and" and polarity >= 0) or (term.op == "or" and polarity <= 0):
        for k, arg in enumerate(args):
            rest = [a for i, a in enumerate(args) if i != k]
            yield _Change(rest[0] if len(rest) == 1 else _with_args(term, rest), f"without {show(arg)}")
    if term.op == "ite":
        yield _Change(args[1], f"always {show(args[1])}")
        yield _Change(args[2], f"always {show(args[2])}")
    if (term.op == "forall" and polarity >= 0) or (term.op == "exists" and polarity <= 0):
        for variable in term.data:
            skipped = bound(variable.sort, SKIPPED)
            other = ~(variable == skipped)
            body = (~other | args[0]) if term.op == "forall" else (other & args[0])
            what = f"one {variable.sort.__name__} {show(variable)} left out of {show(term)}"
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
