"""Searches as Python code: nested loops over indexes, planned when they are compiled.

A search looks for elements for which all literals of a disjunct hold. What is known decides what is tried next: a
literal whose variables are all known is a filter, an application whose arguments are known gives its value, and a
variable is looked up in an *index*: its elements for which some literals hold, by the values of the others (``live(w) &
writes(w, o)`` by o is the trajectory of o); in order where a search asks for those between bounds. Only where nothing
narrows a variable down are all elements of its sort tried. Indexes are kept up to date by whoever changes the state
(:mod:`mtpo.proofs.incremental.incremental`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs

from mtpo.proofs.incremental.blocks import TAB, likely, places_of, rename, symbols
from mtpo.proofs.incremental.catalogue import OPERATORS, STILL, Catalogue, Moved, code, size_name, within
from mtpo.proofs.incremental.disjuncts import (
    Atom,
    Compare,
    Disjunct,
    Literal,
    Never,
    Operand,
    consistent,
    free,
    names_in,
)
from mtpo.spec.language.terms import Int

_SIMPLE: Final = re.compile(r"    if ((?:[^:\n]|:=)*):\n        return True")
"""A search that is one test."""


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
    whether: str = ""
    """A test that says whether there is something; empty if there is none that is simple."""


class Search:
    """One search. ``known`` are variables with a value; ``needs`` those that the code at its heart uses.

    ``moved``: just after a step, the symbols that it can have changed, each with what to (of relations; of others
    both): of these, atoms that are not primed are read from before it. ``static``: indexes that change are not to be
    used, but for what is least in one, if they are ``filled``.
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
        filled: bool = False,
    ) -> None:
        self.catalogue, self.disjunct, self.moved, self.static = catalogue, disjunct, moved, static
        self.filled = filled or not static
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
                    return [*out, f"{TAB * depth}pass"]
                todo = list(found.literals)
                if name not in self.needs and not any(name in free(x) for x in inner):
                    self.gone.add(name)
                    continue
            out.append(f"{TAB * depth}{name} = {value}")
            known = known | {name}
        late = [x for x in todo if free(x) <= known]
        todo = [x for x in todo if x not in late]
        flush()
        wanted = [n for n in self.needs if n not in known]
        apart = self._apart(todo, known) if late else None
        if apart is not None:  # whether there is something at all is known sooner
            out.append(f"{TAB * depth}{apart.before or f'if {apart.whether}:'}")
            rest = [x for x in todo if x not in apart.settles]
            return out + self._from([*rest, *late], known, heart, depth + 1)
        filters += [self.test(x) for x in late]
        flush()
        if not todo and not wanted:
            return out + [f"{TAB * depth}{line}" for line in heart()]
        way = self._best(todo, known, wanted)
        if way.before:
            out.append(f"{TAB * depth}{way.before}")
            depth += 1
        if way.whether and not way.tests and not {*todo} - {*way.settles} and not {*wanted} & {*way.finds}:
            if not way.before:  # which says that there is one
                out.append(f"{TAB * depth}if {way.whether}:")
                depth += 1
            return out + [f"{TAB * depth}{line}" for line in heart()]
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
            return f"{code(literal.left)} {OPERATORS[literal.op]} {code(literal.right)}"
        if isinstance(literal, Never):
            return f"not {exists(self.catalogue, literal, self.moved, self.static)}"
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
        if (moved := next((a for a in atoms if self._has_moved(a, todo)), None)) is not None:
            return _Way(1, [f"for {subject} in {{{self._changed(moved, subject)}}}:"], (), (subject,))
        atoms = [a for a in atoms if not a.symbol.startswith("p_")]
        chosen = [a for a in atoms if a.positive or (a.rigid and len(a.args) == 1)]
        if self.static:
            chosen = [a for a in chosen if a.rigid]
        few = [a for a in chosen if a.positive and self.catalogue.narrow.get(a.symbol, -1) in places_of(a, subject)]
        scarce = [a for a in few if len(a.args) == 1 and a.value is None]
        few = [a for a in few if a not in scarce]
        if few:
            chosen = [a for a in few if a.rigid] or [few[0], *scarce]
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
        if few and not scarce:
            low, high, bounds = "", "", ()
        one = Compare("ne", subject, 0)
        if not bounds and one in todo and not self.static and self._alone(subject, (one, *atoms), todo):
            low, bounds = "1", (one,)  # whether there is one says the last
        settled: tuple[Literal, ...]
        size = size_name(self.sorts[subject])
        if not chosen:
            cut, never = f"{low or 0}, " if low else "", None
            if not high:
                high, never = self._least(subject, todo, known)
            end = f"min({high}, {size})" if high else size
            every = {name for x in todo for name in free(x)} - {subject}
            later = never is None and not high and self._least(subject, todo, known | every)[1] is not None
            settled = bounds if never is None else (*bounds, never)
            return _Way(10.5 if later else 10, [f"for {subject} in range({cut}{end}):"], settled, (subject,))
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
        if all(a.rigid or not free(a) - {subject} for a in chosen) and any(a.value is not None for a in chosen):
            cost += 0.1  # the elements of one kind can be many
        tests = [
            x for x in todo if isinstance(x, Atom) and x.args == (subject,) and x.value is None and x not in chosen
        ]
        cost -= 0.15 * len(tests)  # what is tested at once may leave little
        if few:
            cost -= 0.75
        elif not keyed and any(a.positive and self.catalogue.few(a.symbol) for a in chosen):
            cost = 1.35
        settled = (*chosen, *bounds)
        if bounds:
            if found.startswith("i"):
                self.catalogue.ordered.add(re.split(r"\W", found, maxsplit=1)[0])
            below = f"bisect_left(l, {low})" if low else ""
            above = f"bisect_left(l, {high})" if high else ""
            if not any(a in old for a in moving):  # mostly there is none, which the last, or the first, says at once
                some = [f"(l := {found})", f"l[-1] >= {low}" if low else f"l[0] < {high}"]
                if low and high:
                    some.append(f"l[b := {below}] < {high}")
                    below = "b"
                head = f"if {' and '.join(some)}:"
                return _Way(cost, [f"for {subject} in l[{below}:{above}]:"], settled, (subject,), (), head, "True")
            found = f"(l := {found})[{below}:{above}]"
        whether = "" if bounds else found
        leaving = [a for a in moving if a in old and (a.value is not None or (a.symbol, not a.positive) in self.moved)]
        if leaving:  # the index is that of now; what has left it was in it
            moving = leaving
            gone = " or ".join(f"h{a.symbol[1:]}" for a in moving)
            parts = [self._changed(a, subject) for a in moving]
            found, settled = f"{found} if not ({gone}) else {{*{found}, {', '.join(parts)}}}", ()
        elif any(a in old for a in chosen):
            settled = tuple(x for x in settled if x not in old)
        return _Way(cost, [f"for {subject} in {found}:"], settled, (subject,), whether=whether)

    def _apart(self, todo: Sequence[Literal], known: set[str]) -> _Way | None:
        """A variable of which only some are wanted, which one test says."""
        names = {name for x in todo for name in free(x)} - known - {*self.needs}
        ways = [self._lookup(name, todo, known) for name in self.sorts if name in names]
        for way in ways:
            rest = [x for x in todo if x not in way.settles]
            if way.whether and not way.tests and not any({*way.finds} & free(x) for x in rest):
                return way
        return None

    def _alone(self, subject: str, said: Sequence[Literal], todo: Sequence[Literal]) -> bool:
        """Whether nothing else is said of a variable, and nobody needs it."""
        return subject not in self.needs and not any(subject in free(x) for x in todo if x not in said)

    def _index(self, subject: str, atoms: Sequence[Atom]) -> tuple[str, list[Operand]]:
        """The list of elements in an index as code, and its key."""
        index, keys = self.catalogue.index(subject, atoms)
        return index.get([code(k) for k in keys]), keys

    def _has_moved(self, atom: Atom, todo: Sequence[Literal]) -> bool:
        """Whether it is said that what held before the step does no more, or now does and did not."""
        after = attrs.evolve(atom, primed=True, positive=not atom.positive)
        return atom.value is None and self._old(atom) and after in todo

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
                used += [y for y in (Compare("ne", subject, 0),) if x.op == "lt" and y in todo]  # nothing is below 0
        return low, high, tuple(used)

    def _least(self, subject: str, todo: Sequence[Literal], known: set[str]) -> tuple[str, Never | None]:
        """The end of what an inner quantifier leaves, which says that there is nothing of a kind below the subject."""
        for x in todo:
            if not self.filled or not isinstance(x, Never) or len(x.disjuncts) != 1:
                continue
            inner = x.disjuncts[0]
            below = [y for y in inner.literals if isinstance(y, Compare)]
            atoms = [y for y in inner.literals if isinstance(y, Atom)]
            if len(inner.variables) != 1 or len(below) != 1 or len(atoms) + 1 != len(inner.literals):
                continue
            name, order = inner.variables[0][0], below[0]
            plain = all(a.value is None and not self._old(a) and not a.symbol.startswith("p_") for a in atoms)
            if not plain or order.op not in ("lt", "le") or (order.left, order.right) != (name, subject):
                continue
            if any(a.positive for a in atoms) and all(self._indexable(a, name, known) for a in atoms):
                index, keys = self.catalogue.index(name, atoms)
                self.catalogue.ordered.add(index.name)
                least = f"m[0]{' + 1' if order.op == 'lt' else ''}"
                size = size_name(self.sorts[subject])
                return f"({least} if (m := {index.get([code(k) for k in keys])}) else {size})", x
        return "", None

    def _inverse(self, literal: Literal, todo: Sequence[Literal], known: set[str]) -> _Way | None:
        """All arguments for which a function has a value that is known."""
        if not isinstance(literal, Atom) or literal.rigid or literal.value is None or literal.value not in known:
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
                places = f"{name}{given_value}"
                settles: tuple[Literal, ...] = (literal, x)
                if self._old(literal):  # it is that of now; what has left it was in it
                    changed = f"h{literal.symbol[1:]}"
                    places, settles = f"{{*{places}, *{changed}}} if {changed} else {places}", ()
                head = [f"for kk in {places}:"]
                head += [f"{n} = {c}" for n, c in found if n in names]
                tests = tuple(f"{c} == {code(n)}" for n, c in found if n not in names)
                return _Way(0.5 if narrow else 3, head, settles, tuple(map(str, names)), tests)
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
        if literal.symbol in self.catalogue.rows:
            head = [f"for {', '.join(map(str, names))} in {self.catalogue.pairs(literal.symbol)}:"]
            return _Way(cost, head, (literal,), tuple(map(str, names)))
        found = self.catalogue.unplace(literal.symbol, "kk")
        head = [f"for kk in {literal.symbol}:", *(f"{n} = {c}" for n, c in zip(names, found, strict=True))]
        return _Way(cost, head, (literal,), tuple(map(str, names)))


def whether(catalogue: Catalogue, never: Never, moved: Moved, static: bool = False) -> tuple[str, list[str]]:
    """A function that says whether there is an instance, and the names of its arguments."""
    args = sorted(free(never))
    prepared = [catalogue.prepared(disjunct) for disjunct in never.disjuncts]
    key = (never, within(moved, *map(symbols, prepared)), static)
    if key not in catalogue.functions:
        name = catalogue.functions[key] = f"q{len(catalogue.functions)}"
        lines, places = [f"def {name}({', '.join(args)}):"], catalogue.places
        catalogue.places = {}
        tests: list[str] = []
        for disjunct in prepared:
            search = Search(catalogue, disjunct, args, moved=key[1], static=static)
            found = search.lines(lambda: ["return True"], 1)
            simple = _SIMPLE.fullmatch("\n".join(found))
            tests += [simple[1]] if simple else []
            lines += found
        catalogue.places = places
        if len(tests) == len(prepared):
            catalogue.tests[name] = f"({' or '.join(tests)})"
        catalogue.source.append("\n".join([*lines, f"{TAB}return False"]))
    return catalogue.functions[key], args


def exists(catalogue: Catalogue, never: Never, moved: Moved, static: bool = False) -> str:
    """Whether there is an instance, as code."""
    name, args = whether(catalogue, never, moved, static)
    return catalogue.tests.get(name, f"{name}({', '.join(args)})")
