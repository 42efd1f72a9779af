"""Whether a logged run of a known case ended right: as a serial run of it does, and with what is wanted of it.

The serial runs are made anew, which takes about a second; what the run ended with is read from its log alone. That has
the files as objects, and what is committed as calls of ``git_commit``, one upon the other.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping

from mtpo_core.driver import DriverError, serial_states
from mtpo_core.logfile import LoggedRun
from mtpo_core.resources.names import GIT, is_listing
from mtpo_core.scenarios import SCENARIOS, Scenario, ScenarioError
from mtpo_core.view.gather import Call, Gathered, gather

_GONE = frozenset({"running", "held", "failed", "undone", "cancelled", "stranded", "retracted"})
"""States of a call without an effect at the end."""


class NotKnown(ValueError):
    """It can't be said how a run ended: why."""


def right_of(run: LoggedRun) -> bool | str:
    """Whether a run ended right: in the state of its serial order, or a naive one in that of any. Where that can't be
    said, why."""
    try:
        told = gather(run.records) if run.records else None
        scenario = _scenario(told, run)
        assert told is not None
        files, serial = files_of(told, run.values), _serial(scenario.name)
    except (NotKnown, ScenarioError, DriverError) as error:
        return str(error)
    ranks = tuple(spec.name for spec in scenario.agents)
    wanted = serial.values() if told.mode == "naive" else (serial[ranks],)
    return files in wanted and not scenario.failures(files)


def _scenario(told: Gathered | None, run: LoggedRun) -> Scenario:
    """The case that a complete log is of."""
    scenario = SCENARIOS.get(told.scenario) if told is not None else None
    if told is None or scenario is None:
        raise NotKnown("it is of no case of `mtpo run`, so there are no serial runs to compare it with")
    agents = [(agent.name, agent.task) for _, agent in sorted(told.agents.items())]
    if agents != [(spec.name, spec.task) for spec in scenario.agents]:
        raise NotKnown(f"its agents are not those of {scenario.name}")
    if _texts(told.initial, run.values) != scenario.files:
        raise NotKnown(f"it does not begin with the files of {scenario.name}")
    if told.outcome != "complete":
        raise NotKnown("the run did not come to its end")
    return scenario


def files_of(told: Gathered, values: Mapping[str, bytes | None]) -> dict[str, str]:
    """The files that a run ended with, and under ``HEAD:path`` those of the last commit. Raises :class:`NotKnown`."""
    files = _texts(told.final or {}, values)
    committed = _texts(told.initial, values)
    order = (lambda call: call.applied_seq) if told.mode == "naive" else (lambda call: call.key)
    for call in sorted(told.calls.values(), key=order):
        if call.status not in _GONE and any(o.startswith(GIT) for o in call.out):
            for path, text in _commit(call, values).items():
                committed.pop(path, None)
                committed |= {} if text is None else {path: text}
    return files | {f"HEAD:{path}": text for path, text in committed.items()}


def _commit(call: Call, values: Mapping[str, bytes | None]) -> dict[str, str | None]:
    """The files that a commit took, as it saw them; None is one that it removed."""
    if call.tool != "git_commit":
        raise NotKnown(f"call {call.id}, {call.tool}, moved a branch")
    saw = {seen.object: seen.digest for seen in call.saw}
    try:
        paths = json.loads(values[call.args or ""] or b"null")["paths"]
        taken = {path: values[saw[path] or ""] for path in paths}  # a folder is none of what was seen
        return {path: None if value is None else value.decode() for path, value in taken.items()}
    except (KeyError, TypeError, ValueError):
        raise NotKnown(f"what call {call.id} committed is not all in the log") from None


def _texts(state: Mapping[str, str], values: Mapping[str, bytes | None]) -> dict[str, str]:
    """The files of a state, by path."""
    found = {}
    for name, digest in state.items():
        if name.startswith(GIT) or is_listing(name):
            continue
        if digest not in values:
            raise NotKnown(f"{name} is redacted in the log")
        value = values[digest]
        if value is not None:
            found[name] = value.decode(errors="replace")
    return found


@functools.cache
def _serial(name: str) -> Mapping[tuple[str, ...], Mapping[str, str]]:
    return serial_states(SCENARIOS[name])
