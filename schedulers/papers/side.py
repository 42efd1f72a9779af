"""Simulations side by side: each in a process of its own, since each takes one core."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

import attrs

from mtpo.schedulers.papers.table import Tell

R = TypeVar("R")


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
    # A fresh interpreter each: a copy of this one could be made while a thread of it, the progress line, holds a lock.
    context = multiprocessing.get_context("spawn")
    results: dict[int, Any] = {}
    pool = ProcessPoolExecutor(min(processes, len(waiting)), mp_context=context)
    try:
        under_way = {pool.submit(job.call, *job.arguments): at for at, job in enumerate(waiting)}
        tell(f"0 of {len(waiting)} done")
        for future in as_completed(under_way):
            at = under_way[future]
            results[at] = future.result()
            tell(f"{len(results)} of {len(waiting)} done, last {waiting[at].name}")
    finally:
        pool.shutdown(cancel_futures=True)
    return [results[at] for at in range(len(waiting))]
