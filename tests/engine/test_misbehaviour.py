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
    """Decides what it is told once, then as Sarathi would."""

    decision: StepDecision | None = None
    seen: list = attrs.Factory(list)

    def decide(self, observation):
        self.seen.append(observation)
        decision, self.decision = self.decision, None
        return decision or Sarathi(64).decide(observation)


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (StepDecision((Work(7, 1),)), "scheduled request 7 which has no turn under way"),
        (StepDecision((Work(1, 1),)), "scheduled request 1 which has no turn under way"),
        (StepDecision((Work(0, 2), Work(0, 2))), "scheduled request 0 twice"),
        (StepDecision((Work(0, 0),)), "gave request 0 0 tokens, it has 5 to compute"),
        (StepDecision((Work(0, 6),)), "gave request 0 6 tokens, it has 5 to compute"),
        (StepDecision((), (0,)), "preempted request 0, which is not running"),
        (StepDecision(()), "scheduled nothing though 1 turns wait"),
    ],
)
def test_a_decision_that_can_not_be_carried_out_changes_nothing(tiny, decision, reason):
    engine = Engine(tiny, Puppet(decision), blocks=16, block_size=4)
    conversation, _idle = engine.open(), engine.open()
    engine.submit(conversation, [1, 2, 3, 4, 5], max_new=3)
    with pytest.raises(EngineError, match=reason):
        engine.step()
    assert engine.number == 0
    emitted = []
    while engine.busy:
        emitted += [result.emitted for result in engine.step().ended]
    assert [len(tokens) for tokens in emitted] == [3]


def test_the_caps_of_the_engine_hold_against_the_policy(tiny):
    engine = Engine(tiny, Puppet(StepDecision((Work(0, 5),))), blocks=16, block_size=4, max_tokens=4)
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
