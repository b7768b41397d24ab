"""The files of compiled code.

They are in a directory named by a hash of the sources of this package, and the mode: numba's own
cache would not see an edit in a file that a kernel calls, and breaks on a truncated entry. An entry
that cannot be read is deleted, and compiled again; where nothing can be written, each process
compiles what it does not find.
"""

import contextlib
import hashlib
import logging
import os
import secrets
import stat
import tempfile
from pathlib import Path

from .environment import CHECKED
from .sources import source_hash

_PREBUILT = Path(__file__).parents[1] / "prebuilt"  # of wheels: see hatch_build.py
_DIGEST = hashlib.sha256().digest_size

log = logging.getLogger("shoal")


def directory():
    """Directory of the compiled code, whether or not it exists.

    ``SHOAL_CACHE_DIR``, or ``NUMBA_CACHE_DIR``, or the user's cache directory is its parent.
    """
    return _parent() / "shoal" / f"{source_hash()}-{'checked' if CHECKED else 'fast'}"


def _parent():
    named = os.environ.get("SHOAL_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    return Path(named) if named else _cache_of_user() or _temporary()


def _cache_of_user():
    """The user's cache directory; None where there is no home: none is known, or that of users
    without a name in containers, the root."""
    named, home = os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~")
    if os.path.isabs(named):  # others are to be ignored: the XDG Base Directory Specification
        return Path(named)
    return Path(home, ".cache") if os.path.isabs(home) and home != "/" else None


def _temporary():
    """For a user without a home, as in containers that run under a bare number."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"shoal-{user}"


def is_temporary():
    """Whether the cache is in the temporary directory, as there is no home."""
    return _parent() == _temporary()


def danger():
    """Why nothing may be read from the cache; None where it may.

    Entries are run, so the directory must belong to this user or to root, and be closed to
    others; one in the temporary directory with those that lead there.
    """
    if source_hash() is None:
        return "the sources of its kernels cannot be read, and so not be told apart"
    path = directory()
    try:
        for place in [path, *path.parents[:2]] if is_temporary() else [path]:
            status = place.lstat() if is_temporary() else place.stat()
            if hasattr(os, "getuid") and status.st_uid not in (0, os.getuid()):
                return "it belongs to another user"
            if stat.S_IMODE(status.st_mode) & 0o022:
                return "other users may write to it"
    except OSError as error:
        return f"it cannot be made: {error.strerror}"
    return None if os.access(path, os.R_OK | os.X_OK) else "it cannot be read"


def problem():
    """Why nothing can be kept in the cache directory, made if need be; None where it can."""
    if source_hash() is not None:
        with contextlib.suppress(OSError):  # which `danger` finds
            for place in reversed([directory(), *directory().parents[:2]]):
                place.mkdir(mode=0o755, parents=True, exist_ok=True)
    reason = danger()
    if reason is None and not os.access(directory(), os.W_OK | os.X_OK):
        return "it cannot be written"
    return reason


def path_of(name, key, kind="kernel"):
    """File of an entry, or None where there is no cache.

    key : str, all that its content depends on. kind : "kernel", or "bitcode".
    """
    problem()
    if danger() is not None:
        return None
    return directory() / _file_name(name, key, kind)


def prebuilt():
    """Directory of what came compiled with the package, whether or not there is one."""
    return _PREBUILT / directory().name


def prebuilt_path_of(name, key, kind="kernel"):
    """File of an entry that came with the package, whether or not it is there."""
    return prebuilt() / _file_name(name, key, kind)


def _file_name(name, key, kind):
    return f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.{kind}"


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
        if _PREBUILT not in path.parents:
            with contextlib.suppress(OSError):
                path.unlink()
        return None


def trim(name, most):
    """Delete the oldest entries of a name, but for so many."""

    def age(path):
        try:
            return path.stat().st_mtime
        except OSError:  # another process has deleted it
            return 0.0

    for path in sorted(directory().glob(f"{name}-*"), key=age)[:-most]:
        with contextlib.suppress(OSError):
            path.unlink()


def save(path, payload):
    """Write an entry, whole or not at all. payload : bytes."""
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return  # who waits for the compiler is told
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(temporary, path)
    except OSError as error:  # a full disk must not stop a training
        log.warning("%s cannot be written: %s", path, error)
        with contextlib.suppress(OSError):
            temporary.unlink()
