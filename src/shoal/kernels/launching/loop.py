"""The parallel loop on numba's threads. It holds no kernel, but calls C functions by address."""

from typing import Any

import numba
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic

from ..code.compilation import cached
from ..code.environment import most_threads, threading_layer_setting

_INT64 = ir.IntType(64)


@intrinsic
def _call(tc: Any, address: Any, words: Any) -> Any:
    """Call the C function at an address with the words at another."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[1], _INT64.as_pointer())
        kind = ir.FunctionType(ir.IntType(32), [pointer.type])
        status = builder.call(builder.inttoptr(args[0], kind.as_pointer()), [pointer])
        return builder.sext(status, _INT64)

    return types.int64(types.int64, types.int64), codegen


@cached(parallel=True)
def _run_in_parallel(address, blocks, status):
    """Call the function at an address with each block of words, in a thread of its own."""
    for thread in prange(len(blocks)):
        status[thread] = _call(address, blocks[thread])


def choose_layer() -> str:
    """numba's threading layer, which it chooses now if it has not yet."""
    try:
        numba.get_num_threads()
    except ValueError as error:  # of numba: several lines
        named = threading_layer_setting()
        raise ValueError(
            f"NUMBA_THREADING_LAYER = {named} must be a layer that numba can load here: tbb needs "
            "the package tbb, and LD_LIBRARY_PATH to name the folder of its library"
        ) from error
    return numba.threading_layer()


def run(address: int, blocks: Any, status: Any) -> None:
    """`_run_in_parallel` on as many threads as there are blocks, if numba has them."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(len(blocks), most_threads()))
    try:
        _run_in_parallel(address, blocks, status)
    finally:
        numba.set_num_threads(before)
