"""What placement policies share: how much a turn needs, and who has the most or the least."""

from __future__ import annotations

from collections.abc import Iterable

from mtpo.schedulers.types import PlacementObservation, WorkerView


def need_of(observation: PlacementObservation) -> int:
    """Tokens of KV cache that a turn needs, as far as can be observed: its prompt and its cap on output."""
    return observation.prompt + observation.output


def most_unheld(workers: Iterable[WorkerView]) -> int | None:
    """The worker with the most KV cache that is promised to nobody; of equal ones the first by number; None of none."""
    best = min(workers, key=lambda w: (-w.unheld, w.id), default=None)
    return None if best is None else best.id


def emptiest(observation: PlacementObservation) -> int:
    """The prefiller with the fewest prompt tokens to compute; of equal ones one that does not decode, then the first by
    number. Raises :class:`ValueError` when no worker prefills."""
    best = min((w for w in observation.workers if w.prefills), key=lambda w: (w.backlog, w.decodes, w.id), default=None)
    if best is None:
        raise ValueError("placement: no worker prefills")
    return best.id
