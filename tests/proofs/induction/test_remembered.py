"""Hints: what sufficed is found again, and nothing is proven by a hint that does not fit."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mtpo.proofs.induction import remembered
from mtpo.proofs.induction.prover import Prover, obligations
from mtpo.proofs.induction.relevant import Goal
from mtpo.proofs.induction.remembered import HintsError, Memory, goal_digest, memory
from mtpo.proofs.verdicts import Status
from mtpo.spec.language import OrderedSort, Spec, forall, implies, require
from mtpo.spec.mtpo import mtpo


class Level(OrderedSort):
    "a level"


def tower() -> Spec:
    """Levels are lit from below; lemmas that have nothing to do with it stand around."""
    spec = Spec("tower")
    lit = spec.var("lit", Level, init=lambda a: False)
    seen = spec.var("seen", Level, init=lambda a: False)

    @spec.action
    def light(a: Level) -> None:
        require("below", forall(Level, lambda b: implies(b < a, lit(b))))
        lit[a] = True

    @spec.action
    def look(a: Level) -> None:
        require("lit", lit(a))
        seen[a] = True

    spec.invariant("tower.from-below")(lambda: forall(Level, Level, lambda a, b: implies(lit(b) & (a < b), lit(a))))
    spec.invariant("tower.seen-lit")(lambda: forall(Level, lambda a: implies(seen(a), lit(a))))
    return spec


def goals(spec: Spec) -> list[tuple[object, str]]:
    """Obligations against actions, with the digests of their goals."""
    return [
        (o, goal_digest(o.action, o.goal.part, o.goal.step))
        for o in obligations(spec)
        if o.action is not None and isinstance(o.goal, Goal)
    ]


def learn(spec: Spec) -> Memory:
    """What suffices for every goal of a spec, found without looking at all hypotheses first."""
    found = Memory()
    prover = Prover(spec, memory=found)
    for o in obligations(spec):
        if o.action is not None and isinstance(o.goal, Goal):
            assert prover.relevance.arguments(o.action, o.goal)
    return found


def test_what_sufficed_is_few_and_is_proven_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found = learn(tower())
    assert len(found.fresh) == 4
    assert all(len(facts) <= 2 for hint in found.fresh.values() for facts in hint)
    again = tower()  # terms of its own
    prover = Prover(again, memory=Memory(found.fresh))
    monkeypatch.setattr(Prover, "whole", None)  # not even written down
    for o in obligations(again):
        if o.action is not None:
            outcome = prover.discharge(o)
            assert outcome.status is Status.PROVED
            assert all(len(argument.hypotheses) <= 2 for argument in outcome.proof)


def test_a_hint_of_what_is_no_longer_there_is_no_hint() -> None:
    spec = tower()
    found = learn(spec)
    action = spec.actions["light"]
    weak = spec.without(actions={**spec.actions, "light": type(action)(**{**_fields(action), "guard": ()})})
    prover = Prover(weak, memory=Memory(found.fresh))
    fates = {(o.property, o.place): prover.discharge(o).status for o in obligations(weak)}
    assert fates["tower.from-below", "light"] is Status.FAILED
    assert fates["tower.seen-lit", "light"] is Status.PROVED


def _fields(action: object) -> dict[str, object]:
    import attrs

    return {a.name: getattr(action, a.name) for a in attrs.fields(type(action))}  # type: ignore[arg-type]


def test_a_wrong_hint_proves_nothing_and_is_no_harm() -> None:
    spec = tower()
    wrong = {digest: ((),) for _, digest in goals(spec)}
    prover = Prover(spec, memory=Memory(wrong))
    assert {prover.discharge(o).status for o in obligations(spec)} == {Status.PROVED}


def test_hints_are_kept_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTPO_CACHE", str(tmp_path))
    monkeypatch.setattr(remembered, "KEPT", 3)
    for goal in "abcd":
        Memory(fresh={goal: (("x", "y"), ())}).keep()
    file = tmp_path / "proofs" / "remembered.json"
    assert list(json.loads(file.read_text())) == ["b", "c", "d"], "the oldest goes"
    assert memory().hint("d") == (("x", "y"), ())
    assert memory().hint("a") is None
    for damage in (b"\xff", b"[1", b"[]", b'{"d": 3}', b'{"d": [1]}', b"[" * 200_000, b'{"a":' * 200_000):
        file.write_bytes(damage)
        assert memory().hint("d") is None
    (tmp_path / "none").write_text("")
    monkeypatch.setenv("MTPO_CACHE", str(tmp_path / "none"))
    Memory(fresh={"e": ()}).keep()  # there is no place to keep it


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTPO_CACHE", str(tmp_path))
    (tmp_path / "proofs").mkdir()
    os.mkfifo(tmp_path / "proofs" / "remembered.json")
    assert memory().hint("d") is None


def test_a_file_that_holds_something_else_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("# Notes")
    with pytest.raises(HintsError, match="holds no hints; it is not overwritten"):
        Memory(fresh={"a": (("x",),)}).keep(path)
    assert path.read_text() == "# Notes"
    with pytest.raises(HintsError, match="its folder does not exist"):
        Memory(fresh={"a": (("x",),)}).keep(tmp_path / "no" / "hints.json")
    hints = tmp_path / "hints.json"
    for goal in "ab":
        Memory(fresh={goal: (("x",),)}).keep(hints)
    assert list(json.loads(hints.read_text())) == ["a", "b"]


def test_the_hints_that_come_with_the_package_fit_the_protocol(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MTPO_CACHE", str(tmp_path))
    hints = memory()
    assert hints.known
    prover = Prover(mtpo, memory=hints)
    fit = 0
    for o in obligations(mtpo, lambda p, action: action in ("undone", "retracted")):
        if (
            isinstance(o.goal, Goal)
            and o.action is not None
            and hints.hint(goal_digest(o.action, o.goal.part, o.goal.step))
        ):
            fit += bool(prover.relevance.known(o.action, o.goal, prover.timeout_ms))
    assert fit >= 5, "mtpo prove --remember proofs/remembered.json"
