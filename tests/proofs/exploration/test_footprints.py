"""Footprints that are drawn are explored to the end, and nothing more is claimed than that."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
import pytest

from mtpo.proofs.children import processes
from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.footprints import TooFew, distinct, explore_footprints
from mtpo.proofs.exploration.instances import mtpo_instance
from mtpo.proofs.exploration.starts import drawing, footprints
from mtpo.proofs.parts.part import Explorer
from mtpo.proofs.verdicts import Status, exit_code
from mtpo.spec.mtpo import mtpo

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes wrap around


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 1, 2), (1, 1, 3), (1, 2, 2)])
def test_footprints_are_counted_as_they_are_made(sizes: Any) -> None:
    instance, roots = mtpo_instance(*sizes)
    assert footprints(instance, renamed=True) == len(list(roots))
    drawn = {drawing(instance, roots)(Random(n)) for n in range(40 if sizes == (1, 1, 1) else 3)}
    assert len(drawn) <= footprints(instance)
    if sizes[2] == 1:
        assert drawn <= set(roots) and footprints(instance) == footprints(instance, renamed=True)
    if sizes == (1, 1, 1):
        assert len(drawn) == footprints(instance) == 10


def test_they_are_drawn_once_each_and_the_seed_decides_which() -> None:
    instance, roots = mtpo_instance(2, 1, 1)
    assert set(distinct(instance, 50, 3)) == set(roots)
    assert distinct(instance, 8, 1) == distinct(instance, 9, 1)[:8] != distinct(instance, 8, 2)
    with pytest.raises(TooFew, match="51 footprints: there are 50 of these sizes; explore them all"):
        distinct(instance, 51, 0)


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_is_explored_to_the_end(jobs: int) -> None:
    if jobs > 1 and not processes():
        pytest.skip("no forks on this system")
    instance, _ = mtpo_instance(3, 1, 1)
    found = explore_footprints(instance, 6, seed=2, jobs=jobs)
    each = [explore(instance, [root]) for root in distinct(instance, 6, 2)]
    assert list(found.states) == [one.states for one in each]
    assert found.found.states == sum(found.states)
    assert found.found.transitions == sum(one.transitions for one in each)
    assert (found.drawn, found.explored, found.total, found.jobs) == (6, 6, 250, jobs)
    assert exit_code(found.verdicts) == 0
    checked = [p.id for p in instance.spec.role("invariant", "lemma", "step")]
    assert [v.property for v in found.verdicts if v.status is Status.SAMPLED] == checked
    reached = {v.property for v in found.verdicts if v.status is Status.CHECKED}
    assert reached | set(found.unreached) == {p.id for p in instance.spec.role("reachable")}
    assert {v.status for v in found.verdicts} <= {Status.SAMPLED, Status.CHECKED}
    detail = found.verdicts[0].detail
    assert (detail["footprints"], detail["explored"], detail["of"], detail["seed"]) == (6, 6, 250, 2)
    assert detail["symmetry"] is False
    assert found.as_json()["states_of_each"] == list(found.states)


def test_all_of_them_are_still_a_sample() -> None:
    instance, roots = mtpo_instance(2, 1, 1)
    found = explore_footprints(instance, 50, jobs=1)
    assert found.found.states == explore(instance, roots, engine="numpy").states
    assert found.verdicts[0].status is Status.SAMPLED


def test_one_that_is_too_large_leaves_what_holds_unknown() -> None:
    instance, _ = mtpo_instance(3, 1, 1)
    whole = explore_footprints(instance, 6, seed=2, jobs=1).states
    found = explore_footprints(instance, 6, seed=2, jobs=1, limit=max(whole) - 1)
    assert exit_code(found.verdicts) == 3
    cut = sum(n == max(whole) for n in whole)
    assert found.explored == 6 - cut
    verdict = next(v for v in found.verdicts if v.property == "mtpo.gate")
    assert verdict.status is Status.UNKNOWN
    assert found.cut == found.as_json()["over_limit"] == cut
    assert verdict.detail["why"].endswith(
        f"; {6 - cut} of 6 footprints explored to the end, {cut} {'has' if cut == 1 else 'have'} more than "
        f"{max(whole) - 1:,} states: a higher --limit explores {'it' if cut == 1 else 'them'}"
    )
    assert not any(v.status is Status.SAMPLED for v in found.verdicts)


def test_what_is_violated_is_shown_by_a_shortest_run() -> None:
    commit = mtpo.actions["commit"]
    kept = tuple(c for c in commit.guard if c.id != "mtpo.commit.lower-committed")
    weak = mtpo.without(actions={**mtpo.actions, "commit": attrs.evolve(commit, guard=kept)})
    instance, _ = mtpo_instance(2, 1, 1, spec=weak)
    found = explore_footprints(instance, 10, seed=1, jobs=1)
    verdict = next(v for v in found.verdicts if v.property == "mtpo.commit-in-rank-order")
    assert (verdict.status, verdict.method) == (Status.FAILED, "sampled")
    assert verdict.trace is not None and len(verdict.trace.steps) == 4
    assert "why" not in verdict.detail
    assert not any(v.status is Status.SAMPLED for v in found.verdicts)


def test_a_lost_process_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    if not processes():
        pytest.skip("no forks on this system")
    own = Explorer.explore

    def explore_(self: Explorer, part: Any) -> Any:
        if part.start == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return own(self, part)

    monkeypatch.setattr(Explorer, "explore", explore_)
    found = explore_footprints(mtpo_instance(2, 1, 1)[0], 6, jobs=2)
    verdict = next(v for v in found.verdicts if v.property == "mtpo.gate")
    assert verdict.status is Status.UNKNOWN
    assert "a process was lost: it died (SIGKILL)" in verdict.detail["why"]
