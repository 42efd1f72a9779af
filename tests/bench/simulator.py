"""How fast the simulator is: an hour of conversations like those of the Azure trace of 2023, on one core.

The goal is a minute for its 19,366 requests. Set MTPO_TRACES to a folder with azure_llm_2023_conv.csv to measure with
the trace itself; else its lengths are drawn, at its rate.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from measure import Figure

from mtpo.schedulers.load import load_policy
from mtpo.schedulers.simulator.cluster import Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.steptime import PRESETS
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Workload

REQUESTS, RATE, GOAL = 19_366, 5.53, 60.0
POLICIES = ("sarathi:512", "sarathi:2048", "vllm_v1", "fairbatching")


def _workload() -> Workload:
    path = Path(os.environ.get("MTPO_TRACES", "")) / "azure_llm_2023_conv.csv"
    if path.exists():
        return load_workload(str(path), "azure")
    return load_workload(f"poisson:rate={RATE},n={REQUESTS}")


def figures(tell: Callable[[str], None]) -> list[Figure]:
    """Seconds of processor time for the hour, one figure a policy."""
    workload, hardware = _workload(), PRESETS["a100-llama3-8b"]
    worker = WorkerSetup(hardware, Caps(hardware.kv_tokens // 16))
    found = []
    for name in POLICIES:
        tell(name)
        start = time.process_time()
        simulate(workload, Setup(load_policy(name), (worker,)))
        seconds = time.process_time() - start
        what = f"{name}: seconds for {workload.requests:,} requests of {workload.name.partition(':')[0]}"
        found.append(Figure(what, seconds, None, GOAL, more=False))
    return found
