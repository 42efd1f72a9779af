"""Exhaustive exploration beside Spin: distinct states a second on the read-modify-write counter, properties checked.

Both find 2,986,377 states; the peer is ``spin`` with a C compiler, one core, and a table that holds everything.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import Figure, alternate

from mtpo.proofs.compiled import search_compiled
from mtpo.proofs.explore import Found, explore
from mtpo.proofs.instances import mtpo_instance
from mtpo.spec.concrete import Instance

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "spec"))

from counter import Process, counter  # noqa: E402

STATES = 2_986_377
ROUNDS = 3


def figures(tell: Callable[[str], None]) -> list[Figure]:
    """The figures of this benchmark."""
    instance = Instance(counter, {Process: 4})
    tell("compiling")
    first = search_compiled(instance, limit=10 * STATES)
    assert first.states == STATES
    reduced = search_compiled(instance, limit=STATES, symmetry=True)

    def ours() -> float:
        tell("counter, compiled")
        start = time.perf_counter()
        found = search_compiled(instance, limit=10 * STATES)
        return found.states / (time.perf_counter() - start)

    with tempfile.TemporaryDirectory() as folder:
        spin, why = _spin(Path(folder), tell)
        rates = alternate(ROUNDS, ours, spin) if spin else [*alternate(ROUNDS, ours), None]
    protocol, python, size = _protocol(tell)
    return [
        Figure("counter: distinct states per second, one core", rates[0] or 0.0, rates[1], 1.0, why=why),
        Figure("counter: bytes per state", first.bytes_per_state or 0.0, None, 32, more=False),
        Figure("counter: states with symmetry, of all", reduced.states, STATES, 1 / 21, more=False),
        Figure(f"mtpo, {size:,} states: distinct states per second, against plain Python", protocol, python),
    ]


def _spin(folder: Path, tell: Callable[[str], None]) -> tuple[Callable[[], float] | None, str]:
    if not shutil.which("spin") or not shutil.which("gcc"):
        return None, "spin and gcc are not installed"
    shutil.copy(HERE / "counter.pml", folder)
    for command in (["spin", "-a", "counter.pml"], ["gcc", "-O2", "-DSAFETY", "-o", "pan", "pan.c"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    def run() -> float:
        tell("counter, spin")
        done = subprocess.run(
            ["./pan", "-w26", "-m1000000", "-E"], cwd=folder, check=True, capture_output=True, text=True
        )
        states = re.search(r"(\d+) states, stored", done.stdout)
        seconds = re.search(r"elapsed time ([\d.]+) seconds", done.stdout)
        assert states is not None
        assert seconds is not None
        assert int(states[1]) == STATES
        return STATES / float(seconds[1])

    return run, ""


def _protocol(tell: Callable[[str], None]) -> tuple[float, float, int]:
    """Every footprint of two agents with one call each on two objects: compiled, and interpreted."""
    instance, roots = mtpo_instance(2, 1, 2)
    tell("mtpo, compiling")
    found: Found = search_compiled(instance, roots, limit=10**7)

    def compiled() -> float:
        tell("mtpo, compiled")
        start = time.perf_counter()
        return search_compiled(instance, roots, limit=10**7).states / (time.perf_counter() - start)

    def python() -> float:
        tell("mtpo, Python")
        start = time.perf_counter()
        return explore(instance, roots).states / (time.perf_counter() - start)

    ours, peer = alternate(ROUNDS, compiled, python)
    return ours, peer, found.states
