"""The symbolic interpretation: orders, updates by substitution, and pictures read back from models."""

from __future__ import annotations

from typing import Any

import pytest
import z3

from mtpo.proofs.induction.symbolic import Symbolic
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.language import Bool, Function, Int, OrderedSort, Sort, Spec, forall, function, ite, require


class Item(Sort):
    "an item"


class Rank(OrderedSort):
    "a rank"


def model() -> Any:
    """A spec with every kind of symbol and of update."""
    m: Any = Spec("m")
    m.least = m.const("least", to=Rank)
    m.rank = m.var("rank", Item, to=Rank, init=lambda x: m.least())
    m.on = m.var("on", Item, Bool, init=lambda x, b: b)
    m.count = m.var("count", to=Int, init=lambda: 7)

    @m.action(to=function(Item, to=Rank))
    def move(x: Item, to: Function[Rank]) -> None:
        require("up", m.rank(x) < to(x))
        m.rank.becomes(lambda y: ite(m.on(y, True), to(y), m.rank(y)))
        m.on[x, m.on(x, False)] = ~m.on(x, True)
        m.count.becomes(m.count() + 1)

    m.assume("m.least")(lambda: forall(Rank, lambda r: m.least() <= r))
    m.step_property("m.up")(lambda: forall(Item, lambda x: m.rank(x) <= m.rank.next(x)))
    return m


def unsat(symbolic: Symbolic, *formulas: Any) -> bool:
    solver = z3.Solver(ctx=symbolic.context)
    solver.add(*symbolic.axioms(), *formulas)
    return bool(solver.check() == z3.unsat)


def test_an_order_is_total_and_its_least_element_is_least() -> None:
    symbolic = Symbolic(model())
    less = symbolic.orders[Rank]
    a, b, c = (z3.Const(n, symbolic.sorts[Rank]) for n in "abc")
    assert unsat(symbolic, less(a, b), less(b, a), a != b)
    assert unsat(symbolic, less(a, b), less(b, c), z3.Not(less(a, c)))
    assert unsat(symbolic, z3.Not(less(a, b)), z3.Not(less(b, a)))
    assert unsat(symbolic, z3.Not(less(symbolic.constants["least"](), a)))
    assert not unsat(symbolic, a != b, less(a, b))
    assert Item not in symbolic.orders


@pytest.mark.parametrize("finite", [None, {Item: 2, Rank: 3}])
def test_the_state_after_an_action_changes_what_is_updated_only(finite: Any) -> None:
    spec = model()
    symbolic = Symbolic(spec, finite)
    action = spec.actions["move"]
    env = symbolic.parameters(action)
    after = symbolic.after(action, symbolic.before, env)
    item = symbolic.sorts[Item]
    x, y = env[action.elements[0]], z3.Const("y", item)
    yes, no = z3.BoolVal(True, symbolic.context), z3.BoolVal(False, symbolic.context)
    on, rank, count = (symbolic.before[name] for name in ("on", "rank", "count"))
    assert unsat(symbolic, after["count"]() != count() + 1)
    assert unsat(symbolic, y != x, z3.Or(after["on"](y, yes) != on(y, yes), after["on"](y, no) != on(y, no)))
    assert unsat(symbolic, after["on"](x, on(x, no)) != z3.Not(on(x, yes)))
    assert unsat(symbolic, after["on"](x, z3.Not(on(x, no))) != on(x, z3.Not(on(x, no))))
    # the new rank is chosen by the state before the step, not by the one in the making
    assert unsat(symbolic, on(y, yes), after["rank"](y) != env[action.functions[0]](y))
    assert unsat(symbolic, z3.Not(on(y, yes)), after["rank"](y) != rank(y))
    assert not unsat(symbolic, *symbolic.guard(action, symbolic.before, env), after["rank"](x) != rank(x))


def test_a_picture_is_what_the_model_says() -> None:
    spec = model()
    sizes: dict[type[Sort], int] = {Item: 2, Rank: 3}
    symbolic = Symbolic(spec, sizes)
    action = spec.actions["move"]
    env = symbolic.parameters(action)
    solver = z3.Solver(ctx=symbolic.context)
    solver.add(*symbolic.axioms(), *symbolic.initial(), *symbolic.guard(action, symbolic.before, env))
    second = symbolic.elements[Item][1]
    solver.add(env[action.elements[0]] == second, env[action.functions[0]](second) == symbolic.elements[Rank][2])
    solver.add(env[action.functions[0]](symbolic.elements[Item][0]) == symbolic.elements[Rank][1])
    assert solver.check() == z3.sat
    instance, state, step = symbolic.read_back(solver.model(), action, env)
    assert instance.sizes == sizes
    assert instance.constants == {"least": (0,)}
    assert state == Instance(spec, sizes, {"least": [0]}).initial() == [0, 0, 0, 1, 0, 1, 7]
    assert step == Step("move", (1, (1, 2)))
    instance.perform(state, step)
    assert state == [1, 2, 0, 1, 0, 1, 8]
    assert symbolic.read_back(solver.model(), None, {})[2] is None


def test_one_context_each() -> None:
    first, second = Symbolic(model()), Symbolic(model())
    assert first.context is not second.context


@pytest.mark.parametrize("finite", [None, {Item: 2, Rank: 2}])
def test_a_variant_decreases_lexicographically(finite: Any) -> None:
    spec: Any = Spec("v")
    first, second = (spec.var(name, Item, init=lambda x: True) for name in ("first", "second"))

    def action(name: str, body: Any) -> None:
        def step(x: Item) -> None:
            body(x)

        step.__name__ = name
        spec.action(step)

    def trade(x: Item) -> None:  # smaller in front, greater behind
        require("there", first(x))
        first[x] = False
        second.becomes(lambda y: True)

    def drop(x: Item) -> None:  # the same in front, smaller behind
        require("there", second(x))
        second[x] = False

    def add(x: Item) -> None:  # greater in front, smaller behind
        require("there", second(x) & ~first(x))
        first[x] = True
        second[x] = False

    def idle(x: Item) -> None:
        require("there", first(x))

    for name, body in {"trade": trade, "drop": drop, "add": add, "idle": idle}.items():
        action(name, body)
    every = tuple(spec.actions)
    spec.variant("v.down", Item, decreases=every)(lambda x: (first(x), second(x)))
    spec.variant("v.not-up", Item, decreases=())(lambda x: (first(x), second(x)))
    symbolic = Symbolic(spec, finite)

    def holds(id: str, name: str) -> bool:
        env = symbolic.parameters(spec.actions[name])
        after = symbolic.after(spec.actions[name], symbolic.before, env)
        guard = symbolic.guard(spec.actions[name], symbolic.before, env)
        return unsat(symbolic, *guard, z3.Not(symbolic.bounded(spec.variants[id], name, after)))

    assert [name for name in every if holds("v.down", name)] == ["trade", "drop"]
    assert [name for name in every if holds("v.not-up", name)] == ["trade", "drop", "idle"]
