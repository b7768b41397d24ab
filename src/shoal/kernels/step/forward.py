"""Forward: the values of a tile's layers, in training and in a prediction."""

from ..code.compilation import device_function
from ..codes import IDENTITY
from ..lanes.views import Units, View
from ..layout import BIASES, CODE, INPUTS, SCALES, UNITS, VALUES, WEIGHTS
from .activations import activate
from .batch_norm import normalise_batch, normalise_running
from .layers import forward_layer
from .random import Dropout, drop


@device_function(inline="always")
def units_of(task, layer, array):
    """The layer's units in an array of values or deltas."""
    return Units(array, layer[VALUES] * task.stride, task.stride)


@device_function(inline="always")
def matrix_of(task, layer, array):
    """The same as a matrix: k is a unit, j a row."""
    return View(array, layer[VALUES] * task.stride, task.stride, 1)


@device_function(inline="always")
def layer_values(lane, task, layers, k, x, params, work, start, stop, rows):
    """Values of units ``start`` to ``stop`` of layer k; weighted sums, where batch norm or the
    output's function are to come. x : View of the net's inputs."""
    layer = layers[k]
    hidden = k + 1 < len(layers) and layer[SCALES] < 0
    code = layer[CODE] if hidden else IDENTITY
    inputs, count = layer[INPUTS], stop - start
    weights = Units(params, layer[WEIGHTS] + start * inputs, inputs)
    biases = layer[BIASES] + start if layer[BIASES] >= 0 else -1
    values = Units(work.values, (layer[VALUES] + start) * task.stride, task.stride)
    slopes = work.deltas
    if k == 0:
        forward_layer(lane, x, weights, biases, inputs, count, code, values, slopes, rows)
    else:
        below = matrix_of(task, layers[k - 1], work.values)
        forward_layer(lane, below, weights, biases, inputs, count, code, values, slopes, rows)


@device_function(inline="always", over_layers=True)
def forward(lane, task, layers, first_layer, x, params, work, rows):
    """The layers of a tile from ``first_layer`` on as a prediction has them; the output layer's
    weighted sums are left as they are."""
    for k in range(first_layer, len(layers)):
        layer_values(lane, task, layers, k, x, params, work, 0, layers[k, UNITS], rows)
        finish_values(lane, task, layers[k], params, work, rows)


@device_function(inline="always")
def finish_values(lane, task, layer, params, work, rows):
    """Weighted sums of a layer with batch norm become values, as a prediction has them."""
    if layer[SCALES] >= 0:
        normalise_running(lane, layer, params, work.values, task.stride, rows)
        values = units_of(task, layer, work.values)
        activate(lane, layer[CODE], values, work.deltas, layer[UNITS], rows)


@device_function(inline="always", over_layers=True)
def forward_training(lane, group, tile, x):
    """All layers of a tile, with batch norm by the tile and with dropout. x : View."""
    task, layers, state, work = group.task, group.layers, group.state, group.work
    for k in range(len(layers)):
        layer = layers[k]
        layer_values(lane, task, layers, k, x, state.params, work, 0, layer[UNITS], tile.rows)
        values = units_of(task, layer, work.values)
        if layer[SCALES] >= 0:
            normalise_batch(
                lane, layer, state.params, work.values, work.normalised, work.deviations,
                work.partials, task.stride, tile.rows,
            )  # fmt: skip
            activate(lane, layer[CODE], values, work.deltas, layer[UNITS], tile.rows)
        if task.drops and k + 1 < len(layers):
            dropout = Dropout(state.dropout, state.seeds, tile.epoch, tile.position)
            drop(lane, dropout, k + 1, values, work.deltas, True, 0, layer[UNITS], tile.rows)
