"""The traces of the findings that specs beside the protocol show: the KV cache, recovery, delivery, shadows, locks, and
those of the schedulers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mtpo.proofs.exploration.instances import sizes_for, small_instance
from mtpo.proofs.findings.scripted import Refused, Script
from mtpo.proofs.findings.traces import Mutated, Reached
from mtpo.proofs.findings.traces import Weakened as Without
from mtpo.proofs.mutants.ablate import without
from mtpo.spec.batching import batching
from mtpo.spec.bounded_gap import gap
from mtpo.spec.concrete import Instance
from mtpo.spec.delivery import delivery
from mtpo.spec.failover import failover
from mtpo.spec.footprint import footprint
from mtpo.spec.language import Spec
from mtpo.spec.locks import locks
from mtpo.spec.paged_kv import Block, Request, kv
from mtpo.spec.recovery import Call, Object, Value, recovery
from mtpo.spec.shadows import shadows

RESERVED_BEFORE_FILLED: Final = Script(
    "A chunk reserves two blocks, then fills them: the second may not be filled before the first.",
    kv,
    {Block: 3, Request: 1},
    {},
    (
        *(("allocate_first", 0, 0), ("allocate", 0, 1, 0), ("begin", 0)),
        Refused.by(("fill", 0, 1), "kv.fill.in-order"),
        *(("fill", 0, 0), ("fill", 0, 1), ("complete", 0)),
    ),
)

# -- F11 to F15: recovery ------------------------------------------------------------------------------------------

LANDS_AFTER_THE_ANSWER: Final = Mutated(
    "The resource answers no; the request of the dead runtime lands after that, and the log knows of nothing.",
    recovery,
    "ask.under_way:=",
    "recovery.write-ahead",
    "land",
)
NO_FENCE: Final = Mutated(
    "The question leaves the old request on its way.", recovery, "ask.under_way:=", "recovery.fenced", "ask"
)


def without_idempotent_inverses() -> Spec:
    """Recovery where nothing is assumed of an inverse of what was not done."""
    kept = {id: p for id, p in recovery.properties.items() if id != "recovery.inverse-idempotent"}
    return recovery.without(properties=kept)


_WILD: Final[dict[str, Callable[..., int]]] = {
    "origin": lambda: 0,
    "writes": lambda c, o: 1,
    "invertible": lambda c: int(c == 1),
    "askable": lambda c: 1,
    "tame": lambda c: 0,
    "given": lambda o: 0,
}

INVERSE_OF_NOTHING: Final = Without(
    "A call fails before it has reached its objects; its inverse runs on both, and spoils one that was right.",
    "without the assumption recovery.inverse-idempotent",
    without_idempotent_inverses,
    "recovery.as-logged",
    lambda spec: (Instance(spec, {Call: 2, Object: 2, Value: 2}, _WILD), None),
    "undone",
)
OLD_UNDO_DATA: Final = Mutated(
    "The undo data of before the crash still count when the call begins again.",
    recovery,
    "restart.prepared:=",
    "recovery.undo-data-first",
    "announce",
)
TORN: Final = Script(
    "A call reached one of its two objects; it counts as undone before it is put back there.",
    recovery,
    {Call: 2, Object: 2, Value: 2},
    {
        "writes": lambda c, o: 1,
        "invertible": lambda c: c,
        "askable": lambda c: 1,
        "tame": lambda c: 1,
    },
    (
        *(("accept", 1), ("begin", 1), ("prepare", 1), ("announce", 1), ("start", 1), ("effect", 1, 0, 1)),
        *(("crash",), ("restart",), ("undone", 1)),
    ),
    ("recovery.atomic",),
    "without recovery.undone.wholly",
    lambda: without(recovery, ["undone.wholly"]),
)
SENT_TWICE: Final = Mutated(
    "A request without an answer is sent again, and lands twice.",
    recovery,
    "start.once",
    "recovery.no-double-effect",
    "land",
)
TAKEN_TO_HAVE_WORKED: Final = Mutated(
    "A request counts as done because it was sent.", recovery, "complete.wholly", "recovery.never-guessed", "complete"
)

# -- F16 to F18: delivery ------------------------------------------------------------------------------------------

CONSUMED_UNSEEN: Final = Mutated(
    "A notification is consumed during an inference that never saw it, and the call is accepted.",
    delivery,
    "deliver.idle",
    "delivery.consumed-before-action",
    "accept",
)
STOPPED_FOR_NOTHING: Final = Mutated(
    "An inference is stopped that lacks no notification.",
    delivery,
    "stop.notified",
    "delivery.stop-loses-nothing",
    "stop",
)
OVERTAKEN_ON_THE_WAY: Final = Mutated(
    "Two notifications arrive in the other order, and the old value is told last.",
    delivery,
    "arrive.in-order",
    "delivery.told-newest",
    "deliver",
)
OVERTAKEN_IN_THE_INBOX: Final = Mutated(
    "The inbox hands them over in the other order, and the reader acts on the old value.",
    delivery,
    "deliver.in-order",
    "delivery.acts-on-the-newest",
    "accept",
)
BOUNCES_FOR_EVER: Final = Mutated(
    "A bounce that does not bring what is on its way leaves the agent as far from getting through as before.",
    delivery,
    "bounce.arrived:=",
    "delivery.gets-through",
)

# -- F19 to F23: the specs of the schedulers -----------------------------------------------------------------------

NOTHING_RESERVED: Final = Mutated(
    "A request is admitted whose last tokens do not fit into the bound beside those of the others.",
    gap,
    "admit.reserved",
    "gap.reserved",
)
DECODE_LEFT_OUT: Final = Reached(
    "Those before it use up the budget, and nothing ever changes that.",
    batching,
    "batching.reach-starved",
    lambda: small_instance(batching, sizes_for(batching)),
)
NOT_IN_LINE: Final = Mutated(
    "Whoever fits is placed, before the first in line.",
    failover,
    "bind.first-in-line",
    "failover.first-come-first-served",
)
CACHE_FORGOTTEN: Final = Mutated(
    "What was on its way to the lost decoder is taken to be computed, and is nowhere.",
    failover,
    "crash.prefilled:=",
    "failover.none-lost",
)
NEVER_GROWS: Final = Mutated(
    "A window that need not grow by any stays where it is, though more fit.",
    footprint,
    "grow.some",
    "footprint.never-stuck",
)

# -- F28 and F32 ---------------------------------------------------------------------------------------------------

COVER_GONE: Final = Mutated(
    "The repair that takes out the cover closes, and what it had covered is nowhere.",
    shadows,
    "settle.none-bare",
    "shadows.as-ordered",
)
SURFACES_ABOVE: Final = Mutated(
    "The covered write surfaces above a later one on its other object, which is not undone for it.",
    shadows,
    "surface.seeds",
    "shadows.closed",
)
READ_BETWEEN: Final = Mutated(
    "A reader between the covered write and its cover gets what was there before both.",
    shadows,
    "read.unshadowed",
    "shadows.reads-as-ordered",
)
OUT_OF_LINE: Final = Mutated(
    "Without the line a later call begins a repair that is in the way of one that waits.",
    locks,
    "begin.in-line",
    "locks.no-bypass",
)
