"""The array program of an instance: a spec on columns, 64 states to a word.

States come in blocks, arrays (words, 64, L) of 64-bit words: state ``k * L + l`` lies in words ``[:, k, l]``. Turned
into *planes* by transposing each 64 x 64 bits, word ``l`` of plane ``64 * w + b`` has bit ``b`` of word ``w`` of all
states ``k * L + l``, at its bit ``k``; so a gate over planes is evaluated for 64 states by one operation. Everything
is generated once for an instance and runs on any library of :mod:`mtpo.proofs.columns.arrays`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from mtpo.proofs.columns.circuit import TRUE, Circuit, Gate
from mtpo.proofs.columns.gatecode import function, lines
from mtpo.proofs.columns.grounding import Grounding, Move
from mtpo.proofs.exploration.packing import WORD, Packing
from mtpo.proofs.exploration.symmetry import Symmetry

_MASKS: Final = tuple((j, sum(1 << n for n in range(64) if n & j == 0)) for j in (32, 16, 8, 4, 2, 1))
"""For each distance the bits that stay where they are in the lower half."""


Code = Callable[..., None]


@attrs.frozen(eq=False)
class Columns:
    """The program. ``guards(s, out)`` writes the guard of each of ``moves`` to a row of ``out``.

    ``steps(s, t, out, lengths)`` takes steps: ``t``, copies of planes ``s``, has first ``lengths[0]`` words of states
    from which the first of the moves is taken, then ``lengths[1]`` from which the second is, and so on; where an
    integer does not fit, it clears ``out[0]``. ``holds(s, out)``: every invariant in ``out[0]``, each of ``goals`` in
    the rows after it. ``allows(s, t, out)``: every step property in ``out[0]``. ``canonical(t, out)``, where there is
    symmetry, writes to planes ``out``, copies of ``t``, the representatives of the states. ``gates`` is what all of it
    was made of.
    """

    packing: Packing
    moves: tuple[Move, ...]
    goals: tuple[str, ...]
    gates: Gates
    guards: Code
    steps: Code
    holds: Code
    allows: Code
    canonical: Code | None


@attrs.frozen(eq=False)
class Gates:
    """The circuit, and of it what each function writes: to which row, which gate. ``steps`` has one for each move."""

    circuit: Circuit
    guards: tuple[tuple[int, Gate], ...]
    steps: tuple[tuple[tuple[int, Gate], ...], ...]
    fits: tuple[Gate, ...]
    holds: tuple[tuple[int, Gate], ...]
    allows: tuple[tuple[int, Gate], ...]
    canonical: tuple[tuple[int, Gate], ...] | None

    def __len__(self) -> int:
        return len(self.circuit.op) - 2


def columns_of(packing: Packing, symmetry: Symmetry | None = None) -> Columns:
    """The program of an instance whose states are packed so. Raises InstanceError where sizes are too large for it."""
    grounding = Grounding(packing)
    moves = tuple(grounding.moves())
    state, step, goals = grounding.every("invariant", "lemma"), grounding.every("step"), grounding.goals()
    gates = Gates(
        grounding.circuit,
        tuple((row, move.guard) for row, move in enumerate(moves)),
        tuple(move.changes for move in moves),
        tuple(move.fits for move in moves),
        ((0, state), *((row, gate) for row, (_, gate) in enumerate(goals, 1))),
        ((0, step),),
        None if symmetry is None else grounding.canonical(symmetry),
    )

    def code(name: str, head: str, rows: tuple[tuple[int, Gate], ...]) -> Code:
        outputs = [(f"out[{row}]", gate) for row, gate in rows]
        return function(name, head, lines(gates.circuit, outputs, {"s": "s[{}]", "t": "t[{}]"}))

    return Columns(
        packing,
        moves,
        tuple(id for id, _ in goals),
        gates,
        code("guards", "s, out", gates.guards),
        _steps(gates),
        code("holds", "s, out", gates.holds),
        code("allows", "s, t, out", gates.allows),
        None if gates.canonical is None else code("canonical", "t, out", gates.canonical),
    )


def _steps(gates: Gates) -> Code:
    """A function for each move, called on the words that are its own."""
    moves = []
    for number, (changes, fits) in enumerate(zip(gates.steps, gates.fits, strict=True)):
        outputs = [(f"t[{plane}, lo:hi]", gate) for plane, gate in changes]
        outputs += [("out[0, lo:hi]", fits)] if fits != TRUE else []
        body = lines(gates.circuit, outputs, {"s": "s[{}, lo:hi]"})
        moves.append(function(f"step{number}", "s, t, out, lo, hi", body))

    def steps(s: Any, t: Any, out: Any, lengths: npt.NDArray[np.int64]) -> None:
        lo = 0
        for number in np.flatnonzero(lengths):
            hi = lo + int(lengths[number])
            moves[number](s, t, out, lo, hi)
            lo = hi

    return steps


def transpose(block: Any) -> Any:
    """Words (words, 64, L) to planes of the same shape, or back, in place."""
    count, _, lanes = block.shape
    for distance, mask in _MASKS:
        halves = block.reshape(count, WORD // (2 * distance), 2, distance, lanes)
        low, high = halves[:, :, 0], halves[:, :, 1]
        other = ((low >> distance) ^ high) & _signed(mask)
        high ^= other
        low ^= other << distance
    return block


def _signed(word: int) -> int:
    """The integer with a sign that has the same 64 bits."""
    return word - (1 << 64) if word >> 63 else word
