"""The vocabulary of the kernels: one source line with one meaning on SIMD, one thread and Python.

A *lane* is one net, or one row of one net. A kernel names its lane and is written once::

    total = fma(load(lane, weights, p), load(lane, values, q), total)

* CPU: ``lane`` is a ``LaneGroup(dtype, L)``; a value is an LLVM vector of L floats, so the line is
  SIMD over L nets.
* one thread a net (CUDA), or compiled scalar code: ``lane`` is an integer; a value is a float.
* plain Python (``NUMBA_DISABLE_JIT=1``): the bodies below run as they stand.

Arrays are interleaved: element p of lane l is ``a[p, l]``. An array without the lane axis is
shared: ``load`` gives its element to every lane, so one source serves both. A *tile* is a tuple of
values that stay in registers; ``(0, 1, 2, 3)`` stands for a tile's extent of four.

Nothing crosses lanes, and no operation carries a fast-math flag: a lane's bits depend neither on L
nor on its neighbours. With ``SHOAL_CHECKED=1`` in the environment every load and store tests its
index and raises ``IndexError``.
"""

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from .emission import (
    Access,
    emit_broadcast,
    emit_fma,
    fraction_bits,
    transpose,
    vector_type,
)
from .vectors import (
    LaneGroupType,
    Mask,
    element_of,
    integer_constant,
    llvm_element,
    llvm_integer,
    llvm_type,
    suffix,
)


def primitive(meaning):
    """Decorator: a word of the vocabulary, given its plain-Python meaning and its compiled one.

    Intrinsics rather than overloads: an overload is a function that numba compiles for each type,
    which made two thirds of the compile time.
    """

    def decorate(compiled):
        if config.DISABLE_JIT:
            meaning.__doc__ = compiled.__doc__
            return meaning
        return intrinsic(compiled)

    return decorate


_p = types.intp


@primitive(lambda lane, a, p: a[p, lane] if a.ndim == 2 else a[p])
def load(tc, lane, a, p):
    """Element p: of this lane where ``a`` is (positions, L), shared where it is (positions,)."""

    def codegen(context, builder, sig, args):
        return Access(context, builder, lane, args[0], a, args[1]).load(args[2])

    return vector_type(lane, a)(lane, a, _p), codegen


@primitive(
    lambda lane, a, starts, s, p, extent: tuple(
        load(lane, a, starts[s + k] + p) for k in range(len(extent))
    )
)
def gather(tc, lane, a, starts, s, p, extent):
    """Tuple of the elements ``starts[s + k] + p`` of a shared array: as many as ``extent`` has."""
    typ = types.UniTuple(vector_type(lane, a), len(extent))

    def codegen(context, builder, sig, args):
        place = Access(context, builder, lane, args[0], a, args[1])
        of_starts = Access(context, builder, types.intp, s, starts, args[2])
        one, values = ir.Constant(args[3].type, 1), []
        for q in of_starts.steps(args[3], one, extent):
            values.append(place.load(builder.add(of_starts.load(q), args[4], flags=["nsw"])))
        return cgutils.pack_array(builder, values, llvm_type(place.type))

    return typ(lane, a, starts, _p, _p, extent), codegen


def _python_store(lane, a, p, v):
    a[(p, lane) if a.ndim == 2 else p] = v


@primitive(_python_store)
def store(tc, lane, a, p, v):
    """Set element p of this lane. ``a`` is (positions, L), or (positions,) of one lane."""

    def codegen(context, builder, sig, args):
        Access(context, builder, lane, args[0], a, args[1]).store(args[2], args[3])
        return context.get_dummy_value()

    return types.void(lane, a, _p, v), codegen


@primitive(
    lambda lane, a, p, stride, extent: tuple(
        load(lane, a, p + k * stride) for k in range(len(extent))
    )
)
def load_vectors(tc, lane, a, p, stride, extent):
    """Tuple of the elements p, p + stride, ...: as many as ``extent`` has."""
    typ = types.UniTuple(vector_type(lane, a), len(extent))

    def codegen(context, builder, sig, args):
        place = Access(context, builder, lane, args[0], a, args[1])
        values = [place.load(q) for q in place.steps(args[2], args[3], extent)]
        return cgutils.pack_array(builder, values, llvm_type(place.type))

    return typ(lane, a, _p, _p, extent), codegen


@primitive(
    lambda lane, a, p, first_stride, second_stride, first, second: tuple(
        load(lane, a, p + k * first_stride + m * second_stride)
        for k in range(len(first))
        for m in range(len(second))
    )
)
def load_tile(tc, lane, a, p, first_stride, second_stride, first, second):
    """Tile of the elements p + k first_stride + m second_stride, m running fastest."""
    typ = types.UniTuple(vector_type(lane, a), len(first) * len(second))

    def codegen(context, builder, sig, args):
        place = Access(context, builder, lane, args[0], a, args[1])
        values = [
            place.load(q)
            for row in place.steps(args[2], args[3], first)
            for q in place.steps(row, args[4], second)
        ]
        return cgutils.pack_array(builder, values, llvm_type(place.type))

    return typ(lane, a, _p, _p, _p, first, second), codegen


def _python_store_tile(lane, a, p, first_stride, second_stride, first, second, tile):
    for k in range(len(first)):
        for m in range(len(second)):
            store(lane, a, p + k * first_stride + m * second_stride, tile[k * len(second) + m])


@primitive(_python_store_tile)
def store_tile(tc, lane, a, p, first_stride, second_stride, first, second, tile):
    """Set element p + k first_stride + m second_stride to ``tile[k * len(second) + m]``."""

    def codegen(context, builder, sig, args):
        place = Access(context, builder, lane, args[0], a, args[1])
        values = iter(cgutils.unpack_tuple(builder, args[7]))
        for row in place.steps(args[2], args[3], first):
            for q in place.steps(row, args[4], second):
                place.store(q, next(values))
        return context.get_dummy_value()

    return types.void(lane, a, _p, _p, _p, first, second, tile), codegen


@primitive(
    lambda x, y, total: tuple(
        fma(u, v, total[k * len(y) + m]) for k, u in enumerate(x) for m, v in enumerate(y)
    )
)
def outer_fma(tc, x, y, total):
    """``total[k, m] + x[k] * y[m]`` of a tile, one rounding each."""

    def codegen(context, builder, sig, args):
        xs, ys, totals = (cgutils.unpack_tuple(builder, a) for a in args)
        products = [
            emit_fma(builder, total.dtype, u, v, totals[k * len(ys) + m])
            for k, u in enumerate(xs)
            for m, v in enumerate(ys)
        ]
        return cgutils.pack_array(builder, products, products[0].type)

    return total(x, y, total), codegen


@primitive(lambda x, y: tuple(u * v for u, v in zip(x, y, strict=True)))
def product(tc, x, y):
    """``x[k] * y[k]`` of two tiles."""

    def codegen(context, builder, sig, args):
        pairs = zip(*(cgutils.unpack_tuple(builder, a) for a in args), strict=True)
        products = [builder.fmul(u, v) for u, v in pairs]
        return cgutils.pack_array(builder, products, products[0].type)

    return x(x, y), codegen


@primitive(lambda x: tuple(select(z < 0, type(z)(0), z) for z in x))
def rectified(tc, x):
    """max(z, 0) of a tile; NaN stays NaN, as a bad net must show."""

    def codegen(context, builder, sig, args):
        zs = cgutils.unpack_tuple(builder, args[0])
        zero = emit_broadcast(builder, x.dtype, ir.Constant(llvm_element(x.dtype), 0.0))
        made = [builder.select(builder.fcmp_ordered("<", z, zero), zero, z) for z in zs]
        return cgutils.pack_array(builder, made, zero.type)

    return x(x), codegen


@primitive(lambda x: tuple(type(z)(z > 0) for z in x))
def is_positive(tc, x):
    """1 where an element of a tile is > 0, else 0."""

    def codegen(context, builder, sig, args):
        zs = cgutils.unpack_tuple(builder, args[0])
        element = llvm_element(x.dtype)
        zero, one = (emit_broadcast(builder, x.dtype, ir.Constant(element, k)) for k in (0.0, 1.0))
        made = [builder.select(builder.fcmp_ordered(">", z, zero), one, zero) for z in zs]
        return cgutils.pack_array(builder, made, zero.type)

    return x(x), codegen


@primitive(lambda x, second: tuple(u for u in x for _ in second))
def repeat(tc, x, second):
    """Tile whose row k holds ``x[k]`` as often as ``second`` has slots."""
    typ = types.UniTuple(x.dtype, len(x) * len(second))

    def codegen(context, builder, sig, args):
        xs = cgutils.unpack_tuple(builder, args[0])
        return cgutils.pack_array(builder, [u for u in xs for _ in second], xs[0].type)

    return typ(x, second), codegen


@primitive(lambda x, value: type(x)(value))
def like(tc, x, value):
    """The number ``value`` as a value of x's type."""

    def codegen(context, builder, sig, args):
        return emit_broadcast(builder, x, context.cast(builder, args[1], value, element_of(x)))

    return x(x, value), codegen


@primitive(lambda lane, x: x)
def broadcast(tc, lane, x):
    """The scalar x in every lane."""
    typ = lane.vector if isinstance(lane, LaneGroupType) else x

    def codegen(context, builder, sig, args):
        return emit_broadcast(builder, typ, context.cast(builder, args[1], x, element_of(typ)))

    return typ(lane, x), codegen


@primitive(lambda x, y, z: type(x)(np.float64(x) * np.float64(y) + np.float64(z)))
def fma(tc, x, y, z):
    """x * y + z with one rounding (in plain Python: close to one)."""
    return x(x, y, z), lambda context, builder, sig, args: emit_fma(builder, x, *args)


def _python_polynomial(x, coefficients):
    square, sums = x * x, []
    for powers in (coefficients[1::2], coefficients[::2]):
        total = type(x)(powers[-1])
        for c in powers[-2::-1]:
            total = fma(total, square, type(x)(c))
        sums.append(total)
    return fma(sums[0], x, sums[1])


@primitive(_python_polynomial)
def polynomial(tc, x, coefficients):
    """Sum of coefficients[j] * x**j: even and odd powers side by side, a chain half as long."""

    def codegen(context, builder, sig, args):
        value, numbers = args[0], cgutils.unpack_tuple(builder, args[1])
        cast = [context.cast(builder, c, coefficients.dtype, element_of(x)) for c in numbers]
        terms, sums = [emit_broadcast(builder, x, c) for c in cast], []
        square = builder.fmul(value, value)
        for powers in (terms[1::2], terms[::2]):
            total = powers[-1]
            for term in powers[-2::-1]:
                total = emit_fma(builder, x, total, square, term)
            sums.append(total)
        return emit_fma(builder, x, sums[0], value, sums[1])

    return x(x, coefficients), codegen


@primitive(lambda mask, x, y: x if mask else y)
def select(tc, mask, x, y):
    """x where mask is true, else y."""
    return x(mask, x, y), lambda context, builder, sig, args: builder.select(*args)


@primitive(lambda mask: bool(mask))
def any_lane(tc, mask):
    """Whether the mask is true in any lane of the group."""

    def codegen(context, builder, sig, args):
        if not isinstance(mask, Mask):
            return args[0]
        packed = builder.bitcast(args[0], ir.IntType(mask.n))
        return builder.icmp_unsigned("!=", packed, ir.Constant(packed.type, 0))

    return types.boolean(mask), codegen


@primitive(lambda x: np.sqrt(x))
def square_root(tc, x):
    """Correctly rounded square root."""

    def codegen(context, builder, sig, args):
        function = ir.FunctionType(args[0].type, [args[0].type])
        name = f"llvm.sqrt.{suffix(x)}"
        return builder.call(cgutils.get_or_insert_function(builder.module, function, name), args)

    return x(x), codegen


@primitive(lambda x: abs(x))
def absolute(tc, x):
    """x without its sign."""

    def codegen(context, builder, sig, args):
        bits = element_of(x).bitwidth
        integer = builder.bitcast(args[0], llvm_integer(x))
        cleared = builder.and_(integer, integer_constant(x, (1 << (bits - 1)) - 1))
        return builder.bitcast(cleared, llvm_type(x))

    return x(x), codegen


@primitive(lambda x, low, high: low if x < low else min(x, high))
def clamp(tc, x, low, high):
    """x limited to [low, high]; NaN passes through."""

    def codegen(context, builder, sig, args):
        x, low, high = args
        x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
        return builder.select(builder.fcmp_ordered(">", x, high), high, x)

    return x(x, low, high), codegen


@primitive(lambda x, y: max(x, y))
def maximum(tc, x, y):
    """The larger of x and y; x where either is NaN."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", *args), args[1], args[0])

    return x(x, y), codegen


def _python_power_of_two(shifted):
    if isinstance(shifted, np.float32):
        return np.uint32(int(shifted.view(np.uint32)) + 127 << 23 & 0xFFFFFFFF).view(np.float32)
    integer = int(np.float64(shifted).view(np.uint64))
    return np.uint64(integer + 1023 << 52 & 0xFFFFFFFFFFFFFFFF).view(np.float64)


@primitive(_python_power_of_two)
def power_of_two(tc, shifted):
    """2**k, where ``shifted`` is k + 1.5 * 2**(fraction bits): its low bits are k.

    One past the largest exponent gives inf, one below the smallest 0.
    """

    def codegen(context, builder, sig, args):
        fraction = fraction_bits(shifted)
        bias = 127 if fraction == 23 else 1023
        integer = builder.bitcast(args[0], llvm_integer(shifted))
        biased = builder.add(integer, integer_constant(shifted, bias))
        exponent = builder.shl(biased, integer_constant(shifted, fraction))
        return builder.bitcast(exponent, llvm_type(shifted))

    return shifted(shifted), codegen


def _python_split_exponent(x, root_half):
    m, k = np.frexp(x)
    if m < root_half:
        m, k = m * 2, k - 1
    return type(x)(k), type(x)(m)


@primitive(_python_split_exponent)
def split_exponent(tc, x, root_half):
    """(k, m) with x = m * 2**k and m in [root_half, 2 root_half), for positive normal x."""
    pair = types.UniTuple(x, 2)

    def codegen(context, builder, sig, args):
        integer = builder.bitcast(args[0], llvm_integer(x))
        half = emit_broadcast(builder, x, context.cast(builder, args[1], root_half, element_of(x)))
        start = builder.bitcast(half, llvm_integer(x))
        shift = integer_constant(x, fraction_bits(x))
        exponent = builder.ashr(builder.sub(integer, start), shift)
        mantissa = builder.sub(integer, builder.shl(exponent, shift))
        values = [builder.sitofp(exponent, llvm_type(x)), builder.bitcast(mantissa, llvm_type(x))]
        return cgutils.pack_array(builder, values, llvm_type(x))

    return pair(x, root_half), codegen


@primitive(lambda x, single, double: single if isinstance(x, np.float32) else double)
def by_dtype(tc, x, single, double):
    """``single`` where x is float32, ``double`` where it is float64."""
    which = 1 if element_of(x).bitwidth == 32 else 2
    typ = single if which == 1 else double
    return typ(x, single, double), lambda context, builder, sig, args: args[which]


def extent_type(lane, extent):
    """Signature and code of a word that gives an extent of a lane."""
    typ = types.UniTuple(types.intp, extent)

    def codegen(context, builder, sig, args):
        return context.get_constant_generic(builder, typ, tuple(range(extent)))

    return typ(lane), codegen


@primitive(lambda lane: (0,))
def unit_extent(tc, lane):
    """Extent of a register tile along units."""
    return extent_type(lane, lane.tile[0] if isinstance(lane, LaneGroupType) else 1)


@primitive(lambda lane: (0,))
def row_extent(tc, lane):
    """Extent of a register tile along rows (or inputs)."""
    return extent_type(lane, lane.tile[1] if isinstance(lane, LaneGroupType) else 1)


@primitive(lambda lane: (0,))
def lane_extent(tc, lane):
    """Extent of as many elements as the group has lanes."""
    return extent_type(lane, lane.n if isinstance(lane, LaneGroupType) else 1)


def _view(context, builder, array, value, typ, shape):
    """The memory of an array as an array of another shape."""
    made = context.make_array(array)(context, builder, value)
    view = context.make_array(typ)(context, builder)
    strides, size = [], ir.Constant(shape[0].type, typ.dtype.bitwidth // 8)
    for extent in reversed(shape):
        strides.insert(0, size)
        size = builder.mul(size, extent)
    view.data, view.meminfo, view.parent = made.data, made.meminfo, made.parent
    view.itemsize, view.nitems = made.itemsize, made.nitems
    view.shape = cgutils.pack_array(builder, shape)
    view.strides = cgutils.pack_array(builder, strides)
    return view._getvalue()


@primitive(lambda a: a.reshape(-1))
def flat(tc, a):
    """The array, element by element: shared, (positions * L,)."""
    typ = types.Array(a.dtype, 1, "C")

    def codegen(context, builder, sig, args):
        count = context.make_array(a)(context, builder, args[0]).nitems
        return _view(context, builder, a, args[0], typ, [count])

    return typ(a), codegen


@primitive(lambda lane, a: a.reshape(-1, 1))
def in_lanes(tc, lane, a):
    """The elements of an array, (positions, L): as many as there are lanes side by side."""
    typ = types.Array(a.dtype, 2, "C")
    n = lane.n if isinstance(lane, LaneGroupType) else 1

    def codegen(context, builder, sig, args):
        count = context.make_array(a)(context, builder, args[1]).nitems
        lanes = ir.Constant(count.type, n)
        return _view(context, builder, a, args[1], typ, [builder.sdiv(count, lanes), lanes])

    return typ(lane, a), codegen


@primitive(lambda lane: 1)
def rows_per_vector(tc, lane):
    """How many rows stand side by side in a value: L where lanes are rows, else 1."""
    count = lane.rows if isinstance(lane, LaneGroupType) else 1
    return _p(lane), lambda context, builder, sig, args: context.get_constant(_p, count)


@primitive(lambda lane: 0)
def net_of(tc, lane):
    """The lane of what stands for a whole net, where lanes are rows: a group of one."""
    one = LaneGroupType(lane.element, 1, (1, 1), 1) if isinstance(lane, LaneGroupType) else lane
    return one(lane), lambda context, builder, sig, args: context.get_dummy_value()


@primitive(lambda lane, a, p, count: a[p])
def load_some(tc, lane, a, p, count):
    """The elements from p on of a shared array, one a lane: of ``count``, at least 1, the first."""

    def codegen(context, builder, sig, args):
        return Access(context, builder, lane, args[0], a, args[1]).load_some(args[2], args[3])

    return vector_type(lane, a)(lane, a, _p, _p), codegen


@primitive(lambda lane, a, p, step: (a[p],))
def load_square(tc, lane, a, p, step):
    """L values of the elements p, p + step, ...; then p + 1, p + step + 1, ...; and so on.

    ``a`` is shared: values that stand along it are transposed_start to stand across it.
    """
    place_type = vector_type(lane, a)
    n = lane.n if isinstance(lane, LaneGroupType) else 1
    typ = types.UniTuple(place_type, n)

    def codegen(context, builder, sig, args):
        place = Access(context, builder, lane, args[0], a, args[1])
        values = [place.load_across(q) for q in place.steps(args[2], args[3], range(n))]
        return cgutils.pack_array(builder, transpose(builder, values), llvm_type(place_type))

    return typ(lane, a, _p, _p), codegen


def _python_store_tile_across(lane, a, p, step, first_count, count, first, second, tile):
    for k in range(min(len(first), first_count)):
        for m in range(min(len(second), count)):
            a[p + k * step + m] = tile[k * len(second) + m]


@primitive(_python_store_tile_across)
def store_tile_across(tc, lane, a, p, step, first_count, count, first, second, tile):
    """Set elements of a shared array: the row k of a tile stands along ``a`` from p + k step on.

    Of its rows the first ``first_count`` are stored, of each as many lanes as ``count`` says.
    """

    def codegen(context, builder, sig, args):
        place = Access(context, builder, lane, args[0], a, args[1])
        first_count, count = args[4:6]
        values = iter(cgutils.unpack_tuple(builder, args[8]))
        lanes = ir.Constant(count.type, lane.n if place.vector else 1)
        for k, row in enumerate(place.steps(args[2], args[3], first)):
            wanted = builder.icmp_signed("<", ir.Constant(count.type, k), first_count)
            left = builder.select(wanted, count, ir.Constant(count.type, 0))
            for position in place.steps(row, lanes, second):
                place.store_across(position, left, next(values))
                left = builder.sub(left, lanes)
        return context.get_dummy_value()

    return types.void(lane, a, _p, _p, _p, _p, first, second, tile), codegen


def lane_range(lane, a):
    """The lanes of this group, for the rare loop over single nets. ``a`` is (positions, L)."""
    return range(lane, lane + 1)


@overload(lane_range)
def _lane_range(lane, a):
    if isinstance(lane, LaneGroupType):
        return lambda lane, a: range(a.shape[1])
    return lambda lane, a: range(lane, lane + 1)
