"""Threads that follow another one through the training of one net."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from .kernels.layout import Workspace
from .kernels.team import ARRIVED, MEETING, STOPPED, WAITED


@contextmanager
def leading(
    follow: Callable[..., None], trained: Any, works: Sequence[Workspace], group: int
) -> Iterator[None]:
    """Call ``follow(trained, work, group, part)`` in a thread for each workspace, part 1 and on,
    until the end of the block, however that comes."""
    if not works:
        yield
        return
    team = works[0].own.team
    team[STOPPED] = team[ARRIVED] = team[MEETING] = team[WAITED] = 0

    def call(part: int) -> None:
        try:
            follow(trained, works[part - 1], group, part)
        finally:
            team[STOPPED] = 1  # a thread that is gone must not be waited for

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(call, part) for part in range(1, len(works) + 1)]
        try:
            yield
        finally:
            team[STOPPED] = 1
        for future in futures:
            future.result()
