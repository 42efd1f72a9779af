"""The rules for notifications: at its settle a repair says whose calls it concerns, then each author is told all of it,
once, and nothing else. See :mod:`mtpo.proofs.runs.runcalls`.

Sources: "CoAgent" (arXiv 2606.15376), "Notified Serializability" (SCCP at VLDB 2026), sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from mtpo.proofs.runs.runform import Key, key_of, name_of
from mtpo.proofs.runs.runstate import OUT, Agent, Operation, Phase, Repair
from mtpo.proofs.runs.runwalk import Walk, text_of
from mtpo.spec.records import Record

_REASONED_FROM: Final[frozenset[Phase]] = frozenset({"read", "live", *OUT})
"""The phases of a call in which its author reasons from what it saw."""


def concerned(walk: Walk, record: Record, repair: Repair) -> None:
    """A repair is settled: ``stale`` must name, each once, the calls that it made stale and the members that changed or
    were withdrawn."""
    named = [key_of(text) for text in record.body["stale"]]
    repair.stale = frozenset(named)
    for key in sorted({key for key in named if named.count(key) > 1} if len(named) > len(repair.stale) else ()):
        walk.report("log.body", record, f"call {name_of(key)} stands more than once in stale")
    for operation, objects in _made_stale(walk, repair):
        if operation.key not in repair.stale:
            what = (
                f"{', '.join(objects)} changed at call {name_of(operation.key)} of {walk.who(operation.key[0])}, and "
                "stale does not name it"
            )
            walk.report("run.failure-told" if operation.phase == "failed" else "run.premise-told", record, what)
    for key in sorted(repair.members - repair.stale):
        status = walk.agents[key[0]].owed.get(key)
        if status is not None:
            walk.report("run.premise-told", record, f"member {name_of(key)} is {status}, and stale does not name it")


def _made_stale(walk: Walk, repair: Repair) -> Iterator[tuple[Operation, list[str]]]:
    """The calls that saw what the repair changed, each with the objects of which its author was last told (by what is
    unread, too) another value than the one at the call's position."""
    world, found = walk.world, dict[Key, list[str]]()
    touched = frozenset[str]().union(*(world.operations[key].writes for key in (repair.acting, *repair.members)))
    for o in sorted(touched):
        for key in world.readers_above(repair.acting, o):
            operation = world.operations[key]
            if o not in operation.held or operation.phase not in _REASONED_FROM or walk.agents[key[0]].aborted:
                continue
            last = operation.told[o][1] if o in operation.told else operation.held[o]
            if last != world.below(key, o)[1]:
                found.setdefault(key, []).append(o)
    for key in sorted(found):
        yield world.operations[key], found[key]


def notify(walk: Walk, record: Record) -> None:
    """An agent is told of a change."""
    body, agent = record.body, walk.agent(record)
    walk.unknown(record, [body["by"]])
    if body["id"] in walk.notices:
        walk.report("log.body", record, f"notification {body['id']} exists already")
        return
    by, settled = key_of(body["by"]), walk.settled
    own = settled is not None and settled.retracting and by[0] == agent.rank
    if by[0] >= agent.rank and not own:
        walk.report(
            "run.one-way", record, f"{walk.who(agent.rank)} is told of call {body['by']}, which is not below it"
        )
    if by in walk.repairs:
        walk.report("run.repair-atomic", record, f"told before the repair of call {body['by']} is settled")
    elif settled is None or settled.acting != by:
        stands = "none was" if settled is None else f"that of call {name_of(settled.acting)} was"
        walk.report(
            "run.one-way", record, f"is said to come of call {body['by']}; of the repairs, {stands} just settled"
        )
    if agent.aborted:
        walk.report("run.abort", record, f"{walk.who(agent.rank)} is told something though it has aborted")
    # What a notification must say is not known when it is not said of which repair: that is reported above.
    repair = settled if settled is not None and settled.acting == by and not agent.aborted else None
    if repair is not None:
        _once(walk, record, agent, repair)
    _premises(walk, record, agent, repair)
    _results(walk, record, agent, repair)
    walk.notices[body["id"]] = record
    agent.inbox.append(body["id"])


def _once(walk: Walk, record: Record, agent: Agent, repair: Repair) -> None:
    if agent.rank in repair.told:
        what = f"{walk.who(agent.rank)} is told a second time of the repair of call {name_of(repair.acting)}"
        walk.report("run.premise-told", record, what)
    elif all(key[0] != agent.rank for key in repair.stale):
        what = (
            f"{walk.who(agent.rank)} is told something, and stale at the settle of call {name_of(repair.acting)} names "
            "no call of it"
        )
        walk.report("run.premise-told", record, what)
    repair.told.add(agent.rank)


# -- premises ----------------------------------------------------------------------------------------------


def _premises(walk: Walk, record: Record, agent: Agent, repair: Repair | None) -> None:
    """Every object of a stale call that is not as its author holds it, as it is now; of other calls it may be told."""
    number, told = record.body["id"], dict[Key, set[str]]()
    for premise in record.body["premises"]:
        key, o = key_of(premise["call"]), premise["object"]
        if o in told.setdefault(key, set()):
            walk.report("run.premise-told", record, f"{o} at call {name_of(key)} stands more than once in premises")
            continue
        told[key].add(o)
        operation = _check_premise(walk, record, agent, premise)
        if operation is not None:
            operation.told[o] = number, premise["now"]
    if repair is None:
        return
    locked = frozenset[str]().union(*(other.locks for other in walk.repairs.values()))
    for key in sorted(key for key in repair.stale if key[0] == agent.rank):
        operation = walk.world.operations.get(key)
        if operation is None or operation.phase not in _REASONED_FROM:
            continue
        for o in sorted(operation.held.keys() - told.get(key, set()) - locked):
            operation.told.pop(o, None)  # of what it names no more, it tells that it is as it was
            held, right = operation.held[o], walk.world.below(key, o)
            if held != right[1]:
                what = (
                    f"{walk.who(agent.rank)} is not told that {o} is {text_of(right)} at {name_of(key)}, which had it "
                    f"as {held[:8]}"
                )
                walk.report("run.failure-told" if operation.phase == "failed" else "run.premise-told", record, what)


def _check_premise(walk: Walk, record: Record, agent: Agent, premise: Mapping[str, str]) -> Operation | None:
    """The call whose premise it is, None if there is none."""
    key, o = key_of(premise["call"]), premise["object"]
    operation = walk.world.operations.get(key)
    if operation is None or key[0] != agent.rank or o not in operation.saw:
        walk.report("log.body", record, f"call {premise['call']} of {walk.who(agent.rank)} read no {o}")
        return None
    if o not in operation.held:
        what = f"{walk.who(agent.rank)} is told of {o} at its {name_of(key)}, which is {operation.phase}"
        walk.report("run.premise-told", record, what)
        return None
    right = walk.world.below(key, o)
    told = (key_of(premise["write"]) if premise["write"] else None, premise["now"])
    if told != right:
        what = f"{walk.who(agent.rank)} is told that {o} is {text_of(told)}; at {name_of(key)} it is {text_of(right)}"
        walk.report("run.premise-told", record, what)
    if operation.held[o] != premise["was"]:
        what = f"says that {name_of(key)} had {o} as {premise['was'][:8]}, it had {operation.held[o][:8]}"
        walk.report("run.premise-told", record, what)
    elif premise["was"] == premise["now"]:
        walk.report("run.premise-told", record, f"{o} at {name_of(key)} is as before, {premise['now'][:8]}: no news")
    return operation


# -- results -----------------------------------------------------------------------------------------------


def _results(walk: Walk, record: Record, agent: Agent, repair: Repair | None) -> None:
    """The members that changed or were withdrawn, but for those of repairs that are open; of what is unread it may be
    told again."""
    number, told = record.body["id"], set[Key]()
    later = frozenset[Key]().union(*(other.members for other in walk.repairs.values()))
    due = {} if repair is None else {k: status for k, status in agent.owed.items() if k not in later}
    for result in record.body["results"]:
        key, status = key_of(result["call"]), result["status"]
        if key[0] != agent.rank or key not in walk.world.operations:
            walk.report("log.body", record, f"call {result['call']} is no call of {walk.who(agent.rank)}")
            continue
        if key in told:
            walk.report("run.premise-told", record, f"call {name_of(key)} stands more than once in results")
            continue
        told.add(key)
        if repair is None:
            if agent.owed.get(key) == status:
                del agent.owed[key]
            continue
        unread = agent.outcomes.get(key, (0, None))[1]
        right = due.get(key, unread)
        if status != right:
            stands = "did not change and was not withdrawn" if right is None else f"is {right}"
            what = (
                f"{walk.who(agent.rank)} is told that its {name_of(key)} is {status}; by the repair of call "
                f"{name_of(repair.acting)} it {stands}"
            )
            walk.report("run.premise-told", record, what)
        if right is not None:
            agent.outcomes[key] = number, right
    for key, status in due.items():
        del agent.owed[key]
        if key not in told:
            what = f"{walk.who(agent.rank)} is not told that its {name_of(key)} is {status}"
            walk.report("run.premise-told", record, what)
