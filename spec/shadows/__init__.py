"""Shadows: blind writes that need not act, because a later blind write covers them.

A write is *blind* on an object if it does not read it (CoAgent, "replay"): what it leaves does not depend on what it
replaces. A late blind write below a live blind write on the same object, with no reader between, would be overwritten
before anybody could see it: it is *shadowed*, in the trajectory, its effect not in place. So is an undone blind write
that is not re-applied. A call on several objects acts on all of them or on none, so each of them must be covered.

The papers say no more than that a covered write "needs no replay". What is undone gets back what it had replaced, and
that was captured when the shadow's effect was not there. So when a cover goes for good, the object holds what lies
below the shadow, not what the order implies (F28). Here the shadow *surfaces*: it acts at its place, as a late call
would, with a repair of its own; the repair in which its cover was lost does not end before. So it does for whoever
wants to read between the shadow and its cover: nothing that was kept has that value.

One repair at a time; who is told what is as in ``mtpo``. Shadowed are only calls that read nothing and can't fail.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.shadows import properties
from mtpo.spec.shadows.model import Call, Object, shadows

__all__ = ["EQUIVALENT", "Call", "Object", "properties", "shadows"]

EQUIVALENT: Final = {
    "shadows.read.source:=~1@822f7c2f": "the source of what a call does not read is asked for nowhere",
    "shadows.undone.source:=~0@921ab1c8": (
        "the source of what is read writes it (shadows.sources); others are asked for nowhere"
    ),
    "shadows.taken.source:=~0@921ab1c8": (
        "the source of what is read writes it (shadows.sources); others are asked for nowhere"
    ),
    "shadows.applied.source:=~1@65caa3e8": "the source of what a call does not read is asked for nowhere",
    "shadows.redone.source:=~1@65caa3e8": "the source of what a call does not read is asked for nowhere",
    "shadows.applied.source:=~2@797ac2d5": (
        "the sources of who is not sighted are asked for nowhere, and set when it is"
    ),
    "shadows.redone.source:=~2@797ac2d5": "the sources of who is not sighted are asked for nowhere, and set when it is",
    "shadows.applied.source:=~5@012fbc62": (
        "what was live above it on its objects is undone (shadows.closed): no source there"
    ),
    "shadows.redone.source:=~5@012fbc62": (
        "nothing is live above it on its objects (shadows.closed, .repair): no source there"
    ),
    "shadows.applied.base:=~1@9a2fad15": "the base of what a call does not write is asked for nowhere",
    "shadows.redone.base:=~1@9a2fad15": "the base of what a call does not write is asked for nowhere",
    "shadows.shadow.covered~1@d340419e": (
        "what is live is sighted (shadows.repair): if it read it would be a reader between"
    ),
    "shadows.skipped.covered~1@d340419e": (
        "what is live or pending is sighted (shadows.repair): it would be a reader between"
    ),
    "shadows.surface.seeds~3@dc2d64ea": "a shadow reads nothing (shadows.unseen)",
}
"""Mutants that change nothing that anybody could observe, with the reason."""
