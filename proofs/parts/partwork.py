"""Parts given to processes, as they are asked for; and what is told and kept meanwhile."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final

import attrs

from mtpo.proofs.children import Children, Lost
from mtpo.proofs.parts.part import Explorer, Outcome
from mtpo.proofs.parts.partition import Part
from mtpo.proofs.parts.partsaved import PartsSaved

_IDLE: Final = 0.05
"""Seconds after which a process that has nothing to do asks again."""

_POLL: Final = 0.2
"""Seconds between two looks at how far the processes are."""


@attrs.frozen
class Progress:
    """How far an exploration in parts is: ``states`` found, ``parts`` done, with ``done`` choices of constants, which
    have ``of_these`` states."""

    states: int
    parts: int
    done: int
    of_these: int

    def text(self, total: int | None = None) -> str:
        """For people; ``total``: of how many choices of constants."""
        of = f" of {total:,}" if total else ""
        said = f"{self.states:,} states; {self.parts:,} parts done, {self.done:,}{of} choices of constants"
        return f"{said}, about {self.of_these * total // self.done:,} states in all" if total and self.done else said


class _Queue(Sequence[tuple[Part, int] | None]):
    """What processes are asked: parts, made as they are asked for, each with a cell of :class:`Shared` that nobody else
    writes into; None where there is no part at the moment."""

    def __init__(self, take: Callable[[], Part | None], cells: int) -> None:
        self._take = take
        self._again: list[Part] = []
        self._asked: dict[int, tuple[Part, int]] = {}
        self._free = list(range(cells, 0, -1))

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, number: int) -> tuple[Part, int] | None:  # type: ignore[override]
        if number not in self._asked:  # it is asked for twice where a process had died meanwhile
            part = self._again.pop() if self._again else self._take()
            if part is None:
                return None
            self._asked[number] = part, self._free.pop()
        return self._asked[number]

    @property
    def busy(self) -> bool:
        """Whether some part is not answered yet."""
        return bool(self._asked)

    def answered(self, number: int) -> Part | None:
        """The part that was asked, whose process has come to its end with it; None if none was."""
        part, cell = self._asked.pop(number, (None, 0))
        if part is not None:
            self._free.append(cell)
        return part

    def halve(self, part: Part) -> None:
        """Explore a part again, as two."""
        self._again += reversed(part.halves())


def cells(jobs: int) -> int:
    """How many cells so many processes need: one asks for its next part before its last one is noted as answered."""
    return jobs + 1


def outcomes(explorer: Explorer, take: Callable[[], Part | None], jobs: int) -> Generator[tuple[Part, Outcome | Lost]]:
    """What comes of parts, in the order in which they are done, until there are no more; or that a process was lost."""

    def answer(asked: tuple[Part, int] | None) -> Outcome | float:
        if asked is not None:
            part, cell = asked
            explorer.shared.write_into(cell if jobs > 1 else 0)
            return explorer.explore(part)
        time.sleep(_IDLE if jobs > 1 else 0.0)
        return _IDLE

    queue = _Queue(take, cells(jobs))
    with Children[tuple[Part, int] | None, Outcome | float](lambda: answer, jobs if jobs > 1 else 0) as children:
        for number, found in children.map(queue):
            part = queue.answered(number)
            if part is None or isinstance(found, float):
                if not queue.busy:
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
