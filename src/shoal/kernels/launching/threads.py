"""Python's threads beside the calling one: as many as can be started, and daemons, so that a
program ends when its main thread does."""

import threading
from collections.abc import Callable, Sequence


class Helpers:
    """Threads that each call one of ``works``. Where no more can be started, as a container has
    reached its limit or the interpreter its end, the rest is not called.

    Attributes
    ----------
    count : int
        How many were started.
    """

    def __init__(self, works: Sequence[Callable[[], object]]) -> None:
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        for work in works:
            thread = threading.Thread(target=self._run, args=(work,), daemon=True)
            try:
                thread.start()
            except RuntimeError:
                break
            self._threads.append(thread)
        self.count = len(self._threads)

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            self._errors.append(error)

    def join(self) -> None:
        """Wait until all have ended, and raise what one of them raised."""
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]


def can_start(count: int) -> bool:
    """Whether so many threads can be there at once, beside the calling one."""
    gate = threading.Event()
    helpers = Helpers([gate.wait] * count)
    gate.set()
    helpers.join()
    return helpers.count == count
