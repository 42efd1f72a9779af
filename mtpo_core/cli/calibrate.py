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
be fitted to what was measured, the points are kept in a file beside that of --out, which is named.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mtpo_core.cli.common import err, out, print_json, progress, usage, verb, writable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mtpo.engine.calibration import Measurement
    from mtpo.schedulers.simulator.measured import Measured
    from mtpo.schedulers.simulator.regimes import Choice
    from mtpo.schedulers.simulator.validity import Validity

UNSTEADY, TAKEN = 0.15, 0.4
"""A fit to steps half of which were further than this from their medians is none; nor is one on a machine that took the
processor away in so many."""


@verb
def calibrate_command(
    output: Annotated[Path | None, typer.Option("--out", help="write the step times here, for simulate")] = None,
    model: Annotated[Path | None, typer.Option(help="a model's folder; SmolLM2-135M-Instruct if not given")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16")] = "float32",
    threads: Annotated[int | None, typer.Option(min=1, help="of the CPU; the fastest if not given")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="fewer kinds of steps, a minute or two")] = False,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="at least; more while unsteady")] = 3,
    terms: Annotated[
        int | None, typer.Option(min=3, max=4, help="3: without d; 4: with it; else what predicts better")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="serve a workload, compare with the simulator")] = False,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    if device not in ("cpu", "cuda"):
        raise usage(f"--device {device!r} is not known; known: cpu, cuda")
    if dtype not in ("float32", "bfloat16"):
        raise usage(f"--dtype {dtype!r} is not known; known: float32, bfloat16")
    if output is not None:
        if output.is_dir() or not output.parent.is_dir():
            raise usage(f"--out {output}: {'is a folder' if output.is_dir() else 'its folder does not exist'}")
        _can_be_written(writable(output))
    import mtpo.engine  # noqa: F401 - before torch: it sets how threads wait

    # isort: split
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise usage("--device cuda: PyTorch finds no GPU here; --device cpu measures the processor")
    loaded, name = _model(model, getattr(torch, dtype), device)
    _threads(loaded, threads)
    before = _load()
    if before > 0.5 and not json:
        err.print(f"the machine is busy with something else (load {before:.1f}); measurements will suffer from it")
    if not (json or sys.stderr.isatty()):
        err.print(f"measuring steps: {'a minute or two' if quick else 'some minutes; --quick is shorter'}")
    with progress("measuring steps", json) as tell:
        found = _measure(loaded, quick, rounds, tell)
        tell("fitting")
        measured, choice = _fitted(loaded, name, found, terms, output)
    data = measured.as_json() | {"rounds": found.rounds, "noise": found.noise}
    data |= {"disturbed": found.disturbed, "load": before, "held_out": _held_out(choice)}
    # Before anything else may go wrong, or be interrupted.
    _write(output, data)
    validity = None
    if check:
        with progress("serving a workload", json) as tell:
            validity = _check(loaded, measured, tell)
        data["check"] = validity.as_json()
        _write(output, data)
    if json:
        print_json(data)
    else:
        _show(measured, found, choice, validity, output)
    raise typer.Exit(3 if _unsteady(found) else 0)


def _model(folder: Path | None, dtype: Any, device: str) -> tuple[Any, str]:
    from mtpo.engine.model import Llama
    from mtpo.engine.weights import find_smollm2, load_folder, load_gguf

    files = load_gguf(find_smollm2()) if folder is None else load_folder(folder)
    name = "SmolLM2-135M-Instruct" if folder is None else folder.resolve().name
    return Llama(files, dtype, device), f"{name}, {str(dtype).removeprefix('torch.')}"


def _threads(model: Any, given: int | None) -> None:
    import torch

    from mtpo.engine.threads import choose_threads

    if given is None:
        choose_threads(model)
    else:
        torch.set_num_threads(given)


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


def _measure(model: Any, quick: bool, rounds: int, tell: Callable[[str], None]) -> Measurement:
    from mtpo.engine.calibration import FULL, QUICK, measure

    return measure(model, QUICK if quick else FULL, rounds, rounds + 2, tell)


def _fitted(
    model: Any, name: str, found: Measurement, terms: int | None, output: Path | None
) -> tuple[Measured, Choice]:
    """The model that fits the points best. Where none does, the points are kept: measuring took minutes."""
    from mtpo.schedulers.simulator.fit import FitError
    from mtpo.schedulers.simulator.measured import Measured
    from mtpo.schedulers.simulator.regimes import choose

    about = f"{name} on {model.device}", _machine(model.device), name, model.device
    try:
        choice = choose(found.points, _terms(terms))
    except FitError as error:
        kept = _keep(output, dict(zip(("name", "machine", "model", "device"), about, strict=True)), found)
        raise usage(f"{error}; {kept}") from None
    return Measured(*about, choice.fit.step, KV, choice.fit.errors, found.points), choice


def _keep(output: Path | None, about: dict[str, str], found: Measurement) -> str:
    """Write what was measured beside where the step times were to go, over nothing; what to say of it."""
    import attrs

    place = (output or Path("calibrate")).with_suffix("")
    names = (place.with_name(f"{place.name}.points{f'-{n}' if n else ''}.json") for n in range(1000))
    path = next(name for name in names if not name.exists())
    points = [attrs.asdict(one) for one in found.points]
    data = {"mtpo": "steptime-points", **about, "rounds": found.rounds, "noise": found.noise, "points": points}
    try:
        _write(path, data)
    except OSError as error:
        return f"the measured points can't be kept in {path}: {error.strerror}"
    return f"the measured points are kept in {path}"


def _unsteady(found: Measurement) -> bool:
    return found.noise > UNSTEADY or found.disturbed > TAKEN


def _terms(terms: int | None) -> Literal[3, 4] | None:
    return None if terms is None else 4 if terms == 4 else 3


def _can_be_written(path: Path) -> None:
    """Raises OSError where nothing can be written, before minutes of measuring go by; leaves the path as it is."""
    there = path.exists()
    with path.open("ab"):
        pass
    if not there:
        path.resolve().unlink()


def _write(path: Path | None, data: dict[str, Any]) -> None:
    if path is not None:
        import json

        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _held_out(choice: Choice) -> list[dict[str, Any]]:
    """Of each model what it has beside a, b and c, its error on steps that it was not fitted to, and whether it is the
    one that was kept."""
    return [
        {"more": list(one.model.more), "error": one.error, "kept": one.model == choice.model} for one in choice.tried
    ]


KV = 16_384
"""Tokens of KV cache that the file states; the engine has as much as it is told to, and simulate takes --kv."""


def _check(model: Any, measured: Measured, tell: Callable[[str], None]) -> Validity:
    from mtpo.engine.calibration import compare_on

    return compare_on(model, measured.step, lambda done, total: tell(f"{done} of {total} turns"))


def _tried(choice: Choice) -> Iterable[str]:
    """What the model has beside a, b and c, and what that is good for."""
    least = choice.tried[0]
    error = choice.error(choice.model)
    if error is None or least.error is None:
        return
    if choice.model != least.model:
        names = ", ".join(_ADDED[name] for name in choice.model.more)
        before = f"{100 * least.error:.1f} % with {_named(least.model.more)} alone"
        yield f"  added: {names}; mean absolute error on steps held out of the fit {100 * error:.1f} %, {before}"
        return
    others = [(one.error, one.model) for one in choice.tried[1:] if one.error is not None]
    if others:
        best, model = min(others, key=lambda one: one[0])
        yield (
            f"  nothing added, it does not pay; mean absolute error on steps held out of the fit {100 * error:.1f} %, "
            f"at best {100 * best:.1f} % with {_named(model.more)}"
        )


_ADDED = {"d": "d", "e": "e", "few": "a part of its own for small batches"}


def _named(more: tuple[str, ...]) -> str:
    return ", ".join(("a", "b", "c", *(_ADDED[name] for name in more)))


def _show(
    measured: Measured, found: Measurement, choice: Choice, validity: Validity | None, output: Path | None
) -> None:
    from mtpo.schedulers.simulator.measured import lines
    from mtpo.schedulers.simulator.validity import lines as compared

    for line in lines(measured):
        out.print(line)
    for line in _tried(choice):
        out.print(line)
    steady = "" if not _unsteady(found) else ": NOT STEADY, the machine is busy; measure again"
    out.print(
        f"  {found.rounds} rounds, {100 * found.disturbed:.0f} % of the steps disturbed; half of the others within "
        f"{100 * found.noise:.1f} % of their median{steady}"
    )
    predicted = {p: measured.step.seconds(p.new, p.context, p.pairs, p.requests) for p in measured.points}
    worst = sorted(predicted, key=lambda p: -abs(predicted[p] / p.seconds - 1))
    for p in worst[:3]:
        fitted = predicted[p]
        residual = f"{1e3 * p.seconds:.1f} ms, fitted {1e3 * fitted:.1f} ({100 * (fitted / p.seconds - 1):+.0f} %)"
        out.print(f"  furthest off: {p.new} new tokens, {p.context} of context: {residual}")
    if validity is not None:
        out.print("beside the simulator, on the same workload:")
        for line in compared(validity):
            out.print(line)
    if output is not None:
        out.print(f"written: {output}; mtpo simulate --steptime {output} simulates with it")
