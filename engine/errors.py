"""What can go wrong, in one line each."""

from __future__ import annotations


class EngineError(RuntimeError):
    """A model file, a request or a setting that the engine can't work with: says what, where and what to do."""
