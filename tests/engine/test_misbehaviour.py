"""A policy that decides nonsense, a model that fails in the middle of a step, objectives that reach the policy."""

from __future__ import annotations

import attrs
import pytest

torch = pytest.importorskip("torch")

from mtpo.engine.engine import Engine  # noqa: E402
from mtpo.engine.errors import EngineError  # noqa: E402
from mtpo.schedulers.step.sarathi import Sarathi  # noqa: E402
from mtpo.schedulers.types import StepDecision, Work  # noqa: E402


@attrs.define
class Puppet:
    """Decides what it is told once (an exception: raises it), then as Sarathi would."""

    decisions: list = attrs.Factory(list)
    seen: list = attrs.Factory(list)

    def decide(self, observation):
        self.seen.append(observation)
        if not self.decisions:
            return Sarathi(64).decide(observation)
        decision = self.decisions.pop()
        if isinstance(decision, Exception):
            raise decision
        return decision


def finish(engine):
    found = {}
    while engine.busy:
        found |= {result.conversation: result.emitted for result in engine.step().ended}
    return found


BAD_DECISIONS = [
    (StepDecision((Work(7, 1),)), "scheduled request 7 which has no turn under way"),
    (StepDecision((Work(1, 1),)), "scheduled request 1 which has no turn under way"),
    (StepDecision((Work("a", 1),)), "scheduled request 'a' which has no turn under way"),
    (StepDecision((Work([], 1),)), r"scheduled request \[\] which has no turn under way"),
    (StepDecision((Work(False, 1),)), "scheduled request False which has no turn under way"),
    (StepDecision((Work(0, 2), Work(0, 2))), "scheduled request 0 twice"),
    (StepDecision((Work(0, 0),)), "gave request 0 0 tokens, it has 5 to compute"),
    (StepDecision((Work(0, 6),)), "gave request 0 6 tokens, it has 5 to compute"),
    (StepDecision((Work(0, 10**5000),)), "gave request 0 a value of type int tokens, it has 5 to compute"),
    (StepDecision((Work(0, 1.0),)), "gave request 0 1.0 tokens, it has 5 to compute, in whole numbers"),
    (StepDecision((Work(0, 1.5),)), "gave request 0 1.5 tokens"),
    (StepDecision((Work(0, True),)), "gave request 0 True tokens"),
    (StepDecision((), (0,)), "preempted request 0, which is not running"),
    (StepDecision((), (2, 2)), "preempted request 2 twice"),
    (StepDecision((Work(2, 1),), (2,)), "preempted request 2, which is scheduled too"),
    (StepDecision((), ([],)), r"preempted request \[\], which is not running"),
    (StepDecision(((0, 1),)), r"scheduled \(0, 1\), which is no Work"),
    (StepDecision(None), "decided work=None, which is no tuple"),
    (StepDecision((), 2), "decided preempt=2, which is no tuple"),
    (StepDecision(()), "scheduled nothing though 2 turns wait"),
    (None, "decided None, which is no StepDecision"),
    ([Work(0, 1)], r"decided \[Work.*\], which is no StepDecision"),
    (ZeroDivisionError("by\nzero"), "raised ZeroDivisionError: by zero"),
]


@pytest.mark.parametrize(("decision", "reason"), BAD_DECISIONS)
def test_a_decision_that_can_not_be_carried_out_changes_nothing(tiny, decision, reason):
    policy = Puppet()
    engine = Engine(tiny, policy, blocks=16, block_size=4)
    waits, _idle, runs = engine.open(), engine.open(), engine.open()
    engine.submit(runs, [6, 7, 8], max_new=4)
    engine.step()
    engine.submit(waits, [1, 2, 3, 4, 5], max_new=3)
    policy.decisions.append(decision)
    with pytest.raises(EngineError, match=f"^the policy Puppet {reason}.*; nothing was done$"):
        engine.step()
    assert engine.number == 1
    policy.decisions.append(decision)
    with pytest.raises(EngineError):
        engine.step()
    engine.policy = Sarathi(64)
    assert {id: len(tokens) for id, tokens in finish(engine).items()} == {waits: 3, runs: 4}


def whole_batch(observation):
    requests = (*observation.running, *observation.waiting)
    return StepDecision(tuple(Work(r.id, r.remaining) for r in requests))


def test_an_overbooked_cache_is_noticed_before_the_step(tiny):
    engine = Engine(tiny, blocks=5, block_size=4)
    engine.policy = type("Greedy", (), {"decide": staticmethod(whole_batch)})()
    for start in (1, 20, 40):
        engine.submit(engine.open(), list(range(start, start + 8)), max_new=2)
    with pytest.raises(EngineError, match="policy Greedy overbooked the KV cache: 6 more blocks are needed, 5 of 5"):
        engine.step()
    assert engine.number == 0 and len(engine.manager.free) == 5 and not engine.manager.tables
    engine.policy = Sarathi(64)
    assert {id: len(tokens) for id, tokens in finish(engine).items()} == {0: 2, 1: 2, 2: 2}


def test_a_full_cache_can_be_used_to_its_last_block(tiny):
    """Shared prefixes, what preempted requests give up, and what idle conversations hold count as room."""
    policy = Puppet()
    engine = Engine(tiny, policy, blocks=6, block_size=4)
    idle, first, second = engine.open(), engine.open(), engine.open()
    engine.submit(idle, list(range(8)), max_new=1)
    finish(engine)
    engine.submit(first, [*range(8), 9], max_new=2)
    engine.step()
    assert len(engine.manager.tables[first]) == 3
    engine.submit(second, [*range(8), *range(30, 44)], max_new=1)
    # 2 blocks are shared and stay, 1 is given up by the first, the other 3 are free: the second needs 4 new ones.
    policy.decisions.append(StepDecision((Work(second, 14),)))
    with pytest.raises(EngineError, match="4 more blocks are needed, 3 of 6"):
        engine.step()
    policy.decisions.append(StepDecision((Work(second, 14),), (first,)))
    report = engine.step()
    assert report.tokens == 14 and report.preempted == (first,) and len(report.ended) == 1
    assert len(finish(engine)[first]) == 2


@attrs.frozen
class Forgetful:
    """Decides well, and can't learn."""

    def decide(self, observation):
        return Sarathi(64).decide(observation)

    def learn(self, measured):
        return None if measured.new < 3 else 1 / 0


def test_a_policy_that_fails_to_learn_loses_no_result(tiny):
    engine = Engine(tiny, Forgetful(), blocks=16, block_size=4)
    conversation = engine.open()
    engine.submit(conversation, [1, 2, 3], max_new=1)
    assert len(engine.step().ended) == 1
    engine.submit(conversation, [4], max_new=2)
    for _ in range(2):
        with pytest.raises(EngineError, match="policy Forgetful was to learn, and raised ZeroDivisionError"):
            engine.step()
    engine.policy = Sarathi(64)
    engine.step()
    engine.policy = Forgetful()
    with pytest.raises(EngineError, match="policy Forgetful learned, and returned None, which is no policy"):
        engine.step()
    engine.policy = Sarathi(64)
    assert len(finish(engine)[conversation]) == 2


@pytest.mark.parametrize("policy", [object(), Sarathi, "sarathi"])
def test_what_is_no_policy_is_refused(tiny, policy):
    with pytest.raises(EngineError, match="must be an object with a method decide"):
        Engine(tiny, policy, blocks=4)
    engine = Engine(tiny, blocks=4)
    engine.submit(engine.open(), [1], max_new=1)
    engine.policy = policy
    with pytest.raises(EngineError, match="must be an object with a method decide"):
        engine.step()


def test_the_caps_of_the_engine_hold_against_the_policy(tiny):
    engine = Engine(tiny, Puppet([StepDecision((Work(0, 5),))]), blocks=16, block_size=4, max_tokens=4)
    engine.submit(engine.open(), [1, 2, 3, 4, 5], max_new=3)
    with pytest.raises(EngineError, match="scheduled 5 tokens of 1 requests; the engine's caps are 4 and 64"):
        engine.step()


def test_an_engine_whose_model_failed_says_so_ever_after(tiny, monkeypatch):
    engine = Engine(tiny, blocks=16, block_size=4)
    engine.submit(engine.open(), [1, 2, 3], max_new=3)
    engine.step()
    monkeypatch.setattr(engine.worker, "run", lambda chunks: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.step()
    monkeypatch.undo()
    for _ in range(2):
        with pytest.raises(EngineError, match=r"stopped in step 2 and can.t go on: ZeroDivisionError"):
            engine.step()


def test_objectives_reach_the_policy(tiny):
    policy = Puppet()
    engine = Engine(tiny, policy, blocks=16, block_size=4)
    engine.submit(engine.open(), [1, 2, 3], max_new=2, ttft_slo=0.5, tpot_slo=0.05)
    while engine.busy:
        engine.step()
    views = [view for seen in policy.seen for view in (*seen.running, *seen.waiting)]
    assert len(views) == 2
    assert {(view.ttft_slo, view.tpot_slo) for view in views} == {(0.5, 0.05)}
    with pytest.raises(EngineError, match="ttft_slo must be positive, got 0"):
        engine.submit(0, [1], ttft_slo=0)
