"""Threads that follow another one through the training of one net.

They are Python's threads, not numba's: members of a team wait for each other at barriers, so all
must run at once. A parallel loop does not promise that: tbb may give two iterations to one thread,
which would wait for itself for ever.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from ..kernels.launching import parallel
from ..kernels.launching.entries import Call
from ..kernels.rows_in_lanes.team import ARRIVALS, PARTS, STOPPED, TOO_LONG, WAITED


class Team:
    """Threads that share one net.

    Parameters
    ----------
    follow : Call
        Of the kernel that follows, with a workspace for each part but the leader's, which is 0.
    team : (ARRIVALS + ...,) int64 array
        What the threads have in common, of `kernels.rows_in_lanes.team.new_team`.
    """

    def __init__(self, follow: Call, team: Any) -> None:
        self.follow, self.team = follow, team

    @contextmanager
    def following(self, group: int) -> Iterator[None]:
        """Follow the leader's launches of the block, until its end, however that comes.

        The threads stay between them: a new one often starts on the leader's core, and takes
        milliseconds to leave it.
        """
        team, parts = self.team, range(1, 1 + len(self.follow.arguments))
        team[STOPPED] = team[WAITED] = 0
        team[ARRIVALS:] = 0

        def run(part: int) -> None:
            call = self.follow.of_thread(part - 1)
            try:
                parallel.launch([call], [(0, group, group + 1, part, part + 1)])
            finally:
                team[STOPPED] = 1  # a thread that is gone must not be waited for

        with ThreadPoolExecutor(len(parts)) as pool:
            try:
                futures = [pool.submit(run, part) for part in parts]
                yield
            finally:
                team[STOPPED] = 1
            for future in futures:
                future.result()

    def after_launch(self) -> None:
        """Let the leader go on alone where other processes have had the cores."""
        if self.team[WAITED] > TOO_LONG:
            self.team[STOPPED], self.team[PARTS] = 1, 1
        self.team[WAITED] = 0
