"""Generated workloads: their statistics, their structure, and their grammar."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest

from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Piece, TraceError


def gaps(text: str) -> list[float]:
    times = [one.arrival for one in load_workload(text).conversations]
    return [after - before for before, after in itertools.pairwise(times)]


@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_gamma_gaps_have_the_mean_and_the_variation_asked_for(cv: float) -> None:
    found = gaps(f"gamma:rate=4,cv={cv},n=20000,prompt=8,output=1")
    # Standard errors: the mean's is cv / sqrt(n) relative, the deviation's is larger by the excess kurtosis 6 cv^2.
    assert statistics.mean(found) == pytest.approx(0.25, rel=5 * cv / math.sqrt(20000))
    assert statistics.stdev(found) / statistics.mean(found) == pytest.approx(cv, rel=0.1)


def test_poisson_gaps_are_exponential() -> None:
    found = gaps("poisson:rate=10,n=20000,prompt=8,output=1")
    assert statistics.mean(found) == pytest.approx(0.1, rel=0.03)
    assert sum(gap > 0.1 for gap in found) / len(found) == pytest.approx(math.exp(-1), abs=0.015)


@pytest.mark.parametrize("fano", [1.0, 5.0, 13.0])
def test_bursts_have_the_fano_factor_asked_for(fano: float) -> None:
    times = [one.arrival for one in load_workload(f"bursts:rate=5,fano={fano},n=60000,prompt=8,output=1").conversations]
    for window in (0.5, 4.0):
        counts = [0] * int(times[-1] / window)
        for time in times:
            if time < window * len(counts):
                counts[int(time / window)] += 1
        assert statistics.mean(counts) / window == pytest.approx(5, rel=0.08)
        assert statistics.variance(counts) / statistics.mean(counts) == pytest.approx(fano, rel=0.15)


def test_lengths_have_the_median_and_the_percentile_asked_for() -> None:
    found = load_workload("poisson:n=8000,prompt=1000..4000,output=100")
    prompts = sorted(one.turns[0].prompt for one in found.conversations)
    assert prompts[4000] == pytest.approx(1000, rel=0.05) and prompts[7920] == pytest.approx(4000, rel=0.15)
    assert {one.turns[0].output for one in found.conversations} == {100}


def test_a_seed_gives_the_same_workload_and_another_rate_the_same_lengths() -> None:
    one, two = load_workload("poisson:n=50,rate=2,seed=7"), load_workload("poisson:n=50,rate=3,seed=7")
    assert one.conversations == load_workload("poisson:n=50,rate=2,seed=7").conversations
    assert [c.turns for c in one.conversations] == [c.turns for c in two.conversations]
    assert one.conversations != load_workload("poisson:n=50,rate=2,seed=8").conversations


def test_agents_grow_their_context_behind_a_shared_system_prompt() -> None:
    found = load_workload("agents:n=3,turns=3,first=100,append=10,output=5,system=64,tool=2")
    assert not found.timed and {one.arrival for one in found.conversations} == {0.0}
    for index, one in enumerate(found.conversations):
        assert [(turn.prompt, turn.output) for turn in one.turns] == [(164, 5), (179, 5), (194, 5)]
        assert one.turns[2].content == (Piece(-1, 64), Piece(index, 135))
        assert one.turns[0].gap == 0.0 and one.turns[1].gap > 0
    assert load_workload("agents:n=3,rate=1,tool=0").conversations[2].arrival > 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("poisson:rate=0", "rate is 0, expected a number above 0"),
        ("poisson:rate=nan", "rate is nan"),
        ("poisson:n=many", "n is 'many', expected a whole number"),
        ("poisson:n=0", "expected at least 1"),
        ("poisson:n=1_0", "n is '1_0', expected a whole number"),
        ("poisson:n=\u0661", "n is '\u0661', expected a whole number"),
        ("poisson:rate=1_0", "rate is '1_0', expected a number"),
        ("poisson:prompt=1_0", "prompt is '1_0', expected tokens"),
        ("poisson:output=5..\u0669", "expected tokens"),
        ("poisson:n=99999999999", "it makes 99,999,999,999 turns, at most 1,000,000 are made; give a smaller n"),
        ("agents:n=100001", "it makes 1,000,010 turns, at most 1,000,000 are made"),
        ("agents:n=2,turns=500001", "it makes 1,000,002 turns, at most"),
        ("poisson:fano=3", "'fano=3' is not one of rate, n, prompt, output, seed"),
        ("poisson:rate", "'rate' is not one of"),
        ("poisson:n=1,n=2", "n is given twice"),
        ("poisson:prompt=10..5", "prompt is '10..5', expected tokens"),
        ("poisson:prompt=0", "prompt is '0', expected tokens"),
        ("bursts:fano=0.5", "fano is 0.5, expected a number of at least 1"),
        (
            "zipf:n=3",
            "no generator 'zipf'; known: poisson, gamma, bursts, agents; for a file, name its format: azure, ",
        ),
        ("poison:rate=3", "no generator 'poison', did you mean poisson? known: "),
        ("agent", "did you mean agents?"),
        ("poisson:rat=3", "did you mean rate?"),
    ],
)
def test_a_wrong_option_is_named(text: str, why: str) -> None:
    with pytest.raises(TraceError) as caught:
        load_workload(text)
    assert why in str(caught.value) and text in str(caught.value)
