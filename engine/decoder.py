"""Batches on a CPU without PyTorch: :mod:`mtpo.engine.kernels.decode` for a model.

What a pass through PyTorch costs beside the products (a gather of the blocks of each sequence, hundreds of calls) is
longer than the products where a batch is small; this one attends in place, through the block tables. The formulas and
their order are those of :mod:`mtpo.engine.model`.
"""

from __future__ import annotations

import threading
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
        threads: int = 1,
    ) -> Floats:
        """The logits (wanted, vocab) of some rows of a batch; writes the keys and values of all of them.

        ``x`` (rows, hidden), the embedded tokens, is overwritten. ``angles``: cosines and sines of each row, (rows,
        head_dim). ``slots``: where each one's keys and values go. ``tables``: the blocks of each sequence; ``owners``:
        whose row each one is, an index of ``tables``. A row sees its sequence up to its own of the ``positions``.
        ``kv``: keys and values, each (layers, blocks, block_size, kv_heads, head_dim). ``threads`` share the work; the
        result is the same to the last bit.
        """
        places = np.zeros((len(tables), max(len(table) for table in tables)), np.int64)
        for row, table in zip(places, tables, strict=True):
            row[: len(table)] = table
        norms = (self.norms_in, self.norms_mid, self.norm, self.epsilon)
        weights = (self.qkv, self.out, self.gate_up, self.down, self.head)
        given = (x, *angles, positions, slots, places, owners, wanted, *kv, norms, weights)
        (rows, hidden), ffn = x.shape, self.down[0].shape[2]
        queried, headed = self.qkv[0].shape[1], self.out[0].shape[2]
        logits = _room(len(wanted), self.head[0].shape[0])
        shared = (_room(rows, queried), _room(rows, headed), _room(rows, 2 * ffn), _room(rows, ffn), logits)
        scores = (headed // kv[0].shape[3] // kv[0].shape[4]) * (int(positions.max()) + 1)
        wide = len(wanted)
        own = [
            (_room(rows, hidden), _room(rows, hidden), _room(wide, hidden), np.empty(scores, np.float32))
            for _ in range(threads)
        ]
        gate, failed = np.zeros(1, np.int64), list[BaseException]()

        def part(number: int) -> None:
            try:
                forward(number, threads, gate, *given, shared, own[number])
            except BaseException as error:  # noqa: BLE001 - raised below; the others must not wait
                gate[0] = _OPEN
                failed.append(error)

        others = [threading.Thread(target=part, args=(number,)) for number in range(1, threads)]
        try:
            for other in others:
                other.start()
            part(0)
        finally:
            gate[0] = _OPEN
            for other in others:
                if other.ident is not None:
                    other.join()
        if failed:
            raise failed[0]
        return logits


_OPEN = 1 << 62
"""More than ever come to the gate: who waits there for a thread that failed or was not started goes on, to no end."""


def _room(rows: int, columns: int) -> Floats:
    return np.empty((rows, columns), np.float32)


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
