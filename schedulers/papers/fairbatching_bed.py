"""FairBatching's testbed, simulated: one worker or eight, step policies and placements, capacities and rates.

Source: arXiv 2510.14392. Its models, objectives and traces are not known; what is used instead is named here.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import attrs

from mtpo.schedulers.load import load_policy
from mtpo.schedulers.papers.table import Options, StudyError
from mtpo.schedulers.simulator.capacity import Capacity, Search
from mtpo.schedulers.simulator.cluster import Setup, WorkerSetup
from mtpo.schedulers.simulator.report import Summary
from mtpo.schedulers.simulator.steptime import A100_LLAMA_8B
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.traces.load import GENERATORS, load_workload
from mtpo.schedulers.traces.workload import Workload, counted
from mtpo.schedulers.types import PlacementDecision, PlacementObservation, PlacementPolicy

TTFT, TPOT = 1.0, 0.05
"""Objectives in seconds; the paper's own are not known."""
SHARES: Final = (0.01, 0.05, 0.10)
"""Of requests in violation, at which capacity is measured."""
OURS: Final = "FairBatching"
BOUNDED: Final = "bounded gap (this project)"
BEST: Final = "Sarathi, best budget"
POLICIES: Final[Mapping[str, str]] = {
    OURS: "fairbatching",
    BOUNDED: "bounded_gap:0.2",
    "Sarathi 256": "sarathi:256",
    "Sarathi 512": "sarathi:512",
    "Sarathi 2048": "sarathi:2048",
    "vLLM V1, 2048": "vllm_v1:2048",
    "prefill first": "prefill_first",
}
CANDIDATES: Final = (384, 640, 1024)
"""Budgets that are tried for the best one, beside the three above."""
WORKERS: Final = 8


@attrs.frozen
class RoundRobin:
    """Conversations in turn, by their number; by a hash of their name where that is no number."""

    requests: ClassVar[bool] = False

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """See :class:`~mtpo.schedulers.types.PlacementPolicy`."""
        name = observation.conversation
        number = int(name) if name.isdecimal() else zlib.crc32(name.encode())
        chosen = observation.workers[number % len(observation.workers)].id
        return PlacementDecision(chosen, chosen)


@attrs.frozen
class FewestRequests:
    """The worker with the fewest requests, one that waits counted as four that run: how vLLM V1 balances its
    data-parallel engines."""

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """See :class:`~mtpo.schedulers.types.PlacementPolicy`."""
        chosen = min(observation.workers, key=lambda w: (4 * len(w.waiting) + len(w.running), w.id)).id
        return PlacementDecision(chosen, chosen)


def _placement(name: str) -> PlacementPolicy:
    if name == "round robin":
        return RoundRobin()
    if name == "fewest requests":
        return FewestRequests()
    # Holding a prompt that fits nowhere stops all behind it, and one too long for any window fits nowhere: so route.
    return load_policy("pab:route", "placement")


@attrs.frozen
class Size:
    """How much is done: requests for one worker and for the cluster; relative precision of capacities; shares; rates
    of the sweep, relative to FairBatching's capacity at 1 %; budgets that are tried."""

    requests: int
    cluster: int
    precision: float
    shares: tuple[float, ...]
    rates: tuple[float, ...]
    candidates: tuple[int, ...]


FULL: Final = Size(2500, 4000, 0.02, SHARES, (0.75, 0.9, 1.0, 1.05, 1.1), CANDIDATES)
QUICK: Final = Size(700, 1400, 0.1, SHARES[:1], (0.8, 1.0, 1.2), ())


@attrs.frozen
class Found:
    """Of one policy: capacities by share, figures by rate."""

    capacity: Mapping[float, Capacity]
    known: Mapping[float, Summary]


LEAST: Final = 20
"""Requests without which there are no percentiles, nor a capacity."""


def read(options: Options, size: Size) -> Workload:
    """What is asked: the beginning of the trace, or generated requests with lengths like those of the Azure trace.
    Raises :class:`StudyError` for a trace with too few."""
    most = max(size.requests, size.cluster)
    if options.trace is None:
        return load_workload(f"poisson:rate=5.53,n={most}")
    generated = options.trace.partition(":")[0] in GENERATORS and not Path(options.trace).exists()
    found = load_workload(options.trace, None if generated else options.format or "azure").first(most)
    if len(found.conversations) < LEAST:
        held = counted(len(found.conversations), "request")
        raise StudyError(f"{options.trace}: holds only {held}; {LEAST} are needed")
    return found


def cluster_setups(quick: bool) -> list[tuple[str, str]]:
    """Step and placement policies of the clusters that are compared, ours first."""
    found = [(OURS, "PAB"), ("Sarathi 512", "round robin"), ("Sarathi 512", "fewest requests")]
    return found[:2] if quick else [*found, ("Sarathi 256", "round robin"), (OURS, "fewest requests")]


def guess(workload: Workload) -> float:
    """A rate to begin the search with: half of what the arithmetic of a worker allows."""
    model, turns = A100_LLAMA_8B.step, [turn for one in workload.conversations for turn in one.turns]
    tokens = sum(turn.prompt + turn.output for turn in turns)
    read = sum(turn.output * (turn.prompt + turn.output / 2) for turn in turns)
    return 0.5 * len(workload.conversations) / (model.b * tokens + model.c * read)


def measure(
    workload: Workload,
    step: str,
    place: str,
    shares: Sequence[float],
    rates: Sequence[float],
    start: float,
    precision: float,
) -> Found:
    """Capacities of a policy at some shares, and its figures at some rates; of a cluster where a placement is named."""
    worker = WorkerSetup(A100_LLAMA_8B, Caps(A100_LLAMA_8B.kv_tokens // 16))
    setup = Setup(load_policy(step), (worker,), ttft_slo=TTFT, tpot_slo=TPOT)
    if place:
        setup = attrs.evolve(setup, workers=(worker,) * WORKERS, placement=_placement(place))
    search, found = Search(workload, setup), {}
    for share in shares:
        found[share] = search.capacity(share, start / 64, start * 8, precision, start=start, growth=1.25)
        start = found[share].rate or start
    for rate in rates:
        search.summary(rate)
    return Found(found, search.known)
