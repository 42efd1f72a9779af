"""Greedy generation on the CPU in fp32: tokens a second of the engine, with its monitor on, beside transformers.

SmolLM2-135M-Instruct, weights from the same file, as many threads for both; several sequences at once, each with a
prompt of 32 random tokens, as a batch for transformers. Wall-clock time with the prompts, runs in turns, medians.
``generate`` of transformers is called once before, as is the engine, so that neither pays for its first time.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import mtpo.engine  # noqa: F401 - before torch: it sets how threads wait

# isort: split
import torch
from measure import Figure

from mtpo.engine.engine import Engine
from mtpo.engine.model import Llama
from mtpo.engine.threads import choose_threads
from mtpo.engine.weights import find_smollm2, load_gguf

SEQUENCES = (1, 2, 8)
PROMPT, NEW, TURNS = 32, 48, 3
GOAL = 1.0


def figures(tell: Callable[[str], None]) -> list[Figure]:
    """The figures of this benchmark."""
    tell("loading the model")
    model = Llama(load_gguf(find_smollm2()))
    choose_threads(model)
    peer = _peer()
    found = []
    for count in SEQUENCES:
        source = torch.Generator().manual_seed(count)
        prompts = torch.randint(1000, 40_000, (count, PROMPT), generator=source)
        _ours(model, prompts), _theirs(peer, prompts)
        ours, theirs = list[float](), list[float]()
        for turn in range(TURNS):
            tell(f"{count} at once, turn {turn + 1} of {TURNS}")
            ours.append(_ours(model, prompts))
            theirs.append(_theirs(peer, prompts))
        what = f"{count} at once: tokens per second"
        found.append(Figure(what, statistics.median(ours), statistics.median(theirs), GOAL))
    return found


def _peer() -> Any:
    os.environ["HF_HUB_OFFLINE"] = "1"
    import transformers

    path = find_smollm2()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    ).eval()


def _ours(model: Llama, prompts: torch.Tensor) -> float:
    engine = Engine(model)
    begin = time.perf_counter()
    for prompt in prompts.tolist():
        engine.submit(engine.open(), prompt, max_new=NEW)
    while engine.busy:
        engine.step()
    return prompts.shape[0] * NEW / (time.perf_counter() - begin)


def _theirs(peer: Any, prompts: torch.Tensor) -> float:
    begin = time.perf_counter()
    with torch.inference_mode():
        peer.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            min_new_tokens=NEW,
            max_new_tokens=NEW,
            do_sample=False,
            pad_token_id=0,
        )
    return prompts.shape[0] * NEW / (time.perf_counter() - begin)
