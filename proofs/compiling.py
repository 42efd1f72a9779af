"""A spec as a program that changes its state in place and looks only at what a step can have changed.

From the text of the spec: of each action, a function that finds the first guard clause that is false, and one that
takes the step; of each state variable, a function that changes one cell and keeps indexes and derived relations right;
of the step properties, one function that looks at the cells that the last step changed; of the invariants, one that
looks at the cells changed since it was last asked. A formula that was true can only have become false where a cell
changed that one of its literals reads; that instance is evaluated, and no other. What an instance says of the whole
state (``~busy``) is asked last: where the rest is false the instance is kept, and looked at again when that holds.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from mtpo.proofs.disjuncts import (
    Atom,
    Compare,
    Disjunct,
    Literal,
    Never,
    disjuncts,
    free,
    inner_atoms,
    name_of,
    names_in,
    symbol_of,
)
from mtpo.proofs.joins import TAB, Catalogue, Derived, Index, Search, code, merged, rename, without_idle
from mtpo.spec.language import TRUE, Action, Property, Spec, Term, Update, Variable, show
from mtpo.spec.terms import Bool, walk

Conditions = tuple[tuple[Term, bool], ...]


@attrs.frozen
class Program:
    """``text`` defines the functions; ``kept`` are the disjuncts whose instances wait for what is said of the whole."""

    text: str
    catalogue: Catalogue
    indexes: tuple[str, ...]
    rigid: tuple[str, ...]
    derived: tuple[Derived, ...]
    steps: tuple[Property, ...]
    invariants: tuple[Property, ...]
    kept: tuple[int, ...]


_COMPARE: Final = {"eq": "==", "lt": "<", "le": "<=", "add": "+", "sub": "-", "mul": "*"}


def indented(lines: Iterable[str], depth: int = 1) -> list[str]:
    """Lines at a depth."""
    return [f"{TAB * depth}{line}" for line in lines]


class Compiler:
    """Makes the program of a spec; see the module's docstring."""

    def __init__(self, spec: Spec, sliced: tuple[tuple[str, str], ...], catalogue: Catalogue | None = None) -> None:
        self.spec, self.catalogue = spec, catalogue or Catalogue(spec, dict(sliced))
        self.kept: list[int] = []
        self.starting = False
        """The first state is being made: indexes that change do not exist yet."""

    def program(self) -> Program:
        """The whole."""
        for variable in self.spec.variables.values():
            self.catalogue.defaults[f"s_{variable.name}"] = functools.partial(self._default, variable)
        out: list[str] = []
        for action in self.spec.actions.values():
            out += [*self._guard(action), *self._update(action)]
        steps, invariants = self.spec.role("step"), self.spec.role("invariant", "lemma")
        out += [*self._stepped(steps), *self._looked(invariants)]
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
        moving = tuple(every[name] for name in _used(written, every) if not every[name].rigid)  # some only considered
        inverses = {
            pair: name for pair, name in self.catalogue.inverses.items() if name in _used(written, {name: None})
        }
        for symbol, lines in changes.items():
            out += self._change(symbol, moving, inverses, lines)
        for (function, relation), name in inverses.items():
            out += self._fill_inverse(function, relation, name)
        for each in derived:
            out += self._fill_derived(each)
        filled: dict[str, Index] = {}
        while True:
            every = {index.name: index for index in self.catalogue.indexes.values()}
            new = [n for n in _used([*out, *self.catalogue.source], every) if n not in filled]
            if not new:
                break
            filled |= {name: every[name] for name in new}
            out += [line for name in new for line in self._fill(every[name])]
        return Program(
            "\n".join([*self.catalogue.source, *out, ""]),
            self.catalogue,
            (*filled, *inverses.values()),
            tuple(name for name, index in filled.items() if index.rigid),
            derived,
            steps,
            invariants,
            tuple(self.kept),
        )

    # -- terms -------------------------------------------------------------------------------------------------

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
                    return f"K__{symbol.name}"
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
                found = disjuncts(term.args[0], term.op == "exists")
                own = tuple((name_of(v), v.sort) for v in term.data)
                never = Never(tuple(attrs.evolve(d, variables=(*own, *d.variables)) for d in found))
                name, args = self.catalogue.function(never, False, static)
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
        return [
            f"def first_{variable.name}({', '.join(args)}):",
            f"{TAB}return {self.value(variable.init, {})}",
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
        step: bool = False,
        static: bool = False,
    ) -> list[str]:
        """The code of a search, not indented."""
        needs = list(needs)
        prepared = self.catalogue.prepared(disjunct, {*needs, *known})
        return Search(self.catalogue, prepared, known, needs, step=step, static=static).lines(heart, 0)

    def _guard(self, action: Action) -> list[str]:
        """The place of the first clause that is false, or -1."""
        params = self.catalogue.parameters(action)
        out = [f"def guard_{action.name}({', '.join(params)}):"]
        for place, clause in enumerate(action.guard):
            for found in disjuncts(clause.formula, False):
                out += indented(self.search(found, params, lambda place=place: [f"return {place}"]))  # type: ignore[misc]
        return [*out, f"{TAB}return -1"]

    def _update(self, action: Action) -> list[str]:
        params = self.catalogue.parameters(action)
        find, write = [f"def update_{action.name}({', '.join(params)}):"], list[str]()
        for number, update in enumerate(action.updates):
            name = update.variable.name
            if update.whole and update.variable.domain:
                find += indented([f"u{number} = []", *self._differences(update, number, params)])
                write += [f"for k, v in u{number}:", f"{TAB}set_{name}(k, v)"]
            else:
                args = [] if update.whole else [self.value(arg, {}) for arg in update.args]
                find.append(f"{TAB}z{number} = {self.catalogue.place(f's_{name}', args)}")
                find.append(f"{TAB}y{number} = {self.value(update.value, {})}")
                write.append(f"set_{name}(z{number}, y{number})")
        return [*find, *indented(write or ["pass"])]

    def _differences(self, update: Update, number: int, params: Sequence[str]) -> list[str]:
        """Code that appends (place, value) of every cell that the update changes."""
        variable, formals = update.variable, [name_of(f) for f in update.variable.formals]
        cell = variable(*variable.formals)
        own = tuple((name_of(f), f.sort) for f in variable.formals)
        place = self.catalogue.place(f"s_{variable.name}", formals)
        cases: list[tuple[Conditions, str]] = []
        if variable.range is Bool:
            cases += [(((update.value, True), (cell, False)), "1"), (((update.value, False), (cell, True)), "0")]
        else:
            for conditions, leaf in _leaves(update.value):
                if show(leaf) != show(cell):
                    cases.append((((*conditions, (leaf == cell, False))), self.value(leaf, {})))
        out: list[str] = []
        for conditions, value in cases:
            for found in disjuncts(TRUE, True, *conditions):
                found = attrs.evolve(found, variables=(*own, *found.variables))
                symbol = f"s_{variable.name}"
                if symbol in self.catalogue.sliced:
                    mask = Atom(self.catalogue.sliced[symbol], False, tuple(formals))
                    found = attrs.evolve(found, literals=(*found.literals, mask))
                line = f"u{number}.append(({place}, {value}))"
                out += self.search(found, params, functools.partial(list, (line,)), formals)
        return out

    # -- changes of one cell -----------------------------------------------------------------------------------

    def _change(
        self, symbol: str, indexes: Sequence[Index], inverses: Mapping[tuple[str, str], str], derived: Sequence[str]
    ) -> list[str]:
        """``set_NAME(place, value)``: the cell, what it was before, the indexes, the derived relations."""
        signature, name = self.catalogue.signatures[symbol], symbol[2:]
        out = [f"def set_{name}(k, new):"]
        if len(signature.domain) < 2:
            out += indented([f"old = {symbol}[k]", "if old == new:", f"{TAB}return", f"{symbol}[k] = new"])
        elif signature.relation:
            body = [f"old = k in {symbol}", "if old == new:", f"{TAB}return"]
            out += indented([*body, "if new:", f"{TAB}{symbol}.add(k)", "else:", f"{TAB}{symbol}.discard(k)"])
        else:
            args = self.catalogue.unplace(symbol, "k")
            named = [f"a{i} = {arg}" for i, arg in enumerate(args)]
            default = self.catalogue.defaults[symbol]([f"a{i}" for i in range(len(args))])
            body = [*named, f"old = {symbol}.get(k, {default})", "if old == new:", f"{TAB}return"]
            out += indented([*body, f"{symbol}[k] = new"])
        for history in ("h", "a"):
            out += indented([f"if k not in {history}_{name}:", f"{TAB}{history}_{name}[k] = old"])
        for index in indexes:
            for atom in index.atoms:
                if atom.symbol == symbol:
                    out += indented(self._index_change(index, atom))
        for (function, relation), inverse in inverses.items():
            if function == symbol:
                add = f"{inverse}.setdefault(new, set()).add(k)"
                out += indented([f"if k in {relation}:", f"{TAB}{inverse}[old].discard(k)", f"{TAB}{add}"])
        return out + indented(derived)

    def _fill_inverse(self, function: str, relation: str, name: str) -> list[str]:
        read = self.catalogue.read(function, self.catalogue.unplace(function, "k"))
        body = [f"for k in {relation}:", f"{TAB}{name}.setdefault({read}, set()).add(k)"]
        return [f"def fill_{name}():", *indented(body)]

    def _bind(self, atom: Atom, place: str, value: str = "") -> tuple[list[str], list[str], set[str]]:
        """Names for the operands of an atom from the place of its cell: assignments, conditions, the names."""
        lines, tests, known = list[str](), list[str](), set[str]()
        given = self.catalogue.unplace(atom.symbol, place) if atom.args else []
        operands = [*zip(atom.args, given, strict=True), *([(atom.value, value)] if value else [])]
        for operand, text in operands:
            if isinstance(operand, str) and operand[:3] != "K__" and operand not in known:
                lines.append(f"{operand} = {text}")
                known.add(operand)
            elif {*names_in(operand)} <= known:
                tests.append(f"{code(operand)} == {text}")  # type: ignore[arg-type]
        return lines, tests, known

    def _index_change(self, index: Index, atom: Atom) -> list[str]:
        rest = tuple(a for a in index.atoms if a is not atom)
        keys = [f"k{i}" for i in range(index.keys)]
        sorts = self._index_sorts(index)
        add = [f"l = {index.name}.get({index.key})", "if l is None:", f"{TAB}{index.name}[{index.key}] = [x]"]
        add += ["else:", f"{TAB}insort(l, x)"]
        drop = [f"l = {index.name}[{index.key}]", "del l[bisect_left(l, x)]"]

        def block(value: str, body: list[str]) -> list[str]:
            lines, tests, known = self._bind(atom, "k", value)
            found = Search(self.catalogue, Disjunct(sorts, rest), known, ["x", *keys], static=True)
            inner = found.lines(lambda: body, 0)
            return [*lines, *([f"if {' and '.join(tests)}:", *indented(inner)] if tests else inner)]

        # keys are called k0, k1, ...; `k` is the place
        if atom.value is not None:
            return [*block("old", drop), *block("new", add)]
        first, second = (add, drop) if atom.positive else (drop, add)
        return ["if new:", *indented(block("", first)), "else:", *indented(block("", second))]

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
        keys = [f"k{i}" for i in range(index.keys)]
        found = Search(self.catalogue, Disjunct(self._index_sorts(index), index.atoms), (), ["x", *keys], static=True)
        body = found.lines(lambda: [f"{index.name}.setdefault({index.key}, []).append(x)"], 1)
        done = [f"{TAB}for l in {index.name}.values():", f"{TAB * 2}l.sort()"]
        return [f"def fill_{index.name}():", *body, *done]

    def _keep_derived(self, found: Derived) -> list[tuple[str, list[str]]]:
        """For each symbol that a derived relation depends on, code for a change of its cell."""
        elements = [f"f{i}" for i in range(found.arity)]
        sorts = tuple(zip(elements, self.catalogue.signatures[found.symbol].domain, strict=True))
        place = self.catalogue.place(found.symbol, elements)
        whole = Disjunct(sorts, (*found.literals, found.differ))
        name = f"d{len(self.catalogue.functions)}"
        self.catalogue.functions[(found.symbol,)] = name
        body = Search(self.catalogue, whole, elements).lines(lambda: ["return 1"], 1)
        self.catalogue.source.append("\n".join([f"def {name}({', '.join(elements)}):", *body, f"{TAB}return 0"]))
        out = []
        atoms = [x for x in found.literals if isinstance(x, Atom) and not x.rigid]
        for atom in atoms:
            lines, tests, known = self._bind(atom, "k")
            rest = [x for x in found.literals if x is not atom]
            kept = tuple(without_idle(rest, [n for n in known if n[0] == "g"]))
            inner = Search(self.catalogue, Disjunct(sorts, kept), known, elements).lines(
                lambda: [f"set_{found.symbol[2:]}({place}, {name}({', '.join(elements)}))"], 0
            )
            out.append((atom.symbol, [*lines, *([f"if {' and '.join(tests)}:", *indented(inner)] if tests else inner)]))
        return out

    def _fill_derived(self, found: Derived) -> list[str]:
        elements = [f"f{i}" for i in range(found.arity)]
        sorts = tuple(zip(elements, self.catalogue.signatures[found.symbol].domain, strict=True))
        search = Search(self.catalogue, Disjunct(sorts, (*found.literals, found.differ)), (), elements, static=True)
        place = self.catalogue.place(found.symbol, elements)
        body = search.lines(lambda: [f"{found.symbol}.add({place})"], 1)
        return [f"def fill_{found.symbol}():", *body, f"{TAB}pass"]

    # -- properties --------------------------------------------------------------------------------------------

    def _loop(self, history: str, blocks: dict[str, list[list[str]]], clear: bool) -> list[str]:
        """Each block for every changed cell of its symbol, its place in ``k``, with ``old`` and ``new``."""
        out = []
        for symbol, parts in blocks.items():
            signature, name = self.catalogue.signatures[symbol], symbol[2:]
            sparse_relation = signature.relation and len(signature.domain) > 1
            now = f"k in {symbol}" if sparse_relation else f"{symbol}[k]"
            head = [f"for k, old in {history}_{name}.items():", f"{TAB}new = {now}", f"{TAB}if new != old:"]
            out += indented(
                [f"if {history}_{name}:", *indented([*head, *indented(merged(self.catalogue.apart(parts)), 2)])]
            )
            if clear:
                out += [f"{TAB * 2}{history}_{name}.clear()"]
        return out

    def _stepped(self, properties: Sequence[Property]) -> list[str]:
        """``stepped(bad)``: adds the places of the step properties that are false of the step just taken."""
        blocks: dict[str, list[list[str]]] = {}
        always: list[str] = []
        for place, property in enumerate(properties):
            for found in disjuncts(property.formula, False):
                heart = functools.partial(list[str], [f"bad.add({place})"])
                pair = max(_pairs(found), key=lambda pair: len(pair[0].args), default=None)
                if pair is None:
                    always += self.search(found, (), heart, step=True)
                    continue
                atom, spent, sign = pair
                lines, tests, known = self._bind(attrs.evolve(atom, value=None), "k")
                tests += {True: ["new"], False: ["old"], None: []}[sign]
                rest = attrs.evolve(found, literals=tuple(x for x in found.literals if x not in spent))
                inner = self.search(rest, known, heart, step=True)
                inner = [f"if {' and '.join(tests)}:", *indented(inner)] if tests else inner
                blocks.setdefault(atom.symbol, []).append([*lines, *inner])
        return ["def stepped(bad):", f"{TAB}pass", *indented(always), *self._loop("h", blocks, False)]

    def _looked(self, properties: Sequence[Property]) -> list[str]:
        """``looked(bad)``: the same for invariants, after any number of steps; ``began(bad)``: in the first state."""
        blocks: dict[str, list[list[str]]] = {}
        closing, began, functions = list[str](), list[str](), list[str]()
        number = 0
        for place, property in enumerate(properties):
            for found in disjuncts(property.formula, False):
                number += 1
                found = self.catalogue.prepared(found)
                bad = [f"bad.add({place})"]
                closed, opened = _parted(found)
                elements = [n for n, _ in opened.variables if any(n in free(x) for x in opened.literals)]
                if not elements:
                    closing += self.search(found, (), functools.partial(list[str], bad))
                    continue
                heart = bad
                if closed.literals:
                    self.kept.append(number)
                    heart = [f"w{number}.add(({', '.join(elements)},))"]
                    still = self.search(opened, elements, lambda: ["return True"])
                    functions += [f"def still{number}({', '.join(elements)}):", *indented(still), f"{TAB}return False"]
                    gone = f"for t in [t for t in w{number} if not still{number}(*t)]:"
                    look = [gone, f"{TAB}w{number}.discard(t)", f"if w{number}:", f"{TAB}{bad[0]}"]
                    inner = self.search(closed, (), functools.partial(list[str], look))
                    closing += [f"if w{number}:", *indented(inner)]
                began += self.search(opened, (), functools.partial(list[str], heart), elements, static=True)
                for symbol, lines in self._triggers(opened, heart, elements):
                    blocks.setdefault(symbol, []).append(lines)
        out = [*functions, "def looked(bad):", f"{TAB}pass", *self._loop("a", blocks, True)]
        names = (*self.spec.variables, *(d.symbol[2:] for d in self.catalogue.derived.values()))
        out += [f"{TAB}a_{name}.clear()" for name in names if f"s_{name}" not in blocks]
        return [*out, *indented(closing), "def began(bad):", f"{TAB}pass", *indented(began)]

    def _triggers(self, found: Disjunct, heart: list[str], needs: list[str]) -> list[tuple[str, list[str]]]:
        """For each cell that the search reads: the search, where a change of that cell can have made it succeed."""
        out = []
        for literal in found.literals:
            if isinstance(literal, Atom) and not literal.rigid:
                out.append(self._trigger(found, literal, heart, needs))
            elif isinstance(literal, Never):
                for atom, ties in inner_atoms(literal):
                    out.append(self._inner_trigger(found, atom, ties, heart, needs))
        return out

    def _trigger(self, found: Disjunct, atom: Atom, heart: list[str], needs: list[str]) -> tuple[str, list[str]]:
        """The search after a change of what one of its own literals reads."""
        lines, tests, known = self._bind(atom, "k", "new" if atom.value is not None else "")
        literals = list(found.literals)
        if not any(isinstance(arg, tuple) for arg in atom.args):
            literals.remove(atom)
        if atom.value is None:
            tests.append("new" if atom.positive else "not new")
        else:
            readers = [x for x in found.literals if x is not atom and atom.value in free(x)]
            if len(readers) == 1 and isinstance(readers[0], Compare):
                sides = (readers[0].left, readers[0].right)
                other = sides[1] if sides[0] == atom.value else sides[0]
                if atom.value in sides and other in dict(found.variables):
                    # it has become true: with the old value it was false
                    literals.append(rename(readers[0], {atom.value: "old"}).negated())
        return atom.symbol, self._guarded(lines, tests, Disjunct(found.variables, tuple(literals)), known, heart, needs)

    def _inner_trigger(
        self, found: Disjunct, atom: Atom, ties: Sequence[Literal], heart: list[str], needs: list[str]
    ) -> tuple[str, list[str]]:
        """The search after a change inside an inner quantifier, for the elements that are tied to those in there."""
        lines, tests, known = self._bind(atom, "k")
        names = known | found.names | {name for x in found.literals for name in free(x)}
        literals, grown = list(found.literals), True
        while grown:
            new = [x for x in ties if x not in literals and _arguments(x) <= names]
            names |= {n for x in new for n in free(x)}
            literals += new
            grown = bool(new)
        return atom.symbol, self._guarded(lines, tests, Disjunct(found.variables, tuple(literals)), known, heart, needs)

    def _guarded(
        self,
        lines: list[str],
        tests: list[str],
        found: Disjunct,
        known: set[str],
        heart: list[str],
        needs: list[str],
    ) -> list[str]:
        inner = Search(self.catalogue, found, known | {"old"}, needs).lines(lambda: heart, 0)
        return [*lines, *([f"if {' and '.join(tests)}:", *indented(inner)] if tests else inner)]


def _arguments(literal: Literal) -> frozenset[str]:
    """What must be known for a literal to say something of the rest."""
    if isinstance(literal, Atom) and literal.value is not None:
        return frozenset(name for arg in literal.args for name in names_in(arg))
    return free(literal)


def _used(lines: Sequence[str], names: Mapping[str, object]) -> list[str]:
    """Which of the names of indexes the code mentions."""
    found = dict.fromkeys(name for line in lines for name in re.findall(r"\b[ij]\d+\b", line))
    return [name for name in found if name in names]


def simple(variable: Variable[Any]) -> bool:
    """Whether the first value of a cell is an expression of constants, so that it need not be stored."""
    return not any(
        t.op in ("forall", "exists") or (t.op == "apply" and t.data[0].kind == "var") for t in walk(variable.init)
    )


def _leaves(term: Term) -> list[tuple[Conditions, Term]]:
    """The values of a term by cases."""
    if term.op != "ite":
        return [((), term)]
    condition, then, otherwise = term.args
    return [
        *((((condition, True), *more), leaf) for more, leaf in _leaves(then)),
        *((((condition, False), *more), leaf) for more, leaf in _leaves(otherwise)),
    ]


def _pairs(found: Disjunct) -> list[tuple[Atom, list[Literal], bool | None]]:
    """Cells that must have changed: the atom, the literals that say so, whether it became true (None: no relation)."""
    out: list[tuple[Atom, list[Literal], bool | None]] = []
    atoms = [x for x in found.literals if isinstance(x, Atom) and not x.rigid]
    for new in (a for a in atoms if a.primed):
        for old in (a for a in atoms if not a.primed and (a.symbol, a.args) == (new.symbol, new.args)):
            if any(isinstance(arg, tuple) for arg in new.args):
                continue
            if new.value is None and new.positive != old.positive:
                out.append((new, [new, old], new.positive))
            for x in found.literals:
                if new.value is None or not isinstance(x, Compare) or x.op not in ("ne", "lt"):
                    continue
                if {x.left, x.right} == {new.value, old.value}:
                    out.append((new, [x] if x.op == "ne" else [], None))
    return out


def _parted(found: Disjunct) -> tuple[Disjunct, Disjunct]:
    """What is said of the state as a whole, and the rest."""
    known: set[Any] = set()
    definitions = [x for x in found.literals if isinstance(x, Atom) and x.value is not None]
    grown = True
    while grown:
        more = {x.value for x in definitions if {n for arg in x.args for n in names_in(arg)} <= known} - known
        known |= more
        grown = bool(more)
    closed = [x for x in found.literals if free(x) <= known]
    tests = [x for x in closed if x not in definitions]
    opened = without_idle([x for x in found.literals if x not in tests], ())
    return (
        Disjunct((), tuple(without_idle(closed, ())) if tests else ()),
        Disjunct(found.variables, tuple(opened)),
    )


@functools.lru_cache(maxsize=32)
def program_of(spec: Spec, sliced: tuple[tuple[str, str], ...] = ()) -> Program:
    """The program of a spec; ``sliced`` pairs variables with relations (:class:`mtpo.proofs.joins.Catalogue`)."""
    return Compiler(spec, sliced).program()
