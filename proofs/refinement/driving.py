"""One run of machine and spec, along a tape of choices."""

from __future__ import annotations

from collections.abc import Iterable

from mtpo.proofs.refinement.moves import answer, forbidden, moves, next_event
from mtpo.proofs.refinement.pair import Pair
from mtpo.proofs.refinement.sides import Divergence
from mtpo_core import machine as m
from mtpo_core.machine import Event


def drive(pair: Pair, tape: Iterable[int]) -> None:
    """Follow a tape of choices, then run to the end: everyone must commit.

    Each number picks one of the events that are possible, and the values that a tool leaves; every sixteenth or so
    picks one that is forbidden. An agent rarely finishes before it has made its planned calls.
    """
    for number in tape:
        choice, kind = divmod(number, 16)
        if kind == 15:
            events = forbidden(pair)
            pair.refuse(events[choice % len(events)])
        elif pair.waiting is not None:
            pair.step(_answer(pair, choice, failing=kind == 14))
        else:
            events = moves(pair)
            early = [e for e in events if isinstance(e, m.Finish) and next_event(pair, e.agent) is not None]
            if kind > 0:
                events = [e for e in events if e not in early]
            if events:
                pair.step(events[choice % len(events)])
    _to_the_end(pair)


def _answer(pair: Pair, number: int, failing: bool) -> Event:
    assert pair.waiting is not None
    out = {}
    for o in sorted(pair.use(pair.waiting.call).writes):
        number, value = divmod(number, pair.plan.values)
        out[o] = str(value)
    return answer(pair, None if failing else out)


def _to_the_end(pair: Pair) -> None:
    """From wherever the pair is: tools succeed, agents consume, do what they planned, and finish."""
    machine = pair.machine
    while not (len(machine.agents) == len(pair.plan.uses) and all(a.committed for a in machine.agents)):
        before = len(pair.trace)
        while pair.waiting is not None:
            pair.step(_answer(pair, 0, failing=False))
        if len(machine.agents) < len(pair.plan.uses):
            pair.step(m.Launch())
        for rank, agent in enumerate(machine.agents):
            if agent.noted:
                pair.step(m.Deliver(rank))
            event = next_event(pair, rank)
            if event is not None and not agent.finished:
                pair.step(event)
            elif not agent.finished:
                pair.step(m.Finish(rank))
            while pair.waiting is not None:
                pair.step(_answer(pair, 0, failing=False))
        if len(pair.trace) == before:
            raise Divergence(
                "core.everyone-commits", "nothing is left to do and not everyone has committed", pair.trace
            )
        if len(pair.trace) > 100 * (len(pair.keys) + len(pair.plan.uses) + 1) ** 2:
            raise Divergence("core.everyone-commits", "the run does not end", pair.trace[-20:])
    if not machine.quiet:
        raise Divergence("core.everyone-commits", "everyone has committed and the machine is not quiet", pair.trace)
