"""Models for the engine's tests: the real one, loaded once, and a tiny random one."""

from __future__ import annotations

import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
pytest.importorskip("mtpo.engine")  # before torch: it sets how threads wait
torch = pytest.importorskip("torch", reason="needs the extra `engine`")

from mtpo.engine.config import ModelConfig  # noqa: E402
from mtpo.engine.errors import EngineError  # noqa: E402
from mtpo.engine.model import Llama  # noqa: E402
from mtpo.engine.tokenizer import ChatTokenizer  # noqa: E402
from mtpo.engine.weights import ModelFiles, find_smollm2, load_gguf  # noqa: E402

torch.set_num_threads(2)

TINY = ModelConfig(
    layers=2,
    hidden=32,
    ffn=48,
    heads=4,
    kv_heads=2,
    head_dim=8,
    vocab=97,
    context=256,
    rope_theta=10_000.0,
    norm_eps=1e-5,
    tied=True,
)


def random_files(config: ModelConfig = TINY, seed: int = 0) -> ModelFiles:
    """Random weights of a small shape, under Hugging Face names."""
    source = torch.Generator().manual_seed(seed)
    width, kv = config.heads * config.head_dim, config.kv_heads * config.head_dim

    def matrix(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=source) * 0.3

    weights = {
        "model.embed_tokens.weight": matrix(config.vocab, config.hidden),
        "model.norm.weight": torch.ones(config.hidden),
    }
    for i in range(config.layers):
        at = f"model.layers.{i}."
        weights |= {
            f"{at}input_layernorm.weight": torch.ones(config.hidden),
            f"{at}self_attn.q_proj.weight": matrix(width, config.hidden),
            f"{at}self_attn.k_proj.weight": matrix(kv, config.hidden),
            f"{at}self_attn.v_proj.weight": matrix(kv, config.hidden),
            f"{at}self_attn.o_proj.weight": matrix(config.hidden, width),
            f"{at}post_attention_layernorm.weight": torch.ones(config.hidden),
            f"{at}mlp.gate_proj.weight": matrix(config.ffn, config.hidden),
            f"{at}mlp.up_proj.weight": matrix(config.ffn, config.hidden),
            f"{at}mlp.down_proj.weight": matrix(config.hidden, config.ffn),
        }
    return ModelFiles(config, weights, {}, "random")


@pytest.fixture(scope="session")
def tiny() -> Llama:
    return Llama(random_files())


@pytest.fixture(scope="session")
def smollm2_files() -> ModelFiles:
    try:
        return load_gguf(find_smollm2())
    except EngineError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def smollm2(smollm2_files: ModelFiles) -> Llama:
    return Llama(smollm2_files, torch.float32)


@pytest.fixture(scope="session")
def tokenizer(smollm2_files: ModelFiles) -> ChatTokenizer:
    return ChatTokenizer(smollm2_files.fields)
