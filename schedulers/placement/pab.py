"""Routing by prefill admission budget: FairBatching's load estimate for a cluster (arXiv 2510.14392).

A worker's budget is how many more prompt tokens it could compute within a new request's time to first token: the
window, minus what its batches cost anyway, minus decodes that fall due in it, minus prompts it has already taken. The
estimate does not reserve for the decodes that those prompts will turn into, so it promises too much under load.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs

from mtpo.schedulers.step.deadlines import Objectives
from mtpo.schedulers.types import (
    PlacementDecision,
    PlacementObservation,
    RequestView,
    StepModel,
    WorkerView,
)


def due_within(objectives: Objectives, request: RequestView, now: float, window: float) -> int:
    """Tokens of a decode that are due in ``(now, now + window]``, seconds."""
    due, tpot = objectives.due(request), objectives.tpot_of(request)

    def until(time: float) -> int:
        return max(0, math.floor((time - due) / tpot) + 1)

    return until(now + window) - until(now)


def prefill_budget(worker: WorkerView, now: float, window: float, model: StepModel, objectives: Objectives) -> float:
    """Prompt tokens of a new request that fit into ``window`` seconds on a worker.

    ``L - a * Nb - dec - pre`` over ``b + c``, at least 0, where Nb batches of the strictest time per token fit into L.
    A whole number, but where tokens take no time: then any number fits, infinity, as long as any of L is left, else 0.
    An estimate and no reservation: decodes that the prompts counted in ``pre`` will become are overlooked (F35).
    """
    requests = (*worker.running, *worker.waiting)
    decodes = [r for r in requests if r.decoding]
    step = min((objectives.tpot_of(r) for r in decodes), default=objectives.tpot)
    batches = max(1, math.floor(window / step))
    reserve = model.a * batches
    for r in decodes:
        tokens = min(batches, due_within(objectives, r, now, window))
        reserve += tokens * (model.b + model.c * (r.computed + tokens / 2))
    for r in requests:
        if not r.decoding:
            chunks = math.ceil(r.remaining / worker.max_tokens)
            reserve += model.b * r.remaining + model.c * r.known * chunks
    left, each = max(0.0, window - reserve), model.b + model.c
    if left == 0.0:
        return 0
    fit = left / each if each > 0 else math.inf
    return math.floor(fit) if math.isfinite(fit) else fit


@attrs.frozen
class PrefillBudgetRouting:
    """A turn goes to the worker with the largest budget, and stays there for its decode.

    ``model``: step times, for workers that report none. ``full``: what becomes of a turn that fits nowhere: ``hold``
    it, first come, first served; hold it until its first token could no longer be in time, then ``shed`` it; or
    ``route`` it all the same. A worker without work takes any turn: holding would not help.
    """

    model: StepModel = attrs.field(factory=lambda: StepModel(8e-3, 0.095e-3, 0.13e-6))
    objectives: Objectives = attrs.field(factory=Objectives)
    full: Literal["hold", "shed", "route"] = attrs.field(
        default="hold", validator=attrs.validators.in_(("hold", "shed", "route"))
    )

    @model.validator
    def _model(self, _: object, value: StepModel) -> None:
        if value.b <= 0:
            raise ValueError("the time per token, b, must be positive")

    def decide(self, observation: PlacementObservation) -> PlacementDecision:
        """See :class:`~mtpo.schedulers.types.PlacementPolicy`."""
        window = self.objectives.ttft if observation.ttft_slo is None else observation.ttft_slo
        workers = [w for w in observation.workers if w.prefills and w.decodes]
        if not workers:
            raise ValueError("placement pab: no worker both prefills and decodes")
        budgets = [
            (prefill_budget(w, observation.now, window, w.model or self.model, self.objectives), w) for w in workers
        ]
        budget, best = max(budgets, key=lambda one: (one[0], -one[1].id))
        idle = not best.running and not best.waiting
        fits = budget >= observation.prompt - best.prefix
        if self.full != "route" and not idle and (observation.ahead or not fits):
            late = observation.now - observation.arrival >= window
            return PlacementDecision(None, None, shed=self.full == "shed" and late)
        return PlacementDecision(best.id, best.id, reserve=observation.prompt + observation.output)
