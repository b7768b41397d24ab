"""A thread's part of a tile of one net, whose rows are in lanes: forward, back, gradients."""

from ..code.compilation import device_function
from ..codes import IDENTITY
from ..lanes.access import load
from ..lanes.primitives import broadcast
from ..lanes.shapes import flat, in_lanes, net_of, rows_per_vector
from ..lanes.views import Units, View
from ..layout import (
    ACCUMULATION_BLOCK,
    BIASES,
    CLIP_DELTA,
    CODE,
    INPUTS,
    LOSS_PARAMETER,
    SCALES,
    UNITS,
    VALUES,
    WEIGHTS,
)
from ..step.activations import activate
from ..step.batch_norm import normalise_back, normalise_batch
from ..step.forward import layer_values, units_of
from ..step.layers import deltas_layer
from ..step.losses import clip_deltas, output_values
from ..step.random import Dropout, drop
from ..step.tile import finish_deltas
from .gradients import is_along_inputs, row_by_row, weights_part
from .loading import load_inputs, load_targets
from .measuring import measure_rows, outputs_of
from .panels import deltas_to_panels, panels_of, values_by_panels
from .team import UNITS_OF_A_SHARE, share_of, wait_for
from .transposes import lanes_to_rows, vectors_of


@device_function(inline="never")
def _normalise(lane, task, layer, params, work, rows):
    """Batch norm of a layer in training."""
    net = net_of(lane)
    normalise_batch(
        net, layer, params, in_lanes(net, work.values), in_lanes(net, work.normalised),
        work.deviations, work.partials, task.stride * rows_per_vector(lane), rows,
    )  # fmt: skip


@device_function
def first_values_by_panels(lane, task, layers, X, params, work, start, stop, rows):
    """Values of units of a first layer in panels; weighted sums, where batch norm is to come."""
    layer = layers[0]
    hidden = len(layers) > 1 and layer[SCALES] < 0
    code = layer[CODE] if hidden else IDENTITY
    values_by_panels(lane, task, layer, code, X, params, work, start, stop, rows)


@device_function(inline="always", over_layers=True)
def _forward(lane, group, tile, slot, share):
    """A part of the units of each layer, with batch norm by the tile and with dropout."""
    task, layers, state, work = group.task, group.layers, group.state, group.work
    vectors = vectors_of(lane, tile.rows)
    x = View(work.lane_inputs, slot.inputs, task.stride, 1)
    for k in range(len(layers)):
        layer = layers[k]
        u, stop = share_of(share, layer[UNITS], UNITS_OF_A_SHARE)
        if k == 0 and task.panels:
            u, stop = panels_of(lane, share, layer[UNITS])
            first_values_by_panels(
                lane, task, layers, group.data.training.X, state.params, work, u, stop, tile.rows
            )
        else:
            layer_values(lane, task, layers, k, x, flat(state.params), work, u, stop, vectors)
        values = units_of(task, layer, work.values)
        if layer[SCALES] >= 0:
            _normalise(lane, task, layer, state.params, work, tile.rows)
            activate(lane, layer[CODE], values, work.deltas, layer[UNITS], vectors)
        if task.drops and k + 1 < len(layers):
            dropout = Dropout(flat(state.dropout), state.seeds, tile.epoch, tile.position)
            drop(lane, dropout, k + 1, values, work.deltas, True, u, stop, vectors)
        wait_for(work.own.team, share)


@device_function(inline="always")
def _finish_outputs(lane, group, tile, slot):
    """Outputs, their losses and their deltas."""
    net, task, state, work = net_of(lane), group.task, group.state, group.work
    outputs = outputs_of(lane, task, group.layers, work, slot, task.weighted, tile.row, tile.rows)
    parameter = broadcast(lane, load(net, state.rates, LOSS_PARAMETER))
    limit = broadcast(lane, load(net, state.rates, CLIP_DELTA))
    if tile.measured:
        measure_rows(lane, task, tile.scored, True, parameter, outputs, tile.rows, work)
    output_values(lane, outputs)
    if tile.measured:
        measure_rows(lane, task, tile.scored, False, parameter, outputs, tile.rows, work)
    finish_deltas(lane, task, parameter, limit, outputs)


@device_function(inline="always", over_layers=True)
def _back(lane, group, tile, slot, share):
    """Deltas, from the outputs' to those of the first layer, of a part of each layer's units."""
    task, layers, state, work = group.task, group.layers, group.state, group.work
    net, vectors, weights = net_of(lane), vectors_of(lane, tile.rows), flat(state.params)
    limit = broadcast(lane, load(net, state.rates, CLIP_DELTA))
    for k in range(len(layers) - 1, 0, -1):
        layer, lower = layers[k], layers[k - 1]
        u, stop = share_of(share, lower[UNITS], UNITS_OF_A_SHARE)
        deltas_layer(
            lane, Units(weights, layer[WEIGHTS], layer[INPUTS]), layer[UNITS],
            units_of(task, layer, work.deltas), units_of(task, lower, work.deltas), u, stop,
            vectors,
        )  # fmt: skip
        if task.clips_deltas:
            of_rows = Units(work.lane_weights, slot.weights, 0)
            part = Units(work.deltas, (lower[VALUES] + u) * task.stride, task.stride)
            clip_deltas(lane, limit, task.weighted, of_rows, part, stop - u, vectors)
        if lower[SCALES] >= 0:
            sums = work.total if tile.batch_rows > ACCUMULATION_BLOCK else work.gradient
            normalise_back(
                net, lower, state.params, in_lanes(net, work.deltas),
                in_lanes(net, work.normalised), work.deviations,
                task.stride * rows_per_vector(lane), tile.rows, sums, lower[SCALES],
            )  # fmt: skip
        wait_for(work.own.team, share)


@device_function(inline="always", over_layers=True)
def _transpose(lane, group, rows, share):
    """What gradients read row by row."""
    task, layers, work = group.task, group.layers, group.work
    for k in range(len(layers)):
        layer = layers[k]
        along_inputs = is_along_inputs(lane, task, layers, k)
        if k == 0 and task.panels:
            u, stop = panels_of(lane, share, layer[UNITS])
            deltas_to_panels(lane, task, layer, u, stop, rows, work)
        elif layer[BIASES] >= 0 or not along_inputs:
            lanes_to_rows(
                lane, units_of(task, layer, work.deltas), layer[UNITS], work.own.delta_rows,
                row_by_row(lane, layers, k, task.stride), rows,
            )  # fmt: skip
        if k > 0 and along_inputs:
            lanes_to_rows(
                lane, units_of(task, layers[k - 1], work.values), layer[INPUTS],
                work.own.value_rows, row_by_row(lane, layers, k - 1, task.stride), rows,
            )  # fmt: skip


@device_function(inline="always")
def take_part(lane, group, tile, slot, loads, share, added, gradient):
    """A thread's part of a tile: forward, back, gradients, and where they are fused the step.

    Each thread loads and transposes for itself what it reads.

    slot : Slot of the tile. loads : whether its rows are to be loaded. added : whether gradients
    are added to the batch's. gradient : where the thread's are stored.
    """
    task, state, work, ordering = group.task, group.state, group.work, group.ordering
    position, rows = tile.position, tile.rows
    if loads:
        samples = group.data.training
        load_inputs(lane, task, samples.X, ordering, position, rows, work, slot)
        load_targets(lane, task, samples, task.weighted, ordering, position, rows, work, slot)
    if task.drops_inputs:
        inputs = Units(work.lane_inputs, 0, task.stride)
        dropout = Dropout(flat(state.dropout), state.seeds, tile.epoch, position)
        drop(
            lane, dropout, 0, inputs, work.lane_inputs, False, 0, task.inputs,
            vectors_of(lane, rows),
        )  # fmt: skip
        lanes_to_rows(lane, inputs, task.inputs, work.own.input_rows, 0, rows)
    _forward(lane, group, tile, slot, share)
    if share.part == 0:
        _finish_outputs(lane, group, tile, slot)
    wait_for(work.own.team, share)
    _back(lane, group, tile, slot, share)
    _transpose(lane, group, rows, share)
    weights_part(lane, group, tile, slot, share, added, gradient)
    wait_for(work.own.team, share)
