"""Every rule of the protocol that the core implements has a planted bug, and each is caught."""

from __future__ import annotations

import pytest

from mtpo.proofs.refinement.planted import BREAKS, BUGS, FAULTY, WITHOUT_BUG
from mtpo.proofs.refinement.refined import caught_by
from mtpo.spec.rules import RULES
from mtpo_core.machine import Machine

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


@pytest.mark.parametrize("bug", [*BUGS, *FAULTY], ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug: type[Machine]) -> None:
    found = caught_by(bug)
    assert found is not None, f"nothing catches: {bug.__doc__}"
    assert found.property in (BUGS.get(bug) or FAULTY[bug]), str(found)
    assert found.trace
