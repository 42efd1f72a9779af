"""What the processes of a relay tell each other while they run, and where each of them should begin to look."""

from __future__ import annotations

import mmap
import time


class Board:
    """What processes tell each other: numbers in memory that they share. By process: how far it has got, where its
    stretch begins (0: not known yet), and when it was set up, in microseconds."""

    def __init__(self, count: int, total: int) -> None:
        self.count, self.total, self.began = count, total, time.monotonic()
        self._numbers = memoryview(mmap.mmap(-1, 8 * (3 * count + 1))).cast("q")

    def at(self, number: int) -> int:
        """How far a process has got."""
        return self._numbers[number]

    def reached(self, number: int, place: int) -> None:
        """A process has got so far."""
        self._numbers[number] = place

    def start(self, number: int) -> int:
        """Where the stretch of a process begins; the end of the log where there is no such process, or it gave up."""
        return self._numbers[self.count + number] if number < self.count else self.total

    def starts(self, number: int, place: int) -> None:
        """The stretch of a process begins there."""
        self._numbers[self.count + number] = place

    def set_up(self, number: int) -> None:
        """A process begins with the first record."""
        self._numbers[2 * self.count + number] = self._now()

    def due(self, number: int, place: int) -> bool:
        """Whether a process that has got to a place without looking should look from there on.

        Without looking, a record takes ``r`` times as long as one takes the first, which looks. To begin to look takes
        another set-up like the first's; so, beside the first, it loses the time of its own, in which the first takes
        ``late`` records. All processes end at one time if the one with number ``j`` begins to look at ``a share(j) +
        late (1 - r)^(j - 1)``, which for ``j = count`` is the end.
        """
        own, first, looked = self._set_up(number), self._set_up(0), self.at(0)
        if not looked:
            return place * self.count >= self.total * number
        now, each = self._now(), max(1e-9, (self._now() - first) / looked)
        r, late = min(1.0, (now - own) / place / each), own / each

        def share(j: int) -> float:
            return (1 - (1 - r) ** j) / r if r else float(j)

        a = (self.total - late * (1 - r) ** (self.count - 1)) / share(self.count)
        return place >= a * share(number) + late * (1 - r) ** (number - 1)

    def _set_up(self, number: int) -> int:
        return self._numbers[2 * self.count + number]

    def _now(self) -> int:
        return int((time.monotonic() - self.began) * 1e6)
