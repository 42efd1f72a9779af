"""Random observations of step policies, and a small closed world in which one runs."""

from __future__ import annotations

import math

import attrs
from hypothesis import strategies as st

from mtpo.schedulers.types import RequestView, StepMeasured, StepModel, StepObservation, learned

SIZE = 4


@st.composite
def observations(draw, roomy=False):
    """Requests in any state; ``roomy``: neither the KV cache nor the caps are ever short."""
    running = []
    slos = st.one_of(st.none(), st.floats(0.05, 2.0))
    tpots = st.one_of(st.none(), st.floats(0.01, 0.3))
    for id in range(draw(st.integers(0, 8))):
        known = draw(st.integers(1, 400))
        computed = draw(st.one_of(st.just(known - 1), st.integers(0, known - 1)))
        emitted = draw(st.integers(0, 40))
        blocks = math.ceil(computed / SIZE) + draw(st.integers(0, 1))
        shared = draw(st.integers(0, blocks))
        arrival = draw(st.floats(0, 10))
        first = draw(st.one_of(st.none(), st.floats(arrival, 12))) if emitted else None
        running.append(
            RequestView(id, arrival, known, computed, emitted, blocks, shared, 0, draw(slos), draw(tpots), first)
        )
    free = 10_000 if roomy else draw(st.integers(0, 60))
    waiting = []
    for id in range(20, 20 + draw(st.integers(0, 5))):
        known = draw(st.integers(1, 600))
        found = draw(st.integers(0, (known - 1) // SIZE))
        cached = draw(st.integers(0, min(found, free)))
        waiting.append(
            RequestView(id, draw(st.floats(0, 10)), known, found * SIZE, 0, found, 0, cached, draw(slos), draw(tpots))
        )
    return StepObservation(
        now=draw(st.floats(8.0, 14.0)),
        running=tuple(running),
        waiting=tuple(sorted(waiting, key=lambda r: r.arrival)),
        free_blocks=free,
        block_size=SIZE,
        max_tokens=100_000 if roomy else draw(st.integers(1, 600)),
        max_requests=64 if roomy else draw(st.integers(1, 12)),
    )


def check(seen, decision):
    """That a decision can be carried out."""
    views = {r.id: r for r in (*seen.running, *seen.waiting)}
    running = {r.id for r in seen.running}
    assert len({w.id for w in decision.work}) == len(decision.work) <= seen.max_requests
    assert sum(w.tokens for w in decision.work) <= seen.max_tokens
    assert all(1 <= w.tokens <= views[w.id].remaining for w in decision.work)
    assert not {w.id for w in decision.work} & set(decision.preempt)
    assert set(decision.preempt) <= running and len(set(decision.preempt)) == len(decision.preempt)
    freed = sum(views[id].blocks - views[id].shared for id in decision.preempt)
    assert sum(seen.blocks_for(views[w.id], w.tokens) for w in decision.work) <= seen.free_blocks + freed


@attrs.define
class Job:
    """A request of the world: what it is to be, and how far it is. ``times``: when its tokens were there."""

    id: int
    arrival: float
    prompt: int
    output: int
    ttft: float | None = None
    tpot: float | None = None
    known: int = 0
    computed: int = 0
    times: list = attrs.field(factory=list)

    def view(self, size):
        first = self.times[0] if self.times else None
        held = math.ceil(self.computed / size)
        return RequestView(
            self.id,
            self.arrival,
            self.known,
            self.computed,
            len(self.times),
            held,
            ttft_slo=self.ttft,
            tpot_slo=self.tpot,
            first=first,
            most=self.prompt + self.output,
        )


class World:
    """One worker without a prefix cache, whose steps take what ``model`` says. ``log``: observation and decision."""

    def __init__(self, policy, jobs, model, blocks=10_000, max_tokens=8192, max_requests=64, size=SIZE):
        self.policy, self.jobs, self.model = policy, sorted(jobs, key=lambda j: j.arrival), model
        self.blocks, self.max_tokens, self.max_requests, self.size = blocks, max_tokens, max_requests, size
        self.running, self.waiting, self.now, self.log = [], [], 0.0, []
        for job in self.jobs:
            job.known = job.prompt
        self.coming = list(self.jobs)

    def observe(self):
        held = sum(math.ceil(j.computed / self.size) for j in self.running)
        return StepObservation(
            self.now,
            tuple(j.view(self.size) for j in self.running),
            tuple(j.view(self.size) for j in self.waiting),
            self.blocks - held,
            self.size,
            self.max_tokens,
            self.max_requests,
        )

    def run(self, steps):
        """At most so many steps; whether everything finished."""
        for _ in range(steps):
            if not self.running and not self.waiting:
                if not self.coming:
                    return True
                self.now = max(self.now, self.coming[0].arrival)
            while self.coming and self.coming[0].arrival <= self.now:
                self.waiting.append(self.coming.pop(0))
            self.step()
        return not (self.running or self.waiting or self.coming)

    def step(self):
        seen = self.observe()
        decision = self.policy.decide(seen)
        check(seen, decision)
        assert decision.work or decision.preempt, "nothing scheduled though there is work"
        by_id = {j.id: j for j in (*self.running, *self.waiting)}
        for id in decision.preempt:
            job = by_id[id]
            job.computed = 0
            self.running.remove(job)
            self.waiting.insert(0, job)
        new = context = 0
        for work in decision.work:
            job = by_id[work.id]
            if job in self.waiting:
                self.waiting.remove(job)
                self.running.append(job)
            job.computed += work.tokens
            new, context = new + work.tokens, context + job.computed
        seconds = self.model.seconds(new, context) if new else 0.0
        self.log.append((seen, decision, seconds))
        self.now += seconds
        for work in decision.work:
            job = by_id[work.id]
            if job.computed == job.known:
                job.times.append(self.now)
                job.known += 1
                if len(job.times) == job.output:
                    self.running.remove(job)
        if new:
            self.policy = learned(self.policy, StepMeasured(new, context, seconds))


@st.composite
def jobs(draw, most=6):
    """Some requests, small enough that each fits into a cache of 120 blocks."""
    return [
        Job(
            id,
            draw(st.floats(0, 0.5)),
            draw(st.integers(1, 300)),
            draw(st.integers(1, 12)),
            draw(st.one_of(st.none(), st.floats(0.05, 2.0))),
            draw(st.one_of(st.none(), st.floats(0.01, 0.3))),
        )
        for id in range(draw(st.integers(1, most)))
    ]


MODEL = StepModel(8e-3, 0.095e-3, 0.13e-6)
