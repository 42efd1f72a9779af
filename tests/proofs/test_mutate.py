"""Mutants: each rule dropped is caught by a named property, or listed as equivalent with the reason."""

from __future__ import annotations

import os
from collections import Counter

import pytest

import mtpo.proofs.mutate as mutating
from mtpo.proofs.alterations import alterations
from mtpo.proofs.children import Interrupted, processes
from mtpo.proofs.mutate import SIZES, Mutant, mutants, mutate, try_mutant
from mtpo.spec.language import Spec
from mtpo.spec.mtpo import mtpo
from mtpo.spec.paged_kv import kv

ALL = list(mutants(mtpo))

# One mutant of each action, of those that a short exploration catches, and the property that catches it.
ONE_EACH = {
    "mtpo.launch.rank-order": "mtpo.launch-in-rank-order",
    "mtpo.finish.inbox-empty": "mtpo.consumed-before-action",
    "mtpo.reopen.notified": "mtpo.lemma-agents",
    "mtpo.abort.sighted:=": "mtpo.lemma-aborted",
    "mtpo.deliver.at-work": "mtpo.consumed-before-action",
    "mtpo.commit.lower-committed": "mtpo.commit-in-rank-order",
    "mtpo.read.is-greatest": "mtpo.filtered-read",
    "mtpo.call.seeds": "mtpo.lemma-closed",
    "mtpo.retract.by-its-author": "mtpo.retract-by-author",
    "mtpo.undone.top:=": "mtpo.live-materialized",
    "mtpo.retracted.ours": "mtpo.foreign-untouched",
    "mtpo.applied.base:=": "mtpo.live-materialized",
    "mtpo.failed.all-undone": "mtpo.filtered-read",
    "mtpo.redone.note:=": "mtpo.redo-told",
    "mtpo.cancelled.note:=": "mtpo.withdrawn-told",
    "mtpo.stranded.after-landing": "mtpo.withdrawn-after-landing",
    "mtpo.settle.note:=": "mtpo.premise-fresh-or-notified",
}


def test_there_is_one_of_each_action() -> None:
    """But for ``external``, which has no guard: without its one update it does nothing, and is caught for that."""
    assert [id.split(".")[1] for id in ONE_EACH] == [name for name in mtpo.actions if name != "external"]


@pytest.mark.parametrize("id", ONE_EACH)
def test_a_mutant_of_each_action_is_caught_by_a_run(id: str) -> None:
    (mutant,) = (m for m in ALL if m.id == id)
    fate = try_mutant(mutant, SIZES["mtpo"])
    assert ONE_EACH[id] in fate.killed_by
    assert not fate.survived
    assert fate.how == "exhaustive"
    trace = fate.trace
    assert trace is not None and not trace.inductive
    assert trace.instance.assumed(trace.states[0]) == []
    for before, step, after in zip(trace.states, trace.steps, trace.states[1:], strict=False):
        cells = list(before)
        assert trace.instance.enabled(before, step)
        trace.instance.perform(cells, step)
        assert bytes(cells) == after


def test_a_mutant_that_small_runs_do_not_catch_is_caught_by_a_step() -> None:
    (mutant,) = (m for m in ALL if m.id == "mtpo.call.closed")
    fate = try_mutant(mutant, SIZES["mtpo"], timeout_ms=20_000)
    assert fate.how == "inductive"
    assert fate.killed_by
    assert fate.trace is not None and fate.trace.inductive
    assert [step.action for step in fate.trace.steps] == ["call"]


def test_every_alteration_of_every_action_is_a_mutant() -> None:
    for spec in (mtpo, kv):
        made = list(mutants(spec))
        assert [m.id for m in made] == [a.id for action in spec.actions.values() for a in alterations(spec, action)]
        for mutant in made:
            changed = [name for name in spec.actions if mutant.spec.actions[name] is not spec.actions[name]]
            assert changed == [mutant.action]


def test_no_two_mutants_have_one_id() -> None:
    """An id listed as equivalent must excuse one mutant only."""
    for spec in (mtpo, kv):
        twice = [id for id, count in Counter(m.id for m in mutants(spec)).items() if count > 1]
        assert twice == []


def test_the_mutants_of_the_lock(lock: Spec) -> None:
    fates = mutate(lock)
    assert {f.mutant.id: f.killed_by for f in fates if "holder" not in f.mutant.id}.keys() == {
        "lock.acquire.free",
        "lock.acquire.free~0",
        "lock.acquire.holds:=",
        "lock.release.holds:=",
    }
    assert not any(f.survived for f in fates)
    free = fates[0]
    assert free.mutant.what == "guard: ~(exists q: Process. holds(q))"
    assert free.as_json()["killed_by"] == ["lock.exclusion", "lock.no-barging"]


def test_a_rule_that_no_property_needs_survives(lock: Spec) -> None:
    """Without its variant the lock does not say that only a holder leaves."""
    fates = mutate(lock.without(variants={}), only="lock.release.holder")
    assert [(f.mutant.id, f.survived, f.killed_by) for f in fates] == [("lock.release.holder", True, ())]


def test_progress_is_told_and_only_selects(lock: Spec) -> None:
    told: list[tuple[int, int, str]] = []
    fates = mutate(lock, only="free", progress=lambda *at: told.append(at))
    assert [f.mutant.id for f in fates] == ["lock.acquire.free", "lock.acquire.free~0"]
    first = "first whether the spec itself holds"
    assert [what for _, _, what in told[:3]] == [first, f"{first}: acquire", f"{first}: release"]
    assert [what for _, _, what in told[3:]] == ["lock.acquire.free", "lock.acquire.free~0", ""]
    assert {(total, done <= total) for done, total, _ in told} == {(2, True)}
    assert (told[0][0], told[-1][0]) == (0, 2)


def test_fates_are_told_in_order_as_soon_as_they_are_known(lock: Spec) -> None:
    decided: list[str] = []
    before: list[int] = []
    fates = mutate(
        lock,
        only="acquire",
        jobs=0,
        progress=lambda done, total, what: before.append(len(decided)),
        decided=lambda fate: decided.append(fate.mutant.id),
    )
    assert decided == [f.mutant.id for f in fates]
    assert before == [0, 0, 0, 0, 1, 2, 3], "three questions about the lock itself, three mutants, the end"


@pytest.mark.skipif(processes() == 0, reason="no forks here")
def test_a_mutant_whose_process_is_lost_is_unknown(lock: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(mutant: Mutant, *args: object, **kwargs: object) -> None:
        os._exit(9)

    monkeypatch.setattr(mutating, "try_mutant", lost)
    for fate in mutate(lock, only="free", jobs=1):
        assert (fate.killed_by, fate.survived) == ((), False)
        assert fate.as_json()["unknown"] == "the solver's process died (exit code 9)"


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [*ALL, *mutants(kv)], ids=lambda mutant: mutant.id)
def test_every_mutant_is_caught_or_listed_as_equivalent(mutant: Mutant) -> None:
    spec = mutant.id.split(".")[0]
    sizes = SIZES.get(spec) or dict.fromkeys(mutant.spec.sorts, 3)
    fate = try_mutant(mutant, sizes, timeout_ms=20_000)
    assert not fate.survived
    assert bool(fate.killed_by) != bool(fate.reason)


def test_an_interrupt_leaves_what_is_known() -> None:
    def stop(done: int, total: int, what: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="interrupted after 2 of") as stopped:
        mutate(kv, only="kv.evict", progress=stop, jobs=0)
    fates = stopped.value.found
    assert [f.why for f in fates[:2]] == ["", ""]
    assert {f.why for f in fates[2:]} == {f"interrupted after 2 of {len(fates)} mutants"}
    assert not any(f.survived for f in fates[2:])
