"""One tile of rows, forward and back."""

from ..code.compilation import device_function
from ..lanes.access import load
from ..lanes.views import Units
from ..layout import CLIP_DELTA, INPUTS, LOSS_PARAMETER, UNITS, WEIGHTS
from .forward import forward_training, matrix_of, units_of
from .gradients import layer_gradient, norm_gradient
from .layers import deltas_layer
from .losses import (
    Outputs,
    clip_deltas,
    output_deltas,
    output_values,
    weigh_deltas,
)
from .scores import measure


@device_function(inline="always")
def finish_deltas(lane, task, parameter, limit, outputs):
    """Deltas of the outputs, clipped and weighted.

    parameter, limit : vectors. outputs : Outputs.
    """
    output_deltas(lane, parameter, outputs)
    values, rows = outputs.values, outputs.rows
    deltas = Units(outputs.deltas, values.start, values.step)
    if task.clips_deltas:
        clip_deltas(lane, limit, 0, outputs.weights, deltas, outputs.units, rows)
    if task.weighted:
        weigh_deltas(lane, outputs.weights, deltas, outputs.units, rows)


@device_function(inline="always", over_layers=True)
def train_tile(lane, group, tile, x, targets, weights, scale):
    """Forward and back over a tile of rows.

    x, targets : View. weights : Units, of the rows. scale : vector, what gradients are multiplied
    by where they are fused with the step.
    """
    task, layers, state, work = group.task, group.layers, group.state, group.work
    forward_training(lane, group, tile, x)
    last = len(layers) - 1
    outputs = Outputs(
        task.output, task.loss, task.outputs, units_of(task, layers[last], work.values),
        work.deltas, targets, weights, task.weighted, task.whole_losses, tile.rows, tile.row,
    )  # fmt: skip
    limit = load(lane, state.rates, CLIP_DELTA)
    parameter = load(lane, state.rates, LOSS_PARAMETER)
    if tile.measured:
        measure(lane, task.score, tile.scored, True, parameter, outputs, work.sums)
    output_values(lane, outputs)
    if tile.measured:
        measure(lane, task.score, tile.scored, False, parameter, outputs, work.sums)
    finish_deltas(lane, task, parameter, limit, outputs)
    for k in range(last, 0, -1):
        layer, lower = layers[k], layers[k - 1]
        below = units_of(task, lower, work.deltas)
        deltas_layer(
            lane, Units(state.params, layer[WEIGHTS], layer[INPUTS]), layer[UNITS],
            units_of(task, layer, work.deltas), below, 0, layer[INPUTS], tile.rows,
        )  # fmt: skip
        if task.clips_deltas:
            clip_deltas(lane, limit, task.weighted, weights, below, lower[UNITS], tile.rows)
        norm_gradient(lane, group, tile, lower, scale)
        layer_gradient(lane, group, tile, layer, matrix_of(task, lower, work.values), scale)
    layer_gradient(lane, group, tile, layers[0], x, scale)
