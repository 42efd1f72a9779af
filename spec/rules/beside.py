"""Beside the protocol: shadows, names, the levels of a read, and the line for locks."""

from __future__ import annotations

from typing import Final

from mtpo.spec.rules.rule import rules_of

_shadows = rules_of("shadows")
_names = rules_of("names")
_levels = rules_of("levels")
_locks = rules_of("locks")

SHADOWS: Final = (
    _shadows(
        "covered",
        "CoAgent 3, replay; ours, F28",
        "A blind write that a later blind write covers, with no reader between, need not act, nor be re-applied.",
        "shadow skipped covered covers-above hidden-costs-nothing reach-two-covers reach-skipped",
        "A blind write is taken to be one that can't fail: one that may reads what makes it fail (F8). The core has no "
        "covered writes: every write acts, and is redone.",
    ),
    _shadows(
        "surface",
        "ours, F28",
        "A shadow whose cover is gone acts at its place before anything else does.",
        "surface settle.none-bare as-ordered reach-half-bare reach-surfaced",
    ),
    _shadows(
        "read",
        "SCCP 3, wr; ours, F28",
        "A read gets the value at its position; where that is a shadow's, it must have surfaced.",
        "read read.unshadowed call.unshadowed reads-as-ordered unseen hidden-below sources",
    ),
    _shadows(
        "materialized",
        "SCCP 3, ww",
        "Every object holds the value of its trajectory; what is undone gives back what it had replaced.",
        "call applied undone live-materialized top-only-undo in-place",
    ),
    _shadows(
        "retract",
        "SCCP 3, repair; ours, F9",
        "A call is taken out, a shadow at once and another by a repair.",
        "retract taken drop for-good withdrawals-end",
    ),
    _shadows(
        "repair",
        "SCCP 3, ww; ours, F1 and F24",
        "The set to undo is closed; nobody sees the middle of a repair, and it ends.",
        "redone stranded settle closed undo-enabled repair-atomic repair-ends",
        "Who is told of what is in the spec mtpo.",
    ),
    _shadows(
        "no-lost-call",
        "ours",
        "Every accepted write is in place or to land, shadowed, to be re-applied, or withdrawn.",
        "no-lost-call",
    ),
    _shadows("invariants-of-proof", "ours", "What the others need to be inductive.", "repair origin-first"),
)

NAMES: Final = (
    _names(
        "reduction",
        "ours",
        "A name stands for all leaves under it, absent ones included: names conflict iff they share one.",
        "reduction tree",
    ),
    _names(
        "locks",
        "ours, F24",
        "Who has a name keeps others from what is over it and under it.",
        "lock unlock exclusive one-holder within-footprint read-outside-locks let-go freed taken reach-side-by-side",
    ),
    _names(
        "phantoms",
        "ours",
        "Whoever enumerated what is under a name is told of what appears there or goes.",
        "enumerate create remove no-phantom told-of-change one-leaf reach-phantom reach-absent",
    ),
    _names(
        "listings",
        "ours",
        "Creation and deletion write the listings that change, up to the deepest directory that was there or stays.",
        "create.deepest remove.deepest remove.emptied create.told:= remove.told:= path looked-at",
    ),
    _names("consume", "SCCP 3, rw", "Who is told learns what is there now.", "refresh notes-consumed"),
)

LEVELS: Final = (
    _levels(
        "value",
        "SCCP 3, wr",
        "However a read is served, it gets the value at its position.",
        "every-way as-positioned from-somewhere served-once read_live write",
        "Who is told of a late write is in the spec mtpo; here a reader has the new value at once.",
    ),
    _levels(
        "kept",
        "SCCP 3, wr",
        "A read is served from a version that was kept.",
        "read_kept drop kept-from-the-start dropped-once",
    ),
    _levels(
        "cached",
        "SCCP 3, wr",
        "A read is served from a result that another made, if what that was made of is what is at its position.",
        "cache read_cached read_cached.unchanged reach-cached",
        "The core keeps every value, and caches no results.",
    ),
    _levels(
        "undo",
        "SCCP 3, wr; ours, F26",
        "Else what is above is undone, the live state read, and all redone; who looks at the live state waits.",
        "look_beneath undo read_beneath redo give_back leaves-no-trace top-is-live nothing-withdrawn given-back "
        "undo-ends reach-beneath",
        "The core undoes nothing for a read.",
    ),
    _levels("invariants-of-proof", "ours", "What the others need to be inductive.", "made-of first"),
)

LOCKS: Final = (
    _locks(
        "line",
        "ours, F32",
        "A write that waits for locks has reserved what it will need; no later call begins a repair that locks any.",
        "ask begin begin.in-line no-bypass keeps-its-place need-stays reach-held-up reach-behind reach-beside",
        "An earlier agent may still go first, as often as it writes. That a repair ends is mtpo.repair-ends. The core "
        "has no line of this kind: it serves calls one at a time, in the order in which they come.",
    ),
    _locks(
        "turn",
        "ours, F32",
        "Once nobody has what it reserved a waiting call can begin; it may give up before.",
        "gets-its-turn line-moves give_up",
    ),
    _locks(
        "repair",
        "ours, F24",
        "A repair takes its locks when it opens, all at once, and keeps them to its end.",
        "settle exclusive all-at-once one-stage leave leaves",
        "What it does with them is in the spec mtpo, which has no line.",
    ),
)
