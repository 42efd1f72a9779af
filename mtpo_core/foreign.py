"""Running foreign code, tools and resources: whatever it raises or returns comes back as a value or one clear line."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from mtpo_core.tools import Args, Footprint, Tool, ToolError, View, brief, encodable

T = TypeVar("T")

_WITHIN: Final[contextvars.ContextVar[tuple[ForeignThread, ...]]] = contextvars.ContextVar("mtpo_within", default=())
"""The foreign threads that the running code belongs to; tasks and worker threads that it starts inherit it."""


def guarded(work: Callable[..., T], *args: Any) -> T:
    """``work(*args)``; whatever it raises, an exit or a cancellation too, is a :class:`ToolError` of one line."""
    try:
        return work(*args)
    except ToolError:
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code, in a thread where no interrupt of ours arrives
        raise ToolError(one_line(error)) from None


class ForeignThread:
    """The one thread in which a session runs foreign code, so that the event loop never waits for it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="mtpo-tool")

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """``work(*args)`` in the thread; raises nothing but :class:`ToolError`."""

        def marked() -> T:
            _WITHIN.set((*_WITHIN.get(), self))
            return guarded(work, *args)

        context = contextvars.copy_context()
        try:
            job = asyncio.get_running_loop().run_in_executor(self._pool, context.run, marked)
        except RuntimeError as error:  # the interpreter is ending
            raise ToolError(one_line(error)) from None
        return await job

    @property
    def within(self) -> bool:
        """Whether the caller is itself foreign code of this session."""
        return self in _WITHIN.get()

    def close(self) -> None:
        """Let the thread end when it is idle."""
        self._pool.shutdown(wait=False)


def footprint_of(tool: Tool, view: View, args: Args) -> Footprint:
    """The footprint of a call, checked. Raises :class:`ToolError`."""
    footprint = guarded(tool.footprint, view, args)
    flaw = footprint_flaw(footprint)
    if flaw is not None:
        raise ToolError(flaw)
    return footprint


def footprint_flaw(footprint: object) -> str | None:
    """Why no call can have this footprint, in one line; None when one can."""
    if not isinstance(footprint, Footprint):
        return f"footprint returned {type(footprint).__name__}, not a Footprint"
    for what in ("reads", "writes", "kept"):
        for name in getattr(footprint, what):
            if not isinstance(name, str) or not name or not encodable(name):
                return f"footprint {what} {brief(name)}, which is no object's name"
    beyond = footprint.kept - (footprint.reads & footprint.writes)
    if beyond:
        return f"footprint keeps up {', '.join(sorted(beyond))}, which it does not both read and write"
    return None


def text_of(phase: str, result: object) -> str:
    """A tool's result, which must be text that can be written down. Raises :class:`ToolError`."""
    if not isinstance(result, str):
        raise ToolError(f"{phase} returned {type(result).__name__}, not text")
    if not encodable(result):
        raise ToolError(f"{phase} returned a text with a lone surrogate")
    return result


def one_line(error: BaseException) -> str:
    """An error as one line that can be written down."""
    try:
        told = str(error)
    except Exception:  # noqa: BLE001 - an error that can't say what it is
        told = ""
    text = " ".join(told.split()).encode(errors="backslashreplace").decode()
    if isinstance(error, ToolError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
