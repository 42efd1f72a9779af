"""Step, admission and placement policies composed, on sessions of coding agents, beside compositions of published ones.

No paper has the three layers together, so there are no published figures. What is aimed at: 1.2 times the useful tokens
per second of the best published composition, at the same share of turns on time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mtpo.schedulers.papers.composed_bed import (
    ATTAINED,
    COMBINATIONS,
    FULL,
    LARGEST,
    MIXED,
    OURS,
    QUICK,
    TPOT,
    TTFT,
    Figures,
    Size,
    measure,
    read,
)
from mtpo.schedulers.papers.side import Job, run
from mtpo.schedulers.papers.table import Grid, Options, Plot, Row, Series, Study, Tell
from mtpo.schedulers.simulator.steptime import H200_8B
from mtpo.schedulers.traces.workload import Workload

CLAIM: Final = "useful tokens per second of three layers together, at equal attainment of the objectives"
AIM: Final = 1.2


def study(options: Options, tell: Tell) -> Study:
    """See the module's docstring. Raises TraceError, StudyError, OSError."""
    size = QUICK if options.quick else FULL
    workload = read(options, size)
    keys: list[tuple[str, float, float | None]] = [
        (name, rate, None) for rate in reversed(size.rates) for name in COMBINATIONS
    ]
    middle = size.rates[len(size.rates) // 2]
    when = len(workload.conversations) / middle / 2
    keys += [(name, middle, when) for name in COMBINATIONS if name not in MIXED]
    jobs = [
        Job(
            f"{name} at {rate:g}/s{'' if lost is None else ', a worker lost'}",
            measure,
            (workload, name, size.workers, rate, lost),
        )
        for name, rate, lost in keys
    ]
    found = dict(zip(keys, run(jobs, options.jobs, tell), strict=True))
    whole = {(name, rate): one for (name, rate, lost), one in found.items() if lost is None}
    losses = {name: one for (name, _, lost), one in found.items() if lost is not None}
    return _study(workload, size, options, whole, losses, middle)


def best(found: Mapping[tuple[str, float], Figures], name: str, rates: Sequence[float]) -> tuple[float, Figures] | None:
    """The rate with the most useful tokens per second among those at which enough turns are on time."""
    kept = [(rate, found[name, rate]) for rate in rates if found[name, rate].kept >= ATTAINED]
    return max(kept, key=lambda one: one[1].useful, default=None)


def _study(
    workload: Workload,
    size: Size,
    options: Options,
    found: Mapping[tuple[str, float], Figures],
    losses: Mapping[str, Figures],
    middle: float,
) -> Study:
    at = {name: best(found, name, size.rates) for name in COMBINATIONS}
    published = {name: one for name, one in at.items() if name != OURS and name not in MIXED and one is not None}
    ours = at[OURS]
    share = f"{100 * ATTAINED:.0f} % on time"
    rows = []
    if published:
        name = max(published, key=lambda one: published[one][1].useful)
        rate, figures = published[name]
        ratio = None if ours is None else ours[1].useful / figures.useful
        note = f"{figures.useful:.1f}/s at {rate:g} sessions/s"
        note += "; ours never keeps the objectives" if ours is None else f", ours {ours[1].useful:.1f}/s at {ours[0]:g}"
        rows.append(
            Row(
                f"useful tokens, {share}",
                f"best published: {name}",
                AIM,
                ratio,
                "x",
                note=note,
                holds=ours is not None and (ratio or 0) >= AIM,
            )
        )
    elif ours is not None:
        rows.append(Row(f"useful tokens, {share}", "best published", AIM, None, "x", note="none keeps the objectives"))
    for name, one in losses.items():
        note = f"{one.given_up} turns given up, {one.replaced} placed anew"
        rows.append(
            Row("on time, a worker lost", f"{name}, {middle:g}/s", None, 100 * one.kept, "%", note=note, holds=None)
        )
    grids = tuple(_grid(found, rate) for rate in size.rates)
    curves = tuple(
        Series(name, size.rates, tuple(found[name, rate].useful for rate in size.rates)) for name in COMBINATIONS
    )
    kept = tuple(
        Series(name, size.rates, tuple(100 * found[name, rate].kept for rate in size.rates)) for name in COMBINATIONS
    )
    x = "sessions per second"
    hardware = H200_8B
    notes = ["No paper has the three layers together: the figure to compare with is an aim, not a published one."]
    notes.append("Rates are tried in steps, so a ratio is as coarse as they are.")
    if options.quick:
        notes.append("--quick: few sessions and workers; run without it for figures to rely on.")
    return Study(
        "composed",
        "Three layers composed: sessions of coding agents",
        "this project; policies of arXiv 2510.14392, 2601.22705 and 2606.01839 beside its own",
        (
            (
                "sessions",
                f"{workload.name}: {len(workload.conversations)} of at most {size.turns} turns, {LARGEST:,} tokens",
            ),
            ("arrivals", "Poisson; tools and people take the times of the trace"),
            (
                "workers",
                f"{size.workers} x {hardware.name}, {hardware.kv_tokens:,} KV tokens each; ConServe: 1 prefiller",
            ),
            ("objectives", f"TTFT {TTFT:g} s, TPOT {1000 * TPOT:g} ms; a turn is on time when each of its tokens is"),
            ("judged", f"at the rate with the most useful tokens at which {share}"),
        ),
        tuple(rows),
        grids,
        (
            Plot("Useful tokens", x, "output tokens per second", curves, log_x=True),
            Plot("Turns on time", x, "%", kept, level=(100 * ATTAINED, "judged"), log_x=True),
        ),
        tuple(notes),
    )


def _grid(found: Mapping[tuple[str, float], Figures], rate: float) -> Grid:
    rows = []
    for name in COMBINATIONS:
        one = found[name, rate]
        if one.stuck:
            rows.append((name, "stuck", *("-",) * 6))
            continue
        cells = (
            f"{100 * one.kept:.1f}",
            f"{one.useful:.1f}",
            f"{one.ttft:.2f}",
            f"{one.gap:.2f}",
            f"{100 * one.hits:.1f}",
            f"{one.preempted}",
            f"{one.given_up}",
        )
        rows.append((name, *cells))
    heads = (
        "step, admission, placement",
        "on time %",
        "useful/s",
        "TTFT p95 s",
        "gap p99 s",
        "hit %",
        "preempted",
        "given up",
    )
    return Grid(f"At {rate:g} sessions per second", heads, tuple(rows))
