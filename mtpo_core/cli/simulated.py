"""What ``mtpo simulate`` runs and shows: one simulation in a process of its own, and the page of several."""

from __future__ import annotations

import math
import multiprocessing
import queue
import re
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from mtpo.schedulers.papers.table import Plot, Series
    from mtpo.schedulers.simulator.cluster import Outcome, Setup, WorkerSetup
    from mtpo.schedulers.simulator.loss import Loss
    from mtpo.schedulers.simulator.report import Summary
    from mtpo.schedulers.traces.workload import Workload

Say = Callable[[str], None]


class Died(RuntimeError):
    """A process that simulated ended before its time; one line."""


@attrs.frozen
class Study:
    """What all combinations have in common. Times in seconds; ``shares`` (0..1) that capacity is searched at;
    ``losses`` of workers."""

    workload: Workload
    cluster: tuple[WorkerSetup, ...]
    ttft: float
    tpot: float
    window: float
    shares: tuple[float, ...]
    seed: int
    losses: tuple[Loss, ...] = ()

    def setup(self, names: Sequence[str]) -> Setup:
        """Of one combination: step, admission and placement. Raises PolicyError."""
        from mtpo.schedulers.load import load_policy
        from mtpo.schedulers.simulator.cluster import Setup

        step, admission, placement = names
        setup = Setup(
            load_policy(step),
            self.cluster,
            load_policy(admission, "admission"),
            load_policy(placement, "placement"),
            self.ttft,
            self.tpot,
            self.window,
        )
        return attrs.evolve(setup, losses=self.losses) if self.losses else setup


@attrs.frozen
class Found:
    """One combination: its figures, those for ``--json``, the cells of its row, and what is drawn of it: points of
    cumulative distributions by name, and series over time. ``note``: a line on what was given up, None for nothing."""

    summary: Summary
    data: dict[str, Any]
    cells: tuple[str, ...]
    curves: dict[str, tuple[tuple[float, ...], tuple[float, ...]]]
    note: str | None = None


def one(study: Study, names: tuple[str, str, str], say: Say) -> Found:
    """Simulate one combination, and search its capacity where that is wanted."""
    from mtpo.schedulers.simulator.capacity import Search
    from mtpo.schedulers.simulator.cluster import simulate
    from mtpo.schedulers.simulator.report import as_json, cells, given_up, summarise

    def telling(prefix: str) -> Callable[[int, int, float], None]:
        return lambda done, total, now: say(f"{prefix}{done:,} of {total:,} turns, {now:,.0f} s")

    setup = study.setup(names)
    outcome = simulate(study.workload, setup, telling(""))
    summary = summarise(outcome, len(setup.workers), setup.ttft_slo, setup.tpot_slo)
    search = Search(study.workload, setup, study.seed)
    found = [search.capacity(share, tell=lambda rate: telling(f"at {rate:.2f}/s: ")) for share in study.shares]
    windows = [attrs.asdict(window) for window in outcome.windows]
    data = {"summary": as_json(summary), "windows": windows, "capacity": [attrs.asdict(c) for c in found]}
    shown = (*cells(summary), *(f"{'>=' if c.bounded else ''}{c.rate:.2f}" for c in found))
    return Found(summary, data, shown, _curves(outcome, len(setup.workers)), given_up(summary))


# -- side by side ----------------------------------------------------------------------------------------------

_told: Any = None


def _begin(told: Any) -> None:
    global _told
    _told = told


def _elsewhere(at: int, study: Study, names: tuple[str, str, str]) -> Found:
    def say(text: str) -> None:
        _told.put((at, text))

    return one(study, names, say)


def several(study: Study, every: Sequence[tuple[str, str, str]], processes: int, say: Say) -> list[Found]:
    """All combinations, in order, at most so many at once; each in a process of its own when there are several."""
    if min(processes, len(every)) <= 1:
        found = []
        for at, names in enumerate(every):
            head = f"{at + 1} of {len(every)}, {' '.join(names)}: "
            found.append(one(study, names, lambda text, head=head: say(head + text)))  # type: ignore[misc]
        return found
    from mtpo.schedulers.papers.side import children, track

    track()
    told: Any = multiprocessing.get_context("spawn").Queue()
    try:
        with children(min(processes, len(every)), _begin, told) as submit:
            at_work: dict[int, str] = {}
            labels = _labels(every)
            futures: list[Future[Found]] = [submit(_elsewhere, at, study, names) for at, names in enumerate(every)]
            left: set[Future[Found]] = set(futures)
            while left:
                done, left = wait(left, 0.2, FIRST_COMPLETED)
                for future in done:
                    at_work.pop(futures.index(future), None)
                    future.result()
                while True:
                    try:
                        at, text = told.get_nowait()
                    except queue.Empty:
                        break
                    if not futures[at].done():
                        at_work[at] = text
                now = (f"\n  {labels[at]}: {text}" for at, text in sorted(at_work.items()))
                say(f"{len(every) - len(left)} of {len(every)} done{''.join(now)}")
    except BrokenProcessPool:
        raise Died("a process that simulated was ended, by a policy or for lack of memory; try --jobs 1") from None
    finally:
        told.close()
    return [future.result() for future in futures]


# -- curves and the page ---------------------------------------------------------------------------------------

_POINTS = 60
"""Of a curve: what a plot of this width shows."""


def _curves(outcome: Outcome, workers: int) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    turns = outcome.turns
    found = {
        "ttft": _cumulative([turn.ttft for turn in turns]),
        "tpot": _cumulative([1e3 * turn.tpot for turn in turns if turn.output > 1]),
        "turn": _cumulative([turn.end - turn.submitted for turn in turns]),
    }
    total, below = sum(count for _, count in outcome.step_times), 0
    steps = [(0.0, 0.0)] if not total else []
    for seconds, count in outcome.step_times:
        below += count
        steps.append((1e3 * seconds, 100 * below / total))
    kept = _thinned(steps)
    found["steps"] = tuple(x for x, _ in kept), tuple(y for _, y in kept)
    width, every = outcome.window, outcome.windows
    last = max((round(one.start / width) for one in every), default=0)
    group = max(1, math.ceil((last + 1) / _POINTS))
    bins: dict[int, list[Any]] = {at: [] for at in range(last // group + 1)}
    for window in every:
        bins[round(window.start / width) // group].append(window)
    span = {at: min(group * width, max(outcome.end - at * group * width, 1e-9)) for at in bins}
    times = tuple(at * group * width for at in bins)
    found["usage"] = times, tuple(100 * sum(w.kv_usage for w in some) * width / span[at] for at, some in bins.items())
    found["running"] = times, tuple(sum(w.running for w in some) * width / span[at] for at, some in bins.items())
    found["waiting"] = times, tuple(sum(w.waiting for w in some) * width / span[at] for at, some in bins.items())
    rates = [(at, sum(w.hits for w in some), sum(w.prompt for w in some)) for at, some in bins.items()]
    looked = [(times[at], 100 * hits / prompt) for at, hits, prompt in rates if prompt]
    found["hits"] = tuple(t for t, _ in looked), tuple(rate for _, rate in looked)
    means = [(times[at], sum(w.busy for w in some), sum(w.steps for w in some)) for at, some in bins.items()]
    stepped = [(t, 1e3 * busy / steps_in) for t, busy, steps_in in means if steps_in]
    found["step"] = tuple(t for t, _ in stepped), tuple(mean for _, mean in stepped)
    return found


def _cumulative(values: list[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    ordered = sorted(values)
    n = len(ordered)
    # Evenly over the middle, closer towards the tail, which is what is asked about.
    shares = [*(at / 50 for at in range(1, 48)), 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0]
    ranks = sorted({max(0, math.ceil(share * n) - 1) for share in shares}) if n else []
    return tuple(ordered[rank] for rank in ranks), tuple(100 * (rank + 1) / n for rank in ranks)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    each = max(1, math.ceil(len(points) / _POINTS))
    return [p for at, p in enumerate(points) if at % each == 0 or at == len(points) - 1]


def _plots(names: Sequence[str], found: Sequence[Found], ttft: float, tpot: float) -> tuple[Plot, ...]:
    from mtpo.schedulers.papers.table import Plot, Series

    def series(what: str, above: float | None = None) -> tuple[Series, ...]:
        made = []
        for name, one in zip(names, found, strict=True):
            x, y = one.curves[what]
            if above is not None:
                kept = [(a, b) for a, b in zip(x, y, strict=True) if a > above]
                x, y = tuple(a for a, _ in kept), tuple(b for _, b in kept)
            made.append(Series(name, x, y))
        return tuple(made)

    share = "turns, cumulative (%)"
    late = f"objective {ttft:g} s"
    plots = [
        Plot(f"Time to the first token ({late})", "TTFT (s), logarithmic", share, series("ttft", 0.0), log_x=True),
        Plot(
            f"Mean time per token after the first (objective {1e3 * tpot:g} ms)",
            "TPOT (ms), logarithmic",
            share,
            series("tpot", 0.0),
            log_x=True,
        ),
        Plot("From asking to the last token", "whole turn (s), logarithmic", share, series("turn", 0.0), log_x=True),
        Plot("KV cache in use", "time (s)", "blocks held (%)", series("usage")),
        Plot("Requests that run", "time (s)", "requests, mean", series("running")),
        Plot("Requests that wait on workers", "time (s)", "requests, mean", series("waiting")),
        Plot("Step times", "step (ms), logarithmic", "steps, cumulative (%)", series("steps", 0.0), log_x=True),
        Plot("Step times over time", "time (s)", "step, mean (ms)", series("step")),
    ]
    if any(any(one.curves["hits"][1]) for one in found):
        plots.insert(4, Plot("Prefix cache hits", "time (s)", "prompt tokens found (%)", series("hits"), top=100.0))
    return tuple(plots)


def drawn(
    path: Path,
    title: str,
    settings: Sequence[tuple[str, str]],
    heads: Sequence[str],
    every: Sequence[tuple[str, str, str]],
    found: Sequence[Found],
    objectives: tuple[float, float],
    notes: Sequence[str],
) -> str:
    """The document for a path that ends in .html (table, settings and plots) or .svg (plots alone)."""
    from mtpo.schedulers.papers.page import page, svg
    from mtpo.schedulers.papers.table import Grid
    from mtpo.schedulers.papers.table import Study as Page

    plots = _plots(_labels(every), found, *objectives)
    if path.suffix.lower() == ".svg":
        return _stacked([svg(plot, str(at)) for at, plot in enumerate(plots)])
    rows = tuple((*names, *one.cells) for names, one in zip(every, found, strict=True))
    grid = Grid("Policies", tuple(heads), rows, 3, "Columns p50, p95, p99 belong to the measure on their left.")
    return page(Page("simulate", title, "mtpo simulate", tuple(settings), (), (grid,), plots, tuple(notes)))


def _labels(every: Sequence[tuple[str, str, str]]) -> list[str]:
    """What tells combinations apart: layers in which all are the same are left out."""
    differ = [at for at in range(3) if len({names[at] for names in every}) > 1] or [0]
    return [" ".join(names[at] for at in differ) for names in every]


_WIDE, _HIGH = 820, 380


def _stacked(parts: Sequence[str]) -> str:
    """Several SVG elements below each other, as one document."""
    # Sizes in points would make an element larger than its place, which is in pixels.
    placed = (
        re.sub(r' (?:width|height)="[^"]*"', "", part[: part.index(">")]).replace(
            "<svg ", f'<svg x="0" y="{at * _HIGH}" width="{_WIDE}" height="{_HIGH - 10}" ', 1
        )
        + part[part.index(">") :]
        for at, part in enumerate(parts)
    )
    high = len(parts) * _HIGH
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    back = '<rect width="100%" height="100%" fill="#fff"/>'
    size = f'width="{_WIDE}" height="{high}" viewBox="0 0 {_WIDE} {high}"'
    return f'<?xml version="1.0" encoding="utf-8"?>\n<svg {names} {size}>{back}{"".join(placed)}</svg>\n'
