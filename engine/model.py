"""A Llama-family decoder over a paged KV cache, in one file.

One forward pass takes a ragged batch: chunks of prompts and single decode tokens alike, as one row of tokens. Keys and
values are written to the slots given, then each sequence attends to its own blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import torch
import torch.nn.functional as F

from mtpo.engine.config import ModelConfig
from mtpo.engine.weights import ModelFiles

if TYPE_CHECKING:
    from mtpo.engine.decoder import Decoder


@attrs.frozen(eq=False)
class Segment:
    """A sequence's part of a batch: rows ``start`` to ``stop`` are its tokens, which end at position ``context`` - 1.

    ``blocks`` (int64, on the device) is its block table as far as ``context`` reaches.
    """

    start: int
    stop: int
    context: int
    blocks: torch.Tensor


@attrs.frozen(eq=False)
class Batch:
    """``tokens``, ``positions``, ``slots`` of shape (rows,); ``wanted`` the rows whose logits are needed, in the order
    in which they are to come."""

    tokens: torch.Tensor
    positions: torch.Tensor
    slots: torch.Tensor
    segments: tuple[Segment, ...]
    wanted: torch.Tensor


class Linear:
    """``x @ weight.T``. In fp32 on a CPU the weight is laid out for oneDNN once: 2 to 5 times faster for few rows."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight
        self.packed: torch.Tensor | None = None
        if weight.device.type == "cpu" and weight.dtype is torch.float32 and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, _FEW)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.packed is None:
            return F.linear(x, self.weight)
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, None, "none", [], "")  # type: ignore[no-any-return]


_FEW = 4
"""Rows for which the layout is chosen: a decode batch."""


@attrs.frozen(eq=False)
class _Layer:
    norm_in: torch.Tensor
    qkv: Linear
    out: Linear
    norm_mid: torch.Tensor
    gate_up: Linear
    down: Linear


class KVStore:
    """The memory of the cache: keys and values of shape (layers, blocks, block_size, kv_heads, head_dim)."""

    def __init__(self, config: ModelConfig, blocks: int, block_size: int, dtype: torch.dtype, device: str) -> None:
        shape = (config.layers, blocks, block_size, config.kv_heads, config.head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.block_size = block_size


class Llama:
    """Weights of a model, ready to run in one dtype on one device. Q, K, V are fused, and so are gate and up."""

    def __init__(self, files: ModelFiles, dtype: torch.dtype = torch.float32, device: str = "cpu") -> None:
        self.config, self.dtype, self.device = files.config, dtype, device
        weights = files.weights

        def take(*names: str) -> torch.Tensor:
            return torch.cat([weights[f"{name}.weight"] for name in names]).to(device, dtype).contiguous()

        self.embedding = take("model.embed_tokens")
        self.head = Linear(self.embedding if self.config.tied else take("lm_head"))
        self.norm = take("model.norm")
        self.layers = []
        for i in range(self.config.layers):
            at = f"model.layers.{i}."
            self.layers.append(
                _Layer(
                    take(f"{at}input_layernorm"),
                    Linear(take(*(f"{at}self_attn.{p}_proj" for p in "qkv"))),
                    Linear(take(f"{at}self_attn.o_proj")),
                    take(f"{at}post_attention_layernorm"),
                    Linear(take(f"{at}mlp.gate_proj", f"{at}mlp.up_proj")),
                    Linear(take(f"{at}mlp.down_proj")),
                )
            )
        self._cos, self._sin = self._rotary()
        small = bool(files.groups) and (device, dtype) == ("cpu", torch.float32)
        self.decoder = self._decoder(files) if small else None
        """What computes batches that are not too large, where the weights were read in small integers."""

    def _decoder(self, files: ModelFiles) -> Decoder | None:
        from mtpo.engine.decoder import decoder  # loads a compiler, which other models have no need of

        norms = {f"model.layers.{i}.input_layernorm": layer.norm_in for i, layer in enumerate(self.layers)}
        norms |= {f"model.layers.{i}.post_attention_layernorm": layer.norm_mid for i, layer in enumerate(self.layers)}
        norms["model.norm"] = self.norm
        return decoder(self.config, files.groups, {name: norm.numpy() for name, norm in norms.items()})

    def _rotary(self) -> tuple[torch.Tensor, torch.Tensor]:
        half = torch.arange(0, self.config.head_dim, 2, dtype=torch.int64).float() / self.config.head_dim
        frequencies = 1.0 / self.config.rope_theta**half
        angles = torch.outer(torch.arange(self.config.context).float(), frequencies)
        doubled = torch.cat((angles, angles), dim=-1)
        return doubled.cos().to(self.device, self.dtype), doubled.sin().to(self.device, self.dtype)

    @torch.inference_mode()
    def forward(self, batch: Batch, store: KVStore) -> torch.Tensor:
        """Logits (fp32) of the wanted rows, shape (wanted, vocab). Writes the keys and values of every row."""
        config, rows = self.config, batch.tokens.shape[0]
        if self.decoder is not None and rows <= self.decoder.most_rows:
            return self._decode(self.decoder, batch, store)
        widths = [config.heads, config.kv_heads, config.kv_heads]
        x = F.embedding(batch.tokens, self.embedding)
        cos = self._cos[batch.positions].unsqueeze(1)
        sin = self._sin[batch.positions].unsqueeze(1)
        for i, layer in enumerate(self.layers):
            normed = self._rms(x, layer.norm_in)
            qkv = layer.qkv(normed).view(rows, -1, config.head_dim)
            q, k, v = torch.split(qkv, widths, dim=1)
            q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
            keys, values = store.keys[i], store.values[i]
            keys.view(-1, *keys.shape[2:]).index_copy_(0, batch.slots, k)
            values.view(-1, *values.shape[2:]).index_copy_(0, batch.slots, v)
            attended = [self._attend(q, keys, values, segment) for segment in batch.segments]
            x = x + layer.out(attended[0] if len(attended) == 1 else torch.cat(attended))
            normed = self._rms(x, layer.norm_mid)
            gate, up = layer.gate_up(normed).chunk(2, dim=-1)
            x = x + layer.down(F.silu(gate) * up)
        return self.head(self._rms(x[batch.wanted], self.norm)).float()

    def _decode(self, decoder: Decoder, batch: Batch, store: KVStore) -> torch.Tensor:
        """The same without torch, with as many threads as torch would use."""
        counts = torch.tensor([segment.stop - segment.start for segment in batch.segments])
        logits = decoder.logits(
            F.embedding(batch.tokens, self.embedding).numpy(),
            (self._cos[batch.positions].numpy(), self._sin[batch.positions].numpy()),
            batch.positions.numpy(),
            batch.slots.numpy(),
            [segment.blocks.numpy() for segment in batch.segments],
            torch.arange(len(counts)).repeat_interleave(counts).numpy(),
            batch.wanted.numpy(),
            (store.keys.numpy(), store.values.numpy()),
            torch.get_num_threads(),
        )
        return torch.from_numpy(logits)

    def _attend(self, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, segment: Segment) -> torch.Tensor:
        """Causal attention of one sequence's rows over its blocks; shape (rows, heads * head_dim)."""
        new = segment.stop - segment.start
        k = keys.index_select(0, segment.blocks).flatten(0, 1)[: segment.context]
        v = values.index_select(0, segment.blocks).flatten(0, 1)[: segment.context]
        query = q[segment.start : segment.stop].transpose(0, 1).unsqueeze(0)
        key, value = k.transpose(0, 1).unsqueeze(0), v.transpose(0, 1).unsqueeze(0)
        mask = None
        if new > 1:
            ends = torch.arange(segment.context - new, segment.context, device=q.device).unsqueeze(1)
            mask = torch.arange(segment.context, device=q.device).unsqueeze(0) <= ends
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
        return out.squeeze(0).transpose(0, 1).reshape(new, -1)

    def _rms(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.config.norm_eps)).to(x.dtype)


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary embedding over two halves of each head; x is (rows, heads, head_dim)."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin
