"""numba's simulator of CUDA (``NUMBA_ENABLE_CUDASIM=1``): threads are Python's."""

import sys
from typing import Any, NamedTuple

from numba import cuda

from ..kernels.code.environment import jit_is_on
from ..kernels.launching.threads_of_gpu import Code, Memory, Words, run_plain, with_arrays
from .errors import GpuError

_THREADS = 32  # of a block


class SimulatedMemory(NamedTuple):
    """An array, as the simulator's kernels see it."""

    array: Any
    address: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return tuple(self.array.shape)


class SimulatedDevice:
    """See `device.Device`."""

    name = "numba's simulator of CUDA"

    def __init__(self) -> None:
        if jit_is_on():
            raise GpuError(
                "NUMBA_ENABLE_CUDASIM = 1 needs NUMBA_DISABLE_JIT = 1: simulated threads are "
                "plain Python"
            )

    def free_memory(self) -> int:
        """Bytes: the simulator has as many as one wants."""
        return sys.maxsize

    def to_device(self, array: Any) -> Memory:
        """Copy an array."""
        return SimulatedMemory(cuda.to_device(array).copy_to_host())

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Memory:
        """An array whose elements are anything."""
        return SimulatedMemory(cuda.device_array(shape, dtype).copy_to_host())

    def to_host(self, memory: Any, array: Any) -> None:
        """Copy an array back."""
        array[...] = memory.array

    def prepare(self, code: Code) -> Any:
        """Plain Python needs none."""
        return None

    def new_stream(self) -> Any:
        """The simulator runs what it is told at once."""
        return None

    def launch(self, function: Any, words: Words, arguments: Any, stream: Any) -> None:
        """Run all threads, each once."""
        arrays = {path: memory.array for path, memory in words.arrays.items()}  # type: ignore[attr-defined]
        count = words.threads
        own = with_arrays(arguments, arrays)

        @cuda.jit
        def kernel() -> None:
            thread: int = cuda.grid(1)  # type: ignore[call-arg]
            if thread < count:
                run_plain(own, thread)

        kernel[-(-count // _THREADS), _THREADS]()

    def synchronize(self, stream: Any) -> None:
        """Nothing is queued."""
