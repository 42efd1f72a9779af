"""FairBatching's properties, P1 to P10, on random observations and in a small closed world; and where they end."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mtpo.schedulers.step.batch import Batch
from mtpo.schedulers.step.deadlines import Objectives
from mtpo.schedulers.step.fairbatching import FairBatching
from mtpo.schedulers.types import RequestView, StepObservation, Work
from tests.schedulers.step import scenes

MODEL = scenes.MODEL
EPS = 1e-9
policies = st.builds(
    FairBatching,
    objectives=st.builds(Objectives, reanchor=st.booleans()),
    cap=st.sampled_from([None, None, 0.05, 0.2]),
)


def views(seen):
    return {r.id: r for r in (*seen.running, *seen.waiting)}


def predicted(seen, work):
    at = views(seen)
    return MODEL.seconds(sum(w.tokens for w in work), sum(at[w.id].computed + w.tokens for w in work))


def progressed(policy, seen, decision):
    """Whether the batch is the one item of the progress rule: nothing at all fitted."""
    if len(decision.work) > 1:
        return False
    urgent, prefills, others = policy.groups(seen)
    heads = [*urgent, *others, *[r for r, _ in zip(prefills, range(1), strict=False)]]
    return bool(decision.preempt) or not any(fits(policy, seen, [], r) for r in heads)


def fits(policy, seen, before, request):
    """Whether one token of a request fits after other work: in time, in the KV cache, and within the caps."""
    batch, at = Batch(seen), views(seen)
    for w in before:
        batch.take(at[w.id], w.tokens)
    after = (*before, Work(request.id, 1))
    in_time = predicted(seen, after) <= policy.budget(seen) + EPS
    return in_time and batch.left > 0 and batch.room > 0 and batch.fits(request) >= 1


requests = st.builds(
    RequestView,
    st.just(0),
    st.floats(0, 100),
    st.integers(1, 50),
    st.just(0),
    st.integers(0, 50),
    st.just(0),
    ttft_slo=st.one_of(st.none(), st.floats(0.01, 5)),
    tpot_slo=st.one_of(st.none(), st.floats(0.001, 1)),
    first=st.one_of(st.none(), st.floats(0, 200)),
)


@given(requests, requests, st.integers(0, 100), st.integers(0, 100))
def test_P1_the_envelope_is_monotone_and_independent_of_progress(request_, other, j, more):
    envelope = Objectives()
    assert envelope.deadline(request_, j) <= envelope.deadline(request_, j + more)
    elsewhere = attrs.evolve(
        request_, known=other.known, computed=other.computed, emitted=other.emitted, first=other.first
    )
    assert envelope.deadline(elsewhere, j) == envelope.deadline(request_, j)


@given(requests, st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), min_size=1, max_size=20))
def test_P2_earlier_output_never_lowers_later_slack(request_, tokens):
    """Each token's time, and how much of the wait for it is saved in another run."""
    envelope = Objectives()
    now = earlier = request_.arrival
    for j, (wait, saved) in enumerate(tokens):
        now, earlier = now + wait, max(earlier, min(now + wait, earlier + wait * saved))
        done = attrs.evolve(request_, emitted=j, first=None)
        assert envelope.slack(done, earlier) >= envelope.slack(done, now) - EPS


def test_P2_is_false_of_the_time_between_tokens():
    def between(times):
        return [b - a for a, b in zip([0, *times], times, strict=False)]

    late, early = [50, 100, 150], [50, 60, 150]
    assert all(e <= n for e, n in zip(early, late, strict=True)), "no token is later"
    assert max(between(late)) == 50 and max(between(early)) == 90, "and yet a gap is over its objective"
    request_ = RequestView(0, 0.0, 1, 0, 0, 0, ttft_slo=0.05, tpot_slo=0.05)
    assert all(t / 1000 <= Objectives().deadline(request_, j) + EPS for j, t in enumerate(early))


def test_P2_is_what_anchoring_late_requests_anew_gives_up():
    envelope = Objectives(ttft=1.0, tpot=0.05, reanchor=True)
    late = RequestView(0, 0.0, 9, 8, 3, 2, first=2.0)
    assert envelope.slack(late, 2.1) > envelope.slack(attrs.evolve(late, first=1.5), 2.1), "an earlier first token"


@given(policies, scenes.observations(roomy=True))
def test_P3_the_budget_is_at_least_the_strictest_time_per_token_and_no_urgent_decode_in_time_becomes_late(policy, seen):
    tightest = policy.tightest(seen)
    assume(tightest is not None)
    budget = policy.budget(seen)
    assert budget >= min(tightest, policy.cap or tightest)
    decision = policy.decide(seen)
    slacks = [policy.objectives.slack(r, seen.now) for r in seen.running if r.decoding]
    if min(slacks) >= tightest and not progressed(policy, seen, decision):
        urgent, _, _ = policy.groups(seen)
        took = predicted(seen, decision.work)
        scheduled = {w.id for w in decision.work}
        assert all(policy.objectives.slack(r, seen.now) >= took - EPS for r in urgent if r.id in scheduled)


@given(policies, scenes.observations())
def test_P4_a_batch_is_predicted_to_keep_the_budget_but_for_the_progress_rule(policy, seen):
    decision = policy.decide(seen)
    assume(decision.work)
    if not progressed(policy, seen, decision):
        assert predicted(seen, decision.work) <= policy.budget(seen) + EPS


@given(policies, scenes.observations(roomy=True))
def test_P5_a_deferred_decode_can_still_wait_for_a_whole_batch_more(policy, seen):
    decision = policy.decide(seen)
    tightest = policy.tightest(seen)
    assume(tightest is not None and not progressed(policy, seen, decision))
    _, _, others = policy.groups(seen)
    scheduled = {w.id for w in decision.work}
    took = predicted(seen, decision.work)
    for r in others:
        if r.id not in scheduled:
            assert policy.objectives.slack(r, seen.now + took) >= tightest - EPS


@given(policies, scenes.observations())
def test_P6_nobody_is_passed_over_in_its_group_but_for_a_misfit(policy, seen):
    decision = policy.decide(seen)
    assume(not progressed(policy, seen, decision))
    order = [w.id for w in decision.work]
    for group in policy.groups(seen):
        passed = []
        for r in group:
            if r.id not in order:
                passed.append(r)
                continue
            before = decision.work[: order.index(r.id)]
            assert not any(fits(policy, seen, before, other) for other in passed)


@given(policies, scenes.observations())
def test_P7_no_decode_and_not_the_first_prefill_left_out_would_fit(policy, seen):
    decision = policy.decide(seen)
    assume(not progressed(policy, seen, decision))
    scheduled = {w.id: w.tokens for w in decision.work}
    urgent, prefills, others = policy.groups(seen)
    left_out = [r for r in (*urgent, *others) if r.id not in scheduled]
    left_out += [r for r in prefills if r.id not in scheduled][:1]
    assert not any(fits(policy, seen, decision.work, r) for r in left_out)


def test_P7_ends_at_the_first_prefill_that_does_not_fit():
    """Strict work conservation is given up: a prompt with a long prefix stops those with a short one behind it."""
    model_c = 1e-6
    policy = FairBatching(
        attrs.evolve(FairBatching().calibrator, prior=attrs.evolve(MODEL, c=model_c)), idle=0.05, learns=False
    )
    long, short = RequestView(0, 0.0, 60_001, 60_000, 0, 15_000), RequestView(1, 1.0, 100, 0, 0, 0)
    first = RequestView(2, -1.0, 10, 0, 0, 0)
    seen = StepObservation(2.0, (long,), (first, short), 10_000, 4, 8192, 64)
    assert [w.id for w in policy.decide(seen).work] == [2], "10 ms are left, and more than 100 tokens would fit"
    alone = attrs.evolve(seen, running=())
    assert [w.id for w in policy.decide(alone).work] == [2, 1]


@given(policies, scenes.observations())
def test_P8_urgent_decodes_before_prefills_before_the_rest(policy, seen):
    decision = policy.decide(seen)
    urgent, prefills, others = (list(group) for group in policy.groups(seen))
    assert {r.id for r in (*urgent, *others)} == {r.id for r in seen.running if r.decoding}
    rank = {r.id: k for k, group in enumerate((urgent, prefills, others)) for r in group}
    assert rank.keys() == views(seen).keys()
    ranks = [rank[w.id] for w in decision.work]
    assert ranks == sorted(ranks)


@given(jobs=scenes.jobs(), blocks=st.sampled_from([150, 10_000]))
@settings(max_examples=30, deadline=None)
def test_P9_chunks_add_up_to_the_prompt_and_never_exceed_it(jobs, blocks):
    world = scenes.World(FairBatching(), jobs, MODEL, blocks)
    assert world.run(20_000)
    if not any(decision.preempt for _, decision, _ in world.log):
        work = [w for _, decision, _ in world.log for w in decision.work]
        for job in jobs:
            assert sum(w.tokens for w in work if w.id == job.id) == job.prompt + job.output - 1


@given(policies, scenes.observations())
def test_P10_the_first_prefill_gets_on_whenever_urgent_decodes_leave_room_for_a_token(policy, seen):
    urgent, prefills, _ = policy.groups(seen)
    head = next(prefills, None)
    assume(head is not None)
    decision = policy.decide(seen)
    ids = {r.id for r in urgent}
    before = [w for w in decision.work if w.id in ids]
    if fits(policy, seen, before, head) and not progressed(policy, seen, decision):
        assert head.id in {w.id for w in decision.work}


def test_the_budget_is_no_guarantee_a_decode_with_less_slack_than_the_floor_is_late():
    late = RequestView(0, 0.0, 9, 8, 1, 2, ttft_slo=1.0, tpot_slo=0.05)
    seen = StepObservation(1.04, (late,), (RequestView(1, 0.9, 5000, 0, 0, 0),), 5000, 4, 8192, 64)
    policy = FairBatching()
    assert policy.objectives.slack(late, seen.now) == pytest.approx(0.01)
    assert policy.budget(seen) == pytest.approx(0.05)
    assert predicted(seen, policy.decide(seen).work) > 0.04


@pytest.mark.parametrize(("cap", "step"), [(None, 4.2), (0.1, 0.1)])
def test_a_decode_with_much_slack_pauses_for_seconds_and_a_cap_bounds_steps_not_pauses(cap, step):
    """A decode that runs ahead of its envelope makes way for a burst of prompts. Literally all go into one batch, as
    long as its slack; with a cap they go into many, but then the decode is no longer urgent, and is put off for all."""
    first = scenes.Job(0, 0.0, 10, 300, ttft=10.0, tpot=1.0)
    burst = [scenes.Job(id, 0.5, 4000, 1, ttft=60.0) for id in range(1, 12)]
    policy = FairBatching(learns=False, cap=cap)
    world = scenes.World(policy, [first, *burst], MODEL, blocks=100_000, max_tokens=100_000)
    assert world.run(10_000)
    assert max(seconds for _, _, seconds in world.log) == pytest.approx(step, rel=0.01)
    assert max(b - a for a, b in zip(first.times, first.times[1:], strict=False)) > 4.0
    envelope = Objectives(ttft=10.0, tpot=1.0)
    due = [envelope.deadline(first.view(4), j) for j in range(first.output)]
    assert all(t <= d for t, d in zip(first.times, due, strict=True)), "and no token is late"


def test_the_same_waiting_requests_in_another_order_of_deadlines_are_sorted_anew():
    waiting = (RequestView(0, 0.0, 50, 0, 0, 0, ttft_slo=None), RequestView(1, 0.1, 50, 0, 0, 0, ttft_slo=0.5))
    seen = StepObservation(0.2, (), waiting, 100, 4, 40, 64)
    policy = FairBatching()
    assert [w.id for w in policy.decide(seen).work] == [1]
    strict = attrs.evolve(policy, objectives=Objectives(ttft=0.1))
    assert [w.id for w in strict.decide(seen).work] == [0]
    assert [w.id for w in policy.decide(seen).work] == [1]


@given(scenes.observations(), st.builds(Objectives, st.floats(0.1, 2), st.floats(0.01, 1), st.booleans()))
def test_the_deadlines_of_many_are_those_of_each(seen, objectives):
    assert objectives.dues(seen.running) == [objectives.due(r) for r in seen.running]


@given(st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2)), max_size=50), max_size=8), st.booleans())
def test_a_policy_that_has_seen_other_lines_decides_as_a_new_one(lines, front):
    """What is kept of the waiting line is a cache: requests come, go and change anywhere in it."""
    old, line = FairBatching(), ()
    for change in lines:
        known = dict(change)
        kept = [r for r in line if r.id not in known]
        fresh = [RequestView(id, id / 7, 30, 4 * found, 0, found) for id, found in sorted(known.items())]
        line = tuple([*fresh, *kept] if front else [*kept, *fresh])
        seen = StepObservation(9.0, (), line, 10_000, 4, 400, 64)
        assert old.decide(seen) == FairBatching().decide(seen)


def test_with_the_cache_exhausted_those_with_the_most_slack_give_up_their_blocks():
    running = tuple(RequestView(id, float(id), 9, 8, 1, 2) for id in range(3))
    decision = FairBatching().decide(StepObservation(5.0, running, (), 0, 4, 512, 64))
    assert decision.preempt == (2,) and decision.work == (Work(0, 1),)
