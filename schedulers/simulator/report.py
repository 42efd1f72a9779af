"""A simulation in figures: one summary per combination of policies, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from mtpo.schedulers.simulator.cluster import Outcome
from mtpo.schedulers.simulator.metrics import Spread, TurnRecord, spread
from mtpo.schedulers.traces.workload import counted


@attrs.frozen
class Summary:
    """Figures of one simulation. Times in seconds, of turns that ended; rates per second of virtual time.

    ``ttft``: from asking to the first token, admission and placement included; ``wait``: the part of it before the turn
    reached a worker; ``service``: the rest. ``tpot``: mean time per token after the first, of turns with more than one;
    ``gap``: the largest time between two tokens of a turn. ``violations``: the share (0..1) of turns with a token after
    its deadline, refused ones included; ``late_tokens``: the share of tokens. ``ttft_met`` and ``tpot_met``: the shares
    of turns whose first token, and whose mean, kept their objective; None without one. ``ttfet``: from asking for a
    conversation's first turn to the first token of its last (ConServe), of those with several turns. ``hit_rate``:
    token-weighted, None when nothing was looked up. ``kv_mean`` and ``kv_peak``: the share of the KV cache that is
    held. ``replaced``, ``abandoned``: see :class:`~mtpo.schedulers.simulator.cluster.Outcome`. ``throughput``: output
    tokens per second; ``tokens_per_joule``: prompt and output tokens of turns that ended.
    """

    requests: int
    ended: int
    shed: int
    end: float
    ttft: Spread
    wait: Spread
    service: Spread
    tpot: Spread
    gap: Spread
    ttfet: Spread
    turn: Spread
    violations: float
    late_tokens: float
    ttft_met: float | None
    tpot_met: float | None
    hit_rate: float | None
    kv_mean: float
    kv_peak: float
    throughput: float
    turns_per_second: float
    utilisation: float
    joules: float
    tokens_per_joule: float
    steps: int
    preemptions: int
    evicted_blocks: int
    transfers: int
    most_transfers: int
    moved_tokens: int
    replaced: int = 0
    abandoned: int = 0


def summarise(outcome: Outcome, workers: int, ttft_slo: float | None, tpot_slo: float | None) -> Summary:
    """The figures of an outcome of so many workers."""
    turns = outcome.turns
    refused = outcome.shed + outcome.lost
    asked = len(turns) + refused
    output = sum(turn.output for turn in turns)
    span = outcome.end or 1.0
    several = [turn.tpot for turn in turns if turn.output > 1]
    usage = sum(window.kv_usage for window in outcome.windows) * outcome.window
    return Summary(
        requests=asked,
        ended=len(turns),
        shed=refused,
        end=outcome.end,
        ttft=spread(turn.ttft for turn in turns),
        wait=spread(turn.arrival - turn.submitted for turn in turns),
        service=spread(turn.first - turn.arrival for turn in turns),
        tpot=spread(several),
        gap=spread(turn.gap for turn in turns),
        ttfet=spread(_ttfet(turns)),
        turn=spread(turn.end - turn.submitted for turn in turns),
        violations=(sum(turn.late > 0 for turn in turns) + refused) / asked if asked else 0.0,
        late_tokens=sum(turn.late for turn in turns) / output if output else 0.0,
        ttft_met=None if ttft_slo is None else _share([turn.ttft <= ttft_slo for turn in turns], asked),
        tpot_met=None if tpot_slo is None else _share([mean <= tpot_slo for mean in several], len(several)),
        hit_rate=outcome.hits / outcome.prompt if outcome.prompt else None,
        kv_mean=usage / span,
        kv_peak=outcome.peak,
        throughput=output / span,
        turns_per_second=len(turns) / span,
        utilisation=outcome.busy / span / workers,
        joules=outcome.joules,
        tokens_per_joule=sum(turn.prompt + turn.output for turn in turns) / outcome.joules if outcome.joules else 0.0,
        steps=outcome.steps,
        preemptions=outcome.preemptions,
        evicted_blocks=outcome.evicted,
        transfers=outcome.transfers,
        most_transfers=outcome.most_transfers,
        moved_tokens=outcome.moved,
        replaced=outcome.replaced,
        abandoned=outcome.abandoned,
    )


def _share(met: Sequence[bool], of: int) -> float:
    return sum(met) / of if of else 1.0


def _ttfet(turns: Sequence[TurnRecord]) -> list[float]:
    first: dict[str, float] = {}
    last: dict[str, TurnRecord] = {}
    for turn in turns:
        first.setdefault(turn.conversation, turn.submitted)
        last[turn.conversation] = turn
    return [turn.first - first[name] for name, turn in last.items() if turn.turn > 1]


SPREADS: Final = tuple(field.name for field in attrs.fields(Summary) if field.type in (Spread, "Spread"))
"""The figures of a summary that are spreads."""


def as_json(summary: Summary) -> dict[str, Any]:
    """A summary as a JSON object; spreads are objects of their own, and null, as other figures, where there was nothing
    to be measured."""
    data = attrs.asdict(summary)
    data |= {name: None for name in SPREADS if not data[name]["count"]}
    if not summary.ended:
        data["late_tokens"] = None
    if not summary.tpot.count:
        data["tpot_met"] = None
    return data


def given_up(summary: Summary) -> str | None:
    """One line on the turns that were not served, None where all were."""
    if not summary.shed:
        return None
    why = []
    if summary.abandoned:
        why.append(f"conversations placed on a lost worker: {summary.abandoned:,}")
    if not summary.ended:
        why.append("so there are no times")
    of, were = counted(summary.requests, "turn"), "was" if summary.shed == 1 else "were"
    return f"{summary.shed:,} of {of} {were} not served{''.join(f', {one}' for one in why)}"


COLUMNS = (
    "viol %",
    "TTFT p50",
    "p95",
    "p99 s",
    "TPOT p50",
    "p99 ms",
    "gap p99 s",
    "hit %",
    "KV mean",
    "peak %",
    "tok/s",
    "tok/J",
    "end s",
)
"""Of the table, after the names of the policies."""


def cells(summary: Summary) -> tuple[str, ...]:
    """One row of the table."""
    ttft, tpot = summary.ttft, summary.tpot

    def shown(spread: Spread, value: float, digits: int = 2) -> str:
        return f"{value:.{digits}f}" if spread.count else "-"

    return (
        f"{100 * summary.violations:.1f}",
        shown(ttft, ttft.p50),
        shown(ttft, ttft.p95),
        shown(ttft, ttft.p99),
        shown(tpot, 1000 * tpot.p50, 1),
        shown(tpot, 1000 * tpot.p99, 1),
        shown(summary.gap, summary.gap.p99),
        "-" if summary.hit_rate is None else f"{100 * summary.hit_rate:.1f}",
        f"{100 * summary.kv_mean:.1f}",
        f"{100 * summary.kv_peak:.1f}",
        f"{summary.throughput:.0f}",
        f"{summary.tokens_per_joule:.2f}",
        f"{summary.end:.0f}",
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> list[str]:
    """Lines of a table: so many names on the left, then figures, on the right of their columns."""
    lines = [heads, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    return [
        "  ".join(
            cell.ljust(width) if at < names else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
