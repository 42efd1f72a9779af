"""Mutants: each rule dropped is caught by a named property, or listed as equivalent with the reason."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest

import mtpo.proofs.mutants.mutate as mutating
from mtpo.proofs.children import Interrupted, processes
from mtpo.proofs.mutants.alterations import alterations
from mtpo.proofs.mutants.listed import key_of
from mtpo.proofs.mutants.mutate import EQUIVALENT, SIZES, Mutant, mutants, mutate, try_mutant
from mtpo.spec.language import Bool, Sort, Spec, forall, function, implies, ite, require
from mtpo.spec.mtpo import mtpo
from mtpo.spec.paged_kv import kv

ALL = list(mutants(mtpo))


class Guest(Sort):
    "a guest"


# One mutant of each action, of those that a short exploration catches, and the property that catches it.
ONE_EACH = {
    "mtpo.launch.rank-order": "mtpo.launch-in-rank-order",
    "mtpo.finish.inbox-empty": "mtpo.consumed-before-action",
    "mtpo.reopen.notified": "mtpo.notes-consumed",
    "mtpo.abort.sighted:=": "mtpo.notified-serializable",
    "mtpo.deliver.at-work": "mtpo.consumed-before-action",
    "mtpo.commit.lower-committed": "mtpo.commit-in-rank-order",
    "mtpo.read.is-greatest": "mtpo.filtered-read",
    "mtpo.call.seeds": "mtpo.live-materialized",
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


def _lemma_alone() -> Spec:
    """A room of which only a lemma says that there is one inside at most."""
    spec = Spec("alone", "A room.")
    inside = spec.var("inside", Guest, init=lambda g: False, doc="is inside")

    @spec.action
    def enter(g: Guest) -> None:
        require("free", forall(Guest, lambda h: ~inside(h)))
        inside[g] = True

    @spec.lemma("alone.one")
    def one() -> Bool:
        return forall(Guest, Guest, lambda g, h: implies(inside(g) & inside(h), g == h))

    @spec.invariant("alone.true")
    def true() -> Bool:
        return forall(Guest, lambda g: inside(g) | ~inside(g))

    return spec


def test_there_is_one_of_each_action() -> None:
    """But for ``external``, which has no guard: without its one update it does nothing, and is caught for that."""
    assert [id.split(".")[1] for id in ONE_EACH] == [name for name in mtpo.actions if name != "external"]


@pytest.mark.parametrize("id", ONE_EACH)
def test_a_mutant_of_each_action_is_caught_by_a_run(id: str) -> None:
    (mutant,) = (m for m in ALL if m.id == id)
    fate = try_mutant(mutant, SIZES["mtpo"])
    assert ONE_EACH[id] in fate.told_by
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


def test_a_mutant_that_no_run_catches_is_caught_by_a_step() -> None:
    (mutant,) = (m for m in ALL if m.id == "mtpo.retract.locks-only~1")
    fate = try_mutant(mutant, SIZES["mtpo"], timeout_ms=20_000)
    assert fate.how == "inductive"
    assert fate.told_by == ("mtpo.locks-needed",)
    assert fate.trace is not None and fate.trace.inductive
    assert [step.action for step in fate.trace.steps] == ["retract"]


@pytest.mark.parametrize(
    ("id", "property"),
    [
        ("mtpo.call.gate", "mtpo.gate"),
        ("mtpo.call.one-at-a-time", "mtpo.final-told"),
        ("mtpo.call.closed~0", "mtpo.effects-exact"),
        ("mtpo.retract.free", "mtpo.no-lost-call"),
        ("mtpo.redone.ascending", "mtpo.in-place"),
    ],
)
def test_where_lemmas_break_it_is_looked_on_until_a_property_does(id: str, property: str) -> None:
    """In the small instances, or in a case of more calls; the lemmas are named last."""
    (mutant,) = (m for m in ALL if m.id == id)
    fate = try_mutant(mutant, SIZES["mtpo"], timeout_ms=1_000)
    assert property in fate.told_by
    lemmas = fate.killed_by[len(fate.told_by) :]
    assert lemmas and {mtpo.properties[lemma].role for lemma in lemmas} == {"lemma"}
    assert fate.how == "exhaustive" and fate.trace is not None and not fate.trace.inductive
    assert not fate.survived and not fate.mislisted


def test_what_a_lemma_alone_tells_survives_unless_it_is_said_why() -> None:
    """The property of the lock, made a lemma, with nothing else that speaks of who is inside."""
    (mutant,) = (m for m in mutants(_lemma_alone()) if m.id == "alone.enter.free")
    sizes = dict.fromkeys(mutant.spec.sorts, 2)
    fate = try_mutant(mutant, sizes, equivalent={})
    assert (fate.killed_by, fate.told_by, fate.survived, fate.by_lemma_alone) == (("alone.one",), (), True, False)
    said = try_mutant(mutant, sizes, equivalent={"alone.enter.free": "nobody looks"})
    assert (said.survived, said.by_lemma_alone, said.mislisted) == (False, True, False)
    assert said.as_json()["by_a_lemma_alone"] == "nobody looks"
    assert said.as_json()["equivalent"] is None


def test_each_mutant_that_a_lemma_alone_tells_has_its_reason() -> None:
    """That they are told by a lemma alone is found again by the whole of ``mtpo mutate mtpo``."""
    hidden = {key for key, reason in EQUIVALENT.items() if reason.startswith("hidden from all but a lemma because")}
    assert {key.partition("@")[0] for key in hidden} == {
        "mtpo.finish.at-work/0",
        "mtpo.abort.not-over/0",
        "mtpo.abort.sighted:=~0",
        "mtpo.abort.sighted:=~1",
        "mtpo.abort.sighted:=~4",
        "mtpo.read.one-at-a-time",
        "mtpo.read.one-at-a-time~0",
    }
    assert hidden <= {key_of(mutant) for mutant in ALL}


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
    assert [what for _, _, what in told[:2]] == [first, f"{first}: acquire"]
    assert [what for _, _, what in told[2:]] == ["lock.acquire.free", "lock.acquire.free~0", ""]
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
    assert before == [0, 0, 0, 1, 2, 3], "two questions about the lock itself, three mutants, the end"


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
    assert bool(fate.told_by) != bool(fate.reason)


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


def test_a_mutant_goes_without_what_no_formula_says_of_its_guard() -> None:
    """The guard reads a function at as many points as can be said; a mutant, that reads one more, is tried without the
    property that says of it that the action is enabled."""
    spec = Spec("m")
    places = [spec.const(f"c{i}", to=Guest) for i in range(5)]
    on = spec.var("on", Guest, init=lambda p: False)

    @spec.action(f=function(Guest))
    def go(p: Guest, f: Any) -> None:
        for number, place in enumerate(places):
            require(f"at-{number}", f(place()))
        point = ite(on(p) & on(places[1]()), p, places[2]())
        require("same", f(point) == f(point))
        on[p] = True

    spec.invariant("m.can")(lambda: forall(Guest, lambda p: spec.enabled("go", p)))
    tried = {mutant.id: mutant.spec for mutant in mutants(spec)}
    without = {id for id, each in tried.items() if "m.can" not in each.properties}
    assert without
    assert all(id.startswith("m.go.same~") for id in without)
    assert {id for id, each in tried.items() if id not in without} >= {f"m.go.at-{n}" for n in range(5)}
