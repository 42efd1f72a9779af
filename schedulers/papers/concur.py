"""CONCUR measured: batches of agents without control, under request caps, fixed agent caps, and the congestion window.

Figures to compare with: arXiv 2601.22705, as its readers report them (SGLang on H100).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Final

import attrs

from mtpo.schedulers.papers import side
from mtpo.schedulers.papers.concur_bed import CASES, Case, Run, run, workload_of
from mtpo.schedulers.papers.table import Grid, Options, Plot, Row, Series, Study, StudyError, Tell, figure
from mtpo.schedulers.traces.workload import counted

CLAIM = "latency and hit rate of a batch of agents: congestion window against no control and fixed caps"

DEFAULT: Final = "concur"
FAST: Final = "concur:period=1"
VARIANTS: Final = (
    DEFAULT,
    FAST,
    "concur:period=15",
    "concur:period=30",
    "concur:start=none",
    "concur:period=1,youngest_first=yes",
    "footprint",
)
"""The paper's parameters; how often it acts and where it begins are not told: 5 s and 2 agents, and others beside. Last
a control of our own, on the same signals."""

PAPER_SECONDS: Final = MappingProxyType(
    {
        "Qwen3-32B TP8": (1480.0, 362.0),
        "Qwen3-32B TP2": (2527.0, 846.0),
        "DeepSeek-V3": (3877.0, 2043.0),
    }
)
"""Latency of the batch without control and under CONCUR."""
PAPER_BEST_CAP: Final = 1605.0
"""Qwen3-32B TP2 under the best fixed cap of agents, 64."""
PAPER_HITS: Final = MappingProxyType({"none": 35.4, "concur": 73.4, "request cap": 32.2})
"""Hit rates of DeepSeek-V3, batch 40, in percent."""
PAPER_SIZES: Final = MappingProxyType({16: 80.4, 32: 77.7, 40: 35.4})
"""Hit rates of DeepSeek-V3 without control by batch size, in percent."""
PAPER_AGAIN: Final = 49.0
PAPER_MIDDLE: Final = 90.0
"""Percent of the latency that recomputation takes, and of the run that the middle phase lasts, without control."""

WIDTH: Final = 10.0


@attrs.frozen
class _Key:
    case: str
    policy: str
    agents: int | None = None


def study(options: Options, tell: Tell) -> Study:
    """Measure. Raises :class:`StudyError` for a trace without enough conversations."""
    cases = [case for name, case in CASES.items() if not (options.quick and name == "Qwen3-32B TP2")]
    keys = [key for case in cases for key in _wanted(case, options)]
    if options.trace is not None:
        for case in cases:
            found = len(workload_of(case, None, options.trace, options.format).conversations)
            if found < 2:
                raise StudyError(
                    f"{options.trace}: {counted(found, 'conversation')} small enough for the KV cache of "
                    f"{case.hardware.name}; 2 needed"
                )
    jobs = [
        side.Job(
            f"{key.case}, {key.policy}", run, (key.case, key.policy, key.agents, options.trace, options.format, WIDTH)
        )
        for key in keys
    ]
    return _study(dict(zip(keys, side.run(jobs, options.jobs, tell), strict=True)), cases, options)


def _wanted(case: Case, options: Options) -> list[_Key]:
    policies = ["none", *(f"agent_cap:{cap}" for cap in case.caps), *(f"request_cap:{cap}" for cap in case.requests)]
    if options.quick and case.agents > 100:
        policies = ["none", "agent_cap:128", "request_cap:128", DEFAULT, FAST, "footprint"]
    else:
        policies += VARIANTS
    keys = [_Key(case.name, policy) for policy in policies]
    if case.name == "DeepSeek-V3" and options.trace is None:
        keys += [_Key(case.name, "none", agents) for agents in PAPER_SIZES if agents != case.agents]
    return keys


# -- the study ---------------------------------------------------------------------------------------------------------


@attrs.frozen
class _Found:
    """The runs of one case at its full size."""

    case: Case
    runs: dict[str, Run]

    def best(self, kind: str) -> Run:
        """The shortest run under a fixed cap of a kind."""
        return min((one for name, one in self.runs.items() if name.startswith(kind)), key=lambda one: one.seconds)

    @property
    def base(self) -> Run:
        return self.runs["none"]

    def speedup(self, one: Run) -> float:
        return self.base.seconds / one.seconds


def _study(runs: dict[_Key, Run], cases: Sequence[Case], options: Options) -> Study:
    found = [
        _Found(case, {key.policy: one for key, one in runs.items() if key.case == case.name and key.agents is None})
        for case in cases
    ]
    sizes = {one.agents: one for key, one in runs.items() if key.agents is not None}
    settings = []
    for one in found:
        case = one.case
        lengths = (
            f"{case.steps} steps, +{case.growth} tokens each, {case.output} generated ({100 * case.kept:.0f} % kept), "
            f"tools {case.tool:g} s"
        )
        told = f"{one.base.agents} agents, {options.trace or lengths}; {case.hardware.kv_tokens:,} KV tokens"
        settings.append((case.name, told))
    settings += [
        ("step times", "from arithmetic and bandwidth of H100; vllm_v1, steps of 8192 tokens"),
        ("window", "alpha 2, beta 0.5, U below 0.2 or above 0.5, H below 0.2; every 5 s from 2 agents, unless told"),
    ]
    notes = [
        "Steps, lengths, tools and the speed of prefill are not told by the paper: chosen so that the run without "
        "control is like the published one.",
        "What recomputing takes bounds what a control can save: 49 % of the latency, as published, allows 1.96x.",
    ]
    if options.quick:
        notes.append("--quick: fewer caps and intervals, without Qwen3-32B TP2.")
    return Study(
        "concur",
        "CONCUR: a congestion window for batches of agents",
        "Chen, Ye, Tang et al.: CONCUR, arXiv 2601.22705, ICML 2026",
        tuple(settings),
        tuple(row for one in found for row in _rows(one, sizes, options)),
        tuple(_grid(one) for one in found),
        tuple(plot for one in found for plot in _plots(one)),
        tuple(notes),
    )


def _rows(found: _Found, sizes: dict[int, Run], options: Options) -> Iterable[Row]:
    name, base, ours, fast = found.case.name, found.base, found.runs[DEFAULT], found.runs[FAST]
    before, after = PAPER_SECONDS[name]
    cap, requests = found.best("agent_cap"), found.best("request_cap")
    ceiling = f"the best fixed cap gains {figure(found.speedup(cap), 'x')}"
    yield Row("speedup", f"{name}, every 5 s", before / after, found.speedup(ours), "x", note=ceiling)
    yield Row("speedup", f"{name}, every 1 s", before / after, found.speedup(fast), "x", note=ceiling)
    told = name == "DeepSeek-V3"
    hits = (PAPER_HITS["none"], PAPER_HITS["concur"], PAPER_HITS["request cap"]) if told else (None, None, None)
    yield Row("hit rate, no control", name, hits[0], 100 * base.hit_rate, "%", holds=None)
    yield Row("hit rate, window", f"{name}, every 5 s", hits[1], 100 * ours.hit_rate, "%")
    yield Row("hit rate, window", f"{name}, every 1 s", hits[1], 100 * fast.hit_rate, "%")
    note = f"{requests.policy}, the best of {len(found.case.requests)}" if not options.quick else requests.policy
    yield Row("hit rate, request cap", name, hits[2], 100 * requests.hit_rate, "%", note=note, holds=None)
    paper = PAPER_BEST_CAP / after if name == "Qwen3-32B TP2" else None
    yield Row("over best agent cap", f"{name}, every 5 s", paper, cap.seconds / ours.seconds, "x", note=cap.policy)
    yield Row("over best agent cap", f"{name}, every 1 s", paper, cap.seconds / fast.seconds, "x", note=cap.policy)
    yield Row("recomputing, no control", name, PAPER_AGAIN, 100 * base.again, "%", note="of the latency", holds=None)
    at = "KV usage of 80 % and more"
    yield Row("middle phase, no control", name, PAPER_MIDDLE, 100 * base.middle, "%", note=at, holds=None)
    if told and options.trace is None:
        for agents, value in PAPER_SIZES.items():
            one = sizes.get(agents, base)
            yield Row("hit rate, no control", f"{name}, {agents} agents", value, 100 * one.hit_rate, "%", holds=None)


def _grid(found: _Found) -> Grid:
    heads = (
        "policy",
        "seconds",
        "speedup",
        "hit %",
        "before",
        "middle",
        "after",
        "KV %",
        "middle %",
        "again %",
        "preempted",
    )
    rows = []
    for name, one in found.runs.items():
        phases = ("-" if part is None else f"{100 * part:.0f}" for part in (one.before, one.middle_hits, one.after))
        rows.append(
            (
                name,
                f"{one.seconds:.0f}",
                f"{found.speedup(one):.2f}",
                f"{100 * one.hit_rate:.1f}",
                *phases,
                f"{100 * one.usage:.0f}",
                f"{100 * one.middle:.0f}",
                f"{100 * one.again:.0f}",
                f"{one.preemptions}",
            )
        )
    note = "hit rates before, in and after the middle phase; KV: referenced, mean; again: time that recomputing took"
    return Grid(found.case.name, heads, tuple(rows), note=note)


def _plots(found: _Found) -> Iterable[Plot]:
    shown = {"no control": found.base, "window, 1 s": found.runs[FAST], "best agent cap": found.best("agent_cap")}
    title, x = found.case.name, "seconds"
    hits = tuple(
        Series(
            name,
            tuple(window.start for window in one.windows if window.hit_rate is not None),
            tuple(100 * window.hit_rate for window in one.windows if window.hit_rate is not None),
        )
        for name, one in shown.items()
    )
    yield Plot(f"{title}: hit rate", x, "percent of prompt tokens", hits, top=102.0)
    usage = tuple(
        Series(name, tuple(w.start for w in one.windows), tuple(100 * w.kv_usage for w in one.windows))
        for name, one in shown.items()
    )
    yield Plot(f"{title}: KV cache referenced", x, "percent", usage, top=102.0)
