"""Parts given to processes, as they are asked for; and what is told and kept meanwhile."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final

from mtpo.proofs.children import Children, Lost
from mtpo.proofs.part import Explorer, Outcome
from mtpo.proofs.partition import Part
from mtpo.proofs.partsaved import PartsSaved

_IDLE: Final = 0.05
"""Seconds after which a process that has nothing to do asks again."""

_POLL: Final = 0.2
"""Seconds between two looks at how far the processes are."""


class _Queue(Sequence[Part | None]):
    """What processes are asked: parts, made as they are asked for; None where there is none at the moment."""

    def __init__(self, take: Callable[[], Part | None]) -> None:
        self._take = take
        self._again: list[Part] = []
        self.asked: dict[int, Part] = {}

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, number: int) -> Part | None:  # type: ignore[override]
        if number not in self.asked:  # it is asked for twice where a process had died meanwhile
            part = self._again.pop() if self._again else self._take()
            if part is None:
                return None
            self.asked[number] = part
        return self.asked[number]

    def halve(self, part: Part) -> None:
        """Explore a part again, as two."""
        self._again += reversed(part.halves())


def outcomes(explorer: Explorer, take: Callable[[], Part | None], jobs: int) -> Generator[tuple[Part, Outcome | Lost]]:
    """What comes of parts, in the order in which they are done, until there are no more; or that a process was lost."""

    def answer(part: Part | None) -> Outcome | float:
        if part is not None:
            return explorer.explore(part)
        time.sleep(_IDLE if jobs > 1 else 0.0)
        return _IDLE

    queue = _Queue(take)
    with Children[Part | None, Outcome | float](lambda: answer, jobs if jobs > 1 else 0) as children:
        for number, found in children.map(queue):
            part = queue.asked.pop(number, None)
            if part is None or isinstance(found, float):
                if not queue.asked:
                    return
            elif isinstance(found, Outcome) and found.heavy:
                queue.halve(part)
            else:
                yield part, found


@contextlib.contextmanager
def telling(tell: Callable[[], None]) -> Iterator[None]:
    """Tell now and then how far the work is, whatever this process is waiting for."""
    over = threading.Event()

    def poll() -> None:
        while not over.wait(_POLL):
            tell()

    teller = threading.Thread(target=poll, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
        tell()


@contextlib.contextmanager
def saving(checkpoint: PartsSaved | None) -> Iterator[None]:
    """Save the parts that are done when the work ends, however it does."""
    try:
        yield
    finally:
        if checkpoint is not None:
            checkpoint.save()
