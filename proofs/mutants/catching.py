"""What catches a mutant: a property that says something of the system, or, if none does, a lemma alone.

A lemma serves the proof: that it breaks says of a mutant only that the proof does not carry over. So where lemmas break
runs are looked on at until something breaks that is none: in small instances, then in a few cases of more calls, then
in single steps out of states that satisfy every property and every lemma.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import Roots
from mtpo.proofs.induction.refuting import step_breaking
from mtpo.proofs.mutants.breaking import all_broken, bounded
from mtpo.proofs.verdicts import Status, Trace
from mtpo.spec.concrete import Instance, State
from mtpo.spec.language import Property, Sort, Spec, Variant

Instances: TypeAlias = Callable[[Spec], Iterable[tuple[Instance, Roots]]]
"""Makes the instances of a spec in which its runs are looked at, with their initial states."""


@attrs.frozen
class Caught:
    """What is broken, lemmas last; how that was found, and a run or a step that shows the first of it. ``whole``:
    whether all states of some instance were looked at."""

    by: tuple[str, ...] = ()
    how: str = ""
    trace: Trace | None = None
    whole: bool = False

    def beside(self, before: Caught) -> Caught:
        """This, with what was found before; or that, if this is nothing more."""
        if {*self.by} <= {*before.by}:
            return before
        return attrs.evolve(self, by=(*self.by, *(id for id in before.by if id not in self.by)))


@attrs.frozen
class Bounds:
    """How far is looked: at ``limit`` states of each of the ``instances`` and, where only lemmas break, at ``further``
    states of each of the ``cases``; and at steps in domains of these ``sizes``, for ``timeout_ms`` of z3 each."""

    instances: Instances
    limit: int
    cases: Instances
    further: int
    sizes: tuple[Mapping[type[Sort], int], ...]
    timeout_ms: int


def lemmas_of(spec: Spec) -> frozenset[str]:
    """What serves the proof alone."""
    return frozenset(p.id for p in spec.role("lemma"))


def catch(spec: Spec, action: str, bounds: Bounds) -> Caught:
    """What the spec, of which one action is weakened, breaks within some bounds."""
    lemmas = lemmas_of(spec)
    found = _in_runs(spec, bounds.instances(spec), bounds.limit)
    if found.whole and lemmas.issuperset(found.by):
        found = _never(spec, bounds).beside(found)
    if found.by and lemmas.issuperset(found.by):
        found = _in_runs(spec, bounds.cases(spec), bounds.further).beside(found)
    variants = tuple(v for v in spec.variants.values() if v.bounds(action))
    for group in (tuple(p for p in spec.role("invariant", "step") if not p.derived), variants):
        if group and lemmas.issuperset(found.by):
            found = _in_steps(spec, action, group, bounds).beside(found)
    if not found.by and lemmas:
        found = _in_steps(spec, action, spec.role("lemma"), bounds)
        if found.by:
            found = _in_runs(spec, bounds.cases(spec), bounds.further).beside(found)
    return found


def _in_runs(spec: Spec, instances: Iterable[tuple[Instance, Iterable[State]]], limit: int) -> Caught:
    """All that breaks in the first instance in which something else than a lemma does, as far as runs of the shortest
    length that break it go; and the lemmas that broke before."""
    lemmas, broken, whole = lemmas_of(spec), dict[str, Trace](), False

    def telling(ids: Iterable[str]) -> bool:
        return not lemmas.issuperset(ids)

    for instance, initial in instances:
        found, _, complete = all_broken(instance, initial, limit, supporting=True, enough=telling)
        broken, whole = {**found, **broken}, whole or complete
        if telling(found):
            break
    ids = sorted(broken, key=lambda id: (id in lemmas, len(broken[id].steps), id))
    return Caught(tuple(ids), "exhaustive", broken[ids[0]], whole) if ids else Caught(whole=whole)


def _never(spec: Spec, bounds: Bounds) -> Caught:
    """What can't be reached any more, and which actions can't be taken, where all states are few enough."""
    lemmas = lemmas_of(spec)
    plain = spec.without(properties={id: p for id, p in spec.properties.items() if id not in lemmas})
    for instance, initial in bounds.instances(plain):
        failed = [v for v in explore(instance, initial, limit=bounds.limit).verdicts if v.status is Status.FAILED]
        if failed:
            return Caught(tuple(v.property for v in failed), failed[0].method)
    return Caught()


def _in_steps(spec: Spec, action: str, claims: Sequence[Property | Variant], bounds: Bounds) -> Caught:
    """All that a step breaks which breaks one of the claims, out of a state in which nothing is broken."""
    lemmas = lemmas_of(spec)
    for sizes in bounds.sizes:
        answer = step_breaking(spec, action, claims, sizes, bounds.timeout_ms)
        if isinstance(answer, Trace):
            before, after = answer.states
            already = {p.id for p in answer.instance.violated(before)}
            broken = [p.id for p in answer.instance.violated(after) if p.id not in already]
            broken += [p.id for p in answer.instance.violated_step(before, after)]
            for variant in spec.variants.values():
                if variant.bounds(action):
                    asked = answer.instance.formula(bounded(variant, action), f"{variant.id} by {action}")
                    broken += [] if asked(before, after) else [variant.id]
            return Caught(tuple(sorted(broken, key=lambda id: id in lemmas)), "inductive", answer)
    return Caught()
