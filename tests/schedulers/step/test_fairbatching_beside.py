"""FairBatching's policy, item by item beside ``spec/fairbatching``: the same rounds, taking as long as predicted."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mtpo.schedulers.step.calibrator import Calibrator
from mtpo.schedulers.step.deadlines import Objectives
from mtpo.schedulers.step.fairbatching import FairBatching
from mtpo.schedulers.types import StepDecision, StepModel
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.fairbatching import Request, fair
from tests.schedulers.step import scenes

UNIT = StepModel(2.0, 1.0, 1.0)
WITHOUT_CONTEXT = StepModel(1.0, 2.0, 0.0)


def a_world(model, jobs, idle, kind=FairBatching):
    policy = kind(Calibrator(model), Objectives(30.0, 4.0), float(idle), learns=False)
    # Blocks of a token: where nothing fits the policy computes a block of a prompt, the spec a token of it.
    return scenes.World(policy, jobs, model, size=1)


class Beside:
    """One run: every decision is a round of the spec, clause by clause."""

    def __init__(self, world, idle):
        jobs, model = world.jobs, world.model
        self.world, self.numbers = world, {job.id: number for number, job in enumerate(jobs)}
        self.at = Instance(
            fair,
            {Request: len(jobs)},
            {
                "a": lambda: int(model.a),
                "b": lambda: int(model.b),
                "c": lambda: int(model.c),
                "idle": lambda: idle,
                "prompt": lambda r: jobs[r].prompt,
                "output": lambda r: jobs[r].output,
                "tpot": lambda r: int(jobs[r].tpot),
                "ddl": lambda r: int(jobs[r].arrival + jobs[r].ttft),
            },
        )
        assert not self.at.assumed()
        self.state, self.taken = self.at.initial(), set()

    def value(self, name, *args):
        return self.at.value(self.at.freeze(self.state), name, *args)

    def take(self, action, *args):
        step, before = Step(action, args), self.at.freeze(self.state)
        assert not self.at.refused(before, step), (step, [clause.id for clause in self.at.refused(before, step)])
        self.at.perform(self.state, step)
        after = self.at.freeze(self.state)
        assert not self.at.violated(after) and not self.at.violated_step(before, after)
        self.taken.add(action)

    def by_slack(self, group):
        """Of equal deadlines, in the policy's order: any is allowed."""
        jobs = self.world.jobs
        return sorted(group, key=lambda r: (self.value("due", r), jobs[r].arrival, jobs[r].id))

    def round(self, seen, decision):
        assert not decision.preempt and self.value("now") == seen.now
        work = {self.numbers[one.id]: one.tokens for one in decision.work}
        here = [self.numbers[r.id] for r in (*seen.running, *seen.waiting)]
        for r in here:
            if not self.value("here", r):
                self.take("arrive", r)
        decodes = [r for r in here if self.value("rem", r) == 0]
        if decodes:
            strictest = min(decodes, key=lambda r: self.world.jobs[r].tpot)
            self.take("begin", self.by_slack(decodes)[0], strictest)
        else:
            self.take("begin_idle", here[0])
        for group, name in ((True, "urgent"), (False, "other")):
            for r in self.by_slack(r for r in decodes if self.value("urgent", r) == group):
                fits = self.value("est") + self.value("cost", r) <= self.value("budget")
                self.take(f"take_{name}" if fits else f"pass_{name}", r)
            if group:
                self.take("turn_to_prefills")
                self.prefills([r for r in here if r not in decodes], work)
        batch = {r for r in here if self.value("taken", r)}
        if batch:
            self.take("complete")
        else:
            self.take("progress", self.by_slack(decodes or here)[0])
            batch = {r for r in here if self.value("taken", r)}
        assert batch == work.keys(), "another batch"
        self.take("run")

    def prefills(self, group, work):
        for r in self.by_slack(group):
            if self.value("est") + self.value("cost", r) > self.value("budget"):
                self.take("stop_at", r)
                return
            assert r in work, "another batch"
            self.take("take_prefill", r)
            for _ in range(work[r] - 1):
                self.take("extend", r)
            if self.value("rem", r):
                break
        # What is left of the group comes after a prompt that is not complete: its next token does not fit either.
        left = [r for r in self.by_slack(group) if not self.value("taken", r)]
        self.take("stop_at", left[0]) if left else self.take("turn_to_others")

    def run(self):
        """Returns the actions that were taken; None where the worker had nothing to do for a while, which the spec's
        clock leaves out."""
        assert self.world.run(5000)
        end = 0.0
        for seen, _, seconds in self.world.log:
            if seen.now != end:
                return None
            end += seconds
        for seen, decision, seconds in self.world.log:
            self.round(seen, decision)
            assert self.value("now") == seen.now + seconds
        assert all(self.value("gone", number) for number in self.numbers.values())
        return self.taken


def small_traces():
    """Of three requests. The first one keeps the worker busy until the others are there."""
    kinds = list(itertools.product((0.0, 3.0), (1, 4), (2,), ((6.0, 3.0), (40.0, 30.0))))
    for one, two in itertools.combinations_with_replacement(kinds, 2):
        chosen = ((0.0, 2, 3, (9.0, 5.0)), one, two)
        yield [scenes.Job(id, when, p, o, *slo) for id, (when, p, o, slo) in enumerate(chosen)]


@pytest.mark.parametrize("model", [UNIT, WITHOUT_CONTEXT], ids=["with context", "without"])
def test_every_small_trace_is_one_of_the_spec(model):
    taken = set()
    for jobs in small_traces():
        found = Beside(a_world(model, jobs, 6), 6).run()
        assert found is not None
        taken |= found
    assert taken >= set(fair.actions) - {"pass_urgent", "progress"}


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(1, 12), st.integers(1, 5), st.integers(1, 60), st.integers(1, 20)),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 30),
    st.sampled_from([UNIT, WITHOUT_CONTEXT]),
)
@settings(max_examples=40, deadline=None)
def test_random_traces_are_of_the_spec(shapes, idle, model):
    jobs = [
        scenes.Job(id, float(when), p, o, float(ttft), float(tpot))
        for id, (when, p, o, ttft, tpot) in enumerate([(0, *shapes[0][1:]), *shapes[1:]])
    ]
    assume(Beside(a_world(model, jobs, idle), idle).run() is not None)


def test_where_nothing_fits_one_item_is_computed():
    """An objective that is shorter than any step."""
    jobs = [scenes.Job(0, 0.0, 3, 3, 1.0, 1.0), scenes.Job(1, 0.0, 2, 2, 1.0, 1.0)]
    assert Beside(a_world(UNIT, jobs, 1), 1).run() >= {"progress", "pass_urgent"}


# -- planted bugs --------------------------------------------------------------------------------------------------


class Generous(FairBatching):
    """The budget is a second too large."""

    def _budget(self, observation, tightest, decodes):
        return super()._budget(observation, tightest, decodes) + 1.0


class Stingy(FairBatching):
    """The budget is a second too small."""

    def _budget(self, observation, tightest, decodes):
        return super()._budget(observation, tightest, decodes) - 1.0


class TightestOnly(FairBatching):
    """The budget is the strictest time per token, however much slack there is."""

    def _budget(self, observation, tightest, decodes):
        return self.idle if tightest is None else tightest


class SlackOnly(FairBatching):
    """The budget is the least slack, also where that is less than the strictest time per token."""

    def _budget(self, observation, tightest, decodes):
        return self.idle if tightest is None else decodes[0][0] - observation.now


class IdleAlways(FairBatching):
    """The budget is what it is where no decode runs."""

    def _budget(self, observation, tightest, decodes):
        return self.idle


class NoneUrgent(FairBatching):
    """Prefills go before all decodes."""

    def _groups(self, observation):
        budget, urgent, prefills, others = super()._groups(observation)
        return budget, [], prefills, [*urgent, *others]


class AllUrgent(FairBatching):
    """All decodes go before prefills."""

    def _groups(self, observation):
        budget, urgent, prefills, others = super()._groups(observation)
        return budget, [*urgent, *others], prefills, []


class RunningFirst(FairBatching):
    """Prompts that were begun go on before others, however little slack these have."""

    def _groups(self, observation):
        budget, urgent, prefills, others = super()._groups(observation)
        begun = {r.id for r in observation.running}
        return budget, urgent, iter(sorted(prefills, key=lambda r: r.id not in begun)), others


class MostSlackFirst(FairBatching):
    """Prompts with the most slack first."""

    def _groups(self, observation):
        budget, urgent, prefills, others = super()._groups(observation)
        return budget, urgent, iter(list(prefills)[::-1]), others


class DecodesBackwards(FairBatching):
    """Decodes with the most slack first."""

    def _groups(self, observation):
        budget, urgent, prefills, others = super()._groups(observation)
        return budget, urgent[::-1], prefills, others[::-1]


class OnePrompt(FairBatching):
    """One prompt a step, also where there is time for more."""

    def _groups(self, observation):
        budget, urgent, prefills, others = super()._groups(observation)
        return budget, urgent, itertools.islice(prefills, 1), others


class NoProgress(FairBatching):
    """Where nothing fits nothing is computed."""

    def _progress(self, observation, first):
        return StepDecision(())


BUGS = [
    Generous,
    Stingy,
    TightestOnly,
    SlackOnly,
    IdleAlways,
    NoneUrgent,
    AllUrgent,
    RunningFirst,
    MostSlackFirst,
    DecodesBackwards,
    OnePrompt,
    NoProgress,
]


def special_runs(kind):
    """A prompt that is begun when a more urgent one comes, and one of which nothing fits."""
    came = [(0.0, 12, (90.0, 30.0)), (3.0, 2, (9.0, 5.0))]
    overtakes = [scenes.Job(id, when, prompt, 2, *slo) for id, (when, prompt, slo) in enumerate(came)]
    yield Beside(a_world(UNIT, overtakes, 6, kind), 6)
    nothing_fits = [scenes.Job(0, 0.0, 3, 3, 1.0, 1.0), scenes.Job(1, 0.0, 2, 2, 1.0, 1.0)]
    yield Beside(a_world(UNIT, nothing_fits, 1, kind), 1)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug):
    with pytest.raises(AssertionError, match=r"fair\.|another batch|nothing scheduled though there is work"):
        for beside in special_runs(bug):
            beside.run()
        for jobs in small_traces():
            Beside(a_world(UNIT, jobs, 6, bug), 6).run()


def test_without_a_bug_the_special_runs_are_of_the_spec():
    assert all(beside.run() for beside in special_runs(FairBatching))
