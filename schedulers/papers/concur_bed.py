"""CONCUR's settings, simulated: batches of agents on H100 nodes, their hit rate and KV usage over time.

Source: arXiv 2601.22705. What the paper tells: models, shards, batch sizes, KV bytes of an agent at its tenth step.
What it does not tell is chosen here, from figures of the run *without* control only (:class:`Case`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from mtpo.schedulers.load import load_policy
from mtpo.schedulers.simulator.cluster import Outcome, Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.metrics import Window
from mtpo.schedulers.simulator.steptime import Hardware, Power, StepTime
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.step.vllm_v1 import VllmV1
from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Conversation, Piece, Turn, Workload

FLOPS: Final = 989e12
BANDWIDTH: Final = 3.35e12
MEMORY: Final = 80e9
"""Of an H100 (SXM): dense bf16 arithmetic per second, bytes per second, bytes."""
FULL: Final = 8000.0
BLOCK: Final = 16


def shards(
    name: str,
    gpus: int,
    *,
    active: float,
    weights: float,
    kv: float,
    attention: float,
    use: float,
    share: float,
    overhead: float,
) -> Hardware:
    """A model on so many H100: an expectation from arithmetic and bandwidth, not a fit.

    ``active`` parameters per token; ``weights`` bytes; ``kv`` bytes per token in all shards together; ``attention``:
    query width times layers; ``use``: share of the arithmetic that prefill reaches; ``share`` of the memory that
    weights and KV cache may take; ``overhead`` seconds of a step that do not shrink (launches, collectives).
    """
    arithmetic, bandwidth = FLOPS * gpus * use, BANDWIDTH * gpus * 0.7
    step = StepTime(
        a=overhead + min(weights, 2 * active) / bandwidth,
        b=2 * active / arithmetic,
        c=kv / bandwidth,
        d=4 * attention / arithmetic,
    )
    return Hardware(name, step, int((share * MEMORY * gpus - weights) / kv), Power(700.0 * gpus, 75.0 * gpus))


def qwen(gpus: int) -> Hardware:
    """Qwen3-32B in bf16: 64 layers, 64 query and 8 KV heads of 128."""
    return shards(
        f"qwen3-32b-tp{gpus}",
        gpus,
        active=32.8e9,
        weights=65.6e9,
        kv=2 * 64 * 8 * 128 * 2,
        attention=64 * 64 * 128,
        use=0.5,
        share=0.85,
        overhead=6e-3,
    )


def deepseek() -> Hardware:
    """DeepSeek-V3 in fp8 on two nodes: the paper's 6.67 GB of KV cache for 4,096 tokens, in all shards together."""
    return shards(
        "deepseek-v3-tp16",
        16,
        active=37e9,
        weights=671e9,
        kv=6.67e9 / 4096,
        attention=61 * 128 * 192,
        use=0.025,
        share=0.91,
        overhead=25e-3,
    )


@attrs.frozen
class Case:
    """One setting. ``agents`` all begin at once and take ``steps`` generation steps; each adds ``growth`` tokens to the
    context, ``kept`` (0..1) of its ``output`` among them; tools run for exponential times of mean ``tool`` seconds.

    Told by the paper: model, shards, agents, ``growth`` (KV bytes at the tenth step). Chosen here: the rest, so that
    the run without control behaves as published.
    """

    name: str
    hardware: Hardware
    agents: int
    steps: int
    growth: int
    output: int
    kept: float
    tool: float
    caps: tuple[int, ...]
    requests: tuple[int, ...]


CASES: Final[Mapping[str, Case]] = MappingProxyType(
    {
        one.name: one
        for one in (
            Case("Qwen3-32B TP8", qwen(8), 256, 30, 572, 250, 1.0, 3.0, (64, 96, 128, 160), (64, 128)),
            Case("Qwen3-32B TP2", qwen(2), 256, 18, 572, 250, 1.0, 3.0, (16, 24, 32, 48, 64), (32, 64)),
            Case("DeepSeek-V3", deepseek(), 40, 11, 1040, 300, 0.0, 3.0, (8, 16, 20, 24, 28, 32), (8, 16, 24, 32)),
        )
    }
)


def batch(case: Case, agents: int | None = None, seed: int = 0) -> Workload:
    """The agents of a case, all at once."""
    draw = random.Random(f"concur {seed}")

    def vary(mean: float) -> int:
        """A factor between 1/2 and 3/2."""
        return max(1, round(mean * (0.5 + draw.random())))

    made = []
    for index in range(agents or case.agents):
        context, turns = 0, []
        for step in range(case.steps):
            output = vary(case.output)
            kept = round(case.kept * output)
            context += max(1, vary(case.growth) - (kept if step else 0)) if step else vary(case.growth)
            # Output that is not kept (reasoning) is shared with nobody, and no part of the next prompt.
            content = (Piece(index, context + kept),)
            turns.append(Turn(context, output, draw.expovariate(1 / case.tool) if step else 0.0, content))
            context += kept
        made.append(Conversation(str(index), 0.0, tuple(turns)))
    return Workload(case.name, tuple(made), timed=False)


def workload_of(case: Case, agents: int | None, trace: str | None, format: str | None) -> Workload:
    """The study's own agents, or as many conversations of a trace, all at once; those that could never fit left out."""
    if trace is None:
        return batch(case, agents)
    found = load_workload(trace, format or "sessions")
    room = case.hardware.kv_tokens // BLOCK * BLOCK
    kept = [attrs.evolve(one, arrival=0.0) for one in found.conversations if one.peak <= room]
    return attrs.evolve(found, conversations=tuple(kept[: agents or case.agents]), timed=False)


@attrs.frozen
class Run:
    """A batch under one admission policy. ``seconds`` to its end; ``hit_rate`` (0..1) of all prompt tokens; ``usage``:
    mean share of the KV cache that is referenced. ``middle``: the share of the run between the first and the last
    window in which at least 80 % are; ``middle_hits`` the hit rate there, ``before`` and ``after`` those outside, None
    where there is none. ``again``: the share of the run that prompts took whose KV had been evicted, their attention
    not counted. ``windows`` of ``width`` seconds."""

    case: str
    policy: str
    agents: int
    seconds: float
    hit_rate: float
    usage: float
    middle: float
    before: float | None
    middle_hits: float | None
    after: float | None
    again: float
    tokens: int
    preemptions: int
    windows: tuple[Window, ...]
    width: float


def run(name: str, policy: str, agents: int | None, trace: str | None, format: str | None, width: float) -> Run:
    """One batch under one policy."""
    case = CASES[name]
    workload = workload_of(case, agents, trace, format)
    caps = Caps(case.hardware.kv_tokens // BLOCK, BLOCK, 8192, 512)
    setup = Setup(
        VllmV1(), (WorkerSetup(case.hardware, caps),), load_policy(policy, "admission"), ttft_slo=None, tpot_slo=None
    )
    outcome = simulate(workload, attrs.evolve(setup, window=width))
    return _run(case, policy, workload, outcome)


def _run(case: Case, policy: str, workload: Workload, outcome: Outcome) -> Run:
    windows = outcome.windows
    full = [window.start for window in windows if window.kv_usage >= 0.8]
    begin, end = (full[0], full[-1]) if full else (outcome.end, outcome.end)
    parts = (
        [window for window in windows if window.start < begin],
        [window for window in windows if begin <= window.start <= end],
        [window for window in windows if window.start > end],
    )
    before, middle, after = (_hits(part) for part in parts)
    computed = outcome.prompt - outcome.hits
    again = (computed - once(workload)) * case.hardware.step.b
    return Run(
        case.name,
        policy,
        len(workload.conversations),
        outcome.end,
        outcome.hits / outcome.prompt,
        sum(window.kv_usage for window in windows) * outcome.window / outcome.end,
        min(1.0, (end - begin + outcome.window) / outcome.end) if full else 0.0,
        before,
        middle,
        after,
        max(0.0, again) / outcome.end,
        sum(turn.output for turn in outcome.turns),
        outcome.preemptions,
        windows,
        outcome.window,
    )


def _hits(windows: list[Window]) -> float | None:
    prompt = sum(window.prompt for window in windows)
    return sum(window.hits for window in windows) / prompt if prompt else None


def once(workload: Workload) -> int:
    """Prompt tokens that have to be computed even if nothing is ever evicted: those that no turn of the conversation
    had before."""
    total = 0
    for conversation in workload.conversations:
        seen: dict[int, int] = {}
        for turn in conversation.turns:
            known, fresh = True, 0
            at = 0
            for piece in turn.content:
                have = seen.get(piece.tag, 0) if known else 0
                inside = max(0, min(piece.tokens, turn.prompt - at))
                fresh += max(0, inside - have)
                known = known and have >= piece.tokens
                at += piece.tokens
            total += fresh + max(0, turn.prompt - at)
            seen = {piece.tag: piece.tokens for piece in turn.content}
    return total
