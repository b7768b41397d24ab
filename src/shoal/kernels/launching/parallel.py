"""Launches: slices of work are taken from a shared counter by threads, until a time is over.

There are two ways. Threads of numba's are entered by one parallel loop, which holds no kernel: it
calls them by address. Where that loop must not be entered, the same function takes slices in
Python's threads; serial is one of them, the calling one. Which thread takes a slice, and when,
changes no bit.

numba's threading layers differ: workqueue ends the process when two threads enter it together, so
one of ours at a time does. (Who enters it beside Shoal, by a parallel function of their own, must
not do so with that layer: https://numba.readthedocs.io/en/stable/user/threading-layer.html.)
GNU OpenMP ends a forked child: there Python's threads do the work.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic

from ..code import forked
from ..code.compilation import cached
from ..code.environment import jit_is_on, most_threads, threading_layer_setting
from ..rows_in_lanes.team import nanoseconds
from .entries import Call, Slice
from .words import DONE, OTHER_VERSION, OUT_OF_BOUNDS

# columns of `slices`
CALL, START, STOP, START_TILE, STOP_TILE = range(5)
# columns of `outcome`; the status of a slice that nobody took
STATUS, NANOSECONDS = range(2)
NOT_TAKEN = -1
# in `control`, each on a cache line of its own: the next slice, whether no more are to be taken,
# and when that is
NEXT, STOPPED, DEADLINE, CONTROL_SIZE = 0, 16, 32, 48

_NEVER = np.iinfo(np.int64).max // 2
# Nanoseconds after the deadline in which the last slices, one a thread, are still taken: where one
# is left for a launch of its own, one thread works. 16 nets 784-128-10 on two: 1.1x.
_GRACE = 50_000_000
_THREADSAFE = ("tbb", "omp")
_INT64 = ir.IntType(64)


@intrinsic
def _take(tc: Any, control: Any) -> Any:
    """The next number of a counter that threads share. control : (CONTROL_SIZE,) int64."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(_INT64, 1), "monotonic")

    return types.int64(control), codegen


@intrinsic
def _call(tc: Any, address: Any, block: Any, start: Any, stop: Any, first: Any, end: Any) -> Any:
    """Call the kernel at an address with the words at another, and this slice: see `Slice`."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        words = builder.inttoptr(args[1], _INT64.as_pointer())
        for position, number in enumerate(args[2:], 1):
            builder.store(number, builder.gep(words, [ir.Constant(_INT64, position)]))
        kind = ir.FunctionType(ir.IntType(32), [words.type])
        status = builder.call(builder.inttoptr(args[0], kind.as_pointer()), [words])
        return builder.sext(status, _INT64)

    return types.int64(*[types.int64] * 6), codegen


@cached()
def take_slices(thread, slices, addresses, blocks, control, outcome):
    """Take slices and run them, until there are no more, or no more are to be taken.

    Parameters
    ----------
    thread : int
        Whose words are handed to kernels.
    slices : (slices, 5) int64 array
    addresses : (calls,) int64 array
        Of kernels.
    blocks : (calls, threads) int64 array
        Where a call's words are, for each thread.
    control : (CONTROL_SIZE,) int64 array
    outcome : (slices, 2) int64 array
        Written: what the kernel returned, and its time.
    """
    k, taken, deadline = _take(control), 0, control[DEADLINE]
    # a thread takes one in any case, so that each launch does something
    while k < len(slices) and control[STOPPED] == 0 and (taken == 0 or nanoseconds() < deadline):
        call = slices[k, CALL]
        begin = nanoseconds()
        outcome[k, STATUS] = _call(
            addresses[call], blocks[call, thread], slices[k, START], slices[k, STOP],
            slices[k, START_TILE], slices[k, STOP_TILE],
        )  # fmt: skip
        outcome[k, NANOSECONDS] = nanoseconds() - begin
        k, taken = _take(control), taken + 1
        if k + blocks.shape[1] >= len(slices):
            deadline = control[DEADLINE] + _GRACE


@cached(parallel=True)
def _run_in_parallel(threads, slices, addresses, blocks, control, outcome):
    """`take_slices` on so many of numba's threads."""
    for thread in prange(threads):
        take_slices(thread, slices, addresses, blocks, control, outcome)


_INSIDE = threading.Lock()


_LAYERS = ("default", "safe", "forksafe", "threadsafe", "tbb", "omp", "workqueue")


def check_layer() -> None:
    """Raise a ValueError where ``NUMBA_THREADING_LAYER`` names no layer."""
    named = threading_layer_setting().lower()
    if named not in _LAYERS:
        raise ValueError(f"NUMBA_THREADING_LAYER = {named} must be one of {', '.join(_LAYERS)}")


def choose_layer() -> str:
    """numba's threading layer, which it chooses now if it has not yet."""
    check_layer()
    try:
        numba.get_num_threads()
    except ValueError as error:  # of numba: several lines
        named = threading_layer_setting()
        raise ValueError(
            f"NUMBA_THREADING_LAYER = {named} must be a layer that numba can load here: tbb needs "
            "the package tbb, and LD_LIBRARY_PATH to name the folder of its library"
        ) from error
    return numba.threading_layer()


def layer() -> str | None:
    """numba's threading layer; None where it has not chosen one yet."""
    try:
        return numba.threading_layer()
    except ValueError:
        return None


@contextmanager
def _loop() -> Iterator[bool]:
    """Whether numba's threads may be entered for the time of the block."""
    if forked.is_child:
        yield False
        return
    if choose_layer() in _THREADSAFE:
        yield True
    elif _INSIDE.acquire(blocking=False):
        try:
            yield True
        finally:
            _INSIDE.release()
    else:
        yield False


def new_control() -> Any:
    """What threads of a launch share. ``control[STOPPED] = 1`` ends it, and those that follow."""
    return np.zeros(CONTROL_SIZE, np.int64)


def launch(
    calls: Sequence[Call],
    slices: Sequence[tuple[int, ...]],
    threads: int = 1,
    seconds: float | None = None,
    control: Any = None,
) -> Any:
    """Run slices of calls, in this order, on so many threads.

    Parameters
    ----------
    slices : sequence of (call, start, stop, start_tile, stop_tile)
        ``call`` is a position in ``calls``, the rest a `Slice`.
    threads : int
        At most so many as there are slices, and as each call has arguments.
    seconds : float, optional
        After so long no more slices are taken.
    control : array, optional
        Of `new_control`.

    Returns
    -------
    (slices, 2) int64 array
        Of each slice its STATUS, NOT_TAKEN or DONE, and its time in NANOSECONDS.
    """
    control = new_control() if control is None else control
    table = np.array(slices, np.int64).reshape(-1, STOP_TILE + 1)
    outcome = np.full((len(table), 2), NOT_TAKEN, np.int64)
    control[NEXT] = 0
    control[DEADLINE] = time.monotonic_ns() + int(1e9 * seconds) if seconds is not None else _NEVER
    if jit_is_on():
        threads = min(threads, len(table), *(len(call.blocks) for call in calls))
        addresses = np.array([call.address for call in calls], np.int64)
        blocks = np.array([call.blocks[:threads] for call in calls], np.int64)
        _run(threads, table, addresses, blocks, control, outcome)
    else:
        _run_plain(calls, table, control, outcome)
    status = outcome[:, STATUS].max(initial=DONE)
    if status == OUT_OF_BOUNDS:
        raise IndexError("a kernel left its array")
    if status == OTHER_VERSION:
        raise RuntimeError("a kernel is of another version than the words that it was handed")
    return outcome


def launch_all(
    calls: Sequence[Call], slices: Sequence[tuple[int, ...]], threads: int, control: Any = None
) -> None:
    """Run slices as `launch` does, in launches of 0.15 s, until all are done or ``control`` says
    that no more are to be taken."""
    control = new_control() if control is None else control
    while len(slices) and not control[STOPPED]:
        outcome = launch(calls, slices, threads, 0.15, control)
        slices = [part for part, (status, _) in zip(slices, outcome, strict=True) if status != DONE]


def _run(threads: int, *arrays: Any) -> None:
    if threads == 1:
        take_slices(0, *arrays)
        return
    with _loop() as enters:
        if enters:
            before = numba.get_num_threads()
            numba.set_num_threads(min(threads, most_threads()))
            try:
                _run_in_parallel(threads, *arrays)
            finally:
                numba.set_num_threads(before)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda thread: take_slices(thread, *arrays), range(threads)))


def _run_plain(calls: Sequence[Call], table: Any, control: Any, outcome: Any) -> None:
    for k, (call, *piece) in enumerate(table.tolist()):
        if control[STOPPED] or (k and time.monotonic_ns() >= control[DEADLINE]):
            return
        begin = time.perf_counter_ns()
        kernel, lane, (arguments, *_) = calls[call][:3]
        kernel.run_plain(lane, arguments._replace(slice=Slice(*piece)))
        outcome[k] = DONE, time.perf_counter_ns() - begin
