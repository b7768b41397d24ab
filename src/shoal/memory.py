"""The arrays that nets live in: a block's, and a net's own."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .grid import Grid
from .kernels import layout, optimizers
from .kernels.layout import (
    FINISHED,
    RUNNING,
    STATUS,
    State,
)
from .plan import Block
from .settings import dropout_rates
from .structure import SCHEDULE_CODES, Layers

Floats = NDArray[Any]


def aligned_all(shapes: Mapping[str, tuple[int, ...]], dtype: Any) -> dict[str, NDArray[Any]]:
    """Arrays of +0 in one piece of memory. Each starts on a cache line, so that no vector of 64
    bytes crosses one."""
    size, end, starts = np.dtype(dtype).itemsize, 0, []
    for shape in shapes.values():
        starts.append(end)
        end += (math.prod(shape) * size + 63) & -64
    memory = np.zeros(end + 64, np.uint8)
    base = -memory.__array_interface__["data"][0] % 64
    return {
        name: np.ndarray(shape, dtype, memory, base + start)
        for (name, shape), start in zip(shapes.items(), starts, strict=True)
    }


def aligned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Array of +0 that starts on a cache line."""
    return aligned_all({"": shape}, dtype)[""]


class _Lanes:
    """A block's settings, lane by lane."""

    def __init__(self, block: Block, grid: Grid) -> None:
        self.block, self.grid = block, grid

    def __call__(
        self, name: str, number: Callable[[Any], float] = float
    ) -> NDArray[np.float64] | float:
        """One number a net, (groups, L), or one for all."""
        values = [number(value) for value in self.grid.candidates[name]]
        if name in self.grid.index:
            return np.array(values, np.float64)[self.grid.index[name][self.block.nets]]
        return values[0]


def _or_infinity(value: float | None) -> float:
    return math.inf if value is None else float(value)


def _set_rates(rates: Floats, block: Block, lanes: _Lanes) -> None:
    """The scalars of optimizer and loss, (groups, RATES, L)."""
    names = {
        optimizers.RATE: "learning_rate",
        optimizers.MOMENTUM_RATE: "momentum",
        optimizers.RHO: "rho",
        optimizers.BETA_1: "beta_1",
        optimizers.BETA_2: "beta_2",
        optimizers.EPSILON: "epsilon",
        optimizers.L1: "l1",
        optimizers.L2: "l2",
        optimizers.WEIGHT_DECAY: "weight_decay",
        optimizers.CLIP_DELTA: "clip_delta",
        optimizers.CLIP_NORM: "clip_norm",
        optimizers.LOSS_PARAMETER: "huber_delta" if block.structure.loss == "huber" else "quantile",
    }
    with np.errstate(over="ignore"):  # a rate beyond float32 is infinite, and its net diverges
        for row, name in names.items():
            rates[:, row] = lanes(name, _or_infinity)


def _schedule(block: Block, lanes: _Lanes) -> NDArray[np.float64]:
    """The learning rates' schedules, (groups, SCHEDULE_ROWS, L); of nets without them no rows."""
    if not block.structure.scheduled:
        return np.zeros((block.groups, 0, block.width.lanes))
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
    """What decides on early stopping and the adaptive rate, (groups, WATCH_ROWS, L), if any."""
    if not block.structure.watched:
        return np.zeros((block.groups, 0, block.width.lanes))
    watch = np.zeros((block.groups, layout.WATCH_ROWS, block.width.lanes))
    watch[:, layout.BEST] = math.inf
    watch[:, layout.PATIENCE] = lanes("patience", _or_infinity)
    watch[:, layout.TOLERANCE] = lanes("tolerance")
    watch[:, layout.ADAPTED] = lanes("learning_rate")
    return watch


def _set_dropout(dropout: Floats, block: Block, grid: Grid) -> None:
    """Dropout rates of the inputs and of each hidden layer, (groups, layers, L)."""
    hidden = block.structure.widths[1:-1]
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
    dropout[...] = of_lanes.transpose(0, 2, 1)


def _set_start(params: Floats, block: Block) -> None:
    """Parameters before initial weights are drawn: of batch norm scales and variances 1."""
    for row in block.layers.table.tolist():
        units, scales, means = row[layout.UNITS], row[layout.SCALES], row[layout.STATISTICS]
        if scales >= 0:
            params[:, scales : scales + units] = 1
            params[:, means + units : means + 2 * units] = 1


def allocate(block: Block, grid: Grid, orders: NDArray[np.uint64], dtype: Any) -> State:
    """A block's arrays before its first epoch; weights are +0."""
    G, L, P = block.groups, block.width.lanes, block.task.parameters
    structure, records, size = block.structure, block.records, block.layers.size
    lanes, drops = _Lanes(block, grid), structure.drops or structure.drops_inputs
    seeds = np.broadcast_to(grid.column("seed"), len(grid)).astype(np.uint64)
    progress = np.zeros((G, layout.PROGRESS_ROWS, L), np.int64)
    progress[:, layout.EPOCHS] = block.first_epoch
    progress[:, layout.LIMIT] = block.epochs
    running = block.epochs > block.first_epoch
    running.ravel()[block.count :] = False  # lanes left over
    progress[:, STATUS] = np.where(running, RUNNING, FINISHED)
    rows = {
        "params": size,
        "moments": block.state_rows,
        "best": size if structure.keeps_best else 0,
        "rates": optimizers.RATES,
        "dropout": len(structure.widths) - 1 if drops else 0,
        "alive": 1,
        "losses": records,
        "scores": records,
        "val_losses": records if block.task.validation_rows else 0,
        "learning_rates": records if structure.scheduled else 0,
    }
    state = State(
        schedule=_schedule(block, lanes),
        watch=_watch(block, lanes),
        seeds=seeds[block.nets],
        order_seeds=orders[block.nets if structure.shuffle else block.nets[:, :0]],
        progress=progress,
        **aligned_all({name: (G, count, L) for name, count in rows.items()}, dtype),
    )
    for told in (state.losses, state.scores, state.val_losses, state.learning_rates):
        told.fill(np.nan)
    state.alive[:, 0] = running
    _set_start(state.params, block)
    _set_rates(state.rates, block, lanes)
    if drops:
        _set_dropout(state.dropout, block, grid)
    if structure.optimizer == optimizers.RPROP:  # its steps begin at the learning rate
        state.moments[:, P : 2 * P] = state.rates[:, [optimizers.RATE]]
    return state


@contextmanager
def panels(block: Block, state: State, first: int, last: int) -> Iterator[None]:
    """Let the first layer's weights of groups ``first`` to ``last`` stand in panels meanwhile, with
    all that stands beside them, where they are trained so (`kernels.panels`)."""
    if not block.task.panels:
        yield
        return
    (inputs, units), L = block.structure.widths[:2], block.width.rows
    count, P = inputs * units, block.task.parameters
    moments = optimizers.MOMENTS[block.structure.optimizer]
    parts = [
        part
        for g in range(first, last)
        for part in (
            state.params[g, :count],
            state.best[g, :count],
            *(state.moments[g, k * P :][:count] for k in range(moments)),
        )
        if len(part)
    ]
    for part in parts:
        part[:, 0] = part.reshape(units // L, L, inputs).transpose(0, 2, 1).ravel()
    try:
        yield
    finally:
        for part in parts:
            part[:, 0] = part.reshape(units // L, inputs, L).transpose(0, 2, 1).ravel()


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
        weights.append(np.array(matrix.T, order="C"))  # a copy, of one unit too
        if row[layout.BIASES] >= 0:
            biases.append(part(row[layout.BIASES], units))
        if row[layout.SCALES] >= 0:
            p, q = row[layout.SCALES], row[layout.STATISTICS]
            norms.append(BatchNorm(*(part(k, units) for k in (p, p + units, q, q + units))))
    return weights, biases or None, norms or None
