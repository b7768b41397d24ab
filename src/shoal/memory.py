"""The arrays that kernels work on: a block's, a thread's, and a net's own."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .grid import Grid
from .kernels import layout, losses
from .kernels import optimizers as rows_of
from .kernels.layout import (
    CHUNK,
    FINISHED,
    OWN_ORDER,
    RUNNING,
    SHARED_ORDER,
    STATUS,
    State,
    Task,
    Workspace,
)
from .kernels.sums import PARTIALS
from .plan import SCHEDULE_CODES, Block, LaneWidth, Layers, Structure
from .settings import dropout_rates

Floats = NDArray[Any]


def aligned(shape: tuple[int, ...], dtype: Any, fill: float = 0) -> NDArray[Any]:
    """Array that starts on a cache line, so that no vector of 64 bytes crosses one."""
    count, size = math.prod(shape), np.dtype(dtype).itemsize
    memory = np.empty(count * size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    array = memory[start : start + count * size].view(dtype).reshape(shape)
    array.fill(fill)
    return array


def counts_of(task: Task) -> int:
    """How many numbers the score counts."""
    return task.outputs if task.score == losses.RESIDUALS else 1


def training_workspace(block: Block, dtype: Any) -> Workspace:
    """Scratch arrays for training one group of a block."""
    task, structure, L = block.task, block.structure, block.width.lanes
    numbers = block.layers.size + block.state_rows
    if block.width.dense:
        return dense_workspace(task, structure, block.width, task.parameters, numbers, dtype)
    units, widest = sum(structure.widths[1:]), max(structure.widths)
    P, stride = task.parameters, task.stride
    at_once = task.batch <= min(task.tile, CHUNK) and not task.clips_norm
    in_lanes = block.ordering == OWN_ORDER or bool(task.drops_inputs)
    orders = {OWN_ORDER: L, SHARED_ORDER: 1}.get(block.ordering, 0)

    def lanes(rows: int) -> Floats:
        return aligned((rows, L), dtype)

    return Workspace(
        values=lanes(units * stride),
        deltas=lanes(units * stride),
        normalised=lanes(units * stride if structure.batch_norm else 0),
        deviations=lanes(units if structure.batch_norm else 0),
        gradient=lanes(block.width.tile[0] * widest + widest if at_once else P),
        total=lanes(P if task.batch > CHUNK else 0),
        sums=lanes(layout.SCORES + layout.SCORE_ROWS * counts_of(task)),
        partials=lanes(PARTIALS),
        kept=lanes(numbers),
        marks=lanes(layout.MARK_ROWS),
        step=lanes(rows_of.STEP_ROWS),
        order=np.zeros((orders, task.rows), np.int32),
        shared_inputs=aligned((task.tile * task.inputs,), dtype),
        shared_targets=aligned((task.tile * task.outputs,), dtype),
        shared_weights=aligned((task.tile,), dtype),
        lane_inputs=lanes(task.inputs * stride if in_lanes else 0),
        lane_targets=lanes(task.outputs * stride if in_lanes else 0),
        lane_weights=lanes(stride if in_lanes else 0),
        **_no_rows(dtype, L),
    )


def _no_rows(dtype: Any, L: int) -> dict[str, Floats]:
    """The arrays that nets in lanes do without."""
    names = ("input_rows", "value_rows", "delta_rows", "strip", "tail_sums")
    return {name: aligned((0, L), dtype) for name in names}


def dense_workspace(
    task: Task, structure: Structure, width: LaneWidth, P: int, kept: int, dtype: Any
) -> Workspace:
    """Scratch arrays for one net whose rows are the lanes.

    P : parameters, 0 where none are trained. kept : numbers that are kept for a net.
    """
    L, widths, stride = width.rows, structure.widths, task.stride
    units, rows = sum(widths[1:]) + L, stride * L  # squares may reach behind the last unit
    padded = [-(-count // L) * L for count in widths]

    def lanes(numbers: int) -> Floats:
        return aligned((numbers // L, L), dtype)

    def one(numbers: int) -> Floats:
        return aligned((numbers, 1), dtype)

    sums = layout.SCORES + layout.SCORE_ROWS * counts_of(task)
    strip = max(i * o for i, o in pairwise(padded)) if P else 0
    normalised = structure.batch_norm and P > 0
    return Workspace(
        values=lanes(units * rows),
        deltas=lanes(units * rows),
        normalised=lanes(units * rows if normalised else 0),
        deviations=one(units if normalised else 0),
        gradient=one(P),
        total=one(P if task.batch > CHUNK else 0),
        sums=one(sums),
        partials=one(PARTIALS),
        kept=one(kept),
        marks=one(layout.MARK_ROWS),
        step=one(rows_of.STEP_ROWS),
        order=np.zeros((int(structure.shuffle), task.rows), np.int32),
        shared_inputs=aligned((0,), dtype),
        shared_targets=aligned((0,), dtype),
        shared_weights=aligned((0,), dtype),
        lane_inputs=lanes(padded[0] * rows),
        lane_targets=lanes(widths[-1] * rows),
        lane_weights=lanes(rows),
        input_rows=lanes(padded[0] * rows),
        value_rows=lanes(max(padded[1:]) * rows if P else 0),
        delta_rows=lanes(max(padded[1:]) * rows if P else 0),
        strip=lanes(strip),
        tail_sums=one(sums),
    )


def forward_workspace(
    positions: int, L: int, dtype: Any, sums: int = 0, orders: int = 0, tile: int = 0,
    inputs: int = 0,
) -> Workspace:  # fmt: skip
    """Workspace of forward passes alone."""

    def lanes(rows: int) -> Floats:
        return aligned((rows, L), dtype)

    nothing = lanes(0)
    flat = aligned((0,), dtype)
    return Workspace(
        values=lanes(positions),
        deltas=lanes(positions),
        normalised=nothing,
        deviations=nothing,
        gradient=nothing,
        total=nothing,
        sums=lanes(sums),
        partials=nothing,
        kept=nothing,
        marks=nothing,
        step=nothing,
        order=np.zeros((orders, tile), np.int32),
        shared_inputs=flat,
        shared_targets=flat,
        shared_weights=flat,
        lane_inputs=lanes(inputs),
        lane_targets=nothing,
        lane_weights=nothing,
        **_no_rows(dtype, L),
    )


def evaluation_workspace(block: Block, task: Task, dtype: Any) -> Workspace:
    """Scratch arrays for a look at one group of a block, with the rows of ``task``."""
    if block.width.dense:
        return dense_workspace(task, block.structure, block.width, 0, 0, dtype)
    positions = sum(block.structure.widths[1:]) * task.stride
    sums = layout.SCORES + layout.SCORE_ROWS * counts_of(task)
    return forward_workspace(positions, block.width.lanes, dtype, sums)


class _Lanes:
    """A block's settings, lane by lane."""

    def __init__(self, block: Block, grid: Grid) -> None:
        self.block, self.grid = block, grid

    def __call__(self, name: str, number: Callable[[Any], float] = float) -> NDArray[np.float64]:
        """One number a net, (groups, L)."""
        values = np.array([number(value) for value in self.grid.candidates[name]], np.float64)
        if name in self.grid.index:
            return values[self.grid.index[name][self.block.nets]]
        return np.full(self.block.nets.shape, values[0])


def _or_infinity(value: float | None) -> float:
    return math.inf if value is None else value


def _rates(block: Block, lanes: _Lanes, dtype: Any) -> Floats:
    """The scalars of optimizer and loss, (groups, RATES, L)."""
    huber = block.structure.loss == "huber"
    rows = {
        rows_of.RATE: lanes("learning_rate"),
        rows_of.MOMENTUM_RATE: lanes("momentum"),
        rows_of.RHO: lanes("rho"),
        rows_of.BETA_1: lanes("beta_1"),
        rows_of.BETA_2: lanes("beta_2"),
        rows_of.EPSILON: lanes("epsilon"),
        rows_of.L1: lanes("l1"),
        rows_of.L2: lanes("l2"),
        rows_of.WEIGHT_DECAY: lanes("weight_decay"),
        rows_of.CLIP_DELTA: lanes("clip_delta", _or_infinity),
        rows_of.CLIP_NORM: lanes("clip_norm", _or_infinity),
        rows_of.LOSS_PARAMETER: lanes("huber_delta" if huber else "quantile"),
    }
    rates = aligned((block.groups, rows_of.RATES, block.width.lanes), dtype)
    with np.errstate(over="ignore"):  # a rate beyond float32 is infinite, and its net diverges
        for row, values in rows.items():
            rates[:, row] = values
    return rates


def _schedule(block: Block, lanes: _Lanes) -> NDArray[np.float64]:
    """The learning rates' schedules, (groups, SCHEDULE_ROWS, L)."""
    rows = {
        layout.KIND: lanes("schedule", SCHEDULE_CODES.__getitem__),
        layout.BASE: lanes("learning_rate"),
        layout.WARMUP: lanes("warmup_epochs"),
        layout.STEP_EPOCHS: lanes("step_size"),
        layout.GAMMA: lanes("gamma"),
        layout.MINIMUM: lanes("min_learning_rate"),
        layout.POWER: lanes("power"),
        layout.TOTAL: block.epochs,
    }
    schedule = np.zeros((block.groups, layout.SCHEDULE_ROWS, block.width.lanes))
    for row, values in rows.items():
        schedule[:, row] = values
    return schedule


def _watch(block: Block, lanes: _Lanes) -> NDArray[np.float64]:
    """What decides on early stopping and the adaptive rate, (groups, WATCH_ROWS, L)."""
    watch = np.zeros((block.groups, layout.WATCH_ROWS, block.width.lanes))
    watch[:, layout.BEST] = math.inf
    watch[:, layout.PATIENCE] = lanes("patience", _or_infinity)
    watch[:, layout.TOLERANCE] = lanes("tolerance")
    watch[:, layout.ADAPTED] = lanes("learning_rate")
    return watch


def _dropout(block: Block, grid: Grid, dtype: Any) -> Floats:
    """Dropout rates of the inputs and of each hidden layer, (groups, layers, L)."""
    structure = block.structure
    if not (structure.drops or structure.drops_inputs):
        return aligned((block.groups, 0, block.width.lanes), dtype)
    hidden = structure.widths[1:-1]
    values = np.array(
        [
            dropout_rates({"hidden": hidden, "dropout": value})
            if not isinstance(value, tuple) or len(value) == len(hidden) + 1
            else (0.0,) * (len(hidden) + 1)  # of nets with other layers
            for value in grid.candidates["dropout"]
        ]
    )
    index = grid.index.get("dropout", np.zeros(1, np.int32))
    of_lanes = values[np.broadcast_to(index, len(grid))[block.nets]]
    dropout = aligned((block.groups, len(hidden) + 1, block.width.lanes), dtype)
    dropout[...] = of_lanes.transpose(0, 2, 1)
    return dropout


def _start(block: Block, dtype: Any) -> Floats:
    """Parameters before initial weights are drawn: +0, of batch norm scales and variances 1."""
    params = aligned((block.groups, block.layers.size, block.width.lanes), dtype)
    for row in block.layers.table.tolist():
        units, scales, means = row[layout.UNITS], row[layout.SCALES], row[layout.STATISTICS]
        if scales >= 0:
            params[:, scales : scales + units] = 1
            params[:, means + units : means + 2 * units] = 1
    return params


def allocate(block: Block, grid: Grid, orders: NDArray[np.uint64], dtype: Any) -> State:
    """A block's arrays before its first epoch; weights are +0."""
    G, L, P = block.groups, block.width.lanes, block.task.parameters
    structure, records = block.structure, block.records
    lanes = _Lanes(block, grid)
    seeds = np.broadcast_to(grid.column("seed"), len(grid)).astype(np.uint64)
    progress = np.zeros((G, layout.PROGRESS_ROWS, L), np.int64)
    progress[:, layout.EPOCHS] = block.first_epoch
    progress[:, layout.LIMIT] = block.epochs
    running = block.epochs > block.first_epoch
    running.ravel()[block.count :] = False  # lanes left over
    progress[:, STATUS] = np.where(running, RUNNING, FINISHED)
    alive = aligned((G, 1, L), dtype)
    alive[:, 0] = running
    rates = _rates(block, lanes, dtype)
    moments = aligned((G, block.state_rows, L), dtype)
    if structure.optimizer == rows_of.RPROP:  # its steps begin at the learning rate
        moments[:, P : 2 * P] = rates[:, [rows_of.RATE]]
    validated = block.task.validation_rows > 0

    def recorded(wanted: bool) -> Floats:
        return aligned((G, records if wanted else 0, L), dtype, np.nan)

    return State(
        params=_start(block, dtype),
        moments=moments,
        best=aligned((G, block.layers.size if structure.keeps_best else 0, L), dtype),
        rates=rates,
        dropout=_dropout(block, grid, dtype),
        schedule=_schedule(block, lanes),
        watch=_watch(block, lanes),
        seeds=seeds[block.nets],
        order_seeds=orders[block.nets],
        alive=alive,
        progress=progress,
        losses=recorded(True),
        scores=recorded(True),
        val_losses=recorded(validated),
        learning_rates=recorded(structure.scheduled),
    )


class BatchNorm(NamedTuple):
    """Batch norm of a hidden layer, an element a unit."""

    scale: Floats
    shift: Floats
    mean: Floats  # running, as predictions take it
    variance: Floats


def pack(
    weights: Sequence[Floats],
    biases: Sequence[Floats] | None,
    norms: Sequence[BatchNorm] | None,
    layers: Layers,
    dtype: Any,
) -> Floats:
    """Parameters and statistics of one net in the kernels' order."""
    params = aligned((layers.size,), dtype)
    for k, row in enumerate(layers.table.tolist()):
        units, start, end = row[layout.UNITS], row[layout.WEIGHTS], row[layout.BIASES]
        params[start : start + weights[k].size] = np.asarray(weights[k]).T.ravel()
        if biases is not None:
            params[end : end + units] = np.asarray(biases[k]).ravel()
        if norms is not None and row[layout.SCALES] >= 0:
            for p, pair in (
                (row[layout.SCALES], norms[k][:2]),
                (row[layout.STATISTICS], norms[k][2:]),
            ):
                params[p : p + 2 * units] = np.concatenate(pair)
    return params


def unpack(
    params: Floats, layers: Layers
) -> tuple[list[Floats], list[Floats] | None, list[BatchNorm] | None]:
    """(weights (I, O), biases (O,), batch norms of the hidden layers) of one net's numbers."""
    weights, biases, norms = [], [], []

    def part(p: int, count: int) -> Floats:
        return np.array(params[p : p + count])

    for row in layers.table.tolist():
        inputs, units = row[layout.INPUTS], row[layout.UNITS]
        matrix = params[row[layout.WEIGHTS] :][: inputs * units].reshape(units, inputs)
        weights.append(np.ascontiguousarray(matrix.T))
        if row[layout.BIASES] >= 0:
            biases.append(part(row[layout.BIASES], units))
        if row[layout.SCALES] >= 0:
            p, q = row[layout.SCALES], row[layout.STATISTICS]
            norms.append(BatchNorm(*(part(k, units) for k in (p, p + units, q, q + units))))
    return weights, biases or None, norms or None
