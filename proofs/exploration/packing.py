"""States as 64-bit words: what an exploration keeps of each.

Every cell of an instance's row gets just the bits that its range needs, and lies in one word. Nothing is lost: whole
states are kept and compared, not fingerprints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from mtpo.spec.concrete import Instance
from mtpo.spec.language import Int

WORD = 64

Words = npt.NDArray[np.uint64]
Cells = npt.NDArray[Any]


class TooWide(ValueError):
    """An integer does not fit the bits of its cell."""


@attrs.frozen
class Cell:
    """Where one cell lies: ``bits`` of word ``word`` from ``shift`` on; 0 bits where there is one value only.

    What lies there is the value less ``low``.
    """

    word: int
    shift: int
    bits: int
    low: int = 0

    @property
    def mask(self) -> int:
        """Ones, as many as there are bits."""
        return (1 << self.bits) - 1

    @property
    def high(self) -> int:
        """The largest value."""
        return self.low + self.mask


class Packing:
    """The layout of an instance's states: ``cells`` in the order of the row, ``words`` of 64 bits a state.

    A cell that holds an integer (``integer``) gets ``int_bits``, at most 63, for the values ``held``: from 0, or with
    ``signed`` about 0. Who meets another packs anew.
    """

    def __init__(self, instance: Instance, int_bits: int = 4, signed: bool = False) -> None:
        self.instance, self.int_bits = instance, int_bits
        low = -(1 << (int_bits - 1)) if signed else 0
        self.held = (low, low + (1 << int_bits) - 1)
        held = (*(instance.spec.constants[name] for name in instance.open), *instance.spec.variables.values())
        self.cells: list[Cell] = []
        self.integer: list[bool] = []
        word = shift = 0
        for symbol in held:
            bits = int_bits if symbol.range is Int else (instance.size(symbol.range) - 1).bit_length()
            for _ in range(instance.cells(symbol)):
                if shift + bits > WORD:
                    word, shift = word + 1, 0
                self.cells.append(Cell(word, shift, bits, low if symbol.range is Int else 0))
                self.integer.append(symbol.range is Int)
                shift += bits
        self.words = word + 1
        self.dtype: type[np.generic] = np.int64 if instance.wide else np.uint8

    def pack(self, rows: Sequence[Sequence[int]] | Cells) -> Words:
        """Rows of cells, shape (states, width), as words, shape (states, words)."""
        table = np.asarray([list(row) for row in rows] if not isinstance(rows, np.ndarray) else rows, dtype=np.int64)
        packed = np.zeros((len(table), self.words), dtype=np.uint64)
        if not len(table):
            return packed
        for number, cell in enumerate(self.cells):
            column = table[:, number]
            if column.min() < cell.low or column.max() > cell.high:
                raise TooWide
            packed[:, cell.word] |= (column - cell.low).astype(np.uint64) << np.uint64(cell.shift)
        return packed

    def unpack(self, packed: Words) -> Cells:
        """Words as rows of cells."""
        rows = np.zeros((len(packed), len(self.cells)), dtype=self.dtype)
        for number, cell in enumerate(self.cells):
            value = (packed[:, cell.word] >> np.uint64(cell.shift)) & np.uint64(cell.mask)
            rows[:, number] = value.astype(np.int64) + cell.low
        return rows
