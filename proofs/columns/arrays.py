"""The libraries of arrays that an exploration in columns runs on: NumPy, PyTorch, CuPy.

All arrays of the search are made here, so that the search itself is the same on each. Words are 64-bit integers with a
sign, since PyTorch has no others that it shifts.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import attrs
import numpy as np
import numpy.typing as npt

from mtpo.proofs.columns.columns import Columns

CPU_LANES: Final = 1 << 17
"""States that are expanded at once where a cache holds what is at hand."""


class NoDevice(ValueError):
    """What was asked for is not on this machine; the message says what to do."""


class Arrays(Protocol):
    """What the search asks of a library beside operators and indexing."""

    @property
    def name(self) -> str:
        """The library's."""

    @property
    def device(self) -> str:
        """``cpu``, or which GPU."""

    @property
    def lanes(self) -> int:
        """States to be expanded at once."""

    @property
    def note(self) -> str:
        """What to tell a user, or nothing."""

    def fused(self, columns: Columns) -> Columns:
        """The program in the form that suits the library best."""

    def at_work(self) -> AbstractContextManager[None]:
        """What is to be so while a search runs."""

    def zeros(self, shape: tuple[int, ...], kind: str) -> Any:
        """Zeros of a kind, ``int64`` or ``int32``."""

    def arange(self, count: int) -> Any:
        """0, 1, 2, ... as int64."""

    def given(self, host: npt.NDArray[Any]) -> Any:
        """An array of NumPy's."""

    def host(self, array: Any) -> npt.NDArray[Any]:
        """The array as one of NumPy's."""

    def where(self, flags: Any) -> Any:
        """The places of one-dimensional flags that are set, ascending."""

    def rows(self, array: Any, places: Any) -> Any:
        """The rows at places, which NumPy's indexing is slow to find."""

    def bytes_of(self, words: Any) -> Any:
        """One-dimensional words as bytes, the least first."""

    def bits_of(self, octets: Any) -> Any:
        """The places of the bits that are set in bytes, eight places a byte, ascending."""

    def claim(self, table: Any, slots: Any, values: Any) -> None:
        """Write ascending values to slots of a table; where slots are equal the least value stays."""

    def counts(self, values: Any, size: int) -> npt.NDArray[np.int64]:
        """How often each of 0 .. size-1 occurs."""

    def narrow(self, array: Any) -> Any:
        """As int32."""

    def wide(self, array: Any) -> Any:
        """As int64."""


@attrs.frozen
class Numpy:
    """NumPy, on one core."""

    name: str = "numpy"
    device: str = "cpu"
    lanes: int = CPU_LANES
    note: str = ""

    def fused(self, columns: Columns) -> Columns:
        return columns

    def at_work(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def zeros(self, shape: tuple[int, ...], kind: str) -> Any:
        return np.zeros(shape, dtype=kind)

    def arange(self, count: int) -> Any:
        return np.arange(count, dtype=np.int64)

    def given(self, host: npt.NDArray[Any]) -> Any:
        return host

    def host(self, array: Any) -> npt.NDArray[Any]:
        return np.asarray(array)

    def where(self, flags: Any) -> Any:
        return np.flatnonzero(flags)

    def rows(self, array: Any, places: Any) -> Any:
        return array.take(places, axis=0)

    def bytes_of(self, words: Any) -> Any:
        return words.view(np.uint8)

    def bits_of(self, octets: Any) -> Any:
        return np.flatnonzero(np.unpackbits(octets, bitorder="little").view(np.bool_))

    def claim(self, table: Any, slots: Any, values: Any) -> None:
        table[slots[::-1]] = values[::-1]  # of values for one slot the last written stays

    def counts(self, values: Any, size: int) -> npt.NDArray[np.int64]:
        return np.bincount(values, minlength=size)

    def narrow(self, array: Any) -> Any:
        return array.astype(np.int32)

    def wide(self, array: Any) -> Any:
        return array.astype(np.int64)


def arrays_of(name: str) -> Arrays:
    """The library of a name. Raises :class:`NoDevice` when it can't run here, ModuleNotFoundError where it lacks."""
    if name == "numpy":
        return Numpy()
    from mtpo.proofs.columns.devices import cupy_arrays, torch_arrays

    return torch_arrays() if name == "torch" else cupy_arrays()
