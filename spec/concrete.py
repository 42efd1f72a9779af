"""The concrete interpretation: a spec on Python values.

An :class:`Instance` fixes how many elements each sort has and what the constants are. Elements are the integers from
0; the order of an ordered sort is theirs. A state is one flat row of cells, variable after variable, each variable's
table in row-major order of its arguments: ``bytes`` while exploring (``tuple`` if a variable holds integers), a
``list`` where it is changed in place (monitors, log replay).

Terms are compiled to Python source. *Grounded* code (exploration) has parameters and quantifiers expanded and constants
folded; *loop* code (large instances) keeps both. :func:`evaluate` walks the tree instead: slow, simple, and the
reference that the compiled forms are tested against.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from mtpo.spec.language import Action, Clause, Function, Int, Property, Sort, Spec, Term, formals_of, show
from mtpo.spec.language.terms import Bool, walk

State = Sequence[int]
Table = Sequence[int]
Code = str | int

MAX_CELLS: Final = 50_000_000
MAX_GROUND: Final = 200_000
"""Choices of arguments of which grounded code is made: each is looked at once, a few thousand a second."""
MAX_POINTS: Final = 1_000_000
"""Points of nested quantifiers of which grounded code is made."""
MAX_LOOPS: Final = 15
"""Loops in one another; CPython allows 20 nested blocks."""
_COMPARE: Final = {"eq": "==", "lt": "<", "le": "<="}
_ARITHMETIC: Final = {"add": "+", "sub": "-", "mul": "*"}


class InstanceError(ValueError):
    """Sizes or constants that do not fit the spec: the message names the sort or the constant."""


@attrs.frozen
class Step:
    """An action with its arguments: elements as integers, function parameters as tables (tuples)."""

    action: str
    args: tuple[int | tuple[int, ...], ...]


class Instance:
    """A spec with ``sizes`` (elements per sort) and ``constants`` (a table, or a function of the arguments).

    The constants named in ``open`` are not fixed: each state carries its own values of them, in cells before those of
    the variables, so that one instance covers every choice. Raises :class:`InstanceError` when a size or a constant is
    missing or out of range.
    """

    def __init__(
        self,
        spec: Spec,
        sizes: Mapping[type[Sort], int],
        constants: Mapping[str, Table | Callable[..., int]] | None = None,
        open: Collection[str] = (),
    ) -> None:
        self.spec = spec
        self.sizes = dict(sizes)
        for sort in spec.sorts:
            if self.sizes.get(sort, 0) < 1:
                raise InstanceError(f"{spec.name}: sort {sort.__name__} needs a size of at least 1")
        self.constants: dict[str, tuple[int, ...]] = {}
        self.open = tuple(name for name in spec.constants if name in open)
        for name, symbol in spec.constants.items():
            if name in self.open:
                continue
            if constants is None or name not in constants:
                raise InstanceError(f"{spec.name}: constant `{name}` has no value")
            given = constants[name]
            table = tuple(
                int(v) for v in (given if not callable(given) else (given(*args) for args in self.points(symbol)))
            )
            self._check_table(symbol, table)
            self.constants[name] = table
        held = (*(spec.constants[name] for name in self.open), *spec.variables.values())
        self.offsets: dict[str, int] = {}
        cells = 0
        for symbol in held:
            self.offsets[symbol.name] = cells
            cells += self.cells(symbol)
        if cells > MAX_CELLS:
            raise InstanceError(f"{spec.name}: {cells:,} cells a state, at most {MAX_CELLS:,}")
        self.width = cells
        self.wide = any(v.range is Int for v in held) or any(n > 256 for n in self.sizes.values())
        self._loops: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {}
        self._formulas: dict[tuple[str, bool], Callable[..., bool]] = {}
        self._first: list[int] | None = None
        """The first values of the variables, where they depend on no open constant."""

    # -- layout ------------------------------------------------------------------------------------------------

    def size(self, sort: type[Term]) -> int:
        """Number of elements of a finite sort."""
        if sort is Bool:
            return 2
        if issubclass(sort, Sort):
            return self.sizes[sort]
        raise InstanceError(f"{self.spec.name}: {sort.__name__} is not finite")

    def cells(self, symbol: Function[Any]) -> int:
        """Number of arguments tuples of a symbol."""
        return math.prod(self.size(sort) for sort in symbol.domain)

    def points(self, symbol: Function[Any]) -> Iterator[tuple[int, ...]]:
        """Every tuple of arguments of a symbol, in table order."""
        return itertools.product(*(range(self.size(sort)) for sort in symbol.domain))

    def index(self, symbol: Function[Any], args: Sequence[int]) -> int:
        """Position of a tuple of arguments in the symbol's table."""
        position = 0
        for sort, arg in zip(symbol.domain, args, strict=True):
            position = position * self.size(sort) + arg
        return position

    def _check_table(self, symbol: Function[Any], table: tuple[int, ...]) -> None:
        if len(table) != self.cells(symbol):
            raise InstanceError(
                f"{self.spec.name}: `{symbol.name}` needs {self.cells(symbol)} values, got {len(table)}"
            )
        if symbol.range is not Int and any(not 0 <= v < self.size(symbol.range) for v in table):
            raise InstanceError(f"{self.spec.name}: a value of `{symbol.name}` is no {symbol.range.__name__}")

    def freeze(self, cells: Sequence[int]) -> State:
        """A hashable state."""
        return tuple(cells) if self.wide else bytes(cells)

    def value(self, state: State, variable: str, *args: int) -> int:
        """The value of a variable in a state."""
        return state[self.offsets[variable] + self.index(self.spec.variables[variable], args)]

    def row(self, cells: Sequence[int], place: int) -> tuple[str, tuple[int, ...]]:
        """The symbol and arguments of the cell at a place of a state."""
        name = max((n for n in self.offsets if self.offsets[n] <= place), key=self.offsets.__getitem__)
        symbol = self.spec.variables[name] if name in self.spec.variables else self.spec.constants[name]
        return name, next(itertools.islice(self.points(symbol), place - self.offsets[name], None))

    # -- running -----------------------------------------------------------------------------------------------

    def initial(self, chosen: Mapping[str, Table] | None = None) -> list[int]:
        """The first state, as a list of cells, with the chosen values of the open constants."""
        cells: list[int] = []
        for name in self.open:
            table = tuple((chosen or {})[name])
            self._check_table(self.spec.constants[name], table)
            cells += table
        if self._first is not None:
            return [*cells, *self._first]
        rigid = len(cells)
        for variable in self.spec.variables.values():
            for point in self.points(variable):
                env = dict(zip(variable.formals, point, strict=True))
                cells.append(int(evaluate(variable.init, self, cells, env)))
        terms = [t for v in self.spec.variables.values() for t in walk(v.init)]
        if not any(t.op == "apply" and t.data[0].name in self.open for t in terms):
            self._first = cells[rigid:]
        return cells

    def assumed(self, state: State = ()) -> list[Property]:
        """The assumptions that these constants (in this state, where they are open) violate."""
        return [p for p in self.spec.role("assumption") if not self.formula(p.formula, p.id)(state)]

    def refused(self, state: State, step: Step) -> list[Clause]:
        """The guard clauses that are false: empty when the step may be taken."""
        action = self._action(step)
        env = dict(zip(action.params, step.args, strict=True))
        if self._loop(action)[0](state, *step.args):
            return []
        return [clause for clause in action.guard if not evaluate(clause.formula, self, state, env)]

    def enabled(self, state: State, step: Step) -> bool:
        """Whether every guard clause holds."""
        return bool(self._loop(self._action(step))[0](state, *step.args))

    def perform(self, state: list[int], step: Step) -> None:
        """Take the step in place, without looking at the guard."""
        self._loop(self._action(step))[1](state, *step.args)

    def violated(self, state: State, roles: tuple[str, ...] = ("invariant", "lemma")) -> list[Property]:
        """The properties of these roles that are false in the state."""
        return [p for p in self.spec.role(*roles) if not self.formula(p.formula, p.id)(state)]

    def violated_step(self, state: State, after: State) -> list[Property]:
        """The step properties that are false of the step."""
        return [p for p in self.spec.role("step") if not self.formula(p.formula, p.id)(state, after)]

    def _action(self, step: Step) -> Action:
        try:
            return self.spec.actions[step.action]
        except KeyError:
            known = ", ".join(self.spec.actions)
            raise InstanceError(f"{self.spec.name} has no action {step.action!r}; it has {known}") from None

    # -- compiled forms ----------------------------------------------------------------------------------------

    def formula(self, term: Bool, key: str, grounded: bool = False) -> Callable[..., bool]:
        """``f(state)`` or, if the term reads the next state, ``f(state, after)``."""
        if (key, grounded) not in self._formulas:
            body = text(Emitter(self, grounded).code(term, {}))
            self._formulas[key, grounded] = self._define(f"def f(s, t=None):\n    return bool({body})", "f")
        return self._formulas[key, grounded]

    def _define(self, source: str, name: str) -> Any:
        scope: dict[str, Any] = {f"c_{k}": v for k, v in self.constants.items()} | {"product": itertools.product}
        exec(compile(source, f"<{self.spec.name} instance>", "exec"), scope)
        return scope[name]

    def _loop(self, action: Action) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Guard and in-place update with parameters as arguments and quantifiers as loops."""
        if action.name not in self._loops:
            emitter = Emitter(self, grounded=False)
            names = [f"p_{name}" for name in formals_of(action)]
            env: dict[Any, Code] = dict(zip(action.params, names, strict=True))
            head = ", ".join(["s", *names])
            guard = " and ".join(f"({text(emitter.code(c.formula, env))})" for c in action.guard) or "True"
            lines, writes = [], []
            for number, update in enumerate(action.updates):
                offset = self.offsets[update.variable.name]
                if update.whole:
                    inner = {**env, **{v: emitter.name(v) for v in update.args}}
                    loops = loop_clauses([(emitter.name(v), self.size(v.sort)) for v in update.args])
                    value = text(emitter.code(update.value, inner))
                    lines.append(f"    v{number} = [{value}{loops}]")
                    writes.append(f"    s[{offset}:{offset + self.cells(update.variable)}] = v{number}")
                else:
                    place = emitter.place(update.variable, update.args, env, offset)
                    lines.append(f"    i{number} = {place}; v{number} = {text(emitter.code(update.value, env))}")
                    writes.append(f"    s[i{number}] = v{number}")
            body = "\n".join([*lines, *writes]) or "    pass"
            source = f"def guard({head}):\n    return {guard}\ndef update({head}):\n{body}\n"
            self._loops[action.name] = (self._define(source, "guard"), self._define(source, "update"))
        return self._loops[action.name]

    def ground(self) -> tuple[list[Step], Callable[[State], list[tuple[int, State]]]]:
        """Every step of the instance, and the successor function: pairs (position of the step, next state).

        Choices of arguments whose guard is false whatever the state are left out. Raises :class:`InstanceError` when
        there are more than ``MAX_GROUND`` choices.
        """
        for action in self.spec.actions.values():
            sizes = [self.size(p.sort) for p in action.elements]
            sizes += [self.size(p.range) ** self.cells(p) for p in action.functions]
            if math.prod(sizes) > MAX_GROUND:
                raise InstanceError(
                    f"{self.spec.name}: action {action.name} has {math.prod(sizes):,} choices of arguments, "
                    f"at most {MAX_GROUND:,}: choose smaller sizes"
                )
        steps: list[Step] = []
        lines = ["def successors(s):", "    out = []"]
        for action in self.spec.actions.values():
            domains = [range(self.size(p.sort)) for p in action.elements]
            tables = [itertools.product(range(self.size(p.range)), repeat=self.cells(p)) for p in action.functions]
            choices = list(itertools.product(*tables))
            for elements in itertools.product(*domains):
                env: dict[Any, Any] = dict(zip(action.elements, elements, strict=True))
                block: list[str] = []
                shared = self._clauses([c for c in action.guard if not _uses_functions(c)], env)
                if shared is None:
                    continue
                for chosen in choices:
                    inner = {**env, **dict(zip(action.functions, chosen, strict=True))}
                    own = self._clauses([c for c in action.guard if _uses_functions(c)], inner)
                    if own is not None:
                        block += [f"        if {own}:", *self._ground_update(action, inner, len(steps))]
                        steps.append(Step(action.name, tuple(inner[p] for p in action.params)))
                if block:
                    lines += [f"    if {shared}:", *block]
        lines.append("    return out")
        return steps, self._define("\n".join(lines), "successors")

    def _clauses(self, clauses: Sequence[Clause], env: Mapping[Any, Any]) -> str | None:
        """The conjunction as code; None when it is false whatever the state."""
        code = Emitter(self, True).junction("and", (Emitter(self, True).code(c.formula, env) for c in clauses))
        return None if code == 0 else text(code)

    def _ground_update(self, action: Action, env: Mapping[Any, Any], number: int) -> list[str]:
        emitter = Emitter(self, grounded=True)
        lines = ["            t = list(s)" if self.wide else "            t = bytearray(s)"]
        touched: set[str] = set()
        for update in action.updates:
            offset = self.offsets[update.variable.name]
            points: Any = self.points(update.variable) if update.whole else [None]
            for point in points:
                inner = env if point is None else {**env, **dict(zip(update.args, point, strict=True))}
                place = emitter.place(update.variable, update.args, inner, offset)
                value = text(emitter.code(update.value, inner))
                if value != f"s[{place}]" or update.variable.name in touched:
                    lines.append(f"            t[{place}] = {value}")
            touched.add(update.variable.name)
        lines.append(f"            out.append(({number}, {'tuple(t)' if self.wide else 'bytes(t)'}))")
        return lines


def _uses_functions(clause: Clause) -> bool:
    return any(t.op == "apply" and t.data[0].kind == "param" for t in walk(clause.formula))


def text(code: Code) -> str:
    """The code as the text of an expression."""
    return code if isinstance(code, str) else str(int(code))


def loop_clauses(loops: Sequence[tuple[str, int]]) -> str:
    """``for`` clauses over names with sizes; those beyond what may be nested are one."""
    single = loops if len(loops) <= MAX_LOOPS else loops[: MAX_LOOPS - 1]
    text = "".join(f" for {name} in range({size})" for name, size in single)
    if rest := loops[len(single) :]:
        ranges = ", ".join(f"range({size})" for _, size in rest)
        text += f" for {', '.join(name for name, _ in rest)} in product({ranges})"
    return text


class Emitter:
    """Terms to Python expressions; what is known is folded to an int."""

    def __init__(self, instance: Instance, grounded: bool) -> None:
        self.instance = instance
        self.grounded = grounded
        self._points = 1
        """At how many points grounded code is being made of what is within the quantifiers around."""

    def name(self, variable: Term) -> str:
        return f"b{variable.data[1]}_{variable.data[0]}"  # no other name begins like this

    def place(self, symbol: Function[Any], args: tuple[Term, ...], env: Mapping[Any, Any], offset: int = 0) -> str:
        known, parts, stride = offset, [], 1
        for sort, arg in reversed(list(zip(symbol.domain, args, strict=True))):
            code = self.code(arg, env)
            if isinstance(code, str):
                code = f"int({code})" if sort is Bool else code
                parts.append(f"({code})*{stride}" if stride > 1 else f"({code})")
            else:
                known += int(code) * stride
            stride *= self.instance.size(sort)
        if known or not parts:
            parts.append(str(known))
        return "+".join(parts)

    def code(self, term: Term, env: Mapping[Any, Any]) -> Code:
        match term.op:
            case "lit":
                return int(term.data)
            case "bound":
                return env[term]  # type: ignore[no-any-return]
            case "apply":
                return self.apply(term, env)
            case "not":
                inner = self.code(term.args[0], env)
                return f"(not {inner})" if isinstance(inner, str) else int(not inner)
            case "and" | "or":
                return self.junction(term.op, (self.code(arg, env) for arg in term.args))
            case "eq" | "lt" | "le":
                left, right = (self.code(arg, env) for arg in term.args)
                if not isinstance(left, str) and not isinstance(right, str):
                    return int({"eq": left == right, "lt": left < right, "le": left <= right}[term.op])
                if term.args[0].sort is Bool:
                    return f"(bool({left}) == bool({right}))"
                return f"({left} {_COMPARE[term.op]} {right})"
            case "ite":
                condition, then, otherwise = (self.code(arg, env) for arg in term.args)
                if not isinstance(condition, str):
                    return then if condition else otherwise
                return then if then == otherwise else f"({then} if {condition} else {otherwise})"
            case "add" | "sub" | "mul":
                left, right = (self.code(arg, env) for arg in term.args)
                text = f"({left} {_ARITHMETIC[term.op]} {right})"
                return text if isinstance(left, str) or isinstance(right, str) else int(eval(text))
            case _:
                return self.quantifier(term, env)

    def apply(self, term: Term, env: Mapping[Any, Any]) -> Code:
        symbol, primed = term.data
        if symbol.kind == "var" or symbol.name in self.instance.open:
            place = self.place(symbol, term.args, env, self.instance.offsets[symbol.name])
            return f"{'t' if primed else 's'}[{place}]"
        place = self.place(symbol, term.args, env)
        table = self.instance.constants[symbol.name] if symbol.kind == "const" else env[symbol]
        if place.isdigit() and not isinstance(table, str):
            return int(table[int(place)])
        if symbol.kind == "const":
            return f"c_{symbol.name}[{place}]"
        return f"{table}[{place}]"

    def junction(self, op: str, parts: Iterator[Code]) -> Code:
        decisive = 0 if op == "and" else 1
        kept: dict[str, None] = {}
        for part in parts:
            if isinstance(part, str):
                kept[part] = None
            elif bool(part) == bool(decisive):
                return decisive
        if not kept:
            return 1 - decisive
        return next(iter(kept)) if len(kept) == 1 else f"({f' {op} '.join(kept)})"

    def quantifier(self, term: Term, env: Mapping[Any, Any]) -> Code:
        body, op = term.args[0], "and" if term.op == "forall" else "or"
        ranges = [range(self.instance.size(v.sort)) for v in term.data]
        if self.grounded:
            outside, self._points = self._points, self._points * math.prod(map(len, ranges))
            if self._points > MAX_POINTS:
                raise InstanceError(
                    f"{self.instance.spec.name}: {term.op} {', '.join(str(v.data[0]) for v in term.data)} is over "
                    f"{self._points:,} points, at most {MAX_POINTS:,}: choose smaller sizes or fewer variables"
                )
            points = itertools.product(*ranges)
            code = self.junction(
                op, (self.code(body, {**env, **dict(zip(term.data, point, strict=True))}) for point in points)
            )
            self._points = outside
            return code
        names = {v: self.name(v) for v in term.data}
        inner = self.code(body, {**env, **names})
        if not isinstance(inner, str):
            return inner
        loops = loop_clauses([(names[v], len(r)) for v, r in zip(term.data, ranges, strict=True)])
        return f"{'all' if op == 'and' else 'any'}({inner}{loops})"


def evaluate(term: Term, instance: Instance, state: State, env: Mapping[Any, Any], after: State | None = None) -> int:
    """The value of a term in a state, by walking the tree: bools are 0 and 1.

    ``env`` maps bound variables to elements and function parameters to tables; ``after`` is the next state.
    """

    def value(t: Term, scope: Mapping[Any, Any]) -> int:
        match t.op:
            case "lit":
                return int(t.data)
            case "bound":
                return int(scope[t])
            case "apply":
                symbol, primed = t.data
                place = instance.index(symbol, [value(arg, scope) for arg in t.args])
                if symbol.kind == "var" or symbol.name in instance.open:
                    row = after if primed else state
                    if row is None:
                        raise InstanceError(f"`{show(t)}` needs the next state")
                    return int(row[instance.offsets[symbol.name] + place])
                table = instance.constants[symbol.name] if symbol.kind == "const" else scope[symbol]
                return int(table[place])
            case "not":
                return int(not value(t.args[0], scope))
            case "and":
                return int(all(value(arg, scope) for arg in t.args))
            case "or":
                return int(any(value(arg, scope) for arg in t.args))
            case "ite":
                return value(t.args[1] if value(t.args[0], scope) else t.args[2], scope)
            case "forall" | "exists":
                quantify = all if t.op == "forall" else any
                points = itertools.product(*(range(instance.size(v.sort)) for v in t.data))
                return int(
                    quantify(value(t.args[0], {**scope, **dict(zip(t.data, point, strict=True))}) for point in points)
                )
            case _:
                left, right = (value(arg, scope) for arg in t.args)
                results = {
                    "eq": left == right,
                    "lt": left < right,
                    "le": left <= right,
                    "add": left + right,
                    "sub": left - right,
                    "mul": left * right,
                }
                return int(results[t.op])

    return value(term, env)
