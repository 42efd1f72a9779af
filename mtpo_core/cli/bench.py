"""Measure, beside a peer where there is one, and say whether the goals are met.

NAME is one of the benchmarks in tests/bench; they run from a checkout. Runs take turns with the peer's, and medians are
shown; a machine that is busy with something else still blurs them, so its load is printed. Exit code 0 when every goal
that could be judged is met, else 1.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from mtpo_core.cli.common import out, print_json, progress, usage, verb

NEEDS_ARGUMENTS = True

FOLDER = Path(__file__).parents[2] / "tests" / "bench"


@verb
def bench_command(
    name: Annotated[str, typer.Argument(help="what to measure, for example explore")],
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    if not FOLDER.is_dir():
        raise usage("benchmarks run from a checkout of the project; this installation has none")
    known = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("measure", "spin"))
    if name not in known:
        raise usage(f"unknown benchmark {name!r}; known: {', '.join(known)}")
    measure = _load("measure")
    machine = measure.machine()
    with progress(f"measuring {name}", json) as tell:
        figures: list[Any] = _load(name).figures(tell)
    if json:
        print_json({"name": name, "machine": machine, "figures": [f.as_json() for f in figures]})
    else:
        out.print(machine)
        for f in figures:
            out.print(f"  {f.measure}")
            peer = f"peer {f.peer:,.3g}, ratio {f.ratio:.3f}" if f.ratio is not None else f.why or "no peer"
            goal = {True: "met", False: "NOT MET", None: "not judged"}[f.met]
            out.print(
                f"      ours {f.ours:,.3g}, {peer}" + (f", goal {f.goal:.3g}: {goal}" if f.goal is not None else "")
            )
    raise typer.Exit(1 if any(f.met is False for f in figures) else 0)


def _load(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module
