"""The machine of a plan by itself: its states, counted a second time, with nothing of the refinement in the count."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from typing import Any

import attrs

from mtpo.proofs.refinement.plans import Plan
from mtpo_core import machine as m
from mtpo_core.machine import Effect, Event, Machine


def alone(plan: Plan) -> int:
    """How many states the machine of a plan has, counted without the spec: what is possible, and what a state is, are
    said once more, from the machine alone."""
    first = Machine({plan.objects[0]: "0"}, "0", plan.policy)
    seen = {shape(first, None)}
    work: list[tuple[Machine, Effect | None]] = [(first, None)]
    while work:
        machine, asked = work.pop()
        for event in possible(machine, plan, asked):
            after = machine.snapshot()
            effects = after.step(event)
            asks = [effect for effect in effects if isinstance(effect, m.Undo | m.Exec | m.Redo)]
            then = asked if isinstance(event, m.Launch) else asks[-1] if asks else None
            if (form := shape(after, then)) not in seen:
                seen.add(form)
                work.append((after, then))
    return len(seen)


def possible(machine: Machine, plan: Plan, asked: Effect | None) -> Iterator[Event]:
    """What the machine may be told now: what it asked for has ended, or an agent does something."""
    if len(machine.agents) < len(plan.uses):
        yield m.Launch()
    match asked:
        case m.Undo(call=key):
            yield m.Undone(key)
        case m.Exec(call=key) | m.Redo(call=key):
            writes = machine.calls[key].writes
            well, badly = (m.Applied, m.Failed) if isinstance(asked, m.Exec) else (m.Redone, m.Stranded)
            yield badly(key)
            for digests in itertools.product("0123456789"[: plan.values], repeat=len(writes)):
                yield well(key, dict(zip(writes, digests, strict=True)))
        case _:
            for rank in range(len(machine.agents)):
                yield from deeds(machine, plan, rank)


def deeds(machine: Machine, plan: Plan, rank: int) -> Iterator[Event]:
    agent = machine.agents[rank]
    yield m.Deliver(rank)
    if agent.finished and not agent.noted:
        if plan.faults and not agent.committed and not agent.aborted:
            yield m.Abort(rank)
        return
    yield m.Finish(rank)
    for use in plan.uses[rank][agent.issued :][:1]:
        called = use.writes or use.by_undo
        yield m.Call(rank, use.reads, use.writes, use.invertible) if called else m.Read(rank, tuple(use.reads))
    if plan.faults:
        yield m.Abort(rank)
        final = [key for key in agent.live if not machine.calls[key].invertible]
        yield from (m.Retract(key) for key in agent.live if agent.noted or not final or key > final[-1])


def shape(machine: Machine, asked: Effect | None) -> Hashable:
    """All that the machine remembers but for the numbers of notices, and what it asked for."""
    kept = {name: value for name, value in vars(machine).items() if name != "notifications"}
    return frozen(kept), tuple(machine.calls), type(asked)


def frozen(value: Any) -> Hashable:
    """Any value, to be compared by what is in it."""
    if attrs.has(type(value)):
        fields = {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
        return frozen({name: bool(of) if name == "unread" else of for name, of in fields.items()})
    if isinstance(value, dict):
        return frozenset((name, frozen(of)) for name, of in value.items() if of != [])
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    return frozenset(value) if isinstance(value, set) else value
