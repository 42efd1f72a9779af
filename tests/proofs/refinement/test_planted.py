"""Every rule of the protocol that the core implements has a planted bug; that each is caught is in test_refinement."""

from __future__ import annotations

from mtpo.proofs.refinement.planted import BREAKS, BUGS, FAULTY, WITHOUT_BUG
from mtpo.spec.rules import RULES

OF_THE_PROTOCOL = {rule.id for rule in RULES if rule.id.startswith("mtpo:")}


def test_every_bug_breaks_a_rule_of_the_protocol() -> None:
    assert BREAKS.keys() == {*BUGS, *FAULTY}
    assert set(BREAKS.values()) <= OF_THE_PROTOCOL
    assert all(bug.__doc__ for bug in BREAKS)


def test_every_rule_has_a_bug_or_a_reason_why_it_has_none() -> None:
    planted = set(BREAKS.values())
    assert planted | WITHOUT_BUG.keys() == OF_THE_PROTOCOL
    assert not planted & WITHOUT_BUG.keys()


def test_what_catches_a_bug_is_what_the_core_is_compared_by() -> None:
    """A clause of the spec, or a check of the refinement itself."""
    caught = {id for ids in (*BUGS.values(), *FAULTY.values()) for id in ids}
    assert {id.partition(".")[0] for id in caught} == {"core", "mtpo"}
