"""Formulas as searches: when a formula is false (or true), for which elements, as joins of flat atoms.

``exists x. A & B | C`` becomes two *disjuncts*, each a set of variables to be found and literals they must satisfy.
Literals are flat: in ``committed(author(c))`` the inner application gets a variable of its own, ``author(c) = v``,
``committed(v)``; so a change of one cell of the state says at once which elements it can concern, and an index can be
asked in either direction. A quantifier that goes against the others stays inside, as a literal: no instance of these.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import attrs

from mtpo.spec.language import Sort, Term
from mtpo.spec.language.terms import Bool

Operand = str | int | tuple[str, Any, Any]
"""A variable by its name, a number, or an arithmetic expression of two operands."""

MOST: Final = 4096
"""Disjuncts of one formula."""

_NEGATED: Final = {"eq": "ne", "ne": "eq", "lt": "le", "le": "lt"}


class TooManyDisjuncts(ValueError):
    """A formula that has no reasonable disjunctive form: the message shows its beginning."""


@attrs.frozen
class Atom:
    """``symbol(args)``, or of a function ``symbol(args) = value``. ``symbol`` begins with ``c_`` (constant), ``s_``
    (state), or ``p_`` (parameter of an action); ``primed`` is its value after the step."""

    symbol: str
    primed: bool
    args: tuple[Operand, ...]
    value: Operand | None = None
    positive: bool = True

    @property
    def rigid(self) -> bool:
        """Its value never changes."""
        return not self.symbol.startswith("s_")


@attrs.frozen
class Compare:
    """``left op right``; ``op`` is eq, ne, lt or le."""

    op: str
    left: Operand
    right: Operand

    def negated(self) -> Compare:
        """The contrary, in a total order."""
        if self.op in ("lt", "le"):
            return Compare(_NEGATED[self.op], self.right, self.left)
        return Compare(_NEGATED[self.op], self.left, self.right)


@attrs.frozen
class Never:
    """No instance of any of these disjuncts."""

    disjuncts: tuple[Disjunct, ...]


Literal = Atom | Compare | Never


@attrs.frozen
class Disjunct:
    """``variables``, with their sorts, for which all ``literals`` hold."""

    variables: tuple[tuple[str, type[Term]], ...]
    literals: tuple[Literal, ...]

    @property
    def names(self) -> frozenset[str]:
        """The variables to be found."""
        return frozenset(name for name, _ in self.variables)


def name_of(variable: Term) -> str:
    """The name of a bound variable in a search: unique."""
    return f"{variable.data[0]}_{variable.data[1]}"


def names_in(operand: Operand | None) -> Iterator[str]:
    """The variables in an operand."""
    if isinstance(operand, str):
        if not operand.startswith("K__"):  # a constant without arguments
            yield operand
    elif isinstance(operand, tuple):
        yield from names_in(operand[1])
        yield from names_in(operand[2])


@functools.lru_cache(maxsize=1 << 14)
def free(literal: Literal) -> frozenset[str]:
    """The variables of a literal, the function parameters that it reads among them."""
    if isinstance(literal, Never):
        return frozenset().union(*(free_of(d) for d in literal.disjuncts))
    if isinstance(literal, Compare):
        return frozenset((*names_in(literal.left), *names_in(literal.right)))
    inner = {name for operand in (*literal.args, literal.value) for name in names_in(operand)}
    return frozenset(inner | ({literal.symbol} if literal.symbol.startswith("p_") else set()))


def free_of(disjunct: Disjunct) -> frozenset[str]:
    """The variables that must be known before the search: all but its own, and those of inner applications."""
    own = disjunct.names | {a.value for a in disjunct.literals if isinstance(a, Atom) and isinstance(a.value, str)}
    given = frozenset().union(*(free(literal) for literal in disjunct.literals))
    return frozenset(name for name in given if name not in own)


# -- disjunctive form ----------------------------------------------------------------------------------------------

_Raw = tuple[tuple[Term, ...], tuple[tuple[Term, bool] | Never, ...]]


def disjuncts(term: Term, positive: bool = True, *more: tuple[Term, bool]) -> tuple[Disjunct, ...]:
    """The ways in which a formula is true (or false), each a search; ``more`` literals in each of them."""
    rows = _dnf(term, positive)
    for extra, sign in more:
        rows = _product(rows, _dnf(extra, sign))
    found = (_flat(variables, literals) for variables, literals in rows)
    return tuple(d for d in found if d is not None)


def _dnf(term: Term, positive: bool) -> list[_Raw]:
    match term.op:
        case "lit":
            return [((), ())] if bool(term.data) == positive else []
        case "not":
            return _dnf(term.args[0], not positive)
        case "and" | "or":
            parts = [_dnf(arg, positive) for arg in term.args]
            if (term.op == "and") != positive:
                return [row for rows in parts for row in rows]
            found: list[_Raw] = [((), ())]
            for rows in parts:
                found = _product(found, rows)
            return found
        case "ite":
            condition, then, otherwise = term.args
            return [
                *_product(_dnf(condition, True), _dnf(then, positive)),
                *_product(_dnf(condition, False), _dnf(otherwise, positive)),
            ]
        case "eq" if term.args[0].sort is Bool:
            left, right = term.args
            return [
                *_product(_dnf(left, True), _dnf(right, positive)),
                *_product(_dnf(left, False), _dnf(right, not positive)),
            ]
        case "forall" | "exists":
            body = term.args[0]
            if (term.op == "exists") == positive:
                return [((*term.data, *inner), literals) for inner, literals in _dnf(body, positive)]
            never = disjuncts(body, not positive)
            inner = tuple(
                Disjunct((*((name_of(v), v.sort) for v in term.data), *d.variables), d.literals) for d in never
            )
            return [((), (Never(inner),))] if inner else [((), ())]
    split = _first_choice(term)
    if split is not None:
        condition, then, otherwise = split
        return [
            *_product(_dnf(condition, True), _dnf(then, positive)),
            *_product(_dnf(condition, False), _dnf(otherwise, positive)),
        ]
    return [((), ((term, positive),))]


def _product(left: Iterable[_Raw], right: Iterable[_Raw]) -> list[_Raw]:
    found = [
        (tuple({id(x): x for x in (*v, *w)}.values()), (*a, *b)) for (v, a), (w, b) in itertools.product(left, right)
    ]
    if len(found) > MOST:
        raise TooManyDisjuncts(f"a formula with more than {MOST} cases; write it as several properties")
    return found


def _first_choice(term: Term) -> tuple[Term, Term, Term] | None:
    """An ``ite`` inside an atom, or an argument that is a formula: the condition, and the atom in both cases."""
    for place, arg in enumerate(term.args):
        inner: tuple[Term, Term, Term] | None = None
        if arg.op == "ite":
            inner = (arg.args[0], arg.args[1], arg.args[2])
        elif arg.sort is Bool and arg.op not in ("lit", "bound"):
            inner = (arg, Bool("lit", (), True), Bool("lit", (), False))
        else:
            inner = _first_choice(arg)
        if inner is not None:
            cases = [
                type(term)(term.op, (*term.args[:place], t, *term.args[place + 1 :]), term.data) for t in inner[1:]
            ]
            return inner[0], cases[0], cases[1]
    return None


# -- flat atoms ----------------------------------------------------------------------------------------------------


def symbol_of(term: Term) -> str:
    """The name of the symbol of an application, with its kind."""
    symbol = term.data[0]
    return f"{ {'const': 'c', 'var': 's', 'param': 'p'}[symbol.kind] }_{symbol.name}"


_numbers = itertools.count()


class Flattener:
    """Takes applications out of atoms; equal ones get the same variable."""

    def __init__(self) -> None:
        self.atoms: dict[Atom, str] = {}

    def operand(self, term: Term) -> Operand:
        """A term as an operand."""
        match term.op:
            case "lit":
                return int(term.data)
            case "bound":
                return name_of(term)
            case "add" | "sub" | "mul":
                return (term.op, self.operand(term.args[0]), self.operand(term.args[1]))
        symbol = term.data[0]
        if symbol.kind == "const" and not symbol.domain:
            return f"K__{symbol.name}"
        atom = Atom(symbol_of(term), term.data[1], tuple(self.operand(arg) for arg in term.args))
        if atom not in self.atoms:
            self.atoms[atom] = f"v{next(_numbers)}"
        return self.atoms[atom]

    def literal(self, term: Term, positive: bool) -> Literal:
        """A literal, whose inner applications are in ``atoms`` afterwards."""
        if term.op in ("eq", "lt", "le"):
            found = Compare(term.op, self.operand(term.args[0]), self.operand(term.args[1]))
            return found if positive else found.negated()
        if term.op == "bound" or (not term.data[0].domain and term.data[0].kind == "const"):
            return Compare("ne" if positive else "eq", self.operand(term), 0)
        return Atom(symbol_of(term), term.data[1], tuple(self.operand(arg) for arg in term.args), None, positive)

    def definitions(self) -> list[Atom]:
        """What the variables of the inner applications stand for."""
        return [attrs.evolve(atom, value=name) for atom, name in self.atoms.items()]


def _flat(variables: Iterable[Term], literals: Iterable[tuple[Term, bool] | Never]) -> Disjunct | None:
    flat, found = Flattener(), dict[Literal, None]()
    for literal in literals:
        found.setdefault(literal if isinstance(literal, Never) else flat.literal(*literal))
    return consistent(Disjunct(tuple((name_of(v), v.sort) for v in variables), (*found, *flat.definitions())))


def consistent(disjunct: Disjunct) -> Disjunct | None:
    """The disjunct without what is always so; None when it contradicts itself."""
    kept: dict[Literal, None] = {}
    for literal in disjunct.literals:
        if isinstance(literal, Compare):
            left, right = literal.left, literal.right
            same = left == right
            if same or (isinstance(left, int) and isinstance(right, int)):
                test: Callable[[Any, Any], bool] = _TESTS[literal.op]
                if same and not isinstance(left, int):
                    left = right = 0
                if not test(left, right):
                    return None
                continue
            if literal.negated() in kept:
                return None
        elif isinstance(literal, Atom) and attrs.evolve(literal, positive=not literal.positive) in kept:
            return None
        kept.setdefault(literal)
    return Disjunct(disjunct.variables, tuple(kept))


_TESTS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
}


def is_element(sort: type[Term]) -> bool:
    """Whether the sort has numbered elements, so that it can be searched through."""
    return sort is Bool or issubclass(sort, Sort)


def inner_atoms(never: Never) -> Iterator[tuple[Atom, tuple[Literal, ...], Disjunct | None]]:
    """The atoms inside, each with the rigid literals beside it, by which its elements are tied to those outside, and
    with all that is beside it, if that is not inside another quantifier."""
    for disjunct in never.disjuncts:
        moving = {a.value for a in disjunct.literals if isinstance(a, Atom) and not a.rigid and a.value is not None}
        ties = tuple(
            literal
            for literal in disjunct.literals
            if not isinstance(literal, Never)
            and not (isinstance(literal, Atom) and not literal.rigid)
            and not free(literal) & moving
        )
        for literal in disjunct.literals:
            if isinstance(literal, Never):
                yield from ((atom, (*ties, *more), None) for atom, more, _ in inner_atoms(literal))
            elif isinstance(literal, Atom) and not literal.rigid:
                yield literal, ties, disjunct
