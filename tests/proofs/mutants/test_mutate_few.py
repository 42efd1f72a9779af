"""A few mutants: tried as all of them are, and of the spec itself only what they need is asked first."""

from __future__ import annotations

from typing import Any

import pytest

import mtpo.proofs.mutants.mutate as mutating
from mtpo.proofs.children import Interrupted
from mtpo.proofs.evidence import held_before
from mtpo.proofs.ledger import Entry, sources_hash
from mtpo.proofs.mutants.mutate import Fate, NotSound, mutate
from mtpo.spec.language import Sort, Spec, exists, forall, implies, require


class Process(Sort):
    "a process"


def lock(*, wrong: bool = False) -> Spec:
    """A lock; one that is ``wrong`` promises of asking what does not hold."""
    spec = Spec("half", "A lock.")
    inside = spec.var("inside", Process, init=lambda p: False, doc="p is in")
    asked = spec.var("asked", Process, init=lambda p: False, doc="p wants in")

    @spec.action
    def ask(p: Process) -> None:
        "p asks."
        require("outside", ~inside(p))
        require("new", ~asked(p))
        asked[p] = True

    @spec.action
    def enter(p: Process) -> None:
        "p enters."
        require("free", ~exists(Process, lambda q: inside(q)))
        require("asked", asked(p))
        inside[p] = True
        asked[p] = False

    @spec.action
    def leave(p: Process) -> None:
        "p leaves."
        require("inside", inside(p))
        inside[p] = False

    @spec.invariant("half.exclusion")
    def exclusion() -> Any:
        "At most one is inside, and it asks for nothing."
        one = forall(Process, Process, lambda p, q: implies(inside(p) & inside(q), p == q))
        return one & forall(Process, lambda p: ~(inside(p) & asked(p)))

    @spec.step_property("half.one-thing")
    def one_thing() -> Any:
        "Who asks or leaves was outside without a wish, or inside."
        begins = forall(Process, lambda p: implies(asked.next(p) & ~asked(p), ~inside(p)))
        return begins & forall(Process, lambda p: implies(inside(p) & ~inside.next(p), ~asked.next(p)))

    if wrong:

        @spec.step_property("half.outside-asks")
        def outside_asks() -> Any:
            "Nobody asks while another is inside."
            return forall(Process, Process, lambda p, q: implies(asked.next(p) & ~asked(p), ~inside(q)))

    return spec


def mutants_entry(name: str, module: str, sources: str = "") -> Entry:
    return Entry(f"{name}.mutants", "mutants", "CHECKED", "", sources or sources_hash(module, "mutants"), {})


def test_what_becomes_of_a_few_is_what_becomes_of_them_among_all() -> None:
    every = [fate for fate in mutate(lock(), jobs=0) if "enter" in fate.mutant.id]
    told: list[Any] = []
    few = mutate(lock(), only="enter", jobs=0, decided=told.append)
    assert len(few) > 2 and told == few and any(fate.trace for fate in few) and any(fate.survived for fate in few)
    assert [replaced(fate) for fate in few] == [replaced(fate) for fate in every]
    assert mutate(lock(), only="no such mutant", jobs=0) == []


def replaced(fate: Fate) -> tuple[Any, ...]:
    """A fate without its seconds, and without what one spec and another of the same text don't share."""
    lines = fate.trace.lines() if fate.trace else []
    return fate.mutant.id, fate.mutant.digest, fate.killed_by, fate.how, fate.reason, lines


def test_of_the_spec_itself_only_what_they_need_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = mutating._unsound_step

    def step(spec: Spec, action: str, *rest: Any) -> str:
        asked.append(action)
        return real(spec, action, *rest)

    monkeypatch.setattr(mutating, "_unsound_step", step)
    monkeypatch.setattr(mutating, "_unsound_run", lambda spec, size: asked.append("runs") or "")
    told: list[str] = []
    mutate(lock(), only="enter", jobs=0, progress=lambda done, total, what: told.append(what))
    assert asked == ["runs", "enter"] and told[0] == "first whether the spec itself holds"
    asked.clear()
    mutate(lock(), only="enter", jobs=0, held=True)
    assert asked == []


def test_mutants_of_a_spec_that_fails_are_not_tried() -> None:
    wrong = lock(wrong=True)
    with pytest.raises(NotSound, match=r"half fails as it stands: half\.outside-asks"):
        mutate(wrong, only="leave.inside", jobs=0)


def test_a_step_of_the_weakened_action_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutating, "_unsound_run", lambda spec, size: "")
    wrong = lock(wrong=True)
    with pytest.raises(NotSound, match=r"half is not inductive as it stands: half\.outside-asks at ask"):
        mutate(wrong, only="ask.outside", jobs=0)
    found = [fate.mutant.id for fate in mutate(wrong, only="leave.inside", jobs=0)]
    assert found == ["half.leave.inside", "half.leave.inside:="]


def test_an_interrupt_leaves_what_was_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    real, tried = mutating.try_mutant, []

    def once(mutant: Any, *rest: Any, **more: Any) -> Any:
        if tried:
            raise KeyboardInterrupt
        tried.append(mutant.id)
        return real(mutant, *rest, **more)

    monkeypatch.setattr(mutating, "try_mutant", once)
    with pytest.raises(Interrupted, match="interrupted after 1 of") as stop:
        mutate(lock(), only="enter", held=True, jobs=0)
    first, *others = stop.value.found
    assert first.mutant.id == tried[0] and first.killed_by and all(fate.why for fate in others)


def test_the_ledger_speaks_for_a_spec_as_long_as_its_sources_are_the_same() -> None:
    assert held_before("kv", [mutants_entry("kv", "paged_kv")])
    assert not held_before("kv", [mutants_entry("kv", "paged_kv", "other sources")])
    assert not held_before("kv", [mutants_entry("delivery", "delivery")])
