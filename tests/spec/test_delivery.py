"""Delivery: proven for any number of notifications, explored at a small size, overtaking shown by a run."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import every_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.mutate import mutants
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.delivery import Inference, Note, Premise, Value, delivery

PROVEN = {
    "delivery.consumed-before-action",
    "delivery.stop-loses-nothing",
    "delivery.doomed-for-good",
    "delivery.stop-is-a-bounce",
    "delivery.no-needless-end",
    "delivery.told-newest",
    "delivery.told-by-the-note",
    "delivery.acts-on-the-newest",
    "delivery.every-change-is-told",
    "delivery.context-is-fixed",
    "delivery.nothing-is-unsent",
    "delivery.one-inference",
    "delivery.gets-through",
}
FREE = delivery.without(
    properties={name: p for name, p in delivery.properties.items() if name != "delivery.order-or-lookup"}
)
"""Notifications may overtake each other, and carry the values of when they were sent."""


def instance(spec=delivery, orderly=False, lookup=False, notes=2):
    """One premise, at first 0."""
    constants = {"about": lambda n: 0, "given": lambda p: 0, "orderly": lambda: orderly, "lookup": lambda: lookup}
    return Instance(spec, {Inference: 2, Premise: 1, Note: notes, Value: 2}, constants)


def story(instance, *steps):
    """The state after steps that are all allowed, and the properties that the last of them breaks."""
    state = instance.initial()
    broken = []
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not instance.refused(state, step), step
        before = instance.freeze(state)
        instance.perform(state, step)
        broken = [p.id for p in (*instance.violated(state), *instance.violated_step(before, instance.freeze(state)))]
    return state, broken


OVERTAKEN = (("change", 0, 1, 0), ("change", 0, 0, 1), ("arrive", 1), ("deliver", 1), ("arrive", 0), ("deliver", 0))


def test_every_property_is_inductive_for_any_number_of_notifications_and_inferences():
    verdicts = {v.property: v.status for v in prove(delivery)}
    assert verdicts.keys() >= PROVEN
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()


def test_every_action_is_taken_and_nothing_is_violated_at_a_small_size():
    seen = explore(*every_instance(delivery, {Inference: 2, Premise: 1, Note: 2, Value: 2}))
    assert seen.complete
    assert set(seen.taken) == set(delivery.actions) and all(seen.taken.values())
    assert not [v for v in seen.verdicts if v.status is Status.FAILED]


def test_values_carried_by_notifications_that_overtake_each_other_tell_an_old_one_last():
    failed = {v.property: v for v in prove(FREE) if v.status is Status.FAILED}
    assert "delivery.told-newest" in failed
    seen = [v for v in explore(instance(FREE)).verdicts if v.property == "delivery.told-newest"]
    assert [v.status for v in seen] == [Status.FAILED]
    at = instance(FREE)
    state, broken = story(at, *OVERTAKEN)
    assert "delivery.told-newest" in broken
    assert (at.value(state, "told", 0), at.value(state, "now", 0)) == (1, 0)
    _, broken = story(at, *OVERTAKEN, ("begin", 0), ("accept", 0))
    assert "delivery.acts-on-the-newest" in broken


def test_a_value_looked_up_when_it_is_told_is_the_newest_whoever_overtook_whom():
    at = instance(lookup=True)
    state, broken = story(at, *OVERTAKEN)
    assert not broken and at.value(state, "told", 0) == 0


def test_with_order_kept_nothing_overtakes_on_its_way_or_in_the_inbox():
    at = instance(orderly=True)
    state, _ = story(at, *OVERTAKEN[:2])
    assert [c.id for c in at.refused(state, Step("arrive", (1,)))] == ["delivery.arrive.in-order"]
    state, _ = story(at, *OVERTAKEN[:2], ("arrive", 0), ("arrive", 1))
    assert [c.id for c in at.refused(state, Step("deliver", (1,)))] == ["delivery.deliver.in-order"]


LATE = (("begin", 0), ("change", 0, 1, 0))


def test_an_inference_is_stopped_or_bounced_and_what_follows_is_the_same():
    at = instance(orderly=True)
    bounced, broken = story(at, *LATE, ("arrive", 0), ("bounce", 0))
    stopped, also = story(at, *LATE, ("arrive", 0), ("stop", 0))
    assert not broken and not also
    for name, symbol in delivery.variables.items():
        if name not in ("bounced", "stopped"):
            for cell in itertools.product(*(range(at.size(sort)) for sort in symbol.domain)):
                assert at.value(bounced, name, *cell) == at.value(stopped, name, *cell), name


def test_neither_is_needed_or_allowed_when_nothing_was_missed():
    at = instance(orderly=True)
    state, _ = story(at, ("begin", 0))
    assert [c.id for c in at.refused(state, Step("stop", (0,)))] == ["delivery.stop.notified"]
    assert [c.id for c in at.refused(state, Step("bounce", (0,)))] == ["delivery.bounce.unread"]
    state, _ = story(at, *LATE)
    assert [c.id for c in at.refused(state, Step("accept", (0,)))] == ["delivery.accept.nothing-unread"]


@pytest.mark.parametrize(
    ("id", "steps", "property"),
    [
        # What is consumed during an inference counts as read, and the inference never saw it.
        (
            "delivery.deliver.idle",
            (*LATE, ("arrive", 0), ("deliver", 0), ("accept", 0)),
            "delivery.consumed-before-action",
        ),
        # An engine that stops without a notification throws away a call that would have been accepted.
        ("delivery.stop.notified", (("begin", 0), ("stop", 0)), "delivery.stop-loses-nothing"),
    ],
)
def test_a_hole_in_the_design_shows_in_a_run(id, steps, property):
    spec = next(m.spec for m in mutants(delivery) if m.id == id)
    _, broken = story(instance(spec, orderly=True), *steps)
    assert property in broken
