"""Lanes are rows: a tile of rows of one net, whose parameters are shared by the lanes.

A value holds L rows of a unit, so that a layer of any number of units fills the registers. What
runs along rows (forward, back, losses) is the code of `step`, `layers` and `losses`; "rows" there
are values of L rows. Gradients sum over rows, which must not cross lanes: they run along a layer's
inputs or along its units, whichever wastes less, over copies that stand row by row. What runs along
parameters, and batch norm, is one lane's code, over arrays of one lane: (positions, 1).

A tile is a whole chunk of a gradient, or a whole batch; so its sums begin from +0.
"""

from .batch_norm import normalise_back, normalise_batch, normalise_running
from .jit import body, inlined_body, outlined_body
from .lanes import (
    fetch,
    fetch_across,
    fetch_square,
    flat,
    in_lanes,
    lane_extent,
    load,
    net_of,
    row_extent,
    rows_of,
    splat,
    spread,
    store,
    store_tile,
    store_tile_across,
    unit_extent,
)
from .layers import activate, contract, deltas_layer
from .layout import (
    BIASES,
    CHUNK,
    CODE,
    IN_PLACE,
    INPUTS,
    LOSSES,
    SCALES,
    SCORE_ROWS,
    SCORES,
    UNITS,
    VALUES,
    WEIGHTS,
)
from .losses import RESIDUALS, clip_deltas, output_deltas, output_values, weigh_deltas
from .optimizers import CLIP_DELTA, LOSS_PARAMETER
from .random import drop
from .step import (
    add_chunk,
    add_weights,
    batch_scale,
    finish_batch,
    finish_weights,
    layer_values,
    measure,
)
from .sums import PARTIALS


@body
def _values(lane, count):
    """How many values hold so many numbers side by side."""
    return (count + rows_of(lane) - 1) // rows_of(lane)


@body
def _copy(lane, source, p, target, q, count):
    """Copy ``count`` numbers. source, target : shared."""
    net = net_of(lane)
    one, L, k = (0,), rows_of(lane), 0
    while k + L <= count:
        value = fetch_across(lane, source, p + k)
        store_tile_across(lane, target, q + k, 0, 1, L, one, one, (value,))
        k += L
    while k < count:
        store(net, target, q + k, fetch(net, source, p + k))
        k += 1


@body
def _rows_to_lanes(lane, source, width, count, target, stride, rows):
    """Turn ``rows`` rows of ``count`` numbers, ``width`` values apart, to stand in lanes.

    source : (rows * width, L). target : (count, padded, * stride, L).
    """
    L, numbers, extent = rows_of(lane), flat(source), lane_extent(lane)
    for s in range(_values(lane, rows)):
        for i in range(0, count, L):
            square = fetch_square(lane, numbers, s * L * width * L + i, width * L)
            store_tile(lane, target, i * stride + s, stride, 0, extent, (0,), square)


@body
def _lanes_to_rows(lane, source, p, stride, count, target, rows):
    """Turn ``count`` units of ``rows`` rows, from value p on, to stand row by row."""
    L, numbers, extent = rows_of(lane), flat(source), lane_extent(lane)
    width = _values(lane, count)
    for s in range(_values(lane, rows)):
        for u in range(width):
            square = fetch_square(lane, numbers, (p + u * L * stride + s) * L, stride * L)
            store_tile(lane, target, s * L * width + u, width, 0, extent, (0,), square)


@body
def _bring(lane, task, X, y, w, weighted, ordering, order, first, rows, work):
    """Rows of a tile to where they are computed: inputs row by row and in lanes, the rest in lanes.

    X : (n * I,). y : (n * O,). w : (n,). order : (1, n).
    """
    net = net_of(lane)
    if work.brought[0] == first:  # the tile before: full batch
        return
    work.brought[0] = first if ordering == IN_PLACE else -1
    L, width = rows_of(lane), _values(lane, task.inputs)
    inputs, targets, weights = (
        flat(work.input_rows),
        flat(work.lane_targets),
        flat(work.lane_weights),
    )
    for s in range(rows):
        row = first + s
        if ordering != IN_PLACE:
            row = order[0, first + s]
        _copy(lane, X, row * task.inputs, inputs, s * width * L, task.inputs)
        for o in range(task.outputs):
            store(net, targets, o * task.stride * L + s, fetch(net, y, row * task.outputs + o))
        if weighted:
            store(net, weights, s, fetch(net, w, row))
    _rows_to_lanes(lane, work.input_rows, width, task.inputs, work.lane_inputs, task.stride, rows)


@body
def _measure_values(
    lane, task, weighted, scored, before, v, first, row, rows, parameter, work, sums
):
    """`measure` of ``rows`` values of rows, from value ``first`` of the tile on."""
    measure(
        lane, task, weighted, scored, before, work.values, v + first, rows, row + first,
        work.lane_targets, first, task.stride, 1, work.lane_weights, first, parameter,
        in_lanes(lane, sums),
    )  # fmt: skip


@outlined_body
def _measure_rows(lane, task, weighted, scored, before, v, row, rows, parameter, work):
    """Losses and scores of a tile, added to the partial sums; lanes behind the last row are not."""
    net = net_of(lane)
    L = rows_of(lane)
    whole, left, start = rows // L, rows % L, row // L
    _measure_values(
        lane, task, weighted, scored, before, v, 0, start, whole, parameter, work, work.sums
    )
    if left > 0:
        for k in range(len(work.sums)):
            store(net, work.tail_sums, k, load(net, work.sums, k))
        _measure_values(
            lane, task, weighted, scored, before, v, whole, start, 1, parameter, work,
            work.tail_sums,
        )  # fmt: skip
        p = (start + whole) * L % PARTIALS
        counts = task.outputs if task.score == RESIDUALS else 1
        for q in range(p, p + left):
            store(net, work.sums, LOSSES + q, load(net, work.tail_sums, LOSSES + q))
            if scored:
                for k in range(SCORES + q, SCORES + q + counts * SCORE_ROWS, SCORE_ROWS):
                    store(net, work.sums, k, load(net, work.tail_sums, k))


@inlined_body
def _layer(lane, task, layers, k, params, work, rows):
    layer_values(
        lane, task, layers, k, work.lane_inputs, 0, task.stride, 1, flat(params), work,
        _values(lane, rows),
    )  # fmt: skip


@outlined_body
def _normalise(lane, task, layer, params, work, stride, rows):
    """Batch norm of a layer in training."""
    net = net_of(lane)
    normalise_batch(
        net, layer, params, in_lanes(net, work.values), in_lanes(net, work.normalised),
        work.deviations, work.partials, stride, rows,
    )  # fmt: skip


@body
def _forward(lane, task, layers, state, work, epoch, position, rows):
    """All layers of a tile, with batch norm by the tile and with dropout."""
    L, values = rows_of(lane), _values(lane, rows)
    for k in range(len(layers)):
        layer = layers[k]
        v = layer[VALUES] * task.stride
        _layer(lane, task, layers, k, state.params, work, rows)
        if layer[SCALES] >= 0:
            _normalise(lane, task, layer, state.params, work, task.stride * L, rows)
            activate(
                lane, layer[CODE], work.values, work.deltas, v, task.stride, layer[UNITS], values
            )
        if task.drops and k + 1 < len(layers):
            drop(
                lane, flat(state.dropout), k + 1, state.seeds, epoch, position, True,
                work.values, work.deltas, v, task.stride, layer[UNITS], values,
            )  # fmt: skip


@body
def _back(lane, task, layers, state, work, rows, batch_rows):
    """From the deltas of the outputs to those of the first layer."""
    net = net_of(lane)
    L, values = rows_of(lane), _values(lane, rows)
    limit = splat(lane, load(net, state.rates, CLIP_DELTA))
    for k in range(len(layers) - 1, 0, -1):
        layer, lower = layers[k], layers[k - 1]
        below = lower[VALUES] * task.stride
        deltas_layer(
            lane, flat(state.params), layer[WEIGHTS], layer[INPUTS], layer[UNITS],
            work.deltas, layer[VALUES] * task.stride, below, task.stride, values,
        )  # fmt: skip
        if task.clips_deltas:
            clip_deltas(
                lane, limit, task.weighted, work.lane_weights, 0, work.deltas, below, task.stride,
                lower[UNITS], values,
            )  # fmt: skip
        if lower[SCALES] >= 0:
            sums = work.total if batch_rows > CHUNK else work.gradient
            normalise_back(
                net, lower, state.params, in_lanes(net, work.deltas),
                in_lanes(net, work.normalised), work.deviations, task.stride * L, rows, sums,
                lower[SCALES],
            )  # fmt: skip


@body
def _along_inputs(lane, first, deltas, d, unit, rows_below, r, width, inputs, rows, gradient, g):
    """Gradient of the weights into a strip of units, inputs in lanes.

    deltas, gradient : shared. rows_below : (rows * width, L).
    """
    one, extent = (0,), row_extent(lane)
    zeros, units = spread((splat(lane, 0.0),), first), len(first)
    L, i = rows_of(lane), 0
    while i + len(extent) <= width:
        total = contract(
            lane, first, extent, spread(zeros, extent),
            deltas, d, 1, unit, rows_below, r + i, width, 1, rows,
        )  # fmt: skip
        store_tile_across(
            lane, gradient, g + i * L, inputs, units, inputs - i * L, first, extent, total
        )
        i += len(extent)
    while i < width:
        total = contract(
            lane, first, one, zeros, deltas, d, 1, unit, rows_below, r + i, width, 1, rows
        )
        store_tile_across(
            lane, gradient, g + i * L, inputs, units, inputs - i * L, first, one, total
        )
        i += 1


@body
def _along_units(lane, first, below, x, unit, delta_rows, r, width, rows, strip, p):
    """Gradient of the weights out of a strip of inputs, units in lanes.

    below : shared. delta_rows : (rows * width, L). strip : (inputs * width, L).
    """
    one, extent = (0,), row_extent(lane)
    zeros, u = spread((splat(lane, 0.0),), first), 0
    while u + len(extent) <= width:
        total = contract(
            lane, first, extent, spread(zeros, extent),
            below, x, 1, unit, delta_rows, r + u, width, 1, rows,
        )  # fmt: skip
        store_tile(lane, strip, p + u, width, 1, first, extent, total)
        u += len(extent)
    while u < width:
        total = contract(
            lane, first, one, zeros, below, x, 1, unit, delta_rows, r + u, width, 1, rows
        )
        store_tile(lane, strip, p + u, width, 1, first, one, total)
        u += 1


@body
def _turn_strip(lane, strip, inputs, units, gradient, g):
    """A gradient with units in lanes to where it belongs. strip : (inputs * width, L)."""
    L, width, numbers, extent = rows_of(lane), _values(lane, units), flat(strip), lane_extent(lane)
    for i in range(0, inputs, L):
        for u in range(0, units, L):
            square = fetch_square(lane, numbers, i * width * L + u, width * L)
            store_tile_across(
                lane, gradient, g + u * inputs + i, inputs, units - u, inputs - i, extent, (0,),
                square,
            )  # fmt: skip


@body
def _biases(lane, units, delta_rows, r, rows, gradient, g):
    """Gradient of ``units`` biases. delta_rows : (rows * width, L). gradient : shared."""
    one, L, width = (0,), rows_of(lane), _values(lane, units)
    for u in range(width):
        total = splat(lane, 0.0)
        for s in range(rows):
            total = total + load(lane, delta_rows, r + s * width + u)
        store_tile_across(lane, gradient, g + u * L, 0, 1, units - u * L, one, one, (total,))


@body
def _is_along_inputs(lane, layer):
    """Whether a layer's gradient takes fewer operations along its inputs than along its units, with
    four more for each value of deltas to turn them, and the gradient."""
    inputs, units = layer[INPUTS], layer[UNITS]
    return units * _values(lane, inputs) <= (inputs + 4) * _values(lane, units)


@body
def _layer_gradient(lane, task, layer, below, x, rows_below, work, first, rows):
    """Gradient sums of one layer over a chunk: ``rows`` rows of the tile from ``first`` on.

    below : its inputs in lanes, from value x on. rows_below : the same row by row.
    """
    one, extent, L = (0,), unit_extent(lane), rows_of(lane)
    inputs, units, unit = layer[INPUTS], layer[UNITS], task.stride * L
    gradient, of_inputs, of_units = flat(work.gradient), _values(lane, inputs), _values(lane, units)
    if _is_along_inputs(lane, layer):
        deltas, u = flat(work.deltas), 0
        while u < units:
            d, g = (layer[VALUES] + u) * unit + first, layer[WEIGHTS] + u * inputs
            r = first * of_inputs
            if u + len(extent) <= units:
                _along_inputs(
                    lane, extent, deltas, d, unit, rows_below, r, of_inputs, inputs, rows,
                    gradient, g,
                )  # fmt: skip
                u += len(extent)
            else:
                _along_inputs(
                    lane, one, deltas, d, unit, rows_below, r, of_inputs, inputs, rows,
                    gradient, g,
                )  # fmt: skip
                u += 1
    else:
        values, i = flat(below), 0
        while i < inputs:
            p, r = x * L + i * unit + first, first * of_units
            if i + len(extent) <= inputs:
                _along_units(
                    lane, extent, values, p, unit, work.delta_rows, r, of_units, rows, work.strip,
                    i * of_units,
                )  # fmt: skip
                i += len(extent)
            else:
                _along_units(
                    lane, one, values, p, unit, work.delta_rows, r, of_units, rows, work.strip,
                    i * of_units,
                )  # fmt: skip
                i += 1
        _turn_strip(lane, work.strip, inputs, units, gradient, layer[WEIGHTS])
    if layer[BIASES] >= 0:
        _biases(lane, units, work.delta_rows, first * of_units, rows, gradient, layer[BIASES])


@body
def _gradient(lane, task, layers, work, row, rows, batch_rows):
    """Gradient sums of all layers, chunk by chunk."""
    net = net_of(lane)
    for k in range(len(layers)):
        layer = layers[k]
        p = layer[WEIGHTS]
        count = layer[INPUTS] * layer[UNITS] + (layer[UNITS] if layer[BIASES] >= 0 else 0)
        v = layer[VALUES] * task.stride
        along_inputs = layer[UNITS] * _values(lane, layer[INPUTS]) <= layer[INPUTS] * _values(
            lane, layer[UNITS]
        )
        if layer[BIASES] >= 0 or not along_inputs:
            _lanes_to_rows(lane, work.deltas, v, task.stride, layer[UNITS], work.delta_rows, rows)
        x = 0
        if k > 0:
            x = layers[k - 1][VALUES] * task.stride
            if along_inputs:
                _lanes_to_rows(
                    lane, work.values, x, task.stride, layer[INPUTS], work.value_rows, rows
                )
        for first in range(0, rows, CHUNK):  # several where batch norm makes a batch one tile
            part = min(CHUNK, rows - first)
            if k == 0:
                _layer_gradient(
                    lane, task, layer, work.lane_inputs, x, work.input_rows, work, first, part
                )
            else:
                _layer_gradient(
                    lane, task, layer, work.values, x, work.value_rows, work, first, part
                )
            if batch_rows > CHUNK:
                add_chunk(net, work.gradient, work.total, p, count, row + first == 0)


@body
def train_rows(
    lane, task, layers, ordering, data, state, work, epoch, first, row, rows, batch_rows, measured,
    scored,
):  # fmt: skip
    """Train on a tile of rows, from ``first`` of the epoch's order and ``row`` of its batch on.

    Where the batch ends, with its step.
    """
    net = net_of(lane)
    last, values = row + rows == batch_rows, _values(lane, rows)
    _bring(
        lane, task, data.X, data.y, data.weights, task.weighted, ordering, work.order, first, rows,
        work,
    )  # fmt: skip
    if task.drops_inputs:
        work.brought[0] = -1
        drop(
            lane, flat(state.dropout), 0, state.seeds, epoch, first, False, work.lane_inputs,
            work.lane_inputs, 0, task.stride, task.inputs, values,
        )  # fmt: skip
        _lanes_to_rows(lane, work.lane_inputs, 0, task.stride, task.inputs, work.input_rows, rows)
    if task.weighted:
        add_weights(net, in_lanes(net, work.lane_weights), 0, row, rows, work.sums)
        if last:
            finish_weights(net, work.sums)
    _forward(lane, task, layers, state, work, epoch, first, rows)
    end = layers[len(layers) - 1]
    v = end[VALUES] * task.stride
    parameter = splat(lane, load(net, state.rates, LOSS_PARAMETER))
    if measured:
        _measure_rows(lane, task, task.weighted, scored, True, v, row, rows, parameter, work)
    output_values(lane, task.output, work.values, work.deltas, v, task.stride, task.outputs, values)
    if measured:
        _measure_rows(lane, task, task.weighted, scored, False, v, row, rows, parameter, work)
    output_deltas(
        lane, task.output, task.loss, parameter, work.values, work.deltas, v, task.stride,
        task.outputs, values, work.lane_targets, 0, task.stride, 1,
    )  # fmt: skip
    if task.clips_deltas:
        limit = splat(lane, load(net, state.rates, CLIP_DELTA))
        clip_deltas(
            lane, limit, 0, work.lane_weights, 0, work.deltas, v, task.stride, task.outputs, values
        )
    if task.weighted:
        weigh_deltas(lane, work.lane_weights, 0, work.deltas, v, task.stride, task.outputs, values)
    _back(lane, task, layers, state, work, rows, batch_rows)
    _gradient(lane, task, layers, work, row, rows, batch_rows)
    if last:
        scale = batch_scale(net, task, batch_rows, work.sums)
        finish_batch(net, task, layers, state, work, batch_rows, scale)


@outlined_body
def validate_rows(lane, task, layers, X, y, w, weighted, params, parameter, first, rows, work):
    """Losses and scores of rows ``first`` to ``first + rows``, added to the partial sums."""
    net = net_of(lane)
    L, values = rows_of(lane), _values(lane, rows)
    work.brought[0] = -1  # other rows of the same number
    _bring(lane, task, X, y, w, weighted, IN_PLACE, work.order, first, rows, work)
    work.brought[0] = -1
    for k in range(len(layers)):
        layer = layers[k]
        v = layer[VALUES] * task.stride
        _layer(lane, task, layers, k, params, work, rows)
        if layer[SCALES] >= 0:
            normalise_running(net, layer, params, in_lanes(net, work.values), task.stride * L, rows)
            activate(
                lane, layer[CODE], work.values, work.deltas, v, task.stride, layer[UNITS], values
            )
    v, p = layers[len(layers) - 1][VALUES] * task.stride, splat(lane, parameter)
    _measure_rows(lane, task, weighted, True, True, v, first, rows, p, work)
    output_values(lane, task.output, work.values, work.deltas, v, task.stride, task.outputs, values)
    _measure_rows(lane, task, weighted, True, False, v, first, rows, p, work)
    if weighted:
        add_weights(net, in_lanes(net, work.lane_weights), 0, first, rows, work.sums)
