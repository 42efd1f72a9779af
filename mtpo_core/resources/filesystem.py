"""A file tree as a resource: files and the listings of their directories.

What is an object: a regular file with a plain name, and every directory that has such a file somewhere below it. As in
git, a directory exists exactly as long as it has files: an empty one is no object, shows in no listing, and is removed
when its last file goes. Symbolic links, devices and ``.git`` are no objects: never listed, never followed, never
written. A write replaces the file as a whole (another file is renamed over it), so that no crash leaves half a value.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from mtpo_core.resources.base import Fingerprint, ResourceError, ResourceGone
from mtpo_core.resources.names import ROOT, TEMPORARY, child, file_name, is_listing, last, listing_name, parent, plain
from mtpo_core.tools import listing_value

SETTLED_NS = 100_000_000
"""A file changed less than this long ago (ns) may change again under the same time stamp: its content is read again."""

_Signature = tuple[int, int, int, int]


@attrs.define
class _Seen:
    signature: _Signature
    token: str


class FileSystem:
    """The tree under ``root``; ``ignore`` are names of files and directories, at any depth, that are no objects."""

    def __init__(self, root: str | Path, ignore: Iterable[str] = ()) -> None:
        self.root = Path(root).resolve()
        if not self.root.is_dir():
            raise ResourceError(f"{root}: not a directory")
        self.ignore = frozenset(ignore)
        self._seen: dict[str, _Seen] = {}
        self._modes: dict[str, int] = {}
        self._sweep()

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders that hold the state: a run has them to itself (:mod:`mtpo_core.occupancy`)."""
        return (self.root,)

    # Reading.

    def read(self, object: str) -> bytes | None:
        """The bytes of a file or the text of a listing; None when there is no such object."""
        if is_listing(object):
            return self._listing(object)
        path = self._path(object)
        try:
            found = self._stat(object, path)
            return None if found is None else path.read_bytes()
        except OSError as error:
            raise _refused(object, error) from None

    def mode(self, object: str) -> int | None:
        """The permission bits of a file, None when it is absent."""
        found = self._stat(object, self._path(object))
        return None if found is None else stat.S_IMODE(found.st_mode)

    def objects(self) -> frozenset[str]:
        """Every file and listing; the root's listing is always there."""
        return frozenset(self._tokens(with_content=False))

    # Writing.

    def write(self, object: str, value: bytes, mode: int | None = None) -> None:
        """Give a file its value, creating it and its directories. An existing file keeps its mode if none is given."""
        path = self._path(object)
        found = self._stat(object, path)
        if mode is None and found is not None:
            mode = stat.S_IMODE(found.st_mode)
        try:
            self._make_room(object, path)
            temporary = path.parent / f"{TEMPORARY[0]}{secrets.token_hex(6)}{TEMPORARY[1]}"
            try:
                with temporary.open("xb") as file:
                    file.write(value)
                    if mode is not None:
                        os.fchmod(file.fileno(), mode)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                self._prune(parent(object))
                raise
        except OSError as error:
            raise _refused(object, error) from None

    def delete(self, object: str) -> None:
        """Remove a file and the directories that this leaves empty; nothing happens when it is absent."""
        path = self._path(object)
        found = self._stat(object, path)
        if found is None:
            return
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _refused(object, error) from None
        self._modes[object] = stat.S_IMODE(found.st_mode)
        self._prune(parent(object))

    def restore(self, object: str, value: bytes | None) -> None:
        """Put an old value back. A file that this tree deleted comes back with the mode it had."""
        if is_listing(object):
            return
        if value is None:
            self.delete(object)
        elif self.read(object) != value:
            self.write(object, value, None if self.mode(object) is not None else self._modes.get(object))

    # Undo.

    def capture(self, objects: Iterable[str]) -> bytes:
        """Values and modes of files, as canonical JSON; listings follow from them."""
        kept: dict[str, list[str | int] | None] = {}
        for object in objects:
            if not is_listing(object):
                value, mode = self.read(object), self.mode(object)
                absent = value is None or mode is None
                kept[object] = None if absent else [base64.b64encode(value or b"").decode(), mode or 0]
        return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def reinstate(self, undo: bytes) -> None:
        """Put back what :meth:`capture` saw: deletions first, so that a file may take the place of a directory."""
        try:
            kept: dict[str, list[str | int] | None] = json.loads(undo)
            values = {
                o: None if k is None else (base64.b64decode(str(k[0]), validate=True), int(k[1]))
                for o, k in kept.items()
            }
        except (ValueError, AttributeError, TypeError, IndexError):
            raise ResourceError(f"undo data of {len(undo)} bytes is not what this tree captured") from None
        for object, entry in values.items():
            if entry is None:
                self.delete(object)
        for object, entry in values.items():
            if entry is not None and (self.read(object), self.mode(object)) != entry:
                self.write(object, *entry)

    def repair(self, objects: Iterable[str], values: Mapping[str, bytes | None]) -> frozenset[str]:
        """Put undeclared changes back, deletions first; see :meth:`Resource.repair`."""
        wanted = {object for object in objects if not is_listing(object)}
        known = sorted(wanted & values.keys(), key=lambda object: (values[object] is not None, object))
        for object in known:
            self.restore(object, values[object])
        return frozenset(wanted - values.keys())

    # Audit.

    def fingerprint(self) -> Fingerprint:
        """A token for every object: the SHA-256 of its value."""
        return Fingerprint(self._tokens(with_content=True))

    def changed_since(self, fingerprint: Fingerprint) -> frozenset[str]:
        """Files and listings that differ. A mode alone is no change: it is not part of a value."""
        return self.fingerprint().differing(fingerprint)

    # Inside.

    def _admits(self, component: str) -> bool:
        return plain(component) and component not in self.ignore

    def _path(self, object: str) -> Path:
        """Where an object lies, after a check of its name and of every directory on the way."""
        name = listing_name(object) if is_listing(object) else file_name(object)
        if name != object:
            raise ResourceError(f"{object!r} is not a canonical name; it is {name!r}")
        path = self.root
        for part in name.removesuffix("/").split("/"):
            if part == ".":
                break
            if not self._admits(part):
                raise ResourceError(f"{object!r}: {part!r} is ignored here and is no object")
            path /= part
            if path.is_symlink():
                raise ResourceError(f"{object!r}: {part!r} is a symbolic link, and links are not followed")
        return path

    def _stat(self, object: str, path: Path) -> os.stat_result | None:
        """The status of a regular file; None when there is none (a directory of that name is another object)."""
        try:
            found = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _refused(object, error) from None
        if stat.S_ISREG(found.st_mode):
            return found
        if stat.S_ISDIR(found.st_mode):
            return None
        raise ResourceError(f"{object!r} is not a regular file")

    def _entries(self, path: Path) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(path) as entries:
                yield from (entry for entry in entries if self._admits(entry.name) and not entry.is_symlink())
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _refused(str(path.relative_to(self.root)), error) from None

    def _has_files(self, path: Path) -> bool:
        return any(
            entry.is_file(follow_symlinks=False)
            or (entry.is_dir(follow_symlinks=False) and self._has_files(Path(entry.path)))
            for entry in self._entries(path)
        )

    def _listing(self, object: str) -> bytes | None:
        names = []
        for entry in self._entries(self._path(object)):
            reserved = object == ROOT and entry.name.startswith("git:")
            if entry.is_file(follow_symlinks=False) and not reserved:
                names.append(entry.name)
            elif entry.is_dir(follow_symlinks=False) and not reserved and self._has_files(Path(entry.path)):
                names.append(f"{entry.name}/")
        return listing_value(names) if names or object == ROOT else None

    def _tokens(self, with_content: bool) -> dict[str, str]:
        if not self.root.is_dir():  # without this every file would seem to have been deleted
            raise ResourceGone(f"{self.root}: the directory is gone")
        tokens: dict[str, str] = {}
        listings: dict[str, set[str]] = {ROOT: set()}
        pending = [ROOT]
        while pending:
            listing = pending.pop()
            for entry in self._entries(self._path(listing)):
                name = child(listing, entry.name)
                if name.startswith("git:"):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
                elif entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):  # gone since the directory was read
                        tokens[name] = self._token(name, entry) if with_content else ""
                        listings.setdefault(listing, set()).add(entry.name)
        for listing in list(listings):
            while listing != ROOT:  # a directory is listed when it has files somewhere below
                listings.setdefault(parent(listing), set()).add(last(listing))
                listing = parent(listing)
        if with_content:
            self._seen = {name: seen for name, seen in self._seen.items() if name in tokens}
        for listing, names in listings.items():
            tokens[listing] = hashlib.sha256(listing_value(names)).hexdigest()
        return tokens

    def _token(self, name: str, entry: os.DirEntry[str]) -> str:
        found = entry.stat(follow_symlinks=False)
        signature = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
        seen = self._seen.get(name)
        if seen is not None and seen.signature == signature:
            return seen.token
        now = time.time_ns()
        try:
            token = hashlib.sha256(Path(entry.path).read_bytes()).hexdigest()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _refused(name, error) from None
        if now - found.st_ctime_ns > SETTLED_NS:
            self._seen[name] = _Seen(signature, token)
        else:
            self._seen.pop(name, None)
        return token

    def _make_room(self, object: str, path: Path) -> None:
        """Make the directories above, and remove a tree of empty directories at the file's own place."""
        place = self.root
        for part in object.split("/")[:-1]:
            place /= part
            if place.exists() and not place.is_dir():
                raise ResourceError(f"{object!r} can't be written: {place.relative_to(self.root)} is a file")
        if path.is_dir():
            if not self._has_files(path):
                for folder, _, _ in os.walk(path, topdown=False):
                    Path(folder).rmdir()
            else:
                raise ResourceError(f"{object!r} can't be written: it is a directory")
        path.parent.mkdir(parents=True, exist_ok=True)

    def _prune(self, listing: str) -> None:
        while listing != ROOT:
            try:
                (self.root / listing).rmdir()
            except OSError:
                return
            listing = parent(listing)

    def _sweep(self) -> None:
        """Remove what a write left that a crash cut short."""
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if self._admits(name)]
            for name in files:
                if name.startswith(TEMPORARY[0]) and name.endswith(TEMPORARY[1]):
                    (Path(folder) / name).unlink(missing_ok=True)


def _refused(object: str, error: OSError) -> ResourceError:
    return ResourceError(f"{object!r}: {error.strerror or error}")
