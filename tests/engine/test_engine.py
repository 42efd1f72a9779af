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


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("tokens", "options", "reason"),
    [
        ([True, False], {}, "the prompt: token True is not in the vocabulary of 97"),
        ([1.5, 2.0], {}, r"token 1\.5 is not"),
        ([10**5000], {}, "token a value of type int is not"),
        ("abc", {}, "the prompt must be a list or tuple of token numbers, got 'abc'"),
        (b"abc", {}, "must be a list or tuple"),
        ((t for t in [1, 2]), {}, "must be a list or tuple"),
        ({1, 2}, {}, "must be a list or tuple"),
        (None, {}, "must be a list or tuple"),
        (range(10**30), {}, "would reach .* the context and the cache hold 64"),
        ([1], {"forced": [1.5]}, r"forced: token 1\.5"),
        ([1], {"forced": "a"}, "forced must be a list or tuple"),
        ([1], {"forced": []}, "at least one new token must be asked for; forced is empty"),
        ([1], {"max_new": NAN}, "max_new is nan"),
        ([1], {"max_new": 2.5}, r"max_new is 2\.5"),
        ([1], {"max_new": -3}, "max_new is -3"),
        ([1], {"max_new": True}, "max_new is True"),
        ([1], {"max_new": "3"}, "max_new is '3'"),
        ([1], {"max_new": 64}, "would reach 65 tokens; the context and the cache hold 64"),
        ([1], {"max_new": 10**5000}, "would reach a value of type int tokens"),
        ([1], {"stop": [-1]}, "stop: token -1"),
        ([1], {"stop": 3}, "stop must be a list or tuple"),
        ([1], {"sampling": "greedy"}, "sampling must be a Sampling or None, got 'greedy'"),
        ([1], {"ttft_slo": NAN}, "ttft_slo must be positive, got nan"),
        ([1], {"tpot_slo": "1"}, "tpot_slo must be positive, got '1'"),
        ([1], {"tpot_slo": INF}, "tpot_slo must be positive, got inf; finite seconds, or None"),
    ],
)
def test_a_request_with_a_bad_value_is_refused_in_one_line(tiny, tokens, options, reason):
    engine = Engine(tiny, blocks=16, block_size=4)
    conversation = engine.open()
    with pytest.raises(EngineError, match=reason) as caught:
        engine.submit(conversation, tokens, **{"max_new": 4, **options})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200
    assert not engine.busy and engine.length(conversation) == 0


def test_a_request_that_fits_nowhere_is_refused_and_the_largest_runs(tiny):
    engine = Engine(tiny, blocks=4, block_size=2, max_tokens=3)
    conversation = engine.open()
    with pytest.raises(EngineError, match="would reach 9 tokens; the context and the cache hold 8"):
        engine.submit(conversation, [1] * 7, max_new=2)
    engine.submit(conversation, [1] * 6, max_new=2)
    ended = ()
    while engine.busy:
        ended += engine.step().ended
    assert len(ended[0].emitted) == 2


@pytest.mark.parametrize("id", [[], False, 0.0, "0", None, pytest.param(10**5000, id="huge"), -1])
def test_what_is_no_id_names_no_conversation(tiny, id):
    engine = Engine(tiny, blocks=4)
    engine.open()
    for call in (lambda: engine.submit(id, [1]), lambda: engine.stop(id), lambda: engine.close(id)):
        with pytest.raises(EngineError, match="no open conversation"):
            call()
    with pytest.raises(EngineError, match="no open conversation"):
        engine.length(id)


def test_integers_and_floats_of_numpy_are_as_good_as_plain_ones(tiny):
    numpy = pytest.importorskip("numpy")
    engine = Engine(tiny, blocks=numpy.int32(16), block_size=4)
    prompt = list(numpy.array([1, 2, 3]))
    engine.submit(numpy.int64(engine.open()), prompt, max_new=numpy.int8(2), sampling=Sampling(numpy.float32(0)))
    found = ()
    while engine.busy:
        found += engine.step().ended
    assert found[0].emitted == run(Engine(tiny, blocks=16), [[1, 2, 3]], new=2)[0][0].emitted
    assert type(found[0].conversation) is int


@pytest.mark.parametrize("name", ["blocks", "block_size", "max_tokens", "max_requests", "max_conversations"])
@pytest.mark.parametrize("value", [0, -1, 1.5, NAN, True, "8", None])
def test_a_setting_that_nothing_could_run_with_is_refused(tiny, name, value):
    with pytest.raises(EngineError, match=f"^{name} must be a whole number of at least 1, got"):
        Engine(tiny, **{name: value})


def test_other_settings_are_checked_too(tiny):
    with pytest.raises(EngineError, match="monitor must be one of strict, count, off, got 'strct'"):
        Engine(tiny, monitor="strct")
    for blocks in (10**13, 10**30):
        with pytest.raises(EngineError, match=r"^no memory for a KV cache of 10+ blocks of 16 tokens"):
            Engine(tiny, blocks=blocks)
    with pytest.raises(EngineError, match="clock must be a function"):
        Engine(tiny, clock=0.0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"temperature": t}, "temperature must be 0") for t in (NAN, INF, -1, 1e-320, 1e6, True, "1", None, 10**400)]
    + [({"temperature": 0.5, "top_p": p}, "top_p must be from") for p in (NAN, 0, -1, 1.1, 1e-300, True, "1")]
    + [({"seed": s}, "seed must be a whole number from -9223372036854775808") for s in (2**70, 1.5, NAN, True, "1")],
)
def test_sampling_says_what_is_allowed(options, reason):
    with pytest.raises(EngineError, match=reason) as caught:
        Sampling(**options)
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_sampling_draws_from_any_logits_at_the_bounds_of_what_is_allowed(scale):
    logits = torch.linspace(-scale, scale, 97)
    for temperature in (1e-5, 1.0, 1e5):
        for top_p in (1e-10, 0.5, 1.0):
            for seed in (-(2**63), 0, 2**64 - 1):
                sampling = Sampling(temperature, top_p, seed)
                token = sample(logits, sampling, sampling.generator())
                assert 0 <= token < 97 and (top_p > 1e-9 or token == 96 or scale < temperature)


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
