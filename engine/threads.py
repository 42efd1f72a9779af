"""How many threads PyTorch should use in a step, found by trying."""

from __future__ import annotations

import os
import statistics
import time

import torch

from mtpo.engine.model import Batch, KVStore, Llama, Segment

_CONTEXT, _BLOCK, _CHUNK, _TRIES = 384, 16, 32, 7


def choose_threads(model: Llama) -> int:
    """Set torch to the number of threads with which a small batch is fastest now; returns it.

    More is not always better: the products of a small model are short, and on a machine that is busy with something
    else the threads wait for each other. The batch is two decodes, or, where those are not computed by torch, two
    chunks of prompts.
    """
    if model.device != "cpu":
        return torch.get_num_threads()
    each = 1 if model.decoder is None else _CHUNK
    blocks = _CONTEXT // _BLOCK
    store = KVStore(model.config, 2 * blocks, _BLOCK, model.dtype, model.device)
    tables = [torch.arange(i * blocks, (i + 1) * blocks) for i in range(2)]
    segments = tuple(Segment(i * each, (i + 1) * each, _CONTEXT, table) for i, table in enumerate(tables))
    last = torch.arange(_CONTEXT - each, _CONTEXT)
    batch = Batch(
        torch.zeros(2 * each, dtype=torch.int64),
        last.repeat(2),
        torch.cat((last, last + _CONTEXT)),
        segments,
        torch.tensor([each - 1, 2 * each - 1]),
    )
    found: dict[int, float] = {}
    count = 1
    while count <= (os.cpu_count() or 1):
        torch.set_num_threads(count)
        model.forward(batch, store)
        times = []
        for _ in range(_TRIES):
            begin = time.perf_counter()
            model.forward(batch, store)
            times.append(time.perf_counter() - begin)
        found[count] = statistics.median(times)
        count *= 2
    best = min(found, key=found.__getitem__)
    torch.set_num_threads(best)
    return best
