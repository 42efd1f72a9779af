"""Deadlines of tokens, and the slack before them (FairBatching, arXiv 2510.14392, section on deadlines).

The deadline of output token j (0 is the first) is ``arrival + ttft_slo + tpot_slo * j``: an envelope fixed at arrival.
It does not depend on progress, so it is monotone, and a token that is early never makes a later one late. Time between
tokens is not like that.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from mtpo.schedulers.types import RequestView

_positive = attrs.validators.gt(0.0)


@attrs.frozen
class Objectives:
    """Those of requests that have none of their own, in seconds; and where the envelope begins.

    ``reanchor``: the envelope of a request whose first token was late begins there instead, so that it is not behind
    for ever: at ``max(first token, arrival + ttft_slo)``.
    """

    ttft: float = attrs.field(default=1.0, validator=_positive)
    tpot: float = attrs.field(default=0.05, validator=_positive)
    reanchor: bool = False

    def tpot_of(self, request: RequestView) -> float:
        """Seconds per output token that a request is to get."""
        return self.tpot if request.tpot_slo is None else request.tpot_slo

    def deadline(self, request: RequestView, token: int) -> float:
        """When output token ``token`` (0 is the first) of a request is due."""
        start = request.arrival + (self.ttft if request.ttft_slo is None else request.ttft_slo)
        if self.reanchor and request.first is not None and request.first > start:
            start = request.first
        return start + self.tpot_of(request) * token

    def due(self, request: RequestView) -> float:
        """When its next token is due."""
        return self.deadline(request, request.emitted)

    def dues(self, requests: Iterable[RequestView]) -> list[float]:
        """:meth:`due` of each, in one loop: a policy asks it of every request in every step."""
        ttft, tpot, reanchor = self.ttft, self.tpot, self.reanchor
        found = []
        for r in requests:
            start = r.arrival + (ttft if r.ttft_slo is None else r.ttft_slo)
            if reanchor and r.first is not None and r.first > start:
                start = r.first
            found.append(start + (tpot if r.tpot_slo is None else r.tpot_slo) * r.emitted)
        return found

    def slack(self, request: RequestView, now: float) -> float:
        """Seconds until its next token is due; negative when it is late."""
        return self.due(request) - now
