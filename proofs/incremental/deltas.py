"""Of the properties, those instances that a step can have made false.

A formula that was true can only have become false where a cell changed that one of its literals reads; that instance is
evaluated, and no other. For each action there is a function of its own, since which variables an action changes, and
whether to true or to false, is known when the spec is compiled. What an instance says of the whole state (``~busy``) is
asked last: where the rest is false the instance is kept, and looked at again when that holds. What can be false only
where another invariant is (:mod:`mtpo.proofs.incremental.implied`) is asked from the first step on in which one was
false.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from mtpo.proofs.incremental.blocks import TAB, decided, indented, merged, propagated, rename, symbols, without_idle
from mtpo.proofs.incremental.catalogue import Moved, within
from mtpo.proofs.incremental.disjuncts import (
    Atom,
    Compare,
    Disjunct,
    Literal,
    Never,
    consistent,
    free,
    inner_atoms,
    name_of,
    names_in,
)
from mtpo.proofs.incremental.implied import comparisons, follows
from mtpo.proofs.incremental.joins import Search
from mtpo.spec.language import Action, Property
from mtpo.spec.language.terms import Bool

if TYPE_CHECKING:
    from mtpo.proofs.incremental.compiling import Compiler

Sign = bool | None
"""To what a cell of a relation changes; None: either, or it is no relation."""


@attrs.frozen
class _Trigger:
    """Code for every cell of a symbol that changes, so that a property may have become false; ``reads`` what it reads
    of before the step."""

    symbol: str
    sign: Sign
    lines: Callable[[Moved], list[str]]
    reads: frozenset[str]
    needs: frozenset[str] = frozenset()
    """Symbols that must have changed too."""
    whether: bool = False
    """It says nothing of cells that have not changed: it is one of a step property."""
    later: bool = False
    """It need not be asked while no invariant has been wrong: another one says more."""


class Deltas:
    """The checks of a spec's properties: ``broken.add(n)`` of step properties, ``wrong.add(n)`` of invariants."""

    def __init__(self, compiler: Compiler) -> None:
        self.compiler, self.catalogue, spec = compiler, compiler.catalogue, compiler.spec
        self.steps: tuple[Property, ...] = ()
        self.invariants: tuple[Property, ...] = ()
        if compiler.checked:
            self.steps, self.invariants = spec.role("step"), spec.role("invariant", "lemma")
        self.functions: list[str] = []
        self._triggers: list[_Trigger] = []
        self._always: list[tuple[Disjunct, list[str]]] = []
        self._whole: list[tuple[Disjunct, list[str]]] = []
        """What is said of no elements."""
        self._implied: list[Literal] = []
        """Comparisons that follow from the one being prepared: to be tested, though nothing depends on them."""
        self._later = False
        """The one being prepared says less than another invariant."""
        self._waiting: dict[Disjunct, list[tuple[int, int, frozenset[str], bool]]] = {}
        """By what is said of the state as a whole: the instances that wait for it, as numbers in ``w1``, ``w2``, ..."""
        self._began: dict[bool, list[list[str]]] = {False: [], True: []}
        """What is asked of the first state; of what says less than another apart."""
        self._kept: list[list[str]] = []
        """What is kept of the state that is gone on from."""
        self._made: dict[tuple[int, Moved], list[str]] = {}
        for property in (*self.steps, *self.invariants):
            for found in compiler.cases(property.formula, False):
                self._prepare(found)
        for place, property in enumerate(self.steps):
            for found in compiler.cases(property.formula, False):
                for part in _split(found):
                    self._step(place, part)
        cases = [(n, found) for n, p in enumerate(self.invariants) for found in compiler.cases(p.formula, False)]
        less = _less([found for _, found in cases])
        for number, (place, found) in enumerate(cases):
            self._later = number in less
            risen = self.catalogue.risen([*found.literals, *comparisons(found)])
            if risen is not None:
                self._implied = risen[len(found.literals) :]
                self._invariant(place, self.catalogue.prepared(found))

    def _prepare(self, found: Disjunct) -> frozenset[str]:
        """The symbols that the search reads, derived relations among them, which all must be known beforehand."""
        every = {name for x in found.literals for name in free(x)}
        inner = [self._prepare(d) for x in found.literals if isinstance(x, Never) for d in x.disjuncts]
        return symbols(self.catalogue.prepared(found, every)).union(*inner)

    @property
    def kept(self) -> tuple[int, ...]:
        """The numbers of the sets of instances that wait."""
        return tuple(range(1, len(self._waiting) + 1))

    # -- step properties ---------------------------------------------------------------------------------------

    def _step(self, place: int, found: Disjunct) -> None:
        heart = [f"broken.add({place})"]
        pairs = _pairs(found)
        pair = max(pairs, key=lambda pair: len(pair[0].args), default=None)
        if pair is None:
            self._always.append((found, heart))
            return
        atom, spent, sign = pair
        rest = attrs.evolve(found, literals=tuple(x for x in found.literals if x not in spent))

        def lines(moved: Moved) -> list[str]:
            lines, tests, known = self.compiler.bind(attrs.evolve(atom, value=None), "k")
            inner = self.compiler.search(rest, known, lambda: heart, moved=moved, of=atom)
            self.catalogue.places = {}
            return [*lines, *([f"if {' and '.join(tests)}:", *indented(inner)] if tests else inner)]

        needs = frozenset(other.symbol for other, _, _ in pairs)
        self._triggers.append(_Trigger(atom.symbol, sign, lines, self._prepare(found), needs, True))

    # -- invariants --------------------------------------------------------------------------------------------

    def _invariant(self, place: int, found: Disjunct) -> None:
        bad = [f"wrong.add({place})"]
        closed, opened = _parted(found)
        elements = [n for n, _ in opened.variables if any(n in free(x) for x in opened.literals)]
        if not elements:
            self._whole.append((found, bad))
            return
        names = {n for x in opened.literals for n in free(x)}
        names |= {x.value for x in self._implied if isinstance(x, Atom) and isinstance(x.value, str)}
        self._implied = [x for x in self._implied if free(x) <= names]
        heart, needs = bad, list[str]()  # of what is false now one instance is enough
        if closed.literals:
            needs = elements
            waiting = self._waiting.setdefault(closed, [])
            number, kept = sum(map(len, self._waiting.values())), [*self._waiting].index(closed) + 1
            waiting.append((number, place, symbols(opened), self._later))
            heart = [f"w{kept}.add(({number}, {', '.join(elements)}))"]
            still = self.compiler.search(opened, elements, lambda: ["return True"])
            self.functions += [f"def still{number}({', '.join(elements)}):", *indented(still), f"{TAB}return False"]
        start = functools.partial(list[str], heart)
        if not any(isinstance(x, Atom) and self.compiler.never(x) for x in opened.literals):
            self._began[self._later].append(self.compiler.search(opened, (), start, needs, static=True, filled=True))
        if closed.literals and not self._later:
            self._kept.append(self.compiler.search(opened, (), start, needs))
        for literal in opened.literals:
            if isinstance(literal, Atom) and not literal.rigid and not self._follows(literal, opened):
                self._trigger(opened, literal, heart, needs)
            elif isinstance(literal, Never):
                deep = any(isinstance(x, Never) for d in literal.disjuncts for x in d.literals)
                for atom, ties, beside in inner_atoms(literal):
                    sign = None if deep or atom.value is not None else not atom.positive
                    was = () if beside is None else self._was(atom, beside, opened)
                    self._inner_trigger(opened, atom, sign, (*ties, *was), heart, needs)

    def _under(self, symbol: str) -> frozenset[str]:
        """What a derived relation reads."""
        found = next((d for d in self.catalogue.derived.values() if d.symbol == symbol), None)
        return frozenset() if found is None else frozenset(x.symbol for x in found.literals if isinstance(x, Atom))

    def _follows(self, atom: Atom, found: Disjunct) -> bool:
        """Whether a derived relation changes only where other literals do."""
        derived = next((d for d in self.catalogue.derived.values() if d.symbol == atom.symbol), None)
        if derived is None:
            return False
        names: dict[Any, Any] = {f"f{i}": arg for i, arg in enumerate(atom.args)}
        todo = [x for x in derived.literals if isinstance(x, Atom) and not x.rigid]
        while todo:
            for own in todo:
                args = tuple(names.get(arg, arg) for arg in own.args)
                same = [x for x in found.literals if isinstance(x, Atom) and (x.symbol, x.args) == (own.symbol, args)]
                if same and same[0].value is not None:
                    names[own.value] = same[0].value
                    todo.remove(own)
                    break
            else:
                return False
        return True

    def _trigger(self, found: Disjunct, atom: Atom, heart: list[str], needs: list[str]) -> None:
        """The search after a change of what one of its own literals reads."""
        lines, tests, known = self.compiler.bind(atom, "k", "new" if atom.value is not None else "")
        literals = list(found.literals)
        if not any(isinstance(arg, tuple) for arg in atom.args):
            literals.remove(atom)
        if atom.value is not None:
            reader = self._once(atom, found)
            if reader is not None:  # it has become true: with the old value it was false
                literals.append(rename(reader, {atom.value: "old"}).negated())
        sign = atom.positive if atom.value is None else None
        self._guarded(atom, sign, lines, tests, literals, found, known, heart, needs)

    def _was(self, atom: Atom, beside: Disjunct, found: Disjunct) -> list[Literal]:
        """What is said of an application's value beside it, of its value before; of others' values only if a change of
        these is looked at anyway."""
        if not isinstance(atom.value, str):
            return []
        moving = [x for x in beside.literals if isinstance(x, Atom) and not x.rigid and isinstance(x.value, str)]
        outer = [
            x for x in found.literals if isinstance(x, Atom) and x.value is not None and self._once(x, found) is None
        ]
        names: dict[Any, Any] = {
            x.value: y.value for x in moving for y in outer if (x.symbol, x.args) == (y.symbol, y.args)
        } | {atom.value: "old"}
        said = [x for x in beside.literals if not isinstance(x, Never) and atom.value in free(x) and x != atom]
        fixed = [x for x in said if isinstance(x, Compare) or (isinstance(x, Atom) and x.rigid)]
        left = {x.value for x in moving} - {*names}
        return [rename(x, names) for x in fixed if not free(x) & left]

    def _once(self, atom: Atom, found: Disjunct) -> Compare | None:
        """The comparison with an element that alone reads the value of an atom."""
        readers: list[Literal] = [x for x in found.literals if x is not atom and atom.value in free(x)]
        readers += [x for x in found.literals if isinstance(x, Atom) and atom.symbol in self._under(x.symbol)]
        if len(readers) != 1 or not isinstance(readers[0], Compare):
            return None
        sides = (readers[0].left, readers[0].right)
        other = sides[1] if sides[0] == atom.value else sides[0]
        return readers[0] if atom.value in sides and other in dict(found.variables) else None

    def _inner_trigger(
        self, found: Disjunct, atom: Atom, sign: Sign, ties: Sequence[Literal], heart: list[str], needs: list[str]
    ) -> None:
        """The search after a change inside an inner quantifier, for the elements that are tied to those in there."""
        lines, tests, known = self.compiler.bind(atom, "k")
        names = known | found.names | {"old"} | {name for x in found.literals for name in free(x)}
        literals, grown = list(found.literals), True
        while grown:
            new = [x for x in ties if x not in literals and _arguments(x) <= names]
            names |= {n for x in new for n in free(x)}
            literals += new
            grown = bool(new)
        self._guarded(atom, sign, lines, tests, literals, found, known, heart, needs)

    def _guarded(
        self,
        atom: Atom,
        sign: Sign,
        lines: list[str],
        tests: list[str],
        literals: Sequence[Literal],
        found: Disjunct,
        known: set[str],
        heart: list[str],
        needs: list[str],
    ) -> None:
        kept = Disjunct(found.variables, self.compiler.kept(atom, (*literals, *self._implied)))
        inner = Search(self.catalogue, kept, known | {"old"}, needs).lines(lambda: heart, 0)
        self.catalogue.places = {}
        made = [*lines, *([f"if {' and '.join(tests)}:", *indented(inner)] if tests else inner)]
        self._triggers.append(_Trigger(atom.symbol, sign, lambda moved: made, frozenset(), later=self._later))

    # -- code --------------------------------------------------------------------------------------------------

    def moved(self, action: Action) -> tuple[str, ...]:
        """The names of the variables and derived relations that an action can change."""
        own = dict.fromkeys(update.variable.name for update in action.updates)
        derived = [d.symbol for d in self.catalogue.derived.values()]
        return (*own, *(d[2:] for d in derived if any(f"s_{name}" in self._under(d) for name in own)))

    def after(self, action: Action) -> list[str]:
        """``check_ACTION(parameters)``: looks at what a step by the action can have made false."""
        params = self.catalogue.parameters(action)
        moved = frozenset(f"s_{name}" for name in self.moved(action))
        now, later = ([*self._code(action, moved, params, less), *self._closing(moved, less)] for less in (False, True))
        given = ", ".join(params)
        if later:
            self.functions += [f"def more_{action.name}({given}):", f"{TAB}flawed.add(0)", *indented(later)]
            now += ["if wrong or flawed:", f"{TAB}more_{action.name}({given})"]
        return [f"def check_{action.name}({given}):", *indented(now or ["pass"])]

    def _code(self, action: Action, moved: frozenset[str], params: Sequence[str], later: bool) -> list[str]:
        """The searches of what an action can have made false, ``later`` of what need mostly not be asked."""
        signs, cells = self._signs(action), self._cells(action)
        to = frozenset((symbol, sign) for symbol in moved for sign in signs.get(symbol, {True, False}))
        blocks: list[list[str]] = []
        for number, trigger in enumerate(self._triggers):
            symbol, sign = trigger.symbol, trigger.sign
            may = sign is None or sign in signs.get(symbol, {True, False})
            if not may or trigger.later != later or not trigger.needs | {symbol} <= moved:
                continue
            key = (number, within(to, trigger.reads))
            if key not in self._made:
                self._made[key] = trigger.lines(key[1])
            lines = self._made[key]
            if symbol not in cells:
                once = sum(f"s_{update.variable.name}" == symbol for update in action.updates) == 1
                blocks.append(self._loop(symbol, sign, lines, signs.get(symbol, {True, False}), once))
            else:  # the cell has changed, or it will do no harm
                at = [re.sub(r"\bk\b", cells[symbol], line) for line in lines]
                blocks.append([f"if h_{symbol[2:]}:", *indented(at)] if trigger.whether else at)
        if not later:
            for found, heart in self._always:
                blocks.append(self.compiler.search(found, (), functools.partial(list[str], heart), moved=to))
            for found, heart in self._whole:
                if symbols(found) & moved:
                    blocks.append(self.compiler.search(found, (), functools.partial(list[str], heart)))
        facts = self._facts(action)
        return merged(self.catalogue.apart([decided(propagated(block), facts) for block in blocks], params))

    def _cells(self, action: Action) -> dict[str, str]:
        """The relations of one argument of which an action changes one cell, a parameter, always to the same value."""
        found: dict[str, str] = {}
        for update in action.updates:
            symbol = f"s_{update.variable.name}"
            arg = update.args[0] if len(update.args) == 1 and not update.whole else None
            plain = update.variable.range is Bool and update.value.op == "lit"
            once = sum(u.variable is update.variable for u in action.updates) == 1
            if arg is not None and arg.op == "bound" and plain and once:
                found[symbol] = name_of(arg)
        return found

    def _facts(self, action: Action) -> dict[str, bool]:
        """What is so after every step by an action, since it has made it so."""
        found = {}
        for symbol, cell in self._cells(action).items():
            update = next(u for u in action.updates if f"s_{u.variable.name}" == symbol)
            found[f"{symbol}[{cell}]"] = bool(update.value.data)
        return found

    def _signs(self, action: Action) -> dict[str, set[bool]]:
        """To what an action can change its relations, where that is always the same; else to both."""
        found: dict[str, set[bool]] = {}
        for update in action.updates:
            plain = update.variable.range is Bool and update.value.op == "lit"
            signs = {bool(update.value.data)} if plain else {True, False}
            found.setdefault(f"s_{update.variable.name}", set()).update(signs)
        return found

    def _loop(self, symbol: str, sign: Sign, lines: Sequence[str], signs: set[bool], once: bool) -> list[str]:
        """A block for every changed cell of its symbol, its place in ``k``, with ``old`` and ``new``.

        ``once``: no cell is changed back.
        """
        signature, name = self.catalogue.signatures[symbol], symbol[2:]
        test = "" if sign is None or signs == {sign} else "if new:" if sign else "if old:"
        body = [test, *indented(lines)] if test else list(lines)
        if not once:
            body = ["if new != old:", *indented(body)]
        now = f"k in {symbol}" if signature.relation and len(signature.domain) > 1 else f"{symbol}[k]"
        read = [f"new = {now}"] if any(re.search(r"\bnew\b", line) for line in body) else []
        return [f"for k, old in h_{name}.items():", *indented([*read, *body])]

    def _closing(self, moved: frozenset[str] | None, later: bool = False) -> list[str]:
        """What is kept until something holds of the whole state: of all, or if the step can have mattered to it."""
        out = []
        for kept, (closed, waiting) in enumerate(self._waiting.items(), 1):
            own = [reads for _, _, reads, less in waiting if less == later or moved is None]
            if moved is None or (own and moved & symbols(closed).union(*own)):
                inner = self.compiler.search(closed, (), lambda kept=kept: [f"closed{kept}()"])  # type: ignore[misc]
                out += [f"if w{kept}:", *indented(inner)]
        return out

    def closings(self) -> list[str]:
        """Functions for when that holds: what is still false is reported, and all else forgotten."""
        out = []
        for kept, waiting in enumerate(self._waiting.values(), 1):
            still = ", ".join(f"{number}: still{number}" for number, *_ in waiting)
            places = ", ".join(f"{number}: {place}" for number, place, *_ in waiting)
            out += [
                f"still_of{kept} = {{{still}}}",
                f"place_of{kept} = {{{places}}}",
                f"def closed{kept}():",
                f"{TAB}for t in [t for t in w{kept} if not still_of{kept}[t[0]](*t[1:])]:",
                f"{TAB * 2}w{kept}.discard(t)",
                f"{TAB}wrong.update([place_of{kept}[t[0]] for t in w{kept}])",
            ]
        return out

    def began(self) -> list[str]:
        """``began()``: looks at the invariants in the first state; ``resumed()``, in a state that is gone on from, at
        what is false of it and waits for what is said of the whole."""
        whole = [line for found, heart in self._whole for line in self.compiler.search(found, (), lambda h=heart: h)]  # type: ignore[misc]
        now, later = (merged(self.catalogue.apart(self._began[less])) for less in (False, True))
        first = [*now, *whole, *self._closing(None)]
        more = ["if wrong:", f"{TAB}flawed.add(0)", *indented([*later, *self._closing(None)])]
        kept = merged(self.catalogue.apart(self._kept))
        return ["def began():", *indented([*first, *more]), "def resumed():", *indented(kept or ["pass"])]


def _arguments(literal: Literal) -> frozenset[str]:
    """What must be known for a literal to say something of the rest."""
    if isinstance(literal, Atom) and literal.value is not None:
        return frozenset(name for arg in literal.args for name in names_in(arg))
    return free(literal)


def _less(cases: Sequence[Disjunct]) -> set[int]:
    """Those that hold, but for what they say of the whole state, only where another one does, which is not of these."""
    opened = [_parted(found)[1] for found in cases]
    read = [symbols(found) for found in cases]
    less: set[int] = set()
    for n, special in enumerate(opened):
        for m, general in enumerate(cases):
            if m == n or m in less or not general.variables or not read[m] <= symbols(special):
                continue
            if follows(special, general) and (m < n or not follows(opened[m], cases[n])):
                less.add(n)
                break
    return less


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


def _split(found: Disjunct) -> list[Disjunct]:
    """The disjunct in parts that each say of one cell that it has changed: where ``f(g(x))`` has, either ``g(x)`` has,
    or ``f`` at the same place."""
    if _pairs(found):
        return [found]
    own = {x.value: x for x in found.literals if isinstance(x, Atom) and isinstance(x.value, str) and not x.rigid}
    for x in found.literals:
        if not isinstance(x, Compare) or x.op != "ne" or x.left not in own or x.right not in own:
            continue
        one, other = own[x.left], own[x.right]
        for s, t in zip(one.args, other.args, strict=False):
            inner = [own[arg] for arg in (s, t) if isinstance(arg, str) and arg in own]
            if one.symbol != other.symbol or s == t or len(inner) < 2:
                continue
            same = (inner[0].symbol, inner[0].args) == (inner[1].symbol, inner[1].args)
            if not same or any(isinstance(y, Never) and t in free(y) for y in found.literals):
                continue
            literals = [y if isinstance(y, Never) else rename(y, {t: s}) for y in found.literals]
            rest = consistent(Disjunct(found.variables, tuple(literals)))
            changed = attrs.evolve(found, literals=(*found.literals, Compare("ne", s, t)))
            return [changed, *([] if rest is None else _split(rest))]
    return [found]


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
