"""A git repository as a resource: its work tree, its branches and tags, HEAD, and branches of bare remotes.

Objects besides the files of the work tree (see :mod:`mtpo_core.resources.filesystem`):

- ``git:HEAD``: ``ref: refs/heads/main`` on a branch, a commit id when detached;
- ``git:refs/heads/main``, ``git:refs/tags/v1``: the id the ref points to;
- ``git:remote/origin/main``: the commit id of a branch of a bare repository in a folder, given as ``remotes``; it can
  be pushed to and not restored.

Commits, trees and blobs are named by their content and never change, so they are no objects. The index is none either:
it is the user's scratch space, kept in step for the paths of each commit. Git runs without the user's and the system's
configuration, hooks, signing, replacement objects and inherited ``GIT_`` variables.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import attrs

from mtpo_core.interrupts import run_apart
from mtpo_core.resources.base import Fingerprint, ResourceError, ResourceGone
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.names import GIT

HEAD: Final = "git:HEAD"

_REF: Final = re.compile(r"refs/(?:heads|tags)(?:/[^\x00-\x20\x7f~^:?*\[\\/]+)+")
_REMOTE: Final = re.compile(r"git:remote/([^/]+)/(.+)")


@attrs.frozen
class Identity:
    """Author and committer of every commit. The time is fixed (seconds since 1970, UTC), so that runs repeat."""

    name: str = "mtpo"
    email: str = "mtpo@localhost"
    time: int = 946_684_800


class Git:
    """Git in one repository, in an environment of its own."""

    def __init__(self, root: Path, identity: Identity) -> None:
        self.root = root
        nothing = os.devnull
        settings = {
            "core.hooksPath": nothing,
            "core.excludesFile": nothing,
            "core.attributesFile": nothing,
            "core.fsmonitor": "false",
            "core.quotePath": "false",
            "gc.auto": "0",
            "log.showSignature": "false",
            "push.followTags": "false",
            "push.gpgSign": "false",
            "push.recurseSubmodules": "no",
            "safe.directory": str(root),
            "i18n.commitEncoding": "UTF-8",
            "i18n.logOutputEncoding": "UTF-8",
        }
        self._command = ["git", *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))]
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {
            "GIT_CONFIG_GLOBAL": nothing,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
            **{
                f"GIT_{role}_{field}": value
                for role in ("AUTHOR", "COMMITTER")
                for field, value in (
                    ("NAME", identity.name),
                    ("EMAIL", identity.email),
                    ("DATE", f"{identity.time} +0000"),
                )
            },
        }

    def run(self, *args: str, input: bytes = b"", index: Path | None = None, ok: Iterable[int] = (0,)) -> bytes:
        """The output of a git command; raises :class:`ResourceError` with git's own reason when it fails."""
        environment = {**self._environment, "GIT_LITERAL_PATHSPECS": "0" if args[0] == "check-ignore" else "1"}
        if index is not None:
            environment["GIT_INDEX_FILE"] = str(index)
        try:
            done = run_apart([*self._command, *args], cwd=self.root, env=environment, input=input)
        except (FileNotFoundError, NotADirectoryError):
            if not self.root.is_dir():
                raise ResourceGone(f"{self.root}: the directory is gone") from None
            raise ResourceError("git is not installed; install it (git 2.31 or newer)") from None
        if done.returncode not in ok:
            reasons = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
            telling = [line for line in reasons if line.startswith(("fatal:", "error:", " !"))] or reasons
            raise ResourceError(f"git {args[0]}: {telling[0].strip() if telling else f'exit {done.returncode}'}")
        return done.stdout

    def text(self, *args: str, index: Path | None = None) -> str:
        """The output of a git command as text without the final line end."""
        return self.run(*args, index=index).decode(errors="replace").removesuffix("\n")


class GitRepository(FileSystem):
    """The work tree at ``root``, which must be the top of a repository that is not bare, and its refs."""

    def __init__(
        self,
        root: str | Path,
        remotes: Mapping[str, str | Path] | None = None,
        *,
        identity: Identity | None = None,
        ignore: Iterable[str] = (),
    ) -> None:
        super().__init__(root, ignore)
        self.git = Git(self.root, identity or Identity())
        try:
            top, self._git_dir, self._common_dir = (
                Path(self.git.text("rev-parse", "--path-format=absolute", option)).resolve()
                for option in ("--show-toplevel", "--absolute-git-dir", "--git-common-dir")
            )
        except ResourceError as error:
            raise ResourceError(f"{root}: not the work tree of a git repository ({error})") from None
        if top != self.root:
            raise ResourceError(f"{root}: inside the repository {top.name!r} but not its top; give the top")
        storage = self.git.run("config", "--get", "extensions.refStorage", ok=(0, 1)).decode().strip()
        if storage not in ("", "files"):
            raise ResourceError(f"{root}: refs are stored as {storage!r}; only files are supported")
        self._zero = "0" * (64 if self.git.text("rev-parse", "--show-object-format") == "sha256" else 40)
        self.remotes = {name: Path(path).resolve() for name, path in (remotes or {}).items()}
        for name, path in self.remotes.items():
            if "/" in name or not (path / "HEAD").is_file() or not (path / "objects").is_dir():
                raise ResourceError(f"remote {name!r}: {path.name!r} is not a bare repository in a folder")

    @property
    def places(self) -> tuple[Path, ...]:
        """The work tree, and the repository where that lies elsewhere: linked work trees share branches."""
        inside = self._common_dir.is_relative_to(self.root)
        return super().places if inside else (*super().places, self._common_dir)

    # Resource: what is a ref is dealt with here, the rest by the file tree.

    def read(self, object: str) -> bytes | None:
        if not object.startswith(GIT):
            return super().read(object)
        if object == HEAD:
            return self._head().encode()
        folder, ref = self._place(object)
        value = _loose(folder / ref) or _packed(folder).get(ref)
        return None if value is None else value.encode()

    def restore(self, object: str, value: bytes | None) -> None:
        if not object.startswith(GIT):
            super().restore(object, value)
        elif self.read(object) != value:
            self._restore_ref(object, value)

    def objects(self) -> frozenset[str]:
        return super().objects() | self._refs().keys()

    def capture(self, objects: Iterable[str]) -> bytes:
        objects = frozenset(objects)
        refs = {o: None if (v := self.read(o)) is None else v.decode() for o in objects if o.startswith(GIT)}
        files = super().capture(o for o in objects if not o.startswith(GIT))
        return json.dumps({"files": files.decode(), "refs": refs}, sort_keys=True, ensure_ascii=False).encode()

    def reinstate(self, undo: bytes) -> None:
        try:
            kept = json.loads(undo)
            files, refs = (
                kept["files"].encode(),
                {str(o): v if v is None else v.encode() for o, v in kept["refs"].items()},
            )
        except (ValueError, AttributeError, TypeError, KeyError):
            raise ResourceError(f"undo data of {len(undo)} bytes is not what this repository captured") from None
        super().reinstate(files)
        for object, value in refs.items():
            self.restore(object, value)

    def fingerprint(self) -> Fingerprint:
        return Fingerprint({**super().fingerprint().tokens, **self._refs()})

    # Refs.

    def move_ref(self, object: str, new: str | None, old: str | None) -> None:
        """Point a ref from ``old`` to ``new`` (None: it does not exist); refused when it is not at ``old``."""
        _, ref = self._place(object)
        if new is None:
            if old is not None:
                self.git.run("update-ref", "-d", ref, old)
            return
        self.git.run("update-ref", "-m", "mtpo", ref, new, old or self._zero)

    def _restore_ref(self, object: str, value: bytes | None) -> None:
        if object == HEAD:
            found = re.fullmatch(rb"ref: (refs/heads/.+)", value or b"")
            if found is None:
                raise ResourceError(f"{HEAD} can only be put back on a branch")
            self.git.run("symbolic-ref", "HEAD", found[1].decode())
            return
        if _REMOTE.fullmatch(object):
            raise ResourceError(f"{object}: what was pushed can't be taken back")
        if value is not None and not re.fullmatch(rb"[0-9a-f]{40,64}", value):
            raise ResourceError(f"{object}: {value[:40]!r} is no object id")
        live = self.read(object)
        self.move_ref(object, *(None if each is None else each.decode() for each in (value, live)))

    def _place(self, object: str) -> tuple[Path, str]:
        """The git directory that holds a ref, and the ref's full name."""
        remote = _REMOTE.fullmatch(object)
        if remote and remote[1] not in self.remotes:
            known = ", ".join(self.remotes) or "none"
            raise ResourceError(f"{object!r}: unknown remote {remote[1]!r}; known: {known}")
        ref = f"refs/heads/{remote[2]}" if remote else object.removeprefix(GIT)
        odd = any(part.startswith(".") or part.endswith(".lock") or ".." in part for part in ref.split("/"))
        if odd or "@{" in ref or not _REF.fullmatch(ref):
            raise ResourceError(f"{object!r} is no branch or tag, such as git:refs/heads/main")
        return (self.remotes[remote[1]] if remote else self._common_dir), ref

    def _head(self) -> str:
        found = _loose(self._git_dir / "HEAD")
        if found is None:
            raise ResourceGone(f"{self.root}: the repository is gone: {self._git_dir.name} has no HEAD")
        return found

    def _refs(self) -> dict[str, str]:
        """Every ref that is an object, with what it points to; read from files, which is faster than asking git."""
        found = {HEAD: self._head()}
        for ref, value in _all_refs(self._common_dir, ("heads", "tags")).items():
            found[f"{GIT}{ref}"] = value
        for name, folder in self.remotes.items():
            for ref, value in _all_refs(folder, ("heads",)).items():
                found[f"{GIT}remote/{name}/{ref.removeprefix('refs/heads/')}"] = value
        return found

    # Trees and the index.

    def tracked(self, tree: str | None, folder: str = "") -> dict[str, str]:
        """The regular files below ``folder`` in a commit's tree, each with its mode (``100644``, ``100755``)."""
        if tree is None:
            return {}
        listed = self.git.run("ls-tree", "-r", "-z", "--full-tree", tree, *(["--", folder] if folder else []))
        entries = (entry.split("\t", 1) for entry in os.fsdecode(listed).split("\0")[:-1])
        return {name: meta[:6] for meta, name in entries if meta.startswith("100")}

    def ignored(self, names: Iterable[str]) -> frozenset[str]:
        """Those files that the repository's own ``.gitignore`` rules exclude and that are not tracked."""
        asked = "".join(f"./{name}\0" for name in names).encode()  # it takes no literal names: ./ keeps magic off
        found = self.git.run("check-ignore", "-z", "--stdin", input=asked, ok=(0, 1)).decode()
        return frozenset(name.removeprefix("./") for name in found.split("\0")[:-1])

    def index_entries(self, paths: Iterable[str], index: Path | None = None) -> list[str]:
        """What an index (the user's by default) says about paths: lines that :meth:`set_index` takes."""
        listed = self.git.run("ls-files", "-s", "-z", "--", *paths, index=index)
        return os.fsdecode(listed).split("\0")[:-1]

    def beyond_tools(self, entries: Iterable[str], files: Iterable[str]) -> list[str]:
        """Those index entries that no tool can change (links, submodules, odd names) and ``files`` do not replace."""
        occupied: set[str] = set()
        for file in files:
            while file not in occupied:
                occupied.add(file)
                file = file.rpartition("/")[0] or file
        kept = []
        for entry in entries:
            name = entry.split("\t", 1)[1]
            ours = entry.startswith("100") and all(self._admits(part) for part in name.split("/"))
            if not ours and name not in occupied:
                kept.append(entry)
        return kept

    def set_index(self, paths: Iterable[str], entries: Iterable[str], index: Path | None = None) -> None:
        """Replace what an index (the user's by default) says about paths by ``entries``."""
        paths = list(paths)
        present = os.fsdecode(self.git.run("ls-files", "-z", "--", *paths, index=index)).split("\0")[:-1]
        lines = [f"0 {self._zero}\t{name}" for name in present] + list(entries)
        self.git.run(
            "update-index", "-z", "--index-info", input=os.fsencode("".join(f"{e}\0" for e in lines)), index=index
        )


def branch_of(head: bytes | None) -> str | None:
    """The object of the branch that a value of ``git:HEAD`` is on; None when detached."""
    text = (head or b"").decode(errors="replace")
    return GIT + text.removeprefix("ref: ") if text.startswith("ref: refs/heads/") else None


def _loose(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(f"ref {path.name!r}: {error}") from None


def _packed(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / "packed-refs").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(f"packed refs of {folder.name!r}: {error}") from None
    pairs = (line.split(" ", 1) for line in lines if line[:1] not in ("#", "^", ""))
    return {ref: value for value, ref in pairs}


def _all_refs(folder: Path, kinds: Iterable[str]) -> dict[str, str]:
    found = {ref: value for ref, value in _packed(folder).items() if ref.startswith(tuple(f"refs/{k}/" for k in kinds))}
    for kind in kinds:
        for path in sorted((folder / "refs" / kind).rglob("*")):
            if path.suffix != ".lock" and (value := _loose(path)) is not None:
                found[path.relative_to(folder).as_posix()] = value
    return {ref: value for ref, value in found.items() if _REF.fullmatch(ref)}
