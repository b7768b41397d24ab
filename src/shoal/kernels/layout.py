"""Where things are in the kernels' arrays: names of columns, fields and codes."""

PARTIALS = 16  # interleaved partial sums of a long sum

# rows whose gradient is summed first; a tile of several blocks never crosses the end of one
ACCUMULATION_BLOCK = 256

# columns of `layers`; BIASES is -1 without bias, SCALES and STATISTICS are -1 without batch norm
(
    INPUTS, UNITS, WEIGHTS, BIASES, CODE, VALUES,
    SCALES,  # of the scales; the shifts follow
    STATISTICS,  # of the running means; the running variances follow
    COLUMNS,
) = range(9)  # fmt: skip

# how rows are ordered: as they are, in an order that nets of a group share, in one of each net's
# own, or in orders that are handed over, of several epochs
IN_PLACE, SHARED_ORDER, OWN_ORDER, GIVEN_ORDERS = range(4)

# fields of `progress`
STATUS, EPOCHS, LIMIT, PROGRESS_FIELDS = range(4)
# statuses of a net
RUNNING, FINISHED, STOPPED, DIVERGED, INTERRUPTED = range(5)

# fields of `monitor`: the lowest monitored loss, epochs in a row without improvement (for stopping,
# for the adaptive rate), how many are too many, what counts as one, the adaptive rate
BEST, WAITED, STALE, PATIENCE, TOLERANCE, ADAPTED, MONITOR_FIELDS = range(7)

# fields of `marks`: whether all parameters are finite, whether the monitored loss is the lowest so
# far, the monitored loss, whether the net records this epoch
FINITE, LOWEST, MONITORED, RECORDS, MARK_FIELDS = range(5)

# fields of `schedule`; the last ones: the rate of the first epoch and the rows that were seen
# before, both of invscaling; epochs without improvement until the adaptive rate falls, and the rate
# at which a net stops instead
(
    KIND, BASE, WARMUP, STEP_EPOCHS, GAMMA, MINIMUM, POWER, TOTAL, FIRST, SEEN, WAIT, FLOOR,
    SCHEDULE_FIELDS,
) = range(13)  # fmt: skip

# fields of `rates`; the learning rate is that of the epoch
(
    RATE, MOMENTUM_RATE, RHO, BETA_1, BETA_2, EPSILON, L1, L2, WEIGHT_DECAY, CLIP_DELTA, CLIP_NORM,
    LOSS_PARAMETER, RATE_FIELDS,
) = range(13)  # fmt: skip
# fields of `step`
STEP_SIZE, ROOT, SCALE, STEP_EPSILON, STEP_FIELDS = range(5)

RUN = 16  # counters whose random words are drawn side by side

# fields of `sums`: partial sums of a batch, and the epoch's sum, of losses, of row weights, of
# squared weights and (from SCORES on, one after the other) of what the score counts
LOSSES = 0
ROW_WEIGHTS = LOSSES + PARTIALS
LOSS = ROW_WEIGHTS + PARTIALS
EPOCH_WEIGHT = LOSS + 1
BATCH_WEIGHT = EPOCH_WEIGHT + 1
SQUARES = LOSS + PARTIALS  # partial sums begin at multiples of 16, so that rows may be in lanes
SCORES = SQUARES + PARTIALS
SCORE_FIELDS = 2 * PARTIALS
