"""How functions are compiled: the only place with the options, and with the choice of the way.

With numba's insides (`numba_internals`) kernels start faster. Where a new release of numba has
changed them, everything is compiled with what numba publishes: slower to start, with the same bits.
"""

import contextlib
import functools
import gc
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numba

from .environment import CHECKED, jit_is_on

# error_model="numpy": a scalar division must not raise. No fast-math: the order of arithmetic is
# a promise.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "boundscheck": CHECKED}

# Called before something is compiled, which takes seconds: the layers above may tell the user.
before_compiling: list[Callable[[], None]] = []


@functools.cache
def internals() -> Any:
    """The module `numba_internals`, or None where it does not fit this numba."""
    try:
        from . import numba_internals

        reason = numba_internals.problem()
    except Exception as error:
        reason = repr(error)
    if reason is None:
        return numba_internals
    warnings.warn(
        f"numba {numba.__version__} differs from what Shoal assumes ({reason}): kernels are "
        "compiled in each process, which takes minutes, and give the same results",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


def device_function(function=None, *, inline=None):
    """Decorator of a part of a kernel, which is compiled into the kernels that call it.

    inline : "never" for what is not on the way of every net: one copy, whoever calls it. "always"
    between the epoch's loop and a layer's: an array is eight machine words as an argument, and
    passing dozens of arrays down takes as long as training a tiny net on them.
    """
    if function is None:
        return functools.partial(device_function, inline=inline)
    if not jit_is_on():
        return function
    if internals() is None:
        return numba.njit(**_OPTIONS)(function)
    return internals().device_function(function, inline, _OPTIONS)


def _announce():
    for call in before_compiling:
        call()


@contextlib.contextmanager
def _without_collector():
    """Compiling makes millions of objects that stay: looking for garbage takes a tenth of it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


_COMPILING = threading.RLock()  # two threads would compile the same thing twice


def entry(function, name, signature):
    """A C function that is compiled, or loaded from the disk; ``.address`` is where it is.

    name : what tells it apart from all others of its signature.
    """
    with _COMPILING, _without_collector():
        if internals() is None:
            _announce()
            return numba.cfunc(signature, **_OPTIONS)(function)
        return internals().entry(function, name, signature, _announce, _OPTIONS)


def cached(**options):
    """Decorator of a function without device functions that Python calls; it releases the GIL."""

    def decorate(function):
        if not jit_is_on():
            return function
        all_options = {**_OPTIONS, "nogil": True, **options}
        if internals() is None:
            return numba.njit(**all_options)(function)
        return internals().cached(function, _announce, all_options)

    return decorate
