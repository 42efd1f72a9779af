"""What the options of ``mtpo simulate`` name: policies, workers and when they are lost, hardware, a workload."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mtpo_core.cli.common import usage
from mtpo_core.cli.numbers import decimal, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mtpo.schedulers.simulator.cluster import WorkerSetup
    from mtpo.schedulers.simulator.loss import Loss
    from mtpo.schedulers.simulator.steptime import Hardware
    from mtpo.schedulers.traces.workload import Workload


def policies(text: str, layer: str) -> list[str]:
    """Policies in a list; a part that is no name belongs to the arguments of the one before."""
    from mtpo.schedulers.load import NAMED

    known = NAMED[layer]  # type: ignore[index]
    found: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        head, colon, _ = part.partition(":")
        begins = head in known or (colon and "=" not in head)
        if found and not begins and ("=" in part or part.replace(".", "").isdigit() or part in {"yes", "no", "none"}):
            found[-1] += ("," if ":" in found[-1] else ":") + part
        else:
            found.append(part)
    if not found:
        raise usage(f"--{layer} names no policy; known: {', '.join(known)}, or module:Class")
    return found


def check_fitting(workers: str, placements: Sequence[str]) -> None:
    """That each placement can do with workers of these kinds."""
    from mtpo.schedulers.load import NAMED, WHOLE_TURNS

    for name in placements:
        if "+" in workers and name.partition(":")[0] in WHOLE_TURNS:
            prefillers, _, decoders = workers.partition("+")
            others = ", ".join(one for one in NAMED["placement"] if one not in WHOLE_TURNS)
            raise usage(
                f"--placement {name} computes whole turns on one worker, and with --workers {workers} no worker both "
                f"prefills and decodes: give --workers {int(prefillers) + int(decoders)}, or a --placement for both "
                f"kinds ({others})"
            )


def percentages(text: str) -> list[float]:
    try:
        found = [decimal(part.strip()) / 100 for part in text.split(",")] if text else []
        if not all(0 <= share < 1 for share in found):
            raise ValueError
    except ValueError:
        raise usage(f"--capacity is {text!r}, expected percentages of at least 0 and below 100, as in 1,5,10") from None
    return found


def losses(text: str, workers: int) -> tuple[Loss, ...]:
    from mtpo.schedulers.simulator.loss import Loss

    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        worker, _, at = part.partition("@")
        try:
            loss = Loss(whole(worker), decimal(at))
            if not (loss.worker < workers and loss.at < float("inf")):
                raise ValueError
        except ValueError:
            raise usage(
                f"--lose is {text!r}, expected WORKER@SECONDS, as in 1@30,3@60, with workers from 0 to {workers - 1}"
            ) from None
        found.append(loss)
    return tuple(found)


def hardware_of(name: str, steptime: Path | None) -> Hardware:
    from mtpo.schedulers.simulator.measured import read_hardware
    from mtpo.schedulers.simulator.steptime import PRESETS

    if steptime is not None:
        return read_hardware(steptime)
    if name not in PRESETS:
        raise usage(f"--hardware {name!r} is not known; known: {', '.join(PRESETS)}")
    return PRESETS[name]


def cluster_of(
    hardware: Hardware, workers: str, kv: int | None, max_tokens: int, max_requests: int
) -> tuple[WorkerSetup, ...]:
    from mtpo.schedulers.simulator.cluster import WorkerSetup
    from mtpo.schedulers.simulator.worker import Caps

    caps = Caps((kv or hardware.kv_tokens) // 16, 16, max_tokens, max_requests)
    prefillers, plus, decoders = workers.partition("+")
    try:
        counts = whole(prefillers), whole(decoders) if plus else 1
        if min(counts) < 1 or max(counts) > 1024:
            raise ValueError
    except ValueError:
        raise usage(f"--workers is {workers!r}, expected how many (4) or PREFILLERS+DECODERS (1+3)") from None
    if not plus:
        return (WorkerSetup(hardware, caps),) * counts[0]
    # A decoder computes the later prompts of its conversations, so only a prefiller is what it is called.
    return (WorkerSetup(hardware, caps, True, False),) * counts[0] + (WorkerSetup(hardware, caps, False),) * counts[1]


def workload_of(
    trace: str, format: str | None, rate: float | None, first: int | None, turns: int | None, seed: int
) -> Workload:
    from mtpo.schedulers.traces.load import load_workload

    folder = os.environ.get("MTPO_TRACES")
    if format is not None and folder and not Path(trace).exists() and (Path(folder) / trace).exists():
        trace = str(Path(folder) / trace)
    found = load_workload(trace, format).first(first, turns)
    return found if rate is None else found.at_rate(rate, seed)
