"""The code of what an action writes: what its changes are, and the changes of cells."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from mtpo.proofs.incremental.blocks import TAB, indented, propagated, shared, symbols
from mtpo.proofs.incremental.catalogue import code
from mtpo.proofs.incremental.disjuncts import Atom, Compare, Disjunct, free, name_of, names_in
from mtpo.spec.language import TRUE, Action, Term, Update, show
from mtpo.spec.language.terms import Bool, walk

if TYPE_CHECKING:
    from mtpo.proofs.incremental.compiling import Compiler

Conditions = tuple[tuple[Term, bool], ...]


class Writing:
    """Makes the code of steps."""

    def __init__(self, compiler: Compiler) -> None:
        self.compiler, self.catalogue = compiler, compiler.catalogue

    def update(self, action: Action, moved: Iterable[str]) -> list[str]:
        """Take a step, and look at what it can have violated; afterwards ``h_NAME`` are the cells that it changed.

        What is written is found before anything is: all of it first, but for tables that nothing later looks at, whose
        cells are written as they are found.
        """
        params = self.catalogue.parameters(action)
        tables = [update for update in action.updates if update.whole and update.variable.domain]
        at_once = self._at_once(action)
        find, write = list[str](), list[tuple[int, list[str]]]()
        for number, update in enumerate(action.updates):
            name = update.variable.name
            once = int(sum(other.variable is update.variable for other in action.updates) == 1)
            if update in tables:
                if update not in at_once:
                    find += [f"u{number} = []", *self._differences(update, number, params)]
                    write.append((1, [f"for k, new in u{number}:", f"{TAB}@set s_{name} {once} k new"]))
                continue
            args = [] if update.whole else [self.compiler.value(arg, {}) for arg in update.args]
            place, value = self.catalogue.place(f"s_{name}", args), self.compiler.value(update.value, {})
            if place not in params and not place.isdecimal():
                find.append(f"z{number} = {place}")
                place = f"z{number}"
            if not value.isdecimal():
                find.append(f"y{number} = {value}")
                value = f"y{number}"
            relation = self.catalogue.sliced.get(f"s_{name}")
            change = [f"@set s_{name} {once} {place} {value}"]
            if relation is not None:
                change = [f"if {self.catalogue.holds(relation, f's_{name}', place)}:", *indented(change)]
            # what begins to hold goes into indexes by what is so by then
            first = 2 if update.variable.range is Bool and value != "0" else 0
            write.append((first if once else 1, change))
        for update in at_once:
            find += self._differences(update, None, params)
        clear = [f"h_{name}.clear()" for name in moved]
        given = ", ".join(params)
        body = [*find, *(line for _, lines in sorted(write, key=lambda each: each[0]) for line in lines)]
        body = [line for line in body if line != "pass"] or ["pass"]
        head = f"def update_{action.name}({given}):"
        check = [f"{TAB}check_{action.name}({given})"] if self.compiler.checked else []
        return [head, *indented(clear), *indented(shared(propagated(body))), *check]

    def _at_once(self, action: Action) -> list[Update]:
        """The tables whose cells can be written as they are found, in an order in which none is looked at after it is
        written."""
        updates = action.updates
        tables = [u for u in updates if u.whole and u.variable.domain]
        tables = [u for u in tables if sum(other.variable is u.variable for other in updates) == 1]
        reads = {u.variable.name: self._reads(u, self.catalogue.parameters(action)) for u in tables}
        todo = [u for u in tables if u.variable.name not in reads[u.variable.name]]
        order: list[Update] = []
        while todo:
            ready = [u for u in todo if not any(u.variable.name in reads[v.variable.name] for v in todo if v is not u)]
            if not ready:
                todo.pop()  # they look at each other
                continue
            order += ready[:1]
            todo.remove(ready[0])
        return order

    def _reads(self, update: Update, params: Sequence[str]) -> set[str]:
        """The variables at which finding the changes of a table looks, but for the cell itself."""
        variable = update.variable
        own = f"s_{variable.name}", tuple(name_of(f) for f in variable.formals)
        cases = [case for case, _ in self._cases_of(update)]
        found: set[str] = set()
        for case in cases:
            prepared = self.catalogue.prepared(case, {name for x in case.literals for name in free(x)})
            rest = [x for x in prepared.literals if not (isinstance(x, Atom) and self._is_cell(x, own))]
            found |= symbols(attrs.evolve(prepared, literals=tuple(rest)))
        lines = self._differences(update, None, params)
        text = "\n".join(line for line in lines if " in [*" not in line)  # what is copied may be changed meanwhile
        return self._under({*found, *re.findall(r"\bin (s_\w+):", text)}, text)

    def _under(self, found: set[str], text: str) -> set[str]:
        """The variables on which symbols depend, and the indexes that code asks."""
        used = set(re.findall(r"\b[ij]\d+\b", text))
        found |= {x.symbol for index in self.catalogue.indexes.values() if index.name in used for x in index.atoms}
        found |= {symbol for (symbol, _), name in self.catalogue.inverses.items() if name in used}
        derived = [d for d in self.catalogue.derived.values() if d.symbol in found]
        found |= {x.symbol for d in derived for x in d.literals if isinstance(x, Atom)}
        return {symbol[2:] for symbol in found if symbol.startswith("s_")}

    def _of_itself(self, update: Update) -> bool:
        """Whether a table's new values depend on its own."""
        variable = update.variable
        cell = show(variable(*variable.formals))
        terms = [update.value]
        if variable.range is not Bool:
            leaves = [(conditions, leaf) for conditions, leaf in _leaves(update.value) if show(leaf) != cell]
            terms = [term for conditions, leaf in leaves for term in (leaf, *(given for given, _ in conditions))]
        return any(t.op == "apply" and t.data[0].name == variable.name for term in terms for t in walk(term))

    def _is_cell(self, atom: Atom, own: tuple[str, tuple[str, ...]]) -> bool:
        """Whether an atom reads the cell itself, or says of it alone that it differs from a constant."""
        derived = next((d for d in self.catalogue.derived.values() if d.symbol == atom.symbol), None)
        read = {atom.symbol} if derived is None else {x.symbol for x in derived.literals if isinstance(x, Atom)}
        return read == {own[0]} and atom.args == own[1]

    def _cases_of(self, update: Update) -> Iterator[tuple[Disjunct, Term | int]]:
        """The cells that an update of a whole table changes, and to what."""
        variable, symbol = update.variable, f"s_{update.variable.name}"
        formals = [name_of(f) for f in variable.formals]
        cell = variable(*variable.formals)
        own = tuple((name_of(f), f.sort) for f in variable.formals)
        cases: list[tuple[Conditions, Term | int]] = []
        if variable.range is Bool:
            cases += [(((update.value, True), (cell, False)), 1), (((update.value, False), (cell, True)), 0)]
        else:
            leaves = [(c, leaf) for c, leaf in _leaves(update.value) if show(leaf) != show(cell)]
            cases += [((*conditions, (leaf == cell, False)), leaf) for conditions, leaf in leaves]
        for conditions, value in cases:
            for found in self.compiler.cases(TRUE, True, *conditions):
                found = attrs.evolve(found, variables=(*own, *found.variables))
                if symbol in self.catalogue.sliced:
                    mask = Atom(self.catalogue.sliced[symbol], False, tuple(formals))
                    found = attrs.evolve(found, literals=(*found.literals, mask))
                yield found, value

    def _differences(self, update: Update, number: int | None, params: Sequence[str]) -> list[str]:
        """Code that appends (place, value) of every cell that the update changes; without a number it changes them."""
        variable, formals = update.variable, [name_of(f) for f in update.variable.formals]
        symbol = f"s_{variable.name}"
        place = self.catalogue.place(symbol, formals)
        out: list[str] = []
        cases = list(self._cases_of(update))
        again = self._of_itself(update) and (variable.range is not Bool or len(cases) > 1)
        for found, leaf in cases:
            value = str(leaf) if isinstance(leaf, int) else self.compiler.value(leaf, {})
            heart, needs = [f"u{number}.append(({place}, {value}))"], formals
            if number is None:
                of, parts = (symbol, tuple(formals)), formals if len(formals) > 1 else []
                olds = [x.value for x in found.literals if isinstance(x, Atom) and (x.symbol, x.args) == of]
                old = next((x for x in olds if isinstance(x, str)), "")
                heart, needs = [f"y = {value}"], [*formals, *([old] if old else [])]
                if isinstance(leaf, int):
                    heart.append(f"@change {symbol} {value} {place} {' '.join(parts)}")
                else:
                    others = [
                        x
                        for x in found.literals
                        if isinstance(x, Compare) and x.op == "ne" and old in (x.left, x.right)
                    ]
                    for new in (x.left if x.right == old else x.right for x in others[:1]):
                        heart, needs = [f"y = {code(new)}"], [*needs, *names_in(new)]
                    heart.append(f"@change {symbol} - {place} y {old or '-'} {' '.join(parts)}")
            if again and number is None:  # by what it was, not by what it is now
                heart = [f"if {place} not in h_{variable.name}:", *indented(heart)]
            out += self.compiler.search(found, params, functools.partial(list, heart), needs)
        out = [line for line in out if line != "pass"]
        loop = _only_loop(out) if number is None else None
        if loop is not None:
            head, _, container = out[loop].partition(" in ")
            if variable.name in self._under(set(re.findall(r"s_\w+", container)), container):
                out[loop] = f"{head} in [*{container[:-1]}]:"
        return out


def _only_loop(lines: Sequence[str]) -> int | None:
    """The place of the line that is the only loop in code, and in no test."""
    loops = [n for n, line in enumerate(lines) if line.lstrip().startswith("for ")]
    return loops[0] if len(loops) == 1 and lines[loops[0]].startswith("for ") else None


def _leaves(term: Term) -> list[tuple[Conditions, Term]]:
    """The values of a term by cases."""
    if term.op != "ite":
        return [((), term)]
    condition, then, otherwise = term.args
    parts = condition.args if condition.op == "and" else (condition,)
    failing = [tuple((part, n < last) for n, part in enumerate(parts[: last + 1])) for last in range(len(parts))]
    return [
        *((((condition, True), *more), leaf) for more, leaf in _leaves(then)),
        *(((*fails, *more), leaf) for fails in failing for more, leaf in _leaves(otherwise)),  # no two at once
    ]
