"""What is left of a proof when an invariant fails."""

from __future__ import annotations

from typing import Any

import pytest

from mtpo.proofs.children import Interrupted
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.induction.surviving import basis_of, proven, surviving
from mtpo.proofs.verdicts import Status, Verdict
from mtpo.spec.language import Bool, Sort, Spec, Variable, forall, implies, require
from tests.spec.vacuous import vacuous

CHAIN = Spec("chain", "Tokens are passed on from a to b to c; nothing keeps a second one out of a.")


class Token(Sort):
    "a token"


A = CHAIN.var("a", Token, init=lambda t: False)
B = CHAIN.var("b", Token, init=lambda t: False)
C = CHAIN.var("c", Token, init=lambda t: False)


@CHAIN.action
def enter(t: Token) -> None:
    A[t] = True


@CHAIN.action
def pass_b(t: Token) -> None:
    require("there", A(t))
    B[t] = True


@CHAIN.action
def pass_c(t: Token) -> None:
    require("there", B(t))
    C[t] = True


def at_most_one(place: Variable[Bool]) -> Bool:
    return forall(Token, Token, lambda t, u: implies(place(t) & place(u), t == u))


def lies_in(after: Variable[Bool], before: Variable[Bool]) -> Bool:
    return forall(Token, lambda t: implies(after(t), before(t)))


CHAIN.invariant("chain.one-a")(lambda: at_most_one(A))
CHAIN.invariant("chain.one-b")(lambda: at_most_one(B))
CHAIN.invariant("chain.one-c")(lambda: at_most_one(C))
CHAIN.lemma("chain.b-in-a")(lambda: lies_in(B, A))
CHAIN.lemma("chain.c-in-b")(lambda: lies_in(C, B))


def quietly(spec: Spec, ids: frozenset[str] | None = None) -> list[Verdict]:
    return prove(spec, properties=ids, jobs=0)


def test_what_rests_on_itself_alone_is_proven_without_what_fails_and_what_fails_for_that() -> None:
    first = quietly(CHAIN)
    assert {v.property: str(v.status) for v in first} == {
        "chain.one-a": "FAILED",
        **dict.fromkeys(("chain.one-b", "chain.one-c", "chain.b-in-a", "chain.c-in-b"), "UNKNOWN"),
    }
    found = {v.property: v for v in surviving(CHAIN, first, quietly)}
    assert [v.property for v in first] == list(found)
    assert found["chain.one-a"] is first[0]
    for id in ("chain.b-in-a", "chain.c-in-b"):
        assert found[id].status is Status.PROVED
        assert found[id].detail["without"] == ["chain.one-a", "chain.one-b", "chain.one-c"]
    for id in ("chain.one-b", "chain.one-c"):
        assert found[id].status is Status.UNKNOWN
        assert found[id].detail["why"] == (
            "shown with chain.one-a as a hypothesis, which is not shown itself; not shown without"
        )


def test_what_is_proven_without_is_proven_of_the_spec_that_lacks_it() -> None:
    found = surviving(CHAIN, quietly(CHAIN), quietly)
    kept = {v.property for v in found if v.status is Status.PROVED}
    alone = CHAIN.without(properties={id: CHAIN.properties[id] for id in kept})
    assert basis_of(alone) == kept and {v.status for v in quietly(alone)} == {Status.PROVED}


def test_a_proof_without_failures_is_left_as_it_is(lock: Spec) -> None:
    verdicts = quietly(lock)

    def never(spec: Spec, ids: frozenset[str]) -> list[Verdict]:
        raise AssertionError("nothing is to be tried again")

    assert surviving(lock, verdicts, never) is verdicts


def test_an_interrupt_leaves_what_was_open_open_and_says_so() -> None:
    def stopped(spec: Spec, ids: frozenset[str]) -> list[Verdict]:
        raise Interrupted("interrupted", [])

    with pytest.raises(Interrupted) as caught:
        surviving(CHAIN, quietly(CHAIN), stopped)
    by_id = {v.property: v for v in caught.value.found}
    assert by_id["chain.b-in-a"].status is Status.UNKNOWN
    assert by_id["chain.b-in-a"].detail["why"].endswith("whether it holds without was not found out")


def test_what_is_vacuous_without_the_invariant_that_fails_is_told_once() -> None:
    asked = frozenset({"vacuous.nothing"})
    found, beside = proven(vacuous, asked, quietly, quietly)
    assert [(v.property, v.method, v.status) for v in found] == [
        ("vacuous.count", "vacuous", Status.FAILED),
        ("vacuous.nothing", "inductive", Status.PROVED),
    ]
    assert found[1].detail["without"] == ["vacuous.unmarked"]
    assert {v.property: v.status for v in beside} == {
        "vacuous.nobody": Status.PROVED,
        "vacuous.unmarked": Status.FAILED,
    }


def test_a_notebook_comes_to_the_same() -> None:
    found = vacuous.prove("vacuous.nothing")
    assert not found.holds
    assert {v.property: str(v.status) for v in found.verdicts} == {
        "vacuous.count": "FAILED",
        "vacuous.nothing": "PROVED",
    }
    (chain,) = CHAIN.prove("chain.one-c").verdicts
    assert (chain.status, chain.detail["why"].split()[:3]) == (Status.UNKNOWN, ["shown", "with", "chain.one-a"])


def ladder(**way: Any) -> Spec:
    """Tokens go up and come down; one at most is up, it is said, if ``alone``."""
    spec = Spec("ladder", "Up and down.")
    up = spec.var("up", Token, init=lambda t: False)

    @spec.action
    def rise(t: Token) -> None:
        require("down", ~up(t))
        up[t] = True

    @spec.action
    def fall(t: Token) -> None:
        require("up", up(t))
        up[t] = False

    if way.get("alone"):
        spec.invariant("ladder.alone")(lambda: at_most_one(up))
    spec.variant("ladder.falls", Token, decreases=("fall",), raised_by=("rise",))(lambda t: (up(t),))
    if way.get("rises"):
        spec.variant("ladder.rises", Token, decreases=("rise",), raised_by=("fall",))(lambda t: (~up(t),))
    spec.ends("ladder.ends")(lambda: None)
    return spec


NO_BOUND = "nothing shown bounds how often these are taken: "


@pytest.mark.parametrize("asked", [None, frozenset({"ladder.ends"})])
def test_runs_that_nothing_bounds_are_told_by_what_is_not_bounded(asked: frozenset[str] | None) -> None:
    spec = ladder()
    found, beside = proven(spec, asked or frozenset(spec.claims), quietly, quietly)
    ends = next(v for v in found if v.property == "ladder.ends")
    why = "rise (no variant that is shown decreases with it); fall (ladder.falls is raised by rise)"
    assert (ends.status, ends.detail["why"]) == (Status.UNKNOWN, NO_BOUND + why)
    assert asked is None or (found, beside) == ([ends], [])
    (circle,) = ladder(rises=True).prove("ladder.ends").verdicts
    assert circle.detail["why"] == NO_BOUND + (
        "rise (ladder.rises is raised by fall); fall (ladder.falls is raised by rise)"
    )


def test_runs_that_nothing_bounds_are_not_said_to_be_shown_with_an_invariant_that_fails() -> None:
    spec = ladder(alone=True)
    by_id = {v.property: v for v in surviving(spec, quietly(spec), quietly)}
    assert by_id["ladder.alone"].status is Status.FAILED
    assert by_id["ladder.falls"].detail["without"] == ["ladder.alone"]
    assert by_id["ladder.ends"].detail["why"] == (
        f"without ladder.alone, which is not shown, {NO_BOUND}"
        "rise (no variant that is shown decreases with it); fall (ladder.falls is raised by rise)"
    )
