"""Nets with row orders of their own: each lane's own rows come into it."""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..code.compilation import device_function
from ..lanes.access import store
from ..lanes.emission import (
    Access,
    lane_number,
    side_by_side,
    transpose,
    vector_type,
)
from ..lanes.primitives import primitive
from ..lanes.shapes import extent_type, lane_range
from ..lanes.vectors import LaneGroupType, llvm_type

_p = types.intp


@primitive(lambda lane: (0,))
def half_extent(tc, lane):
    """Extent of half as many elements as the group has lanes."""
    return extent_type(lane, max(1, lane.n // 2) if isinstance(lane, LaneGroupType) else 1)


@primitive(lambda lane: (0,))
def quarter_extent(tc, lane):
    """Extent of a quarter as many elements as the group has lanes."""
    return extent_type(lane, max(1, lane.n // 4) if isinstance(lane, LaneGroupType) else 1)


@primitive(
    lambda lane, source, width, rows, s, i, count, extent: (source[rows[s, lane] * width + i],)
)
def gather_rows(tc, lane, source, width, rows, s, i, count, extent):
    """From i on, as many elements of each lane's own row as ``extent`` has, a vector each.

    Of them only the first ``count`` are read, the others are +0. Lane q's own row is row
    ``rows[s, q]``. source : shared (n * width,). rows : (tile, L) int32.
    """
    typ, n = vector_type(lane, source), lane.n if isinstance(lane, LaneGroupType) else 1
    size = len(extent)

    def codegen(context, builder, sig, args):
        access = Access(context, builder, lane, args[0], source, args[1])
        made = context.make_array(rows)(context, builder, args[3])
        lanes = cgutils.unpack_tuple(builder, made.shape)[1]
        first = builder.mul(args[4], lanes)
        if not access.vector:
            first = builder.add(first, lane_number(context, builder, lane, args[0]))
        squares = []
        for q in range(0, n, size):
            values = []
            for k in range(q, q + size):
                entry = builder.gep(made.data, [builder.add(first, ir.Constant(first.type, k))])
                row = context.cast(builder, builder.load(entry), types.int32, _p)
                at = builder.add(builder.mul(row, args[2]), args[5])
                values.append(access.load_some(at, args[6], size))
            squares.append(transpose(builder, values))
        return cgutils.pack_array(builder, side_by_side(builder, squares), llvm_type(typ))

    return types.UniTuple(typ, size)(lane, source, _p, rows, _p, _p, _p, extent), codegen


def _python_store_some(lane, a, p, stride, count, column):
    for k in range(min(count, len(column))):
        store(lane, a, p + k * stride, column[k])


@primitive(_python_store_some)
def store_some(tc, lane, a, p, stride, count, column):
    """Set element p + k stride to ``column[k]``, for the first ``count`` of them."""

    def codegen(context, builder, sig, args):
        access = Access(context, builder, lane, args[0], a, args[1])
        values = cgutils.unpack_tuple(builder, args[5])
        positions = access.steps(args[2], args[3], values)
        for k, (position, value) in enumerate(zip(positions, values, strict=True)):
            wanted = builder.icmp_signed("<", ir.Constant(args[4].type, k), args[4])
            with builder.if_then(wanted):
                access.store(position, value)
        return context.get_dummy_value()

    return types.void(lane, a, _p, _p, _p, column), codegen


@device_function(inline="never")
def _gather(lane, source, width, rows_of_lanes, rows, a, stride):
    """Each lane's own rows of ``source`` (n * width,): element i of row s into a[i * stride + s].

    rows_of_lanes : (tile, L) int32. a : (positions, L). In squares that are transposed in
    registers: with the processor's gather instruction 4 inputs and 3 targets a row took twice as
    long (a profile's share), element by element longer still.
    """
    narrow, wide = quarter_extent(lane), half_extent(lane)
    for s in range(rows):
        i = 0
        while i + len(narrow) < width:
            values = gather_rows(lane, source, width, rows_of_lanes, s, i, width - i, wide)
            store_some(lane, a, i * stride + s, stride, width - i, values)
            i += len(wide)
        if i < width:
            values = gather_rows(lane, source, width, rows_of_lanes, s, i, width - i, narrow)
            store_some(lane, a, i * stride + s, stride, width - i, values)


@device_function(inline="never")
def _note_rows(lane, order, first, rows, rows_of_lanes):
    """Note the rows of a tile side by side. order : (L, n). rows_of_lanes : (tile, L)."""
    for q in lane_range(lane, rows_of_lanes):
        for s in range(rows):
            rows_of_lanes[s, q] = order[q, first + s]


@device_function
def gather_own(lane, task, samples, order, position, rows, work):
    """Each lane's own rows into it, unit-major. samples : Samples. order : (L, n)."""
    own, stride = work.own.rows_of_lanes, task.stride
    _note_rows(lane, order, position, rows, own)
    _gather(lane, samples.X, task.inputs, own, rows, work.lane_inputs, stride)
    _gather(lane, samples.y, task.outputs, own, rows, work.lane_targets, stride)
    if task.weighted:
        _gather(lane, samples.weights, 1, own, rows, work.lane_weights, stride)
