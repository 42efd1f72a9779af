"""The gate below admission policies: S1, S2, S3, S5 and L1 of CONCUR, on random traces under random limits."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.admission.gate import Gate, GateError, Stage
from mtpo.schedulers.types import AdmissionDecision

AGENTS = 6
ops = st.tuples(st.sampled_from(["ready", "ended", "done", "limit"]), st.integers(0, AGENTS - 1), st.integers(1, 6))


@attrs.define
class Trace:
    """A gate driven by random operations, those that it can't take left out; ``transcript``: steps of each agent."""

    gate: Gate
    base: AdmissionDecision
    stages: dict = attrs.field(factory=dict)
    transcript: dict = attrs.field(factory=lambda: dict.fromkeys(range(AGENTS), 0))
    at_pause: dict = attrs.field(factory=dict)

    def apply(self, op, agent, limit):
        """The agents that were submitted, or None where the operation is not allowed."""
        stage = self.stages.get(agent)
        if op == "limit":
            return self.gate.obey(attrs.evolve(self.base, limit=limit))
        if op == "ready" and stage in (None, Stage.TOOL):
            return self.gate.ready(agent)
        if op == "ended" and stage is Stage.GENERATING:
            self.transcript[agent] += 1
            return self.gate.ended(agent)
        if op == "done" and stage not in (None, Stage.DONE):
            return self.gate.done(agent)
        return None

    def look(self):
        known = [a for a in range(AGENTS) if a in self.gate._stage]
        self.stages = {a: self.gate.stage(a) for a in known}


def run(trace, operations):
    """Yields operation, agent, submitted, stages before, and active before, after each that was allowed."""
    for op, agent, limit in operations:
        before, active = dict(trace.stages), trace.gate.active
        submitted = trace.apply(op, agent, limit)
        if submitted is not None:
            trace.look()
            yield op, agent, submitted, before, active


rules = st.sampled_from([AdmissionDecision(2), AdmissionDecision(2, youngest_first=True)])


@given(rules, st.lists(ops, max_size=60))
def test_S1_no_step_that_runs_is_ended(rule, operations):
    trace = Trace(Gate(rule), rule)
    for op, agent, _, before, _ in run(trace, operations):
        for a, stage in before.items():
            if stage is Stage.GENERATING and not (op in {"ended", "done"} and a == agent):
                assert trace.stages[a] is Stage.GENERATING


@given(rules, st.lists(ops, max_size=60))
def test_S2_an_agent_is_admitted_only_while_there_are_fewer_than_the_limit(rule, operations):
    trace = Trace(Gate(rule), rule)
    for _, agent, submitted, before, active in run(trace, operations):
        new = [a for a in submitted if before.get(a) is not Stage.TOOL or a != agent]
        assert all(trace.stages[a] is Stage.GENERATING for a in submitted)
        if new:
            assert trace.gate.active <= trace.gate.limit
        if trace.gate.active > active:
            assert new
        waiting = [a for a, stage in trace.stages.items() if stage in (Stage.PENDING, Stage.PAUSED)]
        assert len(waiting) == trace.gate.waiting
        assert not waiting or trace.gate.active >= trace.gate.limit, "work conservation: room is used"


@given(rules, st.lists(ops, max_size=60))
def test_S3_above_the_limit_after_a_cut_nothing_grows_until_it_is_back(rule, operations):
    trace = Trace(Gate(rule), rule)
    for op, _, _, _, active in run(trace, operations):
        if active > trace.gate.limit:
            assert trace.gate.active <= active
        elif op != "limit":
            assert trace.gate.active <= trace.gate.limit


@given(rules, st.lists(ops, max_size=60))
def test_S5_the_transcript_at_resume_is_that_at_pause(rule, operations):
    trace = Trace(Gate(rule), rule)
    for _, _, submitted, before, _ in run(trace, operations):
        for a, stage in trace.stages.items():
            if stage is Stage.PAUSED and before.get(a) is not Stage.PAUSED:
                trace.at_pause[a] = trace.transcript[a]
        for a in submitted:
            if before.get(a) is Stage.PAUSED:
                assert trace.transcript[a] == trace.at_pause[a]


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=AGENTS),
    st.lists(st.integers(1, 6), min_size=1, max_size=8),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=50)
def test_L1_every_agent_finishes_whatever_the_limits_are(lengths, limits, youngest, per_request):
    """The engine ends one step after the other, fairly; the limit changes all the time."""
    rule = AdmissionDecision(1, per_request=per_request, youngest_first=youngest)
    gate, left = Gate(rule), dict(enumerate(lengths))
    running = [a for agent in left for a in gate.ready(agent)]
    for turn in range(1000):
        if not left:
            break
        running += gate.obey(attrs.evolve(rule, limit=limits[turn % len(limits)]))
        agent = running.pop(0)
        left[agent] -= 1
        if left[agent]:
            running += gate.ended(agent)
            running += gate.ready(agent)
        else:
            del left[agent]
            running += gate.done(agent)
    assert not left and not gate.active and not gate.waiting


def started(rule, n):
    gate = Gate(rule)
    for agent in range(n):
        gate.ready(agent)
    return gate


def test_a_cut_pauses_the_first_at_a_boundary_or_the_youngest():
    lazy = started(AdmissionDecision(None), 4)
    lazy.obey(AdmissionDecision(3))
    lazy.ended(0)
    assert lazy.ready(0) == () and lazy.stage(0) is Stage.PAUSED and lazy.active == 3
    fair = started(AdmissionDecision(None), 4)
    fair.obey(AdmissionDecision(3, youngest_first=True))
    fair.ended(0)
    assert fair.ready(0) == (0,)
    fair.ended(3)
    assert fair.ready(3) == () and fair.stage(3) is Stage.PAUSED


def test_paused_agents_come_before_pending_ones_and_both_in_order():
    gate = started(AdmissionDecision(3), 5)
    gate.obey(AdmissionDecision(1))
    for agent in (1, 0):
        gate.ended(agent)
        assert gate.ready(agent) == ()
    assert gate.obey(AdmissionDecision(4)) == (1, 0, 3)


def test_a_limit_of_requests_counts_no_agent_that_uses_its_tools():
    rule = AdmissionDecision(1, per_request=True)
    gate = started(rule, 3)
    assert gate.ended(0) == (1,) and gate.active == gate.requests == 1
    assert gate.ready(0) == ()
    assert gate.ended(1) == (2,), "in the order in which they came to wait"
    assert gate.ended(2) == (0,)


def test_an_agent_that_gives_up_while_it_waits_leaves_the_line():
    gate = started(AdmissionDecision(1), 3)
    assert gate.done(1) == ()
    assert gate.done(0) == (2,)


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        (["ended"], "agent 7 is unknown: no ended"),
        (["done"], "agent 7 is unknown"),
        (["ready", "ready"], "agent 7 is generating: no ready"),
        (["ready", "done", "done"], "agent 7 is done"),
        (["ready", "done", "ready"], "agent 7 is done: no ready"),
    ],
)
def test_what_is_out_of_order_is_refused(calls, said):
    gate = Gate()
    with pytest.raises(GateError, match=said):
        for call in calls:
            getattr(gate, call)(7)


def test_a_limit_of_agents_can_not_become_one_of_requests_at_work():
    gate = started(AdmissionDecision(1), 1)
    with pytest.raises(GateError, match="can't change"):
        gate.obey(AdmissionDecision(1, per_request=True))


@pytest.mark.parametrize("per_request", [False, True])
def test_an_agent_that_waits_can_be_let_past_the_limit(per_request):
    gate = Gate(AdmissionDecision(2, per_request=per_request))
    assert gate.ready("a") == ("a",) and gate.ready("b") == ("b",)
    assert gate.ended("a") == () and gate.ready("c") == (("c",) if per_request else ())
    gate.obey(AdmissionDecision(1, per_request=per_request, unlocks=True))
    assert gate.unlocks and gate.ready("a") == () and "a" in gate.line
    assert gate.pass_by("a") == ("a",) and gate.stage("a") is Stage.GENERATING and "a" not in gate.line
    assert gate.active > 1, "beyond the limit until others leave"
    with pytest.raises(GateError, match="'a' is generating: no pass_by"):
        gate.pass_by("a")
