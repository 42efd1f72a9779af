"""Reading a GGUF file: metadata and where each tensor lies.

The reader of the ``gguf`` package makes several array objects for every word of the vocabulary and every merge, which
takes seconds; this one walks the bytes once. Format: version 2 or 3, little endian (the GGUF specification of ggml).
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np

_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING: Final = 8
_ARRAY: Final = 9
_MOST_DIMENSIONS: Final = 4


@attrs.frozen
class TensorPlace:
    """``shape`` outermost dimension first; ``kind`` the ggml type; ``data`` raw bytes, one row per quantised row."""

    shape: tuple[int, ...]
    kind: int
    data: np.ndarray[Any, np.dtype[np.uint8]]


@attrs.frozen
class GGUFFile:
    """``fields``: metadata by key. ``tensors``: by name, in the order of the file, not dequantised."""

    fields: Mapping[str, Any]
    tensors: Mapping[str, TensorPlace]


def read_gguf(path: Path, row_bytes: Callable[[int, int], int]) -> GGUFFile:
    """Read a file; ``row_bytes(kind, elements)`` is the size of one row. Raises ValueError on a damaged file."""
    with path.open("rb") as file:
        if path.stat().st_size < 24:
            raise ValueError("it is shorter than a header")
        cursor = _Cursor(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if cursor.raw(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version = cursor.scalar("I")
    if version not in (2, 3):
        raise ValueError(f"version {version}; this program reads 2 and 3, little endian")
    tensors, keys = cursor.scalar("Q"), cursor.scalar("Q")
    fields = {}
    for _ in range(keys):
        key = cursor.string()
        fields[key] = cursor.value(cursor.scalar("I"))
    heads = []
    for _ in range(tensors):
        name, dimensions = cursor.string(), cursor.scalar("I")
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise ValueError(f"tensor {name} has {dimensions} dimensions")
        shape = tuple(reversed([cursor.scalar("Q") for _ in range(dimensions)]))
        heads.append((name, shape, cursor.scalar("I"), cursor.scalar("Q")))
    alignment = fields.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"general.alignment is {alignment!r}")
    begin = -(-cursor.at // alignment) * alignment
    whole = np.frombuffer(cursor.bytes, dtype=np.uint8)
    places = {}
    for name, shape, kind, offset in heads:
        rows, width = math.prod(shape[:-1]), row_bytes(kind, shape[-1])
        start = begin + offset
        if start + rows * width > len(whole):
            raise ValueError(f"tensor {name} ends after the file")
        places[name] = TensorPlace(shape, kind, whole[start : start + rows * width].reshape(*shape[:-1], width))
    return GGUFFile(fields, places)


class _Cursor:
    """A position in the bytes of a file; ValueError when it would leave them."""

    def __init__(self, data: mmap.mmap) -> None:
        self.bytes, self.at, self.size = data, 0, len(data)

    def raw(self, length: int) -> bytes:
        begin, self.at = self.at, self.at + length
        if self.at > self.size:
            raise ValueError(f"it is cut off at byte {self.size}")
        return self.bytes[begin : self.at]

    def scalar(self, code: str) -> Any:
        return struct.unpack("<" + code, self.raw(struct.calcsize("<" + code)))[0]

    def string(self) -> str:
        return self.raw(self.scalar("Q")).decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind])
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            raise ValueError(f"metadata of unknown type {kind}")
        inner, count = self.scalar("I"), self.scalar("Q")
        if inner in _SCALARS:
            code = _SCALARS[inner]
            return list(struct.unpack(f"<{count}{code}", self.raw(count * struct.calcsize("<" + code))))
        if inner != _STRING:
            raise ValueError(f"metadata: an array of type {inner}")
        return [self.string() for _ in range(count)]
