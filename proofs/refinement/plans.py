"""Plans: who makes which calls, with which footprints, under which policy. That fixes the universe of a refinement."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import attrs

from mtpo_core.machine import Policy


def _names(objects: Iterable[str]) -> frozenset[str]:
    return frozenset(objects)


@attrs.frozen
class Use:
    """One planned call: a read if it writes nothing, from what was kept or (``by_undo``) by a call."""

    reads: frozenset[str] = attrs.field(default=(), converter=_names)
    writes: frozenset[str] = attrs.field(default=(), converter=_names)
    invertible: bool = True
    by_undo: bool = False


@attrs.frozen
class Plan:
    """``uses[a]`` are the calls of the agent of rank ``a``, in order; values are the numbers below ``values``.

    ``faults``: agents may also abort, and retract calls.
    """

    uses: tuple[tuple[Use, ...], ...]
    objects: tuple[str, ...]
    values: int = 2
    policy: Policy = Policy.REPLAY
    faults: bool = False


def small_plans(agents: int, calls: int, objects: int, values: int = 2) -> Iterator[Plan]:
    """Every plan of a size, under both policies.

    Left out by symmetry: renamings of objects; calls without a footprint; reads, and calls of rank 0, without inverse
    (the gate never holds them, nothing undoes them).
    """
    names = tuple("xyzuvw"[:objects])
    subsets = [frozenset(s) for k in range(objects + 1) for s in itertools.combinations(names, k)]
    kinds = [Use(r, w, i) for r in subsets for w in subsets if r or w for i in ((True, False) if w else (True,))]
    seen: set[object] = set()
    for choice in itertools.product(kinds, repeat=agents * calls):
        if any(not use.invertible for use in choice[:calls]):
            continue
        forms = []
        for order in itertools.permutations(names):
            place = dict(zip(names, order, strict=True))
            forms.append(tuple((*(_sorted(use, place)), use.invertible) for use in choice))
        if min(forms) in seen:
            continue
        seen.add(min(forms))
        uses = tuple(choice[a * calls : (a + 1) * calls] for a in range(agents))
        for policy in Policy:
            yield Plan(uses, names, values, policy)


def _sorted(use: Use, place: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(sorted(place[o] for o in use.reads)), tuple(sorted(place[o] for o in use.writes))
