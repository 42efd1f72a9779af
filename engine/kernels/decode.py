"""A small batch on a CPU in compiled code: a whole forward pass, with the weights in groups and the cache paged.

A decode step reads every weight once and uses it for a few rows only, so its time is that of reading the weights. Kept
as the file has them, in 8 bits and not in 32, they are read in a quarter of the time; each weight is turned into fp32
in a register, so the products are those of the fp32 matrix, up to the order of the sums. One thread: two would halve
the time on a quiet machine, and wait for each other on a busy one.

All that is compiled is in this file: numba keeps machine code until the file of the function changes.
"""

from __future__ import annotations

import functools
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
    """For compiled code: the products of ``count`` rows of x with the rows of a grouped matrix.

    ``f(integers, scales, offsets, x, y, rows, groups)``: addresses, then whole numbers. For row r of the ``rows`` of
    the matrix and t below ``count``, ``y[t, r]`` becomes the product of row r and ``x[t]``. A row of the matrix, and of
    x, has ``groups`` * 32 elements.
    """

    @intrinsic
    def product(context, integers, scales, offsets, x, y, rows, groups):  # type: ignore[no-untyped-def]
        def generate(lowering, builder, signature, values):  # type: ignore[no-untyped-def]
            _products(builder, count, *values)
            return lowering.get_dummy_value()

        return types.void(integers, scales, offsets, x, y, rows, groups), generate

    return product


_ANY_ORDER: Final = ("contract", "reassoc", "nsz")
"""What the compiler may do with sums and products: fuse them, and add in another order."""

_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_VECTOR, _BYTES = ir.VectorType(_F32, LANES), ir.VectorType(ir.IntType(8), LANES)


def _products(
    b: ir.IRBuilder,
    count: int,
    integers: Any,
    scales: Any,
    offsets: Any,
    x: Any,
    y: Any,
    rows: Any,
    groups: Any,
) -> None:
    """Writes the loops over rows and groups, with vectors of partial sums for each row of x.

    A vector of weights becomes fp32 once and is used for all rows of x. With few rows each has several partial sums, so
    that one addition need not wait for the last.
    """
    integers = b.inttoptr(integers, ir.IntType(8).as_pointer())
    scales, offsets, x, y = (b.inttoptr(address, _F32.as_pointer()) for address in (scales, offsets, x, y))
    nothing, zero = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_VECTOR, [0.0] * LANES)
    everywhere = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)

    def plus(left: Any, right: Any) -> Any:
        return b.fadd(left, right, flags=_ANY_ORDER)

    def times(left: Any, right: Any) -> Any:
        return b.fmul(left, right, flags=_ANY_ORDER)

    def vector(base: Any, index: Any, kind: ir.Type, align: int) -> Any:
        return b.load(b.bitcast(b.gep(base, [index]), kind.as_pointer()), align=align)

    def spread(place: Any) -> Any:
        return b.shuffle_vector(b.insert_element(nothing, b.load(place), _I32(0)), nothing, everywhere)

    chains = max(1, min(GROUP // LANES, 8 // count))
    totals = [[cgutils.alloca_once(b, _VECTOR) for _ in range(chains)] for _ in range(count)]
    with cgutils.for_range(b, rows) as row:
        for total in (total for each in totals for total in each):
            b.store(zero, total)
        with cgutils.for_range(b, groups) as group:
            at = b.add(b.mul(row.index, groups), group.index)
            scale, offset = spread(b.gep(scales, [at])), spread(b.gep(offsets, [at]))
            for number, part in enumerate(range(0, GROUP, LANES)):
                small = vector(integers, b.add(b.mul(at, _I64(GROUP)), _I64(part)), _BYTES, 1)
                weight = plus(times(b.sitofp(small, _VECTOR), scale), offset)
                for t, each in enumerate(totals):
                    place = b.mul(b.add(b.mul(groups, _I64(t)), group.index), _I64(GROUP))
                    term = times(weight, vector(x, b.add(place, _I64(part)), _VECTOR, 4))
                    b.store(plus(b.load(each[number % chains]), term), each[number % chains])
        for t, each in enumerate(totals):
            lanes = functools.reduce(plus, (b.load(total) for total in each))
            found = b.extract_element(lanes, _I32(0))
            for lane in range(1, LANES):
                found = plus(found, b.extract_element(lanes, _I32(lane)))
            b.store(found, b.gep(y, [b.add(b.mul(rows, _I64(t)), row.index)]))


_one, _two, _three, _four, _eight = (multiply(count) for count in (1, 2, 3, 4, 8))
"""With as many sums and a vector of weights, its scale and its offset, 16 registers are enough."""


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile at the first call, and keep the machine code where there is a place for it."""

    def wrap(function: Callable[..., Any]) -> Any:
        try:
            return njit(function, nogil=True, cache=True, **options)
        except RuntimeError:  # numba's word for having no place
            return njit(function, nogil=True, **options)

    return wrap


@_compiled()
def _product(integers: Any, scales: Floats, offsets: Floats, x: Floats, y: Floats) -> None:
    """y = x @ weights.T."""
    rows, matrix, groups = x.shape[0], scales.shape[0], scales.shape[1]
    q, d, m = integers.ctypes.data, scales.ctypes.data, offsets.ctypes.data
    t = 0
    while t < rows:
        a, o, left = x[t:].ctypes.data, y[t:].ctypes.data, rows - t
        if left >= 8:
            _eight(q, d, m, a, o, matrix, groups)
            t += 8
        elif left >= 4:
            _four(q, d, m, a, o, matrix, groups)
            t += 4
        elif left == 3:
            _three(q, d, m, a, o, matrix, groups)
            t += 3
        elif left == 2:
            _two(q, d, m, a, o, matrix, groups)
            t += 2
        else:
            _one(q, d, m, a, o, matrix, groups)
            t += 1


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

    ``scores`` has as many elements as the context; what it holds before does not matter. Four positions are taken
    together: their sums don't wait for each other, and ``out`` is read and written once for all of them.
    """
    size, length, context = query.shape[0], keys.shape[1], len(scores)
    scale = np.float32(1.0 / math.sqrt(size))
    for begin in range(0, context, length):
        block, count = keys[table[begin // length]], min(length, context - begin)
        for p in range(0, count - 3, 4):
            first = second = third = fourth = np.float32(0)
            for j in range(size):
                first += query[j] * block[p, head, j]
                second += query[j] * block[p + 1, head, j]
                third += query[j] * block[p + 2, head, j]
                fourth += query[j] * block[p + 3, head, j]
            at = begin + p
            scores[at], scores[at + 1], scores[at + 2], scores[at + 3] = first, second, third, fourth
        for p in range(count - count % 4, count):
            dot = np.float32(0)
            for j in range(size):
                dot += query[j] * block[p, head, j]
            scores[begin + p] = dot
    best = scores.max()
    total = np.float32(0)
    for p in range(context):
        scores[p] = np.exp((scores[p] - best) * scale)
        total += scores[p]
    out[:] = 0
    for begin in range(0, context, length):
        block, count = values[table[begin // length]], min(length, context - begin)
        for p in range(0, count - 3, 4):
            at = begin + p
            first, second, third, fourth = scores[at], scores[at + 1], scores[at + 2], scores[at + 3]
            for j in range(size):
                left = first * block[p, head, j] + second * block[p + 1, head, j]
                out[j] += left + (third * block[p + 2, head, j] + fourth * block[p + 3, head, j])
        for p in range(count - count % 4, count):
            for j in range(size):
                out[j] += scores[begin + p] * block[p, head, j]
    for j in range(size):
        out[j] /= total


@_compiled(fastmath=set(_ANY_ORDER))
def forward(
    x: Floats,
    cos: Floats,
    sin: Floats,
    positions: Whole,
    slots: Whole,
    tables: Whole,
    owners: Whole,
    wanted: Whole,
    keys: Floats,
    values: Floats,
    norms: Any,
    weights: Any,
) -> Floats:
    """The logits (wanted, vocab) of x, embedded tokens; see :meth:`mtpo.engine.decoder.Decoder.logits`.

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
    scores = np.empty(positions.max() + 1, np.float32)
    for i in range(layers):
        _normed(x, norms_in[i], epsilon, normed)
        _product(qkv[0][i], qkv[1][i], qkv[2][i], normed, mixed)
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
                _attended(query, keys[i], values[i], tables[owners[t]], group, scores[: positions[t] + 1], into)
        _product(out[0][i], out[1][i], out[2][i], attended, projected)
        x += projected
        _normed(x, norms_mid[i], epsilon, normed)
        _product(gate_up[0][i], gate_up[1][i], gate_up[2][i], normed, gates)
        for t in range(rows):
            for j in range(ffn):
                gate = gates[t, j]
                active[t, j] = gate / (np.float32(1) + np.exp(-gate)) * gates[t, ffn + j]
        _product(down[0][i], down[1][i], down[2][i], active, projected)
        x += projected
    last = np.empty((len(wanted), hidden), np.float32)
    logits = np.empty((len(wanted), head[0].shape[0]), np.float32)
    _normed(x[wanted], norm, epsilon, last)
    _product(head[0], head[1], head[2], last, logits)
    return logits
