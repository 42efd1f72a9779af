"""Initial states, drawn at random where there are too many to list."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Final, TypeAlias

from mtpo.proofs.exploration.instances import Roots, TooManyChoices, is_mtpo, small_instance
from mtpo.spec.concrete import Instance, State
from mtpo.spec.language import Sort, Spec
from mtpo.spec.mtpo import Call, Object

TRIES: Final = 10_000
"""Choices of constants that are drawn for one that the assumptions allow."""

Draw: TypeAlias = Callable[[Random], State]


class NoStart(ValueError):
    """No choice of constants that the assumptions allow was found."""


def drawing(instance: Instance, roots: Iterable[State]) -> Draw:
    """Draws one of the initial states of an instance; of those of mtpo, and of every choice of constants, without
    making them all."""
    if is_mtpo(instance.spec):
        return lambda random: _footprints(instance, random)
    if not instance.open or (isinstance(roots, Roots) and roots.choice):
        listed = list(roots)
        if not listed:
            raise NoStart(f"{instance.spec.name}: no initial state of these sizes satisfies the assumptions")
        return lambda random: random.choice(listed)
    return lambda random: _constants(instance, random)


def large_instance(spec: Spec, sizes: dict[type[Sort], int]) -> tuple[Instance, Iterable[State]]:
    """The instance of a spec, other than mtpo, with so many elements of each sort; its initial states may be too many
    to be listed."""
    try:
        return small_instance(spec, sizes)
    except TooManyChoices:
        return Instance(spec, sizes, {}, open=tuple(spec.constants)), Roots(lambda: iter(()))


def footprints(instance: Instance, renamed: bool = False) -> int:
    """How many there are of mtpo, with both policies: all that :func:`drawing` draws of; with ``renamed`` those that
    renamings of objects lead to count as one, as where all are explored."""
    calls, objects = instance.sizes[Call] - 1, instance.sizes[Object]
    orders = list(itertools.permutations(range(objects))) if renamed else [tuple(range(objects))]
    fixed: list[int] = [_kinds(_cycles(order)) ** calls for order in orders]
    return 2 * sum(fixed) // len(orders)  # Burnside's lemma


def _kinds(objects: int) -> int:
    """Footprints of a call: it reads and does not write; or it writes, with an inverse or without."""
    subsets = int(2**objects)
    return (subsets - 1) + 2 * subsets * (subsets - 1)


def _cycles(order: Sequence[int]) -> int:
    """How many cycles a permutation has: sets that it leaves as they are have all of a cycle, or nothing."""
    seen, found = set[int](), 0
    for first in order:
        found += first not in seen
        while first not in seen:
            seen.add(first)
            first = order[first]
    return found


def _footprints(instance: Instance, random: Random) -> State:
    """Every call reads or writes something; one that writes may lack an inverse. The origin writes everything."""
    objects = instance.sizes[Object]
    reads, writes, invertible = [0] * objects, [1] * objects, [1]
    for _ in range(instance.sizes[Call] - 1):
        kind = random.randrange(1, 4**objects)
        reads += [kind >> 2 * o & 1 for o in range(objects)]
        writes += [kind >> 2 * o + 1 & 1 for o in range(objects)]
        invertible.append(int(not any(writes[-objects:]) or random.random() < 0.5))
    chosen = {"reads": reads, "writes": writes, "invertible": invertible, "replay": [random.randrange(2)]}
    return instance.freeze(instance.initial(chosen))


def _constants(instance: Instance, random: Random) -> State:
    symbols = {name: instance.spec.constants[name] for name in instance.open}
    for _ in range(TRIES):
        chosen = {
            name: [random.randrange(instance.size(symbol.range)) for _ in range(instance.cells(symbol))]
            for name, symbol in symbols.items()
        }
        state = instance.freeze(instance.initial(chosen))
        if not instance.assumed(state):
            return state
    raise NoStart(
        f"{instance.spec.name}: of {TRIES:,} choices of constants that were drawn the assumptions allow none: choose "
        "smaller sizes, which can be explored"
    )
