"""Expected counterexamples: what a spec says must be false somewhere, of a state or of a step."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import small_instance
from mtpo.proofs.exploration.refuted import refuting_reasons, with_refuting_runs
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, evaluate
from mtpo.spec.language import (
    Action,
    Bool,
    Int,
    Sort,
    Spec,
    SpecError,
    exists,
    forall,
    function,
    implies,
    require,
)
from mtpo.spec.language.substitution import reads_next, refutation
from tests.spec import random_specs


class Process(Sort):
    "a process"


class Seat(Sort):
    "a seat"


def doors(*, locked: bool) -> Spec:
    """Processes go in and out; ``locked``: one at a time. What is claimed is declared before the last action."""
    spec = Spec("door")
    inside = spec.var("inside", Process, init=lambda p: False)

    @spec.action
    def enter(p: Process) -> None:
        require("out", ~inside(p))
        if locked:
            require("free", ~exists(Process, lambda q: inside(q)))
        inside[p] = True

    @spec.refuted("door.alone")
    def alone() -> Bool:
        "At most one process is inside."
        return forall(Process, Process, lambda p, q: implies(inside(p) & inside(q), p == q))

    @spec.refuted("door.last-leaves")
    def last_leaves() -> Bool:
        "Who leaves is the last."
        return forall(Process, Process, lambda p, q: implies(inside(p) & ~inside.next(p), ~inside.next(q)))

    @spec.refuted("door.stays")
    def stays() -> Bool:
        "Nobody leaves."
        return forall(Process, lambda p: implies(inside(p), inside.next(p)))

    @spec.action
    def leave(p: Process) -> None:
        require("in", inside(p))
        inside[p] = False

    return spec


@pytest.mark.parametrize(
    ("engine", "locked"),
    [("python", False), ("python", True), ("numpy", False), ("numpy", True), ("compiled", True)],
)
def test_what_is_never_refuted_is_a_failure_with_every_engine(engine: Any, locked: bool) -> None:
    instance, initial = small_instance(doors(locked=locked), {Process: 3})
    found = explore(instance, initial, engine=engine)
    assert found.complete
    never = {"door.alone", "door.last-leaves"} if locked else set[str]()
    told = {v.property: (v.status, v.method) for v in found.verdicts}
    assert told == {
        id: (Status.FAILED, "never reached") if id in never else (Status.CHECKED, "reached")
        for id in ("door.alone", "door.last-leaves", "door.stays")
    }


def test_what_is_refuted_has_a_shortest_run_and_its_reason() -> None:
    instance, initial = small_instance(doors(locked=False), {Process: 3})
    found = with_refuting_runs(explore(instance, initial), initial)
    runs = {v.property: v.trace for v in found.verdicts}
    assert [s.action for s in runs["door.alone"].steps] == ["enter", "enter"]
    assert [s.action for s in runs["door.stays"].steps] == ["enter", "leave"]
    assert [s.action for s in runs["door.last-leaves"].steps] == ["enter", "enter", "leave"]
    (reason,) = refuting_reasons(runs["door.last-leaves"], "door.last-leaves")
    assert reason.lines()[1] == "for p = process0, q = process1"
    for run in runs.values():
        for before, step, after in zip(run.states, run.steps, run.states[1:], strict=False):
            changed = list(before)
            assert instance.enabled(before, step)
            instance.perform(changed, step)
            assert instance.freeze(changed) == after


def test_where_not_all_was_looked_at_nothing_is_said() -> None:
    instance, initial = small_instance(doors(locked=True), {Process: 3})
    told = {v.property: v.status for v in explore(instance, initial, limit=1).verdicts}
    assert told["door.alone"] is Status.UNKNOWN


def test_a_changed_action_changes_what_refutes_a_step() -> None:
    spec = doors(locked=False)
    copy = spec.without(actions={"enter": spec.actions["enter"]})
    instance, initial = small_instance(copy, {Process: 2})
    failed = {v.property for v in explore(instance, initial).verdicts if v.status is Status.FAILED}
    assert failed == {"door.last-leaves", "door.stays"}


def test_arguments_that_are_no_elements_are_refused_with_the_place_of_the_claim() -> None:
    for how in ("order", "points", "int"):
        spec = Spec("m")
        on = spec.var("on", Process, init=lambda p: False)

        def go(*, spec: Spec = spec, on: Any = on, how: str = how) -> None:
            if how == "int":

                @spec.action
                def take(n: Int) -> None:
                    require("some", n > 0)

            elif how == "order":

                @spec.action(f=function(Process))
                def flood(f: Any) -> None:
                    require("shared", forall(Process, Process, lambda p, q: f(p) == f(q)))
                    on.becomes(lambda p: f(p))

            else:

                @spec.action(f=function(Process, to=Process))
                def move(p: Process, f: Any) -> None:
                    on[f(f(p))] = True

        @spec.refuted("m.still")
        def still(on: Any = on) -> Bool:
            return forall(Process, lambda p: on(p) | ~on.next(p))

        why = "is any of all integers" if how == "int" else "reads `f` at several points, which depend on each other"
        place = r"test_refuted\.py:\d+: what must be refuted of a step"
        with pytest.raises(SpecError, match=rf"{place} .*{why}; say it of states"):
            go()
        assert not spec.actions


def seats(*, kept: bool) -> Spec:
    """Everybody is shown to a seat at once; ``kept``: nobody to another one who has a seat that is still whole."""
    spec = Spec("seats")
    least = spec.const("least", to=Seat)
    at = spec.var("at", Process, to=Seat, init=lambda p: least())
    broken = spec.var("broken", Seat, init=lambda s: False)

    @spec.action(to=function(Process, to=Seat))
    def usher(p: Process, to: Any) -> None:
        require("whole", forall(Process, lambda q: ~broken(to(q))))
        if kept:
            require("kept", forall(Process, lambda q: broken(at(q)) | (to(q) == at(q))))
        at.becomes(lambda q: to(q))

    @spec.action
    def breaks(s: Seat) -> None:
        broken[s] = True

    @spec.refuted("seats.stays")
    def stays() -> Bool:
        "Nobody moves."
        return forall(Process, lambda p: at.next(p) == at(p))

    @spec.refuted("seats.forced")
    def forced() -> Bool:
        "Nobody moves from a seat that is whole."
        return forall(Process, lambda p: broken(at(p)) | (at.next(p) == at(p)))

    @spec.refuted("seats.together")
    def together() -> Bool:
        "Who sat together still does."
        return forall(Process, Process, lambda p, q: implies(at(p) == at(q), at.next(p) == at.next(q)))

    @spec.refuted("seats.onto-broken")
    def onto_broken() -> Bool:
        "Nobody is shown to a seat that is broken."
        return forall(Process, lambda p: implies(broken(at.next(p)), at.next(p) == at(p)))

    return spec


@pytest.mark.parametrize("kept", [False, True])
def test_a_step_with_a_function_for_argument_refutes_what_one_of_all_functions_does(kept: bool) -> None:
    spec = seats(kept=kept)
    instance, initial = small_instance(spec, {Process: 2, Seat: 3})
    found = with_refuting_runs(explore(instance, initial), initial)
    never = {"seats.onto-broken", *(["seats.forced"] if kept else [])}
    assert {v.property for v in found.verdicts if v.status is Status.FAILED} == never
    for verdict in found.verdicts:
        if (run := verdict.trace) is not None:
            claim = spec.properties[verdict.property].refutes
            assert instance.enabled(run.states[-2], run.steps[-1]) and claim is not None
            assert not evaluate(claim, instance, run.states[-2], {}, run.states[-1])
    assert sum(v.trace is not None for v in found.verdicts) == 4 - len(never)
    for id in ("seats.stays", "seats.forced", "seats.together", "seats.onto-broken"):
        nowhere = spec.without()
        nowhere.invariant("seats.nowhere")(lambda id=id: ~spec.properties[id].formula)
        (verdict,) = prove(nowhere, jobs=0)
        assert (verdict.status is Status.PROVED) == (id in never), "for any number of seats"


def _is_asked(claim: Bool, action: Action) -> bool:
    """Whether a formula says for some arguments of an action that the claim is false."""
    try:
        refutation(claim, [action], "here")
    except SpecError as error:
        assert "say it of states" in str(error)
        return False
    return True


@given(random_specs.cases())
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
def test_the_states_that_refute_a_step_are_those_that_take_one_of_which_it_is_false(case: Any) -> None:
    instance, spec = case.instance, case.spec
    claim = spec.properties["random.step"].formula
    assume(reads_next(claim))
    actions = [a for a in spec.actions.values() if _is_asked(claim, a)]
    some = False
    for step in random_specs.all_steps(instance):
        if spec.actions[step.action] in actions and instance.enabled(case.before, step):
            after = list(case.before)
            instance.perform(after, step)
            some = some or not evaluate(claim, instance, case.before, {}, after)
    formula = refutation(claim, actions, "here")
    assert bool(evaluate(formula, instance, case.before, {})) == some
    assert bool(instance.formula(formula, "refuted", grounded=True)(case.before)) == some


GUARDS: dict[str, Any] = {
    "none": lambda on, c, f, p: on(p) | ~on(p),
    "each": lambda on, c, f, p: forall(Process, lambda x: on(x) | ~f(x)),
    "given": lambda on, c, f, p: f(p) & (on(c()) | ~f(c())),
    "some": lambda on, c, f, p: exists(Process, lambda x: f(x) & on(x)),
    "all and one": lambda on, c, f, p: forall(Process, lambda x: f(x) != on(x)) & ~f(p),
    "not all": lambda on, c, f, p: ~forall(Process, lambda x: implies(on(x), f(x))),
}
UPDATES: dict[str, Any] = {
    "whole": lambda on, c, f, p: on.becomes(lambda x: f(x)),
    "of one": lambda on, c, f, p: on.becomes(lambda x: f(x) & ~f(p)),
    "point": lambda on, c, f, p: on.__setitem__(p, f(c())),
    "points": lambda on, c, f, p: (on.__setitem__(c(), f(p)), on.__setitem__(p, ~f(c()))),
    "both": lambda on, c, f, p: (on.becomes(lambda x: ~f(x)), on.__setitem__(p, f(p))),
}
CLAIMS: dict[str, Any] = {
    "stays": lambda on: forall(Process, lambda x: implies(on(x), on.next(x))),
    "one": lambda on: exists(Process, lambda x: on.next(x)),
    "as one": lambda on: forall(Process, Process, lambda x, y: implies(on.next(x), on.next(y))),
}


def flooding(guard: Any, update: Any, claim: Any) -> Spec:
    spec = Spec("m")
    on, c = spec.var("on", Process, init=lambda p: False), spec.const("c", to=Process)

    @spec.action(f=function(Process))
    def go(p: Process, f: Any) -> None:
        require("guard", guard(on, c, f, p))
        update(on, c, f, p)

    spec.step_property("m.claim")(lambda: claim(on))
    return spec


def test_a_formula_for_a_function_is_what_a_step_with_one_of_all_functions_shows() -> None:
    """Points that coincide, of a parameter and a constant; updates of a point after one of all, and of two points."""
    asked = refused = 0
    for guard, update, claim in itertools.product(GUARDS.values(), UPDATES.values(), CLAIMS.values()):
        spec = flooding(guard, update, claim)
        said = spec.properties["m.claim"].formula
        if not _is_asked(said, spec.actions["go"]):
            refused += 1
            continue
        asked += 1
        formula = refutation(said, spec.actions.values(), "here")
        instance = Instance(spec, {Process: 2}, {"c": [1]})
        steps = list(random_specs.all_steps(instance))
        for cells in itertools.product((0, 1), repeat=2):
            before, shown = instance.freeze(cells), False
            for step in (s for s in steps if instance.enabled(before, s)):
                after = list(cells)
                instance.perform(after, step)
                shown = shown or not evaluate(said, instance, before, {}, after)
            assert bool(evaluate(formula, instance, before, {})) == shown
    assert (asked, refused) == (78, 12), "refused: nobody is on after what is read at each point and at a given one"


def test_names_of_parameters_and_variables_are_no_symbols_of_the_spec() -> None:
    """A function that is named as a variable, an element as another, and quantifiers as either."""
    spec = Spec("names")
    lit, up = (spec.var(name, Process, init=lambda p: False) for name in ("lit", "up"))

    def go(lit: Any, x0: Any, up: Any) -> None:
        on, raised = spec.variables["lit"], spec.variables["up"]
        require("kept", forall(Process, lambda x0: up(x0) | ~on(x0)))
        require("two", lit != x0)
        on.becomes(lambda x: up(x))
        raised[lit] = up(lit)
        raised[x0] = ~up(lit)

    go.__annotations__ = {"lit": Process, "x0": Process}
    spec.action(up=function(Process))(go)
    spec.refuted("names.kept")(lambda: forall(Process, lambda x0: implies(lit(x0), lit.next(x0))))
    spec.refuted("names.raised")(
        lambda: forall(Process, Process, lambda lit_, up_: implies(lit.next(lit_), up.next(lit_) | ~up.next(up_)))
    )
    spec.step_property("names.stays")(lambda: forall(Process, lambda up_: implies(lit(up_), lit.next(up_))))
    spec.invariant("names.can")(
        lambda: forall(Process, Process, lambda x0, up_: implies(x0 != up_, spec.enabled("go", up_, x0)))
    )
    instance, initial = small_instance(spec, {Process: 3})
    told = {v.property: v.status for v in explore(instance, initial).verdicts}
    assert told.pop("names.kept") is Status.FAILED, "no step refutes it"
    assert set(told.values()) == {Status.CHECKED} and len(told) == 3
    assert {v.property: v.status for v in prove(spec, jobs=0)} == dict.fromkeys(
        ("names.can", "names.stays"), Status.PROVED
    )


def test_a_function_that_is_read_at_many_points_is_refused() -> None:
    spec = Spec("many")
    places = [spec.const(f"c{i}", to=Process) for i in range(7)]
    on = spec.var("on", Process, init=lambda p: False)
    spec.refuted("many.still")(lambda: forall(Process, lambda p: on.next(p) == on(p)))

    def go(f: Any) -> None:
        for i, place in enumerate(places):
            require(f"at-{i}", f(place()))

    with pytest.raises(SpecError, match="`f` is read at 7 points, at most 6; say it of states"):
        spec.action(f=function(Process))(go)
