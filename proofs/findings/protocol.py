"""The traces of the findings on calls, notifications, aborts and changes from outside (F1 to F10): runs of the spec
``mtpo``, as it is or with a rule left out."""

from __future__ import annotations

from typing import Final

from mtpo.proofs.exploration.instances import mtpo_instance
from mtpo.proofs.findings.calls import NONE, XY, X, Y, act, script
from mtpo.proofs.findings.scripted import Holds, Refused
from mtpo.proofs.findings.traces import Mutated, Weakened
from mtpo.spec.language import Bool, Spec, forall, implies
from mtpo.spec.mtpo import Call, mtpo
from mtpo.spec.mtpo.model import author, note, opened

WRITES_OVER_WRITES: Final = script(
    "Only what lies on x is to be undone; a1's first write is below its second on y, so its inverse can't run.",
    [(0, "", "x"), (1, "", "xy"), (1, "", "y")],
    [*act(2, XY, (1, 1)), *act(3, Y, (0, 0)), ("call", 1, {2}, XY)],
    lacks=["call.closed"],
    breaks=["mtpo.undo-enabled"],
)
REDO_THAT_READS: Final = script(
    "Only what lies on p is undone; the redo of a1's call reads q as a2 left it, from above.",
    [(0, "", "p"), (1, "q", "p"), (2, "", "q")],
    [
        *act(2, XY, (1, 0)),
        *act(3, Y, (0, 1)),
        *(("call", 1, {2}, XY), ("undone", 2), ("applied", 1, (1, 0)), ("redone", 2, (1, 0))),
    ],
    objects="pq",
    lacks=["call.closed"],
    breaks=["mtpo.in-place"],
)
LATE_BY_A_READ: Final = script(
    "a0's call is late by what it reads: unless a1's write of q is undone, it reads q as a1 left it, from above.",
    [(0, "q", "p"), (1, "", "q")],
    [*act(2, Y, (0, 1)), ("call", 1, NONE, XY), ("applied", 1, (1, 0))],
    objects="pq",
    lacks=["call.seeds"],
    breaks=["mtpo.filtered-read", "mtpo.in-place"],
)
RESULT_NOT_TOLD: Final = Mutated(
    "A redo leaves another value than before, and its author is not told.", mtpo, "redone.note:=", "mtpo.redo-told"
)
LATE_WITHOUT_INVERSE: Final = script(
    "a0's call has no inverse and waits for nobody, being the lowest; a1 has written x meanwhile, so it is late. It "
    "undoes, and is never undone: a1's own such call is refused until a0 has committed.",
    [(0, "", "x!"), (1, "", "x"), (1, "", "y!")],
    [
        *act(2, X, (1, 0)),
        Refused.by(("call", 3, NONE, Y), "mtpo.call.gate"),
        ("call", 1, {2}, X),
        ("undone", 2),
        ("applied", 1, (0, 0)),
        ("redone", 2, (1, 0)),
        ("settle", 1),
        Refused.by(("retract", 1, {2}, X), "mtpo.retract.not-kept"),
        *(("finish", 0), ("commit", 0)),
        *act(3, Y, (0, 1)),
        Holds({("live", 1): 1, ("live", 2): 1, ("live", 3): 1}),
    ],
)
WITHDRAWN_EARLY: Final = Mutated(
    "An undone call is cancelled before the late one has landed: if that fails now, work was lost for nothing.",
    mtpo,
    "cancelled.after-landing",
    "mtpo.withdrawn-after-landing",
)
WHOLE_FOOTPRINT_TOLD: Final = script(
    "a0's call touches x alone; a2, who read y of a1's cancelled call, is told all the same.",
    [(0, "", "x"), (1, "", "xy"), (2, "y", "")],
    [
        *act(2, XY, (1, 1)),
        ("read", 3, (2, 2)),
        *(("call", 1, {2}, XY), ("undone", 2), ("applied", 1, (1, 0)), ("cancelled", 2), ("settle", 1)),
        Holds({("note", 2): 1, ("note", 3): 1, ("source", 3, 1): 0}),
        Refused.by(("finish", 2), "mtpo.finish.inbox-empty"),
    ],
    cancel=True,
)


def _strictly_upwards() -> Spec:
    strict = mtpo.without()

    @strict.step_property("mtpo.strictly-upwards")
    def strictly_upwards() -> Bool:
        "Who is told has a higher rank than the author of every call whose repair is open."
        return forall(Call, Call, lambda p, c: implies(note.next(p) & ~note(p) & opened(c), author(c) < author(p)))

    return strict


TOLD_BY_ONESELF: Final = Weakened(
    "An author that retracts hears of a later call of its own, which had read what is gone: not strictly upwards.",
    "with the first version of mtpo.one-way beside it",
    _strictly_upwards,
    "mtpo.strictly-upwards",
    lambda spec: mtpo_instance(1, 2, 1, spec=spec, faults=True),
    "settle",
)
SAVEPOINT: Final = script(
    "a0 is aborted: the write after its call without an inverse is taken out, that call and what was before it stay.",
    [(0, "", "x"), (0, "", "y!"), (0, "", "z")],
    [
        *act(1, {0}, (1, 0, 0)),
        *act(2, {1}, (0, 1, 0)),
        *act(3, {2}, (0, 0, 1)),
        Refused.by(("retract", 1, NONE, {0}), "mtpo.retract.not-kept"),
        *(("abort", 0), ("retract", 3, NONE, {2}), ("retracted", 3), ("settle", 3), ("commit", 0)),
        Holds({("live", 1): 1, ("live", 2): 1, ("withdrawn", 3): 1, ("committed", 0): 1}),
    ],
    objects="xyz",
)
KEPT_UNDONE: Final = Mutated(
    "Without it, a call without an inverse is undone.", mtpo, "retract.not-kept", "mtpo.top-only-undo"
)
PREMISE_OF_THE_DEAD: Final = Mutated(
    "An aborted agent's reads are premises still, and are to be told to nobody.",
    mtpo,
    "abort.sighted:=",
    "mtpo.lemma-aborted",
)
FOREIGN: Final = script(
    "Somebody changes x in the middle of a repair: it is not redone and stays open; what touches y goes on.",
    [(0, "", "x"), (1, "", "x"), (1, "y", "")],
    [
        *act(2, X, (1, 0)),
        ("call", 1, {2}, X),
        ("undone", 2),
        ("applied", 1, (0, 0)),
        ("external", 0),
        Refused.by(("redone", 2, (1, 0)), "mtpo.redone.ours"),
        Refused.by(("settle", 1), "mtpo.settle.none-pending"),
        ("read", 3, (0, 0)),
        Holds({("opened", 1): 1, ("pending", 2): 1, ("sighted", 3): 1, ("foreign", 0): 1}),
    ],
)
