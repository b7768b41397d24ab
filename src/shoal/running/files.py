"""Files that are written whole or not at all."""

import contextlib
import os
import secrets
import stat
from errno import EACCES
from pathlib import Path

from ..inputs.checks import show


def write_whole(path: str | bytes | os.PathLike[str] | os.PathLike[bytes], content: bytes) -> None:
    """Write a file whole or not at all, even if the machine stops meanwhile.

    A link is followed; a file that is there keeps its mode and owner.

    Raises
    ------
    OSError
        Where the path is no regular file, or cannot be written. It names the path as given.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "words"
    >>> write_whole(path, b"one")
    >>> path.read_bytes()
    b'one'
    """
    given = os.fsdecode(path)
    target = Path(os.path.realpath(given))
    said = f"path = {show(given)}"
    if target.is_dir():
        raise IsADirectoryError(f"{said} is a directory, but must be a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{said} must be in a directory that exists")
    before = target.stat() if target.exists() else None
    if before is not None and not stat.S_ISREG(before.st_mode):
        raise FileExistsError(f"{said} is a device or a pipe, but must be a regular file")
    if before is not None and not os.access(target, os.W_OK):
        raise PermissionError(EACCES, os.strerror(EACCES), given)
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            if before is not None:
                with contextlib.suppress(OSError):  # only root gives files away
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync(target.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), given) from None
        raise


def _sync(directory: Path) -> None:
    """Let the disk keep the new name too."""
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError:  # some file systems cannot
        pass
    finally:
        os.close(number)
