"""A batch on a CPU in compiled code: a whole forward pass, with the weights in groups and the cache paged.

A decode step reads every weight once and uses it for a few rows only, so its time is that of reading the weights. Kept
as the file has them, in 8 bits and not in 32, they are read in a quarter of the time; each weight is turned into fp32
in a register, so the products are those of the fp32 matrix, up to the order of the sums. With more rows the time is
that of the products: weights are turned into fp32 a panel at a time, and products are summed in tiles that fill the
registers; attention takes the heads that share keys together, in the same tiles.

Several threads share a pass: each makes some of the columns of every product and attends for some of the rows, and
they meet where one needs what the others made. Which of them makes a number changes nothing of it.

All that is compiled is in this file: numba keeps machine code until the file of the function changes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from mtpo.engine.groups import GROUP, Floats

Whole = np.ndarray[Any, np.dtype[np.int64]]


def _lanes() -> int:
    """Floats in a register of the processor that code is compiled for: 16 with AVX-512; else 8, those of AVX2, which
    machines with narrower registers are served by too."""
    features: str = cpu_target.target_context.codegen().magic_tuple()[2]
    return 16 if "+avx512f" in features.split(",") else 8


LANES: Final = _lanes()
"""Floats in a vector."""


def _written(write: Callable[..., object], *known: int) -> Callable[..., Any]:
    """What numba wants of an intrinsic without a result; ``write`` gets a builder, what is known, and the values."""

    def generate(lowering: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        write(builder, *known, *values)
        return lowering.get_dummy_value()

    return generate


def multiply(count: int) -> Any:
    """For compiled code: the products of ``count`` rows of x with the rows of a grouped matrix.

    ``f(integers, scales, offsets, x, y, rows, groups, stride)``: addresses, then whole numbers. For row r of the
    ``rows`` of the matrix and t below ``count``, ``y[t * stride + r]`` becomes the product of row r and ``x[t]``. A row
    of the matrix, and of x, has ``groups`` * 32 elements.
    """

    @intrinsic
    def product(context, integers, scales, offsets, x, y, rows, groups, stride):  # type: ignore[no-untyped-def]
        return types.void(integers, scales, offsets, x, y, rows, groups, stride), _written(_products, count)

    return product


def tile(count: int) -> Any:
    """For compiled code: adds the products of ``count`` rows of x with a panel, four rows in fp32, of a matrix.

    ``f(panel, x, y, length, apart, width, stride)``: addresses, then whole numbers. The product of row r of the panel
    and ``x[t]``, over ``length`` elements, a multiple of 8, is added to ``y[t * stride + r]``. Rows of the panel are
    ``apart`` elements apart, those of x ``width``.
    """

    @intrinsic
    def product(context, panel, x, y, length, apart, width, stride):  # type: ignore[no-untyped-def]
        return types.void(panel, x, y, length, apart, width, stride), _written(_tile, count)

    return product


def blend(count: int) -> Any:
    """For compiled code: adds to ``count`` rows of y rows in fp32, each so many times, four vectors of them.

    ``f(factors, rows, y, length, apart, stride, width)``: addresses, then whole numbers. ``factors[t * stride + r]``
    times row r, for each r below ``length``, is added to row t of y. The rows are ``apart`` elements apart, those of y
    ``width``.
    """

    @intrinsic
    def sums(context, factors, rows, y, length, apart, stride, width):  # type: ignore[no-untyped-def]
        return types.void(factors, rows, y, length, apart, stride, width), _written(_blend, count)

    return sums


@intrinsic
def _plain(context, integers, scales, offsets, plain, groups):  # type: ignore[no-untyped-def]
    """For compiled code: some groups of weights in fp32. ``f(integers, scales, offsets, plain, groups)``."""
    return types.void(integers, scales, offsets, plain, groups), _written(_spread)


@intrinsic
def _arrive(context, place):  # type: ignore[no-untyped-def]
    """For compiled code: adds one to the whole number at an address, before anything that comes after."""
    return types.void(place), _written(lambda b, at: b.atomic_rmw("add", _place(b, at), _I64(1), "acq_rel"))


@intrinsic
def _arrived(context, place):  # type: ignore[no-untyped-def]
    """For compiled code: the whole number at an address, and with it all that was written before it was."""
    return types.int64(place), lambda lowering, b, signature, values: b.load_atomic(_place(b, *values), "acquire", 8)


@intrinsic
def _pause(context):  # type: ignore[no-untyped-def]
    """For compiled code: lets others have the processor."""
    return types.void(), _written(_yield)


_ANY_ORDER: Final = ("contract", "reassoc", "nsz")
"""What the compiler may do with sums and products: fuse them, and add in another order."""

_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_VECTOR, _BYTES = ir.VectorType(_F32, LANES), ir.VectorType(ir.IntType(8), LANES)


def _tile(
    b: ir.IRBuilder, count: int, panel: Any, x: Any, y: Any, length: Any, apart: Any, width: Any, stride: Any
) -> None:
    """Writes a loop over the elements, with a vector of partial sums for each product."""
    panel, x, y = (b.inttoptr(address, _F32.as_pointer()) for address in (panel, x, y))
    totals = [[cgutils.alloca_once(b, _VECTOR) for _ in range(_PANEL)] for _ in range(count)]
    for total in (total for each in totals for total in each):
        b.store(ir.Constant(_VECTOR, [0.0] * LANES), total)
    with cgutils.for_range(b, b.udiv(length, _I64(LANES))) as part:
        at = b.mul(part.index, _I64(LANES))
        elements = [_vector(b, x, b.add(b.mul(width, _I64(t)), at)) for t in range(count)]
        for r in range(_PANEL):
            weight = _vector(b, panel, b.add(b.mul(apart, _I64(r)), at))
            for element, each in zip(elements, totals, strict=True):
                b.store(_plus(b, b.load(each[r]), b.fmul(weight, element, flags=_ANY_ORDER)), each[r])
    for t, each in enumerate(totals):
        place = b.bitcast(b.gep(y, [b.mul(stride, _I64(t))]), ir.VectorType(_F32, _PANEL).as_pointer())
        found = _sums(b, [b.load(total) for total in each])
        b.store(_plus(b, b.load(place, align=4), found), place, align=4)


def _sums(b: ir.IRBuilder, totals: list[Any]) -> Any:
    """The sums of the lanes of four vectors, as one vector: halves are added until vectors have 8 lanes, neighbours are
    then, twice, and halves again."""

    def picked(left: Any, right: Any, pick: list[int]) -> Any:
        return b.shuffle_vector(left, right, ir.Constant(ir.VectorType(_I32, len(pick)), pick))

    def halves(lanes: Any, count: int) -> Any:
        return _plus(b, *(picked(lanes, lanes, list(range(first, first + count))) for first in (0, count)))

    def neighbours(left: Any, right: Any) -> Any:
        even, odd = ([k + j for k in (0, 8, 4, 12) for j in (first, first + 2)] for first in (0, 1))
        return _plus(b, picked(left, right, even), picked(left, right, odd))

    a, c, d, e = totals if LANES == 8 else (halves(total, 8) for total in totals)
    return halves(neighbours(neighbours(a, c), neighbours(d, e)), _PANEL)


def _blend(
    b: ir.IRBuilder, count: int, factors: Any, rows: Any, y: Any, length: Any, apart: Any, stride: Any, width: Any
) -> None:
    """Writes a loop over the rows, with the vectors of each sum."""
    factors, rows, y = (b.inttoptr(address, _F32.as_pointer()) for address in (factors, rows, y))

    def place(t: int, part: int) -> Any:
        return b.bitcast(b.gep(y, [b.add(b.mul(width, _I64(t)), _I64(part * LANES))]), _VECTOR.as_pointer())

    totals = [[cgutils.alloca_once(b, _VECTOR) for _ in range(_BROAD // LANES)] for _ in range(count)]
    for t, each in enumerate(totals):
        for part, total in enumerate(each):
            b.store(b.load(place(t, part), align=4), total)
    with cgutils.for_range(b, length) as row:
        spread = [_everywhere(b, b.gep(factors, [b.add(b.mul(stride, _I64(t)), row.index)])) for t in range(count)]
        for part in range(_BROAD // LANES):
            element = _vector(b, rows, b.add(b.mul(apart, row.index), _I64(part * LANES)))
            for factor, each in zip(spread, totals, strict=True):
                b.store(_plus(b, b.load(each[part]), b.fmul(factor, element, flags=_ANY_ORDER)), each[part])
    for t, each in enumerate(totals):
        for part, total in enumerate(each):
            b.store(b.load(total), place(t, part), align=4)


def _place(b: ir.IRBuilder, address: Any) -> Any:
    return b.inttoptr(address, _I64.as_pointer())


def _yield(b: ir.IRBuilder) -> None:
    b.call(cgutils.get_or_insert_function(b.module, ir.FunctionType(_I32, []), "sched_yield"), [])


def _everywhere(b: ir.IRBuilder, place: Any) -> Any:
    """A vector that is in each lane what is at a place."""
    one = b.insert_element(ir.Constant(_VECTOR, ir.Undefined), b.load(place), _I32(0))
    return b.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def _spread(b: ir.IRBuilder, integers: Any, scales: Any, offsets: Any, plain: Any, groups: Any) -> None:
    """Writes a loop over the groups."""
    integers = b.inttoptr(integers, ir.IntType(8).as_pointer())
    scales, offsets, plain = (b.inttoptr(address, _F32.as_pointer()) for address in (scales, offsets, plain))
    with cgutils.for_range(b, groups) as group:
        for part, weight in _weights(b, integers, scales, offsets, group.index):
            b.store(weight, b.bitcast(b.gep(plain, [part]), _VECTOR.as_pointer()), align=4)


def _weights(b: ir.IRBuilder, integers: Any, scales: Any, offsets: Any, group: Any) -> Iterator[tuple[Any, Any]]:
    """The vectors of weights of a group in fp32, each with the index of its first."""
    scale, offset = _everywhere(b, b.gep(scales, [group])), _everywhere(b, b.gep(offsets, [group]))
    for begin in range(0, GROUP, LANES):
        part = b.add(b.mul(group, _I64(GROUP)), _I64(begin))
        small = b.sitofp(_vector(b, integers, part, _BYTES, 1), _VECTOR)
        yield part, _plus(b, b.fmul(small, scale, flags=_ANY_ORDER), offset)


def _vector(b: ir.IRBuilder, base: Any, index: Any, kind: ir.Type = _VECTOR, align: int = 4) -> Any:
    return b.load(b.bitcast(b.gep(base, [index]), kind.as_pointer()), align=align)


def _plus(b: ir.IRBuilder, left: Any, right: Any) -> Any:
    return b.fadd(left, right, flags=_ANY_ORDER)


def _sum(b: ir.IRBuilder, lanes: Any) -> Any:
    """The sum of the lanes of a vector, half added to half."""
    count = LANES
    while count > 1:
        count //= 2
        kept = ir.Constant(ir.VectorType(_I32, count), list(range(count)))
        added = ir.Constant(ir.VectorType(_I32, count), list(range(count, 2 * count)))
        lanes = _plus(b, b.shuffle_vector(lanes, lanes, kept), b.shuffle_vector(lanes, lanes, added))
    return b.extract_element(lanes, _I32(0))


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
    stride: Any,
) -> None:
    """Writes the loops over rows and groups, with vectors of partial sums for each row of x.

    A vector of weights becomes fp32 once and is used for all rows of x. With few rows each has several partial sums, so
    that one addition need not wait for the last.
    """
    integers = b.inttoptr(integers, ir.IntType(8).as_pointer())
    scales, offsets, x, y = (b.inttoptr(address, _F32.as_pointer()) for address in (scales, offsets, x, y))
    chains = max(1, min(GROUP // LANES, 8 // count))
    totals = [[cgutils.alloca_once(b, _VECTOR) for _ in range(chains)] for _ in range(count)]
    with cgutils.for_range(b, rows) as row:
        for total in (total for each in totals for total in each):
            b.store(ir.Constant(_VECTOR, [0.0] * LANES), total)
        with cgutils.for_range(b, groups) as group:
            at = b.add(b.mul(row.index, groups), group.index)
            for number, (_, weight) in enumerate(_weights(b, integers, scales, offsets, at)):
                for t, each in enumerate(totals):
                    place = b.mul(b.add(b.mul(groups, _I64(t)), group.index), _I64(GROUP))
                    element = _vector(b, x, b.add(place, _I64(number * LANES)))
                    term = b.fmul(weight, element, flags=_ANY_ORDER)
                    b.store(_plus(b, b.load(each[number % chains]), term), each[number % chains])
        for t, each in enumerate(totals):
            lanes = functools.reduce(functools.partial(_plus, b), (b.load(total) for total in each))
            b.store(_sum(b, lanes), b.gep(y, [b.add(b.mul(stride, _I64(t)), row.index)]))


_one, _two, _three, _four, _eight = (multiply(count) for count in (1, 2, 3, 4, 8))
"""With as many sums and a vector of weights, its scale and its offset, 16 registers are enough."""

_PANEL: Final = 4
_one_by, _two_by, _three_by = (tile(count) for count in (1, 2, 3))
"""Twelve sums, three vectors of x and one of the panel: 16 registers again, and seven loads for twelve products."""

_BROAD: Final = 4 * LANES
_blend_one, _blend_two, _blend_three = (blend(count) for count in (1, 2, 3))
"""Twelve sums, three factors and a vector of a row."""

_MANY: Final = 9
"""Rows of x from which on it pays to turn weights into fp32 beforehand, a panel at a time."""

_LENGTH, _CHUNK = 768, 65536
"""Elements of a row that are taken at a time, so that a panel stays in the first cache; and of x, in the second."""

_SPINS: Final = 5_000
"""Looks at the gate, a few microseconds of them, after which who waits lets others have the processor between them."""


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile at the first call, and keep the machine code where there is a place for it."""

    def wrap(function: Callable[..., Any]) -> Any:
        try:
            return njit(function, nogil=True, cache=True, **options)
        except RuntimeError:  # numba's word for having no place
            return njit(function, nogil=True, **options)

    return wrap


@_compiled()
def _tiles(panel: int, x: int, y: int, rows: int, length: int, apart: int, width: int, stride: int) -> None:
    """:func:`tile` for any number of rows."""
    t = 0
    while t < rows:
        a, o = x + 4 * t * width, y + 4 * t * stride
        if rows - t >= 3:
            _three_by(panel, a, o, length, apart, width, stride)
            t += 3
        elif rows - t == 2:
            _two_by(panel, a, o, length, apart, width, stride)
            t += 2
        else:
            _one_by(panel, a, o, length, apart, width, stride)
            t += 1


@_compiled()
def _blends(factors: int, rows: int, y: int, count: int, length: int, apart: int, stride: int, width: int) -> None:
    """:func:`blend` for any number of rows of y."""
    t = 0
    while t < count:
        f, o = factors + 4 * t * stride, y + 4 * t * width
        if count - t >= 3:
            _blend_three(f, rows, o, length, apart, stride, width)
            t += 3
        elif count - t == 2:
            _blend_two(f, rows, o, length, apart, stride, width)
            t += 2
        else:
            _blend_one(f, rows, o, length, apart, stride, width)
            t += 1


@_compiled(fastmath=set(_ANY_ORDER))
def _many(integers: Any, scales: Floats, offsets: Floats, x: Floats, y: Floats) -> None:
    """y = x @ weights.T for a matrix of whole panels, with weights that become fp32 a panel at a time."""
    rows, matrix, width, stride = x.shape[0], scales.shape[0], x.shape[1], y.strides[0] // 4
    parts = (width + _LENGTH - 1) // _LENGTH
    longest = (scales.shape[1] + parts - 1) // parts
    plain = np.empty((_PANEL, longest * GROUP), np.float32)
    chunk = max(3, _CHUNK // width // 3 * 3)
    y[:] = 0
    for first in range(0, rows, chunk):
        last = min(rows, first + chunk)
        for group in range(0, scales.shape[1], longest):
            groups = min(longest, scales.shape[1] - group)
            length, at = groups * GROUP, group * GROUP
            for r in range(0, matrix, _PANEL):
                for p in range(_PANEL):
                    d, m = scales[r + p, group:].ctypes.data, offsets[r + p, group:].ctypes.data
                    _plain(integers[r + p, at:].ctypes.data, d, m, plain.ctypes.data + 4 * p * length, groups)
                y_at = y[first:, r:].ctypes.data
                _tiles(plain.ctypes.data, x[first:, at:].ctypes.data, y_at, last - first, length, length, width, stride)


@_compiled()
def _product(matrix: Any, x: Floats, y: Floats, begin: int, end: int) -> None:
    """These columns of y = x @ weights.T; those of whole panels, where the matrix has whole ones."""
    if begin == end:
        return
    integers, scales, offsets = matrix[0][begin:end], matrix[1][begin:end], matrix[2][begin:end]
    if len(x) >= _MANY and len(matrix[0]) % _PANEL == 0:
        _many(integers, scales, offsets, x, y[:, begin:end])
    else:
        _few(integers, scales, offsets, x, y[:, begin:end])


@_compiled()
def _few(integers: Any, scales: Floats, offsets: Floats, x: Floats, y: Floats) -> None:
    """y = x @ weights.T, with weights that become fp32 in registers."""
    rows, columns, groups, stride = x.shape[0], scales.shape[0], scales.shape[1], y.strides[0] // 4
    q, d, m = integers.ctypes.data, scales.ctypes.data, offsets.ctypes.data
    t = 0
    while t < rows:
        a, o, left = x[t:].ctypes.data, y[t:].ctypes.data, rows - t
        if left >= 8:
            _eight(q, d, m, a, o, columns, groups, stride)
            t += 8
        elif left >= 4:
            _four(q, d, m, a, o, columns, groups, stride)
            t += 4
        elif left == 3:
            _three(q, d, m, a, o, columns, groups, stride)
            t += 3
        elif left == 2:
            _two(q, d, m, a, o, columns, groups, stride)
            t += 2
        else:
            _one(q, d, m, a, o, columns, groups, stride)
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
def _exp(x: Any) -> Any:
    """exp(x) in fp32 to within two units in the last place, in a form that compilers turn into vectors.

    2^n times a polynomial in what is left, as in Cephes' ``expf``; beyond the range of fp32, its ends.
    """
    x = min(max(x, np.float32(-87.3)), np.float32(88.3))
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return (p * r * r + r + np.float32(1)) * power


@_compiled(fastmath=set(_ANY_ORDER))
def _attended(
    queries: Floats, keys: Floats, values: Floats, table: Whole, head: int, scores: Floats, out: Floats
) -> None:
    """Heads of one row that share keys, over the blocks in ``table``: softmax(queries keys / sqrt(size)) values.

    ``queries`` and ``out`` are (sharing, size); ``scores``, (sharing, context), may hold anything before.
    """
    sharing, size = queries.shape
    length, apart, context = keys.shape[1], keys.shape[2] * size, scores.shape[1]
    scale = np.float32(1.0 / math.sqrt(size))
    whole = size % LANES == 0
    scores[:] = 0
    out[:] = 0
    for begin in range(0, context, length):
        block, count = keys[table[begin // length]], min(length, context - begin)
        fours = count // 4 * 4 if whole else 0
        for p in range(0, fours, 4):
            a, o = block[p, head].ctypes.data, scores[:, begin + p :].ctypes.data
            _tiles(a, queries.ctypes.data, o, sharing, size, apart, size, context)
        for p in range(fours, count):
            for q in range(sharing):
                dot = np.float32(0)
                for j in range(size):
                    dot += queries[q, j] * block[p, head, j]
                scores[q, begin + p] = dot
    for q in range(sharing):
        row, total = scores[q], np.float32(0)
        best = row.max()
        for p in range(context):
            row[p] = _exp((row[p] - best) * scale)
            total += row[p]
        for p in range(context):
            row[p] /= total
    for begin in range(0, context, length):
        block, count = values[table[begin // length]], min(length, context - begin)
        broad = size // _BROAD * _BROAD
        factors = scores[:, begin:].ctypes.data
        for at in range(0, broad, _BROAD):
            rows, into = block[0, head, at:].ctypes.data, out[:, at:].ctypes.data
            _blends(factors, rows, into, sharing, count, apart, context, size)
        for q in range(sharing):
            for p in range(count):
                for j in range(broad, size):
                    out[q, j] += scores[q, begin + p] * block[p, head, j]


@_compiled()
def _meet(gate: Whole, parts: int, times: int) -> None:
    """Wait until all the parts have come here; ``times`` says for the how-manieth time they meet."""
    if parts == 1:
        return
    place, waited = gate.ctypes.data, 0
    _arrive(place)
    while _arrived(place) < parts * times:
        waited += 1
        if waited > _SPINS:
            _pause()


@_compiled()
def _share(columns: int, part: int, parts: int) -> tuple[int, int]:
    """The columns of a part: the first, and the one after the last; whole panels."""
    panels = columns // _PANEL
    begin, end = (panels * part // parts * _PANEL, panels * (part + 1) // parts * _PANEL)
    return begin, (columns if part + 1 == parts else end)


@_compiled(fastmath=set(_ANY_ORDER))
def forward(
    part: int,
    parts: int,
    gate: Whole,
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
    shared: Any,
    own: Any,
) -> None:
    """The part of a thread in a pass over x, embedded tokens; see :meth:`mtpo.engine.decoder.Decoder.logits`.

    All ``parts`` must run at once, with a ``gate`` that was 0. ``norms``: those before attention and before the FFN
    (layers, hidden), the last (hidden), epsilon. ``weights``: QKV, output, gate above up, down, each layer by layer,
    and the head, as integers, scales and offsets. ``shared``: room for queries, keys and values of each row, for what
    the heads attend to, for gate and up, for the activations, and for the logits, which are what is wanted. ``own``:
    room for normed rows, products, normed wanted rows and scores, of this part alone.
    """
    norms_in, norms_mid, norm, epsilon = norms
    qkv, out, gate_up, down, head = weights
    mixed, attended, gates, active, logits = shared
    normed, projected, last, scores = own
    rows, hidden = x.shape
    layers, _, length, kv_heads, size = keys.shape
    heads, ffn = out[0].shape[2] // size, down[0].shape[2]
    sharing = heads // kv_heads
    begin, end = _share(hidden, part, parts)
    first, after = _share(ffn, part, parts)
    queried, asked = _share((heads + 2 * kv_heads) * size, part, parts)
    met = 0
    for i in range(layers):
        _normed(x, norms_in[i], epsilon, normed)
        _product((qkv[0][i], qkv[1][i], qkv[2][i]), normed, mixed, queried, asked)
        _meet(gate, parts, met + 1)
        for t in range(part, rows, parts):
            _rotated(mixed[t], heads + kv_heads, size, cos[t], sin[t])
            block, offset = slots[t] // length, slots[t] % length
            for h in range(kv_heads):
                key, value = (heads + h) * size, (heads + kv_heads + h) * size
                keys[i, block, offset, h] = mixed[t, key : key + size]
                values[i, block, offset, h] = mixed[t, value : value + size]
        _meet(gate, parts, met + 2)
        for each in range(part, rows * kv_heads, parts):
            t, h = each // kv_heads, each % kv_heads
            context = positions[t] + 1
            places = scores[: sharing * context].reshape(sharing, context)
            at, to = h * sharing * size, (h + 1) * sharing * size
            queries = mixed[t, at:to].reshape(sharing, size)
            into = attended[t, at:to].reshape(sharing, size)
            _attended(queries, keys[i], values[i], tables[owners[t]], h, places, into)
        _meet(gate, parts, met + 3)
        _product((out[0][i], out[1][i], out[2][i]), attended, projected, begin, end)
        for t in range(rows):
            for j in range(begin, end):
                x[t, j] += projected[t, j]
        _meet(gate, parts, met + 4)
        _normed(x, norms_mid[i], epsilon, normed)
        wide = (gate_up[0][i], gate_up[1][i], gate_up[2][i])
        _product(wide, normed, gates, first, after)
        _product(wide, normed, gates, ffn + first, ffn + after)
        for t in range(rows):
            for j in range(first, after):
                gate_of = gates[t, j]
                active[t, j] = gate_of / (np.float32(1) + _exp(-gate_of)) * gates[t, ffn + j]
        _meet(gate, parts, met + 5)
        _product((down[0][i], down[1][i], down[2][i]), active, projected, begin, end)
        for t in range(rows):
            for j in range(begin, end):
                x[t, j] += projected[t, j]
        _meet(gate, parts, met + 6)
        met += 6
    _normed(x[wanted], norm, epsilon, last)
    begin, end = _share(logits.shape[1], part, parts)
    _product(head, last, logits, begin, end)
