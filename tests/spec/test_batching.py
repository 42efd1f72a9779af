"""Batches under a budget of tokens: proven for any number of requests and slots, explored at a small size; mutants."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import sizes_for, small_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.listed import key_of
from mtpo.proofs.mutants.mutate import mutants, mutate, try_mutant
from mtpo.proofs.verdicts import Status
from mtpo.spec.batching import EQUIVALENT, batching


def test_every_property_is_inductive_for_any_number_of_requests_tokens_and_slots():
    verdicts = {v.property: v.status for v in prove(batching)}
    assert verdicts.keys() >= {"batching.stall-free", "batching.running-first", "batching.one-kind"}
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()


def test_every_state_of_a_small_size():
    found = explore(*small_instance(batching, sizes_for(batching)))
    assert found.complete and set(found.taken) == set(batching.actions) and all(found.taken.values())
    assert {v.property for v in found.verdicts if v.status is not Status.CHECKED} == set()


@pytest.mark.parametrize(
    ("id", "property"),
    [
        ("prefill.decodes-before", "stall-free"),
        ("prefill.earlier-ones", "stall-free"),
        ("decode.earlier-ones", "decodes-in-order"),
        ("decode.within-budget", "within-budget"),
        ("decode.no-prompt", "prompts-first"),
        ("admit.running-before", "running-first"),
        ("admit.none-preempted", "admitted-in-order"),
        ("admit_whole.all-whole", "prompts-in-order"),
        ("preempt.no-room", "preempted-last"),
    ],
)
def test_which_property_a_rule_is_for(id, property):
    (mutant,) = (m for m in mutants(batching) if m.id == f"batching.{id}")
    assert f"batching.{property}" in try_mutant(mutant, dict.fromkeys(batching.sorts, 3)).killed_by


@pytest.mark.slow
def test_every_mutant_is_caught_or_known_to_change_nothing():
    fates = mutate(batching, equivalent=EQUIVALENT)
    assert {key_of(f.mutant) for f in fates if not f.killed_by} == set(EQUIVALENT)
