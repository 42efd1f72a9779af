"""Processes that explore parts: one that is lost, one that is killed, what one can not do, how far they are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import Any

import pytest

from mtpo.proofs.children import processes
from mtpo.proofs.parts.part import Explorer, Shared
from mtpo.proofs.parts.partition import Part
from mtpo.proofs.parts.parts import explore_in_parts
from mtpo.proofs.parts.partwork import Progress, _Queue, cells
from mtpo.proofs.verdicts import Status
from tests.proofs.parts.climbing import climbers, forks

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes wrap around


@forks
def test_a_process_that_is_lost_leaves_the_rest_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Explorer.explore

    def explore_(self: Explorer, part: Any) -> Any:
        if part.start == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return own(self, part)

    monkeypatch.setattr(Explorer, "explore", explore_)
    found = explore_in_parts(*climbers(4), jobs=2, size=1)
    assert not found.complete
    verdict = next(v for v in found.verdicts if v.property == "climb.small")
    assert verdict.status is Status.UNKNOWN
    assert "stopped at the loss of a process: it died (SIGKILL), with " in verdict.detail["why"]


@forks
def test_a_process_that_is_killed_while_it_counts_holds_up_nobody() -> None:
    """It writes into a cell of its own, without a lock."""
    shared = Shared(1)

    def count() -> None:
        shared.write_into(1)
        while True:
            shared.count(1)
            shared.violated(7)

    for number in range(30):
        child = multiprocessing.get_context("fork").Process(target=count, daemon=True)
        before = shared.states
        child.start()
        while shared.states == before:
            time.sleep(0)
        child.kill()
        child.join()
        shared.count(1000)
        assert (shared.states >= 1000 * (number + 1), shared.shortest) == (True, 7)
    shared.violated(3)
    assert shared.shortest == 3


def test_no_two_processes_write_into_a_cell() -> None:
    """Each asks for its next part before its last answer is noted."""
    jobs = 3
    numbers = iter(range(100))
    queue = _Queue(lambda: Part(next(numbers), ()), cells(jobs))
    asked = [queue[number] for number in range(jobs)]
    for number in range(jobs, 40):
        asked.append(queue[number])
        assert asked[-1] == queue[number], "another process is asked the same in its place"
        held = [one[1] for one in asked[number - jobs :] if one is not None]
        assert len(set(held)) == len(held) == jobs + 1 and {*held} <= {*range(1, jobs + 2)}
        assert queue.answered(number - jobs) == Part(number - jobs, ())
    assert queue.busy and queue.answered(99) is None


@forks
def test_what_a_process_can_not_do_is_raised_here() -> None:
    instance, roots = climbers(3, step=1 << 70)
    with pytest.raises(ValueError, match="needs more than the 62 bits"):
        explore_in_parts(instance, roots, jobs=2, size=1)


def test_how_far_it_is_is_told() -> None:
    told: list[Progress] = []
    found = explore_in_parts(*climbers(4), jobs=2 if processes() else 1, size=2, progress=told.append)
    assert told[-1] == Progress(found.states, found.parts, 16, found.states)
    assert [p.states for p in told] == sorted(p.states for p in told)
    assert told[-1].text(16) == ("256 states; 8 parts done, 16 of 16 choices of constants, about 256 states in all")
