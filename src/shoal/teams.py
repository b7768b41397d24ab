"""Threads that follow another one through the training of one net."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from .kernels.layout import Workspace
from .kernels.team import MEETINGS, PARTS, STOPPED, TOO_LONG, WAITED


@contextmanager
def leading(
    follow: Callable[..., None], trained: Any, works: Sequence[Workspace], group: int
) -> Iterator[Callable[[], None]]:
    """Call ``follow(trained, work, group, part)`` in a thread for each workspace but the first, the
    leader's, until the end of the block, however that comes.

    The block is given what to call after each of the leader's launches. The threads stay between
    them: a new one often starts on the leader's core, and takes milliseconds to leave it.
    """
    if len(works) == 1:
        yield _nothing
        return
    team = works[0].own.team
    team[STOPPED] = team[WAITED] = 0
    team[MEETINGS:] = 0

    def call(part: int) -> None:
        try:
            follow(trained, works[part], group, part)
        finally:
            team[STOPPED] = 1  # a thread that is gone must not be waited for

    def rest() -> None:
        if team[WAITED] > TOO_LONG:  # other processes have the cores: the leader goes on alone
            team[STOPPED], team[PARTS] = 1, 1
        team[WAITED] = 0

    with ThreadPoolExecutor(len(works) - 1) as pool:
        try:
            futures = [pool.submit(call, part) for part in range(1, len(works))]
            yield rest
        finally:
            team[STOPPED] = 1
        for future in futures:
            future.result()


def _nothing() -> None:
    """Between launches of a thread that nobody follows."""
