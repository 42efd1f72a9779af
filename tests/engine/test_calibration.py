"""Measuring steps and playing workloads, on a clock that runs as a known model says: what goes in must come out."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mtpo.engine.calibration import Scene, fitting, measure
from mtpo.engine.engine import Engine
from mtpo.engine.errors import EngineError
from mtpo.engine.model import Batch, KVStore, Llama
from mtpo.engine.trial import play, tokens_of
from mtpo.schedulers.load import load_policy
from mtpo.schedulers.simulator.cluster import Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.fit import fit
from mtpo.schedulers.simulator.steptime import Few, Hardware, Power, StepTime
from mtpo.schedulers.simulator.validity import lines, validate
from mtpo.schedulers.simulator.worker import Caps
from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Conversation, Piece, Turn, Workload

STEP = StepTime(5e-3, 2e-4, 1e-5, 1e-6)


@attrs.define(eq=False)
class Timed:
    """A model that takes as long as ``step`` says, on a clock that nothing else moves."""

    model: Llama
    step: StepTime = STEP
    now: float = 100.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def forward(self, batch: Batch, store: KVStore) -> Any:
        new = context = 0
        pairs = 0.0
        for one in batch.segments:
            k = one.stop - one.start
            new, context = new + k, context + one.context
            pairs += (k - 1) * (one.context - k + k / 2)
        self.now += self.step.seconds(new, context, pairs, len(batch.segments))
        return self.model.forward(batch, store)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


SCENES = (Scene(1, 8, 16, 2), Scene(1, 200, 32, 2), Scene(2, 100, 64, 3), Scene(6, 30, 64, 2))


def test_what_is_measured_is_what_steps_take(tiny: Llama) -> None:
    timed, said = Timed(tiny), list[str]()
    found = measure(timed, (*SCENES, Scene(1, 400, 64)), 2, tell=said.append, clock=timed.clock, cpu=None)  # type: ignore[arg-type]
    assert (found.rounds, found.noise, found.kv_tokens) == (2, pytest.approx(0.0, abs=1e-9), 6 * 48)
    assert {one.times for one in found.points} == {2}
    for one in found.points:
        assert one.seconds == pytest.approx(STEP.seconds(one.new, one.context, one.pairs))
    # Decodes of every batch, whole chunks, and the chunk that is left over.
    assert {(1, 9, 0.0), (2, 204, 0.0), (32, 192, 31 * 176.0), (8, 200, 7 * 196.0)} <= {
        (one.new, one.context, one.pairs) for one in found.points
    }
    step = fit(found.points, 4).step
    assert (step.a, step.b, step.c, step.d) == (
        pytest.approx(STEP.a, rel=1e-3),
        pytest.approx(STEP.b, rel=1e-3),
        pytest.approx(STEP.c, rel=1e-3),
        pytest.approx(STEP.d, rel=1e-3),
    )
    assert said[0] == "warming up" and "round 2, 4 of 4" in said[-1]


def test_unsteady_steps_are_measured_again(tiny: Llama) -> None:
    """The machine is half as fast in every other round."""
    timed = Timed(tiny)

    def tell(text: str) -> None:
        timed.step = StepTime(10e-3, 4e-4) if text.startswith(("round 2", "round 4")) else StepTime(5e-3, 2e-4)

    found = measure(timed, SCENES, 2, 5, tell, clock=timed.clock, cpu=None)  # type: ignore[arg-type]
    assert found.rounds == 3 and found.noise < 0.01
    for one in found.points:
        assert one.seconds == pytest.approx(5e-3 + 2e-4 * one.new)


def test_a_step_in_which_the_processor_was_taken_away_is_left_out(tiny: Llama) -> None:
    """In the second round everything takes three times as long, and the process has a third of the processor."""
    timed, given = Timed(tiny), [0.0, 100.0]
    timed.step = StepTime(5e-3, 2e-4)

    def cpu() -> float:
        given[0] += (timed.now - given[1]) / (1 if timed.step.a < 10e-3 else 3)
        given[1] = timed.now
        return given[0]

    def tell(text: str) -> None:
        cpu()
        timed.step = StepTime(15e-3, 6e-4) if text.startswith("round 2") else StepTime(5e-3, 2e-4)

    found = measure(timed, SCENES, 2, 4, tell, clock=timed.clock, cpu=cpu)  # type: ignore[arg-type]
    assert (found.rounds, found.disturbed) == (2, 0.5) and {one.times for one in found.points} == {1}
    for one in found.points:
        assert one.seconds == pytest.approx(5e-3 + 2e-4 * one.new)


def test_a_context_too_short_for_anything_is_refused(tiny: Llama) -> None:
    long = (Scene(1, 400, 64),)
    assert fitting(long, 256) == ()
    with pytest.raises(EngineError, match="context of 256 tokens is too short to measure"):
        measure(tiny, long)


@pytest.mark.parametrize("few", [None, Few(1e-3, 4e-4, 2e-5, e=1e-4, most=5)])
@pytest.mark.parametrize("policy", ["sarathi:24", "vllm_v1", "fairbatching:learns=no"])
@pytest.mark.parametrize("text", ["poisson:rate=12,n=20,prompt=40..120,output=6..30", "agents:n=5,turns=3,tool=0.2"])
def test_engine_and_simulator_agree_where_the_step_model_is_exact(
    tiny: Llama, policy: str, text: str, few: Few | None
) -> None:
    """With the same clock, they schedule the same steps: all the error there is comes from the model."""
    if text.startswith("agents"):
        text += ",first=30,append=10..25,output=8,system=20"
    step = attrs.evolve(STEP, few=few)
    workload, timed = load_workload(text), Timed(tiny, step)
    engine = Engine(timed, load_policy(policy), blocks=80, block_size=8, max_tokens=64, clock=timed.clock)  # type: ignore[arg-type]
    trial = play(engine, workload, timed.sleep)
    assert not engine.busy and type(engine.policy) is type(load_policy(policy))
    hardware = Hardware("exact", step, 640, Power(0.0, 0.0))
    setup = Setup(load_policy(policy), (WorkerSetup(hardware, Caps(80, 8, 64, 64)),), ttft_slo=None, tpot_slo=None)
    found = validate(trial, simulate(workload, setup), step)
    assert found.steps[0] == found.steps[1] > 40
    assert found.step.mape < 1e-9 and found.ttft.errors.mape < 1e-6
    assert found.tpot.errors.mape < 1e-6 and found.turn.errors.mape < 1e-6
    assert found.ttft.engine.p99 == pytest.approx(found.ttft.simulator.p99) and found.ttft.engine.p99 > 0
    assert "step times: mean absolute error 0.0 %" in next(iter(lines(found)))


def test_an_inexact_model_shows_as_error(tiny: Llama) -> None:
    workload, timed = load_workload("poisson:rate=0.2,n=6,prompt=60,output=10"), Timed(tiny)
    engine = Engine(timed, load_policy("sarathi:64"), blocks=80, block_size=8, clock=timed.clock)  # type: ignore[arg-type]
    trial = play(engine, workload, timed.sleep)
    slow = StepTime(2 * STEP.a, 2 * STEP.b, 2 * STEP.c, 2 * STEP.d)
    setup = Setup(load_policy("sarathi:64"), (WorkerSetup(Hardware("x", slow, 640, Power(0, 0)), Caps(80, 8)),))
    found = validate(trial, simulate(workload, setup), slow)
    # Requests that never meet take twice as long.
    assert found.step.bias == pytest.approx(1.0) and found.tpot.errors.bias == pytest.approx(1.0)
    with pytest.raises(ValueError, match="turn 1 of conversation 5 was served by one of"):
        validate(attrs.evolve(trial, turns=trial.turns[:-1]), simulate(workload, setup), slow)


def test_tokens_are_equal_as_far_as_the_pieces_are() -> None:
    one, two = Turn(8, 4, 0.0, (Piece(1, 6),)), Turn(10, 4, 0.0, (Piece(1, 20),))
    first, second = tokens_of(one, 0, 50), tokens_of(two, 1, 50)
    assert (len(first), len(second)) == (12, 14) and first[:6] == second[:6]
    assert first[6:] != second[6:12] and tokens_of(one, 3, 50)[:6] == first[:6]


def test_a_busy_engine_plays_nothing(tiny: Llama) -> None:
    engine = Engine(tiny, blocks=8)
    engine.submit(engine.open(), [1, 2, 3], max_new=4)
    with pytest.raises(EngineError, match="the engine is busy"):
        play(engine, Workload("w", (Conversation("0", 0.0, (Turn(3, 1),)),)))
