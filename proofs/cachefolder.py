"""Where things are kept between runs, for this user: ``$MTPO_CACHE``, or ``mtpo`` in the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """The folder for one kind of things; it need not exist."""
    base = os.environ.get("MTPO_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "mtpo")
    return Path(base, kind)


def replace(path: Path, content: bytes) -> None:
    """Write a file at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
