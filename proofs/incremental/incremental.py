"""The concrete interpretation for long runs: the cost of a step depends on what it touches, not on what came before.

It interprets the same spec as :class:`mtpo.spec.concrete.Instance` and must say the same of every step, which the
tests check on random specs and runs. States are sparse: a variable of several arguments keeps only what was changed.
Formulas are evaluated by :mod:`mtpo.proofs.incremental.compiling`, which looks only at what a step can have changed,
after every step: an invariant is reported when it becomes false, and may not be again while it stays so.
"""

from __future__ import annotations

import hashlib
import itertools
import operator
from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from typing import Any

from mtpo.proofs.incremental.compiling import Program, program_of, simple
from mtpo.proofs.incremental.disjuncts import Atom, Disjunct, Never, disjuncts
from mtpo.proofs.incremental.relations import Rising, Rows, pairs
from mtpo.spec.concrete import InstanceError, Step
from mtpo.spec.language import Clause, Property, Sort, Spec
from mtpo.spec.language.terms import Bool, Function, Int

Constant = Sequence[int] | Rising | Mapping[int, int] | Set[int] | Rows
"""A table; of several arguments, the places where a relation holds, or a function is not 0; of two, rows."""


class _Table(dict[int, int]):
    def __missing__(self, place: int) -> int:
        return 0


class Incremental:
    """A spec with sizes and constants, in one state that steps change in place.

    ``sliced`` maps variables to relations: only cells where the relation holds are kept right. What reads such a cell
    must ask the relation too (:func:`unsliced` says what does not). Arguments of steps that are functions may be
    mappings from elements to values; what they lack is 0. ``narrow``: constant relations which hold of few elements, as
    the argument of that number, for given others, and variables which have a value for few, or hold of few: an advice.
    ``fixed``: the constants whose values the program is made for, if they have no arguments or are relations that hold
    of nothing. ``strides``: how far apart the places of cells are whose arguments before one of that sort differ by
    one, by default its size; places in ``constants`` that are mappings or sets are by these. Without ``checked`` steps
    are only taken: no guard and no property is looked at. ``state`` is taken over from another one
    (:meth:`going_on`).
    """

    def __init__(
        self,
        spec: Spec,
        sizes: Mapping[type[Sort], int],
        constants: Mapping[str, Constant],
        sliced: Mapping[str, str] | None = None,
        narrow: Mapping[str, int] | None = None,
        fixed: Collection[str] = (),
        *,
        strides: Mapping[type[Sort], int] | None = None,
        checked: bool = True,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._scope: dict[str, Any] = {}
        self.spec, self.sizes = spec, dict(sizes)
        self.strides: dict[type[Any], int] = dict(strides or {})
        self._given = constants, sliced, narrow, fixed
        self.program: Program = prepare(spec, constants, sliced, narrow, fixed, checked=checked)
        scope = self._scope
        scope |= {"E": (), "bisect_left": bisect_left, "insort": insort, "pairs": pairs}
        scope |= {"broken": set[int](), "wrong": set[int](), "flawed": set[int]()}
        for sort, size in self.sizes.items():
            scope[f"n_{sort.__name__}"] = size
            scope[f"m_{sort.__name__}"] = self.strides.get(sort, size)
            if f"e_{sort.__name__}" in self.program.text:
                scope[f"e_{sort.__name__}"] = [*range(size)]
        for name, symbol in spec.constants.items():
            if name not in constants:
                raise InstanceError(f"{spec.name}: constant `{name}` has no value")
            self._constant(symbol, constants[name])
        text, bound = _compiled(self.program)
        exec(text, scope)
        scope["FRESH"] = state is None
        self._start(state)
        exec(bound, scope)
        self._guards = {name: scope[f"guard_{name}"] for name in spec.actions if checked}
        self._updates = {name: scope[f"update_{name}"] for name in spec.actions}
        self._reads = {name: scope[f"get_{name}"] for name in spec.variables}
        self._last = ""
        self._broken: set[int] = scope["broken"]
        self._wrong: set[int] = scope["wrong"]
        scope["began" if state is None else "resumed"]()
        for name in self._relations:
            del scope[f"o_{name}"]

    def __del__(self) -> None:
        """Functions and the tables that they read form cycles, which only a search for garbage would find."""
        self._scope.clear()

    def going_on(self) -> Incremental:
        """The same spec in the same state, with everything looked at from now on; this one is not to be used any more.

        What was violated before is not reported again: whoever took the steps without looking vouches for them.
        """
        constants, sliced, narrow, fixed = self._given
        state = {name: self._scope[f"s_{name}"] for name in self.spec.variables}
        self._scope.clear()  # there is room for what the other needs
        return Incremental(self.spec, self.sizes, constants, sliced, narrow, fixed, strides=self.strides, state=state)

    def digest(self) -> bytes:
        """SHA-256 of the state: every cell of every variable."""
        found = hashlib.sha256()
        for name in self.spec.variables:
            table = self._scope[f"s_{name}"]
            keys = [] if isinstance(table, list) else sorted(table)
            values = map(table.__getitem__, keys) if isinstance(table, dict) else table if not keys else ()
            for part in (_packed(keys), _packed([*values])):
                found.update(f"{name} {len(part)} ".encode())
                found.update(part)
        return found.digest()

    @property
    def _relations(self) -> list[str]:
        """The constant relations that are sets of places: ``o_NAME`` are these in order, for those that begin."""
        given = [name for name, f in self.spec.constants.items() if len(f.domain) > 1 and f.range is Bool]
        return [name for name in given if f"c_{name}" not in self.program.catalogue.rows]

    @property
    def _names(self) -> list[str]:
        return [*self.spec.variables, *(found.symbol[2:] for found in self.program.derived)]

    def _size(self, sort: type[Any]) -> int:
        return 2 if sort is Bool else self.sizes[sort]

    def _place(self, symbol: Function[Any], args: Sequence[int]) -> int:
        place = 0
        for sort, arg in zip(symbol.domain, args, strict=True):
            place = place * self.strides.get(sort, self._size(sort)) + arg
        return place

    def _constant(self, symbol: Function[Any], given: Constant) -> None:
        scope, name = self._scope, symbol.name
        rising = isinstance(given, Rising)
        given = given.values if isinstance(given, Rising) else given
        if not symbol.domain:
            assert isinstance(given, Sequence)
            scope[f"K__{name}"] = int(given[0])
        elif isinstance(given, Rows):
            scope[f"c_{name}"] = given.rows
        elif len(symbol.domain) > 1 and symbol.range is Bool:
            scope[f"c_{name}"] = (
                given if isinstance(given, Set) else frozenset(place for place, v in self._placed(symbol, given) if v)
            )
        else:
            apart = isinstance(given, Mapping) or any(sort in self.strides for sort in symbol.domain[1:])
            table = scope[f"c_{name}"] = _Table(self._placed(symbol, given)) if apart else list(given)  # type: ignore[arg-type]
            values = [0, *(table.values() if isinstance(table, dict) else table)]
            if symbol.range is not Int and not 0 <= min(values) <= max(values) < self._size(symbol.range):
                raise InstanceError(f"{self.spec.name}: a value of `{name}` is no {symbol.range.__name__}")
            if rising and any(map(operator.gt, table, itertools.islice(table, 1, None))):
                raise InstanceError(f"{self.spec.name}: `{name}` falls from one element to the next")

    def _placed(self, symbol: Function[Any], given: Mapping[int, int] | Sequence[int]) -> Iterable[tuple[int, int]]:
        """The places and values of a table."""
        if isinstance(given, Mapping):
            return given.items()
        points = itertools.product(*(range(self._size(sort)) for sort in symbol.domain))
        return zip((self._place(symbol, args) for args in points), given, strict=True)

    def _start(self, state: Mapping[str, Any] | None) -> None:
        scope = self._scope
        for name, size in self.program.indexes.items():
            keys = range(int(scope.get(size) or size) if size else 0)
            scope[name] = [()] * len(keys) if size else {}
        scope |= {name: scope[relation] for name, relation in self.program.rows.items()}
        for name in self._relations:
            scope[f"o_{name}"] = sorted(scope[f"c_{name}"])
        for name in self.program.fills[0]:
            scope[f"fill_{name}"]()
        for name, variable in self.spec.variables.items():
            if state is not None:
                scope[f"s_{name}"] = state[name]
                continue
            first = scope[f"first_{name}"]
            sizes = [range(self._size(sort)) for sort in variable.domain]
            if len(sizes) < 2:
                scope[f"s_{name}"] = scope[f"every_{name}"]() if sizes else [first()]
            elif variable.range is Bool:
                never = variable.init.op == "lit" and not variable.init.data
                points = () if never else itertools.product(*sizes)
                scope[f"s_{name}"] = {self._place(variable, args) for args in points if first(*args)}
            else:
                points = () if simple(variable) else itertools.product(*sizes)
                scope[f"s_{name}"] = {self._place(variable, args): first(*args) for args in points}
        for found in self.program.derived:
            if found.arity == 1:
                scope[found.symbol] = [False] * self._size(self.program.catalogue.signatures[found.symbol].domain[0])
        for name in self._names:
            scope.setdefault(f"s_{name}", set())  # of several arguments
            scope[f"h_{name}"] = {}
        for number in self.program.kept:
            scope[f"w{number}"] = set()
        for name in self.program.fills[1]:
            scope[f"fill_{name}"]()

    # -- running -----------------------------------------------------------------------------------------------

    def value(self, variable: str, *args: int) -> int:
        """The value of a variable."""
        return int(self._reads[variable](*args))

    def reader(self, variable: str) -> Callable[..., int]:
        """A function that gives the value of a variable for its arguments."""
        return self._reads[variable]  # type: ignore[no-any-return]

    def refuses(self, step: tuple[str, tuple[Any, ...]]) -> Clause | None:
        """The first guard clause of an action, with its arguments, that is false; None when the step may be taken."""
        place = self._guards[step[0]](*step[1])
        return None if place < 0 else self.spec.actions[step[0]].guard[place]

    def takes(self, step: tuple[str, tuple[Any, ...]]) -> Sequence[Property]:
        """Take a step without looking at its guard; the step properties that it violates."""
        self._last = step[0]
        self._updates[step[0]](*step[1])
        return self._named(self._broken, self.program.steps) if self._broken else ()

    def refused(self, step: Step) -> Clause | None:
        """:meth:`refuses` for a :class:`Step`."""
        return self.refuses((step.action, step.args))

    def perform(self, step: Step) -> Sequence[Property]:
        """:meth:`takes` for a :class:`Step`."""
        return self.takes((step.action, step.args))

    def violated(self) -> Sequence[Property]:
        """The invariants and lemmas that became false since this was asked last; ask after each step."""
        return self._named(self._wrong, self.program.invariants) if self._wrong else ()

    def goes(self, step: tuple[str, tuple[Any, ...]]) -> Sequence[Property]:
        """Take a step: :meth:`takes` and :meth:`violated` in one."""
        self._last = step[0]
        self._updates[step[0]](*step[1])
        if not self._broken and not self._wrong:
            return ()
        return [*self._named(self._broken, self.program.steps), *self._named(self._wrong, self.program.invariants)]

    @staticmethod
    def _named(bad: set[int], properties: Sequence[Property]) -> list[Property]:
        found = [properties[place] for place in sorted(bad)]
        bad.clear()
        return found

    def changed(self, variable: str) -> Mapping[int, int]:
        """The cells of a variable that the last step changed, by place, with what they were: until the next step."""
        return self._scope[f"h_{variable}"] if variable in self.program.moved.get(self._last, ()) else {}

    def take_back(self) -> None:
        """Undo the last step."""
        for name in self.spec.variables:
            for place, old in list(self.changed(name).items()):
                self._scope[f"set_{name}"](place, int(old))

    def define(self, text: str, name: str) -> Any:
        """A function that reads the state, from its code (:class:`mtpo.proofs.incremental.compiling.Compiler`)."""
        exec(compile(text, "<spec, step by step>", "exec"), self._scope)
        return self._scope[name]

    def sparse(self, step: Step) -> Step:
        """The step with functions as mappings."""
        made = []
        for param, arg in zip(self.spec.actions[step.action].params, step.args, strict=True):
            if isinstance(param, Function) and isinstance(arg, tuple):
                arg = {place: value for place, value in self._placed(param, arg) if value}  # type: ignore[assignment]
            made.append(arg)
        return Step(step.action, tuple(made))


def prepare(
    spec: Spec,
    constants: Mapping[str, Constant],
    sliced: Mapping[str, str] | None = None,
    narrow: Mapping[str, int] | None = None,
    fixed: Collection[str] = (),
    *,
    checked: bool = True,
) -> Program:
    """The program for an :class:`Incremental` with these arguments, which it will find made."""
    ways = (tuple((given or {}).items()) for given in (sliced, narrow))
    forms = sorted(
        (name, type(given).__name__) for name, given in constants.items() if isinstance(given, Rows | Rising)
    )
    program = program_of(spec, *ways, _fixed(spec, constants, fixed), tuple(forms), checked)
    _compiled(program)
    return program


def _packed(values: list[int]) -> bytes:
    """Numbers as bytes; other numbers are other bytes."""
    try:
        return array("q", values).tobytes()
    except OverflowError:
        return repr(list(map(int, values))).encode()


def _items(table: Any) -> Any:
    return table.items() if isinstance(table, Mapping) else enumerate(table)


def _fixed(spec: Spec, constants: Mapping[str, Constant], names: Collection[str]) -> tuple[tuple[str, int | None], ...]:
    """The values that a program can be made for: numbers, and None for relations that hold of nothing."""
    found: dict[str, int | None] = {}
    for name in names:
        if name not in constants:
            continue
        symbol, given = spec.constants[name], constants[name]
        if not symbol.domain and isinstance(given, Sequence):
            found[name] = int(given[0])
        elif symbol.range is Bool and len(symbol.domain) > 1 and not _holds(given):
            found[name] = None
    return tuple(found.items())


def _holds(relation: Constant) -> bool:
    """Whether it holds of anything."""
    return bool(relation) if isinstance(relation, Set | Rows) else any(value for _, value in _items(relation))


_codes: dict[int, tuple[Program, list[Any]]] = {}


def _compiled(program: Program) -> list[Any]:
    if id(program) not in _codes:
        parts = [compile(part, "<spec, step by step>", "exec") for part in (program.text, program.bound)]
        _codes[id(program)] = program, parts
    return _codes[id(program)][1]


def unsliced(spec: Spec, sliced: Mapping[str, str]) -> list[str]:
    """The ids of the clauses and properties that read a sliced variable without asking its relation beside it."""
    masks = {f"s_{name}": f"c_{relation}" for name, relation in sliced.items()}

    def reads_more(found: Disjunct) -> bool:
        asked = {(x.symbol, x.args) for x in found.literals if isinstance(x, Atom) and x.positive}
        inner = [d for x in found.literals if isinstance(x, Never) for d in x.disjuncts]
        own = [x for x in found.literals if isinstance(x, Atom) and x.symbol in masks]
        return any((masks[x.symbol], x.args) not in asked for x in own) or any(map(reads_more, inner))

    clauses = [(c.id, c.formula) for action in spec.actions.values() for c in action.guard]
    formulas = [(p.id, p.formula) for p in spec.role("invariant", "lemma", "step")]
    return [id for id, formula in (*clauses, *formulas) if any(map(reads_more, disjuncts(formula, False)))]
