"""One worker: a model and the memory of its KV cache; it executes batches and decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch

from mtpo.engine.errors import EngineError, shown, told, whole
from mtpo.engine.model import Batch, KVStore, Llama, Segment


@attrs.frozen
class Chunk:
    """Tokens of one sequence to compute, from position ``start``, into ``table``; ``wants`` the logits of the last."""

    tokens: Sequence[int]
    start: int
    table: Sequence[int]
    wants: bool


class Worker:
    """Owns a model and ``blocks`` blocks of ``block_size`` slots. Raises :class:`EngineError` without the memory."""

    def __init__(self, model: Llama, blocks: int, block_size: int) -> None:
        blocks, block_size = whole("blocks", blocks), whole("block_size", block_size)
        self.model, self.block_size = model, block_size
        config = model.config
        size = 2 * config.layers * blocks * block_size * config.kv_heads * config.head_dim * model.dtype.itemsize
        reason = (
            f"no memory for a KV cache of {shown(blocks)} blocks of {shown(block_size)} tokens, {shown(size >> 30)} GiB"
        )
        if size >= 1 << 63:
            raise EngineError(reason)
        try:
            self.store = KVStore(config, blocks, block_size, model.dtype, model.device)
        except (RuntimeError, MemoryError) as error:
            raise EngineError(f"{reason}: {told(error)}") from error

    def run(self, chunks: Sequence[Chunk]) -> list[torch.Tensor]:
        """Compute the chunks in one pass; returns the logits (vocab,) of those that want them, in order."""
        size, device = self.block_size, self.model.device
        tokens, positions, slots, wanted = list[int](), list[int](), list[int](), list[int]()
        segments = []
        for chunk in chunks:
            first = len(tokens)
            stop = chunk.start + len(chunk.tokens)
            tokens += chunk.tokens
            positions += range(chunk.start, stop)
            slots += (chunk.table[p // size] * size + p % size for p in range(chunk.start, stop))
            table = torch.tensor(chunk.table[: -(-stop // size)], device=device)
            segments.append(Segment(first, len(tokens), stop, table))
            if chunk.wants:
                wanted.append(len(tokens) - 1)
        batch = Batch(
            torch.tensor(tokens, device=device),
            torch.tensor(positions, device=device),
            torch.tensor(slots, device=device),
            tuple(segments),
            torch.tensor(wanted, dtype=torch.int64, device=device),
        )
        return list(self.model.forward(batch, self.store))
