"""Which rule judges which kind of record, and what is asked of every record alike.

Nothing here or in the rules comes from the code that wrote the log: they follow the papers and ``docs/records.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mtpo.proofs.runs import runcalls, runnews, runtold
from mtpo.proofs.runs.runform import FORMS, Key, fault, key_of, name_of
from mtpo.proofs.runs.runwalk import Walk
from mtpo.spec.records import Record

_ONLY_MTPO: Final = frozenset(
    {
        "retract",
        "retracted",
        "abort",
        "undo",
        "undone",
        "redo",
        "redone",
        "cancelled",
        "stranded",
        "settle",
        "notify",
        "deliver",
        "bounce",
        "gate",
        "reopen",
        "commit",
    }
)
_ASIDE: Final = frozenset({"infer", "judge", "external"})
_AFTER_SETTLE: Final = frozenset({"settle", "notify", *_ASIDE})
_NEW_CALL: Final = frozenset({"read", "call", "gate"})


def clock(walk: Walk, record: Record) -> None:
    """Time goes on from record to record, from 0."""
    if record.t < 0:
        walk.report("log.time", record, f"at {record.t} s, before the run was opened")
    elif record.t < walk.time:
        walk.report("log.time", record, f"at {record.t} s, before the record that it follows ({walk.time} s)")
    walk.time = record.t


def take(walk: Walk, record: Record) -> None:
    """Judge one record, and take over what it says.

    After one that can't be understood no rule is asked any more: what would follow from it is not known.
    """
    clock(walk, record)
    wrong = fault(record)
    if wrong or walk.lost is not None:
        if wrong:
            walk.misunderstood(record, wrong)
        return
    wrong = _misplaced(walk, record)
    if wrong:
        walk.report("log.body", record, wrong)
        return
    if record.kind not in FORMS:
        walk.skipped.setdefault(record.kind, record.seq)
        return
    _uncaptured(walk, record)
    if record.kind not in _AFTER_SETTLE:
        walk.settled = None
    handler = _HANDLERS.get(record.kind)
    if handler:
        handler(walk, record)


def _uncaptured(walk: Walk, record: Record) -> None:
    """What is captured must be the state on which the effect acts: nothing that may touch it comes between the two.
    Without coordination it may be another state, which is one of the things that make such a run wrong."""
    kind = record.kind
    if walk.mode == "naive" or kind in _ASIDE:
        return
    for key in sorted(walk.captured):
        if walk.mode == "mtpo" and not _meets(walk, record, key):
            continue
        walk.captured.discard(key)
        again = kind == "prepared" and walk.key(record) == key  # its own rule says so
        halted = kind == "close" and record.body["outcome"] == "halted"
        if not again and not halted and not (kind in ("exec", "redo") and walk.key(record) == key):
            what = f"comes between what was captured for call {name_of(key)} and its effect"
            walk.report("run.captured", record, what)


def _meets(walk: Walk, record: Record, key: Key) -> bool:
    """Whether a record is about what a call has in hand: steps of other repairs are not, whose locks are others."""
    repair = next((r for r in walk.repairs.values() if key == r.acting or key in r.members), None)
    if repair is None or record.kind == "close":
        return True
    about = {key_of(text) for text in (record.call, record.body.get("by")) if isinstance(text, str)}
    return bool(about & {repair.acting, *repair.members})


def _misplaced(walk: Walk, record: Record) -> str | None:
    kind, rank, form = record.kind, record.agent, FORMS.get(record.kind)
    if form is None:
        return None
    if kind == "run-open":
        return "the run is opened a second time"
    if walk.mode != "mtpo" and kind in _ONLY_MTPO:
        return f"does not occur in mode {walk.mode}"
    if form.agent and kind != "launch" and rank is not None and rank >= len(walk.agents):
        return f"agent {rank} was not launched"
    if form.call and kind not in _NEW_CALL and walk.key(record) not in walk.world.operations:
        return "the call was not issued before"
    return None


_HANDLERS: Final[Mapping[str, Callable[[Walk, Record], None]]] = {
    "launch": runcalls.launch,
    "read": runcalls.read,
    "call": runcalls.call,
    "prepared": runcalls.prepared,
    "exec": runcalls.begun,
    "applied": runcalls.applied,
    "failed": runcalls.failed,
    "retract": runcalls.retract,
    "retracted": runcalls.retracted,
    "undo": runcalls.undo,
    "undone": runcalls.undone,
    "redo": runcalls.redo,
    "redone": runcalls.redone,
    "cancelled": runcalls.withdrawn,
    "stranded": runcalls.withdrawn,
    "settle": runcalls.settle,
    "infer": runtold.infer,
    "notify": runnews.notify,
    "deliver": runtold.deliver,
    "bounce": runtold.bounce,
    "judge": runtold.judge,
    "finish": runtold.finish,
    "reopen": runtold.reopen,
    "commit": runtold.commit,
    "abort": runtold.abort,
    "gate": runtold.gate,
    "external": runtold.external,
    "close": runtold.close,
}
