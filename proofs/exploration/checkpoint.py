"""Explorations that survive their process: what was found so far, in a folder.

A folder holds ``manifest.json`` and segments, files with the states and parents that were found between one saving and
the next. All are written beside their place and then renamed, the manifest last, so that whenever the process dies the
folder holds a whole checkpoint. The manifest says which spec, instance and layout of states it is for, and has the
SHA-256 of each segment and of itself: what does not fit, or was damaged, is refused. States are whole and packed alike
by every engine, so one engine goes on from where another was. A saving that fails, on a full disk for one, ends no
exploration: it is tried again when the next is due, and whoever explores is told in the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from mtpo.proofs.digests import instance_digest, layout_digest, spec_digest
from mtpo.proofs.exploration.packing import Cells, Packing, Words
from mtpo.spec.concrete import Instance

FORMAT: Final = 2
MANIFEST: Final = "manifest.json"
EVERY: Final = 10.0
"""Seconds between two savings, at least."""

ANEW: Final = "remove the folder, or name another one, and begin anew"


class CheckpointError(ValueError):
    """A folder that holds no checkpoint, or one of something else, or a damaged one; the message says what to do."""


@attrs.frozen
class Standing:
    """How far a search is: see :class:`mtpo.proofs.exploration.search.Search` and
    :class:`mtpo.proofs.columns.batches.Batches`."""

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
class Saved:
    """A folder for one exploration; ``resume`` says whether to go on from what it holds.

    ``every`` seconds it is saved; ``spent`` are the seconds that earlier processes took; ``failed`` is why the last
    saving did. ``options`` are those of the command line that say what is explored: they are saved, and where one is
    another when it is resumed, that is told.
    """

    folder: Path
    resume: bool = False
    every: float = EVERY
    spent: float = 0.0
    options: dict[str, Any] = attrs.field(factory=dict, kw_only=True)
    failed: str = attrs.field(default="", init=False)
    _identity: dict[str, Any] = attrs.field(factory=dict, init=False)
    _began: float = attrs.field(factory=time.monotonic, init=False)
    _last: float = attrs.field(factory=time.monotonic, init=False)

    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._last >= self.every

    def _open(self, file: str, what: str, instance: Instance, roots: Cells, symmetry: bool) -> dict[str, Any] | None:
        """What the folder holds to go on from, if it does; ``what`` it is for people. Nothing in it is changed but what
        a process that died has left behind. Raises :class:`CheckpointError`."""
        self._identity = {
            "spec": instance.spec.name,
            "sizes": {sort.__name__: n for sort, n in instance.sizes.items()},
            "spec_digest": spec_digest(instance.spec),
            "instance_digest": instance_digest(instance, roots),
            "symmetry": symmetry,
            "options": self.options,
        }
        path = self.folder / file
        if path.exists() and not self.resume:
            raise CheckpointError(
                f"{self.folder}: holds a checkpoint; go on from it with --resume, or name another folder"
            )
        if self.resume and not path.exists():
            raise CheckpointError(f"{self.folder}: holds no {what} to resume; leave out --resume to begin")
        body = _read(path) if self.resume else None
        if body is not None:
            self._compare(body)
            self.spent = body["seconds"]
        self.folder.mkdir(parents=True, exist_ok=True)
        _remove(self.folder.glob(f"{file}.*.new"))
        return body

    def _compare(self, body: dict[str, Any]) -> None:
        """Refuse a checkpoint of something else."""
        sizes = ", ".join(f"{n} {name}" for name, n in body["sizes"].items())
        begun = [(option, body["options"].get(option, now), now) for option, now in self.options.items()]
        said = [_begun_with(option, then) for option, then, now in begun if then != now]
        what = {
            "spec": f"it is of {body['spec']}, not of {self._identity['spec']}",
            **({"options": f"it was begun {' and '.join(said)}"} if said else {}),
            "sizes": f"it is of other sizes, {sizes}",
            "spec_digest": f"{body['spec']} has changed since",
            "instance_digest": "it is of other constants or initial states",
            "symmetry": f"it was begun {_begun_with('--symmetry', body['symmetry'])}",
        }
        for key, text in what.items():
            if body[key] != self._identity[key]:
                raise CheckpointError(f"{self.folder}: can't go on from this checkpoint: {text}; {ANEW}")

    def _store(self, file: str, body: dict[str, Any]) -> bool:
        """Write a file with its checksum; return whether that could be done."""
        spent = round(self.spent + time.monotonic() - self._began, 3)
        body = {"format": FORMAT, **self._identity, "seconds": spent, **body}
        return self._write(self.folder / file, json.dumps({**body, "sha256": _of(body)}, indent=1).encode())

    def _write(self, path: Path, data: bytes) -> bool:
        """Write a file at once or not at all, so that it outlives the machine too; return whether that could be
        done."""
        self._last, self.failed = time.monotonic(), ""
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            try:
                with fresh.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(path)
            finally:
                _remove([fresh])
            if hasattr(os, "O_DIRECTORY"):
                folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError as error:
            self.failed = f"{path}: {error.strerror or error}"
        return not self.failed


@attrs.define(eq=False)
class Checkpoint(Saved):
    """A folder for one exploration in one piece, saved at the end of a level."""

    _segments: list[dict[str, Any]] = attrs.field(factory=list, init=False)

    @property
    def saved(self) -> int:
        """States that are in the folder."""
        return sum(int(s["states"]) for s in self._segments)

    def begin(self, instance: Instance, roots: Cells, symmetry: bool, engine: str) -> Loaded | None:
        """What to go on from. Raises :class:`CheckpointError`; nothing in the folder is lost then."""
        body = self._open(MANIFEST, "checkpoint", instance, roots, symmetry)
        self._identity["engine"] = engine
        return None if body is None else self._load(body, instance)

    def restart(self, packing: Packing) -> None:
        """The search begins anew, with states packed so; what the folder holds stays until the next saving."""
        self._segments = []
        self._identity |= {"bits": packing.int_bits, "signed": packing.held[0] < 0, "layout": layout_digest(packing)}

    def save(self, standing: Standing, states: Words, parents: npt.NDArray[np.uint32]) -> None:
        """Save how far the search is; ``states`` and ``parents`` are of those found since it was last saved."""
        segments = list(self._segments)
        if len(states):
            head = f"{self._identity['bits']}{'s' if self._identity['signed'] else ''}"
            name = f"states-{head}-{self.saved}-{self.saved + len(states)}.bin"
            data = states.astype("<u8").tobytes() + parents.astype("<u4").tobytes()
            if not self._write(self.folder / name, data):
                return
            segments.append({"file": name, "states": len(states), "sha256": hashlib.sha256(data).hexdigest()})
        if not self._store(MANIFEST, {**attrs.asdict(standing), "segments": segments}):
            return
        self._segments = segments
        kept = {s["file"] for s in segments}
        _remove(file for file in self.folder.glob("states-*") if file.name not in kept)  # of a process that died, too

    def _load(self, body: dict[str, Any], instance: Instance) -> Loaded:
        packing = Packing(instance, body["bits"], body["signed"])
        if body["layout"] != layout_digest(packing):
            raise CheckpointError(f"{self.folder}: its states are packed otherwise than by this version; {ANEW}")
        states, parents = [np.zeros((0, packing.words), dtype=np.uint64)], [np.zeros(0, dtype=np.uint32)]
        for segment in body["segments"]:
            file, count = self.folder / segment["file"], segment["states"]
            try:
                data = file.read_bytes()
            except OSError as error:
                raise CheckpointError(f"{file}: {error.strerror}; {ANEW}") from None
            if hashlib.sha256(data).hexdigest() != segment["sha256"]:
                raise CheckpointError(f"{file}: is damaged, its checksum is another; {ANEW}")
            cut = 8 * packing.words * count
            states.append(np.frombuffer(data[:cut], dtype="<u8").reshape(count, packing.words).astype(np.uint64))
            parents.append(np.frombuffer(data[cut:], dtype="<u4").astype(np.uint32))
        self.restart(packing)
        self._segments = body["segments"]
        fields: dict[str, Any] = {a.name: body[a.name] for a in attrs.fields(Standing)}
        fields = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
        standing = Standing(**fields)
        return Loaded(standing, np.concatenate(states), np.concatenate(parents), body["bits"], body["signed"])


def _read(path: Path) -> dict[str, Any]:
    """What a file says, which has its own checksum. Raises :class:`CheckpointError`."""
    try:
        body = json.loads(path.read_bytes())
        stated = body.pop("sha256")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise CheckpointError(f"{path}: is damaged; {ANEW}") from None
    if not isinstance(body, dict) or stated != _of(body):
        raise CheckpointError(f"{path}: is damaged, its checksum is another; {ANEW}")
    if body.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format {body.get('format')}, this version reads {FORMAT}; {ANEW}")
    return body


def _begun_with(option: str, value: Any) -> str:
    """An option as it was given."""
    return f"{'with' if value else 'without'} {option}" if isinstance(value, bool) else f"with {option} {value}"


def _of(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink()
