"""Sarathi, vLLM V1 and prefill first, token by token beside ``spec/batching.py``: each decision is a step of the spec."""

from __future__ import annotations

import importlib.util
import itertools
import re
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.step.prefill_first import PrefillFirst
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.step.vllm_v1 import VllmV1
from mtpo.schedulers.types import StepDecision, StepModel, Work
from mtpo.spec.batching import Position, Request, Slot, batching
from mtpo.spec.concrete import Instance, Step

_described = importlib.util.spec_from_file_location("scenes", Path(__file__).with_name("scenes.py"))
scenes = importlib.util.module_from_spec(_described)
_described.loader.exec_module(scenes)

POLICIES = {"sarathi": Sarathi, "prefill_first": PrefillFirst, "vllm_v1": VllmV1}


class Beside:
    """One run. What the cache has room for is counted here, in blocks of a token; all else is for the spec to say."""

    def __init__(self, policy, jobs, budget, blocks, invariants=False):
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
        self.state, self.taken, self.invariants = self.at.initial(), set(), invariants
        self.free = blocks

    def value(self, name, *args):
        return self.at.value(self.at.freeze(self.state), name, *args)

    def take(self, action, *args):
        step, before = Step(action, args), self.at.freeze(self.state)
        refused = [clause.id for clause in self.at.refused(before, step)]
        assert not refused, f"{step}: {', '.join(refused)}"
        self.at.perform(self.state, step)
        self.taken.add(action)
        if self.invariants:
            after = self.at.freeze(self.state)
            assert not self.at.violated(after) and not self.at.violated_step(before, after)

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
            wanted = {r: 1 for r in self.all("runs")}
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


KINDS = ((0, 1, 4), (0, 3, 2), (1, 2, 3), (2, 3, 1), (2, 1, 2))
"""When it arrives, the tokens of its prompt, of its output; the longest is of four computed tokens."""

SMALL = [
    (shapes, budget, blocks)
    for shapes in itertools.combinations_with_replacement(KINDS, 3)
    for budget in (1, 2, 4)
    for blocks in (4, 6, 20)
]


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
