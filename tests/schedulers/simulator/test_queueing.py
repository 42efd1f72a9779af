"""The simulator against queueing theory: first come, first served, one at a time, is an M/G/1 queue."""

from __future__ import annotations

import math
import statistics

import pytest

from mtpo.schedulers.load import load_policy
from mtpo.schedulers.simulator.cluster import Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.steptime import Hardware, Power, StepTime
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Turn

STEP = StepTime(0.02, 1e-4, 1e-6)
BATCHES, T99 = 40, 2.708
"""Batch means: about independent, so Student's t with 39 degrees of freedom gives the interval of 99 %."""


def service(turn: Turn) -> float:
    """Seconds that a turn takes alone: its prompt in one step, then one step a token."""
    return STEP.seconds(turn.prompt, turn.prompt) + sum(
        STEP.seconds(1, turn.prompt + emitted) for emitted in range(1, turn.output)
    )


@pytest.mark.parametrize(("load", "lengths"), [(0.5, "prompt=300..3000,output=1..4"), (0.8, "prompt=400,output=2")])
@pytest.mark.parametrize("policy", ["sarathi:99999", "vllm_v1"])
def test_the_mean_wait_is_that_of_pollaczek_and_khinchine(policy: str, load: float, lengths: str) -> None:
    """M/G/1 with log-normal lengths, and M/D/1: W = rate * E[S^2] / (2 * (1 - load))."""
    n = 8_000
    alone = [service(one.turns[0]) for one in load_workload(f"poisson:rate=1,n={n},{lengths}").conversations]
    mean, square = statistics.fmean(alone), statistics.fmean(s * s for s in alone)
    workload = load_workload(f"poisson:rate={load / mean},n={n},{lengths}")
    caps = Caps(100_000, 16, 1 << 20, 1)
    worker = WorkerSetup(Hardware("m", STEP, 1_600_000, Power(0.0, 0.0)), caps)
    outcome = simulate(workload, Setup(load_policy(policy), (worker,)))
    assert outcome.busy == pytest.approx(sum(alone))
    began = {turn.conversation: turn.began - turn.submitted for turn in outcome.turns}
    waits = [began[one.name] for one in workload.conversations]
    size = n // BATCHES
    means = [statistics.fmean(waits[at : at + size]) for at in range(0, n, size)]
    half = T99 * statistics.stdev(means) / math.sqrt(BATCHES)
    expected = load / mean * square / (2 * (1 - load))
    assert abs(statistics.fmean(means) - expected) < half < 0.25 * expected
