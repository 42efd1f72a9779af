"""The shape of a Llama-family model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from mtpo.engine.errors import EngineError


@attrs.frozen
class ModelConfig:
    """Sizes of a decoder.

    ``hidden`` is the width of the residual stream; ``heads`` query heads of ``head_dim``, ``kv_heads`` key and value
    heads; ``ffn`` the width of the feed-forward layer; ``context`` the longest sequence in tokens.
    """

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int
    rope_theta: float
    norm_eps: float
    tied: bool

    @classmethod
    def from_gguf(cls, fields: Mapping[str, Any], vocab: int, tied: bool) -> ModelConfig:
        """From the metadata of a GGUF file of architecture ``llama``."""
        architecture = fields.get("general.architecture")
        if architecture != "llama":
            raise EngineError(f"architecture {architecture!r} is not supported; supported: llama")

        def need(name: str) -> Any:
            if f"llama.{name}" not in fields:
                raise EngineError(f"the model file lacks the field llama.{name}")
            return fields[f"llama.{name}"]

        heads, hidden = int(need("attention.head_count")), int(need("embedding_length"))
        return cls(
            layers=int(need("block_count")),
            hidden=hidden,
            ffn=int(need("feed_forward_length")),
            heads=heads,
            kv_heads=int(need("attention.head_count_kv")),
            head_dim=int(fields.get("llama.rope.dimension_count", hidden // heads)),
            vocab=vocab,
            context=int(need("context_length")),
            rope_theta=float(fields.get("llama.rope.freq_base", 10_000.0)),
            norm_eps=float(need("attention.layer_norm_rms_epsilon")),
            tied=tied,
        )

    @classmethod
    def from_folder(cls, folder: Path) -> ModelConfig:
        """From the ``config.json`` of a Hugging Face folder of type ``llama``."""
        path = folder / "config.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise EngineError(f"{path}: no such file; a model folder has config.json and *.safetensors") from None
        except ValueError as error:
            raise EngineError(f"{path}: not JSON ({error})") from None
        if data.get("model_type") != "llama":
            raise EngineError(f"{path}: model_type {data.get('model_type')!r} is not supported; supported: llama")
        if data.get("rope_scaling"):
            raise EngineError(f"{path}: rope_scaling is not supported")
        rope = data.get("rope_parameters") or {}
        heads = data["num_attention_heads"]
        return cls(
            layers=data["num_hidden_layers"],
            hidden=data["hidden_size"],
            ffn=data["intermediate_size"],
            heads=heads,
            kv_heads=data.get("num_key_value_heads", heads),
            head_dim=data.get("head_dim") or data["hidden_size"] // heads,
            vocab=data["vocab_size"],
            context=data["max_position_embeddings"],
            rope_theta=float(data.get("rope_theta", rope.get("rope_theta", 10_000.0))),
            norm_eps=data["rms_norm_eps"],
            tied=bool(data.get("tie_word_embeddings", False)),
        )
