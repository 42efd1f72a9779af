"""Mistakes in a spec are reported with the file and line of the spec, whatever part of the language finds them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpo.spec.language import (
    Bool,
    Int,
    Sort,
    Spec,
    SpecError,
    conj,
    disj,
    exists,
    forall,
    function,
    iff,
    implies,
    ite,
    require,
)
from mtpo.spec.language.terms import bound
from tests.spec.declared import OTHER_ITEM, Item, Rank, act, model

HERE = Path(__file__)


# Each mistake, on one line of its own, with a part of the message.
MISTAKES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "eq of two sorts": (
        lambda m: m.invariant("m.p")(lambda: forall(Item, lambda x: x == m.low())),
        "sort mismatch: `x` is Item but",
    ),
    "ne of two sorts": (
        lambda m: m.invariant("m.p")(lambda: m.count() != m.low()),
        "sort mismatch: `count` is Int but `low` is Rank",
    ),
    "order of two sorts": (lambda m: m.invariant("m.p")(lambda: m.low() < m.count()), "sort mismatch"),
    "and of an int": (lambda m: m.invariant("m.p")(lambda: m.flag() & m.count()), "& wants Bool, found Int `count`"),
    "or of a number": (lambda m: m.invariant("m.p")(lambda: m.flag() | 1), "| wants Bool, found Int `1`"),
    "not a term": (
        lambda m: m.invariant("m.p")(lambda: m.flag() & "x"),
        "expected a term, a bool or an int, found str: 'x'",
    ),
    "sum with a truth value": (lambda m: m.invariant("m.p")(lambda: m.count() + True == 1), "+ wants Int, found Bool"),
    "product of terms": (lambda m: m.invariant("m.p")(lambda: m.count() * m.count() == 1), "arithmetic is linear"),
    "implies of a number": (lambda m: m.invariant("m.p")(lambda: implies(m.count(), m.flag())), "implies wants Bool"),
    "iff of a number": (lambda m: m.invariant("m.p")(lambda: iff(m.flag(), m.count())), "iff wants Bool"),
    "conj of a number": (lambda m: m.invariant("m.p")(lambda: conj(m.flag(), m.count())), "conj wants Bool"),
    "disj of a number": (lambda m: m.invariant("m.p")(lambda: disj(m.count())), "disj wants Bool"),
    "branches of two sorts": (lambda m: m.invariant("m.p")(lambda: ite(m.flag(), m.count(), m.low()) == 1), "in ite"),
    "condition that is no Bool": (
        lambda m: m.invariant("m.p")(lambda: ite(m.count(), m.flag(), False)),
        "ite wants Bool",
    ),
    "and": (lambda m: m.invariant("m.p")(lambda: m.flag() and m.flag()), "use & | ~ implies()"),
    "or": (lambda m: m.invariant("m.p")(lambda: m.flag() or m.flag()), "use & | ~ implies()"),
    "not": (lambda m: m.invariant("m.p")(lambda: not m.flag()), "use & | ~ implies()"),
    "chained comparison": (lambda m: m.invariant("m.p")(lambda: 0 < m.count() < 3), "no chained comparison"),
    "and without parentheses": (
        act(lambda m, x: require("c", m.on(x) & x != x)),
        "& wants Bool, found Item `x`; & | ~ bind tighter than comparisons: write (p == q) & ~(r < s)",
    ),
    "and of two elements": (act(lambda m, x: require("c", x == x & x == x)), "Item `x`; & | ~ bind tighter"),
    "or of two elements": (act(lambda m, x: require("c", x == x | x == x)), "| wants Bool, found Item `x`; & | ~ bind"),
    "and of two numbers": (
        lambda m: m.invariant("m.p")(lambda: m.count() < 3 & m.count() > 1),
        "found Int `count`; & | ~ bind tighter",
    ),
    "not of an element": (act(lambda m, x: require("c", ~x == x)), "~ wants Bool, found Item `x`; & | ~ bind tighter"),
    "conjunction compared": (
        act(lambda m, x: require("c", m.on(x) & m.flag() == x)),
        "`on(x) & flag` is Bool but `x` is Item in ==; & | ~ bind tighter",
    ),
    "exclusive or": (lambda m: m.invariant("m.p")(lambda: m.flag() ^ m.flag()), "there is no ^: write p != q"),
    "not of a function": (lambda m: m.invariant("m.p")(lambda: ~m.on), "`on` is a function: apply it"),
    "and of a function": (lambda m: m.invariant("m.p")(lambda: m.flag & m.flag()), "`flag` is a function: apply it"),
    "quantifier over no sort": (
        lambda m: m.invariant("m.p")(lambda: forall(Int, lambda x: x == x)),
        "forall ranges over sorts",
    ),
    "quantifier with too few names": (
        lambda m: m.invariant("m.p")(lambda: exists(Item, Item, lambda x: m.on(x))),
        "2 argument(s)",
    ),
    "quantifier without a body": (lambda m: m.invariant("m.p")(lambda: forall(Item, Item)), "needs a function"),
    "quantified number": (lambda m: m.invariant("m.p")(lambda: forall(Item, lambda x: m.count())), "forall wants Bool"),
    "too many arguments": (
        lambda m: m.invariant("m.p")(lambda: m.flag(m.low())),
        "`flag` takes (), found 1 argument(s)",
    ),
    "too few arguments": (
        lambda m: m.invariant("m.p")(lambda: forall(Item, lambda x: m.likes(x))),
        "`likes` takes (Item, Item)",
    ),
    "argument of another sort": (
        lambda m: m.invariant("m.p")(lambda: m.on(m.low())),
        "argument 1 of `on` wants Item, found Rank",
    ),
    "function not applied": (
        lambda m: m.invariant("m.p")(lambda: m.flag == m.flag()),
        "`flag` is a function: apply it",
    ),
    "function as a truth value": (
        lambda m: m.invariant("m.p")(lambda: m.flag or True),
        "`flag` is a function: apply it",
    ),
    "function for a term": (lambda m: m.invariant("m.p")(lambda: m.flag() & m.flag), "expected a term"),
    "next of a constant": (
        lambda m: m.step_property("m.p")(lambda: m.low.next() == m.low()),
        "`low` does not change",
    ),
    "property without a truth value": (
        lambda m: m.invariant("m.p")(lambda: m.count()),
        "property 'm.p' is Int, wanted Bool",
    ),
    "property with arguments": (lambda m: m.invariant("m.p")(lambda x: m.flag()), "0 argument(s)"),
    "property id without prefix": (lambda m: m.invariant("p")(lambda: m.flag()), "must begin with `m.`"),
    "property twice": (lambda m: [m.lemma("m.p")(lambda: m.flag()) for _ in "ab"], "'m.p' is already declared"),
    "invariant of the next state": (
        lambda m: m.invariant("m.p")(lambda: m.flag.next()),
        "reads the next state, `flag'`",
    ),
    "reachable of the next state": (
        lambda m: m.reachable("m.p")(lambda: ~m.flag.next()),
        "reads the next state",
    ),
    "assumption about state": (lambda m: m.assume("m.p")(lambda: m.flag()), "speaks of state"),
    "assumption about next state": (lambda m: m.assume("m.p")(lambda: m.flag.next()), "speaks of state"),
    "unbound variable": (
        lambda m: m.invariant("m.p")(lambda: m.on(bound(Item, "x"))),
        "uses `x` outside the quantifier",
    ),
    "variable of another spec": (
        lambda m: m.lemma("m.p")(lambda: model().flag()),
        "mentions `flag`, which spec `m` does not declare",
    ),
    "guard of a number": (act(lambda m, x: require("c", m.count())), "require('c') wants a Bool, found Int"),
    "guard of the next state": (act(lambda m, x: require("c", m.on.next(x))), "guard clause 'c' reads the next"),
    "guard of another spec": (act(lambda m, x: require("c", model().flag())), "which spec `m` does not declare"),
    "guard with an unbound variable": (act(lambda m, x: require("c", bound(Item, "y") == x)), "uses `y` outside"),
    "update with another sort": (act(lambda m, x: m.rank.__setitem__(x, 3)), "`rank` has values in Rank, found Int"),
    "update with the next state": (
        act(lambda m, x: m.on.__setitem__(x, m.flag.next())),
        "update of `on` reads the next",
    ),
    "update with an unbound variable": (act(lambda m, x: m.on.__setitem__(x, m.on(bound(Item, "y")))), "uses `y`"),
    "update at another sort": (act(lambda m, x: m.on.__setitem__(m.low(), True)), "argument 1 of `on` wants Item"),
    "becomes of a plain value": (act(lambda m, x: m.on.becomes(True)), "wants a function of 1 argument(s)"),
    "becomes of a wrong function": (act(lambda m, x: m.on.becomes(lambda: True)), "function of 1 argument(s)"),
    "becomes outside an action": (lambda m: m.flag.becomes(True), "`flag.becomes` is for the body of an action"),
    "require outside an action": (lambda m: require("c", m.flag()), "require is for the body of an action"),
    "parameter without a sort": (lambda m: m.action(lambda x: None), "parameter `x` of action `<lambda>` needs a sort"),
    "initial value of another sort": (lambda m: m.var("v", to=Rank, init=lambda: 0), "initial value of `v` is Int"),
    "initial value with too few names": (lambda m: m.var("v", Item, init=lambda: False), "function of 1 argument(s)"),
    "initial value not a function": (lambda m: m.var("v", init=False), "function of 0 argument(s)"),
    "initial value of the next state": (lambda m: m.var("v", init=lambda: m.flag.next()), "reads the next state"),
    "variable twice": (lambda m: m.var("on", init=lambda: False), "`on` is already declared"),
    "constant twice": (lambda m: m.const("on"), "`on` is already declared"),
    "name that is none": (lambda m: m.const("not a name"), "'not a name' is not an identifier"),
    "variable over a Python type": (lambda m: m.var("v", int, init=lambda x: False), "`v` is over sorts"),
    "constant to a Python type": (lambda m: m.const("k", to=bool), "`k` is over sorts"),
    "variant of an unknown action": (
        lambda m: m.variant("m.v", Item, decreases=("no",))(lambda x: (m.on(x),)),
        "unknown action `no`",
    ),
    "variant over numbers": (
        lambda m: m.variant("m.v", Int, decreases=())(lambda x: (x <= m.count(),)),
        "variant 'm.v' is over elements of a sort, so that its sets are finite, found Int, of which there is no end",
    ),
    "variant over no sort": (lambda m: m.variant("m.v", int, decreases=())(lambda x: (m.flag(),)), "found <class 'int"),
    "variable over numbers": (lambda m: m.var("f", Item, Int, init=lambda x, i: False), "only its values may be Int"),
    "constant over numbers": (lambda m: m.const("f", Int), "`f` has an argument that is an Int"),
    "two sorts of one name": (lambda m: m.var("f", OTHER_ITEM, init=lambda x: False), "two sorts are named Item"),
    "quantifier over a sort named like another": (
        lambda m: m.invariant("m.p")(lambda: forall(OTHER_ITEM, lambda x: x == x)),
        "two sorts are named Item: give one of them another name",
    ),
    "variant over a sort named like another": (
        lambda m: m.variant("m.v", OTHER_ITEM, decreases=())(lambda x: (m.flag(),)),
        "two sorts are named Item",
    ),
    "sort named like the numbers": (
        lambda m: m.const("f", to=type("Int", (Sort,), {})),
        "two sorts are named Int: give one of them another name",
    ),
    "parameter over numbers": (
        lambda m: m.action(f=function(Int))(lambda f: None),
        "parameter `f` of action `<lambda>` has an argument that is an Int",
    ),
    "id that leaves a folder": (lambda m: m.invariant("m./../x")(lambda: m.flag()), "property id 'm./../x': an id is"),
    "id with an empty name": (lambda m: m.invariant("m..x")(lambda: m.flag()), "of letters, digits, _ and -"),
    "id with a line break": (lambda m: m.lemma("m.x\n")(lambda: m.flag()), "property id 'm.x\\n'"),
    "clause with a slash": (act(lambda m, x: require("a/b", m.on(x))), "require('a/b'): a clause is named with"),
    "spec named like a path": (lambda m: Spec("../m"), "a spec is named with letters, digits, _ and -, found '../m'"),
    "spec without a name": (lambda m: Spec(""), "a spec is named with letters, digits, _ and -, found ''"),
    "symbol that Python reads otherwise": (lambda m: m.const("\ufb01n"), "is read as 'fin' in Python: write that"),
    "doubled too often": (
        lambda m: m.invariant("m.p")(lambda: functools.reduce(lambda e, n: implies(e, e), range(30), m.flag())),
        "a formula of 1,572,862 parts, at most 1,000,000",
    ),
    "variant without prefix": (lambda m: m.variant("v", Item, decreases=())(lambda x: ()), "must begin with `m.`"),
    "invariant without an id": (
        lambda m: m.invariant(lambda: m.flag()),
        '`@m.invariant("m.NAME")` declares',
    ),
    "step property without an id": (lambda m: m.step_property(lambda: m.flag()), '`@m.step_property("m.NAME")`'),
    "assumption without an id": (lambda m: m.assume(lambda: m.flag()), '`@m.assume("m.NAME")`'),
    "refuted without an id": (lambda m: m.refuted(lambda: m.flag()), '`@m.refuted("m.NAME")`'),
    "ending without an id": (lambda m: m.ends(lambda: None), '`@m.ends("m.NAME")`'),
    "variant whose id is a number": (lambda m: m.variant(7, Item, decreases=()), "by its id, found 7"),
    "property by no function": (
        lambda m: m.invariant("m.p")(functools.partial(m.flag)),
        "property 'm.p' is declared by a function (`def`), found functools.partial",
    ),
    "ending but nothing": (lambda m: m.ends("m.e", but=None)(lambda: None), "but wants a tuple of names of actions"),
    "enabled of what is no name": (lambda m: m.invariant("m.p")(lambda: m.enabled(["go"])), "found ['go']"),
    "sort without a name": (lambda m: m.var("q", type("", (Sort,), {}), init=lambda s: False), "identifier, found ''"),
    "variant that is no tuple": (lambda m: m.variant("m.v", Item, decreases=())(lambda x: m.on(x)), "a tuple of Bool"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_reported_at_its_line(name: str) -> None:
    make, part = MISTAKES[name]
    with pytest.raises(SpecError) as caught:
        make(model())
    written = make.__closure__[0].cell_contents if make.__closure__ else make
    line = written.__code__.co_firstlineno
    assert str(caught.value).startswith(f"{HERE}:{line}: ")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


# -- mistakes that take several lines; the one that is reported is marked ------------------------------------------


def if_on_a_term(m: Any) -> None:
    @m.invariant("m.p")
    def p() -> Bool:
        if m.flag():  # <-
            return m.flag()
        return ~m.flag()


def clause_without_a_name(m: Any) -> None:
    @m.action
    def step(x: Item) -> None:
        require(m.on(x))  # <-


def function_of_an_action_that_has_none(m: Any) -> None:
    @m.action(g=function(Item))  # <-
    def step(x: Item) -> None:
        m.on[x] = True


def function_without_its_type(m: Any) -> None:
    @m.action(g=Item)  # <-
    def step(x: Item, g: Any) -> None:
        m.on[x] = g(x)


def any_number_of_parameters(m: Any) -> None:
    @m.action  # <-
    def step(*x: Item) -> None:
        m.on[x] = True


def property_with_the_id_of_an_action(m: Any) -> None:
    @m.action
    def step(x: Item) -> None:
        m.on[x] = True

    @m.invariant("m.step")  # <-
    def p() -> Bool:
        return m.flag()


def action_with_the_id_of_a_property(m: Any) -> None:
    @m.invariant("m.step")
    def p() -> Bool:
        return m.flag()

    @m.action  # <-
    def step(x: Item) -> None:
        m.on[x] = True


def two_clauses_of_one_name(m: Any) -> None:
    @m.action
    def step(x: Item) -> None:
        require("on", m.on(x))
        require("on", ~m.flag())  # <-


def point_then_whole(m: Any) -> None:
    @m.action
    def step(x: Item) -> None:
        m.on[x] = True
        m.on.becomes(lambda y: False)  # <-


def whole_twice(m: Any) -> None:
    @m.action
    def step() -> None:
        m.flag.becomes(True)
        m.flag.becomes(False)  # <-


def point_outside_an_action(m: Any) -> None:
    m.on[bound(Item, "x")] = True  # <-


def point_with_too_many_arguments(m: Any) -> None:
    @m.action
    def step(x: Item) -> None:
        m.on[x, x] = True  # <-


def action_twice(m: Any) -> None:
    @m.action
    def step() -> None:
        m.flag.becomes(True)

    @m.action  # <-
    def step() -> None:  # noqa: F811
        m.flag.becomes(False)


def parameter_without_a_sort(m: Any) -> None:
    @m.action  # <-
    def step(x: int) -> None:
        m.flag.becomes(True)


def parameter_of_an_unknown_sort(m: Any) -> None:
    @m.action  # <-
    def step(x: Nowhere) -> None:  # noqa: F821
        m.flag.becomes(True)


def escaped_parameter(m: Any) -> None:
    kept: list[Any] = []

    @m.action
    def first(x: Item) -> None:
        kept.append(x)

    @m.action
    def second(y: Item) -> None:
        require("same", kept[0] == y)  # <-


def variant_of_the_next_state(m: Any) -> None:
    @m.variant("m.v", Item, decreases=())  # <-
    def v(x: Item) -> tuple[Bool, ...]:
        return (m.on.next(x),)


def variant_twice(m: Any) -> None:
    @m.variant("m.v", Item, decreases=())
    def first(x: Item) -> tuple[Bool, ...]:
        return (m.on(x),)

    @m.variant("m.v", Item, decreases=())  # <-
    def second(x: Item) -> tuple[Bool, ...]:
        return (m.on(x),)


SEVERAL = {
    if_on_a_term: "use & | ~ implies()",
    two_clauses_of_one_name: "two clauses named 'on' in one action",
    point_then_whole: "`on.becomes` after another update of it would hide that one",
    whole_twice: "`flag.becomes` after another update of it would hide that one",
    point_outside_an_action: "`on[...] = ` is for the body of an action",
    point_with_too_many_arguments: "`on` takes (Item), found 2 argument(s)",
    action_twice: "action `step` is already declared",
    parameter_without_a_sort: "parameter `x` of action `step` needs a sort as its annotation",
    parameter_of_an_unknown_sort: "parameter `x` of action `step` needs a sort as its annotation",
    escaped_parameter: "guard clause 'same' uses `x` outside the quantifier or action that binds it",
    variant_of_the_next_state: "variant 'm.v' reads the next state, `on'(x)`",
    variant_twice: "property 'm.v' is already declared",
    clause_without_a_name: '`require("NAME", formula)`',
    function_of_an_action_that_has_none: "action `step` has no parameter `g` that could be a function",
    function_without_its_type: "parameter `g` of action `step`: write `function(...)` for its type",
    any_number_of_parameters: "has as many parameters as are written: `*x: 'Item'` may be any number",
    property_with_the_id_of_an_action: "property 'm.step' has the id of an action",
    action_with_the_id_of_a_property: "action `step` has the id of a property",
}


@pytest.mark.parametrize("make", SEVERAL, ids=lambda make: make.__name__)
def test_a_mistake_among_several_lines_is_reported_at_its_line(make: Callable[[Any], None]) -> None:
    with pytest.raises(SpecError) as caught:
        make(model())
    lines, start = inspect.getsourcelines(make)
    (marked,) = (start + i for i, line in enumerate(lines) if "# <-" in line)
    assert str(caught.value).startswith(f"{HERE}:{marked}: ")
    assert SEVERAL[make] in str(caught.value)


# -- what a mistake leaves behind, and what is right ---------------------------------------------------------------


def test_a_refused_declaration_leaves_nothing_behind() -> None:
    m = model()
    before = [list(table) for table in (m.constants, m.variables, m.actions, m.properties, m.variants)]
    for make, _ in MISTAKES.values():
        with pytest.raises(SpecError):
            make(m)
    after = [list(table) for table in (m.constants, m.variables, m.actions, m.properties, m.variants)]
    added = {name for old, new in zip(before, after, strict=True) for name in new if name not in old}
    assert added <= {"m.p"}, "only the first of two declarations of one name may stay"
    with pytest.raises(SpecError, match="is for the body of an action"):
        require("c", m.flag())


# -- hints -----------------------------------------------------------------------------------------------------------


def test_hints_for_what_is_easily_forgotten() -> None:
    class Plain(Sort):
        "no order"

    spec = Spec("hints")
    on = spec.var("on", Plain, init=lambda p: False)
    with pytest.raises(SpecError, match=r"`p` is Plain, which has no order: derive it from OrderedSort"):
        forall(Plain, Plain, lambda p, q: p < q)  # type: ignore[operator]
    with pytest.raises(SpecError, match=r"expected a term, found nothing: does a function lack its `return`\?"):
        forall(Plain, lambda p: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(SpecError, match=r"found the function `on`: apply it, `on\(...\)`"):
        forall(Plain, lambda p: on)  # type: ignore[arg-type, return-value]


def test_a_point_changed_twice_in_one_action_is_refused():
    toy = Spec("toy")
    f = toy.var("f", Item, init=lambda x: False)
    with pytest.raises(SpecError, match=r"`f\(x\)` is changed twice in one action: only the last would count"):

        @toy.action
        def twice(x: Item) -> None:
            f[x] = True
            f[x] = False


def test_a_guard_after_an_update_is_refused():
    toy = Spec("toy")
    f = toy.var("f", Item, init=lambda x: False)
    with pytest.raises(SpecError, match=r"require\('late'\) after an update: a guard speaks of the state before"):

        @toy.action
        def late(x: Item) -> None:
            f[x] = True
            require("late", f(x))


def test_a_variant_that_names_its_action_without_a_tuple_is_refused():
    toy = Spec("toy")
    f = toy.var("f", Item, init=lambda x: True)

    @toy.action
    def go(x: Item) -> None:
        require("on", f(x))
        f[x] = False

    with pytest.raises(SpecError, match=r"decreases wants a tuple of actions: write \('go',\)"):

        @toy.variant("toy.ends", Item, decreases="go")
        def ends(x: Item) -> tuple[Bool, ...]:
            return (f(x),)
