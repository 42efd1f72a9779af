"""Bounded gap: the bound on random and on all small traces, step for step beside the spec; and who lacks it."""

from __future__ import annotations

import itertools

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtpo.schedulers.load import load_policy
from mtpo.schedulers.step.bounded_gap import BoundedGap
from mtpo.schedulers.step.calibrator import Calibrator
from mtpo.schedulers.step.deadlines import Objectives
from mtpo.schedulers.step.fairbatching import FairBatching
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.types import RequestView, StepModel, StepObservation
from mtpo.spec.bounded_gap import Request, gap
from mtpo.spec.concrete import Instance, Step
from tests.schedulers.step import scenes

EPS = 1e-9
MODEL = scenes.MODEL


def bounded(g, model=MODEL, **objectives):
    return BoundedGap(g, Calibrator(model), Objectives(**objectives), learns=False)


def gaps(job):
    return [after - before for before, after in itertools.pairwise(job.times)]


# -- the bound ---------------------------------------------------------------------------------------------------------


@given(scenes.jobs(8), st.floats(0.0, 0.2), st.sampled_from([120, 10_000]), st.sampled_from([2, 64]))
@settings(max_examples=60, deadline=None)
def test_no_gap_is_longer_than_the_bound_and_every_running_request_is_in_every_batch(jobs, more, blocks, requests):
    policy = bounded(0.01)
    g = MODEL.a + max(MODEL.cost(job.prompt + job.output - 1, 1) for job in jobs) + more
    world = scenes.World(attrs.evolve(policy, gap=g), jobs, MODEL, blocks, max_requests=requests)
    assert world.run(20_000)
    for seen, decision, seconds in world.log:
        assert decision.preempt == () and seconds <= g + EPS
        assert {r.id for r in seen.running} <= {work.id for work in decision.work}
    assert max((gap_ for job in jobs for gap_ in gaps(job)), default=0.0) <= g + EPS


@given(scenes.observations(), st.floats(0.01, 0.5))
@example(
    StepObservation(
        now=8.0,
        running=(),
        waiting=(RequestView(21, 0.0, 5, 4, 0, 1, cached=1), RequestView(20, 1.0, 1, 0, 0, 0)),
        free_blocks=1,
        block_size=4,
        max_tokens=1,
        max_requests=1,
    ),
    0.5,
)
def test_any_observation_gets_a_decision_that_can_be_carried_out(seen, g):
    """Also one that no policy of this kind would have led to, without the most tokens told."""
    decision = bounded(g).decide(seen)
    scenes.check(seen, decision)
    assert decision.work or decision.preempt or not (seen.running or seen.waiting) or not decision_possible(seen)


def decision_possible(seen):
    """Whether there are blocks for a token of anybody once all that run have given up theirs."""
    freed = sum(r.blocks - r.shared for r in seen.running)
    return any(
        seen.blocks_for(r, 1) <= seen.free_blocks + freed - (r.blocks - r.shared if r in seen.running else 0)
        for r in (*seen.running, *seen.waiting)
    )


def test_what_is_reserved_decides_who_is_admitted_not_what_fits_now():
    """Two short sequences that may grow long: the second one waits, though its prompt fits ten times over."""
    model = StepModel(0.01, 0.001, 0.0001)
    policy = bounded(0.1, model)
    first, second = (RequestView(id, id / 10, 10, 0, 0, 0, most=500) for id in (0, 1))
    seen = StepObservation(0.2, (), (first, second), 1000, 4, 8192, 64)
    assert policy.share(first) == pytest.approx(0.051)
    assert [w.id for w in policy.decide(seen).work] == [0]
    short = attrs.evolve(second, most=380)
    assert [w.id for w in policy.decide(attrs.evolve(seen, waiting=(first, short))).work] == [0, 1]
    # Blocks are reserved too: 125 for the first one.
    assert [w.id for w in policy.decide(attrs.evolve(seen, waiting=(first, short), free_blocks=150)).work] == [0]


def test_who_is_too_long_for_the_bound_runs_alone():
    model = StepModel(0.01, 0.001, 0.0001)
    long = RequestView(0, 0.0, 10, 0, 0, 0, most=5000)
    short = RequestView(1, 0.1, 10, 0, 0, 0, most=20)
    seen = StepObservation(0.2, (), (long, short), 2000, 4, 8192, 64)
    assert [w.id for w in bounded(0.1, model).decide(seen).work] == [0]


def test_without_the_most_told_steps_grow_with_what_runs_and_not_with_what_arrives():
    """Three decodes are admitted for what they take at first, and take more with every token."""
    model = StepModel(0.0, 0.01, 0.001)
    jobs = [scenes.Job(id, 0.0, 2, 40) for id in range(3)] + [scenes.Job(9, 0.5, 400, 1)]
    world = scenes.World(bounded(0.05, model), jobs, model)
    plain = world.observe

    def observe():
        seen = plain()
        untold = [tuple(attrs.evolve(r, most=None) for r in group) for group in (seen.running, seen.waiting)]
        return attrs.evolve(seen, running=untold[0], waiting=untold[1])

    world.observe = observe
    assert world.run(1000)
    assert all({r.id for r in seen.running} <= {w.id for w in decision.work} for seen, decision, _ in world.log)
    longest = max(gap_ for job in jobs for gap_ in gaps(job))
    assert 0.1 < longest <= 3 * model.cost(41, 1) + EPS, "three long sequences, and not the prompt"


def test_it_is_named_with_its_bound():
    assert load_policy("bounded_gap:0.1,learns=no").gap == 0.1


# -- beside the spec ---------------------------------------------------------------------------------------------------


def beside(world, g):
    """Run a world to its end; each decision is a round of the spec, clause by clause, and takes as long there."""
    jobs, model = world.jobs, world.model
    at = Instance(
        gap,
        {Request: len(jobs)},
        {
            "a": lambda: int(model.a),
            "b": lambda: int(model.b),
            "c": lambda: int(model.c),
            "bound": lambda: g,
            "prompt": lambda r: jobs[r].prompt,
            "output": lambda r: jobs[r].output,
            "ddl": lambda r: int(jobs[r].arrival + jobs[r].ttft),
        },
    )
    assert not at.assumed()
    numbers = {job.id: number for number, job in enumerate(jobs)}
    state = at.initial()

    def take(action, *args):
        step, before = Step(action, args), at.freeze(state)
        assert not at.refused(before, step), (step, [clause.id for clause in at.refused(before, step)])
        at.perform(state, step)
        assert not at.violated(at.freeze(state)) and not at.violated_step(before, at.freeze(state))

    def value(name, *args):
        return at.value(at.freeze(state), name, *args)

    assert world.run(5000)
    idle, end = 0.0, 0.0
    for seen, decision, seconds in world.log:
        idle, end = idle + seen.now - end, seen.now + seconds
        for r in (*seen.running, *seen.waiting):
            if not value("here", numbers[r.id]):
                take("arrive", numbers[r.id])
        take("begin")
        running = sorted((numbers[r.id] for r in seen.running), key=lambda number: value("at", number))
        for number in running:
            take("take", number)
        take("turn_to_chunks")
        for work in decision.work:
            number = numbers[work.id]
            if number not in running:
                take("admit", number)
            for _ in range(work.tokens - 1):
                take("extend", number)
        take("complete")
        take("run")
        assert value("now") == end - idle
        for number in range(len(jobs)):
            if value("runs", number) and value("left", number) == 0:
                take("leave", number)
    assert all(value("gone", number) for number in range(len(jobs)))


UNIT = StepModel(2.0, 1.0, 1.0)
WITHOUT_CONTEXT = StepModel(1.0, 2.0, 0.0)


def a_world(g, model, jobs):
    policy = BoundedGap(float(g), Calibrator(model), Objectives(30.0, 4.0), learns=False)
    return scenes.World(policy, jobs, model)


@pytest.mark.parametrize("model", [UNIT, WITHOUT_CONTEXT], ids=["with context", "without"])
def test_every_small_trace_is_one_of_the_spec(model):
    kinds = list(itertools.product((0.0, 9.0), (1, 3), (1, 2), (20.0,)))
    for chosen in itertools.combinations_with_replacement(kinds, 3):
        jobs = [scenes.Job(id, when, p, o, ttft, 4.0) for id, (when, p, o, ttft) in enumerate(chosen)]
        beside(a_world(15, model, jobs), 15)


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 12), st.integers(1, 6), st.integers(1, 60), st.integers(1, 20)),
        min_size=1,
        max_size=6,
    ),
    st.integers(21, 60),
    st.sampled_from([UNIT, WITHOUT_CONTEXT]),
)
@settings(max_examples=40, deadline=None)
def test_random_traces_are_of_the_spec(shapes, g, model):
    jobs = [
        scenes.Job(id, float(when), p, o, float(ttft), float(tpot))
        for id, (when, p, o, ttft, tpot) in enumerate(shapes)
    ]
    beside(a_world(g, model, jobs), g)


# -- who lacks it ------------------------------------------------------------------------------------------------------


def burst_gap(policy, prompts):
    """The longest gap of a decode that is ahead of its envelope when so many prompts of 4,000 tokens arrive."""
    first = scenes.Job(0, 0.0, 10, 300, ttft=10.0, tpot=1.0)
    burst = [scenes.Job(id, 0.5, 4000, 1, ttft=60.0) for id in range(1, prompts + 1)]
    world = scenes.World(policy, [first, *burst], MODEL, blocks=100_000, max_tokens=100_000)
    assert world.run(10_000)
    return max(gaps(first))


def test_under_fairbatching_the_gap_grows_with_what_arrives_and_here_it_does_not():
    published = [burst_gap(FairBatching(learns=False), n) for n in (3, 6, 12)]
    assert published == pytest.approx([1.15, 2.29, 4.57], abs=0.01)
    capped = [burst_gap(FairBatching(learns=False, cap=0.1), n) for n in (3, 6, 12)]
    assert capped[0] > 1.0 and capped[2] > 4.0, "a cap bounds steps, not gaps"
    assert all(burst_gap(bounded(0.2), n) <= 0.2 + EPS for n in (3, 6, 12))


def test_sarathi_never_serves_the_decodes_beyond_its_budget_and_its_steps_grow_with_the_context():
    running = tuple(RequestView(id, 0.0, 101, 100, 1, 26, most=200) for id in range(3))
    for _ in range(3):
        seen = StepObservation(1.0, running, (), 1000, 4, 8192, 64)
        assert [work.id for work in Sarathi(2).decide(seen).work] == [0, 1], "and so in every step"
        running = tuple(
            attrs.evolve(r, known=r.known + 1, computed=r.computed + 1, emitted=r.emitted + 1) if r.id < 2 else r
            for r in running
        )
    # Within its budget a step has no bound in seconds but for the size of the cache: contexts count for nothing.
    steps = []
    for n in (1, 8, 64):
        held = tuple(RequestView(id, 0.0, 50_001, 50_000, 1, 12_501, most=50_100) for id in range(n))
        work = Sarathi(512).decide(StepObservation(1.0, held, (), 100_000, 4, 8192, 64)).work
        steps.append(MODEL.seconds(len(work), sum(50_001 for _ in work)))
    assert steps == pytest.approx([0.0146, 0.0608, 0.430], rel=0.01)


# -- those for whom it is too late -------------------------------------------------------------------------------------


def test_who_would_be_late_in_any_case_comes_after_those_who_would_not():
    model = StepModel(0.01, 0.001, 0.0)
    lost = RequestView(0, 0.0, 600, 0, 0, 0, ttft_slo=0.5, most=610)
    fine = RequestView(1, 0.1, 100, 0, 0, 0, ttft_slo=0.5, most=110)
    seen = StepObservation(0.2, (), (lost, fine), 1000, 4, 8192, 64)
    plain, relegating = bounded(0.1, model), attrs.evolve(bounded(0.1, model), relegate=True)
    assert [(w.id, w.tokens) for w in plain.decide(seen).work] == [(0, 90)]
    assert [(w.id, w.tokens) for w in relegating.decide(seen).work] == [(1, 90)]
    # What is left of a step is theirs; and alone they wait for nobody.
    short = attrs.evolve(fine, known=50, most=60)
    assert [w.id for w in relegating.decide(attrs.evolve(seen, waiting=(lost, short))).work] == [1, 0]
    assert [w.id for w in relegating.decide(attrs.evolve(seen, waiting=(lost,))).work] == [0]
    assert load_policy("bounded_gap:0.1,relegate=yes").relegate


@given(scenes.jobs(8), st.floats(0.0, 0.2), st.sampled_from([120, 10_000]))
@settings(max_examples=40, deadline=None)
def test_the_bound_holds_whoever_comes_last_and_all_finish(jobs, more, blocks):
    g = MODEL.a + max(MODEL.cost(job.prompt + job.output - 1, 1) for job in jobs) + more
    world = scenes.World(attrs.evolve(bounded(g, ttft=0.05), relegate=True), jobs, MODEL, blocks)
    assert world.run(20_000)
    for seen, decision, seconds in world.log:
        assert decision.preempt == () and seconds <= g + EPS
        assert {r.id for r in seen.running} <= {work.id for work in decision.work}
    assert max((gap_ for job in jobs for gap_ in gaps(job)), default=0.0) <= g + EPS


def test_all_that_is_proven_but_the_order_needs_no_order_of_admission():
    pytest.importorskip("z3")
    from mtpo.proofs.induction.inductive import prove
    from mtpo.proofs.verdicts import Status

    admit = gap.actions["admit"]
    anyone = tuple(clause for clause in admit.guard if not clause.id.endswith(".first"))
    assert len(anyone) == len(admit.guard) - 1
    weaker = gap.without(actions={**gap.actions, "admit": attrs.evolve(admit, guard=anyone)})
    verdicts = {v.property: v.status for v in prove(weaker)}
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == {"gap.admitted-in-order"}
