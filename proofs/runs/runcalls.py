"""The rules for calls: reads, writes and the repairs that they open. Each function judges one kind of record and takes
over what it says; :mod:`mtpo.proofs.runs.runrules` says which.

Sources: "CoAgent" (arXiv 2606.15376), "Notified Serializability" (SCCP at VLDB 2026), sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mtpo.proofs.runs.runform import Key, key_of, name_of
from mtpo.proofs.runs.runnews import concerned
from mtpo.proofs.runs.runstate import AT_REST, Agent, Operation, Repair, Version
from mtpo.proofs.runs.runwalk import Walk, text_of
from mtpo.spec.records import Record


def launch(walk: Walk, record: Record) -> None:
    """An agent enters."""
    rank = len(walk.agents)
    if record.agent != rank:
        walk.report("log.launch-order", record, f"launched with rank {record.agent}; the next rank is {rank}")
    walk.agents.append(Agent(rank, record.body["name"]))


# -- reads -------------------------------------------------------------------------------------------------


def read(walk: Walk, record: Record) -> None:
    """A read was served."""
    key, saw = walk.key(record), _saw(record)
    operation = Operation(key, record.body["tool"], record.seq, "read", frozenset(saw), saw=saw)
    if not walk.issue(record, operation):
        return
    walk.unsettled(record, ((key, o) for o in saw))
    _check_saw(walk, record, key, saw)
    operation.held = {o: digest for o, (_, digest) in saw.items()}
    walk.world.sees(operation)
    screened = walk.mode == "mtpo" and any(walk.world.above(key, o) for o in saw)
    if record.body["filtered"] != screened:
        what = "a higher-ranked write was live" if screened else "no higher-ranked write was live"
        walk.report("run.filtered-read", record, f"filtered is {record.body['filtered']}, but {what}")


def _check_saw(walk: Walk, record: Record, key: Key, saw: Mapping[str, Version]) -> None:
    for o, version in saw.items():
        right = walk.world.top(o) if walk.mode == "naive" else walk.world.below(key, o)
        if version != right:
            rule = "the live value" if walk.mode == "naive" else "the greatest live write below it"
            what = f"saw {o} as {text_of(version)}; {rule} is {text_of(right)}"
            walk.report("run.filtered-read", record, what)


# -- writes ------------------------------------------------------------------------------------------------


def call(walk: Walk, record: Record) -> None:
    """A write call was accepted; in mode mtpo it opens a repair."""
    body, key = record.body, walk.key(record)
    operation = Operation(
        key,
        body["tool"],
        record.seq,
        "called",
        frozenset(body["reads"]),
        frozenset(body["writes"]),
        body["invertible"],
    )
    if not walk.issue(record, operation):
        return
    members = frozenset(map(key_of, body["members"]))
    if walk.mode != "mtpo":
        if members:
            walk.report("log.body", record, f"a call has no members in mode {walk.mode}")
        return
    _open(walk, record, operation, members)


def retract(walk: Walk, record: Record) -> None:
    """A live call is to be taken out."""
    agent, operation = walk.agent(record), _phase(walk, record, "live")
    if agent.aborted:
        walk.idle(record)
    else:
        walk.acts(record)
    final = walk.final(agent.rank)
    if final is not None and operation.key <= final:
        walk.report("run.abort", record, f"taken out though {name_of(final)} of its author has no inverse")
    members = frozenset(map(key_of, record.body["members"]))
    _open(walk, record, operation, members, retracting=True)


def retracted(walk: Walk, record: Record) -> None:
    """The inverse of a call that is taken out ran."""
    operation = _phase(walk, record, "undoing")
    repair = _in_repair(walk, record, member=False)
    if repair is not None and not repair.retracting:
        walk.report("run.phases", record, f"call {name_of(repair.acting)} is not being taken out")
    _all_undone(walk, record)
    _restored(walk, record, operation)
    operation.phase = "retracted"
    _forget_if_aborted(walk, operation)
    _land(walk, record)


def _open(
    walk: Walk, record: Record, operation: Operation, members: frozenset[Key], *, retracting: bool = False
) -> None:
    """A repair is opened; it locks what its call and the members touch."""
    _check_members(walk, record, members)
    known = members & walk.world.operations.keys()
    touching = [operation, *(walk.world.operations[m] for m in known)]
    locks = frozenset[str]().union(*(c.reads | c.writes for c in touching))
    walk.locked(record, locks)
    walk.repairs[operation.key] = Repair(operation.key, known, locks, retracting)


def _check_members(walk: Walk, record: Record, members: frozenset[Key]) -> None:
    for m in sorted(members):
        known = walk.world.operations.get(m)
        if known is None:
            walk.report("log.body", record, f"member {name_of(m)} is no call of this run")
        elif known.phase != "live" or m < walk.key(record):
            walk.report("run.order-respected", record, f"member {name_of(m)} is not a live write above the call")


def _in_repair(walk: Walk, record: Record, *, member: bool) -> Repair | None:
    """The open repair of which the record says that it is part."""
    key = walk.key(record)
    by = key_of(record.body["by"]) if member else key
    repair = walk.repairs.get(by)
    if repair is None:
        stands = f"open are those of {', '.join(map(name_of, walk.repairs))}" if walk.repairs else "none is open"
        walk.report("run.repair-atomic", record, f"the repair of call {name_of(by)} is not open; {stands}")
    elif member and key not in repair.members:
        walk.report("run.order-respected", record, f"not a member of what call {name_of(by)} undoes")
    return repair


def _phase(walk: Walk, record: Record, *wanted: str) -> Operation:
    operation = walk.world.operations[walk.key(record)]
    if operation.phase not in wanted:
        walk.report("run.phases", record, f"the call is {operation.phase}, not {' or '.join(wanted)}")
    return operation


def prepared(walk: Walk, record: Record) -> None:
    """What undo needs was captured."""
    operation = _phase(walk, record, "called", "undone")
    if not operation.invertible:
        walk.report("run.phases", record, "what undo needs is captured for a call that is said to have no inverse")
    if operation.prepared and operation.phase in ("called", "undone"):
        walk.report("run.captured", record, "captured a second time for one effect")
    operation.prepared = True
    walk.captured.add(operation.key)


def _needs_undo_data(walk: Walk, record: Record, operation: Operation) -> None:
    if operation.invertible and not operation.prepared:
        walk.report("run.phases", record, "what undo needs was not captured before the effect")


def _room(walk: Walk, record: Record, operation: Operation) -> None:
    """Nothing above a call that conflicts with it may be live when it acts: it reads and writes the live state."""
    if walk.mode == "naive":
        return
    for o in sorted(operation.reads | operation.writes):
        higher = walk.world.above(operation.key, o)
        if higher is not None:
            walk.report("run.order-respected", record, f"acts on {o} while the later write {name_of(higher)} is live")


def _all_undone(walk: Walk, record: Record) -> None:
    repair = _in_repair(walk, record, member=False) if walk.mode == "mtpo" else None
    if repair is not None:
        for m in sorted(repair.members - repair.undone):
            walk.report("run.order-respected", record, f"member {name_of(m)} was not undone before")


def begun(walk: Walk, record: Record) -> None:
    """The effect of a call is about to happen."""
    operation = _phase(walk, record, "called")
    _needs_undo_data(walk, record, operation)
    _all_undone(walk, record)
    _room(walk, record, operation)
    if walk.mode == "mtpo" and not operation.invertible:
        waiting = [walk.who(a.rank) for a in walk.agents[: operation.key[0]] if not a.committed]
        if waiting:
            walk.report("run.gate", record, f"has no inverse and ran before {', '.join(waiting)} had committed")
    operation.phase = "executing"


def _land(walk: Walk, record: Record) -> None:
    repair = walk.repairs.get(walk.key(record))
    if repair is not None:
        repair.landed = True


def _effect(walk: Walk, record: Record, operation: Operation) -> None:
    """The effect of a call, first or redone."""
    saw, out = _saw(record), dict(record.body["out"])
    if out.keys() != operation.writes:
        odd = ", ".join(sorted(out.keys() ^ operation.writes))
        walk.report("log.body", record, f"out does not name exactly what the call writes: {odd}")
    if not operation.reads <= saw.keys() <= operation.reads | operation.writes:
        walk.report("log.body", record, "saw does not name what the call reads")
    _check_saw(walk, record, operation.key, saw)
    operation.saw, operation.out, operation.phase = saw, out, "live"
    operation.held = {o: digest for o, (_, digest) in saw.items()}
    operation.told.clear()
    walk.world.sees(operation)
    walk.world.push(operation.key)


def applied(walk: Walk, record: Record) -> None:
    """The effect happened."""
    operation = _phase(walk, record, "executing")
    _effect(walk, record, operation)
    _land(walk, record)


def failed(walk: Walk, record: Record) -> None:
    """The call had no effect."""
    operation = _phase(walk, record, "called", "executing")
    if operation.phase == "called":
        _all_undone(walk, record)
    operation.phase = "failed"
    for o in operation.reads:  # the log does not say what a failed call read: it is what was live then
        operation.saw[o] = walk.world.top(o)
        operation.held[o] = operation.saw[o][1]
    walk.world.sees(operation)
    _land(walk, record)


# -- repairs -----------------------------------------------------------------------------------------------


def undo(walk: Walk, record: Record) -> None:
    """An inverse is about to run."""
    operation = _phase(walk, record, "live")
    own = walk.repairs.get(operation.key)
    taken_out = own is not None and own.retracting
    repair = _in_repair(walk, record, member=not taken_out)
    if taken_out and key_of(record.body["by"]) != operation.key:
        what = f"said to be undone for call {record.body['by']}; it is taken out itself: by is {name_of(operation.key)}"
        walk.report("run.repair-atomic", record, what)
    if repair is not None:
        later = [m for m in repair.members - repair.undone if m > operation.key]
        for m in sorted(later):
            walk.report("run.order-respected", record, f"undone before member {name_of(m)}, which is above it")
    if not operation.invertible:
        walk.report("run.gate", record, "a call without an inverse is undone")
    operation.phase = "undoing"


def undone(walk: Walk, record: Record) -> None:
    """An inverse ran."""
    operation = _phase(walk, record, "undoing")
    repair = _in_repair(walk, record, member=True)
    _restored(walk, record, operation)
    operation.phase, operation.prepared = "undone", False
    if repair is not None:
        repair.undone.add(operation.key)


def _restored(walk: Walk, record: Record, operation: Operation) -> None:
    """An inverse leaves on each object what the trajectory holds without the call."""
    for o in walk.world.drop(operation.key):
        top = walk.world.top(o)[0]
        walk.report("run.order-respected", record, f"undone below {name_of(top) if top else 'nothing'} on {o}")
    restored = record.body["restored"]
    if restored.keys() != operation.writes:
        walk.report("log.body", record, "restored does not name exactly what the call writes")
    for o in sorted(restored.keys() & operation.writes):
        right = walk.world.top(o)
        if restored[o] != right[1]:
            walk.report("run.undo-restores", record, f"{o} holds {restored[o][:8]}, not {text_of(right)}")


def redo(walk: Walk, record: Record) -> None:
    """An undone call is about to be re-applied."""
    operation = _phase(walk, record, "undone")
    repair = _in_repair(walk, record, member=True)
    if repair is not None and not repair.landed:
        walk.report("run.order-respected", record, f"redone before call {name_of(repair.acting)} took its place")
    _needs_undo_data(walk, record, operation)
    _room(walk, record, operation)
    operation.phase = "redoing"


def redone(walk: Walk, record: Record) -> None:
    """An undone call was re-applied."""
    operation = _phase(walk, record, "redoing")
    _in_repair(walk, record, member=True)
    if walk.policy != "replay":
        walk.report("run.no-lost-call", record, f"re-applied, though the policy is {walk.policy}")
    if walk.agents[operation.key[0]].aborted:
        walk.report("run.abort", record, f"re-applied, though {walk.who(operation.key[0])} has aborted")
    before = (operation.out, operation.held)
    _effect(walk, record, operation)
    if before != (operation.out, operation.held):
        if not record.body["changed"]:
            walk.report("run.premise-told", record, "read or left another value than before; changed is false")
        _owe(walk, operation, "changed")


def withdrawn(walk: Walk, record: Record) -> None:
    """An undone call was withdrawn, by policy or because it could not be re-applied."""
    kind: Literal["cancelled", "stranded"] = "cancelled" if record.kind == "cancelled" else "stranded"
    operation = _phase(walk, record, *(("undone",) if kind == "cancelled" else ("undone", "redoing")))
    repair = _in_repair(walk, record, member=True)
    if repair is not None and not repair.landed:
        walk.report("run.no-lost-call", record, f"withdrawn before call {name_of(repair.acting)} took its place")
    if kind == "cancelled" and walk.policy != "cancel":
        walk.report("run.no-lost-call", record, f"withdrawn, though the policy is {walk.policy}")
    operation.phase = kind
    _forget_if_aborted(walk, operation)
    _owe(walk, operation, kind)


def _forget_if_aborted(walk: Walk, operation: Operation) -> None:
    """Who has aborted goes by nothing that it saw; else what a call saw counts on when the call is out (F33)."""
    if walk.agents[operation.key[0]].aborted:
        operation.held.clear()


def _owe(walk: Walk, operation: Operation, status: str) -> None:
    agent = walk.agents[operation.key[0]]
    if not agent.aborted:
        agent.owed[operation.key] = status


def settle(walk: Walk, record: Record) -> None:
    """The open repair is complete."""
    repair = _in_repair(walk, record, member=False)
    walk.unknown(record, record.body["stale"])
    if repair is None:
        return
    if not repair.landed:
        walk.report("run.repair-atomic", record, "settled before the call was applied or had failed")
    for m in sorted(repair.members):
        phase = walk.world.operations[m].phase
        if phase not in AT_REST:
            walk.report("run.no-lost-call", record, f"settled while call {name_of(m)} is {phase}")
    concerned(walk, record, repair)
    del walk.repairs[repair.acting]
    walk.settled = repair


def _saw(record: Record) -> dict[str, Version]:
    return {
        o: (None if sight["write"] is None else key_of(sight["write"]), sight["digest"])
        for o, sight in record.body["saw"].items()
    }
