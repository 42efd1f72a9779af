"""What a state of the core (:mod:`mtpo_core.machine`) is in the protocol: the abstraction function of the refinement.

The core keeps stacks, notes and one open repair; the protocol has functions of calls and objects. :func:`abstraction`
makes these of those. That the core refines the protocol is: every event is steps of the protocol from the abstraction
of the state before to that of the state after, which :mod:`mtpo.proofs.refinement.comparison` looks at.

====================  ==============================================================================================
``launched``          the rank is one of ``agents``
``finished``,         the agent's flags of these names
``committed``,
``aborted``
``issued``            the call is one of ``calls``
``live``              its status is so, or it is on a stack of ``trajectory``
``pending``           its status is so
``withdrawn``         its status is so, or failed
``void``              false of all that has not failed; else no state of the core, which knows no predicates (F37)
``top``, ``base``     the last of an object's stack in ``trajectory``; what is below a call in it
``value``             ``out`` of the call, for what it writes
``sighted``           the status lets the author go by what the call saw, and it has not aborted
``source``, ``saw``   of what a sighted call reads: what ``source`` answers at its position; its ``saw``
``note``              its author's ``noted`` has the call
``opened``            the call is the ``acting`` one of the open ``repair``; with the repair's flags of these names
``retracting``,
``landed``
``undoer``            the acting call, of the ``members`` of the open repair
``holder``            the acting call, of what it or a member reads or writes
``foreign``           false: the core has no event for who changes an object without a tool
====================  ==============================================================================================

The origin, which the core has no record of, is the call 0: live, issued, and the bottom of every stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:  # nothing of the core is needed to state what it means
    from mtpo_core.machine import CallState, Key, Machine

Table = Sequence[int | None]
"""A variable's values in the order of its arguments; None where it has no meaning: what was never applied has no base
and no value, what is not sighted no source and no sight."""


@attrs.frozen
class Scope:
    """The elements of the sorts: ``agents`` by rank, the ``keys`` that calls may have, in order, and ``objects``.

    The digests of values are their numbers in text. ``number``: the element of sort Call that a key is; None is the
    origin.
    """

    agents: int
    keys: Sequence[Key]
    objects: Sequence[str]
    number: Mapping[Key | None, int] = attrs.field(init=False, eq=False, repr=False)

    @number.default
    def _numbered(self) -> Mapping[Key | None, int]:
        return {None: 0} | {key: number for number, key in enumerate(self.keys, 1)}


def abstraction(core: Machine, scope: Scope) -> Mapping[str, Table]:
    """The state of the protocol that the core's state stands for: a table for each variable."""
    calls = [core.calls.get(key) for key in scope.keys]
    return {
        **_of_agents(core, scope.agents),
        **_of_calls(core, scope.keys, calls),
        **_of_trajectories(core, scope, calls),
        **_of_sights(core, scope, calls),
        **_of_the_repair(core, scope),
        "foreign": [0] * len(scope.objects),
    }


def _of_agents(core: Machine, count: int) -> dict[str, Table]:
    there = core.agents
    later = [0] * (count - len(there))
    return {
        "launched": [1] * len(there) + later,
        "finished": [int(a.finished) for a in there] + later,
        "committed": [int(a.committed) for a in there] + later,
        "aborted": [int(a.aborted) for a in there] + later,
    }


def _of_calls(core: Machine, keys: Sequence[Key], calls: Sequence[CallState | None]) -> dict[str, Table]:
    status = ["" if call is None else call.status for call in calls]
    noted = {key for agent in core.agents for key in agent.noted}
    return {
        "issued": [1, *(int(call is not None) for call in calls)],
        "pending": [0, *(int(s == "pending") for s in status)],
        "withdrawn": [0, *(int(s in ("withdrawn", "failed")) for s in status)],
        "void": [0, *(None if s == "failed" else 0 for s in status)],
        "sighted": [0, *(int(call is not None and call.sighted) for call in calls)],
        "note": [0, *(int(key in noted) for key in keys)],
    }


def _of_trajectories(core: Machine, scope: Scope, calls: Sequence[CallState | None]) -> dict[str, Table]:
    live = [1, *(int(call is not None and call.status == "live") for call in calls)]
    base: list[int | None] = [None] * (len(scope.objects) * len(live))
    top = []
    for place, o in enumerate(scope.objects):
        below = 0
        for write in core.trajectory.get(o, ()):
            c = scope.number[write]
            live[c], base[c * len(scope.objects) + place] = 1, below
            below = c
        top.append(below)
    return {"live": live, "top": top, "base": base}


def _of_sights(core: Machine, scope: Scope, calls: Sequence[CallState | None]) -> dict[str, Table]:
    """What calls saw, and what they left."""
    nothing: list[int | None] = [None] * len(scope.objects)
    value, source, saw = list(nothing), list(nothing), list(nothing)
    for key, call in zip(scope.keys, calls, strict=True):
        if call is None:
            value, source, saw = value + nothing, source + nothing, saw + nothing
            continue
        for o in scope.objects:
            seen = call.sighted and o in call.reads
            value.append(int(call.out[o]) if o in call.out else None)
            source.append(scope.number[core.source(o, key).write] if seen else None)
            saw.append(int(call.saw[o]) if seen else None)
    return {"value": value, "source": source, "saw": saw}


def _of_the_repair(core: Machine, scope: Scope) -> dict[str, Table]:
    none = [0] * len(scope.number)
    opened, retracting, landed, undoer = list(none), list(none), list(none), list(none)
    acting, held = 0, set[str]()
    if (repair := core.repair) is not None:
        acting = scope.number[repair.acting]
        opened[acting], retracting[acting], landed[acting] = 1, int(repair.retracting), int(repair.landed)
        for key in repair.members:
            undoer[scope.number[key]] = acting
        for key in (repair.acting, *repair.members):
            held |= core.calls[key].reads | core.calls[key].writes
    holder = [acting if o in held else 0 for o in scope.objects]
    return {"opened": opened, "retracting": retracting, "landed": landed, "undoer": undoer, "holder": holder}
