"""Lanes are nets: a tile of rows of a group of L nets."""

from ..code.compilation import device_function
from ..lanes.views import Units, View
from ..layout import ACCUMULATION_BLOCK, OWN_ORDER, SHARED_ORDER
from ..step.batch import add_penalty, add_weights, batch_scale, finish_batch, finish_weights
from ..step.forward import forward, units_of
from ..step.losses import Outputs, output_values
from ..step.optimizers import trainable
from ..step.random import Dropout, drop
from ..step.scores import measure
from ..step.tile import train_tile
from .gathering import gather_own
from .loading import broadcast_shared, copy_shared


@device_function(inline="always")
def train_rows(lane, group, tile):
    """Train on a tile of rows; where the batch ends, with its step."""
    task, state, work, samples = group.task, group.state, group.work, group.data.training
    rows, stride = tile.rows, task.stride
    if task.loads_rows:
        if group.ordering == OWN_ORDER:
            gather_own(lane, task, samples, work.order, tile.position, rows, work)
        else:
            broadcast_shared(lane, task, samples, group.ordering, work.order, tile, work)
        if task.drops_inputs:
            dropout = Dropout(state.dropout, state.seeds, tile.epoch, tile.position)
            inputs = Units(work.lane_inputs, 0, stride)
            drop(lane, dropout, 0, inputs, work.lane_inputs, False, 0, task.inputs, rows)
        _train(
            lane, group, tile, View(work.lane_inputs, 0, stride, 1),
            View(work.lane_targets, 0, stride, 1), Units(work.lane_weights, 0, 0),
        )  # fmt: skip
    else:
        X, y, weights = samples.X, samples.y, samples.weights
        start = tile.position
        if group.ordering == SHARED_ORDER:
            copy_shared(lane, task, samples, work.order, tile.position, rows, work)
            X, y, weights = (
                work.own.shared_inputs, work.own.shared_targets, work.own.shared_weights,
            )  # fmt: skip
            start = 0
        _train(
            lane, group, tile, View(X, start * task.inputs, 1, task.inputs),
            View(y, start * task.outputs, 1, task.outputs), Units(weights, start, 0),
        )  # fmt: skip


@device_function(inline="always")
def _train(lane, group, tile, inputs, targets, weights):
    """The same, of rows that are loaded. inputs, targets : View. weights : Units."""
    task, work = group.task, group.work
    last = tile.row + tile.rows == tile.batch_rows
    if task.weighted:
        add_weights(lane, weights, tile.row, tile.rows, work.sums)
        if last:
            finish_weights(lane, work.sums)
    if task.whole_losses and tile.measured and tile.row == 0:
        add_penalty(lane, group.layers, group.state.params, work.sums)
    scale = batch_scale(lane, task, tile.batch_rows, work.sums)
    train_tile(lane, group, tile, inputs, targets, weights, scale)
    if last and not task.fused:
        nets = trainable(task, group.state, work)
        sums = work.total if tile.batch_rows > ACCUMULATION_BLOCK else work.gradient
        finish_batch(lane, lane, task, group.layers, nets, sums, work.partials, scale)


@device_function(inline="never")
def validate_rows(lane, task, layers, samples, weighted, params, parameter, start, rows, work):
    """Losses and scores of ``rows`` rows from ``start`` on, added to the partial sums.

    samples : Samples. params : (P and statistics, L). parameter : vector, of the loss.
    """
    inputs = View(samples.X, start * task.inputs, 1, task.inputs)
    targets = View(samples.y, start * task.outputs, 1, task.outputs)
    weights = Units(samples.weights, start, 0)
    forward(lane, task, layers, 0, inputs, params, work, rows)
    outputs = Outputs(
        task.output, task.loss, task.outputs, units_of(task, layers[len(layers) - 1], work.values),
        work.deltas, targets, weights, weighted, task.whole_losses, rows, start,
    )  # fmt: skip
    measure(lane, task.score, True, True, parameter, outputs, work.sums)
    output_values(lane, outputs)
    measure(lane, task.score, True, False, parameter, outputs, work.sums)
    if weighted:
        add_weights(lane, weights, start, rows, work.sums)
