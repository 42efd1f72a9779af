"""Policies by name; what can't be loaded is told in one line."""

from __future__ import annotations

import pytest

from mtpo.schedulers.load import PolicyError, load_policy
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.types import StepDecision

MODULE = """
from mtpo.schedulers.types import StepDecision

class Nothing:
    def decide(self, observation):
        return StepDecision(())

class Fussy:
    def __init__(self):
        raise RuntimeError("two\\nlines")

class Mute: ...

number = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_policy_under_test.py").write_text(MODULE)
    (tmp_path / "broken_policy_under_test.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "own_policy_under_test"


def test_named_policies():
    assert load_policy("sarathi") == Sarathi(512)
    assert load_policy("sarathi:64") == Sarathi(64)


def test_a_users_class(own):
    policy = load_policy(f"{own}:Nothing")
    assert type(policy).__module__ == own and policy.decide(None) == StepDecision(())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sarathi:0", "whole number from 1"),
        ("sarathi:many", "whole number from 1"),
        ("orca", "known: sarathi"),
        (":X", "known: sarathi"),
        ("", "known: sarathi"),
        ("no.such.module:X", "can't be imported"),
        ("broken_policy_under_test:X", "ZeroDivisionError"),
        ("own_policy_under_test:Absent", "no class Absent"),
        ("own_policy_under_test:number", "no class number"),
        ("own_policy_under_test:Fussy", "failed"),
        ("own_policy_under_test:Mute", "no method decide"),
    ],
)
def test_what_cannot_be_loaded(own, name, said):
    with pytest.raises(PolicyError, match=said) as error:
        load_policy(name)
    assert "\n" not in str(error.value)
