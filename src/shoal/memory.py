"""The arrays that kernels work on: a block's, a thread's, and a net's own."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grid import Grid
from .kernels import optimizers as rows_of
from .kernels.block import (
    CHUNK,
    FINISHED,
    OWN_ORDER,
    PROGRESS_ROWS,
    RUNNING,
    SHARED_ORDER,
    STATUS,
    State,
    Workspace,
)
from .kernels.losses import PARTIALS
from .plan import Block

Floats = NDArray[Any]


def aligned(shape: tuple[int, ...], dtype: Any, fill: float = 0) -> NDArray[Any]:
    """Array that starts on a cache line, so that no vector of 64 bytes crosses one."""
    count, size = math.prod(shape), np.dtype(dtype).itemsize
    memory = np.empty(count * size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    array = memory[start : start + count * size].view(dtype).reshape(shape)
    array.fill(fill)
    return array


def training_workspace(block: Block, dtype: Any) -> Workspace:
    """Scratch arrays for training one group of a block."""
    task, structure, L = block.task, block.structure, block.width.lanes
    units, widest = sum(structure.widths[1:]), max(structure.widths)
    P, stride = task.parameters, task.stride
    at_once = task.batch <= task.tile
    several_chunks = task.batch > CHUNK
    own = block.ordering == OWN_ORDER
    orders = {OWN_ORDER: L, SHARED_ORDER: 1}.get(block.ordering, 0)

    def lanes(rows: int) -> Floats:
        return aligned((rows, L), dtype)

    return Workspace(
        values=lanes(units * stride),
        deltas=lanes(units * stride),
        gradient=lanes(block.width.tile[0] * widest + widest if at_once else P),
        total=lanes(P if several_chunks else 0),
        sums=lanes(PARTIALS + 1),
        kept=lanes(P + block.state_rows),
        step=lanes(rows_of.STEP_ROWS),
        order=np.zeros((orders, task.rows), np.int32),
        shared_inputs=aligned((task.tile * task.inputs,), dtype),
        shared_targets=aligned((task.tile * task.outputs,), dtype),
        lane_inputs=lanes(task.inputs * stride if own else 0),
        lane_targets=lanes(task.outputs * stride if own else 0),
    )


def forward_workspace(
    positions: int, L: int, dtype: Any, orders: int = 0, tile: int = 0, inputs: int = 0
) -> Workspace:
    """Workspace of forward passes alone."""

    def lanes(rows: int) -> Floats:
        return aligned((rows, L), dtype)

    return Workspace(
        values=lanes(positions),
        deltas=lanes(positions),
        gradient=lanes(0),
        total=lanes(0),
        sums=lanes(0),
        kept=lanes(0),
        step=lanes(0),
        order=np.zeros((orders, tile), np.int32),
        shared_inputs=aligned((0,), dtype),
        shared_targets=aligned((0,), dtype),
        lane_inputs=lanes(inputs),
        lane_targets=lanes(0),
    )


def allocate(block: Block, grid: Grid, orders: NDArray[np.uint64], dtype: Any) -> State:
    """A block's arrays before the first epoch; parameters are +0."""
    G, L, P = block.groups, block.width.lanes, block.task.parameters
    rates = aligned((G, rows_of.RATES, L), dtype)
    for row, name in (
        (rows_of.RATE, "learning_rate"),
        (rows_of.MOMENTUM_RATE, "momentum"),
        (rows_of.BETA_1, "beta_1"),
        (rows_of.BETA_2, "beta_2"),
        (rows_of.EPSILON, "epsilon"),
    ):
        with np.errstate(over="ignore"):  # a rate beyond float32 is infinite, and its net diverges
            values = np.array(grid.candidates[name], np.float64).astype(dtype)
        rates[:, row] = values[grid.index[name][block.nets]] if name in grid.index else values[0]
    progress = np.zeros((G, PROGRESS_ROWS, L), np.int64)
    progress[:, STATUS] = RUNNING if block.structure.epochs else FINISHED
    return State(
        params=aligned((G, P, L), dtype),
        moments=aligned((G, block.state_rows, L), dtype),
        rates=rates,
        seeds=orders[block.nets],
        alive=aligned((G, 1, L), dtype, 1),
        losses=aligned((G, len(block.recorded), L), dtype, np.nan),
        progress=progress,
    )


def pack(weights: list[Floats], biases: list[Floats] | None, dtype: Any) -> Floats:
    """Parameters (P,) of one net in the kernels' order."""
    parts = []
    for k, w in enumerate(weights):
        parts.append(np.asarray(w, dtype).T.ravel())
        if biases is not None:
            parts.append(np.asarray(biases[k], dtype).ravel())
    return np.concatenate(parts)


def unpack(params: Floats, layers: NDArray[np.int64]) -> tuple[list[Floats], list[Floats]]:
    """(weights (I, O), biases (O,)) of a net's parameters (P,); no biases where it has none."""
    weights, biases = [], []
    for inputs, units, w, b, *_ in layers.tolist():
        weights.append(
            np.ascontiguousarray(params[w : w + inputs * units].reshape(units, inputs).T)
        )
        if b >= 0:
            biases.append(np.array(params[b : b + units]))
    return weights, biases
