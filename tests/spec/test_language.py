"""A spec is what was declared: its tables, its notation, its formulas."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
import pytest
import z3

from mtpo.proofs.exploration.kernel import compile_kernel
from mtpo.proofs.induction.symbolic import Symbolic
from mtpo.spec.concrete import Instance, evaluate
from mtpo.spec.language import (
    Bool,
    Function,
    Spec,
    SpecError,
    conj,
    conjuncts,
    disj,
    exists,
    forall,
    function,
    iff,
    implies,
    ite,
    require,
    show,
)
from mtpo.spec.language.terms import bound, names_for
from tests.spec.declared import Item, Rank, act, model, nested


def test_a_spec_is_what_was_declared() -> None:
    m = model()

    @m.action(to=function(Item, to=Rank))
    def step_(x: Item, to: Function[Rank]) -> None:
        """x turns on.

        And more.
        """
        require("off", ~m.on(x))
        m.on[x] = True
        m.rank.becomes(lambda y: ite(y == x, to(y), m.rank(y)))

    @m.invariant("m.low-is-least")
    def least() -> Bool:
        "Nothing lies below low."
        return forall(Item, lambda x: m.low() <= m.rank(x))

    action = m.actions["step"]
    assert action.doc == "x turns on.\n\nAnd more."
    assert [clause.id for clause in action.guard] == ["m.step.off"]
    assert [str(p) for p in action.elements] == ["x"]
    assert [p.name for p in action.functions] == ["to"]
    assert [(u.variable.name, u.whole, show(u.value)) for u in action.updates] == [
        ("on", False, "true"),
        ("rank", True, "if x0 = x then to(x0) else rank(x0)"),
    ]
    assert action.at == f"{__file__}:{step_.__code__.co_firstlineno}"
    assert m.properties["m.low-is-least"].doc == "Nothing lies below low."
    assert show(m.properties["m.low-is-least"].formula) == "forall x: Item. low <= rank(x)"
    assert m.sorts == (Rank, Item)


def test_a_sort_that_only_a_property_mentions_is_a_sort_of_the_spec() -> None:
    m: Any = Spec("m")
    m.flag = m.var("flag", init=lambda: False)
    m.invariant("m.p")(lambda: forall(Item, lambda x: ~m.flag()))
    assert m.sorts == (Item,)


def test_a_copy_does_not_share_its_tables() -> None:
    m = model()
    act(lambda m, x: require("on", m.on(x)))(m)
    copy = m.without(actions={})
    assert list(m.actions) == ["step"]
    assert not copy.actions
    copy.const("more")
    assert "more" not in m.constants


def test_the_notation() -> None:
    m = model()
    x, n = bound(Item, "x"), m.count()
    shown = {
        "flag & ~flag": m.flag() & ~m.flag(),
        "flag": ~~m.flag(),
        "flag -> on(x)": implies(m.flag(), m.on(x)),
        "flag | on'(x)": disj(m.flag(), m.on.next(x)),
        "true": conj(),
        "false": disj(),
        "(count + 1) <= 2": n + 1 <= 2,
        "3 < count": n > 3,
        "3 <= (count * 3)": 3 * n >= 3,
        "(1 - count) = 0": 1 - n == 0,
        "count != 1": n != 1,
        "exists a: Item, b: Item. likes(a, b)": exists(Item, Item, lambda a, b: m.likes(a, b)),
        "flag = on(x)": iff(m.flag(), m.on(x)),
        "if flag then 1 else count": ite(m.flag(), 1, n),
    }
    assert {show(term) for term in shown.values()} == set(shown)
    for text, term in shown.items():
        assert show(term) == text
    parts = conjuncts(m.flag() & (m.on(x) & ~m.flag()) & (m.flag() | m.on(x)))
    assert [show(part) for part in parts] == ["flag", "on(x)", "~flag", "flag | on(x)"]


def test_variables_of_one_name_are_told_apart() -> None:
    """A parameter and what a quantifier binds, a quantifier and one within it; what is nowhere mixed up stays."""
    m = model()
    x, other = bound(Item, "x"), bound(Item, "x")

    def liked_by(who: Any) -> Any:
        return exists(Item, lambda x: m.likes(who, x))

    shown = {
        "exists x_2: Item. likes(x, x_2)": liked_by(x),
        "on(x) & (exists x_2: Item. on(x_2))": m.on(x) & exists(Item, lambda x: m.on(x)),
        "forall x: Item. exists x_2: Item. likes(x, x_2)": forall(Item, lambda x: liked_by(x)),
        "(exists x: Item. on(x)) & (exists x: Item. on(x))": conj(*(exists(Item, lambda x: m.on(x)) for _ in "ab")),
        "forall x: Item. exists y: Item. exists x_2: Item. likes(y, x_2)": forall(
            Item, lambda x: exists(Item, lambda y: liked_by(y))
        ),
        "likes(x, x_2)": m.likes(x, other),
    }
    for text, term in shown.items():
        assert show(term) == text
    assert show(liked_by(other), names_for([x, other])) == "exists x_3: Item. likes(x_2, x_3)"
    assert show(exists(Item, lambda x: m.on(x)), names_for([x])) == "exists x_2: Item. on(x_2)"


def test_a_long_chain_is_flat() -> None:
    """2,000 conjuncts, from the left and from the right: no code of them is nested deep."""
    m = model()
    terms = [m.flag(), ~m.flag()] * 1000
    for op, join in ((operator.and_, "and"), (operator.or_, "or")):
        for chain in (functools.reduce(op, terms), functools.reduce(lambda a, b, op=op: op(b, a), terms)):
            assert chain.op == join
            assert chain.depth < 50
            instance = Instance(m, {Item: 1, Rank: 1}, {"low": [0], "likes": [0]})
            assert instance.formula(chain, f"{join} {id(chain)}")(instance.initial()) == (join == "or")
    short = m.flag() & m.flag() & m.flag()
    assert [part.op for part in short.args] == ["and", "apply"], "as it was written"


def test_what_is_nested_as_deep_as_may_be_is_understood_by_all() -> None:
    m = model()
    with pytest.raises(SpecError, match=r"nested more than 150 deep: write it flat, with conj\(...\), disj\(...\)$"):
        m.invariant("m.q")(lambda: nested(m, 75))
    deep = nested(m, 73)
    assert deep.depth == 149
    m.invariant("m.p")(lambda: forall(Item, lambda x: deep))
    instance = Instance(m, {Item: 1, Rank: 1}, {"low": [0], "likes": [0]})
    state = instance.initial()
    wanted = bool(evaluate(deep, instance, state, {}))
    for grounded in (False, True):
        assert instance.formula(m.properties["m.p"].formula, f"p{grounded}", grounded)(state) == wanted
    row = np.array(state)
    assert bool(compile_kernel(instance, jit=False).code.holds(row, row, row)) == wanted
    solver = z3.Solver(ctx=(symbolic := Symbolic(m)).context)
    solver.add(*symbolic.initial(), symbolic.formula(deep, symbolic.before))
    assert solver.check() == (z3.sat if wanted else z3.unsat)
