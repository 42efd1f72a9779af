"""Matrices whose weights come in groups of 32 small integers with a scale and an offset, as in GGUF files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
import numpy as np

GROUP: Final = 32
"""Weights that share a scale (ggml's block of Q4_0, Q4_1 and Q8_0)."""

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]


@attrs.frozen(eq=False)
class Groups:
    """A matrix (rows, columns): ``integers`` int8 of that shape; ``scales`` and ``offsets`` fp32 (rows, columns / 32).

    Weight [r, c] is ``scales[r, c // 32] * integers[r, c] + offsets[r, c // 32]``.
    """

    integers: np.ndarray[Any, np.dtype[np.int8]]
    scales: Floats
    offsets: Floats

    def plain(self) -> Floats:
        """The matrix in fp32."""
        grouped = self.integers.reshape(*self.scales.shape, GROUP).astype(np.float32)
        grouped *= self.scales[..., None]
        grouped += self.offsets[..., None]
        return grouped.reshape(self.integers.shape)

    def rows(self, order: Callable[[Any], Any]) -> Groups:
        """The same after ``order``, which rearranges the rows of an array."""
        return Groups(*(np.ascontiguousarray(order(part)) for part in (self.integers, self.scales, self.offsets)))


def stacked(parts: Sequence[Groups]) -> Groups:
    """One matrix above the other."""
    fields = [(part.integers, part.scales, part.offsets) for part in parts]
    return Groups(*(np.concatenate(field) for field in zip(*fields, strict=True)))


def read_groups(kind: str, data: Bytes) -> Groups | None:
    """The matrix in a GGUF tensor of ggml type ``kind``, from its rows of bytes; None for a type of another build."""
    if kind not in _SIZES or data.ndim != 2:
        return None
    blocks = data.reshape(data.shape[0], -1, _SIZES[kind])
    scales = _halves(blocks, 0)
    if kind == "Q8_0":
        return Groups(_joined(blocks[..., 2:].view(np.int8)), scales, np.zeros_like(scales))
    nibbles = blocks[..., -GROUP // 2 :]
    integers = _joined(np.concatenate((nibbles & 15, nibbles >> 4), axis=-1).view(np.int8))
    if kind == "Q4_0":
        return Groups(integers - np.int8(8), scales, np.zeros_like(scales))
    return Groups(integers, scales, _halves(blocks, 2))


_SIZES: Final = {"Q4_0": 18, "Q4_1": 20, "Q8_0": 34}
"""Bytes of a group: the scale, the offset of Q4_1 (fp16 each), the integers."""


def _halves(blocks: Bytes, at: int) -> Floats:
    found = np.ascontiguousarray(blocks[..., at : at + 2]).view(np.float16)[..., 0]
    return np.ascontiguousarray(found.astype(np.float32))


def _joined(groups: Any) -> Any:
    return np.ascontiguousarray(groups.reshape(groups.shape[0], -1))
