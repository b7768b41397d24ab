"""Several threads inside one net: a leader that trains it, and followers that take their parts.

The leader writes down what is to be done, all wait at a barrier, each does its part, and they wait
for each other again. Sums are never shared. Threads divide the units of each layer, so that weights
stay in the cache of the core that changes them; where a batch has several accumulation blocks, they
divide the blocks. (Dividing the rows of a small batch, and the weights only for their gradient,
needs two barriers instead of five, but moves more between the cores: 64-32-10 with 32 rows took
5.5 us a step, by units 4.8, and in one thread 4.8.)
Once the team is stopped, which Python does at the end, nobody waits any more. Where another process
has the core of a follower, the leader would wait for it for milliseconds at each barrier: once it
has waited long in all, it stops the team and goes on alone.
"""

import time
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..code.compilation import device_function
from ..lanes.emission import CHECKED, raise_unless
from ..lanes.primitives import primitive
from ..teams import ARRIVALS, LINE, PARTS, STOPPED, TOO_LONG, WAITED

UNITS_OF_A_SHARE = 4  # units are divided by multiples of it, as dropout draws for four together

_PATIENCE = 4096  # tests, some 10 us, until a waiting thread lets others have its core


def _pointer(context, builder, array, value, index):
    made = context.make_array(array)(context, builder, value)
    if CHECKED:
        (size,) = cgutils.unpack_tuple(builder, made.shape)
        inside = builder.icmp_unsigned("<", index, size)
        raise_unless(context, builder, inside, "a kernel left its array")
    return builder.gep(made.data, [index])


def _python_store(a, p, value):
    a[p] = value
    return 0


@primitive(_python_store)
def atomic_store(tc, a, p, value):
    """Set an element that other threads read, after all that was stored before."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, a, args[0], args[1])
        builder.store_atomic(args[2], pointer, "release", 8)
        return ir.Constant(ir.IntType(64), 0)

    return types.intp(a, types.intp, types.intp), codegen


@primitive(lambda a, p: a[p])
def atomic_load(tc, a, p):
    """An element that another thread may write to."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, a, args[0], args[1])
        return builder.load_atomic(pointer, "acquire", 8)

    return types.intp(a, types.intp), codegen


@primitive(lambda: 0)
def give_way(tc):
    """Let another thread have this core."""

    def codegen(context, builder, sig, args):
        function = ir.FunctionType(ir.IntType(32), [])
        callee = cgutils.get_or_insert_function(builder.module, function, "sched_yield")
        return builder.sext(builder.call(callee, []), ir.IntType(64))

    return types.intp(), codegen


@primitive(lambda: 0)
def nanoseconds(tc):
    """A clock that only goes forward."""

    def codegen(context, builder, sig, args):
        word = ir.IntType(64)
        memory = cgutils.alloca_once(builder, ir.ArrayType(word, 2))  # struct timespec
        pointer = builder.bitcast(memory, word.as_pointer())
        function = ir.FunctionType(ir.IntType(32), [ir.IntType(32), pointer.type])
        callee = cgutils.get_or_insert_function(builder.module, function, "clock_gettime")
        builder.call(callee, [ir.Constant(ir.IntType(32), time.CLOCK_MONOTONIC), pointer])
        seconds = builder.load(pointer)
        rest = builder.load(builder.gep(pointer, [ir.Constant(word, 1)]))
        return builder.add(builder.mul(seconds, ir.Constant(word, 10**9)), rest)

    return types.intp(), codegen


@device_function(inline="never")
def barrier(team, part):
    """Wait until all threads of a team are here; whether the team goes on."""
    mine = ARRIVALS + part * LINE
    arrival = team[mine] + 1
    atomic_store(team, mine, arrival)
    tests = since = 0
    for other in range(team[PARTS]):
        while atomic_load(team, ARRIVALS + other * LINE) < arrival:
            if atomic_load(team, STOPPED) != 0:
                return False
            tests += 1
            if tests == _PATIENCE:
                since = nanoseconds()
            elif tests > _PATIENCE:
                give_way()
    if part == 0 and tests > _PATIENCE:
        team[WAITED] += nanoseconds() - since
    return atomic_load(team, STOPPED) == 0


@device_function
def parts_of(team):
    """How many threads share the net: one, once the leader has waited too long."""
    if len(team) == ARRIVALS + LINE:  # of one thread, as the compiler may know
        return 1
    if team[PARTS] > 1 and team[WAITED] > TOO_LONG:
        atomic_store(team, STOPPED, 1)
        return 1
    return team[PARTS]


class Share(NamedTuple):
    """A thread's share of a net: ``part`` of 0 to ``parts`` - 1."""

    part: int
    parts: int


@device_function
def share_of(share, count, step):
    """(start, stop) of a thread's share of ``count`` things, in multiples of ``step``."""
    if share.parts == 1:
        return 0, count
    size = (count + step * share.parts - 1) // (step * share.parts) * step
    return min(share.part * size, count), min((share.part + 1) * size, count)


@device_function
def wait_for(team, share):
    """Wait for the threads that share the net, if there are any."""
    if share.parts > 1:
        barrier(team, share.part)
