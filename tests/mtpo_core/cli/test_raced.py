"""A case in all modes, in turns and in rounds."""

from __future__ import annotations

from typing import ClassVar

import attrs
import pytest

from mtpo_core.cli.raced import MODES, ROUNDS, Raced, race
from mtpo_core.driver import DriverError, Outcome
from mtpo_core.inference import Generated, NoInference
from mtpo_core.log import read_log
from mtpo_core.scenarios import find_scenario


class Watched(NoInference):
    """Says who makes a step."""

    steps: ClassVar[list[int]] = []

    def advance(self) -> list[Generated]:
        self.steps.append(id(self))
        return super().advance()


def outcome(*laps: float, steps: int = 2) -> Outcome:
    return Outcome("naive", None, laps, steps, 10, 5, {}, ())


def test_modes_take_turns_and_every_round_is_like_the_first(tmp_path):
    told = []
    Watched.steps.clear()
    found = race(find_scenario("canary"), tmp_path, Watched, lambda raced: False, told.append)
    assert list(found) == list(MODES)
    for mode, raced in found.items():
        assert raced.repeated and len(raced.rounds) == ROUNDS[0]
        assert len(raced.outcome.laps) == raced.outcome.steps + 1 and raced.seconds <= raced.outcome.seconds
        assert {r.body["mode"] for r in read_log(raced.outcome.log).records if r.kind == "run-open"} == {mode}
        assert [each.log.parent for each in raced.rounds] == [tmp_path / "round-1", tmp_path / "round-2"]
        assert (tmp_path / f"canary-{mode}.mtpo").read_bytes() == raced.outcome.log.read_bytes()
        assert raced.outcome.seconds == min(each.seconds for each in raced.rounds)
    first = Watched.steps[:30]
    assert len(set(first)) == 3 and all(first[i] == first[i - 3] for i in range(3, 30))
    assert {mode for mode in MODES if any(f"round 2, {mode}: " in line for line in told)} == set(MODES)


def test_who_looks_slow_runs_again_before_that_is_said(tmp_path):
    seen = []
    found = race(find_scenario("canary"), tmp_path, NoInference, lambda raced: not seen.append(raced))
    assert len(found["mtpo"].rounds) == ROUNDS[1] and len(seen) == ROUNDS[1] - ROUNDS[0]


def test_the_quickest_of_each_step_counts():
    assert Raced([outcome(1.0, 5.0, 2.0), outcome(3.0, 1.0, 2.5)]).seconds == 4.0


def test_a_round_that_differs_is_noticed():
    assert Raced([outcome(1.0), outcome(9.0)]).repeated
    assert not Raced([outcome(1.0), outcome(1.0, steps=3)]).repeated
    assert not Raced([outcome(1.0), attrs.evolve(outcome(1.0), files={"a": "1"})]).repeated


def test_a_run_that_fails_is_the_error_and_every_log_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("mtpo_core.driver.MAX_TURNS", 8)
    with pytest.raises(DriverError, match="not done after 8 turns"):
        race(find_scenario("canary"), tmp_path, NoInference, lambda raced: False)
    for mode in MODES:
        kinds = [record.kind for record in read_log(tmp_path / "round-1" / f"canary-{mode}.mtpo").records]
        assert kinds[0] == "run-open" and kinds[-1] == "close"
