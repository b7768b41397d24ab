"""The processor's floating-point environment: the same for every launch, whatever the caller's.

A library linked with -ffast-math switches subnormal numbers off for the threads that load it, and
others set the rounding mode. That would change bits, so a launcher sets the IEEE default and puts
back what it found.
"""

import platform

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

_X86 = platform.machine() in ("x86_64", "AMD64")
_I32 = ir.IntType(32)

# MXCSR: round to nearest, all exceptions masked, subnormal numbers as they are
IEEE = 0x1F80


def _python_exchange(control):
    return control


def _exchange(tc, control):
    """Set the control word of this thread's vector unit; the one before. (x86-64; else nothing.)"""

    def codegen(context, builder, sig, args):
        if not _X86:
            return args[0]
        pointer = ir.PointerType(ir.IntType(8))
        signature = ir.FunctionType(ir.VoidType(), [pointer])
        read = builder.module.declare_intrinsic("llvm.x86.sse.stmxcsr", (), signature)
        write = builder.module.declare_intrinsic("llvm.x86.sse.ldmxcsr", (), signature)
        slot = builder.alloca(_I32)
        address = builder.bitcast(slot, pointer)
        builder.call(read, [address])
        before = builder.load(slot)
        builder.store(builder.trunc(args[0], _I32), slot)
        builder.call(write, [address])
        return builder.zext(before, ir.IntType(64))

    return types.int64(types.int64), codegen


_JIT = not config.DISABLE_JIT  # type: ignore[attr-defined]
exchange_control = intrinsic(_exchange) if _JIT else _python_exchange
