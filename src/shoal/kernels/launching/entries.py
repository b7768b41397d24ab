"""Kernels as C functions: each reads its arguments from a block of words, see `words`.

What is here needs no numba: `compiling` makes a kernel's machine code where none is kept.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..code import objects
from ..code.environment import CHECKED, jit_is_on
from ..code.specialising import Known
from ..lane_group import LaneGroup
from .words import Packer, check, field_of


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
    function : Function or None
        The machine code; none in plain Python.
    words : (threads, W) int64 array
        The arguments as blocks of words; word 1 to 4 of each are the slice.
    blocks : list of int
        Where each thread's block is.
    """

    kernel: "Kernel"
    lane: LaneGroup
    arguments: list[Any]
    function: Any = None
    words: Any = None
    blocks: Sequence[int] = ()

    def of_thread(self, thread: int) -> "Call":
        """The call with the arguments of one thread alone."""
        only = slice(thread, thread + 1)
        words = None if self.words is None else self.words[only]
        return self._replace(arguments=self.arguments[only], words=words, blocks=self.blocks[only])


class Kernel:
    """A function of a lane group and a named tuple of arguments, compiled when it is first used.

    Parameters
    ----------
    name : str
        Of the device function ``name(lane, arguments)`` in `functions`.
    arguments : named tuple class
        Its first field is the `Slice`.
    own : named tuple class, optional
        What of the arguments is annotated as Any.
    """

    def __init__(self, name: str, arguments: Any, own: Any = None) -> None:
        self.name, self.arguments = name, arguments
        self.field = field_of(name, arguments, {"own": own})
        self.packer = Packer(self.field)
        self._entries: dict[Any, Any] = {}

    @property
    def function(self) -> Any:
        """The device function, which needs numba."""
        from . import functions

        return getattr(functions, self.name)

    def key(self, lane: LaneGroup) -> str:
        """What tells the machine code for these lanes apart, on one processor."""
        dtype, n, tile, rows = lane.key
        return f"{self.name} {dtype} {n} lanes, {rows} rows, tiles of {tile}"

    def entry(self, lane: LaneGroup) -> objects.Function:
        """The machine code for these lanes: compiled or loaded the first time."""
        if lane.key not in self._entries:
            with objects.COMPILING:  # no lock of its own, which a fork might leave held
                if lane.key not in self._entries:
                    self._entries[lane.key] = objects.function(
                        self.name, self.key(lane), lambda symbol: self.compile(lane, symbol)
                    )
        return self._entries[lane.key]

    def specialised(self, lane: LaneGroup, known: Known) -> objects.Specialised:
        """The machine code for these lanes and known words."""
        return objects.Specialised(
            self.name, self.key(lane), lambda symbol: self.compile(lane, symbol), known
        )

    def compile(self, lane: LaneGroup, symbol: str) -> Any:
        """What the kernel is compiled to, with a C function of this name."""
        from . import compiling

        return compiling.compiled(self.function, lane, self.field, symbol)

    def prepare(self, lane: LaneGroup) -> None:
        """Compile or load the machine code for these lanes."""
        if jit_is_on():
            self.entry(lane)

    def bind(
        self, lane: LaneGroup, arguments: list[Any], function: objects.Function | None = None
    ) -> Call:
        """A call with these arguments, one named tuple for each thread.

        function : specialised machine code, for such arguments.
        """
        if not jit_is_on():
            return Call(self, lane, arguments)
        if CHECKED:
            for each in arguments:
                check(self.field, each, lane.dtype)
        words = np.array([self.packer.words(each) for each in arguments], np.int64)
        base, stride = words.__array_interface__["data"][0], words.strides[0]
        blocks = range(base, base + words.nbytes, stride)
        return Call(self, lane, arguments, function or self.entry(lane), words, blocks)

    def run_plain(self, lane: LaneGroup, arguments: Any) -> None:
        """In plain Python: a lane is an integer, and the kernel runs once for each lane of its
        group; rows are not put into lanes."""
        with np.errstate(all="ignore"):
            for q in range(lane.n):
                self.function(q, arguments)
