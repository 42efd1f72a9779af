"""ConServe: proven for any number of conversations and decoders, explored at a small size, and read by example."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import every_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.listed import key_of
from mtpo.proofs.mutants.mutate import mutate
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.conserve import EQUIVALENT, Conversation, Decoder, Slot, conserve

PROVEN = {
    "conserve.one-transfer",
    "conserve.bound-until-the-end",
    "conserve.turns-at-home",
    "conserve.no-overcommitment",
    "conserve.oracle-suffices",
    "conserve.grows-by-observation-only",
    "conserve.used-is-held-by-the-bound",
    "conserve.reserved-when-chosen",
    "conserve.oracle-reserves-once",
    "conserve.over-when-full",
    "conserve.moved-before-decoded",
    "conserve.first-come-first-served",
    "conserve.one-line",
    "conserve.only-what-was-there",
    "conserve.room-comes-back",
    "conserve.every-stage-passes",
}


def test_every_property_is_inductive_for_any_number_of_conversations_decoders_and_slots():
    verdicts = {v.property: v.status for v in prove(conserve)}
    assert verdicts.keys() >= PROVEN
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()


def test_every_action_is_taken_and_nothing_is_violated_at_a_small_size():
    seen = explore(*every_instance(conserve, {Conversation: 2, Decoder: 2, Slot: 2}))
    assert seen.complete
    assert set(seen.taken) == set(conserve.actions) and all(seen.taken.values())
    assert not [v for v in seen.verdicts if v.status is Status.FAILED]


def story(*steps, oracle=False):
    """The state after steps that are all allowed, on two decoders of one slot each."""
    constants = {"home": lambda slot: slot, "oracle": lambda: oracle, "nowhere": lambda: 0}
    instance = Instance(conserve, {Conversation: 2, Decoder: 2, Slot: 2}, constants)
    state = instance.initial()
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not instance.refused(state, step), step
        instance.perform(state, step)
        assert not instance.violated(state)
    return instance, state


FIRST, SECOND = (True, False), (False, True)
LINE = (("arrive", 0), ("arrive", 1), ("prefill", 1), ("prefill", 0))
PLACED = (("arrive", 0), ("prefill", 0), ("bind", 0, 0, FIRST))
MOVED = (*PLACED, ("transfer", 0))
RUNS = (*MOVED, ("begin", 0, 0))


@pytest.mark.parametrize(
    ("steps", "refused", "clause"),
    [
        (LINE, ("bind", 0, 0, FIRST), "conserve.bind.first-in-line"),
        (LINE, ("bind", 1, 0, SECOND), "conserve.bind.there"),
        (LINE, ("bind", 1, 0, (False, False)), "conserve.bind.some"),
        ((*LINE, ("bind", 1, 0, FIRST)), ("bind", 0, 0, FIRST), "conserve.bind.free"),
        ((*LINE, ("crash", 1)), ("bind", 1, 1, SECOND), "conserve.bind.up"),
        (PLACED, ("begin", 0, 0), "conserve.begin.moved"),
        (MOVED, ("transfer", 0), "conserve.transfer.once"),
        (MOVED, ("begin", 0, 1), "conserve.begin.there"),
        (MOVED, ("finish", 0), "conserve.finish.served"),
        (RUNS, ("finish", 0), "conserve.finish.idle"),
        (RUNS, ("grow", 0, 1), "conserve.grow.there"),
        (RUNS, ("grow", 0, 0), "conserve.grow.free"),
    ],
)
def test_what_is_refused_and_by_which_clause(steps, refused, clause):
    instance, state = story(*steps)
    action, *args = refused
    assert clause in [c.id for c in instance.refused(state, Step(action, tuple(args)))]


def test_an_oracle_neither_grows_nor_lacks_room():
    instance, state = story(*RUNS, oracle=True)
    for action, *args in (("grow", 0, 0), ("overflow", 0)):
        refused = [c.id for c in instance.refused(state, Step(action, tuple(args)))]
        assert f"conserve.{action}.observed" in refused
    story(*RUNS, ("overflow", 0), ("end", 0, 0), ("begin", 0, 0))


def test_a_crash_is_the_one_way_to_a_second_transfer():
    again = (("prefill", 0), ("bind", 0, 1, SECOND), ("transfer", 0))
    instance, state = story(*RUNS, ("crash", 0), *again)
    assert instance.value(state, "twice", 0) and instance.value(state, "lost", 0)
    assert instance.value(state, "at", 0) == 1


@pytest.mark.slow
def test_every_mutant_is_caught_or_known_to_change_nothing():
    fates = mutate(conserve, equivalent=EQUIVALENT)
    assert {key_of(f.mutant) for f in fates if not f.killed_by} == set(EQUIVALENT)
