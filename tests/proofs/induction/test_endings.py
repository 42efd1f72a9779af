"""Variants that others raise, and what they come to together; what follows from other invariants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.proofs.evidence import explain
from mtpo.proofs.induction.endings import bounded_by, rests_on
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.induction.prover import ANY, Outcome, Prover, obligations
from mtpo.proofs.verdicts import Status
from mtpo.spec.language import (
    TRUE,
    Bool,
    Clause,
    Function,
    OrderedSort,
    Spec,
    SpecError,
    conj,
    exists,
    forall,
    implies,
    require,
)
from mtpo.spec.mtpo import mtpo
from mtpo.spec.mtpo.model import Agent, Call, Object, aborted, opened, writes


class Place(OrderedSort):
    """a place"""


def swing(**raised: tuple[str, ...]) -> Spec:
    """What is put up and taken down, for as long as there are tickets."""
    spec = Spec("swing", "Up and down.")
    up = spec.var("up", Place, init=lambda p: False)
    used = spec.var("used", Place, init=lambda p: False)

    @spec.action
    def rise(p: Place) -> None:
        "It goes up, for the ticket of that place."
        require("down", ~up(p))
        require("ticket", ~used(p))
        up[p] = True
        used[p] = True

    @spec.action
    def fall(p: Place) -> None:
        "It goes down."
        require("up", up(p))
        up[p] = False

    @spec.variant("swing.falls-end", Place, decreases=("fall",), raised_by=raised.get("falls", ()))
    def falls_end(p: Place) -> tuple[Bool, ...]:
        "What is up falls."
        return (up(p),)

    @spec.variant("swing.rises-end", Place, decreases=("rise",), raised_by=raised.get("rises", ()))
    def rises_end(p: Place) -> tuple[Bool, ...]:
        "A ticket is used once."
        return (~used(p),)

    @spec.ends("swing.ends", but=raised.get("but", ()))
    def ends() -> None:
        "It stands still in the end."

    return spec


def proven(spec: Spec) -> dict[str, Any]:
    return {v.property: v for v in prove(spec, jobs=0)}


def test_what_raises_a_variant_is_to_be_declared():
    found = proven(swing())
    assert found["swing.falls-end"].status == "FAILED"
    assert found["swing.falls-end"].clause == "rise does not raise it, at rise"
    assert found["swing.rises-end"].status == "PROVED"
    ends = found["swing.ends"]
    assert ends.status == "UNKNOWN"
    assert ends.detail["why"].endswith("are taken: fall (swing.falls-end, by which it would be, is not shown)")


def test_runs_end_where_each_variant_is_raised_by_what_ends():
    found = proven(swing(falls=("rise",)))
    assert {v.status for v in found.values()} == {"PROVED"}
    assert found["swing.ends"].detail["obligations"] == 3, "two of the tickets, one of what is up"
    (ends,) = prove(swing(falls=("rise",)), properties=frozenset({"swing.ends"}), jobs=0)
    assert (ends.property, ends.status) == ("swing.ends", "PROVED")


def test_two_variants_that_raise_each_other_end_nothing():
    spec = swing(falls=("rise",), rises=("fall",))
    assert bounded_by(spec.variants.values()) == {}
    ends = proven(spec)["swing.ends"]
    assert ends.status == "UNKNOWN"
    assert "rise (swing.rises-end is raised by fall); fall (swing.falls-end is raised by rise)" in ends.detail["why"]


def test_without_variants_nothing_is_shown_of_an_end() -> None:
    declared = swing(falls=("rise",))
    left = declared.without(variants={})
    (ends,) = proven(left).values()
    assert (ends.status, ends.detail["obligations"]) == ("UNKNOWN", 0)
    reason = "no variant that is shown decreases with it"
    assert ends.detail["why"].endswith(f"are taken: rise ({reason}); fall ({reason})")
    still = proven(declared.without(actions={}, variants={}))["swing.ends"]
    assert (still.status, still.method) == ("FAILED", "vacuous"), "nothing is taken, which is claimed of nothing"


def test_an_end_rests_on_a_variant_that_is_shown_in_place_of_one_that_is_not() -> None:
    spec = swing(falls=("rise",))
    right = spec.variants["swing.rises-end"]
    wrong = attrs.evolve(right, id="swing.wrong", sets=tuple(~inside for inside in right.sets))
    both = spec.without(variants={"swing.wrong": wrong, **spec.variants})
    found = proven(both)
    assert found["swing.wrong"].status == "FAILED"
    assert (found["swing.ends"].status, found["swing.ends"].detail["obligations"]) == ("PROVED", 3)
    (alone,) = prove(both, properties=frozenset({"swing.ends"}), jobs=0)
    assert (alone.status, alone.detail["obligations"]) == ("PROVED", 3)


def test_what_nothing_is_to_be_shown_of_is_not_proven() -> None:
    spec = swing(falls=("rise",))
    spec.variant("swing.idle", Place, decreases=(), raised_by=("rise", "fall"))(lambda p: (TRUE,))
    idle = proven(spec)["swing.idle"]
    assert (idle.status, idle.method) == ("FAILED", "vacuous")
    bare = Spec("bare")
    bare.step_property("bare.still")(lambda: TRUE)
    (still,) = prove(bare, jobs=0)
    assert (still.status, still.detail["why"]) == ("FAILED", "there is no action")
    spec.invariant("swing.all")(lambda: conj())
    assert (proven(spec)["swing.all"].status, proven(spec)["swing.all"].detail["obligations"]) == ("PROVED", 3)


def test_every_run_of_mtpo_ends_but_for_changes_from_outside():
    found = bounded_by(mtpo.variants.values())
    assert [name for name in mtpo.actions if name not in found] == ["external"]
    order = [v.id for v in rests_on(mtpo, mtpo.endings["mtpo.no-livelock"])]
    assert order.index("mtpo.calls-run-out") < order.index("mtpo.repair-ends") < order.index("mtpo.notes-consumed")
    said = explain("mtpo.no-livelock", [mtpo])
    assert (said.kind, said.evidence[0].status) == ("ending", "PROVED")
    assert said.formula.startswith("every action but external is taken finitely often, by: mtpo.calls-run-out")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: swing(falls=("jump",)), "variant 'swing.falls-end' names an unknown action `jump`"),
        (lambda: swing(falls=("fall",)), "`fall` can't decrease it and be among those that raise it"),
        (lambda: swing(falls="rise"), r"raised_by wants a tuple of actions: write \('rise',\)"),
        (lambda: swing(but=("jump",)), "ending 'swing.ends' names an unknown action `jump`"),
        (lambda: swing(but=("fall", "rise")), "ending 'swing.ends' claims nothing: each action may be taken for ever"),
    ],
)
def test_mistakes_are_named(make, said):
    with pytest.raises(SpecError, match=rf"{Path(__file__).name}:\d+: .*{said}"):
        make()


# -- what is derived -----------------------------------------------------------------------------------------------


def test_what_is_derived_follows_from_the_others_in_one_state():
    spec = swing(falls=("rise",))
    up, used = spec.variables["up"], spec.variables["used"]
    spec.invariant("swing.paid")(lambda: forall(Place, lambda p: implies(up(p), used(p))))
    spec.invariant("swing.first", derived=True)(
        lambda: forall(Place, Place, lambda p, q: implies(up(p) & ~used(q), p != q))
    )
    found = proven(spec)
    assert (found["swing.first"].status, found["swing.first"].detail["obligations"]) == ("PROVED", 1)
    weaker = spec.without(properties={id: p for id, p in spec.properties.items() if id != "swing.paid"})
    (first,) = [v for v in prove(weaker, jobs=0) if v.property == "swing.first"]
    assert first.status == "FAILED" and first.clause.endswith("at any state")
    assert len(first.trace.states) == 1 and first.trace.instance.value(first.trace.states[0], "up", 0)


def test_what_is_derived_is_no_reason_for_what_is_derived():
    spec = swing(falls=("rise",))
    up = spec.variables["up"]
    for id in ("swing.one", "swing.two"):
        spec.invariant(id, derived=True)(lambda: forall(Place, lambda p: ~up(p)))
    assert {proven(spec)[id].status for id in ("swing.one", "swing.two")} == {"FAILED"}


def nobody_undone(c: Call, members: Function[Bool], *rest: Any) -> Bool:
    """A late write is none."""
    return forall(Call, lambda m: implies(writes_something(c), ~members(m)))


def writes_something(c: Call) -> Bool:
    return exists(Object, lambda o: writes(c, o))


def calm(*params: Any) -> Bool:
    """No repair is open."""
    return forall(Call, lambda c: ~opened(c))


def nobody_gone(*params: Any) -> Bool:
    """Nobody has given up."""
    return forall(Agent, lambda a: ~aborted(a))


@pytest.mark.parametrize(
    ("action", "more", "breaks"),
    [
        ("read", calm, "no-wait-for-successors"),
        ("deliver", calm, "no-wait-for-successors"),
        ("call", calm, "writes-go-on"),
        ("call", nobody_undone, "late-writes-go-on"),
        ("abort", nobody_gone, "may-give-up"),
        ("commit", nobody_gone, "agents-go-on no-deadlock"),
        ("undone", calm, "repairs-go-on"),
        ("settle", nobody_gone, "repairs-go-on"),
        ("retract", nobody_gone, "may-give-up no-deadlock"),
    ],
)
def test_a_guard_of_mtpo_that_makes_somebody_wait_is_noticed(
    action: str, more: Callable[..., Bool], breaks: str
) -> None:
    """A clause too many, though true in many states."""
    found = mtpo.actions[action]
    stronger = attrs.evolve(found, guard=(*found.guard, Clause(f"mtpo.{action}.more", more(*found.params), "")))
    spec = mtpo.without(actions={**mtpo.actions, action: stronger})
    prover, outcomes = Prover(spec), dict[str, list[Outcome]]()
    for obligation in obligations(spec, lambda property, place: place == ANY.name):
        outcomes.setdefault(obligation.property, []).append(prover.of(obligation).discharge(obligation))
    broken = {id: [o for o in some if o.status is not Status.PROVED] for id, some in outcomes.items()}
    assert " ".join(id.removeprefix("mtpo.") for id, some in broken.items() if some) == breaks
    assert all(o.trace is not None and len(o.trace.states) == 1 for some in broken.values() for o in some)
