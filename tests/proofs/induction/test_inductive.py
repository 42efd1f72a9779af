"""Inductive proofs: what holds is PROVED, what is broken FAILED with a picture, what is open UNKNOWN."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest
import z3

from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.induction.prover import Prover, obligations
from mtpo.proofs.induction.refuting import broken_by
from mtpo.proofs.induction.second import SecondSolver
from mtpo.proofs.verdicts import Status, Trace, Verdict, exit_code
from mtpo.spec.language import (
    Bool,
    OrderedSort,
    Sort,
    Spec,
    conj,
    conjuncts,
    disj,
    exists,
    forall,
    implies,
    require,
)
from mtpo.spec.language.terms import bound
from mtpo.spec.mtpo import Agent, Call, Object, Value, mtpo


def without_clause(spec: Spec, id: str) -> Spec:
    """A copy of a spec without one guard clause."""
    name = id.split(".")[1]
    action = spec.actions[name]
    kept = tuple(clause for clause in action.guard if clause.id != id)
    assert len(kept) == len(action.guard) - 1
    return spec.without(actions={**spec.actions, name: attrs.evolve(action, guard=kept)})


def by_id(verdicts: list[Verdict]) -> dict[str, Verdict]:
    return {v.property: v for v in verdicts}


# -- mtpo ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proved() -> dict[str, Verdict]:
    """The verdicts on every property of mtpo."""
    return by_id(prove(mtpo))


def test_every_property_of_mtpo_is_proved(proved: dict[str, Verdict]) -> None:
    expected = {p.id for p in mtpo.role("invariant", "lemma", "step")} | {*mtpo.variants, *mtpo.endings}
    assert set(proved) == expected
    assert {id for id, v in proved.items() if v.status is not Status.PROVED} == set()
    assert exit_code(list(proved.values())) == 0


def test_every_property_is_shown_of_the_start_and_of_every_action(proved: dict[str, Verdict]) -> None:
    for p in mtpo.role("invariant", "lemma"):
        shown = proved[p.id].detail["obligations"]
        assert shown == len(conjuncts(p.formula)) * (1 if p.derived else 1 + len(mtpo.actions))
    for p in mtpo.role("step"):
        assert proved[p.id].detail["obligations"] == len(mtpo.actions)
    for variant in mtpo.variants.values():
        assert proved[variant.id].detail["obligations"] == len(mtpo.actions) - len(variant.raised_by)


def test_a_verdict_names_its_scope_solver_and_assumptions(proved: dict[str, Verdict]) -> None:
    for v in proved.values():
        assert v.method == "inductive"
        assert v.detail["scope"] == "any number of elements of each sort"
        assert v.detail["solver"] == f"z3 {z3.get_version_string()}"
        assert set(v.assumptions) == {p.id for p in mtpo.role("assumption")}
        assert v.trace is None


def test_the_hypotheses_are_not_contradictory() -> None:
    """Every action can be taken in a state that satisfies all invariants: no proof is vacuous."""
    prover = Prover(mtpo)
    solver = z3.Solver(ctx=prover.symbolic.context)
    solver.add(*prover.axioms, *prover.symbolic.initial())
    assert solver.check() != z3.unsat
    sizes: dict[type[Sort], int] = {Agent: 2, Call: 4, Object: 1, Value: 2}
    never = mtpo.without(properties={**mtpo.properties, "mtpo.never": _never()})
    for name in mtpo.actions:
        broken, how = broken_by(never, name, sizes, 20_000)
        assert broken == ["mtpo.never"]
        assert isinstance(how, Trace) and how.steps[0].action == name


def _never() -> Any:
    spec = Spec("mtpo")
    spec.step_property("mtpo.never")(lambda: forall(Agent, lambda a: a != a))
    return spec.properties["mtpo.never"]


@pytest.mark.parametrize(
    ("clause", "property"),
    [
        ("mtpo.read.in-issue-order", "mtpo.issue-order"),
        ("mtpo.finish.inbox-empty", "mtpo.consumed-before-action"),
        ("mtpo.undone.top-only", "mtpo.top-only-undo"),
    ],
)
def test_a_property_without_the_clause_that_it_needs_fails_with_the_step(clause: str, property: str) -> None:
    prover, action = Prover(without_clause(mtpo, clause)), clause.split(".")[1]
    (outcome,) = (prover.discharge(o) for o in obligations(prover.spec, lambda p, a: (p, a) == (property, action)))
    assert outcome.status is Status.FAILED
    trace = outcome.trace
    assert trace is not None and trace.inductive
    assert len(trace.states) == 2 and [step.action for step in trace.steps] == [action]
    before, after = trace.states
    whole = trace.instance
    assert whole.assumed() == [] and whole.violated(before) == []
    assert property in [p.id for p in (*whole.violated(after), *whole.violated_step(before, after))]
    assert whole.enabled(before, trace.steps[0])
    # the dropped clause is what the step would have been refused for
    strict = type(whole)(mtpo, whole.sizes, whole.constants)
    assert [c.id for c in strict.refused(before, trace.steps[0])] == [clause]


# -- the lock ------------------------------------------------------------------------------------------------------


def test_the_lock_is_proved(lock: Spec) -> None:
    found = prove(lock)
    assert {v.property: str(v.status) for v in found} == {
        "lock.exclusion": "PROVED",
        "lock.no-barging": "PROVED",
        "lock.emptied": "PROVED",
    }
    assert [v.detail["obligations"] for v in found] == [3, 2, 1]
    assert found[0].assumptions == ()


def test_the_broken_lock_fails_with_a_picture_of_two_states(broken_lock: Spec) -> None:
    found = by_id(prove(broken_lock))
    assert found["lock.exclusion"].status is Status.FAILED
    assert found["lock.no-barging"].status is Status.FAILED
    verdict = found["lock.exclusion"]
    assert verdict.clause == "forall p: Process, q: Process. (holds(p) & holds(q)) -> (p = q), at acquire"
    assert verdict.trace is not None
    lines = verdict.trace.lines()
    assert lines[0] == "state that every property allows"
    (inside,) = (line for line in lines if line.startswith("  holds: "))
    other = 1 - int(inside.removeprefix("  holds: {process").removesuffix("}"))
    assert lines[2:] == [f"step 1: acquire(p=process{other})", f"  holds(process{other}): false -> true"]
    assert exit_code(list(found.values())) == 1


def test_what_rests_on_a_broken_invariant_is_unknown_and_says_so(broken_lock: Spec) -> None:
    verdict = by_id(prove(broken_lock))["lock.emptied"]
    assert verdict.status is Status.UNKNOWN
    assert verdict.detail["why"] == "preserved only if lock.exclusion holds, which is not shown"


def test_a_false_initial_state_is_one_picture_without_a_step(lock: Spec) -> None:
    copy = lock.without()
    process = lock.sorts[0]
    copy.invariant("lock.somebody")(lambda: exists(process, lambda p: lock.variables["holds"](p)))
    verdict = by_id(prove(copy))["lock.somebody"]
    assert verdict.status is Status.FAILED
    assert verdict.clause.endswith("at the initial state")
    assert verdict.trace is not None
    assert verdict.trace.steps == () and len(verdict.trace.states) == 1
    assert verdict.trace.lines() == ["first state", "  holds: {}"]


def test_a_variant_that_does_not_decrease_fails(lock: Spec) -> None:
    copy = lock.without()
    process = lock.sorts[0]
    copy.variant("lock.grows", process, decreases=("acquire",))(lambda p: (lock.variables["holds"](p),))
    verdict = by_id(prove(copy))["lock.grows"]
    assert verdict.status is Status.FAILED
    assert verdict.clause == "acquire decreases it, at acquire"


# -- what the solver cannot settle -----------------------------------------------------------------------------------


class Number(OrderedSort):
    "an element of an order"


def test_an_obligation_out_of_time_is_unknown() -> None:
    prover = Prover(mtpo, timeout_ms=1)
    outcomes = [prover.discharge(o) for o in obligations(mtpo, lambda p, action: p == "mtpo.repair-ends")]
    unknown = [o for o in outcomes if o.status is Status.UNKNOWN]
    assert unknown
    assert all(o.trace is None for o in unknown)


def test_what_holds_of_small_sizes_only_is_not_proved() -> None:
    """An order with a greatest element: true of every finite one, so no small picture refutes it, and not provable."""
    spec = Spec("tall")
    mark = spec.var("mark", Number, init=lambda n: False)

    @spec.action
    def lift_(n: Number) -> None:
        mark[n] = True

    spec.invariant("tall.greatest")(lambda: exists(Number, lambda n: forall(Number, lambda m: m <= n)))
    (verdict,) = prove(spec, timeout_ms=300)
    assert verdict.status is Status.UNKNOWN
    assert verdict.clause.endswith("at the initial state")
    assert exit_code([verdict]) == 3


# -- the obligations themselves ------------------------------------------------------------------------------------


def test_obligations_kept_as_smt_lib_are_unsatisfiable(lock: Spec) -> None:
    kept: dict[str, str] = {}
    prove(lock, keep_smt2=kept.__setitem__)
    assert len(kept) == 6
    for text in kept.values():
        assert text.startswith("(set-info :status unsat)\n(set-logic ALL)\n")
        solver = z3.Solver()
        solver.from_string(text)
        assert solver.check() == z3.unsat


def test_what_is_kept_says_how_it_came_out_and_both_solvers_read_it(broken_lock: Spec) -> None:
    """Files of every kind of obligation: of the start, of an action, of what is derived; proven and refuted."""
    spec = broken_lock.without()
    holds = spec.variables["holds"]
    process = holds.domain[0]
    spec.lemma("lock.some")(lambda: exists(process, lambda p: holds(p) | ~holds(p)))
    spec.invariant("lock.pair", derived=True)(
        lambda: (
            forall(process, process, lambda p, q: implies(holds(p) & holds(q), p == q))
            & exists(process, lambda p: p == p)
        )
    )
    kept: list[tuple[str, str]] = []
    prove(spec, keep_smt2=lambda name, text: kept.append((name, text)), jobs=0)
    names, said = [name for name, _ in kept], set[str]()
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names)
    assert [name.rpartition("-")[0] for name in names if "pair" in name] == ["lock.pair-any-state"] * 2
    with SecondSolver(5) as second:
        for _, text in kept:
            solver = z3.Solver()
            solver.from_string(text)
            found = str(solver.check())
            answer, why = second.ask(text)
            assert answer == found or (found == "sat" and why == "cvc5 can't tell in time")
            assert re.findall(r"set-info :status (\w+)", text) == [found]
            said.add(found)
    assert said == {"sat", "unsat"}


@pytest.mark.parametrize("jobs", [0, 2])
def test_progress_is_told(lock: Spec, jobs: int) -> None:
    told: list[tuple[int, int, str]] = []
    prove(lock, progress=lambda *at: told.append(at), jobs=jobs)
    done = [count for count, _, _ in told]
    assert done == (list(range(7)) if jobs == 0 else sorted(done))
    assert {total for _, total, _ in told} == {6}
    assert told[0] == (0, 6, "lock.exclusion / init")
    assert told[-1] == (6, 6, "")


def test_two_updates_of_one_variable_and_orders_are_understood() -> None:
    spec = Spec("two")
    low = spec.const("low", to=Number)
    top = spec.var("top", to=Number, init=lambda: low())
    spec.assume("two.low")(lambda: forall(Number, lambda n: low() <= n))
    on = spec.var("on", Number, init=lambda n: n == low())

    @spec.action
    def rise(n: Number) -> None:
        require("above", top() < n)
        on[n] = True
        on[top()] = False
        top.becomes(n)

    spec.invariant("two.only-top")(lambda: forall(Number, lambda n: implies(on(n), n == top())))
    spec.step_property("two.up")(lambda: top() < top.next())
    assert {str(v.status) for v in prove(spec)} == {"PROVED"}
    assert prove(spec)[0].assumptions == ("two.low",)


class Place(Sort):
    "a place"


def test_a_step_property_that_is_not_shown_is_no_hypothesis() -> None:
    """The invariant is false in two steps, and follows from a step property that is false as well."""
    cut = Spec("cut", "A token walks along an injective function; the invariant says that it stays near the start.")

    start = cut.const("start", to=Place)
    after = cut.const("after", Place, to=Place)
    seen = cut.var("seen", Place, init=lambda n: n == start())

    @cut.assume("cut.injective")
    def injective() -> Bool:
        return forall(Place, Place, lambda m, n: implies(after(m) == after(n), m == n))

    @cut.assume("cut.no-return")
    def no_return() -> Bool:
        return forall(Place, lambda n: after(n) != start())

    @cut.action
    def go(n: Place) -> None:
        require("here", seen(n))
        seen[after(n)] = True

    @cut.invariant("cut.near")
    def near() -> Bool:
        return forall(Place, lambda n: implies(seen(n), (n == start()) | (n == after(start()))))

    @cut.step_property("cut.still")
    def still() -> Bool:
        return forall(Place, lambda n: implies(seen.next(n), seen(n)))

    for properties in (None, frozenset({"cut.near"})):
        verdicts = prove(cut, properties=properties, timeout_ms=500)
        assert all(v.status is not Status.PROVED for v in verdicts), verdicts


# -- nothing is proven of nothing ----------------------------------------------------------------------------------


class Item(Sort):
    "an item"


class Level(OrderedSort):
    "a level"


def switch() -> Spec:
    """One flag for each item that can be set."""
    spec = Spec("switch")
    on = spec.var("on", Item, init=lambda p: False)

    @spec.action
    def flip(p: Item) -> None:
        require("off", ~on(p))
        on[p] = True

    spec.step_property("switch.stays")(lambda: forall(Item, lambda p: implies(on(p), on.next(p))))
    return spec


def test_assumptions_that_contradict_each_other_fail_by_name() -> None:
    spec = switch()
    good = spec.const("good", Item)
    least = spec.const("least", to=Level)
    spec.assume("switch.some")(lambda: exists(Item, lambda p: good(p)))
    spec.assume("switch.least")(lambda: forall(Level, lambda a: least() <= a))
    spec.assume("switch.none")(lambda: forall(Item, lambda p: ~good(p)))
    verdicts = prove(spec)
    assert {v.property for v in verdicts} == {"switch.some", "switch.none"}
    assert exit_code(verdicts) == 1
    for v in verdicts:
        assert (v.status, v.method) == (Status.FAILED, "vacuous")
        assert v.detail["why"].startswith("switch.some and switch.none can't hold: no model")


def test_one_assumption_that_can_not_hold_fails_by_itself() -> None:
    spec = switch()
    spec.assume("switch.top")(lambda: forall(Level, lambda a: exists(Level, lambda b: (a < b) & (b < a))))
    (verdict,) = prove(spec)
    assert (verdict.property, verdict.status) == ("switch.top", Status.FAILED)


def test_an_action_that_can_never_be_taken_fails() -> None:
    spec = switch()
    on = spec.variables["on"]

    @spec.action
    def never(p: Item) -> None:
        require("set", on(p))
        require("unset", ~on(p))
        require("other", exists(Item, lambda q: on(q)))

    found = by_id(prove(spec))
    assert found["switch.stays"].status is Status.PROVED
    assert (found["switch.never"].status, found["switch.never"].method) == (Status.FAILED, "vacuous")
    why = found["switch.never"].detail["why"]
    assert "switch.never.set (" in why
    assert "switch.never.unset (" in why
    assert "switch.never.other" not in why
    assert "test_inductive.py:" in why
    assert "switch.flip" not in found


def test_an_action_that_an_invariant_excludes_fails_only_if_the_invariant_holds() -> None:
    spec = switch()
    on = spec.variables["on"]

    @spec.action
    def reset(p: Item) -> None:
        require("second", exists(Item, lambda q: (p != q) & on(p) & on(q)))

    @spec.action
    def never(p: Item, q: Item) -> None:
        require("different", on(p) & ~on(q))
        require("none", forall(Item, lambda r: ~on(r)))

    assert by_id(prove(spec))["switch.never"].method == "vacuous"
    assert "switch.reset" not in by_id(prove(spec))
    spec.invariant("switch.dark")(lambda: forall(Item, lambda p: ~on(p)))
    found = by_id(prove(spec))
    assert found["switch.dark"].status is Status.FAILED
    assert "switch.reset" not in found, "what rests on a broken invariant is not judged"
    why = found["switch.never"].detail["why"]
    assert why.startswith("never enabled: in no state at all can switch.never.different (")
    some = by_id(prove(spec, properties=frozenset({"switch.stays"})))
    assert some["switch.stays"].status is Status.UNKNOWN, "what rests on a broken invariant is not proven"
    assert "switch.reset" not in some


def test_properties_that_contradict_each_other_are_told_when_one_alone_is_asked_for() -> None:
    spec = switch()
    on = spec.variables["on"]
    spec.invariant("switch.dark")(lambda: forall(Item, lambda p: ~on(p)))
    spec.invariant("switch.light")(lambda: exists(Item, lambda p: on(p)))
    found = by_id(prove(spec, properties=frozenset({"switch.stays"})))
    assert found["switch.stays"].status is Status.UNKNOWN
    assert "switch.light" in found["switch.stays"].detail["why"]


def test_assumptions_of_which_no_model_is_found_are_unknown() -> None:
    """They hold of infinite orders only: no small one is a model, and z3 builds none."""
    spec = switch()
    spec.assume("switch.endless")(lambda: forall(Level, lambda a: exists(Level, lambda b: a < b)))
    verdicts = prove(spec, timeout_ms=200)
    found = by_id(verdicts)
    assert found["switch.stays"].status is Status.PROVED
    assert found["switch.assumptions"].status is Status.UNKNOWN
    assert found["switch.assumptions"].detail["why"].startswith("not shown to have a model: none with up to 4 elements")
    assert exit_code(verdicts) == 3


def test_a_property_asked_for_alone_rests_on_invariants_that_are_proven_all_the_same() -> None:
    spec = switch()
    on = spec.variables["on"]
    spec.invariant("switch.never")(lambda: forall(Item, lambda p: ~on(p)))
    (verdict,) = prove(spec, properties=frozenset({"switch.stays"}))
    assert (verdict.property, verdict.status) == ("switch.stays", Status.UNKNOWN)
    assert "switch.never" in verdict.detail["why"]


# -- names of a spec that a careless prover would take for its own ---------------------------------------------------


def named(name: str) -> Spec:
    """A constant of that name is an element, and every element is said to be it."""
    spec = Spec("named")
    one = spec.const(name, to=Number)
    on = spec.var("on", Number, init=lambda n: n == one())

    @spec.action
    def put(x: Number) -> None:
        require("on", on(x))
        on[one()] = True

    spec.invariant("named.all")(lambda: forall(Number, lambda n: on(n)))
    spec.lemma("named.one")(lambda: forall(Number, lambda n: n == one()))
    return spec


@pytest.mark.parametrize("name", ["x_Number", "le_Number", "i0_on", "x_variant", "x", "n", *range(6)])
def test_a_quantifier_captures_no_name_of_a_spec(name: str | int) -> None:
    """Not true of two elements. Bound variables are numbered: one of the next numbers is that of ``n``."""
    number = bound(Number, "n").data[1]
    prover = Prover(named(name if isinstance(name, str) else f"n_{number + name}"))
    for obligation in obligations(prover.spec):
        if obligation.action is None:
            assert prover._solve(prover.whole(obligation), 1000) != z3.unsat, obligation.clause


def test_a_relation_that_is_named_like_an_order_is_none() -> None:
    spec = Spec("named")
    below = spec.const("le_Number", Number, Number)
    spec.var("on", init=lambda: False)

    @spec.action
    def go() -> None:
        spec.variables["on"].becomes(True)

    spec.invariant("named.reflexive")(lambda: forall(Number, lambda n: below(n, n)))
    assert [str(v.status) for v in prove(spec)] == ["FAILED"]


def test_what_the_prover_names_is_no_identifier() -> None:
    """All symbols and bound variables of all obligations: those of the spec, or such as no spec can have."""
    spec = named("one")
    spec.variant("named.ends", Number, decreases=("put",))(lambda x: (spec.variables["on"](x),))
    own = {"one", "on"}
    prover = Prover(spec)
    for obligation in obligations(spec):
        whole = prover.whole(obligation)
        seen, todo = set[str](), [*prover.axioms, *whole.hypotheses, whole.goal]
        while todo:
            term = todo.pop()
            if z3.is_quantifier(term):
                seen |= {term.var_name(i) for i in range(term.num_vars())}
                todo.append(term.body())
            elif z3.is_app(term) and term.decl().kind() == z3.Z3_OP_UNINTERPRETED:
                seen.add(term.decl().name())
            todo += term.children()
        assert own & seen
        assert all("!" in name for name in seen - own), seen


def test_names_that_mean_something_in_smt_lib() -> None:
    """Another solver reads the text that is kept: there ``and`` would be the connective, ``Real`` the numbers."""
    pytest.importorskip("cvc5")
    Real = type("Real", (OrderedSort,), {})
    spec = Spec("smt")
    names = ("and", "not", "ite", "distinct", "select", "mod", "abs", "let", "forall", "Bool", "Real", "bvadd", "true")
    relations = [spec.const(name, Real, Real) for name in names]
    done = spec.var("store", Real, init=lambda p: False)

    def put(select: Any) -> None:
        done[select] = True

    put.__annotations__ = {"select": Real}
    spec.action(put)
    spec.assume("smt.none")(lambda: forall(Real, Real, lambda p, q: conj(*(~r(p, q) for r in relations))))
    spec.lemma("smt.l")(lambda: forall(Real, Real, lambda p, q: ~disj(*(r(p, q) for r in relations))))
    with SecondSolver(10) as solver:
        (verdict,) = prove(spec, confirm=solver)
    assert verdict.status is Status.PROVED
    assert verdict.detail["confirmed"] == verdict.detail["obligations"] == 2
