"""What a resource is: live state under named objects, with what undo and audit need.

An object's name is a plain string; a value is bytes, or None when the object is absent. A file is ``deploy/geo.yaml``
(POSIX, relative), a listing ``deploy/`` (its sorted names, one per line; the root is ``./``), a ref
``git:refs/heads/main`` (its commit id).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import attrs

from mtpo_core.tools import ToolError


class ResourceError(ToolError):
    """A resource refused a name or an operation: one line that names the path or the object."""


class ResourceGone(ResourceError):
    """What the resource lives in is not there any more (its folder, its repository): no run on it can go on."""


@attrs.frozen
class Fingerprint:
    """The state of a resource at one moment: a token per present object, equal when the object's value is equal."""

    tokens: Mapping[str, str]

    def differing(self, other: Fingerprint) -> frozenset[str]:
        """The objects that are present in one only, or have another value."""
        names = self.tokens.keys() | other.tokens.keys()
        return frozenset(name for name in names if self.tokens.get(name) != other.tokens.get(name))


class Resource(Protocol):
    """Live state that tools act on; ``docs/embedding.md`` builds one. Every method may raise :class:`ResourceError`.

    The methods are called one at a time, from several threads, and only :class:`Session` and tools call them.
    """

    def read(self, object: str) -> bytes | None:
        """The live value, None when absent."""

    def restore(self, object: str, value: bytes | None) -> None:
        """Give ``object`` an old value back, creating or deleting it. Skips a listing: it follows its files."""

    def objects(self) -> frozenset[str]:
        """Every present object."""

    def capture(self, objects: Iterable[str]) -> bytes:
        """What :meth:`reinstate` needs to put ``objects`` back as they are now, absent ones included."""

    def reinstate(self, undo: bytes) -> None:
        """Put back what :meth:`capture` saw. Doing it twice is doing it once."""

    def fingerprint(self) -> Fingerprint:
        """A snapshot to compare with later. Cheap: a file is read again only when its stat signature changed."""

    def repair(self, objects: Iterable[str], values: Mapping[str, bytes | None]) -> frozenset[str]:
        """Put undeclared changes back: each of ``objects`` gets its value in ``values``. Listings follow.

        Returns the objects that could not be put back because ``values`` does not know them.
        """
