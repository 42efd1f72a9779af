"""Running a tool's code, which is foreign: whatever it raises or returns comes back as a value or one clear line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from mtpo_core.tools import Args, Footprint, Tool, ToolError, View, brief, encodable

T = TypeVar("T")


def guarded(work: Callable[..., T], *args: Any) -> T:
    """``work(*args)``; whatever it raises, an exit too, comes back as a :class:`ToolError` of one line."""
    try:
        return work(*args)
    except ToolError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code
        raise ToolError(one_line(error)) from None


async def in_thread(work: Callable[..., T], *args: Any) -> T:
    """:func:`guarded` in a worker thread, where an interrupt is the tool's own doing too."""

    def caught() -> T:
        try:
            return guarded(work, *args)
        except ToolError:
            raise
        except BaseException as error:  # noqa: BLE001 - foreign code
            raise ToolError(one_line(error)) from None

    return await asyncio.to_thread(caught)


def footprint_of(tool: Tool, view: View, args: Args) -> Footprint:
    """The footprint of a call, checked. Raises :class:`ToolError`."""
    footprint = guarded(tool.footprint, view, args)
    if not isinstance(footprint, Footprint):
        raise ToolError(f"footprint returned {type(footprint).__name__}, not a Footprint")
    _check_names("reads", footprint.reads)
    _check_names("writes", footprint.writes)
    return footprint


def _check_names(what: str, names: Iterable[object]) -> None:
    for name in names:
        if not isinstance(name, str) or not name or not encodable(name):
            raise ToolError(f"footprint {what} {brief(name)}, which is no object's name")


def text_of(phase: str, result: object) -> str:
    """A tool's result, which must be text that can be written down. Raises :class:`ToolError`."""
    if not isinstance(result, str):
        raise ToolError(f"{phase} returned {type(result).__name__}, not text")
    if not encodable(result):
        raise ToolError(f"{phase} returned a text with a lone surrogate")
    return result


def one_line(error: BaseException) -> str:
    """An error as one line that can be written down."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = text.encode(errors="backslashreplace").decode()
    return text if isinstance(error, ToolError) else f"{type(error).__name__}: {text}"
