"""What an exploration exercised, against what is known of small specs, and against every state looked at plainly."""

from __future__ import annotations

import itertools

import pytest

from mtpo.proofs.exploration.coverage import coverage, ids_of
from mtpo.proofs.exploration.instances import every_instance, fair_instance, mtpo_instance, small_instance
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, Step, evaluate
from mtpo.spec.concur import concur
from mtpo.spec.conserve import conserve
from mtpo.spec.fairbatching import EQUIVALENT
from mtpo.spec.language import Sort, Spec, conjuncts, require


class Lamp(Sort):
    "a lamp"


def lamps(*, dead: bool = False) -> Spec:
    spec = Spec("lamps")
    on = spec.var("on", Lamp, init=lambda x: False)
    broken = spec.var("broken", Lamp, init=lambda x: False)

    @spec.action
    def switch(x: Lamp) -> None:
        "It goes on."
        require("off", ~on(x))
        require("whole", ~broken(x))
        on[x] = True
        broken[x] = broken(x)

    if dead:

        @spec.action
        def mend(x: Lamp) -> None:
            "Nothing is ever broken."
            require("broken", broken(x))
            broken[x] = False

    return spec


def look(spec: Spec, **more):
    return coverage(*every_instance(spec, {Lamp: 2}), **more)


def test_what_is_never_exercised_is_named() -> None:
    found = look(lamps(dead=True))
    assert found.status is Status.FAILED and found.complete and found.states == 4
    assert found.missing == (
        "lamps.switch.whole false",
        "lamps.switch.broken:= change",
        "lamps.mend taken",
        "lamps.mend.broken true",
        "lamps.mend.broken:= change",
    )
    lines = {line.id: line for line in found.lines}
    assert lines["lamps.switch"].count == 4
    assert (lines["lamps.switch.off"].decisive, lines["lamps.switch.whole"].decisive) == (True, False)
    assert set(found.missing) <= ids_of(lamps(dead=True))


def test_what_is_listed_as_unreachable_is_no_failure_unless_it_is_reached() -> None:
    listed = {"lamps.switch.whole false": "nothing breaks", "lamps.switch.broken:= change": "it stays as it is"}
    found = look(lamps(), unreachable=listed)
    assert (found.status, found.missing, found.mislisted) == (Status.CHECKED, (), ())
    found = look(lamps(), unreachable={**listed, "lamps.switch.off false": "wrong"})
    assert (found.status, found.mislisted) == (Status.FAILED, ("lamps.switch.off false",))
    assert found.as_json()["mislisted"] == ["lamps.switch.off false"]


def test_what_was_not_seen_before_the_limit_is_unknown() -> None:
    found = look(lamps(), limit=1)
    assert found.status is Status.UNKNOWN and not found.complete


def plainly(instance: Instance, initial) -> set[str]:
    """What is exercised, by walking every formula in every state for every choice of arguments."""
    spec, steps = instance.spec, instance.ground()
    known, todo, seen = set(initial), list(initial), set()
    while todo:
        state = todo.pop()
        for number, after in steps[1](state):
            step = steps[0][number]
            seen.add(f"{spec.name}.{step.action} taken")
            for update in spec.actions[step.action].updates:
                alone = spec.actions[step.action]
                only = type(alone)(alone.name, alone.doc, alone.params, alone.guard, (update,), alone.at)
                cells = list(state)
                changed = Instance(
                    spec.without(actions={alone.name: only}), instance.sizes, instance.constants, instance.open
                )
                changed.perform(cells, Step(step.action, step.args))
                if tuple(cells) != tuple(state):
                    seen.add(f"{spec.name}.{step.action}.{update.variable.name}:= change")
            if after not in known:
                known.add(after)
                todo.append(after)
        for action in spec.actions.values():
            domains = [range(instance.size(p.sort)) for p in action.elements]
            for args in itertools.product(*domains):
                env = dict(zip(action.params, args, strict=True))
                for clause in action.guard:
                    parts = conjuncts(clause.formula)
                    for k, part in enumerate(parts):
                        id = clause.id if len(parts) == 1 else f"{clause.id}/{k}"
                        seen.add(f"{id} {'true' if evaluate(part, instance, state, env) else 'false'}")
    return seen


@pytest.mark.parametrize("spec", [lamps(), lamps(dead=True)])
def test_it_is_what_plain_evaluation_sees(spec: Spec) -> None:
    instance, initial = every_instance(spec, {Lamp: 2})
    found = coverage(instance, initial)
    assert {f"{line.id} {value}" for line in found.lines for value in line.seen} == plainly(instance, initial)


def test_every_clause_of_the_small_specs_is_exercised() -> None:
    found = coverage(*small_instance(conserve, dict.fromkeys(conserve.sorts, 2)))
    assert (found.status, found.missing) == (Status.CHECKED, ())
    found = coverage(*fair_instance(3))
    assert (found.status, found.missing) == (Status.CHECKED, ())
    idle = {line.id for line in found.lines if line.decisive is False}
    only_in_proofs = {"fair.take_urgent.stage"}  # caught in a state that no run reaches
    listed = {key.partition("@")[0] for key in EQUIVALENT}
    assert idle <= listed | only_in_proofs, "never forbids anything alone, and its mutant is caught"


@pytest.mark.slow
def test_two_agents_are_too_few_for_concur() -> None:
    """When one of two leaves, one stays: nobody to share a seat with, and nobody who waited before."""
    found = coverage(*every_instance(concur, dict.fromkeys(concur.sorts, 2)))
    assert found.missing == (
        "concur.pause.own-seats false",
        "concur.pause.before:= change",
        "concur.finish.own-seats false",
    )


OF_FEW_CALLS = {
    "mtpo.call.locks-only false",
    *("mtpo.undone.source:= change", "mtpo.redone.source:= change", "mtpo.redone.ascending false"),
}
"""What takes two calls to redo, a call in between, or an object that nobody touches."""


def test_what_two_agents_with_one_call_each_never_exercise_of_the_protocol() -> None:
    found = coverage(*mtpo_instance(2, 1, 1))
    assert (found.states, found.complete, found.status) == (11_416, True, Status.FAILED)
    of_faults = {
        "mtpo.commit.retracted false",
        *("mtpo.call.ours/0 false", "mtpo.call.ours/1 false", "mtpo.undone.ours false", "mtpo.redone.ours false"),
        *("mtpo.applied.ours false", "mtpo.applied.its-turn/2 false", "mtpo.failed.its-turn/2 false"),
        *("mtpo.redone.author-there false", "mtpo.settle.retracting:= change"),
        *("mtpo.cancelled.sighted:= change", "mtpo.stranded.sighted:= change"),
    }
    assert set(found.missing) == of_faults | OF_FEW_CALLS


@pytest.mark.slow
def test_with_faults_they_exercise_all_but_what_takes_more_calls() -> None:
    found = coverage(*mtpo_instance(2, 1, 1, faults=True))
    assert set(found.missing) == OF_FEW_CALLS | {"mtpo.retract.locks-only false"}
