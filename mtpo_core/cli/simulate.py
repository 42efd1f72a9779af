"""Run scheduling policies on a workload in virtual time: one row for each combination of policies.

The workload is a trace in a known format (--format azure, burstgpt, mooncake, bailian, swe-agent, sessions), or
generated: poisson:rate=5,n=1000 · gamma:rate=5,cv=2 · bursts:rate=5,fano=13 · agents:n=64,turns=8,tool=5. Policies are
named with their arguments, separated by commas: --step sarathi:512,fairbatching --admission
none,concur:alpha=2,beta=0.5. A turn is in violation when any of its tokens is later than arrival + TTFT + TPOT * j.
With --capacity the highest rate is searched at which at most so many percent of the turns are in violation.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtpo_core.cli.common import out, print_json, progress, usage, verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mtpo.schedulers.simulator.cluster import Setup, WorkerSetup
    from mtpo.schedulers.traces.workload import Workload

NEEDS_ARGUMENTS = True


@verb
def simulate_command(
    trace: Annotated[str, typer.Option(help="a trace file (also looked for in $MTPO_TRACES) or a generator")],
    format: Annotated[str | None, typer.Option(help="the format of the file")] = None,
    step: Annotated[str, typer.Option(help="step policies")] = "sarathi:512",
    admission: Annotated[str, typer.Option(help="admission policies")] = "none",
    placement: Annotated[str, typer.Option(help="placement policies")] = "one_worker",
    hardware: Annotated[str, typer.Option(help="accelerator and model of each worker")] = "a100-llama3-8b",
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
    window: Annotated[float, typer.Option(min=0.001, help="seconds that usage is averaged over in --json")] = 10.0,
    seed: Annotated[int, typer.Option(help="of arrivals that are drawn for a trace")] = 0,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.schedulers.load import load_policy
    from mtpo.schedulers.simulator.cluster import Setup

    for what, value in (("--ttft", ttft), ("--tpot", tpot)):
        if value <= 0:
            raise usage(f"{what} must be above 0 seconds, got {value:g}")
    # Everything that was named is looked up before anything long begins.
    cluster = _cluster(hardware, workers, kv, max_tokens, max_requests)
    shares = _percentages(capacity)
    setups = [
        (
            (one, gate, place),
            Setup(
                load_policy(one),
                cluster,
                load_policy(gate, "admission"),
                load_policy(place, "placement"),
                ttft,
                tpot,
                window,
            ),
        )
        for one in _names(step, "step")
        for gate in _names(admission, "admission")
        for place in _names(placement, "placement")
    ]
    workload = _workload(trace, format, rate, first, turns, seed)
    rows: list[tuple[tuple[str, ...], dict[str, Any], list[str]]] = []
    for at, (names, setup) in enumerate(setups, 1):
        what = f"simulating {at} of {len(setups)}, {' '.join(names)}"
        with progress(what, json) as tell:
            rows.append((names, *_run(workload, setup, shares, seed, tell)))
    if json:
        print_json({"workload": _about(workload), "results": [_named(names) | found for names, found, _ in rows]})
        return
    _show(workload, hardware, workers, rows, shares, ttft, tpot)


def _names(text: str, layer: str) -> list[str]:
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


def _percentages(text: str) -> list[float]:
    try:
        found = [float(part) / 100 for part in text.split(",")] if text else []
        if not all(0 <= share < 1 for share in found):
            raise ValueError
    except ValueError:
        raise usage(f"--capacity is {text!r}, expected percentages of at least 0 and below 100, as in 1,5,10") from None
    return found


def _cluster(name: str, workers: str, kv: int | None, max_tokens: int, max_requests: int) -> tuple[WorkerSetup, ...]:
    from mtpo.schedulers.simulator.cluster import WorkerSetup
    from mtpo.schedulers.simulator.steptime import PRESETS
    from mtpo.schedulers.simulator.worker import Caps

    if name not in PRESETS:
        raise usage(f"--hardware {name!r} is not known; known: {', '.join(PRESETS)}")
    hardware = PRESETS[name]
    caps = Caps((kv or hardware.kv_tokens) // 16, 16, max_tokens, max_requests)
    prefillers, plus, decoders = workers.partition("+")
    try:
        counts = int(prefillers), int(decoders) if plus else 1
        if min(counts) < 1 or max(counts) > 1024:
            raise ValueError
    except ValueError:
        raise usage(f"--workers is {workers!r}, expected how many (4) or PREFILLERS+DECODERS (1+3)") from None
    if not plus:
        return (WorkerSetup(hardware, caps),) * counts[0]
    # A decoder computes the later prompts of its conversations, so only a prefiller is what it is called.
    return (WorkerSetup(hardware, caps, True, False),) * counts[0] + (WorkerSetup(hardware, caps, False),) * counts[1]


def _workload(
    trace: str, format: str | None, rate: float | None, first: int | None, turns: int | None, seed: int
) -> Workload:
    from mtpo.schedulers.traces.load import load_workload

    folder = os.environ.get("MTPO_TRACES")
    if format is not None and folder and not Path(trace).exists() and (Path(folder) / trace).exists():
        trace = str(Path(folder) / trace)
    found = load_workload(trace, format).first(first, turns)
    return found if rate is None else found.at_rate(rate, seed)


def _run(
    workload: Workload, setup: Setup, shares: Iterable[float], seed: int, tell: Callable[[str], None]
) -> tuple[dict[str, Any], list[str]]:
    """What was found, for --json; and the cells of its row."""
    import attrs

    from mtpo.schedulers.simulator.capacity import Search
    from mtpo.schedulers.simulator.cluster import simulate
    from mtpo.schedulers.simulator.report import as_json, cells, summarise

    def telling(prefix: str) -> Callable[[int, int, float], None]:
        return lambda done, total, now: tell(f"{prefix}{done:,} of {total:,} turns, {now:,.0f} s")

    outcome = simulate(workload, setup, telling(""))
    summary = summarise(outcome, len(setup.workers), setup.ttft_slo, setup.tpot_slo)
    search = Search(workload, setup, seed)
    found = [search.capacity(share, tell=lambda rate: telling(f"at {rate:.2f}/s: ")) for share in shares]
    windows = [attrs.asdict(one) for one in outcome.windows]
    data = {"summary": as_json(summary), "windows": windows, "capacity": [attrs.asdict(one) for one in found]}
    return data, [*cells(summary), *(f"{'>=' if one.bounded else ''}{one.rate:.2f}" for one in found)]


def _about(workload: Workload) -> dict[str, Any]:
    return {
        "name": workload.name,
        "conversations": len(workload.conversations),
        "requests": workload.requests,
        "rate": workload.rate,
        "notes": list(workload.notes),
    }


def _named(names: tuple[str, ...]) -> dict[str, Any]:
    return dict(zip(("step", "admission", "placement"), names, strict=True))


def _show(
    workload: Workload,
    hardware: str,
    workers: str,
    rows: list[tuple[tuple[str, ...], dict[str, Any], list[str]]],
    shares: list[float],
    ttft: float,
    tpot: float,
) -> None:
    from mtpo.schedulers.simulator.report import COLUMNS, table

    rate = f", {workload.rate:.2f} conversations/s" if workload.rate else ", all at once"
    out.print(f"{workload.name}: {workload.requests:,} turns of {len(workload.conversations):,} conversations{rate}")
    for note in workload.notes:
        out.print(note)
    out.print(f"{workers} x {hardware}; objectives: TTFT {ttft:g} s, TPOT {1000 * tpot:g} ms")
    heads = ["step", "admission", "placement", *COLUMNS, *(f"/s at {100 * share:g} %" for share in shares)]
    for line in table(heads, [[*names, *figures] for names, _, figures in rows], names=3):
        out.print(line)
