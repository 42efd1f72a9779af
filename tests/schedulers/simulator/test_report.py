"""Figures: percentiles, windows, the summary of turns that are known, capacity."""

from __future__ import annotations

import attrs
import pytest

from mtpo.schedulers.simulator.capacity import Search
from mtpo.schedulers.simulator.cluster import Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.metrics import Meter, Spread, TurnRecord, spread, windows
from mtpo.schedulers.simulator.report import COLUMNS, cells, summarise, table
from mtpo.schedulers.simulator.steptime import PRESETS, Hardware, Power, StepTime, Transfer
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Conversation, Turn, Workload

HARDWARE = Hardware("test", StepTime(0.1, 1e-3), 0, Power(200.0, 50.0))
SETUP = Setup(Sarathi(512), (WorkerSetup(HARDWARE, Caps(1000)),), ttft_slo=0.5, tpot_slo=0.11)


def test_percentiles_are_of_nearest_rank() -> None:
    assert spread(range(1, 101)) == Spread(50.5, 50, 95, 99, 100, 100)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0, 7.0, 7.0, 1)
    assert spread([]) == Spread(0.0, 0.0, 0.0, 0.0, 0.0, 0)


def test_windows_add_up_over_workers() -> None:
    first, second = Meter(10.0), Meter(10.0)
    first.step(1.0, 5.0, 0.5, 2, 1, 100)
    first.looked_up(1.0, 80, 20)
    second.step(9.0, 2.0, 1.0, 4, 0, 50)
    second.step(31.0, 1.0, 1.0, 4, 0, 50)
    one, two = windows([first, second])
    assert (one.start, one.tokens, one.prompt, one.hit_rate) == (0.0, 150, 80, 0.25)
    assert (one.kv_usage, one.running, one.waiting) == pytest.approx((0.5 * (0.25 + 0.2), 1.8, 0.5))
    assert (two.start, two.hit_rate) == (30.0, None)


def test_a_summary_of_turns_that_can_be_computed_by_hand() -> None:
    # Alone: a prefill of 100 tokens in 0.2 s, then 3 decodes of 0.101 s. Then one behind a prompt of 500 tokens.
    turns = [(0.0, Turn(100, 4)), (10.0, Turn(500, 1)), (10.1, Turn(100, 2))]
    workload = Workload(
        "by hand", tuple(Conversation(str(n), *one) for n, one in enumerate((t, (u,)) for t, u in turns))
    )
    summary = summarise(simulate(workload, SETUP), 1, 0.5, 0.11)
    assert (summary.requests, summary.ended, summary.shed, summary.steps) == (3, 3, 0, 7)
    assert summary.end == pytest.approx(10.0 + 0.6 + 0.2 + 0.101)
    assert summary.ttft.max == pytest.approx(0.5 + 0.2) and summary.ttft.p50 == pytest.approx(0.6)
    assert (summary.ttft_met, summary.tpot_met) == (pytest.approx(1 / 3), 1.0)
    # Late: the only token of the second, and both of the third: at 10.8 and 10.901, due at 10.6 and 10.71.
    assert summary.violations == pytest.approx(2 / 3) and summary.late_tokens == pytest.approx(3 / 7)
    assert summary.gap.max == pytest.approx(0.101) and summary.wait.max == 0.0 and summary.hit_rate == 0.0
    busy = 0.2 + 3 * 0.101 + 0.6 + 0.2 + 0.101
    assert summary.utilisation == pytest.approx(busy / summary.end)
    assert summary.joules == pytest.approx(200 * busy + 50 * (summary.end - busy))
    assert summary.tokens_per_joule == pytest.approx(707 / summary.joules)
    assert summary.throughput == pytest.approx(7 / summary.end)


def test_time_to_the_first_token_of_the_last_turn() -> None:
    workload = load_workload("agents:n=1,turns=3,first=100,append=10,output=2,tool=0")
    outcome = simulate(workload, SETUP)
    assert summarise(outcome, 1, 0.5, 0.11).ttfet.max == outcome.turns[-1].first


def test_a_record_of_one_token_has_no_time_per_token() -> None:
    one = TurnRecord("c", 1, 1.0, 2.0, 3.0, 3.0, 10, 1, 0, 0.0, 0, 0, 0)
    assert (one.ttft, one.tpot) == (2.0, 0.0)
    assert attrs.evolve(one, output=3, end=4.0).tpot == 0.5


def test_capacity_is_where_violations_cross() -> None:
    search = Search(load_workload("poisson:n=150,prompt=50,output=4"), SETUP)
    few, many = search.capacity(0.1), search.capacity(0.5)
    for found in (few, many):
        below = [rate for rate, share in found.tried if share <= found.share]
        above = [rate for rate, share in found.tried if share > found.share]
        assert found.rate == max(below) and not found.bounded
        assert min(above) - found.rate <= 0.02 * found.rate + 1e-9
    assert 0.25 < few.rate < many.rate
    # A rate that was simulated for one share is not simulated again for another.
    assert dict(few.tried).items() & dict(many.tried).items()


def test_capacity_at_the_ends_of_the_range() -> None:
    search = Search(load_workload("poisson:n=40,prompt=200,output=4"), SETUP)
    assert search.capacity(0.0, low=50.0, high=60.0).rate == 0.0
    found = search.capacity(0.05, low=0.01, high=0.05)
    assert (found.rate, found.bounded) == (0.05, True)


def test_capacity_is_the_same_wherever_the_search_starts() -> None:
    workload = load_workload("poisson:n=60,prompt=50,output=4")
    found = [Search(workload, SETUP).capacity(0.1, start=start, growth=1.5) for start in (0.5, 40.0)]
    assert found[0].rate == pytest.approx(found[1].rate, rel=0.1) and found[0].rate > 0.5
    assert found[0].tried[0][0] == 0.5 and found[1].tried[0][1] > 0.1


def test_a_table_lines_up() -> None:
    summary = summarise(simulate(load_workload("poisson:n=5,prompt=20,output=3"), SETUP), 1, 0.5, 0.11)
    lines = table(["step", *COLUMNS], [["sarathi", *cells(summary)], ["a longer name", *cells(summary)]], names=1)
    assert len({len(line) for line in lines}) == 1 and len(lines) == 3
    assert len(cells(summary)) == len(COLUMNS)


def test_step_times_of_the_presets_are_those_of_their_sources() -> None:
    a40 = PRESETS["a40-qwen3-0.6b"].step
    for tokens, seconds in ((12_288, 0.46), (16_384, 0.70), (24_576, 1.31), (32_768, 2.10), (65_536, 7.1)):
        assert a40.prefill_seconds(tokens, 8192) == pytest.approx(seconds, rel=0.02)
    assert a40.seconds(1, 1000) == 0.0144
    assert a40.seconds(100, 300_000) == pytest.approx(0.0066 + 0.196e-6 * 300_000, rel=0.05)
    a100 = PRESETS["a100-llama3-8b"].step
    assert a100.seconds(512, 10_000) == pytest.approx(8e-3 + 512 * 0.095e-3 + 10_000 * 0.13e-6)
    assert a100.model.seconds(512, 10_000) == a100.seconds(512, 10_000)


def test_transfer_times_are_those_of_the_source() -> None:
    assert Transfer().seconds(1024) == 4.849e-3
    assert Transfer().seconds(16_384) == pytest.approx((0.000985 * 16_384 + 5.27) * 1e-3)
