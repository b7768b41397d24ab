"""The named tuples that carry the kernels' arrays and numbers.

What Python hands to a kernel is annotated with `Floats2` and the like: the words of a kernel are
generated from these annotations.
"""

from typing import Annotated, Any, NamedTuple, TypeAlias

# C-contiguous arrays: the type of an element ("float": that of the nets), and how many axes.
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
Uint32s2: TypeAlias = Annotated[Any, "uint32", 2]


class Task(NamedTuple):
    """Numbers that all nets of a block share; the flags are 0 or 1."""

    rows: int  # n
    inputs: int  # I
    outputs: int  # O
    parameters: int  # P
    batch: int  # rows of a full batch
    longest_batch: int  # one more where a single row that is left joins the last one
    tile: int  # rows of a full tile
    stride: int  # from unit to unit in values; at least the rows of any tile
    record_every: int
    validation_rows: int
    validation_tile: int
    batch_tiles: int  # of a full batch
    training_tiles: int  # of an epoch's training rows
    epoch_tiles: int  # of an epoch, with those of the validation rows
    output: int  # code of the output
    loss: int
    optimizer: int
    score: int  # what the score counts
    counts: int  # how many numbers the score counts
    mean: int  # gradients are divided by the batch's rows, or the sum of their weights
    fused: int  # parameters are updated as soon as their gradient is known
    weighted: int  # rows have weights
    penalised: int  # l1 or l2
    decays: int  # weight decay
    clips_deltas: int
    clips_norm: int
    batch_norm: int
    drops: int  # dropout of hidden layers
    drops_inputs: int
    scheduled: int  # learning rates differ from epoch to epoch
    panels: int  # the first layer's weights are packed in panels
    monitored: int  # patience, or the adaptive rate
    watched: int  # what they go by
    ties_improve: int  # a monitored loss that is as low as it has to be below is an improvement
    penalty_by_batch: int  # penalties are summed with a batch's gradients, and divided with them
    epsilon_first: int  # adam adds epsilon before the bias correction
    whole_losses: int  # the loss of a batch has its penalty, and counts by its rows
    loads_rows: int  # where lanes are nets: rows are copied, into each lane


class Samples(NamedTuple):
    """Rows with their targets and weights."""

    X: Floats1  # (n * I,)
    y: Floats1  # (n * O,)
    weights: Floats1  # (n,), or (0,) where rows have none


class Data(NamedTuple):
    """The rows that nets are trained on, and those that they are validated on."""

    training: Samples
    validation: Samples
    validation_weighted: int  # 0 or 1
    variation: Floats1  # (O,): sum of squares about the mean of the rows that are scored
    # where row orders are given: of so many epochs, that of epoch e of order s in row
    # s * epochs + e % epochs of (orders * epochs, n); else 0 and (0, n)
    order_epochs: int
    orders: Int32s2


class Workspace(NamedTuple):
    """Scratch arrays of one thread, for one group at a time."""

    values: Floats2  # (units * stride, L)
    deltas: Floats2  # (units * stride, L)
    normalised: Floats2  # (units * stride, L) with batch norm
    deviations: Floats2  # (units, L) with batch norm: 1 / standard deviation
    gradient: Floats2  # (P or what is fused, L): sums of a block; of a team (blocks * P, 1)
    total: Floats2  # (P, L) where a batch has several accumulation blocks
    sums: Floats2  # (SCORES + SCORE_FIELDS a count, L)
    partials: Floats2  # (PARTIALS, L), zero between uses
    snapshot: Floats2  # (parameters and statistics + optimizer state, L) to roll back to
    marks: Floats2  # (MARK_FIELDS, L)
    step: Floats2  # (STEP_FIELDS, L)
    order: Int32s2  # (1, n) or (L, n) int32; where orders are given (epochs, n)
    words: Uint32s1  # (4 * RUN,) uint32, of `random.shuffle`
    # of one tile; where lanes are rows, of as many as have slots, one behind the other
    lane_inputs: Floats2  # (I * stride, L); where lanes are rows, I is padded to whole vectors
    lane_targets: Floats2  # (O * stride, L)
    lane_weights: Floats2  # (stride, L)
    own: Any  # SharedRows where lanes are nets, RowByRow where they are rows


class SharedRows(NamedTuple):
    """Where lanes are nets: the rows of a tile, one copy for all lanes."""

    shared_inputs: Floats1  # (tile * I,)
    shared_targets: Floats1  # (tile * O,)
    shared_weights: Floats1  # (tile,)
    rows_of_lanes: Int32s2  # (tile, L) int32: of a tile where each lane has rows of its own


class RowByRow(NamedTuple):
    """Where lanes are rows: the same row by row, each padded to whole vectors, and more."""

    input_rows: Floats2  # (tile * padded I / L, L), likewise of as many as have slots
    target_rows: Floats2  # (tile * padded O / L, L)
    value_rows: Floats2  # (tile * padded units / L, L), layer after layer
    delta_rows: Floats2  # likewise
    transposed_gradient: Floats2  # (padded inputs * padded units / L, L) of one layer, input-major
    tail_sums: Floats2  # like sums
    team: Int64s1  # `team.new_team`: threads that share a net
    starts: Int64s1  # (tile,) int64: where the rows of the tile begin in the data
    loaded: Int64s1  # (slots,) int64: the first row of the tile that is loaded already, or -1


class State(NamedTuple):
    """What nets carry from launch to launch: a group's, or with a leading axis a block's."""

    params: Floats2  # (P and the running statistics, L)
    optimizer_state: Floats2  # (numbers a net, L)
    best: Floats2  # like params where the best weights are kept, else (0, L)
    rates: Floats2  # (RATE_FIELDS, L)
    dropout: Floats2  # (layers, L): rates of the inputs and each hidden layer; else (0, L)
    schedule: Doubles2  # (SCHEDULE_FIELDS, L) float64
    monitor: Doubles2  # (MONITOR_FIELDS, L) float64
    seeds: Uint64s1  # (L,) uint64, of dropout
    order_seeds: Uint64s1  # (L,) uint64, of the row order
    alive: Floats2  # (1, L): 1 while a net runs, else 0
    progress: Int64s2  # (PROGRESS_FIELDS, L) int64
    losses: Floats2  # (records, L)
    scores: Floats2  # (records, L)
    val_losses: Floats2  # (records, L), or (0, L) without validation rows
    learning_rates: Floats2  # (records, L), or (0, L) where they stay the same


class Group(NamedTuple):
    """A group of nets with all that its training reads and writes."""

    task: Task
    layers: Int64s2  # (layers, COLUMNS)
    ordering: int
    data: Data
    state: State
    work: Workspace


class Tile(NamedTuple):
    """Rows of a batch that go forward and back together."""

    epoch: int
    position: int  # of the first row in the epoch's order
    row: int  # the first row's number in the batch
    rows: int
    batch_rows: int
    measured: bool  # whether losses are added up
    scored: bool  # whether what the score counts is
