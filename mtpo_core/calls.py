"""How one call of an agent becomes an answer: reads are served, writes are bound and handed to the performer."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence, Set
from typing import Literal

import attrs

from mtpo_core import machine as m
from mtpo_core.asked import Recorded
from mtpo_core.foreign import footprint_of, one_line, text_of
from mtpo_core.machine import Key, MachineError, Sight
from mtpo_core.notices import REDONE, CallNews, Change, Notice
from mtpo_core.performer import Bound, Performer, Told, saw_json
from mtpo_core.tools import Args, RecordingView, Tool, ToolCall, ToolError, WriteClass


@attrs.frozen
class Answer:
    """What a tool call came to.

    ``kind`` result; refused (the tool did not act, ``text`` says why); bounced (the call was inferred without
    ``notices``, which are now consumed; nothing ran); or held (a call without an inverse: earlier ranks have not
    committed yet, nothing ran, make it again). ``call`` is its place in the serial order, None when it got none.
    """

    kind: Literal["result", "refused", "bounced", "held"]
    text: str
    call: Key | None = None
    notices: tuple[Notice, ...] = ()


class Calls:
    """The calls of a session. Only one is under way at a time, which is for the session to see to.

    Every method may raise :class:`ToolError` before anything was done, and :class:`RunHalted`.
    """

    def __init__(self, performer: Performer, names: Sequence[str], recorded: Recorded) -> None:
        self._performer, self._names, self._recorded = performer, names, recorded
        self._machine, self._journal, self._watch = performer.machine, performer.journal, performer.watch
        self._thread = performer.thread
        self._coordinated = performer.watch.coordinated
        self._gated: dict[Key, tuple[int, ...]] = {}

    # -- reads and notifications -------------------------------------------------------------------------------

    def _view(self, agent: int) -> RecordingView:
        if not self._coordinated:
            return RecordingView(self._performer.resource.read)
        key = self._machine.next_key(agent)
        return RecordingView(lambda o: self._journal.shown(self._machine.source(o, key).digest))

    async def read(self, agent: int, tool: Tool, args: Args) -> Answer:
        """Serve a read at the agent's place; what it looked at becomes its premises, also where it refuses."""
        view = self._view(agent)
        kind: Literal["result", "refused"] = "result"
        try:
            text = text_of("read", await self._thread.run(tool.read, view, args))
        except ToolError as error:  # a refusal is a result too: it rests on what was looked at
            self._journal.check()
            absent = [o for o, value in view.reads.items() if value is None]
            kind, text = "refused", f"{tool.name}: {await self._watch.refusal(absent) or one_line(error)}"
        if self._coordinated:
            served = self._machine.step(m.Read(agent, tuple(view.reads)))[0]
            assert isinstance(served, m.Served)
            key, saw, filtered = served.call, served.saw, served.filtered
        else:
            saw, filtered = await self._live(view.reads), False
            key = self._plain_key(agent)
        body = {
            "tool": tool.name,
            "args": self._journal.put_json(dict(args)),
            "saw": saw_json(saw),
            "filtered": filtered,
            "result": self._journal.put(text.encode()),
        }
        self._journal.append("read", agent=agent, call=str(key), body=body)
        return Answer(kind, text, key)

    def bounce(self, agent: int, request: ToolCall) -> Answer:
        """Refuse a call that was inferred without what is unread, and deliver that."""
        ids = self._machine.agents[agent].unread
        body = {"tool": request.name, "args": self._journal.put_json(dict(request.args)), "ids": list(ids)}
        self._journal.append("bounce", agent=agent, body=body)
        notices = self.deliver(agent)
        text = "\n".join(["Not executed: you had unread notifications.", *(n.text() for n in notices)])
        return Answer("bounced", text, None, notices)

    def deliver(self, agent: int) -> tuple[Notice, ...]:
        """Hand over what is unread; the agent is at work again if it had finished."""
        if not self._coordinated or not self._machine.agents[agent].noted:
            return ()
        found = []
        for effect in self._machine.step(m.Deliver(agent)):
            if isinstance(effect, m.Reopened):
                self._journal.append("reopen", agent=agent)
            elif isinstance(effect, m.Delivered):
                self._journal.append("deliver", agent=agent, body={"ids": list(effect.ids)})
                self._recorded.told(agent, effect.ids)
                found.append(self._notice(effect))
        return tuple(found)

    def _notice(self, effect: m.Delivered) -> Notice:
        merged: dict[str, Change] = {}
        own = {r.call for r in effect.results}
        for p in effect.premises:
            writer = effect.agent if p.now.write is None else p.now.write.rank
            by = "" if writer == effect.agent else self._names[writer]
            was, now = self._journal.get(p.was), self._journal.get(p.now.digest)
            merged[p.object] = Change(p.object, was, now, by, self._over(p, own))
            bound = self._performer.bound.get(p.call)
            if bound is not None and bound.told is not None:
                bound.told = attrs.evolve(bound.told, saw={**bound.told.saw, p.object: p.now.digest})
        results = tuple(filter(None, (self._news(r, merged.keys()) for r in effect.results)))
        return Notice(effect.agent, effect.ids, tuple(merged.values()), results)

    def _over(self, premise: m.Premise, told: Set[Key]) -> str:
        """The author's own call that has overwritten a premise since, if nothing is told of it."""
        write = self._machine.source(premise.object, self._machine.next_key(premise.call.rank)).write
        return str(write) if write is not None and write > premise.call and write not in told else ""

    def _news(self, result: m.Result, beside: Set[str]) -> CallNews | None:
        """What to tell of an own call, ``beside`` changes of these objects; None where that tells all. From now on it
        counts as told."""
        call, bound = result.call, self._performer.bound[result.call]
        if result.status != "changed":
            return CallNews(str(call), bound.tool.name, result.status, bound.error or None)
        told, bound.told = bound.told, Told(bound.result, bound.out, dict(self._machine.calls[call].saw))
        assert told is not None
        said, kept = bound.result if bound.result != told.result else None, self._kept_up(call)
        wrote = tuple(
            Change(o, self._journal.get(told.out[o]), self._journal.get(digest), self._names[call.rank])
            for o, digest in sorted(bound.out.items())
            if o in beside or (digest != told.out[o] and o not in kept and (said is None or self._looked_at(o, call)))
        )
        if said is not None or wrote:
            return CallNews(str(call), bound.tool.name, REDONE, said, wrote)
        read = tuple(o for o, digest in sorted(bound.told.saw.items()) if digest != told.saw[o] and o not in kept)
        return None if beside >= set(read) else CallNews(str(call), bound.tool.name, REDONE, read=read)

    def _kept_up(self, call: Key) -> frozenset[str]:
        """What a call only keeps up, as the listing that a new file's name is added to, and its author has never looked
        at: nothing that the author knows or meant is another when that is."""
        bound = self._performer.bound[call]
        blind, footprint = bound.tool.write_class is WriteClass.BLIND, bound.footprint
        kept = footprint.reads & footprint.writes if blind else footprint.kept
        return frozenset(o for o in kept if not self._looked_at(o, call))

    def _looked_at(self, object: str, call: Key) -> bool:
        """Whether the author of the call has read an object that it wrote."""
        readers = self._machine.readers.get(object, [])
        mine = readers[bisect_left(readers, (call.rank, 0)) : bisect_left(readers, (call.rank + 1, 0))]
        return any(self._machine.calls[k].status == "read" for k in mine)

    # -- writes ------------------------------------------------------------------------------------------------

    async def write(self, agent: int, tool: Tool, args: Args) -> Answer:
        """Bind a write and perform it, with the repair that it makes necessary; or hold it."""
        footprint = await self._thread.run(footprint_of, tool, self._view(agent), args)
        await self._watch.look()
        await self._watch.values(footprint.writes - self._machine.objects)  # refuses what is no object
        bound = Bound(tool, args, footprint)
        if not self._coordinated:
            saw = await self._live(footprint.reads)
            key = self._plain_key(agent)
            self._performer.accept(key, bound, ())
            applied = await self._performer.uncoordinated(key, saw)
            return Answer("result" if applied else "refused", bound.result if applied else bound.error, key)
        event = m.Call(agent, footprint.reads, footprint.writes, tool.invertible)
        strange = self._watch.strange.keys()
        touched = sorted(strange & self._reach(event)) if strange else []
        if touched:
            raise ToolError(f"{', '.join(touched)} was changed by no tool; not overwritten")
        effects = self._machine.step(event)
        first = effects[0]
        if isinstance(first, m.Gated):
            return self._hold(agent, tool, first)
        assert isinstance(first, m.Accepted)
        self._performer.accept(first.call, bound, first.members)
        await self._performer.perform(effects[1:])
        return Answer("refused" if bound.error else "result", bound.error or bound.result, first.call)

    async def retract(self, key: Key) -> Answer:
        """Take a live call of an agent at work out, with the repair that this makes necessary."""
        await self._watch.look()
        strange = self._watch.strange.keys()
        try:
            first = self._machine.snapshot().step(m.Retract(key))[0]
        except MachineError as error:
            return Answer("refused", str(error))
        assert isinstance(first, m.Retracting)
        touched = sorted(strange & self._performer.reach([key, *first.members])) if strange else []
        if touched:
            return Answer("refused", f"retract: {', '.join(touched)} was changed by no tool; not overwritten")
        await self._performer.perform(self._machine.step(m.Retract(key)))
        return Answer("result", f"{self._performer.bound[key].tool.name}: call {key} was taken out", key)

    async def abort(self, agent: int) -> None:
        """An agent acts no more; its calls are taken out."""
        await self._watch.look()
        await self._performer.perform(self._machine.step(m.Abort(agent)))

    def _hold(self, agent: int, tool: Tool, gated: m.Gated) -> Answer:
        """A call that waits at the gate; logged when what it waits for changes."""
        key = self._machine.next_key(agent)
        if self._gated.get(key) != gated.waits_for:
            self._gated[key] = gated.waits_for
            self._journal.append("gate", agent=agent, call=str(key), body={"waits_for": list(gated.waits_for)})
        others = ", ".join(self._names[b] for b in gated.waits_for)
        return Answer("held", f"{tool.name}: held: it has no inverse, and {others} may still come before it; try again")

    def _reach(self, event: m.Call) -> frozenset[str]:
        """Every object that a call would touch, with those of the calls that it would undo and redo."""
        first = self._machine.snapshot().step(event)[0]
        undone = first.members if isinstance(first, m.Accepted) else ()
        return event.reads | event.writes | self._performer.reach(undone)

    # -- no coordination ---------------------------------------------------------------------------------------

    def _plain_key(self, agent: int) -> Key:
        key = self._machine.next_key(agent)
        self._machine.agents[agent].issued += 1
        return key

    async def _live(self, objects: Iterable[str]) -> dict[str, Sight]:
        """What is live now, and the last write to it: the end of a trajectory in real, not serial, order."""
        writes = self._machine.trajectory
        values = await self._watch.values(objects)
        return {o: Sight(writes[o][-1] if writes.get(o) else None, digest) for o, digest in values.items()}
