"""A problem: one property that does not hold, and where. What the ids stand for that are no part of a spec.

The checks of a run have their English in :data:`mtpo.proofs.runs.runreport.CHECKS`, the properties and clauses of a
spec in the spec; `mtpo explain ID` tells all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs


@attrs.frozen
class Problem:
    """``property`` is the id of what does not hold (``log.chain``), ``where`` the place, ``what`` the reason."""

    property: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.property}: {self.where}: {self.what}"


@attrs.frozen
class Meaning:
    """What must hold, in ``english``, and what to ``do`` where it does not; ``kind`` says who asks for it."""

    kind: str
    english: str
    do: str


def meaning_of(id: str) -> Meaning | None:
    """What an id of a problem stands for; ``core.refines.note`` is of the family ``core.refines``."""
    family = id.rpartition(".")[0]
    return MEANINGS.get(id) or (MEANINGS.get(family) if family == "core.refines" else None)


def _of(kind: str, rows: Mapping[str, tuple[str, str]]) -> dict[str, Meaning]:
    return {id: Meaning(kind, english, do) for id, (english, do) in rows.items()}


_HALTS: Final = {
    "core.performed": (
        "What the protocol asks for can be done: the resource and the runtime do not fail on the way.",
        "The message has the error, the log how far the run got. Mend the cause and begin a new run.",
    ),
    "core.state-seen": (
        "The state of the resource can be looked at whenever the run has to know it.",
        "Make the resource readable again (folder, repository, rights, service) and begin a new run.",
    ),
    "core.inverse-runs": (
        "The inverse of a call that ran can be run.",
        "Put the object back by hand as the log has it, and mend the tool's `reverse`: `check_tool` tries it.",
    ),
    "core.inverse-restores": (
        "The inverse of a call leaves every object as it was before the call, and no other changed.",
        "Mend the tool's `prepare` or `reverse` (`check_tool` names what differs), or declare it not invertible. Where "
        "`check_tool` finds nothing, somebody edited the object at that moment: begin a new run.",
    ),
    "core.footprint-honest": (
        "A call changes nothing outside the writes that its tool declares.",
        "Declare the object in the tool's footprint, or do not write it. What was found there is in the log.",
    ),
    "core.failed-has-no-effect": (
        "A call without an inverse that fails has changed nothing.",
        "Let the tool check before it acts, or make it invertible. What it changed is named: put that back by hand.",
    ),
    "log.written": (
        "Every record is in the log before the run goes on.",
        "Make room or rights for the log's file and begin a new run; what is in the log stays judged.",
    ),
}

_OF_TOOLS: Final = {
    "tool.declared": (
        "A tool is declared with the functions that its class needs.",
        "Add what the message names to the tool, or declare another class.",
    ),
    "tool.callable": (
        "The functions of a tool can be called as declared, return text (`prepare`: bytes), and fail with ToolError "
        "alone.",
        "Mend the function that the message names, or raise ToolError for what a caller did wrong.",
    ),
    "tool.footprint": (
        "A call changes nothing outside its declared writes, and computing the footprint changes nothing. It has names "
        "of objects alone, and keeps up only what it both reads and writes.",
        "Declare the objects that are named (a kept one in `reads` and in `writes` too), or do not touch them.",
    ),
    "tool.prepare-pure": (
        "`prepare` changes nothing.",
        "Capture there only what undo needs, and act in `exec`.",
    ),
    "tool.failed-clean": (
        "A call that fails leaves the state as it was.",
        "Check before the first change, or put back what was changed before ToolError is raised.",
    ),
    "tool.inverse": (
        "`reverse` after `exec` restores every object.",
        "Capture in `prepare` what the objects named hold, and put it back, or declare the tool not invertible.",
    ),
    "tool.inverse-idempotent": (
        "A second `reverse` changes nothing: after a crash it may run again.",
        "Put values back instead of toggling or subtracting.",
    ),
    "tool.inverse-early": (
        "`reverse` before `exec` changes nothing: a crash may lie between `prepare` and `exec`.",
        "Put back what `prepare` captured instead of undoing a step that may not have happened.",
    ),
    "tool.reads": (
        "What a call returns and leaves rests on nothing but its declared reads.",
        "Declare the objects named as reads, or do not look at them.",
    ),
    "tool.blind": (
        "A blind write does not depend on the values that it replaces.",
        "Declare the tool as read-modify-write, with the objects among its reads. What it declares and does not write: "
        "take that out of its footprint.",
    ),
    "tool.read-pure": (
        "A read changes nothing, and two reads of one state give one result.",
        "Take the change, or what varies (time, chance, order), out of the tool's `read`.",
    ),
}

_OF_LOGS: Final = {
    "log.incomplete": (
        "The log has the close of its run: it is whole.",
        "The run was cut short or still goes on. What there is is judged, and what needs the end is not known.",
    ),
    "log.head": (
        "The log is the one that the certificate is for: its last record has the digest that is certified.",
        "Find the log that belongs to the certificate; this one lost its tail, was rewritten, or is of another run.",
    ),
    "log.unjudged": (
        "The checker has rules for every kind of record in the log.",
        "Judge the log with a version that knows the kind (docs/records.md lists those of this one).",
    ),
    "run.unjudged": (
        "Every record can be understood, so that the rules can be asked of those after it.",
        "Look at the record named and the problems before it; what comes after it was judged by its form alone.",
    ),
    "run.halted": (
        "The run came to its end: it was not halted.",
        "The message has the reason, `mtpo explain` what it means; then begin a new run.",
    ),
    "spec.replay": (
        "Every record is a step of the spec, with its outcome.",
        "`mtpo explain` the clause or property named; `mtpo verify --shrink FILE` writes a smaller log that shows it.",
    ),
}

_OF_CERTIFICATES: Final = {
    "certificate.verdict": (
        "What a run's certificate says of each property is what the checker comes to from the log.",
        "Trust neither before it is known which was altered; `mtpo verify LOG` judges the log by itself.",
    ),
    "certificate.content": (
        "What a run's certificate says of the run (order, counts, tokens) is what the log says.",
        "Trust neither before it is known which was altered; `mtpo verify LOG` judges the log by itself.",
    ),
}

_CORE_WRONG: Final = "The core is wrong, or the spec: the events that led there are in the message, to be taken again."

_OF_THE_CORE: Final = {
    "core.refines": (
        "Every event of the core is steps of the spec, to the state that the core's own stands for, and what the core "
        "refuses the spec refuses. core.refines.VARIABLE: they agree on that variable of the spec.",
        _CORE_WRONG,
    ),
    "core.total": ("The core takes every event that the protocol allows, without an error.", _CORE_WRONG),
    "core.refuses": ("The core refuses every event that the protocol does not allow.", _CORE_WRONG),
    "core.commits-at-once": ("Whoever can commit has committed when an event is done.", _CORE_WRONG),
    "core.notices-once": ("A delivery hands over all notices sent since the one before it, each once.", _CORE_WRONG),
    "core.everyone-commits": (
        "A run whose agents do what they planned comes to an end in which all have committed and nothing is open.",
        _CORE_WRONG,
    ),
}

_DRIVEN: Final = "No session does this. Who drives `Machine` by hand gives it each event when its effects ask for it."

_OF_THE_MACHINE: Final = {
    "mtpo.finish.author-at-work": ("Only an agent that has not finished finishes (mtpo.finish.at-work).", _DRIVEN),
    "mtpo.retract.author-at-work": (
        "Only an agent at work takes a call of its own out (mtpo.retract.by-its-author).",
        _DRIVEN,
    ),
    "mtpo.undone.its-turn": ("A call is undone only in an open repair.", _DRIVEN),
    "mtpo.redone.its-turn": ("A call is redone only in an open repair.", _DRIVEN),
    "mtpo.stranded.its-turn": ("A redo fails only in an open repair.", _DRIVEN),
    "mtpo.stranded.ascending": ("Calls are redone, or stranded, from the lowest up.", _DRIVEN),
    "mtpo.applied.footprint": ("A call that ran says a value for each of its writes, and for nothing else.", _DRIVEN),
    "mtpo.redone.footprint": ("A call that was redone says a value for each of its writes, and no other.", _DRIVEN),
}

MEANINGS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        **_of("reason to halt a run", _HALTS),
        **_of("check of a tool", _OF_TOOLS),
        **_of("check of a log", _OF_LOGS),
        **_of("check of a run's certificate", _OF_CERTIFICATES),
        **_of("check of the core against the spec", _OF_THE_CORE),
        **_of("clause of the core", _OF_THE_MACHINE),
    }
)
"""Every id of a problem that is no part of a spec and no check of a run."""
