"""Prefill first, vLLM V1, and every step policy alike: what is decided can be done, and everything gets done."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.load import load_policy
from mtpo.schedulers.step.prefill_first import PrefillFirst
from mtpo.schedulers.step.vllm_v1 import VllmV1
from mtpo.schedulers.types import RequestView, StepObservation, Work
from tests.schedulers.step import scenes

POLICIES = ("sarathi:64", "prefill_first", "vllm_v1:64", "fairbatching", "fairbatching:reanchor=yes,cap=0.1")


@pytest.mark.parametrize("name", POLICIES)
@given(seen=scenes.observations())
@settings(max_examples=60)
def test_what_is_decided_can_be_done(name, seen):
    policy = load_policy(name)
    decision = policy.decide(seen)
    scenes.check(seen, decision)
    assert policy.decide(seen) == decision, "a decision is a function of the observation"


@pytest.mark.parametrize("name", POLICIES)
@given(jobs=scenes.jobs(), blocks=st.sampled_from([120, 150, 10_000]), cap=st.sampled_from([16, 64, 2048]))
@settings(max_examples=25, deadline=None)
def test_everything_finishes_even_when_the_cache_holds_little_more_than_one_request(name, jobs, blocks, cap):
    world = scenes.World(load_policy(name), jobs, scenes.MODEL, blocks, cap)
    assert world.run(20_000)
    assert all(len(job.times) == job.output for job in jobs)


def view(id, known, computed=0, emitted=0, blocks=None):
    return RequestView(id, 0.0, known, computed, emitted, -(-computed // 4) if blocks is None else blocks)


def seen(running=(), waiting=(), free=100, tokens=512, requests=64):
    return StepObservation(1.0, tuple(running), tuple(waiting), free, 4, tokens, requests)


def test_prefill_first_computes_whole_prompts_only_and_decodes_when_none_fits():
    decode = view(0, 9, 8, 1)
    prompts = (view(1, 20), view(2, 30), view(3, 8))
    policy = PrefillFirst(40)
    assert policy.decide(seen([decode], prompts)).work == (Work(1, 20),), "the second does not fit whole; FCFS"
    assert policy.decide(seen([decode], prompts, free=2)).work == (Work(0, 1),)
    assert policy.decide(seen([decode], prompts, requests=1)).work == (Work(0, 1),)
    assert policy.decide(seen([decode], ())).work == (Work(0, 1),)


def test_prefill_first_gives_a_prompt_longer_than_a_step_steps_of_its_own():
    policy = PrefillFirst(40)
    assert policy.decide(seen([view(0, 9, 8, 1)], [view(1, 100), view(2, 5)])).work == (Work(1, 40),)
    assert policy.decide(seen([view(0, 9, 8, 1), view(1, 100, 40)], [view(2, 5)])).work == (Work(1, 40),)
    assert policy.decide(seen([view(0, 9, 8, 1), view(1, 100, 80)], [view(2, 5)])).work == (Work(1, 20), Work(2, 5))


def test_prefill_first_preempts_the_newest_decode():
    decodes = [view(id, 9, 8, 1) for id in range(3)]
    decision = PrefillFirst().decide(seen(decodes, free=0))
    assert decision.preempt == (2,) and [w.id for w in decision.work] == [0, 1]


def test_vllm_v1_serves_the_running_list_in_order_then_admits():
    running = [view(0, 30, 10), view(1, 9, 8, 1)]
    work = VllmV1(25).decide(seen(running, [view(2, 40)])).work
    assert work == (Work(0, 20), Work(1, 1), Work(2, 4)), "a partial prefill before a decode: no stall-freedom"
    work = VllmV1(25, long_prefill=6).decide(seen(running, [view(2, 40)])).work
    assert work == (Work(0, 6), Work(1, 1), Work(2, 6))


def test_vllm_v1_preempts_the_tail_and_then_admits_nobody():
    running = [view(0, 9, 8, 1), view(1, 9, 8, 1), view(2, 9, 8, 1)]
    decision = VllmV1().decide(seen(running, [view(3, 4)], free=1))
    assert decision.preempt == (2,)
    assert decision.work == (Work(0, 1), Work(1, 1))
    alone = VllmV1().decide(seen([view(0, 9, 8, 1)], [view(3, 4)], free=0))
    assert alone.preempt == (0,) and not alone.work


@given(seen=scenes.observations(), budget=st.integers(1, 300))
def test_vllm_v1_keeps_its_budget_and_the_order_of_its_lists(seen, budget):
    decision = VllmV1(budget).decide(seen)
    assert sum(w.tokens for w in decision.work) <= budget
    order = [r.id for r in (*seen.running, *seen.waiting)]
    positions = [order.index(w.id) for w in decision.work]
    assert positions == sorted(positions)
    tail = [r.id for r in seen.running][len(seen.running) - len(decision.preempt) :]
    assert list(decision.preempt) == tail[::-1]
    if decision.preempt:
        assert not {w.id for w in decision.work} & {r.id for r in seen.waiting}


@given(seen=scenes.observations())
def test_prefill_first_never_mixes_prompts_and_decodes(seen):
    decoding = {r.id for r in seen.running if r.decoding}
    waiting = {r.id for r in seen.waiting}
    decision = PrefillFirst().decide(seen)
    ids = {w.id for w in decision.work}
    if ids & waiting:
        assert not ids & decoding
        assert [r.id for r in seen.waiting][: len(ids & waiting)] == [w.id for w in decision.work if w.id in waiting]
