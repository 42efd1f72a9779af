"""One pass over a run's log: every record is judged by the rules of the protocol as the papers and ``docs/records.md``
state them. Nothing here comes from the code that wrote the log.

Sources: "CoAgent" (arXiv 2606.15376), "Notified Serializability" (SCCP at VLDB 2026), sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

import attrs

from mtpo.proofs.runform import FORMS, Key, fault, key_of, name_of
from mtpo.proofs.runstate import AT_REST, Agent, Operation, Repair, Trajectories, Version
from mtpo.spec.records import Record
from mtpo_core.problems import Problem

Mode = Literal["mtpo", "naive", "serial"]

_ONLY_MTPO: Final = frozenset(
    {
        "undo",
        "undone",
        "redo",
        "redone",
        "cancelled",
        "stranded",
        "settle",
        "notify",
        "deliver",
        "bounce",
        "gate",
        "reopen",
        "commit",
    }
)
_INSIDE_REPAIR: Final = frozenset(
    {
        "undo",
        "undone",
        "prepared",
        "exec",
        "applied",
        "failed",
        "redo",
        "redone",
        "cancelled",
        "stranded",
        "settle",
        "infer",
        "judge",
        "external",
    }
)
_NEW_CALL: Final = frozenset({"read", "call", "gate"})


@attrs.define
class Walk:
    """The state of the pass. ``skipped`` are kinds that the checker has no rules for."""

    mode: Mode
    policy: str
    world: Trajectories
    agents: list[Agent] = attrs.Factory(list)
    notices: dict[int, Record] = attrs.Factory(dict)
    problems: list[Problem] = attrs.Factory(list)
    skipped: dict[str, int] = attrs.Factory(dict)
    foreign: set[str] = attrs.Factory(set)
    repair: Repair | None = None
    closed: Record | None = None

    @property
    def complete(self) -> bool:
        """The log has its end, and the run came to its own."""
        return self.closed is not None and self.closed.body["outcome"] == "complete"

    def report(self, property: str, where: Record | str, what: str) -> None:
        """Note a problem; ``where`` is a record or a place."""
        if isinstance(where, Record):
            where = f"record {where.seq} ({where.kind}{f' {where.call}' if where.call else ''})"
        self.problems.append(Problem(property, where, what))

    def who(self, rank: int) -> str:
        """An agent by name and rank."""
        return f"{self.agents[rank].name} (rank {rank})" if 0 <= rank < len(self.agents) else f"agent {rank}"

    # -- the pass ----------------------------------------------------------------------------------------------

    def take(self, record: Record) -> None:
        """Judge one record, and take over what it says."""
        wrong = fault(record) or self._misplaced(record)
        if wrong:
            self.report("log.body", record, wrong)
            return
        if record.kind not in FORMS:
            self.skipped.setdefault(record.kind, record.seq)
            return
        if self.repair and record.kind not in _INSIDE_REPAIR:
            self.report(
                "run.repair-atomic", record, f"in the middle of the repair of call {name_of(self.repair.acting)}"
            )
        handler = _HANDLERS.get(record.kind)
        if handler:
            handler(self, record)

    def _misplaced(self, record: Record) -> str | None:
        kind, rank, form = record.kind, record.agent, FORMS.get(record.kind)
        if form is None:
            return None
        if kind == "run-open":
            return "the run is opened a second time"
        if self.mode != "mtpo" and kind in _ONLY_MTPO:
            return f"does not occur in mode {self.mode}"
        if form.agent and kind != "launch" and rank is not None and rank >= len(self.agents):
            return f"agent {rank} was not launched"
        if form.call and kind not in _NEW_CALL and self._key(record) not in self.world.operations:
            return "the call was not issued before"
        return None

    def _key(self, record: Record) -> Key:
        return key_of(record.call or "")

    def _agent(self, record: Record) -> Agent:
        return self.agents[record.agent or 0]

    def _launch(self, record: Record) -> None:
        rank = len(self.agents)
        if record.agent != rank:
            self.report("log.launch-order", record, f"launched with rank {record.agent}; the next rank is {rank}")
        self.agents.append(Agent(rank, record.body["name"]))

    def _acts(self, record: Record) -> Agent:
        """An agent does something that must follow from all it was told."""
        agent = self._agent(record)
        if agent.committed or agent.finished:
            done = "committed" if agent.committed else "finished"
            self.report("run.commit-order", record, f"{self.who(agent.rank)} acts though it has {done}")
        if agent.inbox:
            ids = ", ".join(map(str, agent.inbox))
            self.report(
                "run.consumed-before-action", record, f"{self.who(agent.rank)} acts with unread notifications {ids}"
            )
        self.settle_debts(agent, record)
        return agent

    def settle_debts(self, agent: Agent, where: Record | str) -> None:
        for key, status in agent.owed.items():
            self.report(
                "run.premise-told", where, f"{self.who(agent.rank)} was not told that its {name_of(key)} {status}"
            )
        agent.owed.clear()

    def _issue(self, record: Record, operation: Operation) -> bool:
        """A new call of an agent; False when the id is taken."""
        agent, key = self._acts(record), operation.key
        if key[1] != agent.issued:
            expected = name_of((agent.rank, agent.issued))
            self.report("log.call-order", record, f"the next call of {self.who(agent.rank)} is {expected}")
        if key in self.world.operations:
            return False
        agent.issued = max(agent.issued, key[1] + 1)
        self.world.operations[key] = operation
        return True

    # -- reads -------------------------------------------------------------------------------------------------

    def _read(self, record: Record) -> None:
        key, saw = self._key(record), _saw(record)
        operation = Operation(key, record.body["tool"], record.seq, "read", frozenset(saw), saw=saw)
        if not self._issue(record, operation):
            return
        self._check_saw(record, key, saw)
        operation.held = {o: digest for o, (_, digest) in saw.items()}
        screened = self.mode == "mtpo" and any(self.world.above(key, o) for o in saw)
        if record.body["filtered"] != screened:
            what = "a higher-ranked write was live" if screened else "no higher-ranked write was live"
            self.report("run.filtered-read", record, f"filtered is {record.body['filtered']}, but {what}")

    def _check_saw(self, record: Record, key: Key, saw: Mapping[str, Version]) -> None:
        for o, version in saw.items():
            right = self.world.top(o) if self.mode == "naive" else self.world.below(key, o)
            if version != right:
                rule = "the live value" if self.mode == "naive" else "the greatest live write below it"
                what = f"saw {o} as {_text(version)}; {rule} is {_text(right)}"
                self.report("run.filtered-read", record, what)

    # -- writes ------------------------------------------------------------------------------------------------

    def _call(self, record: Record) -> None:
        body, key = record.body, self._key(record)
        operation = Operation(
            key,
            body["tool"],
            record.seq,
            "called",
            frozenset(body["reads"]),
            frozenset(body["writes"]),
            body["invertible"],
        )
        if not self._issue(record, operation):
            return
        members = frozenset(map(key_of, body["members"]))
        if self.mode != "mtpo":
            if members:
                self.report("log.body", record, f"a call has no members in mode {self.mode}")
            return
        for m in sorted(members):
            known = self.world.operations.get(m)
            if known is None:
                self.report("log.body", record, f"member {name_of(m)} is no call of this run")
            elif known.phase != "live" or m < key:
                self.report("run.order-respected", record, f"member {name_of(m)} is not a live write above the call")
        self.repair = Repair(key, members & self.world.operations.keys())

    def _in_repair(self, record: Record, *, member: bool) -> Repair | None:
        """The open repair, which the record must be part of."""
        repair, key = self.repair, self._key(record)
        by = key_of(record.body["by"]) if "by" in record.body else key
        if repair is None:
            self.report("run.repair-atomic", record, "no repair is open")
        elif member and by != repair.acting:
            self.report("run.repair-atomic", record, f"the open repair is that of call {name_of(repair.acting)}")
        elif member and key not in repair.members:
            self.report("run.order-respected", record, f"not a member of what call {name_of(repair.acting)} undoes")
        elif not member and key != repair.acting:
            self.report("run.repair-atomic", record, f"the call under way is {name_of(repair.acting)}")
        return repair

    def _phase(self, record: Record, *wanted: str) -> Operation:
        operation = self.world.operations[self._key(record)]
        if operation.phase not in wanted:
            self.report("run.phases", record, f"the call is {operation.phase}, not {' or '.join(wanted)}")
        return operation

    def _prepared(self, record: Record) -> None:
        self._phase(record, "called", "undone").prepared = True

    def _needs_undo_data(self, record: Record, operation: Operation) -> None:
        if operation.invertible and not operation.prepared:
            self.report("run.phases", record, "what undo needs was not captured before the effect")

    def _room(self, record: Record, operation: Operation) -> None:
        """Nothing above a call that conflicts with it may be live when it acts: it reads and writes the live state."""
        if self.mode == "naive":
            return
        for o in sorted(operation.reads | operation.writes):
            higher = self.world.above(operation.key, o)
            if higher is not None:
                self.report(
                    "run.order-respected", record, f"acts on {o} while the later write {name_of(higher)} is live"
                )

    def _all_undone(self, record: Record) -> None:
        repair = self._in_repair(record, member=False) if self.mode == "mtpo" else None
        if repair is not None:
            for m in sorted(repair.members - repair.undone):
                self.report("run.order-respected", record, f"member {name_of(m)} was not undone before")

    def _exec(self, record: Record) -> None:
        operation = self._phase(record, "called")
        self._needs_undo_data(record, operation)
        self._all_undone(record)
        self._room(record, operation)
        if self.mode == "mtpo" and not operation.invertible:
            waiting = [self.who(a.rank) for a in self.agents[: operation.key[0]] if not a.committed]
            if waiting:
                self.report("run.gate", record, f"has no inverse and ran before {', '.join(waiting)} had committed")
        operation.phase = "executing"

    def _land(self) -> None:
        if self.repair is not None:
            self.repair.landed = True

    def _effect(self, record: Record, operation: Operation) -> None:
        """The effect of a call, first or redone."""
        saw, out = _saw(record), dict(record.body["out"])
        if out.keys() != operation.writes:
            odd = ", ".join(sorted(out.keys() ^ operation.writes))
            self.report("log.body", record, f"out does not name exactly what the call writes: {odd}")
        if not operation.reads <= saw.keys() <= operation.reads | operation.writes:
            self.report("log.body", record, "saw does not name what the call reads")
        self._check_saw(record, operation.key, saw)
        operation.saw, operation.out, operation.phase = saw, out, "live"
        operation.held = {o: digest for o, (_, digest) in saw.items()}
        self.world.push(operation.key)

    def _applied(self, record: Record) -> None:
        operation = self._phase(record, "executing")
        self._effect(record, operation)
        self._land()

    def _failed(self, record: Record) -> None:
        operation = self._phase(record, "called", "executing")
        if operation.phase == "called":
            self._all_undone(record)
        operation.phase = "failed"
        for o in operation.reads:  # the log does not say what a failed call read: it is what was live then
            operation.saw[o] = self.world.top(o)
            operation.held[o] = operation.saw[o][1]
        self._land()

    # -- repairs -----------------------------------------------------------------------------------------------

    def _undo(self, record: Record) -> None:
        operation = self._phase(record, "live")
        self._in_repair(record, member=True)
        if not operation.invertible:
            self.report("run.gate", record, "a call without an inverse is undone")
        operation.phase = "undoing"

    def _undone(self, record: Record) -> None:
        operation = self._phase(record, "undoing")
        repair = self._in_repair(record, member=True)
        for o in self.world.drop(operation.key):
            top = self.world.top(o)[0]
            self.report("run.order-respected", record, f"undone below {name_of(top) if top else 'nothing'} on {o}")
        restored = record.body["restored"]
        if restored.keys() != operation.writes:
            self.report("log.body", record, "restored does not name exactly what the call writes")
        for o in sorted(restored.keys() & operation.writes):
            right = self.world.top(o)
            if restored[o] != right[1]:
                self.report("run.undo-restores", record, f"{o} holds {restored[o][:8]}, not {_text(right)}")
        operation.phase, operation.prepared = "undone", False
        if repair is not None:
            repair.undone.add(operation.key)

    def _redo(self, record: Record) -> None:
        operation = self._phase(record, "undone")
        repair = self._in_repair(record, member=True)
        if repair is not None and not repair.landed:
            self.report("run.order-respected", record, f"redone before call {name_of(repair.acting)} took its place")
        self._needs_undo_data(record, operation)
        self._room(record, operation)
        operation.phase = "redoing"

    def _redone(self, record: Record) -> None:
        operation = self._phase(record, "redoing")
        self._in_repair(record, member=True)
        if self.policy != "replay":
            self.report("run.no-lost-call", record, f"re-applied, though the policy is {self.policy}")
        before = (operation.out, operation.held)
        self._effect(record, operation)
        if before != (operation.out, operation.held):
            if not record.body["changed"]:
                self.report("run.premise-told", record, "read or left another value than before; changed is false")
            self._agent(record).owed[operation.key] = "changed"

    def _withdrawn(self, record: Record) -> None:
        kind: Literal["cancelled", "stranded"] = "cancelled" if record.kind == "cancelled" else "stranded"
        operation = self._phase(record, *(("undone",) if kind == "cancelled" else ("undone", "redoing")))
        repair = self._in_repair(record, member=True)
        if repair is not None and not repair.landed:
            self.report("run.no-lost-call", record, f"withdrawn before call {name_of(repair.acting)} took its place")
        if kind == "cancelled" and self.policy != "cancel":
            self.report("run.no-lost-call", record, f"withdrawn, though the policy is {self.policy}")
        operation.phase = kind
        operation.held.clear()
        self._agent(record).owed[operation.key] = kind

    def _settle(self, record: Record) -> None:
        repair = self._in_repair(record, member=False)
        self._unknown(record, record.body["stale"])
        if repair is None:
            return
        if not repair.landed:
            self.report("run.repair-atomic", record, "settled before the call was applied or had failed")
        for m in sorted(repair.members):
            phase = self.world.operations[m].phase
            if phase not in AT_REST:
                self.report("run.no-lost-call", record, f"settled while call {name_of(m)} is {phase}")
        self.repair = None

    def _unknown(self, record: Record, ids: Iterable[str]) -> None:
        for text in ids:
            if key_of(text) not in self.world.operations:
                self.report("log.body", record, f"call {text} is no call of this run")

    # -- notifications -----------------------------------------------------------------------------------------

    def _notify(self, record: Record) -> None:
        body, agent = record.body, self._agent(record)
        self._unknown(record, [body["by"]])
        if body["id"] in self.notices:
            self.report("log.body", record, f"notification {body['id']} exists already")
            return
        if key_of(body["by"])[0] >= agent.rank:
            self.report(
                "run.one-way", record, f"{self.who(agent.rank)} is told of call {body['by']}, which is not below it"
            )
        for premise in body["premises"]:
            self._check_premise(record, agent, premise)
        for result in body["results"]:
            key = key_of(result["call"])
            if key[0] != agent.rank or key not in self.world.operations:
                self.report("log.body", record, f"call {result['call']} is no call of {self.who(agent.rank)}")
            elif agent.owed.get(key) == result["status"]:
                del agent.owed[key]
        self.notices[body["id"]] = record
        agent.inbox.append(body["id"])

    def _check_premise(self, record: Record, agent: Agent, premise: Mapping[str, str]) -> None:
        key, o = key_of(premise["call"]), premise["object"]
        operation = self.world.operations.get(key)
        if operation is None or key[0] != agent.rank or o not in operation.saw:
            self.report("log.body", record, f"call {premise['call']} of {self.who(agent.rank)} read no {o}")
            return
        right = self.world.below(key, o)
        told = (key_of(premise["write"]) if premise["write"] else None, premise["now"])
        if told != right:
            what = f"{self.who(agent.rank)} is told that {o} is {_text(told)}; at {name_of(key)} it is {_text(right)}"
            self.report("run.premise-told", record, what)
        if operation.held.get(o, premise["was"]) != premise["was"]:
            what = f"says that {name_of(key)} had {o} as {premise['was'][:8]}, it had {operation.held[o][:8]}"
            self.report("run.premise-told", record, what)

    def _deliver(self, record: Record) -> None:
        agent, ids = self._agent(record), record.body["ids"]
        if agent.finished:
            self.report("run.commit-order", record, f"{self.who(agent.rank)} consumes though it has finished")
        if ids != agent.inbox[: len(ids)]:
            expected = ", ".join(map(str, agent.inbox)) or "none"
            self.report("run.consumed-before-action", record, f"consumed {ids} out of order; unread: {expected}")
        told: dict[tuple[Key, str], str] = {}
        for number in ids:
            if number in agent.inbox:
                agent.inbox.remove(number)
                agent.delivered.add(number)
                for premise in self.notices[number].body["premises"]:
                    told[key_of(premise["call"]), premise["object"]] = premise["now"]
        for (key, o), now in told.items():
            operation = self.world.operations.get(key)
            # A value that went back to what the author had is no news: its notifications cancel out.
            if operation is not None and o in operation.held and operation.held[o] != self.world.below(key, o)[1]:
                operation.held[o] = now

    def _bounce(self, record: Record) -> None:
        agent = self._agent(record)
        if record.body["ids"] != agent.inbox:
            self.report(
                "run.consumed-before-action", record, f"refused for {record.body['ids']}, unread: {agent.inbox}"
            )

    def _judge(self, record: Record) -> None:
        agent = self._agent(record)
        for number in record.body["ids"]:
            if number not in agent.delivered:
                self.report(
                    "log.body", record, f"judges notification {number}, which {self.who(agent.rank)} was not given"
                )

    # -- the ends ----------------------------------------------------------------------------------------------

    def _finish(self, record: Record) -> None:
        self._acts(record).finished = True

    def _reopen(self, record: Record) -> None:
        agent = self._agent(record)
        if agent.committed or not agent.finished:
            stands = "has committed" if agent.committed else "has not finished"
            self.report("run.commit-order", record, f"{self.who(agent.rank)} is reopened though it {stands}")
        agent.finished = False

    def _commit(self, record: Record) -> None:
        agent = self._agent(record)
        reasons = [f"{self.who(a.rank)} has not committed" for a in self.agents[: agent.rank] if not a.committed]
        reasons += ["it has committed already"] if agent.committed else []
        reasons += [] if agent.finished else ["it has not finished"]
        reasons += [f"it has unread notifications {agent.inbox}"] if agent.inbox else []
        for reason in reasons:
            self.report("run.commit-order", record, f"{self.who(agent.rank)} commits though {reason}")
        self.settle_debts(agent, record)
        agent.committed = True

    def _gate(self, record: Record) -> None:
        agent, key = self._acts(record), self._key(record)
        if key != (agent.rank, agent.issued):
            self.report(
                "log.call-order", record, f"held as {name_of(key)}; the next call is {agent.rank}.{agent.issued}"
            )
        for rank in record.body["waits_for"]:
            if rank >= min(agent.rank, len(self.agents)) or self.agents[rank].committed:
                self.report("run.gate", record, f"waits for agent {rank}, which is not below it or has committed")

    def _external(self, record: Record) -> None:
        o, found, left = (record.body[field] for field in ("object", "found", "expected"))
        self.foreign.add(o)
        what = f"{o} was changed by no tool: it holds {found[:8]}, the run left {left[:8]}"
        self.report("run.external", record, what)

    def _close(self, record: Record) -> None:
        self.closed = record


def _saw(record: Record) -> dict[str, Version]:
    return {
        o: (None if sight["write"] is None else key_of(sight["write"]), sight["digest"])
        for o, sight in record.body["saw"].items()
    }


def _text(version: Version) -> str:
    write, digest = version
    return f"{digest[:8]} by {'nobody (initial)' if write is None else f'call {name_of(write)}'}"


_HANDLERS: Final[Mapping[str, Callable[[Walk, Record], None]]] = {
    "launch": Walk._launch,
    "read": Walk._read,
    "call": Walk._call,
    "prepared": Walk._prepared,
    "exec": Walk._exec,
    "applied": Walk._applied,
    "failed": Walk._failed,
    "undo": Walk._undo,
    "undone": Walk._undone,
    "redo": Walk._redo,
    "redone": Walk._redone,
    "cancelled": Walk._withdrawn,
    "stranded": Walk._withdrawn,
    "settle": Walk._settle,
    "notify": Walk._notify,
    "deliver": Walk._deliver,
    "bounce": Walk._bounce,
    "judge": Walk._judge,
    "finish": Walk._finish,
    "reopen": Walk._reopen,
    "commit": Walk._commit,
    "gate": Walk._gate,
    "external": Walk._external,
    "close": Walk._close,
}
