"""The prefill admission budget: what it counts, how it routes, and P11, that it promises too much."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo.schedulers.placement.pab import PrefillBudgetRouting, due_within, prefill_budget
from mtpo.schedulers.step.deadlines import Objectives
from mtpo.schedulers.step.fairbatching import FairBatching
from mtpo.schedulers.types import PlacementObservation, RequestView, StepModel, WorkerView
from tests.schedulers.step import scenes

MODEL = scenes.MODEL
OBJECTIVES = Objectives(ttft=1.0, tpot=0.05)

decodes = st.builds(
    lambda id, arrival, known, emitted, tpot: RequestView(id, arrival, known, known - 1, emitted, 0, tpot_slo=tpot),
    st.integers(),
    st.floats(0, 10),
    st.integers(2, 5000),
    st.integers(1, 200),
    st.floats(0.05, 0.5),
)
prefills = st.builds(
    lambda id, known, done: RequestView(id, 0.0, known, min(done, known - 1), 0, 0),
    st.integers(),
    st.integers(1, 5000),
    st.integers(0, 5000),
)


def test_an_idle_worker_has_the_whole_window_but_for_the_constant_part_of_its_steps():
    budget = prefill_budget(WorkerView(0, 9, 9), 0.0, 1.0, MODEL, OBJECTIVES)
    assert budget == int((1.0 - 20 * MODEL.a) / (MODEL.b + MODEL.c))


@pytest.mark.parametrize("per_token", [0.0, 1e-320])
def test_where_tokens_take_no_time_any_number_fits_or_none(per_token):
    busy = WorkerView(0, 9, 9, model=StepModel(0.2, per_token))
    free = attrs.evolve(busy, id=1, model=StepModel(0.01, per_token))
    window = 1.0
    assert prefill_budget(free, 0.0, window, free.model, OBJECTIVES) == math.inf
    assert prefill_budget(busy, 0.0, window, busy.model, OBJECTIVES) == 0
    seen = PlacementObservation(0.0, "c", 1, 500, (busy, free), 20)
    decision = PrefillBudgetRouting(full="route").decide(seen)
    assert (decision.prefill, decision.decode) == (1, 1)


@given(st.lists(decodes, max_size=5), st.lists(prefills, max_size=5), prefills, st.floats(8, 12))
def test_more_prompts_leave_less(running, waiting, another, now):
    worker = WorkerView(0, 9, 9, running=tuple(running), waiting=tuple(waiting))
    more = attrs.evolve(worker, waiting=(*waiting, another))
    budget = prefill_budget(worker, now, 1.0, MODEL, OBJECTIVES)
    assert 0 <= prefill_budget(more, now, 1.0, MODEL, OBJECTIVES) <= budget


@given(decodes, st.floats(0, 30), st.floats(0, 3))
def test_tokens_due_in_a_window(decode, now, window):
    times = [OBJECTIVES.deadline(decode, j) for j in range(decode.emitted, decode.emitted + 1000)]
    edge = any(min(abs(t - now), abs(t - now - window)) < 1e-6 for t in times)
    expected = sum(now < t <= now + window for t in times)
    assert edge or due_within(OBJECTIVES, decode, now, window) == expected


def test_P11_is_false_decodes_that_prompts_under_way_will_spawn_are_not_reserved():
    """Sixty short prompts wait; each becomes a decode with 10 ms a token. The new prompt is exactly as long as the
    budget says, the step times are exactly those predicted, and its first token is late: by seconds."""
    ttft, tpot = 0.5, 0.01

    def world(outputs):
        crowd = [scenes.Job(id, 0.0, 4, outputs, ttft=0.05, tpot=tpot) for id in range(60)]
        new = scenes.Job(99, 0.0, 0, 1, ttft=ttft, tpot=tpot)
        one = scenes.World(FairBatching(idle=0.05, learns=False), crowd, MODEL, blocks=100_000, max_requests=400)
        one.waiting, one.coming = one.coming, []
        seen = one.observe()
        worker = WorkerView(0, 9, 9, running=seen.running, waiting=seen.waiting)
        new.prompt = new.known = prefill_budget(worker, 0.0, ttft, MODEL, Objectives(ttft, tpot))
        one.waiting.append(new)
        one.run(2000)
        return new

    assert world(1).times[0] <= ttft, "where no decode comes of them, the promise is kept"
    assert world(400).times[0] > 2 * ttft


def seen(budgets, prompt, **more):
    """Workers with so many prompt tokens under way each."""
    workers = tuple(
        WorkerView(n, 9999, 9999, waiting=(RequestView(0, 0.0, tokens, 0, 0, 0),) if tokens else ())
        for n, tokens in enumerate(budgets)
    )
    return PlacementObservation(0.0, "c", 1, prompt, workers, 10, **more)


def test_a_turn_goes_to_the_worker_with_the_largest_budget():
    decision = PrefillBudgetRouting().decide(seen([4000, 1000, 3000], 100))
    assert (decision.prefill, decision.decode, decision.bind) == (1, 1, False)


@pytest.mark.parametrize(
    ("full", "now", "outcome"),
    [("hold", 0.0, "held"), ("shed", 0.0, "held"), ("shed", 1.0, "shed"), ("hold", 1.0, "held"), ("route", 0.0, 1)],
)
def test_what_becomes_of_a_turn_that_fits_nowhere(full, now, outcome):
    decision = PrefillBudgetRouting(full=full).decide(attrs.evolve(seen([9000, 8000], 5000), now=now))
    assert outcome == ("shed" if decision.shed else "held" if decision.decode is None else decision.decode)


def test_a_turn_that_fits_waits_behind_those_that_are_held_but_an_idle_worker_takes_any():
    assert PrefillBudgetRouting().decide(seen([4000], 100, ahead=1)).decode is None
    assert PrefillBudgetRouting().decide(seen([0], 50_000)).decode == 0


def test_a_workers_own_model_counts_before_the_policys():
    slow = StepModel(8e-3, 1e-3)
    one = seen([100, 100], 100)
    workers = (attrs.evolve(one.workers[0], model=slow), one.workers[1])
    assert PrefillBudgetRouting().decide(attrs.evolve(one, workers=workers)).decode == 1
    assert PrefillBudgetRouting(slow).decide(attrs.evolve(one, workers=workers)).decode == 0
