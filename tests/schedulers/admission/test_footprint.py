"""The footprint controller: what it admits, its bounds, and that it is a fixed point of its own measurement."""

from __future__ import annotations

import copy
import itertools
import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.schedulers.admission.concur import Concur
from mtpo.schedulers.admission.footprint import Footprint
from mtpo.schedulers.admission.gate import Gate, Stage
from mtpo.schedulers.load import load_policy
from mtpo.schedulers.types import AdmissionObservation
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.footprint import Agent, Seat, footprint


def seen(window: float | None, requests: int, usage: float, agents: int = 100) -> AdmissionObservation:
    return AdmissionObservation(0.0, requests, 5, usage, window=window, requests=requests, agents=agents)


def test_it_admits_as_many_as_fit_by_what_one_takes_now() -> None:
    policy = Footprint(target=0.6)
    assert policy.decide(seen(None, 0, 0.0)).limit == 2
    # Twenty requests take a fifth of the cache: sixty fit into three fifths, and the window is on its way there.
    assert policy.decide(seen(20.0, 20, 0.2)).limit == 25
    assert policy.decide(seen(59.0, 20, 0.2)).limit == 60
    # Contexts have grown: fewer fit, before the cache is full and whatever the hit rate is.
    grown = policy.decide(seen(60.0, 20, 0.24))
    assert (grown.limit, grown.youngest_first) == (50, True)
    # Nothing to measure: as before.
    assert policy.decide(seen(60.0, 0, 0.0)).limit == 60
    assert load_policy("footprint:0.7,period=2", "admission") == Footprint(0.7, 2.0)
    by_request = load_policy("footprint:per_request=yes", "admission").decide(seen(20.0, 20, 0.2))
    assert (by_request.limit, by_request.per_request, by_request.youngest_first) == (25, True, False)


@given(st.floats(1.0, 300.0), st.integers(0, 300), st.floats(0.0, 1.0), st.integers(1, 300))
def test_its_window_stays_within_its_bounds(window: float, requests: int, usage: float, agents: int) -> None:
    policy = Footprint()
    decision = policy.decide(seen(window, requests, usage, agents))
    assert decision.window is not None and decision.limit is not None
    assert policy.least <= decision.limit <= decision.window <= max(policy.least, agents)
    if policy.least <= window <= agents:
        lowest = max(policy.least, min(window / policy.slack, window - 1))
        assert lowest * 0.999 <= decision.window <= max(window * policy.slack, window + 1)


@given(st.integers(5, 100), st.floats(0.001, 0.1))
def test_it_settles_where_the_agents_take_the_target(agents: int, share: float) -> None:
    policy, window = Footprint(), 2.0
    for _ in range(60):
        working = min(agents, int(window))
        found = policy.decide(seen(window, working, min(1.0, working * share), agents)).window
        assert found is not None
        window = found
    assert window == pytest.approx(min(policy.target / share, agents))


# -- beside the spec ---------------------------------------------------------------------------------------------------


class Beside:
    """The policy and the gate, step for step beside the spec; seats are places by age, the first ones are open."""

    def __init__(self, agents: int, policy: Footprint) -> None:
        self.policy, self.agents = policy, agents
        self.at = Instance(
            footprint,
            {Agent: agents, Seat: agents},
            {"least": lambda s: s < policy.least, "most": lambda s: True, "no_seat": lambda: 0},
        )
        self.state = self.at.initial()
        first = policy.decide(self.seen(None, Gate(), 0.0))
        self.window, self.gate = first.window, Gate[int](first)

    def seen(self, window: float | None, gate: Gate[int], usage: float) -> AdmissionObservation:
        return AdmissionObservation(
            0.0, gate.active, gate.waiting, usage, window=window, requests=gate.requests, agents=self.agents
        )

    def take(self, action: str, *args: object) -> None:
        step, before = Step(action, args), self.at.freeze(self.state)  # type: ignore[arg-type]
        assert not self.at.refused(before, step), (step, [clause.id for clause in self.at.refused(before, step)])
        self.at.perform(self.state, step)
        after = self.at.freeze(self.state)
        assert not self.at.violated(after) and not self.at.violated_step(before, after)

    def places(self) -> tuple[int, ...]:
        """The seat of each agent that stays: its place by age."""
        order = list(self.gate._admitted)
        return tuple(order.index(a) if a in order else 0 for a in range(self.agents))

    def stage(self, agent: int) -> Stage | None:
        try:
            return self.gate.stage(agent)
        except KeyError:
            return None

    def do(self, op: str, agent: int, usage: float) -> bool:
        """One operation; whether it was allowed."""
        gate, stage = self.gate, self.stage(agent)
        admitted = len(gate._admitted)
        if op == "ready" and stage is None:
            submitted = gate.ready(agent)
            self.take("arrive", agent)
        elif op == "ready" and stage is Stage.TOOL:
            submitted = gate.ready(agent)
            if submitted == (agent,):
                self.take("go_on", agent)
                return True
            assert submitted == ()
            self.take("pause", agent, self.places())
        elif op == "ended" and stage is Stage.GENERATING:
            submitted = gate.ended(agent)
            self.take("end", agent)
        elif op == "done" and stage in (Stage.GENERATING, Stage.TOOL):
            submitted = gate.done(agent)
            order = [a for a in gate._admitted if a not in submitted]
            self.take("finish", agent, tuple(order.index(a) if a in order else 0 for a in range(self.agents)))
            admitted = len(order)
        elif op == "tick" and gate.requests:
            return self.tick(usage)
        else:
            return False
        self.admits(submitted, admitted)
        return True

    def tick(self, usage: float) -> bool:
        gate, policy = self.gate, self.policy
        seen = self.seen(self.window, gate, usage)
        decision = policy.decide(seen)
        assert decision.limit is not None and gate.limit is not None
        old, new, fits = gate.limit, decision.limit, min(self.agents, math.floor(policy.fits(seen)))
        self.window = decision.window
        places, admitted = self.places(), len(gate._admitted)
        self.take("measure", tuple(int(s < fits) for s in range(self.agents)))
        if new > old:
            self.take("grow", tuple(int(old <= s < new) for s in range(self.agents)), places)
        elif new < old:
            self.take("cut", tuple(int(new <= s < old) for s in range(self.agents)), places)
        else:
            self.take("stay")
        self.admits(gate.obey(decision), admitted)
        return True

    def admits(self, submitted: tuple[int, ...], admitted: int) -> None:
        for at, agent in enumerate(submitted):
            self.take("admit", agent, admitted + at)


ops = st.tuples(st.sampled_from(["ready", "ended", "done", "tick", "tick"]), st.integers(0, 4), st.floats(0.01, 1.0))


@given(st.lists(ops, max_size=80), st.integers(1, 3), st.sampled_from([0.3, 0.6, 1.0]))
@settings(max_examples=60, deadline=None)
def test_random_runs_are_of_the_spec(operations: list[tuple[str, int, float]], least: int, target: float) -> None:
    beside = Beside(5, Footprint(target, least=least))
    for op, agent, usage in operations:
        beside.do(op, agent, usage)


def test_every_small_run_is_of_the_spec() -> None:
    line = [Beside(3, Footprint(0.6, least=1))]
    seen, limits = {(tuple(line[0].state), line[0].window)}, set()
    for now in line:
        for op, agent, usage in itertools.product(("ready", "ended", "done", "tick"), range(3), (0.2, 0.5, 0.9)):
            if (op == "tick" and agent) or (op != "tick" and usage != 0.2):
                continue
            after = copy.copy(now)
            after.state, after.gate = list(now.state), copy.deepcopy(now.gate)
            if after.do(op, agent, usage) and (key := (tuple(after.state), after.window)) not in seen:
                seen.add(key)
                limits.add(after.gate.limit)
                line.append(after)
        if len(seen) > 800:
            break
    assert limits == {1, 2, 3}


# -- what the published control lacks ----------------------------------------------------------------------------------


def test_a_large_agent_stops_concur_for_good_and_not_this_one() -> None:
    """Every agent takes a quarter of the cache: CONCUR never grows from one, whatever happens; two and more fit."""
    windows = {}
    for name, policy in (("concur", Concur(start=1.0)), ("footprint", Footprint(0.8, least=1))):
        window = policy.decide(seen(None, 0, 0.0)).window
        for _ in range(200):
            active = max(1, math.floor(window or 0))
            observed = attrs.evolve(seen(window, active, min(1.0, 0.25 * active)), hit_rate=0.95)
            window = policy.decide(observed).window
        windows[name] = math.floor(window or 0)
    assert windows == {"concur": 1, "footprint": 3}


def test_a_growing_batch_is_cut_before_its_prefixes_are_lost_and_under_concur_only_after() -> None:
    """Contexts grow by a hundredth of the cache a tick; what is beyond the cache is evicted, and then prefixes miss."""
    worst = {}
    for name, policy in (("concur", Concur(start=8.0)), ("footprint", Footprint(0.8, least=1))):
        window: float | None = 8.0
        worst[name] = 0.0
        for tick in range(60):
            active = max(1, math.floor(window or 0))
            wanted = active * (0.04 + 0.01 * tick)
            hits = 0.95 if wanted <= 1 else 0.1
            observed = attrs.evolve(seen(window, active, min(1.0, wanted)), hit_rate=hits)
            window = policy.decide(observed).window
            worst[name] = max(worst[name], wanted)
    assert worst["concur"] > 1.0 and worst["footprint"] <= 1.0
