"""Primitives of shapes: extents of register tiles, arrays seen in another shape, lanes."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import overload

from .primitives import primitive
from .vectors import (
    LaneGroupType,
)

_p = types.intp


def extent_type(lane, extent):
    """Signature and code of a primitive that gives an extent of a lane."""
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
    """How many rows are side by side in a vector: L where lanes are rows, else 1."""
    count = lane.rows if isinstance(lane, LaneGroupType) else 1
    return _p(lane), lambda context, builder, sig, args: context.get_constant(_p, count)


@primitive(lambda lane: 0)
def net_of(tc, lane):
    """The lane of what is of a whole net, where lanes are rows: a group of one."""
    one = LaneGroupType(lane.element, 1, (1, 1), 1) if isinstance(lane, LaneGroupType) else lane
    return one(lane), lambda context, builder, sig, args: context.get_dummy_value()


def lane_range(lane, a):
    """The lanes of this group, for the rare loop over single nets. ``a`` is (positions, L), or of
    more lanes, where a thread has the first to itself."""
    return range(lane, lane + 1)


@overload(lane_range)
def _lane_range(lane, a):
    if isinstance(lane, LaneGroupType):
        n = lane.n if lane.rows == 1 else 1
        return lambda lane, a: range(n)
    return lambda lane, a: range(lane, lane + 1)
