"""Every step policy drives the engine; one that learns is told how long steps took."""

from __future__ import annotations

import itertools

import attrs
import pytest

torch = pytest.importorskip("torch")

from mtpo.engine.engine import Engine  # noqa: E402
from mtpo.schedulers.load import load_policy  # noqa: E402
from mtpo.schedulers.step.fairbatching import FairBatching  # noqa: E402
from mtpo.schedulers.step.sarathi import Sarathi  # noqa: E402
from mtpo.schedulers.types import StepMeasured  # noqa: E402

PROMPTS = [[(5 * i + 3 * k) % 97 for k in range(4 + 11 * i)] for i in range(4)]


def run(engine, new=12):
    order = []
    for prompt in PROMPTS:
        order.append(engine.open())
        engine.submit(order[-1], prompt, max_new=new, ttft_slo=0.5, tpot_slo=0.05)
    found = {}
    while engine.busy:
        found |= {result.conversation: result.emitted for result in engine.step().ended}
    return [found[c] for c in order]


@pytest.mark.parametrize(
    "name", ["prefill_first", "vllm_v1:16", "fairbatching", "fairbatching:reanchor=yes,cap=0.05,idle=0.01"]
)
@pytest.mark.parametrize("blocks", [64, 18])
def test_the_policy_does_not_change_the_output(tiny, name, blocks):
    expected = run(Engine(tiny, Sarathi(4096), blocks=64, block_size=4))
    assert run(Engine(tiny, load_policy(name), blocks=blocks, block_size=4)) == expected


@attrs.frozen
class Learner:
    """Sarathi, and what it was told; ``seen`` is shared by all that come of it."""

    told: tuple[StepMeasured, ...] = ()
    first: list = attrs.field(factory=list, eq=False)

    def decide(self, observation):
        self.first.append([r.first for r in observation.running])
        return Sarathi(16).decide(observation)

    def learn(self, measured):
        return attrs.evolve(self, told=(*self.told, measured))


def test_a_policy_that_learns_is_told_every_step_without_idle_time(tiny):
    ticks = itertools.count()
    engine = Engine(tiny, Learner(), blocks=64, block_size=4, clock=lambda: float(next(ticks)))
    conversation = engine.open()
    engine.submit(conversation, list(range(40)), max_new=3)
    steps = 0
    while engine.busy:
        steps += 1
        engine.step()
    told = engine.policy.told
    assert len(told) == steps == 5
    assert [(m.new, m.context) for m in told] == [(16, 16), (16, 32), (8, 40), (1, 41), (1, 42)]
    assert all(0 < m.seconds < 5 for m in told)
    first = [f for (f,) in engine.policy.first[1:]]
    assert first[:2] == [None, None] and first[2] == first[3] is not None
    engine.submit(conversation, [1], max_new=5)
    engine.step()
    engine.stop(conversation)
    for _ in range(1000):
        next(ticks)
    engine.submit(conversation, [2], max_new=1)
    engine.step()
    assert all(m.seconds < 5 for m in engine.policy.told)


def test_fairbatching_learns_in_the_engine(tiny):
    engine = Engine(tiny, FairBatching(), blocks=64, block_size=4)
    run(engine)
    assert engine.policy.calibrator != FairBatching().calibrator
