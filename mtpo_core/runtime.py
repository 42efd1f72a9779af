"""The runtime: the machine's effects, performed and logged.

A :class:`Session` is one run on one resource. Every phase is logged before it acts; tools run in worker threads; one
repair is open at a time. An adapter maps an agent framework's hooks onto four calls: :meth:`Session.call` around every
tool call, :meth:`Session.drain` before every inference, :meth:`Session.finish` on a final answer, and
:meth:`Session.committed`, which is when the answer may be shown.

The modes ``naive`` and ``serial`` run the same tools with the same log and no coordination: they are what the protocol
is compared with.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import attrs

from mtpo_core import machine as m
from mtpo_core.log import RunLog
from mtpo_core.machine import Key, Machine, Policy, Sight
from mtpo_core.notices import Change, Notice
from mtpo_core.resources.base import Fingerprint, Resource
from mtpo_core.tools import Args, Footprint, RecordingView, Tool, Toolbox, ToolCall, ToolError, WriteClass

Mode = Literal["mtpo", "naive", "serial"]
T = TypeVar("T")


class RunHalted(RuntimeError):
    """The run can't go on: an inverse failed, or the state is not what the log says. The log keeps all so far.

    ``property`` is the id of what does not hold.
    """

    def __init__(self, property: str, message: str) -> None:
        super().__init__(f"{property}: {message}")
        self.property = property


@attrs.frozen
class Answer:
    """What a tool call came to. ``kind`` result, refused (the tool did not act, ``text`` says why) or bounced (the call
    was inferred without ``notices``, which are now consumed; nothing ran)."""

    kind: Literal["result", "refused", "bounced"]
    text: str
    call: Key | None = None
    notices: tuple[Notice, ...] = ()


@attrs.define
class _Bound:
    """A write call that may have to be undone and redone."""

    tool: Tool
    args: Args
    footprint: Footprint
    undo: bytes = b""
    error: str = ""
    result: str = ""
    out: dict[str, str] = attrs.Factory(dict)


class Session:
    """One run. Build it with :meth:`open`; close it, or the log stays INCOMPLETE."""

    def __init__(self, resource: Resource, tools: Toolbox, log: RunLog, mode: Mode, policy: Policy) -> None:
        self.resource = resource
        self.tools = tools
        self.log = log
        self.mode = mode
        initial = {o: log.put(resource.read(o)) for o in sorted(resource.objects())}
        self.machine = Machine(initial, log.put(None), policy)
        self.names: list[str] = []
        self._bound: dict[Key, _Bound] = {}
        self._lock = asyncio.Lock()
        self._moved = asyncio.Event()
        self._seen: Fingerprint = resource.fingerprint()
        self._foreign: set[str] = set()
        self._halted: RunHalted | None = None

    @classmethod
    def open(
        cls,
        resource: Resource,
        tools: Toolbox,
        path: str | Path,
        *,
        mode: Mode = "mtpo",
        policy: Policy = Policy.REPLAY,
        scenario: str = "",
        inference: str = "none",
        run: str | None = None,
    ) -> Session:
        """Begin a run: its log is created at ``path``, which must not exist."""
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
        async with self._lock:
            self._check()
            rank = len(self.names)
            self.log.append("launch", agent=rank, body={"name": name, "task": task})
            self.machine.step(m.Launch())
            self.names.append(name)
            return rank

    async def call(self, agent: int, request: ToolCall) -> Answer:
        """Run a tool for an agent, at its place in the serial order. A call without an inverse may wait here.

        A call that has begun is finished even when its caller is cancelled: a repair is never left open.
        """
        while True:
            await self._lock.acquire()
            answer = await asyncio.shield(asyncio.ensure_future(self._held(agent, request)))
            if answer is not None:
                return answer
            await self._moved.wait()

    async def _held(self, agent: int, request: ToolCall) -> Answer | None:
        """One attempt at a call, under the lock, which it releases; None: the call is held at the gate."""
        try:
            self._check()
            if self.mode == "mtpo" and self.machine.agents[agent].noted:
                return await self._bounce(agent, request)
            try:
                tool, args = self.tools.bind(request)
            except ToolError as error:
                return Answer("refused", str(error))
            try:
                if tool.write_class is WriteClass.READ:
                    return self._read(agent, tool, args)
                answer = await self._write(agent, tool, args)
            except ToolError as error:
                return Answer("refused", f"{tool.name}: {error}")
            if answer is None:
                self._moved.clear()
            return answer
        finally:
            self._lock.release()

    async def drain(self, agent: int) -> tuple[Notice, ...]:
        """Hand an agent its notifications, before its next inference; they count as consumed."""
        async with self._lock:
            return self._deliver(agent)

    async def finish(self, agent: int) -> Answer:
        """An agent reports its task complete; it is reopened if it is told of a change before it commits."""
        async with self._lock:
            self._check()
            if self.mode != "mtpo":
                self.log.append("finish", agent=agent)
                self.machine.agents[agent].finished = True
                return Answer("result", "finished")
            if self.machine.agents[agent].noted:
                return await self._bounce(agent, ToolCall("finish"))
            await self._perform(self.machine.step(m.Finish(agent)))
            return Answer("result", "finished")

    def notified(self, agent: int) -> bool:
        """Whether notifications wait for the agent."""
        return bool(self.machine.agents[agent].noted)

    def committed(self, agent: int) -> bool:
        """Whether everything the agent did is final."""
        state = self.machine.agents[agent]
        return state.finished if self.mode != "mtpo" else state.committed

    async def wait(self, agent: int) -> Literal["committed", "notified"]:
        """After :meth:`finish`: wait until the agent has committed, or must be reopened."""
        while True:
            if self._halted:
                raise self._halted
            if self.committed(agent):
                return "committed"
            if self.notified(agent):
                return "notified"
            self._moved.clear()
            await self._moved.wait()

    def record(self, kind: str, agent: int, body: Mapping[str, Any]) -> None:
        """Log an inference or a judgment of an agent."""
        self.log.append(kind, agent=agent, body=dict(body))

    async def close(self) -> str:
        """End the run; returns the outcome, ``complete`` or ``halted``."""
        async with self._lock:
            error = str(self._halted) if self._halted else ""
            if not self._halted:
                self._look_for_strangers()
                if not all(self.committed(a) for a in range(len(self.names))):
                    error = "closed before every agent had committed"
            final = {o: self.log.put(self.resource.read(o)) for o in sorted(self.resource.objects())}
            gone = (self.machine.objects | self._foreign) - final.keys()
            final |= dict.fromkeys(sorted(gone), self.machine.absent)
            outcome = "halted" if error else "complete"
            self.log.append("close", body={"final": final, "outcome": outcome, "error": error or None})
            self.log.close()
            self._moved.set()
            return outcome

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
            text = tool.read(view, args)
        except ToolError as error:
            kind, text = "refused", f"{tool.name}: {error}"
        if self.mode == "mtpo":
            served = self.machine.step(m.Read(agent, tuple(view.reads)))[0]
            assert isinstance(served, m.Served)
            key, saw, filtered = served.call, served.saw, served.filtered
        else:
            key, saw, filtered = self._plain_key(agent), self._live(view.reads), False
        body = {
            "tool": tool.name,
            "args": self._put_json(dict(args)),
            "saw": _saw_json(saw),
            "filtered": filtered,
            "result": self.log.put(text.encode()),
        }
        self.log.append("read", agent=agent, call=str(key), body=body)
        return Answer(kind, text, key)

    async def _bounce(self, agent: int, request: ToolCall) -> Answer:
        ids = self.machine.agents[agent].unread
        body = {"tool": request.name, "args": self._put_json(dict(request.args)), "ids": list(ids)}
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
        results = tuple(
            (str(r.call), self._bound[r.call].tool.name, r.status, self._bound[r.call].result) for r in effect.results
        )
        return Notice(effect.agent, effect.ids, tuple(merged.values()), results)

    # -- writes ------------------------------------------------------------------------------------------------

    async def _write(self, agent: int, tool: Tool, args: Args) -> Answer | None:
        """None: the call is held at the gate."""
        footprint = tool.footprint(self._view(agent), args)
        bound = _Bound(tool, args, footprint)
        if self.mode != "mtpo":
            return await self._plain_write(agent, bound)
        event = m.Call(agent, footprint.reads, footprint.writes, tool.invertible)
        strangers = self._look_for_strangers() | self._foreign
        touched = ", ".join(sorted(strangers & self._reach(event))) if strangers else ""
        if touched:
            return Answer("refused", f"{tool.name}: {touched} was changed by no tool; not overwritten")
        effects = self.machine.step(event)
        first = effects[0]
        if isinstance(first, m.Gated):
            key = self.machine.next_key(agent)
            self.log.append("gate", agent=agent, call=str(key), body={"waits_for": list(first.waits_for)})
            return None
        assert isinstance(first, m.Accepted)
        self._bound[first.call] = bound
        self._log_call(first.call, bound, first.members)
        await self._perform(effects[1:])
        return Answer("refused" if bound.error else "result", bound.error or bound.result, first.call)

    def _reach(self, event: m.Call) -> frozenset[str]:
        """Every object that a call would touch, with those of the calls that it would undo and redo."""
        first = self.machine.snapshot().step(event)[0]
        undone = [self._bound[key].footprint for key in first.members] if isinstance(first, m.Accepted) else []
        return event.reads.union(event.writes, *(f.reads | f.writes for f in undone))

    def _log_call(self, key: Key, bound: _Bound, members: Sequence[Key]) -> None:
        body = {
            "tool": bound.tool.name,
            "args": self._put_json(dict(bound.args)),
            "reads": sorted(bound.footprint.reads),
            "writes": sorted(bound.footprint.writes),
            "class": bound.tool.write_class.value,
            "invertible": bound.tool.invertible,
            "members": [str(k) for k in members],
        }
        self.log.append("call", agent=key.rank, call=str(key), body=body)

    async def _perform(self, effects: Iterable[m.Effect]) -> None:
        """Perform effects until none is left: what one brings about comes before what was queued."""
        queue = deque(effects)
        by: Key | None = None
        while queue:
            effect = queue.popleft()
            match effect:
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
                    self.log.append("settle", agent=key.rank, call=str(key), body={"stale": [str(k) for k in stale]})
                case m.Notify():
                    self._log_notify(effect)
                case m.Finished(agent=agent):
                    self.log.append("finish", agent=agent)
                case m.Committed(agent=agent):
                    self.log.append("commit", agent=agent)
        self._moved.set()

    async def _undo(self, key: Key, by: Key | None) -> list[m.Effect]:
        bound = self._bound[key]
        self.log.append("undo", agent=key.rank, call=str(key), body={"by": str(by)})
        before = self._seen
        try:
            await _foreign(bound.tool.reverse, self.resource, bound.args, bound.undo)
        except Exception as error:  # noqa: BLE001 - a tool is foreign code
            raise self._inverse_failed(key, error) from None
        undeclared = self.resource.changed_since(before) - bound.footprint.writes
        effects = self.machine.step(m.Undone(key))
        restored = {o: self.log.put(self.resource.read(o)) for o in sorted(bound.footprint.writes)}
        wrong = [o for o, digest in restored.items() if digest != self.machine.materialized(o)]
        if wrong or undeclared:
            where = ", ".join(sorted({*wrong, *undeclared}))
            raise self._halt(
                "core.inverse-restores", f"{bound.tool.name}: the inverse of call {key} did not restore {where}"
            )
        self._seen = self.resource.fingerprint()
        self.log.append("undone", agent=key.rank, call=str(key), body={"by": str(by), "restored": restored})
        return effects

    async def _exec(self, key: Key, saw: Mapping[str, Sight]) -> list[m.Effect]:
        bound = self._bound[key]
        try:
            await self._run_tool(key, "exec", {})
        except ToolError as error:
            bound.error = f"{bound.tool.name}: {_line(error)}"
            self.log.append("failed", agent=key.rank, call=str(key), body={"error": bound.error})
            return self.machine.step(m.Failed(key))
        body = {"saw": _saw_json(saw), "out": bound.out, "result": self.log.put(bound.result.encode())}
        self.log.append("applied", agent=key.rank, call=str(key), body=body)
        return self.machine.step(m.Applied(key, bound.out))

    async def _redo(self, key: Key, by: Key | None) -> list[m.Effect]:
        bound = self._bound[key]
        try:
            await self._run_tool(key, "redo", {"by": str(by)})
        except ToolError as error:
            bound.error = f"{bound.tool.name}: {_line(error)}"
            return self.machine.step(m.Stranded(key))
        return self.machine.step(m.Redone(key, bound.out))

    async def _run_tool(self, key: Key, kind: str, body: Mapping[str, Any]) -> None:
        """Prepare and run a call; ToolError when it had no effect (put back if it had)."""
        bound, tool = self._bound[key], self._bound[key].tool
        if tool.invertible:
            try:
                bound.undo = await _foreign(tool.prepare, self.resource, bound.args, bound.footprint)
            except Exception as error:  # noqa: BLE001 - a tool is foreign code
                raise ToolError(f"prepare failed: {_line(error)}") from None
            self.log.append("prepared", agent=key.rank, call=str(key), body={"undo": self.log.put(bound.undo)})
        self.log.append(kind, agent=key.rank, call=str(key), body=dict(body), durable=not tool.invertible)
        before = self._seen
        try:
            bound.result = _text(await _foreign(tool.exec, self.resource, bound.args))
            failure = ""
        except Exception as error:  # noqa: BLE001 - a tool is foreign code
            failure = _line(error)
        changed = self.resource.changed_since(before)
        undeclared = changed - bound.footprint.writes
        if undeclared and not failure:
            failure = f"wrote outside its footprint: {', '.join(sorted(undeclared))} [core.footprint-honest]"
        if failure:
            await self._put_back(key, changed)
            raise ToolError(failure)
        self._seen = self.resource.fingerprint()
        bound.out = {o: self.log.put(self.resource.read(o)) for o in sorted(bound.footprint.writes)}

    async def _put_back(self, key: Key, changed: frozenset[str]) -> None:
        """Undo what a failed call left behind: its inverse, then whatever is still not as the machine knows it."""
        bound = self._bound[key]
        if not changed:
            return
        if not bound.tool.invertible:
            where = ", ".join(sorted(changed))
            raise self._halt(
                "core.failed-has-no-effect", f"{bound.tool.name}: call {key} failed after changing {where}"
            )
        try:
            await _foreign(bound.tool.reverse, self.resource, bound.args, bound.undo)
        except Exception as error:  # noqa: BLE001 - a tool is foreign code
            raise self._inverse_failed(key, error) from None
        left = self.resource.changed_since(self._seen)
        values = {o: self.log.get(self.machine.materialized(o)) for o in left}
        self.resource.repair(left, values)
        still = self.resource.changed_since(self._seen)
        if still:
            where = ", ".join(sorted(still))
            raise self._halt("core.inverse-restores", f"{bound.tool.name}: call {key} failed and left {where} changed")
        self._seen = self.resource.fingerprint()

    def _look_for_strangers(self) -> frozenset[str]:
        """Objects that changed since the last look though no tool ran: logged once each, and never overwritten."""
        changed = self.resource.changed_since(self._seen)
        for o in sorted(changed):
            if self.mode == "mtpo":
                body = {
                    "object": o,
                    "expected": self.machine.materialized(o),
                    "found": self.log.put(self.resource.read(o)),
                }
                self.log.append("external", body=body)
        self._foreign |= changed
        self._seen = self.resource.fingerprint()
        return changed

    # -- records -----------------------------------------------------------------------------------------------

    def _log_resolved(self, effect: m.Resolved, by: Key | None) -> None:
        bound = self._bound[effect.call]
        body: dict[str, Any] = {"by": str(by)}
        if effect.status == "redone":
            body |= {
                "saw": _saw_json(effect.saw),
                "out": bound.out,
                "result": self.log.put(bound.result.encode()),
                "changed": effect.changed,
            }
        elif effect.status == "stranded":
            body["error"] = bound.error
        self.log.append(effect.status, agent=effect.call.rank, call=str(effect.call), body=body)

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
        self.log.append("notify", agent=effect.agent, body=body)

    def _put_json(self, value: Any) -> str:
        return self.log.put(json.dumps(value, sort_keys=True, ensure_ascii=False).encode())

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

    async def _plain_write(self, agent: int, bound: _Bound) -> Answer:
        key = self._plain_key(agent)
        self._bound[key] = bound
        self._look_for_strangers()
        self._log_call(key, bound, ())
        saw = self._live(bound.footprint.reads)
        try:
            await self._run_tool(key, "exec", {})
        except ToolError as error:
            bound.error = f"{bound.tool.name}: {_line(error)}"
            self.log.append("failed", agent=agent, call=str(key), body={"error": bound.error})
            return Answer("refused", bound.error, key)
        self.machine.calls[key] = m.CallState(
            bound.footprint.reads, bound.footprint.writes, True, "live", out=bound.out
        )
        for o in bound.footprint.writes:
            self.machine.trajectory.setdefault(o, []).append(key)
        body = {"saw": _saw_json(saw), "out": bound.out, "result": self.log.put(bound.result.encode())}
        self.log.append("applied", agent=agent, call=str(key), body=body)
        return Answer("result", bound.result, key)

    # -- trouble -----------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._halted:
            raise self._halted

    def _inverse_failed(self, key: Key, error: Exception) -> RunHalted:
        tool = self._bound[key].tool.name
        return self._halt("core.inverse-runs", f"{tool}: the inverse of call {key} failed: {_line(error)}")

    def _halt(self, property: str, message: str) -> RunHalted:
        self._halted = RunHalted(property, message)
        self._moved.set()
        return self._halted


def _saw_json(saw: Mapping[str, Sight]) -> dict[str, Any]:
    return {
        o: {"write": None if sight.write is None else str(sight.write), "digest": sight.digest}
        for o, sight in saw.items()
    }


async def _foreign(work: Callable[..., T], *args: Any) -> T:
    """Run a tool's code in a thread. Whatever it raises, an exit or an interrupt too, comes back as an Exception."""

    def guarded() -> T:
        try:
            return work(*args)
        except ToolError:
            raise
        except BaseException as error:  # noqa: BLE001 - a tool is foreign code
            raise ToolError(_line(error)) from None

    return await asyncio.to_thread(guarded)


def _text(result: object) -> str:
    """A tool's result, which must be text that can be written down."""
    if not isinstance(result, str):
        raise ToolError(f"exec returned {type(result).__name__}, not text")
    try:
        result.encode()
    except UnicodeEncodeError:
        raise ToolError("exec returned a text with a lone surrogate") from None
    return result


def _line(error: BaseException) -> str:
    """An error as one line that can be written down."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = text.encode(errors="backslashreplace").decode()
    return text if isinstance(error, ToolError) else f"{type(error).__name__}: {text}"


class SyncSession:
    """A :class:`Session` for code without asyncio: the same calls, blocking, from any thread."""

    def __init__(self, make: Callable[[], Session]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mtpo-session", daemon=True)
        self._thread.start()

        async def build() -> Session:
            return make()

        try:
            self.session = self._run(build())
        except BaseException:
            self._stop()
            raise

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def launch(self, name: str, task: str = "") -> int:
        """See :meth:`Session.launch`."""
        return self._run(self.session.launch(name, task))

    def call(self, agent: int, request: ToolCall) -> Answer:
        """See :meth:`Session.call`."""
        return self._run(self.session.call(agent, request))

    def drain(self, agent: int) -> tuple[Notice, ...]:
        """See :meth:`Session.drain`."""
        return self._run(self.session.drain(agent))

    def finish(self, agent: int) -> Answer:
        """See :meth:`Session.finish`."""
        return self._run(self.session.finish(agent))

    def wait(self, agent: int) -> Literal["committed", "notified"]:
        """See :meth:`Session.wait`."""
        return self._run(self.session.wait(agent))

    def close(self) -> str:
        """See :meth:`Session.close`."""
        try:
            return self._run(self.session.close())
        finally:
            self._stop()
