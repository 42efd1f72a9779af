"""What benchmarks share: figures beside those of a peer, medians of alternating runs, the machine's name."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs


@attrs.frozen
class Figure:
    """One measure: ours, the peer's (None with ``why`` where it could not be had), their ratio, and the goal for it.

    ``ratio`` is ours over the peer's; ``goal`` speaks of the ratio where there is a peer, else of our own figure, of
    which it speaks in any case when ``absolute``; ``more`` says whether more is better.
    """

    measure: str
    ours: float
    peer: float | None
    goal: float | None = None
    more: bool = True
    why: str = ""
    absolute: bool = False

    @property
    def ratio(self) -> float | None:
        """Ours over the peer's."""
        return None if not self.peer else self.ours / self.peer

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none, or no peer to say."""
        own = self.absolute or (self.ratio is None and not self.why)
        against = self.ours if own else self.ratio
        if self.goal is None or against is None:
            return None
        return against >= self.goal if self.more else against <= self.goal

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        data = {"measure": self.measure, "ours": self.ours, "peer": self.peer, "ratio": self.ratio}
        return {**data, "goal": self.goal, "met": self.met, **({"why": self.why} if self.why else {})}


def machine() -> str:
    """The processor, its cores, the interpreter, and the load, which measurements suffer from."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}"


def alternate(rounds: int, *runs: Callable[[], float]) -> list[float]:
    """The median of what each run returns; the runs take turns, so that a busy moment hits all of them."""
    found: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for results, run in zip(found, runs, strict=True):
            results.append(run())
    return [statistics.median(results) for results in found]
