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

from mtpo.spec.shadows import properties
from mtpo.spec.shadows.model import Call, Object, shadows

__all__ = ["Call", "Object", "properties", "shadows"]
