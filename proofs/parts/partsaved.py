"""Explorations in parts that survive their process: which parts are done, and what was found in them, in one file.

Nothing is kept of parts under way: they are begun anew. The file says which spec and instance it is for, has of each
part the SHA-256 of its first states, and that of itself: what does not fit, or was damaged, is refused.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import numpy as np

from mtpo.proofs.exploration.checkpoint import ANEW, CheckpointError, Saved
from mtpo.proofs.exploration.explore import Found
from mtpo.proofs.parts.partition import Part, Partition
from mtpo.spec.concrete import Instance

FILE: Final = "parts.json"


@attrs.define(eq=False)
class PartsSaved(Saved):
    """A folder for one exploration in parts, as :class:`mtpo.proofs.exploration.checkpoint.Checkpoint` is for one in
    one piece."""

    _parts: dict[int, dict[str, Any]] = attrs.field(factory=dict, init=False)
    _kept: int = attrs.field(default=0, init=False)
    """Parts that are in the file."""

    @property
    def saved(self) -> int:
        """States of the parts that are in the file."""
        return sum(int(p["found"]["states"]) for p in list(self._parts.values())[: self._kept])

    def begin(self, instance: Instance, symmetry: bool) -> None:
        """Read what to go on from. Raises :class:`CheckpointError`; nothing in the folder is lost then."""
        body = self._open(FILE, "checkpoint of parts", instance, np.zeros((0, 0)), symmetry)
        self._parts = {part["start"]: part for part in body["parts"]} if body is not None else {}
        self._kept = len(self._parts)

    def take(self, partition: Partition) -> tuple[Part, Found] | None:
        """The next part, if it is done, and what was found in it. Raises :class:`CheckpointError` if it is another."""
        held = self._parts.get(partition.taken)
        part = None if held is None else partition.take(held["stop"] - held["start"])
        if held is None:
            return None
        if part is None or part.digest() != held["digest"]:
            raise CheckpointError(
                f"{self.folder}: can't go on from this checkpoint: it is of other constants or initial states; {ANEW}"
            )
        found = {**held["found"], "reached": frozenset(held["found"]["reached"]), "violated": None}
        return part, Found(**found)

    def room(self, start: int, most: int) -> int:
        """How many groups a part from ``start`` on may have, at most so many, and none of a part that is done."""
        return min([most, *(other - start for other in self._parts if other > start)])

    def add(self, part: Part, found: Found) -> None:
        """A part is done; it is saved if it is time to."""
        body = attrs.asdict(attrs.evolve(found, reached=frozenset()), recurse=False) | {
            "reached": sorted(found.reached)
        }
        del body["violated"]
        self._parts[part.start] = {
            "start": part.start,
            "stop": part.stop,
            "digest": part.digest(),
            "found": body,
        }
        if self.due():
            self.save()

    def save(self) -> None:
        """Save the parts that are done, if there are more than the file has."""
        if len(self._parts) > self._kept and self._store(FILE, {"parts": [*self._parts.values()]}):
            self._kept = len(self._parts)
