"""Launches: slices of work are taken from a shared counter by threads, until a time is over.

There are two ways. Threads of numba's are entered by one parallel loop, which holds no kernel: it
calls them by address. Where that loop must not be entered, the same function takes slices in
Python's threads, as many as can be started; serial is one of them, the calling one. Which thread
takes a slice, and when, changes no bit.

numba's threading layers differ: workqueue ends the process when two threads enter it together, so
one of ours at a time does. (Who enters it beside Shoal, by a parallel function of their own, must
not do so with that layer: https://numba.readthedocs.io/en/stable/user/threading-layer.html.)
GNU OpenMP ends a forked child: there Python's threads do the work.
"""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ..code import forked
from ..code.environment import jit_is_on, most_threads, threading_layer_setting
from ..lane_group import LaneGroup
from . import kernels
from .entries import Call, Slice
from .slices import CONTROL_SIZE, DEADLINE, NEXT, NOT_TAKEN, STATUS, STOP_TILE, STOPPED
from .threads import Helpers, can_start
from .words import DONE, OTHER_VERSION, OUT_OF_BOUNDS

_NEVER = np.iinfo(np.int64).max // 2
_THREADSAFE = ("tbb", "omp")
_INSIDE = threading.Lock()


_LAYERS = ("default", "safe", "forksafe", "threadsafe", "tbb", "omp", "workqueue")


def check_layer() -> None:
    """Raise a ValueError where ``NUMBA_THREADING_LAYER`` names no layer."""
    named = threading_layer_setting().lower()
    if named not in _LAYERS:
        raise ValueError(f"NUMBA_THREADING_LAYER = {named} must be one of {', '.join(_LAYERS)}")


def choose_layer() -> str:
    """numba's threading layer, which it chooses now if it has not yet."""
    from . import loop

    check_layer()
    return loop.choose_layer()


def layer() -> str | None:
    """numba's threading layer; None where it has not chosen one yet."""
    if "numba" not in sys.modules:
        return None
    import numba

    try:
        return numba.threading_layer()
    except ValueError:
        return None


def may_start_layer() -> bool:
    """Whether numba's layer has started, or can start all its threads: some end the process where
    they cannot."""
    return layer() is not None or can_start(most_threads() - 1)


@contextmanager
def _loop() -> Iterator[bool]:
    """Whether numba's threads may be entered for the time of the block."""
    if forked.is_child or not may_start_layer():
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
    if threads == len(slices) == 1 and jit_is_on() and not control[STOPPED]:
        return _checked(_run_alone(calls, slices[0]))
    table = np.array(slices, np.int64).reshape(-1, STOP_TILE + 1)
    outcome = np.full((len(table), 2), NOT_TAKEN, np.int64)
    control[NEXT] = 0
    control[DEADLINE] = time.monotonic_ns() + int(1e9 * seconds) if seconds is not None else _NEVER
    if jit_is_on():
        threads = min(threads, len(table), *(len(call.blocks) for call in calls))
        addresses = np.array([call.function.address for call in calls], np.int64)
        blocks = np.array([call.blocks[:threads] for call in calls], np.int64)
        status = _run(threads, kernels.Taking(0, table, addresses, blocks, control, outcome))
        _check(int(status.max()))
    else:
        _run_plain(calls, table, control, outcome)
    return _checked(outcome)


def _check(status: int) -> None:
    if status == OUT_OF_BOUNDS:
        raise IndexError("a kernel left its array")
    if status == OTHER_VERSION:
        raise RuntimeError("a kernel is of another version than the words that it was handed")


def _checked(outcome: Any) -> Any:
    _check(outcome[:, STATUS].max(initial=DONE))
    return outcome


def _run_alone(calls: Sequence[Call], piece: Sequence[int]) -> Any:
    """The outcome of a single slice, which nobody needs to take: a fit of iris has three, of 10 us
    less."""
    call = calls[piece[0]]
    call.words[0, 1:5] = piece[1:]
    begin = time.perf_counter_ns()
    status = call.function.call(call.blocks[0])
    return np.array([[status, time.perf_counter_ns() - begin]])


def launch_all(
    calls: Sequence[Call], slices: Sequence[tuple[int, ...]], threads: int, control: Any = None
) -> None:
    """Run slices as `launch` does, in launches of 0.15 s, until all are done or ``control`` says
    that no more are to be taken."""
    control = new_control() if control is None else control
    while len(slices) and not control[STOPPED]:
        outcome = launch(calls, slices, threads, 0.15, control)
        slices = [part for part, (status, _) in zip(slices, outcome, strict=True) if status != DONE]


_LANE = LaneGroup(np.float64, 1)  # any: it takes slices, whatever they are


def _run(threads: int, arguments: kernels.Taking) -> Any:
    """What `take_slices` returned in each thread."""
    take = kernels.TAKE_SLICES.entry(_LANE)
    words = np.array([kernels.TAKE_SLICES.packer.words(arguments)] * threads, np.int64)
    words[:, 1] = range(threads)
    base, stride = words.__array_interface__["data"][0], words.strides[0]
    status = np.zeros(threads, np.int64)

    def run(thread: int) -> None:
        status[thread] = take.call(base + thread * stride)

    if threads == 1:
        run(0)
        return status
    with _loop() as enters:
        if enters:
            from . import loop

            loop.run(take.address, base + stride * np.arange(threads), status)
        else:
            helpers = Helpers([partial(run, thread) for thread in range(1, threads)])
            run(0)  # it takes those of threads that are not there too
            helpers.join()
    return status


def _run_plain(calls: Sequence[Call], table: Any, control: Any, outcome: Any) -> None:
    for k, (call, *piece) in enumerate(table.tolist()):
        if control[STOPPED] or (k and time.monotonic_ns() >= control[DEADLINE]):
            return
        begin = time.perf_counter_ns()
        kernel, lane, (arguments, *_) = calls[call][:3]
        kernel.run_plain(lane, arguments._replace(slice=Slice(*piece)))
        outcome[k] = DONE, time.perf_counter_ns() - begin
