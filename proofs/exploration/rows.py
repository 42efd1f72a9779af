"""What explorations of packed states share: rows of cells, the bits of integers, the runs to what was found."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import attrs
import numpy as np

from mtpo.proofs.exploration.packing import Cells
from mtpo.proofs.exploration.symmetry import Symmetry
from mtpo.proofs.verdicts import Trace
from mtpo.spec.concrete import Instance, InstanceError, State, Step
from mtpo.spec.language import Int, Term

WIDTHS: Final = (4, 8, 16, 31, 62)
"""Bits that integers get, as many as they turn out to need. Code is made anew when they need more."""

Progress = Callable[[int, int], None]
"""Told of the states found, and of those to go on this level."""


@attrs.frozen(eq=False)
class Roots:
    """Initial states as an array, shape (states, cells); ``cut`` when there were more than the limit."""

    table: Cells
    cut: bool


def roots_of(instance: Instance, initial: Iterable[State] | None, limit: int, progress: Progress) -> Roots:
    """The initial states, by default the one that the spec says, up to one more than ``limit``."""
    rows = list[bytes | tuple[int, ...]]()
    for row in [instance.initial()] if initial is None else initial:
        rows.append(bytes(row) if not instance.wide else tuple(row))
        if len(rows) % 4096 == 0:
            progress(len(rows), len(rows))
        if len(rows) > limit:
            break
    return Roots(_table(instance, rows), len(rows) > limit)


def _table(instance: Instance, rows: list[bytes | tuple[int, ...]]) -> Cells:
    if not instance.wide:
        return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), instance.width)  # type: ignore[arg-type]
    try:
        return np.array(rows, dtype=np.int64).reshape(len(rows), instance.width)
    except OverflowError:
        raise InstanceError(
            f"{instance.spec.name}: an integer of the initial state needs more than the {WIDTHS[-1]} bits that "
            "a packed state has for one: explore with --engine python"
        ) from None


def layout(instance: Instance, seen: Sequence[int]) -> tuple[int, bool]:
    """Bits for integers, and whether some are negative, so that each that was seen fits."""
    low, high = min(seen, default=0), max(seen, default=0)
    signed = low < 0
    needed = max((-low - 1).bit_length(), high.bit_length()) + 1 if signed else high.bit_length()
    for bits in WIDTHS:
        if needed <= bits:
            return bits, signed
    far = low if -low > high else high
    raise InstanceError(
        f"{instance.spec.name}: an integer, {far}, needs more than the {WIDTHS[-1]} bits that a packed state has for "
        "one: explore with --engine python"
    )


def integers(instance: Instance, rows: Cells | Sequence[State]) -> list[int]:
    """The least and the greatest integer in rows of cells."""
    held = (*(instance.spec.constants[name] for name in instance.open), *instance.spec.variables.values())
    found: list[int] = []
    for symbol in held:
        if symbol.range is Int and len(rows):
            start = instance.offsets[symbol.name]
            stop = start + instance.cells(symbol)
            if isinstance(rows, np.ndarray):
                found += [int(rows[:, start:stop].min()), int(rows[:, start:stop].max())]
            else:
                found += [int(v) for row in rows for v in row[start:stop]]
    return found


def run_through(
    instance: Instance, kept: Sequence[tuple[int, ...]], symmetry: Symmetry | None = None, *, step: bool = False
) -> Trace:
    """The run through states that follow one another, its steps found again; with ``step``, one violating step more.

    With symmetry each state stands for its renamings.
    """

    def same(row: State, wanted: tuple[int, ...]) -> bool:
        return tuple(row) == wanted or (symmetry is not None and wanted in symmetry.images(tuple(row)))

    states, steps = [instance.freeze(kept[0])], list[Step]()

    def follow(fits: Callable[[State], bool]) -> None:
        found = next(((a, n) for a, n in successors(instance, states[-1]) if fits(n)), None)
        if found is None:
            raise InstanceError(
                f"{instance.spec.name}: the generated code took a step that the spec does not have; that is a mistake "
                "in mtpo, please report it; explore with --engine python"
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
