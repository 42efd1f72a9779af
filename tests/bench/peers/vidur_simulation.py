"""Run Vidur (PyPI `vidur`, MIT) on given requests with a given step-time model; for its own interpreter.

Vidur ships no profiles, so its predictor is replaced by ``a + b * new + c * context``. One JSON object on standard
input: ``requests`` (arrival in seconds, prompt and output tokens), ``step`` (a, b, c in seconds), ``chunk`` (Sarathi's
tokens a step), ``blocks`` of 16 tokens, ``most`` requests a step. One on standard output: ``steps``, ``seconds`` of
processor time of the event loop alone (no metrics are kept, nothing is written), ``end`` of the last request, ``first``
and ``ended`` of each.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from typing import Any


def main() -> None:
    given = json.load(sys.stdin)
    sys.argv = sys.argv[:1]
    out, sys.stdout = sys.stdout, sys.stderr
    found = run(given)
    json.dump(found, out)


def run(given: dict[str, Any]) -> dict[str, Any]:
    import logging

    from vidur._native.entities import ExecutionTime
    from vidur.config import config as c
    from vidur.entities import Request
    from vidur.execution_time_predictor import BaseExecutionTimePredictor, ExecutionTimePredictorRegistry
    from vidur.request_generator import RequestGeneratorRegistry
    from vidur.simulator import Simulator
    from vidur.types import ExecutionTimePredictorType, RequestGeneratorType

    logging.disable(logging.CRITICAL)
    a, b, per = (1e3 * given["step"][name] for name in ("a", "b", "c"))
    steps = [0]

    def predict(self: Any, batch: Any, stage: int) -> Any:
        steps[0] += 1
        taken = a + b * sum(batch._num_q_tokens) + per * sum(batch._num_kv_tokens)
        return ExecutionTime(1, *(0.0,) * 6, taken, *(0.0,) * 7)

    # What it inherits as abstract is what a step is made of, which nobody asks for here.
    body = dict.fromkeys(BaseExecutionTimePredictor.__abstractmethods__, lambda self, batch: 0.0)
    predictor = type("Predictor", (BaseExecutionTimePredictor,), {**body, "get_execution_time": predict})
    ExecutionTimePredictorRegistry.unregister(ExecutionTimePredictorType.RANDOM_FORREST)
    ExecutionTimePredictorRegistry.register(ExecutionTimePredictorType.RANDOM_FORREST, predictor)
    requests = [Request(arrival, prompt, output) for arrival, prompt, output in given["requests"]]

    class Generator:
        def __init__(self, config: Any) -> None:
            pass

        def generate(self) -> list[Any]:
            return requests

    RequestGeneratorRegistry.unregister(RequestGeneratorType.SYNTHETIC)
    RequestGeneratorRegistry.register(RequestGeneratorType.SYNTHETIC, Generator)
    with tempfile.TemporaryDirectory() as folder:
        config = c.SimulationConfig(
            log_level="error",
            cluster_config=c.ClusterConfig(
                replica_config=c.ReplicaConfig(
                    num_pipeline_stages=1,
                    tensor_parallel_size=1,
                ),
                cache_config=c.CacheConfig(block_size=16, num_blocks=given["blocks"], watermark_blocks_fraction=0.0),
                replica_scheduler_config=c.SarathiSchedulerConfig(
                    batch_size_cap=given["most"], chunk_size=given["chunk"]
                ),
            ),
            metrics_config=c.MetricsConfig(
                write_metrics=given.get("metrics", True),
                enable_chrome_trace=False,
                store_plots=False,
                output_dir=folder,
            ),
        )
        simulator = Simulator(config)
        start = time.process_time()
        simulator.run()
        seconds = time.process_time() - start
    return {
        "steps": steps[0],
        "seconds": seconds,
        "end": max(one._completed_at for one in requests),
        "first": [one._prefill_completed_at for one in requests],
        "ended": [one._completed_at for one in requests],
    }


if __name__ == "__main__":
    main()
