"""The primitives of the kernels: one source line with one meaning on SIMD, one thread and Python.

A *lane* is one net, or one row of one net. A device function names its lane and is written once::

    total = fma(load(lane, weights, p), load(lane, values, q), total)

* CPU: ``lane`` is a ``LaneGroup(dtype, L)``; a vector is an LLVM vector of L floats, so the line is
  SIMD over L nets.
* one thread a net (CUDA): ``lane`` is a group of one; a vector is a float.
* plain Python (``NUMBA_DISABLE_JIT=1``): ``lane`` is an integer, and the meanings below run as they
  are, to the same bits.

Arrays are interleaved: element p of lane l is ``a[p, l]``. An array without the lane axis is
shared: ``load`` gives its element to every lane, so one source serves both. A *register tile* is a
tuple of vectors that stay in registers; an *extent* is a tuple whose length is that of an axis of
one: ``(0, 1, 2, 3)`` is an extent of four.

Nothing crosses lanes, and no operation carries a fast-math flag: a lane's bits depend neither on L
nor on its neighbours. With ``SHOAL_CHECKED=1`` in the environment every load and store tests its
index and raises ``IndexError``.
"""

import ctypes
import ctypes.util
import functools

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from .emission import (
    emit_broadcast,
    emit_fma,
    fraction_bits,
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

_p = types.intp


def primitive(meaning):
    """Decorator of a primitive, given its plain-Python meaning and its compiled one.

    Intrinsics rather than overloads: an overload is a function that numba compiles for each type,
    which made two thirds of the compile time.
    """

    def decorate(compiled):
        if config.DISABLE_JIT:
            meaning.__doc__ = compiled.__doc__
            return meaning
        return intrinsic(compiled)

    return decorate


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


@primitive(lambda x, width: tuple(u for u in x for _ in width))
def repeat(tc, x, width):
    """Tile whose row k holds ``x[k]`` as often as ``second`` has slots."""
    typ = types.UniTuple(x.dtype, len(x) * len(width))

    def codegen(context, builder, sig, args):
        xs = cgutils.unpack_tuple(builder, args[0])
        return cgutils.pack_array(builder, [u for u in xs for _ in width], xs[0].type)

    return typ(x, width), codegen


@primitive(lambda x, number: type(x)(number))
def like(tc, x, number):
    """The number as a vector of x's type."""

    def codegen(context, builder, sig, args):
        return emit_broadcast(builder, x, context.cast(builder, args[1], number, element_of(x)))

    return x(x, number), codegen


@primitive(lambda lane, x: x)
def broadcast(tc, lane, x):
    """The scalar x in every lane; a vector as it is."""
    typ = lane.vector if isinstance(lane, LaneGroupType) else x

    def codegen(context, builder, sig, args):
        if x == typ:
            return args[1]
        return emit_broadcast(builder, typ, context.cast(builder, args[1], x, element_of(typ)))

    return typ(lane, x), codegen


def _python_fma(x, y, z):
    # what was broadcast is a float of Python's, of the others' type
    typ = np.float32 if any(isinstance(each, np.float32) for each in (x, y, z)) else type(x)
    function = _c_fma(typ is np.float32)
    if function is not None:
        return typ(function(x, y, z))
    return typ(np.float64(x) * np.float64(y) + np.float64(z))


@functools.cache
def _c_fma(single):
    """C's own, which rounds once; None where there is no such library."""
    kind = ctypes.c_float if single else ctypes.c_double
    try:
        function = getattr(ctypes.CDLL(ctypes.util.find_library("m")), "fmaf" if single else "fma")
    except (OSError, AttributeError, TypeError):
        return None
    function.argtypes, function.restype = [kind] * 3, kind
    return function


@primitive(_python_fma)
def fma(tc, x, y, z):
    """x * y + z with one rounding."""
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
