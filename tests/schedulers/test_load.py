"""Policies by name; what can't be loaded is told in one line."""

from __future__ import annotations

import pytest

from mtpo.schedulers.admission.caps import NoLimit
from mtpo.schedulers.admission.concur import Concur
from mtpo.schedulers.load import NAMED, PolicyError, load_policy, split_policies
from mtpo.schedulers.placement.conserve import Ampd, ConServe
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.step.vllm_v1 import VllmV1
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
    assert load_policy("vllm_v1:budget=none,long_prefill=8") == VllmV1(None, 8)
    assert load_policy("fairbatching:reanchor=yes,cap=0.2").objectives.reanchor
    assert load_policy("none", "admission") == NoLimit()
    assert load_policy("concur:alpha=2,beta=0.25,youngest_first=yes", "admission") == Concur(
        beta=0.25, youngest_first=True
    )
    assert load_policy("ampd:error=0.2,seed=3", "placement") == Ampd(0.2, 3)
    assert load_policy("conserve:poll=0.05", "placement") == ConServe(poll=0.05)
    assert load_policy("pab:full=shed", "placement").full == "shed"


@pytest.mark.parametrize("layer", NAMED)
def test_every_named_policy_loads_by_its_name_alone_or_says_what_it_needs(layer):
    for name in NAMED[layer]:
        try:
            assert callable(load_policy(name, layer).decide)
        except PolicyError as error:
            assert f"it needs cap, as in {name}:cap=8" in str(error)
            assert callable(load_policy(f"{name}:8", layer).decide)


def test_a_list_of_policies_with_arguments():
    assert split_policies("sarathi:512, fairbatching:cap=0.1,reanchor=yes,vllm_v1,own.module:Class") == [
        "sarathi:512",
        "fairbatching:cap=0.1,reanchor=yes",
        "vllm_v1",
        "own.module:Class",
    ]


def test_a_users_class(own):
    policy = load_policy(f"{own}:Nothing")
    assert type(policy).__module__ == own and policy.decide(None) == StepDecision(())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sarathi:0", "'budget' must be >= 1"),
        ("sarathi:many", "budget must be a whole number, got 'many'"),
        ("sarathi:1,2", "takes no argument '2'; it takes budget"),
        ("sarathi:size=2", "no parameter 'size'; it takes budget"),
        ("sarathi:budget=2,budget=3", "given twice"),
        ("fairbatching:cap=nan", "must be a number"),
        ("fairbatching:cap=-1", "'cap' must be > 0"),
        ("fairbatching:b=0", "must be positive"),
        ("fairbatching:reanchor=maybe", "must be yes or no"),
        ("orca", "known: prefill_first, vllm_v1, sarathi, fairbatching, bounded_gap, or module:Class"),
        ("concur", "concur is a policy of the layer admission"),
        (":X", "known: prefill_first"),
        ("", "known: prefill_first"),
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


@pytest.mark.parametrize(
    ("name", "layer", "said"),
    [
        ("concur:low=0.6", "admission", "low must be below high"),
        ("concur:least=4,most=2", "admission", "most must not be below least"),
        ("agent_cap:0", "admission", "'cap' must be >= 1"),
        ("agent_cap", "admission", "it needs cap"),
        ("none:1", "admission", "it takes none"),
        ("own_policy_under_test:Nothing", "admission", "has no interval"),
        ("pab:full=wait", "placement", "one of hold, shed, route"),
        ("ampd:error=2", "placement", "'error' must be <= 1"),
    ],
)
def test_what_cannot_be_loaded_in_the_other_layers(own, name, layer, said):
    with pytest.raises(PolicyError, match=said) as error:
        load_policy(name, layer)
    assert "\n" not in str(error.value)
