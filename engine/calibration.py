"""Step times of this engine on this machine: chosen steps, run in turns, until their medians hold still.

A *scene* is a batch of equal prompts that are computed in chunks and then decoded for some steps; every step of it is a
measurement. Scenes are run in another order each round, so that a machine that slows down for a while slows down a bit
of everything; points are medians over the rounds, and rounds go on while they are unsteady.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from mtpo.engine.engine import Engine
from mtpo.engine.errors import EngineError
from mtpo.engine.model import Llama
from mtpo.engine.trial import Progress, Recording, play, timed_step
from mtpo.schedulers.simulator.cluster import Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.fit import Point, point
from mtpo.schedulers.simulator.steptime import Hardware, Power, StepTime
from mtpo.schedulers.simulator.validity import Validity, validate
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.traces.generate import Lengths, poisson_times, requests
from mtpo.schedulers.traces.workload import Workload

BLOCK: Final = 16
_SEED: Final = 1
STEADY: Final = 0.1
"""Medians whose neighbours are on average closer than this, relative, hold still."""

_whole = attrs.validators.ge(1)


@attrs.frozen
class Scene:
    """``requests`` prompts of ``prompt`` tokens each, computed by at most ``chunk`` tokens a step, then ``decodes``
    steps in which each request emits one token."""

    requests: int = attrs.field(validator=_whole)
    prompt: int = attrs.field(validator=_whole)
    chunk: int = attrs.field(validator=_whole)
    decodes: int = attrs.field(default=6, validator=_whole)

    @property
    def tokens(self) -> int:
        """Of a KV cache that holds all of it."""
        return self.requests * (-(-(self.prompt + self.decodes + 1) // BLOCK)) * BLOCK


QUICK: Final = (
    Scene(1, 24, 512),
    Scene(1, 400, 64),
    Scene(1, 700, 512),
    Scene(2, 300, 256),
    Scene(4, 120, 128),
    Scene(8, 60, 512),
    Scene(16, 24, 128),
    Scene(1, 60, 20, 2),
    Scene(1, 96, 32, 2),
    Scene(3, 300, 128, 12),
)
FULL: Final = (
    *QUICK,
    Scene(1, 1500, 512),
    Scene(1, 1000, 128),
    Scene(2, 700, 512),
    Scene(4, 400, 256),
    Scene(8, 200, 64),
    Scene(8, 16, 128),
    Scene(16, 90, 512),
    Scene(32, 40, 256),
    Scene(1, 36, 12, 2),
    Scene(1, 72, 24, 2),
    Scene(1, 120, 40, 2),
    Scene(1, 240, 80, 2),
    Scene(4, 500, 128, 24),
    Scene(12, 50, 64, 16),
)
"""Contexts and batches whose cost the coefficients have to tell apart; some thousand tokens in all. Small chunks show
where an engine begins to compute batches another way, and prompts that are computed while others decode, of which most
steps of a busy engine are, what each of the two costs beside the other."""


@attrs.frozen
class Measurement:
    """``points`` that were measured in ``rounds``; ``noise``: the median of how far single steps were from their
    median, relative (0.05: 5 %). ``disturbed``: the share (0..1) of steps in which the processor was taken away; they
    are left out where there are others of their kind. ``kv_tokens`` that the engine's cache held."""

    points: tuple[Point, ...]
    rounds: int
    noise: float
    disturbed: float
    kv_tokens: int


OURS: Final = 0.93
"""A step on a processor that had less processor time than this share of its wall time was disturbed: threads that work
together have more."""


@attrs.define
class _Times:
    """Of steps of one composition: those that were left alone, and the others."""

    quiet: list[float] = attrs.Factory(list)
    disturbed: list[float] = attrs.Factory(list)

    def point(self, key: _Key) -> Point:
        new, context, pairs, requests = key
        return point(new, context, pairs, self.quiet or self.disturbed, requests)


_Key = tuple[int, int, float, int]
_All = dict[_Key, _Times]


def fitting(scenes: Sequence[Scene], context: int) -> tuple[Scene, ...]:
    """Those scenes whose sequences a model has the context for."""
    return tuple(scene for scene in scenes if scene.prompt + scene.decodes + 1 <= context)


def measure(
    model: Llama,
    scenes: Sequence[Scene] = FULL,
    rounds: int = 3,
    most: int = 6,
    tell: Callable[[str], None] = lambda text: None,
    *,
    blocks: int | None = None,
    clock: Callable[[], float] = time.monotonic,
    cpu: Callable[[], float] | None = time.process_time,
) -> Measurement:
    """Measure steps of a model; at least ``rounds`` rounds, and at most ``most`` while they are unsteady or disturbed.

    ``blocks`` of the KV cache: enough for the largest scene if not given. ``cpu``: seconds of processor time that this
    process had, None where that says nothing about a step. Raises :class:`EngineError` when the model's
    context is too short for every scene, or the cache for any of them.
    """
    possible = fitting(scenes, model.config.context)
    if not possible:
        raise EngineError(f"the model's context of {model.config.context} tokens is too short to measure anything in")
    blocks = blocks or max(scene.tokens for scene in possible) // BLOCK
    times: _All = {}
    cpu = cpu if model.device == "cpu" else None
    tell("warming up")
    for scene in (possible[0], max(possible, key=lambda one: one.requests)):
        _run(model, scene, blocks, clock, cpu, {})
    done = 0
    while done < rounds or (done < most and (_noise(times) > STEADY or _unknown(times) > STEADY)):
        order = list(possible)
        random.Random(_SEED + done).shuffle(order)
        for at, scene in enumerate(order):
            tell(f"round {done + 1}, {at + 1} of {len(order)}: {scene.requests} x {scene.prompt} tokens")
            _run(model, scene, blocks, clock, cpu, times)
        done += 1
    points = tuple(one.point(key) for key, one in sorted(times.items()))
    disturbed = sum(len(one.disturbed) for one in times.values())
    return Measurement(
        points,
        done,
        _noise(times),
        disturbed / (disturbed + sum(len(one.quiet) for one in times.values())),
        blocks * BLOCK,
    )


def _noise(times: _All) -> float:
    found = [one.point(key) for key, one in times.items()]
    return statistics.median(one.spread / one.seconds for one in found)


def _unknown(times: _All) -> float:
    """The share of compositions that were never left alone."""
    return sum(not one.quiet for one in times.values()) / len(times)


def _run(
    model: Llama,
    scene: Scene,
    blocks: int,
    clock: Callable[[], float],
    cpu: Callable[[], float] | None,
    times: _All,
) -> None:
    """The steps of one scene, on an engine of its own: nothing is found in its cache."""
    recording = Recording(Sarathi(scene.chunk))
    most = max(scene.chunk, scene.requests)
    engine = Engine(model, recording, blocks=blocks, block_size=BLOCK, max_tokens=most, clock=clock)
    draw, vocab = random.Random(_SEED), model.config.vocab
    for _ in range(scene.requests):
        tokens = [draw.randrange(vocab) for _ in range(scene.prompt + scene.decodes + 1)]
        engine.submit(engine.open(), tokens[: scene.prompt], forced=tokens[scene.prompt :])
    while engine.busy:
        before = cpu() if cpu else 0.0
        one, _ = timed_step(engine, recording)
        if one is not None:
            kind = times.setdefault((one.new, one.context, one.pairs, one.requests), _Times())
            alone = cpu is None or cpu() - before >= OURS * one.seconds
            (kind.quiet if alone else kind.disturbed).append(one.seconds)


UTILISED: Final = 0.8
"""How much of the time the workload of :func:`compare_on` keeps the engine busy, by the model: enough to queue."""


def workload_for(step: StepTime, context: int, n: int = 16, seed: int = 2) -> Workload:
    """Requests of different lengths, at a rate that keeps a machine of those step times busy for some of the time."""
    longest = context // 2
    median = max(8, longest // 8)
    prompt, output = Lengths(median, max(median, longest - 64)), Lengths(min(24, median), min(60, median))
    # Alone, a request costs this; in a batch less, which the share leaves room for.
    alone = step.prefill_seconds(prompt.median, CHUNK) + output.median * step.seconds(1, prompt.median)
    return requests("poisson", lambda draw: poisson_times(UTILISED / alone, draw), n, prompt, output, seed)


CHUNK: Final = 128
"""Tokens of a step when engine and simulator are compared."""


def compare_on(
    model: Llama,
    step: StepTime,
    progress: Progress | None = None,
    workload: Workload | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Validity:
    """Serve a workload with the engine, simulate it with ``step``, and say how far the two are apart.

    Both run Sarathi at :data:`CHUNK` tokens with the same KV cache.
    """
    load = workload_for(step, model.config.context) if workload is None else workload
    blocks = -(-4 * max(one.peak for one in load.conversations) // BLOCK)
    caps = Caps(blocks, BLOCK, 2 * CHUNK, 64)
    engine = Engine(
        model,
        Sarathi(CHUNK),
        blocks=blocks,
        block_size=BLOCK,
        max_tokens=caps.max_tokens,
        max_requests=caps.max_requests,
        max_conversations=max(1, len(load.conversations)),
        clock=clock,
    )
    trial = play(engine, load, sleep, progress)
    worker = WorkerSetup(Hardware("measured", step, blocks * BLOCK, Power(0.0, 0.0)), caps)
    return validate(trial, simulate(load, Setup(Sarathi(CHUNK), (worker,))), step)
