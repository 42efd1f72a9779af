"""A Ctrl-C ends a run, and what it was doing ends first: a repair is finished, the log is closed.

asyncio cancels its main task at the first interrupt, which is heard by everything within; at the second it raises one
wherever the program is. Then a call stops half way and the log has no end. Here the second changes nothing.

A terminal sends an interrupt to whatever runs in it, so that a tool's child, git for one, would be ended by what is
meant for the program: such a child is started apart.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_its_end(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """As ``asyncio.run(work())``. The first interrupt cancels it, later ones are not heard until it has ended: what
    closes what it had opened does so. :class:`KeyboardInterrupt` then, with what went wrong meanwhile, if anything did.

    Where interrupts are somebody else's, in another thread than the main one or when they are handled already, they
    stay so.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return asyncio.run(work())
    came = list[int]()
    cancel: list[Callable[[], object]] = []

    def hear(number: int, frame: object) -> None:
        came.append(number)
        if len(came) == 1 and cancel:
            cancel[0]()

    async def cancelled_once() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
        if came:
            raise asyncio.CancelledError
        return await work()

    signal.signal(signal.SIGINT, hear)
    try:
        result = asyncio.run(cancelled_once())
    except (Exception, asyncio.CancelledError) as error:
        if not came:
            raise
        raise KeyboardInterrupt(*_said(error)) from None
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:  # too late to cancel anything
        raise KeyboardInterrupt
    return result


def _said(error: BaseException) -> tuple[str, ...]:
    """What went wrong while an interrupted run was ended; being cancelled is what it was to be."""
    return () if isinstance(error, asyncio.CancelledError) else (str(error),)


def run_apart(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], input: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """As ``subprocess.run`` with the output captured, of a child that no interrupt of the terminal reaches.

    It has a session of its own; and as it begins in this one, interrupts are held back from it until then."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pipe = subprocess.PIPE
        child = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    with child:
        try:
            said, complained = child.communicate(input)
        except BaseException:
            child.kill()
            raise
    return subprocess.CompletedProcess(command, child.returncode, said, complained)
