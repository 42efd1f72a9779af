"""Measure how long the engine's steps take on this machine, and fit the model that the simulator uses.

Steps of many kinds are run on the real engine (decodes of small and large batches, chunks of short and long prompts),
in another order each round, and the medians of their times are fitted by max(floor, a + b * new + c * context):
seconds of a step that computes so many new tokens, of requests that have so many tokens of context together. A few
disturbed steps don't bend the fit, and steps in which the processor was taken away are left out; but a machine that is
busy all the time does bend it: measure on a quiet one.

Three things may be added: d * pairs, for the attention within long prompts; e * requests, of each request of the batch;
and coefficients of their own for small batches, up to a number of new tokens that the measurements show. What is added
is what predicts steps clearly better that were held out of the fit, which is said. --terms 3 leaves d out, 4 has it.

The model is SmolLM2-135M-Instruct, or --model FOLDER (config.json and safetensors of a Llama); --device cuda measures a
GPU. With --check a workload is then served by the engine and by the simulator, and it is said how far the two are
apart. Takes some minutes; --quick one or two.

\b
    mtpo calibrate --out here.json
    mtpo simulate --trace poisson:rate=0.5,n=100,prompt=300,output=50 --steptime here.json

Exit code 3 when the steps never held still: the figures are shown and written, and are worth little. Where nothing can
be fitted to what was measured, the points are kept in a file beside that of --out, which is named. --points FILE fits
such points, and those of any file of step times, again: in a moment, with other --terms, or those of several files of
one machine together (--points once for each; none may hold all that another holds).
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtpo_core.cli.calibrated import document, fitted, keep, show, unsteady, write
from mtpo_core.cli.common import note, print_json, progress, usage, verb, writable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mtpo.schedulers.simulator.kept import Kept
    from mtpo.schedulers.simulator.measured import Measured
    from mtpo.schedulers.simulator.regimes import Choice
    from mtpo.schedulers.simulator.validity import Validity

_ROUNDS = 3


@verb
def calibrate_command(
    output: Annotated[Path | None, typer.Option("--out", help="write the step times here, for simulate")] = None,
    model: Annotated[Path | None, typer.Option(help="a model's folder; SmolLM2-135M-Instruct if not given")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16")] = "float32",
    threads: Annotated[int | None, typer.Option(min=1, help="of the CPU; the fastest if not given")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="fewer kinds of steps, a minute or two")] = False,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="at least; more while unsteady")] = _ROUNDS,
    terms: Annotated[
        int | None, typer.Option(min=3, max=4, help="3: without d; 4: with it; else what predicts better")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="serve a workload, compare with the simulator")] = False,
    points: Annotated[
        list[Path] | None,
        typer.Option(metavar="<path>", help="measure nothing, fit the points that are in this file; once or more"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    if device not in ("cpu", "cuda"):
        raise usage(f"--device {device!r} is not known; known: cpu, cuda")
    if dtype not in ("float32", "bfloat16"):
        raise usage(f"--dtype {dtype!r} is not known; known: float32, bfloat16")
    if points:
        given = {"--model": model, "--threads": threads, "--quick": quick, "--check": check}
        given |= {"--device": device != "cpu", "--dtype": dtype != "float32", "--rounds": rounds != _ROUNDS}
        if odd := [option for option, value in given.items() if value]:
            raise usage(f"{odd[0]} is for measuring, and with --points nothing is measured: leave one of them out")
    if output is not None:
        if output.is_dir() or not output.parent.is_dir():
            raise usage(f"--out {output}: {'is a folder' if output.is_dir() else 'its folder does not exist'}")
        writable(output, points or ())
    if points:
        loaded, noted = None, dict[str, float]()
        found, measured, choice = _again(points, terms)
    else:
        loaded, name = _loaded(model, dtype, device, threads)
        noted = {"load": _load()}
        _say_before(noted["load"], quick, json)
        with progress("measuring steps", json) as tell:
            found = _measure(loaded, name, quick, rounds, tell)
            tell("fitting")
            measured, choice = _fitted(found, terms, output)
    data = document(found, measured, choice) | noted
    # Before anything else may go wrong, or be interrupted.
    write(output, data)
    validity = None
    if check:
        with progress("serving a workload", json) as tell:
            validity = _check(loaded, measured, tell)
        data["check"] = validity.as_json()
        write(output, data)
    if json:
        print_json(data)
    else:
        show(measured, found, choice, validity, output)
    raise typer.Exit(3 if unsteady(found) else 0)


def _again(paths: Sequence[Path], terms: int | None) -> tuple[Kept, Measured, Choice]:
    """What was measured before, and the model that fits it best."""
    from mtpo.schedulers.simulator.fit import FitError
    from mtpo.schedulers.simulator.kept import read_points

    found = read_points(paths)
    try:
        return found, *fitted(found, terms)
    except FitError as error:
        raise usage(f"{', '.join(map(str, paths))}: {error}") from None


def _fitted(found: Kept, terms: int | None, output: Path | None) -> tuple[Measured, Choice]:
    """The model that fits the points best. Where none does, the points are kept: measuring took minutes."""
    from mtpo.schedulers.simulator.fit import FitError

    try:
        return fitted(found, terms)
    except FitError as error:
        raise usage(f"{error}; {keep(output, found)}") from None


def _loaded(folder: Path | None, dtype: str, device: str, threads: int | None) -> tuple[Any, str]:
    """The model, on as many threads as it will be measured with, and its name."""
    import mtpo.engine  # noqa: F401 - before torch: it sets how threads wait

    # isort: split
    import torch

    from mtpo.engine.model import Llama
    from mtpo.engine.threads import choose_threads
    from mtpo.engine.weights import find_smollm2, load_folder, load_gguf

    if device == "cuda" and not torch.cuda.is_available():
        raise usage("--device cuda: PyTorch finds no GPU here; --device cpu measures the processor")
    files = load_gguf(find_smollm2()) if folder is None else load_folder(folder)
    name = "SmolLM2-135M-Instruct" if folder is None else folder.resolve().name
    model = Llama(files, getattr(torch, dtype), device)
    if threads is None:
        choose_threads(model)
    else:
        torch.set_num_threads(threads)
    return model, f"{name}, {dtype}"


def _say_before(load: float, quick: bool, json: bool) -> None:
    if load > 0.5 and not json:
        note(f"the machine is busy with something else (load {load:.1f}); measurements will suffer from it")
    if not (json or sys.stderr.isatty()):
        note(f"measuring steps: {'a minute or two' if quick else 'some minutes; --quick is shorter'}")


def _load() -> float:
    """Processes that were running in the last minute, a core: what measurements suffer from."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def _machine(device: str) -> str:
    import torch

    if device != "cpu":
        return str(torch.cuda.get_device_name(device))
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    threads = torch.get_num_threads()
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"


def _measure(model: Any, name: str, quick: bool, rounds: int, tell: Callable[[str], None]) -> Kept:
    from mtpo.engine.calibration import FULL, QUICK, measure
    from mtpo.schedulers.simulator.kept import Kept

    found = measure(model, QUICK if quick else FULL, rounds, rounds + 2, tell)
    about = f"{name} on {model.device}", _machine(model.device), name, model.device
    return Kept(*about, found.points, found.rounds, found.noise, found.disturbed)


def _check(model: Any, measured: Measured, tell: Callable[[str], None]) -> Validity:
    from mtpo.engine.calibration import compare_on

    return compare_on(model, measured.step, lambda done, total: tell(f"{done} of {total} turns"))
