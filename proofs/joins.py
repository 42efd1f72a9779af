"""Searches as Python code: nested loops over indexes, planned when they are compiled.

A search looks for elements for which all literals of a disjunct hold. What is known decides what is tried next: a
literal whose variables are all known is a filter, an application whose arguments are known gives its value, and a
variable is looked up in an *index*: its elements for which some literals hold, by the values of the others (``live(w) &
writes(w, o)`` by o is the trajectory of o); in order where a search asks for those between bounds. Only where nothing
narrows a variable down are all elements of its sort tried. Indexes are kept up to date by whoever changes the state
(:mod:`mtpo.proofs.incremental`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from mtpo.proofs.blocks import TAB, likely, places_of, rename, symbols, without_idle
from mtpo.proofs.disjuncts import Atom, Compare, Disjunct, Literal, Never, Operand, consistent, free, name_of, names_in
from mtpo.spec.language import Action, Spec, Term
from mtpo.spec.terms import Bool, Function, Int

_OPERATORS: Final = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "add": "+", "sub": "-", "mul": "*"}
_LOCAL: Final = re.compile(r"\b(?:[^\W\d]\w*_\d+|v\d+)\b")


def code(operand: Operand) -> str:
    """An operand as an expression."""
    if isinstance(operand, tuple):
        return f"({code(operand[1])} {_OPERATORS[operand[0]]} {code(operand[2])})"
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


class Catalogue:
    """What searches of one spec share: symbols, indexes, derived relations, and functions for inner quantifiers.

    ``sliced`` names variables of which only the arguments in a constant relation are kept: nothing else reads them.
    ``narrow`` names constant relations that hold of few elements, as the argument of that number, for given others, and
    variables that have a value for few.
    """

    def __init__(self, spec: Spec, sliced: Mapping[str, str], narrow: Mapping[str, int] | None = None) -> None:
        symbols: list[Function[Any]] = [*spec.constants.values(), *spec.variables.values()]
        self.signatures = {
            f"{'c' if f.kind == 'const' else 's'}_{f.name}": Signature(f.domain, f.range) for f in symbols
        }
        self.sorts = [sort.__name__ for sort in spec.sorts]
        self.sliced = {f"s_{name}": f"c_{relation}" for name, relation in sliced.items()}
        self.narrow = {f"{'c' if name in spec.constants else 's'}_{name}": at for name, at in (narrow or {}).items()}
        self.defaults: dict[str, Callable[[Sequence[str]], str]] = {}
        self.indexes: dict[tuple[Atom, ...], Index] = {}
        self.inverses: dict[tuple[str, str], str] = {}
        """Of a function and a constant relation of the same arguments: the places, where it holds, by value."""
        self.derived: dict[tuple[str, ...], Derived] = {}
        self.functions: dict[tuple[Any, ...], str] = {}
        self.source: list[str] = []
        self.ordered: set[str] = set()
        """The indexes of which a search wants the elements between bounds: sorted lists; the others are sets."""
        self.places: dict[tuple[tuple[type[Term], ...], tuple[str, ...]], str] = {}
        """Places that have a name in the code being made, by sorts and arguments."""

    def apart(self, blocks: Iterable[Sequence[str]], shared: Iterable[str] = ()) -> list[str]:
        """The lines of all blocks, in each of which variables have names of their own, but for the ``shared``."""
        known = (
            {*shared}
            | {f"{p}_{name[2:]}" for name in self.signatures for p in "acchs"}
            | {f"n_{s}" for s in self.sorts}
        )
        out: list[str] = []
        for number, block in enumerate(blocks):

            def other(found: re.Match[str], number: int = number) -> str:
                return found[0] if found[0] in known else f"{found[0]}_{number}"

            out += [_LOCAL.sub(other, line) for line in block]
        return out

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
            text = f"({text})*{size_name(sort)}+{arg}" if "*" in text else f"{text}*{size_name(sort)}+{arg}"
        return text

    def unplace(self, symbol: str, place: str) -> list[str]:
        """The arguments of a cell as code, of its place."""
        domain = self.signatures[symbol].domain
        found: list[str] = []
        stride = ""
        for number, sort in reversed(list(enumerate(domain))):
            whole = f"{place}//({stride})" if stride else place
            found.append(whole if number == 0 else f"{whole}%{size_name(sort)}")
            stride = f"{stride}*{size_name(sort)}" if stride else size_name(sort)
        return found[::-1]

    def read(self, symbol: str, args: Sequence[str], old: bool = False) -> str:
        """The value of a cell as code; ``old``: before the step that was just taken."""
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
            shape.append(Atom(atom.symbol, False, tuple(named), value, atom.positive))
        sorts = dict[str, type[Term]]()
        for atom in shape:
            signature = self.signatures[atom.symbol]
            sorts |= zip(map(str, atom.args), signature.domain, strict=True)
            sorts |= {} if atom.value is None else {str(atom.value): signature.range}
        size = "1" if not keys else "" if len(keys) > 1 or sorts["k0"] is Int else size_name(sorts["k0"])
        found = self.indexes.setdefault(tuple(shape), Index(f"i{len(self.indexes)}", tuple(shape), len(keys), size))
        return found, list(keys)

    def function(self, never: Never, moved: Moved, static: bool = False) -> tuple[str, list[str]]:
        """A function that says whether there is an instance, and the names of its arguments."""
        args = sorted(free(never))
        prepared = [self.prepared(disjunct) for disjunct in never.disjuncts]
        key = (never, within(moved, *map(symbols, prepared)), static)
        if key not in self.functions:
            name = self.functions[key] = f"q{len(self.functions)}"
            lines, places = [f"def {name}({', '.join(args)}):"], self.places
            self.places = {}
            for disjunct in prepared:
                lines += Search(self, disjunct, args, moved=key[1], static=static).lines(lambda: ["return True"], 1)
            self.places = places
            self.source.append("\n".join([*lines, f"{TAB}return False"]))
        return self.functions[key], args


@attrs.frozen
class _Way:
    """A way to find a variable: what it costs, by rough rank; the loop; the literals that it settles; what is known
    then; further tests of what it gives."""

    cost: float
    head: list[str]
    settles: tuple[Literal, ...]
    finds: tuple[str, ...]
    tests: tuple[str, ...] = ()
    before: str = ""
    """A test without which there is nothing to be found."""


class Search:
    """One search. ``known`` are variables with a value; ``needs`` those that the code at its heart uses.

    ``moved``: just after a step, the symbols that it can have changed, each with what to (of relations; of others
    both): of these, atoms that are not primed are read from before it. ``static``: indexes that change are not to be
    used.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        disjunct: Disjunct,
        known: Iterable[str],
        needs: Iterable[str] = (),
        *,
        moved: Moved = STILL,
        static: bool = False,
    ) -> None:
        self.catalogue, self.disjunct, self.moved, self.static = catalogue, disjunct, moved, static
        self.sorts = dict(disjunct.variables)
        self.known, self.needs = set(known), list(needs)
        self.gone: set[str] = set()
        """Variables that are others by another name, and not needed."""

    def lines(self, heart: Callable[[], list[str]], depth: int) -> list[str]:
        """The code, indented by ``depth``; ``heart`` gives what is to be done for each instance found."""
        return self._from(list(self.disjunct.literals), set(self.known), heart, depth)

    def _from(self, todo: list[Literal], known: set[str], heart: Callable[[], list[str]], depth: int) -> list[str]:
        out: list[str] = []
        filters: list[str] = []

        def flush() -> None:
            nonlocal depth
            for test in filters:
                out.append(f"{TAB * depth}if {test}:")
                depth += 1
            filters.clear()

        while True:
            ready = [x for x in todo if not isinstance(x, Never) and free(x) <= known]
            filters += [self.test(x) for x in sorted(ready, key=likely)]
            todo = [x for x in todo if x not in ready]
            gives = next((g for x in todo if (g := self._gives(x, known)) is not None), None)
            if gives is None:
                break
            literal, name, value = gives
            flush()
            todo.remove(literal)
            if isinstance(literal, Compare) and (value in known or value[:3] == "K__" or value.isdecimal()):
                # another name for the same: what is said twice is one
                inner = [x for x in todo if isinstance(x, Never)]
                other = int(value) if value.isdecimal() else value
                found = consistent(Disjunct((), tuple(x if x in inner else rename(x, {name: other}) for x in todo)))
                if found is None:
                    return out or [f"{TAB * depth}pass"]
                todo = list(found.literals)
                if name not in self.needs and not any(name in free(x) for x in inner):
                    self.gone.add(name)
                    continue
            out.append(f"{TAB * depth}{name} = {value}")
            known = known | {name}
        settled = [x for x in todo if free(x) <= known]
        filters += [self.test(x) for x in settled]
        todo = [x for x in todo if x not in settled]
        flush()
        wanted = [n for n in self.needs if n not in known]
        if not todo and not wanted:
            return out + [f"{TAB * depth}{line}" for line in heart()]
        way = self._best(todo, known, wanted)
        if way.before:
            out.append(f"{TAB * depth}{way.before}")
            depth += 1
        out += [f"{TAB * (depth + n)}{line}" for n, line in enumerate(way.head[:1])]
        out += [f"{TAB * (depth + 1)}{line}" for line in way.head[1:]]
        rest = [x for x in todo if x not in way.settles]
        if way.tests:
            depth += 1
            out.append(f"{TAB * depth}if {' and '.join(way.tests)}:")
        return out + self._from(rest, known | set(way.finds), heart, depth + 1)

    # -- literals ----------------------------------------------------------------------------------------------

    def _old(self, atom: Atom) -> bool:
        return not atom.primed and ((atom.symbol, True) in self.moved or (atom.symbol, False) in self.moved)

    def test(self, literal: Literal) -> str:
        """A literal of which everything is known, as a condition."""
        if isinstance(literal, Compare):
            return f"{code(literal.left)} {_OPERATORS[literal.op]} {code(literal.right)}"
        if isinstance(literal, Never):
            name, args = self.catalogue.function(literal, self.moved, self.static)
            return f"not {name}({', '.join(args)})"
        read = self.catalogue.read(literal.symbol, [code(arg) for arg in literal.args], self._old(literal))
        if literal.value is not None:
            return f"{read} == {code(literal.value)}"
        return read if literal.positive else f"not {read}"

    def _gives(self, literal: Literal, known: set[str]) -> tuple[Literal, str, str] | None:
        """A variable that the literal determines, and its value as code."""
        if isinstance(literal, Atom) and isinstance(literal.value, str) and literal.value not in known:
            inner = {name for arg in literal.args for name in names_in(arg)}
            if inner <= known and (not literal.symbol.startswith("p_") or literal.symbol in known):
                read = self.catalogue.read(literal.symbol, [code(arg) for arg in literal.args], self._old(literal))
                return literal, literal.value, read
        if isinstance(literal, Compare) and literal.op == "eq":
            for one, other in ((literal.left, literal.right), (literal.right, literal.left)):
                if isinstance(one, str) and one[:3] != "K__" and one not in known and {*names_in(other)} <= known:
                    return literal, one, code(other)
        return None

    # -- finding a variable ------------------------------------------------------------------------------------

    def _best(self, todo: Sequence[Literal], known: set[str], wanted: Sequence[str]) -> _Way:
        free_names = {name for literal in todo for name in free(literal)} | set(wanted)
        subjects = [name for name in self.sorts if name in free_names and name not in known]
        ways = [self._lookup(name, todo, known) for name in subjects]
        ways += [way for literal in todo if (way := self._scan(literal, known)) is not None]
        if not self.static:
            ways += [way for literal in todo if (way := self._inverse(literal, todo, known)) is not None]
        return min(ways, key=lambda way: way.cost)

    def _lookup(self, subject: str, todo: Sequence[Literal], known: set[str]) -> _Way:
        """The elements of an index, or all of the sort, between bounds."""
        atoms = [x for x in todo if isinstance(x, Atom) and self._indexable(x, subject, known)]
        for atom in atoms:
            if atom.symbol.startswith("p_") and atom.positive and atom.value is None and len(atom.args) == 1:
                return _Way(1, [f"for {subject} in {atom.symbol}:"], (atom,), (subject,))
        atoms = [a for a in atoms if not a.symbol.startswith("p_")]
        chosen = [a for a in atoms if a.positive or (a.rigid and len(a.args) == 1)]
        if self.static:
            chosen = [a for a in chosen if a.rigid]
        few = [a for a in chosen if a.positive and self.catalogue.narrow.get(a.symbol, -1) in places_of(a, subject)]
        if few:
            chosen = [a for a in few if a.rigid] or few[:1]
        if any(a.positive and a.value is None and not a.rigid and len(a.args) > 1 for a in chosen):
            chosen = [a for a in chosen if a.value is None]  # a relation with a key is narrow enough
        old = [a for a in atoms if self._old(a)]
        if any(not a.rigid and a not in old for a in chosen):  # of those that change, only what is of one moment
            chosen = [a for a in chosen if a not in old]
        if not any(a.positive for a in chosen):
            chosen = [] if self.static or (any(not a.rigid and a not in old for a in atoms) and old) else atoms[:1]
        elif not self.static and not old and all(len(a.args) == 1 and a.value is None for a in chosen):
            chosen = [a for a in atoms if len(a.args) == 1 and a.value is None]  # of the whole sort: as few as can be
        if self.static and not any(len(a.args) > 1 or a.value is not None for a in chosen):
            chosen = []
        low, high, bounds = self._bounds(subject, todo, known)
        if few:
            low, high, bounds = "", "", ()
        size = size_name(self.sorts[subject])
        if not chosen:
            cut = f"{low or 0}, " if low else ""
            end = f"min({high}, {size})" if high else size
            return _Way(10, [f"for {subject} in range({cut}{end}):"], bounds, (subject,))
        relations = [a for a in chosen if a.positive and len(a.args) > 1]
        if len(relations) > 1 and all(a.rigid for a in chosen):  # the shortest, whichever it is then
            lists = [self._index(subject, [a])[0] for a in relations]
            return _Way(1.15 if few else 1.9, [f"for {subject} in min({', '.join(lists)}, key=len):"], (), (subject,))
        found, keys = self._index(subject, chosen)
        keyed = any(isinstance(k, str) and k[:3] != "K__" for k in keys)
        moving = [a for a in chosen if not a.rigid]
        cost = (2.0 if keyed else 5.0 if moving else 9.0) - 0.5 * bool(moving) - 0.1 * len(chosen) - 0.3 * bool(bounds)
        if not any(a.positive for a in chosen):
            cost += 3
        if few:
            cost -= 0.75
        settled: tuple[Literal, ...] = (*chosen, *bounds)
        if bounds:
            if found.startswith("i"):
                self.catalogue.ordered.add(re.split(r"\W", found, maxsplit=1)[0])
            below = f"bisect_left(l, {low})" if low else ""
            above = f"bisect_left(l, {high})" if high else ""
            if not any(a in old for a in moving):  # mostly there is none, which the last, or the first, says at once
                some = f"l[-1] >= {low}" if low else f"l[0] < {high}"
                head = f"if (l := {found}) and {some}:"
                return _Way(cost, [f"for {subject} in l[{below}:{above}]:"], settled, (subject,), before=head)
            found = f"(l := {found})[{below}:{above}]"
        leaving = [a for a in moving if a in old and (a.value is not None or (a.symbol, not a.positive) in self.moved)]
        if leaving:  # the index is that of now; what has left it was in it
            moving = leaving
            gone = " or ".join(f"h{a.symbol[1:]}" for a in moving)
            parts = [self._changed(a, subject) for a in moving]
            found, settled = f"{found} if not ({gone}) else {{*{found}, {', '.join(parts)}}}", ()
        elif any(a in old for a in chosen):
            settled = tuple(x for x in settled if x not in old)
        return _Way(cost, [f"for {subject} in {found}:"], settled, (subject,))

    def _index(self, subject: str, atoms: Sequence[Atom]) -> tuple[str, list[Operand]]:
        """The list of elements in an index as code, and its key."""
        index, keys = self.catalogue.index(subject, atoms)
        return index.get([code(k) for k in keys]), keys

    def _changed(self, atom: Atom, subject: str) -> str:
        inner = self.catalogue.unplace(atom.symbol, "k")[atom.args.index(subject)]
        return f"*[{inner} for k in h{atom.symbol[1:]}]"

    def _indexable(self, atom: Atom, subject: str, known: set[str]) -> bool:
        if sum(arg == subject for arg in atom.args) != 1 or atom.value == subject:
            return False
        if any(isinstance(arg, tuple) and subject in names_in(arg) for arg in atom.args):
            return False
        return free(atom) - {subject, atom.symbol} <= known

    def _bounds(self, subject: str, todo: Sequence[Literal], known: set[str]) -> tuple[str, str, tuple[Compare, ...]]:
        """The least element and the end, as code, and the comparisons that say so."""
        low = high = ""
        used: list[Compare] = []
        for x in todo:
            if not isinstance(x, Compare) or x.op not in ("lt", "le"):
                continue
            if x.left == subject and {*names_in(x.right)} <= known and not high:
                high = code(x.right) if x.op == "lt" else f"{code(x.right)} + 1"
                used.append(x)
            elif x.right == subject and {*names_in(x.left)} <= known and not low:
                low = f"{code(x.left)} + 1" if x.op == "lt" else code(x.left)
                used.append(x)
        return low, high, tuple(used)

    def _inverse(self, literal: Literal, todo: Sequence[Literal], known: set[str]) -> _Way | None:
        """All arguments for which a function has a value that is known."""
        if not isinstance(literal, Atom) or literal.rigid or literal.value is None or literal.value not in known:
            return None
        if self._old(literal):
            return None
        signature = self.catalogue.signatures[literal.symbol]
        names = [arg for arg in literal.args if arg in self.sorts and arg not in known]
        narrow = signature.range in signature.domain  # there are many values
        given = [arg for arg in literal.args if arg not in names]
        if not names or len({*names}) != len(names) or len(literal.args) < 2 or (given and not narrow):
            return None
        if any(not {*names_in(arg)} <= known for arg in given):
            return None
        for x in todo:
            if isinstance(x, Atom) and x.rigid and x.positive and x.value is None and x.args == literal.args:
                inverses = self.catalogue.inverses
                name = inverses.setdefault((literal.symbol, x.symbol), f"j{len(inverses)}")
                found = list(zip(literal.args, self.catalogue.unplace(literal.symbol, "kk"), strict=True))
                listed = signature.range is not Int
                given_value = f"[{code(literal.value)}]" if listed else f".get({code(literal.value)}, E)"
                head = [f"for kk in {name}{given_value}:"]
                head += [f"{n} = {c}" for n, c in found if n in names]
                tests = tuple(f"{c} == {code(n)}" for n, c in found if n not in names)
                return _Way(1 if narrow else 3, head, (literal, x), tuple(map(str, names)), tests)
        return None

    def _scan(self, literal: Literal, known: set[str]) -> _Way | None:
        """Everything of which a relation holds that is kept as a set."""
        if not isinstance(literal, Atom) or not literal.positive or literal.value is not None:
            return None
        signature = self.catalogue.signatures[literal.symbol]
        names = [arg for arg in literal.args if arg in self.sorts and arg not in known]
        if len(signature.domain) < 2 or len(names) != len(literal.args) or len({*names}) != len(names):
            return None
        if literal.symbol.startswith("p_") or (self.static and not literal.rigid):
            return None
        if self._old(literal):
            return None
        cost = 1.5 if signature.derived else 9.5 if literal.rigid else 6
        found = self.catalogue.unplace(literal.symbol, "kk")
        head = [f"for kk in {literal.symbol}:", *(f"{n} = {c}" for n, c in zip(names, found, strict=True))]
        return _Way(cost, head, (literal,), tuple(map(str, names)))
