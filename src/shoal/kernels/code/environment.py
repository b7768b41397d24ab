"""What the environment variables and the processor say."""

import functools
import os
import platform

import numba
from llvmlite import binding as llvm
from numba import config

# Whether every load and store tests its index and raises IndexError: SHOAL_CHECKED=1.
CHECKED = os.environ.get("SHOAL_CHECKED", "0") not in ("", "0")

_X86 = ("x86_64", "AMD64")


@functools.cache
def register_bytes():
    """Bytes of a vector register of the processor that numba compiles for."""
    features = config.CPU_FEATURES
    if features is None:
        by_name = config.CPU_NAME not in (None, "", "host")
        features = "" if by_name else llvm.get_host_cpu_features().flatten()
    if "+avx512f" in features.split(","):
        return 64
    return 32 if "+avx2" in features.split(",") or platform.machine() in _X86 else 16


def default_threads():
    """As many as numba has for who asks: of ``numba.set_num_threads``, else ``NUMBA_NUM_THREADS``,
    else the cores that this process may use."""
    try:
        numba.threading_layer()
    except ValueError:  # numba has no threads yet, so nobody has set their number
        return config.NUMBA_NUM_THREADS
    return numba.get_num_threads()


def most_threads():
    """As many as numba has at all."""
    return config.NUMBA_NUM_THREADS


def jit_is_on():
    """Whether kernels are compiled (``NUMBA_DISABLE_JIT`` is not set)."""
    return not config.DISABLE_JIT


def threading_layer_setting():
    """``NUMBA_THREADING_LAYER``, as numba has read it."""
    return str(config.THREADING_LAYER)
