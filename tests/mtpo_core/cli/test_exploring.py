"""How an instance is explored: in parts where that is asked for, or they are many; all where parts left some out."""

from __future__ import annotations

import pytest

import mtpo.proofs.parts as parts
from mtpo.proofs.explore import explore
from mtpo.proofs.instances import Roots, mtpo_instance, sizes_for, small_instance
from mtpo.proofs.mutate import mutants
from mtpo.spec.language import Bool, Int, Sort, Spec, forall, require
from mtpo.spec.locks import locks
from mtpo.spec.mtpo import mtpo
from mtpo_core.cli import exploring
from mtpo_core.cli.exploring import Way


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
