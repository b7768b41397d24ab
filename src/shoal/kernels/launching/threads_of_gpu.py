"""Launches on a GPU: the block of words, and the code of a thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol

import numpy as np

from ..code import nvptx, objects
from ..code.machine_code import bitcode_of, has_passes, llvm_version
from ..code.specialising import Known
from ..lane_group import LaneGroup
from . import kernels
from .specialised import kinds, known_words
from .thread_entry import FIELD, LAYOUT, Array, Local, of_thread, text_of
from .words import VERSION

# Units by rows of a register tile.
TILE = (4, 4)
# Numbers of a net that its thread keeps in registers and on its stack.
MOST_LOCAL = 450
ENTRY = "shoal_thread"
_GENERAL = "shoal_train_net"
_KINDS = ("known", *kinds(FIELD, ("nets", "work")))

# What may be on a thread's stack, and whether it goes from launch to launch: also where these are
# cut inside a batch.
_LOCAL = {
    "nets.params": True,
    "nets.optimizer_state": True,
    "nets.rates": True,
    "nets.dropout": True,
    **dict.fromkeys(("work.gradient", "work.total", "work.step"), None),
    **dict.fromkeys(
        (
            "work.values", "work.deltas", "work.normalised", "work.deviations", "work.lane_inputs",
            "work.lane_targets", "work.lane_weights",
        ),
        False,
    ),
}  # fmt: skip


class Memory(Protocol):
    """An array in a GPU's memory."""

    @property
    def address(self) -> int:
        """Where it begins."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its extents."""


class Words:
    """The block of words of a launch.

    Parameters
    ----------
    arguments : TrainingOnGpu
        Of which the numbers are taken.
    arrays : mapping
        From the path of each array, such as "nets.params", to where it is.
    """

    def __init__(self, arguments: Any, arrays: Mapping[str, Memory]) -> None:
        self.arrays = arrays
        self.there: Any = None  # the block in the GPU's memory
        self.table = tuple(arguments.layers.ravel().tolist())
        self.block = np.zeros(1 + FIELD.words, np.int64)
        self.block[0] = VERSION
        for path, each in LAYOUT:
            if isinstance(each, Array):
                memory = arrays[path]
                self.block[each.word : each.word + 1 + each.outer] = memory.address, *memory.shape
            else:
                self.block[each] = attrgetter(path)(arguments)

    def replace(self, path: str, memory: Memory) -> None:
        """Another array of the same number of axes."""
        self.arrays = {**self.arrays, path: memory}
        each = dict(LAYOUT)[path]
        self.block[each.word : each.word + 1 + each.outer] = memory.address, *memory.shape

    def set_slice(self, start: int, stop: int, start_tile: int, stop_tile: int) -> None:
        """Which groups are trained, through which tiles."""
        self.block[1:5] = start, stop, start_tile, stop_tile

    @property
    def threads(self) -> int:
        """How many threads the slice has: one a net."""
        return int(self.block[2] - self.block[1]) * self.arrays["nets.params"].shape[2]

    @property
    def known(self) -> Known:
        """What is the same in all launches for nets of this shape."""
        return known_words(self.block.tolist(), _KINDS, self.table)

    def local(self) -> tuple[Local, ...]:
        """Arrays that a thread keeps on its stack; none where they are too large."""
        names = [path for path, _ in LAYOUT]
        batch_tiles = int(self.block[1 + names.index("task.batch_tiles")])
        found = tuple(
            Local(path, self.arrays[path].shape[1], batch_tiles > 1 if keeps is None else keeps)
            for path, keeps in _LOCAL.items()
            if self.arrays[path].shape[1]
        )
        return found if sum(each.numbers for each in found) <= MOST_LOCAL else ()


@dataclass(frozen=True)
class Code:
    """What a thread runs: for nets of one shape, or of any.

    Attributes
    ----------
    known : Known or None
        None: of any.
    local : tuple of Local
    """

    dtype: Any
    known: Known | None = None
    local: tuple[Local, ...] = ()

    @classmethod
    def of(cls, dtype: Any, words: Words) -> "Code":
        """For a launch: for the nets' shape, where a net is small enough for a thread's stack."""
        local = words.local() if has_passes() else ()
        return cls(dtype, words.known, local) if local else cls(dtype)

    @property
    def lane(self) -> LaneGroup:
        """The lanes of a thread."""
        return LaneGroup(self.dtype, 1, TILE)

    @property
    def key(self) -> str:
        """What tells it apart from all others."""
        return f"{kernels.TRAIN_NET.key(self.lane)}, {self.known}, {self.local}"

    def _source(self) -> Any:
        source = objects.source(
            kernels.TRAIN_NET.name, kernels.TRAIN_NET.key(self.lane), self._compile
        )
        if not isinstance(source, bytes):
            raise RuntimeError("kernels for a GPU need numba's insides, which this numba has not")
        return source

    def _compile(self, symbol: str) -> Any:
        return kernels.TRAIN_NET.compile(self.lane, symbol)

    def _made(self, make: Any, *more: Any) -> Any:
        text = text_of(_GENERAL, ENTRY, self.dtype, self.known, self.local)
        is_specialised = self.known is not None
        return make(self._source(), _GENERAL, text, ENTRY, is_specialised, *more)

    def ptx(self, capability: tuple[int, int]) -> str:
        """PTX of a compute capability, with the device function `ENTRY`; from the cache, or made
        and kept there."""
        version = bitcode_of(llvm_version())
        return objects.kept_or_made(
            "gpu",
            f"{self.key}, {capability}, {version}",
            "ptx",
            lambda: self._made(nvptx.ptx, capability).encode(),
        ).decode()

    def object_file(self) -> bytes:
        """The same for this processor: what a thread computes, without a GPU."""
        made: bytes = self._made(nvptx.object_file)
        return made


def run_plain(arguments: Any, thread: int) -> None:
    """A thread in plain Python. arguments : TrainingOnGpu."""
    with np.errstate(all="ignore"):
        kernels.TRAIN_NET.function(0, of_thread(arguments, thread))


def with_arrays(arguments: Any, arrays: Mapping[str, Any], prefix: str = "") -> Any:
    """Arguments with other arrays. arrays : from their paths."""

    def replaced(value: Any, path: str) -> Any:
        if isinstance(value, tuple):
            return with_arrays(value, arrays, f"{path}.")
        return arrays.get(path, value)

    names: Sequence[str] = arguments._fields
    parts = (
        replaced(value, f"{prefix}{name}") for name, value in zip(names, arguments, strict=True)
    )
    return type(arguments)(*parts)
