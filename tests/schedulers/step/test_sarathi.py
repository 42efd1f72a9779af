"""Sarathi's promises, on random observations."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.types import RequestView, StepObservation

SIZE = 4


@st.composite
def observations(draw):
    running = []
    for id in range(draw(st.integers(0, 8))):
        known = draw(st.integers(1, 40))
        computed = draw(st.integers(0, known - 1))
        emitted = draw(st.integers(0, 5))
        blocks = math.ceil(computed / SIZE) + draw(st.integers(0, 1))
        shared = draw(st.integers(0, blocks))
        running.append(RequestView(id, float(id), known, computed, emitted, blocks, shared))
    ids = range(20, 20 + draw(st.integers(0, 5)))
    free = draw(st.integers(0, 30))
    waiting = []
    for id in ids:
        known = draw(st.integers(1, 60))
        found = draw(st.integers(0, (known - 1) // SIZE))
        cached = draw(st.integers(0, min(found, free)))
        waiting.append(RequestView(id, float(id), known, found * SIZE, 0, found, cached=cached))
    return StepObservation(
        now=100.0,
        running=tuple(running),
        waiting=tuple(waiting),
        free_blocks=free,
        block_size=SIZE,
        max_tokens=draw(st.integers(1, 64)),
        max_requests=draw(st.integers(1, 10)),
    )


@given(observations(), st.integers(1, 64))
def test_what_it_decides_can_be_done(seen, budget):
    decision = Sarathi(budget).decide(seen)
    views = {r.id: r for r in (*seen.running, *seen.waiting)}
    assert len({w.id for w in decision.work}) == len(decision.work) <= seen.max_requests
    assert sum(w.tokens for w in decision.work) <= min(budget, seen.max_tokens)
    assert all(1 <= w.tokens <= views[w.id].remaining for w in decision.work)
    assert not {w.id for w in decision.work} & set(decision.preempt)
    freed = sum(views[id].blocks - views[id].shared for id in decision.preempt)
    assert sum(seen.blocks_for(views[w.id], w.tokens) for w in decision.work) <= seen.free_blocks + freed


@given(observations(), st.integers(1, 64))
def test_stall_free_no_decode_waits_for_a_prompt(seen, budget):
    decision = Sarathi(budget).decide(seen)
    decoding = {r.id for r in seen.running if r.decoding}
    served = [w.id in decoding for w in decision.work]
    assert served == sorted(served, reverse=True), "decodes come first"
    left_out = decoding - {w.id for w in decision.work} - set(decision.preempt)
    if left_out and not decision.preempt and any(w.id not in decoding for w in decision.work):
        # Only a decode without a slot for its token may be passed over.
        views = {r.id: r for r in seen.running}
        used = sum(seen.blocks_for(views[w.id], w.tokens) for w in decision.work if w.id in decoding)
        assert all(seen.blocks_for(views[id], 1) > seen.free_blocks - used for id in left_out)


@given(observations(), st.integers(1, 64))
def test_first_come_first_served_and_whole_prompts_only(seen, budget):
    decision = Sarathi(budget).decide(seen)
    admitted = [w.id for w in decision.work if w.id >= 20]
    assert admitted == [r.id for r in seen.waiting][: len(admitted)]
    blocks = seen.free_blocks
    for r in seen.waiting[: len(admitted)]:
        assert seen.blocks_for(r, r.remaining) <= blocks


@given(observations(), st.integers(1, 64))
def test_somebody_makes_progress(seen, budget):
    decision = Sarathi(budget).decide(seen)
    if seen.running:
        oldest = seen.running[0]
        total = seen.free_blocks + sum(r.blocks for r in seen.running)
        # Blocks shared by those that give them up are free only in the next observation.
        if decision.work or decision.preempt or total * SIZE < oldest.known:
            return
        assert oldest.blocks * SIZE <= oldest.computed and total * SIZE <= oldest.computed
    elif seen.waiting and seen.blocks_for(seen.waiting[0], seen.waiting[0].remaining) <= seen.free_blocks:
        assert decision.work


def test_the_case_in_which_the_published_code_goes_negative():
    running = (*(RequestView(i, 0.0, 10, 9, 1, 3) for i in range(17)), RequestView(17, 0.0, 30, 4, 0, 1))
    seen = StepObservation(0.0, running, (), 100, SIZE, 2048, 64)
    decision = Sarathi(16).decide(seen)
    assert [w.tokens for w in decision.work] == [1] * 16


def test_a_budget_below_one_is_refused():
    with pytest.raises(ValueError, match="budget"):
        Sarathi(0)
