"""Ctrl-C as something that is noted, not an exception at any moment."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_PATIENCE = 1.0  # seconds until another Ctrl-C is raised wherever the program is


@contextmanager
def noting(note: Callable[[], object]) -> Iterator[None]:
    """Call ``note`` on Ctrl-C and let the block end; only then KeyboardInterrupt is raised.

    Raised in the middle of Python's own code for threads it would leave a lock held, and threads
    would wait for it for ever. The first Ctrl-C is the context of another; one that comes more than
    a second later, to a block that does not end, is raised at once. In other threads than the main
    one, and where SIGINT is ignored, nothing changes.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    pressed: list[KeyboardInterrupt] = []
    first = 0.0

    def handle(number: int, frame: Any) -> None:
        nonlocal first
        try:
            before(number, frame)
        except KeyboardInterrupt as error:
            if pressed:
                error.__context__ = pressed[-1]
                if time.monotonic() - first > _PATIENCE:
                    raise
            else:
                first = time.monotonic()
                note()
            pressed.append(error)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise pressed[-1]
