"""How functions are compiled: the only place with the options, and with the choice of the way.

With numba's insides (`numba_internals`) kernels start faster. Where a new release of numba has
changed them, everything is compiled with what numba publishes: slower to start, with the same bits.
"""

import functools
from typing import Any

import numba

from . import objects
from .environment import CHECKED, jit_is_on
from .machine_code import bundle
from .telling import warn_of_result

# error_model="numpy": a scalar division must not raise. No fast-math: the order of arithmetic is
# a promise.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "boundscheck": CHECKED}


@functools.cache
def internals() -> Any:
    """The module `numba_internals`, or None where it does not fit this numba."""
    try:
        from . import numba_internals

        reason = numba_internals.problem()
    except Exception as error:
        reason = repr(error)
    if reason is None:
        objects.locks.append(numba_internals.global_compiler_lock)
        return numba_internals
    warn_of_result(
        f"numba {numba.__version__} differs from what Shoal assumes ({reason}): kernels are "
        "compiled in each process, which takes minutes, and give the same results",
        RuntimeWarning,
    )
    return None


def device_function(function=None, *, inline=None, over_layers=False):
    """Decorator of a part of a kernel, which is compiled into the kernels that call it.

    inline : "never" for what is not on the way of every net: one copy, whoever calls it. "always"
    between the epoch's loop and a layer's: an array is eight machine words as an argument, and
    passing dozens of arrays down takes as long as training a tiny net on them.
    over_layers : whether its loops are over layers, and so to be unrolled where a net's shape is
    known: see `specialising`.
    """
    if function is None:
        return functools.partial(device_function, inline=inline, over_layers=over_layers)
    if not jit_is_on():
        return function
    if internals() is None:
        return numba.njit(**_OPTIONS)(function)
    return internals().device_function(function, inline, _OPTIONS, over_layers)


def compiled(function: Any, signature: Any, symbol: str) -> Any:
    """What a function of a block of words is compiled to.

    Returns
    -------
    bytes or numba.CFunc
        Bitcode with a C function of this name; with what numba publishes one of its own.
    """
    if internals() is None:
        return numba.cfunc(signature, **_OPTIONS)(function)
    bitcode, name = internals().module_of(function, signature, _OPTIONS)
    return bundle(bitcode, name, symbol)


def cached(**options: Any) -> Any:
    """Decorator of a function without device functions that Python calls; it releases the GIL."""

    def decorate(function: Any) -> Any:
        if not jit_is_on():
            return function
        all_options = {**_OPTIONS, "nogil": True, **options}
        if internals() is None:
            return numba.njit(**all_options)(function)
        return internals().cached(function, objects.announce, all_options)

    return decorate
