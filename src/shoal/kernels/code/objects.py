"""Machine code of kernels: found in this process, or in the cache, or made."""

import ctypes
import gc
import logging
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import cache, machine_code, specialising

log = logging.getLogger("shoal")

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


def _keys_of_object(key: str) -> list[str]:
    return [f"{key}, {each}" for each in (machine_code.processor(), *machine_code.levels())]


def _keys_of_bitcode(key: str) -> list[str]:
    versions = range(machine_code.llvm_version(), 0, -1)  # what older ones wrote can be read
    return [f"{key}, {machine_code.bitcode_of(version)}" for version in versions]


def kept(name: str, key: str) -> list[Any]:
    """Files of a kernel in the cache, its object file and its bitcode; None where there is none."""
    return [
        cache.path_of(name, _keys_of_object(key)[0]),
        cache.path_of(name, _keys_of_bitcode(key)[0], "bitcode"),
    ]


def _found(
    name: str, keys: list[str], rebuild: Callable[[bytes], Any], kind: str = "kernel"
) -> Any:
    """What ``rebuild`` makes of an entry: that of the first key in the cache, or the first that
    came with the package; None where there is none."""
    others = (cache.prebuilt_path_of(name, key, kind) for key in keys)
    for path in (cache.path_of(name, keys[0], kind), *others):
        found = cache.load(path, rebuild)
        if found is not None:
            return found
    return None


def _save(name: str, key: str, content: bytes, kind: str = "kernel") -> None:
    path = cache.path_of(name, key, kind)
    if path is not None:
        cache.save(path, content)


def _symbol(name: str) -> str:
    return f"shoal_{name}"


def kept_or_made(name: str, key: str, kind: str, make: Callable[[], bytes]) -> bytes:
    """An entry of the cache, or what is made now and kept there."""
    with COMPILING:
        found = _found(name, [key], bytes, kind)
        if found is not None:
            return bytes(found)
        announce()
        made = make()
        _save(name, key, made, kind)
        return made


def source(name: str, key: str, compiled: Callable[[str], Any]) -> Any:
    """What a kernel's machine code is made of: bitcode that is kept, or what is compiled now."""
    keys = _keys_of_bitcode(key)
    found = _found(name, keys, zlib.decompress, "bitcode")
    if found is not None:
        return found
    with _without_collector():
        made = compiled(_symbol(name))
    if isinstance(made, bytes) and machine_code.has_passes():
        _save(name, keys[0], zlib.compress(made, 9), "bitcode")
    return made


def function(name: str, key: str, compiled: Callable[[str], Any]) -> Function:
    """The C function of a kernel.

    Parameters
    ----------
    name : str
        Of the kernel.
    key : str
        What tells it apart from all others, on this processor.
    compiled : callable
        Of the function's name: bitcode with it, or where numba's insides are not known something
        with an ``address``.
    """

    def load(code: bytes) -> Function:
        address, engine = machine_code.load(code, _symbol(name))
        engine.detach()  # never to be freed
        return Function(address)

    with COMPILING:
        keys = _keys_of_object(key)
        found = _found(name, keys, load)
        if found is not None:
            return found
        announce()
        made = source(name, key, compiled)
        if not isinstance(made, bytes):
            return Function(made.address, made)
        code = machine_code.object_file(made)
        _save(name, keys[0], code)
        return load(code)


_MOST_KEPT = 500  # specialised kernels of a name in the cache, of 15 to 200 kB each
_MOST_MADE = 250  # in a process, as LLVM's passes keep about a megabyte of each
_made: list[str] = []  # their names


class Specialised:
    """A kernel with some of its words as constants, see `specialising`.

    Parameters
    ----------
    name, key, compiled
        As those of `function`.
    known : specialising.Known
    """

    def __init__(
        self, name: str, key: str, compiled: Callable[[str], Any], known: specialising.Known
    ) -> None:
        self.name, self.key, self.compiled, self.known = name, key, compiled, known
        self._file = f"{name}-specialised"
        self._keys = _keys_of_object(f"{key}, {known}")[:1]

    def is_kept(self) -> bool:
        """Whether it is in the cache, so that it takes milliseconds."""
        path = cache.path_of(self._file, self._keys[0])
        return path is not None and path.exists()

    def _load(self, code: bytes) -> Function:
        return Function(*machine_code.load(code, _symbol(self._file)))

    def function(self) -> Function | None:
        """The C function, which is freed once nobody has it; None where it cannot be made, or
        enough have been."""
        if not machine_code.has_passes():
            return None
        with COMPILING:
            found = _found(self._file, self._keys, self._load)
            if found is not None:
                return found
            if len(_made) >= _MOST_MADE:
                log.warning("%s is not made: %d were, in this process", self._file, _MOST_MADE)
                return None
            bitcode = source(self.name, self.key, self.compiled)
            if not isinstance(bitcode, bytes):
                return None
            _made.append(self._file)
            symbols = _symbol(self.name), _symbol(self._file)
            begin = time.monotonic()
            code = specialising.object_file(bitcode, *symbols, self.known)
            log.debug("%s made in %.1f s", self._file, time.monotonic() - begin)
            _save(self._file, self._keys[0], code)
            cache.trim(self._file, _MOST_KEPT)
            return self._load(code)


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
