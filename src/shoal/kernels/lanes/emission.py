"""How primitives become LLVM instructions.

With ``SHOAL_CHECKED=1`` in the environment every load and store tests its index and raises
``IndexError``.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..code.environment import CHECKED
from .vectors import (
    LaneGroupType,
    Vec,
    element_of,
    llvm_element,
    llvm_type,
    suffix,
)

I32 = ir.IntType(32)


def emit_repeat(builder, scalar, n):
    """A vector that holds a scalar n times."""
    undefined = ir.Constant(ir.VectorType(scalar.type, n), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, n), [0] * n)
    return builder.shuffle_vector(first, undefined, zeros)


def emit_broadcast(builder, typ, scalar):
    return emit_repeat(builder, scalar, typ.n) if isinstance(typ, Vec) else scalar


def vector_type(lane, array):
    """Type of a vector of this lane read from this array."""
    return lane.vector if isinstance(lane, LaneGroupType) else array.dtype


def raise_unless(context, builder, condition, message):
    with cgutils.if_unlikely(builder, builder.not_(condition)):
        context.call_conv.return_user_exc(builder, IndexError, (message,))


def lane_number(context, builder, lane, value):
    """Number of a lane whose vectors are single numbers."""
    if isinstance(lane, LaneGroupType):
        return ir.Constant(context.get_value_type(types.intp), 0)
    return context.cast(builder, value, lane, types.intp)


class Access:
    """Addresses of one lane's elements in one array: C-contiguous, unchecked unless CHECKED."""

    def __init__(self, context, builder, lane, lane_value, array, array_value):
        self.context, self.builder, self.lane, self.array = (context, builder, lane, array)
        self.type = vector_type(lane, array)
        self.vector = isinstance(self.type, Vec)
        made = context.make_array(array)(context, builder, array_value)
        self.data, self.shape = made.data, cgutils.unpack_tuple(builder, made.shape)
        if not self.vector and array.ndim == 2:
            self.lane_index = lane_number(context, builder, lane, lane_value)

    def _check(self, position):
        inside = self.builder.icmp_unsigned("<", position, self.shape[0])
        raise_unless(self.context, self.builder, inside, "a kernel left its array")
        if self.vector and self.array.ndim == 2:
            lanes = ir.Constant(position.type, self.lane.n)
            same = self.builder.icmp_signed("==", self.shape[1], lanes)
            raise_unless(self.context, self.builder, same, "an array has another lane width")

    def _address(self, position):
        builder = self.builder
        if CHECKED:
            self._check(position)
        if self.array.ndim == 1:
            return builder.gep(self.data, [position])
        if self.vector:
            position = builder.mul(position, ir.Constant(position.type, self.lane.n), flags=["nsw"])
            pointer = llvm_type(self.type).as_pointer()
            return builder.bitcast(builder.gep(self.data, [position]), pointer)
        position = builder.add(builder.mul(position, self.shape[1]), self.lane_index)
        return builder.gep(self.data, [position])

    def load(self, position):
        if self.array.ndim == 1:
            return emit_broadcast(
                self.builder, self.type, self.builder.load(self._address(position))
            )
        align = element_of(self.type).bitwidth // 8
        return self.builder.load(self._address(position), align=align)

    def load_across(self, position):
        """As many consecutive elements of a shared array as there are lanes, one a lane."""
        if not self.vector:
            return self.builder.load(self._address(position))
        if CHECKED:
            self._check(self.builder.add(position, ir.Constant(position.type, self.lane.n - 1)))
        pointer = self.builder.bitcast(self._address(position), llvm_type(self.type).as_pointer())
        return self.builder.load(pointer, align=element_of(self.type).bitwidth // 8)

    def store(self, position, value):
        align = element_of(self.type).bitwidth // 8
        self.builder.store(value, self._address(position), align=align)

    def _first(self, position, count, n):
        """(pointer, alignment, mask) of the first ``count`` of n elements of a shared array."""
        builder = self.builder
        lanes = ir.Constant(ir.VectorType(I32, n), list(range(n)))
        limit = emit_repeat(builder, builder.trunc(count, I32), n)
        mask = builder.icmp_signed("<", lanes, limit)
        if CHECKED:
            with builder.if_then(builder.icmp_signed(">", count, ir.Constant(count.type, 0))):
                most = ir.Constant(count.type, n)
                taken = builder.select(builder.icmp_signed("<", count, most), count, most)
                last = builder.sub(builder.add(position, taken), ir.Constant(count.type, 1))
                self._check(last)
        pointer = builder.gep(self.data, [position])
        pointer = builder.bitcast(pointer, self._vector(n).as_pointer())
        return pointer, ir.Constant(I32, element_of(self.type).bitwidth // 8), mask

    def _vector(self, n):
        return ir.VectorType(llvm_element(self.type), n)

    def _masked(self, name, n, result, arguments):
        function = ir.FunctionType(result, [argument.type for argument in arguments])
        name = f"llvm.masked.{name}.v{n}f{element_of(self.type).bitwidth}.p0"
        callee = cgutils.get_or_insert_function(self.builder.module, function, name)
        return self.builder.call(callee, arguments)

    def load_some(self, position, count, n=0):
        """The first ``count`` of n consecutive elements of a shared array, and +0; n : as many as
        there are lanes, unless given."""
        if not self.vector:
            return self.load(position)
        n = n or self.lane.n
        typ = self._vector(n)
        nothing = ir.Constant(typ, [0.0] * n)
        return self._masked("load", n, typ, [*self._first(position, count, n), nothing])

    def store_across(self, position, count, value):
        """Set consecutive elements of a shared array to the first ``count`` lanes."""
        builder = self.builder
        if not self.vector:
            with builder.if_then(builder.icmp_signed(">", count, ir.Constant(count.type, 0))):
                self.store(position, value)
            return
        n = self.lane.n
        arguments = [value, *self._first(position, count, n)]
        self._masked("store", n, ir.VoidType(), arguments)

    def steps(self, position, stride, extent):
        """The positions p, p + stride, ...: as many as ``extent`` has."""
        for k in range(len(extent)):
            if k:
                position = self.builder.add(position, stride, flags=["nsw"])
            yield position


def emit_fma(builder, typ, x, y, z):
    function = ir.FunctionType(x.type, [x.type] * 3)
    name = f"llvm.fma.{suffix(typ)}"
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), [x, y, z])


def transpose(builder, vectors):
    """Transpose n vectors of n (a power of two): swap off-diagonal halves at every scale."""
    n, vectors = len(vectors), list(vectors)
    scale = 1
    while scale < n:
        for i in range(n):
            if i & scale:
                continue
            x, y = vectors[i], vectors[i + scale]
            upper = [e if not e & scale else n + e - scale for e in range(n)]
            lower = [e + scale if not e & scale else n + e for e in range(n)]
            for k, elements in ((i, upper), (i + scale, lower)):
                mask = ir.Constant(ir.VectorType(I32, n), elements)
                vectors[k] = builder.shuffle_vector(x, y, mask)
        scale *= 2
    return vectors


def side_by_side(builder, groups):
    """Vectors that hold those of two groups, or of 2, 4, ... groups, side by side."""
    while len(groups) > 1:
        size = 2 * groups[0][0].type.count
        every = ir.Constant(ir.VectorType(I32, size), list(range(size)))
        pairs = zip(groups[::2], groups[1::2], strict=True)
        groups = [
            [builder.shuffle_vector(x, y, every) for x, y in zip(*pair, strict=True)]
            for pair in pairs
        ]
    return groups[0]


def fraction_bits(typ):
    return 23 if element_of(typ).bitwidth == 32 else 52
