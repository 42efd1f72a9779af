"""Whole runs: which of them end, which go on for ever, and whether they come to their goal."""

from __future__ import annotations

import random
from array import array

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo.proofs.exploration.cycles import Edge, Graph, components, fair_cycle
from mtpo.proofs.exploration.goals import GOALS, Goal, goals_of
from mtpo.proofs.exploration.instances import Roots, mtpo_instance, small_instance
from mtpo.proofs.exploration.liveness import Liveness, check_goal
from mtpo.proofs.mutants.ablate import without
from mtpo.proofs.verdicts import Status, Trace
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import OrderedSort, Spec, exists, forall, implies, require
from mtpo.spec.mtpo import mtpo
from mtpo.spec.mtpo.model import Agent, aborted, committed, launched
from mtpo.spec.revisions import two_way

ENDS = GOALS["mtpo.runs-end"]
COMMITTED = attrs.evolve(ENDS, formula=forall(Agent, lambda a: implies(launched(a), committed(a))))


def runs_of_mtpo(spec: Spec = mtpo, goal: Goal = ENDS, objects: int = 1, faults: bool = False) -> Liveness:
    instance, roots = mtpo_instance(2, 1, objects, spec=spec, faults=faults)
    return check_goal(instance, roots, goal)


def follows(trace: Trace) -> bool:
    """Whether each step of a trace is one of the spec, and leads where it says."""
    for before, step, after in zip(trace.states, trace.steps, trace.states[1:], strict=False):
        cells = list(before)
        assert trace.instance.enabled(before, step)
        trace.instance.perform(cells, step)
        assert trace.instance.freeze(cells) == after
    return True


# -- mtpo ----------------------------------------------------------------------------------------------------------


def test_every_run_of_mtpo_ends_with_all_committed() -> None:
    found = runs_of_mtpo(goal=COMMITTED)
    assert found.verdict.status is Status.CHECKED
    assert (found.initial, found.states, found.transitions) == (50, 11_416, 18_078)
    assert (found.ends, found.cyclic, found.complete) == (1_230, 0, True)
    assert found.verdict.detail["constants"] == "footprints up to renamings"


def test_with_aborts_alone_all_commit_too() -> None:
    actions = {name: action for name, action in mtpo.actions.items() if name != "external"}
    found = runs_of_mtpo(mtpo.without(actions=actions), COMMITTED, faults=True)
    assert (found.verdict.status, found.cyclic) == (Status.CHECKED, 0)
    assert found.states > 11_416


def test_what_is_changed_from_outside_can_hold_up_a_commit_and_nothing_else_can() -> None:
    found = runs_of_mtpo(faults=True)
    assert (found.verdict.status, found.states, found.cyclic) == (Status.CHECKED, 85_160, 0)
    short = runs_of_mtpo(goal=COMMITTED, faults=True).verdict
    assert short.status is Status.FAILED
    assert short.trace is not None and follows(short.trace)
    assert "external" in {step.action for step in short.trace.steps}


def test_an_agent_that_aborts_and_is_never_retracted_is_found() -> None:
    goal = attrs.evolve(ENDS, formula=forall(Agent, lambda a: ~launched(a) | ~aborted(a) | committed(a)))
    actions = {name: action for name, action in mtpo.actions.items() if name not in ("retract", "external")}
    found = runs_of_mtpo(mtpo.without(actions=actions), goal, faults=True).verdict
    assert found.status is Status.FAILED
    assert found.trace is not None and "abort" in {step.action for step in found.trace.steps}


@pytest.mark.parametrize("dropped", ["reopen.notified", "finish.finished:="])
def test_an_mtpo_without_a_clause_or_an_update_does_not_end(dropped: str) -> None:
    found = runs_of_mtpo(without(mtpo, [dropped])).verdict
    assert found.status is Status.FAILED
    assert found.trace is not None and follows(found.trace)
    if dropped == "reopen.notified":
        assert "can be taken over and over" in found.detail["why"]
        assert [step.action for step in found.trace.steps[-2:]] in (["finish", "reopen"], ["reopen", "finish"])
    else:
        assert found.detail["why"] == "a run may end here, short of the goal"
        assert [step.action for step in found.trace.steps] == ["launch"]


def test_a_goal_belongs_to_the_spec_that_it_speaks_of() -> None:
    assert goals_of(mtpo) == (ENDS,)
    assert goals_of(without(mtpo, ["reopen.notified"])) == (ENDS,)
    assert goals_of(Spec("mtpo")) == ()


# -- notifications both ways ---------------------------------------------------------------------------------------


class Reviser(OrderedSort):
    "one of two agents; the order is the rank"


def told(both: bool) -> tuple[Spec, Goal]:
    """The revisions of spec/revisions.py, of which it is kept who acted and who is told, but no values."""
    spec = Spec("told", "Two agents, each of which goes by the other's value.")
    acted = spec.var("acted", Reviser, init=lambda a: False)
    note = spec.var("note", Reviser, init=lambda a: False)

    def halve(a: Reviser) -> None:
        note.becomes(lambda b: (b != a) & (note(b) | (acted(b) if both else acted(b) & (a < b))))

    @spec.action
    def act(a: Reviser) -> None:
        "An agent acts."
        require("first", ~acted(a))
        acted[a] = True
        halve(a)

    @spec.action
    def revise(a: Reviser) -> None:
        "An agent was told: it acts again."
        require("told", note(a))
        halve(a)

    return spec, Goal("told.done", "All acted and are told.", forall(Reviser, lambda a: acted(a) & ~note(a)))


def runs_of_told(both: bool) -> Liveness:
    spec, goal = told(both)
    return check_goal(*small_instance(spec, {Reviser: 2}), goal)


def test_notifications_both_ways_never_end_and_one_way_they_do() -> None:
    assert runs_of_told(both=False).verdict.status is Status.CHECKED
    assert runs_of_told(both=False).cyclic == 0
    found = runs_of_told(both=True)
    assert (found.verdict.status, found.cyclic) == (Status.FAILED, 2)
    trace = found.verdict.trace
    assert trace is not None and follows(trace)
    assert found.verdict.detail["why"] == "steps 3 to 4 can be taken over and over, which is fair, short of the goal"
    assert [step.action for step in trace.steps] == ["act", "act", "revise", "revise"]
    assert trace.states[2] == trace.states[-1]


def test_the_livelock_is_one_of_the_agents_that_halve_each_others_value() -> None:
    trace = runs_of_told(both=True).verdict.trace
    assert trace is not None
    instance = Instance(two_way, dict.fromkeys(two_way.sorts, 2), {"other": [1, 0]})
    state = instance.initial()
    for step in (*trace.steps[:2], *trace.steps[2:] * 10):
        assert instance.enabled(state, step)
        instance.perform(state, step)


# -- fairness, dead ends, and what is not shown --------------------------------------------------------------------


class Turn(OrderedSort):
    "a worker"


def workers() -> tuple[Spec, Goal]:
    """Each may idle about, or be done; the last one is done only while nobody idles."""
    spec = Spec("workers")
    done = spec.var("done", Turn, init=lambda t: False)
    idles = spec.var("idles", Turn, init=lambda t: False)

    @spec.action
    def idle(t: Turn) -> None:
        require("at-work", ~done(t))
        idles[t] = ~idles(t)

    @spec.action
    def finish(t: Turn) -> None:
        require("last", exists(Turn, lambda u: t < u) | forall(Turn, lambda u: ~idles(u)))
        require("at-work", ~done(t))
        done[t] = True

    return spec, Goal("workers.done", "All are done.", forall(Turn, lambda t: done(t)))


def test_a_cycle_that_passes_over_what_stays_enabled_is_no_run() -> None:
    spec, goal = workers()
    found = check_goal(*small_instance(spec, {Turn: 1}), goal)
    assert (found.verdict.status, found.cyclic) == (Status.FAILED, 2)  # who idles can't finish: it is not passed over
    assert found.verdict.trace is not None and [s.action for s in found.verdict.trace.steps] == ["idle", "idle"]
    always = spec.actions["finish"]
    free = spec.without(actions={**spec.actions, "finish": attrs.evolve(always, guard=always.guard[1:])})
    found = check_goal(*small_instance(free, {Turn: 2}), goal)
    assert (found.verdict.status, found.ends) == (Status.CHECKED, 4)
    assert found.cyclic > 0
    found = check_goal(*small_instance(free, {Turn: 2}), attrs.evolve(goal, may=frozenset({"finish"})))
    assert found.verdict.status is Status.FAILED  # nobody need finish


def test_where_only_steps_remain_that_need_not_be_taken_a_run_may_end() -> None:
    spec, goal = workers()
    found = check_goal(*small_instance(spec, {Turn: 2}), attrs.evolve(goal, may=frozenset(spec.actions)))
    assert found.verdict.status is Status.FAILED
    assert found.verdict.trace is not None and found.verdict.trace.steps == ()


def test_at_the_limit_and_without_initial_states_nothing_is_checked() -> None:
    instance, roots = mtpo_instance(2, 1, 1)
    found = check_goal(instance, roots, ENDS, limit=1_000)
    assert (found.verdict.status, found.complete) == (Status.UNKNOWN, False)
    assert found.verdict.detail["why"].startswith("stopped at the limit of 1,000 states, at depths up to ")
    assert check_goal(instance, roots, ENDS, limit=3).verdict.status is Status.UNKNOWN
    nothing = check_goal(instance, Roots(lambda: iter(())), ENDS).verdict
    assert (nothing.status, nothing.detail["states"]) == (Status.FAILED, 0)
    assert nothing.detail["why"].endswith("nothing was looked at")


# -- cycles, against their definition ------------------------------------------------------------------------------

EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 3)), max_size=24, unique=True)
STEPS = [Step(name, ()) for name in "abcd"]


def graph_of(edges: list[tuple[int, int, int]]) -> tuple[Graph, dict[State, list[tuple[int, State]]]]:
    """A graph of eight states; of each edge the ends and the number of the step."""
    states: list[State] = [bytes([n]) for n in range(8)]
    after = {s: [(label, states[b]) for a, b, label in edges if states[a] == s] for s in states}
    starts, targets = array("Q", [0]), array("I")
    for s in states:
        targets.extend(t[0] for _, t in after[s] if t != s)
        starts.append(len(targets))
    return Graph(states, starts, targets), after


@given(edges=EDGES)
def test_two_states_are_in_one_component_if_each_can_be_reached_from_the_other(
    edges: list[tuple[int, int, int]],
) -> None:
    graph, _ = graph_of(edges)
    reach = {(n, n) for n in range(8)} | {(a, b) for a, b, _ in edges}
    for via in range(8):
        reach |= {(a, b) for a in range(8) for b in range(8) if (a, via) in reach and (via, b) in reach}
    both = {frozenset(b for b in range(8) if (a, b) in reach and (b, a) in reach) for a in range(8)}
    assert {frozenset(c) for c in components(graph)} == {c for c in both if len(c) > 1}


@given(edges=EDGES, must=st.tuples(*[st.booleans()] * 4), seed=st.integers(0, 99))
def test_a_cycle_that_is_found_is_fair_and_where_none_is_there_is_none(
    edges: list[tuple[int, int, int]], must: tuple[bool, ...], seed: int
) -> None:
    graph, after = graph_of(edges)

    def fair(positions: set[int], taken: set[int]) -> bool:
        enabled = {p: {n for n, s in after[graph.states[p]] if s != graph.states[p]} for p in positions}
        return all(not must[n] or n in taken or any(n not in enabled[p] for p in positions) for n in range(4))

    for component in components(graph):
        start = random.Random(seed).choice(component)
        cycle: list[Edge] | None = fair_cycle(graph, component, start, after.__getitem__, STEPS, must)
        inner = {label for a, b, label in edges if a in component and b in component and a != b}
        assert (cycle is not None) == fair(set(component), inner)
        if cycle is not None:
            places = [start, *(position for _, position in cycle)]
            assert places[-1] == start and len(cycle) > 1
            for here, (label, there) in zip(places, cycle, strict=False):
                assert (label, graph.states[there]) in after[graph.states[here]]
            assert fair(set(places), {label for label, _ in cycle})
