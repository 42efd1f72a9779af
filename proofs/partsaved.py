"""Explorations in parts that survive their process: which parts are done, and what was found in them, in one file.

Nothing is kept of parts under way: they are begun anew. The file says which spec and instance it is for, has of each
part the SHA-256 of its first states, and that of itself: what does not fit, or was damaged, is refused.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np

from mtpo.proofs.checkpoint import EVERY, CheckpointError, _of, _write
from mtpo.proofs.digests import instance_digest, spec_digest
from mtpo.proofs.explore import Found
from mtpo.proofs.partition import Part, Partition
from mtpo.spec.concrete import Instance

FORMAT: Final = 1
FILE: Final = "parts.json"

_ANEW: Final = "remove the folder, or name another one, and begin anew"


@attrs.define(eq=False)
class PartsSaved:
    """A folder for one exploration in parts, as :class:`mtpo.proofs.checkpoint.Checkpoint` is for one in one piece."""

    folder: Path
    resume: bool = False
    every: float = EVERY
    spent: float = 0.0
    _identity: dict[str, Any] = attrs.field(factory=dict, init=False)
    _parts: dict[int, dict[str, Any]] = attrs.field(factory=dict, init=False)
    _began: float = attrs.field(factory=time.monotonic, init=False)
    _last: float = attrs.field(factory=time.monotonic, init=False)
    _kept: int = attrs.field(default=0, init=False)
    """Parts that are in the file."""

    @property
    def saved(self) -> int:
        """States of the parts that are in the file."""
        return sum(int(p["found"]["states"]) for p in list(self._parts.values())[: self._kept])

    def begin(self, instance: Instance, symmetry: bool) -> None:
        """Read what to go on from. Raises :class:`CheckpointError`; nothing in the folder is lost then."""
        self._identity = {
            "spec": instance.spec.name,
            "spec_digest": spec_digest(instance.spec),
            "sizes": {sort.__name__: n for sort, n in instance.sizes.items()},
            "instance_digest": instance_digest(instance, np.zeros((0, 0))),
            "symmetry": symmetry,
        }
        path = self.folder / FILE
        if path.exists() and not self.resume:
            raise CheckpointError(
                f"{self.folder}: holds a checkpoint; go on from it with --resume, or name another folder"
            )
        if self.resume and not path.exists():
            raise CheckpointError(f"{self.folder}: holds no checkpoint of parts to resume; leave out --resume to begin")
        if path.exists():
            self._read(path, instance)
        self.folder.mkdir(parents=True, exist_ok=True)

    def take(self, partition: Partition) -> tuple[Part, Found] | None:
        """The next part, if it is done, and what was found in it. Raises :class:`CheckpointError` if it is another."""
        held = self._parts.get(partition.taken)
        part = None if held is None else partition.take(held["stop"] - held["start"])
        if held is None:
            return None
        if part is None or part.digest() != held["digest"]:
            raise CheckpointError(
                f"{self.folder}: can't go on from this checkpoint: it is of other constants or initial states; {_ANEW}"
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
        if time.monotonic() - self._last >= self.every:
            self.save()

    def save(self) -> None:
        """Save the parts that are done, if there are more than the file has."""
        if len(self._parts) == self._kept:
            return
        spent = self.spent + time.monotonic() - self._began
        body = {"format": FORMAT, **self._identity, "seconds": round(spent, 3), "parts": [*self._parts.values()]}
        _write(self.folder / FILE, json.dumps({**body, "sha256": _of(body)}, indent=1).encode())
        self._last, self._kept = time.monotonic(), len(self._parts)

    def _read(self, path: Path, instance: Instance) -> None:
        try:
            body = json.loads(path.read_bytes())
            stated = body.pop("sha256")
        except (ValueError, AttributeError, KeyError, TypeError):
            raise CheckpointError(f"{path}: is damaged; {_ANEW}") from None
        if not isinstance(body, dict) or stated != _of(body):
            raise CheckpointError(f"{path}: is damaged, its checksum is another; {_ANEW}")
        if body["format"] != FORMAT:
            raise CheckpointError(f"{path}: format {body['format']}, this version reads {FORMAT}; {_ANEW}")
        what = {
            "spec": f"it is of {body['spec']}, not of {instance.spec.name}",
            "spec_digest": f"{instance.spec.name} has changed since",
            "sizes": f"it is of other sizes, {', '.join(f'{n} {name}' for name, n in body['sizes'].items())}",
            "instance_digest": "it is of other constants",
            "symmetry": f"it was begun {'with' if body['symmetry'] else 'without'} --symmetry",
        }
        for key, text in what.items():
            if body[key] != self._identity[key]:
                raise CheckpointError(f"{self.folder}: can't go on from this checkpoint: {text}; {_ANEW}")
        self._parts = {part["start"]: part for part in body["parts"]}
        self.spent, self._kept = body["seconds"], len(self._parts)
