"""What may happen next, by the plan and by where the sides are: what is possible, and what the protocol forbids."""

from __future__ import annotations

import itertools

from mtpo.proofs.refinement.sides import Sides
from mtpo_core import machine as m
from mtpo_core.machine import Event, Key


def next_event(sides: Sides, agent: int) -> Event | None:
    """The agent's next planned call, as an event; None when all are made."""
    issued = sides.machine.agents[agent].issued
    if issued == len(sides.plan.uses[agent]):
        return None
    use = sides.plan.uses[agent][issued]
    if use.writes or use.by_undo:
        return m.Call(agent, use.reads, use.writes, use.invertible)
    return m.Read(agent, tuple(sorted(use.reads)))


def moves(sides: Sides) -> list[Event]:
    """Every event that whoever drives the machine may bring about now; outcomes of tools with every value."""
    found: list[Event] = []
    if len(sides.machine.agents) < len(sides.plan.uses):
        found.append(m.Launch())
    if sides.waiting is not None:
        return [*found, *_outcomes(sides, sides.waiting)]
    for rank, agent in enumerate(sides.machine.agents):
        event = next_event(sides, rank)
        if event is not None and (not agent.finished or agent.noted):
            found.append(event)
        if agent.noted:
            found.append(m.Deliver(rank))
        if not agent.finished or agent.noted:
            found.append(m.Finish(rank))
        if sides.plan.faults and not agent.committed:
            found += [] if agent.aborted else [m.Abort(rank)]
            found += [] if agent.finished else [m.Retract(key) for key in agent.live if not sides.kept(key)]
    return found


def _outcomes(sides: Sides, waiting: m.Undo | m.Exec | m.Redo) -> list[Event]:
    if isinstance(waiting, m.Undo):
        return [m.Undone(waiting.call)]
    writes = sorted(sides.use(waiting.call).writes)
    texts = [str(v) for v in range(sides.plan.values)]
    outs = [dict(zip(writes, row, strict=True)) for row in itertools.product(texts, repeat=len(writes))]
    return [*(answer(sides, out) for out in outs), answer(sides, None)]


def answer(sides: Sides, out: dict[str, str] | None) -> Event:
    """The end of the piece that waits: with these values, or (None) in failure."""
    match sides.waiting:
        case m.Exec(call=key):
            return m.Failed(key) if out is None else m.Applied(key, out)
        case m.Redo(call=key):
            return m.Stranded(key) if out is None else m.Redone(key, out)
        case m.Undo(call=key):
            return m.Undone(key)
    raise ValueError("no piece of a repair waits")


def futile(sides: Sides) -> list[Event]:
    """Events that may come now and change nothing: there is nothing to deliver, or their author must read first."""
    if sides.waiting is not None:
        return []
    found: list[Event] = []
    for rank, agent in enumerate(sides.machine.agents):
        found += [] if agent.noted else [m.Deliver(rank)]
        found += [m.Retract(key) for key in sides.keys if agent.noted and sides.plan.faults and key.rank == rank]
    return found


def forbidden(sides: Sides) -> list[Event]:
    """Events that the protocol does not allow now: each must be refused and change nothing."""
    found: list[Event] = [m.Finish(len(sides.machine.agents)), m.Read(len(sides.machine.agents), ())]
    waiting = None if sides.waiting is None else sides.waiting.call
    found += [] if waiting is None or isinstance(sides.waiting, m.Undo) else _misfits(sides, waiting)
    for key in sides.machine.calls:
        out = dict.fromkeys(sides.use(key).writes, "0")
        if not isinstance(sides.waiting, m.Exec) or key != waiting:
            found += [m.Applied(key, out), m.Failed(key)]
        if not isinstance(sides.waiting, m.Redo) or key != waiting:
            found += [m.Redone(key, out), m.Stranded(key)]
        if not isinstance(sides.waiting, m.Undo) or key != waiting:
            found.append(m.Undone(key))
        agent = sides.machine.agents[key.rank]
        dead = not sides.value("live", sides.number[key]) or sides.kept(key)
        if sides.plan.faults and (sides.waiting is not None or (not agent.noted and (agent.finished or dead))):
            found.append(m.Retract(key))
    for rank, agent in enumerate(sides.machine.agents):
        event = next_event(sides, rank)
        if sides.waiting is not None or (agent.finished and not agent.noted):
            found += [m.Finish(rank)] + ([] if event is None else [event])
        if sides.waiting is not None:
            found.append(m.Deliver(rank))
        unmade = Key(rank, agent.issued)
        if sides.plan.faults and unmade in sides.number and (sides.waiting is not None or not agent.noted):
            found.append(m.Retract(unmade))
        if sides.plan.faults and (sides.waiting is not None or agent.committed or agent.aborted):
            found.append(m.Abort(rank))
    return found


def _misfits(sides: Sides, key: Key) -> list[Event]:
    """Outcomes of the piece that waits which leave out an object that it writes, or have another one."""
    out = dict.fromkeys(sides.use(key).writes, "0")
    return [answer(sides, odd) for odd in (dict(list(out.items())[1:]), {**out, "elsewhere": "0"}) if odd != out]


def strangers(sides: Sides) -> list[Event]:
    """What an agent would do that was not launched: forbidden, too."""
    nobody = len(sides.machine.agents)
    return [m.Call(nobody, frozenset(), frozenset()), m.Deliver(nobody), m.Abort(nobody), m.Retract(Key(nobody, 0))]
