"""An exploration in parts that is stopped at a limit claims no more than is so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import mtpo.proofs.parts.parts as parts
from mtpo.proofs.children import processes
from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import Roots, every_instance, mtpo_instance
from mtpo.proofs.parts.part import Explorer, Shared
from mtpo.proofs.parts.parts import explore_in_parts
from mtpo.proofs.verdicts import Status
from mtpo.spec.language import Int, Spec
from tests.proofs.parts.climbing import Item, climbers, forks, same

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes wrap around


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
