"""How many threads should compute a step, found by trying."""

from __future__ import annotations

import os
import statistics
import time

import torch

from mtpo.engine.model import Batch, KVStore, Llama, Segment

_CONTEXT, _BLOCK, _TRIES = 384, 16, 7


def choose_threads(model: Llama) -> int:
    """Set torch, and with it the model's decoder, to the number of threads with which two decodes are fastest now.

    Returns it. More is not always better: the products of a small model are short, and on a machine that is busy with
    something else the threads wait for each other.
    """
    if model.device != "cpu":
        return torch.get_num_threads()
    blocks = _CONTEXT // _BLOCK
    store = KVStore(model.config, 2 * blocks, _BLOCK, model.dtype, model.device)
    tables = [torch.arange(i * blocks, (i + 1) * blocks) for i in range(2)]
    batch = Batch(
        torch.zeros(2, dtype=torch.int64),
        torch.full((2,), _CONTEXT - 1),
        torch.tensor([_CONTEXT - 1, 2 * _CONTEXT - 1]),
        tuple(Segment(i, i + 1, _CONTEXT, table) for i, table in enumerate(tables)),
        torch.arange(2),
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
