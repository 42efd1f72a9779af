"""Promises are kept: what a policy promises of a digest is what it decides, now and in later steps."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.load import load_policy
from mtpo.schedulers.step.promise import FOREVER, Promise, PromisingPolicy, digest_of, kept, promised
from mtpo.schedulers.types import RequestView, StepDecision, StepObservation, Work
from tests.schedulers.step import scenes

SIZE = scenes.SIZE
POLICIES = (
    "sarathi:16",
    "sarathi:200",
    "vllm_v1",
    "vllm_v1:40",
    "prefill_first",
    "prefill_first:60",
    "fairbatching",
    "fairbatching:a=0.01,b=0.001,c=0.00001,learns=no",
    "fairbatching:a=0.01,b=0.001,c=0.00001,cap=0.04,learns=no",
    "bounded_gap:0.2",
)


def loaded():
    return [load_policy(name) for name in POLICIES]


@st.composite
def steady(draw):
    """Mostly decodes, few others, and blocks that are often just enough."""
    running = []
    tpots = st.one_of(st.none(), st.floats(0.01, 0.3))
    for id in range(draw(st.integers(1, 10))):
        prefill = draw(st.integers(0, 9)) == 0
        known = draw(st.integers(2, 300))
        computed = draw(st.integers(0, known - 1)) if prefill else known - 1
        emitted = 0 if prefill else draw(st.integers(1, 40))
        arrival = draw(st.floats(0, 10))
        held = math.ceil(computed / SIZE)
        view = RequestView(id, arrival, known, computed, emitted, held, 0, 0, draw(st.none() | st.floats(0.05, 2.0)))
        running.append(attrs.evolve(view, tpot_slo=draw(tpots), most=draw(st.sampled_from([None, known + 20]))))
    waiting = []
    for id in range(20, 20 + draw(st.integers(0, 2))):
        known = draw(st.integers(1, 300))
        found = draw(st.integers(0, (known - 1) // SIZE))
        waiting.append(RequestView(id, 8.0 + id / 100, known, found * SIZE, 0, found))
    return StepObservation(
        draw(st.floats(8.0, 14.0)),
        tuple(running),
        tuple(waiting),
        draw(st.sampled_from([1, 3, 10, 60, 1000])),
        SIZE,
        draw(st.sampled_from([6, 64, 4096])),
        draw(st.sampled_from([6, 64])),
    )


def after(seen, seconds):
    """The observation when every decode has had its token, and nothing else has changed."""
    grown, taken = [], 0
    for r in seen.running:
        if r.decoding:
            need = max(0, math.ceil((r.computed + 1) / SIZE) - r.blocks)
            taken += need
            r = attrs.evolve(
                r, known=r.known + 1, computed=r.computed + 1, emitted=r.emitted + 1, blocks=r.blocks + need
            )
        grown.append(r)
    return attrs.evolve(seen, now=seen.now + seconds, running=tuple(grown), free_blocks=seen.free_blocks - taken)


@given(st.one_of(steady(), scenes.observations()), st.sampled_from(loaded()))
@settings(max_examples=400, deadline=None)
def test_what_is_promised_is_what_is_decided(seen, policy):
    promise = promised(policy, digest_of(seen))
    if promise is not None:
        decision = policy.decide(seen)
        scenes.check(seen, decision)
        assert kept(promise, seen, decision)


@given(steady(), st.sampled_from(loaded()), st.lists(st.floats(0.0, 0.3), min_size=8, max_size=8))
@settings(max_examples=300, deadline=None)
def test_it_stands_for_as_many_steps_as_it_says_as_long_as_there_are_blocks(seen, policy, seconds):
    promise = promised(policy, digest_of(seen))
    if promise is None or promise.work:
        return
    for step, taken in enumerate(seconds):
        digest = digest_of(seen)
        if (promise.steps is not None and step > promise.steps) or digest.lacking > digest.free_blocks:
            break
        assert kept(promise, seen, policy.decide(seen))
        seen = after(seen, taken)


def decodes(count, prompt=100, emitted=3):
    return tuple(
        RequestView(id, 0.0, prompt + emitted, prompt + emitted - 1, emitted, math.ceil((prompt + emitted - 1) / SIZE))
        for id in range(count)
    )


@pytest.mark.parametrize("name", POLICIES)
def test_a_few_decodes_alone_are_promised_by_every_policy(name):
    seen = StepObservation(1.0, decodes(3), (), 100, SIZE, 4096, 64)
    policy = load_policy(name)
    promise = promised(policy, digest_of(seen))
    assert isinstance(policy, PromisingPolicy) and promise is not None and promise.work == ()
    # What is learnt from a step may change the decision on the next one.
    learns = name == "fairbatching"
    assert promise.steps == 0 if learns else promise.steps is None or promise.steps > 100


def test_fair_batching_promises_while_all_of_them_surely_fit_into_the_strictest_time():
    policy = load_policy("fairbatching:a=0.01,b=0.001,c=0.0001,tpot=0.05,learns=no")
    seen = StepObservation(1.0, decodes(2), (), 100, SIZE, 4096, 64)
    digest = digest_of(seen)
    # 10 ms + 2 * 1 ms + 206 * 0.1 ms, and 0.2 ms more with each step.
    assert digest.context == 206 and policy.promise(digest).steps == int((50 - 10 - 2 - 20.6) / 0.2)
    assert policy.promise(attrs.evolve(digest, context=400)) is None


def test_who_can_not_tell_promises_nothing():
    few = decodes(2)
    prompt = RequestView(7, 0.0, 50, 10, 0, 3)
    before = digest_of(StepObservation(1.0, (prompt, *few), (), 100, SIZE, 4096, 64))
    behind = digest_of(StepObservation(1.0, (*few, prompt), (), 100, SIZE, 4096, 64))
    assert not before.behind and behind.behind
    # In the order of its list, a prompt before the decodes may take what they need.
    assert load_policy("vllm_v1").promise(before) is None
    assert load_policy("vllm_v1").promise(behind) == Promise((Work(7, 40),))
    assert load_policy("sarathi:20").promise(before) == Promise((Work(7, 18),))
    assert load_policy("sarathi:2").promise(before) == FOREVER
    for name in ("prefill_first", "fairbatching", "bounded_gap:0.2"):
        assert load_policy(name).promise(behind) is None
    # Neither caps nor blocks are short in a promise.
    for name in POLICIES:
        policy = load_policy(name)
        assert policy.promise(digest_of(StepObservation(1.0, few, (), 100, SIZE, 4096, 1))) is None
        full = tuple(attrs.evolve(r, known=r.known + 2, computed=r.computed + 2) for r in few)
        assert digest_of(StepObservation(1.0, full, (), 1, SIZE, 4096, 64)).lacking == 2
        assert policy.promise(digest_of(StepObservation(1.0, full, (), 1, SIZE, 4096, 64))) is None


def test_kept_knows_the_order_where_it_is_promised():
    seen = StepObservation(1.0, decodes(2), (), 100, SIZE, 4096, 64)
    there, back = StepDecision((Work(0, 1), Work(1, 1))), StepDecision((Work(1, 1), Work(0, 1)))
    assert kept(FOREVER, seen, there) and not kept(FOREVER, seen, back)
    assert kept(Promise(ordered=False), seen, back)
    assert not kept(FOREVER, seen, StepDecision(there.work, (0,))) and not kept(
        FOREVER, seen, StepDecision(there.work[:1])
    )


def test_a_policy_without_promises_is_asked_each_time():
    class Plain:
        def decide(self, observation):
            return StepDecision(())

    assert promised(Plain(), digest_of(StepObservation(1.0, decodes(1), (), 9, SIZE, 9, 9))) is None
