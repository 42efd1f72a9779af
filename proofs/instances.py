"""The finite instances that are explored: for MTPO every footprint of a few calls; for other specs every constant."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from mtpo.spec.concrete import Instance, State
from mtpo.spec.language import Sort, Spec
from mtpo.spec.mtpo import Agent, Call, Object, Value, mtpo

MAX_CHOICES = 2_000_000


class TooManyChoices(ValueError):
    """The constants of an instance have more values than can be tried one by one."""


def mtpo_instance(
    agents: int, calls: int, objects: int, values: int = 2, spec: Spec = mtpo
) -> tuple[Instance, list[State]]:
    """``agents`` agents with ``calls`` calls each: all footprints, with and without inverses, both policies.

    Left out by symmetry: renamings of objects, calls without a footprint, reads without an inverse. The initial value
    of every object is the same one.
    """
    total = 1 + agents * calls
    sizes: dict[type[Sort], int] = {Agent: agents, Call: total, Object: objects, Value: values}
    fixed = {
        "origin": [0],
        "author": [0] + [a for a in range(agents) for _ in range(calls)],
        "given": [0] * objects,
    }
    instance = Instance(spec, sizes, fixed, open=("reads", "writes", "invertible", "replay"))
    subsets = list(itertools.product((0, 1), repeat=objects))
    kinds = [
        (r, w, inverse)
        for r in subsets
        for w in subsets
        if any(r) or any(w)
        for inverse in ((0, 1) if any(w) else (1,))
    ]
    seen: set[object] = set()
    initial = []
    for choice in itertools.product(kinds, repeat=total - 1):
        if objects > 1:
            forms = [
                tuple((tuple(r[p] for p in order), tuple(w[p] for p in order), i) for r, w, i in choice)
                for order in itertools.permutations(range(objects))
            ]
            least = min(forms)
            if least in seen:
                continue
            seen.add(least)
        for replay in (0, 1):
            chosen = {
                "reads": [0] * objects + [bit for r, _, _ in choice for bit in r],
                "writes": [1] * objects + [bit for _, w, _ in choice for bit in w],
                "invertible": [1] + [i for _, _, i in choice],
                "replay": [replay],
            }
            initial.append(instance.freeze(instance.initial(chosen)))
    return instance, initial


def every_instance(spec: Spec, sizes: dict[type[Sort], int]) -> tuple[Instance, list[State]]:
    """Every choice of constants that the assumptions allow, for the given sizes."""
    instance = Instance(spec, sizes, {}, open=tuple(spec.constants))
    return instance, list(_choices(spec, instance))


def _choices(spec: Spec, instance: Instance) -> Iterator[State]:
    tables = []
    count = 1
    for symbol in spec.constants.values():
        count *= instance.size(symbol.range) ** instance.cells(symbol)
        if count > MAX_CHOICES:
            raise TooManyChoices(f"{spec.name}: more than {MAX_CHOICES:,} choices of constants; explore smaller sizes")
        tables.append(list(itertools.product(range(instance.size(symbol.range)), repeat=instance.cells(symbol))))
    for tuple_ in itertools.product(*tables):
        state = instance.freeze(instance.initial(dict(zip(spec.constants, tuple_, strict=True))))
        if not instance.assumed(state):
            yield state
