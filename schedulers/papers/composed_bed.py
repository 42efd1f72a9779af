"""Three layers together: coding agents on a cluster, under combinations of step, admission and placement policies.

Sessions of coding agents: long first prompts, short turns, tools between them. Useful tokens are the output tokens of
turns whose every token was on time; a combination is judged at the highest rate at which enough turns are, those of
several draws of arrivals together, so that no lucky one decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from mtpo.schedulers.load import load_policy
from mtpo.schedulers.papers.table import Options, StudyError
from mtpo.schedulers.simulator.cluster import Outcome, Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.loss import Loss
from mtpo.schedulers.simulator.metrics import spread
from mtpo.schedulers.simulator.steptime import H200_8B
from mtpo.schedulers.simulator.worker import Caps, StuckError
from mtpo.schedulers.traces.generate import Lengths, agents
from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Workload, counted

TTFT, TPOT = 10.0, 0.05
"""Objectives in seconds: a first prompt of 260,000 tokens takes 8 s alone."""
ATTAINED: Final = 0.9
"""The share of turns that have to be on time throughout."""
CAPS: Final = Caps(H200_8B.kv_tokens // 16, 16, 16384, 256)
_MODEL: Final = "a=0.0065,b=0.000032,c=0.000000035,ttft=10,tpot=0.05"
FAIR: Final = f"fairbatching:{_MODEL}"
BOUNDED: Final = f"bounded_gap:0.2,{_MODEL}"
RELEGATING: Final = f"{BOUNDED},relegate=yes"
LARGEST: Final = 400_000
"""Tokens: longer sessions are left out; half of a worker's KV cache."""


@attrs.frozen
class Combination:
    """Policies of the three layers; ``split``: one prefiller and the rest decoders, else every worker does both."""

    step: str
    admission: str
    placement: str
    split: bool = False


OURS: Final = "bounded gap, footprint, failover"
COMBINATIONS: Final[Mapping[str, Combination]] = {
    OURS: Combination(RELEGATING, "footprint:0.9,per_request=yes", "failover:1,promise=16,move=30000"),
    "Sarathi 512, none, collocated": Combination("sarathi:512", "none", "collocated"),
    "FairBatching, none, collocated": Combination(FAIR, "none", "collocated"),
    "FairBatching, CONCUR, collocated": Combination(FAIR, "concur:period=1", "collocated"),
    "FairBatching, none, ConServe": Combination(FAIR, "none", "conserve", True),
    "FairBatching, CONCUR, ConServe": Combination(FAIR, "concur:period=1", "conserve", True),
    "bounded gap, none, failover": Combination(RELEGATING, "none", "failover:1,promise=16"),
    "bounded gap, footprint, failover without moves": Combination(
        RELEGATING, "footprint:0.9,per_request=yes", "failover:1,promise=16"
    ),
    "bounded gap by deadline, none, failover": Combination(BOUNDED, "none", "failover:1,promise=16"),
    "bounded gap, footprint by agents, failover": Combination(RELEGATING, "footprint", "failover"),
    "FairBatching, footprint, collocated": Combination(FAIR, "footprint", "collocated"),
}
"""Ours, then five of published ones only, then others with some of ours."""
MIXED: Final = frozenset([*COMBINATIONS][6:])


@attrs.frozen
class Size:
    """``sessions`` of at most ``turns`` turns on ``workers``, at each of ``rates`` per second, in each of ``draws`` of
    arrivals: seeds from 0."""

    sessions: int
    turns: int
    workers: int
    rates: tuple[float, ...]
    draws: int = 1


FULL: Final = Size(60, 6, 4, (0.2, 0.3, 0.35, 0.4, 0.5, 0.6), 4)
QUICK: Final = Size(24, 4, 2, (0.1, 0.2, 0.4))


def read(options: Options, size: Size) -> Workload:
    """The first sessions of a trace, or generated ones of the same shape; turns and sessions cut to the size. Raises
    :class:`StudyError` for a trace with too few of them."""
    if options.trace is None:
        # Medians and tails like those of published sessions: first prompts, what a turn adds, outputs.
        found = agents(
            "sessions like those of a coding agent",
            size.sessions,
            size.turns,
            Lengths(25_000, 300_000),
            Lengths(700, 12_000),
            Lengths(220, 3_000),
            20.0,
        )
    else:
        found = load_workload(options.trace, options.format or "sessions")
    kept = tuple(one for one in found.first(None, size.turns).conversations if one.peak <= LARGEST)[: size.sessions]
    if len(kept) < min(size.sessions, 8):
        raise StudyError(
            f"{options.trace or 'generator'}: {counted(len(kept), 'session')} of at most {LARGEST:,} tokens; 8 needed"
        )
    return attrs.evolve(found, conversations=kept, timed=False)


@attrs.frozen
class Draw:
    """Of one combination at one rate in one draw of arrivals. ``asked`` turns, ``on_time`` of them with every token on
    time; ``useful``: their output tokens per second of arrivals, as if sessions kept coming; ``ttfts`` and the longest
    of the ``gaps`` of each turn, in seconds; ``prompt`` tokens looked up, ``hits`` found; ``given_up``: turns that were
    refused or lost; ``stuck``: its policies waited for each other, and nothing went on."""

    asked: int
    on_time: int = 0
    useful: float = 0.0
    ttfts: tuple[float, ...] = ()
    gaps: tuple[float, ...] = ()
    prompt: int = 0
    hits: int = 0
    preempted: int = 0
    given_up: int = 0
    replaced: int = 0
    stuck: bool = False


@attrs.frozen
class Figures:
    """Of one combination at one rate, all draws together. ``kept``: the share of turns with every token on time;
    ``range``: the least and the most of one draw; ``useful``: the mean of the draws; ``ttft`` P95 and ``gap`` P99 in
    seconds, of all turns; ``hits``: share of prompt tokens; counts are sums; ``stuck``: in one draw at least."""

    kept: float
    range: tuple[float, float]
    useful: float
    ttft: float
    gap: float
    hits: float
    preempted: int
    given_up: int
    replaced: int
    stuck: bool = False


def measure(workload: Workload, name: str, workers: int, rate: float, seed: int = 0, lost: float | None = None) -> Draw:
    """One combination at one rate; ``seed`` of the arrivals; ``lost``: when the last worker is lost, in seconds."""
    one = COMBINATIONS[name]
    both = WorkerSetup(H200_8B, CAPS)
    cluster = (both,) * workers
    if one.split:
        decoder = attrs.evolve(both, prefills=False)
        cluster = (attrs.evolve(both, decodes=False), *(decoder,) * (workers - 1))
    setup = Setup(
        load_policy(one.step),
        cluster,
        load_policy(one.admission, "admission"),
        load_policy(one.placement, "placement"),
        TTFT,
        TPOT,
        losses=() if lost is None else (Loss(workers - 1, lost),),
    )
    try:
        outcome = simulate(workload.at_rate(rate, seed), setup)
    except StuckError:
        return Draw(workload.requests, given_up=workload.requests, stuck=True)
    return drawn(outcome, len(workload.conversations) / rate)


def drawn(outcome: Outcome, seconds: float) -> Draw:
    """What counts of an outcome; sessions arrived for so many seconds."""
    useful = [turn for turn in outcome.turns if not turn.late]
    return Draw(
        len(outcome.turns) + outcome.shed + outcome.lost,
        len(useful),
        sum(turn.output for turn in useful) / seconds,
        tuple(turn.ttft for turn in outcome.turns),
        tuple(turn.gap for turn in outcome.turns),
        outcome.prompt,
        outcome.hits,
        outcome.preemptions,
        outcome.shed + outcome.lost,
        outcome.replaced,
    )


def together(draws: Sequence[Draw]) -> Figures:
    """Several draws as one; at least one."""
    each = [draw.on_time / draw.asked for draw in draws]
    prompt = sum(draw.prompt for draw in draws)
    return Figures(
        sum(draw.on_time for draw in draws) / sum(draw.asked for draw in draws),
        (min(each), max(each)),
        sum(draw.useful for draw in draws) / len(draws),
        spread(ttft for draw in draws for ttft in draw.ttfts).p95,
        spread(gap for draw in draws for gap in draw.gaps).p99,
        sum(draw.hits for draw in draws) / prompt if prompt else 0.0,
        sum(draw.preempted for draw in draws),
        sum(draw.given_up for draw in draws),
        sum(draw.replaced for draw in draws),
        any(draw.stuck for draw in draws),
    )
