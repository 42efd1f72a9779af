"""Admission by footprint: proven for any number of agents and seats, explored at small sizes; and its mutants."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import every_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.listed import key_of
from mtpo.proofs.mutants.mutate import mutate
from mtpo.proofs.verdicts import Status
from mtpo.spec.footprint import EQUIVALENT, footprint


def test_every_property_is_inductive_for_any_number_of_agents_and_seats():
    verdicts = {v.property: v.status for v in prove(footprint)}
    assert verdicts.keys() >= {"footprint.never-stuck", "footprint.cut-in-time", "footprint.oldest-goes-on"}
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()


def test_every_action_is_taken_and_nothing_is_violated_with_two_of_each():
    seen = explore(*every_instance(footprint, dict.fromkeys(footprint.sorts, 2)))
    assert seen.complete
    assert set(seen.taken) == set(footprint.actions) and all(seen.taken.values())
    assert not [v for v in seen.verdicts if v.status is Status.FAILED]


@pytest.mark.slow
def test_every_mutant_is_caught_or_known_to_change_nothing():
    fates = mutate(footprint, equivalent=EQUIVALENT)
    assert {key_of(f.mutant) for f in fates if not f.killed_by} == set(EQUIVALENT)
