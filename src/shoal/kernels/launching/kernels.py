"""The kernels: what Python launches. Each does a slice of its work, in whatever thread.

They release the GIL and hold no lock: threads run them side by side, each with a workspace of its
own. Their arguments are read from words: see `words` and `entries`.
"""

from typing import Annotated, NamedTuple

from ..arguments import (
    Data,
    Doubles1,
    Floats1,
    Floats3,
    Group,
    Int64s1,
    Int64s2,
    RowByRow,
    SharedRows,
    State,
    Task,
    Uint64s2,
    Workspace,
)
from ..code.compilation import device_function
from ..epoch.group import evaluate_group, train_group
from ..lanes.floating_point import IEEE, exchange_control
from ..lanes.shapes import net_of
from ..layout import INPUTS, UNITS, WEIGHTS
from ..nets_in_lanes import tile as nets_in_lanes
from ..rows_in_lanes import tile as rows_in_lanes
from ..step.random import initial_weights
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


@device_function
def _group(a, g):
    """Group g of a block."""
    nets = a.nets
    state = State(
        nets.params[g],
        nets.optimizer_state[g],
        nets.best[g],
        nets.rates[g],
        nets.dropout[g],
        nets.schedule[g],
        nets.monitor[g],
        nets.seeds[g],
        nets.order_seeds[g],
        nets.alive[g],
        nets.progress[g],
        nets.losses[g],
        nets.scores[g],
        nets.val_losses[g],
        nets.learning_rates[g],
    )
    return Group(a.task, a.layers, a.ordering, a.data, state, a.work)


@device_function(inline="always")
def _train(lane, tile_lane, train_rows, validate_rows, a):
    """Train groups through tiles.

    Where ``evaluating``, write their mean loss and what the score counts on the rows of ``data`` to
    ``nets.losses`` and ``nets.scores`` instead: one kernel, as most of its code is the same.
    """
    before = exchange_control(IEEE)
    for g in range(a.slice.start, a.slice.stop):
        group = _group(a, g)
        if a.evaluating:
            evaluate_group(lane, tile_lane, validate_rows, group)
        else:
            train_group(
                lane, tile_lane, train_rows, validate_rows, group, a.slice.start_tile,
                a.slice.stop_tile,
            )  # fmt: skip
    exchange_control(before)


@device_function(inline="always")
def train_nets_in_lanes(lane, a):
    """Train groups of L nets, or evaluate them."""
    _train(lane, lane, nets_in_lanes.train_rows, nets_in_lanes.validate_rows, a)


@device_function(inline="always")
def train_rows_in_lanes(lane, a):
    """Train groups of one net, whose rows are in lanes, or evaluate them."""
    _train(net_of(lane), lane, rows_in_lanes.train_rows, rows_in_lanes.validate_rows, a)


@device_function(inline="always")
def follow(lane, a):
    """Take part ``slice.start_tile`` of each tile of group ``slice.start``, which
    `train_rows_in_lanes` trains meanwhile."""
    before = exchange_control(IEEE)
    rows_in_lanes.follow(lane, _group(a, a.slice.start), a.slice.start_tile)
    exchange_control(before)


class Prediction(NamedTuple):
    """Arguments of `predict`."""

    slice: Slice  # of the rows
    task: Task
    layers: Int64s2  # (layers, COLUMNS)
    X: Floats1  # (n * I,)
    params: Floats1  # (P and statistics,)
    work: Workspace
    outputs: Floats1  # (n * O,)


@device_function(inline="always")
def predict(lane, a):
    """Outputs of one net for rows."""
    before = exchange_control(IEEE)
    rows_in_lanes.predict_rows(
        lane, a.task, a.layers, a.X, a.params, a.work, a.outputs, a.slice.start, a.slice.stop
    )
    exchange_control(before)


class Initialisation(NamedTuple):
    """Arguments of `initialise`."""

    slice: Slice  # of the groups
    layers: Int64s2  # (layers, COLUMNS)
    params: Floats3  # (groups, P and statistics, L)
    seeds: Uint64s2  # (groups, L)
    kinds: Int64s1  # (layers,)
    factors: Doubles1  # (layers,)


@device_function(inline="always")
def initialise(lane, a):
    """Initial weights of groups. lane : one of the weights' dtype."""
    before = exchange_control(IEEE)
    for g in range(a.slice.start, a.slice.stop):
        for q in range(a.params.shape[2]):
            for k in range(len(a.layers)):
                layer = a.layers[k]
                initial_weights(
                    a.params[g], q, layer[WEIGHTS], layer[INPUTS], layer[UNITS], k,
                    a.seeds[g, q], a.kinds[k], a.factors[k],
                )  # fmt: skip
    exchange_control(before)


TRAIN_NETS_IN_LANES = Kernel(train_nets_in_lanes, Training, SharedRows)
TRAIN_ROWS_IN_LANES = Kernel(train_rows_in_lanes, Training, RowByRow)
FOLLOW = Kernel(follow, Training, RowByRow)
PREDICT = Kernel(predict, Prediction, RowByRow)
INITIALISE = Kernel(initialise, Initialisation)
KERNELS = (TRAIN_NETS_IN_LANES, TRAIN_ROWS_IN_LANES, FOLLOW, PREDICT, INITIALISE)
