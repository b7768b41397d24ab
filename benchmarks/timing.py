"""Contenders by turns, on a clock."""

import time

# Seconds before a turn, in which threads of the one before stop spinning: OpenBLAS's, which numpy
# brings, keep a core for 0.1 s: what came 0.05 s after a product took 1.8 times as long.
PAUSE = 0.15


def by_turns(runs, turns):
    """Return each contender's seconds, one entry a turn.

    Parameters
    ----------
    runs : dict
        From a contender's name to a function without arguments, which has been called before.
    turns : int
    """
    seconds = {name: [] for name in runs}
    for _ in range(turns):
        for name, run in runs.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            result = run()
            seconds[name].append(time.perf_counter() - start)
            del result  # what it takes to free it is not the contender's
    return seconds
