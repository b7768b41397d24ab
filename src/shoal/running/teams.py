"""Threads that follow another one through the training of one net.

They are Python's threads, not numba's: members of a team wait for each other at barriers, so all
must run at once. A parallel loop does not promise that: tbb may give two iterations to one thread,
which would wait for itself for ever.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Semaphore, get_native_id
from typing import Any

from ..kernels.launching import parallel
from ..kernels.launching.entries import Call
from ..kernels.launching.threads import Helpers
from ..kernels.teams import ARRIVALS, PARTS, STOPPED, TOO_LONG, WAITED


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
        milliseconds to leave it. The leader begins once all are there, and goes alone where one
        cannot be: no more threads can be started, or Python's threads are none, as with gevent.
        """
        team, parts = self.team, range(1, 1 + len(self.follow.arguments))
        team[STOPPED] = team[WAITED] = 0
        team[ARRIVALS:] = 0
        leader, there = get_native_id(), Semaphore(0)

        def run(part: int) -> None:
            is_beside = get_native_id() != leader
            if not is_beside:
                self._dissolve()
            there.release()
            if not is_beside:
                return
            call = self.follow.of_thread(part - 1)
            try:
                parallel.launch([call], [(0, group, group + 1, part, part + 1)])
            finally:
                team[STOPPED] = 1  # a thread that is gone must not be waited for

        helpers = Helpers([partial(run, part) for part in parts])
        if helpers.count < len(parts):
            self._dissolve()
        for _ in range(helpers.count):
            there.acquire()
        try:
            yield
        finally:
            team[STOPPED] = 1
            helpers.join()

    def after_launch(self) -> None:
        """Let the leader go on alone where other processes have had the cores."""
        if self.team[WAITED] > TOO_LONG:
            self._dissolve()
        self.team[WAITED] = 0

    def _dissolve(self) -> None:
        self.team[STOPPED], self.team[PARTS] = 1, 1
