"""Step, admission and placement policies composed, on sessions of coding agents, beside compositions of published ones.

No paper has the three layers together, so there are no published figures. What is aimed at: 1.2 times the useful tokens
per second of the best published composition, at the same share of turns on time. Every combination is run at every rate
in several draws of arrivals, and turns are on time or late in all draws together: where many turns depend on how the
first sessions happen to fall, one draw can be lucky at one rate.
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
    Draw,
    Figures,
    Size,
    measure,
    read,
    together,
)
from mtpo.schedulers.papers.side import Job, run
from mtpo.schedulers.papers.table import Grid, Options, Plot, Row, Series, Study, Tell
from mtpo.schedulers.simulator.steptime import H200_8B
from mtpo.schedulers.traces.workload import Workload, counted

CLAIM: Final = "useful tokens per second of three layers together, at equal attainment of the objectives"
AIM: Final = 1.2


def study(options: Options, tell: Tell) -> Study:
    """See the module's docstring. Raises TraceError, StudyError, OSError."""
    size = QUICK if options.quick else FULL
    workload = read(options, size)
    seeds = range(size.draws)
    keys: list[tuple[str, float, float | None]] = [
        (name, rate, None) for rate in reversed(size.rates) for name in COMBINATIONS
    ]
    middle = size.rates[len(size.rates) // 2]
    when = len(workload.conversations) / middle / 2
    keys += [(name, middle, when) for name in COMBINATIONS if name not in MIXED]
    jobs = [
        Job(
            f"{name} at {rate:g}/s{'' if lost is None else ', a worker lost'}, draw {seed}",
            measure,
            (workload, name, size.workers, rate, seed, lost),
        )
        for name, rate, lost in keys
        for seed in seeds
    ]
    measured = run(jobs, options.jobs, tell)
    found: dict[tuple[str, float, float | None], list[Draw]] = {
        key: measured[at * size.draws : (at + 1) * size.draws] for at, key in enumerate(keys)
    }
    whole = {(name, rate): some for (name, rate, lost), some in found.items() if lost is None}
    losses = {name: together(some) for (name, _, lost), some in found.items() if lost is not None}
    return _study(workload, size, options, whole, losses, middle)


def best(found: Mapping[tuple[str, float], Figures], name: str, rates: Sequence[float]) -> tuple[float, Figures] | None:
    """The rate with the most useful tokens per second among those at which enough turns are on time."""
    kept = [(rate, found[name, rate]) for rate in rates if found[name, rate].kept >= ATTAINED]
    return max(kept, key=lambda one: one[1].useful, default=None)


def ratio(
    found: Mapping[tuple[str, float], Figures], rates: Sequence[float]
) -> tuple[float, tuple[str, float, Figures], tuple[float, Figures]] | None:
    """Useful tokens of ours over those of the best published combination, each at its best rate, and both; None where
    one of them keeps the objectives at no rate."""
    ours = best(found, OURS, rates)
    published = []
    for name in COMBINATIONS:
        at = None if name == OURS or name in MIXED else best(found, name, rates)
        if at is not None:
            published.append((name, *at))
    if ours is None or not published:
        return None
    top = max(published, key=lambda one: one[2].useful)
    return ours[1].useful / top[2].useful, top, ours


def _study(
    workload: Workload,
    size: Size,
    options: Options,
    draws: Mapping[tuple[str, float], Sequence[Draw]],
    losses: Mapping[str, Figures],
    middle: float,
) -> Study:
    found = {key: together(some) for key, some in draws.items()}
    share = f"{100 * ATTAINED:.0f} % on time"
    judged = ratio(found, size.rates)
    if judged is None:
        keeps = best(found, OURS, size.rates) is not None
        note = "no published one keeps the objectives" if keeps else "ours never keeps the objectives"
        rows = [
            Row(f"useful tokens, {share}", "best published", AIM, None, "x", note=note, holds=None if keeps else False)
        ]
    else:
        times, (name, rate, figures), (own, ours) = judged
        note = f"{figures.useful:.1f}/s at {rate:g} sessions/s, ours {ours.useful:.1f}/s at {own:g}"
        rows = [
            Row(f"useful tokens, {share}", f"best published: {name}", AIM, times, "x", note=note, holds=times >= AIM)
        ]
    for seed in range(size.draws if size.draws > 1 else 0):
        alone = ratio({key: together(some[seed : seed + 1]) for key, some in draws.items()}, size.rates)
        if alone is not None:
            times, (name, rate, _), (own, _) = alone
            note = f"{name} at {rate:g}, ours at {own:g}; one draw is no figure to rely on"
            rows.append(Row("useful tokens", f"draw {seed} by itself", None, times, "x", note=note, holds=None))
    for name, one in losses.items():
        note = f"{counted(one.given_up, 'turn')} given up, {one.replaced} placed anew"
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
            (
                "arrivals",
                f"Poisson, draws: {size.draws}; tools and people take the times of the trace",
            ),
            (
                "workers",
                f"{size.workers} x {hardware.name}, {hardware.kv_tokens:,} KV tokens each; ConServe: 1 prefiller",
            ),
            ("objectives", f"TTFT {TTFT:g} s, TPOT {1000 * TPOT:g} ms; a turn is on time when each of its tokens is"),
            ("judged", f"at the rate with the most useful tokens at which {share}, all draws together"),
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
            rows.append((name, "stuck", *("-",) * 7))
            continue
        cells = (
            f"{100 * one.kept:.1f}",
            f"{100 * one.range[0]:.1f} to {100 * one.range[1]:.1f}",
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
        "each draw",
        "useful/s",
        "TTFT p95 s",
        "gap p99 s",
        "hit %",
        "preempted",
        "given up",
    )
    return Grid(f"At {rate:g} sessions per second", heads, tuple(rows))
