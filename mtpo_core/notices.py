"""Notifications as an agent sees them: short, typed, actionable."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from mtpo_core.patches import difference

REDONE: Final = "redone"
"""The status of an own call that is in effect, on other values than before; a log has it as ``changed``."""

_FORM: Final = re.compile(r"<notification>(.*?)</notification>", re.DOTALL)
_REVISE: Final = "Go on if irrelevant; else revise only what depends on it."
_WITHDRAWN: Final = "Calls cancelled or stranded are not in effect; call again if still wanted."


@attrs.frozen
class Change:
    """A premise that changed: ``object`` held ``was`` when the agent saw it and is ``now`` at its position.

    ``by`` names the agent whose write it is, empty (and left out of the text) for the initial value, to which an object
    goes back when calls are taken out. ``under``: the agent's own call that has overwritten the object since and made
    nothing else of it, so that what the agent knows of the object now stands; empty (and left out) where there is none.
    None stands for an absent object.
    """

    object: str
    was: bytes | None
    now: bytes | None
    by: str
    under: str = ""

    def told(self) -> dict[str, str | int | None]:
        """How the value is told: ``now``, the whole of it, or ``diff``, hunks for what it was, if they are shorter;
        ``bytes``, how many, of a value that is no text. Hunks of what is as it was are empty.
        """
        if self.now is None:
            return {"now": None}
        if self.now == self.was:
            return {"diff": ""}
        now = _text(self.now)
        if now is None:
            return {"bytes": len(self.now)}
        was = None if self.was is None else _text(self.was)
        hunks = now if was is None else difference(was, now)
        return {"diff": hunks} if len(hunks) < len(now) else {"now": now}


@attrs.frozen
class CallNews:
    """An own call that was redone otherwise (``redone``), or is not in effect any more (``cancelled``, ``stranded``).

    ``result``: what the tool says now, or why a call was stranded; None where it says what it said. ``wrote``: what
    the call makes now of objects that the agent has read, or, where the result is the same, of all in which it differs;
    and of each that the agent is told of beside, where it may be the same. ``read``: where it says and makes what it
    did, the objects that it read otherwise; empty else.
    """

    call: str
    tool: str
    status: str
    result: str | None = None
    wrote: tuple[Change, ...] = ()
    read: tuple[str, ...] = ()

    def told(self, changed: Mapping[str, Mapping[str, str | int | None]]) -> dict[str, Any]:
        """How that is told beside ``changed``, the changes of premises as they are told."""
        told: dict[str, Any] = {"tool": self.tool, "status": self.status}
        if self.result is not None:
            told["result"] = self.result
        wrote = {c.object: c.told() for c in self.wrote}
        if otherwise := {object: value for object, value in wrote.items() if value != changed.get(object)}:
            told["wrote"] = otherwise
        if self.read:
            told["read"] = list(self.read)
        return told


@attrs.frozen
class Notice:
    """One delivery to an agent: changed premises, and own calls that were redone otherwise or withdrawn."""

    agent: int
    ids: tuple[int, ...]
    changes: tuple[Change, ...]
    results: tuple[CallNews, ...]

    def text(self) -> str:
        """The text to put before the agent's next inference.

        ``changed`` tells the changes, ``your_calls`` what became of own calls. What such a call wrote is left out where
        it changed as ``changed`` says of the same object: the call was redone on top of it.
        """
        changed = {c.object: c.told() for c in self.changes}
        data: dict[str, Any] = {}
        if self.changes:
            data["changed"] = {
                c.object: {name: given for name in ("by", "under") if (given := getattr(c, name))} | changed[c.object]
                for c in self.changes
            }
        if self.results:
            data["your_calls"] = {news.call: news.told(changed) for news in self.results}
        # A value may hold the closing tag: it is escaped, as JSON allows, so that it ends nothing.
        body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        body = body.replace("notification>", "notification\\u003e")
        return f"<notification>{body}</notification>\n{self._advice()}"

    def _advice(self) -> str:
        """What to do, in as few tokens as say it: they cost inference. A call that was redone is not to be made again,
        one that was withdrawn is by its author alone.
        """
        if not self.changes and not self.results:
            return "All is as you saw it; go on."
        withdrawn = any(news.status != REDONE for news in self.results)
        return f"{_REVISE} {_WITHDRAWN}" if withdrawn else _REVISE


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def parse_notices(text: str) -> Iterator[dict[str, Any]]:
    """The notifications in a message, as the data that :meth:`Notice.text` wrote; what only looks like one is none."""
    for found in _FORM.finditer(text):
        with contextlib.suppress(ValueError):
            data = json.loads(found.group(1))
            if isinstance(data, dict) and data and data.keys() <= {"changed", "your_calls"}:
                yield data
