"""Exploration by machine code: the whole search of an instance, and the runs that lead to what it found."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np

from mtpo.proofs import kernelcache
from mtpo.proofs.explore import Found
from mtpo.proofs.kernel import BAD, KIND, REACHED, STEP, STOP, TRANSITIONS, VIOLATED, WIDE, compile_kernel
from mtpo.proofs.packing import Cells
from mtpo.proofs.search import Search, new_search, run
from mtpo.proofs.symmetry import Symmetry, symmetry_of
from mtpo.proofs.verdicts import Trace
from mtpo.spec.concrete import Instance, InstanceError, State, Step
from mtpo.spec.language import Int, Term

_WIDTHS: Final = (4, 8, 16, 31, 62)
"""Bits that integers get, as many as they turn out to need. Code is made anew when they need more."""


def search_compiled(
    instance: Instance,
    initial: Iterable[State] | None = None,
    *,
    limit: int,
    symmetry: bool = False,
    jit: bool = True,
    progress: Callable[[int, int], None] = lambda states, frontier: None,
) -> Found:
    """Every reachable state, by compiled code, up to ``limit`` states or the first violation.

    With ``symmetry`` one state stands for all that differ from it by a renaming of unordered sorts. Without ``jit`` the
    generated code is run by Python: for tests.
    """
    rows = list[bytes | tuple[int, ...]]()
    for row in [instance.initial()] if initial is None else initial:
        rows.append(bytes(row) if not instance.wide else tuple(row))
        if len(rows) % 4096 == 0:
            progress(len(rows), len(rows))
        if len(rows) > limit:
            break
    cut = len(rows) > limit
    roots = _table(instance, rows)
    renamings = symmetry_of(instance) if symmetry else None
    seen = _integers(instance, roots)
    while True:
        bits, signed = _layout(instance, seen)
        kernel = compile_kernel(instance, bits, renamings, signed=signed, jit=jit)
        search = new_search(kernel, roots)
        count = search.count
        if not cut:
            run(search, limit, progress)
        kernelcache.keep(kernel.code)
        if search.control[STOP] != WIDE:
            return _found(instance, search, renamings, count)
        seen = [*seen, *_integers(instance, search.out)]  # the successors at which it stopped are among these


def _layout(instance: Instance, seen: list[int]) -> tuple[int, bool]:
    """Bits for integers, and whether some are negative, so that each that was seen fits."""
    low, high = min(seen, default=0), max(seen, default=0)
    signed = low < 0
    needed = max((-low - 1).bit_length(), high.bit_length()) + 1 if signed else high.bit_length()
    for bits in _WIDTHS:
        if needed <= bits:
            return bits, signed
    far = low if -low > high else high
    raise InstanceError(
        f"{instance.spec.name}: an integer, {far}, needs more than the {_WIDTHS[-1]} bits that compiled code has for "
        "one: explore without --compiled"
    )


def _integers(instance: Instance, rows: Cells) -> list[int]:
    """The least and the greatest integer in rows of cells."""
    held = (*(instance.spec.constants[name] for name in instance.open), *instance.spec.variables.values())
    found = []
    for symbol in held:
        if symbol.range is Int and len(rows):
            start = instance.offsets[symbol.name]
            part = rows[:, start : start + instance.cells(symbol)]
            found += [int(part.min()), int(part.max())]
    return found


def _table(instance: Instance, rows: list[bytes | tuple[int, ...]]) -> Cells:
    """Rows of cells as an array, shape (rows, cells)."""
    if not instance.wide:
        return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), instance.width)  # type: ignore[arg-type]
    try:
        return np.array(rows, dtype=np.int64).reshape(len(rows), instance.width)
    except OverflowError:
        raise InstanceError(
            f"{instance.spec.name}: an integer of the initial state needs more than the {_WIDTHS[-1]} bits that "
            "compiled code has for one: explore without --compiled"
        ) from None


def _found(instance: Instance, search: Search, symmetry: Symmetry | None, initial: int) -> Found:
    control, goals = search.control, search.kernel.goals
    violated = None
    if control[STOP] == VIOLATED:
        violated = _trace(instance, search, symmetry, int(control[BAD]), step=control[KIND] == STEP)
    return Found(
        initial,
        search.count,
        int(control[TRANSITIONS]),
        len(search.levels) - 1,
        search.done == search.count and violated is None,
        dict(zip(instance.spec.actions, map(int, search.taken), strict=False)),
        frozenset(goal for n, goal in enumerate(goals) if control[REACHED + n] >= 0),
        violated,
        search.bytes_per_state,
        1 if symmetry is None else len(symmetry.renamings),
    )


def _trace(instance: Instance, search: Search, symmetry: Symmetry | None, last: int, step: bool) -> Trace:
    """The run to a state, found again step by step from the kept states; with ``step``, one violating step more."""
    chain = [last]
    while int(search.parents[chain[-1]]) != chain[-1]:
        chain.append(int(search.parents[chain[-1]]))
    packing = search.kernel.packing
    kept = [tuple(int(v) for v in row) for row in packing.unpack(search.states[chain[::-1]])]

    def same(row: State, wanted: tuple[int, ...]) -> bool:
        return tuple(row) == wanted or (symmetry is not None and wanted in symmetry.images(tuple(row)))

    states, steps = [instance.freeze(kept[0])], list[Step]()

    def follow(fits: Callable[[State], bool]) -> None:
        found = next(((a, n) for a, n in successors(instance, states[-1]) if fits(n)), None)
        if found is None:
            raise InstanceError(
                f"{instance.spec.name}: the compiled code took a step that the spec does not have; that is a mistake "
                "in mtpo, please report it; explore without --compiled"
            )
        steps.append(found[0])
        states.append(found[1])

    for wanted in kept[1:]:
        follow(functools.partial(same, wanted=wanted))
    if step:
        follow(lambda after: bool(instance.violated_step(states[-1], after)))
    return Trace(instance, tuple(states), tuple(steps))


def successors(instance: Instance, state: State) -> Iterator[tuple[Step, State]]:
    """Every step from a state, by trying all arguments: for a state here and there."""
    for action in instance.spec.actions.values():
        domains: list[Iterable[Any]] = [
            range(instance.size(p.sort))
            if isinstance(p, Term)
            else itertools.product(range(instance.size(p.range)), repeat=instance.cells(p))
            for p in action.params
        ]
        for args in itertools.product(*domains):
            step = Step(action.name, args)
            if instance.enabled(state, step):
                after = list(state)
                instance.perform(after, step)
                yield step, instance.freeze(after)
