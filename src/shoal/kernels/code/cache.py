"""The files of compiled code.

They are in a private directory, named by the versions of numba and Python, the mode, and a hash of
the sources of this package: numba's own cache would not see an edit in a file that a kernel calls,
and breaks on a truncated entry. An entry that cannot be read is deleted, and compiled again; where
nothing can be written, each process compiles.
"""

import contextlib
import hashlib
import logging
import os
import stat
import sys
import tempfile
from pathlib import Path

import numba

from .environment import CHECKED

_SOURCES = Path(__file__).parents[1]
_DIGEST = hashlib.sha256().digest_size

log = logging.getLogger("shoal")


def source_hash(sources=_SOURCES):
    """Hash of the names and contents of all modules of the kernels."""
    digest = hashlib.sha256()
    for path in sorted(sources.rglob("*.py")):
        name = path.relative_to(sources).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def directory():
    """Directory of the compiled code, whether or not it exists.

    ``SHOAL_CACHE_DIR``, or ``NUMBA_CACHE_DIR``, or the user's cache directory is its parent.
    """
    parent = os.environ.get("SHOAL_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    if not parent:
        parent = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    mode = "checked" if CHECKED else "fast"
    return Path(parent) / "shoal" / f"{source_hash()}-{python}-numba{numba.__version__}-{mode}"


def problem():
    """Why the cache directory, made if need be, cannot be used; None where it can.

    Entries are unpickled, so the directory must belong to this user and be closed to others.
    """
    path = directory()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        return f"it cannot be made: {error.strerror}"
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return "it belongs to another user"
    if stat.S_IMODE(status.st_mode) & 0o022:
        return "other users may write to it"
    return None if os.access(path, os.W_OK | os.X_OK) else "it cannot be written"


def path_of(name, key):
    """File of an entry, or None where there is no cache. key : str, all that code depends on."""
    if problem() is not None:
        return None
    return directory() / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.kernel"


def load(path, rebuild):
    """``rebuild(content)`` of an entry, or None where there is none that can be read."""
    if path is None or not path.exists():
        return None
    try:
        content = path.read_bytes()
        digest, payload = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(payload).digest() != digest:
            raise ValueError("its checksum does not match")
        return rebuild(payload)
    except Exception as error:  # whatever is wrong with an entry, compiling again mends it
        log.warning("%s cannot be loaded and is compiled again: %r", path, error)
        with contextlib.suppress(OSError):
            path.unlink()
        return None


def save(path, payload):
    """Write an entry, whole or not at all. payload : bytes."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            temporary = file.name
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(temporary, path)
    except OSError as error:  # a full disk must not stop a training
        log.warning("%s cannot be written: %s", path, error)
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
