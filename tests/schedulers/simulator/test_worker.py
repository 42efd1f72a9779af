"""One worker: nothing is lost, nothing is done twice, and what can't be done is refused."""

from __future__ import annotations

import random

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.load import load_policy
from mtpo.schedulers.simulator.request import Request, brought, request_of
from mtpo.schedulers.simulator.steptime import Hardware, Power, StepTime
from mtpo.schedulers.simulator.worker import Caps, SimulationError, Worker
from mtpo.schedulers.step.batch import Batch
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.traces.workload import Piece, Turn
from mtpo.schedulers.types import RequestView, StepDecision, StepObservation, Work

HARDWARE = Hardware("test", StepTime(1.0, 0.01, 0.001), 160, Power(100.0, 10.0))


def worker(policy: object, blocks: int = 10, size: int = 4, **caps: int) -> Worker:
    return Worker(0, HARDWARE, policy, Caps(blocks, size, **caps))  # type: ignore[arg-type]


def run(one: Worker, requests: list[Request]) -> tuple[list[Request], float]:
    """Everything at once, to the end."""
    for request in requests:
        one.submit(request)
    now, ended = 0.0, []
    while (end := one.begin(now)) is not None:
        one.views()
        one.kv.check()
        now = end
        ended += one.finish(now)
        one.kv.check()
    return ended, now


def make(id: int, prompt: int, output: int, content: tuple[Piece, ...] = ()) -> Request:
    return request_of(id, Turn(prompt, output, 0.0, content), 0.0, 5.0, 1.5, 4)


@attrs.frozen
class Erratic:
    """Any decision that can be carried out, drawn from what it sees; preempts now and then."""

    seed: int

    def decide(self, seen: StepObservation) -> StepDecision:
        draw = random.Random(f"{self.seed} {seen.now}")
        running = draw.sample(seen.running, len(seen.running))
        preempt = [r for r in running[1:] if draw.random() < 0.2]
        batch = Batch(seen)
        for request in preempt:
            batch.preempt(request)
        # Whoever waits may find blocks that these preemptions give back.
        for request in draw.sample([*running, *seen.waiting], len(running) + len(seen.waiting)):
            if request not in preempt and draw.random() < 0.8:
                batch.take(request, draw.randint(1, request.remaining))
        return batch.decision() if batch.work or preempt else Sarathi(64).decide(seen)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 10), st.integers(0, 3)), min_size=1, max_size=8),
    st.integers(0, 1000),
)
def test_every_request_ends_with_all_its_tokens_whatever_the_policy_does(
    lengths: list[tuple[int, int, int]], seed: int
) -> None:
    contents = [(), (Piece(1, 99),), (Piece(2, 8), Piece(3, 99)), (Piece(2, 8), Piece(4, 5))]
    requests = [make(id, *pair, content=contents[which]) for id, (*pair, which) in enumerate(lengths)]
    one = worker(Erratic(seed))
    ended, _ = run(one, requests)
    assert {request.id for request in ended} == set(range(len(lengths)))
    for request in ended:
        assert request.emitted == request.output and request.known == request.prompt + request.output
        assert request.computed == request.known - 1 and request.first is not None and request.first <= request.last
    assert one.kv.available == 10 and one.kv.used == 0
    if not any(request.preempted for request in ended):
        # What was computed, and what the cache had, is what there was to compute.
        assert one.meter.tokens + one.meter.hits == sum(request.known - 1 for request in ended)
    assert one.meter.prompt >= sum(request.prompt for request in ended)


def test_a_prefix_that_a_preemption_gives_back_is_not_counted_twice() -> None:
    """A has six blocks of ten; B, which waits, finds four of them. When A goes all ten are free, and B takes four."""
    a = RequestView(0, 0.0, 24, 23, 1, 6)
    b = RequestView(1, 0.0, 60, 16, 0, 4)
    batch = Batch(StepObservation(0.0, (a,), (b,), 4, 4, 64, 8))
    assert batch.fits(b) == 4 * 4
    batch.preempt(a)
    assert batch.fits(b) == 6 * 4
    assert batch.take(b, b.remaining) == 6 * 4 and batch.blocks == 0


def test_a_full_cache_leads_to_preemption_and_recomputation() -> None:
    one = worker(Sarathi(64), blocks=6)
    ended, _ = run(one, [make(0, 10, 10), make(1, 10, 10)])
    assert [request.preempted for request in ended] == [0, 1]
    assert one.meter.tokens > sum(request.known - 1 for request in ended)


def test_a_second_request_finds_the_prefix_of_the_first() -> None:
    one = worker(Sarathi(64))
    shared = (Piece(1, 8),)
    (first,), _ = run(one, [make(0, 10, 2, shared)])
    (second,), _ = run(one, [make(1, 10, 2, shared)])
    assert (first.hits, second.hits) == (0, 8)
    assert (one.meter.prompt, one.meter.hits) == (20, 8)


def test_the_last_token_is_never_taken_from_the_cache() -> None:
    one = worker(Sarathi(64))
    same = (Piece(1, 99),)
    run(one, [make(0, 8, 1, same)])
    (second,), _ = run(one, [make(1, 8, 1, same)])
    assert second.hits == 4


def test_times_of_tokens_and_the_envelope() -> None:
    one = worker(Sarathi(4))
    (request,), end = run(one, [make(0, 6, 3)])
    # Steps: 4 tokens, 2 tokens, then decodes on contexts of 7 and 8.
    times = [1 + 0.04 + 0.004, 1 + 0.02 + 0.006, 1 + 0.01 + 0.007, 1 + 0.01 + 0.008]
    assert request.first == pytest.approx(sum(times[:2]))
    assert request.last == pytest.approx(end) == pytest.approx(sum(times))
    assert request.gap == pytest.approx(times[3]) and request.late == 0
    late = attrs.evolve(make(0, 6, 3), due=2.0, tpot_slo=1.05)
    ended, _ = run(worker(Sarathi(4)), [late])
    # Tokens at 2.07, 3.087 and 4.105, due at 2, 3.05 and 4.1.
    assert ended[0].late == 3


def test_a_request_that_can_never_fit_is_refused() -> None:
    with pytest.raises(SimulationError, match=r"40 \+ 2 tokens needs 11 blocks; the KV cache of test has 10"):
        worker(Sarathi()).submit(make(0, 40, 2))
    worker(Sarathi()).submit(make(0, 40, 1))


@attrs.frozen
class Says:
    decision: StepDecision

    def decide(self, seen: StepObservation) -> StepDecision:
        return self.decision


@pytest.mark.parametrize(
    ("work", "preempt", "why"),
    [
        ((), (), "scheduled nothing though 0 requests run and 2 wait"),
        (((7, 1),), (), "request 7, which is not there"),
        (((0, 7),), (), "7 tokens of request 0, which has 6 to compute"),
        (((0, 0),), (), "0 tokens of request 0"),
        (((0, 1), (0, 1)), (), "a request twice"),
        (((0, 6), (1, 6)), (), "12 tokens of 2 requests; the caps are 8 and 2"),
        (((0, 1),), (1,), "preempted request 1, which is not running"),
        (((0, 6), (1, 2)), (), "overbooked: the KV cache is full: 1 blocks of 2 are missing"),
    ],
)
def test_a_decision_that_cannot_be_carried_out_is_named(
    work: tuple[tuple[int, int], ...], preempt: tuple[int, ...], why: str
) -> None:
    policy = Says(StepDecision(tuple(Work(*one) for one in work), preempt))
    one = worker(policy, blocks=2, max_tokens=8, max_requests=2)
    for id in (0, 1):
        one.submit(make(id, 6, 2))
    with pytest.raises(SimulationError, match="policy Says") as caught:
        one.begin(0.0)
    assert why in str(caught.value)


@pytest.mark.parametrize("policy", ["sarathi:64", "vllm_v1:64", "prefill_first", "fairbatching:learns=no"])
@pytest.mark.parametrize(("spare", "moved", "ended"), [(0.0, [12, 12], []), (0.5, [12, 0], [0, 1])])
def test_what_is_brought_for_two_that_wait_must_leave_room_or_both_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, policy: str, spare: float, moved: list[int], ended: list[int]
) -> None:
    """The deadlock of two requests and seven blocks: three blocks are loaded for each before it runs, each needs two
    more, one is left, and no policy can preempt what does not run. With half of the cache kept, the second is computed
    anew instead."""
    monkeypatch.setattr("mtpo.schedulers.simulator.worker._SPARE", spare)
    one = worker(load_policy(policy), 7)
    requests = [make(id, 17, 4, (Piece(id, 17),)) for id in range(2)]
    found = []
    for request in requests:
        found.append(one.receive(request, 3))
        if found[-1]:
            one.received(request)
        one.submit(request)
    now, done = 0.0, list[int]()
    while (end := one.begin(now)) is not None:
        now = end
        for request in one.finish(now):
            done.append(request.id)
            if found[request.id]:
                one.unpin(brought(request.id))
        one.kv.check()
    assert (found, done, one.busy) == (moved, ended, not ended)
