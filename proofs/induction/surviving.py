"""What still holds where an invariant fails: the largest part of the invariants that is inductive by itself.

An induction takes all invariants together as hypotheses, so one that fails leaves open what was shown with it. The
others are proven again without it, and without those that fail then, until none does (Flanagan and Leino, "Houdini, an
annotation assistant for ESC/Java", FME 2001). What is left rests on itself alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import attrs

from mtpo.proofs.children import Interrupted
from mtpo.proofs.induction.endings import open_ends
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
    if not left_open or not failed:  # that runs end may be open though every invariant is shown
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
    verdicts = surviving(spec, first(spec, frozenset(wanted) | basis_of(spec) | _telling(spec, wanted)), again)
    return split(spec, verdicts, wanted)


def split(spec: Spec, verdicts: Iterable[Verdict], wanted: Collection[str]) -> tuple[list[Verdict], list[Verdict]]:
    """Verdicts that were asked for, or are of no property, and those on the other invariants."""
    found, beside, basis = list[Verdict](), list[Verdict](), basis_of(spec)
    for v in verdicts:
        if v.method != "inductive" or v.property in wanted:
            found.append(v)
        elif v.property in basis:
            beside.append(v)
    return found, beside


def _telling(spec: Spec, wanted: Collection[str]) -> frozenset[str]:
    """The variants, where they don't bound what must end: of those that are shown it is told why they don't."""
    variants = spec.variants.values()
    is_open = any(id in wanted and open_ends(spec, ending, variants) for id, ending in spec.endings.items())
    return frozenset(spec.variants) if is_open else frozenset()


def _left_open(verdict: Verdict) -> bool:
    """Nothing of it failed, and yet it is not shown: it rests on an invariant that is not, or says that runs end."""
    return verdict.method == "inductive" and verdict.status is Status.UNKNOWN and not verdict.clause


def _failed(verdicts: Iterable[Verdict]) -> frozenset[str]:
    return frozenset(v.property for v in verdicts if v.method == "inductive" and v.clause)


def _decided(
    verdict: Verdict, again: Iterable[Verdict] | None, failed: frozenset[str], gone: frozenset[str]
) -> Verdict:
    """A verdict when those that failed are gone; ``again`` is None when it was not found out what holds then."""
    if not _left_open(verdict):
        return verdict
    now = next((v for v in again or () if v.property == verdict.property), None)
    if now is not None and now.status is Status.PROVED:
        return attrs.evolve(now, detail={**now.detail, "without": sorted(gone)})
    return attrs.evolve(verdict, detail={**verdict.detail, "why": _why(now, again is not None, failed, gone)})


def _why(now: Verdict | None, tried: bool, failed: frozenset[str], gone: frozenset[str]) -> str:
    """Why what was left open stays so: ``now`` is what was found without those that are gone, if that was ``tried``."""
    if now is not None and _left_open(now):  # all that it may rest on then is shown: it says that runs end
        is_not = "is" if len(gone) == 1 else "are"
        return f"without {', '.join(sorted(gone))}, which {is_not} not shown, {now.detail['why']}"
    is_not = "which is not shown itself" if len(failed) == 1 else "which are not all shown themselves"
    without = "not shown without" if tried else "whether it holds without was not found out"
    return f"shown with {', '.join(sorted(failed))} as a hypothesis, {is_not}; {without}"
