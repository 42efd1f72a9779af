"""Batches over grouped weights: the same as PyTorch over the same weights in fp32."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the extra `engine`")
gguf = pytest.importorskip("gguf", reason="needs the extra `engine`")

from mtpo.engine import decoder as decoding  # noqa: E402
from mtpo.engine.config import ModelConfig  # noqa: E402
from mtpo.engine.engine import Engine  # noqa: E402
from mtpo.engine.groups import GROUP, Groups, read_groups  # noqa: E402
from mtpo.engine.kernels.decode import LANES, _exp, _product, _share  # noqa: E402
from mtpo.engine.model import Batch, KVStore, Llama, Segment  # noqa: E402
from mtpo.engine.weights import ModelFiles  # noqa: E402
from tests.engine.conftest import TINY, random_files  # noqa: E402


def grouped_files(config: ModelConfig, seed: int = 0) -> ModelFiles:
    """Random weights of which every matrix is in groups."""
    source = np.random.default_rng(seed)
    files = random_files(config, seed)
    weights, groups = dict(files.weights), {}
    for name, weight in files.weights.items():
        if weight.ndim == 1:
            weights[name] = torch.from_numpy(source.uniform(0.5, 1.5, weight.shape).astype(np.float32))
            continue
        rows, columns = weight.shape
        integers = source.integers(-128, 128, (rows, columns), dtype=np.int8)
        scales, offsets = (source.normal(0, s, (rows, columns // GROUP)).astype(np.float32) for s in (0.004, 0.05))
        groups[name.removesuffix(".weight")] = Groups(integers, scales, offsets)
        weights[name] = torch.from_numpy(groups[name.removesuffix(".weight")].plain())
    return attrs.evolve(files, weights=weights, groups=groups)


SHAPES = [
    attrs.evolve(TINY, hidden=64, ffn=96, heads=4, kv_heads=2, head_dim=16),
    attrs.evolve(TINY, hidden=96, ffn=160, heads=3, kv_heads=3, head_dim=32, layers=1),
    attrs.evolve(TINY, hidden=32, ffn=32, heads=6, kv_heads=1, head_dim=16, layers=3),
    attrs.evolve(TINY, hidden=64, ffn=64, heads=8, kv_heads=2, head_dim=20, layers=1),
    attrs.evolve(TINY, hidden=64, ffn=64, heads=4, kv_heads=1, head_dim=40, layers=1),
]


@pytest.fixture(scope="module")
def models() -> list[Llama]:
    return [Llama(grouped_files(config, seed)) for seed, config in enumerate(SHAPES)]


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0"])
def test_groups_are_read_as_the_package_of_the_format_reads_them(kind):
    matrix = np.random.default_rng(1).normal(size=(7, 96)).astype(np.float32)
    data = gguf.quants.quantize(matrix, gguf.GGMLQuantizationType[kind])
    groups = read_groups(kind, data)
    expected = gguf.quants.dequantize(data, gguf.GGMLQuantizationType[kind])
    assert np.array_equal(groups.plain(), expected) and np.abs(expected - matrix).max() < 0.5
    turned = groups.rows(lambda part: part[::-1])
    assert np.array_equal(turned.plain(), expected[::-1])


def test_types_that_are_built_otherwise_are_no_groups():
    assert read_groups("Q6_K", np.zeros((1, 210), np.uint8)) is None
    assert read_groups("F32", np.zeros(32, np.uint8)) is None


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 50), st.integers(1, 14), st.sampled_from([1, 3, 24, 25, 48, 49]), st.integers(0, 99))
def test_products_are_those_of_the_fp32_matrix(rows, matrix, groups, seed):
    source = np.random.default_rng(seed)
    integers = source.integers(-128, 128, (matrix, groups * GROUP), dtype=np.int8)
    scales, offsets = (source.normal(size=(matrix, groups)).astype(np.float32) for _ in range(2))
    x = source.normal(size=(rows, groups * GROUP)).astype(np.float32)
    found = np.full((rows, matrix), np.nan, np.float32)
    begin, end = _share(matrix, 1, 3)
    _product((integers, scales, offsets), x, found, begin, end)
    assert np.isnan(found[:, :begin]).all() and np.isnan(found[:, end:]).all()
    _product((integers, scales, offsets), x, found, 0, begin)
    _product((integers, scales, offsets), x, found, end, matrix)
    expected = x.astype(np.float64) @ Groups(integers, scales, offsets).plain().astype(np.float64).T
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max() + 1e-3)


def test_exponentials_are_right_to_the_last_two_places():
    x = np.concatenate([np.linspace(-87, 88, 4001), np.linspace(-1, 1, 4001)]).astype(np.float32)
    found = np.array([_exp(each) for each in x])
    np.testing.assert_allclose(found, np.exp(x.astype(np.float64)), rtol=2.4e-7)
    assert 0 <= _exp(np.float32(-1e30)) < 1.3e-38 and _exp(np.float32(1e30)) > 2e38


def batch_of(parts: list[tuple[int, int]], length: int, config: ModelConfig, seed: int) -> tuple[Batch, KVStore]:
    """For each sequence, how many tokens came before and how many are new. Every slot of the cache holds something, and
    the blocks of the sequences are mixed."""
    source = torch.Generator().manual_seed(seed)
    needed = [-(-(before + new) // length) for before, new in parts]
    store = KVStore(config, sum(needed) + 1, length, torch.float32, "cpu")
    store.keys.normal_(generator=source)
    store.values.normal_(generator=source)
    tables = torch.split(torch.randperm(sum(needed) + 1, generator=source)[: sum(needed)], needed)
    segments, positions, slots = list[Segment](), list[int](), list[int]()
    for (before, new), table in zip(parts, tables, strict=True):
        segments.append(Segment(len(positions), len(positions) + new, before + new, table))
        positions += range(before, before + new)
        slots += (int(table[p // length]) * length + p % length for p in range(before, before + new))
    rows = len(positions)
    tokens = torch.randint(config.vocab, (rows,), generator=source)
    wanted = torch.randperm(rows, generator=source)[: max(1, rows - 1)]
    return Batch(tokens, torch.tensor(positions), torch.tensor(slots), tuple(segments), wanted), store


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, len(SHAPES) - 1),
    st.lists(st.tuples(st.integers(0, 90), st.sampled_from([1, 1, 1, 2, 3, 5, 20])), min_size=1, max_size=6),
    st.sampled_from([1, 3, 16]),
    st.integers(0, 99),
)
def test_logits_and_what_is_kept_equal_those_of_torch(models, shape, parts, length, seed):
    model = models[shape]
    batch, store = batch_of(parts, length, model.config, seed)
    plain, kept = batch_of(parts, length, model.config, seed)
    own, model.decoder = model.decoder, None
    try:
        expected = model.forward(plain, kept)
    finally:
        model.decoder = own
    found = model.forward(batch, store)
    assert own is not None and found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(store.keys, kept.keys, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(store.values, kept.values, rtol=2e-3, atol=2e-3)


@pytest.mark.skipif(LANES == 8, reason="this processor has no wider vectors: the tests above are of these")
def test_a_processor_with_shorter_vectors_comes_to_the_same(tmp_path):
    narrow = {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+f16c",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    lanes = "from mtpo.engine.kernels.decode import LANES; assert LANES == 8"
    tests = f"import pytest; sys.exit(pytest.main([{__file__!r}, '-k', 'products or equal_those']))"
    command = [sys.executable, "-c", f"import sys; {lanes}; {tests}"]
    done = subprocess.run(command, env=os.environ | narrow, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, len(SHAPES) - 1),
    st.lists(st.tuples(st.integers(0, 90), st.sampled_from([1, 1, 2, 9, 20])), min_size=1, max_size=5),
    st.integers(2, 5),
    st.integers(0, 99),
)
def test_threads_change_nothing_of_a_result(models, shape, parts, threads, seed):
    """To the last bit, also where a thread has nothing to do because there are more of them than panels or rows."""
    model, found = models[shape], []
    real = type(model.decoder).logits
    for count in (1, threads):
        batch, store = batch_of(parts, 4, model.config, seed)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(model.decoder), "logits", lambda self, *given, n=count: real(self, *given[:-1], n))
            found.append((model.forward(batch, store), store.keys, store.values))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_as_many_threads_as_torch_has(models, monkeypatch):
    model, seen = models[0], []
    real = type(model.decoder).logits
    monkeypatch.setattr(
        type(model.decoder), "logits", lambda self, *given: seen.append(given[-1]) or real(self, *given)
    )
    before = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            model.forward(*batch_of([(4, 1)], 4, model.config, 0))
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 2]


def test_a_thread_that_can_not_be_started_is_an_error_and_nobody_waits_for_it(models, monkeypatch):
    model, started, ended = models[0], [], []
    batch, store = batch_of([(4, 3)], 4, model.config, 0)
    real = type(model.decoder).logits
    monkeypatch.setattr(type(model.decoder), "logits", lambda self, *given: real(self, *given[:-1], 3))

    class Second(threading.Thread):
        def start(self) -> None:
            if started:
                raise RuntimeError("can't start new thread")
            started.append(self)
            super().start()

        def join(self, timeout: float | None = None) -> None:
            super().join(timeout)
            ended.append(self)

    monkeypatch.setattr(threading, "Thread", Second)
    with pytest.raises(RuntimeError, match="can't start"):
        model.forward(batch, store)
    assert started == ended and not started[0].is_alive()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_thread_that_fails_is_an_error_and_nobody_waits_for_it(models, place, monkeypatch):
    model, real = models[0], decoding.forward
    batch, store = batch_of([(4, 3)], 4, model.config, 0)
    logits = type(model.decoder).logits
    monkeypatch.setattr(type(model.decoder), "logits", lambda self, *given: logits(self, *given[:-1], 3))

    def forward(part: int, *given: object) -> None:
        if part == place:
            raise MemoryError("Allocation failed")
        real(part, *given)

    monkeypatch.setattr(decoding, "forward", forward)
    with pytest.raises(MemoryError, match="Allocation"):
        model.forward(batch, store)


@pytest.mark.parametrize("wanted", [[], [3, 0, 4, 1, 2], [4, 4]])
def test_wanted_rows_in_any_order_or_none_and_tables_that_go_on(models, wanted):
    """Two sequences that begin with the same block, of which the first ends at a block's end."""
    model = models[0]
    first, second = torch.tensor([2, 0, 5]), torch.tensor([2, 4, 1])
    segments = (Segment(0, 3, 8, first), Segment(3, 5, 7, second))
    positions = torch.tensor([5, 6, 7, 5, 6])
    slots = torch.tensor([1, 2, 3, 17, 18])
    batch = Batch(torch.tensor([3, 1, 4, 1, 5]), positions, slots, segments, torch.tensor(wanted, dtype=torch.int64))
    own, found = model.decoder, []
    try:
        for decoder in (own, None):
            model.decoder = decoder
            _, store = batch_of([(23, 1)], 4, model.config, 5)
            found.append((model.forward(batch, store), store.keys, store.values))
    finally:
        model.decoder = own
    assert found[0][0].shape == (len(wanted), model.config.vocab)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=2e-3)


def test_larger_batches_are_computed_by_torch(models, monkeypatch):
    model, seen, most = models[0], [], 24
    monkeypatch.setattr(type(model.decoder), "most_rows", most)
    real = type(model)._decode
    monkeypatch.setattr(type(model), "_decode", lambda self, *given: seen.append(given) or real(self, *given))
    for parts, used in (([(4, 1)] * most, True), ([(4, most)], True), ([(4, 1)] * (most + 1), False)):
        assert model.forward(*batch_of(parts, 4, model.config, 0)).shape[1] == model.config.vocab
        assert bool(seen) is used
        seen.clear()


def test_a_conversation_goes_on_the_same(models):
    """The greedy tokens are the same, whatever computes prompts and decodes."""
    model, said = models[0], []
    own = model.decoder
    try:
        for decoder in (own, None):
            model.decoder = decoder
            engine = Engine(model, blocks=32, block_size=4)
            for prompt in ([1, 2, 3], [7] * 30):
                engine.submit(engine.open(), prompt, max_new=24)
            ended = {}
            while engine.busy:
                ended |= {result.conversation: result.emitted for result in engine.step().ended}
            said.append(ended)
    finally:
        model.decoder = own
    assert said[0] == said[1] and all(len(set(tokens)) > 1 for tokens in said[0].values())


@pytest.mark.parametrize("lacking", ["model.embed_tokens", "model.layers.1.mlp.down_proj"])
def test_a_model_not_all_in_groups_has_none(lacking):
    files = grouped_files(SHAPES[0])
    assert Llama(files).decoder is not None
    assert Llama(files, torch.bfloat16).decoder is None
    groups = {name: matrix for name, matrix in files.groups.items() if name != lacking}
    assert Llama(attrs.evolve(files, groups=groups)).decoder is None


def test_a_head_of_its_own_is_used():
    config = attrs.evolve(SHAPES[0], tied=False)
    files = grouped_files(config)
    head = attrs.evolve(files.groups["model.embed_tokens"], scales=-files.groups["model.embed_tokens"].scales)
    weights = {**files.weights, "lm_head.weight": torch.from_numpy(head.plain())}
    model = Llama(attrs.evolve(files, weights=weights, groups={**files.groups, "lm_head": head}))
    batch, store = batch_of([(8, 1)], 4, config, 3)
    found = model.forward(batch, store)
    model.decoder = None
    torch.testing.assert_close(found, model.forward(*batch_of([(8, 1)], 4, config, 3)), rtol=2e-3, atol=2e-3)
