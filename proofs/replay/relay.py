"""Replay of a long log by several processes, each of which replays a stretch of it.

A process that begins in the middle must know the state there. It finds that on its own, quickly: it takes the steps
before without looking at guards, properties and outcomes, which others look at meanwhile, and goes on from there with
everything looked at. Nothing rests on that quick pass: the process that replays the stretch before ends in a state, and
only if this is the one in which the next began, by their digests, does what the next found count. Where a process is
lost, or the states differ, the first process goes on by itself, as far as need be. So the outcome is that of one
process: of the first record with a problem, in whichever stretch it is.

Where stretches begin is not known beforehand: each process sees how fast the others are, and begins to look when all of
them will be done at about the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import multiprocessing
import multiprocessing.connection
import os
import pickle
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from mtpo.proofs.children import _die_with, processes
from mtpo.proofs.replay.board import Board
from mtpo.proofs.replay.numbering import Numbering
from mtpo.proofs.replay.stepping import Run, Sparse
from mtpo.spec.records import Record
from mtpo_core.problems import Problem

LONG: Final = 30_000
"""Records from which on several processes are worth it, the program included that takes steps without looking."""

READY: Final = 5_000
"""Records from which on they are when that program is made."""

MOST: Final = 4
"""Processes beyond which another one would mostly take steps that the others look at."""

CHUNK: Final = 4096
"""Records between two looks at what the other processes do, at most."""

LOOKS: Final = 64
"""Such looks in a log, at least: stretches end together up to so much of it."""

BEHIND: Final = 8
"""The part of a log after which a process that is behind the one before, which looks, gives up."""

PATIENCE: Final = 120.0
"""Seconds after which a process that does nothing is given up."""

PART: Final = select.PIPE_BUF - 4
"""Bytes that are sent at once with their number before them: a pipe takes so many as a whole, or none."""


@attrs.frozen
class Ended:
    """A stretch was replayed: up to a place; ``steps`` taken since the first record; what is wrong with the record
    there, and whether it is no step; the ``digest`` of the state if another stretch begins there."""

    place: int
    steps: int
    problems: tuple[Problem, ...]
    unmatched: bool
    digest: bytes


def jobs(records: int, ready: bool = False) -> int:
    """How many processes should replay a log with so many records: one if it is short, or there is no memory for more.

    ``ready``: the programs are made.
    """
    if records < (READY if ready else LONG):
        return 1
    return max(1, min(processes(), MOST, 1 + _room()))


def _room() -> int:
    """How many more processes of this size memory has room for."""
    try:
        own = int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return 1
    return int(free // (1.5 * own))


def chunk(records: int) -> int:
    """Records between two looks at what the other processes do."""
    return max(1, min(CHUNK, records // LOOKS))


def digest_of(run: Run, spec: Sparse) -> bytes:
    """SHA-256 of all that a replay knows."""
    return hashlib.sha256(spec.spec.digest() + repr(run.standing()).encode()).digest()


def go(
    records: Sequence[Record],
    run: Run,
    place: int,
    until: Callable[[], int],
    reached: Callable[[int], None],
) -> int:
    """Replay records from a place on, up to one that may become known on the way; 0 while it is not. The place where
    that ends: of the record that has problems, if one has."""
    take, problems, total = run.take, run.problems, len(records)
    try:
        while place < total:
            cut, end = until(), min(place + chunk(total), total)
            if cut and place == cut:
                break
            if place < cut < end:
                end = cut
            for record in records[place:end]:
                take(record)
                if problems:
                    return place
                place += 1
            reached(place)
    except KeyboardInterrupt:
        reached(place)
        raise
    return place


class Relay:
    """The processes after the first, as a context: they are gone when it is left.

    As many as there is room for; raises :class:`OSError` where there is none for what they share.
    """

    def __init__(self, records: Sequence[Record], numbering: Numbering, count: int) -> None:
        self.records, self.count = records, count
        """The processes that there are, the first among them."""
        self.board = Board(count, len(records))
        self.lost = ""
        """Why what the others found does not count."""
        self._numbering = numbering
        self._children: list[tuple[Any, Any]] = []

    def __enter__(self) -> Relay:
        try:
            with _interrupted_after():
                for number in range(1, self.count):
                    self._begin(number)
        except OSError:  # there is no room for another
            self.count = len(self._children) + 1
            self.board.starts(self.count, len(self.records))
        except KeyboardInterrupt:
            self.__exit__()
            raise
        return self

    def _begin(self, number: int) -> None:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        given = (self.records, self._numbering, number, self.board, theirs, ours, os.getpid())
        process = context.Process(target=_live, args=given, daemon=True)
        try:
            process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._children.append((process, ours))

    def __exit__(self, *raised: object) -> None:
        for process, _ in self._children:
            process.kill()
        for process, pipe in self._children:
            process.join()
            pipe.close()

    def rest(self, place: int, digest: bytes, progress: Callable[[int], None]) -> Ended | None:
        """What the other processes found from a place on, where the first one has come to a state with that digest;
        None if it does not count: see ``lost``."""
        found: Ended | None = None
        for number in range(1, self.count):
            begun = self._told(number, progress)
            if begun is None:
                return None
            if begun != (place, digest):
                self.lost = f"process {number} began in another state"
                return None
            found = self._told(number, progress)
            if found is None or found.problems or found.place == len(self.records):
                return found
            place, digest = found.place, found.digest
        return found

    def _told(self, number: int, progress: Callable[[int], None]) -> Any:
        """The next word of a process; None if there will be none."""
        process, pipe = self._children[number - 1]
        said, last, since = bytearray(), (-1, 0), time.monotonic()
        while True:
            multiprocessing.connection.wait([pipe, process.sentinel], timeout=0.2)
            try:
                if pipe.poll():
                    part = pipe.recv_bytes()
                    said += part
                    if part:
                        continue
                    found = pickle.loads(said)
                    if isinstance(found, str):
                        self.lost = f"process {number}: {found}"
                        return None
                    return found
            except (EOFError, OSError):
                self.lost = f"process {number} died"
                return None
            at = self.board.at(number)
            progress(at)
            if (at, len(said)) != last:
                last, since = (at, len(said)), time.monotonic()
            elif time.monotonic() - since > PATIENCE or not process.is_alive():
                self.lost = f"process {number} {'stands still' if process.is_alive() else 'died'}"
                if not pipe.poll():
                    return None


def _live(
    records: Sequence[Record], numbering: Numbering, number: int, board: Board, pipe: Any, ours: Any, parent: int
) -> None:
    """What a process does after the first: it finds the state where its stretch begins, and replays that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the first, who says what was replayed
    ours.close()
    _die_with(parent)
    try:
        for word in _stretch(records, numbering, number, board):
            _tell(pipe, word)
    except Exception as error:  # noqa: BLE001 - the first comes upon it, or upon what is wrong before
        if not board.start(number):
            board.starts(number, len(records))
        with contextlib.suppress(OSError):
            _tell(pipe, f"{type(error).__name__}: {error}")


def _tell(pipe: Any, word: object) -> None:
    """Send a word in parts each of which arrives as a whole, so that whoever waits for it is never held up by one."""
    said = pickle.dumps(word)
    for start in range(0, len(said), PART):
        pipe.send_bytes(said[start : start + PART])
    pipe.send_bytes(b"")


def _stretch(records: Sequence[Record], numbering: Numbering, number: int, board: Board) -> Iterator[Any]:
    spec = Sparse(numbering, numbering.incremental(checked=False))
    run, place, total = Run(numbering, spec), 0, len(records)
    skim, more = run.skim, chunk(total)
    board.set_up(number)
    while place == 0 or not board.due(number, place):
        if place + more >= total or total < BEHIND * place < BEHIND * board.at(number - 1):
            board.starts(number, total)
            yield "the process before is faster"
            return
        for record in records[place : place + more]:
            skim(record)
        place += more
    board.starts(number, place)
    board.reached(number, place)
    yield place, digest_of(run, spec)
    spec = Sparse(numbering, spec.spec.going_on())
    run = run.going_on(spec)
    place = go(records, run, place, lambda: board.start(number + 1), lambda at: board.reached(number, at))
    problems = tuple(run.problems)
    last = bool(problems) or place == total
    yield Ended(place, run.steps, problems, run.unmatched, b"" if last else digest_of(run, spec))


@contextlib.contextmanager
def _interrupted_after() -> Iterator[None]:
    """An interrupt while processes begin is heard when they have: it would be lost, or end one that has just begun."""
    before, came = signal.getsignal(signal.SIGINT), list[Any]()
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    signal.signal(signal.SIGINT, lambda *heard: came.append(heard))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[0])
