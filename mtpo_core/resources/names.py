"""Names of objects in a file tree: canonical, relative, and unable to leave the tree.

Names that nest are plain strings: ``deploy/geo.yaml`` is a file, ``deploy/`` the listing of its directory, ``./`` the
listing of the root.
"""

from __future__ import annotations

from typing import Final

from mtpo_core.resources.base import ResourceError

ROOT: Final = "./"
"""The listing of the root."""

GIT: Final = "git:"
"""Prefix of the objects of a git repository that are not files; no file's name may start with it."""

TEMPORARY: Final = (".mtpo-", "~")
"""Prefix and suffix of the files that a write passes through before it is complete."""


def plain(component: str) -> bool:
    """Whether one component of a path may be part of an object's name.

    Control characters and bytes that are not UTF-8 may not (a listing is lines of text), nor ``.git`` in any case,
    nor the names of temporary files.
    """
    return (
        component not in ("", ".", "..")
        and component.casefold() != ".git"
        and not (component.startswith(TEMPORARY[0]) and component.endswith(TEMPORARY[1]))
        and not any(ord(c) < 32 or ord(c) == 127 or "\ud800" <= c <= "\udfff" for c in component)
    )


def file_name(path: str) -> str:
    """The name of the file at ``path``; :class:`ResourceError` when it is absolute, escapes or names a directory."""
    if path.startswith("/"):
        raise ResourceError(f"path {path!r} is absolute; give it relative to the root")
    if path.endswith("/") or path in ("", "."):
        raise ResourceError(f"path {path!r} names a directory; give a file's path")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ResourceError(f"path {path!r} has a '..'; give it relative to the root")
    name = "/".join(parts)
    if not parts or name.startswith(GIT) or not all(plain(part) for part in parts):
        raise ResourceError(f"path {path!r} is reserved or holds a character that names can't have")
    return name


def listing_name(path: str) -> str:
    """The name of the listing of the directory at ``path``, with or without a final slash; ``.`` is the root."""
    stripped = path.rstrip("/")
    if path and not stripped:
        raise ResourceError(f"path {path!r} is absolute; give it relative to the root")
    return ROOT if stripped in ("", ".") else file_name(stripped) + "/"


def is_listing(object: str) -> bool:
    """Whether ``object`` is a listing."""
    return object.endswith("/")


def parent(object: str) -> str:
    """The listing that names ``object``, a file or a listing other than the root."""
    return object.rstrip("/").rpartition("/")[0] + "/" if "/" in object.rstrip("/") else ROOT


def last(object: str) -> str:
    """How :func:`parent` names ``object``: its last component, with the final slash of a directory."""
    return object.rstrip("/").rpartition("/")[2] + ("/" if is_listing(object) else "")


def child(listing: str, name: str) -> str:
    """The object that ``name`` in ``listing`` stands for."""
    return name if listing == ROOT else listing + name
