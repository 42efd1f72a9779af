"""Performs the machine's effects on a resource, one after the other, each phase logged before it acts."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from mtpo_core import machine as m
from mtpo_core.errors import RunHalted
from mtpo_core.foreign import ForeignThread, footprint_of, one_line, text_of
from mtpo_core.journal import Journal
from mtpo_core.machine import Key, Machine, MachineError, Sight
from mtpo_core.resources.base import Fingerprint, Resource
from mtpo_core.tools import Args, Footprint, RecordingView, Tool, ToolError
from mtpo_core.watch import Watch


@attrs.frozen
class Told:
    """What the author of a call was last told that came of it: the result, and the values of what it wrote and read."""

    result: str
    out: Mapping[str, str]
    saw: Mapping[str, str]


@attrs.define
class Bound:
    """A write call that may have to be undone and redone: what it runs, and what came of it last."""

    tool: Tool
    args: Args
    footprint: Footprint
    undo: bytes = b""
    error: str = ""
    result: str = ""
    out: dict[str, str] = attrs.Factory(dict)
    told: Told | None = None
    """What its author knows of that."""
    undeclared: dict[str, str] = attrs.Factory(dict)
    """What was found on objects outside the footprint after a failed attempt: digests of values that the log keeps."""


class Performer:
    """Runs tools and inverses, and audits what they change."""

    def __init__(
        self, resource: Resource, journal: Journal, machine: Machine, thread: ForeignThread, coordinated: bool
    ) -> None:
        self.resource, self.journal, self.machine, self.thread = resource, journal, machine, thread
        self.watch = Watch(resource, journal, machine, thread, coordinated)
        self.bound: dict[Key, Bound] = {}

    async def perform(self, effects: Iterable[m.Effect]) -> None:
        """Perform effects until none is left: what one brings about comes before what was queued.

        Raises :class:`RunHalted` when that is not possible; the log says how far it got.
        """
        with self._whole():
            await self._perform(deque(effects))

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Whatever ends the work within before its end halts the run."""
        try:
            yield
        except RunHalted:
            raise
        except (ToolError, OSError) as error:
            raise self.journal.halt("core.performed", one_line(error)) from None
        except MachineError as error:
            raise self.journal.halt(error.clause, one_line(error)) from error
        except Exception as error:
            raise self.journal.halt("core.performed", one_line(error)) from error
        except BaseException as error:  # the event loop is being taken down
            self.journal.halt("core.performed", f"cut short: {one_line(error)}")
            raise

    async def _perform(self, queue: deque[m.Effect]) -> None:
        by: Key | None = None
        while queue:
            effect = queue.popleft()
            match effect:
                case m.Retracting(call=key, members=members):
                    self._log_retract(key, members)
                case m.Undo(call=key):
                    by = self.machine.repair.acting if self.machine.repair else by
                    queue.extendleft(reversed(await self._undo(key, by)))
                case m.Exec(call=key, saw=saw):
                    by = key
                    queue.extendleft(reversed(await self._exec(key, saw)))
                case m.Redo(call=key):
                    queue.extendleft(reversed(await self._redo(key, by)))
                case m.Resolved():
                    self._log_resolved(effect, by)
                case m.Settled(call=key, stale=stale):
                    self.journal.append(
                        "settle", agent=key.rank, call=str(key), body={"stale": [str(k) for k in stale]}
                    )
                case m.Notify():
                    self._log_notify(effect)
                case m.Finished(agent=agent):
                    self.journal.append("finish", agent=agent)
                case m.Aborted(agent=agent):
                    self.journal.append("abort", agent=agent)
                case m.Committed(agent=agent):
                    self.journal.append("commit", agent=agent)

    def accept(self, key: Key, bound: Bound, members: Sequence[Key]) -> None:
        """Log a call that got its key, before anything is done for it."""
        self.bound[key] = bound
        body = {
            "tool": bound.tool.name,
            "args": self.journal.put_json(dict(bound.args)),
            "reads": sorted(bound.footprint.reads),
            "writes": sorted(bound.footprint.writes),
            "class": bound.tool.write_class.value,
            "invertible": bound.tool.invertible,
            "members": [str(k) for k in members],
        }
        self.journal.append("call", agent=key.rank, call=str(key), body=body)

    async def _undo(self, key: Key, by: Key | None) -> list[m.Effect]:
        bound, watch = self.bound[key], self.watch
        odd = await watch.disturbed(bound.footprint.writes)
        if odd:
            what = f"{', '.join(odd)} was changed by no tool while call {by} was under way; not overwritten"
            raise self.journal.halt("run.external", what)
        self.journal.append("undo", agent=key.rank, call=str(key), body={"by": str(by)})
        before = watch.seen
        try:
            await self.thread.run(bound.tool.reverse, self.resource, bound.args, bound.undo)
        except ToolError as error:
            raise self._inverse_failed(key, error) from None
        watch.seen = await self._audit(key)
        undeclared = watch.seen.differing(before) - bound.footprint.writes
        taken_out = key == by  # the call that the repair is about, not one of its members
        effects = self.machine.step(m.Undone(key))
        restored = await watch.values(bound.footprint.writes)
        wrong = [o for o, digest in restored.items() if digest != self.machine.materialized(o)]
        if wrong or undeclared:
            where = ", ".join(sorted({*wrong, *undeclared}))
            what = f"the inverse of call {key} did not restore {where}, or somebody else changed it meanwhile"
            raise self.journal.halt("core.inverse-restores", f"{bound.tool.name}: {what}")
        kind, body = ("retracted", {}) if taken_out else ("undone", {"by": str(by)})
        self.journal.append(kind, agent=key.rank, call=str(key), body={**body, "restored": restored})
        return effects

    async def _exec(self, key: Key, saw: Mapping[str, Sight]) -> list[m.Effect]:
        bound = self.bound[key]
        try:
            await self._run(key, "exec", {})
        except ToolError as error:
            self._log_failed(key, error)
            return self.machine.step(m.Failed(key))
        self._log_applied(key, saw)
        bound.told = Told(bound.result, bound.out, {o: sight.digest for o, sight in saw.items()})
        return self.machine.step(m.Applied(key, bound.out))

    async def _redo(self, key: Key, by: Key | None) -> list[m.Effect]:
        bound = self.bound[key]
        try:
            await self._still_within(key)
            await self._run(key, "redo", {"by": str(by)})
        except ToolError as error:
            bound.error = f"{bound.tool.name}: {one_line(error)}"
            return self.machine.step(m.Stranded(key))
        return self.machine.step(m.Redone(key, bound.out))

    async def _still_within(self, key: Key) -> None:
        """ToolError when a call would touch more than it was issued with, because what is below it is not as it was."""
        bound = self.bound[key]
        view = RecordingView(lambda o: self.journal.shown(self.machine.source(o, key).digest))
        try:
            now = await self.thread.run(footprint_of, bound.tool, view, bound.args)
        except ToolError:
            return  # whatever it is, running the call says it
        issued = bound.footprint
        more = (now.reads - issued.reads - issued.writes) | (now.writes - issued.writes)
        if more:
            raise ToolError(f"redone now, it would touch {', '.join(sorted(more))} as well; call it again if it is to")

    async def uncoordinated(self, key: Key, saw: Mapping[str, Sight]) -> bool:
        """Run an accepted call at once, wherever it stands in the order; False when it failed."""
        bound = self.bound[key]
        with self._whole():
            try:
                await self._run(key, "exec", {})
            except ToolError as error:
                self._log_failed(key, error)
                return False
            footprint = bound.footprint
            self.machine.calls[key] = m.CallState(footprint.reads, footprint.writes, True, "live", out=bound.out)
            for o in footprint.writes:
                self.machine.trajectory.setdefault(o, []).append(key)
            self._log_applied(key, saw)
            return True

    async def _run(self, key: Key, kind: str, body: Mapping[str, Any]) -> None:
        """Prepare and run a call; ToolError when it had no effect (put back if it had)."""
        bound, tool, watch = self.bound[key], self.bound[key].tool, self.watch
        bound.undeclared = {}
        if tool.invertible:
            try:
                bound.undo = await self.thread.run(tool.prepare, self.resource, bound.args, bound.footprint)
                if not isinstance(bound.undo, bytes):
                    raise ToolError(f"it returned {type(bound.undo).__name__}, not bytes")
            except ToolError as error:
                raise ToolError(f"prepare failed: {one_line(error)}") from None
        # After prepare: what it captured is what the tool will act on, or else it acts on nothing.
        odd = await watch.disturbed(bound.footprint.reads | bound.footprint.writes)
        if odd:
            raise ToolError(f"{', '.join(odd)} was changed by no tool; not overwritten")
        if tool.invertible:
            self.journal.append("prepared", agent=key.rank, call=str(key), body={"undo": self.journal.put(bound.undo)})
        self.journal.append(kind, agent=key.rank, call=str(key), body=dict(body), durable=not tool.invertible)
        failure = ""
        try:
            bound.result = text_of("exec", await self.thread.run(tool.exec, self.resource, bound.args))
        except ToolError as error:
            failure = one_line(error)
        now = await self._audit(key)
        changed = now.differing(watch.seen)
        undeclared = sorted(changed - bound.footprint.writes)
        if undeclared:
            stray = f"wrote outside its footprint: {', '.join(undeclared)} [core.footprint-honest]"
            failure = f"{failure}; {stray}" if failure else stray
        try:  # perhaps not the tool's doing but a user's: what was found is kept, whatever becomes of it now
            bound.undeclared = await watch.values(undeclared)
        except ToolError as error:
            what = f"{tool.name}: what call {key} left outside its footprint can't be kept: {one_line(error)}"
            raise self.journal.halt("core.footprint-honest", what) from None
        try:
            out = await watch.values(bound.footprint.writes)
        except ToolError as error:
            failure = failure or one_line(error)
        if failure:
            await self._put_back(key, changed)
            if bound.undeclared:
                failure += f"; put back, and what was found there is in the log: 'undeclared' of call {key}"
            raise ToolError(failure)
        watch.seen, bound.out = now, out

    async def _put_back(self, key: Key, changed: frozenset[str]) -> None:
        """Undo what a failed call left behind: its inverse, then whatever is still not as the run knows it."""
        bound, watch = self.bound[key], self.watch
        if not changed:
            return
        if not bound.tool.invertible:
            where = ", ".join(sorted(changed))
            raise self.journal.halt(
                "core.failed-has-no-effect", f"{bound.tool.name}: call {key} failed after changing {where}"
            )
        try:
            await self.thread.run(bound.tool.reverse, self.resource, bound.args, bound.undo)
        except ToolError as error:
            raise self._inverse_failed(key, error) from None
        left = (await self._audit(key)).differing(watch.seen)
        values = {o: self.journal.get(watch.expected(o)) for o in left}
        await self.thread.run(self.resource.repair, left, values)
        now = await self._audit(key)
        still = now.differing(watch.seen)
        if still:
            where = ", ".join(sorted(still))
            raise self.journal.halt(
                "core.inverse-restores", f"{bound.tool.name}: call {key} failed and left {where} changed"
            )
        watch.seen = now

    async def _audit(self, key: Key) -> Fingerprint:
        try:
            return await self.watch.fingerprint()
        except ToolError as error:
            tool = self.bound[key].tool.name
            raise self.journal.halt(
                "core.footprint-honest", f"{tool}: what call {key} changed can't be seen: {one_line(error)}"
            ) from None

    def _log_retract(self, key: Key, members: Sequence[Key]) -> None:
        strange = self.watch.strange.keys()
        odd = sorted(strange & self.reach([key, *members])) if strange else []
        if odd:
            raise self.journal.halt(
                "run.external", f"call {key} can't be taken out: {', '.join(odd)} was changed by no tool"
            )
        body = {"members": [str(k) for k in members]}
        self.journal.append("retract", agent=key.rank, call=str(key), body=body)

    def reach(self, calls: Iterable[Key]) -> frozenset[str]:
        """Every object that these calls touch."""
        footprints = [self.bound[k].footprint for k in calls]
        return frozenset[str]().union(*(f.reads | f.writes for f in footprints))

    # -- records -----------------------------------------------------------------------------------------------

    def _log_failed(self, key: Key, error: ToolError) -> None:
        bound = self.bound[key]
        bound.error = f"{bound.tool.name}: {one_line(error)}"
        self.journal.append("failed", agent=key.rank, call=str(key), body=_trouble(bound))

    def _log_applied(self, key: Key, saw: Mapping[str, Sight]) -> None:
        bound = self.bound[key]
        body = {"saw": saw_json(saw), "out": bound.out, "result": self.journal.put(bound.result.encode())}
        self.journal.append("applied", agent=key.rank, call=str(key), body=body)

    def _log_resolved(self, effect: m.Resolved, by: Key | None) -> None:
        bound = self.bound[effect.call]
        body: dict[str, Any] = {"by": str(by)}
        if effect.status == "redone":
            body |= {
                "saw": saw_json(effect.saw),
                "out": bound.out,
                "result": self.journal.put(bound.result.encode()),
                "changed": effect.changed,
            }
        elif effect.status == "stranded":
            body |= _trouble(bound)
        self.journal.append(effect.status, agent=effect.call.rank, call=str(effect.call), body=body)

    def _log_notify(self, effect: m.Notify) -> None:
        body = {
            "id": effect.id,
            "by": str(effect.by),
            "premises": [
                {
                    "call": str(p.call),
                    "object": p.object,
                    "was": p.was,
                    "now": p.now.digest,
                    "write": None if p.now.write is None else str(p.now.write),
                }
                for p in effect.premises
            ],
            "results": [{"call": str(r.call), "status": r.status} for r in effect.results],
        }
        self.journal.append("notify", agent=effect.agent, body=body)

    # -- trouble -----------------------------------------------------------------------------------------------

    def _inverse_failed(self, key: Key, error: ToolError) -> RunHalted:
        tool = self.bound[key].tool.name
        return self.journal.halt("core.inverse-runs", f"{tool}: the inverse of call {key} failed: {one_line(error)}")


def saw_json(saw: Mapping[str, Sight]) -> dict[str, Any]:
    """What a call saw, as a record holds it."""
    return {
        o: {"write": None if sight.write is None else str(sight.write), "digest": sight.digest}
        for o, sight in saw.items()
    }


def _trouble(bound: Bound) -> dict[str, Any]:
    return {"error": bound.error, **({"undeclared": bound.undeclared} if bound.undeclared else {})}
