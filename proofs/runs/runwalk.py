"""The state of the one pass over a run's log, and what its rules share (:mod:`mtpo.proofs.runs.runrules`).

Sources: "CoAgent" (arXiv 2606.15376), "Notified Serializability" (SCCP at VLDB 2026), sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs

from mtpo.proofs.runs.runform import Key, key_of, name_of
from mtpo.proofs.runs.runstate import Agent, Operation, Repair, Trajectories, Version
from mtpo.spec.records import Record
from mtpo_core.problems import Problem

Mode = Literal["mtpo", "naive", "serial"]


@attrs.define
class Walk:
    """The state of the pass. ``skipped`` are kinds that the checker has no rules for; ``time`` is that of the last
    record; ``captured`` the calls whose undo data was captured and whose effect must come next; ``repairs`` the open
    ones by the calls that opened them; ``settled`` the repair whose notifications come now; ``lost`` the place of the
    first record that can't be understood: from there on only the form of records is judged."""

    mode: Mode
    policy: str
    world: Trajectories
    agents: list[Agent] = attrs.Factory(list)
    notices: dict[int, Record] = attrs.Factory(dict)
    problems: list[Problem] = attrs.Factory(list)
    skipped: dict[str, int] = attrs.Factory(dict)
    foreign: set[str] = attrs.Factory(set)
    time: float = 0.0
    captured: set[Key] = attrs.Factory(set)
    lost: int | None = None
    repairs: dict[Key, Repair] = attrs.Factory(dict)
    settled: Repair | None = None
    closed: Record | None = None
    _mistakes: dict[tuple[str, str], int] = attrs.Factory(dict)
    _told: dict[tuple[str, str], int] = attrs.Factory(dict)

    @property
    def complete(self) -> bool:
        """The log has its end, and the run came to its own."""
        return self.closed is not None and self.closed.body["outcome"] == "complete"

    def report(self, property: str, where: Record | str, what: str) -> None:
        """Note a problem; ``where`` is a record or a place."""
        if isinstance(where, Record):
            where = f"record {where.seq} ({where.kind}{f' {where.call}' if where.call else ''})"
        self.problems.append(Problem(property, where, what))

    def misunderstood(self, record: Record, why: str) -> None:
        """Note a record without the documented form: each mistake once for a kind, with how often it was made."""
        self.lost = record.seq if self.lost is None else self.lost
        times = self._mistakes[record.kind, why] = self._mistakes.get((record.kind, why), 0) + 1
        if times == 1:
            self._told[record.kind, why] = len(self.problems)
            self.report("log.body", record, why)
            return
        place = self._told[record.kind, why]
        more = f" (so have {times - 1} more {record.kind} records)" if times > 2 else f" (so has another {record.kind})"
        self.problems[place] = attrs.evolve(self.problems[place], what=why + more)

    def who(self, rank: int) -> str:
        """An agent by name and rank."""
        return f"{self.agents[rank].name} (rank {rank})" if 0 <= rank < len(self.agents) else f"agent {rank}"

    def key(self, record: Record) -> Key:
        """The call of a record that names one."""
        return key_of(record.call or "")

    def agent(self, record: Record) -> Agent:
        """The agent of a record that names one."""
        return self.agents[record.agent or 0]

    def acts(self, record: Record) -> Agent:
        """An agent does something that must follow from all it was told."""
        agent = self.agent(record)
        self.idle(record)
        if agent.committed or agent.finished:
            done = "committed" if agent.committed else "aborted" if agent.aborted else "finished"
            self.report("run.commit-order", record, f"{self.who(agent.rank)} acts though it has {done}")
        if agent.inbox:
            ids = ", ".join(map(str, agent.inbox))
            self.report(
                "run.consumed-before-action", record, f"{self.who(agent.rank)} acts with unread notifications {ids}"
            )
        self.settle_debts(agent, record)
        return agent

    def settle_debts(self, agent: Agent, where: Record | str) -> None:
        """Report what an agent had to be told of its own calls by now."""
        for key, status in agent.owed.items():
            self.report(
                "run.premise-told", where, f"{self.who(agent.rank)} was not told that its {name_of(key)} {status}"
            )
        agent.owed.clear()

    def final(self, rank: int) -> Key | None:
        """The last call of an agent that is in place and has no inverse: nothing up to it can be taken out."""
        keys = (
            k for k, op in self.world.operations.items() if k[0] == rank and op.phase == "live" and not op.invertible
        )
        return max(keys, default=None)

    def issue(self, record: Record, operation: Operation) -> bool:
        """A new call of an agent; False when the id is taken."""
        agent, key = self.acts(record), operation.key
        if key[1] != agent.issued:
            expected = name_of((agent.rank, agent.issued))
            self.report("log.call-order", record, f"the next call of {self.who(agent.rank)} is {expected}")
        if key in self.world.operations:
            return False
        agent.issued = max(agent.issued, key[1] + 1)
        self.world.operations[key] = operation
        return True

    def locked(self, record: Record, objects: Iterable[str]) -> None:
        """Report what a record touches of what an open repair has to itself."""
        touched = set(objects) if self.repairs else set()
        for repair in self.repairs.values():
            self._held(record, repair, touched)

    def unsettled(self, record: Record, seen: Iterable[tuple[Key, str]]) -> None:
        """Report what an open repair has to itself of what is seen at positions above it; below, nothing moves."""
        places = list(seen) if self.repairs else []
        for repair in self.repairs.values():
            self._held(record, repair, {o for key, o in places if repair.acting < key})

    def _held(self, record: Record, repair: Repair, objects: set[str]) -> None:
        for o in sorted(objects & repair.locks):
            what = f"{o} is locked by the repair of call {name_of(repair.acting)}, which is open"
            self.report("run.repair-atomic", record, what)

    def idle(self, record: Record) -> None:
        """Report an agent that goes on while a call of its own is under way."""
        for acting in self.repairs:
            if acting[0] == record.agent:
                self.report("run.repair-atomic", record, f"the repair of its call {name_of(acting)} is still open")

    def unknown(self, record: Record, ids: Iterable[str]) -> None:
        """Report every call id that names no call so far."""
        for text in ids:
            if key_of(text) not in self.world.operations:
                self.report("log.body", record, f"call {text} is no call of this run")


def text_of(version: Version) -> str:
    """A value for a message: the beginning of its digest, and who left it."""
    write, digest = version
    return f"{digest[:8]} by {'nobody (initial)' if write is None else f'call {name_of(write)}'}"
