"""How far the simulator is from an engine that ran the same workload: step times, and what users wait for.

Two questions are kept apart. Are *steps* as long as the model says: each measured step against the prediction for just
that composition. Are *latencies* as simulated: each turn's TTFT, TPOT and whole time against the simulation of the
whole workload, in which errors add up and move batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from mtpo.schedulers.simulator.cluster import Outcome
from mtpo.schedulers.simulator.fit import Errors, Point, compare, errors
from mtpo.schedulers.simulator.metrics import Spread, spread
from mtpo.schedulers.simulator.steptime import StepTime


@attrs.frozen
class Served:
    """A turn that an engine served. Times in seconds since the workload began: ``asked``, ``first`` token, ``end``."""

    conversation: str
    turn: int
    asked: float
    first: float
    end: float
    output: int

    @property
    def ttft(self) -> float:
        """Time to the first token."""
        return self.first - self.asked

    @property
    def tpot(self) -> float:
        """Mean time per output token after the first; 0 for a single one."""
        return (self.end - self.first) / (self.output - 1) if self.output > 1 else 0.0


@attrs.frozen
class Trial:
    """What an engine did with a workload: its steps in order, one point each, and the turns that it served."""

    steps: tuple[Point, ...]
    turns: tuple[Served, ...]


@attrs.frozen
class Compared:
    """One latency: how far single turns are off, and the engine's and the simulator's distributions, in seconds."""

    errors: Errors
    engine: Spread
    simulator: Spread


@attrs.frozen
class Validity:
    """``step`` times; ``ttft``, ``tpot`` (of turns with several tokens) and ``turn``: from asking to the last token.
    ``steps``: how many steps the engine and the simulator took."""

    step: Errors
    ttft: Compared
    tpot: Compared
    turn: Compared
    steps: tuple[int, int]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return attrs.asdict(self)


def validate(trial: Trial, outcome: Outcome, step: StepTime) -> Validity:
    """Set a trial beside the simulation of its workload. ``step``: the model that was simulated with.

    Raises :class:`ValueError` when the two did not serve the same turns.
    """
    ours = {(turn.conversation, turn.turn): turn for turn in outcome.turns}
    theirs = {(turn.conversation, turn.turn): turn for turn in trial.turns}
    if ours.keys() != theirs.keys():
        odd = sorted(ours.keys() ^ theirs.keys())[0]
        raise ValueError(f"turn {odd[1]} of conversation {odd[0]} was served by one of engine and simulator only")
    order = sorted(ours)

    def both(name: str, keys: Iterable[tuple[str, int]]) -> Compared:
        keys = list(keys)
        return _compared([getattr(theirs[key], name) for key in keys], [getattr(ours[key], name) for key in keys])

    return Validity(
        compare(step, trial.steps),
        both("ttft", order),
        both("tpot", (key for key in order if theirs[key].output > 1)),
        _compared(
            [theirs[key].end - theirs[key].asked for key in order],
            [ours[key].end - ours[key].submitted for key in order],
        ),
        (len(trial.steps), outcome.steps),
    )


def _compared(engine: Sequence[float], simulator: Sequence[float]) -> Compared:
    return Compared(errors(engine, simulator), spread(engine), spread(simulator))


def lines(found: Validity) -> Iterable[str]:
    """For who reads."""
    yield (
        f"  step times: mean absolute error {100 * found.step.mape:.1f} %, bias {100 * found.step.bias:+.1f} %, "
        f"R2 {found.step.r2:.3f}; {found.steps[0]:,} steps, simulated {found.steps[1]:,}"
    )
    for name, one in (("TTFT", found.ttft), ("TPOT", found.tpot), ("whole turn", found.turn)):
        yield (
            f"  {name}: mean absolute error {100 * one.errors.mape:.1f} %; "
            f"p50 {one.engine.p50:.3f} s, simulated {one.simulator.p50:.3f}; "
            f"p99 {one.engine.p99:.3f} s, simulated {one.simulator.p99:.3f}"
        )
