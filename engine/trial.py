"""A workload played on the engine, as the simulator plays it: for how far the two are apart, and for measuring steps.

Each turn is a request of its own, which finds in the prefix cache what it shares with others; its tokens are random,
equal as far as the pieces of the workload say, and its output is forced, so that it has the length that is known.
"""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable
from typing import Any, Final

import attrs
import torch

from mtpo.engine.engine import Engine
from mtpo.engine.errors import EngineError
from mtpo.schedulers.simulator.fit import Point
from mtpo.schedulers.simulator.validity import Served, Trial
from mtpo.schedulers.traces.workload import Conversation, Turn, Workload
from mtpo.schedulers.types import LearningPolicy, StepDecision, StepMeasured, StepObservation, StepPolicy

_OWN: Final = 1 << 60
"""Tags from here on stand for tokens that no trace names."""

_TICK: Final = 1e-9
"""Seconds below which a clock need not move: waiting for less could go on for ever."""

Progress = Callable[[int, int], None]
"""Called now and then with turns that ended and turns in all."""


@attrs.frozen
class Composition:
    """What is in a step, in the terms of :class:`~mtpo.schedulers.simulator.steptime.StepTime`."""

    new: int
    context: int
    pairs: float
    requests: int


@attrs.define
class Recording:
    """A step policy, and what its last decision put into the step."""

    policy: StepPolicy
    last: Composition | None = None

    def decide(self, observation: StepObservation) -> StepDecision:
        """What the policy decides."""
        decision = self.policy.decide(observation)
        computed = {view.id: view.computed for view in (*observation.running, *observation.waiting)}
        new, context, pairs = 0, 0, 0.0
        for work in decision.work:
            before = computed.get(work.id, 0)
            new += work.tokens
            context += before + work.tokens
            if work.tokens > 1:
                pairs += (work.tokens - 1) * (before + work.tokens / 2)
        self.last = Composition(new, context, pairs, len(decision.work)) if new else None
        return decision

    def learn(self, measured: StepMeasured) -> Recording:
        """Learns, if the policy does."""
        if isinstance(self.policy, LearningPolicy):
            self.policy = self.policy.learn(measured)
        return self


def timed_step(engine: Engine, recording: Recording) -> tuple[Point | None, Any]:
    """One step of an engine under that policy: its composition and its time, None when it computed nothing; and its
    report. The device has done its work when the clock is read."""
    began = engine.clock()
    report = engine.step()
    if engine.worker.model.device != "cpu":
        torch.cuda.synchronize(engine.worker.model.device)
    seconds, what = engine.clock() - began, recording.last
    if what is None or not report.tokens or seconds <= 0:
        return None, report
    return Point(what.new, what.context, what.pairs, seconds, requests=what.requests), report


def tokens_of(turn: Turn, own: int, vocab: int) -> list[int]:
    """The tokens of a turn, prompt and output; ``own``: a number for what it shares with nobody."""
    found: list[int] = []
    total = turn.prompt + turn.output
    for tag, tokens in (*((piece.tag, piece.tokens) for piece in turn.content), (_OWN + own, total)):
        draw = random.Random(tag)
        found += (draw.randrange(vocab) for _ in range(min(tokens, total - len(found))))
    return found


@attrs.define(eq=False)
class _Under:
    """A turn under way."""

    conversation: Conversation
    turn: int
    asked: float
    prompt: int
    first: float | None = None


def play(
    engine: Engine,
    workload: Workload,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress | None = None,
) -> Trial:
    """Serve a workload in real time; arrivals are waited for. The engine must be idle, and is left so.

    ``sleep`` waits on the engine's clock. Raises :class:`EngineError` for what the engine can't serve.
    """
    if engine.busy:
        raise EngineError("the engine is busy; a workload is played on an idle one")
    recording = Recording(engine.policy)
    engine.policy = recording
    try:
        return _play(engine, recording, workload, sleep, progress)
    finally:
        engine.policy = recording.policy


def _play(
    engine: Engine, recording: Recording, workload: Workload, sleep: Callable[[float], None], progress: Progress | None
) -> Trial:
    vocab, total = engine.worker.model.config.vocab, workload.requests
    zero = engine.clock()
    due = [(one.arrival, at, 0) for at, one in enumerate(workload.conversations)]
    heapq.heapify(due)
    under: dict[int, _Under] = {}
    names = {one.name: at for at, one in enumerate(workload.conversations)}
    steps, turns, given = list[Point](), list[Served](), 0
    while due or under:
        now = engine.clock() - zero
        while due and due[0][0] <= now + _TICK:
            asked, at, turn = heapq.heappop(due)
            conversation = workload.conversations[at]
            this = conversation.turns[turn]
            tokens = tokens_of(this, given, vocab)
            id = engine.open()
            engine.submit(id, tokens[: this.prompt], forced=tokens[this.prompt :])
            under[id] = _Under(conversation, turn, asked, this.prompt)
            given += 1
        if not under:
            sleep(due[0][0] - now)
            continue
        point, report = timed_step(engine, recording)
        if point is not None:
            steps.append(point)
        now = engine.clock() - zero
        ended = {result.conversation for result in report.ended}
        for id, one in under.items():
            if one.first is None and (id in ended or engine.length(id) > one.prompt):
                one.first = now
        for id in ended:
            one = under.pop(id)
            engine.close(id)
            assert one.first is not None
            this = one.conversation.turns[one.turn]
            turns.append(Served(one.conversation.name, one.turn + 1, one.asked, one.first, now, this.output))
            if one.turn + 1 < len(one.conversation.turns):
                later = one.conversation.turns[one.turn + 1]
                heapq.heappush(due, (now + later.gap, names[one.conversation.name], one.turn + 1))
        if ended and progress is not None:
            progress(len(turns), total)
    return Trial(tuple(steps), tuple(turns))
