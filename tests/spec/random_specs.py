"""Random small specs, built through the language's own API, with sizes, constants and states to try them on."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
from hypothesis import strategies as st

from mtpo.spec.concrete import Instance, Step
from mtpo.spec.language import Bool, Int, OrderedSort, Sort, Spec, exists, forall, function, iff, implies, ite, require
from mtpo.spec.language.terms import FALSE, TRUE, Term, lift, show

Draw = Callable[[Any], Any]


class Thing(Sort):
    "an element without order"


class Rank(OrderedSort):
    "an element with an order"


FINITE: Sequence[type[Term]] = (Thing, Rank, Bool)
RANGES: Sequence[type[Term]] = (Bool, Bool, Thing, Rank, Int)


@attrs.frozen
class Case:
    """A spec, an instance of it, the values of its open constants, and two of its states."""

    spec: Spec
    instance: Instance
    chosen: dict[str, tuple[int, ...]]
    before: Sequence[int]
    after: Sequence[int]


class Grammar:
    """Random terms over the symbols of a spec and what is bound around them."""

    def __init__(self, spec: Spec, draw: Draw) -> None:
        self.spec = spec
        self.draw = draw
        self.bound: list[Any] = []
        self.primed = False

    def pick(self, options: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def term(self, sort: type[Term], depth: int) -> Any:
        makers: list[Callable[[], Any]] = [lambda v=v: v for v in self.bound if isinstance(v, Term) and v.sort is sort]
        symbols = [*self.spec.constants.values(), *self.spec.variables.values()]
        symbols += [f for f in self.bound if not isinstance(f, Term)]
        makers += [lambda f=f: self.apply(f, depth) for f in symbols if f.range is sort and (depth or not f.domain)]
        if sort is Bool:
            makers.append(lambda: self.pick([TRUE, FALSE]))
        if sort is Int:
            makers.append(lambda: lift(self.draw(st.integers(-2, 3))))
        if depth:
            makers.append(
                lambda: ite(self.term(Bool, depth - 1), self.term(sort, depth - 1), self.term(sort, depth - 1))
            )
            makers += self.arithmetic(depth - 1) if sort is Int else self.logic(depth - 1) if sort is Bool else []
        return self.pick(makers)()

    def apply(self, symbol: Any, depth: int) -> Any:
        args = [self.term(s, depth - 1) for s in symbol.domain]
        use = symbol.next if self.primed and symbol.kind == "var" and self.draw(st.booleans()) else symbol
        return use(*args)

    def arithmetic(self, depth: int) -> list[Callable[[], Any]]:
        def two() -> tuple[Any, Any]:
            return self.term(Int, depth), self.term(Int, depth)

        def sum_() -> Any:
            a, b = two()
            return a + b

        def difference() -> Any:
            a, b = two()
            return a - b

        return [sum_, difference, lambda: self.term(Int, depth) * self.draw(st.integers(-2, 2))]

    def logic(self, depth: int) -> list[Callable[[], Any]]:
        def two(sort: type[Term]) -> tuple[Any, Any]:
            return self.term(sort, depth), self.term(sort, depth)

        def compare() -> Any:
            a, b = two(self.pick([Rank, Int]))
            return self.pick([lambda: a < b, lambda: a <= b, lambda: a > b, lambda: a >= b])()

        def equal() -> Any:
            a, b = two(self.pick([Bool, Thing, Rank, Int]))
            return self.pick([lambda: a == b, lambda: a != b])()

        def connect() -> Any:
            a, b = two(Bool)
            return self.pick([lambda: a & b, lambda: a | b, lambda: ~a, lambda: implies(a, b), lambda: iff(a, b)])()

        def quantify() -> Any:
            kind = self.pick([forall, exists])
            first, second = self.pick([Thing, Rank]), self.pick([Thing, Rank])
            if self.draw(st.booleans()):
                return kind(first, lambda x: self.under((x,), depth))
            return kind(first, second, lambda x, y: self.under((x, y), depth))

        return [compare, equal, connect, connect, quantify, quantify]

    def under(self, names: Sequence[Any], depth: int, sort: type[Term] = Bool) -> Any:
        self.bound += names
        made = self.term(sort, depth)
        del self.bound[-len(names) :]
        return made


def _about(g: Grammar, f: Any) -> Any:
    """A clause as guards have it: what holds of every value of a function, mixed with what does not mention it."""

    def body(*xs: Any) -> Any:
        at = f(*(x if x.sort is s else g.under(xs, 1, s) for x, s in zip(xs, f.domain, strict=True)))
        value = at if f.range is Bool else at == g.under(xs, 1, f.range)
        other = g.under(xs, g.pick([1, 2]))
        join = g.pick([lambda: value & other, lambda: other & value, lambda: implies(other, value), lambda: other])
        return g.pick([lambda: join(), lambda: join() & g.under(xs, 1), lambda: join() | g.under(xs, 1)])()

    if f.domain[0] is Bool:
        return f(True) & g.term(Bool, 1) if f.range is Bool else f(True) == f(False)
    kind = g.pick([forall, forall, exists])
    return kind(f.domain[0], lambda x: kind(g.pick([Thing, Rank]), lambda y: body(x)) & body(x))


def _declare_action(g: Grammar, name: str) -> None:
    spec, draw = g.spec, g.draw
    sorts = {f"p{i}": s for i, s in enumerate(draw(st.lists(st.sampled_from(FINITE), max_size=2)))}
    functions: dict[str, Any] = {}
    if draw(st.booleans()):
        functions["f"] = function(g.pick(FINITE), to=g.pick(FINITE))
    updates = draw(st.lists(st.tuples(st.sampled_from(list(spec.variables.values())), st.booleans()), max_size=3))

    def body(*params: Any) -> None:
        g.bound = list(params)
        for number in range(draw(st.integers(0, 2))):
            require(f"c{number}", g.term(Bool, 2))
        for f in params[len(sorts) :]:
            if draw(st.integers(0, 3)):
                require(f"of-{f.name}", _about(g, f))
        changed: set[str] = set()
        for variable, whole in updates:
            whole = whole or not variable.domain
            if whole and variable.name in changed:
                continue
            changed.add(variable.name)
            if not variable.domain:
                variable.becomes(g.term(variable.range, 2))
            elif whole:
                variable.becomes(lambda *xs, v=variable: g.under(xs, 2, v.range))
            else:
                point = tuple(g.term(s, 1) for s in variable.domain)
                if show(variable(*point)) not in changed:
                    variable[point] = g.term(variable.range, 2)
                changed.add(show(variable(*point)))
        g.bound = []

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    body.__name__ = name
    body.__annotations__ = dict(sorts)
    body.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in (*sorts, *functions)])  # type: ignore[attr-defined]
    spec.action(**functions)(body)


def _table(draw: Draw, instance: Instance, symbol: Any) -> tuple[int, ...]:
    values = st.integers(-3, 3) if symbol.range is Int else st.integers(0, instance.size(symbol.range) - 1)
    count = instance.cells(symbol)
    return tuple(draw(st.lists(values, min_size=count, max_size=count)))


@st.composite
def cases(draw: Draw) -> Case:
    """A random spec, instance and pair of states."""
    spec = Spec("random")
    g = Grammar(spec, draw)
    spec.const("some", to=Thing)
    spec.const("least", to=Rank)
    if draw(st.booleans()):
        spec.const("rel", Thing, g.pick(FINITE))
    for number in range(draw(st.integers(1, 3))):
        domain = draw(st.lists(st.sampled_from(FINITE), max_size=2))
        to = g.pick(RANGES)
        spec.var(f"v{number}", *domain, to=to, init=lambda *xs, to=to: g.under(xs, 2, to) if xs else g.term(to, 2))
    for number in range(draw(st.integers(1, 2))):
        _declare_action(g, f"act{number}")
    spec.invariant("random.state")(lambda: g.term(Bool, 4))
    g.primed = True
    spec.step_property("random.step")(lambda: g.term(Bool, 4))

    sizes: dict[type[Sort], int] = {Thing: draw(st.integers(1, 2)), Rank: draw(st.integers(1, 3))}
    opened = draw(st.sets(st.sampled_from(list(spec.constants))))
    everything = Instance(spec, sizes, {}, open=tuple(spec.constants))
    tables = {name: _table(draw, everything, symbol) for name, symbol in spec.constants.items()}
    instance = Instance(spec, sizes, tables, open=opened)
    chosen = {name: tables[name] for name in instance.open}
    rigid = [v for name in instance.open for v in chosen[name]]
    states = [
        instance.freeze([*rigid, *(v for x in spec.variables.values() for v in _table(draw, instance, x))])
        for _ in range(2)
    ]
    return Case(spec, instance, chosen, *states)


def all_steps(instance: Instance) -> Iterator[Step]:
    """Every action with every choice of arguments."""
    for action in instance.spec.actions.values():
        domains: list[Any] = []
        for param in action.params:
            if isinstance(param, Term):
                domains.append(range(instance.size(param.sort)))
            else:
                domains.append(list(itertools.product(range(instance.size(param.range)), repeat=instance.cells(param))))
        for args in itertools.product(*domains):
            yield Step(action.name, args)
