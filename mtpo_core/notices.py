"""Notifications as an agent sees them: short, typed, actionable."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import attrs

_FORM = re.compile(r"<notification>(.*?)</notification>", re.DOTALL)


@attrs.frozen
class Change:
    """A premise that changed: ``object`` held ``was`` when the agent saw it and is ``now`` at its position.

    ``by`` names the agent whose write it is, empty (null in the text) for the initial value, to which an object goes
    back when calls are taken out. None stands for an absent object.
    """

    object: str
    was: bytes | None
    now: bytes | None
    by: str


@attrs.frozen
class Notice:
    """One delivery to an agent: changed premises, and own calls that were redone otherwise or withdrawn.

    ``results``: (call id, tool, ``changed`` | ``cancelled`` | ``stranded``, the latest result text).
    """

    agent: int
    ids: tuple[int, ...]
    changes: tuple[Change, ...]
    results: tuple[tuple[str, str, str, str], ...]

    def text(self) -> str:
        """The text to put before the agent's next inference."""
        data: dict[str, Any] = {
            "changed": [{"object": c.object, "by": c.by or None, "now": _text(c.now)} for c in self.changes],
        }
        if self.results:
            data["your_calls"] = [
                {"call": call, "tool": tool, "status": status, "result": result if status == "changed" else None}
                for call, tool, status, result in self.results
            ]
        # A value may hold the closing tag: it is escaped, as JSON allows, so that it ends nothing.
        body = json.dumps(data, ensure_ascii=False).replace("notification>", "notification\\u003e")
        return (
            f"<notification>{body}</notification>\n"
            "Earlier-ranked work changed what you saw. Go on if it is irrelevant; else redo only what depends on it."
        )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def parse_notices(text: str) -> Iterator[dict[str, Any]]:
    """The notifications in a message, as the data that :meth:`Notice.text` wrote; what only looks like one is none."""
    for found in _FORM.finditer(text):
        with contextlib.suppress(ValueError):
            data = json.loads(found.group(1))
            if isinstance(data, dict) and isinstance(data.get("changed"), list):
                yield data
