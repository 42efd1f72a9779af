"""The simulator: how fast it is, beside Vidur, and how far it is from the engine.

Speed: the Azure conversation hour of 2023 (19,366 requests) in under a minute of one core per policy; cost that grows
with the steps and no faster; and, per simulated step, against Vidur with the same scheduler (Sarathi, 512 tokens), the
same requests and the same step-time model, which is injected since Vidur ships no profiles. Set MTPO_TRACES to a folder
with azure_llm_2023_conv.csv to measure with the trace itself; else its lengths are drawn, at its rate.

Vidur (PyPI `vidur`) has many dependencies, which need not get on with ours: VIDUR_PYTHON names the interpreter of a
virtual environment that has it, else it is looked for in this one. None of its code is here.

Validity: SmolLM2-135M is calibrated on this machine, then serves a workload that is simulated too. Both need the
extra `engine` and take about two minutes. On a busy machine they say little: how many steps were disturbed is told.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import Figure, alternate

from mtpo.schedulers.load import load_policy
from mtpo.schedulers.simulator.cluster import Outcome, Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.steptime import A100_LLAMA_8B
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Workload

REQUESTS, RATE, GOAL = 19_366, 5.53, 60.0
POLICIES = ("sarathi:512", "sarathi:2048", "vllm_v1", "fairbatching")
MACHINE = A100_LLAMA_8B
WORKER = WorkerSetup(MACHINE, Caps(MACHINE.kv_tokens // 16))
CHUNK, BESIDE, ROUNDS, FASTER = 512, 2_000, 3, 10.0
PEER = Path(__file__).parent / "peers" / "vidur_simulation.py"


def _workload() -> Workload:
    path = Path(os.environ.get("MTPO_TRACES", "")) / "azure_llm_2023_conv.csv"
    if path.exists():
        return load_workload(str(path), "azure")
    return load_workload(f"poisson:rate={RATE},n={REQUESTS}")


def _timed(workload: Workload, policy: str) -> tuple[Outcome, float]:
    start = time.process_time()
    outcome = simulate(workload, Setup(load_policy(policy), (WORKER,)))
    return outcome, time.process_time() - start


def figures(tell: Callable[[str], None]) -> list[Figure]:
    """The figures of this benchmark; times are of the processor."""
    workload = _workload()
    found = []
    for name in POLICIES:
        tell(name)
        what = f"{name}: seconds for {workload.requests:,} requests of {workload.name.partition(':')[0]}"
        found.append(Figure(what, _timed(workload, name)[1], None, GOAL, more=False))
    return [*found, _growth(tell), *_beside(workload, tell), *_validity(tell)]


def _growth(tell: Callable[[str], None]) -> Figure:
    """Seconds a step, of ten times as many requests at the same rate."""
    tell("growth")
    costs = []
    for n in (2_000, 20_000):
        outcome, seconds = _timed(load_workload(f"poisson:rate=3,n={n}"), f"sarathi:{CHUNK}")
        costs.append(seconds / outcome.steps)
    return Figure(
        "seconds a step with 20,000 requests, of those with 2,000", costs[1] / costs[0], None, 1.25, more=False
    )


# -- Vidur -----------------------------------------------------------------------------------------------------


def _python() -> tuple[str | None, str]:
    """An interpreter that has Vidur, or why there is none."""
    given = os.environ.get("VIDUR_PYTHON")
    if given is None:
        if importlib.util.find_spec("vidur") is None:
            return None, "vidur is not installed here, and VIDUR_PYTHON names no interpreter that has it"
        return sys.executable, ""
    try:
        done = subprocess.run([given, "-c", "import vidur"], capture_output=True, check=False)
    except OSError as error:
        return None, f"VIDUR_PYTHON={given}: {error.strerror}"
    return (given, "") if done.returncode == 0 else (None, f"VIDUR_PYTHON={given}: it can't import vidur")


class PeerError(RuntimeError):
    """The peer did not run."""


def _vidur(python: str, workload: Workload, metrics: bool) -> dict[str, Any]:
    given = {
        "requests": [(c.arrival, c.turns[0].prompt, c.turns[0].output) for c in workload.conversations],
        "step": {"a": MACHINE.step.a, "b": MACHINE.step.b, "c": MACHINE.step.c},
        "chunk": CHUNK,
        "blocks": WORKER.caps.blocks,
        "most": WORKER.caps.max_requests,
        "metrics": metrics,
    }
    done = subprocess.run([python, str(PEER)], input=json.dumps(given), capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerError(f"vidur failed: {''.join(done.stderr.strip().splitlines()[-1:])}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _beside(hour: Workload, tell: Callable[[str], None]) -> list[Figure]:
    """Steps a second, ours and theirs; and that both simulate the same."""
    python, why = _python()
    found: list[Figure] = []
    # As the hour is, which is near what this machine can serve; and where it has time to spare.
    spare = hour.at_rate(2.0).first(BESIDE)
    for workload, what in ((hour.first(BESIDE), "the hour's rate"), (spare, "2 requests/s")):
        peer: float | None = None
        bare: float | None = None
        try:
            rate, *others = _rates(python, workload, tell)
            peer, bare = others or (None, None)
        except PeerError as error:
            python, why = None, str(error)
            rate = _rates(None, workload, tell)[0]
        measure = f"steps a second, Sarathi {CHUNK}, {what}"
        found.append(Figure(f"{measure}; vidur as it is", rate, peer, FASTER, why=why))
        found.append(Figure(f"{measure}; vidur without any metrics", rate, bare, None, why=why))
    return found if python is None else [*found, *_agreement(spare, _vidur(python, spare, False))]


def _rates(python: str | None, workload: Workload, tell: Callable[[str], None]) -> list[float]:
    """Steps a second: ours, and, where there is an interpreter for it, Vidur's with and without its metrics."""

    def ours() -> float:
        tell("ours, beside vidur")
        outcome, seconds = _timed(workload, f"sarathi:{CHUNK}")
        return outcome.steps / seconds

    if python is None:
        return alternate(1, ours)

    def theirs(metrics: bool) -> float:
        tell("vidur")
        done = _vidur(python, workload, metrics)
        return float(done["steps"] / done["seconds"])

    return alternate(ROUNDS, ours, lambda: theirs(True), lambda: theirs(False))


def _agreement(workload: Workload, done: dict[str, Any]) -> list[Figure]:
    outcome, _ = _timed(workload, f"sarathi:{CHUNK}")
    first = {turn.conversation: turn.first - turn.submitted for turn in outcome.turns}
    mean = statistics.fmean(first.values())
    peer = statistics.fmean(then - one.arrival for one, then in zip(workload.conversations, done["first"], strict=True))
    return [
        Figure("the same simulated: steps", outcome.steps, done["steps"]),
        Figure("the same simulated: mean TTFT, seconds", mean, peer),
    ]


# -- the engine ------------------------------------------------------------------------------------------------


def _validity(tell: Callable[[str], None]) -> list[Figure]:
    """Mean absolute errors, relative: of the fit, of step times, of latencies."""
    try:
        import mtpo.engine  # noqa: F401 - before torch: it sets how threads wait

        # isort: split
        from mtpo.engine.calibration import QUICK, compare_on, measure
        from mtpo.engine.errors import EngineError
        from mtpo.schedulers.simulator.regimes import choose
        from mtpo_core.engine_inference import load_model
    except ModuleNotFoundError:
        return []
    try:
        model = load_model().model
    except EngineError:
        return []
    tell("calibrating")
    measured = measure(model, QUICK, 3, 5, lambda text: tell(f"calibrating: {text}"))
    fitted = choose(measured.points).fit
    found = compare_on(model, fitted.step, lambda done, total: tell(f"serving: {done} of {total} turns"))
    # What else runs here shows in every one of them.
    who = f"SmolLM2-135M on this machine, {100 * measured.disturbed:.0f} % of the steps disturbed by others"
    errors = {
        "fit of the step times": fitted.errors.mape,
        "step times of a workload": found.step.mape,
        "TTFT": found.ttft.errors.mape,
        "TPOT": found.tpot.errors.mape,
        "whole turns": found.turn.errors.mape,
    }
    return [Figure(f"{who}: mean absolute error, {what}", value, None, more=False) for what, value in errors.items()]
