"""CONCUR's control law: S4 on random observations; and what does not hold, N1 and the late cut, shown."""

from __future__ import annotations

import math
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo.schedulers.admission.caps import AgentCap, NoLimit, RequestCap
from mtpo.schedulers.admission.concur import Concur
from mtpo.schedulers.types import AdmissionDecision, AdmissionObservation

shares = st.floats(0, 1)


@st.composite
def policies(draw):
    low = draw(st.floats(0.0, 0.6))
    least = draw(st.floats(1.0, 4.0))
    return Concur(
        draw(st.floats(0.1, 8)),
        draw(st.floats(0.1, 0.9)),
        low,
        draw(st.floats(low + 0.01, 1.0)),
        draw(shares),
        least=least,
        most=draw(st.one_of(st.none(), st.floats(least, 64))),
        start=draw(st.one_of(st.none(), st.floats(0.5, 64))),
    )


def seen(usage, hits, window, agents=64):
    return AdmissionObservation(0.0, 0, 0, usage, hits, window, agents=agents)


@given(policies(), st.lists(st.tuples(shares, st.one_of(st.none(), shares)), max_size=30), st.integers(1, 64))
def test_S4_the_window_keeps_its_bounds_and_at_most_one_rule_applies_at_a_tick(policy, signals, agents):
    window = None
    for usage, hits in signals:
        decision = policy.decide(seen(usage, hits, window, agents))
        most = policy.most if policy.most is not None else max(policy.least, agents)
        assert policy.least <= decision.window <= most
        assert decision.limit == max(1, math.floor(decision.window))
        if window is not None:
            grows = usage < policy.low
            cuts = usage > policy.high and hits is not None and hits < policy.hit
            assert not (grows and cuts)
            if grows:
                assert decision.window == pytest.approx(min(window + policy.alpha, most))
            elif cuts:
                assert decision.window == pytest.approx(max(window * policy.beta, policy.least))
            else:
                assert decision.window == window
        window = decision.window


def test_the_first_decision_is_the_start_and_no_tick():
    assert Concur().decide(seen(0.0, None, None)).window == 2.0
    assert Concur(start=None).decide(seen(1.0, 0.0, None)).limit == 64
    assert Concur(most=8, start=20).decide(seen(0.0, None, None)).limit == 8


def test_without_a_prefill_in_the_interval_nothing_is_cut():
    assert Concur().decide(seen(1.0, None, 8.0)).window == 8.0
    assert Concur().decide(seen(1.0, 0.0, 8.0)).window == 4.0


@given(st.floats(0.2, 1.0), st.lists(st.one_of(st.none(), shares), max_size=50), st.floats(1, 8))
def test_N1_the_window_never_grows_again_when_one_agent_fills_the_cache_above_the_lower_mark(share, hits, window):
    """With any agent active the usage is at least its share; so no tick of any run is one in which the window grows."""
    policy = Concur()
    for hit in hits:
        active = max(1, math.floor(window))
        after = policy.decide(seen(min(1.0, active * share), hit, window)).window
        assert after <= window
        window = after


class Cache:
    """Agents in turn, each with ``share`` of the cache, under LRU: an agent's history is there, or it is not."""

    def __init__(self, share):
        self.share, self.held = share, OrderedDict()

    def interval(self, active):
        """Usage and hit rate of an interval in which each active agent takes three steps."""
        hits = looked = 0
        for _ in range(3):
            for agent in range(active):
                looked += 1
                hits += agent in self.held
                self.held[agent] = None
                self.held.move_to_end(agent)
                while len(self.held) * self.share > 1:
                    self.held.popitem(last=False)
        return min(1.0, active * self.share), hits / looked


def test_N1_a_window_cut_to_one_stays_there_though_three_agents_would_fit():
    policy, cache, window, seen_windows = Concur(start=8), Cache(0.3), None, []
    usage, hits = 0.0, None
    for _ in range(20):
        decision = policy.decide(seen(usage, hits, window))
        window = decision.window
        seen_windows.append(decision.limit)
        usage, hits = cache.interval(decision.limit)
    assert seen_windows[:3] == [8, 4, 2] and set(seen_windows[2:]) == {2}
    assert Cache(0.3).interval(3)[1] > policy.hit, "three fit, with a hit rate of two thirds from the start"


@given(policies(), shares, shares, st.floats(1, 64))
def test_the_cut_is_late_only_after_an_interval_in_which_the_hit_rate_had_collapsed(policy, usage, hits, window):
    after = policy.law(window, usage, hits)
    if after < window:
        assert hits < policy.hit


def test_the_cut_is_late_a_full_cache_and_a_falling_hit_rate_change_nothing_until_it_is_gone():
    policy, window, windows = Concur(), 8.0, []
    for hits in (0.9, 0.6, 0.4, 0.21, 0.1):
        window = policy.decide(seen(1.0, hits, window)).window
        windows.append(window)
    assert windows == [8.0, 8.0, 8.0, 8.0, 4.0]
    cache = Cache(0.3)
    assert cache.interval(3)[1] > 0.6
    rates = [cache.interval(4)[1] for _ in range(2)]
    assert rates == [0.25, 0.0], "one agent more, and every history is lost: seen one interval too late"
    assert [policy.law(4.0, 1.0, rate) for rate in rates] == [4.0, 2.0]


def test_the_caps():
    one = AdmissionObservation(0.0, 3, 4, 1.0)
    assert NoLimit().decide(one) == AdmissionDecision(None)
    assert AgentCap(4).decide(one) == AdmissionDecision(4)
    assert RequestCap(4).decide(one) == AdmissionDecision(4, per_request=True)
    assert NoLimit().interval is AgentCap(4).interval is RequestCap(4).interval is None and Concur().interval == 5.0
