"""Placement through the loss of workers: proven for any number of conversations and decoders, explored; its mutants."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import every_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.listed import key_of
from mtpo.proofs.mutants.mutate import mutants, mutate, try_mutant
from mtpo.proofs.verdicts import Status
from mtpo.spec.failover import EQUIVALENT, failover

SIZES = dict.fromkeys(failover.sorts, 2)


def test_every_property_is_inductive_for_any_number_of_conversations_and_decoders():
    verdicts = {v.property: v.status for v in prove(failover)}
    assert verdicts.keys() >= {"failover.none-lost", "failover.none-twice", "failover.first-come-first-served"}
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()


def test_every_action_is_taken_and_nothing_is_violated_with_two_of_each():
    seen = explore(*every_instance(failover, SIZES))
    assert seen.complete
    assert set(seen.taken) == set(failover.actions) and all(seen.taken.values())
    assert not [v for v in seen.verdicts if v.status is Status.FAILED]


@pytest.mark.parametrize(
    ("id", "property"),
    [
        # A small one barges past a large one that waits for room.
        ("failover.bind.first-in-line", "failover.first-come-first-served"),
        ("failover.bind_local.nobody-passed", "failover.first-come-first-served"),
        # A lost cache that still counts: the conversation would be placed with nothing.
        ("failover.crash.prefilled:=", "failover.none-lost"),
        ("failover.crash.bound:=", "failover.none-lost"),
        ("failover.crash.holds:=", "failover.none-twice"),
    ],
)
def test_which_property_a_rule_is_for(id, property):
    (mutant,) = (m for m in mutants(failover) if m.id == id)
    assert property in try_mutant(mutant, SIZES).killed_by


@pytest.mark.slow
def test_every_mutant_is_caught_or_known_to_change_nothing():
    fates = mutate(failover, equivalent=EQUIVALENT)
    assert {key_of(f.mutant) for f in fates if not f.killed_by} == set(EQUIVALENT)
