"""A turn on a simulated worker: how far it is, and when its tokens were there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, repeat
from operator import gt, sub
from typing import Final

import attrs

from mtpo.schedulers.simulator.kv import Holding, Runs, runs_of
from mtpo.schedulers.traces.workload import Piece, Turn
from mtpo.schedulers.types import RequestView

_UNSHARED: Final = 1 << 80
"""Tags from here on stand for tokens that no trace names."""


@attrs.define(eq=False)
class Request:
    """A turn on a worker. Times in seconds; ``due`` is the deadline of its next token, ``late`` counts tokens emitted
    after theirs, ``gap`` is the largest time between two tokens, ``gaps`` all of them, None where nobody asked;
    ``began``: when its first step began. It leaves the worker when it has emitted ``until``."""

    id: int
    arrival: float
    prompt: int
    output: int
    holding: Holding
    ttft_slo: float | None
    tpot_slo: float | None
    known: int
    due: float
    until: int
    moves: bool = False
    """Whether its KV cache is to be moved then, and stays where it is until that has been done."""
    computed: int = 0
    emitted: int = 0
    first: float | None = None
    last: float = 0.0
    gap: float = 0.0
    gaps: list[float] | None = None
    began: float | None = None
    late: int = 0
    hits: int = -1
    """Prompt tokens that the cache had when it was first admitted; -1 before."""
    preempted: int = 0
    seat: int = 0
    """Its place in the order of admission, while it runs."""
    joined: int = 0
    """The step of a :class:`~mtpo.schedulers.simulator.lockstep.Lockstep` up to which all this is told."""

    @property
    def decoding(self) -> bool:
        """See :class:`~mtpo.schedulers.types.RequestView`."""
        return self.emitted > 0 and self.known - self.computed == 1

    def emit(self, now: float) -> None:
        """All that it knows is computed, and one more token is there."""
        if self.emitted:
            gap = now - self.last
            if gap > self.gap:
                self.gap = gap
            if self.gaps is not None:
                self.gaps.append(gap)
        else:
            self.first = now
        if now > self.due:
            self.late += 1
        self.last = now
        self.known += 1
        self.emitted += 1
        self.due += self.tpot_slo or 0.0

    def decode(self, times: Sequence[float]) -> None:
        """A decode computed and emitted a token at each of these times: as that many times :meth:`emit`."""
        count = len(times)
        if not count:
            return
        self.computed += count
        self.known += count
        self.emitted += count
        gaps = [times[0] - self.last, *map(sub, times[1:], times)]
        largest = max(gaps)
        if largest > self.gap:
            self.gap = largest
        if self.gaps is not None:
            self.gaps += gaps
        # One after the other, as they would be added up token by token.
        *dues, self.due = accumulate(repeat(self.tpot_slo or 0.0, count), initial=self.due)
        self.late += sum(map(gt, times, dues))
        self.last = times[-1]

    def view(self) -> RequestView:
        """What a policy sees of it while it runs."""
        holding = self.holding
        return RequestView(
            self.id,
            self.arrival,
            self.known,
            self.computed,
            self.emitted,
            holding.tree + holding.private,
            holding.shared,
            0,
            self.ttft_slo,
            self.tpot_slo,
            self.first,
            self.prompt + self.until,
        )


def request_of(
    id: int,
    turn: Turn,
    arrival: float,
    ttft_slo: float | None,
    tpot_slo: float | None,
    block_size: int,
) -> Request:
    """A turn as a request that waits."""
    holding = Holding(id, sequence(id, turn, block_size))
    due = arrival + ttft_slo if ttft_slo is not None else float("inf")
    return Request(id, arrival, turn.prompt, turn.output, holding, ttft_slo, tpot_slo, turn.prompt, due, turn.output)


def sequence(id: int, turn: Turn, block_size: int) -> Runs:
    """What a turn consists of as the request with this id; nothing where the trace does not tell."""
    content = turn.content
    if content:
        rest = turn.prompt + turn.output - sum(piece.tokens for piece in content)
        # In a real cache what is shared with nobody takes its place in the order of eviction too.
        content = (*content, Piece(_UNSHARED + id, rest)) if rest > 0 else content
    return runs_of(content, block_size)


def brought(id: int) -> int:
    """The id of the blocks that were brought to a worker for a request."""
    return -2 - id
