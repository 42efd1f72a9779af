"""Which traces each finding has, by a name for each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final, TypeAlias

import attrs

from mtpo.proofs.findings import beside, core, placing, predicates, protocol, repairs, timing, windows
from mtpo.proofs.findings.chart import Chart
from mtpo.proofs.findings.scripted import Script
from mtpo.proofs.findings.traces import Mutated, Reached, Weakened


@attrs.frozen
class Charted:
    """A chart of what a simulation, or a policy that is asked, comes to."""

    says: str
    draw: Callable[[], Chart]
    kind: ClassVar[str] = "timeline"


Shown: TypeAlias = Mutated | Weakened | Reached | Script | core.CoreRun | Charted

TRACES: Final[Mapping[str, Mapping[str, Shown]]] = {
    "F1": {
        "writes over writes": protocol.WRITES_OVER_WRITES,
        "redo of a call that reads": protocol.REDO_THAT_READS,
        "late by a read": protocol.LATE_BY_A_READ,
    },
    "F2": {"not told": protocol.RESULT_NOT_TOLD, "told": core.RESULT_CHANGES},
    "F3": {"late without an inverse": protocol.LATE_WITHOUT_INVERSE},
    "F4": {"withdrawn early": protocol.WITHDRAWN_EARLY},
    "F5": {"told of every object": protocol.WHOLE_FOOTPRINT_TOLD},
    "F6": {"an inference in vain": core.INFERENCE_IN_VAIN},
    "F7": {"reserved, then filled": beside.RESERVED_BEFORE_FILLED},
    "F8": {"a failure that is told": core.FAILURE_IS_A_PREMISE},
    "F9": {
        "told by oneself": protocol.TOLD_BY_ONESELF,
        "a savepoint": protocol.SAVEPOINT,
        "no savepoint": protocol.KEPT_UNDONE,
        "premises of the dead": protocol.PREMISE_OF_THE_DEAD,
    },
    "F10": {"somebody writes": protocol.FOREIGN},
    "F11": {"lands after the answer": beside.LANDS_AFTER_THE_ANSWER, "no fence": beside.NO_FENCE},
    "F12": {"an inverse of nothing": beside.INVERSE_OF_NOTHING},
    "F13": {"old undo data": beside.OLD_UNDO_DATA},
    "F14": {"torn": beside.TORN},
    "F15": {"sent twice": beside.SENT_TWICE, "taken to have worked": beside.TAKEN_TO_HAVE_WORKED},
    "F16": {"consumed unseen": beside.CONSUMED_UNSEEN, "stopped for nothing": beside.STOPPED_FOR_NOTHING},
    "F17": {"overtaken on the way": beside.OVERTAKEN_ON_THE_WAY, "in the inbox": beside.OVERTAKEN_IN_THE_INBOX},
    "F18": {"bounces for ever": beside.BOUNCES_FOR_EVER},
    "F19": {
        "nothing reserved": beside.NOTHING_RESERVED,
        "a paused decode": Charted("No token is late, and the decode stands still for seconds.", timing.paused_decode),
    },
    "F20": {
        "a decode left out": beside.DECODE_LEFT_OUT,
        "the third of three": Charted("Two decodes take the whole budget of every step.", timing.starved_decode),
        "long steps": Charted("One budget of tokens is milliseconds or half a second.", timing.long_steps),
    },
    "F21": {
        "not in line": beside.NOT_IN_LINE,
        "by a poll": Charted("Each small conversation takes the room that comes back.", placing.starved_by_a_poll),
        "in line": Charted("With one line the large one is placed in its turn.", placing.placed_in_line),
    },
    "F22": {
        "a cache forgotten": beside.CACHE_FORGOTTEN,
        "given up": Charted("Later turns are bound to a decoder that is gone.", lambda: placing.given_up("conserve")),
        "placed again": Charted("They are placed again instead.", lambda: placing.given_up("failover")),
        "in line": Charted("Who lost a decoder is back at its place in the line.", placing.lost_decoder),
    },
    "F23": {
        "never grows": beside.NEVER_GROWS,
        "one large agent": Charted("CONCUR's window of one stays one, though three would fit.", windows.stuck_window),
        "contexts that grow": Charted("CONCUR cuts after the cache has run over.", windows.late_cut),
    },
    "F24": {"a read without a lock": repairs.READ_WITHOUT_LOCK},
    "F25": {
        "locked": Charted("Nothing can go on under both controls, and with the mend it does.", windows.locked_controls)
    },
    "F26": {"a read by undo": repairs.READ_BY_UNDO, "how it is reached": repairs.UNDONE_TO_BE_READ},
    "F27": {"a waived effect": predicates.WAIVED_EFFECT},
    "F28": {
        "its cover gone": beside.COVER_GONE,
        "surfaces above": beside.SURFACES_ABOVE,
        "a reader between": beside.READ_BETWEEN,
    },
    "F29": {"as the papers lock": repairs.SUCCESSOR_WAITED_FOR, "mended": repairs.SUCCESSOR_NOT_WAITED_FOR},
    "F30": {"told at its end": repairs.HALF_A_REPAIR, "told in its middle": repairs.HALF_A_REPAIR_SEEN},
    "F31": {"withdrawn": repairs.REDO_OF_THE_DEAD, "redone": repairs.REDO_OF_THE_DEAD_SEEN},
    "F32": {"overtaken": repairs.OVERTAKEN, "out of line": beside.OUT_OF_LINE},
    "F33": {
        **{action: repairs.forgotten(action) for action in ("retracted", "cancelled", "stranded")},
        "told": core.TAKEN_BACK,
    },
    "F34": {"three tokens": Charted("A token that comes earlier makes a gap too long.", timing.gaps_judged)},
    "F35": {
        "a promise": Charted("The decodes to come make it late, by steps as predicted.", timing.overlooked_decodes)
    },
    "F36": {"seven blocks": Charted("What is brought for two leaves room for neither.", timing.blocks_taken)},
    "F37": {"a waived failure": predicates.WAIVED_FAILURE, "told all the same": predicates.TOLD_OF_ANY_VALUE},
}
