"""FairBatching (Lyu, Liu, Wu, Chen, arXiv 2510.14392) against Sarathi, vLLM V1 and prefill first.

The paper reports a P99 time to first token up to 2.29 times lower, 20.0 % more capacity on one worker and 54.3 % more
in a cluster, and leaves open against which token budget. So Sarathi is shown at 256, 512 and 2048 tokens, and at
whichever budget has the most capacity here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mtpo.schedulers.papers.fairbatching_bed import (
    BEST,
    BOUNDED,
    FULL,
    OURS,
    POLICIES,
    QUICK,
    SHARES,
    TPOT,
    TTFT,
    WORKERS,
    Found,
    Size,
    cluster_setups,
    guess,
    measure,
    read,
)
from mtpo.schedulers.papers.side import Job, run
from mtpo.schedulers.papers.table import Grid, Options, Plot, Row, Series, Study, Tell, figure
from mtpo.schedulers.simulator.capacity import Capacity
from mtpo.schedulers.simulator.steptime import A100_LLAMA_8B
from mtpo.schedulers.traces.workload import Workload

CLAIM: Final = "a lower tail of the time to first token, more capacity on one worker and in a cluster"


def study(options: Options, tell: Tell) -> Study:
    """See the module's docstring. Raises TraceError, OSError, SimulationError."""
    size = QUICK if options.quick else FULL
    workload = read(options, size)
    one, many = workload.first(size.requests), workload.first(size.cluster)
    start = guess(one)
    steps = dict(POLICIES) | {f"Sarathi {budget}": f"sarathi:{budget}" for budget in size.candidates}
    jobs = {
        (name, place): Job(
            f"{name}, {place}", measure, (many, POLICIES[name], place, SHARES[:1], (), WORKERS * start, size.precision)
        )
        for name, place in cluster_setups(options.quick)
    }
    for name, step in steps.items():
        shares = size.shares if name in POLICIES else size.shares[:1]
        jobs[name, ""] = Job(name, measure, (one, step, "", shares, (), start, size.precision))
    found: dict[tuple[str, str], Found] = dict(zip(jobs, run(jobs.values(), options.jobs, tell), strict=True))
    first = size.shares[0]
    budgets = [name for name in steps if name.startswith("Sarathi")]
    best = max(budgets, key=lambda name: found[name, ""].capacity[first].rate)
    reference = found[OURS, ""].capacity[first].rate or start
    rates = tuple(share * reference for share in size.rates)
    single = [*POLICIES] if best in POLICIES else [*POLICIES, best]
    more = [
        Job(
            f"{name}, rates",
            measure,
            (one, steps[name], "", () if name in POLICIES else size.shares[1:], rates, start, size.precision),
        )
        for name in single
    ]
    for name, result in zip(single, run(more, options.jobs, tell), strict=True):
        known = found[name, ""]
        found[name, ""] = Found({**known.capacity, **result.capacity}, {**known.known, **result.known})
    shown = {name: found[name, ""] for name in single}
    if best in POLICIES:
        shown[BEST] = found[best, ""]
    else:
        shown[BEST] = shown.pop(best)
    cluster = {key: made for key, made in found.items() if key[1]}
    return _study(workload, size, options, shown, steps[best], cluster, rates, reference)


# -- what was found ----------------------------------------------------------------------------------------------------


def tail_row(name: str, ours: Found, theirs: Found, rates: Sequence[float]) -> Row:
    """How much lower the P99 of TTFT is, at the rate where it is lowest beside a baseline: of those rates at which
    FairBatching has at most a tenth of the requests in violation, since past saturation any ratio can be had."""
    sane = [rate for rate in rates if ours.known[rate].violations <= SHARES[-1]] or list(rates[:1])
    rate = max(sane, key=lambda r: theirs.known[r].ttft.p99 / ours.known[r].ttft.p99)
    a, b = theirs.known[rate].ttft.p99, ours.known[rate].ttft.p99
    return Row("P99 TTFT, times lower", name, 2.29, a / b, "x", note=f"{a:.2f} s, ours {b:.2f} s, at {rate:.2f}/s")


def gain_row(measure: str, name: str, paper: float | None, ours: Capacity, theirs: Capacity) -> Row:
    """How much higher a capacity is, in percent."""
    if not theirs.rate:
        return Row(measure, name, paper, None, "%", note="the baseline never keeps the objectives")
    gain = 100 * (ours.rate - theirs.rate) / theirs.rate
    return Row(measure, name, paper, gain, "%", note=f"{theirs.rate:.2f}/s, ours {ours.rate:.2f}/s")


def _study(
    workload: Workload,
    size: Size,
    options: Options,
    single: Mapping[str, Found],
    best: str,
    cluster: Mapping[tuple[str, str], Found],
    rates: Sequence[float],
    reference: float,
) -> Study:
    ours, first = single[OURS], size.shares[0]
    others = [name for name in single if name not in (OURS, BOUNDED)]
    our_cluster = cluster[OURS, "PAB"].capacity[first]
    rows = [tail_row(name, ours, single[name], rates) for name in others]
    for share in size.shares:
        rows += [
            gain_row(f"capacity at {100 * share:g} %", name, 20.0, ours.capacity[share], single[name].capacity[share])
            for name in others
        ]
    rows += [
        gain_row(
            f"cluster of {WORKERS}, at 1 %",
            f"{name}, {place}",
            None if name == OURS else 54.3,
            our_cluster,
            made.capacity[first],
        )
        for (name, place), made in cluster.items()
        if (name, place) != (OURS, "PAB")
    ]
    rows += _bounded(single, size.shares, reference)
    named = f"Sarathi {best.partition(':')[2]}"
    budgets = sorted({256, 512, 2048, *size.candidates})
    hardware = A100_LLAMA_8B
    there = len(workload.conversations)
    few, many = min(size.requests, there), min(size.cluster, there)
    settings = (
        ("trace", f"{workload.name}, the first {few:,} requests; {many:,} for the cluster"),
        ("arrivals", "those of the trace, stretched to the rate"),
        (
            "worker",
            f"{hardware.name}, simulated: {1e3 * hardware.step.a:g} ms + {1e3 * hardware.step.b:g} ms a token + "
            f"{1e6 * hardware.step.c:g} us a token of context; {hardware.kv_tokens:,} tokens of KV cache",
        ),
        (
            "objectives",
            f"TTFT {TTFT:g} s, TPOT {1000 * TPOT:g} ms; a request is in violation when any token is after "
            "arrival + TTFT + TPOT * j",
        ),
        (
            "capacity",
            f"the highest rate with at most so many requests in violation, by bisection to {100 * size.precision:g} %",
        ),
        (
            "best budget",
            f"{named}, of {', '.join(map(str, budgets))}: the most capacity at 1 %",
        ),
    )
    return Study(
        "fairbatching",
        "FairBatching: tail of the time to first token, and capacity",
        "Lyu, Liu, Wu, Chen: FairBatching, arXiv 2510.14392",
        settings,
        tuple(rows),
        (
            _figures(single, reference),
            _tails(single, rates),
            _capacities(single, cluster, size.shares),
        ),
        _plots(single, cluster, rates, size.shares),
        (*workload.notes, *_notes(rows, options, named)),
    )


def _bounded(single: Mapping[str, Found], shares: Sequence[float], rate: float) -> list[Row]:
    """The policy with a bound on any gap, beside FairBatching: what the bound costs."""
    ours, theirs = single[BOUNDED], single[OURS]
    rows = [
        gain_row(
            f"capacity at {100 * share:g} %, bounded gap", OURS, None, ours.capacity[share], theirs.capacity[share]
        )
        for share in shares
    ]
    a, b = theirs.known[rate], ours.known[rate]
    at = f"at {rate:.2f}/s"
    rows += [
        Row(
            f"{what}, bounded gap",
            OURS,
            None,
            high / low if low else None,
            "x",
            note=f"{high:.2f} s, {low:.2f} s, {at}",
        )
        for what, high, low in (
            ("largest gap, times lower", a.gap.max, b.gap.max),
            ("P99 TTFT, times lower", a.ttft.p99, b.ttft.p99),
        )
    ]
    return rows


def _figures(single: Mapping[str, Found], rate: float) -> Grid:
    heads = (
        "policy",
        "kept %",
        "TTFT %",
        "TPOT %",
        "late tok %",
        "TTFT p50",
        "p99 s",
        "TPOT p50",
        "p99 ms",
        "gap p99",
        "max s",
    )
    rows = []
    for name, found in single.items():
        s = found.known[rate]
        kept = (1 - s.violations, s.ttft_met or 0.0, s.tpot_met or 0.0, s.late_tokens)
        times = (s.ttft.p50, s.ttft.p99, 1000 * s.tpot.p50, 1000 * s.tpot.p99, s.gap.p99, s.gap.max)
        rows.append((name, *(f"{100 * one:.2f}" for one in kept), *(figure(one) for one in times)))
    return Grid(
        f"One worker at {rate:.2f}/s, FairBatching's capacity at 1 %",
        heads,
        tuple(rows),
        note="kept: requests with every token on or before its deadline; TTFT, TPOT: with the first token, and with "
        "the mean time per token, within the objective; gap: the largest time between two tokens of a request",
    )


def _tails(single: Mapping[str, Found], rates: Sequence[float]) -> Grid:
    rows = tuple((name, *(figure(found.known[rate].ttft.p99) for rate in rates)) for name, found in single.items())
    return Grid("P99 TTFT in seconds, by rate", ("policy", *(f"{rate:.2f}/s" for rate in rates)), rows)


def _capacities(single: Mapping[str, Found], cluster: Mapping[tuple[str, str], Found], shares: Sequence[float]) -> Grid:
    rows = [(name, "1", *(_rate(found, share) for share in shares)) for name, found in single.items()]
    rows += [
        (f"{name}, {place}", str(WORKERS), *(_rate(made, share) for share in shares))
        for (name, place), made in cluster.items()
    ]
    heads = ("policy", "workers", *(f"at {100 * share:g} %" for share in shares))
    return Grid("Capacity in requests per second", heads, tuple(rows))


def _rate(found: Found, share: float) -> str:
    capacity = found.capacity.get(share)
    return "-" if capacity is None else f"{'>= ' if capacity.bounded else ''}{capacity.rate:.2f}"


def _notes(rows: Sequence[Row], options: Options, best: str) -> list[str]:
    found = []
    for name in dict.fromkeys(row.measure for row in rows):
        judged = [row for row in rows if row.measure == name and row.holds is not None]
        if all(row.paper is None for row in rows if row.measure == name):
            continue
        holds, fails = ([row.setting for row in judged if row.holds is one] for one in (True, False))
        held, failed = ("; ".join(one) or "none" for one in (holds, fails))
        found.append(f"{name}: the paper's figure holds against {held}; not against {failed}.")
    found.append(
        f"The best budget is {best}: the paper does not say which budget its baseline had, and that decides the ratio."
    )
    found.append(
        "Step times are exact and known to FairBatching: no noise, no error of the model. Real gains are lower."
    )
    if options.quick:
        found.append("--quick: few requests and coarse searches; run without it for figures to rely on.")
    return found


def _plots(
    single: Mapping[str, Found],
    cluster: Mapping[tuple[str, str], Found],
    rates: Sequence[float],
    shares: Sequence[float],
) -> tuple[Plot, ...]:
    def curves(of: str) -> tuple[Series, ...]:
        kinds = {
            "tail": lambda s: s.ttft.p99,
            "kept": lambda s: 100 * (1 - s.violations),
            "gap": lambda s: s.gap.p99,
        }
        return tuple(
            Series(name, tuple(rates), tuple(kinds[of](found.known[rate]) for rate in rates))
            for name, found in single.items()
        )

    bars = tuple(
        Series(
            f"{100 * share:g} % in violation",
            tuple(single),
            tuple(made.capacity[share].rate for made in single.values()),
        )
        for share in shares
    )
    names = tuple(f"{name}\n{place}" for name, place in cluster)
    together = Series("1 % in violation", names, tuple(made.capacity[shares[0]].rate for made in cluster.values()))
    return (
        Plot(
            "Tail of the time to first token",
            "requests per second",
            "P99 TTFT, s",
            curves("tail"),
            level=(TTFT, "objective"),
            log_y=True,
        ),
        Plot("Requests with every token in time", "requests per second", "%", curves("kept"), level=(99.0, "99 %")),
        Plot("Largest gap between tokens", "requests per second", "P99 over requests, s", curves("gap"), log_y=True),
        Plot("Capacity of one worker", "", "requests per second", bars, "bar"),
        Plot(f"Capacity of {WORKERS} workers", "", "requests per second", (together,), "bar"),
    )
