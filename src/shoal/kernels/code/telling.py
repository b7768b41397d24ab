"""Words to the user, none of which may end a training.

Standard error may be missing (a windowed program, a daemon) or closed, a pipe that nobody reads, or
on a full disk.
"""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TextIO

log = logging.getLogger("shoal")

_PACKAGE = str(Path(__file__).parents[2]) + os.sep


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, at the line outside of Shoal, before anything is trained.

    Raises
    ------
    Warning
        Where the user has made warnings errors.
    """
    try:
        warnings.warn(message, category, stacklevel=1 + _level())
    except Warning:
        raise
    except Exception:  # nobody can read it
        log.warning(message)


def warn_of_result(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of a result, which is not lost where the user has made warnings errors."""
    try:
        warnings.warn(message, category, stacklevel=1 + _level())
    except Exception:
        log.warning(message)


def tell(text: str, stream: TextIO | None) -> None:
    """Print a line, where there is somebody who reads it."""
    if stream is None:
        return
    try:
        print(text, file=stream, flush=True)
    except Exception as error:
        log.debug("%r could not be printed: %r", text, error)


def _level() -> int:
    """How many frames up from who called this function the first one outside of Shoal is."""
    frame, level = sys._getframe(1), 0
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level
