"""A spec as a program that changes its state in place and looks only at what a step can have changed.

From the text of the spec: of each action, a function that finds the first guard clause that is false, one that takes
the step, and one that looks at the properties which the step can have violated (:mod:`mtpo.proofs.incremental.deltas`);
of each state variable, a function that changes one cell and keeps indexes and derived relations right.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from mtpo.proofs.incremental.blocks import (
    TAB,
    bound,
    in_order,
    indented,
    mentioned,
    merged,
    rename,
    tidy,
)
from mtpo.proofs.incremental.catalogue import STILL, Catalogue, Derived, Index, Moved, code, size_name
from mtpo.proofs.incremental.deltas import Deltas
from mtpo.proofs.incremental.disjuncts import (
    Atom,
    Disjunct,
    Literal,
    Never,
    disjuncts,
    free,
    name_of,
    names_in,
    symbol_of,
)
from mtpo.proofs.incremental.implied import simplified
from mtpo.proofs.incremental.joins import Search, whether
from mtpo.proofs.incremental.writing import Writing
from mtpo.spec.language import Action, Property, Spec, Term, Variable
from mtpo.spec.language.terms import Bool, Int, walk


@attrs.frozen
class Program:
    """``text`` defines the functions, ``bound`` those of steps, when the state has been made, which are defaults of
    their parameters; ``kept`` are the sets of instances that wait for what is said of the whole."""

    text: str
    bound: str
    catalogue: Catalogue
    indexes: Mapping[str, str]
    """By name: how many keys, as code; empty if it is a mapping."""
    rows: Mapping[str, str]
    """The indexes that are the rows of a constant relation."""
    fills: tuple[tuple[str, ...], tuple[str, ...]]
    """The indexes and derived relations, those that never change and the others, in an order in which to fill them."""
    derived: tuple[Derived, ...]
    steps: tuple[Property, ...]
    invariants: tuple[Property, ...]
    kept: tuple[int, ...]
    moved: Mapping[str, tuple[str, ...]]
    """The variables and derived relations that an action can change."""


_COMPARE: Final = {"eq": "==", "lt": "<", "le": "<=", "add": "+", "sub": "-", "mul": "*"}


@attrs.frozen
class _Changes:
    """What a change of a cell concerns: ``indexes`` that change, ``inverses`` by function and relation; ``derived`` are
    lines by symbol."""

    indexes: tuple[Index, ...]
    inverses: Mapping[tuple[str, str], str]
    derived: Mapping[str, list[str]]


class Compiler:
    """Makes the program of a spec; see the module's docstring."""

    def __init__(
        self,
        spec: Spec,
        sliced: tuple[tuple[str, str], ...],
        narrow: tuple[tuple[str, int], ...] = (),
        catalogue: Catalogue | None = None,
        fixed: tuple[tuple[str, int | None], ...] = (),
        forms: tuple[tuple[str, str], ...] = (),
        checked: bool = True,
    ) -> None:
        given = map(dict[str, Any], (sliced, narrow, fixed, forms))
        self.spec, self.catalogue = spec, catalogue or Catalogue(spec, *given)
        self.checked = checked
        """Guards and properties are looked at; without, steps are only taken."""
        self.parts = False
        """The arguments of the cell that changes have names."""
        self.starting = False
        """The first state is being made: indexes that change do not exist yet."""
        self.changes = _Changes((), {}, {})

    def program(self) -> Program:
        """The whole."""
        for variable in self.spec.variables.values():
            self.catalogue.defaults[f"s_{variable.name}"] = functools.partial(self._default, variable)
        out: list[str] = []
        for action in self.spec.actions.values() if self.checked else ():
            out += self._guard(action)
        deltas, writing = Deltas(self), Writing(self)
        for action in () if self.checked else self.spec.actions.values():
            writing.update(action, ())  # what it looks at is known then
        for action in self.spec.actions.values():
            check = deltas.after(action) if self.checked else []
            out += [*writing.update(action, deltas.moved(action)), *check]
        out += [*deltas.functions, *deltas.closings(), *_ordered(deltas.began())]
        self.starting = True
        for variable in self.spec.variables.values():
            out += self._first(variable)
        self.starting = False
        changes: dict[str, list[str]] = {f"s_{name}": [] for name in self.spec.variables}
        done = 0
        while done < len(self.catalogue.derived):  # keeping one right may need indexes, but no further relations
            found = list(self.catalogue.derived.values())[done]
            changes.setdefault(found.symbol, [])
            for symbol, lines in self._keep_derived(found):
                changes[symbol] += lines
            done += 1
        derived = tuple(self.catalogue.derived.values())
        every = {index.name: index for index in self.catalogue.indexes.values()}
        written = [*out, *self.catalogue.source, *(line for lines in changes.values() for line in lines)]
        # some indexes were only considered
        moving = tuple(every[name] for name in mentioned(written, every) if not every[name].rigid)
        inverses = {
            pair: name for pair, name in self.catalogue.inverses.items() if name in mentioned(written, {name: None})
        }
        self.changes = _Changes(moving, inverses, changes)
        for symbol in changes:
            out += self._change(symbol)
        for (function, relation), name in inverses.items():
            out += _ordered(self._fill_inverse(function, relation, name))
        for each in derived:
            out += _ordered(self._fill_derived(each))
        filled: dict[str, Index] = {}
        rows = {index.name: row for index in self.catalogue.indexes.values() if (row := self.catalogue.row(index))}
        self.catalogue.ordered |= {index.name for index in self.catalogue.indexes.values() if index.rigid}
        while True:
            every = {index.name: index for index in self.catalogue.indexes.values()}
            whole = self._expanded([*out, *self.catalogue.source])  # what is written out where it is used, too
            new = [name for name in mentioned(whole, every) if name not in filled]
            if not new:
                break
            filled |= {name: every[name] for name in new}
            self.catalogue.ordered |= {name for name in new if every[name].rigid}
            out += _ordered(line for name in new if name not in rows for line in self._fill(every[name]))
        return Program(
            *bound(tidy(self._expanded([*self.catalogue.source, *out])), self._globals()),
            self.catalogue,
            {name: index.size for name, index in filled.items() if name not in rows} | self._inverse_sizes(inverses),
            {name: row for name, row in rows.items() if name in filled},
            in_order(out, [name for name, index in filled.items() if index.rigid and name not in rows]),
            derived,
            deltas.steps,
            deltas.invariants,
            deltas.kept,
            {name: deltas.moved(action) for name, action in self.spec.actions.items()},
        )

    # -- terms -------------------------------------------------------------------------------------------------

    def cases(self, term: Term, positive: bool, *more: tuple[Term, bool]) -> list[Disjunct]:
        """The ways in which a formula is true (or false) with the constants that are known."""
        found = map(self.catalogue.given, disjuncts(term, positive, *more))
        return [simpler for each in found if each is not None and (simpler := simplified(each)) is not None]

    def expression(self, term: Term, names: dict[str, str]) -> str:
        """A term as code; ``names`` are variables to be called otherwise."""
        static = self.starting
        match term.op:
            case "lit":
                return str(int(term.data))
            case "bound":
                return names.get(name_of(term), name_of(term))
            case "apply":
                symbol = term.data[0]
                if symbol.kind == "const" and not symbol.domain:
                    name = f"K__{symbol.name}"
                    return str(self.catalogue.numbers.get(name, name))
                args = [self.expression(arg, names) for arg in term.args]
                args = [f"int({a})" if arg.sort is Bool else a for a, arg in zip(args, term.args, strict=True)]
                return self.catalogue.read(symbol_of(term), args)
            case "not":
                return f"(not {self.expression(term.args[0], names)})"
            case "and" | "or":
                parts = [self.expression(arg, names) for arg in term.args]
                return f"({f' {term.op} '.join(parts)})" if parts else str(term.op == "and")
            case "ite":
                condition, then, otherwise = (self.expression(arg, names) for arg in term.args)
                return f"({then} if {condition} else {otherwise})"
            case "forall" | "exists":
                found = self.cases(term.args[0], term.op == "exists")
                own = tuple((name_of(v), v.sort) for v in term.data)
                never = Never(tuple(attrs.evolve(d, variables=(*own, *d.variables)) for d in found))
                name, args = whether(self.catalogue, never, STILL, static)
                call = f"{name}({', '.join(names.get(arg, arg) for arg in args)})"
                return call if term.op == "exists" else f"(not {call})"
        left, right = (self.expression(arg, names) for arg in term.args)
        if term.op == "eq" and term.args[0].sort is Bool:
            return f"(bool({left}) == bool({right}))"
        return f"({left} {_COMPARE[term.op]} {right})"

    def value(self, term: Term, names: dict[str, str]) -> str:
        """A term as code that gives an integer."""
        found = self.expression(term, names)
        return f"(1 if {found} else 0)" if term.sort is Bool and not found.isdecimal() else found

    def _default(self, variable: Variable[Any], args: Sequence[str]) -> str:
        if not simple(variable):
            return "0"
        return self.value(variable.init, {name_of(f): a for f, a in zip(variable.formals, args, strict=True)})

    def _first(self, variable: Variable[Any]) -> list[str]:
        args = [name_of(f) for f in variable.formals]
        read = self.catalogue.read(f"s_{variable.name}", args)
        first = self.value(variable.init, {})
        whole = f"[{first} for {args[0]} in range({size_name(variable.domain[0])})]" if len(args) == 1 else "None"
        return [
            f"def first_{variable.name}({', '.join(args)}):",
            f"{TAB}return {first}",
            f"def every_{variable.name}():",
            f"{TAB}return {whole}",
            f"def get_{variable.name}({', '.join(args)}):",
            f"{TAB}return {read}",
        ]

    # -- actions -----------------------------------------------------------------------------------------------

    def search(
        self,
        disjunct: Disjunct,
        known: Iterable[str],
        heart: Callable[[], list[str]],
        needs: Iterable[str] = (),
        moved: Moved = STILL,
        static: bool = False,
        filled: bool = False,
        of: Atom | None = None,
    ) -> list[str]:
        """The code of a search, not indented; what is so of every cell of the atom is not asked of its elements."""
        needs = list(needs)
        prepared = self.catalogue.prepared(disjunct, {*needs, *known})
        if of is not None:
            prepared = attrs.evolve(prepared, literals=self.kept(of, prepared.literals))
        search = Search(self.catalogue, prepared, known, needs, moved=moved, static=static, filled=filled)
        return search.lines(heart, 0)

    def _guard(self, action: Action) -> list[str]:
        """The place of the first clause that is false, or -1: mostly none is, which one search says."""
        params = self.catalogue.parameters(action)
        given = ", ".join(params)
        every: list[list[str]] = []
        out = [f"def clause_{action.name}({given}):"]
        for place, clause in enumerate(action.guard):
            blocks = [
                [self.search(found, params, functools.partial(list[str], (f"return {text}",))) for text in (place, "X")]
                for found in self.cases(clause.formula, False)
            ]
            out += indented(merged(self.catalogue.apart([block for block, _ in blocks], params)))
            every += [block for _, block in blocks]
        text = "\n".join(merged(self.catalogue.apart(every, params))).replace(
            "return X", f"return clause_{action.name}({given})"
        )
        return [
            *out,
            f"{TAB}return -1",
            f"def guard_{action.name}({given}):",
            *indented(text.split("\n")),
            f"{TAB}return -1",
        ]

    # -- changes of one cell -----------------------------------------------------------------------------------

    def _change(self, symbol: str) -> list[str]:
        """``set_NAME(place, value)``: the cell, what it was before, the indexes, the derived relations."""
        return [f"def set_{symbol[2:]}(k, new):", f"{TAB}@set {symbol} 0 k new"]

    def _setting(self, symbol: str, once: bool, place: str, value: str) -> list[str]:
        """``@set``: a cell gets a value, which may be what it has; ``once``: no cell twice in a step."""
        relation = self.catalogue.signatures[symbol].relation
        now = self.now(symbol, place)
        if relation and value in ("0", "1"):
            sign = value == "1"
            body = self._changing(symbol, once, sign)
            return [f"if {'not ' if sign else ''}{now}:", f"{TAB}k = {place}", *indented(body)]
        own = [f"k = {place}", f"new = {value}", f"old = {self.now(symbol, 'k')}"]
        return [*own, "if old != new:", *indented(self._changing(symbol, once, None))]

    def _found(self, symbol: str, sign: str, place: str, *more: str) -> list[str]:
        """``@change``: a cell gets a value that it has not; to what a relation changes, or ``-``, the new value and the
        old one, which is ``-`` if it has no name; the elements."""
        parts = more if sign != "-" else more[2:]
        own = [f"k = {place}", *(f"e{n} = {part}" for n, part in enumerate(parts))]
        if sign == "-":
            own += [f"new = {more[0]}", f"old = {self.now(symbol, 'k') if more[1] == '-' else more[1]}"]
        return [*own, *self._changing(symbol, True, None if sign == "-" else sign == "1", bool(parts))]

    def _flipping(self, symbol: str, place: str, parts: Sequence[str]) -> list[str]:
        """``@flip``: a derived relation becomes ``f`` for some elements, which it was not."""
        own = [f"k = {place}"]
        if len(parts) > 1:
            own += [f"e{number} = {part}" for number, part in enumerate(parts)]
        both = [self._expanded(self._changing(symbol, False, sign, len(parts) > 1)) for sign in (True, False)]
        lines = [*own, "if f:", *indented(both[0]), "else:", *indented(both[1])]
        used = re.compile(r"\b(k|kk|x|l|old|new|[ek]\d+)\b")  # the code around it has names of its own
        head, tail = lines[: len(own)], lines[len(own) :]
        head = [" = ".join((used.sub(r"\1_", left), right)) for left, _, right in (x.partition(" = ") for x in head)]
        return [*head, *(used.sub(r"\1_", line) for line in tail)]

    def now(self, symbol: str, place: str) -> str:
        """The value of a cell, by its place."""
        signature = self.catalogue.signatures[symbol]
        if len(signature.domain) < 2:
            return f"{symbol}[{place}]"
        if signature.relation:
            return f"({place} in {symbol})"
        return f"{symbol}.get({place}, {self.catalogue.defaults[symbol](self.catalogue.unplace(symbol, place))})"

    def _changing(self, symbol: str, once: bool, sign: bool | None, parts: bool = False) -> list[str]:
        """The cell ``k`` becomes ``new``, which it was not; ``sign``: to what, if that is known. ``parts``: the
        elements have their names already."""
        signature, name = self.catalogue.signatures[symbol], symbol[2:]
        wide = len(signature.domain) > 1
        new, old = ("new", "old") if sign is None else (str(int(sign)), str(int(not sign)))
        out = [] if sign is None else [f"new = {new}", f"old = {old}"]
        if not (wide and signature.relation):
            out.append(f"{symbol}[k] = new")
        elif sign is None:
            out += ["if new:", f"{TAB}{symbol}.add(k)", "else:", f"{TAB}{symbol}.discard(k)"]
        else:
            out.append(f"{symbol}.{'add' if sign else 'discard'}(k)")
        out.append(f"h_{name}[k] = old" if once else f"h_{name}.setdefault(k, old)")
        if wide and not parts:
            out += [f"e{i} = {part}" for i, part in enumerate(self.catalogue.unplace(symbol, "k"))]
        ways: dict[str, list[str]] = {"": [], "new": [], "old": []}
        self.parts = wide
        for index in self.changes.indexes:
            for atom in index.atoms:
                if atom.symbol == symbol:
                    for way, lines in self._index_change(index, atom):
                        ways[way] += lines
        for (function, relation), inverse in self.changes.inverses.items():
            if function == symbol:
                moves = [
                    f"{inverse}[old].discard(k)",
                    *self._put(inverse, "new", "k", signature.range is not Int, False),
                ]
                kept = self.catalogue.sliced.get(symbol) == relation
                ways[""] += moves if kept else [f"if {self.catalogue.holds(relation, symbol, 'k')}:", *indented(moves)]
        self.parts = False
        for way in ("new", "old"):
            if ways[way] and sign is None:
                out += [f"if {way}:", *indented(ways[way])]
            elif ways[way] and sign == (way == "new"):
                out += ways[way]
        return [*out, *ways[""], *self.changes.derived.get(symbol, ())]

    def _fill_inverse(self, function: str, relation: str, name: str) -> list[str]:
        read = self.catalogue.read(function, self.catalogue.unplace(function, "k"))
        listed = self.catalogue.signatures[function].range is not Int
        head = [f"for k in {relation}:"]
        if relation in self.catalogue.rows:
            head = [
                f"for e0, e1 in {self.catalogue.pairs(relation)}:",
                f"{TAB}k = {self.catalogue.place(function, ['e0', 'e1'])}",
            ]
        body = [*head, f"{TAB}v = {read}", *indented(self._put(name, "v", "k", listed, False))]
        return [f"def fill_{name}():", *indented(body)]

    def _inverse_sizes(self, inverses: Mapping[tuple[str, str], str]) -> dict[str, str]:
        ranges = {name: self.catalogue.signatures[function].range for (function, _), name in inverses.items()}
        return {name: "" if sort is Int else size_name(sort) for name, sort in ranges.items()}

    def _put(self, name: str, key: str, element: str, listed: bool, ordered: bool, filling: bool = False) -> list[str]:
        """Add an element to an index."""
        one = f"l.append({element})" if ordered else f"l.add({element})"
        made = f"{name}[{key}] = {f'[{element}]' if ordered else f'{{{element}}}'}"
        between = [f"elif l[-1] > {element}:", f"{TAB}insort(l, {element})"] if ordered and not filling else []
        read = f"l = {name}[{key}]" if listed else f"l = {name}.get({key})"
        return [read, "if not l:", f"{TAB}{made}", *between, "else:", f"{TAB}{one}"]

    def bind(self, atom: Atom, place: str, value: str = "") -> tuple[list[str], list[str], set[str]]:
        """Names for the operands of an atom from the place of its cell: assignments, conditions, the names."""
        lines, tests, known = list[str](), list[str](), set[str]()
        given = self.catalogue.unplace(atom.symbol, place) if atom.args else []
        if self.parts:
            given = [f"e{i}" for i in range(len(given))]
        operands = [*zip(atom.args, given, strict=True), *([(atom.value, value)] if value else [])]
        for operand, text in operands:
            if isinstance(operand, str) and operand[:3] != "K__" and operand not in known:
                lines.append(f"{operand} = {text}")
                known.add(operand)
            elif {*names_in(operand)} <= known:
                tests.append(f"{code(operand)} == {text}")  # type: ignore[arg-type]
        self.catalogue.places = {}
        if len(atom.args) > 1 and all(isinstance(arg, str) for arg in atom.args):
            self.catalogue.places[self.catalogue.signatures[atom.symbol].domain, tuple(map(str, atom.args))] = place
        return lines, tests, known

    def _index_change(self, index: Index, atom: Atom) -> list[tuple[str, list[str]]]:
        """Code for a change of a cell of the atom, each with what must be true for it: ``new``, ``old`` or nothing."""
        keys = [f"k{i}" for i in range(index.keys)]
        sorts = self._index_sorts(index)
        rest = self.kept(atom, [a for a in index.atoms if a is not atom])
        add, drop = [f"@add {index.name} {index.key}"], [f"@drop {index.name} {index.key}"]

        def block(value: str, body: list[str]) -> list[str]:
            lines, tests, known = self.bind(atom, "k", value)
            found = Search(self.catalogue, Disjunct(sorts, rest), known, ["x", *keys], static=True)
            inner = found.lines(lambda: body, 0)
            self.catalogue.places = {}
            return [*lines, *([f"if {' and '.join(tests)}:", *indented(inner)] if tests else inner)]

        # keys are called k0, k1, ...; `k` is the place
        if atom.value is not None:
            return [("", block("old", drop)), ("", block("new", add))]
        first, second = (add, drop) if atom.positive else (drop, add)
        return [("new", block("", first)), ("old", block("", second))]

    def kept(self, atom: Atom, literals: Iterable[Literal]) -> tuple[Literal, ...]:
        """The literals without what is so of every cell of the atom that is kept: its relation if it is sliced."""
        relation = self.catalogue.sliced.get(atom.symbol)
        so = [] if relation is None else [Atom(relation, False, atom.args)]
        for found in self.catalogue.derived.values():
            if found.symbol == atom.symbol:
                names: dict[Any, Any] = {f"f{i}": arg for i, arg in enumerate(atom.args)}
                slices = (x for x in found.literals if isinstance(x, Atom) and x.rigid and x.value is None)
                so += [rename(x, names) for x in slices if free(x) <= names.keys()]
        return tuple(x for x in literals if x not in so)

    def _expanded(self, lines: Iterable[str]) -> list[str]:
        """Lines with what it takes to add an element to an index, or to take it away."""
        out: list[str] = []
        sizes = {index.name: index.size for index in self.catalogue.indexes.values()}
        for text in lines:
            for line in text.split("\n"):
                words = line.split(None, 2)
                if not words or words[0][0] != "@":
                    out.append(line)
                    continue
                depth = line.index("@") // len(TAB)
                if words[0] == "@set":
                    once, place, value = words[2].split(" ")
                    out += indented(self._expanded(self._setting(words[1], once == "1", place, value)), depth)
                    continue
                if words[0] == "@change":
                    out += indented(self._expanded(self._found(words[1], *words[2].split())), depth)
                    continue
                if words[0] == "@flip":
                    place, *parts = words[2].split(" ")
                    out += indented(self._flipping(words[1], place, parts), depth)
                    continue
                _, name, key = words
                ordered, listed = name in self.catalogue.ordered, sizes[name] != ""
                if words[0] == "@drop":
                    less = ["if l[-1] == x:", f"{TAB}l.pop()", "else:", f"{TAB}del l[bisect_left(l, x)]"]
                    less = less if ordered else ["l.discard(x)"]
                    gone = f"{name}[{key}] = E" if listed else f"del {name}[{key}]"  # there can be many keys
                    body = [f"l = {name}[{key}]", *less]
                    body += [] if ordered and listed else ["if not l:", f"{TAB}{gone}"]
                else:
                    filling = words[0] == "@fill"
                    body = self._put(name, key, "x", listed, ordered, filling)
                out += indented(body, depth)
        return out

    def _index_sorts(self, index: Index) -> tuple[tuple[str, type[Term]], ...]:
        sorts: dict[str, type[Term]] = {}
        for atom in index.atoms:
            signature = self.catalogue.signatures[atom.symbol]
            for operand, sort in zip(atom.args, signature.domain, strict=True):
                sorts[str(operand)] = sort
            if atom.value is not None:
                sorts[str(atom.value)] = signature.range
        return tuple(sorts.items())

    def _fill(self, index: Index) -> list[str]:
        none = any(map(self.never, index.atoms))
        head = [f"def fill_{index.name}():", *([f"{TAB}if FRESH:", f"{TAB * 2}return"] if none else [])]
        keys = [f"k{i}" for i in range(index.keys)]
        found = Search(self.catalogue, Disjunct(self._index_sorts(index), index.atoms), (), ["x", *keys], static=True)
        body = found.lines(lambda: [f"@fill {index.name} {index.key}"], 1)
        if index.name not in self.catalogue.ordered or body[0] == f"{TAB}for x in range({self._size_of(index)}):":
            return [*head, *body]
        each = index.name if index.size else f"{index.name}.values()"
        done = [f"{TAB}for l in {each}:", f"{TAB * 2}if len(l) > 1:", f"{TAB * 3}l.sort()"]
        return [*head, *body, *done]

    def _globals(self) -> set[str]:
        """What functions read and change, but for indexes."""
        symbols = self.catalogue.signatures.items()
        names = {n for n, signature in symbols if n[:2] == "s_" or (n[:2] == "c_" and signature.domain)}
        return (
            names
            | {f"h{n[1:]}" for n in names if n[0] == "s"}
            | {f"{p}_{s.__name__}" for s in self.spec.sorts for p in "nm"}
        )

    def never(self, atom: Atom) -> bool:
        """Whether an atom says that a relation holds which at first holds of nothing."""
        variable = self.spec.variables.get(atom.symbol[2:]) if atom.symbol.startswith("s_") else None
        if variable is None or not atom.positive or atom.value is not None:
            return False
        return variable.init.op == "lit" and not variable.init.data

    def _size_of(self, index: Index) -> str:
        return size_name(dict(self._index_sorts(index))["x"])

    def _keep_derived(self, found: Derived) -> list[tuple[str, list[str]]]:
        """For each symbol that a derived relation depends on, code for a change of its cell."""
        elements = [f"f{i}" for i in range(found.arity)]
        sorts = tuple(zip(elements, self.catalogue.signatures[found.symbol].domain, strict=True))
        left, right = code(found.differ.left), code(found.differ.right)
        needs = [*elements, *(name for side in (found.differ.left, found.differ.right) for name in names_in(side))]
        out = []
        for atom in (x for x in found.literals if isinstance(x, Atom) and not x.rigid):
            self.parts = len(atom.args) > 1
            lines, tests, known = self.bind(atom, "k", "new")
            rest = tuple(x for x in self.kept(atom, found.literals) if x is not atom)
            place = self.catalogue.place(found.symbol, elements)
            heart = [f"f = {left} != {right}", f"if f != {self.catalogue.read(found.symbol, elements)}:"]
            heart.append(f"{TAB}@flip {found.symbol} {place} {' '.join(elements)}")
            search = Search(self.catalogue, Disjunct(sorts, rest), known, needs)
            inner = search.lines(functools.partial(list[str], heart), 0)
            self.catalogue.places, self.parts = {}, False
            out.append((atom.symbol, [*lines, *([f"if {' and '.join(tests)}:", *indented(inner)] if tests else inner)]))
        return out

    def _fill_derived(self, found: Derived) -> list[str]:
        elements = [f"f{i}" for i in range(found.arity)]
        sorts = tuple(zip(elements, self.catalogue.signatures[found.symbol].domain, strict=True))
        search = Search(self.catalogue, Disjunct(sorts, (*found.literals, found.differ)), (), elements, static=True)
        place = self.catalogue.place(found.symbol, elements)
        add = f"{found.symbol}.add({place})" if found.arity > 1 else f"{found.symbol}[{place}] = True"
        body = search.lines(lambda: [add], 1)
        return [f"def fill_{found.symbol}():", *body, f"{TAB}pass"]


def _ordered(lines: Iterable[str]) -> list[str]:
    """The code that fills an index, with places where constant relations hold in order: what is near is met together,
    and lists are made in order. Elements are the same numbers everywhere, not equal ones: there are many."""
    lines = (re.sub(r"\bfor (k+) in c_(\w+):", r"for \1 in o_\2:", line) for line in lines)
    return [re.sub(r"\bin range\(n_(\w+)\):", r"in e_\1:", line) for line in lines]


def simple(variable: Variable[Any]) -> bool:
    """Whether the first value of a cell is an expression of constants, so that it need not be stored."""
    return not any(
        t.op in ("forall", "exists") or (t.op == "apply" and t.data[0].kind == "var") for t in walk(variable.init)
    )


@functools.lru_cache(maxsize=32)
def program_of(
    spec: Spec,
    sliced: tuple[tuple[str, str], ...] = (),
    narrow: tuple[tuple[str, int], ...] = (),
    fixed: tuple[tuple[str, int | None], ...] = (),
    forms: tuple[tuple[str, str], ...] = (),
    checked: bool = True,
) -> Program:
    """The program of a spec; ``sliced`` pairs variables with relations, ``narrow`` relations with the number of an
    argument, ``fixed`` constants with their values, ``forms`` constants with what more is known of them
    (:class:`mtpo.proofs.incremental.catalogue.Catalogue`). Without ``checked`` it takes steps and looks at no guard and
    no property."""
    return Compiler(spec, sliced, narrow, fixed=fixed, forms=forms, checked=checked).program()
