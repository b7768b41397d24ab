"""Several threads inside one net: a leader that trains it, and followers that take their parts.

The leader writes down what is to be done, all meet at a barrier, each does its part, and they meet
again. Sums are never shared: threads divide the units of each layer, so that weights stay in the
cache of the core that changes them; where a batch has several chunks, they divide the chunks.
Once the team is stopped, which Python does, nobody waits any more.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .jit import body
from .lanes import word

# places in ``team`` (SIZE,) int64; what all threads write to stands on cache lines of its own
PARTS, STOPPED, EPOCH, FIRST, ROW, ROWS, BATCH_ROWS, BRINGS, DONE = range(9)
ARRIVED, MEETING, SIZE = 16, 32, 48

_PATIENCE = 4096  # looks, some 10 us, until a waiting thread lets others have its core


def _pointer(context, builder, array, value, index):
    return builder.gep(context.make_array(array)(context, builder, value).data, [index])


def _python_add(a, p, value):
    a[p] += value
    return a[p] - value


@word(_python_add)
def atomic_add(tc, a, p, value):
    """Add to an element that several threads add to; the element before."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, a, args[0], args[1])
        return builder.atomic_rmw("add", pointer, args[2], "seq_cst")

    return types.intp(a, types.intp, types.intp), codegen


@word(lambda a, p: a[p])
def atomic_load(tc, a, p):
    """An element that another thread may write to."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, a, args[0], args[1])
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.intp(a, types.intp), codegen


@word(lambda: 0)
def give_way(tc):
    """Let another thread have this core."""

    def codegen(context, builder, sig, args):
        function = ir.FunctionType(ir.IntType(32), [])
        callee = cgutils.get_or_insert_function(builder.module, function, "sched_yield")
        return builder.sext(builder.call(callee, []), ir.IntType(64))

    return types.intp(), codegen


@body
def meet(team):
    """Wait until all threads of a team are here; whether the team goes on."""
    meeting = atomic_load(team, MEETING)
    if atomic_add(team, ARRIVED, 1) + 1 == team[PARTS]:
        atomic_add(team, ARRIVED, -team[PARTS])
        atomic_add(team, MEETING, 1)
    looks = 0
    while atomic_load(team, MEETING) == meeting:
        if atomic_load(team, STOPPED) != 0:
            return False
        looks += 1
        if looks > _PATIENCE:
            give_way()
    return atomic_load(team, STOPPED) == 0


@body
def share(part, parts, count, step):
    """(first, last) of a part's share of ``count`` things, in multiples of ``step``."""
    if parts == 1:
        return 0, count
    size = (count + step * parts - 1) // (step * parts) * step
    return min(part * size, count), min((part + 1) * size, count)
