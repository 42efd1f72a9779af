"""The engine and the simulated worker, side by side: a policy sees the same of both, step by step."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest

from mtpo.engine.engine import Engine
from mtpo.schedulers.simulator.request import request_of
from mtpo.schedulers.simulator.steptime import PRESETS
from mtpo.schedulers.simulator.worker import Caps, Worker
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.step.vllm_v1 import VllmV1
from mtpo.schedulers.traces.workload import Piece, Turn
from mtpo.schedulers.types import RequestView, StepDecision, StepObservation, StepPolicy

SIZE = 4


@attrs.frozen
class Records:
    """A policy, and what it was shown."""

    policy: StepPolicy
    seen: list[StepObservation] = attrs.Factory(list)

    def decide(self, observation: StepObservation) -> StepDecision:
        self.seen.append(observation)
        return self.policy.decide(observation)


@attrs.frozen
class Job:
    """A request: when it comes (in steps), what it begins with, and its tokens."""

    step: int
    content: tuple[Piece, ...]
    prompt: int
    output: int


def jobs(seed: int) -> list[Job]:
    """Requests some of which begin alike."""
    draw = random.Random(seed)
    heads = [(), (Piece(1, 18),), (Piece(1, 18), Piece(2, 9)), (Piece(1, 7), Piece(3, 30)), (Piece(4, 24),)]
    found, step = [], 0
    for _ in range(14):
        step += draw.choice((0, 0, 1, 4))
        found.append(Job(step, draw.choice(heads), draw.randint(1, 40), draw.randint(1, 20)))
    return found


def tokens_of(job: Job, id: int) -> list[int]:
    """Tokens that are equal as far as the pieces are; the rest begins with the job's own."""
    head = [(7 * piece.tag + at) % 50 for piece in job.content for at in range(piece.tokens)]
    return (head + [60 + id] + [59] * 60)[: job.prompt + job.output]


def in_engine(model: Any, policy: Records, todo: list[Job], blocks: int) -> int:
    """Runs all in the engine; returns how many requests were preempted."""
    engine = Engine(model, policy, blocks=blocks, block_size=SIZE, max_tokens=32, max_requests=8)
    given = step = preempted = 0
    while given < len(todo) or engine.busy:
        while given < len(todo) and (todo[given].step <= step or not engine.busy):
            job = todo[given]
            tokens = tokens_of(job, given)
            engine.submit(engine.open(), tokens[: job.prompt], forced=tokens[job.prompt :])
            given += 1
        report = engine.step()
        preempted += len(report.preempted)
        for result in report.ended:
            engine.close(result.conversation)
        step += 1
    return preempted


def in_simulator(policy: Records, todo: list[Job], blocks: int) -> None:
    """Runs all in a simulated worker."""
    worker = Worker(0, PRESETS["h200-8b"], policy, Caps(blocks, SIZE, 32, 8))
    given = step = 0
    while given < len(todo) or worker.busy:
        while given < len(todo) and (todo[given].step <= step or not worker.busy):
            job = todo[given]
            kept = job.prompt + job.output
            content: list[Piece] = []
            for piece in job.content:
                if kept > 0:
                    content.append(Piece(piece.tag, min(piece.tokens, kept)))
                    kept -= piece.tokens
            # What is nobody else's has a tag of its own, also where there is nothing before it.
            content += [Piece(100 + given, kept)] if kept > 0 else []
            worker.submit(request_of(given, Turn(job.prompt, job.output, 0.0, tuple(content)), 0.0, None, None, SIZE))
            given += 1
        assert worker.begin(float(step)) is not None
        worker.finish(float(step))
        worker.kv.check()
        step += 1


def plain(seen: list[StepObservation]) -> list[tuple[Any, ...]]:
    """What does not depend on clocks and on how requests are numbered."""

    def of(view: RequestView) -> tuple[int, ...]:
        return view.known, view.computed, view.emitted, view.blocks, view.shared, view.cached

    return [([of(v) for v in one.running], [of(v) for v in one.waiting], one.free_blocks) for one in seen]


@pytest.mark.parametrize("policy", [Sarathi(24), VllmV1()], ids=["sarathi", "vllm_v1"])
@pytest.mark.parametrize("blocks", [18, 60])
@pytest.mark.parametrize("seed", range(4))
def test_a_policy_sees_the_same_of_both(tiny: Any, policy: StepPolicy, blocks: int, seed: int) -> None:
    real, simulated, todo = Records(policy), Records(policy), jobs(seed)
    preempted = in_engine(tiny, real, todo, blocks)
    in_simulator(simulated, todo, blocks)
    for step, (ours, theirs) in enumerate(zip(plain(simulated.seen), plain(real.seen), strict=False)):
        assert ours == theirs, f"step {step}"
    assert len(simulated.seen) == len(real.seen) > 20
    # The tight cache leads to preemptions; in either some prefixes are found, and some are held by several.
    assert (preempted > 0) == (blocks == 18)
    views = [view for one in real.seen for view in (*one.running, *one.waiting)]
    assert any(view.shared for view in views) and any(view.cached for view in views)
