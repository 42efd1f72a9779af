"""A case in several modes, raced against each other: what each came to, and how long it took.

Time is what a run took by the clock, without what else the machine did meanwhile. The modes take turns, a step each, so
that they are slowed alike; all of them run in several rounds, and of each step the quickest counts. Runs are
deterministic: that a round is like the first is checked, too.
"""

from __future__ import annotations

import asyncio
import functools
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs

from mtpo_core.driver import Outcome, run_scenario
from mtpo_core.inference import Inference
from mtpo_core.interrupts import run_to_its_end
from mtpo_core.runtime import Mode
from mtpo_core.scenarios.base import Scenario
from mtpo_core.turns import Turns

MODES: Final[tuple[Mode, ...]] = ("serial", "naive", "mtpo")

ROUNDS: Final = (2, 4)
"""At least and at most; beyond the least, as long as somebody looks too slow."""


@attrs.frozen
class Raced:
    """What a mode came to, in each round."""

    rounds: Sequence[Outcome]

    @property
    def outcome(self) -> Outcome:
        """That of the quickest round."""
        return min(self.rounds, key=lambda outcome: outcome.seconds)

    @property
    def seconds(self) -> float:
        """How long it took, with the quickest of each step."""
        laps = zip(*(outcome.laps for outcome in self.rounds), strict=False)
        return math.fsum(min(lap) for lap in laps)

    @property
    def repeated(self) -> bool:
        """Whether every round was like the first, but for its times."""
        return all(_like(outcome) == _like(self.outcome) for outcome in self.rounds)


def _like(outcome: Outcome) -> object:
    return outcome.files, outcome.steps, outcome.prompt_tokens, outcome.new_tokens, outcome.failures


def race(
    scenario: Scenario,
    folder: Path,
    make: Callable[[], Inference],
    slow: Callable[[dict[Mode, Raced]], bool],
    progress: Callable[[str], None] = lambda text: None,
) -> dict[Mode, Raced]:
    """Run a case in all modes. ``slow`` says whether it takes another round to be sure. The log of each mode's quickest
    round is copied into ``folder``, below which those of all rounds are."""
    rounds = list[dict[Mode, Outcome]]()
    while True:
        number = len(rounds) + 1
        told = functools.partial(_told, progress, f"round {number}")
        rounds.append(run_to_its_end(functools.partial(_round, scenario, folder / f"round-{number}", make, told)))
        found = {mode: Raced([each[mode] for each in rounds]) for mode in MODES}
        if number >= ROUNDS[0] and (number >= ROUNDS[1] or not slow(found)):
            for raced in found.values():
                shutil.copy(raced.outcome.log, folder)
            return found


def _told(progress: Callable[[str], None], when: str, mode: str, what: str) -> None:
    progress(f"{when}, {mode}: {what}")


async def _round(
    scenario: Scenario, folder: Path, make: Callable[[], Inference], tell: Callable[[str, str], None]
) -> dict[Mode, Outcome]:
    folder.mkdir(exist_ok=True)
    turns, running = Turns(), dict[Mode, asyncio.Task[Outcome]]()
    with tempfile.TemporaryDirectory(prefix="mtpo-race-") as place:
        try:
            async with asyncio.TaskGroup() as group:
                for mode in MODES:
                    repository, log = Path(place) / mode, folder / f"{scenario.name}-{mode}.mtpo"
                    told = functools.partial(tell, mode)
                    run = run_scenario(scenario, mode, repository, log, inference=make(), turns=turns, progress=told)
                    running[mode] = group.create_task(run)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
    return {mode: task.result() for mode, task in running.items()}
