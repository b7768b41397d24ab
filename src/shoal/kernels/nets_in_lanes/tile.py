"""Lanes are nets: a tile of rows of a group of L nets."""

from ..code.compilation import device_function
from ..layout import CHUNK, OWN_ORDER, SHARED_ORDER, VALUES
from ..step.losses import output_values
from ..step.random import drop
from ..step.tile import (
    add_weights,
    batch_scale,
    finish_batch,
    finish_weights,
    forward,
    measure,
    train_tile,
)
from .gathering import gather_own
from .loading import copy_shared, spread_shared


@device_function(inline="always")
def train_rows(
    lane, task, layers, ordering, data, state, work, epoch, first, row, rows, batch_rows, measured,
    scored,
):  # fmt: skip
    """Train on a tile of rows, from ``first`` of the epoch's order and ``row`` of its batch on.

    Where the batch ends, with its step.
    """
    at_once = task.batch <= min(task.tile, CHUNK) and not task.clips_norm
    last = row + rows == batch_rows
    if ordering == OWN_ORDER or task.drops_inputs:
        if ordering == OWN_ORDER:
            gather_own(lane, task, data, work.order, first, rows, work)
        else:
            spread_shared(lane, task, data, ordering, work.order, first, rows, work)
        if task.drops_inputs:
            drop(
                lane, state.dropout, 0, state.seeds, epoch, first, False, work.lane_inputs,
                work.lane_inputs, 0, task.stride, 0, task.inputs, rows,
            )  # fmt: skip
        if task.weighted:
            add_weights(lane, work.lane_weights, 0, row, rows, work.sums)
            if last:
                finish_weights(lane, work.sums)
        scale = batch_scale(lane, task, batch_rows, work.sums)
        train_tile(
            lane, task, layers, work.lane_inputs, 0, task.stride, 1,
            work.lane_targets, 0, task.stride, 1, work.lane_weights, 0,
            state, work, epoch, first, row, rows, batch_rows,
            measured, scored, at_once, scale,
        )  # fmt: skip
    else:
        x_rows, y_rows, w_rows = data.X, data.y, data.weights
        x0, y0, w0 = first * task.inputs, first * task.outputs, first
        if ordering == SHARED_ORDER:
            copy_shared(lane, task, data, work.order, first, rows, work)
            x_rows, y_rows = work.own.shared_inputs, work.own.shared_targets
            w_rows, x0, y0, w0 = work.own.shared_weights, 0, 0, 0
        if task.weighted:
            add_weights(lane, w_rows, w0, row, rows, work.sums)
            if last:
                finish_weights(lane, work.sums)
        scale = batch_scale(lane, task, batch_rows, work.sums)
        train_tile(
            lane, task, layers, x_rows, x0, 1, task.inputs,
            y_rows, y0, 1, task.outputs, w_rows, w0,
            state, work, epoch, first, row, rows, batch_rows,
            measured, scored, at_once, scale,
        )  # fmt: skip
    if last and not at_once:
        finish_batch(lane, task, layers, state, work, batch_rows, scale)


@device_function(inline="never")
def validate_rows(lane, task, layers, X, y, w, weighted, params, parameter, first, rows, work):
    """Losses and scores of rows ``first`` to ``first + rows``, added to the partial sums."""
    v = layers[len(layers) - 1][VALUES] * task.stride
    x0, y0 = first * task.inputs, first * task.outputs
    forward(lane, task, layers, 0, X, x0, 1, task.inputs, params, work, rows)
    measure(
        lane, task, weighted, True, True, work.values, v, rows, first,
        y, y0, 1, task.outputs, w, first, parameter, work.sums,
    )  # fmt: skip
    output_values(lane, task.output, work.values, work.deltas, v, task.stride, task.outputs, rows)
    measure(
        lane, task, weighted, True, False, work.values, v, rows, first,
        y, y0, 1, task.outputs, w, first, parameter, work.sums,
    )  # fmt: skip
    if weighted:
        add_weights(lane, w, first, first, rows, work.sums)
