"""Kernels become machine code, by numba: their arguments are read from a block of words."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..code import compilation
from ..code.environment import CHECKED
from ..lane_group import LaneGroup
from ..lanes.vectors import lane_group_type
from .words import DONE, OTHER_VERSION, OUT_OF_BOUNDS, VERSION, Field

_WORDS = types.CPointer(types.int64)
_SIGNATURE = types.int32(_WORDS)
_INT64 = ir.IntType(64)


def _numba_type(field: Field, element: Any) -> Any:
    if field.kind == "int":
        return types.int64
    if field.kind == "tuple":
        return types.NamedTuple([_numba_type(f, element) for f in field.fields], field.cls)
    dtype = element if field.kind == "float" else getattr(types, field.kind)
    return types.Array(dtype, field.ndim, "C")


def _read_array(context: Any, builder: Any, typ: Any, word: Any) -> Any:
    """The array whose address and extents ``word()`` reads."""
    array, size = context.make_array(typ)(context, builder), typ.dtype.bitwidth // 8
    array.data = builder.inttoptr(word(), array.data.type)
    extents = [word() for _ in range(typ.ndim)]
    step = ir.Constant(_INT64, size)
    strides: list[Any] = []
    for extent in reversed(extents):
        strides.insert(0, step)
        step = builder.mul(step, extent)
    array.nitems = builder.sdiv(step, ir.Constant(_INT64, size))
    array.itemsize = ir.Constant(_INT64, size)
    array.shape = cgutils.pack_array(builder, extents)
    array.strides = cgutils.pack_array(builder, strides)
    for owner in ("meminfo", "parent"):  # none: who launches keeps the arrays alive
        setattr(array, owner, ir.Constant(getattr(array, owner).type, None))
    return array._getvalue()


def _read(context: Any, builder: Any, typ: Any, word: Any) -> Any:
    if isinstance(typ, types.Array):
        return _read_array(context, builder, typ, word)
    if isinstance(typ, types.NamedTuple):
        return context.make_tuple(
            builder, typ, [_read(context, builder, part, word) for part in typ.types]
        )
    return word()


def _reader(typ: Any) -> Any:
    """Intrinsic that reads arguments of a type from a block of words."""

    @intrinsic
    def read(tc: Any, words: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            position = 0

            def word() -> Any:
                nonlocal position
                position += 1
                return builder.load(builder.gep(args[0], [ir.Constant(_INT64, position)]))

            return _read(context, builder, typ, word)

        return typ(words), codegen

    return read


@intrinsic
def _version(tc: Any, words: Any) -> Any:
    """Word 0 of a block."""
    return types.int64(words), lambda context, builder, sig, args: builder.load(args[0])


def _constant_lane(typ: Any) -> Any:
    """Intrinsic that gives a lane group, which is a type and no data."""

    @intrinsic
    def lane(tc: Any) -> Any:
        return typ(), lambda context, builder, sig, args: context.get_dummy_value()

    return lane


def _entry_function(function: Any, lane: Any, read: Any) -> Any:
    """What is compiled: it calls the kernel with what the words say."""
    if CHECKED:

        def entry(words):
            if _version(words) != VERSION:
                return OTHER_VERSION
            try:
                function(lane(), read(words))
            except Exception:
                return OUT_OF_BOUNDS
            return DONE

    else:

        def entry(words):
            if _version(words) != VERSION:
                return OTHER_VERSION
            function(lane(), read(words))
            return DONE

    return entry


def compiled(function: Any, lane: LaneGroup, field: Field, symbol: str) -> Any:
    """What a kernel is compiled to, see `compilation.compiled`."""
    typ = lane_group_type(lane)
    read = _reader(_numba_type(field, typ.element))
    entry = _entry_function(function, _constant_lane(typ), read)
    return compilation.compiled(entry, _SIGNATURE, symbol)
