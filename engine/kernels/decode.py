"""A decode step on a CPU in compiled code: a whole forward pass, with the weights in groups and the cache paged.

A decode step reads every weight once and uses it for a few rows only, so its time is that of reading the weights. Kept
as the file has them, in 8 bits and not in 32, they are read in a quarter of the time; each weight is turned into fp32
in a register, so the products are those of the fp32 matrix, up to the order of the sums. One thread: two would halve
the time on a quiet machine, and wait for each other on a busy one.

All that is compiled is in this file: numba keeps machine code until the file of the function changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from mtpo.engine.groups import GROUP, Floats

Whole = np.ndarray[Any, np.dtype[np.int64]]

LANES: Final = 8
"""Floats in a vector: one register of AVX2; machines with wider ones or narrower ones are served too."""


def multiply(count: int) -> Any:
    """For compiled code: the products of ``count`` rows of x with rows of a grouped matrix.

    ``f(integers, scales, offsets, x, sums, y, rows, groups)``: addresses, then whole numbers. For row r of the ``rows``
    of the matrix and t below ``count``, ``y[t, r]`` becomes the product of row r and ``x[t]``. A row of the matrix, and
    of x, has ``groups`` * 32 elements; a row of ``sums`` holds the sums of the groups of x.
    """

    @intrinsic  # type: ignore[misc, unused-ignore]
    def product(context, integers, scales, offsets, x, sums, y, rows, groups):  # type: ignore[no-untyped-def]
        def generate(lowering, builder, signature, values):  # type: ignore[no-untyped-def]
            _Product(builder, count, *values)
            return lowering.get_dummy_value()

        return types.void(integers, scales, offsets, x, sums, y, rows, groups), generate

    return product


_ANY_ORDER: Final = ("contract", "reassoc", "nsz")
"""What the compiler may do with sums and products: fuse them, and add in another order."""

_I64, _F32 = ir.IntType(64), ir.FloatType()
_VECTOR, _BYTES = ir.VectorType(_F32, LANES), ir.VectorType(ir.IntType(8), LANES)


class _Product:
    """Writes the loops over rows and groups. For each row: a vector of partial sums, and what the offsets add."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        count: int,
        integers: Any,
        scales: Any,
        offsets: Any,
        x: Any,
        sums: Any,
        y: Any,
        rows: Any,
        groups: Any,
    ) -> None:
        self.builder = b = builder
        integers = b.inttoptr(integers, ir.IntType(8).as_pointer())
        scales, offsets, x, sums, y = (b.inttoptr(a, _F32.as_pointer()) for a in (scales, offsets, x, sums, y))
        each = range(count)
        totals = [cgutils.alloca_once(b, _VECTOR) for _ in each]
        added = [cgutils.alloca_once(b, _F32) for _ in each]
        with cgutils.for_range(b, rows) as line:
            row = line.index
            for t in each:
                b.store(ir.Constant(_VECTOR, [0.0] * LANES), totals[t])
                b.store(ir.Constant(_F32, 0.0), added[t])
            with cgutils.for_range(b, groups) as loop:
                at = b.add(b.mul(row, groups), loop.index)
                scale, offset = self._spread(b.load(b.gep(scales, [at]))), b.load(b.gep(offsets, [at]))
                weights = [
                    b.sitofp(self._read(integers, b.add(b.mul(at, _number(GROUP)), _number(v)), _BYTES, 1), _VECTOR)
                    for v in range(0, GROUP, LANES)
                ]
                for t in each:
                    group = b.add(b.mul(groups, _number(t)), loop.index)
                    begin = b.mul(group, _number(GROUP))
                    part = None
                    for v, weight in enumerate(weights):
                        term = b.fmul(
                            weight, self._read(x, b.add(begin, _number(v * LANES)), _VECTOR, 4), flags=_ANY_ORDER
                        )
                        part = term if part is None else b.fadd(part, term, flags=_ANY_ORDER)
                    self._add(totals[t], part, scale)
                    self._add(added[t], b.load(b.gep(sums, [group])), offset)
            for t in each:
                total, lanes = b.load(added[t]), b.load(totals[t])
                for lane in range(LANES):
                    total = b.fadd(total, b.extract_element(lanes, _lane(lane)), flags=_ANY_ORDER)
                b.store(total, b.gep(y, [b.add(b.mul(rows, _number(t)), row)]))

    def _read(self, base: Any, index: Any, kind: ir.Type, align: int) -> Any:
        place = self.builder.bitcast(self.builder.gep(base, [index]), kind.as_pointer())
        return self.builder.load(place, align=align)

    def _spread(self, value: Any) -> Any:
        nothing = ir.Constant(_VECTOR, ir.Undefined)
        one = self.builder.insert_element(nothing, value, _lane(0))
        return self.builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))

    def _add(self, place: Any, value: Any, factor: Any) -> None:
        b = self.builder
        b.store(b.fadd(b.load(place), b.fmul(value, factor, flags=_ANY_ORDER), flags=_ANY_ORDER), place)


def _number(value: int) -> ir.Constant:
    return ir.Constant(_I64, value)


def _lane(value: int) -> ir.Constant:
    return ir.Constant(ir.IntType(32), value)


_one, _two, _three, _four = (multiply(count) for count in range(1, 5))
_AT_ONCE: Final = 4
"""Rows for which the weights are read together: with the weights they fill the registers."""


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile at the first call, and keep the machine code where there is a place for it."""

    def wrap(function: Callable[..., Any]) -> Any:
        try:
            return njit(function, nogil=True, cache=True, **options)
        except RuntimeError:  # numba's word for having no place
            return njit(function, nogil=True, **options)

    return wrap


@_compiled()
def _product(integers: Any, scales: Floats, offsets: Floats, x: Floats, sums: Floats, y: Floats) -> None:
    """y = x @ weights.T; ``sums`` are those of the groups of x."""
    rows, matrix, groups = x.shape[0], scales.shape[0], scales.shape[1]
    q, d, m = integers.ctypes.data, scales.ctypes.data, offsets.ctypes.data
    for t in range(0, rows, _AT_ONCE):
        a, s, o = x[t:].ctypes.data, sums[t:].ctypes.data, y[t:].ctypes.data
        if rows - t == 1:
            _one(q, d, m, a, s, o, matrix, groups)
        elif rows - t == 2:
            _two(q, d, m, a, s, o, matrix, groups)
        elif rows - t == 3:
            _three(q, d, m, a, s, o, matrix, groups)
        else:
            _four(q, d, m, a, s, o, matrix, groups)


@_compiled(fastmath=set(_ANY_ORDER))
def _summed(x: Floats) -> Floats:
    """The sum of each group of x."""
    sums = np.empty((x.shape[0], x.shape[1] // GROUP), np.float32)
    for t in range(x.shape[0]):
        for g in range(sums.shape[1]):
            total = np.float32(0)
            for j in range(GROUP):
                total += x[t, g * GROUP + j]
            sums[t, g] = total
    return sums


@_compiled(fastmath=set(_ANY_ORDER))
def _normed(x: Floats, weight: Floats, epsilon: float, out: Floats) -> None:
    """out = weight * x / rms(x), row by row."""
    for t in range(x.shape[0]):
        squares = np.float32(0)
        for j in range(x.shape[1]):
            squares += x[t, j] * x[t, j]
        factor = np.float32(1) / np.sqrt(squares / np.float32(x.shape[1]) + epsilon)
        for j in range(x.shape[1]):
            out[t, j] = weight[j] * (x[t, j] * factor)


@_compiled()
def _rotated(row: Floats, heads: int, size: int, cos: Floats, sin: Floats) -> None:
    """Rotary embedding over the two halves of each of the first heads of a row, in place."""
    half = size // 2
    for at in range(0, heads * size, size):
        for j in range(half):
            low, high = row[at + j], row[at + half + j]
            row[at + j] = low * cos[j] - high * sin[j]
            row[at + half + j] = high * cos[half + j] + low * sin[half + j]


@_compiled(fastmath=set(_ANY_ORDER))
def _attended(
    query: Floats, keys: Floats, values: Floats, table: Whole, head: int, scores: Floats, out: Floats
) -> None:
    """One head of one row over the blocks in ``table``: softmax(query keys / sqrt(size)) values, into ``out``.

    ``scores`` has as many elements as the context; what it holds before does not matter.
    """
    size, length = query.shape[0], keys.shape[1]
    scale = np.float32(1.0 / math.sqrt(size))
    best = np.float32(-math.inf)
    for p in range(len(scores)):
        key = keys[table[p // length], p % length, head]
        dot = np.float32(0)
        for j in range(size):
            dot += query[j] * key[j]
        scores[p] = dot * scale
        best = max(best, scores[p])
    total = np.float32(0)
    for p in range(len(scores)):
        scores[p] = np.exp(scores[p] - best)
        total += scores[p]
    out[:] = 0
    for p in range(len(scores)):
        weight, value = scores[p] / total, values[table[p // length], p % length, head]
        for j in range(size):
            out[j] += weight * value[j]


@_compiled(fastmath=set(_ANY_ORDER))
def forward(
    x: Floats,
    cos: Floats,
    sin: Floats,
    slots: Whole,
    tables: Whole,
    contexts: Whole,
    keys: Floats,
    values: Floats,
    norms: Any,
    weights: Any,
) -> Floats:
    """The logits (rows, vocab) of x, embedded tokens; see :meth:`mtpo.engine.decoder.Decoder.logits`.

    ``norms``: those before attention and before the FFN (layers, hidden), the last (hidden), epsilon. ``weights``: QKV,
    output, gate above up, down, each layer by layer, and the head, as integers, scales and offsets.
    """
    norms_in, norms_mid, norm, epsilon = norms
    qkv, out, gate_up, down, head = weights
    rows, hidden = x.shape
    layers, _, length, kv_heads, size = keys.shape
    heads, ffn = out[0].shape[2] // size, down[0].shape[2]
    normed, projected = np.empty((rows, hidden), np.float32), np.empty((rows, hidden), np.float32)
    mixed = np.empty((rows, (heads + 2 * kv_heads) * size), np.float32)
    attended = np.empty((rows, heads * size), np.float32)
    gates, active = np.empty((rows, 2 * ffn), np.float32), np.empty((rows, ffn), np.float32)
    scores = np.empty(contexts.max(), np.float32)
    for i in range(layers):
        _normed(x, norms_in[i], epsilon, normed)
        _product(qkv[0][i], qkv[1][i], qkv[2][i], normed, _summed(normed), mixed)
        for t in range(rows):
            _rotated(mixed[t], heads + kv_heads, size, cos[t], sin[t])
            block, offset = slots[t] // length, slots[t] % length
            for h in range(kv_heads):
                key, value = (heads + h) * size, (heads + kv_heads + h) * size
                keys[i, block, offset, h] = mixed[t, key : key + size]
                values[i, block, offset, h] = mixed[t, value : value + size]
        for t in range(rows):
            for h in range(heads):
                query, into = mixed[t, h * size : (h + 1) * size], attended[t, h * size : (h + 1) * size]
                group = h * kv_heads // heads
                _attended(query, keys[i], values[i], tables[t], group, scores[: contexts[t]], into)
        _product(out[0][i], out[1][i], out[2][i], attended, _summed(attended), projected)
        x += projected
        _normed(x, norms_mid[i], epsilon, normed)
        _product(gate_up[0][i], gate_up[1][i], gate_up[2][i], normed, _summed(normed), gates)
        for t in range(rows):
            for j in range(ffn):
                gate = gates[t, j]
                active[t, j] = gate / (np.float32(1) + np.exp(-gate)) * gates[t, ffn + j]
        _product(down[0][i], down[1][i], down[2][i], active, _summed(active), projected)
        x += projected
    _normed(x, norm, epsilon, normed)
    logits = np.empty((rows, head[0].shape[0]), np.float32)
    _product(head[0], head[1], head[2], normed, _summed(normed), logits)
    return logits
