"""What primitives work on: vectors of floats, masks, and the group of lanes they belong to.

Numba learns three types here, and the operators + - * / < <= > >= == != & | ^ and unary minus on
them. An operator is one LLVM instruction, with no fast-math flag.
"""

import functools
import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import (
    NativeValue,
    lower_builtin,
    models,
    register_model,
    type_callable,
    typeof_impl,
    unbox,
)

from ..lane_group import LaneGroup


class Vec(types.Type):
    """Numba type of a vector of n floats, one a lane."""

    def __init__(self, element, n):
        self.element, self.n = element, n
        super().__init__(f"Vec({element}, {n})")

    @property
    def key(self):
        return self.element, self.n


class Mask(types.Type):
    """Numba type of n truth values, one a lane."""

    def __init__(self, n):
        self.n = n
        super().__init__(f"Mask({n})")

    @property
    def key(self):
        return self.n


class LaneGroupType(types.Type):
    """Numba type of a `LaneGroup`."""

    def __init__(self, element, n, tile, rows):
        self.element, self.n, self.tile, self.rows = element, n, tile, rows
        super().__init__(f"LaneGroup({element}, {n}, {tile}, {rows})")

    @property
    def key(self):
        return self.element, self.n, self.tile, self.rows

    @property
    def vector(self):
        """Type of a vector: of one lane a number."""
        return Vec(self.element, self.n) if self.n > 1 else self.element


def element_of(typ):
    return typ.element if isinstance(typ, Vec) else typ


def llvm_element(typ):
    return ir.FloatType() if element_of(typ).bitwidth == 32 else ir.DoubleType()


def llvm_type(typ):
    element = llvm_element(typ)
    return ir.VectorType(element, typ.n) if isinstance(typ, Vec) else element


def llvm_integer(typ):
    element = ir.IntType(element_of(typ).bitwidth)
    return ir.VectorType(element, typ.n) if isinstance(typ, Vec) else element


def integer_constant(typ, value):
    llvm = llvm_integer(typ)
    return ir.Constant(llvm, [value] * typ.n if isinstance(typ, Vec) else value)


def suffix(typ):
    bits = element_of(typ).bitwidth
    return f"v{typ.n}f{bits}" if isinstance(typ, Vec) else f"f{bits}"


@register_model(Vec)
class _VecModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, llvm_type(fe_type))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(ir.IntType(1), fe_type.n))


@functools.cache
def _lane_group_type(dtype, n, tile, rows):
    return LaneGroupType(getattr(types, np.dtype(dtype).name), n, tile, rows)


def lane_group_type(lane):
    """Numba type of a `LaneGroup`."""
    return _lane_group_type(*lane.key)


@typeof_impl.register(LaneGroup)
def _typeof_lane_group(value, context):
    return lane_group_type(value)


@register_model(LaneGroupType)
class _LaneGroupModel(models.OpaqueModel):
    pass


@unbox(LaneGroupType)
def _unbox_lane_group(typ, obj, c):
    return NativeValue(c.context.get_dummy_value())


def _arithmetic(op, method):
    @type_callable(op)
    def _type(context):
        return lambda x, y: x if isinstance(x, Vec) and x == y else None

    @lower_builtin(op, Vec, Vec)
    def _lower(context, builder, sig, args):
        return getattr(builder, method)(*args)


def _comparison(op, symbol):
    @type_callable(op)
    def _type(context):
        return lambda x, y: Mask(x.n) if isinstance(x, Vec) and x == y else None

    @lower_builtin(op, Vec, Vec)
    def _lower(context, builder, sig, args):
        # ordered: a comparison with NaN is false (but NaN != NaN)
        compare = builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered
        return compare(symbol, *args)


def _logic(op, method):
    @type_callable(op)
    def _type(context):
        return lambda x, y: x if isinstance(x, Mask) and x == y else None

    @lower_builtin(op, Mask, Mask)
    def _lower(context, builder, sig, args):
        return getattr(builder, method)(*args)


for _op, _method in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_op, _method)
for _op, _symbol in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
    (operator.ne, "!="),
):
    _comparison(_op, _symbol)


@type_callable(operator.neg)
def _type_of_negation(context):
    return lambda x: x if isinstance(x, Vec) else None


@lower_builtin(operator.neg, Vec)
def _negate(context, builder, sig, args):
    return builder.fneg(args[0])


for _op, _method in ((operator.and_, "and_"), (operator.or_, "or_"), (operator.xor, "xor")):
    _logic(_op, _method)
