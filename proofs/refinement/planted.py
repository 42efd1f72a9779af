"""Machines with a planted bug: what must notice that the machine refines the spec no longer.

Each is the machine with one thing wrong, as its docstring says, the properties by which that is caught, and the rule of
the protocol (:mod:`mtpo.spec.rules`) that it breaks. Every rule that the core implements has one at least.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from mtpo_core import machine as m
from mtpo_core.machine import Key, Machine, Sight


class NoReadWriteEdges(Machine):
    """The set to undo leaves out calls that only read what is written."""

    def _closed_set(self, key: Key, retracting: bool = False) -> tuple[Key, ...]:
        readers, self.readers = self.readers, {}
        try:
            return super()._closed_set(key, retracting)
        finally:
            self.readers = readers


class NotClosed(Machine):
    """Only what conflicts with the late call itself is undone."""

    def _closed_set(self, key: Key, retracting: bool = False) -> tuple[Key, ...]:
        call = self.calls[key]
        meets = {
            w
            for w, other in self.calls.items()
            if w > key
            and other.status == "live"
            and (call.writes & (other.reads | other.writes) or call.reads & other.writes)
        }
        return tuple(sorted(meets))


class UndoesEverythingAbove(Machine):
    """The set to undo is every live call above: closed, and too large."""

    def _closed_set(self, key: Key, retracting: bool = False) -> tuple[Key, ...]:
        return tuple(sorted(w for w, call in self.calls.items() if w > key and call.status == "live"))


class RedoNotTold(Machine):
    """A call that was redone with another outcome is not told."""

    def _note(self, key: Key, why: str) -> None:
        if why != "changed":
            super()._note(key, why)


class AlwaysTold(Machine):
    """Every call that was redone is told, changed or not."""

    def _resolved(self, event: m.Redone | m.Stranded) -> list[m.Effect]:
        self._note(event.call, "changed")
        return super()._resolved(event)


class WithdrawalNotTold(Machine):
    """A call that was withdrawn is not told."""

    def _note(self, key: Key, why: str) -> None:
        if why not in ("cancelled", "stranded"):
            super()._note(key, why)


class UndoesFromBelow(Machine):
    """The inverses run in serial order."""

    def _call(self, event: m.Call) -> list[m.Effect]:
        effects = super()._call(event)
        if self.repair is not None and self.repair.undoing:
            self.repair.undoing.sort(reverse=True)
            return [*effects[:1], *self._next()]
        return effects


class RedoesFromAbove(Machine):
    """Undone calls are redone in the order in which they were undone."""

    def _landed(self, event: m.Applied | m.Failed) -> list[m.Effect]:
        if self.repair is not None:
            self.repair.redoing.sort()
        return super()._landed(event)


class ForgetsToRedo(Machine):
    """The call that was undone last is never redone."""

    def _landed(self, event: m.Applied | m.Failed) -> list[m.Effect]:
        if self.repair is not None and self.repair.redoing:
            self.repair.redoing.pop()
        return super()._landed(event)


class CommitsOutOfOrder(Machine):
    """Whoever is finished commits, whatever the lower ranks do."""

    def _commits(self) -> list[m.Effect]:
        effects: list[m.Effect] = []
        for rank, agent in enumerate(self.agents):
            if agent.finished and not agent.noted and not agent.committed:
                agent.committed = True
                effects.append(m.Committed(rank))
        return effects


class CommitsOneAtATime(Machine):
    """The ranks that wait for the one that commits are left waiting."""

    def _commits(self) -> list[m.Effect]:
        effects = super()._commits()
        for effect in effects[1:]:
            assert isinstance(effect, m.Committed)
            self.agents[effect.agent].committed = False
        return effects[:1]


class NoGate(Machine):
    """A call without an inverse does not wait."""

    def _call(self, event: m.Call) -> list[m.Effect]:
        return super()._call(attrs.evolve(event, invertible=True))


class GateLooksOneRankDown(Machine):
    """A call without an inverse waits for the next lower rank only to finish, not to commit."""

    def _call(self, event: m.Call) -> list[m.Effect]:
        lower = self.agents[: event.agent]
        open_gate = all(agent.finished for agent in lower)
        return super()._call(attrs.evolve(event, invertible=event.invertible or open_gate))


class StaleNotJudged(Machine):
    """Readers whose premise changed are not told."""

    def _note(self, key: Key, why: str) -> None:
        if why != "stale":
            super()._note(key, why)


class StaleByWriteNotValue(Machine):
    """Readers are told when an object was written, though it holds the value that they saw."""

    def _settle(self, repair: m.Repair) -> list[m.Effect]:
        for o in repair.touched:
            for p in self.readers.get(o, ()):
                if p > repair.acting and p not in repair.members:
                    self._note(p, "stale")
        return super()._settle(repair)


class LooksAtActingWritesOnly(Machine):
    """When a repair closes, premises on what only its members wrote are not judged."""

    def _settle(self, repair: m.Repair) -> list[m.Effect]:
        repair.touched = set(self.calls[repair.acting].writes)
        return super()._settle(repair)


class DeliveryRefreshesNothing(Machine):
    """A delivery leaves the premises as they were."""

    def _deliver(self, event: m.Deliver) -> list[m.Effect]:
        saw = {key: dict(call.saw) for key, call in self.calls.items()}
        effects = super()._deliver(event)
        for key, call in self.calls.items():
            call.saw = saw[key]
        return effects


class DeliversAgain(Machine):
    """A delivery does not use the notices up."""

    def _deliver(self, event: m.Deliver) -> list[m.Effect]:
        unread = list(self.agents[event.agent].unread)
        effects = super()._deliver(event)
        self.agents[event.agent].unread = unread
        return effects


class NoBounce(Machine):
    """A call that was inferred without a notification runs."""

    def _may_act(self, agent: int, what: str) -> list[m.Effect]:
        return [effect for effect in super()._may_act(agent, what) if not isinstance(effect, m.Bounced)]


class FinishesUntold(Machine):
    """An agent may finish with notifications unread."""

    def _finish(self, event: m.Finish) -> list[m.Effect]:
        agent = self.agents[event.agent]
        noted, agent.noted = agent.noted, set()
        try:
            return super()._finish(event)
        finally:
            agent.noted = noted


class DeliversToTheFinished(Machine):
    """A finished agent is told and stays finished."""

    def _deliver(self, event: m.Deliver) -> list[m.Effect]:
        finished = self.agents[event.agent].finished
        effects = super()._deliver(event)
        self.agents[event.agent].finished = finished
        return [effect for effect in effects if not isinstance(effect, m.Reopened)]


class ReadsWhatIsLive(Machine):
    """Reads are not filtered: a lower rank sees what a higher one wrote."""

    def source(self, object: str, below: Key) -> Sight:
        return super().source(object, Key(len(self.agents), 0))


class FailureIsNoPremise(Machine):
    """What made a call fail is not remembered."""

    def _landed(self, event: m.Applied | m.Failed) -> list[m.Effect]:
        effects = super()._landed(event)
        if isinstance(event, m.Failed):
            self._forget(event.call)
        return effects


class WithdrawnIsForgotten(Machine):
    """What a withdrawn call had read is no premise any more."""

    def _withdraw(self, key: Key, status: str) -> m.Resolved:
        resolved = super()._withdraw(key, status)
        if not self.calls[key].void:
            self._forget(key)
        return resolved


class RetractedIsForgotten(Machine):
    """What a call that its author took out had read is no premise any more."""

    def _undone(self, event: m.Undone) -> list[m.Effect]:
        effects = super()._undone(event)
        if self.calls[event.call].status == "withdrawn" and not self.calls[event.call].void:
            self._forget(event.call)
        return effects


class RedoKeepsOldSights(Machine):
    """A redo leaves the premises of the call as they were."""

    def _resolved(self, event: m.Redone | m.Stranded) -> list[m.Effect]:
        saw = dict(self.calls[event.call].saw)
        effects = super()._resolved(event)
        self.calls[event.call].saw = saw
        return effects


class ActsDuringRepair(Machine):
    """Calls are taken while a repair is open."""

    def _read(self, event: m.Read) -> list[m.Effect]:
        repair, self.repair = self.repair, None
        try:
            return super()._read(event)
        finally:
            self.repair = repair


class RetractsWhatIsFinal(Machine):
    """A call is retracted though its author made one without an inverse after it."""

    def _final(self, rank: int) -> Key | None:
        return None


class RetractionUndoesTooMuch(Machine):
    """What is undone for a retraction is what would be undone for the call."""

    def _closed_set(self, key: Key, retracting: bool = False) -> tuple[Key, ...]:
        return super()._closed_set(key)


class RetractorNotTold(Machine):
    """Who retracts a call is not told of those that it made after it."""

    def _note(self, key: Key, why: str) -> None:
        if self.repair is None or not self.repair.retracting or key.rank != self.repair.acting.rank:
            super()._note(key, why)


class AbortForgetsNothing(Machine):
    """What an aborted agent had read stays a premise."""

    def _abort(self, event: m.Abort) -> list[m.Effect]:
        kept = {key: call.status for key, call in self.calls.items() if key.rank == event.agent}
        effects = super()._abort(event)
        for key, status in kept.items():
            if status == "read":
                self.calls[key].status, self.calls[key].void = status, False
        return effects


class AbortStopsHalfWay(Machine):
    """Only the last call of an aborted agent is retracted."""

    def _go_on(self) -> list[m.Effect]:
        if any(agent.aborted and call.status == "withdrawn" for agent in self.agents for call in self.calls.values()):
            return self._commits()
        return super()._go_on()


class AbortKeepsItsNotices(Machine):
    """An agent that aborts still has notifications unread."""

    def _abort(self, event: m.Abort) -> list[m.Effect]:
        noted = set(self.agents[event.agent].noted)
        effects = super()._abort(event)
        self.agents[event.agent].noted = noted
        return effects


class CountsCallsOnly(Machine):
    """A read uses up no issue number, so the next call of its author has the same place in the order."""

    def _read(self, event: m.Read) -> list[m.Effect]:
        effects = super()._read(event)
        if any(isinstance(effect, m.Served) for effect in effects):
            self.agents[event.agent].issued -= 1
        return effects


class EntersOneTrajectory(Machine):
    """A write of several objects enters the trajectory of the first one only."""

    def _push(self, key: Key, out: Mapping[str, str], what: str) -> dict[str, Sight]:
        saw = super()._push(key, out, what)
        for o in sorted(out)[1:]:
            self.trajectory[o].remove(key)
        return saw


class ToolsWriteAnything(Machine):
    """What a tool changed is not compared with the footprint that it was registered with."""

    def _push(self, key: Key, out: Mapping[str, str], what: str) -> dict[str, Sight]:
        return super()._push(key, {o: out.get(o, self.absent) for o in self.calls[key].writes}, what)


FAULTY: Final[Mapping[type[Machine], set[str]]] = {
    RetractsWhatIsFinal: {"core.refuses", "mtpo.retract.not-kept"},
    RetractionUndoesTooMuch: {"mtpo.retract.closed"},
    RetractorNotTold: {"core.refines.note"},
    AbortForgetsNothing: {"core.refines.sighted"},
    RetractedIsForgotten: {"core.refines.sighted"},
    AbortStopsHalfWay: {"mtpo.commit.retracted"},
    AbortKeepsItsNotices: {"core.refines.note"},
}
"""Bugs that only a run with aborts and retractions shows."""

BUGS: Final[Mapping[type[Machine], set[str]]] = {
    NoReadWriteEdges: {"mtpo.call.closed"},
    NotClosed: {"mtpo.call.closed"},
    UndoesEverythingAbove: {"mtpo.call.closed"},
    RedoNotTold: {"core.refines.note"},
    AlwaysTold: {"core.refines.note"},
    WithdrawalNotTold: {"core.refines.note"},
    UndoesFromBelow: {"mtpo.undone.top-only"},
    RedoesFromAbove: {"mtpo.redone.ascending", "mtpo.in-place"},
    ForgetsToRedo: {"mtpo.settle.none-pending"},
    CommitsOutOfOrder: {"mtpo.commit.lower-committed"},
    CommitsOneAtATime: {"core.commits-at-once"},
    NoGate: {"mtpo.call.gate"},
    GateLooksOneRankDown: {"mtpo.call.gate"},
    StaleNotJudged: {"core.refines.note"},
    StaleByWriteNotValue: {"core.refines.note"},
    LooksAtActingWritesOnly: {"core.refines.note"},
    DeliveryRefreshesNothing: {"core.refines.saw"},
    DeliversAgain: {"core.notices-once", "mtpo.call.inbox-empty"},
    NoBounce: {"mtpo.call.inbox-empty", "mtpo.read.inbox-empty", "mtpo.finish.inbox-empty"},
    FinishesUntold: {"mtpo.finish.inbox-empty", "mtpo.finish.at-work"},
    DeliversToTheFinished: {"mtpo.deliver.at-work"},
    ReadsWhatIsLive: {"mtpo.read.is-below", "core.refines.source"},
    FailureIsNoPremise: {"core.refines.sighted"},
    WithdrawnIsForgotten: {"core.refines.sighted"},
    RedoKeepsOldSights: {"core.refines.saw"},
    ActsDuringRepair: {"core.refuses"},
    CountsCallsOnly: {"mtpo.call.in-issue-order", "mtpo.read.in-issue-order"},
    EntersOneTrajectory: {"core.refines.top"},
    ToolsWriteAnything: {"core.refuses"},
}
"""Bugs that any run shows, and what catches them."""

BREAKS: Final[Mapping[type[Machine], str]] = {
    CountsCallsOnly: "mtpo:order",
    ReadsWhatIsLive: "mtpo:read",
    EntersOneTrajectory: "mtpo:write",
    NoReadWriteEdges: "mtpo:late",
    UndoesEverythingAbove: "mtpo:late",
    UndoesFromBelow: "mtpo:late",
    WithdrawalNotTold: "mtpo:cancel",
    RedoesFromAbove: "mtpo:replay",
    ForgetsToRedo: "mtpo:replay",
    StaleNotJudged: "mtpo:notify",
    StaleByWriteNotValue: "mtpo:notify",
    LooksAtActingWritesOnly: "mtpo:notify",
    DeliveryRefreshesNothing: "mtpo:notify",
    DeliversAgain: "mtpo:consume",
    NoBounce: "mtpo:consume",
    DeliversToTheFinished: "mtpo:consume",
    RetractionUndoesTooMuch: "mtpo:repair",
    RetractorNotTold: "mtpo:repair",
    CommitsOutOfOrder: "mtpo:commit",
    FinishesUntold: "mtpo:commit",
    CommitsOneAtATime: "mtpo:progress",
    NoGate: "mtpo:gate",
    GateLooksOneRankDown: "mtpo:gate",
    RetractsWhatIsFinal: "mtpo:gate",
    ToolsWriteAnything: "mtpo:registered-tools",
    NotClosed: "mtpo:closure",
    RedoNotTold: "mtpo:redo-changes",
    AlwaysTold: "mtpo:redo-changes",
    RedoKeepsOldSights: "mtpo:redo-changes",
    FailureIsNoPremise: "mtpo:failure",
    WithdrawnIsForgotten: "mtpo:failure",
    RetractedIsForgotten: "mtpo:failure",
    ActsDuringRepair: "mtpo:locks",
    AbortForgetsNothing: "mtpo:abort",
    AbortStopsHalfWay: "mtpo:abort",
    AbortKeepsItsNotices: "mtpo:abort",
}
"""The rule that each bug breaks."""

WITHOUT_BUG: Final[Mapping[str, str]] = {
    "mtpo:claim": "no step of its own: it follows from the rules on reads, notifications and repairs, which have bugs",
    "mtpo:individual-success": "assumed of the agents, which the core does not know",
    "mtpo:failure-exact": (
        "the core has no predicate that could waive what made a call fail: there each change of it is told, and "
        "FailureIsNoPremise is the bug where none is"
    ),
    "mtpo:invariants-of-proof": "for the proof alone: the core does nothing for it",
    "mtpo:names": "objects have no structure in the core: names are reduced to objects before it is told of them",
    "mtpo:waivers": "the core declares no predicate: no event of it has one, and every change is told",
}
"""The rules of the protocol that the core does not implement by anything that could be wrong, with the reason."""
