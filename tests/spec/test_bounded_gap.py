"""Batches of a bounded gap: proven for any number of requests and any times, explored at small sizes; its mutants."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import GAP_TIMES, gap_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.listed import key_of
from mtpo.proofs.mutants.mutate import mutants, mutate, try_mutant
from mtpo.proofs.verdicts import Status
from mtpo.spec.bounded_gap import EQUIVALENT, Request, gap


def test_every_property_is_inductive_for_any_number_of_requests_and_any_times():
    verdicts = {v.property: v.status for v in prove(gap)}
    assert verdicts.keys() >= {"gap.bounded", "gap.next-step", "gap.within-bound", "gap.reserved", "gap.round-ends"}
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()


def test_every_action_is_taken_and_nothing_is_violated_at_a_small_size():
    instance, roots = gap_instance(3)
    seen = explore(instance, roots)
    assert seen.complete and len(list(roots)) == len(GAP_TIMES)
    assert set(seen.taken) == set(gap.actions) and all(seen.taken.values())
    assert not [v for v in seen.verdicts if v.status is Status.FAILED]


@pytest.mark.parametrize(
    ("id", "property"),
    [
        # Without the reserve everybody fits at first, and a later step is longer than the bound.
        ("gap.admit.reserved", "gap.reserved"),
        # Who leaves gives back all of it, and nothing else.
        ("gap.leave.at:=", "gap.reserved"),
        ("gap.extend.fits", "gap.within-bound"),
        ("gap.turn_to_chunks.all", "gap.all-get-on"),
    ],
)
def test_which_property_a_rule_is_for(id, property):
    (mutant,) = (m for m in mutants(gap) if m.id == id)
    assert property in try_mutant(mutant, {Request: 3}).killed_by


@pytest.mark.slow
def test_every_mutant_is_caught_or_known_to_change_nothing():
    fates = mutate(gap, equivalent=EQUIVALENT)
    assert {key_of(f.mutant) for f in fates if not f.killed_by} == set(EQUIVALENT)
