"""Interrupts end a run whole: the first cancels it, later ones change nothing, what it opens is closed."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from mtpo_core.interrupts import run_to_its_end


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """As a program in a terminal is: a process that runs tests may not be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_without_an_interrupt_it_is_run():
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert run_to_its_end(work) == 7


def test_the_first_interrupt_cancels_and_the_closing_is_not_cut_short():
    done = []

    async def work() -> None:
        try:
            interrupt()
            done.append("to the next wait")
            await asyncio.sleep(3600)
        finally:
            interrupt()
            await asyncio.sleep(0.01)
            interrupt()
            done.append("closed")

    with pytest.raises(KeyboardInterrupt) as stopped:
        run_to_its_end(work)
    assert done == ["to the next wait", "closed"] and stopped.value.args == ()


def test_what_goes_wrong_while_it_is_closed_is_said():
    async def work() -> None:
        try:
            interrupt()
            await asyncio.sleep(3600)
        finally:
            raise RuntimeError("the door is stuck")

    with pytest.raises(KeyboardInterrupt, match="the door is stuck"):
        run_to_its_end(work)


def test_an_interrupt_that_comes_too_late_is_heard():
    async def work() -> None:
        asyncio.get_running_loop().call_soon(interrupt)

    with pytest.raises(KeyboardInterrupt):
        run_to_its_end(work)


def test_other_errors_stay_what_they_are():
    async def fails() -> None:
        raise ValueError("no")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(ValueError, match="no"):
        run_to_its_end(fails)
    with pytest.raises(asyncio.CancelledError):
        run_to_its_end(cancelled)


def test_elsewhere_interrupts_stay_whose_they_are():
    async def work() -> object:
        return signal.getsignal(signal.SIGINT)

    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(run_to_its_end(work)))
    thread.start()
    thread.join()
    heard: list[int] = []
    own = lambda number, frame: heard.append(number)  # noqa: E731
    signal.signal(signal.SIGINT, own)
    assert run_to_its_end(work) is own
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert found == [signal.default_int_handler] and heard == []
