"""The scenarios: wrong without coordination, right in series, and under MTPO exactly as in the order of ranks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from mtpo.proofs.replay.judge import judge
from mtpo_core.driver import Outcome, run_scenario, serial_states
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.machine import Policy
from mtpo_core.runtime import Mode
from mtpo_core.scenarios import SCENARIOS, ScenarioError, find_scenario

NAMES = tuple(SCENARIOS)


@attrs.frozen
class Ran:
    """A run of a scenario, with its log."""

    outcome: Outcome
    log: LoggedRun


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, Mode, Policy, int], Ran]:
    """Every scenario in every mode; MTPO twice, under both policies."""
    found: dict[tuple[str, Mode, Policy, int], Ran] = {}
    kinds: list[tuple[Mode, Policy, int]] = [("naive", Policy.REPLAY, 0), ("serial", Policy.REPLAY, 0)]
    kinds += [("mtpo", policy, take) for policy in Policy for take in (0, 1)]
    for name, scenario in SCENARIOS.items():
        for mode, policy, take in kinds:
            folder = tmp_path_factory.mktemp("scenario")
            outcome = asyncio.run(run_scenario(scenario, mode, folder / "repo", folder / "run.mtpo", policy=policy))
            found[name, mode, policy, take] = Ran(outcome, read_log(outcome.log))
    return found


@pytest.fixture(scope="module")
def orders() -> Mapping[str, Mapping[tuple[str, ...], Mapping[str, str]]]:
    """The final files of every serial order of every scenario."""
    return {name: serial_states(scenario) for name, scenario in SCENARIOS.items()}


@pytest.mark.parametrize("name", NAMES)
def test_without_coordination_the_end_is_wrong(
    ran: Mapping[tuple[str, Mode, Policy, int], Ran],
    orders: Mapping[str, Mapping[tuple[str, ...], Mapping[str, str]]],
    name: str,
) -> None:
    naive = ran[name, "naive", Policy.REPLAY, 0]
    assert naive.outcome.failures
    assert naive.outcome.files not in orders[name].values(), "no serial order ends like this"
    assert judge(naive.log).exit_code == 1


@pytest.mark.parametrize("name", NAMES)
def test_in_series_the_end_is_right(ran: Mapping[tuple[str, Mode, Policy, int], Ran], name: str) -> None:
    serial = ran[name, "serial", Policy.REPLAY, 0]
    assert serial.outcome.failures == ()
    judgment = judge(serial.log)
    assert not judgment.problems, "\n".join(map(str, judgment.problems))


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("name", NAMES)
def test_under_mtpo_the_end_is_that_of_rank_order(
    ran: Mapping[tuple[str, Mode, Policy, int], Ran],
    orders: Mapping[str, Mapping[tuple[str, ...], Mapping[str, str]]],
    name: str,
    policy: Policy,
) -> None:
    mtpo, serial = ran[name, "mtpo", policy, 0], ran[name, "serial", Policy.REPLAY, 0]
    assert mtpo.outcome.failures == ()
    assert mtpo.outcome.files == serial.outcome.files
    ranks = tuple(agent.name for agent in SCENARIOS[name].agents)
    assert mtpo.outcome.files == orders[name][ranks]


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("name", NAMES)
def test_the_log_is_one_of_the_spec(
    ran: Mapping[tuple[str, Mode, Policy, int], Ran], name: str, policy: Policy
) -> None:
    judgment = judge(ran[name, "mtpo", policy, 0].log)
    assert judgment.exit_code == 0, "\n".join(map(str, judgment.problems))
    assert judgment.replay is not None
    assert judgment.replay.steps > 30


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("name", NAMES)
def test_a_run_repeats_exactly(ran: Mapping[tuple[str, Mode, Policy, int], Ran], name: str, policy: Policy) -> None:
    """Two runs: the same records and the same values; only times, the run's name and the salt differ."""

    def form(one: Ran) -> list[tuple[object, ...]]:
        values = one.log.values

        def plain(node: object, key: str = "") -> object:
            if isinstance(node, Mapping):
                return {k: plain(v, k) for k, v in node.items() if k not in ("began", "undo")}
            if isinstance(node, list):
                return [plain(v) for v in node]
            return values.get(node, node) if isinstance(node, str) else node

        return [(r.kind, r.agent, r.call, json.dumps(plain(r.body), default=repr)) for r in one.log.records]

    first, second = ran[name, "mtpo", policy, 0], ran[name, "mtpo", policy, 1]
    assert form(first) == form(second)
    assert first.outcome.steps == second.outcome.steps
    assert first.outcome.files == second.outcome.files
    assert first.outcome.new_tokens == second.outcome.new_tokens


@pytest.mark.parametrize("name", NAMES)
def test_the_scenario_exercises_the_protocol(ran: Mapping[tuple[str, Mode, Policy, int], Ran], name: str) -> None:
    kinds = {record.kind for record in ran[name, "mtpo", Policy.REPLAY, 0].log.records}
    assert {"notify", "deliver", "judge", "settle", "commit"} <= kinds
    if name == "release":
        assert {"undo", "undone", "redo", "redone"} <= kinds


@pytest.mark.parametrize("name", NAMES)
def test_mtpo_is_faster_than_series_in_engine_steps(
    ran: Mapping[tuple[str, Mode, Policy, int], Ran], name: str
) -> None:
    mtpo, serial = (ran[name, mode, Policy.REPLAY, 0].outcome for mode in ("mtpo", "serial"))
    assert mtpo.steps < serial.steps


def test_an_unknown_scenario_names_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match=r"unknown scenario 'canery'; known: canary, release"):
        find_scenario("canery")
    assert find_scenario("canary") is SCENARIOS["canary"]


def test_a_scenario_needs_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep me")
    with pytest.raises(ScenarioError, match="not empty; a scenario makes a repository of its own"):
        SCENARIOS["canary"].build(tmp_path)
    assert (tmp_path / "mine").read_text() == "keep me"


@pytest.mark.parametrize("name", NAMES)
def test_the_initial_state_is_not_what_is_wanted(name: str) -> None:
    scenario = SCENARIOS[name]
    assert scenario.failures({**scenario.files, **{f"HEAD:{path}": "old" for path in scenario.files}})
