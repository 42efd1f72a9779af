"""Runs that take turns, a step each, so that their times can be compared.

What else a machine does slows down what runs on it, now more, now less. Of runs one after the other each meets with
something else; of runs that take turns all meet with the same, up to what comes and goes within a step. The time of a
run is that of its turns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Turns:
    """Whose turn it is: one of those that wait, in the order in which they came."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()

    def one(self) -> Turn:
        """For one run."""
        return Turn(self._lock, self._clock)


class Turn:
    """The turns of one run, as a context: entered when the first has come, left with the last."""

    def __init__(self, lock: asyncio.Lock, clock: Callable[[], float]) -> None:
        self._lock, self._now = lock, clock
        self._spent = 0.0
        self._since: float | None = None
        self.ends: list[float] = []
        """Its clock at the end of each turn but the last."""

    def clock(self) -> float:
        """Seconds that its turns have taken; between them it stands still."""
        return self._spent if self._since is None else self._spent + self._now() - self._since

    async def over(self) -> None:
        """This turn is over: go on when all who wait have had theirs."""
        self._leave()
        self.ends.append(self._spent)
        await self._enter()

    async def _enter(self) -> None:
        await self._lock.acquire()
        self._since = self._now()

    def _leave(self) -> None:
        self._spent, self._since = self.clock(), None
        self._lock.release()

    async def __aenter__(self) -> Self:
        await self._enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._since is not None:  # else it was cancelled while others had theirs
            self._leave()
