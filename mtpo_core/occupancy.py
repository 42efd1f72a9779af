"""One run at a time on a tree: a lock that needs no file and goes with the process.

A run locks each folder that it works in for itself, and every folder above shared: so two runs on one tree exclude each
other, and a run on a tree within another's tree as well, while runs side by side don't. The locks (``flock``) are
advisory: they keep sessions apart, not editors; what those change is reported (assumption A2).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from mtpo_core.errors import SessionError


class Occupancy:
    """Folders that a run has to itself until :meth:`leave`, or until the process ends."""

    def __init__(self, places: Iterable[Path]) -> None:
        """Raises :class:`SessionError` when another run is at work in, below or above one of ``places``."""
        self._held: list[int] = []
        try:
            shared = set[Path]()
            for place in places:
                self._take(place, fcntl.LOCK_EX, place)
                for above in set(place.parents) - shared:
                    self._take(above, fcntl.LOCK_SH, place)
                shared |= set(place.parents)
        except BaseException:
            self.leave()
            raise

    def _take(self, folder: Path, how: int, place: Path) -> None:
        try:
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # a folder above may be closed to us; then nobody of this user can work in all of it either
            return
        try:
            fcntl.flock(held, how | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            whose = f"{place} or in a folder of it" if folder == place else f"{folder}, which holds {place}"
            raise SessionError(
                f"open: another session is at work on {whose}; close it first, or work on a copy"
            ) from None
        except OSError:  # a file system without such locks: sessions on it are not kept apart
            os.close(held)
            return
        self._held.append(held)

    def leave(self) -> None:
        """Let others in. Doing it twice is doing it once."""
        while self._held:
            with contextlib.suppress(OSError):
                os.close(self._held.pop())

    def __del__(self) -> None:
        self.leave()
