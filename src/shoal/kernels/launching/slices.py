"""Where things are in the arrays of a launch."""

# columns of `slices`
CALL, START, STOP, START_TILE, STOP_TILE = range(5)
# columns of `outcome`; the status of a slice that nobody took
STATUS, NANOSECONDS = range(2)
NOT_TAKEN = -1
# in `control`, each on a cache line of its own: the next slice, whether no more are to be taken,
# and when that is
NEXT, STOPPED, DEADLINE, CONTROL_SIZE = 0, 16, 32, 48
