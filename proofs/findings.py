"""The findings: what formalizing showed about the published protocols, by number, as FINDINGS.md tells it."""

from __future__ import annotations

import functools
import importlib.resources
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

FINDINGS: Final = "FINDINGS.md"

_HEADING: Final = re.compile(r"## (?:(F\d+)\. )?(.+)")


@attrs.frozen
class Finding:
    """One finding: ``id`` (F29), what it says in one line, and its text."""

    id: str
    title: str
    text: str

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
