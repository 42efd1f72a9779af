"""How an instance is explored: in parts where that is asked for, or they are many; all where parts left some out."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mtpo.proofs.parts.parts as parts
from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import Roots, mtpo_instance, sizes_for, small_instance
from mtpo.proofs.mutants.mutate import mutants
from mtpo.spec.language import Bool, Int, Sort, Spec, forall, require
from mtpo.spec.locks import locks
from mtpo.spec.mtpo import mtpo
from mtpo_core.cli import exploring
from mtpo_core.cli.exploring import Way

Mtpo = Callable[..., Any]


@pytest.fixture(autouse=True)
def soon_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few states are many."""
    monkeypatch.setattr(exploring, "SMALL", 5)
    monkeypatch.setattr(exploring, "WIDE", 0)


def way(limit: int = 10**6, jobs: int | None = None) -> Way:
    return Way("auto", limit, False, jobs, None, 10.0, False)


def test_mtpo_is_explored_in_parts_and_another_spec_if_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, inside = list[str](), Way._parts
    monkeypatch.setattr(Way, "_parts", lambda self, at, *rest: asked.append(at.spec.name) or inside(self, at, *rest))
    assert way().explore(*mtpo_instance(2, 1, 1), None, lambda told: None).complete
    whole = way().explore(*small_instance(locks, sizes_for(locks)), None, lambda told: None)
    assert (asked, whole.engine, whole.complete) == (["mtpo"], "numpy", True)
    found = way(jobs=2).explore(*small_instance(locks, sizes_for(locks)), None, lambda told: None)
    assert (asked, found.states) == (["mtpo", "locks"], whole.states)


@pytest.mark.parametrize("jobs", [1, 2])
def test_where_the_limit_left_parts_out_all_are_looked_at(monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    """A violation of few steps in the last parts is found, though the first ones use up what may be looked at; where
    the limit has room for too few of them, all that is known is that it is not known."""
    spec = next(m.spec for m in mutants(mtpo) if m.id == "mtpo.call.gate")
    instance, roots = mtpo_instance(2, 1, 1, spec=spec)
    shortest = next(len(v.trace.steps) for v in explore(instance, roots).verdicts if v.trace)
    late = [root for root in roots if not any(v.trace for v in explore(instance, [root], engine="python").verdicts)]
    assert 0 < len(late) < 50
    ordered = Roots(lambda: iter([*late, *(root for root in roots if root not in late)]))
    monkeypatch.setattr(parts, "part_size", lambda *ignored: 1)
    found = way(2_500, jobs).explore(instance, ordered, None, lambda told: None)
    (violated,) = (v for v in found.verdicts if v.trace)
    assert (violated.property, len(violated.trace.steps)) == ("mtpo.lemma-acting", shortest)
    assert "why" not in violated.detail, "no run is shorter"
    found = way(2_000, jobs).explore(instance, ordered, None, lambda told: None)
    assert not any(v.trace for v in found.verdicts) and not found.complete


@pytest.mark.parametrize("parted", [True, False])
def test_a_saving_that_fails_is_told_beside_the_verdict(
    mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parted: bool
) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    options = ("explore", "mtpo", "--objects", 1, "--checkpoint", tmp_path, *(() if parted else ("--symmetry",)))
    options += () if parted else ("--engine", "torch")
    monkeypatch.setattr(os, "fsync", full)
    said = mtpo(*options)
    assert said.code == 0 and "CHECKED  mtpo.gate" in said.out
    assert "mtpo: not saved, the verdict stands: " in said.err and said.err.endswith(": No space left on device\n")
    assert mtpo(*options, "--limit", 3_000).code == 3, "the exit code is that of the verdict"
    monkeypatch.undo()
    said = mtpo(*options)
    assert said.code == 0 and "not saved" not in said.err


def test_an_interrupt_tells_of_a_saving_that_failed_once(tmp_path: Path) -> None:
    from mtpo.proofs.exploration.checkpoint import Checkpoint

    saved, told = Checkpoint(tmp_path), list[str]()
    tell = exploring._with_what_failed(told.append, saved)
    tell("3 states")
    saved.failed = "x: No space left on device"
    tell("4 states")
    assert told == ["3 states", "4 states; not saved: x: No space left on device"]
    for how_far, end in ((told[1], "(nothing saved yet)"), ("", "(nothing saved yet; x: No space left on device)")):
        with pytest.raises(KeyboardInterrupt) as stop, exploring.saying_what_is_saved(saved):
            raise KeyboardInterrupt(how_far)
        assert str(stop.value) == f"{how_far} {end}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--agents", 1), "it was begun with --agents 2"),
        (("--calls", 2), "it was begun with --calls 1"),
        (("--faults",), "it was begun without --faults"),
        (("--predicates", "--symmetry"), "it was begun without --predicates"),
        (("--symmetry",), "it was begun without --symmetry"),
    ],
)
def test_it_is_said_which_option_is_another(mtpo: Mtpo, tmp_path: Path, options: Any, said: str) -> None:
    begun = ("explore", "mtpo", "--objects", 1, "--checkpoint", tmp_path)
    assert mtpo(*begun).code == 0
    other = mtpo(*begun, "--resume", *options)
    assert (other.code, other.out, other.err.count("\n")) == (2, "", 1)
    assert f"can't go on from this checkpoint: {said}; remove the folder" in other.err
    assert mtpo(*begun, "--resume", "--limit", 10**6, "--jobs", 1, "--engine", "numpy").code == 0


def test_serial_begins_in_as_many_states_of_mtpo_as_the_limit_has_room_for(mtpo: Mtpo) -> None:
    said = mtpo("explore", "serial", "--size", "Value=2", "--limit", 1_000)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "mtpo rests, which has more than 1,000 states of these sizes: give explore a higher --limit" in said.err
    said = mtpo("explore", "serial", "--size", "Object=2", "--limit", 1_000)
    assert said.err.endswith("or smaller sizes: fewer of Object\n")


class Lamp(Sort):
    """may be lit, for good"""


def endless(doubles: bool) -> Spec:
    """Numbers that grow for ever; where every lamp is lit something is wrong after a few steps."""
    spec = Spec("endless", "Counters.")
    lit = spec.const("lit", Lamp, doc="is lit")
    a = spec.var("a", to=Int, init=lambda: 1, doc="a number")
    b = spec.var("b", to=Int, init=lambda: 1, doc="another")

    @spec.action
    def grow() -> None:
        a.becomes(a() * 2 if doubles else a() + 1)

    @spec.action
    def also() -> None:
        require("slowly", b() < a())
        b.becomes(b() + 1)

    @spec.invariant("endless.few")
    def few() -> Bool:
        "Not both are four where every lamp is lit."
        return ~(forall(Lamp, lambda x: lit(x)) & (a() == 4) & (b() == 4))

    return spec


@pytest.mark.parametrize("doubles", [False, True], ids=["parts that use up the limit", "integers that have no room"])
@pytest.mark.parametrize("size", [1, 64])
def test_a_violation_is_found_beside_parts_without_end(
    monkeypatch: pytest.MonkeyPatch, doubles: bool, size: int
) -> None:
    monkeypatch.setattr(parts, "part_size", lambda *ignored: size)
    spec = endless(doubles)
    found = way(2_000, jobs=1).explore(*small_instance(spec, {Lamp: 2}), None, lambda told: None)
    (violated,) = (v for v in found.verdicts if v.trace)
    assert (violated.property, len(violated.trace.steps)) == ("endless.few", 5 if doubles else 6)
