"""NVIDIA's GPUs, by numba.cuda (package numba-cuda) and, for launches, cuda.core, which it brings.

The only module that imports them. A kernel of numba's, of three lines, calls the device function
that LLVM wrote; both are linked to machine code of the GPU, which is kept in the cache.
"""

import contextlib
import math
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..kernels.code import objects
from ..kernels.launching.threads_of_gpu import ENTRY, Code, Memory, Words
from .errors import GpuError, OutOfMemory

_THREADS = 128  # of a block
# Registers of a thread, so that a multiprocessor has 512 threads and not 256: a linked 3-4-1 then
# spills 428 bytes instead of 184, most of them once a launch. Not measured on a GPU.
_REGISTERS = 128
_OUT_OF_MEMORY = "CUDA_ERROR_OUT_OF_MEMORY"
_OLDEST = (7, 5)  # compute capability
_INSTALL = 'pip install "shoal[cuda13]" (or "shoal[cuda12]", for drivers older than 580)'


def is_simulated() -> bool:
    """Whether numba is to simulate CUDA."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def _cuda() -> Any:
    """The module numba.cuda of the package numba-cuda: numba's own is deprecated."""
    try:
        import cuda.core  # noqa: F401
        import numba_cuda  # noqa: F401
        from numba import cuda as of_numba
    except ImportError:
        raise GpuError(f"backend = 'cuda' needs the package numba-cuda: {_INSTALL}") from None
    return of_numba


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """Errors of the driver as ours."""
    try:
        yield
    except GpuError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        if _OUT_OF_MEMORY in text or "out of memory" in text.lower():
            raise OutOfMemory(f"the GPU's memory is full: {text}") from error
        raise GpuError(f"the GPU failed: {type(error).__name__}: {text}") from error


def problem() -> str | None:
    """Why there is no GPU to compute on, in one sentence; None where there is one."""
    if is_simulated():
        return None
    try:
        _devices()
    except GpuError as error:
        return str(error)
    return None


def describe() -> str:
    """The GPUs that there are."""
    if is_simulated():
        return "numba's simulator of CUDA, as NUMBA_ENABLE_CUDASIM is set"
    return "; ".join(
        f"{device.id}: {_name(device)}, compute capability {_capability(device)}, {device.uuid}"
        for device in _devices()
    )


def _name(device: Any) -> str:
    return device.name.decode() if isinstance(device.name, bytes) else str(device.name)


def _capability(device: Any) -> str:
    return ".".join(map(str, device.compute_capability))


def _devices() -> list[Any]:
    """All GPUs that this process may use."""
    cuda = _cuda()
    if not cuda.is_available():
        reason = " ".join(str(cuda.cuda_error() or "it finds no GPU").split())
        if "cannot be found" in reason:
            reason = "no driver of NVIDIA's is installed (libcuda is not found)"
        elif "INSUFFICIENT_DRIVER" in reason or "UNSUPPORTED" in reason:
            reason = f"the driver is older than this numba-cuda: {reason}"
        elif "NO_DEVICE" in reason:
            reason = "the driver finds no GPU (CUDA_VISIBLE_DEVICES may hide it)"
        raise GpuError(f"backend = 'cuda' cannot be used: {reason}")
    with _sentences():
        return list(cuda.list_devices())


def open_device(which: int | str | None) -> "NumbaDevice":
    """The GPU of a number or UUID; None: the first."""
    devices = _devices()
    for device in devices:
        if which is None or which == device.id or (which == device.uuid):
            capability = tuple(device.compute_capability)
            if capability < _OLDEST:
                raise GpuError(
                    f"{_name(device)} has compute capability {_capability(device)}, and "
                    f"backend = 'cuda' needs {'.'.join(map(str, _OLDEST))} or more"
                )
            with _sentences():
                return NumbaDevice(device, capability)
    there = ", ".join(f"{device.id} ({device.uuid})" for device in devices)
    raise GpuError(f"device = {which!r} must be one of {there}")


def kernel_ptx(capability: tuple[int, int]) -> tuple[str, str]:
    """PTX of the kernel, which calls the device function in each thread, and its name there."""
    cuda = _cuda()
    run = cuda.declare_device(ENTRY, "int32(int64, int64)")

    def launch(words: Any, threads: Any) -> None:
        thread = cuda.grid(1)
        if thread < threads:
            run(words, thread)

    ptx, _ = cuda.compile(
        launch, "void(int64, int64)", device=False, abi="numba", cc=capability, output="ptx"
    )
    found = re.search(r"\.visible \.entry (\w+)", ptx)
    if found is None:
        raise GpuError("numba-cuda has written a kernel without an entry")
    return ptx, found.group(1)


def link(code: Code, capability: tuple[int, int], *options: str) -> tuple[bytes, str]:
    """Machine code (a cubin) of the kernel with a thread's code, and what the linker said.

    options : of ptxas.
    """
    _cuda()
    from cuda.core import Linker, LinkerOptions, ObjectCode

    kernel, _ = kernel_ptx(capability)
    parts = [ObjectCode.from_ptx(ptx.encode()) for ptx in (kernel, code.ptx(capability))]
    arch = "sm_" + "".join(map(str, capability))
    settings = LinkerOptions(
        arch=arch, max_register_count=_REGISTERS, ptxas_options=list(options) or None
    )
    linker = Linker(*parts, options=settings)
    return bytes(linker.link("cubin").code), str(linker.get_info_log())


class NumbaMemory:
    """An array in the GPU's memory."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.address = int(array.__cuda_array_interface__["data"][0] or 0)
        self.shape = tuple(array.shape)


class NumbaDevice:
    """See `device.Device`."""

    def __init__(self, device: Any, capability: tuple[int, int]) -> None:
        from cuda.core import Device

        self.cuda = _cuda()
        self.number, self.capability = device.id, capability
        self.name = f"GPU {device.id}, {_name(device)}"
        self.cuda.select_device(device.id)
        self.core = Device(device.id)
        self.core.set_current()
        self._functions: dict[Code, Any] = {}

    def free_memory(self) -> int:
        """Bytes that nobody has."""
        with _sentences():
            return int(self.cuda.current_context().get_memory_info()[0])

    def to_device(self, array: Any) -> Memory:
        """Copy an array there."""
        if not array.size:
            return self.empty(array.shape, array.dtype)
        with _sentences():
            return NumbaMemory(self.cuda.to_device(np.ascontiguousarray(array)))

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Memory:
        """An array whose elements are anything."""
        if not math.prod(shape):
            return _Nothing(shape)
        with _sentences():
            return NumbaMemory(self.cuda.device_array(shape, dtype))

    def to_host(self, memory: Any, array: Any) -> None:
        """Copy an array back, to one of the same shape."""
        with _sentences():
            array[...] = memory.array.copy_to_host()

    def prepare(self, code: Code) -> Any:
        """Code that is linked, or from the cache, and loaded."""
        if code not in self._functions:
            from cuda.core import ObjectCode

            with _sentences():
                version = self._versions()
                key = f"{code.key}, {self.capability}, {version}"
                cubin = objects.kept_or_made(
                    "gpu", key, "cubin", lambda: link(code, self.capability)[0]
                )
                _, name = kernel_ptx(self.capability)
                self._functions[code] = ObjectCode.from_cubin(cubin).get_kernel(name)
        return self._functions[code]

    def _versions(self) -> str:
        from importlib.metadata import version

        return f"numba-cuda {version('numba-cuda')}, cuda-bindings {version('cuda-bindings')}"

    def new_stream(self) -> Any:
        """A queue of launches."""
        with _sentences():
            return self.core.create_stream()

    def launch(self, function: Any, words: Words, arguments: Any, stream: Any) -> None:
        """Queue a launch of as many threads as the slice has nets."""
        from cuda.core import LaunchConfig, launch

        with _sentences():
            # kept until the next launch of these words, which comes after this one has ended
            words.there = self.to_device(words.block)
            # copies are in another queue, and may be under way when they return
            self.cuda.default_stream().synchronize()
            blocks = -(-words.threads // _THREADS)
            launch(
                stream, LaunchConfig(grid=blocks, block=_THREADS), function,
                np.int64(words.there.address), np.int64(words.threads),
            )  # fmt: skip

    def synchronize(self, stream: Any) -> None:
        """Wait until all of a stream is done."""
        with _sentences():
            stream.sync()


class _Nothing:
    """An array without elements, of which the driver allocates none."""

    address = 0

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = tuple(shape)
