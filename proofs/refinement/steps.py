"""What an event of the machine is in the spec: one step or several, told by the event and by its effects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mtpo.proofs.refinement.sides import Sides
from mtpo.spec.concrete import Step
from mtpo_core import machine as m
from mtpo_core.machine import Effect, Event, Key


def steps_of(sides: Sides, event: Event, effects: Sequence[Effect]) -> Iterator[Step]:
    """The steps of the spec that an event and its effects are."""
    match event:
        case m.Launch():
            yield Step("launch", (len(sides.machine.agents) - 1,))
        case m.Abort(agent=rank):
            yield Step("abort", (rank,))
        case m.Undone(call=key) if sides.value("retracting", sides.number[key]):
            yield Step("retracted", (sides.number[key],))
        case m.Undone(call=key) | m.Failed(call=key) | m.Stranded(call=key):
            yield Step(type(event).__name__.lower(), (sides.number[key],))
        case m.Applied(call=key, out=out) | m.Redone(call=key, out=out):
            table = [0] * len(sides.places)
            for o, digest in out.items():
                table[sides.places[o]] = int(digest)
            yield Step(type(event).__name__.lower(), (sides.number[key], tuple(table)))
    for effect in effects:
        match effect:
            case m.Served(call=key, saw=saw):
                below = [0] * len(sides.places)
                for o, sight in saw.items():
                    below[sides.places[o]] = sides.number[sight.write]
                yield Step("read", (sides.number[key], tuple(below)))
            case m.Accepted(call=key, members=members) | m.Retracting(call=key, members=members):
                table = [0] * (len(sides.keys) + 1)
                for member in members:
                    table[sides.number[member]] = 1
                held = _touched(sides, key, members)
                locks = tuple(int(o in held) for o in sides.plan.objects)
                name = "call" if isinstance(effect, m.Accepted) else "retract"
                yield Step(name, (sides.number[key], tuple(table), locks))
            case m.Resolved(call=key, status="cancelled"):
                yield Step("cancelled", (sides.number[key],))
            case m.Settled(call=key):
                yield Step("settle", (sides.number[key],))
            case m.Reopened(agent=agent):
                yield Step("reopen", (agent,))
            case m.Delivered(agent=agent):
                yield Step("deliver", (agent,))
            case m.Finished(agent=agent):
                yield Step("finish", (agent,))
            case m.Committed(agent=agent):
                yield Step("commit", (agent,))


def _touched(sides: Sides, key: Key, members: Iterable[Key]) -> set[str]:
    """What a repair locks: the footprints of its call and of the calls that it undoes."""
    return {o for c in (key, *members) for o in (*sides.use(c).reads, *sides.use(c).writes)}
