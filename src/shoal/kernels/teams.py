"""What threads that share one net have in common: see `rows_in_lanes.team`."""

import numpy as np

# in ``team``, int64
PARTS, BLOCKS, EPOCH, POSITION, ROW, ROWS, BATCH_ROWS, LOADS, DONE, WAITED = range(10)
LINE = 16  # two lines of the cache, as they are loaded in pairs
STOPPED, ARRIVALS = LINE, 2 * LINE  # the latter: how often each thread has come to a barrier

# nanoseconds of waits, in a launch of 0.15 s, until the leader goes alone
TOO_LONG = 20_000_000


def new_team(parts, blocks=1):
    """``team`` of so many threads, who take so many accumulation blocks a round."""
    team = np.zeros(ARRIVALS + parts * LINE, np.int64)
    team[PARTS], team[BLOCKS] = parts, blocks
    return team
