"""What is said of a step as a formula of the state before it: the next state is put in, as an action makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from mtpo.spec.terms import FALSE, TRUE, Bool, Function, Int, Term, bound, conj, disj, fail, ite, walk

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

    Raises SpecError for an action whose arguments are no elements, so that no formula says for some arguments.
    """
    if not reads_next(claim):
        return ~claim
    return disj(*(_some_step(claim, action, at) for action in actions))


def _some_step(claim: Bool, action: Action, at: str) -> Bool:
    """There are arguments for which the action may be taken, and the claim is false of that step."""
    for param in action.params:
        if isinstance(param, Function) or param.sort is Int:
            what = f"`{param.name}`, a function" if isinstance(param, Function) else f"`{param.data[0]}`, an Int"
            raise fail(
                f"what must be refuted of a step is asked for all elements that an action may be taken with, but "
                f"`{action.name}` has {what}: say it of states, where it is asked of none",
                at,
            )
    broken = conj(*(c.formula for c in action.guard), ~cast(Bool, substituted(claim, {}, _after(action))))
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
