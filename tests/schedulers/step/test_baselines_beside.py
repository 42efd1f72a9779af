"""Sarathi, vLLM V1 and prefill first, token by token beside ``spec/batching``: every decision is a step of it."""

from __future__ import annotations

import itertools
import re

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.step.batch import Batch
from mtpo.schedulers.step.prefill_first import PrefillFirst
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.step.vllm_v1 import VllmV1
from mtpo.schedulers.types import StepDecision, StepModel, Work
from mtpo.spec.batching import Position, Request, Slot, batching
from mtpo.spec.concrete import Instance, Step
from tests.schedulers.step import scenes

POLICIES = {"sarathi": Sarathi, "prefill_first": PrefillFirst, "vllm_v1": VllmV1}


class Beside:
    """One run. What the cache has room for is counted here, in blocks of a token; all else is for the spec to say:
    each action is held against its guards, and what the guards keep is proven of the spec."""

    def __init__(self, policy, jobs, budget, blocks):
        self.jobs = sorted(jobs, key=lambda job: job.arrival)
        # Steps of a second, and a cap on tokens as the budget: that of prefill first is for prompts only.
        self.world = scenes.World(policy, jobs, StepModel(1.0, 0.0, 0.0), blocks, budget, size=1)
        self.number = {job.id: number for number, job in enumerate(self.jobs)}
        self.v0, self.sarathi = isinstance(policy, PrefillFirst), isinstance(policy, Sarathi)
        self.budget, self.context = budget, max(job.prompt + job.output for job in jobs) - 1
        self.at = Instance(
            batching,
            {Request: len(jobs), Position: self.context, Slot: budget + 1},
            {
                "decodes_first": lambda: self.sarathi,
                "prefill_first": lambda: self.v0,
                "budget": lambda: budget - 1,
                "last": lambda r: self.jobs[r].prompt - 1,
            },
        )
        assert not self.at.assumed()
        self.state, self.taken = self.at.initial(), set()
        self.frozen, self.free = self.at.freeze(self.state), blocks

    def value(self, name, *args):
        return self.at.value(self.frozen, name, *args)

    def take(self, action, *args):
        step, before = Step(action, args), self.frozen
        refused = [clause.id for clause in self.at.refused(before, step)]
        assert not refused, f"{action}{args}: {', '.join(refused)}"
        self.at.perform(self.state, step)
        self.frozen = self.at.freeze(self.state)
        self.taken.add(action)

    def all(self, name):
        """The requests of which that is true."""
        return [r for r in range(len(self.jobs)) if self.value(name, r)]

    def lacking(self, r):
        """Positions of a request that are not computed."""
        return [p for p in range(self.context) if self.value("known", r, p) and not self.value("computed", r, p)]

    def slots(self):
        return [s for s in range(self.budget + 1) if not self.value("filled", s)]

    def waiting(self):
        return [r for r in self.all("here") if not self.value("runs", r)]

    def turn(self):
        """The first that runs and lacks a token, else the first that waits."""
        return next(itertools.chain((r for r in self.all("runs") if self.lacking(r)), self.waiting()), None)

    def squeeze(self):
        """Who finds no room in the cache."""
        if self.sarathi or self.v0:
            wanted = dict.fromkeys(self.all("runs"), 1)
            wanted.update((r, len(self.lacking(r))) for r in self.waiting()[:1])
        else:
            r = self.turn()
            wanted = {} if r is None else {r: min(len(self.lacking(r)), len(self.slots()) - 1)}
        for r, tokens in wanted.items():
            asked = self.sarathi or not self.value("taken", r)
            if asked and self.free < tokens and not self.value("tight", r):
                self.take("squeeze", r)

    def preempt(self, names, last):
        """Those who give way here: while one whose turn it is has no room; at the end all that are left."""
        while names:
            self.squeeze()
            stuck = self.turn()
            if not last and not (self.value("runs", stuck) and self.value("tight", stuck)):
                return
            one = names.pop(0)
            blocks = sum(self.value("computed", one, p) for p in range(self.context))
            self.take("preempt", one, stuck)
            self.free += blocks

    def compute(self, r, tokens):
        prompts = any(not self.value("decodes", x) for x in self.all("taken"))
        if self.v0 and prompts and r in self.waiting() and tokens == len(self.lacking(r)):
            slots = self.slots()
            assert tokens < len(slots), "over the budget"
            self.take("admit_whole", r, (*slots[:tokens], *[0] * (self.context - tokens)))
            self.free -= tokens
            return
        for _ in range(tokens):
            action = "decode" if self.value("decodes", r) else "prefill" if self.value("runs", r) else "admit"
            self.take(action, r, (self.lacking(r) or [0])[0], self.slots()[0])
            self.free -= 1
            self.squeeze()

    def round(self, seen, decision):
        here = [self.number[r.id] for r in (*seen.running, *seen.waiting)]
        for r in set(self.all("here")) - set(here):
            self.take("leave", r)
        for r in sorted(set(here) - set(self.all("here"))):
            self.take("arrive", r)
        assert [self.number[r.id] for r in seen.running] == self.all("runs")
        assert [self.number[r.id] for r in seen.waiting] == self.waiting()
        for view in (*seen.running, *seen.waiting):
            assert view.remaining == len(self.lacking(self.number[view.id]))
        self.take("begin")
        self.free = seen.free_blocks
        preempted = [self.number[id] for id in decision.preempt]
        for work in decision.work:
            self.preempt(preempted, last=False)
            self.squeeze()
            self.compute(self.number[work.id], work.tokens)
        self.preempt(preempted, last=True)
        self.squeeze()
        self.take("complete")
        self.take("run")

    def run(self):
        """The actions that were taken."""
        assert self.world.run(2000)
        for seen, decision, _ in self.world.log:
            self.round(seen, decision)
        for r in self.all("here"):
            self.take("leave", r)
        assert len(self.all("gone")) == len(self.jobs)
        return self.taken


def jobs_of(shapes):
    return [scenes.Job(id, float(when), prompt, output) for id, (when, prompt, output) in enumerate(shapes)]


KINDS = ((0, 1, 4), (0, 3, 2), (1, 2, 3), (2, 3, 1))
"""When it arrives, the tokens of its prompt, of its output; the longest is of four computed tokens."""

SIZES = ((1, 6), (2, 4), (3, 20), (4, 5))
"""Tokens of a step, blocks of the cache."""

SMALL = [(shapes, *sizes) for shapes in itertools.combinations_with_replacement(KINDS, 3) for sizes in SIZES]


@pytest.mark.parametrize("name", POLICIES)
def test_every_small_trace_is_one_of_the_spec(name):
    taken = set()
    for shapes, budget, blocks in SMALL:
        taken |= Beside(POLICIES[name](), jobs_of(shapes), budget, blocks).run()
    assert taken == set(batching.actions) - (set() if name == "prefill_first" else {"admit_whole"})


@given(
    st.sampled_from(sorted(POLICIES)),
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6), st.integers(1, 5)), min_size=1, max_size=5),
    st.integers(1, 8),
    st.integers(0, 12),
)
@settings(max_examples=40, deadline=None)
def test_random_traces_are_of_the_spec(name, shapes, budget, more):
    blocks = max(prompt + output for _, prompt, output in shapes) - 1 + more
    Beside(POLICIES[name](), jobs_of(shapes), budget, blocks).run()


# -- what does not hold ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [5, 50])
def test_under_prefill_first_arrivals_stall_a_decode_as_long_as_they_come(steps):
    arrivals = [(0, 1, 3), *((when, 2, 1) for when in range(1, steps + 1))]
    gaps = {}
    for name, policy in POLICIES.items():
        world = scenes.World(policy(), jobs_of(arrivals), StepModel(1.0, 0.0, 0.0), 10_000, 4, size=1)
        first = world.coming[0]
        assert world.run(10 * steps)
        gaps[name] = first.times[1] - first.times[0]
    assert gaps == {"sarathi": 1, "vllm_v1": 1, "prefill_first": steps + 1}


@pytest.mark.parametrize("steps", [5, 50])
def test_a_budget_below_the_number_of_decodes_starves_the_last(steps):
    """Finding F20: of three decodes and a budget of two, until another is done."""
    jobs = jobs_of([(0, 1, steps), (0, 1, steps), (0, 1, steps)])
    world = scenes.World(Sarathi(), jobs, StepModel(1.0, 0.0, 0.0), 10_000, 2, size=1)
    world.run(steps)
    assert [len(job.times) for job in jobs] == [steps, steps, 0]


# -- planted bugs ------------------------------------------------------------------------------------------------------


class PromptsBeforeDecodes(Sarathi):
    """Stalls decodes behind chunks, as if it were not stall-free."""

    def decide(self, seen):
        batch = Batch(seen, self.budget)
        self._prefill(batch, (r for r in seen.running if not r.decoding), seen.waiting)
        for request in seen.running:
            if request.decoding:
                batch.take(request, 1)
        return batch.decision() if batch.work else super().decide(seen)


class HalfTheBudget(Sarathi):
    """Cuts chunks to half of what is left."""

    def decide(self, seen):
        decision = super().decide(seen)
        return attrs.evolve(decision, work=tuple(Work(w.id, max(1, w.tokens // 2)) for w in decision.work))


class LastComeFirstServed(Sarathi):
    """Admits from the wrong end of the line."""

    def decide(self, seen):
        return super().decide(attrs.evolve(seen, waiting=seen.waiting[::-1]))


class AdmitsByChunk(Sarathi):
    """Admits a request of which only a chunk has room in the cache."""

    def _prefill(self, batch, begun, waiting):
        for request in (*begun, *waiting):
            batch.take(request, request.remaining)


class NewBeforeBegun(Sarathi):
    """Begins new prompts before those that have begun."""

    def _prefill(self, batch, begun, waiting):
        super()._prefill(batch, (), waiting)
        super()._prefill(batch, begun, ())


class PreemptsTheOldest(VllmV1):
    """Takes from the wrong end of the list."""

    def decide(self, seen):
        decision = super().decide(seen)
        if not decision.preempt or len(seen.running) < 2:
            return decision
        oldest, *others = seen.running
        fewer = attrs.evolve(seen, running=tuple(others), waiting=(), free_blocks=seen.free_blocks + oldest.blocks)
        return StepDecision(super().decide(fewer).work, (oldest.id,))


class AdmitsAfterAll(VllmV1):
    """Admits in a step that preempted somebody."""

    def decide(self, seen):
        decision = super().decide(seen)
        if not decision.preempt:
            return decision
        views = {r.id: r for r in seen.running}
        batch = Batch(seen, self.budget)
        for id in decision.preempt:
            batch.preempt(views[id])
        for work in decision.work:
            batch.take(views[work.id], work.tokens)
        self._admit(batch, len(seen.running), seen.waiting)
        return batch.decision()


class WaitingFirst(VllmV1):
    """Begins those that wait before those that run go on."""

    def decide(self, seen):
        batch = Batch(seen, self.budget)
        self._admit(batch, len(seen.running), seen.waiting)
        for request in seen.running:
            batch.take(request, request.remaining)
        return batch.decision() if batch.work else super().decide(seen)


class GivesWayTooSoon(VllmV1):
    """Preempts the newest although there is room for it still."""

    def decide(self, seen):
        decision = super().decide(seen)
        if decision.preempt or len(seen.running) < 2 or seen.free_blocks > len(seen.running):
            return decision
        newest = seen.running[-1].id
        return StepDecision(tuple(w for w in decision.work if w.id in {r.id for r in seen.running[:-1]}), (newest,))


class Mixes(PrefillFirst):
    """Adds decodes to a step of prompts, where there is room."""

    def decide(self, seen):
        decision = super().decide(seen)
        views = {r.id: r for r in (*seen.running, *seen.waiting)}
        if any(views[w.id].decoding for w in decision.work) or decision.preempt:
            return decision
        batch = Batch(seen, self.budget)
        for work in decision.work:
            batch.take(views[work.id], work.tokens)
        for request in seen.running:
            if request.decoding:
                batch.take(request, 1)
        return batch.decision()


class DecodesFirst(PrefillFirst):
    """Begins prompts only when nobody decodes."""

    def decide(self, seen):
        decodes = any(r.decoding for r in seen.running)
        return super().decide(attrs.evolve(seen, waiting=()) if decodes else seen)


class CutsPrompts(PrefillFirst):
    """Fills the rest of the step with a part of a prompt."""

    def _prefill(self, batch, begun, running):
        for request in (*begun, *batch.seen.waiting):
            if batch.fits(request) < request.remaining:
                break
            batch.take(request, request.remaining)
        return batch.decision()


class PassesOver(PrefillFirst):
    """Takes a shorter prompt where the next one does not fit."""

    def decide(self, seen):
        first, *others = seen.waiting or (None,)
        if first is None or first.remaining <= seen.free_blocks:
            return super().decide(seen)
        return super().decide(attrs.evolve(seen, waiting=tuple(others)))


BUGS = {
    PromptsBeforeDecodes: "decodes-before",
    HalfTheBudget: "complete.no-more",
    LastComeFirstServed: "admit.first",
    AdmitsByChunk: "admit.room",
    NewBeforeBegun: "admit.running-before",
    PreemptsTheOldest: "preempt.newest",
    AdmitsAfterAll: "admit.none-preempted",
    WaitingFirst: "admit.running-before",
    GivesWayTooSoon: "preempt.no-room",
    Mixes: "decode.no-prompt",
    DecodesFirst: "decode.no-prompt",
    CutsPrompts: "admit.alone",
    PassesOver: "admit.first",
}


@pytest.mark.parametrize(("bug", "clause"), BUGS.items(), ids=[bug.__name__ for bug in BUGS])
def test_a_planted_bug_is_found(bug, clause):
    found = set()
    for shapes, budget, blocks in SMALL:
        try:
            Beside(bug(), jobs_of(shapes), budget, blocks).run()
        except AssertionError as error:
            found |= set(re.findall(r"batching\.([\w.-]+)", str(error)))
            if any(id.endswith(clause) for id in found):
                return
    pytest.fail(f"found by {sorted(found)}")
