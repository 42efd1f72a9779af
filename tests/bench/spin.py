"""Spin as a peer: a model in a .pml file beside, made into a program and run; one core, whole states."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import attrs

HERE = Path(__file__).parent


class NoSpin(Exception):
    """Spin or a C compiler is missing; the message says which."""


@attrs.frozen
class Explored:
    """What Spin says: distinct states, its own seconds for the search."""

    states: int
    seconds: float


@attrs.frozen
class Program:
    """A verifier in a folder; ``seconds`` it took to make."""

    folder: Path
    seconds: float

    def run(self, table: int = 22) -> Explored:
        """Explore everything, with a hash table of 2 to the power of ``table``. What asserts fail is an error."""
        done = subprocess.run(
            ["./pan", f"-w{table}", "-m1000000", "-E"], cwd=self.folder, check=True, capture_output=True, text=True
        )
        states = re.search(r"(\d+) states, stored", done.stdout)
        seconds = re.search(r"elapsed time ([\d.]+) seconds", done.stdout)
        assert "errors: 0" in done.stdout
        assert states is not None
        assert seconds is not None
        return Explored(int(states[1]), max(float(seconds[1]), 0.01))


def program(model: str, folder: Path, *options: str, level: str = "-O2") -> Program:
    """The verifier of a model, compiled at a level of optimization. Raises :class:`NoSpin`."""
    missing = [name for name in ("spin", "gcc") if not shutil.which(name)]
    if missing:
        raise NoSpin(f"{' and '.join(missing)} not installed")
    start = time.perf_counter()
    shutil.copy(HERE / model, folder)
    for command in (["spin", "-a", *options, model], ["gcc", level, "-w", "-DSAFETY", "-o", "pan", "pan.c"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return Program(folder, time.perf_counter() - start)


def protocol(objects: int, folder: Path, level: str = "-O2") -> Program:
    """MTPO: two agents with one call each, without faults."""
    return program("mtpo.pml", folder, "-o2", f"-DO={objects}", level=level)
