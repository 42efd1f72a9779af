"""Batches under a budget of tokens, as three published schedulers form them: Sarathi-Serve, vLLM V1, prefill first.

A step computes a batch of tokens: of prompts (*prefill*, in chunks if need be), or the next one of a sequence
(*decode*). Its budget is a number of *slots*, each for one token. Requests arrive in order, wait, are admitted with the
first token that they are given, run, and leave after some token that they emit. Three policies:

* ``decodes_first``: Sarathi-Serve's stall-free batching (OSDI 2024). Every decode first, then prompts that have begun,
  then new ones, in chunks that fill the budget.
* ``prefill_first``: vLLM V0 without chunked prefill (SOSP 2023). If a prompt can be had the step computes prompts only,
  whole ones; else a decode of each running request. A prompt longer than a step has steps of its own.
* with neither: vLLM V1. Running requests in the order of their list, each all that it lacks; then waiting ones, unless
  somebody was preempted; no cap on long prompts beside the budget.

The cache is not modelled, but what it may do is: at any moment of a step it may turn out to have no room for what a
request would be given (``tight``; of a waiting request under Sarathi and prefill first its whole prompt), until
somebody is preempted, who gives up all that was computed of it. So what is shown holds for a cache of any size. Caps on
the number of requests are left out, and how many whole prompts prefill first puts into one step is left open.

Stages of a round: 0 between steps, 1 the batch is formed, 2 it is complete.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.batching import properties
from mtpo.spec.batching.model import Position, Request, Slot, batching

__all__ = ["EQUIVALENT", "Position", "Request", "Slot", "batching", "properties"]

EQUIVALENT: Final = {
    "batching.arrive.new/0@74ba0dd8": "to arrive again changes nothing",
    "batching.decode.stage@4b3126ab": "when a batch is complete there is no slot, or no decode could take a token",
}
