"""Expected counterexamples: what a spec says must be false somewhere, of a state or of a step."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import small_instance
from mtpo.proofs.exploration.refuted import refuting_reasons, with_refuting_runs
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import evaluate
from mtpo.spec.language import Bool, Int, Sort, Spec, SpecError, exists, forall, function, implies, require
from mtpo.spec.substitution import reads_next, refutation
from mtpo.spec.terms import Term

_described = importlib.util.spec_from_file_location("random_specs", Path(__file__).with_name("random_specs.py"))
assert _described is not None and _described.loader is not None
random_specs: Any = importlib.util.module_from_spec(_described)
_described.loader.exec_module(random_specs)


class Process(Sort):
    "a process"


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
    for how in ("function", "int"):
        spec = Spec("m")
        on = spec.var("on", Process, init=lambda p: False)

        def go(*, spec: Spec = spec, on: Any = on, how: str = how) -> None:
            if how == "int":

                @spec.action
                def take(n: Int) -> None:
                    require("some", n > 0)

            else:

                @spec.action(f=function(Process))
                def flood(f: Any) -> None:
                    on.becomes(lambda p: f(p))

        @spec.refuted("m.still")
        def still(on: Any = on) -> Bool:
            return forall(Process, lambda p: on(p) | ~on.next(p))

        with pytest.raises(SpecError, match=r"test_refuted\.py:\d+: what must be refuted of a step .*say it of states"):
            go()
        assert not spec.actions


@given(random_specs.cases())
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
def test_the_states_that_refute_a_step_are_those_that_take_one_of_which_it_is_false(case: Any) -> None:
    instance, spec = case.instance, case.spec
    claim = spec.properties["random.step"].formula
    assume(reads_next(claim))
    actions = [a for a in spec.actions.values() if all(isinstance(p, Term) for p in a.params)]
    some = False
    for step in random_specs.all_steps(instance):
        if spec.actions[step.action] in actions and instance.enabled(case.before, step):
            after = list(case.before)
            instance.perform(after, step)
            some = some or not evaluate(claim, instance, case.before, {}, after)
    formula = refutation(claim, actions, "here")
    assert bool(evaluate(formula, instance, case.before, {})) == some
    assert bool(instance.formula(formula, "refuted", grounded=True)(case.before)) == some
