"""FairBatching: one round of batch formation after the other, item by item, with linear arithmetic.

"FairBatching: Fairness-Aware Batch Formation for LLM Inference" (arXiv 2510.14392): deadlines, budget, formation. A
round looks at the clock once, sets the time budget, and fills the batch: urgent decodes, prefills, other decodes, each
group by deadline. A token costs ``b + c * context``, the next one of the same prompt in the same batch ``b + c``; so
the predicted time is a sum, kept as the batch grows. The batch then takes exactly that long (the exact time model):
what is shown here is what the rule gives when its predictions are right. Caps on tokens and memory are left out: they
only make more misfits.

Stages of a round: 0 between rounds, 1 urgent decodes, 2 prefills, 3 other decodes, 4 the batch is complete.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.fairbatching import properties
from mtpo.spec.fairbatching.model import Request, fair

__all__ = ["EQUIVALENT", "Request", "fair", "properties"]

EQUIVALENT: Final = {
    "fair.arrive.new/0@74ba0dd8": "to arrive again changes nothing",
    "fair.begin_idle.tight:=@ed6fc5c4": "without a decode nothing reads it",
    "fair.begin_idle.calm:=@ae648cff": "without a decode nothing reads it",
    "fair.take_urgent.next/2@b4c095fa": "what did not fit does not fit later: the predicted time only grows",
    "fair.pass_urgent.stage@4b3126ab": "in no other stage is an urgent decode left",
    "fair.pass_urgent.next/3@54c98237": "the order of those that do not fit means nothing",
    "fair.pass_urgent.next~0@e5457dbb": "the order of those that do not fit means nothing",
    "fair.extend.stage@ecf691bc": "after stage 2 no chunk can grow",
    "fair.take_other.next/1@21ab8e75": "after stage 1 no urgent decode is left",
    "fair.take_other.next/3@08fbde6c": "what did not fit does not fit later: the predicted time only grows",
    "fair.pass_other.stage@7f1bb4c2": (
        "to pass over what does not fit, early, changes nothing: it does not fit later either"
    ),
    "fair.pass_other.next/1@21ab8e75": "after stage 1 no urgent decode is left",
    "fair.pass_other.next/4@2ccb1171": "the order of those that do not fit means nothing",
    "fair.pass_other.next~0@b1260671": "the order of those that do not fit means nothing",
}
