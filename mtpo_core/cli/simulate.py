"""Run scheduling policies on a workload in virtual time: one row for each combination of policies.

The workload is a trace in a known format (--format azure, burstgpt, mooncake, bailian, swe-agent, sessions), or
generated: poisson:rate=5,n=1000 · gamma:rate=5,cv=2 · bursts:rate=5,fano=13 · agents:n=64,turns=8,tool=5. Policies are
named with their arguments, separated by commas: --step sarathi:512,fairbatching --admission
none,concur:alpha=2,beta=0.5. A turn is in violation when any of its tokens is later than arrival + TTFT + TPOT * j.
With --capacity the highest rate is searched at which at most so many percent of the turns are in violation.

Combinations run side by side, one a core. --hardware takes a preset; --steptime FILE the step times of your own
machine, which mtpo calibrate --out FILE measures. --plot OUT.html (or .svg) draws latencies, KV cache, hits and step
times.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtpo_core.cli.common import out, plural, print_json, progress, usage, verb, writable
from mtpo_core.cli.setups import (
    check_fitting,
    cluster_of,
    hardware_of,
    losses,
    percentages,
    policies,
    workload_of,
)
from mtpo_core.cli.simulated import Found, Study, drawn, several

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mtpo.schedulers.simulator.steptime import Hardware
    from mtpo.schedulers.traces.workload import Workload

NEEDS_ARGUMENTS = True


@verb
def simulate_command(
    trace: Annotated[str, typer.Option(help="a trace file (also looked for in $MTPO_TRACES) or a generator")],
    format: Annotated[str | None, typer.Option(help="the format of the file")] = None,
    step: Annotated[str, typer.Option(help="step policies")] = "sarathi:512",
    admission: Annotated[str, typer.Option(help="admission policies")] = "none",
    placement: Annotated[str, typer.Option(help="placement policies")] = "one_worker",
    hardware: Annotated[
        str, typer.Option(help="each worker: a100-llama3-8b, a40-qwen3-0.6b, a40-qwen3-0.6b-200w, h200-8b")
    ] = "a100-llama3-8b",
    steptime: Annotated[Path | None, typer.Option(help="step times that mtpo calibrate wrote, for --hardware")] = None,
    workers: Annotated[str, typer.Option(help="how many, for both; or PREFILLERS+DECODERS, as in 1+3")] = "1",
    kv: Annotated[int | None, typer.Option(min=16, help="tokens in a worker's KV cache, if not the hardware's")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="tokens in a step at most")] = 8192,
    max_requests: Annotated[int, typer.Option(min=1, help="requests in a step at most")] = 256,
    ttft: Annotated[float, typer.Option(min=0.0, help="objective: seconds to the first token")] = 1.0,
    tpot: Annotated[float, typer.Option(min=0.0, help="objective: seconds per token after it")] = 0.05,
    rate: Annotated[float | None, typer.Option(help="conversations per second: stretches or draws arrivals")] = None,
    first: Annotated[int | None, typer.Option(min=1, help="only so many conversations")] = None,
    turns: Annotated[int | None, typer.Option(min=1, help="only so many turns of each")] = None,
    capacity: Annotated[str, typer.Option(help="search the capacity at these percentages, as in 1,5,10")] = "",
    window: Annotated[float, typer.Option(min=0.001, help="seconds that figures over time are averaged over")] = 10.0,
    lose: Annotated[str, typer.Option(help="workers that are lost: WORKER@SECONDS, as in 1@30,3@60")] = "",
    seed: Annotated[int, typer.Option(help="of arrivals that are drawn for a trace")] = 0,
    plot: Annotated[Path | None, typer.Option(help="draw to this file, .html or .svg")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes side by side; as many as cores by default")] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.schedulers.papers.side import cores
    from mtpo.schedulers.simulator.report import table

    for what, value in (("--ttft", ttft), ("--tpot", tpot), ("--window", window)):
        if not 0 < value < float("inf"):
            raise usage(f"{what} must be a number above 0, in seconds, got {value:g}")
    if plot is not None:
        _drawable(plot)
    # Everything that was named is looked up before anything long begins.
    chosen = hardware_of(hardware, steptime)
    cluster = cluster_of(chosen, workers, kv, max_tokens, max_requests)
    shares = percentages(capacity)
    every = [
        (one, gate, place)
        for one in policies(step, "step")
        for gate in policies(admission, "admission")
        for place in policies(placement, "placement")
    ]
    check_fitting(workers, [names[2] for names in every])
    workload = workload_of(trace, format, rate, first, turns, seed)
    study = Study(workload, cluster, ttft, tpot, window, tuple(shares), seed, losses(lose, len(cluster)))
    for names in every:
        study.setup(names)
    with progress(f"simulating {plural(len(every), 'combination')}", json) as tell:
        found = several(study, every, jobs or cores(), tell)
    if plot is not None:
        _draw(plot, study, chosen.name, workers, every, found)
    if json:
        results = [_named(names) | one.data for names, one in zip(every, found, strict=True)]
        print_json({"workload": _about(workload), "hardware": _machine(chosen), "results": results})
        return
    for line in _lines(study, chosen.name, workers):
        out.print(line)
    rows = [(*names, *one.cells) for names, one in zip(every, found, strict=True)]
    for line in table(_heads(shares), rows, names=3):
        out.print(line)
    for names, one in zip(every, found, strict=True):
        if one.note:
            out.print(f"{' '.join(names)}: {one.note}")
    if plot is not None:
        out.print(f"plots: {plot}")


def _drawable(path: Path) -> None:
    import importlib.util

    if path.suffix.lower() not in (".html", ".svg"):
        raise usage(f"--plot {path}: expected a file that ends in .html or .svg")
    if path.is_dir() or not path.parent.is_dir():
        raise usage(f"--plot {path}: {'is a folder' if path.is_dir() else 'its folder does not exist'}")
    if importlib.util.find_spec("matplotlib") is None:
        raise usage("--plot needs matplotlib: pip install '.[verify]' in a clone")
    writable(path)


def _draw(
    path: Path, study: Study, hardware: str, workers: str, every: list[tuple[str, str, str]], found: list[Found]
) -> None:
    title, *notes, setting = _lines(study, hardware, workers)
    settings = (("workload", title), ("workers", setting), ("step times", study.cluster[0].hardware.source))
    heads = _heads(study.shares)
    name = f"Simulated: {study.workload.name}"
    path.write_text(drawn(path, name, settings, heads, every, found, (study.ttft, study.tpot), notes), encoding="utf-8")


def _machine(hardware: Hardware) -> dict[str, Any]:
    import attrs

    return {"name": hardware.name, "source": hardware.source, "step": attrs.asdict(hardware.step)}


def _about(workload: Workload) -> dict[str, Any]:
    return {
        "name": workload.name,
        "conversations": len(workload.conversations),
        "requests": workload.requests,
        "rate": workload.rate,
        "notes": _notes(workload),
    }


def _named(names: tuple[str, ...]) -> dict[str, Any]:
    return dict(zip(("step", "admission", "placement"), names, strict=True))


def _heads(shares: Sequence[float]) -> list[str]:
    from mtpo.schedulers.simulator.report import COLUMNS

    return ["step", "admission", "placement", *COLUMNS, *(f"/s at {100 * share:g} %" for share in shares)]


def _lines(study: Study, hardware: str, workers: str) -> list[str]:
    """What was simulated: the workload, its notes, the workers."""
    workload = study.workload
    rate = f", {workload.rate:.2f} conversations/s" if workload.rate else ", all at once"
    size = f"{plural(workload.requests, 'turn')} of {plural(len(workload.conversations), 'conversation')}"
    title = f"{workload.name}: {size}{rate}"
    setting = f"{workers} x {hardware}; objectives: TTFT {study.ttft:g} s, TPOT {1000 * study.tpot:g} ms"
    return [title, *_notes(workload), setting]


def _notes(workload: Workload) -> list[str]:
    """What its reader noted; and of a file without times of arrival what stands in for them."""
    if workload.timed or not workload.source or len(workload.conversations) == 1:
        return list(workload.notes)
    clock = f"{workload.name}: conversations have no common clock, each begins at 0; --rate draws their arrivals"
    return [*workload.notes, clock]
