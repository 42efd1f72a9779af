"""The live state as a run knows it: what tools change is accounted for, and what nobody accounts for is noticed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from mtpo_core.errors import RunHalted
from mtpo_core.foreign import ForeignThread, one_line
from mtpo_core.journal import Journal
from mtpo_core.machine import Machine
from mtpo_core.resources.base import Fingerprint, Resource, ResourceError, ResourceGone
from mtpo_core.tools import ToolError

T = TypeVar("T")


class Watch:
    """Looks at a resource for a session. ``seen`` is the state as it was last accounted for.

    What no tool changed is never overwritten: it is logged, ``external``, and calls that would touch it are refused.
    Without coordination it is only let pass.
    """

    def __init__(
        self, resource: Resource, journal: Journal, machine: Machine, thread: ForeignThread, coordinated: bool
    ) -> None:
        self.resource, self.journal, self.machine, self.thread = resource, journal, machine, thread
        self.coordinated = coordinated
        self.seen: Fingerprint = resource.fingerprint()
        self.strange: dict[str, str] = {}
        """Objects that changed though no tool ran, and the digests of what was found there."""

    async def values(self, objects: Iterable[str]) -> dict[str, str]:
        """The digests of live values, which the log keeps. Raises :class:`ToolError` for what can't be read."""
        wanted = sorted(objects)
        found = await self._ask(_read_all, self.resource, wanted) if wanted else {}
        return {o: self.journal.put(value) for o, value in found.items()}

    async def refusal(self, objects: Iterable[str]) -> str:
        """Why one of ``objects`` can't be there, as the resource says it (its name is that of a link); empty else."""
        try:
            await self._ask(_read_all, self.resource, sorted(objects))
        except ToolError as error:
            return one_line(error)
        return ""

    async def final(self) -> dict[str, str]:
        """The digest of every object that is there, and of every known one that is gone. Raises as
        :meth:`fingerprint`."""
        found = await self.values(await self._ask(lambda: frozenset(self.resource.objects())))
        gone = self.known - found.keys()
        return found | dict.fromkeys(sorted(gone), self.machine.absent)

    async def remains(self) -> dict[str, str]:
        """As :meth:`final`, of a state that can't be seen as a whole: what can't be read is left out."""
        found: dict[str, str] = {}
        for o in sorted(self.known):
            with contextlib.suppress(ToolError):
                try:
                    found |= await self.values([o])
                except RunHalted:
                    found[o] = self.machine.absent
        return found

    @property
    def known(self) -> set[str]:
        """Every object that the run has come across."""
        return self.machine.objects | self.strange.keys()

    async def fingerprint(self) -> Fingerprint:
        """The state now. Raises :class:`ToolError` when it can't be seen; what is gone halts the run."""
        now = await self._ask(self.resource.fingerprint)
        if not isinstance(now, Fingerprint):
            raise ResourceError(f"fingerprint returned {type(now).__name__}, not a Fingerprint")
        return now

    async def look(self) -> None:
        """Notice what changed since the last look though no tool ran; it is logged once. Raises as
        :meth:`fingerprint`, and has then noticed nothing."""
        now = await self.fingerprint()
        changed = now.differing(self.seen)
        if changed and self.coordinated:
            found = await self.values(changed)
            for o, digest in found.items():
                body = {"object": o, "expected": self.machine.materialized(o), "found": digest}
                self.journal.append("external", body=body)
            self.strange |= found
        self.seen = now

    async def disturbed(self, objects: frozenset[str]) -> list[str]:
        """Those of ``objects`` that somebody changed without a tool; asked right before every single effect."""
        await self.look()
        return sorted(self.strange.keys() & objects)

    def expected(self, object: str) -> str:
        """The digest of what an object must hold: what the last live write left, or what somebody put there."""
        return self.strange.get(object) or self.machine.materialized(object)

    async def _ask(self, work: Callable[..., T], *args: Any) -> T:
        try:
            return await self.thread.run(work, *args)
        except ResourceGone as error:
            raise self.journal.halt("core.state-seen", one_line(error)) from None


def _read_all(resource: Resource, objects: Iterable[str]) -> dict[str, bytes | None]:
    found = {}
    for o in objects:
        found[o] = resource.read(o)
        if found[o] is not None and not isinstance(found[o], bytes):
            raise ResourceError(f"read of {o!r} returned {type(found[o]).__name__}, not bytes or None")
    return found
