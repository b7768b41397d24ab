"""Kernels as C functions: each reads its arguments from a block of words, see `words`."""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..code import compilation
from ..code.environment import CHECKED, jit_is_on
from ..lanes.vectors import LaneGroup, lane_group_type
from .words import DONE, OTHER_VERSION, OUT_OF_BOUNDS, VERSION, Field, Packer, check, field_of

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


class Slice(NamedTuple):
    """What a thread does in one call of a kernel: items (groups, or rows) ``start`` to ``stop``, of
    groups through the tiles ``start_tile`` to ``stop_tile``."""

    start: int
    stop: int
    start_tile: int = 0
    stop_tile: int = 0


class Call(NamedTuple):
    """A kernel with all its arguments, but for the slice of the work that is to be done.

    Attributes
    ----------
    arguments : list of named tuples
        One for each thread that may take a slice, as each has a workspace of its own.
    address : int
        Of the machine code.
    words : (threads, W) int64 array
        The arguments as blocks of words; word 1 to 4 of each are the slice.
    blocks : list of int
        Where each thread's block is.
    """

    kernel: "Kernel"
    lane: LaneGroup
    arguments: list[Any]
    address: int = 0
    words: Any = None
    blocks: Sequence[int] = ()

    def of_thread(self, thread: int) -> "Call":
        """The call with the arguments of one thread alone."""
        return self._replace(
            arguments=[self.arguments[thread]], blocks=self.blocks[thread : thread + 1]
        )


class Kernel:
    """A function of a lane group and a named tuple of arguments, compiled when it is first used.

    Parameters
    ----------
    function : device function
        ``function(lane, arguments)``.
    arguments : named tuple class
        Its first field is the `Slice`.
    own : named tuple class, optional
        What of the arguments is annotated as Any.
    """

    def __init__(self, function: Any, arguments: Any, own: Any = None) -> None:
        self.name = function.__name__
        self.function, self.arguments = function, arguments
        self.field = field_of(self.name, arguments, {"own": own})
        self._packer = Packer(self.field)
        self._entries: dict[Any, Any] = {}
        self._lock = threading.Lock()

    def address(self, lane: LaneGroup) -> int:
        """Where the machine code for these lanes is: compiled or loaded the first time."""
        with self._lock:
            if lane.key not in self._entries:
                typ = lane_group_type(lane)
                read = _reader(_numba_type(self.field, typ.element))
                function = _entry_function(self.function, _constant_lane(typ), read)
                self._entries[lane.key] = compilation.entry(
                    function, f"{self.name} {typ}", _SIGNATURE
                )
            return self._entries[lane.key].address

    def prepare(self, lane: LaneGroup) -> None:
        """Compile or load the machine code for these lanes."""
        if jit_is_on():
            self.address(lane)

    def bind(self, lane: LaneGroup, arguments: list[Any]) -> Call:
        """A call with these arguments, one named tuple for each thread."""
        if not jit_is_on():
            return Call(self, lane, arguments)
        if CHECKED:
            for each in arguments:
                check(self.field, each, lane.dtype)
        words = np.array([self._packer.words(each) for each in arguments], np.int64)
        base, stride = words.__array_interface__["data"][0], words.strides[0]
        blocks = range(base, base + words.nbytes, stride)
        return Call(self, lane, arguments, self.address(lane), words, blocks)

    def run_plain(self, lane: LaneGroup, arguments: Any) -> None:
        """In plain Python: a lane is an integer, and the kernel runs once for each lane of its
        group; rows are not put into lanes."""
        with np.errstate(all="ignore"):
            for q in range(lane.n):
                self.function(q, arguments)
