"""Gradients of a layer, accumulation block by accumulation block; fused with the step where a batch
is one tile, while the gradient is in the L1 cache."""

from ..code.compilation import device_function
from ..lanes.access import load_some, store_some, width_of
from ..lanes.shapes import unit_extent
from ..lanes.views import Units, moved
from ..layout import (
    ACCUMULATION_BLOCK,
    BIASES,
    INPUTS,
    SCALES,
    UNITS,
    VALUES,
    WEIGHTS,
)
from .batch_norm import normalise_back
from .layers import biases_gradient, weights_gradient
from .optimizers import step_others, step_weights, trainable


@device_function(inline="never")
def add_block(lane, gradient, g, total, p, count, is_first):
    """Add a block's gradient sums, from g on, to the batch's.

    gradient, total : (P, L), or shared where lanes are parameters.
    """
    for k in range(0, count, width_of(lane, total)):
        left = count - k
        number = load_some(lane, gradient, g + k, left)
        if not is_first:
            number = load_some(lane, total, p + k, left) + number
        store_some(lane, total, p + k, left, number)


@device_function(inline="always")
def _add_finished_block(lane, tile, work, end, p, count):
    """Add ``count`` gradients to the batch's where its row ``end`` ends an accumulation block."""
    if tile.batch_rows > ACCUMULATION_BLOCK and (
        end % ACCUMULATION_BLOCK == 0 or end == tile.batch_rows
    ):
        add_block(lane, work.gradient, p, work.total, p, count, end <= ACCUMULATION_BLOCK)


@device_function(inline="always")
def _sum_weights(lane, height, group, tile, layer, u, x):
    """Gradient sums of the weights into a few units from u on. x : View of the layer's inputs."""
    task, work, inputs = group.task, group.work, layer[INPUTS]
    p, v = layer[WEIGHTS] + u * inputs, (layer[VALUES] + u) * task.stride
    g = 0 if task.fused else p
    s = 0
    while s < tile.rows:  # more than one turn only where batch norm makes a batch one tile
        rows = min(ACCUMULATION_BLOCK, tile.rows - s)
        weights_gradient(
            lane, height, moved(x, 0, s), inputs, Units(work.deltas, v + s, task.stride), rows,
            work.gradient, g, (tile.row + s) % ACCUMULATION_BLOCK == 0,
        )  # fmt: skip
        s += rows
        _add_finished_block(lane, tile, work, tile.row + s, p, len(height) * inputs)


@device_function(inline="always")
def _sum_biases(lane, group, tile, layer):
    """Gradient sums of a layer's biases."""
    task, work, p = group.task, group.work, layer[BIASES]
    g = 0 if task.fused else p
    s = 0
    while s < tile.rows:
        rows = min(ACCUMULATION_BLOCK, tile.rows - s)
        deltas = Units(work.deltas, layer[VALUES] * task.stride + s, task.stride)
        biases_gradient(
            lane, layer[UNITS], deltas, rows, work.gradient, g,
            (tile.row + s) % ACCUMULATION_BLOCK == 0,
        )  # fmt: skip
        s += rows
        _add_finished_block(lane, tile, work, tile.row + s, p, layer[UNITS])


@device_function(inline="always")
def layer_gradient(lane, group, tile, layer, x, scale):
    """Gradient of one layer, a few units at a time, and where it is fused their step.

    x : View of the layer's inputs.
    """
    one, height, task, work = (0,), unit_extent(lane), group.task, group.work
    inputs, units, nets = layer[INPUTS], layer[UNITS], trainable(task, group.state, work)
    u = 0
    while u < units:
        count = 1
        if units - u >= len(height):
            count = len(height)
            _sum_weights(lane, height, group, tile, layer, u, x)
        else:
            _sum_weights(lane, one, group, tile, layer, u, x)
        if task.fused:
            p = layer[WEIGHTS] + u * inputs
            step_weights(lane, task, nets, p, work.gradient, 0, count * inputs, scale)
        u += count
    if layer[BIASES] >= 0:
        _sum_biases(lane, group, tile, layer)
        if task.fused:
            step_others(lane, nets, layer[BIASES], work.gradient, 0, units, scale)


@device_function(inline="always")
def norm_gradient(lane, group, tile, layer, scale):
    """Back through a hidden layer's batch norm, with the gradients of its scales and shifts, and
    where they are fused their step."""
    if layer[SCALES] >= 0:
        task, work = group.task, group.work
        p = 0 if task.fused else layer[SCALES]
        sums = work.total if tile.batch_rows > ACCUMULATION_BLOCK else work.gradient
        normalise_back(
            lane, layer, group.state.params, work.deltas, work.normalised, work.deviations,
            task.stride, tile.rows, sums, p,
        )  # fmt: skip
        if task.fused:
            nets = trainable(task, group.state, work)
            step_others(lane, nets, layer[SCALES], sums, 0, 2 * layer[UNITS], scale)
