"""ConServe measured: tail latency, objectives and energy against collocation, full disaggregation and AMPD.

Latencies are told twice: as the published code measures them, and with the waits that it leaves out. Sources of the
figures to compare with: arXiv 2606.01839 (abstract) and its research artifact (section 5's figures and scripts).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

import attrs

from mtpo.schedulers.papers import side
from mtpo.schedulers.papers.conserve_bed import CONVERSATIONS, SLO, SYSTEMS, TURNS, Cell, Figures, alone, measure
from mtpo.schedulers.papers.conserve_bed import workload_of as conversations_of
from mtpo.schedulers.papers.table import Grid, Options, Plot, Row, Series, Study, StudyError, Tell, figure
from mtpo.schedulers.simulator.energy import Draw, memory_watts
from mtpo.schedulers.traces.workload import counted

CLAIM = "p95 time to the first token of the last turn, objectives, tokens per joule; conversations placed once"

RATES: Final = (0.5, 0.75, 1.0, 1.25, 1.5, 1.634)
SATURATED: Final = 1.634
OFFERED: Final = 2.0
"""Conversations per second. The artifact's point at 1.634 plays back what its prefiller did with 2 a second."""

PAPER_TTFET: Final = MappingProxyType(
    {
        "ConServe": (1.32, 1.76, 2.61, 3.57, 3.94, 4.06),
        "AMPD": (1.38, 1.79, 2.69, 3.78, 4.31, 8.30),
        "Collocated": (1.34, 1.62, 2.44, 3.61, 4.55, 5.56),
    }
)
"""p95 TTFET at :data:`RATES` (the artifact's runs)."""
PAPER: Final = MappingProxyType(
    {
        "Collocated": (5.56, 7.52, 5.56, 17.7, 26.7, 19.6, 61.1, 70.9),
        "Full disaggregation": (104.25, 2.01, 65.1, 98.0, 0.0, 92.6, 30.3, 30.9),
        "AMPD": (8.30, 4.30, 6.76, 13.3, 0.0, 10.2, 57.7, 71.8),
        "ConServe": (4.06, 4.43, 4.23, 0.0, 0.0, 0.0, 62.0, 76.1),
    }
)
"""At 1.634/s: p95 TTFET, gap between tokens of the last turn, end to end; violations of each in percent; tokens per
joule without a cap, and with decoders at 200 W (the artifact's runs)."""

IDLE: Final = 76.0
"""Watts of an A40 with the engine loaded and nothing to do (a power trace in the artifact's notebook plot_1pxd)."""
BOARD: Final = 300.0
CAP: Final = 200.0


def study(options: Options, tell: Tell) -> Study:
    """Measure. Raises :class:`StudyError` for a trace with too few long conversations."""
    workload = conversations_of(options.trace, options.format, CONVERSATIONS)
    if len(workload.conversations) < 20:
        raise StudyError(
            f"{options.trace}: only {counted(len(workload.conversations), 'conversation')} of {TURNS} turns or more; "
            "20 are needed"
        )
    n = len(workload.conversations)
    tell("every conversation alone")
    solo = alone(workload)
    systems = tuple(name for name in SYSTEMS if not (options.quick and name == "ConServe, oracle"))
    rates: tuple[float, ...] = (1.0, SATURATED) if options.quick else RATES
    seeds = 1 if options.quick else 5
    wanted = [(SATURATED, capped, seed) for seed in range(seeds) for capped in (False, True)]
    wanted += [(rate, False, seed) for rate in rates if rate != SATURATED for seed in range(1 if options.quick else 2)]
    jobs = [
        side.Job(
            f"{rate:g}/s{', decoders capped' if capped else ''}, seed {seed}",
            measure,
            (options.trace, options.format, n, OFFERED if rate == SATURATED else rate, capped, seed, solo, systems),
        )
        for rate, capped, seed in wanted
    ]
    cells: dict[tuple[float, bool], list[Cell]] = {}
    for (rate, capped, _), cell in zip(wanted, side.run(jobs, options.jobs, tell), strict=True):
        cells.setdefault((rate, capped), []).append(cell)
    found = _Found(cells, _memory_watts(cells[SATURATED, False]), systems, rates)
    return _study(found, workload.name, n, options.quick)


def _memory_watts(cells: Sequence[Cell]) -> float:
    """What decodes draw, from one published figure of a baseline: tokens per joule of Collocated, no cap."""
    found = []
    for cell in cells:
        one = cell.figures["Collocated"]
        found.append(memory_watts(one.tokens / PAPER["Collocated"][6], one.loads, one.end, IDLE, BOARD))
    return min(BOARD, max(IDLE, statistics.mean(found)))


def per_joule(one: Figures, capped: bool, memory: float) -> float:
    """Tokens per joule, prompts with their history counted anew each turn, as in the artifact; the first board of the
    four is never capped. ``memory``: watts of memory-bound work."""
    draws = (Draw(IDLE, memory, BOARD, BOARD), *(Draw(IDLE, memory, BOARD, CAP if capped else BOARD),) * 3)
    return one.tokens / sum(draw.joules(load, one.end) for draw, load in zip(draws, one.loads, strict=True))


@attrs.frozen
class _Found:
    cells: dict[tuple[float, bool], list[Cell]]
    memory: float
    systems: tuple[str, ...]
    rates: tuple[float, ...]

    def each(self, system: str, what: str, rate: float = SATURATED, capped: bool = False) -> list[float]:
        """A figure of a system, by seed."""
        return [float(getattr(cell.figures[system], what)) for cell in self.cells[rate, capped]]

    def mean(self, system: str, what: str, rate: float = SATURATED, capped: bool = False) -> float:
        return statistics.mean(self.each(system, what, rate, capped))

    def joules(self, system: str, capped: bool = False, memory: float | None = None) -> list[float]:
        """Tokens per joule at the saturated point, by seed."""
        watts = self.memory if memory is None else memory
        return [per_joule(cell.figures[system], capped, watts) for cell in self.cells[SATURATED, capped]]

    def less(self, what: str, rate: float = SATURATED) -> list[float]:
        """By how many percent ConServe's figure is below AMPD's, by seed."""
        pairs = zip(self.each("ConServe", what, rate), self.each("AMPD", what, rate), strict=True)
        return [100 * (1 - ours / theirs) for ours, theirs in pairs]

    def over_ampd(self, memory: float | None = None) -> list[float]:
        """By how many percent ConServe gives more tokens per joule than AMPD, by seed."""
        pairs = zip(self.joules("ConServe", memory=memory), self.joules("AMPD", memory=memory), strict=True)
        return [100 * (ours / theirs - 1) for ours, theirs in pairs]

    def capping(self, memory: float | None = None) -> list[float]:
        """By how many percent ConServe gives more tokens per joule with capped decoders, by seed."""
        pairs = zip(self.joules("ConServe", True, memory), self.joules("ConServe", False, memory), strict=True)
        return [100 * (after / before - 1) for after, before in pairs]


def _study(found: _Found, name: str, n: int, quick: bool) -> Study:
    served = statistics.mean(cell.served for cell in found.cells[SATURATED, False])
    notes = [
        "As published: the artifact's clock starts when the first prompt is begun (ConServe, AMPD) and leaves out the "
        "wait for a decoder; what AMPD's misrouted turns wait in the same queue is counted.",
        "AMPD is emulated as the artifact does: 10 % of the later turns go to the prefiller, history brought along.",
        "Collocated and Full disaggregation, as published: arrivals are the times at which ConServe's prefiller began.",
    ]
    if quick:
        notes.append("--quick: two rates and one seed; the longest conversation alone moves the energy by percents.")
    return Study(
        "conserve",
        "ConServe: conversations placed once, by what can be observed",
        "Ding, Hosseini, Gholami, Xiang, Hoffmann: Observation, Not Prediction, arXiv 2606.01839 (2026)",
        (
            ("conversations", f"{n} of {TURNS} turns, {name}; tools take no time"),
            ("workers", "1 prefiller (steps of 8192 tokens) and 3 decoders (2944); Collocated: 4 for both"),
            ("hardware", "A40, Qwen3-0.6B, 308,448 KV tokens each; times of steps and transfers are the artifact's"),
            ("arrivals", f"Poisson; 1.634/s is {OFFERED:g}/s offered, {served:.2f}/s of them begun by the prefiller"),
            ("unit", f"what the same conversation takes alone; objective {SLO:g} times that"),
            ("step policy", "vllm_v1"),
            ("idle board", f"{IDLE:g} W"),
            ("arithmetic", f"{BOARD:g} W"),
            ("memory-bound work", f"{found.memory:.0f} W, from Collocated's published {PAPER['Collocated'][6]} tok/J"),
        ),
        _rows(found),
        (_by_rate(found), _at_saturation(found), _nothing_left_out(found), _by_draw(found)),
        _plots(found),
        tuple(notes),
    )


def _row(measure: str, setting: str, paper: float | None, each: Sequence[float], unit: str, less: bool = False) -> Row:
    """The mean over seeds; their range is the note."""
    note = f"{len(each)} seeds: {figure(min(each))} to {figure(max(each))}" if len(each) > 1 else "one seed"
    return Row(measure, setting, paper, statistics.mean(each), unit, less, note)


def _rows(found: _Found) -> tuple[Row, ...]:
    at, ours = "against AMPD, 1.634/s", "ConServe, 1.634/s"
    rows = [
        _row("p95 TTFET less by", f"{at}, as published", 51.08, found.less("ttfet"), "%"),
        _row("p95 TTFET less by", f"{at}, all waits", None, found.less("ttfet_all"), "%"),
    ]
    if 1.5 in found.rates:
        before = 100 * (1 - PAPER_TTFET["ConServe"][4] / PAPER_TTFET["AMPD"][4])
        rows.append(_row("p95 TTFET less by", "1.5/s, as published", before, found.less("ttfet", 1.5), "%"))
        rows.append(_row("p95 TTFET less by", "1.5/s, all waits", None, found.less("ttfet_all", 1.5), "%"))
    rows += [
        _row("tokens per joule more by", at, 7.51, found.over_ampd(), "%"),
        _row("tokens per joule more by", "decoders at 200 W, 1.634/s", 22.75, found.capping(), "%"),
    ]
    for index, (what, name) in enumerate((("ttfet", "TTFET"), ("gap", "last-turn TBT"), ("whole", "end to end"))):
        paper = PAPER["ConServe"]
        rows.append(_row(f"p95 {name}", ours, paper[index], found.each("ConServe", what), "x", True))
        late = found.each("ConServe", f"{what}_late")
        rows.append(_row(f"violations, {name}", ours, paper[index + 3], late, "%", True))
    late = found.each("ConServe", "ttfet_all_late")
    rows.append(_row("violations, TTFET", f"{ours}, all waits", None, late, "%", True))
    pairs = zip(found.each("ConServe", "ttfet_all"), found.each("failover", "ttfet_all"), strict=True)
    gain = [100 * (1 - ours / theirs) for theirs, ours in pairs]
    rows.append(_row("p95 TTFET less by, failover", "against ConServe, 1.634/s, all waits", None, gain, "%"))
    gaps = [b / a for a, b in zip(found.each("ConServe", "gap"), found.each("failover", "gap"), strict=True)]
    rows.append(_row("p95 last-turn TBT, failover", "over ConServe's, 1.634/s", None, gaps, "x", True))
    most = [float(cell.figures["ConServe"].most_transfers) for cells in found.cells.values() for cell in cells]
    rows.append(Row("transfers of a conversation", "ConServe, every run", 1.0, max(most), "", True, "at most"))
    return tuple(rows)


def _by_rate(found: _Found) -> Grid:
    rows = []
    for system in found.systems:
        paper = PAPER_TTFET.get(system)
        if paper:
            rows.append((system, "paper", *(f"{paper[RATES.index(rate)]:.2f}" for rate in found.rates)))
        for what, name in (("ttfet", "as published"), ("ttfet_all", "all waits")):
            rows.append((system, name, *(f"{found.mean(system, what, rate):.2f}" for rate in found.rates)))
    heads = ("system", "figures", *(f"{rate:g}/s" for rate in found.rates))
    return Grid("p95 TTFET by rate, no cap", heads, tuple(rows), 2)


def _at_saturation(found: _Found) -> Grid:
    rows = []
    for system in found.systems:
        if system in PAPER:
            rows.append((system, "paper", *(f"{value:.2f}" for value in PAPER[system])))
        names = ("ttfet", "gap", "whole", "ttfet_late", "gap_late", "whole_late")
        values = [found.mean(system, what) for what in names]
        values += [statistics.mean(found.joules(system, capped)) for capped in (False, True)]
        rows.append((system, "ours", *(f"{value:.2f}" for value in values)))
    heads = ("system", "figures", "TTFET", "TBT", "E2E", "TTFET late %", "TBT", "E2E", "tok/J", "at 200 W")
    return Grid("At 1.634/s, as the artifact measures", heads, tuple(rows), 2)


def _nothing_left_out(found: _Found) -> Grid:
    names = ("ttfet_all", "whole_all", "ttfet_all_late", "wait", "wait_all", "preemptions", "transfers")
    rows = [(system, *(f"{found.mean(system, what):.2f}" for what in names)) for system in found.systems]
    heads = ("system", "TTFET", "E2E", "TTFET late %", "prefill wait s", "both waits s", "preemptions", "transfers")
    note = "p95; prefill wait: before the first prompt began; both: with the wait for a decoder"
    return Grid("At 1.634/s, nothing left out", heads, tuple(rows), note=note)


def _by_draw(found: _Found) -> Grid:
    rows = []
    for watts in sorted({200.0, 225.0, 250.0, 275.0, 300.0, float(round(found.memory))}):
        collocated = statistics.mean(found.joules("Collocated", memory=watts))
        ampd, cap = statistics.mean(found.over_ampd(watts)), statistics.mean(found.capping(watts))
        rows.append((f"{watts:.0f} W", f"{collocated:.1f}", f"{ampd:+.1f} %", f"{cap:+.1f} %"))
    heads = ("memory-bound work", "Collocated tok/J", "ConServe over AMPD", "decoders at 200 W")
    return Grid("Energy at 1.634/s, by what memory-bound work draws", heads, tuple(rows))


def _plots(found: _Found) -> tuple[Plot, ...]:
    shown = [system for system in found.systems if system in PAPER]
    plots = []
    for what, title in (("ttfet", "as the artifact measures it"), ("ttfet_all", "with every wait")):
        curves = tuple(
            Series(one, found.rates, tuple(found.mean(one, what, rate) for rate in found.rates)) for one in shown
        )
        level = (SLO, "objective")
        plots.append(
            Plot(f"p95 TTFET, {title}", "conversations per second", "times alone", curves, level=level, log_y=True)
        )
    bars = tuple(
        Series(name, tuple(shown), tuple(statistics.mean(found.joules(one, capped)) for one in shown))
        for name, capped in (("no cap", False), ("decoders at 200 W", True))
    )
    plots.append(Plot("Tokens per joule at 1.634/s", "", "tokens per joule", bars, "bar"))
    return tuple(plots)
