"""The protocol as a pure state machine: events in, effects out, no I/O.

``step(event)`` updates the machine in place and returns what must happen next, in order (:mod:`mtpo_core.events`). It
refines the spec (:mod:`mtpo.spec.mtpo`): each event is one or several spec steps. Whoever drives it performs each
effect (runs a tool, an inverse, hands a notification to an agent) and reports completion as the next event.

A trajectory T(o) is a stack of call keys in serial order: writes are only ever pushed above everything live and undone
from the top, so nothing is scanned. ``Key`` is (rank, issue number): the serial order.
"""

from __future__ import annotations

import bisect
import copy
import heapq
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from mtpo_core.events import (
    Abort,
    Aborted,
    Accepted,
    Applied,
    Bounced,
    Call,
    Committed,
    Deliver,
    Delivered,
    Effect,
    Event,
    Exec,
    Failed,
    Finish,
    Finished,
    Gated,
    Key,
    Launch,
    Launched,
    MachineError,
    Notify,
    Policy,
    Premise,
    Read,
    Redo,
    Redone,
    Reopened,
    Resolved,
    Result,
    Retract,
    Retracting,
    Served,
    Settled,
    Sight,
    Stranded,
    Undo,
    Undone,
)

__all__ = [
    "Abort",
    "Aborted",
    "Accepted",
    "AgentState",
    "Applied",
    "Bounced",
    "Call",
    "CallState",
    "Committed",
    "Deliver",
    "Delivered",
    "Effect",
    "Event",
    "Exec",
    "Failed",
    "Finish",
    "Finished",
    "Gated",
    "Key",
    "Launch",
    "Launched",
    "Machine",
    "MachineError",
    "Notify",
    "Policy",
    "Premise",
    "Read",
    "Redo",
    "Redone",
    "Reopened",
    "Repair",
    "Resolved",
    "Result",
    "Retract",
    "Retracting",
    "Served",
    "Settled",
    "Sight",
    "Stranded",
    "Undo",
    "Undone",
]

# -- state ---------------------------------------------------------------------------------------------------------


@attrs.define
class CallState:
    """What the machine knows of a call. ``status``: read, acting, live, pending, failed, withdrawn, or forgotten (a
    read of an agent that aborted). ``void``: its author has aborted, and goes by nothing that it saw."""

    reads: frozenset[str]
    writes: frozenset[str]
    invertible: bool
    status: str
    saw: dict[str, str] = attrs.Factory(dict)
    out: dict[str, str] = attrs.Factory(dict)
    note: str | None = None
    """None, or why the author is to be told: stale, changed, cancelled, stranded."""
    void: bool = False

    @property
    def sighted(self) -> bool:
        """The author may reason from what the call saw, also where it was taken back (F33)."""
        return self.status in _SIGHTED and not self.void


_SIGHTED: Final = frozenset({"read", "live", "pending", "failed", "withdrawn"})


@attrs.define
class AgentState:
    """What the machine knows of an agent."""

    issued: int = 0
    finished: bool = False
    committed: bool = False
    aborted: bool = False
    live: list[Key] = attrs.Factory(list)
    """Its live calls, in issue order."""
    noted: set[Key] = attrs.Factory(set)
    unread: list[int] = attrs.Factory(list)


@attrs.define
class Repair:
    """The open repair: ``undoing`` are calls still live (greatest last), ``redoing`` pending ones (least last).

    ``retracting``: it takes the acting call, which is then the first of ``undoing``, out.
    """

    acting: Key
    members: tuple[Key, ...]
    undoing: list[Key]
    landed: bool = False
    redoing: list[Key] = attrs.Factory(list)
    touched: set[str] = attrs.Factory(set)
    retracting: bool = False


class Machine:
    """The protocol's state. ``initial`` maps objects to digests of their initial values; ``absent`` is the others'."""

    def __init__(self, initial: Mapping[str, str], absent: str, policy: Policy = Policy.REPLAY) -> None:
        self.policy = policy
        self.given = dict(initial)
        self.absent = absent
        self.agents: list[AgentState] = []
        self.calls: dict[Key, CallState] = {}
        self.trajectory: dict[str, list[Key]] = {}
        """T(o): live writes in serial order."""
        self.readers: dict[str, list[Key]] = {}
        """Sighted calls that read the object, in serial order."""
        self.repair: Repair | None = None
        self.notifications = 0

    # -- questions ---------------------------------------------------------------------------------------------

    def source(self, object: str, below: Key) -> Sight:
        """M(o, sigma): the greatest live write on the object below a key, and its value."""
        stack = self.trajectory.get(object, ())
        place = bisect.bisect_left(stack, below)
        if not place:
            return Sight(None, self.given.get(object, self.absent))
        write = stack[place - 1]
        return Sight(write, self.calls[write].out[object])

    def next_key(self, agent: int) -> Key:
        """The key that the agent's next call will have."""
        return Key(agent, self._agent(agent).issued)

    def materialized(self, object: str) -> str:
        """The digest that the live object must have."""
        stack = self.trajectory.get(object)
        return self.calls[stack[-1]].out[object] if stack else self.given.get(object, self.absent)

    @property
    def objects(self) -> set[str]:
        """Every object that has been named."""
        return self.given.keys() | self.trajectory.keys()

    @property
    def quiet(self) -> bool:
        """GlobalQuiet: no open repair, every agent finished and with nothing to be told."""
        return self.repair is None and all(a.finished and not a.noted for a in self.agents)

    def _agent(self, rank: int) -> AgentState:
        if not 0 <= rank < len(self.agents):
            raise MachineError("mtpo.call.author-at-work", f"no agent of rank {rank}; {len(self.agents)} launched")
        return self.agents[rank]

    # -- events ------------------------------------------------------------------------------------------------

    def step(self, event: Event) -> list[Effect]:
        """Take one event; returns the effects, in the order in which they must happen."""
        match event:
            case Launch():
                self.agents.append(AgentState())
                return [Launched(len(self.agents) - 1)]
            case Read():
                return self._read(event)
            case Call():
                return self._call(event)
            case Retract():
                return self._retract(event)
            case Abort():
                return self._abort(event)
            case Undone():
                return self._undone(event)
            case Applied() | Failed():
                return self._landed(event)
            case Redone() | Stranded():
                return self._resolved(event)
            case Deliver():
                return self._deliver(event)
            case Finish():
                return self._finish(event)

    def _may_act(self, agent: int, what: str) -> list[Effect]:
        """Empty, or the bounce of a call whose author has something unread."""
        state = self._agent(agent)
        if self.repair is not None:
            raise self._one_repair(f"{what} by rank {agent}")
        if state.noted:
            return [Bounced(agent, tuple(state.unread))]
        if state.finished:
            raise MachineError(f"mtpo.{what}.author-at-work", f"{what} by rank {agent}, which has finished")
        return []

    def _one_repair(self, what: str) -> MachineError:
        """One repair at a time locks more than the spec asks for, and is the simplest way to keep what it asks for. The
        price: lower ranks wait for the repair of a higher one, too, for which the spec lets them not wait (F29)."""
        acting = None if self.repair is None else self.repair.acting
        return MachineError("mtpo.repair-atomic", f"{what} while the repair of call {acting} is open")

    def _issue(self, agent: int, state: CallState) -> Key:
        key = self.next_key(agent)
        self.agents[agent].issued += 1
        self.calls[key] = state
        return key

    def _read(self, event: Read) -> list[Effect]:
        refused = self._may_act(event.agent, "read")
        if refused:
            return refused
        objects = frozenset(event.objects)
        key = self._issue(event.agent, CallState(objects, frozenset(), True, "read"))
        saw = self._sights(key)
        filtered = any((stack := self.trajectory.get(o)) and stack[-1] > key for o in objects)
        return [Served(key, saw, bool(filtered))]

    def _sights(self, key: Key) -> dict[str, Sight]:
        """What the call sees at its position; remembered as its premises."""
        call = self.calls[key]
        saw = {o: self.source(o, key) for o in sorted(call.reads)}
        call.saw = {o: sight.digest for o, sight in saw.items()}
        for o in call.reads:
            row = self.readers.setdefault(o, [])
            place = bisect.bisect_left(row, key)
            if place == len(row) or row[place] != key:
                row.insert(place, key)
        return saw

    def _call(self, event: Call) -> list[Effect]:
        refused = self._may_act(event.agent, "call")
        if refused:
            return refused
        if not event.invertible:
            waits = tuple(b for b in range(event.agent) if not self.agents[b].committed)
            if waits:
                return [Gated(event.agent, waits)]
        key = self._issue(event.agent, CallState(event.reads, event.writes, event.invertible, "acting"))
        members = self._closed_set(key)
        self.repair = Repair(key, members, list(members), touched=set(event.writes))
        return [Accepted(key, members), *self._next()]

    def _retract(self, event: Retract) -> list[Effect]:
        refused = self._may_act(event.call.rank, "retract")
        if refused:
            return refused
        call = self.calls.get(event.call)
        if call is None or call.status != "live":
            stands = "no such call" if call is None else f"it is {call.status}"
            raise MachineError("mtpo.retract.live", f"retract {event.call}: not in effect ({stands})")
        final = self._final(event.call.rank)
        if final is not None and event.call <= final:
            raise MachineError(
                "mtpo.retract.not-kept", f"retract {event.call}: {final} has no inverse and was made after it, or is it"
            )
        return self._take_out(event.call)

    def _final(self, rank: int) -> Key | None:
        """The last live call of an agent that has no inverse: what it did up to then is final."""
        return max((k for k in self.agents[rank].live if not self.calls[k].invertible), default=None)

    def _take_out(self, key: Key) -> list[Effect]:
        members = self._closed_set(key, retracting=True)
        self.repair = Repair(key, members, [key, *members], retracting=True)
        return [Retracting(key, members), *self._next()]

    def _abort(self, event: Abort) -> list[Effect]:
        agent = self._agent(event.agent)
        if self.repair is not None:
            raise self._one_repair(f"abort of rank {event.agent}")
        if agent.committed or agent.aborted:
            done = "committed" if agent.committed else "aborted already"
            raise MachineError("mtpo.abort.not-over", f"abort of rank {event.agent}, which has {done}")
        agent.aborted = agent.finished = True
        agent.noted.clear()
        agent.unread.clear()
        for seq in range(agent.issued):
            key = Key(event.agent, seq)
            call = self.calls[key]
            call.note = None
            if call.status in ("read", "failed", "withdrawn"):
                call.status = "forgotten" if call.status == "read" else "withdrawn"
                self._forget(key)
        return [Aborted(event.agent), *self._go_on()]

    def _go_on(self) -> list[Effect]:
        """Without an open repair: the next call of an aborted agent that is to be retracted, else who can commit.

        So an abort is over before anything else happens, and nothing that is left of the agent can have to be told.
        """
        for rank, agent in enumerate(self.agents):
            if agent.aborted and not agent.committed and agent.live:
                final = self._final(rank)
                if final is None or agent.live[-1] > final:
                    return self._take_out(agent.live[-1])
        return self._commits()

    def _closed_set(self, key: Key, retracting: bool = False) -> tuple[Key, ...]:
        """The live calls above that conflict with the call, closed under the conflicts that its policy needs; above one
        to be retracted, which reads nothing any more, only those that it feeds."""
        call, found, work = self.calls[key], set[Key](), list[Key]()

        def above(m: Key, objects: Iterable[str], rows: Mapping[str, list[Key]]) -> None:
            for o in objects:
                row = rows.get(o, ())
                for w in row[bisect.bisect_right(row, m) :]:
                    if w not in found and self.calls[w].status == "live":
                        found.add(w)
                        heapq.heappush(work, w)

        above(key, call.writes, self.trajectory)
        above(key, call.writes, self.readers)
        if not retracting:
            above(key, call.reads, self.trajectory)
        while work:
            m = heapq.heappop(work)
            member = self.calls[m]
            above(m, member.writes, self.trajectory)
            above(m, member.writes, self.readers)
            if self.policy is Policy.REPLAY:
                above(m, member.reads, self.trajectory)
        return tuple(sorted(found))

    def _next(self) -> list[Effect]:
        """The next piece of the open repair."""
        repair = self._open("settle")
        if not repair.landed:
            if repair.undoing:
                return [Undo(repair.undoing[-1])]
            return [Exec(repair.acting, self._looks(repair.acting))]
        if repair.redoing:
            w = repair.redoing[-1]
            if self.policy is Policy.REPLAY:
                return [Redo(w, self._looks(w))]
            repair.redoing.pop()
            return [self._withdraw(w, "cancelled"), *self._next()]
        return self._settle(repair)

    def _looks(self, key: Key) -> dict[str, Sight]:
        return {o: self.source(o, key) for o in sorted(self.calls[key].reads)}

    def _open(self, what: str) -> Repair:
        if self.repair is None:
            raise MachineError(f"mtpo.{what}.its-turn", f"{what}: no repair is open")
        return self.repair

    def _undone(self, event: Undone) -> list[Effect]:
        repair = self._open("undone")
        if repair.landed or not repair.undoing or repair.undoing[-1] != event.call:
            raise MachineError("mtpo.undone.live-member", f"undone {event.call}: not the call to undo now")
        call = self.calls[event.call]
        for o in call.writes:
            if self.trajectory[o][-1] != event.call:
                raise MachineError(
                    "mtpo.undone.top-only", f"undone {event.call}: {self.trajectory[o][-1]} is above it on {o}"
                )
            self.trajectory[o].pop()
        self.agents[event.call.rank].live.remove(event.call)
        repair.undoing.pop()
        repair.touched |= call.writes
        if repair.retracting and event.call == repair.acting:
            call.status, repair.landed = "withdrawn", True
            self._if_aborted(event.call)
        else:
            call.status = "pending"
            repair.redoing.append(event.call)
        return self._next()

    def _if_aborted(self, key: Key) -> None:
        """Of a call that is out: an author that acts still goes by what the call saw, one that has aborted does not."""
        if self.agents[key.rank].aborted:
            self._forget(key)

    def _forget(self, key: Key) -> None:
        """The author does not reason from what the call saw any more."""
        self.calls[key].void = True
        for o in self.calls[key].reads:
            self.readers[o].remove(key)

    def _push(self, key: Key, out: Mapping[str, str], what: str) -> dict[str, Sight]:
        call = self.calls[key]
        if out.keys() != call.writes:
            odd = ", ".join(sorted(out.keys() ^ call.writes))
            raise MachineError(f"mtpo.{what}.footprint", f"{what} {key}: values missing or undeclared for {odd}")
        saw = self._sights(key)
        call.out, call.status = dict(out), "live"
        for o in call.writes:
            stack = self.trajectory.setdefault(o, [])
            if stack and stack[-1] > key:
                raise MachineError("mtpo.in-place", f"{what} {key}: {stack[-1]} is above it on {o}")
            stack.append(key)
        bisect.insort(self.agents[key.rank].live, key)
        return saw

    def _landed(self, event: Applied | Failed) -> list[Effect]:
        what = "applied" if isinstance(event, Applied) else "failed"
        repair = self._open(what)
        if repair.landed or repair.undoing or repair.retracting or repair.acting != event.call:
            raise MachineError(f"mtpo.{what}.its-turn", f"{what} {event.call}: not the call to run now")
        if isinstance(event, Applied):
            self._push(event.call, event.out, what)
        else:
            # What made it fail is a premise of its author.
            self._sights(event.call)
            self.calls[event.call].status = "failed"
        repair.landed = True
        return self._next()

    def _resolved(self, event: Redone | Stranded) -> list[Effect]:
        what = "redone" if isinstance(event, Redone) else "stranded"
        repair = self._open(what)
        if (
            not repair.landed
            or self.policy is not Policy.REPLAY
            or not repair.redoing
            or repair.redoing[-1] != event.call
        ):
            raise MachineError(f"mtpo.{what}.ascending", f"{what} {event.call}: not the call to re-apply now")
        if isinstance(event, Stranded):
            repair.redoing.pop()
            return [self._withdraw(event.call, "stranded"), *self._next()]
        call = self.calls[event.call]
        saw, out = call.saw, call.out
        sights = self._push(event.call, event.out, what)
        repair.redoing.pop()
        changed = call.saw != saw or call.out != out
        if changed:
            self._note(event.call, "changed")
        return [Resolved(event.call, "redone", sights, changed), *self._next()]

    def _withdraw(self, key: Key, status: str) -> Resolved:
        self.calls[key].status = "withdrawn"
        self._if_aborted(key)
        self._note(key, status)
        return Resolved(key, status, {}, True)

    def _note(self, key: Key, why: str) -> None:
        call = self.calls[key]
        if call.note is None or why != "stale":
            call.note = why
        self.agents[key.rank].noted.add(key)

    def _settle(self, repair: Repair) -> list[Effect]:
        self.repair = None
        for o in repair.touched:
            row = self.readers.get(o, [])
            for p in row[bisect.bisect_right(row, repair.acting) :]:
                if self.calls[p].saw[o] != self.source(o, p).digest:
                    self._note(p, "stale")
        affected: dict[int, list[Key]] = {}
        # Who retracts a call is told of those that it made after it; else the author has nothing above the call.
        for rank in range(repair.acting.rank, len(self.agents)):
            keys = sorted(self.agents[rank].noted)
            if keys and any(self._concerns(k, repair) for k in keys):
                affected[rank] = [k for k in keys if self._concerns(k, repair)]
        stale = tuple(k for keys in affected.values() for k in keys)
        effects: list[Effect] = [Settled(repair.acting, stale)]
        for rank, keys in affected.items():
            self.notifications += 1
            self.agents[rank].unread.append(self.notifications)
            premises, results = self._news(keys)
            effects.append(Notify(rank, self.notifications, repair.acting, premises, results))
        return [*effects, *self._go_on()]

    def _concerns(self, key: Key, repair: Repair) -> bool:
        return key in repair.members or not self.calls[key].reads.isdisjoint(repair.touched)

    def _news(self, keys: Iterable[Key]) -> tuple[tuple[Premise, ...], tuple[Result, ...]]:
        premises, results = list[Premise](), list[Result]()
        for key in keys:
            call = self.calls[key]
            if call.sighted:
                for o in sorted(call.reads):
                    now = self.source(o, key)
                    if now.digest != call.saw[o]:
                        premises.append(Premise(key, o, call.saw[o], now))
            if call.note is not None and call.note != "stale":
                results.append(Result(key, call.note))
        return tuple(premises), tuple(results)

    def _deliver(self, event: Deliver) -> list[Effect]:
        agent = self._agent(event.agent)
        if self.repair is not None:
            raise self._one_repair(f"deliver to rank {event.agent}")
        if not agent.noted:
            return []
        effects: list[Effect] = []
        if agent.finished:
            agent.finished = False
            effects.append(Reopened(event.agent))
        premises, results = self._news(sorted(agent.noted))
        effects.append(Delivered(event.agent, tuple(agent.unread), premises, results))
        for key in agent.noted:
            self.calls[key].note = None
        # The spec refreshes every premise of the agent; those without a note are fresh already.
        for premise in premises:
            self.calls[premise.call].saw[premise.object] = premise.now.digest
        agent.noted.clear()
        agent.unread.clear()
        return effects

    def _finish(self, event: Finish) -> list[Effect]:
        refused = self._may_act(event.agent, "finish")
        if refused:
            return refused
        self.agents[event.agent].finished = True
        return [Finished(event.agent), *self._go_on()]

    def _commits(self) -> list[Effect]:
        """Whoever can commit does, in rank order."""
        effects: list[Effect] = []
        for rank, agent in enumerate(self.agents):
            if agent.committed:
                continue
            if not agent.finished or agent.noted or self.repair is not None:
                break
            agent.committed = True
            effects.append(Committed(rank))
        return effects

    # -- exploration -------------------------------------------------------------------------------------------

    def snapshot(self) -> Machine:
        """An independent copy."""
        other = copy.copy(self)
        other.agents = [
            attrs.evolve(a, live=list(a.live), noted=set(a.noted), unread=list(a.unread)) for a in self.agents
        ]
        other.calls = {k: attrs.evolve(c, saw=dict(c.saw), out=dict(c.out)) for k, c in self.calls.items()}
        other.trajectory = {o: list(row) for o, row in self.trajectory.items()}
        other.readers = {o: list(row) for o, row in self.readers.items()}
        if (r := self.repair) is not None:
            other.repair = attrs.evolve(r, undoing=list(r.undoing), redoing=list(r.redoing), touched=set(r.touched))
        return other

    def restore(self, snapshot: Machine) -> None:
        """Go back to a snapshot."""
        self.__dict__.update(snapshot.snapshot().__dict__)
