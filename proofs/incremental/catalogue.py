"""What searches of one spec share: its symbols, and what is kept so that elements are found at once.

An *index* holds the elements for which some literals hold, by the values of the others; a *derived relation* holds of
elements for which two applications differ. Code that reads a cell of the state is made here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from mtpo.proofs.incremental.blocks import rename, without_idle
from mtpo.proofs.incremental.disjuncts import Atom, Compare, Disjunct, Literal, Never, Operand, consistent, name_of
from mtpo.proofs.incremental.relations import Rising, Rows
from mtpo.spec.language import Action, Spec, Term
from mtpo.spec.language.terms import Bool, Function, Int

OPERATORS: Final = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "add": "+", "sub": "-", "mul": "*"}
_LOCAL: Final = re.compile(r"\b(?:[^\W\d]\w*_\d+|v\d+)\b")


def code(operand: Operand) -> str:
    """An operand as an expression."""
    if isinstance(operand, tuple):
        return f"({code(operand[1])} {OPERATORS[operand[0]]} {code(operand[2])})"
    return str(operand)


Moved = frozenset[tuple[str, bool]]
"""Symbols that a step can have changed; of relations, to what."""

STILL: Final[Moved] = frozenset()


def within(moved: Moved, *read: Iterable[str]) -> Moved:
    """Of what can have changed, what is read."""
    every = frozenset().union(*read)
    return frozenset((symbol, sign) for symbol, sign in moved if symbol in every)


@attrs.frozen
class Signature:
    """Sorts of the arguments and of the value of a symbol; ``derived`` if it is an index that looks like a relation."""

    domain: tuple[type[Term], ...]
    range: type[Term]
    derived: bool = False

    @property
    def relation(self) -> bool:
        """Its values are true and false."""
        return self.range is Bool


@attrs.frozen
class Index:
    """The elements ``x`` for which all ``atoms`` hold, by the values of ``k0``, ``k1``, ..."""

    name: str
    atoms: tuple[Atom, ...]
    keys: int
    size: str = ""
    """How many keys there can be, if that is little; it is a list then, of what is empty at first, else a mapping."""

    def get(self, keys: Sequence[str]) -> str:
        """The elements for a key, as code."""
        return f"{self.name}[{key_code(keys)}]" if self.size else f"{self.name}.get({key_code(keys)}, E)"

    @property
    def rigid(self) -> bool:
        """It never changes."""
        return all(atom.rigid for atom in self.atoms)

    @property
    def key(self) -> str:
        """The key as code, of variables k0, k1, ..."""
        return key_code([f"k{i}" for i in range(self.keys)])


@attrs.frozen
class Derived:
    """The relation ``left != right`` of elements ``f0``, ``f1``, ..., both being applications whose innermost ones are
    to all of these, or one a constant. ``literals`` say what the variables of ``differ`` are."""

    symbol: str
    literals: tuple[Literal, ...]
    differ: Compare
    arity: int


def key_code(keys: Sequence[str]) -> str:
    """The key of an index as code."""
    return "0" if not keys else keys[0] if len(keys) == 1 else f"({', '.join(keys)})"


def size_name(sort: type[Term]) -> str:
    """The global variable that holds how many elements a sort has."""
    return "2" if sort is Bool else f"n_{sort.__name__}"


def stride_name(sort: type[Term]) -> str:
    """The global variable that holds how far apart the places of cells are whose arguments before one of that sort
    differ by one: at least the size."""
    return "2" if sort is Bool else f"m_{sort.__name__}"


class Catalogue:
    """What searches of one spec share: symbols, indexes, derived relations, and functions for inner quantifiers.

    ``sliced`` names variables of which only the arguments in a constant relation are kept: nothing else reads them.
    ``narrow`` names constant relations that hold of few elements, as the argument of that number, for given others, and
    variables that have a value for few, or hold of few. ``fixed`` are constants whose value is known when searches are
    made: None is a relation that holds of nothing. ``forms`` says which constants
    are given by rows, or never fall (:mod:`mtpo.proofs.incremental.relations`).
    """

    def __init__(
        self,
        spec: Spec,
        sliced: Mapping[str, str],
        narrow: Mapping[str, int] | None = None,
        fixed: Mapping[str, int | None] | None = None,
        forms: Mapping[str, str] | None = None,
    ) -> None:
        symbols: list[Function[Any]] = [*spec.constants.values(), *spec.variables.values()]
        self.signatures = {
            f"{'c' if f.kind == 'const' else 's'}_{f.name}": Signature(f.domain, f.range) for f in symbols
        }
        self.sorts = [sort.__name__ for sort in spec.sorts]
        self.sliced = {f"s_{name}": f"c_{relation}" for name, relation in sliced.items()}
        self.narrow = {f"{'c' if name in spec.constants else 's'}_{name}": at for name, at in (narrow or {}).items()}
        self.numbers = {f"K__{name}": value for name, value in (fixed or {}).items() if value is not None}
        self.nothing = frozenset(f"c_{name}" for name, value in (fixed or {}).items() if value is None)
        self.rows, self.rising = (
            frozenset(f"c_{name}" for name, form in (forms or {}).items() if form == wanted)
            for wanted in (Rows.__name__, Rising.__name__)
        )
        self.defaults: dict[str, Callable[[Sequence[str]], str]] = {}
        self.indexes: dict[tuple[Atom, ...], Index] = {}
        self.inverses: dict[tuple[str, str], str] = {}
        """Of a function and a constant relation of the same arguments: the places, where it holds, by value."""
        self.derived: dict[tuple[str, ...], Derived] = {}
        self.functions: dict[tuple[Any, ...], str] = {}
        self.tests: dict[str, str] = {}
        """Functions that are one test, as the test."""
        self.source: list[str] = []
        self.ordered: set[str] = set()
        """The indexes of which a search wants the elements between bounds: sorted lists; the others are sets."""
        self.places: dict[tuple[tuple[type[Term], ...], tuple[str, ...]], str] = {}
        """Places that have a name in the code being made, by sorts and arguments."""

    def few(self, symbol: str) -> bool:
        """Whether a derived relation holds of few elements: of those for which a narrow variable has a value."""
        return any(
            d.symbol == symbol and {a.symbol for a in d.literals if isinstance(a, Atom)} <= {*self.narrow}
            for d in self.derived.values()
        )

    def apart(self, blocks: Iterable[Sequence[str]], shared: Iterable[str] = ()) -> list[str]:
        """The lines of all blocks, in each of which variables have names of their own, but for the ``shared``."""
        known = (
            {*shared}
            | {f"{p}_{name[2:]}" for name in self.signatures for p in "acchs"}
            | {f"{p}_{s}" for s in self.sorts for p in "nm"}
        )
        out: list[str] = []
        for number, block in enumerate(blocks):

            def other(found: re.Match[str], number: int = number) -> str:
                return found[0] if found[0] in known else f"{found[0]}_{number}"

            out += [_LOCAL.sub(other, line) for line in block]
        return out

    def pairs(self, relation: str) -> str:
        """What a constant relation that is given by rows holds of, as code."""
        return f"pairs(e_{self.signatures[relation].domain[0].__name__}, {relation})"

    def holds(self, relation: str, symbol: str, place: str) -> str:
        """Whether a constant relation holds of the arguments of a cell, of its place."""
        if relation in self.rows:
            return self.read(relation, self.unplace(symbol, place))
        return f"{place} in {relation}"

    def row(self, index: Index) -> str:
        """The relation whose rows an index is, if it is one's."""
        first = index.atoms[0]
        plain = len(index.atoms) == 1 and first.positive and first.args == ("k0", "x")
        return first.symbol if plain and first.symbol in self.rows else ""

    def parameters(self, action: Action) -> list[str]:
        """The parameters of an action by name; from now on its function parameters are known by these."""
        for f in action.functions:
            self.signatures[f"p_{f.name}"] = Signature(f.domain, f.range)
        return [f"p_{p.name}" if isinstance(p, Function) else name_of(p) for p in action.params]

    # -- reading the state -------------------------------------------------------------------------------------

    def place(self, symbol: str, args: Sequence[str]) -> str:
        """The place of a cell as code."""
        domain = self.signatures[symbol].domain
        if not args:
            return "0"
        if (domain, tuple(args)) in self.places:
            return self.places[domain, tuple(args)]
        text = args[0]
        for sort, arg in zip(domain[1:], args[1:], strict=True):
            text = f"({text})*{stride_name(sort)}+{arg}" if "*" in text else f"{text}*{stride_name(sort)}+{arg}"
        return text

    def unplace(self, symbol: str, place: str) -> list[str]:
        """The arguments of a cell as code, of its place."""
        domain = self.signatures[symbol].domain
        found: list[str] = []
        stride = ""
        for number, sort in reversed(list(enumerate(domain))):
            whole = f"{place}//({stride})" if stride else place
            found.append(whole if number == 0 else f"{whole}%{stride_name(sort)}")
            stride = f"{stride}*{stride_name(sort)}" if stride else stride_name(sort)
        return found[::-1]

    def read(self, symbol: str, args: Sequence[str], old: bool = False) -> str:
        """The value of a cell as code; ``old``: before the step that was just taken."""
        if symbol in self.rows:
            return f"({args[1]} in {symbol}[{args[0]}])"
        signature, place = self.signatures[symbol], self.place(symbol, args)
        if symbol.startswith("p_"):
            return f"({place} in {symbol})" if signature.relation else f"{symbol}.get({place}, 0)"
        if len(signature.domain) < 2 or (symbol.startswith("c_") and not signature.relation):
            now = f"{symbol}[{place}]"
        elif signature.relation:
            now = f"({place} in {symbol})"
        else:
            now = f"{symbol}.get({place}, {self.defaults[symbol](args)})"
        return f"h{symbol[1:]}.get({place}, {now})" if old and symbol.startswith("s_") else now

    # -- preparing searches ------------------------------------------------------------------------------------

    def given(self, disjunct: Disjunct) -> Disjunct | None:
        """The disjunct with the constants whose values are known; None when these contradict it."""
        if not self.numbers and not self.nothing and not self.rising:
            return disjunct
        kept: list[Literal] = []
        for literal in disjunct.literals:
            if isinstance(literal, Never):
                inner = tuple(d for each in literal.disjuncts if (d := self.given(each)) is not None)
                if any(not d.literals and not d.variables for d in inner):
                    return None
                kept += [Never(inner)] if inner else []
            elif isinstance(literal, Atom) and literal.symbol in self.nothing and literal.value is None:
                if literal.positive:
                    return None
            else:
                kept.append(rename(literal, self.numbers))
        risen = self.risen(kept)
        return None if risen is None else consistent(Disjunct(disjunct.variables, tuple(without_idle(risen, ()))))

    def risen(self, literals: Sequence[Literal]) -> list[Literal] | None:
        """The literals by what is known of functions that never fall: what one gives a later element is no less, and
        the same if it is no greater. None if they say that it is less."""
        compares = [x for x in literals if isinstance(x, Compare)]
        args: dict[Operand | None, set[Operand]] = {}
        for a in (x for x in literals if isinstance(x, Atom) and x.symbol in self.rising):
            same = [{x.left, x.right} for x in compares if x.op == "eq" and a.value in (x.left, x.right)]
            for value in {a.value}.union(*same):
                args.setdefault(value, set()).add(a.args[0])
        later = {(x.right, x.left) for x in compares if x.op in ("lt", "le")}

        def falls(x: Literal) -> bool:
            sides = (args.get(side, ()) for side in (x.left, x.right)) if isinstance(x, Compare) else ()
            return not later.isdisjoint(itertools.product(*sides))

        if any(x.op == "lt" and falls(x) for x in compares):
            return None
        return [Compare("eq", x.left, x.right) if x in compares and x.op == "le" and falls(x) else x for x in literals]

    def prepared(self, disjunct: Disjunct, needs: Iterable[str] = ()) -> Disjunct:
        """The disjunct with what slicing adds, derived relations where they serve, and no idle definitions."""
        literals: dict[Literal, None] = dict.fromkeys(disjunct.literals)
        for literal in disjunct.literals:
            if isinstance(literal, Atom) and literal.symbol in self.sliced:
                literals.setdefault(Atom(self.sliced[literal.symbol], False, literal.args))
        found = list(literals)
        for literal in list(found):
            if isinstance(literal, Compare) and literal.op == "ne":
                relation = self._derive(literal, found) or self._unlike(literal, found)
                if relation is not None:
                    found[found.index(literal)] = relation
        return Disjunct(disjunct.variables, tuple(without_idle(found, needs)))

    def _derive(self, differ: Compare, literals: Sequence[Literal]) -> Atom | None:
        defined = {a.value: a for a in literals if isinstance(a, Atom) and isinstance(a.value, str)}
        sides = (differ.left, differ.right)
        if not all(isinstance(side, str) and side in defined for side in sides):
            return None
        chain, innermost = dict[Atom, None](), []
        work: list[Operand] = list(sides)
        while work:
            operand = work.pop()
            atom = defined.get(operand) if isinstance(operand, str) else None
            if atom is None or atom in chain:
                continue
            if any(isinstance(arg, tuple) for arg in atom.args) or atom.symbol.startswith("p_"):
                return None
            chain[atom] = None
            work += atom.args
            if not atom.rigid and not any(arg in defined for arg in atom.args):
                innermost.append(atom)
        bases = dict.fromkeys(
            arg for a in chain for arg in a.args if arg not in defined and isinstance(arg, str) and arg[:3] != "K__"
        )
        modes = {atom.primed for atom in chain if not atom.rigid}
        if len(bases) < 2 or len(modes) != 1 or not innermost or any(not bases.keys() <= {*a.args} for a in innermost):
            return None
        order = [arg for arg in min(innermost, key=lambda a: a.symbol).args if arg in bases]
        if len(set(order)) != len(order):
            return None
        names: dict[Any, str] = {base: f"f{i}" for i, base in enumerate(order)}

        def shown(operand: Operand) -> str:
            atom = defined.get(operand) if isinstance(operand, str) else None
            if atom is None:
                return names.get(operand, str(operand))
            return f"{atom.symbol}({', '.join(map(shown, atom.args))})"

        key = tuple(sorted(map(shown, sides)))
        if key not in self.derived:
            symbol = f"s_differ{len(self.derived)}"
            names |= {atom.value: f"g{i}" for i, atom in enumerate(chain)}
            inner = [rename(attrs.evolve(atom, primed=False), names) for atom in chain]
            slices = [Atom(self.sliced[a.symbol], False, a.args) for a in inner if a.symbol in self.sliced]
            changed = Compare("ne", names[differ.left], names[differ.right])
            sample = min(innermost, key=lambda a: a.symbol)
            sorts = dict(zip(sample.args, self.signatures[sample.symbol].domain, strict=True))
            self.signatures[symbol] = Signature(tuple(sorts[base] for base in order), Bool, derived=True)
            self.derived[key] = Derived(symbol, tuple(dict.fromkeys((*inner, *slices))), changed, len(order))
        return Atom(self.derived[key].symbol, modes.pop(), tuple(order))

    def _unlike(self, differ: Compare, literals: Sequence[Literal]) -> Atom | None:
        """The relation of elements for which a variable has another value than a constant."""
        for value, constant in ((differ.left, differ.right), (differ.right, differ.left)):
            if not (isinstance(constant, int) or (isinstance(constant, str) and constant[:3] == "K__")):
                continue
            for atom in literals:
                if not isinstance(atom, Atom) or atom.value != value or not atom.symbol.startswith("s_"):
                    continue
                order = [arg for arg in atom.args if isinstance(arg, str) and arg[:3] != "K__"]
                if not order or len(order) != len(atom.args) or len(set(order)) != len(order):
                    continue
                key = (atom.symbol, str(constant))
                if key not in self.derived:
                    symbol, elements = f"s_differ{len(self.derived)}", tuple(f"f{i}" for i in range(len(order)))
                    self.signatures[symbol] = Signature(self.signatures[atom.symbol].domain, Bool, derived=True)
                    sliced = [Atom(self.sliced[atom.symbol], False, elements)] if atom.symbol in self.sliced else []
                    read = (Atom(atom.symbol, False, elements, "g0"), *sliced)
                    self.derived[key] = Derived(symbol, read, Compare("ne", "g0", constant), len(order))
                return Atom(self.derived[key].symbol, atom.primed, tuple(order))
        return None

    # -- indexes and functions ---------------------------------------------------------------------------------

    def index(self, subject: str, atoms: Sequence[Atom]) -> tuple[Index, list[Operand]]:
        """The index of a variable by literals whose other operands are known; and these, which are the key."""
        form = sorted(atoms, key=lambda a: (a.symbol, a.positive, tuple(arg == subject for arg in a.args)))
        keys: dict[Operand, str] = {}
        shape = []
        for atom in form:
            operands = [*atom.args] + ([] if atom.value is None else [atom.value])
            named = ["x" if o == subject else keys.setdefault(o, f"k{len(keys)}") for o in operands]
            value = None if atom.value is None else named.pop()
            own = Atom(atom.symbol, False, tuple(named), value, atom.positive)
            shape += [] if own in shape else [own]  # it may be asked of before and after the step
        sorts = dict[str, type[Term]]()
        for atom in shape:
            signature = self.signatures[atom.symbol]
            sorts |= zip(map(str, atom.args), signature.domain, strict=True)
            sorts |= {} if atom.value is None else {str(atom.value): signature.range}
        size = "1" if not keys else "" if len(keys) > 1 or sorts["k0"] is Int else size_name(sorts["k0"])
        found = self.indexes.setdefault(tuple(shape), Index(f"i{len(self.indexes)}", tuple(shape), len(keys), size))
        return found, list(keys)
