"""A GPU without one: the code of a thread, compiled for this processor, runs for each thread."""

import ctypes

import numpy as np

from shoal.gpu.errors import GpuError, OutOfMemory
from shoal.kernels.code import machine_code
from shoal.kernels.launching.threads_of_gpu import ENTRY

_MARGIN = 64  # bytes before and behind each array, which nobody may write
_MARK = 0xA5


class Memory:
    def __init__(self, array):
        self.shape, self.dtype = array.shape, array.dtype
        self.bytes = np.full(array.nbytes + 2 * _MARGIN, _MARK, np.uint8)
        inner = self.bytes[_MARGIN : _MARGIN + array.nbytes]
        self.array = inner.view(array.dtype).reshape(array.shape)
        self.array[...] = array
        self.address = self.array.__array_interface__["data"][0]

    def check(self):
        edges = np.concatenate((self.bytes[:_MARGIN], self.bytes[self.bytes.size - _MARGIN :]))
        assert (edges == _MARK).all(), "a thread wrote outside of an array"


class EmulatedDevice:
    """See `shoal.gpu.device.Device`.

    order : "forwards", "backwards", or "interleaved": each thread in turn takes one tile of rows,
    so that what threads share shows.
    memory : bytes that it has.
    """

    name = "emulated GPU"
    functions = {}

    def __init__(self, order="forwards", memory=10**12):
        self.order, self.memory, self.used, self.launches = order, memory, [], 0
        self.codes = []
        self.fails_at = None

    def free_memory(self):
        return self.memory

    def _kept(self, array):
        memory = Memory(array)
        self.used.append(memory)
        return memory

    def to_device(self, array):
        return self._kept(array)

    def empty(self, shape, dtype):
        dtype = np.dtype(dtype)
        return self._kept(np.full(shape, np.nan if dtype.kind == "f" else 1 << 20, dtype))

    def to_host(self, memory, array):
        memory.check()
        array[...] = memory.array

    def prepare(self, code):
        self.codes.append(code)
        if code not in self.functions:
            address, engine = machine_code.load(code.object_file(), ENTRY)
            kind = ctypes.CFUNCTYPE(
                ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
            )
            self.functions[code] = kind(address), engine
        return self.functions[code][0]

    def new_stream(self):
        return None

    def launch(self, function, words, arguments, stream):
        self.launches += 1
        if self.launches == self.fails_at:
            raise GpuError("the GPU fell off the bus")
        result, threads = ctypes.c_int32(-1), range(words.threads)
        start, stop, first, last = words.block[1:5].tolist()
        steps = [(first, last)]
        if self.order == "backwards":
            threads = threads[::-1]
        elif self.order == "interleaved":
            steps = [(tile, tile + 1) for tile in range(first, last)]
        for first, last in steps:
            words.set_slice(start, stop, first, last)
            for thread in threads:
                function(ctypes.byref(result), words.block.ctypes.data, thread)
                assert result.value == 0

    def synchronize(self, stream):
        for memory in self.used:
            memory.check()


__all__ = ["EmulatedDevice", "OutOfMemory"]
