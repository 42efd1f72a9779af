"""Exhaustive exploration: exact counts, shortest counterexamples, nothing vacuous."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mtpo.proofs.exploration.explore import Exploration, explore, witness
from mtpo.proofs.exploration.instances import FAULTS, MAX_CHOICES, TooManyChoices, every_instance, mtpo_instance
from mtpo.proofs.verdicts import Status, exit_code
from mtpo.spec.concrete import Instance, InstanceError, Step
from mtpo.spec.language import Int, Sort, Spec, exists, forall, require
from mtpo.spec.mtpo import mtpo


class Item(Sort):
    "an item"


def holders(count: int, spec: Spec) -> tuple[Instance, list[Any]]:
    (process,) = spec.sorts
    return every_instance(spec, {process: count})


# -- the lock ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_lock_is_explored_to_the_end(lock: Spec, count: int) -> None:
    found = explore(*holders(count, lock))
    assert (found.initial, found.states, found.transitions, found.depth) == (1, count + 1, 2 * count, 1)
    assert found.complete
    assert found.taken == {"acquire": count, "release": count}
    assert {v.property: (str(v.status), v.method) for v in found.verdicts} == {
        "lock.exclusion": ("CHECKED", "exhaustive"),
        "lock.no-barging": ("CHECKED", "exhaustive"),
        "lock.entered": ("CHECKED", "reached"),
    }


def test_a_counterexample_is_as_short_as_can_be(broken_lock: Spec) -> None:
    found = explore(*holders(3, broken_lock))
    assert not found.complete
    assert exit_code(found.verdicts) == 1
    verdict = found.verdicts[0]
    assert verdict.property == "lock.exclusion"
    others = {v.property: v.status for v in found.verdicts[1:]}
    assert others == {"lock.no-barging": Status.FAILED, "lock.entered": Status.CHECKED}, "its last step breaks both"
    assert verdict.trace is not None and not verdict.trace.inductive
    assert [step.action for step in verdict.trace.steps] == ["acquire", "acquire"]
    assert verdict.trace.lines() == [
        "first state",
        "step 1: acquire(p=process0)",
        "  holds(process0): false -> true",
        "step 2: acquire(p=process1)",
        "  holds(process1): false -> true",
    ]


def test_a_step_property_is_violated_by_the_second_step(broken_lock: Spec) -> None:
    only = {id: p for id, p in broken_lock.properties.items() if id != "lock.exclusion"}
    found = explore(*holders(3, broken_lock.without(properties=only)))
    verdict = found.verdicts[0]
    assert (verdict.property, verdict.status) == ("lock.no-barging", Status.FAILED)
    assert verdict.clause == "A process that enters finds nobody inside."
    assert verdict.trace is not None
    assert [list(state) for state in verdict.trace.states] == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    for before, step, after in zip(verdict.trace.states, verdict.trace.steps, verdict.trace.states[1:], strict=False):
        cells = list(before)
        assert verdict.trace.instance.enabled(before, step)
        verdict.trace.instance.perform(cells, step)
        assert bytes(cells) == after


def test_a_false_initial_state_is_a_trace_without_steps(lock: Spec) -> None:
    copy = lock.without()
    (process,) = lock.sorts
    copy.invariant("lock.somebody")(lambda: exists(process, lambda p: lock.variables["holds"](p)))
    verdict = explore(*holders(2, copy)).verdicts[0]
    assert verdict.property == "lock.somebody"
    assert verdict.trace is not None
    assert verdict.trace.lines() == ["first state", "  holds: {}"]


def test_what_is_never_reached_or_taken_fails(lock: Spec) -> None:
    copy = lock.without()
    (process,) = lock.sorts
    copy.reachable("lock.all-inside")(lambda: forall(process, lambda p: lock.variables["holds"](p)))

    @copy.action
    def never() -> None:
        require("impossible", exists(process, lambda p: p != p))

    found = explore(*holders(2, copy))
    failed = {v.property: v.method for v in found.verdicts if v.status is Status.FAILED}
    assert failed == {"lock.all-inside": "never reached", "lock.never": "action never taken"}
    assert exit_code(found.verdicts) == 1


def test_at_the_limit_nothing_is_checked(lock: Spec) -> None:
    found = explore(*holders(5, lock), limit=3)
    assert not found.complete
    assert found.states > 3
    by_role = {v.property: v for v in found.verdicts}
    assert by_role["lock.exclusion"].status is Status.UNKNOWN
    assert by_role["lock.exclusion"].detail["why"] == (
        "not violated in the 6 states seen, at depths up to 1; stopped at the limit of 3 states"
    )
    assert by_role["lock.entered"].status is Status.CHECKED
    assert exit_code(found.verdicts) == 3
    assert explore(*holders(5, lock), limit=6).complete


def test_a_witness_is_a_shortest_run(lock: Spec) -> None:
    instance, initial = holders(2, lock)
    found = witness(instance, initial, "lock.entered")
    assert found is not None
    assert found.steps == (Step("acquire", (0,)),)
    never = lock.without()
    never.reachable("lock.never")(lambda: ~exists(lock.sorts[0], lambda p: p == p))
    assert witness(Instance(never, instance.sizes), initial, "lock.never") is None


def test_every_choice_of_constants_that_the_assumptions_allow() -> None:
    spec = Spec("choice")
    likes = spec.const("likes", Item, Item)
    seen = spec.var("seen", Item, init=lambda p: likes(p, p))
    spec.assume("choice.symmetric")(lambda: forall(Item, Item, lambda p, q: likes(p, q) == likes(q, p)))

    @spec.action
    def see(p: Item) -> None:
        require("new", ~seen(p))
        seen[p] = True

    instance, initial = every_instance(spec, {Item: 2})
    assert len(list(initial)) == 8  # two loops and one edge
    found = explore(instance, initial)
    assert found.complete
    # the constants of a state never change: an edge or not, times the subsets of the processes without a loop
    assert found.states == 2 * (4 + 2 + 2 + 1)
    with pytest.raises(TooManyChoices, match=f"choice: more than {MAX_CHOICES:,} choices of constants"):
        every_instance(spec, {Item: 5})


def test_integers_in_the_state() -> None:
    spec = Spec("count")
    n = spec.var("n", to=Int, init=lambda: 0)

    @spec.action
    def step() -> None:
        require("small", n() < 300)
        n.becomes(n() + 100)

    spec.invariant("count.below")(lambda: n() < 300)
    found = explore(*every_instance(spec, {}))
    verdict = found.verdicts[0]
    assert verdict.trace is not None
    assert verdict.trace.states == ((0,), (100,), (200,), (300,))
    assert verdict.trace.lines()[-1] == "  n: 200 -> 300"


# -- mtpo ----------------------------------------------------------------------------------------------------------

COUNTS = {
    (2, 1, 1, False): (50, 11_416, 18_078, 15),
    (2, 1, 2, False): (754, 244_014, 409_484, 15),
    (2, 1, 1, True): (50, 85_160, 257_414, 22),
}
"""Agents, calls, objects, and whether with faults: initial states, states, transitions, depth."""


def not_asked(sizes: tuple[int, int, int, bool]) -> set[str]:
    """Who may give up, and what only a run with trouble, with two objects, or with predicates reaches."""
    _, _, objects, faults = sizes
    of_faults = {"mtpo.may-give-up", "mtpo.reach-aborted", "mtpo.reach-kept", "mtpo.reach-foreign"}
    of_two_objects = {"mtpo.reach-two-repairs"} if objects < 2 else set()
    return (set() if faults else of_faults) | of_two_objects | {"mtpo.reach-waived"}


@pytest.fixture(
    scope="module", params=COUNTS, ids=lambda p: "x".join(map(str, p[:3])) + ("-with-faults" if p[3] else "")
)
def explored(request: pytest.FixtureRequest) -> tuple[Any, Exploration]:
    """An exploration of mtpo to the end."""
    agents, calls, objects, faults = request.param
    return request.param, explore(*mtpo_instance(agents, calls, objects, faults=faults))


def test_mtpo_is_explored_to_the_end(explored: tuple[Any, Exploration]) -> None:
    sizes, found = explored
    assert found.complete
    assert (found.initial, found.states, found.transitions, found.depth) == COUNTS[sizes]
    assert {v.property for v in found.verdicts if v.status is not Status.CHECKED} == set()
    told = {p.id for p in mtpo.role("invariant", "lemma", "step", "reachable")}
    assert {v.property for v in found.verdicts} == told - not_asked(sizes)


def test_everything_is_reached_and_every_action_taken(explored: tuple[Any, Exploration]) -> None:
    sizes, found = explored
    reached = {v.property for v in found.verdicts if v.method == "reached"}
    assert reached == {p.id for p in mtpo.role("reachable")} - not_asked(sizes)
    assert set(found.taken) == set(mtpo.actions) - (set() if sizes[3] else FAULTS)
    assert min(found.taken.values()) > 0
    assert sum(found.taken.values()) == found.transitions


def test_every_initial_state_satisfies_the_assumptions_and_no_two_are_renamings() -> None:
    instance, initial = mtpo_instance(2, 1, 2)
    assert len(set(initial)) == len(list(initial))
    assert all(not instance.assumed(state) for state in initial)

    def renamed(state: Any) -> Any:
        """The footprints with the two objects exchanged."""
        rows = {
            name: [list(state[at + 2 * c : at + 2 * c + 2][::-1]) for c in range(3)]
            for name, at in ((name, instance.offsets[name]) for name in ("reads", "writes"))
        }
        rest = {name: state[instance.offsets[name]] for name in ("replay",)}
        at = instance.offsets["invertible"]
        return str((rows, rest, list(state[at : at + 3])))

    def plain(state: Any) -> Any:
        rows = {
            name: [list(state[at + 2 * c : at + 2 * c + 2]) for c in range(3)]
            for name, at in ((name, instance.offsets[name]) for name in ("reads", "writes"))
        }
        at = instance.offsets["invertible"]
        return str((rows, {"replay": state[instance.offsets["replay"]]}, list(state[at : at + 3])))

    names = {plain(state) for state in initial}
    assert all(renamed(state) not in names or renamed(state) == plain(state) for state in initial)


def test_a_bug_in_mtpo_is_found_with_a_run_that_the_rest_allows() -> None:
    commit = mtpo.actions["commit"]
    kept = tuple(c for c in commit.guard if c.id != "mtpo.commit.lower-committed")
    weak = mtpo.without(actions={**mtpo.actions, "commit": attrs.evolve(commit, guard=kept)})
    found = explore(*mtpo_instance(2, 1, 1, spec=weak))
    failed = {v.property: v for v in found.verdicts}
    trace = failed["mtpo.commit-in-rank-order"].trace
    assert trace is not None
    # the second agent enters after the first, is done at once, and commits before it
    assert [step.action for step in trace.steps] == ["launch", "launch", "finish", "commit"]
    assert trace.steps[-1].args == (1,)
    strict, _ = mtpo_instance(2, 1, 1)
    assert [c.id for c in strict.refused(trace.states[-2], trace.steps[-1])] == ["mtpo.commit.lower-committed"]


def test_data_for_programs(lock: Spec) -> None:
    data = explore(*holders(2, lock)).as_json()
    assert data["sizes"] == {"Process": 2}
    assert (data["states"], data["transitions"], data["depth"]) == (3, 4, 1)
    assert data["complete"] is True
    assert data["actions"] == {"acquire": 2, "release": 2}
    assert [v["status"] for v in data["verdicts"]] == ["CHECKED"] * 3


def test_sizes_that_do_not_fit_are_refused(lock: Spec) -> None:
    with pytest.raises(ValueError, match="lock: sort Process needs a size of at least 1"):
        every_instance(lock, dict[type[Sort], int]())


# -- nothing to look at, limits --------------------------------------------------------------------------------------


def test_an_instance_without_initial_states_shows_nothing() -> None:
    spec = Spec("void")
    on = spec.const("on", Item)
    seen = spec.var("seen", init=lambda: False)
    spec.assume("void.some")(lambda: exists(Item, lambda p: on(p)))
    spec.assume("void.none")(lambda: forall(Item, lambda p: ~on(p)))

    @spec.action
    def see() -> None:
        seen.becomes(True)

    spec.invariant("void.fine")(lambda: seen() | ~seen())
    found = explore(*every_instance(spec, {Item: 2}))
    assert [v.property for v in found.verdicts] == ["void.init", "void.fine"]
    for verdict in found.verdicts:
        assert (verdict.status, verdict.method) == (Status.FAILED, "vacuous")
        assert verdict.detail["why"].startswith("no initial state of these sizes satisfies the assumptions")


def test_the_limit_bounds_the_initial_states_too() -> None:
    """Two agents with two calls each on two objects have a million footprints; making them all is not waited for."""
    told: list[int] = []
    found = explore(*mtpo_instance(2, 2, 2), limit=9_000, progress=lambda states, left: told.append(states))
    assert (found.complete, found.initial, found.transitions) == (False, 9_001, 0)
    assert told == [4096, 8192]
    assert {v.status for v in found.verdicts} <= {Status.UNKNOWN, Status.CHECKED}
    why = found.verdicts[0].detail["why"]
    assert why.endswith("stopped at the limit of 9,000 states, before any step")


def test_at_the_limit_no_steps_are_made_of_a_large_instance() -> None:
    """Four agents with four calls each have two million steps, to be looked at once each; the limit comes first."""
    large = mtpo_instance(4, 4, 2)
    found = explore(*large, limit=50)
    assert (found.complete, found.states, found.transitions) == (False, 51, 0)
    with pytest.raises(InstanceError, match="mtpo: action call has 8,912,896 choices of arguments, at most 200,000"):
        large[0].ground()


@pytest.mark.parametrize("symmetry", [False, True])
def test_initial_states_left_out_are_not_checked_by_the_compiled_engine_either(symmetry: bool) -> None:
    """Of eight choices five are made, three but for renamings: fewer than the limit, and nothing follows them."""
    spec = Spec("mark")
    on = spec.const("on", Item)
    seen = spec.var("seen", init=lambda: False)

    @spec.action
    def see() -> None:
        require("all", forall(Item, lambda p: on(p)))
        seen.becomes(True)

    spec.invariant("mark.not-all")(lambda: ~forall(Item, lambda p: on(p)))
    cut = explore(*every_instance(spec, {Item: 3}), limit=4, engine="compiled", symmetry=symmetry)
    assert (cut.complete, cut.transitions) == (False, 0)
    assert [v.status for v in cut.verdicts] == [Status.UNKNOWN]
    found = explore(*every_instance(spec, {Item: 3}), limit=8, engine="compiled", symmetry=symmetry)
    (verdict,) = found.verdicts
    assert verdict.status is Status.FAILED
    assert verdict.trace is not None
    assert verdict.trace.steps == (), "an initial state that violates something is found before any step"


def test_the_compiled_engine_gives_the_same_verdicts(lock: Spec) -> None:
    (process,) = lock.sorts
    plain = explore(*every_instance(lock, {process: 3}))
    fast = explore(*every_instance(lock, {process: 3}), engine="compiled", symmetry=True)
    assert [(v.property, v.status, v.method) for v in fast.verdicts] == [
        (v.property, v.status, v.method) for v in plain.verdicts
    ]
    assert (plain.states, fast.states) == (4, 2)
    assert fast.as_json()["symmetry"] is True
    with pytest.raises(ValueError, match="symmetry needs another engine than python"):
        explore(*every_instance(lock, {process: 3}), symmetry=True)
