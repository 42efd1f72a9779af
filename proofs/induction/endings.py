"""Whether every run ends: what the variants of a spec come to together.

A variant says that some actions are taken finitely often if others are, those that raise it. So, beginning with the
variants that nothing raises, one after the other bounds more actions, until no variant bounds any further one. This is
a lexicographic measure of the whole state, found rather than written down.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mtpo.spec.language import Ending, Spec, Variant


def bounded_by(variants: Collection[Variant]) -> Mapping[str, Variant]:
    """The actions that every run takes finitely often, with the variant that shows it of each."""
    found: dict[str, Variant] = {}
    rest = list(variants)
    while ready := [v for v in rest if found.keys() >= {*v.raised_by}]:
        for variant in ready:
            found |= {name: variant for name in variant.decreases if name not in found}
            rest.remove(variant)
    return found


def open_ends(spec: Spec, ending: Ending, variants: Collection[Variant]) -> list[str]:
    """Why a claim that runs end is not shown: each action of which there may be no end, and what would bound it."""
    found = bounded_by(variants)
    out: list[str] = []
    for name in spec.actions:
        if name in found or name in ending.but:
            continue
        out.append(f"{name} ({_why_open(spec, name, found, variants)})")
    return out


def _why_open(spec: Spec, name: str, found: Collection[str], variants: Collection[Variant]) -> str:
    falls = [v for v in variants if name in v.decreases]
    if falls:
        raised = ", ".join(sorted({by for v in falls for by in v.raised_by if by not in found}))
        return f"{falls[0].id} is raised by {raised}"
    declared = [v.id for v in spec.variants.values() if name in v.decreases]
    if declared:
        is_not = "is" if len(declared) == 1 else "are"
        return f"{', '.join(declared)}, by which it would be, {is_not} not shown"
    return "no variant that is shown decreases with it"


def rests_on(spec: Spec, ending: Ending, variants: Collection[Variant] | None = None) -> tuple[Variant, ...]:
    """The variants by which a claim that runs end is shown, in the order in which they bound: of ``variants``, by
    default all of the spec."""
    known = spec.variants.values() if variants is None else variants
    return tuple(dict.fromkeys(bounded_by(known).values()))


def that_bound(variants: Collection[Variant]) -> list[Variant]:
    """The variants that bound something, be it bounded by another one, too."""
    found = bounded_by(variants)
    return [v for v in variants if v.decreases and found.keys() >= {*v.raised_by}]
