"""The array program of an instance: a spec on columns, 64 states to a word.

States come in blocks, arrays (words, 64, L) of 64-bit words: state ``k * L + l`` lies in words ``[:, k, l]``. Turned
into *planes* by transposing each 64 x 64 bits, word ``l`` of plane ``64 * w + b`` has bit ``b`` of word ``w`` of all
states ``k * L + l``, at its bit ``k``; so a gate over planes is evaluated for 64 states by one operation. Everything
is generated once for an instance and runs on any library of :mod:`mtpo.proofs.arrays`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from mtpo.proofs.circuit import TRUE
from mtpo.proofs.gatecode import function, lines
from mtpo.proofs.grounding import Grounding, Move
from mtpo.proofs.packing import WORD, Packing
from mtpo.proofs.symmetry import Symmetry

_MASKS: Final = tuple((j, sum(1 << n for n in range(64) if n & j == 0)) for j in (32, 16, 8, 4, 2, 1))
"""For each distance the bits that stay where they are in the lower half."""


@attrs.frozen(eq=False)
class Columns:
    """The program. ``guards(s, out)`` writes the guard of each of ``moves`` to a row of ``out``.

    ``updates[n](s, t, out, lo, hi)`` takes the n-th step on words lo to hi of planes ``t``, copies of ``s``, and writes
    to ``out[0]`` whether its integers fit, if they may not. ``holds(s, out)``: every invariant in ``out[0]``, each of
    ``goals`` in the rows after it. ``allows(s, t, out)``: every step property. ``canonical(t, out)``, where there is
    symmetry, writes to planes ``out``, copies of ``t``, the representatives of the states. ``gates``: how many there
    are in all.
    """

    packing: Packing
    moves: tuple[Move, ...]
    goals: tuple[str, ...]
    guards: Callable[[Any, Any], None]
    updates: tuple[Callable[[Any, Any, Any, int, int], None], ...]
    holds: Callable[[Any, Any], None]
    allows: Callable[[Any, Any, Any], None]
    canonical: Callable[[Any, Any], None] | None
    gates: int


def columns_of(packing: Packing, symmetry: Symmetry | None = None) -> Columns:
    """The program of an instance whose states are packed so. Raises InstanceError where sizes are too large for it."""
    grounding = Grounding(packing)
    circuit = grounding.circuit
    moves = grounding.moves()
    state, step, goals = grounding.every("invariant", "lemma"), grounding.every("step"), grounding.goals()
    whole = {"s": "s[{}]", "t": "t[{}]"}
    part = {"s": "s[{}, lo:hi]", "t": "t[{}, lo:hi]"}
    updates = []
    for number, move in enumerate(moves):
        outputs = [(f"t[{plane}, lo:hi]", gate) for plane, gate in move.changes]
        outputs += [("out[0, lo:hi]", move.fits)] if move.fits != TRUE else []
        body = lines(circuit, outputs, part)
        updates.append(function(f"update{number}", "s, t, out, lo, hi", body))
    canonical = None
    if symmetry is not None:
        renamed = [(f"out[{plane}]", gate) for plane, gate in grounding.canonical(symmetry)]
        canonical = function("canonical", "t, out", lines(circuit, renamed, whole))
    looks = [("out[0]", state), *((f"out[{1 + n}]", gate) for n, (_, gate) in enumerate(goals))]
    return Columns(
        packing,
        tuple(moves),
        tuple(id for id, _ in goals),
        function("guards", "s, out", lines(circuit, [(f"out[{n}]", m.guard) for n, m in enumerate(moves)], whole)),
        tuple(updates),
        function("holds", "s, out", lines(circuit, looks, whole)),
        function("allows", "s, t, out", lines(circuit, [("out[0]", step)], whole)),
        canonical,
        len(circuit.op) - 2,
    )


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
