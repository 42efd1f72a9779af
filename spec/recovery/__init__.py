"""Crash and recovery: how one atomic step of the protocol is made of logged phases.

In ``mtpo`` a call takes effect, or is undone, in one step. A runtime does it in several, and may die between any two of
them, also while it recovers; then its memory is gone, and the log and the resource are what is left. Recovery reads the
log: an attempt that was announced and not completed is put back by its undo data, an undo that was announced is
finished, and of a call without an inverse the resource is asked. What then becomes of a call that is not there (run
again, failed, withdrawn) is the protocol's business: here it may run again.

Write-ahead logging: ARIES (Mohan et al., TODS 17(1), 1992). The phases are records of docs/records.md: ``accept`` is
``call``, ``prepare`` is ``prepared``, ``announce`` is ``exec`` or ``redo``, ``complete`` is ``applied`` or ``redone``.

Assumed, beside what is assumed by name: a record is in the log wholly or not at all; the tools of invertible calls die
with the runtime (``called`` is memory); a call without an inverse takes effect on all its objects at once, perhaps
while no runtime is there, but not after the resource was asked about it: the question is a fence. Calls whose objects
are disjoint may be in flight together.

A crash in the middle of a repair leaves nothing more to say: every step of ``mtpo`` is one record, so what the log has
of repairs, members and notifications is a state of ``mtpo``, between two of its steps, and whoever goes on from there
takes its next one. Only inside of a step, which is of phases, is there something to put back, and that is told here.

That a runtime which recovers refines this spec, as the core does ``mtpo``, is not shown: in this version there is none.
Mtpo's writes what recovery would read (``prepared``, ``exec``, ``redo``), and where it dies the run has ended.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.recovery import properties
from mtpo.spec.recovery.model import Call, Object, Value, recovery

__all__ = ["EQUIVALENT", "Call", "Object", "Value", "properties", "recovery"]

EQUIVALENT: Final = {
    "recovery.ask.askable@5370ad55": "it is assumed of every call that has no inverse",
    "recovery.begin.free~0@57a3c7e1": "while a runtime is running it is at whatever executes (recovery.stages)",
    "recovery.undo.free~0@57a3c7e1": "while a runtime is running it is at whatever executes (recovery.stages)",
    "recovery.undo.free~1@8ffde4ab": (
        "what is being undone is on top (recovery.stacks): it is c, to begin again does nothing"
    ),
    "recovery.undo.free~3@71a3eac6": (
        "as undo.free~0 and undo.free~1: whatever executes is claimed, what is being undone is c"
    ),
    "recovery.complete.base:=~1@9a2fad15": "the base of what a call does not write is asked for nowhere",
    "recovery.complete.left:=~1@6ae8b465": "what a call left on what it does not write is asked for nowhere",
    "recovery.ask.base:=~3@88c25cd6": "the base of what a call does not write is asked for nowhere",
    "recovery.ask.left:=~3@2d3ed72c": "what a call left on what it does not write is asked for nowhere",
    "recovery.reverse.held:=~1@50477677": "it is assumed that every inverse is tame",
    "recovery.reverse.held:=~2@4141dc44": "it is assumed that every inverse is tame",
}
"""Mutants that change nothing that anybody could observe, with the reason."""
