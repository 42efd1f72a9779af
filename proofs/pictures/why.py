"""Why a formula is false: the conjuncts that are, the elements for which, and the facts that make it so.

A universal conjunct is false for some elements; of those the first are named. What is left of the formula there is a
list of atoms, comparisons and relations, each with the values that it has; the cells of the state that they read are
what a picture points at.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from mtpo.proofs.verdicts import element
from mtpo.spec.concrete import Instance, State, evaluate
from mtpo.spec.language import Property, Term, conjuncts, show
from mtpo.spec.language.terms import Bool, Int, Sort, names_for

Env = dict[Any, Any]
Cell = tuple[int, int]
"""A cell that was read: 0 for the state, 1 for the next one; and its place there."""


@attrs.frozen
class Fact:
    """An atom of a formula, with its value: ``note(call2)`` is ``false``; of a comparison, each side's value."""

    text: str
    value: str


@attrs.frozen
class Reason:
    """A false conjunct. ``where`` names the elements for which it is false; ``reads`` are the cells of its facts."""

    clause: str
    where: tuple[Fact, ...]
    facts: tuple[Fact, ...]
    reads: frozenset[Cell]

    def lines(self) -> list[str]:
        """The reason as text: the conjunct, the elements, the facts."""
        found = [f"false: {self.clause}"]
        if self.where:
            found.append(f"for {', '.join(f'{f.text} = {f.value}' for f in self.where)}")
        if self.facts:
            found.append(f"where {', '.join(f'{f.text} is {f.value}' for f in self.facts)}")
        return found


def why_false(property: Property, instance: Instance, state: State, after: State | None = None) -> list[Reason]:
    """The false conjuncts of a property, in a state or of a step; empty when it holds."""
    found = []
    for part in conjuncts(property.formula):
        if not evaluate(part, instance, state, {}, after):
            search = _Search(instance, state, after)
            search.explain(part, {}, {})
            found.append(search.reason(show(part)))
    return found


@attrs.define
class _Search:
    instance: Instance
    state: State
    after: State | None
    where: dict[str, Fact] = attrs.Factory(dict)
    facts: dict[str, Fact] = attrs.Factory(dict)
    reads: set[Cell] = attrs.Factory(set)

    def reason(self, clause: str) -> Reason:
        return Reason(clause, tuple(self.where.values()), tuple(self.facts.values()), frozenset(self.reads))

    def value(self, term: Term, env: Env) -> int:
        return evaluate(term, self.instance, self.state, env, self.after)

    def explain(self, term: Term, env: Env, names: Mapping[Term, str]) -> None:
        """Collect what makes the term have the value that it has; ``names`` are those of the variables in scope."""
        holds = bool(self.value(term, env))
        match term.op:
            case "not":
                self.explain(term.args[0], env, names)
            case "and" | "or":
                decisive = term.op == "or"
                if holds == decisive:
                    self.explain(next(a for a in term.args if bool(self.value(a, env)) == decisive), env, names)
                else:
                    for arg in term.args:
                        self.explain(arg, env, names)
            case "forall" | "exists" if holds == (term.op == "exists"):
                inner = next(e for e in self._points(term, env) if bool(self.value(term.args[0], e)) == holds)
                names = names_for(term.data, names)
                for variable in term.data:
                    name = names[variable]
                    self.where.setdefault(name, Fact(name, element(variable.sort, inner[variable])))
                self.explain(term.args[0], inner, names)
            case "eq" if term.args[0].sort is Bool:
                for arg in term.args:
                    self.explain(arg, env, names)
            case "lit":
                pass
            case _:
                self._atom(term, env)

    def _points(self, term: Term, env: Env) -> Iterator[Env]:
        ranges = [range(self.instance.size(v.sort)) for v in term.data]
        for point in itertools.product(*ranges):
            yield {**env, **dict(zip(term.data, point, strict=True))}

    def _atom(self, term: Term, env: Env) -> None:
        sides = [a for a in term.args if term.op in ("eq", "lt", "le") and a.op not in ("lit", "bound")]
        for part in sides or [term]:
            text = show(_at(part, env))
            self.facts.setdefault(text, Fact(text, self._name(part, env)))
        if term.op not in ("forall", "exists"):
            self._read(term, env)

    def _name(self, term: Term, env: Env) -> str:
        value = self.value(term, env)
        return element(term.sort, value) if issubclass(term.sort, Sort | Bool | Int) else str(value)

    def _read(self, term: Term, env: Mapping[Any, Any]) -> None:
        """Remember the cells under an atom."""
        if term.op == "apply":
            symbol, primed = term.data
            if symbol.name in self.instance.offsets:
                args = [self.value(arg, dict(env)) for arg in term.args]
                place = self.instance.offsets[symbol.name] + self.instance.index(symbol, args)
                self.reads.add((int(primed), place))
        for arg in term.args:
            self._read(arg, env)


def _at(term: Term, env: Mapping[Any, Any]) -> Term:
    """The term with elements in place of the variables that stand for them, to be shown."""
    if term.op == "bound":
        return _element(term.sort, element(term.sort, env[term])) if term in env else term  # type: ignore[arg-type]
    return term.sort(term.op, tuple(_at(arg, env) for arg in term.args), term.data) if term.args else term


@functools.cache
def _element(sort: type[Term], name: str) -> Term:
    """An element as a term, to be shown: one term, or it would be two of one name."""
    return sort("bound", (), (name, -1))
