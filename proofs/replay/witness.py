"""For which elements a guard clause is false, and by which facts, in the names of a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs

from mtpo.proofs.incremental.blocks import TAB
from mtpo.proofs.incremental.catalogue import Catalogue
from mtpo.proofs.incremental.compiling import Compiler
from mtpo.proofs.incremental.disjuncts import Atom, Compare, Disjunct, Literal, Never, Operand, disjuncts, free, name_of
from mtpo.proofs.incremental.incremental import Incremental
from mtpo.proofs.replay.numbering import OF_AGENTS, SLICED, Numbering, Taken
from mtpo.spec.language import Action, Clause, Term, show
from mtpo.spec.language.terms import Function, names_for
from mtpo.spec.mtpo import Agent, Call

_SIGNS: Final = {"eq": "=", "ne": "!=", "lt": "<", "le": "<="}
_OPENING: Final = frozenset({"call", "retract"})
"""Steps that open a repair, of calls to undo."""


@attrs.frozen
class Instance:
    """A clause is false for ``values`` of its variables, and of the action's parameters: all literals are true."""

    clause: Clause
    found: Disjunct
    values: Mapping[str, int]

    @property
    def lacking(self) -> list[tuple[str, str]]:
        """What a relation among the arguments would have to hold of: the parameter's symbol, the variable."""
        atoms = [x for x in self.found.literals if isinstance(x, Atom) and x.symbol.startswith("p_")]
        return [
            (x.symbol, x.args[0])
            for x in atoms
            if x.value is None and not x.positive and isinstance(x.args[0], str) and x.args[0] in self.values
        ]

    @property
    def of_arguments(self) -> bool:
        """Whether it is false because of an argument that is a function."""
        return any(name.startswith("p_") for x in self.found.literals for name in free(x))


class Finder:
    """Finds the elements for which a clause of an action is false."""

    def __init__(self, spec: Incremental, action: Action, clause: Clause) -> None:
        self.action, self.clause = action, clause
        self.disjuncts = disjuncts(clause.formula, False)
        self.catalogue: Catalogue = spec.program.catalogue
        compiler = Compiler(spec.spec, tuple(SLICED.items()), catalogue=self.catalogue)
        params, before = self.catalogue.parameters(action), len(self.catalogue.source)
        out = [f"def witness({', '.join(params)}):"]
        for place, given in enumerate(self.disjuncts):
            found = self.catalogue.given(given)
            if found is None:
                continue
            named = found.names & {name for x in found.literals for name in free(x)}
            lines = compiler.search(found, params, lambda place=place: [f"return {place}, locals()"], sorted(named))  # type: ignore[misc]
            out += [f"{TAB}{line}" for line in lines]
        text = "\n".join([*self.catalogue.source[before:], *out, f"{TAB}return None"])
        self._find: Callable[..., tuple[int, dict[str, int]] | None] = spec.define(text, "witness")

    def find(self, args: tuple[Any, ...]) -> Instance | None:
        """The elements for which it is false of these arguments, in the state as it is; None if it is true."""
        found = self._find(*args)
        return None if found is None else Instance(self.clause, self.disjuncts[found[0]], found[1])

    @property
    def formula(self) -> str:
        """The clause as text, in the names of the action's parameters."""
        return show(self.clause.formula, names_for(self.action.elements))

    @property
    def names(self) -> Mapping[str, str]:
        """What the variables of a search are called in that text."""
        return dict(_names(self.clause.formula, names_for(self.action.elements)))

    @property
    def _own(self) -> dict[str, type[Term]]:
        """The action's parameters that are elements, with their sorts."""
        return {name_of(p): p.sort for p in self.action.params if not isinstance(p, Function)}

    def elements(self, found: Instance) -> dict[str, type[Term]]:
        """The variables of an instance that stand for elements of their own, with their sorts."""
        valued = {str(x.value) for x in found.found.literals if isinstance(x, Atom) and x.value is not None}
        sorts = self._own | dict(found.found.variables)
        return {name: sort for name, sort in sorts.items() if name in found.values and name not in valued}

    def numbers(self, found: Instance, sort: type[Term]) -> set[int]:
        """The elements of a sort in an instance."""
        valued = {
            str(x.value): self.catalogue.signatures[x.symbol].range
            for x in found.found.literals
            if isinstance(x, Atom) and x.value is not None
        }
        sorts = self.elements(found) | {name: of for name, of in valued.items() if name in found.values}
        return {found.values[name] for name, of in sorts.items() if of is sort}


def _names(term: Term, names: Mapping[Term, str]) -> Iterator[tuple[str, str]]:
    """The variables of a formula, those in scope first, as they are called in a search and where it is shown."""
    if term.op in ("forall", "exists"):
        names = names_for(term.data, names)
    yield from ((name_of(variable), name) for variable, name in names.items())
    for arg in term.args:
        yield from _names(arg, names)


def named(numbering: Numbering, step: Taken) -> str:
    """A step in the names of the log."""
    if not step[1]:
        return step[0]
    sort = Agent if step[0] in OF_AGENTS else Call
    who = numbering.element(sort, step[1][0])
    if sort is Agent:
        return f"{step[0]} of rank {who}"
    members = ", ".join(map(numbering.key, sorted(step[1][1]))) if step[0] in _OPENING else ""
    return f"{step[0]} {who} with members {members}" if members else f"{step[0]} {who}"


def told(numbering: Numbering, finder: Finder, found: Instance) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The elements, and the facts, of an instance."""
    values, literals, signatures = found.values, found.found.literals, finder.catalogue.signatures
    sorts = finder.elements(found)
    own = {x.value: x for x in literals if isinstance(x, Atom) and x.value is not None}
    of_values = {str(name): signatures[atom.symbol].range for name, atom in own.items()}
    names = finder.names
    elements = tuple((names[name], numbering.element(sort, values[name])) for name, sort in sorts.items())

    def shown(operand: Operand) -> str:
        if isinstance(operand, str) and operand in own:
            atom = own[operand]
            text = f"{atom.symbol[2:]}({', '.join(map(shown, atom.args))})"
            return text if operand not in values else f"{text} ({element(operand)})"
        return element(operand)

    def element(operand: Operand) -> str:
        known = sorts | of_values
        if isinstance(operand, str) and operand in values and operand in known:
            return numbering.element(known[operand], values[operand])
        return "the initial state" if operand == "K__origin" else str(operand).removeprefix("K__")

    facts = [text for x in literals if x not in own.values() and (text := fact(x, shown, element))]
    return elements, tuple(dict.fromkeys(facts))


def fact(literal: Literal, shown: Callable[[Operand], str], element: Callable[[Operand], str]) -> str:
    """A literal as text; empty for what would say nothing."""
    if isinstance(literal, Never):
        return ""
    if isinstance(literal, Compare):
        if literal.op == "eq" and literal.right == 0 and isinstance(literal.left, str) and literal.left[:3] == "K__":
            return f"not {literal.left[3:]}"
        return f"{shown(literal.left)} {_SIGNS[literal.op]} {shown(literal.right)}"
    args = f"({', '.join(map(element, literal.args))})" if literal.args else ""
    return f"{'' if literal.positive else 'not '}{literal.symbol[2:]}{args}"


__all__ = ["Finder", "Instance", "named", "told"]
