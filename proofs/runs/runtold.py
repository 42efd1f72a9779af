"""The rules for what agents make of what they are told (:mod:`mtpo.proofs.runs.runnews`), and for how they and the run
end. See :mod:`mtpo.proofs.runs.runcalls`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mtpo.proofs.runs.runform import Key, key_of, name_of
from mtpo.proofs.runs.runstate import OUT, Agent
from mtpo.proofs.runs.runwalk import Walk
from mtpo.spec.records import Record


def infer(walk: Walk, record: Record) -> None:
    """An inference of an agent ended."""
    agent, began, (first, last) = walk.agent(record), record.body["began"], record.body["steps"]
    if not 0 <= began <= record.t:
        walk.report("log.time", record, f"an inference that began at {began} s and ended at {record.t} s")
    if not agent.steps <= first <= last:
        what = f"an inference of steps {first} to {last}; {walk.who(agent.rank)}'s last one ended with {agent.steps}"
        walk.report("log.time", record, what)
    agent.steps = last


# -- what agents make of notifications ---------------------------------------------------------------------


def deliver(walk: Walk, record: Record) -> None:
    """An agent consumed notifications."""
    agent, ids = walk.agent(record), record.body["ids"]
    walk.unsettled(record, _consumed(walk, agent))
    if agent.finished:
        walk.report("run.commit-order", record, f"{walk.who(agent.rank)} consumes though it has finished")
    if ids != agent.inbox[: len(ids)]:
        expected = ", ".join(map(str, agent.inbox)) or "none"
        walk.report("run.consumed-before-action", record, f"consumed {ids} out of order; unread: {expected}")
    told: dict[tuple[Key, str], str] = {}
    for number in ids:
        if number in agent.inbox:
            agent.inbox.remove(number)
            agent.delivered.add(number)
            for premise in walk.notices[number].body["premises"]:
                told[key_of(premise["call"]), premise["object"]] = premise["now"]
            _read(walk, agent, walk.notices[number])
    for (key, o), now in told.items():
        operation = walk.world.operations.get(key)
        # A value that went back to what the author had is no news: its notifications cancel out.
        if operation is not None and o in operation.held and operation.held[o] != walk.world.below(key, o)[1]:
            operation.held[o] = now


def _consumed(walk: Walk, agent: Agent) -> Iterator[tuple[Key, str]]:
    """What an agent judges from when it consumes, by position: what it holds of objects, and all that the calls touch
    of which it is to be told, which may have read nothing (F30)."""
    for key, operation in walk.world.operations.items():
        if key[0] == agent.rank:
            noted = operation.told or key in agent.owed or key in agent.outcomes
            touched = operation.reads | operation.writes if noted else operation.held
            yield from ((key, o) for o in touched)


def _read(walk: Walk, agent: Agent, notice: Record) -> None:
    """What a notification said is not unread any more, unless a later one said it again."""
    number = notice.body["id"]
    for premise in notice.body["premises"]:
        operation = walk.world.operations.get(key_of(premise["call"]))
        if operation is not None and operation.told.get(premise["object"], (None, ""))[0] == number:
            del operation.told[premise["object"]]
    for result in notice.body["results"]:
        if agent.outcomes.get(key_of(result["call"]), (None, ""))[0] == number:
            del agent.outcomes[key_of(result["call"])]


def bounce(walk: Walk, record: Record) -> None:
    """A call was refused for unread notifications."""
    agent = walk.agent(record)
    if record.body["ids"] != agent.inbox:
        walk.report("run.consumed-before-action", record, f"refused for {record.body['ids']}, unread: {agent.inbox}")


def judge(walk: Walk, record: Record) -> None:
    """What an agent made of notifications."""
    agent = walk.agent(record)
    for number in record.body["ids"]:
        if number in agent.judged:
            walk.report("log.body", record, f"judges notification {number} a second time")
        agent.judged.add(number)
        if number not in agent.delivered:
            walk.report("log.body", record, f"judges notification {number}, which {walk.who(agent.rank)} was not given")


# -- the ends ----------------------------------------------------------------------------------------------


def finish(walk: Walk, record: Record) -> None:
    """An agent reported its task complete."""
    walk.acts(record).finished = True


def reopen(walk: Walk, record: Record) -> None:
    """A finished agent is at work again."""
    agent = walk.agent(record)
    if agent.committed or agent.aborted or not agent.finished:
        stands = "has committed" if agent.committed else "has aborted" if agent.aborted else "has not finished"
        walk.report("run.commit-order", record, f"{walk.who(agent.rank)} is reopened though it {stands}")
    agent.finished = False


def commit(walk: Walk, record: Record) -> None:
    """What an agent did is final."""
    agent = walk.agent(record)
    walk.idle(record)
    reasons = [f"{walk.who(a.rank)} has not committed" for a in walk.agents[: agent.rank] if not a.committed]
    reasons += ["it has committed already"] if agent.committed else []
    reasons += [] if agent.finished else ["it has not finished"]
    reasons += [f"it has unread notifications {agent.inbox}"] if agent.inbox else []
    for reason in reasons:
        walk.report("run.commit-order", record, f"{walk.who(agent.rank)} commits though {reason}")
    if agent.aborted:
        final = walk.final(agent.rank)
        for key, operation in walk.world.operations.items():
            if key[0] == agent.rank and operation.phase == "live" and (final is None or key > final):
                walk.report(
                    "run.abort", record, f"{walk.who(agent.rank)} aborted, and its call {name_of(key)} is in place"
                )
    walk.settle_debts(agent, record)
    agent.committed = True


def abort(walk: Walk, record: Record) -> None:
    """An agent gave up: it is told nothing more, and what it had read is no premise any more."""
    agent = walk.agent(record)
    walk.idle(record)
    if agent.committed or agent.aborted:
        done = "committed" if agent.committed else "aborted"
        walk.report("run.abort", record, f"{walk.who(agent.rank)} aborts though it has {done}")
    agent.aborted = agent.finished = True
    agent.inbox.clear()
    agent.owed.clear()
    agent.outcomes.clear()
    for key, operation in walk.world.operations.items():
        if key[0] == agent.rank and operation.phase in ("read", *OUT):
            operation.held.clear()


def gate(walk: Walk, record: Record) -> None:
    """A call without an inverse is held."""
    agent, key = walk.acts(record), walk.key(record)
    if key != (agent.rank, agent.issued):
        walk.report("log.call-order", record, f"held as {name_of(key)}; the next call is {agent.rank}.{agent.issued}")
    for rank in record.body["waits_for"]:
        if rank >= min(agent.rank, len(walk.agents)) or walk.agents[rank].committed:
            walk.report("run.gate", record, f"waits for agent {rank}, which is not below it or has committed")


def external(walk: Walk, record: Record) -> None:
    """An object was changed by no tool."""
    o, found, left = (record.body[field] for field in ("object", "found", "expected"))
    walk.foreign.add(o)
    what = f"{o} was changed by no tool: it holds {found[:8]}, the run left {left[:8]}"
    walk.report("run.external", record, what)


def close(walk: Walk, record: Record) -> None:
    """The run ended."""
    walk.closed = record
