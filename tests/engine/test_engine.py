"""Continuous batching, conversations, preemption, bad input, on a tiny random model."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from mtpo.engine.engine import Engine  # noqa: E402
from mtpo.engine.errors import EngineError  # noqa: E402
from mtpo.engine.sampler import Sampling, sample  # noqa: E402
from mtpo.schedulers.step.sarathi import Sarathi  # noqa: E402

PROMPTS = [[(7 * i + 3 * k) % 97 for k in range(5 + 9 * i)] for i in range(5)]


def run(engine, prompts, new=24, **options):
    order = []
    for prompt in prompts:
        order.append(engine.open())
        engine.submit(order[-1], prompt, max_new=new, **options)
    found, preempted = {}, 0
    while engine.busy:
        report = engine.step()
        preempted += len(report.preempted)
        found |= {result.conversation: result for result in report.ended}
    return [found[c] for c in order], preempted


@pytest.fixture(scope="module")
def alone(tiny):
    """Each prompt by itself, in one chunk, with room to spare."""
    return [run(Engine(tiny, Sarathi(4096), blocks=64, block_size=4), [p])[0][0].emitted for p in PROMPTS]


@pytest.mark.parametrize(
    ("budget", "blocks", "size"), [(1, 64, 4), (8, 64, 4), (512, 64, 4), (16, 32, 8), (16, 16, 16)]
)
def test_batching_chunking_and_paging_do_not_change_the_output(tiny, alone, budget, blocks, size):
    results, _ = run(Engine(tiny, Sarathi(budget), blocks=blocks, block_size=size), PROMPTS)
    assert [r.emitted for r in results] == alone


def test_a_pool_that_is_too_small_for_all_preempts_and_finishes(tiny, alone):
    results, preempted = run(Engine(tiny, Sarathi(32), blocks=18, block_size=4), PROMPTS)
    assert [r.emitted for r in results] == alone
    assert preempted > 0


def test_a_conversation_goes_on_from_its_cache(tiny):
    engine = Engine(tiny, blocks=64, block_size=4)
    conversation = engine.open()
    turns = ([1, 2, 3, 4, 5, 6], [7, 8], [9])
    said, computed = [], []
    for turn in turns:
        engine.submit(conversation, turn, max_new=6)
        while engine.busy:
            for result in engine.step().ended:
                said.append(result.emitted)
                computed.append(result.computed)
    # The last emitted token of a turn has no keys yet: it is computed with the next turn.
    assert computed == [6, 3, 2]
    whole = [*turns[0], *said[0], *turns[1], *said[1], *turns[2]]
    assert run(Engine(tiny, blocks=64, block_size=4), [whole], new=6)[0][0].emitted == said[2]


def test_stopping_a_turn_keeps_what_was_emitted_and_its_cache(tiny):
    engine = Engine(tiny, blocks=64, block_size=4)
    conversation = engine.open()
    engine.submit(conversation, [5, 4, 3], forced=[10, 11, 12, 13, 14])
    engine.step(), engine.step()
    result = engine.stop(conversation)
    assert result is not None and result.stopped and result.emitted == (10, 11)
    assert engine.stop(conversation) is None and not engine.busy
    engine.submit(conversation, [20], max_new=4)
    while engine.busy:
        last = engine.step().ended
    assert last[0].emitted == run(Engine(tiny, blocks=64), [[5, 4, 3, 10, 11, 20]], new=4)[0][0].emitted
    assert last[0].computed == 2


def test_idle_conversations_give_way_and_are_computed_again(tiny):
    engine = Engine(tiny, blocks=12, block_size=4)
    first = engine.open()
    engine.submit(first, list(range(20)), max_new=4)
    while engine.busy:
        said = engine.step().ended or ()
    second = engine.open()
    engine.submit(second, [50 + i for i in range(30)], max_new=8)
    while engine.busy:
        engine.step()
    engine.submit(first, [1], max_new=4)
    while engine.busy:
        again = engine.step().ended
    whole = [*range(20), *said[0].emitted, 1]
    assert again[0].emitted == run(Engine(tiny, blocks=64), [whole], new=4)[0][0].emitted


def test_closing_everything_returns_every_block(tiny):
    engine = Engine(tiny, blocks=32, block_size=4)
    conversations = []
    for prompt in PROMPTS[:3]:
        conversations.append(engine.open())
        engine.submit(conversations[-1], prompt, max_new=50)
    for _ in range(7):
        engine.step()
    for conversation in conversations:
        engine.close(conversation)
    assert engine.manager.available == 32 and not any(engine.manager.references)
    engine.monitor.check()


def test_bad_requests_are_refused_and_change_nothing(tiny):
    engine = Engine(tiny, blocks=8, block_size=4)
    conversation = engine.open()
    for tokens, options, word in (
        ([], {}, "empty"),
        ([1] * 30, {"max_new": 10}, "hold 32"),
        ([1, 97], {}, "vocabulary of 97"),
        ([1], {"forced": [-1]}, "vocabulary"),
        ([1], {"max_new": 0}, "at least one"),
    ):
        with pytest.raises(EngineError, match=word):
            engine.submit(conversation, tokens, **{"max_new": 4, **options})
    assert not engine.busy and engine.length(conversation) == 0
    engine.submit(conversation, [1, 2], max_new=2)
    with pytest.raises(EngineError, match="is generating"):
        engine.submit(conversation, [3])
    with pytest.raises(EngineError, match="no open conversation 63"):
        engine.submit(63, [1])
    small = Engine(tiny, blocks=8, max_conversations=1)
    small.open()
    with pytest.raises(EngineError, match="too many conversations"):
        small.open()


def test_sampling_repeats_with_its_seed_and_stays_in_the_nucleus():
    logits = torch.tensor([5.0, 4.0, 1.0, -3.0])

    def draw(seed, **options):
        sampling = Sampling(seed=seed, **options)
        generator = sampling.generator()
        return [sample(logits, sampling, generator) for _ in range(60)]

    assert set(draw(0)) == {0}
    warm = {"temperature": 1.0}
    assert draw(1, **warm) == draw(1, **warm) != draw(2, **warm)
    assert set(draw(3, temperature=1.0, top_p=0.5)) == {0}
    assert set(draw(3, temperature=1.0, top_p=0.9)) == {0, 1}
