"""What Shoal needs of a GPU: memory, launches and streams."""

import os
from typing import Any, Protocol

from numpy.typing import NDArray

from ..kernels.launching.threads_of_gpu import Code, Memory, Words
from .errors import GpuError


class Device(Protocol):
    """One GPU. Any of its methods may raise a `GpuError`.

    Attributes
    ----------
    name : str
        What it is, for people.
    """

    name: str

    def free_memory(self) -> int:
        """Bytes that nobody has."""

    def to_device(self, array: NDArray[Any]) -> Memory:
        """Copy an array there."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Memory:
        """An array whose elements are anything."""

    def to_host(self, memory: Memory, array: NDArray[Any]) -> None:
        """Copy an array back, to one of the same shape."""

    def prepare(self, code: Code) -> Any:
        """Code as `launch` takes it: compiled, or from the cache, and loaded."""

    def new_stream(self) -> Any:
        """A queue of launches. Those of one stream run one after the other."""

    def launch(self, function: Any, words: Words, arguments: Any, stream: Any) -> None:
        """Queue a launch of ``words.threads`` threads.

        arguments : TrainingOnGpu, of which simulators need the numbers.
        """

    def synchronize(self, stream: Any) -> None:
        """Wait until all of a stream is done."""


_devices: dict[Any, Device] = {}
_pid = os.getpid()


def open_device(which: int | str | None) -> Device:
    """The GPU of that number or UUID; None: the first.

    Raises
    ------
    GpuError
        One sentence that says what is missing.
    """
    if os.getpid() != _pid and _devices:
        raise GpuError(
            "backend = 'cuda' cannot be used in a fork of a process that has used it: start "
            "processes by 'spawn' (multiprocessing.set_start_method)"
        )
    if which not in _devices:
        _devices[which] = _opened(which)
    return _devices[which]


def _opened(which: int | str | None) -> Device:
    from . import numba_cuda

    if numba_cuda.is_simulated():
        from .simulator import SimulatedDevice

        return SimulatedDevice()
    return numba_cuda.open_device(which)


def problem() -> str | None:
    """Why there is no GPU to compute on, in one sentence; None where there is one."""
    from . import numba_cuda

    return numba_cuda.problem()


def describe() -> str:
    """The GPUs that there are."""
    from . import numba_cuda

    return numba_cuda.describe()
