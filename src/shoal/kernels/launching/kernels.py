"""The kernels: what Python launches. Each does a slice of its work, in whatever thread.

They release the GIL and hold no lock: threads run them side by side, each with a workspace of its
own. Their arguments are read from words: see `words` and `entries`. What they do is in `functions`.
"""

from typing import Annotated, NamedTuple

from ..arguments import (
    Data,
    Doubles1,
    Floats1,
    Floats3,
    Int32s2,
    Int64s1,
    Int64s2,
    RowByRow,
    SharedRows,
    State,
    Task,
    Uint32s1,
    Uint32s2,
    Uint64s1,
    Uint64s2,
    Workspace,
)
from .entries import Kernel, Slice


class Training(NamedTuple):
    """Arguments of the kernels that train or evaluate a block of nets."""

    slice: Slice  # of the groups
    task: Task
    ordering: int
    evaluating: int  # 0 or 1
    layers: Int64s2  # (layers, COLUMNS)
    data: Data
    nets: Annotated[State, 1]  # with a leading axis: of the groups
    work: Workspace


class TrainingOnGpu(NamedTuple):
    """Arguments of a launch on a GPU, whose threads each train one net: see `thread_entry`."""

    slice: Slice  # of the groups
    task: Task
    ordering: int
    evaluating: int
    layers: Int64s2
    data: Data
    nets: Annotated[State, 1]
    # of the groups; `order` is (threads, 1, n), or (1, epochs, n), and `words` (threads, 4 * RUN)
    work: Annotated[Workspace, 1]


class Prediction(NamedTuple):
    """Arguments of `predict`."""

    slice: Slice  # of the rows
    task: Task
    layers: Int64s2  # (layers, COLUMNS)
    X: Floats1  # (n * I,)
    params: Floats1  # (P and statistics,)
    work: Workspace
    outputs: Floats1  # (n * O,)


class Initialisation(NamedTuple):
    """Arguments of `initialise`."""

    slice: Slice  # of the groups
    layers: Int64s2  # (layers, COLUMNS)
    params: Floats3  # (groups, P and statistics, L)
    seeds: Uint64s2  # (groups, L)
    kinds: Int64s1  # (layers,)
    factors: Doubles1  # (layers,)


class Orders(NamedTuple):
    """Arguments of `row_orders`."""

    slice: Slice  # of the epochs
    seeds: Uint64s1  # (1,)
    orders: Int32s2  # (orders, n)
    words: Uint32s1  # (4 * RUN,), scratch


class Permutations(NamedTuple):
    """Arguments of `permute_rows`."""

    slice: Slice  # of the orders; its tiles are epochs
    states: Uint32s2  # (orders, 624): of a Mersenne Twister each
    positions: Int64s1  # (orders,): of the words that come next
    rows: Int32s2  # (orders, n): as they were ordered before, and then last
    orders: Int32s2  # (orders * epochs, n), as of `Data`
    words: Uint32s1  # (624,), scratch


class Taking(NamedTuple):
    """Arguments of `take_slices`: what threads of a launch share, but for their number."""

    thread: int  # whose words are handed to kernels
    slices: Int64s2  # (slices, 5): CALL, then a `Slice`
    addresses: Int64s1  # (calls,), of kernels
    blocks: Int64s2  # (calls, threads): where a call's words are, for each thread
    control: Int64s1  # (CONTROL_SIZE,)
    outcome: Int64s2  # (slices, 2), written: what the kernel returned, and its time


TRAIN_NETS_IN_LANES = Kernel("train_nets_in_lanes", Training, SharedRows)
TRAIN_ROWS_IN_LANES = Kernel("train_rows_in_lanes", Training, RowByRow)
FOLLOW = Kernel("follow", Training, RowByRow)
PREDICT = Kernel("predict", Prediction, RowByRow)
INITIALISE = Kernel("initialise", Initialisation)
ROW_ORDERS = Kernel("row_orders", Orders)
PERMUTE_ROWS = Kernel("permute_rows", Permutations)
TRAIN_NET = Kernel("train_net", Training, SharedRows)  # on a GPU
TAKE_SLICES = Kernel("take_slices", Taking)
KERNELS = (
    TRAIN_NETS_IN_LANES, TRAIN_ROWS_IN_LANES, FOLLOW, PREDICT, INITIALISE, ROW_ORDERS, PERMUTE_ROWS,
    TAKE_SLICES, TRAIN_NET,
)  # fmt: skip
