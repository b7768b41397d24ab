"""What the kernels are made of: a hash of their modules as they are loaded, from files, from an
archive, or as byte code alone."""

import functools
import hashlib
import pkgutil
import sys
from types import CodeType


@functools.cache
def source_hash():
    """Hash of all modules of the kernels; None where they cannot be read."""
    root, kernels = __name__.split(".")[:2]
    try:
        return hash_of(sys.modules[root].__path__, f"{root}.{kernels}")
    except Exception:  # loaders are anybody's
        return None


def hash_of(path, package):
    """Hash of the names and contents of a package's modules; None where there are none.

    Parameters
    ----------
    path : list of str
        Where the package is looked for.
    package : str
        Its full name.
    """
    digest, modules = hashlib.sha256(), 0
    parent, dot, _ = package.rpartition(".")
    for name, loader in _modules(path, parent + dot, package):
        source = loader.get_source(name)
        content = source.encode() if source is not None else _digest(loader.get_code(name))
        digest.update(name.encode() + b"\0" + content + b"\0")
        modules += 1
    return digest.hexdigest()[:16] if modules > 1 else None


def _modules(path, prefix, only=None):
    """(name, loader) of the modules there, and of those in packages."""
    for found in sorted(pkgutil.iter_modules(path, prefix), key=lambda found: found.name):
        if only in (None, found.name):
            spec = found.module_finder.find_spec(found.name)
            yield found.name, spec.loader
            if found.ispkg:
                yield from _modules(spec.submodule_search_locations, f"{found.name}.")


def _digest(constant):
    """What a constant is: code with all that is in it, sets in one order."""
    if isinstance(constant, CodeType):
        parts = (
            constant.co_name, constant.co_code, constant.co_names, constant.co_varnames,
            constant.co_freevars, constant.co_argcount, constant.co_flags, constant.co_consts,
        )  # fmt: skip
        return hashlib.sha256(_digest(parts)).digest()
    if isinstance(constant, tuple):
        return b"(" + b",".join(map(_digest, constant)) + b")"
    if isinstance(constant, frozenset):
        return b"{" + b",".join(sorted(map(_digest, constant))) + b"}"
    return f"{type(constant).__name__} {constant!r}".encode()
