"""Running a user's file so that it does not decide how the process ends."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

_ENDS = ("_exit", "execv", "execve")
"""Functions after which nothing of this process runs: not what it was asked, nor any handler."""


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Within, to end or to replace this process at once is ``sys.exit``; in a process forked from it as always."""
    here = os.getpid()
    homes = [os, *(module for name in ("posix", "nt") if (module := sys.modules.get(name)) is not None)]
    kept = [(home, name, getattr(home, name)) for home in homes for name in _ENDS if hasattr(home, name)]
    for home, name, original in kept:
        setattr(home, name, _instead(name, original, here))
    try:
        yield
    finally:
        for home, name, original in kept:
            setattr(home, name, original)


def _instead(name: str, original: Any, here: int) -> Any:
    def ended(*args: Any, **kwargs: Any) -> NoReturn:
        if os.getpid() != here:
            original(*args, **kwargs)
        raise SystemExit(args[0] if name == "_exit" and args else f"by os.{name}")

    return ended
