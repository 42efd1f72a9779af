"""The traces of the findings on repairs (F24 to F33): what they lock, who waits for them, what they withdraw; runs
of the spec ``mtpo``, as it is or with another rule."""

from __future__ import annotations

from typing import Final, cast

import attrs

from mtpo.proofs.exploration.instances import mtpo_instance
from mtpo.proofs.findings.calls import NONE, XY, One, X, Y, act, script, with_actions, with_clause
from mtpo.proofs.findings.scripted import Given, Holds, Refused, Script
from mtpo.proofs.findings.traces import Mutated, Reached, Weakened
from mtpo.spec.language import FALSE, Action, Bool, Function, Spec, forall, implies
from mtpo.spec.mtpo import Agent, Call, Object, mtpo
from mtpo.spec.mtpo.model import by, locked, reads, sighted, writes


def _locking_writes_only(name: str) -> Action:
    """Of an action that opens a repair, the clause on what it must lock, without what is only read."""
    c, members, locks = cast(tuple[Call, Function[Bool], Function[Bool]], mtpo.actions[name].params)
    weaker = forall(
        Object,
        lambda o: (
            implies(writes(c, o), locks(o)) & forall(Call, lambda m: implies(members(m) & writes(m, o), locks(o)))
        ),
    )
    return with_clause(mtpo.actions[name], "locks-all", weaker)


def locking_writes_only() -> Spec:
    """The protocol where a repair need not lock what is only read."""
    return with_actions(*map(_locking_writes_only, ("call", "retract")))


READ_WITHOUT_LOCK: Final = Weakened(
    "a0's call is accepted, then a1's, which writes what a0's is to read, and acts first; at the end nobody is told.",
    "locking what is written alone, in mtpo.call.locks-all and mtpo.retract.locks-all",
    locking_writes_only,
    "mtpo.notified-serializable",
    lambda spec: mtpo_instance(2, 1, 2, spec=spec),
)
READ_BY_UNDO: Final = script(
    "a0 reads x by undoing what is above it; under cancel a1's write is withdrawn, though nothing of its has changed.",
    [(0, "x", ""), (1, "", "x")],
    [
        *act(2, X, (1,)),
        *(("call", 1, {2}, X), ("undone", 2), ("applied", 1, (0,))),
        Holds({("saw", 1, 0): 0}),
        Refused.by(("redone", 2, (1,)), "mtpo.redone.policy"),
        ("cancelled", 2),
        Holds({("withdrawn", 2): 1, ("note", 2): 1}),
    ],
    objects="x",
    cancel=True,
)

UNDONE_TO_BE_READ: Final = Reached(
    "A call that writes nothing has undone what is above it, and read.",
    mtpo,
    "mtpo.reach-read-by-undo",
    lambda: mtpo_instance(2, 1, 1),
)

_SUCCESSOR_HALTS: Final[tuple[Given, ...]] = (
    ("read", 2, (0, 0)),
    *act(3, X, (1, 0)),
    *act(1, Y, (0, 1)),
    ("retract", 3, NONE, X),
    ("external", 0),
)
_THREE: Final[list[One]] = [(0, "", "y"), (1, "xy", ""), (2, "", "x")]


def waiting_for_successors() -> Spec:
    """The protocol as the papers lock: a delivery waits for every repair that has what the reader has read."""
    (a,) = cast(tuple[Agent], mtpo.actions["deliver"].params)
    waits = forall(Call, Object, lambda c, o: implies(by(c, a) & sighted(c) & reads(c, o), ~locked(o)))
    return with_actions(with_clause(mtpo.actions["deliver"], "settled", waits))


SUCCESSOR_WAITED_FOR: Final = attrs.evolve(
    script(
        "a2's repair can't end; as the papers lock, a1 is never told of what a0 did.",
        _THREE,
        [*_SUCCESSOR_HALTS, Refused.by(("deliver", 1), "mtpo.deliver.settled")],
    ),
    breaks=("mtpo.no-wait-for-successors",),
    stays=1,  # the retraction makes it false, and what is changed from outside keeps it so
    weaken=waiting_for_successors,
    without="with mtpo.deliver.settled as the papers have it: a delivery waits for whoever has what was read",
)
SUCCESSOR_NOT_WAITED_FOR: Final = script(
    "The same with the mend: a1 is told of what a0 did, and commits, though its successor's repair never ends.",
    _THREE,
    [
        *_SUCCESSOR_HALTS,
        *(("deliver", 1), ("finish", 0), ("finish", 1), ("commit", 0), ("commit", 1)),
        Holds({("opened", 3): 1, ("note", 2): 0, ("committed", 1): 1}),
        Refused.by(("retracted", 3), "mtpo.retracted.ours"),
    ],
)
HALF_A_REPAIR: Final = script(
    "One of a1's two writes is withdrawn, the other still pending: it is not told before both are.",
    [(0, "", "xy"), (1, "", "x"), (1, "", "y")],
    [
        *act(2, X, (1, 0)),
        *act(3, Y, (0, 1)),
        ("call", 1, {2, 3}, XY),
        *(("undone", 3), ("undone", 2), ("applied", 1, (0, 0)), ("cancelled", 2)),
        Holds({("note", 2): 1, ("pending", 3): 1}),
        Refused.by(("deliver", 1), "mtpo.deliver.settled"),
        *(("cancelled", 3), ("settle", 1), ("deliver", 1)),
    ],
    cancel=True,
)
HALF_A_REPAIR_SEEN: Final = Mutated(
    "Without it, an author consumes that one write is withdrawn in the middle of the repair.",
    mtpo,
    "deliver.settled~3",
    "mtpo.repair-atomic",
)
REDO_OF_THE_DEAD: Final = script(
    "a1 is aborted while its write is undone: it is not redone but withdrawn, and both agents commit.",
    [(0, "", "x"), (1, "", "x")],
    [
        *act(2, X, (1, 0)),
        *(("call", 1, {2}, X), ("undone", 2), ("abort", 1), ("applied", 1, (0, 0))),
        Refused.by(("redone", 2, (1, 0)), "mtpo.redone.author-there"),
        *(("stranded", 2), ("settle", 1), ("finish", 0), ("commit", 0), ("commit", 1)),
        Holds({("withdrawn", 2): 1, ("committed", 0): 1, ("committed", 1): 1}),
    ],
)
REDO_OF_THE_DEAD_SEEN: Final = Mutated(
    "Without it, a call of an aborted agent takes effect again.",
    mtpo,
    "redone.author-there",
    "mtpo.aborted-act-no-more",
)


def overtaken(rounds: int) -> Script:
    """a0 is to write both objects; a1 writes the first, a2 the second, by turns, so many times each."""
    calls = [(0, "", "xy"), *[(1, "", "x")] * rounds, *[(2, "", "y")] * rounds]
    steps: list[Given | Refused | Holds] = []
    placed = set[int]()
    held: int | None = None
    for turn in range(2 * rounds):
        call, where = (2 + turn // 2, X) if turn % 2 == 0 else (2 + rounds + turn // 2, Y)
        steps.append(("call", call, NONE, where))
        if held is not None:
            steps.append(("settle", held))
        steps.append(("applied", call, (0, 0)))
        held = call
        placed = placed | {call}
        steps.append(Refused.by(("call", 1, placed, XY), "mtpo.call.members-free", "mtpo.call.unlocked"))
    return script(
        f"a0 is to write both objects and never gets in: in each of {2 * rounds} turns one of them is locked.",
        calls,
        [*steps, ("settle", held), ("call", 1, placed, XY)],
    )


OVERTAKEN: Final = overtaken(4)


def forgetful(action: str) -> Spec:
    """The protocol where a call that this action takes back is no premise of its author any more."""
    one = mtpo.actions[action]
    updates = (attrs.evolve(u, value=FALSE) if u.variable.name == "sighted" else u for u in one.updates)
    return with_actions(attrs.evolve(one, updates=tuple(updates)))


def forgotten(action: str) -> Weakened:
    """The shortest run in which that is seen."""
    return Weakened(
        f"A call that is {action} is no premise any more: nobody would tell its author what had made it go.",
        f"with sighted false after mtpo.{action}",
        lambda: forgetful(action),
        "mtpo.failure-is-a-premise",
        lambda spec: mtpo_instance(2, 1, 1, spec=spec, faults=True),
        action,
    )
