"""Alterations: every weakening of an action once, none that says the same, and what a quantifier leaves out is any."""

from __future__ import annotations

from collections import Counter

import pytest

from mtpo.proofs.mutants.alterations import SKIPPED, alterations
from mtpo.proofs.mutants.mutate import mutants, mutate
from mtpo.spec.language import Sort, Spec, conjuncts, exists, forall, formals_of, implies, ite, require
from mtpo.spec.mtpo import mtpo
from mtpo.spec.paged_kv import kv


class Cell(Sort):
    "a cell"


def board() -> Spec:
    """One action with everything that can be weakened."""
    spec = Spec("board")
    on = spec.var("on", Cell, init=lambda a: False)
    seen = spec.var("seen", Cell, init=lambda a: False)

    @spec.action
    def put(a: Cell) -> None:
        require("first", forall(Cell, lambda b: implies(on(b) & (a != b), seen(b) & (a == b))))
        require("some", exists(Cell, lambda b: on(b) | seen(b)))
        on.becomes(lambda b: ite((a == b) & ~seen(b), True, on(b)))
        seen[a] = forall(Cell, lambda b: on(b))

    return spec


def test_every_way_to_weaken_an_action_is_there_once() -> None:
    spec = board()
    found = {a.id: a.what for a in alterations(spec, spec.actions["put"])}
    on, seen = "on[x0] := if (a = x0) & ~seen(x0) then true else on(x0)", "seen[a] := forall b: Cell. on(b)"
    assert list(found.items()) == [
        ("board.put.first", "guard: forall b: Cell. (on(b) & a != b) -> (seen(b) & (a = b))"),
        ("board.put.first~0", "guard: without seen(b)"),
        ("board.put.first~1", "guard: without a = b"),
        ("board.put.first~2", f"guard: one Cell b left out of {found['board.put.first'].removeprefix('guard: ')}"),
        ("board.put.some", "guard: exists b: Cell. on(b) | seen(b)"),
        ("board.put.on:=", f"update dropped: {on}"),
        ("board.put.on:=~0", f"update: without a = x0, in {on}"),
        ("board.put.on:=~1", f"update: without ~seen(x0), in {on}"),
        ("board.put.on:=~2", f"update: always true, in {on}"),
        ("board.put.seen:=", f"update dropped: {seen}"),
        ("board.put.seen:=~0", f"update: one Cell b left out of forall b: Cell. on(b), in {seen}"),
    ]


def test_a_quantifier_leaves_out_an_element_that_the_action_is_given() -> None:
    spec = board()
    for alteration in alterations(spec, spec.actions["put"]):
        shrunk = "left out" in alteration.what
        assert formals_of(alteration.action) == (("a", SKIPPED) if shrunk else ("a",))


@pytest.mark.parametrize("spec", [mtpo, kv], ids=lambda spec: spec.name)
def test_alterations_change_one_rule_and_have_ids_of_their_own(spec: Spec) -> None:
    for action in spec.actions.values():
        found = list(alterations(spec, action))
        assert [id for id, count in Counter(a.id for a in found).items() if count > 1] == []
        drops = [a for a in found if "~" not in a.id]
        assert len(drops) == sum(len(conjuncts(c.formula)) for c in action.guard) + len(action.updates)
        for a in found:
            guard = sum(old.formula is not new.formula for old, new in zip(action.guard, a.action.guard, strict=True))
            updates = [u for u in a.action.updates if not any(u is old for old in action.updates)]
            dropped = len(action.updates) - len(a.action.updates)
            assert (guard, len(updates), dropped) in {(1, 0, 0), (0, 1, 0), (0, 0, 1)}, a.id


def test_a_lock_that_overlooks_one_holder_is_caught(lock: Spec) -> None:
    """All but one is what a quantifier that is a little wrong says."""
    fates = {f.mutant.id: f for f in mutate(lock, only="lock.acquire.free")}
    assert set(fates) == {"lock.acquire.free", "lock.acquire.free~0"}
    assert all("lock.exclusion" in f.killed_by for f in fates.values())
    trace = fates["lock.acquire.free~0"].trace
    assert trace is not None
    assert trace.step_text(trace.steps[-1]) == "acquire(p=process1, skipped=process0)"


def test_mutants_are_tried_the_same_in_children_and_here() -> None:
    here, there = (mutate(kv, only="kv.evict", jobs=jobs) for jobs in (0, 2))
    assert [(f.mutant.id, f.killed_by, f.how, f.reason) for f in here] == [
        (f.mutant.id, f.killed_by, f.how, f.reason) for f in there
    ]
    assert [f.trace and f.trace.lines() for f in here] == [f.trace and f.trace.lines() for f in there]
    assert [m.id for m in mutants(kv) if "kv.evict" in m.id] == [f.mutant.id for f in here]


def test_what_is_left_out_is_named_apart_from_the_parameters() -> None:
    spec = Spec("taken")
    on = spec.var("on", Cell, init=lambda a: False)

    @spec.action
    def put(skipped: Cell) -> None:
        require("none", forall(Cell, lambda q: ~on(q)))
        on[skipped] = True

    found = {a.id: a.action for a in alterations(spec, spec.actions["put"])}
    assert formals_of(found["taken.put.none~0"]) == ("skipped", "skipped_")
    spec.invariant("taken.one")(lambda: forall(Cell, Cell, lambda a, b: implies(on(a) & on(b), a == b)))
    (fate,) = mutate(spec, only="none~0")
    assert fate.killed_by == ("taken.one",)


def test_two_updates_of_one_variable_have_ids_of_their_own() -> None:
    spec = Spec("twice")
    on = spec.var("on", Cell, init=lambda a: False)

    @spec.action
    def move(a: Cell, b: Cell) -> None:
        on[a] = False
        on[b] = True

    assert [a.id for a in alterations(spec, spec.actions["move"])] == ["twice.move.on[a]:=", "twice.move.on[b]:="]
