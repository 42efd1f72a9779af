"""Batches on a CPU without PyTorch: :mod:`mtpo.engine.kernels.decode` for a model.

What a pass through PyTorch costs beside the products (a gather of the blocks of each sequence, hundreds of calls) is
longer than the products where a batch is small; this one attends in place, through the block tables. The formulas and
their order are those of :mod:`mtpo.engine.model`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np

from mtpo.engine.config import ModelConfig
from mtpo.engine.groups import GROUP, Floats, Groups, stacked
from mtpo.engine.kernels.decode import Whole, forward

Matrices = tuple[Any, Floats, Floats]
"""Integers, scales and offsets of a matrix; those of a layer in front, if there are layers."""


@attrs.frozen(eq=False)
class Decoder:
    """A model's weights for :meth:`logits`. Norms and the angles' cosines and sines in fp32; all else in groups."""

    norms_in: Floats
    norms_mid: Floats
    norm: Floats
    epsilon: np.float32
    qkv: Matrices
    out: Matrices
    gate_up: Matrices
    down: Matrices
    head: Matrices

    most_rows: ClassVar[int] = 512
    """Rows up to which this is used; more are as fast, or faster, as a whole attention of each sequence."""

    def logits(
        self,
        x: Floats,
        angles: tuple[Floats, Floats],
        positions: Whole,
        slots: Whole,
        tables: Sequence[Whole],
        owners: Whole,
        wanted: Whole,
        kv: tuple[Floats, Floats],
    ) -> Floats:
        """The logits (wanted, vocab) of some rows of a batch; writes the keys and values of all of them.

        ``x`` (rows, hidden), the embedded tokens, is overwritten. ``angles``: cosines and sines of each row, (rows,
        head_dim). ``slots``: where each one's keys and values go. ``tables``: the blocks of each sequence; ``owners``:
        whose row each one is, an index of ``tables``. A row sees its sequence up to its own of the ``positions``.
        ``kv``: keys and values, each (layers, blocks, block_size, kv_heads, head_dim).
        """
        places = np.zeros((len(tables), max(len(table) for table in tables)), np.int64)
        for row, table in zip(places, tables, strict=True):
            row[: len(table)] = table
        norms = (self.norms_in, self.norms_mid, self.norm, self.epsilon)
        weights = (self.qkv, self.out, self.gate_up, self.down, self.head)
        found: Floats = forward(x, *angles, positions, slots, places, owners, wanted, *kv, norms, weights)
        return found


def decoder(config: ModelConfig, groups: Mapping[str, Groups], norms: Mapping[str, Floats]) -> Decoder | None:
    """A model's decoder; None when a matrix is not in groups, or a width that is summed over is not of whole groups.

    Names are Hugging Face's, without the ``.weight`` at the end.
    """
    each = [f"model.layers.{i}." for i in range(config.layers)]

    def layers(*names: str) -> Matrices:
        found = [_matrix(stacked([groups[f"{at}{name}"] for name in names])) for at in each]
        integers, scales, offsets = (np.stack(part) for part in zip(*found, strict=True))
        return integers, scales, offsets

    if any(width % GROUP for width in (config.hidden, config.heads * config.head_dim, config.ffn)):
        return None
    try:
        return Decoder(
            np.stack([norms[f"{at}input_layernorm"] for at in each]),
            np.stack([norms[f"{at}post_attention_layernorm"] for at in each]),
            norms["model.norm"],
            np.float32(config.norm_eps),
            layers(*(f"self_attn.{p}_proj" for p in "qkv")),
            layers("self_attn.o_proj"),
            layers("mlp.gate_proj", "mlp.up_proj"),
            layers("mlp.down_proj"),
            _matrix(groups["model.embed_tokens" if config.tied else "lm_head"]),
        )
    except KeyError:
        return None


def _matrix(groups: Groups) -> Matrices:
    return groups.integers, groups.scales, groups.offsets
