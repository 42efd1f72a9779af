"""Explorations that survive their process: what was found so far, in a folder.

A folder holds ``manifest.json`` and segments, files with the states and parents that were found between one saving and
the next. All are written beside their place and then renamed, the manifest last, so that whenever the process dies the
folder holds a whole checkpoint. The manifest says which spec, instance and layout of states it is for, and has the
SHA-256 of each segment and of itself: what does not fit, or was damaged, is refused. States are whole and packed alike
by every engine, so one engine goes on from where another was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from mtpo.proofs.digests import instance_digest, layout_digest, spec_digest
from mtpo.proofs.packing import Cells, Packing, Words
from mtpo.spec.concrete import Instance

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
EVERY: Final = 10.0
"""Seconds between two savings, at least."""


class CheckpointError(ValueError):
    """A folder that holds no checkpoint, or one of something else, or a damaged one; the message says what to do."""


@attrs.frozen
class Standing:
    """How far a search is: see :class:`mtpo.proofs.search.Search` and :class:`mtpo.proofs.batches.Batches`."""

    initial: int
    count: int
    done: int
    looked: int
    transitions: int
    levels: tuple[int, ...]
    taken: tuple[int, ...]
    reached: tuple[str, ...]


@attrs.frozen(eq=False)
class Loaded:
    """A checkpoint that was read: states (count, words), their parents."""

    standing: Standing
    states: Words
    parents: npt.NDArray[np.uint32]
    bits: int
    signed: bool


@attrs.define(eq=False)
class Checkpoint:
    """A folder for one exploration; ``resume`` says whether to go on from what it holds.

    ``every`` seconds it is saved, at the end of a level; ``spent`` are the seconds that earlier processes took.
    """

    folder: Path
    resume: bool = False
    every: float = EVERY
    spent: float = 0.0
    _identity: dict[str, Any] = attrs.field(factory=dict, init=False)
    _segments: list[dict[str, Any]] = attrs.field(factory=list, init=False)
    _began: float = attrs.field(factory=time.monotonic, init=False)
    _last: float = attrs.field(factory=time.monotonic, init=False)

    @property
    def saved(self) -> int:
        """States that are in the folder."""
        return sum(int(s["states"]) for s in self._segments)

    def begin(self, instance: Instance, roots: Cells, symmetry: bool, engine: str) -> Loaded | None:
        """What to go on from. Raises :class:`CheckpointError`; nothing in the folder is lost then."""
        self._identity = {
            "spec": instance.spec.name,
            "spec_digest": spec_digest(instance.spec),
            "sizes": {sort.__name__: n for sort, n in instance.sizes.items()},
            "instance_digest": instance_digest(instance, roots),
            "symmetry": symmetry,
        }
        there = (self.folder / MANIFEST).exists()
        if there and not self.resume:
            raise CheckpointError(
                f"{self.folder}: holds a checkpoint; go on from it with --resume, or name another folder"
            )
        if self.resume and not there:
            raise CheckpointError(f"{self.folder}: holds no checkpoint to resume; leave out --resume to begin")
        self._identity["engine"] = engine
        if not there:
            self.folder.mkdir(parents=True, exist_ok=True)
            return None
        return self._load(instance)

    def restart(self, packing: Packing) -> None:
        """The search begins anew, with states packed so; what the folder holds stays until the next saving."""
        self._segments = []
        self._identity |= {"bits": packing.int_bits, "signed": packing.held[0] < 0, "layout": layout_digest(packing)}

    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._last >= self.every

    def save(self, standing: Standing, states: Words, parents: npt.NDArray[np.uint32]) -> None:
        """Save how far the search is; ``states`` and ``parents`` are of those found since the last time."""
        if len(states):
            head = f"{self._identity['bits']}{'s' if self._identity['signed'] else ''}"
            name = f"states-{head}-{self.saved}-{self.saved + len(states)}.bin"
            data = states.astype("<u8").tobytes() + parents.astype("<u4").tobytes()
            _write(self.folder / name, data)
            digest = hashlib.sha256(data).hexdigest()
            self._segments.append({"file": name, "states": len(states), "sha256": digest})
        spent = self.spent + time.monotonic() - self._began
        body = {
            "format": FORMAT,
            **self._identity,
            **attrs.asdict(standing),
            "seconds": round(spent, 3),
            "segments": self._segments,
        }
        _write(self.folder / MANIFEST, json.dumps({**body, "sha256": _of(body)}, indent=1).encode())
        kept = {s["file"] for s in self._segments}
        for file in (*self.folder.glob("states-*"), *self.folder.glob("*.new")):  # of a process that died, too
            if file.name not in kept:
                with contextlib.suppress(OSError):
                    file.unlink()
        self._last = time.monotonic()

    def _load(self, instance: Instance) -> Loaded:
        path = self.folder / MANIFEST
        anew = "remove the folder, or name another one, and begin anew"
        try:
            body = json.loads(path.read_bytes())
            stated = body.pop("sha256")
        except (ValueError, AttributeError, KeyError, TypeError):
            raise CheckpointError(f"{path}: is damaged; {anew}") from None
        if not isinstance(body, dict) or stated != _of(body):
            raise CheckpointError(f"{path}: is damaged, its checksum is another; {anew}")
        if body["format"] != FORMAT:
            raise CheckpointError(f"{path}: format {body['format']}, this version reads {FORMAT}; {anew}")
        what = {
            "spec": f"it is of {body['spec']}, not of {instance.spec.name}",
            "spec_digest": f"{instance.spec.name} has changed since",
            "sizes": f"it is of other sizes, {_sizes(body['sizes'])}",
            "instance_digest": "it is of other constants or initial states",
            "symmetry": f"it was begun {'with' if body['symmetry'] else 'without'} --symmetry",
        }
        for key, text in what.items():
            if body[key] != self._identity[key]:
                raise CheckpointError(f"{self.folder}: can't go on from this checkpoint: {text}; {anew}")
        packing = Packing(instance, body["bits"], body["signed"])
        if body["layout"] != layout_digest(packing):
            raise CheckpointError(f"{self.folder}: its states are packed otherwise than by this version; {anew}")
        states, parents = [np.zeros((0, packing.words), dtype=np.uint64)], [np.zeros(0, dtype=np.uint32)]
        for segment in body["segments"]:
            file, count = self.folder / segment["file"], segment["states"]
            try:
                data = file.read_bytes()
            except OSError as error:
                raise CheckpointError(f"{file}: {error.strerror}; {anew}") from None
            if hashlib.sha256(data).hexdigest() != segment["sha256"]:
                raise CheckpointError(f"{file}: is damaged, its checksum is another; {anew}")
            cut = 8 * packing.words * count
            states.append(np.frombuffer(data[:cut], dtype="<u8").reshape(count, packing.words).astype(np.uint64))
            parents.append(np.frombuffer(data[cut:], dtype="<u4").astype(np.uint32))
        self.restart(packing)
        self._segments = body["segments"]
        self.spent = body["seconds"]
        fields: dict[str, Any] = {a.name: body[a.name] for a in attrs.fields(Standing)}
        fields = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
        standing = Standing(**fields)
        return Loaded(standing, np.concatenate(states), np.concatenate(parents), body["bits"], body["signed"])


def _sizes(sizes: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sizes.items())


def _of(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Write a file at once or not at all, so that it outlives the machine too."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
