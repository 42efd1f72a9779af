"""The findings: what formalizing showed about the published protocols, by number, as FINDINGS.md tells it.

``catalogue`` says how the trace of each is made, ``traces`` makes it, ``page`` draws it.
"""

from __future__ import annotations

import functools
import importlib.resources
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

FINDINGS: Final = "FINDINGS.md"

_HEADING: Final = re.compile(r"## (?:(F\d+)\. )?(.+)")
_MEND: Final = re.compile(r"\*\*(?:No mend|Mend)\*\*")
_ID: Final = re.compile(r"`([a-z]+\.[a-z][a-z_.:=~/0-9-]*[a-z0-9=])`")


@attrs.frozen
class Finding:
    """One finding: ``id`` (F29), what it says in one line, and its text."""

    id: str
    title: str
    text: str

    @property
    def trace(self) -> str:
        """The text up to its mend."""
        return self._parts[0]

    @property
    def mend(self) -> str:
        """The text from its mend on."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        """The text, cut where it first speaks of a mend."""
        found = _MEND.search(self.text)
        at = found.start() if found else len(self.text)
        return self.text[:at].strip(), self.text[at:].strip()

    @property
    def named(self) -> tuple[str, ...]:
        """What it names in code as an id is spelt: properties, clauses, checks of a log; each once, in order."""
        return tuple(dict.fromkeys(_ID.findall(self.text)))

    def lines(self) -> list[str]:
        """The finding as text."""
        return [f"{self.id}   finding   proofs/{FINDINGS}", f"  {self.title}", "", *self.text.splitlines()]

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {"id": self.id, "kind": "finding", "title": self.title, "text": self.text}


@functools.cache
def findings() -> Mapping[str, Finding]:
    """Every finding by its id."""
    text = importlib.resources.files("mtpo.proofs").joinpath(FINDINGS).read_text(encoding="utf-8")
    found = {}
    for section in re.split(r"(?m)^(?=## )", text)[1:]:
        head, _, body = section.partition("\n")
        heading = _HEADING.fullmatch(head)
        if heading and heading[1]:
            found[heading[1]] = Finding(heading[1], heading[2], body.strip())
    return found
