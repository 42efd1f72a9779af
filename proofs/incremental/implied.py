"""What follows from what among disjuncts: which contradict themselves, and which hold only where another does.

Both are found by matching literals, so what is not found may still be so: nothing depends on it but the time it saves.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from mtpo.proofs.incremental.blocks import rename
from mtpo.proofs.incremental.disjuncts import Atom, Compare, Disjunct, Literal, Never, Operand, free

_Binding = dict[Any, Operand]

_MOST: Final = 2
"""Variables for which every one that is known is tried."""


def simplified(disjunct: Disjunct) -> Disjunct | None:
    """The same, with simpler inner quantifiers; None if it contradicts itself: an inner quantifier says that there is
    nothing of the kind of what the other literals speak of."""
    literals: list[Literal] = []
    for literal in disjunct.literals:
        if isinstance(literal, Never):
            inner = [d for each in literal.disjuncts if (d := simplified(_without_greatest(each))) is not None]
            literals += [Never(tuple(inner))] if inner else []
        else:
            literals.append(literal)
    found = Disjunct(disjunct.variables, _strict(dict.fromkeys(literals)))
    literals = list(found.literals)
    nevers = [x for x in literals if isinstance(x, Never)]
    if not nevers:
        return found
    known = _Known(literals)
    return None if any(known.holds(inner) for never in nevers for inner in never.disjuncts) else found


def comparisons(disjunct: Disjunct) -> list[Literal]:
    """What follows for the order of its elements: an inner quantifier says that there is nothing of a kind, and but for
    one comparison the other literals speak of just that. Beside the comparisons are definitions of what they read."""
    known, found = _Known(disjunct.literals), dict[Literal, None]()
    for inner in (d for x in disjunct.literals if isinstance(x, Never) for d in x.disjuncts):
        for x in (x for x in inner.literals if isinstance(x, Compare) and x.op in ("lt", "le")):
            rest = tuple(y for y in inner.literals if y != x)
            for binding in known.ways(Disjunct(inner.variables, rest)):
                said = rename(x, binding).negated()
                more = [rename(y, binding) for y in rest if isinstance(y, Atom) and binding.get(y.value) == y.value]
                names = known.names | {y.value for y in more}
                if said.left != said.right and all(free(y) <= names for y in (said, *more)):
                    found |= dict.fromkeys((*more, said))
    return [x for x in found if x not in disjunct.literals]


def follows(special: Disjunct, general: Disjunct) -> bool:
    """Whether the general one holds for some elements wherever the special one does."""
    return _Known(special.literals).holds(general)


def _strict(literals: Iterable[Literal]) -> tuple[Literal, ...]:
    """At most, and not the same, is less."""
    given = list(literals)
    for x in [x for x in given if isinstance(x, Compare) and x.op == "le"]:
        for apart in (Compare("ne", x.left, x.right), Compare("ne", x.right, x.left)):
            if apart in given:
                given = [y for y in given if y not in (x, apart)] + [Compare("lt", x.left, x.right)]
                break
    return tuple(dict.fromkeys(given))


def _without_greatest(disjunct: Disjunct) -> Disjunct:
    """That there is a ``w`` with ``P(w)``, and no ``x`` with ``P(x)`` above it, says that there is some ``w`` with
    ``P(w)``: there is a greatest one among finitely many."""
    if len(disjunct.variables) != 1:
        return disjunct
    name, sort = disjunct.variables[0]
    rest = [x for x in disjunct.literals if not isinstance(x, Never)]
    for never in (x for x in disjunct.literals if isinstance(x, Never) and len(x.disjuncts) == 1):
        inner = never.disjuncts[0]
        if len(rest) != len(disjunct.literals) - 1 or [s for _, s in inner.variables] != [sort]:
            continue
        other = inner.variables[0][0]
        for order in (Compare("lt", name, other), Compare("lt", other, name)):
            if order in inner.literals:
                same = [x for x in inner.literals if x != order]
                if _form((Disjunct(disjunct.variables, tuple(rest)),), {}) == _form(
                    (Disjunct(inner.variables, tuple(same)),), {}
                ):
                    return Disjunct(disjunct.variables, tuple(rest))
    return disjunct


@attrs.frozen
class _Places:
    """The literals of a disjunct, by kind."""

    atoms: Mapping[tuple[Any, ...], Sequence[Atom]]
    compares: frozenset[Compare]
    nevers: frozenset[Any]


class _Known:
    """What the literals of a disjunct say, to be asked whether it holds some instance of another."""

    def __init__(self, literals: Iterable[Literal]) -> None:
        self._same: dict[Any, Operand] = {}
        given = list(dict.fromkeys(literals))
        for x in given:
            if isinstance(x, Compare) and x.op == "eq":
                one, other = self._of(x.left), self._of(x.right)
                if one != other:
                    self._same = {k: other if v == one else v for k, v in self._same.items()} | {one: other}
        self.names = frozenset(name for x in given for name in free(x))
        atoms: dict[tuple[Any, ...], list[Atom]] = {}
        for x in given:
            if isinstance(x, Atom):
                atoms.setdefault(_kind(x), []).append(x)
        compares = (self._normal(x) for x in given if isinstance(x, Compare))
        nevers = (_form(x.disjuncts, self._same) for x in given if isinstance(x, Never))
        self._places = _Places(atoms, frozenset(compares), frozenset(nevers))

    def holds(self, pattern: Disjunct) -> bool:
        """Whether all literals of the pattern are among these, for some elements instead of its variables."""
        return any(True for _ in self.ways(pattern))

    def ways(self, pattern: Disjunct) -> Iterator[_Binding]:
        """These elements, in every way."""
        atoms = [x for x in pattern.literals if isinstance(x, Atom)]
        if any(_kind(x) not in self._places.atoms for x in atoms if x.value is None):
            return
        values = {x.value for x in atoms if isinstance(x.value, str)}
        own = pattern.names | values
        atoms = sorted(atoms, key=lambda x: x.value in values)
        rest = [x for x in pattern.literals if not isinstance(x, Atom)]
        for binding in self._matches(atoms, own, {}):
            for grown in self._completed(sorted(own - {*binding}), binding):
                if all(self._says(x, grown) for x in rest):
                    yield grown

    def _completed(self, names: Sequence[str], binding: _Binding) -> Iterator[_Binding]:
        """Variables of which no atom speaks may be any that are known."""
        if len(names) <= _MOST:
            for chosen in itertools.product(sorted(self.names), repeat=len(names)):
                yield {**binding, **dict(zip(names, chosen, strict=True))}

    def _matches(self, atoms: Sequence[Atom], own: frozenset[Any], binding: _Binding) -> Iterator[_Binding]:
        if not atoms:
            yield binding
            return
        first, *rest = atoms
        there_is = False
        for x in self._places.atoms.get(_kind(first), ()):
            grown: _Binding | None = binding
            pairs = [*zip(first.args, x.args, strict=True), *([] if x.value is None else [(first.value, x.value)])]
            for wanted, there in pairs:
                grown = None if grown is None else self._bound(wanted, there, own, grown)  # type: ignore[arg-type]
            if grown is not None:
                there_is = True
                yield from self._matches(rest, own, grown)
        value = first.value
        fixed = all(arg in binding or arg not in own for arg in first.args)
        if value is not None and value in own and value not in binding and fixed and not there_is:
            yield from self._matches(rest, own, {**binding, value: value})  # every application has a value

    def _bound(self, wanted: Operand, there: Operand, own: frozenset[Any], binding: _Binding) -> _Binding | None:
        if wanted in own and wanted not in binding:
            return {**binding, wanted: there}
        return binding if self._of(_put(wanted, binding)) == self._of(there) else None

    def _says(self, literal: Literal, binding: _Binding) -> bool:
        """Whether a comparison, or an inner quantifier, is among these, or always so."""
        if isinstance(literal, Never):
            return _form(literal.disjuncts, {k: self._of(v) for k, v in binding.items()} | self._same) in (
                self._places.nevers
            )
        x = self._normal(rename(literal, binding))
        if x.left == x.right:
            return x.op in ("eq", "le")
        more = {
            "ne": [Compare("lt", x.left, x.right), Compare("lt", x.right, x.left)],
            "le": [Compare("lt", x.left, x.right)],
        }
        return any(y in self._places.compares for y in (x, *more.get(x.op, ())))

    def _of(self, operand: Operand) -> Operand:
        return self._same.get(operand, operand)

    def _normal(self, x: Compare) -> Compare:
        return _ordered(Compare(x.op, self._of(x.left), self._of(x.right)))


def _kind(atom: Atom) -> tuple[Any, ...]:
    return atom.symbol, atom.primed, atom.positive, atom.value is None, len(atom.args)


def _put(operand: Operand, binding: Mapping[Any, Operand]) -> Operand:
    if isinstance(operand, tuple):
        return (operand[0], _put(operand[1], binding), _put(operand[2], binding))
    return binding.get(operand, operand)


def _ordered(x: Compare) -> Compare:
    return Compare(x.op, x.right, x.left) if x.op in ("eq", "ne") and str(x.left) > str(x.right) else x


def _form(found: Sequence[Disjunct], names: Mapping[Any, Operand]) -> Any:
    """Disjuncts without the names of their own variables, which get numbers as they appear."""
    out = []
    for disjunct in found:
        own: dict[Any, Any] = {}
        atoms = [x for x in disjunct.literals if isinstance(x, Atom)]
        mine = disjunct.names | {x.value for x in atoms if isinstance(x.value, str)}
        for x in disjunct.literals:
            for name in sorted(free(x) & mine) if not isinstance(x, Atom) else [*x.args, x.value]:
                if name in mine:
                    own.setdefault(name, f"#{len(own)}")
        inner = {**names, **own}
        literals = [
            _form(x.disjuncts, inner) if isinstance(x, Never) else _form_of(rename(x, inner)) for x in disjunct.literals
        ]
        out.append((tuple(own.get(n) for n, _ in disjunct.variables), frozenset(literals)))
    return frozenset(out)


def _form_of(literal: Literal) -> Literal:
    return _ordered(literal) if isinstance(literal, Compare) else literal
