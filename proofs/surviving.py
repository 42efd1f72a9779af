"""What still holds where an invariant fails: the largest part of the invariants that is inductive by itself.

An induction takes all invariants together as hypotheses, so one that fails leaves open what was shown with it. The
others are proven again without it, and without those that fail then, until none does (Flanagan and Leino, "Houdini, an
annotation assistant for ESC/Java", FME 2001). What is left rests on itself alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import attrs

from mtpo.proofs.children import Interrupted
from mtpo.proofs.verdicts import Status, Verdict
from mtpo.spec.language import Spec

Prove = Callable[[Spec, frozenset[str]], list[Verdict]]
"""Proves some properties of a spec, with its invariants as hypotheses: a verdict for each."""


def basis_of(spec: Spec) -> frozenset[str]:
    """The invariants and lemmas, on all of which a proof by induction rests."""
    return frozenset(p.id for p in spec.role("invariant", "lemma"))


def surviving(spec: Spec, verdicts: list[Verdict], prove: Prove) -> list[Verdict]:
    """The verdicts, with those that an invariant which fails left open decided without it where that can be.

    ``verdicts`` are of a proof of the spec, its invariants and lemmas among them. What is proven without some of these
    says so (``without`` in its detail). What the proof without them found to be vacuous is told, too. Raises
    :class:`~mtpo.proofs.children.Interrupted` with what is known by then.
    """
    left_open = frozenset(v.property for v in verdicts if _left_open(v))
    failed = gone = _failed(verdicts) & basis_of(spec)
    if not left_open:
        return verdicts
    again: list[Verdict] = []
    lost = failed
    while lost:
        fewer = spec.without(properties={id: p for id, p in spec.properties.items() if id not in gone})
        try:
            again = prove(fewer, (left_open - gone) | basis_of(fewer))
        except Interrupted as stop:
            raise Interrupted(str(stop), [_decided(v, None, failed, gone) for v in verdicts]) from None
        lost = _failed(again) & basis_of(fewer)
        gone |= lost
    told = {(v.property, v.method) for v in verdicts}
    vacuous = [v for v in again if v.method != "inductive" and (v.property, v.method) not in told]
    return [*vacuous, *(_decided(v, again, failed, gone) for v in verdicts)]


def proven(spec: Spec, wanted: Collection[str], first: Prove, again: Prove) -> tuple[list[Verdict], list[Verdict]]:
    """The verdicts on the ``wanted`` properties, with what is vacuous; and those on the further invariants on which
    these rest. ``first`` proves the spec, ``again`` what is left of it. Raises as :func:`surviving` does, with all."""
    verdicts = surviving(spec, first(spec, frozenset(wanted) | basis_of(spec)), again)
    return split(verdicts, wanted)


def split(verdicts: Iterable[Verdict], wanted: Collection[str]) -> tuple[list[Verdict], list[Verdict]]:
    """Verdicts that were asked for, or are of no property, and the others."""
    found, beside = list[Verdict](), list[Verdict]()
    for v in verdicts:
        (found if v.method != "inductive" or v.property in wanted else beside).append(v)
    return found, beside


def _left_open(verdict: Verdict) -> bool:
    """Nothing of it failed, and yet it is not shown: it rests on an invariant that is not."""
    return verdict.method == "inductive" and verdict.status is Status.UNKNOWN and not verdict.clause


def _failed(verdicts: Iterable[Verdict]) -> frozenset[str]:
    return frozenset(v.property for v in verdicts if v.method == "inductive" and v.clause)


def _decided(
    verdict: Verdict, again: Iterable[Verdict] | None, failed: frozenset[str], gone: frozenset[str]
) -> Verdict:
    """A verdict when those that failed are gone; ``again`` is None when it was not found out what holds then."""
    if not _left_open(verdict):
        return verdict
    now = next((v for v in again or () if v.property == verdict.property and v.status is Status.PROVED), None)
    if now is not None:
        return attrs.evolve(now, detail={**now.detail, "without": sorted(gone)})
    which = ", ".join(sorted(failed))
    is_not = "which is not shown itself" if len(failed) == 1 else "which are not all shown themselves"
    without = "not shown without" if again is not None else "whether it holds without was not found out"
    why = f"shown with {which} as a hypothesis, {is_not}; {without}"
    return attrs.evolve(verdict, detail={**verdict.detail, "why": why})
