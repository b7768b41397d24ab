"""Machine code of kernels: found in this process, or in the cache, or made."""

import ctypes
import gc
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import cache, machine_code

# Called before something is compiled, which takes seconds: the layers above may tell the user.
before_compiling: list[Callable[[], None]] = []


def announce() -> None:
    """Say that something is about to be compiled."""
    for call in before_compiling:
        call()


class Function:
    """A C function ``int32 f(int64 *words)``, loaded.

    Attributes
    ----------
    address : int
    call : ctypes function of an address of words
        It releases the GIL.
    owner : object, optional
        What must live as long.
    """

    def __init__(self, address: int, owner: Any = None) -> None:
        self.address, self.owner = address, owner
        self.call = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(address)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Compiling makes millions of objects that stay: looking for garbage takes a tenth of it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


COMPILING = threading.RLock()  # two threads would compile the same thing twice


def kept(name: str, key: str) -> Any:
    """File of a kernel's machine code in the cache, or None where there is none."""
    return cache.path_of(name, f"{key}, {machine_code.processor()}")


def function(name: str, key: str, compiled: Callable[[str], Any]) -> Function:
    """The C function of a kernel.

    Parameters
    ----------
    name : str
        Of the kernel.
    key : str
        What tells it apart from all others, on this processor.
    compiled : callable
        Of the function's name: the bytes of an object file with it, or where numba's insides are
        not known something with an ``address``.
    """
    symbol = f"shoal_{name}"

    def load(code: bytes) -> Function:
        return Function(machine_code.load(code, symbol))

    with COMPILING:
        path = kept(name, key)
        others = (
            cache.prebuilt_path_of(name, f"{key}, {processor}")
            for processor in (machine_code.processor(), *machine_code.levels())
        )
        for each in (path, *others):
            found = cache.load(each, load)
            if found is not None:
                return found
        announce()
        with _without_collector():
            made = compiled(symbol)
        if not isinstance(made, bytes):
            return Function(made.address, made)
        if path is not None:
            cache.save(path, made)
        return load(made)


# What is held while something is compiled besides, by numba: see `compilation`.
locks: list[Any] = [COMPILING]
_held: list[Any] = []


def _hold() -> None:
    """Before a fork: the child of one while another thread compiles could never compile."""
    held = list(locks)
    for lock in held:  # in the order in which compiling takes them
        lock.acquire()
    _held.append(held)


def _release() -> None:
    for lock in reversed(_held.pop()):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_release)
