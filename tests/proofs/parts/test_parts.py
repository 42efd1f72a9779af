"""What is explored in parts, by several processes, comes to what is explored in one piece."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings

import mtpo.proofs.parts.parts as parts
import tests.spec.random_specs as random_specs
from mtpo.proofs.children import processes
from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import Roots, every_instance, fair_instance, gap_instance, mtpo_instance
from mtpo.proofs.exploration.symmetry import symmetry_of
from mtpo.proofs.ledger import METHODS
from mtpo.proofs.parts.partition import Apart, Partition, rigid
from mtpo.proofs.parts.parts import explore_in_parts
from mtpo.proofs.verdicts import Status
from mtpo.spec.language import Spec, exists
from mtpo.spec.mtpo import mtpo
from tests.proofs.parts.climbing import Item, climbers, climbing, forks, same

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes wrap around


def weak(clause: str) -> Spec:
    """MTPO without a clause of a guard."""
    action = mtpo.actions[clause.split(".")[1]]
    kept = tuple(c for c in action.guard if c.id != clause)
    assert len(kept) == len(action.guard) - 1
    return mtpo.without(actions={**mtpo.actions, action.name: attrs.evolve(action, guard=kept)})


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


# -- what evidence rests on ----------------------------------------------------------------------------------------


def test_what_parts_are_explored_by_is_among_the_sources_of_what_is_explored() -> None:
    """All but what says how large parts are, where compiled code is kept, and what only shows the outcome."""
    root = Path(parts.__file__).parents[1]
    todo, seen = ["parts/parts"], set[str]()
    while todo:
        name = todo.pop()
        if name in seen or name in ("exploration/starts", "cachefolder", "verdicts"):
            continue
        seen.add(name)
        nodes = ast.walk(ast.parse((root / f"{name}.py").read_text(encoding="utf-8")))
        imported = [n for n in nodes if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("mtpo.proofs.")]
        for node in imported:
            module = str(node.module).removeprefix("mtpo.proofs.").replace(".", "/")
            whole = (root / module).is_dir()  # modules of a package, which says nothing itself
            todo += [f"{module}/{alias.name}" for alias in node.names] if whole else [module]
    assert {*(f"parts/{name}" for name in ("part", "partition", "partwork", "partsaved")), "children"} <= seen
    assert {f"proofs/{name}.py" for name in seen} <= set(METHODS["exhaustive"])
