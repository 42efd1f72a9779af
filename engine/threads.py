"""How many threads a decode step should use, found by trying."""

from __future__ import annotations

import os
import statistics
import time

import torch

from mtpo.engine.model import Batch, KVStore, Llama, Segment

_CONTEXT, _BLOCK, _TRIES = 384, 16, 7


def choose_threads(model: Llama) -> int:
    """Set torch to the number of threads with which a small decode batch is fastest now; returns it.

    More is not always better: the products of a small model are short, and on a machine that is busy with something
    else the threads wait for each other.
    """
    if model.device != "cpu":
        return torch.get_num_threads()
    blocks = _CONTEXT // _BLOCK
    store = KVStore(model.config, 2 * blocks, _BLOCK, model.dtype, model.device)
    segments = tuple(Segment(i, i + 1, _CONTEXT, torch.arange(i * blocks, (i + 1) * blocks)) for i in range(2))
    last = torch.tensor([_CONTEXT - 1] * 2)
    slots = torch.tensor([_CONTEXT - 1, 2 * _CONTEXT - 1])
    batch = Batch(torch.tensor([0, 0]), last, slots, segments, torch.arange(2))
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
