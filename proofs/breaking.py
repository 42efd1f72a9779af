"""Everything of a spec that breaks in an instance, each with a shortest run.

Exploration does not stop at a violation here: it goes on until every state was looked at, or the limit is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

import attrs

from mtpo.proofs.picture import violations_of
from mtpo.proofs.verdicts import Trace
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import Bool, Spec, Term, Variant, conj, disj

T = TypeVar("T", bound=Term)


def all_broken(
    instance: Instance,
    roots: Iterable[State],
    limit: int,
    supporting: bool = False,
    enough: Callable[[Collection[str]], bool] = lambda broken: False,
) -> tuple[dict[str, Trace], int, bool]:
    """A shortest run to a violation of each property that can be violated, how many states were looked at, and whether
    these are all.

    With ``supporting`` also of each lemma and variant. Without, they are left out: a lemma serves the proof, and what
    it loses shows in the properties. ``enough`` is asked after all runs of so many steps whether what is broken by then
    will do.
    """
    search = _Search(instance, supporting, enough)
    complete = search.run(roots, limit)
    return dict(sorted(search.broken.items())), len(search.parent), complete


def why_broken(trace: Trace, id: str) -> list[str]:
    """What is false at the end of a run that breaks a property, as text; or why the run has no end."""
    spec = trace.instance.spec
    if id in spec.properties or id in spec.variants:
        return [line.removeprefix("  ") for line in violations_of(trace, [id])[1:]]
    return ["and so on: nothing ends it, as is proven", *(f"{p.id}: {p.doc}" for p in spec.role("invariant"))]


def bounded(variant: Variant, action: str) -> Bool:
    """What a variant asks of a step of an action. Lexicographically: some set becomes strictly smaller, and those
    before it do not grow; or, of an action that need not decrease it, none grows."""
    now, then = list(variant.sets), [_primed(inside) for inside in variant.sets]
    shrinks = [_quantified("forall", ~t | n, variant) for n, t in zip(now, then, strict=True)]
    smaller = [_quantified("exists", n & ~t, variant) for n, t in zip(now, then, strict=True)]
    falls = [conj(*shrinks[: k + 1], less) for k, less in enumerate(smaller)]
    return disj(*falls, *(() if action in variant.decreases else (conj(*shrinks),)))


def bounded(variant: Variant, action: str) -> Bool:
    """What a variant asks of the steps of an action: that they decrease it, or at least let no set of it grow."""
    if action in variant.decreases:
        return decreasing(variant)
    grows = [_quantified("forall", ~_primed(inside) | inside, variant) for inside in variant.sets]
    return disj(decreasing(variant), conj(*grows))


def _quantified(op: str, body: Bool, variant: Variant) -> Bool:
    return Bool(op, (body,), variant.over)


def _primed(term: T) -> T:
    """The term in the next state."""
    if not term.args and term.op != "apply":
        return term  # a variable is itself and no other
    data = (term.data[0], term.data[0].kind == "var") if term.op == "apply" else term.data
    return type(term)(term.op, tuple(map(_primed, term.args)), data)


def _of_steps(spec: Spec, supporting: bool) -> Mapping[str, Mapping[str, Bool]]:
    """What must be true of the steps of each action."""
    moves = {p.id: p.formula for p in spec.role("step")}
    variants = list(spec.variants.values()) if supporting else []
    return {name: moves | {v.id: bounded(v, name) for v in variants if v.bounds(name)} for name in spec.actions}


@attrs.define
class _Search:
    """``parent`` a state before each state, and the step from there; ``broken`` a shortest run for each id."""

    instance: Instance
    supporting: bool
    enough: Callable[[Collection[str]], bool]
    parent: dict[State, tuple[State, int] | None] = attrs.Factory(dict)
    broken: dict[str, Trace] = attrs.Factory(dict)
    steps: list[Step] = attrs.Factory(list)

    def run(self, roots: Iterable[State], limit: int) -> bool:
        """Look at all states, unless there are more than the limit; whether these were all."""
        roles = ("invariant", "lemma") if self.supporting else ("invariant",)
        states = {p.id: p.formula for p in self.instance.spec.role(*roles)}
        of_action = _of_steps(self.instance.spec, self.supporting)
        self.steps, successors = self.instance.ground()
        holds, allows = self._unbroken(states, of_action)
        parent, frontier = self.parent, list[State]()
        for state in roots:
            if len(parent) > limit:
                return False
            if state not in parent:
                parent[state] = None
                frontier.append(state)
                if not holds(state):
                    self._broken_at(states, state)
                    holds, allows = self._unbroken(states, of_action)
        while frontier and len(parent) <= limit and not self.enough(self.broken):
            following: list[State] = []
            for state in frontier:
                for number, after in successors(state):
                    if not allows[number](state, after):
                        self._broken_by(of_action[self.steps[number].action], state, number, after)
                        holds, allows = self._unbroken(states, of_action)
                    if after in parent:
                        continue
                    parent[after] = (state, number)
                    following.append(after)
                    if not holds(after):
                        self._broken_at(states, after)
                        holds, allows = self._unbroken(states, of_action)
                if len(parent) > limit:
                    break
            frontier = following
        return len(parent) <= limit and not frontier

    def _unbroken(
        self, states: Mapping[str, Bool], of_action: Mapping[str, Mapping[str, Bool]]
    ) -> tuple[Callable[..., bool], list[Callable[..., bool]]]:
        """What is not broken yet, of a state; and of each step, by its number."""
        allowed = {name: self._all(formulas) for name, formulas in of_action.items()}
        return self._all(states), [allowed[step.action] for step in self.steps]

    def _all(self, formulas: Mapping[str, Bool]) -> Callable[..., bool]:
        left = {id: formula for id, formula in formulas.items() if id not in self.broken}
        return self.instance.formula(conj(*left.values()), f"all of {', '.join(left)}", grounded=True)

    def _broken_at(self, formulas: Mapping[str, Bool], state: State) -> None:
        for id in formulas.keys() - self.broken.keys():
            if not self.instance.formula(formulas[id], id, grounded=True)(state):
                self.broken[id] = self._trace(state)

    def _broken_by(self, formulas: Mapping[str, Bool], state: State, number: int, after: State) -> None:
        for id in formulas.keys() - self.broken.keys():
            if not self.instance.formula(formulas[id], id, grounded=True)(state, after):
                run = self._trace(state)
                self.broken[id] = Trace(self.instance, (*run.states, after), (*run.steps, self.steps[number]))

    def _trace(self, state: State) -> Trace:
        """A shortest run to a state."""
        row, path = [state], list[Step]()
        while (link := self.parent[row[-1]]) is not None:
            row.append(link[0])
            path.append(self.steps[link[1]])
        return Trace(self.instance, tuple(reversed(row)), tuple(reversed(path)))
