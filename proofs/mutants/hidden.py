"""Mutants of the built-in specs but mtpo that lemmas alone tell, with what they weaken.

Nothing that says something of the system breaks: not in the small instances, nor by a step out of a state in which all
holds, nor, as far as 40,000 states show, in instances with one element more of a sort (the last ten of shadows were not
looked for there), but where that is said.
So what each weakens is bookkeeping for the proof, or its effect takes an instance that is larger still.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OF_LEMMA: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "gap.books": (
        "the order and the stages in which a round takes requests: what a round has taken is the same",
        (
            "gap.take.stage@4b3126ab",
            "gap.take.in-order@e4f26624",
            "gap.take.in-order~0@f9b64b57",
            "gap.admit.stage@ecf691bc",
        ),
    ),
    "failover.stages": (
        "which stages a conversation has behind it",
        ("failover.finish.served/1@ac569f9c",),
    ),
    "serial.lemma-values": (
        "what a call leaves on what it does not write",
        ("serial.act.left:=~0@b9593bea",),
    ),
    "serial.lemma-prefix": (
        "that agents end one after the other",
        (
            "serial.end.alone/1@7c759e2e",
            "serial.end.alone~0@cce0f028",
        ),
    ),
    "levels.made-of": (
        "of what a cached result was made",
        (
            "levels.write.new/1@61cef011",
            "levels.read_kept.new/1@49f98d6e",
            "levels.read_cached.new/1@49f98d6e",
            "levels.cache.served@0bb92519",
            "levels.cache.made:=@5d1db2dc",
            "levels.look_beneath.new/1@49f98d6e",
        ),
    ),
    "conserve.stages": (
        "which stages a conversation has behind it",
        (
            "conserve.prefill.arrived@7c2146b2",
            "conserve.transfer.bound@d4178616",
            "conserve.crash.moved:=~0@655e175a",
        ),
    ),
    "names.looked-at": (
        "what of a name was looked at, beside what is there",
        (
            "names.enumerate.looked:=~1@02c2a9bf",
            "names.enumerate.looked:=~3@6f54c8d2",
            "names.enumerate.saw:=~0@85437520",
            "names.refresh.looked:=@418e067d",
            "names.refresh.looked:=~1@02c2a9bf",
            "names.refresh.looked:=~3@6f54c8d2",
            "names.refresh.saw:=~0@85437520",
        ),
    ),
    "batching.books": (
        "what a step keeps count of until it has run",
        (
            "batching.prefill.alone~1@53bab717",
            "batching.prefill.taken:=@105b8a01",
            "batching.admit_whole.filled:=~0@d36fc3b2",
            "batching.admit_whole.filled:=~1@4b3ea494",
            "batching.run.decodes:=@59f718fd",
            "batching.run.short:=@4f35cf2a",
        ),
    ),
    "fair.books": (
        "what a step keeps count of until it has run",
        (
            "fair.begin.est:=@f62a3e48",
            "fair.begin_idle.est:=@f62a3e48",
            "fair.begin_idle.passed:=@ec1d03a1",
            "fair.begin_idle.alone:=@6c2129ba",
        ),
    ),
    "recovery.stages": (
        "which stages a call has behind it",
        (
            "recovery.begin.accepted/0@45c3af7b",
            "recovery.prepare.invertible@3808b745",
            "recovery.restart.prepared:=~2@5bbd21b4",
        ),
    ),
    "shadows.covers-above": (
        "what covers an object that a call does not write",
        (
            "shadows.shadow.cover:=~1@559acdc8",
            "shadows.skipped.cover:=~2@1d1e9f11",
        ),
    ),
    "shadows.closed": (
        "members that nothing but reads ties to the call",
        (
            "shadows.call.seeds~0@fd044348",
            "shadows.call.closed~0@60cfc38c",
            "shadows.retract.seeds~0@f86a7405",
            "shadows.retract.closed~0@60cfc38c",
            "shadows.surface.seeds~0@fd044348",
            "shadows.surface.closed~0@60cfc38c",
        ),
    ),
    "shadows.repair": (
        "what stage a repair is in",
        (
            "shadows.call.members-live-above~0@8b68855f",
            "shadows.retract.members-live-above~0@8b68855f",
            "shadows.surface.none-pending@0bd4f92c",
            "shadows.surface.none-pending~0@d18a1edb",
            "shadows.surface.members-live-above~0@8b68855f",
            "shadows.applied.sighted:=@3856986d",
            "shadows.skipped.after-landing@137277fa",
            "shadows.stranded.after-landing@137277fa",
        ),
    ),
    "shadows.sources": (
        "where the values come from that a call has read",
        (
            "shadows.undone.source:=~1@67783ecd",
            "shadows.applied.source:=~0@7614491c",
            "shadows.taken.source:=~1@67783ecd",
            "shadows.redone.source:=~0@7614491c",
            "shadows.redone.source:=~3@b1f7932d",
            "shadows.redone.source:=~4@b2c44160",
            "shadows.redone.source:=~6@95ab0b8c",
        ),
    ),
}

_LARGER: Final[Mapping[str, str]] = {
    "fair.begin_idle.alone:=": "fair.never-empty of four requests",
    "shadows.surface.none-pending": "shadows.in-place of five calls",
}
"""What tells a mutant in an instance with one element more."""


def _reason(lemma: str, of: str, key: str) -> str:
    larger = _LARGER.get(key.partition("@")[0])
    told = f"; in a larger instance {larger} tells it" if larger else ", of which no property speaks"
    return f"told by {lemma} alone: it is about {of}{told}"


HIDDEN: Final[Mapping[str, str]] = {
    key: _reason(lemma, of, key) for lemma, (of, keys) in _OF_LEMMA.items() for key in keys
}
"""The reasons by id and digest."""
