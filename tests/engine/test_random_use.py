"""The engine under random use on a pool that is too small, against the model on each whole sequence by itself."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

torch = pytest.importorskip("torch")

from mtpo.engine.engine import Engine  # noqa: E402
from mtpo.engine.model import Batch, KVStore, Llama, Segment  # noqa: E402
from mtpo.schedulers.step.sarathi import Sarathi  # noqa: E402

from .conftest import random_files  # noqa: E402

SIZE = 2
MODEL = Llama(random_files())
COMMON = [1, 0, 2, 1, 1, 0, 2, 2, 0, 1, 0, 1]
"""Conversations begin alike, so that blocks are shared between running, idle and waiting ones."""


def logprobs(tokens):
    """Row i: log-probabilities of the token after tokens[: i + 1], in one pass on a cache of its own."""
    rows, blocks = torch.arange(len(tokens)), torch.arange(-(-len(tokens) // SIZE))
    store = KVStore(MODEL.config, len(blocks), SIZE, MODEL.dtype, "cpu")
    segment = Segment(0, len(tokens), len(tokens), blocks)
    return MODEL.forward(Batch(torch.tensor(tokens), rows, rows, (segment,), rows), store).log_softmax(-1)


class Use(RuleBasedStateMachine):
    """Open, submit, stop, close and step in any order; what is running at the end is run to its end."""

    @initialize(blocks=st.integers(6, 12), budget=st.sampled_from([1, 3, 64]))
    def build(self, blocks, budget):
        self.room = blocks * SIZE
        self.engine = Engine(MODEL, Sarathi(budget), blocks=blocks, block_size=SIZE, max_conversations=6)
        self.said, self.generating = {}, set()

    def take(self, result):
        self.generating.discard(result.conversation)
        known = self.said[result.conversation]
        begin = len(known)
        known += result.emitted
        if result.emitted:
            rows = logprobs(known[:-1])[begin - 1 :]
            expected = rows[range(len(result.emitted)), list(result.emitted)]
            assert list(result.logprobs) == pytest.approx(expected.tolist(), abs=1e-3)
            assert all(0 <= token < MODEL.config.vocab for token in result.emitted)

    @precondition(lambda self: len(self.said) < 6)
    @rule()
    def open(self):
        self.said[self.engine.open()] = []

    @rule(data=st.data(), length=st.integers(1, 10), new=st.integers(1, 6), forced=st.booleans())
    def submit(self, data, length, new, forced):
        idle = sorted(self.said.keys() - self.generating)
        if not idle:
            return
        id = data.draw(st.sampled_from(idle))
        prompt = COMMON[:length] if not self.said[id] else [length]
        if len(self.said[id]) + len(prompt) + new > self.room:
            return
        self.engine.submit(id, prompt, max_new=new, forced=[3] * new if forced else None)
        self.said[id] += prompt
        self.generating.add(id)

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def stop(self, data):
        result = self.engine.stop(data.draw(st.sampled_from(sorted(self.said))))
        if result is not None:
            self.take(result)

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def close(self, data):
        id = data.draw(st.sampled_from(sorted(self.said)))
        self.engine.close(id)
        self.generating.discard(id)
        del self.said[id]

    @rule(times=st.integers(1, 4))
    def step(self, times):
        for _ in range(times):
            for result in self.engine.step().ended:
                self.take(result)

    def teardown(self):
        if not hasattr(self, "engine"):
            return
        steps = 0
        while self.engine.busy:
            self.step(1)
            steps += 1
            assert steps < 2000, "nobody makes progress"
        for id in self.said:
            self.engine.close(id)
        assert self.engine.manager.available * SIZE == self.room
        self.engine.monitor.check()


TestUse = Use.TestCase
TestUse.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)


def test_blocks_that_idle_conversations_share_are_not_promised_twice():
    engine = Engine(MODEL, blocks=10, block_size=SIZE)
    engine.submit(engine.open(), COMMON[:9], max_new=1)
    while engine.busy:
        engine.step()
    second, third = engine.open(), engine.open()
    engine.submit(second, COMMON[:9], max_new=4)
    engine.step()
    # 5 blocks are idle, but the second conversation holds 4 of them too: 5 can be had, and the third needs 6.
    engine.submit(third, [5] * 12, max_new=2)
    assert engine.step().tokens == 1
    ended = ()
    while engine.busy:
        ended += engine.step().ended
    assert [r.conversation for r in ended] == [second, third]
