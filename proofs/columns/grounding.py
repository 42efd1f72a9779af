"""A spec as a circuit over the bits of packed states: every quantifier and every parameter is expanded.

The same text as everywhere: guards, updates and properties, at every choice of arguments. What the sizes and the
constants decide is decided here, once: of the choices of a function parameter only those are made of which the guard
is not false already, whatever the state.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import attrs

from mtpo.proofs.columns.circuit import FALSE, TRUE, Circuit, Gate, Number, constant
from mtpo.proofs.exploration.packing import WORD, Packing
from mtpo.proofs.exploration.symmetry import Symmetry
from mtpo.spec.concrete import InstanceError, Step
from mtpo.spec.language import Action, Bool, Function, Int, Term, conjuncts

MAX_STEPS: Final = 20_000
"""Choices of arguments, of all actions together."""

MAX_POINTS: Final = 1_000_000
"""Points of nested quantifiers."""

Value = int | tuple[Gate, ...] | Number
"""Of a Bool a gate; of an Int a number; of an element a known one, or bits, the least first."""

Env = Mapping[Any, Any]


class Unchosen(Exception):
    """A formula depends on a cell of a function parameter that is not chosen yet."""

    def __init__(self, function: Function[Any], place: int) -> None:
        super().__init__(function.name)
        self.function, self.place = function, place


@attrs.frozen
class Move:
    """A step with known arguments: the gate of its guard, and of each plane that it may change the gate, by plane.

    ``fits`` is whether every integer that it leaves has room in its cell.
    """

    step: Step
    number: int
    guard: Gate
    changes: tuple[tuple[int, Gate], ...]
    fits: Gate


class Grounding:
    """The circuit of an instance whose states are packed so; :meth:`moves`, :meth:`holds`, ... are made when asked."""

    def __init__(self, packing: Packing) -> None:
        self.packing, self.instance = packing, packing.instance
        self.circuit = Circuit()
        self._free: dict[int, tuple[Any, ...]] = {}
        self._made: dict[tuple[Any, ...], Value] = {}
        self._kept: list[Term] = []
        """Terms whose ids are keys."""
        self._points = 1

    # -- cells -------------------------------------------------------------------------------------------------

    def planes(self, cell: int) -> list[int]:
        """Where the bits of a cell lie, the least first: word times 64 and the bit in it."""
        found = self.packing.cells[cell]
        return [WORD * found.word + found.shift + n for n in range(found.bits)]

    def read(self, row: str, cell: int, sort: type[Term]) -> Value:
        """The value of a cell of the state (``row`` s) or of the next (t)."""
        bits = [self.circuit.input(row, plane) for plane in self.planes(cell)]
        if sort is Bool:
            return bits[0]
        if sort is Int:
            low, high = self.packing.held
            if low < 0:
                bits[-1] = self.circuit.inv(bits[-1])
            return Number(tuple(bits), low, high)
        return tuple(bits) if bits else 0

    def written(self, value: Value, sort: type[Term], cell: int) -> tuple[list[Gate], Gate]:
        """The bits of a cell that holds a value, and whether it has room there."""
        if sort is not Int:
            return self._bits(value, sort), TRUE
        number, (low, high) = cast(Number, value), self.packing.held
        ends = (constant(low), constant(high))
        fits = self.circuit.both(self.circuit.below(ends[0], number, True), self.circuit.below(number, ends[1], True))
        bits = [number.bit(n) for n in range(self.packing.cells[cell].bits)]
        if low < 0:
            bits[-1] = self.circuit.inv(bits[-1])
        return bits, fits

    def _bits(self, value: Value, sort: type[Term]) -> list[Gate]:
        if sort is Bool:
            return [cast(Gate, value)]
        wide = (self.instance.size(sort) - 1).bit_length()
        if isinstance(value, int):
            return [TRUE if value >> n & 1 else FALSE for n in range(wide)]
        return list(cast(tuple[Gate, ...], value))

    # -- terms -------------------------------------------------------------------------------------------------

    def free(self, term: Term) -> tuple[Any, ...]:
        """What a term depends on beside the state: variables bound outside, and function parameters."""
        found = self._free.get(id(term))
        if found is None:
            if term.op == "bound":
                found = (term,)
            else:
                parts = dict.fromkeys(v for arg in term.args for v in self.free(arg))
                if term.op == "apply" and term.data[0].kind == "param":
                    parts.setdefault(term.data[0])
                own = {id(v) for v in term.data} if term.op in ("forall", "exists") else set()
                found = tuple(v for v in parts if id(v) not in own)
            self._free[id(term)] = found
            self._kept.append(term)
        return found

    def value(self, term: Term, env: Env) -> Value:
        """What a term is; ``env`` gives bound variables elements, and function parameters tables."""
        match term.op:
            case "lit":
                return constant(int(term.data)) if term.sort is Int else int(term.data)
            case "bound":
                return cast(Value, env[term])
        key = (id(term), *(env[v] if isinstance(v, Term) else tuple(env[v]) for v in self.free(term)))
        if key not in self._made:
            self._made[key] = self._value(term, env)
        return self._made[key]

    def gate(self, term: Term, env: Env) -> Gate:
        """A formula."""
        return cast(Gate, self.value(term, env))

    def _value(self, term: Term, env: Env) -> Value:
        circuit = self.circuit
        match term.op:
            case "apply":
                return self._applied(term, env)
            case "not":
                return circuit.inv(self.gate(term.args[0], env))
            case "and":
                return circuit.all(self.gate(arg, env) for arg in term.args)
            case "or":
                return circuit.any(self.gate(arg, env) for arg in term.args)
            case "forall" | "exists":
                return self._quantified(term, env)
            case "ite":
                condition = self.gate(term.args[0], env)
                if condition in (FALSE, TRUE):
                    return self.value(term.args[1 if condition else 2], env)
                cases = [(condition, self.value(term.args[1], env))]
                cases.append((circuit.inv(condition), self.value(term.args[2], env)))
                return self._merged(cases, term.sort)
        left, right = (self.value(arg, env) for arg in term.args)
        if term.sort is Int:
            a, b = cast(Number, left), cast(Number, right)
            return (
                circuit.plus(a, b)
                if term.op == "add"
                else circuit.minus(a, b)
                if term.op == "sub"
                else self._times(a, b)
            )
        return self._compared(term.op, left, right, term.args[0].sort)

    def _times(self, a: Number, b: Number) -> Number:
        known, other = (a, b) if a.low == a.high else (b, a)
        if known.low != known.high:
            raise InstanceError(f"{self.instance.spec.name}: a product of two numbers, neither of which is known")
        return self.circuit.times(other, known.low)

    def _compared(self, op: str, left: Value, right: Value, sort: type[Term]) -> Gate:
        circuit = self.circuit
        if isinstance(left, Number) and isinstance(right, Number):
            return circuit.equal(left, right) if op == "eq" else circuit.below(left, right, op == "le")
        if sort is Bool:
            return circuit.inv(circuit.differ(cast(Gate, left), cast(Gate, right)))
        if isinstance(left, int) and isinstance(right, int):
            return int({"eq": left == right, "lt": left < right, "le": left <= right}[op])
        if op == "eq":
            if isinstance(left, int):
                left, right = right, left
            if isinstance(right, int):
                return circuit.is_(cast(tuple[Gate, ...], left), right)
            return circuit.same(cast(tuple[Gate, ...], left), cast(tuple[Gate, ...], right))
        return circuit.less(self._bits(left, sort), self._bits(right, sort), op == "le")

    def _quantified(self, term: Term, env: Env) -> Gate:
        ranges = [range(self.instance.size(v.sort)) for v in term.data]
        outside, self._points = self._points, self._points * math.prod(map(len, ranges))
        if self._points > MAX_POINTS:
            names = ", ".join(str(v.data[0]) for v in term.data)
            raise InstanceError(
                f"{self.instance.spec.name}: {term.op} {names} is over {self._points:,} points, at most "
                f"{MAX_POINTS:,}: choose smaller sizes, fewer variables or --engine compiled"
            )
        body = (
            self.gate(term.args[0], {**env, **dict(zip(term.data, point, strict=True))})
            for point in itertools.product(*ranges)
        )
        try:
            return self.circuit.all(body) if term.op == "forall" else self.circuit.any(body)
        finally:
            self._points = outside

    def _applied(self, term: Term, env: Env) -> Value:
        symbol, primed = term.data
        places = list(self._places(symbol, term.args, env))
        if symbol.kind == "var" or symbol.name in self.instance.open:
            offset, row = self.instance.offsets[symbol.name], "t" if primed else "s"
            cases = [(chosen, self.read(row, offset + place, symbol.range)) for chosen, place in places]
        else:
            table = self.instance.constants[symbol.name] if symbol.kind == "const" else env[symbol]
            for _, place in places:
                if table[place] is None:
                    raise Unchosen(symbol, place)
            known = [(chosen, table[place]) for chosen, place in places]
            cases = [(c, constant(v)) for c, v in known] if symbol.range is Int else known
        return self._merged(cases, symbol.range)

    def _places(self, symbol: Function[Any], args: Sequence[Term], env: Env) -> Iterator[tuple[Gate, int]]:
        """The places in its table at which a symbol may be read or written, each with the gate of its being that."""
        values = [self.value(arg, env) for arg in args]
        choices = []
        for sort, value in zip(symbol.domain, values, strict=True):
            if sort is Bool:
                gate = cast(Gate, value)
                choices.append(
                    [(gate, 1), (self.circuit.inv(gate), 0)] if gate not in (FALSE, TRUE) else [(TRUE, gate)]
                )
            elif isinstance(value, int):
                choices.append([(TRUE, value)])
            else:
                bits = cast(tuple[Gate, ...], value)
                choices.append([(self.circuit.is_(bits, n), n) for n in range(self.instance.size(sort))])
        for point in itertools.product(*choices):
            yield self.circuit.all(gate for gate, _ in point), self.instance.index(symbol, [n for _, n in point])

    def _merged(self, cases: Sequence[tuple[Gate, Value]], sort: type[Term]) -> Value:
        """The value whose condition holds: of the conditions one does."""
        circuit, by_value = self.circuit, dict[Value, list[Gate]]()
        for condition, value in cases:
            if condition != FALSE:
                by_value.setdefault(value, []).append(condition)
        if len(by_value) == 1:
            return next(iter(by_value))
        grouped = [(circuit.any(conditions), value) for value, conditions in by_value.items()]
        if sort is Int:
            return circuit.pick([(condition, cast(Number, value)) for condition, value in grouped])
        if len(grouped) == 2:
            (condition, one), (_, other) = grouped
            merged = [
                circuit.choose(condition, *b) for b in zip(self._bits(one, sort), self._bits(other, sort), strict=True)
            ]
        else:
            bits = [(condition, self._bits(value, sort)) for condition, value in grouped]
            merged = [
                circuit.any(circuit.both(condition, b[n]) for condition, b in bits) for n in range(len(bits[0][1]))
            ]
        return merged[0] if sort is Bool else tuple(merged)

    # -- actions -----------------------------------------------------------------------------------------------

    def moves(self) -> list[Move]:
        """Every step whose guard some state may satisfy, action by action, in the order of arguments."""
        found: list[Move] = []
        for number, action in enumerate(self.instance.spec.actions.values()):
            for guard, env in self._choices(action):
                changes, fits = self._changes(action, env)
                step = Step(action.name, tuple(env[p] for p in action.params))
                found.append(Move(step, number, guard, changes, fits))
                if len(found) > MAX_STEPS:
                    raise InstanceError(
                        f"{self.instance.spec.name}: more than {MAX_STEPS:,} choices of arguments: choose smaller "
                        "sizes or --engine compiled"
                    )
        return found

    def _choices(self, action: Action) -> Iterator[tuple[Gate, dict[Any, Any]]]:
        """The guard, and the arguments, where it is not false whatever the state."""
        sizes = [range(self.instance.size(p.sort)) for p in action.elements]
        cells = [(f, n) for f in action.functions for n in range(self.instance.cells(f))]
        order = {(f.name, n): place for place, (f, n) in enumerate(cells)}
        for elements in itertools.product(*sizes):
            env: dict[Any, Any] = dict(zip(action.elements, elements, strict=True))
            env |= {f: [None] * self.instance.cells(f) for f in action.functions}
            waiting: dict[int, list[tuple[Term, Env]]] = {}
            parts = [(part, env) for clause in action.guard for part in conjuncts(clause.formula)]
            guard = self._tested(parts, TRUE, waiting, order)
            if guard != FALSE:
                yield from self._chosen(cells, 0, env, guard, waiting, order)

    def _chosen(
        self,
        cells: Sequence[tuple[Function[Any], int]],
        place: int,
        env: dict[Any, Any],
        guard: Gate,
        waiting: Mapping[int, list[tuple[Term, Env]]],
        order: Mapping[tuple[str, int], int],
    ) -> Iterator[tuple[Gate, dict[Any, Any]]]:
        """Choose the cells from a place on; what waits for a cell is tested when that is chosen."""
        if place == len(cells):
            yield guard, {p: tuple(v) if isinstance(v, list) else v for p, v in env.items()}
            return
        function, cell = cells[place]
        for value in range(self.instance.size(function.range)):
            env[function][cell] = value
            later = {at: list(parts) for at, parts in waiting.items() if at > place}
            narrower = self._tested(waiting.get(place, ()), guard, later, order)
            if narrower != FALSE:
                yield from self._chosen(cells, place + 1, env, narrower, later, order)
        env[function][cell] = None

    def _tested(
        self,
        parts: Sequence[tuple[Term, Env]],
        guard: Gate,
        waiting: dict[int, list[tuple[Term, Env]]],
        order: Mapping[tuple[str, int], int],
    ) -> Gate:
        """The guard and those parts that can be told now; the others wait, each for a cell that it depends on."""
        work = list(parts)[::-1]
        while work and guard != FALSE:
            part, env = work.pop()
            try:
                guard = self.circuit.both(guard, self.gate(part, env))
            except Unchosen as unchosen:
                if part.op == "and":
                    work += [(arg, env) for arg in reversed(part.args)]
                elif part.op == "forall":
                    points = itertools.product(*(range(self.instance.size(v.sort)) for v in part.data))
                    inner = [(part.args[0], _Inner(env, dict(zip(part.data, p, strict=True)))) for p in points]
                    work += inner[::-1]
                else:
                    waiting.setdefault(order[unchosen.function.name, unchosen.place], []).append((part, env))
        return guard

    def _changes(self, action: Action, env: Env) -> tuple[tuple[tuple[int, Gate], ...], Gate]:
        after: dict[int, Gate] = {}
        fits: dict[int, Gate] = {}
        for update in action.updates:
            variable = update.variable
            offset = self.instance.offsets[variable.name]
            if update.whole:
                for place, point in enumerate(self.instance.points(variable)):
                    inner = {**env, **dict(zip(update.args, point, strict=True))}
                    self._write(after, fits, offset + place, TRUE, self.value(update.value, inner), variable.range)
            else:
                value = self.value(update.value, env)
                for chosen, place in self._places(variable, update.args, env):
                    self._write(after, fits, offset + place, chosen, value, variable.range)
        changed = ((plane, gate) for plane, gate in after.items() if gate != self.circuit.input("s", plane))
        return tuple(changed), self.circuit.all(fits.values())

    def _write(
        self, after: dict[int, Gate], fits: dict[int, Gate], cell: int, chosen: Gate, value: Value, sort: type[Term]
    ) -> None:
        """Write a cell where that one is ``chosen``; what is written over need not fit."""
        if chosen == FALSE:
            return
        circuit = self.circuit
        bits, fit = self.written(value, sort, cell)
        for plane, bit in zip(self.planes(cell), bits, strict=True):
            after[plane] = circuit.choose(chosen, bit, after.get(plane, circuit.input("s", plane)))
        fits[cell] = circuit.choose(chosen, fit, fits.get(cell, TRUE))

    # -- properties --------------------------------------------------------------------------------------------

    def every(self, *roles: str) -> Gate:
        """All properties of these roles hold."""
        return self.circuit.all(self.gate(p.formula, {}) for p in self.instance.spec.role(*roles))

    def canonical(self, symmetry: Symmetry) -> tuple[tuple[int, Gate], ...]:
        """Of the images of the next state under the renamings that of the least words: its planes that may differ."""
        circuit, cells = self.circuit, range(len(self.packing.cells))
        planes = [plane for cell in cells for plane in self.planes(cell)]
        planes.sort(
            key=lambda plane: (-(plane // WORD), plane % WORD)
        )  # the first word decides, and in it the last bit
        rows = [[circuit.input("t", plane) for plane in self.planes(cell)] for cell in cells]
        best = {plane: circuit.input("t", plane) for plane in planes}
        for place, relabel in list(zip(symmetry.place.tolist(), symmetry.relabel.tolist(), strict=True))[1:]:
            image: dict[int, Gate] = {}
            for cell in cells:
                bits, kind = rows[cell], int(symmetry.sort[cell])
                if kind >= 0 and bits:
                    values = [(circuit.is_(bits, old), new) for old, new in enumerate(relabel[kind][: 1 << len(bits)])]
                    bits = [circuit.any(is_old for is_old, new in values if new >> n & 1) for n in range(len(bits))]
                image |= dict(zip(self.planes(place[cell]), bits, strict=True))
            less = circuit.less([image[plane] for plane in planes], [best[plane] for plane in planes])
            best = {plane: circuit.choose(less, image[plane], best[plane]) for plane in planes}
        return tuple((plane, gate) for plane, gate in best.items() if gate != circuit.input("t", plane))

    def goals(self) -> list[tuple[str, Gate]]:
        """What must be reachable, by id."""
        return [(p.id, self.gate(p.formula, {})) for p in self.instance.spec.role("reachable")]


class _Inner(Mapping[Any, Any]):
    """Variables of a quantifier over an environment that is still being chosen."""

    def __init__(self, outer: Env, own: Env) -> None:
        self.outer, self.own = outer, own

    def __getitem__(self, key: Any) -> Any:
        return self.own[key] if key in self.own else self.outer[key]

    def __iter__(self) -> Iterator[Any]:
        return iter({**self.outer, **self.own})

    def __len__(self) -> int:
        return len({**self.outer, **self.own})
