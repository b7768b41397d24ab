"""The arrays that a block's nets live in."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs.grid import Grid
from ..inputs.settings import dropout_rates
from ..kernels import codes, layout
from ..kernels.arguments import State
from ..kernels.layout import FINISHED, RUNNING, STATUS
from ..kernels.memory import aligned_all
from ..planning.architecture import SCHEDULE_CODES
from ..planning.plan import Block
from .row_orders import RowOrders

Floats = NDArray[Any]


_WAIT = 2  # epochs without improvement until the adaptive rate falls


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
    """The scalars of optimizer and loss, (groups, RATE_FIELDS, L)."""
    names = {
        layout.RATE: "learning_rate",
        layout.MOMENTUM_RATE: "momentum",
        layout.RHO: "rho",
        layout.BETA_1: "beta_1",
        layout.BETA_2: "beta_2",
        layout.EPSILON: "epsilon",
        layout.L1: "l1",
        layout.L2: "l2",
        layout.WEIGHT_DECAY: "weight_decay",
        layout.CLIP_DELTA: "clip_delta",
        layout.CLIP_NORM: "clip_norm",
        layout.LOSS_PARAMETER: "huber_delta" if block.architecture.loss == "huber" else "quantile",
    }
    with np.errstate(over="ignore"):  # a rate beyond float32 is infinite, and its net diverges
        for row, name in names.items():
            rates[:, row] = lanes(name, _or_infinity)


def _schedule(block: Block, lanes: _Lanes) -> NDArray[np.float64]:
    """The learning rates' schedules, (groups, SCHEDULE_FIELDS, L); without need no rows."""
    if not (block.architecture.scheduled or block.architecture.monitored):
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
        layout.FIRST: lanes("learning_rate"),
        layout.SEEN: 0.0,
        layout.WAIT: _WAIT,
        layout.FLOOR: -math.inf,
    }
    schedule = np.zeros((block.groups, layout.SCHEDULE_FIELDS, block.width.lanes))
    for row, values in rows.items():
        schedule[:, row] = values
    return schedule


def _monitor(block: Block, lanes: _Lanes) -> NDArray[np.float64]:
    """What decides on early stopping and the adaptive rate, (groups, MONITOR_FIELDS, L), if any."""
    if not block.architecture.monitored:
        return np.zeros((block.groups, 0, block.width.lanes))
    monitor = np.zeros((block.groups, layout.MONITOR_FIELDS, block.width.lanes))
    monitor[:, layout.BEST] = math.inf
    monitor[:, layout.PATIENCE] = lanes("patience", _or_infinity)
    monitor[:, layout.TOLERANCE] = lanes("tolerance")
    monitor[:, layout.ADAPTED] = lanes("learning_rate")
    return monitor


def _set_dropout(dropout: Floats, block: Block, grid: Grid) -> None:
    """Dropout rates of the inputs and of each hidden layer, (groups, layers, L)."""
    hidden = block.architecture.widths[1:-1]
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
    architecture, records, size = block.architecture, block.records, block.layers.size
    lanes, drops = _Lanes(block, grid), architecture.drops or architecture.drops_inputs
    seeds = np.broadcast_to(grid.column("seed"), len(grid)).astype(np.uint64)
    progress = np.zeros((G, layout.PROGRESS_FIELDS, L), np.int64)
    progress[:, layout.EPOCHS] = block.first_epoch
    progress[:, layout.LIMIT] = block.epochs
    running = block.epochs > block.first_epoch
    running.ravel()[block.count :] = False  # lanes left over
    progress[:, STATUS] = np.where(running, RUNNING, FINISHED)
    rows = {
        "params": size,
        "optimizer_state": block.state_size,
        "best": size if architecture.keeps_best else 0,
        "rates": layout.RATE_FIELDS,
        "dropout": len(architecture.widths) - 1 if drops else 0,
        "alive": 1,
        "losses": records,
        "scores": records,
        "val_losses": records if block.task.validation_rows else 0,
        "learning_rates": records if architecture.scheduled else 0,
    }
    state = State(
        schedule=_schedule(block, lanes),
        monitor=_monitor(block, lanes),
        seeds=seeds[block.nets],
        order_seeds=orders[block.nets if architecture.shuffle else block.nets[:, :0]],
        progress=progress,
        **aligned_all({name: (G, count, L) for name, count in rows.items()}, dtype),
    )
    for recorded in (state.losses, state.scores, state.val_losses, state.learning_rates):
        recorded.fill(np.nan)
    state.alive[:, 0] = running
    _set_start(state.params, block)
    _set_rates(state.rates, block, lanes)
    if drops:
        _set_dropout(state.dropout, block, grid)
    if architecture.optimizer == codes.RPROP:  # its steps begin at the learning rate
        state.optimizer_state[:, P : 2 * P] = state.rates[:, [layout.RATE]]
    return state


@dataclass(eq=False)
class Trained:
    """One block after (or during) its training.

    Attributes
    ----------
    seconds : float
        That threads have trained it.
    loss : (groups, 1, L) array or None
        Of the scored rows, where it was evaluated.
    counts : (groups, counts + 1, L) array or None
        What the score counts; the last is the rows' weight.
    scores : (groups, L) array or None
    orders : RowOrders or None
        That the nets are given.
    """

    block: Block
    state: State
    seconds: float = 0.0
    loss: Floats | None = None
    counts: Floats | None = None
    scores: Floats | None = None
    orders: RowOrders | None = None

    @property
    def params(self) -> Floats:
        """Parameters as they are reported: the best ones, where they are kept and there are any."""
        state = self.state
        if not self.block.architecture.keeps_best:
            return state.params
        reported: Any = np.where(self.has_best()[:, np.newaxis], state.best, state.params)
        return reported

    def has_best(self, g: Any = slice(None), lane: Any = slice(None)) -> Any:
        """Whether the best weights of a net are kept and known: of one, or (groups, L) of all."""
        known = self.block.architecture.keeps_best
        return known and self.state.monitor[g, layout.BEST, lane] < np.inf

    def ends(self) -> NDArray[np.int64]:
        """The last epoch of the nets that still run, of each group: 0 where none does."""
        progress = self.state.progress
        running = progress[:, STATUS] == RUNNING
        ends: Any = np.where(running, progress[:, layout.LIMIT], 0).max(axis=1)
        return ends

    def transpose_panels(self, start: int, stop: int, to_panels: bool) -> None:
        """Store the first layer's weights of groups ``start`` to ``stop`` in panels, with all that
        is stored beside them, or back in their usual order (`kernels.rows_in_lanes.panels`)."""
        block, state = self.block, self.state
        (inputs, units), L = block.architecture.widths[:2], block.width.rows
        count, P = inputs * units, block.task.parameters
        moments = codes.STATE_PER_PARAMETER[block.architecture.optimizer]
        shape = (units // L, L, inputs) if to_panels else (units // L, inputs, L)
        for g in range(start, stop):
            parts = (state.optimizer_state[g, k * P :][:count] for k in range(moments))
            for part in (state.params[g, :count], state.best[g, :count], *parts):
                if len(part):
                    part[:, 0] = part.reshape(shape).transpose(0, 2, 1).ravel()
