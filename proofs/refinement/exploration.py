"""Every run of machine and spec on a plan: all interleavings, with every outcome of every tool, state by state."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from mtpo.proofs.refinement.moves import forbidden, futile, moves, strangers
from mtpo.proofs.refinement.pair import Pair
from mtpo.proofs.refinement.plans import Plan
from mtpo.proofs.refinement.sides import Divergence
from mtpo.spec.concrete import State
from mtpo_core.machine import Machine


@attrs.frozen
class Explored:
    """The extent of an exploration: distinct states of machine and spec, and of the machine by itself; events taken; in
    how many states everyone had committed; how many events were held off or refused, as they should be."""

    states: int
    own: int
    events: int
    ends: int
    refused: int


def explore(plan: Plan, make: type[Machine] = Machine) -> Explored:
    """Every interleaving of a plan, with every outcome of every tool: the real machine, state by state.

    In each state, what the protocol does not allow there is tried too.
    """
    first = Pair(plan, make)
    seen: dict[object, set[State]] = {}
    """By what the machine knows: the states of the spec beside it, which has more of a past than the machine keeps."""
    work: list[Pair] = []
    _add(first, seen, work)
    events = ends = refused = 0
    while work:
        pair = work.pop()
        refused += _tried(pair)
        found = moves(pair)
        if not found:
            ends += 1
            if not pair.machine.quiet or not all(a.committed for a in pair.machine.agents):
                raise Divergence("core.everyone-commits", "nothing can happen, not everyone has committed", pair.trace)
        for event in found:
            other = pair.copy() if event is not found[-1] else pair
            other.step(event)
            events += 1
            _add(other, seen, work)
    return Explored(sum(map(len, seen.values())), len(seen), events, ends, refused)


def _add(pair: Pair, seen: dict[object, set[State]], work: list[Pair]) -> None:
    """Note a state; it is looked at later if it is new."""
    states = seen.setdefault((_own(pair.machine, pair.plan.objects), type(pair.waiting)), set())
    state = pair.instance.freeze(pair.state)
    if state not in states:
        states.add(state)
        work.append(pair)


def _tried(pair: Pair) -> int:
    """Try all that must change nothing in a state; how much that is."""
    trace, vain, wrong = pair.trace, futile(pair), [*forbidden(pair), *strangers(pair)]
    pair.hold_off(*vain)
    pair.refuse(*wrong)
    pair.trace = trace
    return len(vain) + len(wrong)


def _own(machine: Machine, objects: Sequence[str]) -> object:
    """All that the machine knows, but for the numbers of notices."""
    agents = (
        (a.issued, a.finished, a.committed, a.aborted, (*a.live,), frozenset(a.noted), bool(a.unread))
        for a in machine.agents
    )
    calls = (
        (key, c.status, c.note, c.void, frozenset(c.saw.items()), frozenset(c.out.items()))
        for key, c in machine.calls.items()
    )
    rows = ((*machine.trajectory.get(o, ()), None, *machine.readers.get(o, ())) for o in objects)
    r = machine.repair
    repair = r and (r.acting, r.members, (*r.undoing,), r.landed, (*r.redoing,), frozenset(r.touched), r.retracting)
    return (*agents,), (*calls,), (*rows,), repair
