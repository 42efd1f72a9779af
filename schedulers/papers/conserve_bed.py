"""ConServe's testbed, simulated: four A40 with Qwen3-0.6B, conversations of a coding agent, four ways to place them.

Source: arXiv 2606.01839 and its research artifact. Times of steps and transfers are the artifact's measurements
(:mod:`~mtpo.schedulers.simulator.steptime`); lengths come from a trace, or are drawn from the quantiles of the
artifact's own workload. One :class:`Cell` is one rate, one power cap and one seed, all systems.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import attrs

from mtpo.schedulers.placement.conserve import Ampd, ConServe
from mtpo.schedulers.placement.failover import Failover
from mtpo.schedulers.placement.simple import Collocated, FullDisaggregation
from mtpo.schedulers.simulator.cluster import Outcome, Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.energy import Load
from mtpo.schedulers.simulator.metrics import TurnRecord, spread
from mtpo.schedulers.simulator.steptime import A40_QWEN_06B, A40_QWEN_06B_200W
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.step.vllm_v1 import VllmV1
from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Conversation, Workload, linear
from mtpo.schedulers.types import PlacementPolicy

TURNS: Final = 5
CONVERSATIONS: Final = 255
APPENDED: Final = 67
"""Tokens that a later turn adds to the history: nearly always so many, in the artifact's workload."""

SLO: Final = 5.0
"""Times what the same conversation takes alone."""

SYSTEMS: Final[Mapping[str, PlacementPolicy]] = MappingProxyType(
    {
        "Collocated": Collocated(hold=True, oracle=True),
        "Full disaggregation": FullDisaggregation(),
        "AMPD": Ampd(0.1),
        "ConServe": ConServe(),
        "ConServe, oracle": ConServe(oracle=True),
        "failover": Failover(),
    }
)
"""Collocated as in the artifact: a conversation waits until its peak fits, which an oracle tells. Failover is this
project's own."""

SHARES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.997, 1.0)
FIRST: Final = (8700, 11644, 14616, 15709, 16412, 16739, 17546, 18201, 18703, 20085)
OUTPUTS: Final = (
    (64, 75, 88, 106, 133, 161, 214, 283, 314, 318),
    (34, 36, 39, 40, 42, 46, 56, 60, 68, 69),
    (31, 37, 42, 49, 57, 65, 80, 97, 138, 159),
    (29, 34, 43, 54, 72, 168, 1127, 4101, 6492, 9502),
    (31, 38, 59, 131, 233, 656, 4074, 4900, 6106, 7985),
)
"""Tokens of the first prompt, and of the output of each turn, at these shares of the 255 conversations that the
artifact runs: mini-swe-agent on SWE-bench (its trace_profile_summary.csv, Apache-2.0)."""


def quantile(values: Sequence[float], share: float) -> int:
    """The length at a share (0..1) of the conversations: between two known ones on a logarithmic scale."""
    at = next(at for at, end in enumerate(SHARES[1:], 1) if share <= end)
    part = (share - SHARES[at - 1]) / (SHARES[at] - SHARES[at - 1])
    return round(math.exp((1 - part) * math.log(values[at - 1]) + part * math.log(values[at])))


def conversations(n: int, seed: int = 0) -> Workload:
    """Conversations with lengths like those of the artifact, without arrivals; tools take no time there. Each kind of
    length has its ``n`` quantiles, in an order of its own."""
    draw = random.Random(f"conserve {seed}")

    def column(values: Sequence[float]) -> list[int]:
        found = [quantile(values, (at + 0.5) / n) for at in range(n)]
        draw.shuffle(found)
        return found

    first, outputs = column(FIRST), [column(values) for values in OUTPUTS]
    made = []
    for index in range(n):
        lengths = [(APPENDED if turn else first[index], outputs[turn][index], 0.0) for turn in range(TURNS)]
        made.append(Conversation(str(index), 0.0, linear(index, lengths)))
    return Workload("lengths like those of mini-swe-agent", tuple(made), timed=False)


def workload_of(trace: str | None, format: str | None, n: int) -> Workload:
    """The study's own conversations, or the first turns of those of a trace that have as many; without arrivals."""
    if trace is None:
        return conversations(n)
    found = load_workload(trace, format or "swe-agent")
    long = tuple(one for one in found.conversations if len(one.turns) >= TURNS)
    return attrs.evolve(attrs.evolve(found, conversations=long).first(n, TURNS), timed=False)


PREFILLER: Final = Caps(308_448 // 16, 16, 8192, 256)
DECODER: Final = Caps(308_448 // 16, 16, 2944, 256)


def workers_of(system: str, capped: bool) -> tuple[WorkerSetup, ...]:
    """One prefiller and three decoders, or four workers for both. Capped: the last three at 200 W."""
    rest = A40_QWEN_06B_200W if capped else A40_QWEN_06B
    if system == "Collocated":
        return (WorkerSetup(A40_QWEN_06B, DECODER), *(WorkerSetup(rest, DECODER),) * 3)
    return (WorkerSetup(A40_QWEN_06B, PREFILLER, True, False), *(WorkerSetup(rest, DECODER, False),) * 3)


@attrs.frozen
class Alone:
    """One conversation on a worker of its own: seconds to the first token of its last turn, to its end, and between
    two tokens of the last turn in the mean."""

    ttfet: float
    whole: float
    gap: float


def alone(workload: Workload) -> dict[str, Alone]:
    """Every conversation alone."""
    far = tuple(attrs.evolve(one, arrival=1e5 * at) for at, one in enumerate(workload.conversations))
    apart = attrs.evolve(workload, conversations=far)
    outcome = simulate(apart, Setup(VllmV1(), (WorkerSetup(A40_QWEN_06B, DECODER),), gaps=True))
    return {
        name: Alone(last.first - first.submitted, last.end - first.submitted, _mean(last.gaps))
        for name, first, last in _ends(outcome)
    }


@attrs.frozen
class Figures:
    """Of one system in one cell. Latencies are 95th percentiles in units of the conversation alone; ``late``: the
    conversations, in percent, that took more than :data:`SLO` of them.

    ``ttfet``, ``whole``: as the artifact measures them. Its clock starts when the first prompt does (disaggregated) or
    when its arrival, recorded there, is played back to a worker (others), and leaves out the wait for a decoder.
    ``ttfet_all``, ``whole_all``: from asking, on Poisson arrivals, nothing left out. ``wait``, ``wait_all``: the 95th
    percentile of what is left out before the first prompt, and in all, in seconds.
    """

    ttfet: float
    gap: float
    whole: float
    ttfet_late: float
    gap_late: float
    whole_late: float
    ttfet_all: float
    whole_all: float
    ttfet_all_late: float
    wait: float
    wait_all: float
    tokens: int
    end: float
    loads: tuple[Load, ...]
    transfers: int
    most_transfers: int
    preemptions: int
    ended: int


@attrs.frozen
class Cell:
    """``offered`` conversations per second, Poisson; ``served``: how many the prefiller began per second."""

    offered: float
    capped: bool
    seed: int
    served: float
    figures: dict[str, Figures]


def measure(
    trace: str | None,
    format: str | None,
    n: int,
    offered: float,
    capped: bool,
    seed: int,
    solo: dict[str, Alone],
    systems: tuple[str, ...],
) -> Cell:
    """All systems at one rate. Recorded arrivals, for those that are not disaggregated by conversation, are the times
    at which ConServe's prefiller began, as in the artifact."""
    workload = workload_of(trace, format, n).at_rate(offered, seed)
    found: dict[str, Figures] = {}
    began: list[float] = []
    for system in ("ConServe", *(one for one in systems if one != "ConServe")):
        outcome = _run(workload, system, capped, seed)
        direct = system in ("Collocated", "Full disaggregation")
        if not began:
            began = sorted(turn.began for turn in outcome.turns if turn.turn == 1)
        played = _run(_at(workload, began), system, capped, seed) if direct else outcome
        found[system] = _figures(played, outcome, direct, solo)
    return Cell(offered, capped, seed, (len(began) - 1) / (began[-1] - began[0]), found)


def _run(workload: Workload, system: str, capped: bool, seed: int) -> Outcome:
    placement = SYSTEMS[system]
    if isinstance(placement, Ampd):
        placement = attrs.evolve(placement, seed=seed)
    return simulate(workload, Setup(VllmV1(), workers_of(system, capped), placement=placement, gaps=True))


def _at(workload: Workload, times: Sequence[float]) -> Workload:
    moved = (attrs.evolve(one, arrival=at) for one, at in zip(workload.conversations, times, strict=True))
    return attrs.evolve(workload, conversations=tuple(moved))


def _ends(outcome: Outcome) -> list[tuple[str, TurnRecord, TurnRecord]]:
    """Conversations that ended, with their first and last turns."""
    first = {turn.conversation: turn for turn in outcome.turns if turn.turn == 1}
    return [(turn.conversation, first[turn.conversation], turn) for turn in outcome.turns if turn.turn == TURNS]


def _figures(played: Outcome, asked: Outcome, direct: bool, solo: Mapping[str, Alone]) -> Figures:
    ends, real = _ends(played), _ends(asked)
    # What the artifact's clock leaves out: for the others admission only.
    left_out = [
        (first.arrival - first.submitted if direct else first.began + first.held - first.submitted)
        for _, first, _ in ends
    ]
    ttfet, whole, gaps, gap_late = [], [], [], []
    for (name, first, last), out in zip(ends, left_out, strict=True):
        ttfet.append((last.first - first.submitted - out) / solo[name].ttfet)
        whole.append((last.end - first.submitted - out) / solo[name].whole)
        gaps += [gap / solo[name].gap for gap in last.gaps]
        gap_late.append(_mean(last.gaps) > SLO * solo[name].gap)
    ttfet_all = [(last.first - first.submitted) / solo[name].ttfet for name, first, last in real]
    whole_all = [(last.end - first.submitted) / solo[name].whole for name, first, last in real]
    return Figures(
        spread(ttfet).p95,
        spread(gaps).p95,
        spread(whole).p95,
        _share(one > SLO for one in ttfet),
        _share(gap_late),
        _share(one > SLO for one in whole),
        spread(ttfet_all).p95,
        spread(whole_all).p95,
        _share(one > SLO for one in ttfet_all),
        spread(first.began - first.submitted for _, first, _ in real).p95,
        spread(first.began + first.held - first.submitted for _, first, _ in real).p95,
        sum(turn.prompt + turn.output for turn in played.turns),
        played.end,
        played.loads,
        played.transfers,
        played.most_transfers,
        played.preemptions,
        len(ends),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _share(late: Iterable[bool]) -> float:
    found = list(late)
    return 100 * sum(found) / len(found) if found else 0.0
