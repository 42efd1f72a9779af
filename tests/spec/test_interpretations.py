"""One spec, several interpretations: on random specs, instances and states they say the same.

The reference is :func:`mtpo.spec.concrete.evaluate`, which walks the tree. Against it: code with loops, grounded code,
and z3 over finite and over unbounded sorts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import z3
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mtpo.proofs.induction.symbolic import Symbolic
from mtpo.spec.concrete import Instance, InstanceError, Step, evaluate
from mtpo.spec.language import Bool, Int, OrderedSort, Sort, Spec, exists, forall, function, ite, require
from mtpo.spec.language.terms import Function, Term
from tests.spec import random_specs

QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def reference_step(instance: Instance, state: Sequence[int], step: Step) -> list[int]:
    """The next state, by walking the trees: all values from the state before, written in order."""
    action = instance.spec.actions[step.action]
    env: dict[Any, Any] = dict(zip(action.params, step.args, strict=True))
    writes: list[tuple[int, int]] = []
    for update in action.updates:
        offset = instance.offsets[update.variable.name]
        if update.whole:
            for number, point in enumerate(instance.points(update.variable)):
                inner = {**env, **dict(zip(update.args, point, strict=True))}
                writes.append((offset + number, evaluate(update.value, instance, state, inner)))
        else:
            point = tuple(evaluate(arg, instance, state, env) for arg in update.args)
            place = offset + instance.index(update.variable, point)
            writes.append((place, evaluate(update.value, instance, state, env)))
    after = list(state)
    for place, value in writes:
        after[place] = value
    return after


@given(random_specs.cases())
@settings(QUICK, max_examples=250)
def test_code_with_loops_and_grounded_code_are_the_reference(case: Any) -> None:
    instance, spec = case.instance, case.spec
    state, after = spec.properties["random.state"], spec.properties["random.step"]
    for grounded in (False, True):
        key = f"{grounded}"
        formula = instance.formula(state.formula, state.id + key, grounded)
        assert formula(case.before) == bool(evaluate(state.formula, instance, case.before, {}))
        formula = instance.formula(after.formula, after.id + key, grounded)
        assert formula(case.before, case.after) == bool(evaluate(after.formula, instance, case.before, {}, case.after))
    assert bool(instance.violated(case.before)) != bool(evaluate(state.formula, instance, case.before, {}))

    steps, successors = instance.ground()
    grounded_next = {steps[number]: list(then) for number, then in successors(case.before)}
    seen = 0
    for step in random_specs.all_steps(instance):
        env = dict(zip(spec.actions[step.action].params, step.args, strict=True))
        clauses = spec.actions[step.action].guard
        false = [c for c in clauses if not evaluate(c.formula, instance, case.before, env)]
        assert instance.refused(case.before, step) == false
        assert instance.enabled(case.before, step) == (not false)
        assert (step in grounded_next) == (not false)
        if false:
            continue
        seen += 1
        expected = reference_step(instance, case.before, step)
        changed = list(case.before)
        instance.perform(changed, step)
        assert changed == expected == grounded_next[step]
    assert seen == len(grounded_next)


# -- z3 ------------------------------------------------------------------------------------------------------------


class Fixed:
    """A finite symbolic interpretation whose constants and state are those of a case."""

    def __init__(self, case: Any) -> None:
        self.case = case
        instance: Instance = case.instance
        self.symbolic = Symbolic(case.spec, instance.sizes)
        self.solver = z3.Solver(ctx=self.symbolic.context)
        self.solver.add(*self.symbolic.axioms())
        for name, symbol in case.spec.constants.items():
            table = instance.constants.get(name) or case.chosen[name]
            self.fix(self.symbolic.constants[name], symbol, table)
        self.rigid = len(self.solver.assertions())

    def element(self, sort: type[Term], value: int) -> Any:
        if sort is Bool:
            return z3.BoolVal(bool(value), self.symbolic.context)
        if sort is Int:
            return z3.IntVal(value, self.symbolic.context)
        return self.symbolic.elements[sort][value]

    def fix(self, declared: Any, symbol: Function[Any], table: Sequence[int]) -> None:
        for point, value in zip(self.case.instance.points(symbol), table, strict=True):
            args = [self.element(s, a) for s, a in zip(symbol.domain, point, strict=True)]
            self.solver.add(declared(*args) == self.element(symbol.range, value))

    def fix_state(self, state: Sequence[int], declared: Any = None) -> None:
        for name, symbol in self.case.spec.variables.items():
            start = self.case.instance.offsets[name]
            rows = declared or self.symbolic.before
            self.fix(rows[name], symbol, state[start : start + self.case.instance.cells(symbol)])


@given(random_specs.cases())
@settings(QUICK, max_examples=40)
def test_the_steps_of_ground_are_all_the_models_of_the_finite_interpretation(case: Any) -> None:
    instance = case.instance
    fixed = Fixed(case)
    fixed.fix_state(case.before)
    width = sum(instance.cells(instance.spec.constants[name]) for name in instance.open)
    steps, successors = instance.ground()
    expected = {(steps[number], tuple(then[width:])) for number, then in successors(case.before)}
    assume(len(expected) <= 40)
    found = set()
    for action in case.spec.actions.values():
        env = fixed.symbolic.parameters(action)
        after = fixed.symbolic.after(action, fixed.symbolic.before, env)
        then = {name: fixed.symbolic.declare(v, "'") for name, v in case.spec.variables.items()}
        fixed.solver.push()
        fixed.solver.add(*fixed.symbolic.guard(action, fixed.symbolic.before, env))
        for name, symbol in case.spec.variables.items():
            for point in instance.points(symbol):
                args = [fixed.element(s, a) for s, a in zip(symbol.domain, point, strict=True)]
                fixed.solver.add(then[name](*args) == after[name](*args))
        while fixed.solver.check() == z3.sat:
            model = fixed.solver.model()
            _, _, step = fixed.symbolic.read_back(model, action, env)
            assert step is not None
            row = fixed.symbolic.before
            fixed.symbolic.before = then
            _, now, _ = fixed.symbolic.read_back(model, None, {})
            fixed.symbolic.before = row
            assert (step, tuple(now)) not in found
            found.add((step, tuple(now)))
            same = []
            for param, arg in zip(action.params, step.args, strict=True):
                if isinstance(param, Term):
                    same.append(env[param] == fixed.element(param.sort, arg))
                else:
                    for point, value in zip(instance.points(param), arg, strict=True):
                        args = [fixed.element(s, a) for s, a in zip(param.domain, point, strict=True)]
                        same.append(env[param](*args) == fixed.element(param.range, value))
            fixed.solver.add(z3.Not(z3.And(*same)) if same else z3.BoolVal(False, fixed.symbolic.context))
        assert fixed.solver.check() == z3.unsat
        fixed.solver.pop()
    assert found == expected


@given(random_specs.cases())
@settings(QUICK, max_examples=60)
def test_formulas_and_the_initial_state_mean_the_same_over_finite_sorts(case: Any) -> None:
    instance, spec = case.instance, case.spec
    fixed = Fixed(case)
    fixed.solver.push()
    fixed.solver.add(*fixed.symbolic.initial())
    assert fixed.solver.check() == z3.sat
    _, start, _ = fixed.symbolic.read_back(fixed.solver.model(), None, {})
    width = sum(instance.cells(spec.constants[name]) for name in instance.open)
    assert start == instance.initial(case.chosen)[width:]
    fixed.solver.pop()

    then = {name: fixed.symbolic.declare(v, "'") for name, v in spec.variables.items()}
    fixed.fix_state(case.before)
    fixed.fix_state(case.after, then)
    for p in spec.properties.values():
        formula = fixed.symbolic.formula(p.formula, fixed.symbolic.before, then)
        holds = bool(evaluate(p.formula, instance, case.before, {}, case.after))
        assert fixed.solver.check(formula) == (z3.sat if holds else z3.unsat)
        assert fixed.solver.check(z3.Not(formula)) == (z3.unsat if holds else z3.sat)


class Unbounded(Fixed):
    """The unbounded interpretation, told that the elements of a case are all there are."""

    def __init__(self, case: Any) -> None:
        self.case = case
        self.symbolic = Symbolic(case.spec)
        self.solver = z3.Solver(ctx=self.symbolic.context)
        self.solver.set("timeout", 5_000)
        self.solver.add(*self.symbolic.axioms())
        self.names: dict[type[Term], list[Any]] = {}
        for sort, size in case.instance.sizes.items():
            row = [z3.Const(f"{sort.__name__}!{i}", self.symbolic.sorts[sort]) for i in range(size)]
            self.names[sort] = row
            x = z3.Const(f"any {sort.__name__}", self.symbolic.sorts[sort])
            self.solver.add(z3.Distinct(*row), z3.ForAll([x], z3.Or([x == e for e in row])))
            if sort in self.symbolic.orders:
                self.solver.add(*(self.symbolic.orders[sort](a, b) for a, b in itertools.pairwise(row)))
        for name, symbol in case.spec.constants.items():
            self.fix(self.symbolic.constants[name], symbol, case.instance.constants.get(name) or case.chosen[name])

    def element(self, sort: type[Term], value: int) -> Any:
        return super().element(sort, value) if sort in (Bool, Int) else self.names[sort][value]

    def same(self, left: Any, right: Any, symbol: Function[Any]) -> Any:
        """Two functions of a symbol's sorts have the same values everywhere."""
        names = [z3.Const(f"at {k}", self.symbolic.sorts[sort]) for k, sort in enumerate(symbol.domain)]
        return z3.ForAll(names, left(*names) == right(*names)) if names else left() == right()

    def equal(self, declared: Any, state: Sequence[int]) -> Any:
        """The variables have the values of a state, in which there are no constants."""
        values, facts = iter(state), []
        for name, symbol in self.case.spec.variables.items():
            for point in self.case.instance.points(symbol):
                args = [self.element(s, a) for s, a in zip(symbol.domain, point, strict=True)]
                facts.append(declared[name](*args) == self.element(symbol.range, next(values)))
        return z3.And(*facts)


@given(random_specs.cases())
@settings(QUICK, max_examples=40)
def test_formulas_mean_the_same_over_unbounded_sorts(case: Any) -> None:
    spec = case.spec
    fixed = Unbounded(case)
    then = {name: fixed.symbolic.declare(v, "'") for name, v in spec.variables.items()}
    fixed.fix_state(case.before)
    fixed.fix_state(case.after, then)
    for p in spec.properties.values():
        formula = fixed.symbolic.formula(p.formula, fixed.symbolic.before, then)
        holds = bool(evaluate(p.formula, case.instance, case.before, {}, case.after))
        assert fixed.solver.check(z3.Not(formula) if holds else formula) == z3.unsat


@given(random_specs.cases(), st.data())
@settings(QUICK, max_examples=300)
def test_steps_are_the_same_over_unbounded_sorts(case: Any, data: Any) -> None:
    """With a state and arguments as facts the guard and the update allow the next state that walking the trees gives,
    and no other; none where a clause is false."""
    instance, spec = case.instance, case.spec
    fixed = Unbounded(case)
    fixed.fix_state(case.before)
    then = {name: fixed.symbolic.declare(v, "'") for name, v in spec.variables.items()}
    width = sum(instance.cells(spec.constants[name]) for name in instance.open)
    every = list(random_specs.all_steps(instance))
    taken = [step for step in every if instance.enabled(case.before, step)]
    refused = [step for step in every if step not in taken]
    for step in [data.draw(st.sampled_from(some)) for some in (taken, taken, refused) if some]:
        action = spec.actions[step.action]
        env = fixed.symbolic.parameters(action)
        after = fixed.symbolic.after(action, fixed.symbolic.before, env)
        fixed.solver.push()
        for param, arg in zip(action.params, step.args, strict=True):
            if isinstance(param, Term):
                fixed.solver.add(env[param] == fixed.element(param.sort, arg))
            else:
                fixed.fix(env[param], param, arg)
        relation = fixed.symbolic.guard(action, fixed.symbolic.before, env)
        relation += [fixed.same(then[name], after[name], symbol) for name, symbol in spec.variables.items()]
        if step in refused:
            assert fixed.solver.check(*relation) == z3.unsat
        else:
            expected = reference_step(instance, case.before, step)
            assert fixed.solver.check(*relation, z3.Not(fixed.equal(then, expected[width:]))) == z3.unsat
            of_step = spec.properties["random.step"].formula
            formula = fixed.symbolic.formula(of_step, fixed.symbolic.before, after)
            holds = bool(evaluate(of_step, instance, case.before, {}, expected))
            assert fixed.solver.check(z3.Not(formula) if holds else formula) == z3.unsat
            fixed.fix_state(expected, then)
            assert fixed.solver.check(z3.Not(z3.And(*relation))) == z3.unsat
            assert fixed.solver.check(*relation) == z3.sat
        fixed.solver.pop()


# -- what an instance refuses, and cases found by hand ---------------------------------------------------------------


class Item(Sort):
    "an item"


class Rank(OrderedSort):
    "a rank"


PAIR = Spec("pair")
_least = PAIR.const("least", to=Rank)
PAIR.var("rank", Item, to=Rank, init=lambda x: _least())
PAIR.var("on", Item, init=lambda x: False)


def test_a_later_update_that_restores_a_value_is_kept() -> None:
    spec = Spec("restore")
    on = spec.var("on", Item, init=lambda x: False)

    @spec.action
    def flood_but(x: Item) -> None:
        on.becomes(lambda y: True)
        on[x] = on(x)

    instance = Instance(spec, {Item: 2})
    steps, successors = instance.ground()
    assert {steps[n].args: list(then) for n, then in successors(bytes(2))} == {(0,): [0, 1], (1,): [1, 0]}


def test_all_values_are_read_before_any_is_written() -> None:
    spec = Spec("swap")
    held = spec.var("held", Item, init=lambda x: forall(Item, lambda y: x == y))

    @spec.action
    def swap(x: Item, y: Item) -> None:
        require("two", x != y)
        held[x] = held(y)
        held[y] = held(x)

    instance = Instance(spec, {Item: 2})
    cells = [1, 0]
    instance.perform(cells, Step("swap", (0, 1)))
    assert cells == [0, 1]
    assert [list(then) for _, then in instance.ground()[1](bytes([1, 0]))] == [[0, 1], [0, 1]]


def test_states_with_integers_are_tuples_and_keep_them() -> None:
    spec = Spec("count")
    total = spec.var("total", to=Int, init=lambda: 300)

    @spec.action(by=function(Item))
    def add(by: Function[Bool]) -> None:
        require("one", exists(Item, lambda x: by(x)))
        total.becomes(total() - 2 * ite(forall(Item, lambda x: by(x)), 1, 200))

    instance = Instance(spec, {Item: 2})
    start = instance.freeze(instance.initial())
    assert start == (300,)
    steps, successors = instance.ground()
    then = {steps[n].args: state for n, state in successors(start)}
    assert then == {((0, 1),): (-100,), ((1, 0),): (-100,), ((1, 1),): (298,)}


def test_open_constants_that_are_integers_fit_into_a_state() -> None:
    spec = Spec("budget")
    budget = spec.const("budget", to=Int)
    spent = spec.var("spent", init=lambda: budget() > 1_000)
    instance = Instance(spec, {}, open=("budget",))
    state = instance.freeze(instance.initial({"budget": [5_000]}))
    assert instance.value(state, "spent") == 1
    assert not instance.formula(~spent(), "f")(state)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda spec: Instance(spec, {Item: 2}), "pair: sort Rank needs a size of at least 1"),
        (lambda spec: Instance(spec, {Item: 0, Rank: 1}), "pair: sort Item needs a size of at least 1"),
        (lambda spec: Instance(spec, {Item: 2, Rank: 2}), "pair: constant `least` has no value"),
        (lambda spec: Instance(spec, {Item: 2, Rank: 2}, {"least": [0, 1]}), "pair: `least` needs 1 values, got 2"),
        (lambda spec: Instance(spec, {Item: 2, Rank: 2}, {"least": [2]}), "pair: a value of `least` is no Rank"),
        (lambda spec: Instance(spec, {Item: 10**8, Rank: 1}, {"least": [0]}), "pair: 200,000,000 cells a state"),
        (
            lambda spec: Instance(spec, {Item: 1, Rank: 1}, {"least": [0]}).enabled(bytes(2), Step("go", ())),
            "pair has no action 'go'; it has ",
        ),
    ],
)
def test_an_instance_that_does_not_fit_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InstanceError) as caught:
        make(PAIR)
    assert str(caught.value).startswith(message)


def test_the_layout_of_a_state() -> None:
    instance = Instance(PAIR, {Item: 3, Rank: 2}, {"least": lambda: 1}, open=())
    state = instance.freeze(instance.initial())
    assert state == bytes([1, 1, 1, 0, 0, 0])
    assert [instance.row(state, place) for place in (0, 2, 3, 5)] == [
        ("rank", (0,)),
        ("rank", (2,)),
        ("on", (0,)),
        ("on", (2,)),
    ]
    assert instance.value(bytes([0, 1, 0, 0, 0, 1]), "on", 2) == 1
