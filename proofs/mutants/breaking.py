"""Everything of a spec that breaks in an instance, each with a shortest run.

Exploration does not stop at a violation here: it goes on until every state was looked at, or the limit is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

import attrs

from mtpo.proofs.verdicts import Trace
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import Bool, Term, Variant, conj, disj

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


def bounded(variant: Variant, action: str) -> Bool:
    """What a variant asks of a step of an action. Lexicographically: some set becomes strictly smaller, and those
    before it do not grow; or, of an action that need not decrease it, none grows."""
    now, then = list(variant.sets), [_primed(inside) for inside in variant.sets]
    shrinks = [_quantified("forall", ~t | n, variant) for n, t in zip(now, then, strict=True)]
    smaller = [_quantified("exists", n & ~t, variant) for n, t in zip(now, then, strict=True)]
    falls = [conj(*shrinks[: k + 1], less) for k, less in enumerate(smaller)]
    return disj(*falls, *(() if action in variant.decreases else (conj(*shrinks),)))


def _quantified(op: str, body: Bool, variant: Variant) -> Bool:
    return Bool(op, (body,), variant.over)


def _primed(term: T) -> T:
    """The term in the next state."""
    if not term.args and term.op != "apply":
        return term  # a variable is itself and no other
    data = (term.data[0], term.data[0].kind == "var") if term.op == "apply" else term.data
    return type(term)(term.op, tuple(map(_primed, term.args)), data)


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
        spec, parent, frontier = self.instance.spec, self.parent, list[State]()
        self.steps, successors = self.instance.ground()
        roles = ("invariant", "lemma") if self.supporting else ("invariant",)
        states = _Claims(self.instance, {p.id: p.formula for p in spec.role(*roles)})
        moves = _Claims(self.instance, {p.id: p.formula for p in spec.role("step")})
        variants = list(spec.variants.values()) if self.supporting else []
        falls = {
            name: _Claims(self.instance, {v.id: bounded(v, name) for v in variants if v.bounds(name)}, f" by {name}")
            for name in spec.actions
        }
        bound = [falls[step.action] for step in self.steps]

        def found(claims: _Claims, state: State, number: int | None = None, after: State | None = None) -> None:
            for id in claims.broken(self.broken, state, after):
                run = self._trace(state)
                if number is not None and after is not None:
                    run = Trace(self.instance, (*run.states, after), (*run.steps, self.steps[number]))
                self.broken[id] = run

        for state in roots:
            if len(parent) > limit:
                return False
            if state not in parent:
                parent[state] = None
                frontier.append(state)
                if not states.hold(state):
                    found(states, state)
        while frontier and len(parent) <= limit and not self.enough(self.broken):
            following: list[State] = []
            for state in frontier:
                for number, after in successors(state):
                    if not moves.hold(state, after):
                        found(moves, state, number, after)
                    if not bound[number].hold(state, after):
                        found(bound[number], state, number, after)
                    if after in parent:
                        continue
                    parent[after] = (state, number)
                    following.append(after)
                    if not states.hold(after):
                        found(states, after)
                if len(parent) > limit:
                    break
            frontier = following
        return len(parent) <= limit and not frontier

    def _trace(self, state: State) -> Trace:
        """A shortest run to a state."""
        row, path = [state], list[Step]()
        while (link := self.parent[row[-1]]) is not None:
            row.append(link[0])
            path.append(self.steps[link[1]])
        return Trace(self.instance, tuple(reversed(row)), tuple(reversed(path)))


@attrs.define
class _Claims:
    """Formulas by id, of states or of steps; ``hold`` says whether all are true but those that are broken already."""

    instance: Instance
    formulas: dict[str, Bool]
    of: str = ""
    hold: Callable[..., bool] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._compile()

    def broken(self, before: Collection[str], *at: State | None) -> list[str]:
        """Those that are false, and were not broken ``before``: they are asked no more."""
        here = [state for state in at if state is not None]
        found = [id for id, formula in self.formulas.items() if not self._of(formula, id)(*here)]
        self.formulas = {id: formula for id, formula in self.formulas.items() if id not in found}
        self._compile()
        return [id for id in found if id not in before]

    def _compile(self) -> None:
        self.hold = self._of(conj(*self.formulas.values()), f"all of {', '.join(self.formulas)}")

    def _of(self, formula: Bool, id: str) -> Callable[..., bool]:
        return self.instance.formula(formula, f"{id}{self.of}", grounded=True)
