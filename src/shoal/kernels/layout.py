"""Where things stand in the kernels' arrays, and the tuples that carry these arrays."""

from typing import Annotated, Any, NamedTuple, TypeAlias

PARTIALS = 16  # interleaved partial sums of a long sum

CHUNK = 256  # rows of a gradient's partial sums; a tile of several never crosses a chunk's end

# columns of `layers`; BIASES is -1 without bias, SCALES and STATISTICS are -1 without batch norm
(
    INPUTS, UNITS, WEIGHTS, BIASES, CODE, VALUES,
    SCALES,  # of the scales; the shifts follow
    STATISTICS,  # of the running means; the running variances follow
    COLUMNS,
) = range(9)  # fmt: skip

# how rows are ordered
IN_PLACE, SHARED_ORDER, OWN_ORDER = range(3)

# rows of `progress`
STATUS, EPOCHS, LIMIT, PROGRESS_ROWS = range(4)
# what a net has come to
RUNNING, FINISHED, STOPPED, DIVERGED, INTERRUPTED = range(5)

# rows of `watch`: the lowest watched loss, epochs in a row without improvement (for stopping, for
# the adaptive rate), how many are too many, what counts as one, the adaptive rate
BEST, WAITED, STALE, PATIENCE, TOLERANCE, ADAPTED, WATCH_ROWS = range(7)

# rows of `marks`: whether all parameters are finite, whether the watched loss is the lowest so
# far, the watched loss, whether the epoch's record is the net's
SOUND, LOWER, WATCHED, MINE, MARK_ROWS = range(5)

# rows of `schedule`
KIND, BASE, WARMUP, STEP_EPOCHS, GAMMA, MINIMUM, POWER, TOTAL, SCHEDULE_ROWS = range(9)

# rows of `sums`: partial sums of a batch, and the epoch's sum, of losses, of row weights and (from
# SCORES on, one after the other) of what the score counts
LOSSES = 0
ROW_WEIGHTS = LOSSES + PARTIALS
LOSS = ROW_WEIGHTS + PARTIALS
EPOCH_WEIGHT = LOSS + 1
BATCH_WEIGHT = EPOCH_WEIGHT + 1
SCORES = LOSS + PARTIALS  # partial sums begin at multiples of 16, so that rows may stand in lanes
SCORE_ROWS = 2 * PARTIALS


# Arrays as kernels take them, C-contiguous: the type of an element ("float": that of the nets), and
# how many axes there are. What kernels are handed, word by word, is generated from these.
Floats1: TypeAlias = Annotated[Any, "float", 1]
Floats2: TypeAlias = Annotated[Any, "float", 2]
Floats3: TypeAlias = Annotated[Any, "float", 3]
Doubles1: TypeAlias = Annotated[Any, "float64", 1]
Doubles2: TypeAlias = Annotated[Any, "float64", 2]
Int64s1: TypeAlias = Annotated[Any, "int64", 1]
Int64s2: TypeAlias = Annotated[Any, "int64", 2]
Int32s2: TypeAlias = Annotated[Any, "int32", 2]
Uint64s1: TypeAlias = Annotated[Any, "uint64", 1]
Uint64s2: TypeAlias = Annotated[Any, "uint64", 2]
Uint32s1: TypeAlias = Annotated[Any, "uint32", 1]


class Task(NamedTuple):
    """Numbers that all nets of a block share; the flags are 0 or 1."""

    rows: int  # n
    inputs: int  # I
    outputs: int  # O
    parameters: int  # P
    batch: int  # rows of a full batch
    tile: int  # rows of a full tile
    stride: int  # from unit to unit in values; at least the rows of any tile
    record_every: int
    validation_rows: int
    validation_tile: int
    output: int  # code of the output
    loss: int
    optimizer: int
    score: int  # what the score counts
    mean: int  # gradients are divided by the batch's rows, or the sum of their weights
    weighted: int  # rows have weights
    penalised: int  # l1 or l2
    decays: int  # weight decay
    clips_deltas: int
    clips_norm: int
    batch_norm: int
    drops: int  # dropout of hidden layers
    drops_inputs: int
    scheduled: int  # learning rates differ from epoch to epoch
    panels: int  # the first layer's weights stand in panels
    watched: int  # patience, or the adaptive rate


class Data(NamedTuple):
    """The rows that nets are trained on, and those that watch over it."""

    X: Floats1  # (n * I,)
    y: Floats1  # (n * O,)
    weights: Floats1  # (n,), or (0,) where rows have none
    validation_X: Floats1
    validation_y: Floats1
    validation_weights: Floats1
    validation_weighted: int  # 0 or 1
    variation: Floats1  # (O,): sum of squares about the mean of the rows that are scored


class Workspace(NamedTuple):
    """Scratch arrays of one thread, for one group at a time."""

    values: Floats2  # (units * stride, L)
    deltas: Floats2  # (units * stride, L)
    normalised: Floats2  # (units * stride, L) with batch norm
    deviations: Floats2  # (units, L) with batch norm: 1 / standard deviation
    gradient: Floats2  # (P or the largest strip, L): sums of a chunk; of a team (slots * P, 1)
    total: Floats2  # (P, L) where a batch has several chunks
    sums: Floats2  # (SCORES + SCORE_ROWS a count, L)
    partials: Floats2  # (PARTIALS, L), zero between uses
    kept: Floats2  # (parameters and statistics + state rows, L) as of the last look
    marks: Floats2  # (MARK_ROWS, L)
    step: Floats2  # (STEP_ROWS, L)
    order: Int32s2  # (1, n) or (L, n) int32
    words: Uint32s1  # (4 * RUN,) uint32, of `random.shuffle`
    # of one tile; in the dense engine of as many as have places, one behind the other
    lane_inputs: Floats2  # (I * stride, L); in the dense engine I is padded to whole values
    lane_targets: Floats2  # (O * stride, L)
    lane_weights: Floats2  # (stride, L)
    own: Any  # arrays of the engine: SharedRows, or RowByRow


class SharedRows(NamedTuple):
    """Where lanes are nets: the rows of a tile, one copy for all lanes."""

    shared_inputs: Floats1  # (tile * I,)
    shared_targets: Floats1  # (tile * O,)
    shared_weights: Floats1  # (tile,)
    rows_of_lanes: Int32s2  # (tile, L) int32: of a tile where each lane has rows of its own


class RowByRow(NamedTuple):
    """Where lanes are rows: the same row by row, each padded to whole values, and more."""

    input_rows: Floats2  # (tile * padded I / L, L), likewise of as many as have places
    target_rows: Floats2  # (tile * padded O / L, L)
    value_rows: Floats2  # (tile * padded units / L, L), layer after layer
    delta_rows: Floats2  # likewise
    strip: Floats2  # (padded inputs * padded units / L, L), of one layer: a gradient, units fastest
    tail_sums: Floats2  # like sums
    team: Int64s1  # `team.new_team`: threads that share a net
    starts: Int64s1  # (tile,) int64: where the rows of the tile begin in the data
    brought: Int64s1  # (places,) int64: the first row of the tile that stands there already, or -1


class State(NamedTuple):
    """What nets carry from launch to launch: a group's, or with a leading axis a block's."""

    params: Floats2  # (P and the running statistics, L)
    moments: Floats2  # (state rows, L)
    best: Floats2  # like params where the best weights are kept, else (0, L)
    rates: Floats2  # (RATES, L)
    dropout: Floats2  # (layers, L): rates of the inputs and each hidden layer; else (0, L)
    schedule: Doubles2  # (SCHEDULE_ROWS, L) float64
    watch: Doubles2  # (WATCH_ROWS, L) float64
    seeds: Uint64s1  # (L,) uint64, of dropout
    order_seeds: Uint64s1  # (L,) uint64, of the row order
    alive: Floats2  # (1, L): 1 while a net runs, else 0
    progress: Int64s2  # (PROGRESS_ROWS, L) int64
    losses: Floats2  # (records, L)
    scores: Floats2  # (records, L)
    val_losses: Floats2  # (records, L), or (0, L) without validation rows
    learning_rates: Floats2  # (records, L), or (0, L) where they stay the same
