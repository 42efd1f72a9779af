"""Random walks: what they find, how it is shown, and that a seed says all of it."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest

from mtpo.proofs.exploration.instances import mtpo_instance, sizes_for
from mtpo.proofs.exploration.starts import NoStart, drawing, large_instance
from mtpo.proofs.exploration.walks import Sample, shortened, walk
from mtpo.proofs.mutants.ablate import without
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Bool, Sort, Spec, forall
from mtpo.spec.mtpo import mtpo
from mtpo_core.cli.specs import find_specs

TUTORIAL = Path(__file__).parents[3] / "spec" / "README.md"


@pytest.fixture(scope="module")
def mylock() -> Spec:
    """The lock of the tutorial, as it is in the end."""
    module = ModuleType("mylock")
    for text in re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(text, "mylock", "exec"), module.__dict__)
    found: Spec = module.mylock
    return found


def walked(spec: Spec, walks: int = 100, seed: int = 0, size: int = 12, **more: Any) -> Sample:
    instance, roots = large_instance(spec, dict.fromkeys(spec.sorts, size))
    return walk(instance, drawing(instance, roots), walks=walks, seed=seed, **more)


def plain(found: Sample) -> dict[str, Any]:
    """All but the seconds."""
    return {key: value for key, value in found.as_json().items() if key != "seconds"}


def test_what_is_not_violated_is_sampled_and_says_how_much_was_seen(mylock: Spec) -> None:
    found = walked(mylock)
    assert {v.property: (v.status, v.method) for v in found.verdicts} == {
        **{p.id: (Status.SAMPLED, "sampled") for p in mylock.role("invariant", "lemma", "step")},
        "mylock.relay": (Status.CHECKED, "reached"),
    }
    for v in found.verdicts:
        assert v.detail.items() >= {"sizes": {"Process": 12}, "walks": 100, "steps": 10_000, "seed": 0}.items()
    # nobody, one who waits or is inside, or one of each
    assert (found.depth, found.states, found.unreached) == (100, 1 + 2 * 12 + 12 * 11, ())


def test_a_planted_bug_is_found_in_a_large_instance_and_shown_as_short_as_it_is(mylock: Spec) -> None:
    found = walked(without(mylock, ["enter.free"]))
    (failed,) = (v for v in found.verdicts if v.status is Status.FAILED)
    assert (failed.property, failed.clause) == ("mylock.exclusion", "At most one process is inside.")
    assert failed.trace is not None
    assert [step.action for step in failed.trace.steps] == ["ask", "enter", "ask", "enter"]
    assert [p.id for p in failed.trace.instance.violated(failed.trace.states[-1])] == ["mylock.exclusion"]
    assert found.walks < 100


def test_a_step_property_is_violated_by_the_last_step(mylock: Spec) -> None:
    found = walked(without(mylock, ["enter.waiting:="]))
    failed = {v.property: v.trace for v in found.verdicts if v.status is Status.FAILED}
    trace = failed["mylock.asked-first"]
    assert trace is not None and [step.action for step in trace.steps] == ["ask", "enter"]


@pytest.mark.parametrize("dropped", ["", "enter.free"])
def test_the_same_seed_gives_the_same_verdict(mylock: Spec, dropped: str) -> None:
    spec = without(mylock, [dropped] if dropped else [])
    assert plain(walked(spec, seed=7)) == plain(walked(spec, seed=7))
    assert plain(walked(spec, seed=7)) != plain(walked(spec, seed=8))


def test_mtpo_is_walked_where_it_is_too_large_to_explore() -> None:
    instance, roots = mtpo_instance(3, 2, 2, faults=True)
    found = walk(instance, drawing(instance, roots), walks=60, seed=3)
    assert {v.status for v in found.verdicts} == {Status.SAMPLED, Status.CHECKED}
    assert found.steps > 600
    assert found.taken["call"] > 0
    broken = without(mtpo, ["commit.lower-committed"])
    instance, roots = mtpo_instance(3, 2, 2, spec=broken)
    found = walk(instance, drawing(instance, roots), walks=60, seed=3)
    (failed,) = (v for v in found.verdicts if v.status is Status.FAILED)
    assert failed.property == "mtpo.commit-in-rank-order"
    assert failed.trace is not None
    assert [step.action for step in failed.trace.steps] == ["launch", "launch", "finish", "commit"]


def test_the_initial_states_of_mtpo_that_are_drawn_are_those_that_are_explored() -> None:
    instance, roots = mtpo_instance(2, 1, 1)
    random, draw, listed = Random(0), drawing(instance, roots), set(roots)
    assert {draw(random) for _ in range(2_000)} == listed


def test_every_built_in_spec_can_be_walked() -> None:
    for spec in find_specs(None):
        if spec.name == "mtpo":
            continue
        # serial begins where runs of mtpo have come to rest, which are explored: it can't be large
        sizes = sizes_for(spec) if spec.name == "serial" else dict.fromkeys(spec.sorts, 4)
        instance, roots = large_instance(spec, sizes)
        found = walk(instance, drawing(instance, roots), walks=3, depth=10)
        assert Status.FAILED not in {v.status for v in found.verdicts}, spec.name
        assert found.steps > 0, spec.name


def test_a_first_state_that_violates_something_is_a_run_without_steps() -> None:
    spec = Spec("bad")
    on = spec.var("on", init=lambda: True)

    @spec.action
    def stay() -> None:
        on.becomes(on())

    @spec.invariant("bad.off")
    def off() -> Bool:
        "It is off."
        return ~on()

    (failed,) = walked(spec).verdicts
    assert failed.trace is not None and failed.trace.steps == ()
    assert shortened(failed.trace) == failed.trace


class Node(Sort):
    "a node"


def test_where_no_drawn_choice_of_constants_is_allowed_that_is_said() -> None:
    spec = Spec("rare")
    edge = spec.const("edge", Node, Node)
    on = spec.var("on", init=lambda: False)

    @spec.assume("rare.all")
    def all_of_them() -> Bool:
        "All are there."
        return forall(Node, Node, lambda a, b: edge(a, b))

    @spec.action
    def turn() -> None:
        on.becomes(~on())

    @spec.invariant("rare.true")
    def true() -> Bool:
        "It is on or off."
        return on() | ~on()

    with pytest.raises(NoStart, match="of 10,000 choices of constants that were drawn the assumptions allow none"):
        walked(spec, size=5)
    assert walked(spec, size=1).steps > 0


def test_a_run_is_shortened_as_long_as_it_fails(mylock: Spec) -> None:
    spec = without(mylock, ["enter.free"])
    instance = Instance(spec, dict.fromkeys(spec.sorts, 3))
    found = walk(instance, lambda random: instance.freeze(instance.initial()), walks=50, seed=1)
    trace = next(v.trace for v in found.verdicts if v.trace is not None)
    for number in range(len(trace.steps)):  # without any one of its steps it does not
        state = list(trace.states[0])
        for step in (*trace.steps[:number], *trace.steps[number + 1 :]):
            if instance.enabled(state, step):
                instance.perform(state, step)
        assert not instance.violated(state)
