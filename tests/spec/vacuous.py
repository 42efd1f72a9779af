"""An action that can't be taken where the invariants hold, beside an invariant that fails."""

from __future__ import annotations

from mtpo.spec.language import Bool, Sort, Spec, forall, require

vacuous = Spec("vacuous", "Marks are set; nobody is ever allowed to count them.")


class Place(Sort):
    "a place for a mark"


marked = vacuous.var("marked", Place, init=lambda p: False)
allowed = vacuous.var("allowed", Place, init=lambda p: False)
counted = vacuous.var("counted", Place, init=lambda p: False)


@vacuous.action
def mark(p: Place) -> None:
    "A mark is set."
    require("free", ~marked(p))
    marked[p] = True


@vacuous.action
def count(p: Place) -> None:
    "A mark is counted."
    require("allowed", allowed(p))
    counted[p] = True


@vacuous.invariant("vacuous.nobody")
def nobody() -> Bool:
    "Nobody is allowed."
    return forall(Place, lambda p: ~allowed(p))


@vacuous.invariant("vacuous.nothing")
def nothing() -> Bool:
    "Nothing is counted."
    return forall(Place, lambda p: ~counted(p))


@vacuous.invariant("vacuous.unmarked")
def unmarked() -> Bool:
    "Nothing is marked: false."
    return forall(Place, lambda p: ~marked(p))
