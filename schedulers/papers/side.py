"""Simulations side by side: each in a process of its own, since each takes one core.

An interrupt is for the parent alone, which ends its children at once; they also end by themselves when it is gone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Any, Final, TypeVar

import attrs

from mtpo.schedulers.papers.table import Tell

R = TypeVar("R")

_SILENT: Final = "ignore:resource_tracker:UserWarning"


@attrs.frozen
class Job:
    """``call(*arguments)`` in another process: both have to be picklable, so ``call`` is a function of a module.
    ``name``: a few words for who waits."""

    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(jobs: Iterable[Job], processes: int, tell: Tell) -> list[Any]:
    """Results in the order of the jobs; the longest should come first. What a job raises is raised here, and jobs that
    have not begun are dropped. With one process, or one job, everything runs in this one."""
    waiting = list(jobs)
    if processes <= 1 or len(waiting) <= 1:
        found = []
        for at, job in enumerate(waiting):
            tell(f"{at} of {len(waiting)} done, now {job.name}")
            found.append(job.call(*job.arguments))
        return found
    results: dict[int, Any] = {}
    with children(min(processes, len(waiting))) as submit:
        under_way = {submit(job.call, *job.arguments): at for at, job in enumerate(waiting)}
        tell(f"0 of {len(waiting)} done")
        for future in as_completed(under_way):
            at = under_way[future]
            results[at] = future.result()
            tell(f"{len(results)} of {len(waiting)} done, last {waiting[at].name}")
    return [results[at] for at in range(len(waiting))]


Submit = Callable[..., "Future[Any]"]
"""Called with a function and its arguments, all picklable."""


@contextlib.contextmanager
def children(count: int, begin: Callable[..., None] | None = None, *arguments: Any) -> Iterator[Submit]:
    """At most so many processes; gives what to submit work with. Each first calls ``begin(*arguments)``.

    When the block is left by an exception, an interrupt too, they are killed; what they were at is lost.
    """
    # A fresh interpreter each: a copy of this one could be made while a thread of it, the progress line, holds a lock.
    context = multiprocessing.get_context("spawn")
    track()
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(count, context, _born, (begin, arguments))

    def submit(call: Callable[..., Any], *given: Any) -> Future[Any]:
        with _uninterrupted():
            return pool.submit(call, *given)

    try:
        yield submit
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def track() -> None:
    """Start the process that frees what this one leaves behind when it is killed, silently: the warning it would print
    then helps nobody."""
    name, said = "PYTHONWARNINGS", os.environ.get("PYTHONWARNINGS")
    os.environ[name] = f"{said},{_SILENT}" if said else _SILENT
    try:
        # It lets interrupts through again when it starts, so it starts before they are held back.
        multiprocessing.resource_tracker.ensure_running()
    finally:
        if said is None:
            del os.environ[name]
        else:
            os.environ[name] = said


def _born(begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """What a child does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def orphaned() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=orphaned, daemon=True).start()
    if begin is not None:
        begin(*arguments)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Within, processes start that never see an interrupt; one that comes meanwhile is raised at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    mask = None
    # A handler is this process's own, but what is masked stays so in those that it starts.
    if hasattr(signal, "pthread_sigmask"):
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
        if came:
            raise KeyboardInterrupt
