"""The paged KV cache."""

from __future__ import annotations

from typing import Final

from mtpo.spec.rules.rule import rules_of

_kv = rules_of("kv")

KV: Final = (
    _kv(
        "blocks",
        "PagedAttention 4.2",
        "Keys and values live in blocks of a pool; a block table maps a sequence to blocks.",
        "allocate_first allocate free-xor-owned conservation one-chain fresh-when-allocated",
    ),
    _kv(
        "in-order",
        "PagedAttention 4.3; ours, F7",
        "Blocks are filled from the left; the next one when the one before it is full.",
        "fill prefix-computed",
    ),
    _kv(
        "sharing",
        "PagedAttention 4.4",
        "Sequences share the blocks of a common prefix; a shared block is not written.",
        "share no-double-owner write-exclusive reach-shared",
        "Copy on write is not modelled: only full, published blocks are shared.",
    ),
    _kv(
        "prefix-cache",
        "vLLM, automatic prefix caching",
        "A full block is found by the hash of its whole prefix, and stays until it is evicted, leaves first.",
        "publish evict published-is-computed prefix-closed eviction-only-unreferenced content-stable reach-cached",
    ),
    _kv(
        "release",
        "PagedAttention 4.5",
        "A sequence gives back its blocks at its end, or when it is preempted.",
        "release conservation",
        "Swapping to the host's memory is not modelled.",
    ),
    _kv(
        "in-flight",
        "ours",
        "What a step in flight reads and writes is not reused before it is done.",
        "begin complete no-reuse-in-flight",
    ),
)
