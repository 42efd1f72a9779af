"""What can go wrong, in one line each, and the checks of what comes from outside."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence, Set
from numbers import Integral, Real


class EngineError(RuntimeError):
    """A model file, a request or a setting that the engine can't work with: says what, where and what to do."""


class BadValue(EngineError, ValueError):
    """A request or a setting with a value outside of what is allowed, which the message names."""


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60


def shown(value: object) -> str:
    """A value for an error message: one short line, whatever it is."""
    try:
        return " ".join(_REPR.repr(value).split())
    except ValueError:  # an integer of thousands of digits
        return f"a value of type {type(value).__name__}"


def told(error: BaseException) -> str:
    """Another's error for a message of ours: its type and what it says, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= 200 else f'{text[:200]}...'}"


def as_whole(value: object) -> int | None:
    """The integer that a value is (Python's or numpy's); None for anything else, and for True and False."""
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def whole(what: str, value: object, least: int = 1, most: int | None = None) -> int:
    """A whole number from ``least`` to ``most``. Raises :class:`BadValue`."""
    found = as_whole(value)
    if found is None or found < least or (most is not None and found > most):
        allowed = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise BadValue(f"{what} must be a whole number {allowed}, got {shown(value)}")
    return found


def as_real(value: object) -> float | None:
    """The finite float that a value is; None for anything else, and for True and False."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def length_of(what: str, values: object, *, ordered: bool = True) -> int:
    """How many tokens are given. Raises :class:`BadValue` for what is no sequence (or set, if not ``ordered``)."""
    kinds = (Sequence,) if ordered else (Sequence, Set)
    if not isinstance(values, kinds) or isinstance(values, (str, bytes, bytearray, memoryview)):
        raise BadValue(f"{what} must be a list or tuple of token numbers, got {shown(values)}")
    try:
        return len(values)
    except OverflowError:  # a range beyond the machine's word
        return 1 << 64


def tokens_of(what: str, values: Sequence[int] | Set[int], vocab: int) -> tuple[int, ...]:
    """Tokens as plain integers. Raises :class:`BadValue` for the first that is none of the ``vocab``."""
    found = []
    for value in values:
        token = as_whole(value)
        if token is None or not 0 <= token < vocab:
            raise BadValue(
                f"{what}: token {shown(value)} is not in the vocabulary of {vocab}; a token is a whole number from 0"
            )
        found.append(token)
    return tuple(found)
