"""What is explored in parts, by several processes, comes to what is explored in one piece."""

from __future__ import annotations

import ast
import errno
import importlib.util
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings

import mtpo.proofs.parts.parts as parts
from mtpo.proofs.children import processes
from mtpo.proofs.exploration.checkpoint import CheckpointError
from mtpo.proofs.exploration.explore import Exploration, explore
from mtpo.proofs.exploration.instances import Roots, every_instance, fair_instance, gap_instance, mtpo_instance
from mtpo.proofs.exploration.symmetry import symmetry_of
from mtpo.proofs.ledger import METHODS
from mtpo.proofs.parts.part import Explorer, Shared
from mtpo.proofs.parts.partition import Apart, Part, Partition, rigid
from mtpo.proofs.parts.parts import explore_in_parts
from mtpo.proofs.parts.partsaved import FILE, PartsSaved
from mtpo.proofs.parts.partwork import Progress, _Queue, cells
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Int, Sort, Spec, exists, forall, require
from mtpo.spec.mtpo import mtpo


def load(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, Path(__file__).parents[2] / "spec" / f"{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


random_specs: Any = load("random_specs")

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes wrap around

forks = pytest.mark.skipif(not processes(), reason="no forks on this system")


class Item(Sort):
    "an item"


def climbing(most: int, step: int = 5) -> Spec:
    """Items of which some are steep climb, by 1 or by ``step``; which of them are steep is a constant."""
    spec = Spec("climb")
    steep = spec.const("steep", Item)
    done = spec.var("done", Item, init=lambda p: False)
    total = spec.var("total", to=Int, init=lambda: 0)

    @spec.action
    def walk(p: Item) -> None:
        require("fresh", ~done(p))
        require("flat", ~steep(p))
        done[p] = True
        total.becomes(total() + 1)

    @spec.action
    def climb(p: Item) -> None:
        require("fresh", ~done(p))
        require("steep", steep(p))
        done[p] = True
        total.becomes(total() + step)

    spec.invariant("climb.small")(lambda: total() < most)
    spec.reachable("climb.all")(lambda: forall(Item, lambda p: done(p)))
    spec.reachable("climb.steep")(lambda: exists(Item, lambda p: done(p) & steep(p)))
    return spec


def climbers(count: int, most: int = 10**6, step: int = 5) -> tuple[Instance, Roots]:
    return every_instance(climbing(most, step), {Item: count})


def weak(clause: str) -> Spec:
    """MTPO without a clause of a guard."""
    action = mtpo.actions[clause.split(".")[1]]
    kept = tuple(c for c in action.guard if c.id != clause)
    assert len(kept) == len(action.guard) - 1
    return mtpo.without(actions={**mtpo.actions, action.name: attrs.evolve(action, guard=kept)})


def same(one: Exploration, other: Exploration) -> None:
    for name in ("initial", "states", "transitions", "depth", "complete", "taken", "symmetry"):
        assert getattr(one, name) == getattr(other, name), name
    assert [v.as_json() for v in one.verdicts] == [v.as_json() for v in other.verdicts]


INSTANCES: dict[str, Any] = {
    "climb": lambda: climbers(4),
    "fair": lambda: fair_instance(2),
    "gap": lambda: gap_instance(2),
    "mtpo": lambda: mtpo_instance(2, 1, 1),
    "mtpo with faults": lambda: mtpo_instance(1, 2, 1, faults=True),
}


# -- what holds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INSTANCES)
@pytest.mark.parametrize("engine", ["python", "numpy"])
def test_parts_come_to_what_one_piece_does(name: str, engine: Any) -> None:
    instance, roots = INSTANCES[name]()
    whole = explore(instance, roots, engine=engine)
    assert whole.complete
    groups = len({state[: rigid(instance)] for state in roots})
    for size in (7, 10**6):
        found = explore_in_parts(instance, roots, engine=engine, jobs=1, size=size)
        same(found, whole)
        assert (found.engine, found.jobs, found.parts) == (engine, 1, -(-groups // size))
        assert (found.bytes_per_state is None) == (engine == "python")


@forks
@pytest.mark.parametrize("name", INSTANCES)
def test_so_do_parts_that_processes_explore(name: str) -> None:
    instance, roots = INSTANCES[name]()
    found = explore_in_parts(instance, roots, jobs=3, size=2)
    same(found, explore(instance, roots))
    assert (found.jobs == 3 and found.parts > 3) or name in ("fair", "gap")


@given(random_specs.cases())
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
def test_so_do_parts_of_random_specs(case: Any) -> None:
    """First states with the same constants, and with others, among them some that violate something."""
    instance = case.instance
    roots = [instance.freeze(instance.initial(case.chosen)), case.before, case.after]
    whole = explore(instance, roots, limit=200)
    bad = next((v.trace for v in whole.verdicts if v.trace), None)
    if not whole.complete and bad is None:
        return  # where it stops is another matter
    for engine in ("python", "numpy"):
        found = explore_in_parts(instance, roots, engine=engine, jobs=1, size=1)  # type: ignore[arg-type]
        run = next((v.trace for v in found.verdicts if v.trace), None)
        assert (run is None) == (bad is None)
        if bad is None:
            same(found, whole)
        elif run is not None:
            assert len(run.steps) == len(bad.steps)
            assert instance.violated(run.states[-1]) or instance.violated_step(*run.states[-2:])
            assert {v.status for v in found.verdicts if v.method == "exhaustive"} <= {Status.FAILED, Status.UNKNOWN}


def test_integers_that_turn_out_wide_are_met_in_every_part() -> None:
    instance, roots = climbers(4, step=300)
    same(explore_in_parts(instance, roots, jobs=1, size=3), explore(instance, roots))


def test_an_instance_without_open_constants_is_one_part(lock: Spec) -> None:
    instance, roots = every_instance(lock, {lock.sorts[0]: 3})
    found = explore_in_parts(instance, roots, jobs=2)
    same(found, explore(instance, roots))
    assert (found.jobs, found.parts) == (1, 1)


def test_without_first_states_nothing_is_shown() -> None:
    spec = climbing(10)
    spec.assume("climb.never")(lambda: exists(Item, lambda p: p != p))
    found = explore_in_parts(*every_instance(spec, {Item: 2}), jobs=2)
    assert found.initial == 0
    assert {v.method for v in found.verdicts} == {"vacuous"}


# -- symmetry ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["climb", "mtpo"])
def test_with_symmetry_parts_are_closed_under_renaming(name: str) -> None:
    instance, roots = climbers(4) if name == "climb" else mtpo_instance(2, 1, 2)
    whole = explore(instance, roots, engine="numpy", symmetry=True)
    found = explore_in_parts(instance, roots, symmetry=True, jobs=1, size=1 if name == "climb" else 400)
    same(found, whole)
    if name == "climb":
        assert (found.parts, found.initial) == (5, 5), "how many are steep is all that matters"
        listed = explore_in_parts(instance, list(roots), symmetry=True, jobs=1, size=1)
        same(listed, whole)


def test_each_renaming_of_a_first_state_is_in_the_same_part() -> None:
    instance, roots = climbers(3)
    group = symmetry_of(instance)
    partition = Partition(instance, list(roots), group)
    seen = list(iter(lambda: partition.take(1), None))
    assert sum(len(part.roots) for part in seen) == len({group.canonical(tuple(root)) for root in roots}) == 4
    assert not partition.take(1) and partition.over


def test_python_has_no_symmetry() -> None:
    with pytest.raises(ValueError, match="symmetry needs another engine than python"):
        explore_in_parts(*climbers(2), engine="python", symmetry=True)


# -- first states that are not as expected -------------------------------------------------------------------------


def test_equal_constants_that_lie_apart_come_together_in_a_list_and_are_refused_otherwise() -> None:
    instance, roots = climbers(2)
    some = list(roots)
    later = instance.freeze([*some[0][:-1], 3])
    mixed = [*some, later, some[1]]
    whole = explore(instance, mixed)
    same(explore_in_parts(instance, mixed, jobs=1, size=1), whole)
    assert whole.initial == 5
    with pytest.raises(Apart, match="climb: several first states have the same constants: give them as one list"):
        explore_in_parts(instance, Roots(lambda: iter(mixed)), jobs=1, size=1)
    twice = Roots(lambda: iter([*some, *some]))
    same(explore_in_parts(instance, twice, jobs=1, size=1), explore(instance, roots))


# -- what is violated ----------------------------------------------------------------------------------------------


@forks
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("engine", ["python", "numpy"])
@pytest.mark.parametrize("most", [0, 4, 10, 11, 16])
def test_a_violating_run_is_a_shortest_one_of_all_parts(most: int, engine: Any, jobs: int) -> None:
    """The first choices of constants have few steep items, and violate later than the last ones, or not at all."""
    instance, roots = climbers(4, most)
    whole = explore(instance, roots)
    found = explore_in_parts(instance, roots, engine=engine, jobs=jobs, size=1)
    (one,), (other,) = ([v for v in e.verdicts if v.status is Status.FAILED and v.trace] for e in (whole, found))
    assert one.trace is not None and other.trace is not None
    assert one.property == other.property == "climb.small"
    assert len(one.trace.steps) == len(other.trace.steps) == -(-most // 5)
    assert other.trace.states[0] in set(roots)
    for before, step, after in zip(other.trace.states, other.trace.steps, other.trace.states[1:], strict=False):
        cells = list(before)
        assert instance.enabled(before, step)
        instance.perform(cells, step)
        assert instance.freeze(cells) == after
    assert "why" not in other.detail
    assert not found.complete
    open_ = [v for v in found.verdicts if v.status is Status.UNKNOWN]
    assert all(v.detail["why"] for v in open_)


def test_a_bug_in_mtpo_is_found_with_a_run_as_short() -> None:
    instance, roots = mtpo_instance(2, 1, 1, spec=weak("mtpo.commit.lower-committed"))
    one, other = explore(instance, roots), explore_in_parts(instance, roots, jobs=2 if processes() else 1, size=6)
    first, second = (next(v for v in e.verdicts if v.trace) for e in (one, other))
    assert first.trace is not None and second.trace is not None
    assert len(first.trace.steps) == len(second.trace.steps) == 4


def test_the_same_run_is_shown_each_time() -> None:
    instance, roots = climbers(4, 10)
    runs = [explore_in_parts(instance, roots, jobs=jobs, size=2).verdicts[0].trace for jobs in (1, 2, 2, 3)]
    assert all(run is not None and run.lines() == runs[0].lines() for run in runs if runs[0] is not None)


# -- limits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["python", "numpy"])
def test_a_limit_counts_over_all_parts(engine: Any) -> None:
    instance, roots = climbers(4)
    whole = explore(instance, roots)
    per_part = 2**4
    found = explore_in_parts(instance, roots, engine=engine, limit=5 * per_part, jobs=1, size=1)
    assert not found.complete and 5 * per_part < found.states < whole.states
    verdict = next(v for v in found.verdicts if v.property == "climb.small")
    assert verdict.status is Status.UNKNOWN
    assert verdict.detail["why"] == (
        f"not violated in the {found.states} states seen, at depths up to {found.depth}; stopped at the limit of 80 "
        "states, with 5 choices of constants explored to the end"
    )
    assert not any(v.method in ("never reached", "action never taken") for v in found.verdicts)
    all_of_them = explore_in_parts(instance, roots, engine=engine, limit=whole.states, jobs=1, size=1)
    same(all_of_them, whole)


def test_first_states_are_made_as_they_are_needed() -> None:
    """Of 27 to the power of 6 footprints as many as the limit has room for."""
    instance, roots = mtpo_instance(3, 2, 2)
    made = [0]

    def counted() -> Iterator[Any]:
        for root in roots:
            made[0] += 1
            yield root

    found = explore_in_parts(instance, Roots(counted), limit=3_000, jobs=1, size=2)
    assert not found.complete and found.states > 3_000
    assert 0 < made[0] < 100


def test_a_run_that_may_not_be_shortest_says_so() -> None:
    """The limit is passed in the first parts, in which the run to a violation is longer than in the last ones."""
    instance, roots = climbers(4, 4)
    found = explore_in_parts(instance, roots, limit=15, jobs=1, size=1)
    verdict = next(v for v in found.verdicts if v.trace)
    assert verdict.trace is not None and len(verdict.trace.steps) == 4
    assert verdict.detail["why"] == "a shorter run may be where the limit left states out"


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=forks)])
@pytest.mark.parametrize("engine", ["python", "numpy"])
@pytest.mark.parametrize("most", [4, 10, 16, 10**6])
def test_what_a_limit_left_out_is_looked_at_and_no_more_is_claimed_than_is_so(
    monkeypatch: pytest.MonkeyPatch, most: int, engine: Any, jobs: int
) -> None:
    """Under any limit: a run that is called shortest is, and a depth to which all was looked at has no violation."""
    monkeypatch.setattr(parts, "LEAST", 1)
    instance, roots = climbers(4, most)
    shortest = next((len(v.trace.steps) for v in explore(instance, roots).verdicts if v.trace), 99)
    depths, certain = set[int](), 0
    for limit in (*range(1, 200, 40 if jobs > 1 else 9), 255, 256):
        found = explore_in_parts(instance, roots, engine=engine, limit=limit, jobs=jobs, size=1)
        verdict = next(v for v in found.verdicts if v.property == "climb.small")
        assert found.states <= 256 and found.initial <= 16, "nothing is counted twice"
        if verdict.trace is not None:
            assert len(verdict.trace.steps) >= shortest
            assert len(verdict.trace.steps) == shortest or "why" in verdict.detail
            certain += "why" not in verdict.detail
        elif verdict.status is Status.UNKNOWN and "all others to depth " in verdict.detail["why"]:
            depths.add(int(verdict.detail["why"].rpartition(" ")[2]))
        assert (verdict.status is Status.CHECKED) == (found.complete and most == 10**6)
        assert not found.complete or (found.states, found.initial) == (256, 16)
    assert all(depth < shortest for depth in depths)
    assert certain or most == 10**6 or jobs > 1
    assert max(depths, default=0) > 0 or most < 16


def test_first_states_that_the_limit_left_out_are_not_said_to_be_looked_at() -> None:
    """The last ones violate something; python looks at first states one by one, up to the limit."""
    instance, roots = climbers(2, 95)
    first = next(iter(roots))
    many = [instance.freeze([*first[:-1], number]) for number in range(100)]
    cut = explore_in_parts(instance, many, engine="python", limit=10, jobs=1)
    verdict = next(v for v in cut.verdicts if v.property == "climb.small")
    assert verdict.status is Status.UNKNOWN
    assert verdict.detail["why"].endswith(
        "stopped at the limit of 10 states, with 0 choices of constants explored to the end"
    )
    assert any(v.trace for v in explore_in_parts(instance, many, limit=10, jobs=1).verdicts), "columns take them all"


def test_goals_that_were_reached_before_all_was_looked_at_again_stay_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    instance, roots = climbers(4)
    monkeypatch.setattr(parts, "LEAST", 1)
    found = explore_in_parts(instance, roots, limit=31, jobs=1, size=1, engine="python")
    assert not found.complete
    assert next(v.status for v in found.verdicts if v.property == "climb.all") is Status.CHECKED


def endless() -> Spec:
    """A number that doubles for ever, with a constant that changes nothing."""
    spec = Spec("endless")
    spec.const("odd", Item)
    total = spec.var("total", to=Int, init=lambda: 1)

    @spec.action
    def double() -> None:
        total.becomes(total() * 2)

    spec.invariant("endless.positive")(lambda: total() > 0)
    return spec


@pytest.mark.parametrize("engine", ["python", "numpy"])
def test_the_sample_that_sizes_parts_keeps_to_the_limit(monkeypatch: pytest.MonkeyPatch, engine: Any) -> None:
    """Also where states have no end, or integers no room: there is nothing to raise before anything is explored."""
    instance, roots = every_instance(endless(), {Item: 3})
    looked, own = list[int](), Explorer.explore

    def explore_(self: Explorer, part: Any) -> Any:
        outcome = own(self, part)
        looked.append(outcome.found.states)
        return outcome

    monkeypatch.setattr(Explorer, "explore", explore_)
    for limit, most in ((10, 2 * 11), (500, 2 * 501), (10**6, 12 * 64)):
        if limit == 10**6 and engine == "python":
            continue  # whose integers have room
        looked.clear()
        size = parts.part_size(Explorer(instance, engine, None, Shared(), limit), roots)
        assert 0 < sum(looked) <= most
        assert size == parts.TARGET * len(looked) // sum(looked)


def test_an_integer_without_room_is_said_when_nothing_is_violated_elsewhere() -> None:
    instance, roots = every_instance(endless(), {Item: 2})
    for jobs in (1, 2 if processes() else 1):
        with pytest.raises(ValueError, match="needs more than the 62 bits"):
            explore_in_parts(instance, roots, jobs=jobs, size=1)


def test_a_part_that_is_too_large_is_cut_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    instance, roots = mtpo_instance(2, 1, 1)
    whole = explore(instance, roots)
    monkeypatch.setattr(parts, "CEILING", 2_000)
    for engine in ("numpy", "python"):
        found = explore_in_parts(instance, roots, engine=engine, jobs=1, size=50)  # type: ignore[arg-type]
        same(found, whole)
        assert found.parts > 5


# -- processes -----------------------------------------------------------------------------------------------------


@forks
def test_a_process_that_is_lost_leaves_the_rest_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Explorer.explore

    def explore_(self: Explorer, part: Any) -> Any:
        if part.start == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return own(self, part)

    monkeypatch.setattr(Explorer, "explore", explore_)
    found = explore_in_parts(*climbers(4), jobs=2, size=1)
    assert not found.complete
    verdict = next(v for v in found.verdicts if v.property == "climb.small")
    assert verdict.status is Status.UNKNOWN
    assert "stopped at the loss of a process: it died (SIGKILL), with " in verdict.detail["why"]


@forks
def test_a_process_that_is_killed_while_it_counts_holds_up_nobody() -> None:
    """It writes into a cell of its own, without a lock."""
    shared = Shared(1)

    def count() -> None:
        shared.write_into(1)
        while True:
            shared.count(1)
            shared.violated(7)

    for number in range(30):
        child = multiprocessing.get_context("fork").Process(target=count, daemon=True)
        before = shared.states
        child.start()
        while shared.states == before:
            time.sleep(0)
        child.kill()
        child.join()
        shared.count(1000)
        assert (shared.states >= 1000 * (number + 1), shared.shortest) == (True, 7)
    shared.violated(3)
    assert shared.shortest == 3


def test_no_two_processes_write_into_a_cell() -> None:
    """Each asks for its next part before its last answer is noted."""
    jobs = 3
    numbers = iter(range(100))
    queue = _Queue(lambda: Part(next(numbers), ()), cells(jobs))
    asked = [queue[number] for number in range(jobs)]
    for number in range(jobs, 40):
        asked.append(queue[number])
        assert asked[-1] == queue[number], "another process is asked the same in its place"
        held = [one[1] for one in asked[number - jobs :] if one is not None]
        assert len(set(held)) == len(held) == jobs + 1 and {*held} <= {*range(1, jobs + 2)}
        assert queue.answered(number - jobs) == Part(number - jobs, ())
    assert queue.busy and queue.answered(99) is None


@forks
def test_what_a_process_can_not_do_is_raised_here() -> None:
    instance, roots = climbers(3, step=1 << 70)
    with pytest.raises(ValueError, match="needs more than the 62 bits"):
        explore_in_parts(instance, roots, jobs=2, size=1)


def test_how_far_it_is_is_told() -> None:
    told: list[Progress] = []
    found = explore_in_parts(*climbers(4), jobs=2 if processes() else 1, size=2, progress=told.append)
    assert told[-1] == Progress(found.states, found.parts, 16, found.states)
    assert [p.states for p in told] == sorted(p.states for p in told)
    assert told[-1].text(16) == ("256 states; 8 parts done, 16 of 16 choices of constants, about 256 states in all")


# -- checkpoints ---------------------------------------------------------------------------------------------------


class Stopped(Exception):
    pass


def interrupted(instance: Instance, roots: Any, folder: Path, at: int, **options: Any) -> PartsSaved:
    """An exploration that is stopped before the part from place ``at`` on."""
    saved = PartsSaved(folder)
    own = Explorer.explore

    def explore_(self: Explorer, part: Any) -> Any:
        if part.start >= at:
            raise Stopped
        return own(self, part)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Explorer, "explore", explore_)
        explore_in_parts(instance, roots, jobs=1, checkpoint=saved, **options)
    return saved


@pytest.mark.parametrize("symmetry", [False, True])
def test_an_exploration_goes_on_with_the_parts_that_are_not_done(tmp_path: Path, symmetry: bool) -> None:
    instance, roots = climbers(5)
    saved = interrupted(instance, roots, tmp_path, 3, size=1, symmetry=symmetry)
    assert 0 < saved.saved < (32 * 32)
    begun: list[int] = []
    own = Explorer.explore
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Explorer, "explore", lambda self, part: begun.append(part.start) or own(self, part))  # type: ignore[func-returns-value]
        again = PartsSaved(tmp_path, resume=True)
        found = explore_in_parts(instance, roots, jobs=1, size=2, symmetry=symmetry, checkpoint=again)
    assert begun[0] == 3
    same(found, explore(instance, roots, engine="numpy", symmetry=symmetry))
    assert again.saved == found.states
    whole = explore_in_parts(instance, roots, symmetry=symmetry, checkpoint=PartsSaved(tmp_path, resume=True))
    same(whole, found)
    assert found.seconds >= json.loads((tmp_path / FILE).read_text())["seconds"] > 0


def test_what_lies_between_parts_that_are_done_is_explored(tmp_path: Path) -> None:
    instance, roots = climbers(4)
    explore_in_parts(instance, roots, jobs=1, size=3, checkpoint=PartsSaved(tmp_path))
    saved = PartsSaved(tmp_path, resume=True)
    saved.begin(instance, False)
    for start in (3, 9):
        del saved._parts[start]
    saved.save()
    found = explore_in_parts(instance, roots, jobs=1, size=100, checkpoint=PartsSaved(tmp_path, resume=True))
    same(found, explore(instance, roots))
    starts = sorted(part["start"] for part in json.loads((tmp_path / FILE).read_text())["parts"])
    assert starts == [0, 3, 6, 9, 12, 15]


def test_a_limit_can_be_raised(tmp_path: Path) -> None:
    instance, roots = climbers(4)
    cut = explore_in_parts(instance, roots, limit=100, jobs=1, size=1, checkpoint=PartsSaved(tmp_path))
    assert not cut.complete
    found = explore_in_parts(instance, roots, jobs=1, size=1, checkpoint=PartsSaved(tmp_path, resume=True))
    same(found, explore(instance, roots))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    instance, roots = climbers(3)
    explore_in_parts(instance, roots, jobs=1, size=3, checkpoint=PartsSaved(tmp_path))
    before = (tmp_path / FILE).read_bytes()

    def refused(text: str, made: Any = None, resume: bool = True, folder: Path = tmp_path, **options: Any) -> None:
        with pytest.raises(CheckpointError, match=text) as caught:
            explore_in_parts(*(made or (instance, roots)), checkpoint=PartsSaved(folder, resume=resume), **options)
        assert "\n" not in str(caught.value)
        assert (tmp_path / FILE).read_bytes() == before

    refused("holds a checkpoint; go on from it with --resume", resume=False)
    refused("holds no checkpoint of parts to resume; leave out --resume", folder=tmp_path / "other")
    refused("climb has changed since; remove the folder", climbers(3, most=7))
    refused("of other sizes, 3 Item; remove the folder", climbers(4))
    refused("it was begun without --symmetry", symmetry=True)
    refused("it is of climb, not of mtpo", mtpo_instance(1, 1, 1))
    refused("it is of other constants or initial states", (instance, Roots(lambda: reversed(list(roots)))))
    for change in (
        b"",
        b"[]",
        b"[" * 100_000,
        before[: len(before) // 2],
        before.replace(b'"initial": 3', b'"initial": 4'),
    ):
        assert change != before
        (tmp_path / FILE).write_bytes(change)
        with pytest.raises(CheckpointError, match=f"{FILE}: is damaged.*; remove the folder"):
            explore_in_parts(instance, roots, checkpoint=PartsSaved(tmp_path, resume=True))


def test_an_option_that_is_another_is_named(tmp_path: Path) -> None:
    instance, roots = climbers(3)
    begun = {"--agents": 2, "--faults": False}
    explore_in_parts(instance, roots, jobs=1, checkpoint=PartsSaved(tmp_path, options=begun))

    def resumed(**now: Any) -> Exploration:
        saved = PartsSaved(tmp_path, resume=True, options=now)
        return explore_in_parts(*climbers(3 if now["--agents"] == 2 else 4), jobs=1, checkpoint=saved)

    assert resumed(**begun).complete
    with pytest.raises(CheckpointError, match="it was begun with --agents 2 and without --faults; remove the folder"):
        resumed(**{"--agents": 3, "--faults": True})


def test_what_a_killed_process_left_is_removed_when_it_goes_on(tmp_path: Path) -> None:
    instance, roots = climbers(3)
    (tmp_path / f"{FILE}.77.new").write_bytes(b"{")
    (tmp_path / "mine.new").write_bytes(b"kept")
    explore_in_parts(instance, roots, jobs=1, checkpoint=PartsSaved(tmp_path))
    assert {file.name for file in tmp_path.iterdir()} == {FILE, "mine.new"}
    (tmp_path / f"{FILE}.78.new").write_bytes(b"{")
    with pytest.raises(CheckpointError):
        explore_in_parts(instance, roots, jobs=1, checkpoint=PartsSaved(tmp_path))
    assert (tmp_path / f"{FILE}.78.new").exists(), "what is refused is left as it is"
    explore_in_parts(instance, roots, jobs=1, checkpoint=PartsSaved(tmp_path, resume=True))
    assert {file.name for file in tmp_path.iterdir()} == {FILE, "mine.new"}


def full(monkeypatch: pytest.MonkeyPatch, often: int) -> None:
    """So many writings fail."""
    left = [often]

    def fsync(file: int) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_full_disk_hides_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instance, roots = climbers(4)
    saved = PartsSaved(tmp_path)
    full(monkeypatch, 10**9)
    found = explore_in_parts(instance, roots, jobs=1, size=3, checkpoint=saved)
    same(found, explore(instance, roots))
    assert saved.failed == f"{tmp_path / FILE}: No space left on device"
    assert (saved.saved, list(tmp_path.iterdir())) == (0, [])
    saved = PartsSaved(tmp_path, every=0.0)
    full(monkeypatch, 2)
    explore_in_parts(instance, roots, jobs=1, size=3, checkpoint=saved)
    assert (saved.saved, saved.failed) == (found.states, ""), "it was tried again"


def test_an_interrupt_saves_the_parts_that_are_done(tmp_path: Path) -> None:
    instance, roots = climbers(4)
    saved = PartsSaved(tmp_path)
    own = Explorer.explore

    def explore_(self: Explorer, part: Any) -> Any:
        if part.start == 4:
            raise KeyboardInterrupt
        return own(self, part)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Explorer, "explore", explore_)
        explore_in_parts(instance, roots, jobs=1, size=1, checkpoint=saved)
    assert saved.saved == 4 * 16


# -- what evidence rests on ----------------------------------------------------------------------------------------


def test_what_parts_are_explored_by_is_among_the_sources_of_what_is_explored() -> None:
    """All but what says how large parts are, and what only shows the outcome."""
    root = Path(parts.__file__).parents[1]
    todo, seen = ["parts/parts"], set[str]()
    while todo:
        name = todo.pop()
        if name in seen or name in ("exploration/starts", "verdicts"):
            continue
        seen.add(name)
        nodes = ast.walk(ast.parse((root / f"{name}.py").read_text(encoding="utf-8")))
        modules = [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module]
        todo += [m.removeprefix("mtpo.proofs.").replace(".", "/") for m in modules if m.startswith("mtpo.proofs.")]
    assert {*(f"parts/{name}" for name in ("part", "partition", "partwork", "partsaved")), "children"} <= seen
    assert {f"proofs/{name}.py" for name in seen} <= set(METHODS["exhaustive"])
