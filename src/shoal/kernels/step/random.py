"""Philox4x32-10 (Salmon et al., SC 2011): random numbers by position, not by history.

The key is a net's seed, the counter names what is drawn: never a thread, a lane or a shard.
Counter words: (block, layer, epoch, stream); of dropout (row, block of units, epoch, stream and
layer).
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..code.compilation import device_function
from ..codes import NORMAL
from ..lanes.access import load, store
from ..lanes.elementary import circle, log
from ..lanes.emission import emit_broadcast, emit_repeat, lane_number
from ..lanes.primitives import broadcast, primitive, select, square_root
from ..lanes.shapes import lane_range, rows_per_vector
from ..lanes.vectors import LaneGroupType, Vec, llvm_type
from ..layout import RUN

INITIAL_WEIGHTS, ROW_ORDER, DROPOUT = range(3)  # streams
LAYER = 256  # a layer's number in the stream's word is that many times higher

_LOW, _HALF = 0xFFFFFFFF, 32
_MULTIPLIERS, _WEYL = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)
_FIVE, _SIX = np.uint64(5), np.uint64(6)
_U64 = ir.IntType(64)


def _python_philox(c0, c1, c2, c3, seed):
    c0, c1, c2, c3, seed = map(int, (c0, c1, c2, c3, seed))
    k0, k1 = seed & _LOW, seed >> _HALF
    for _ in range(10):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> _HALF ^ c1 ^ k0, p1 & _LOW, p0 >> _HALF ^ c3 ^ k1, p0 & _LOW)
        k0, k1 = k0 + _WEYL[0] & _LOW, k1 + _WEYL[1] & _LOW
    return tuple(map(np.uint64, (c0, c1, c2, c3)))


def _emit_philox(builder, counter, seed):
    """The four words, of one seed or a vector of seeds; products of 32 x 32 bits are one
    instruction, as both factors are seen to have no upper half."""

    def constant(value):
        lanes = seed.type.count if isinstance(seed.type, ir.VectorType) else 0
        return ir.Constant(seed.type, [value] * lanes if lanes else value)

    low, half = constant(_LOW), constant(_HALF)

    def mixed(product, word, key):
        return builder.xor(builder.xor(builder.lshr(product, half), word), key)

    c0, c1, c2, c3 = (builder.and_(word, low) for word in counter)
    k0, k1 = builder.and_(seed, low), builder.lshr(seed, half)
    for _ in range(10):
        p0 = builder.mul(c0, constant(_MULTIPLIERS[0]))
        p1 = builder.mul(c2, constant(_MULTIPLIERS[1]))
        c0, c1 = mixed(p1, c1, k0), builder.and_(p1, low)
        c2, c3 = mixed(p0, c3, k1), builder.and_(p0, low)
        k0 = builder.and_(builder.add(k0, constant(_WEYL[0])), low)
        k1 = builder.and_(builder.add(k1, constant(_WEYL[1])), low)
    return c0, c1, c2, c3


@primitive(_python_philox)
def philox(tc, c0, c1, c2, c3, seed):
    """Four random 32-bit words, as uint64, of a counter of four 32-bit words and a 64-bit key."""
    typ = types.UniTuple(types.uint64, 4)

    def codegen(context, builder, sig, args):
        return cgutils.pack_array(builder, _emit_philox(builder, args[:4], args[4]), _U64)

    return typ(*[types.uint64] * 5), codegen


def _python_philox_run(words, c0, c1, c2, c3, seed):
    for k in range(RUN):
        words[k::RUN] = philox(c0 + k, c1, c2, c3, seed)


@primitive(_python_philox_run)
def philox_run(tc, words, c0, c1, c2, c3, seed):
    """Word w of counter c0 + k to ``words[w * RUN + k]``, for RUN counters side by side.

    A row order takes 2.3 ns a row, with one counter after the other it took 4.1.
    """

    def codegen(context, builder, sig, args):
        vector = ir.VectorType(_U64, RUN)
        counter = [_repeat_integer(builder, number, vector) for number in args[1:5]]
        counter[0] = builder.add(counter[0], ir.Constant(vector, list(range(RUN))))
        drawn = _emit_philox(builder, counter, _repeat_integer(builder, args[5], vector))
        made = context.make_array(words)(context, builder, args[0])
        narrow = ir.VectorType(ir.IntType(32), RUN)
        for w, word_of_all in enumerate(drawn):
            memory = builder.gep(made.data, [ir.Constant(_U64, w * RUN)])
            pointer = builder.bitcast(memory, narrow.as_pointer())
            builder.store(builder.trunc(word_of_all, narrow), pointer, align=4)
        return context.get_dummy_value()

    return types.void(words, *[types.intp] * 4, types.uint64), codegen


@primitive(
    lambda lane, x, seeds, c0, c1, c2, c3: tuple(
        type(x)((int(number) >> 8) / 2**24) for number in philox(c0, c1, c2, c3, seeds[lane])
    )
)
def uniforms(tc, lane, x, seeds, c0, c1, c2, c3):
    """Four numbers k / 2**24 in [0, 1), of x's type, from each lane's seed. seeds : (L,) uint64.

    Where lanes are rows, they have one seed, and c0 counts on from lane to lane.
    """
    typ = types.UniTuple(x, 4)

    def codegen(context, builder, sig, args):
        vector = isinstance(lane, LaneGroupType) and lane.n > 1
        of_rows = vector and lane.rows > 1
        words = ir.VectorType(_U64, lane.n) if vector else _U64
        made = context.make_array(seeds)(context, builder, args[2])
        if of_rows:
            seed = _repeat_integer(builder, builder.load(made.data, align=8), words)
        else:
            pointer = builder.bitcast(made.data, words.as_pointer())
            if not vector:
                index = lane_number(context, builder, lane, args[0])
                pointer = builder.gep(made.data, [index])
            seed = builder.load(pointer, align=8)
        counter = [_repeat_integer(builder, word, words) for word in args[3:]]
        if of_rows:
            counter[0] = builder.add(counter[0], ir.Constant(words, list(range(lane.n))))
        narrow = ir.VectorType(ir.IntType(32), lane.n) if vector else ir.IntType(32)
        eight = _repeat_integer(builder, ir.Constant(_U64, 8), words)
        unit = emit_broadcast(builder, x, ir.Constant(_element(x), 2.0**-24))
        values = [
            builder.fmul(
                builder.sitofp(builder.trunc(builder.lshr(word, eight), narrow), llvm_type(x)), unit
            )
            for word in _emit_philox(builder, counter, seed)
        ]
        return cgutils.pack_array(builder, values, llvm_type(x))

    return typ(lane, x, seeds, *[types.intp] * 4), codegen


def _element(x):
    kind = llvm_type(x)
    return kind.element if isinstance(x, Vec) else kind


def _repeat_integer(builder, scalar, words):
    """The 64-bit integer in every lane of the type ``words``."""
    return emit_repeat(builder, scalar, words.count) if isinstance(words, ir.VectorType) else scalar


class Dropout(NamedTuple):
    """What the draws of a tile's dropout depend on."""

    rates: Any  # (layers, L)
    seeds: Any  # (L,) uint64
    epoch: int
    position: int  # of the tile's first row in the epoch's order


@device_function
def _drop(lane, retained, factor, values, slopes, both, p):
    zero = broadcast(lane, 0.0)
    store(lane, values, p, select(retained, load(lane, values, p) * factor, zero))
    if both:
        store(lane, slopes, p, select(retained, load(lane, slopes, p) * factor, zero))


@device_function(inline="never")
def drop(lane, dropout, layer, values, slopes, both, start, stop, rows):
    """Dropout of units ``start`` (a multiple of 4) to ``stop`` of a layer, in place, and of their
    slopes where ``both``; inverted. Srivastava et al., JMLR 2014.

    values : Units of a (positions, L) array. slopes : (positions, L), at the same positions.
    """
    one, rate = broadcast(lane, 1.0), load(lane, dropout.rates, layer)
    factor, array, step = one / (one - rate), values.array, values.step
    for u in range(start, stop, 4):
        left = stop - u
        for s in range(rows):
            p = values.start + u * step + s
            draws = uniforms(
                lane, rate, dropout.seeds, dropout.position + s * rows_per_vector(lane), u // 4,
                dropout.epoch, DROPOUT + LAYER * layer,
            )  # fmt: skip
            _drop(lane, draws[0] >= rate, factor, array, slopes, both, p)
            if left > 1:
                _drop(lane, draws[1] >= rate, factor, array, slopes, both, p + step)
            if left > 2:
                _drop(lane, draws[2] >= rate, factor, array, slopes, both, p + 2 * step)
            if left > 3:
                _drop(lane, draws[3] >= rate, factor, array, slopes, both, p + 3 * step)


@device_function(inline="never")
def shuffle(order, seed, epoch, words):
    """Fill ``order`` (n,) int32 with the row order of an epoch: Fisher-Yates from the identity.

    The index below i + 1 is the high half of word * (i + 1): its bias is under n / 2**32.
    words : (4 * RUN,) uint32, scratch.
    """
    n = len(order)
    for i in range(n):
        order[i] = i
    last = n - 1
    while last > 0:
        block = max(0, (last >> 2) - (RUN - 1))
        philox_run(words, block, 0, epoch, ROW_ORDER, seed)
        first = max(1, 4 * block)
        for i in range(last, first - 1, -1):
            drawn = np.uint64(words[(i & 3) * RUN + (i >> 2) - block])
            j = np.int64((drawn * np.uint64(i + 1)) >> np.uint64(_HALF))
            order[i], order[j] = order[j], order[i]
        last = first - 1


@device_function
def shuffle_group(lane, orders, seeds, epoch, words, lanes_of):
    """Row orders of a group: one for all where ``orders`` is (1, n), one a net where it is (L, n).

    seeds : (L,) uint64. words : scratch of `shuffle`. lanes_of : any array (positions, L).
    """
    if len(orders) == 1:
        shuffle(orders[0], seeds[0], epoch, words)
    else:
        for q in lane_range(lane, lanes_of):
            shuffle(orders[q], seeds[q], epoch, words)


@device_function
def _copy_order(order, given, row):
    """Row ``row`` of ``given`` (orders, n) to ``order`` (n,)."""
    for i in range(len(order)):
        order[i] = given[row, i]


@device_function(inline="never")
def copy_orders(lane, orders, numbers, data, epoch, lanes_of):
    """The same as `shuffle_group`, of row orders that are given: number s where ``numbers`` (L,)
    uint64 has an s. data : Data."""
    at, count = epoch % data.order_epochs, data.order_epochs
    if len(orders) == 1:
        _copy_order(orders[0], data.orders, np.int64(numbers[0]) * count + at)
    else:
        for q in lane_range(lane, lanes_of):
            _copy_order(orders[q], data.orders, np.int64(numbers[q]) * count + at)


@device_function
def _next(i, u, units):
    """The weight behind (i, u), units fastest: a division takes longer than its random number."""
    u += 1
    if u == units:
        return i + 1, 0
    return i, u


@device_function
def initial_weights(params, q, start, inputs, units, layer, seed, code, factor):
    """Fill the weights of one layer of net q. params : (P, L), unit-major from ``start``.

    Weight (i, u) is draw number i * units + u, whatever the layout; drawn in float64, so that both
    dtypes start alike. Box & Muller 1958 for normals.
    """
    i = u = 0
    for pair in range((inputs * units + 1) // 2):
        r0, r1, r2, r3 = philox(pair, layer, 0, INITIAL_WEIGHTS, seed)
        even = np.float64((r0 >> _FIVE) * np.uint64(67108864) + (r1 >> _SIX)) / 9007199254740992.0
        odd = np.float64((r2 >> _FIVE) * np.uint64(67108864) + (r3 >> _SIX)) / 9007199254740992.0
        if code == NORMAL:
            radius = square_root(-2.0 * log(1.0 - even))
            cosine, sine = circle(odd)
            even, odd = radius * cosine, radius * sine
        else:
            even, odd = 2.0 * even - 1.0, 2.0 * odd - 1.0
        params[start + u * inputs + i, q] = even * factor
        i, u = _next(i, u, units)
        if i < inputs:
            params[start + u * inputs + i, q] = odd * factor
            i, u = _next(i, u, units)
