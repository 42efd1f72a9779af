"""A worker that is lost: what was on it is gone, and who had something there asks for a place again.

A turn that was being computed there, or whose KV cache was there, is to be prefilled anew, with the tokens that it has
emitted; they are not lost, since they were sent. One whose KV cache was on its way to the lost worker still has it at
its prefiller, and only looks for another place. A policy that places a turn on a lost worker gives its conversation up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableSet

import attrs

from mtpo.schedulers.simulator.kv import Holding
from mtpo.schedulers.simulator.router import Router, Site, Talk


@attrs.frozen
class Loss:
    """The worker with the number ``worker`` is lost after ``at`` seconds, for good."""

    worker: int = attrs.field(validator=attrs.validators.ge(0))
    at: float = attrs.field(validator=attrs.validators.ge(0.0))


def lose(
    id: int,
    now: float,
    sites: Iterable[Site],
    talks: Iterable[Talk],
    router: Router,
    void: MutableSet[int],
    arrived: Callable[[Talk], bool],
) -> list[Talk]:
    """Take a worker away. Returns the turns to be asked about again, those that were first in line first.

    ``void`` collects the events that must not happen any more; ``arrived``: whether a conversation has begun and has
    not ended.
    """
    up = [site for site in sites if site.worker.id != id and site.lost is None]
    (site,) = (site for site in sites if site.worker.id == id)
    if site.lost is not None:
        return []
    site.lost = now
    site.worker.stop()
    again = []
    for talk in talks:
        if not arrived(talk):
            continue
        if talk.reserved_on == id:
            router.release(talk)
        request = talk.request
        if request is None:
            continue
        moves = talk.moving >= 0
        if moves and talk.prefilled and talk.decoder == id:
            void.add(talk.moving)
            talk.moving, talk.decoder = -1, None
        elif site.worker.has(request) or id in (talk.prefiller, talk.decoder) or (moves and talk.bound == id):
            if moves:
                void.add(talk.moving)
                if id == talk.bound != talk.source and any(one.worker.id == talk.source for one in up):
                    # It was to move here; what it has is still where it was bound.
                    talk.bound = talk.source
            talk.moving = -1
            for one in up:
                one.worker.drop(request)
            request.computed, request.holding = 0, Holding(request.id, request.holding.runs)
            talk.prefiller = talk.decoder = None
            talk.anew = True
        else:
            continue
        talk.replaced += 1
        router.forget(talk)
        again.append(talk)
    return sorted(again, key=lambda talk: (talk.rank is None, talk.rank or 0, talk.asked))
