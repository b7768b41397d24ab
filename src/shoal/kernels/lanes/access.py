"""Primitives that load and store: between arrays and vectors."""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .emission import (
    Access,
    transpose,
    vector_type,
)
from .primitives import primitive
from .vectors import (
    LaneGroupType,
    llvm_type,
)

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
        access = Access(context, builder, lane, args[0], a, args[1])
        of_starts = Access(context, builder, types.intp, s, starts, args[2])
        one, values = ir.Constant(args[3].type, 1), []
        for q in of_starts.steps(args[3], one, extent):
            values.append(access.load(builder.add(of_starts.load(q), args[4], flags=["nsw"])))
        return cgutils.pack_array(builder, values, llvm_type(access.type))

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
        access = Access(context, builder, lane, args[0], a, args[1])
        values = [access.load(q) for q in access.steps(args[2], args[3], extent)]
        return cgutils.pack_array(builder, values, llvm_type(access.type))

    return typ(lane, a, _p, _p, extent), codegen


@primitive(
    lambda lane, a, p, height_stride, width_stride, height, width: tuple(
        load(lane, a, p + k * height_stride + m * width_stride)
        for k in range(len(height))
        for m in range(len(width))
    )
)
def load_tile(tc, lane, a, p, height_stride, width_stride, height, width):
    """Tile of the elements p + k height_stride + m width_stride, m running fastest."""
    typ = types.UniTuple(vector_type(lane, a), len(height) * len(width))

    def codegen(context, builder, sig, args):
        access = Access(context, builder, lane, args[0], a, args[1])
        values = [
            access.load(q)
            for row in access.steps(args[2], args[3], height)
            for q in access.steps(row, args[4], width)
        ]
        return cgutils.pack_array(builder, values, llvm_type(access.type))

    return typ(lane, a, _p, _p, _p, height, width), codegen


def _python_store_tile(lane, a, p, height_stride, width_stride, height, width, tile):
    for k in range(len(height)):
        for m in range(len(width)):
            store(lane, a, p + k * height_stride + m * width_stride, tile[k * len(width) + m])


@primitive(_python_store_tile)
def store_tile(tc, lane, a, p, height_stride, width_stride, height, width, tile):
    """Set element p + k height_stride + m width_stride to ``tile[k * len(second) + m]``."""

    def codegen(context, builder, sig, args):
        access = Access(context, builder, lane, args[0], a, args[1])
        values = iter(cgutils.unpack_tuple(builder, args[7]))
        for row in access.steps(args[2], args[3], height):
            for q in access.steps(row, args[4], width):
                access.store(q, next(values))
        return context.get_dummy_value()

    return types.void(lane, a, _p, _p, _p, height, width, tile), codegen


@primitive(lambda lane, a: 1)
def width_of(tc, lane, a):
    """How many elements of an array `load_some` takes: 1 a lane, or of a shared array L."""
    shared = a.ndim == 1 and isinstance(lane, LaneGroupType)
    count = lane.n if shared else 1
    return _p(lane, a), lambda context, builder, sig, args: context.get_constant(_p, count)


@primitive(lambda lane, a, p, count: a[p, lane] if a.ndim == 2 else a[p])
def load_some(tc, lane, a, p, count):
    """Element p of this lane; of a shared array the elements from p on, one a lane, but of
    ``count``, at least 1, the first."""

    def codegen(context, builder, sig, args):
        access = Access(context, builder, lane, args[0], a, args[1])
        if a.ndim == 2:
            return access.load(args[2])
        return access.load_some(args[2], args[3])

    return vector_type(lane, a)(lane, a, _p, _p), codegen


@primitive(lambda lane, a, p, count, v: _python_store(lane, a, p, v))
def store_some(tc, lane, a, p, count, v):
    """Set what `load_some` loads."""

    def codegen(context, builder, sig, args):
        access = Access(context, builder, lane, args[0], a, args[1])
        if a.ndim == 2:
            access.store(args[2], args[4])
        else:
            access.store_across(args[2], args[3], args[4])
        return context.get_dummy_value()

    return types.void(lane, a, _p, _p, v), codegen


@primitive(lambda lane, a, p, step: (a[p],))
def load_square(tc, lane, a, p, step):
    """L vectors: of the elements p, p + step, ...; of p + 1, p + step + 1, ...; and so on.

    ``a`` is shared: what is along it in memory is transposed to be across the vectors.
    """
    vector = vector_type(lane, a)
    n = lane.n if isinstance(lane, LaneGroupType) else 1
    typ = types.UniTuple(vector, n)

    def codegen(context, builder, sig, args):
        access = Access(context, builder, lane, args[0], a, args[1])
        values = [access.load_across(q) for q in access.steps(args[2], args[3], range(n))]
        return cgutils.pack_array(builder, transpose(builder, values), llvm_type(vector))

    return typ(lane, a, _p, _p), codegen


def _python_store_tile_across(lane, a, p, step, height_count, count, height, width, tile):
    for k in range(min(len(height), height_count)):
        for m in range(min(len(width), count)):
            a[p + k * step + m] = tile[k * len(width) + m]


@primitive(_python_store_tile_across)
def store_tile_across(tc, lane, a, p, step, height_count, count, height, width, tile):
    """Set elements of a shared array: row k of a register tile is along ``a`` from p + k step on.

    Of its rows the first ``height_count`` are stored, of each as many lanes as ``count`` says.
    """

    def codegen(context, builder, sig, args):
        access = Access(context, builder, lane, args[0], a, args[1])
        height_count, count = args[4:6]
        values = iter(cgutils.unpack_tuple(builder, args[8]))
        lanes = ir.Constant(count.type, lane.n if access.vector else 1)
        for k, row in enumerate(access.steps(args[2], args[3], height)):
            wanted = builder.icmp_signed("<", ir.Constant(count.type, k), height_count)
            left = builder.select(wanted, count, ir.Constant(count.type, 0))
            for position in access.steps(row, lanes, width):
                access.store_across(position, left, next(values))
                left = builder.sub(left, lanes)
        return context.get_dummy_value()

    return types.void(lane, a, _p, _p, _p, _p, height, width, tile), codegen
