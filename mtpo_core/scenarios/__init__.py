"""Contended cases: a repository, agents with tasks, and what must hold at the end."""

from __future__ import annotations

from mtpo_core.scenarios.base import AgentSpec, Scenario, ScenarioError
from mtpo_core.scenarios.canary import CANARY
from mtpo_core.scenarios.release import RELEASE

SCENARIOS = {scenario.name: scenario for scenario in (CANARY, RELEASE)}


def find_scenario(name: str) -> Scenario:
    """A scenario by name; :class:`ScenarioError` lists the known ones."""
    try:
        return SCENARIOS[name]
    except KeyError:
        raise ScenarioError(f"unknown scenario {name!r}; known: {', '.join(SCENARIOS)}") from None


__all__ = ["SCENARIOS", "AgentSpec", "Scenario", "ScenarioError", "find_scenario"]
