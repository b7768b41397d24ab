"""What the environment variables and the processor say.

numba reads its variables when it is imported; until then they are read here, as a training whose
kernels are kept does not need it.
"""

import functools
import os
import platform
import sys

from llvmlite import binding as llvm

# Whether every load and store tests its index and raises IndexError: SHOAL_CHECKED=1.
CHECKED = os.environ.get("SHOAL_CHECKED", "0") not in ("", "0")

_X86 = ("x86_64", "AMD64")


@functools.cache
def _has_file_of_numba():
    return os.path.exists(".numba_config.yaml")


def _of_numba(name, parse, default):
    """A setting of numba's, by its name there; its variable begins with ``NUMBA_``."""
    if "numba" not in sys.modules and _has_file_of_numba():
        import numba  # noqa: F401  (which reads it)
    if "numba" in sys.modules:
        from numba import config

        return getattr(config, name)
    text = os.environ.get(name if name.startswith("NUMBA_") else f"NUMBA_{name}")
    try:
        return default() if text is None else parse(text)
    except ValueError:  # as numba does, which also warns
        return default()


@functools.cache
def cpu_name():
    """The processor that is compiled for, as LLVM calls it."""
    named = _of_numba("CPU_NAME", str, lambda: None)
    return named if named not in (None, "", "host") else llvm.get_host_cpu_name()


@functools.cache
def cpu_features():
    """Its features, as LLVM lists them."""
    features = _of_numba("CPU_FEATURES", str, lambda: None)
    if features is None:
        by_name = _of_numba("CPU_NAME", str, lambda: None) not in (None, "", "host")
        features = "" if by_name else llvm.get_host_cpu_features().flatten()
    return features


@functools.cache
def register_bytes():
    """Bytes of a vector register of the processor that is compiled for."""
    features = cpu_features().split(",")
    if "+avx512f" in features:
        return 64
    return 32 if "+avx2" in features or platform.machine() in _X86 else 16


def default_threads():
    """As many as numba has for who asks: of ``numba.set_num_threads``, else ``NUMBA_NUM_THREADS``,
    else the cores that this process may use."""
    if "numba" in sys.modules:
        import numba

        try:
            numba.threading_layer()
        except ValueError:  # numba has no threads yet, so nobody has set their number
            return most_threads()
        return numba.get_num_threads()
    return most_threads()


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


@functools.cache
def most_threads():
    """As many as numba has at all."""
    return _of_numba("NUMBA_NUM_THREADS", int, _cores)


@functools.cache
def jit_is_on():
    """Whether kernels are compiled (``NUMBA_DISABLE_JIT`` is not set)."""
    return not _of_numba("DISABLE_JIT", int, lambda: 0)


def threading_layer_setting():
    """``NUMBA_THREADING_LAYER``, as numba reads it."""
    return str(_of_numba("THREADING_LAYER", str, lambda: "default"))
