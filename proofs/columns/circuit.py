"""Circuits: formulas as gates over bits, equal gates made once.

A gate is a number in a :class:`Circuit`. Arrays of 64-bit words evaluate one for 64 states at a time. What is known is
folded, so a formula of which the instance decides everything costs nothing. Numbers are bits too, with the interval in
which they lie: nothing wraps around.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

FALSE: Final = 0
TRUE: Final = 1

Gate = int


@attrs.frozen
class Number:
    """Bits, the least first, of an integer from ``low`` to ``high``; the last is the sign where ``low`` is negative."""

    bits: tuple[Gate, ...]
    low: int
    high: int

    @property
    def signed(self) -> bool:
        """It may be negative."""
        return self.low < 0

    def bit(self, place: int) -> Gate:
        """The bit at a place, the number being extended as far as is needed."""
        if place < len(self.bits):
            return self.bits[place]
        return self.bits[-1] if self.signed else FALSE


def width(low: int, high: int) -> int:
    """Bits that integers from ``low`` to ``high`` need, a sign among them where ``low`` is negative."""
    if low < 0:
        return max((-low - 1).bit_length(), high.bit_length() if high > 0 else 0) + 1
    return high.bit_length()


def constant(value: int) -> Number:
    """An integer that is known."""
    return Number(tuple(TRUE if value >> n & 1 else FALSE for n in range(width(value, value))), value, value)


class Circuit:
    """Gates, each made once. ``op``, ``left``, ``right`` are lists by gate; an input's ``left`` is which one it is."""

    def __init__(self) -> None:
        self.op: list[str] = ["lit", "lit"]
        self.left: list[int] = [FALSE, TRUE]
        self.right: list[int] = [0, 0]
        self._made: dict[tuple[str, int, int], Gate] = {}
        self._negated: dict[Gate, Gate] = {FALSE: TRUE, TRUE: FALSE}
        self._onehot: dict[tuple[Gate, ...], dict[int, Gate]] = {}

    def _gate(self, op: str, left: int, right: int = 0) -> Gate:
        key = (op, left, right)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = len(self.op)
            self.op.append(op)
            self.left.append(left)
            self.right.append(right)
        return found

    def input(self, row: str, place: int) -> Gate:
        """A bit that is given: of the state, ``row`` s, or of the next, ``row`` t."""
        return self._gate(row, place)

    def inv(self, a: Gate) -> Gate:
        """Not a."""
        if a not in self._negated:
            made = self._gate("not", a)
            self._negated[a], self._negated[made] = made, a
        return self._negated[a]

    def both(self, a: Gate, b: Gate) -> Gate:
        """a and b."""
        if a > b:
            a, b = b, a
        if a == FALSE or self._negated.get(a) == b:
            return FALSE
        if a in (TRUE, b):
            return b
        return self._gate("and", a, b)

    def either(self, a: Gate, b: Gate) -> Gate:
        """a or b."""
        if a > b:
            a, b = b, a
        if a == TRUE or self._negated.get(a) == b:
            return TRUE
        if a in (FALSE, b):
            return b
        return self._gate("or", a, b)

    def differ(self, a: Gate, b: Gate) -> Gate:
        """One of the two."""
        if a > b:
            a, b = b, a
        if a == b:
            return FALSE
        if a == FALSE:
            return b
        if a == TRUE:
            return self.inv(b)
        return TRUE if self._negated.get(a) == b else self._gate("xor", a, b)

    def choose(self, condition: Gate, then: Gate, otherwise: Gate) -> Gate:
        """``then`` where the condition holds, else ``otherwise``."""
        if then == otherwise:
            return then
        if condition in (FALSE, TRUE):
            return then if condition else otherwise
        if then in (FALSE, TRUE):
            return self.either(condition, otherwise) if then else self.both(self.inv(condition), otherwise)
        if otherwise in (FALSE, TRUE):
            return self.either(self.inv(condition), then) if otherwise else self.both(condition, then)
        return self.differ(otherwise, self.both(condition, self.differ(then, otherwise)))

    def all(self, gates: Iterable[Gate]) -> Gate:
        """Every one; those after a false one are not even made."""
        found = TRUE
        for gate in gates:
            found = self.both(found, gate)
            if found == FALSE:
                break
        return found

    def any(self, gates: Iterable[Gate]) -> Gate:
        """At least one."""
        found = FALSE
        for gate in gates:
            found = self.either(found, gate)
            if found == TRUE:
                break
        return found

    # -- elements ----------------------------------------------------------------------------------------------

    def is_(self, bits: Sequence[Gate], value: int) -> Gate:
        """The bits are those of a value."""
        made = self._onehot.setdefault(tuple(bits), {})
        if value not in made:
            made[value] = (
                FALSE
                if value >> len(bits)
                else self.all(bit if value >> n & 1 else self.inv(bit) for n, bit in enumerate(bits))
            )
        return made[value]

    def same(self, a: Sequence[Gate], b: Sequence[Gate]) -> Gate:
        """Equal bits."""
        return self.all(self.inv(self.differ(x, y)) for x, y in zip(a, b, strict=True))

    def less(self, a: Sequence[Gate], b: Sequence[Gate], equal: bool = False) -> Gate:
        """a is below b, or ``equal`` to it, both without sign."""
        found = TRUE if equal else FALSE
        for x, y in zip(a, b, strict=True):
            found = self.choose(self.differ(x, y), y, found)
        return found

    # -- integers ----------------------------------------------------------------------------------------------

    def _extended(self, *numbers: Number) -> list[list[Gate]]:
        """Equally many bits of each, a sign in each."""
        wide = 1 + max(len(n.bits) for n in numbers)
        return [[n.bit(place) for place in range(wide)] for n in numbers]

    def equal(self, a: Number, b: Number) -> Gate:
        """The same integer."""
        return FALSE if a.high < b.low or b.high < a.low else self.same(*self._extended(a, b))

    def below(self, a: Number, b: Number, equal: bool = False) -> Gate:
        """a is less than b, or ``equal`` to it."""
        if a.high < b.low or (equal and a.high == b.low):
            return TRUE
        if a.low > b.high or (not equal and a.low == b.high):
            return FALSE
        x, y = self._extended(a, b)
        return self.less([*x[:-1], y[-1]], [*y[:-1], x[-1]], equal)  # the one with a sign is the lesser

    def plus(self, a: Number, b: Number) -> Number:
        """The sum."""
        return self._added(a, b, FALSE, a.low + b.low, a.high + b.high)

    def minus(self, a: Number, b: Number) -> Number:
        """The difference."""
        return self._added(a, b, TRUE, a.low - b.high, a.high - b.low)

    def _added(self, a: Number, b: Number, negative: Gate, low: int, high: int) -> Number:
        bits, carry = list[Gate](), negative
        for place in range(width(low, high)):
            x, y = a.bit(place), self.differ(b.bit(place), negative)
            one = self.differ(x, y)
            bits.append(self.differ(one, carry))
            carry = self.choose(one, carry, x)
        return Number(tuple(bits), low, high)

    def times(self, a: Number, factor: int) -> Number:
        """A multiple."""
        found, zero = constant(0), constant(0)
        for place in range(abs(factor).bit_length()):
            if abs(factor) >> place & 1:
                shifted = Number((*[FALSE] * place, *a.bits), a.low << place, a.high << place)
                found = self.plus(found, shifted)
        return found if factor >= 0 else self.minus(zero, found)

    def pick(self, cases: Sequence[tuple[Gate, Number]]) -> Number:
        """The number whose condition holds; of the conditions one does."""
        low, high = min(n.low for _, n in cases), max(n.high for _, n in cases)
        bits = tuple(
            self.any(self.both(condition, n.bit(place)) for condition, n in cases) for place in range(width(low, high))
        )
        return Number(bits, low, high)
