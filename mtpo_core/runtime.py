"""The runtime: a run on one resource, its agents' calls put into the serial order, logged and performed.

A :class:`Session` is one run. Every phase is logged before it acts; tools run in worker threads; one repair is open at
a time. An adapter maps an agent framework's hooks onto four calls: :meth:`Session.call` around every tool call,
:meth:`Session.drain` before every inference, :meth:`Session.finish` on a final answer, and :meth:`Session.committed`,
which is when the answer may be shown. :class:`mtpo_core.sync.SyncSession` is the same for code without asyncio.

The modes ``naive`` and ``serial`` run the same tools with the same log and no coordination: they are what the protocol
is compared with.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import attrs

from mtpo_core import machine as m
from mtpo_core.errors import SessionError
from mtpo_core.foreign import footprint_of, guarded, one_line, text_of
from mtpo_core.log import RunLog
from mtpo_core.machine import AgentState, Key, Machine, Policy, Sight
from mtpo_core.notices import Change, Notice
from mtpo_core.performer import Bound, Performer, saw_json
from mtpo_core.resources.base import Resource
from mtpo_core.tools import Args, RecordingView, Tool, Toolbox, ToolCall, ToolError, WriteClass, brief, encodable

Mode = Literal["mtpo", "naive", "serial"]
Outcome = Literal["complete", "disturbed", "halted"]


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


class Session:
    """One run. Build it with :meth:`open`; close it, or the log stays INCOMPLETE.

    Every method raises :class:`SessionError` when it is misused (an unknown rank, a finished agent, a closed session)
    and :class:`RunHalted` when the run can't go on.
    """

    def __init__(self, resource: Resource, tools: Toolbox, log: RunLog, mode: Mode, policy: Policy) -> None:
        self.resource = resource
        self.tools = tools
        self.log = log
        self.mode = mode
        initial = {o: log.put(resource.read(o)) for o in sorted(resource.objects())}
        self.machine = Machine(initial, log.put(None), policy)
        self.names: list[str] = []
        self._performer = Performer(resource, log, self.machine)
        self._lock = asyncio.Lock()
        self._moved = asyncio.Event()
        self._gated: dict[Key, tuple[int, ...]] = {}
        self._outcome: Outcome | None = None

    @classmethod
    def open(
        cls,
        resource: Resource,
        tools: Toolbox,
        path: str | Path,
        *,
        mode: Mode = "mtpo",
        policy: Policy | Literal["replay", "cancel"] = Policy.REPLAY,
        scenario: str = "",
        inference: str = "none",
        run: str | None = None,
    ) -> Session:
        """Begin a run: its log is created at ``path``, which must not exist.

        Raises :class:`SessionError` for an unknown mode or policy or a log inside the resource's own tree, and LogError
        for a log that can't be made.
        """
        if mode not in get_args(Mode):
            raise SessionError(f"open: unknown mode {brief(mode)}; known: {', '.join(get_args(Mode))}")
        known = [p.value for p in Policy]
        if not isinstance(policy, Policy) and policy not in known:
            raise SessionError(f"open: unknown policy {brief(policy)}; known: {', '.join(known)}")
        policy = Policy(policy)
        root = getattr(resource, "root", None)
        if isinstance(root, Path) and Path(path).absolute().resolve().is_relative_to(root):
            raise SessionError(f"open: the log {path} would lie in the tree that it is the log of; put it elsewhere")
        log = RunLog.create(path, run or secrets.token_hex(4))
        session = cls(resource, tools, log, mode, policy)
        body = {
            "mode": mode,
            "policy": policy.value,
            "scenario": scenario,
            "inference": inference,
            "initial": session.machine.given,
        }
        log.append("run-open", body=body)
        return session

    # -- agents ------------------------------------------------------------------------------------------------

    async def launch(self, name: str, task: str = "") -> int:
        """An agent enters; returns its rank."""
        for what, text in (("name", name), ("task", task)):
            if not isinstance(text, str) or not encodable(text):
                raise SessionError(f"launch: the {what} must be text, got {brief(text)}")
        async with self._lock:
            self._check("launch")
            if name in self.names:
                raise SessionError(f"launch: {brief(name)} is rank {self.names.index(name)} already; give another name")
            rank = len(self.names)
            self.log.append("launch", agent=rank, body={"name": name, "task": task})
            self.machine.step(m.Launch())
            self.names.append(name)
            return rank

    async def call(self, agent: int, request: ToolCall, *, wait: float = math.inf) -> Answer:
        """Run a tool for an agent, at its place in the serial order.

        A call without an inverse has to wait until every earlier rank has committed: ``wait`` is for how long at most
        (s); when that is over, the answer is ``held``. Code that drives several agents from one thread passes 0 and
        makes the call again after others have moved. A call that has begun is finished even when its caller is
        cancelled: a repair is never left open.
        """
        if not isinstance(request, ToolCall) or not isinstance(request.name, str) or not encodable(request.name):
            raise SessionError(f"call: the request must be a ToolCall with a tool's name, got {brief(request)}")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            await self._lock.acquire()
            answer = await asyncio.shield(asyncio.ensure_future(self._attempt(agent, request)))
            left = deadline - loop.time()
            if answer.kind != "held" or left <= 0:
                return answer
            try:
                await asyncio.wait_for(self._moved.wait(), None if left == math.inf else left)
            except TimeoutError:
                return answer

    async def _attempt(self, agent: int, request: ToolCall) -> Answer:
        """One attempt at a call, under the lock, which it releases."""
        try:
            state = self._at_work("call", agent)
            if self.mode == "mtpo" and state.noted:
                return await self._bounce(agent, request)
            if state.finished:
                raise SessionError(f"call: agent {agent} ({self.names[agent]}) has finished; launch another for more")
            try:
                tool, args = self.tools.bind(request)
            except ToolError as error:
                return Answer("refused", str(error))
            try:
                if tool.write_class is WriteClass.READ:
                    return self._read(agent, tool, args)
                answer = await self._write(agent, tool, args)
            except ToolError as error:
                return Answer("refused", f"{tool.name}: {one_line(error)}")
            if answer.kind == "held":
                self._moved.clear()
            else:
                self._moved.set()
            return answer
        except BaseException:
            self._moved.set()
            raise
        finally:
            self._lock.release()

    async def drain(self, agent: int) -> tuple[Notice, ...]:
        """Hand an agent its notifications, before its next inference; they count as consumed."""
        async with self._lock:
            self._at_work("drain", agent)
            return self._deliver(agent)

    async def finish(self, agent: int) -> Answer:
        """An agent reports its task complete; it is reopened if it is told of a change before it commits."""
        async with self._lock:
            state = self._at_work("finish", agent)
            if self.mode == "mtpo" and state.noted:
                return await self._bounce(agent, ToolCall("finish"))
            if state.finished:
                raise SessionError(f"finish: agent {agent} ({self.names[agent]}) has finished already")
            if self.mode == "mtpo":
                await self._performer.perform(self.machine.step(m.Finish(agent)))
            else:
                self.log.append("finish", agent=agent)
                state.finished = True
            self._moved.set()
            return Answer("result", "finished")

    def notified(self, agent: int) -> bool:
        """Whether notifications wait for the agent."""
        return bool(self._agent("notified", agent).noted)

    def committed(self, agent: int) -> bool:
        """Whether everything the agent did is final."""
        state = self._agent("committed", agent)
        return state.finished if self.mode != "mtpo" else state.committed

    async def wait(self, agent: int) -> Literal["committed", "notified"]:
        """After :meth:`finish`: wait until the agent has committed, or must be reopened.

        One thread that drives several agents asks :meth:`committed` and :meth:`notified` instead.
        """
        while True:
            self._at_work("wait", agent)
            if self.committed(agent):
                return "committed"
            if self.notified(agent):
                return "notified"
            if not self.machine.agents[agent].finished:
                raise SessionError(f"wait: agent {agent} ({self.names[agent]}) has not finished; call finish first")
            self._moved.clear()
            await self._moved.wait()

    def record(self, kind: Literal["infer", "judge"], agent: int, body: Mapping[str, Any]) -> None:
        """Log an inference or a judgment of an agent."""
        self._at_work("record", agent)
        self.log.append(kind, agent=agent, body=dict(body))

    async def close(self) -> Outcome:
        """End the run; returns the outcome. A second time it only returns it again.

        ``complete``: every agent's work is final. ``disturbed``: so it is, but somebody changed objects without a tool,
        so that the order is not vouched for (assumption A2; the log names them, ``external``, and ``mtpo verify`` says
        no). ``halted``: the run did not come to its end; the log says why.
        """
        async with self._lock:
            if self._outcome is not None:
                return self._outcome
            halted = self._performer.halted
            error = str(halted) if halted else ""
            if not halted:
                self._performer.look_for_strangers(self.mode == "mtpo")
                if not all(self.committed(a) for a in range(len(self.names))):
                    error = "closed before every agent had committed"
            final = {o: self.log.put(self.resource.read(o)) for o in sorted(self.resource.objects())}
            gone = (self.machine.objects | self._performer.strange) - final.keys()
            final |= dict.fromkeys(sorted(gone), self.machine.absent)
            outcome = "halted" if error else "complete"
            self.log.append("close", body={"final": final, "outcome": outcome, "error": error or None})
            self.log.close()
            disturbed = self.mode == "mtpo" and bool(self._performer.strange)
            self._outcome = "halted" if error else "disturbed" if disturbed else "complete"
            self._moved.set()
            return self._outcome

    def _check(self, what: str) -> None:
        if self._performer.halted:
            raise self._performer.halted
        if self._outcome is not None:
            raise SessionError(f"{what}: the session is closed; open another, with another log")

    def _at_work(self, what: str, agent: int) -> AgentState:
        """The agent's state, once it is clear that the session can do something for it."""
        self._check(what)
        return self._agent(what, agent)

    def _agent(self, what: str, agent: int) -> AgentState:
        if isinstance(agent, bool) or not isinstance(agent, int) or not 0 <= agent < len(self.names):
            known = f"0 to {len(self.names) - 1}" if self.names else "none: launch one first"
            raise SessionError(f"{what}: no agent has rank {brief(agent)}; known: {known}")
        return self.machine.agents[agent]

    # -- reads and notifications -------------------------------------------------------------------------------

    def _view(self, agent: int) -> RecordingView:
        if self.mode != "mtpo":
            return RecordingView(self.resource.read)
        key = self.machine.next_key(agent)
        return RecordingView(lambda o: self.log.get(self.machine.source(o, key).digest))

    def _read(self, agent: int, tool: Tool, args: Args) -> Answer:
        view = self._view(agent)
        kind: Literal["result", "refused"] = "result"
        try:
            text = text_of("read", guarded(tool.read, view, args))
        except ToolError as error:  # a refusal is a result too: it rests on what was looked at
            kind, text = "refused", f"{tool.name}: {one_line(error)}"
        if self.mode == "mtpo":
            served = self.machine.step(m.Read(agent, tuple(view.reads)))[0]
            assert isinstance(served, m.Served)
            key, saw, filtered = served.call, served.saw, served.filtered
        else:
            key, saw, filtered = self._plain_key(agent), self._live(view.reads), False
        body = {
            "tool": tool.name,
            "args": self._performer.put_json(dict(args)),
            "saw": saw_json(saw),
            "filtered": filtered,
            "result": self.log.put(text.encode()),
        }
        self.log.append("read", agent=agent, call=str(key), body=body)
        return Answer(kind, text, key)

    async def _bounce(self, agent: int, request: ToolCall) -> Answer:
        ids = self.machine.agents[agent].unread
        body = {"tool": request.name, "args": self._performer.put_json(dict(request.args)), "ids": list(ids)}
        self.log.append("bounce", agent=agent, body=body)
        notices = self._deliver(agent)
        text = "\n".join(["Not executed: you had unread notifications.", *(n.text() for n in notices)])
        return Answer("bounced", text, None, notices)

    def _deliver(self, agent: int) -> tuple[Notice, ...]:
        if self.mode != "mtpo" or not self.notified(agent):
            return ()
        found = []
        for effect in self.machine.step(m.Deliver(agent)):
            if isinstance(effect, m.Reopened):
                self.log.append("reopen", agent=agent)
            elif isinstance(effect, m.Delivered):
                self.log.append("deliver", agent=agent, body={"ids": list(effect.ids)})
                found.append(self._notice(effect))
        return tuple(found)

    def _notice(self, effect: m.Delivered) -> Notice:
        merged: dict[str, Change] = {}
        for p in effect.premises:
            by = "" if p.now.write is None else self.names[p.now.write.rank]
            merged[p.object] = Change(p.object, self.log.get(p.was), self.log.get(p.now.digest), by)
        calls = self._performer.bound
        results = tuple((str(r.call), calls[r.call].tool.name, r.status, calls[r.call].result) for r in effect.results)
        return Notice(effect.agent, effect.ids, tuple(merged.values()), results)

    # -- writes ------------------------------------------------------------------------------------------------

    async def _write(self, agent: int, tool: Tool, args: Args) -> Answer:
        footprint = footprint_of(tool, self._view(agent), args)
        for o in footprint.writes - self.machine.objects:
            self.resource.read(o)  # refuses what is no object, before anything is done
        bound = Bound(tool, args, footprint)
        strangers = self._performer.look_for_strangers(self.mode == "mtpo") | self._performer.strange
        if self.mode != "mtpo":
            key = self._plain_key(agent)
            self._performer.accept(key, bound, ())
            applied = await self._performer.uncoordinated(key, self._live(footprint.reads))
            return Answer("result" if applied else "refused", bound.result if applied else bound.error, key)
        event = m.Call(agent, footprint.reads, footprint.writes, tool.invertible)
        touched = ", ".join(sorted(strangers & self._reach(event))) if strangers else ""
        if touched:
            raise ToolError(f"{touched} was changed by no tool; not overwritten")
        effects = self.machine.step(event)
        first = effects[0]
        if isinstance(first, m.Gated):
            return self._hold(agent, tool, first)
        assert isinstance(first, m.Accepted)
        self._performer.accept(first.call, bound, first.members)
        await self._performer.perform(effects[1:])
        return Answer("refused" if bound.error else "result", bound.error or bound.result, first.call)

    def _hold(self, agent: int, tool: Tool, gated: m.Gated) -> Answer:
        """A call that waits at the gate; logged when what it waits for changes."""
        key = self.machine.next_key(agent)
        if self._gated.get(key) != gated.waits_for:
            self._gated[key] = gated.waits_for
            self.log.append("gate", agent=agent, call=str(key), body={"waits_for": list(gated.waits_for)})
        others = ", ".join(self.names[b] for b in gated.waits_for)
        return Answer("held", f"{tool.name}: held: it has no inverse, and {others} may still come before it; try again")

    def _reach(self, event: m.Call) -> frozenset[str]:
        """Every object that a call would touch, with those of the calls that it would undo and redo."""
        first = self.machine.snapshot().step(event)[0]
        undone = [self._performer.bound[k].footprint for k in first.members] if isinstance(first, m.Accepted) else []
        return event.reads.union(event.writes, *(f.reads | f.writes for f in undone))

    # -- no coordination ---------------------------------------------------------------------------------------

    def _plain_key(self, agent: int) -> Key:
        key = self.machine.next_key(agent)
        self.machine.agents[agent].issued += 1
        return key

    def _live(self, objects: Iterable[str]) -> dict[str, Sight]:
        """What is live now, and the last write to it: the end of a trajectory in real, not serial, order."""
        return {
            o: Sight(
                self.machine.trajectory[o][-1] if self.machine.trajectory.get(o) else None,
                self.log.put(self.resource.read(o)),
            )
            for o in sorted(objects)
        }
