"""Counting decodes changes nothing: whole simulations with and without promises are equal to the last bit."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.admission.concur import Concur
from mtpo.schedulers.load import load_policy
from mtpo.schedulers.simulator.cluster import Outcome, Setup, WorkerSetup, simulate
from mtpo.schedulers.simulator.loss import Loss
from mtpo.schedulers.simulator.steptime import Few, Hardware, Power, StepTime, Transfer
from mtpo.schedulers.simulator.worker import Caps, SimulationError, Worker
from mtpo.schedulers.step.promise import Digest, Promise
from mtpo.schedulers.traces.load import load_workload
from mtpo.schedulers.traces.workload import Conversation, Piece, Turn, Workload, linear
from mtpo.schedulers.types import LearningPolicy, StepDecision, StepMeasured, StepObservation, StepPolicy, Work

HARDWARE = Hardware("test", StepTime(0.01, 1e-4, 1e-6, 1e-8), 0, Power(100.0, 10.0), Transfer(0.05, 100, 0.1, 1e-3))
IN_TWO = attrs.evolve(HARDWARE, step=attrs.evolve(HARDWARE.step, few=Few(0.002, 3e-3, 2e-6, most=5)))
"""Small batches go by a line of their own: a step may be shorter than one with fewer tokens."""
STEPS = (
    "sarathi:40",
    "sarathi:200",
    "vllm_v1:60",
    "prefill_first:100",
    "fairbatching:a=0.01,b=0.0001,c=0.000001",
    "fairbatching:a=0.01,b=0.0001,c=0.000001,learns=no",
    "bounded_gap:0.1,a=0.01,b=0.0001,c=0.000001",
)


@attrs.frozen
class Plain:
    """The same policy, which promises nothing."""

    policy: StepPolicy

    def decide(self, observation: StepObservation) -> StepDecision:
        return self.policy.decide(observation)

    def learn(self, measured: StepMeasured) -> Plain:
        return Plain(self.policy.learn(measured)) if isinstance(self.policy, LearningPolicy) else self


def both(workload: Workload, setup: Setup) -> tuple[Outcome, Outcome]:
    def run(step: StepPolicy) -> Outcome:
        return simulate(workload, attrs.evolve(setup, step=step, gaps=True))

    return run(setup.step), run(Plain(setup.step))


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """Conversations of some turns; some begin alike, some say the same."""
    found, arrival = [], 0.0
    alike = draw(st.booleans())
    for tag in range(draw(st.integers(1, 10))):
        arrival += draw(st.sampled_from([0.0, 0.01, 0.3, 2.0]))
        turns = draw(
            st.lists(
                st.tuples(st.integers(1, 150), st.integers(1, 60), st.sampled_from([0.0, 0.2, 1.0])),
                min_size=1,
                max_size=3,
            )
        )
        if draw(st.booleans()):
            prompt, output, _ = turns[0]
            shared = (Piece(99, prompt + output),) if alike else ()
            found.append(Conversation(f"c{tag}", arrival, (Turn(prompt, output, 0.0, shared),)))
        else:
            found.append(Conversation(f"c{tag}", arrival, linear(tag, turns)))
    return Workload("drawn", tuple(found))


@given(
    workloads(),
    st.sampled_from(STEPS),
    st.sampled_from([150, 220, 2000]),
    st.sampled_from([4, 64]),
    st.sampled_from([HARDWARE, IN_TWO]),
)
@settings(max_examples=120, deadline=None)
def test_one_worker_gives_the_same(
    workload: Workload, step: str, blocks: int, requests: int, hardware: Hardware
) -> None:
    try:
        one, other = both(
            workload, Setup(load_policy(step), (WorkerSetup(hardware, Caps(blocks, 4, 256, requests)),), window=0.5)
        )
    except SimulationError:
        # A conversation that is too long for the cache.
        assert blocks < 200
        return
    assert one == other


@given(
    workloads(),
    st.sampled_from(STEPS),
    st.sampled_from(["collocated", "conserve", "failover:1", "pab:route", "full_disaggregation"]),
    st.booleans(),
    st.sampled_from([HARDWARE, IN_TWO]),
)
@settings(max_examples=60, deadline=None)
def test_clusters_give_the_same_with_transfers_and_losses(
    workload: Workload, step: str, placement: str, lost: bool, hardware: Hardware
) -> None:
    caps = Caps(400, 4, 256)
    split = placement in ("conserve", "full_disaggregation")
    workers = (WorkerSetup(hardware, caps, True, not split), *(WorkerSetup(hardware, caps, not split),) * 2)
    losses = (Loss(2, 0.6),) if lost and placement == "failover:1" else ()
    setup = Setup(
        load_policy(step),
        workers,
        Concur(period=0.2),
        load_policy(placement, "placement"),
        losses=losses,
    )
    one, other = both(workload, setup)
    assert one == other


@pytest.mark.parametrize("step", STEPS)
def test_a_longer_run_gives_the_same_and_asks_seldom(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [0]
    observe = Worker.observe

    def counted(self: Worker, now: float) -> StepObservation:
        asked[0] += 1
        return observe(self, now)

    monkeypatch.setattr(Worker, "observe", counted)
    workload = load_workload("poisson:rate=4,n=60,prompt=200,output=80,seed=5")
    setup = Setup(load_policy(step), (WorkerSetup(HARDWARE, Caps(4000, 16, 512)),))
    one = simulate(workload, attrs.evolve(setup, gaps=True))
    seen = asked[0]
    assert one == simulate(workload, attrs.evolve(setup, step=Plain(setup.step), gaps=True))
    assert asked[0] - seen >= one.steps > 2.5 * seen


@attrs.frozen
class Wrong:
    """Promises what is not there."""

    work: tuple[Work, ...]

    def decide(self, observation: StepObservation) -> StepDecision:
        return StepDecision(tuple(Work(r.id, r.remaining) for r in (*observation.running, *observation.waiting)))

    def promise(self, digest: Digest) -> Promise | None:
        return Promise(self.work) if digest.decodes else None


@pytest.mark.parametrize(
    ("work", "why"),
    [
        ((Work(9, 1),), "request 9, which is not there"),
        ((Work(0, 1),), "a request twice"),
        ((Work(0, 2),), "2 tokens of request 0, which has 1"),
    ],
)
def test_a_promise_that_can_not_be_carried_out_is_told(work: tuple[Work, ...], why: str) -> None:
    workload = Workload("one", (Conversation("c", 0.0, (Turn(5, 3),)),))
    with pytest.raises(SimulationError, match=why):
        simulate(workload, Setup(Wrong(work), (WorkerSetup(HARDWARE, Caps(100, 4)),)))


def test_what_a_promise_raises_is_one_line() -> None:
    class Broken(Wrong):
        def promise(self, digest: Digest) -> Promise | None:
            raise RuntimeError("no\nidea")

    with pytest.raises(SimulationError, match="policy Broken: RuntimeError: no idea"):
        simulate(
            Workload("one", (Conversation("c", 0.0, (Turn(5, 3),)),)),
            Setup(Broken(()), (WorkerSetup(HARDWARE, Caps(100, 4)),)),
        )
