"""One tile of rows: forward, back, and where a batch ends the step of all parameters."""

from ..code.compilation import device_function
from ..lanes.primitives import (
    fetch,
    like,
    load,
    rows_of,
    select,
    splat,
    store,
    unit_extent,
)
from ..layout import (
    BATCH_WEIGHT,
    BIASES,
    CHUNK,
    CODE,
    EPOCH_WEIGHT,
    INPUTS,
    ROW_WEIGHTS,
    SCALES,
    SCORE_ROWS,
    SCORES,
    UNITS,
    VALUES,
    WEIGHTS,
)
from .batch_norm import normalise_back, normalise_batch, normalise_running
from .layers import (
    IDENTITY,
    activate,
    bias_gradient,
    deltas_layer,
    forward_layer,
    gradient_strip,
)
from .losses import (
    CROSS_ENTROPY,
    POISSON,
    add_logit_losses,
    add_scores,
    add_value_losses,
    clip_deltas,
    output_deltas,
    output_values,
    weigh_deltas,
)
from .optimizers import (
    CLIP_DELTA,
    LOSS_PARAMETER,
    decay,
    norm_factor,
    penalise,
    rescale,
    update,
)
from .random import drop
from .sums import PARTIALS, combine


@device_function(inline="always")
def layer_values(
    lane, task, layers, k, x, x0, unit_step, row_step, params, work, first, last, rows
):
    """Values of units ``first`` to ``last`` of layer k; weighted sums, where batch norm or the
    output's function are to come."""
    layer = layers[k]
    hidden = k + 1 < len(layers) and layer[SCALES] < 0
    code = layer[CODE] if hidden else IDENTITY
    w, v = layer[WEIGHTS] + first * layer[INPUTS], (layer[VALUES] + first) * task.stride
    biases = layer[BIASES] + first if layer[BIASES] >= 0 else -1
    if k == 0:
        forward_layer(
            lane, x, x0, unit_step, row_step, params, w, biases, layer[INPUTS], last - first,
            code, work.values, work.deltas, v, task.stride, rows,
        )  # fmt: skip
    else:
        below = layers[k - 1][VALUES] * task.stride
        forward_layer(
            lane, work.values, below, task.stride, 1, params, w, biases, layer[INPUTS],
            last - first, code, work.values, work.deltas, v, task.stride, rows,
        )  # fmt: skip


@device_function(inline="always")
def forward(lane, task, layers, first, x, x0, unit_step, row_step, params, work, rows):
    """The layers of a tile from ``first`` on as a prediction has them; the output layer's weighted
    sums are left as they are."""
    for k in range(first, len(layers)):
        layer_values(
            lane, task, layers, k, x, x0, unit_step, row_step, params, work, 0, layers[k, UNITS],
            rows,
        )  # fmt: skip
        finish_values(lane, task, layers[k], params, work, rows)


@device_function(inline="always")
def finish_values(lane, task, layer, params, work, rows):
    """Weighted sums of a layer with batch norm become values, as a prediction has them."""
    if layer[SCALES] >= 0:
        normalise_running(lane, layer, params, work.values, task.stride, rows)
        activate(
            lane, layer[CODE], work.values, work.deltas, layer[VALUES] * task.stride,
            task.stride, layer[UNITS], rows,
        )  # fmt: skip


@device_function(inline="always")
def _forward_training(
    lane, task, layers, x, x0, unit_step, row_step, state, work, rows, epoch, position
):
    """All layers of a tile, with batch norm by the tile and with dropout."""
    for k in range(len(layers)):
        layer = layers[k]
        layer_values(
            lane, task, layers, k, x, x0, unit_step, row_step, state.params, work, 0, layer[UNITS],
            rows,
        )  # fmt: skip
        v = layer[VALUES] * task.stride
        if layer[SCALES] >= 0:
            normalise_batch(
                lane, layer, state.params, work.values, work.normalised, work.deviations,
                work.partials, task.stride, rows,
            )  # fmt: skip
            activate(
                lane, layer[CODE], work.values, work.deltas, v, task.stride, layer[UNITS], rows
            )
        if task.drops and k + 1 < len(layers):
            drop(
                lane, state.dropout, k + 1, state.seeds, epoch, position, True,
                work.values, work.deltas, v, task.stride, 0, layer[UNITS], rows,
            )  # fmt: skip


@device_function
def measure(
    lane, task, weighted, scored, before, values, v, rows, row, y, y0, y_unit, y_row, w, w0,
    parameter, sums,
):  # fmt: skip
    """Add a tile's losses and scores to the partial sums: ``before`` the weighted sums become
    outputs where the loss is one of these, else after.

    values : (positions, L). y : (positions, L) or shared. sums : (SCORES + ..., L).
    """
    of_sums = task.loss == CROSS_ENTROPY or task.loss == POISSON
    if before and of_sums:
        add_logit_losses(
            lane, task.output, task.loss, values, v, task.stride, task.outputs, rows, row,
            y, y0, y_unit, y_row, weighted, w, w0, sums,
        )  # fmt: skip
    if not before and not of_sums:
        add_value_losses(
            lane, task.loss, parameter, values, v, task.stride, task.outputs, rows, row,
            y, y0, y_unit, y_row, weighted, w, w0, sums,
        )  # fmt: skip
    if not before and scored:
        add_scores(
            lane, task.score, values, v, task.stride, task.outputs, rows, row,
            y, y0, y_unit, y_row, weighted, w, w0, SCORES // rows_of(lane),
            SCORE_ROWS // rows_of(lane), sums,
        )  # fmt: skip


@device_function(inline="always")
def step_parameters(
    lane, task, rates, step, params, p, gradient, g, moments, count, scale, weights
):
    """A step of ``count`` parameters from p, by their gradient sums from g."""
    if weights and task.penalised:
        penalise(lane, rates, params, p, gradient, g, count, scale)
        scale = splat(lane, 1.0)
    if weights and task.decays:
        decay(lane, rates, params, p, count)
    update(
        lane, task.optimizer, rates, step, params, p, gradient, g, moments, task.parameters, count,
        scale,
    )  # fmt: skip


@device_function(inline="never")
def add_chunk(lane, gradient, g, total, p, count, first):
    """Add a chunk's gradient sums, from g on, to the batch's. gradient, total : (P, L)."""
    for k in range(count):
        value = load(lane, gradient, g + k)
        if not first:
            value = load(lane, total, p + k) + value
        store(lane, total, p + k, value)


@device_function(inline="always")
def _weights_gradient(
    lane, extent, task, layer, u, x, x0, unit_step, row_step, work, row, rows, batch_rows, at_once
):
    """Gradient sums of the weights into a strip of units, chunk by chunk."""
    inputs = layer[INPUTS]
    p = layer[WEIGHTS] + u * inputs
    v = (layer[VALUES] + u) * task.stride
    g = 0 if at_once else p
    first = 0
    while first < rows:  # more than one turn only where batch norm makes a batch one tile
        part = min(CHUNK, rows - first)
        gradient_strip(
            lane, extent, x, x0 + first * row_step, unit_step, row_step, inputs,
            work.deltas, v + first, task.stride, part, work.gradient, g, (row + first) % CHUNK == 0,
        )  # fmt: skip
        first += part
        end = row + first
        if batch_rows > CHUNK and (end % CHUNK == 0 or end == batch_rows):
            add_chunk(lane, work.gradient, p, work.total, p, len(extent) * inputs, end <= CHUNK)


@device_function(inline="always")
def _biases_gradient(lane, task, layer, work, row, rows, batch_rows, at_once):
    """Gradient sums of a layer's biases, chunk by chunk."""
    p, v, units = layer[BIASES], layer[VALUES] * task.stride, layer[UNITS]
    g = 0 if at_once else p
    first = 0
    while first < rows:
        part = min(CHUNK, rows - first)
        bias_gradient(
            lane, units, work.deltas, v + first, task.stride, part, work.gradient, g,
            (row + first) % CHUNK == 0,
        )  # fmt: skip
        first += part
        end = row + first
        if batch_rows > CHUNK and (end % CHUNK == 0 or end == batch_rows):
            add_chunk(lane, work.gradient, p, work.total, p, units, end <= CHUNK)


@device_function(inline="always")
def _layer_gradient(
    lane, task, layer, x, x0, unit_step, row_step, state, work, row, rows, batch_rows, at_once,
    scale,
):  # fmt: skip
    """Gradient of one layer, strip by strip; where a batch is one tile, the step follows at once,
    while the strip is in the L1 cache."""
    one, extent = (0,), unit_extent(lane)
    inputs, units = layer[INPUTS], layer[UNITS]
    u = 0
    while u < units:
        count = 1
        if units - u >= len(extent):
            count = len(extent)
            _weights_gradient(
                lane, extent, task, layer, u, x, x0, unit_step, row_step, work, row, rows,
                batch_rows, at_once,
            )  # fmt: skip
        else:
            _weights_gradient(
                lane, one, task, layer, u, x, x0, unit_step, row_step, work, row, rows,
                batch_rows, at_once,
            )  # fmt: skip
        if at_once:
            step_parameters(
                lane, task, state.rates, work.step, state.params, layer[WEIGHTS] + u * inputs,
                work.gradient, 0, state.moments, count * inputs, scale, True,
            )  # fmt: skip
        u += count
    if layer[BIASES] >= 0:
        _biases_gradient(lane, task, layer, work, row, rows, batch_rows, at_once)
        if at_once:
            step_parameters(
                lane, task, state.rates, work.step, state.params, layer[BIASES],
                work.gradient, 0, state.moments, units, scale, False,
            )  # fmt: skip


@device_function(inline="always")
def _layer_back(lane, task, layer, state, work, rows, batch_rows, at_once, scale):
    """Through a hidden layer's batch norm, with the step of its scales and shifts."""
    if layer[SCALES] >= 0:
        p = 0 if at_once else layer[SCALES]
        sums = work.total if batch_rows > CHUNK else work.gradient
        normalise_back(
            lane, layer, state.params, work.deltas, work.normalised, work.deviations, task.stride,
            rows, sums, p,
        )  # fmt: skip
        if at_once:
            step_parameters(
                lane, task, state.rates, work.step, state.params, layer[SCALES], sums, 0,
                state.moments, 2 * layer[UNITS], scale, False,
            )  # fmt: skip


@device_function(inline="always")
def train_tile(
    lane, task, layers, x, x0, x_unit, x_row, y, y0, y_unit, y_row, w, w0,
    state, work, epoch, position, row, rows, batch_rows, measured, scored, at_once, scale,
):  # fmt: skip
    """Forward and back over a tile of rows that starts at ``row`` of its batch and at ``position``
    of its epoch.

    x, y, w : (positions, L), or shared (positions,).
    """
    _forward_training(lane, task, layers, x, x0, x_unit, x_row, state, work, rows, epoch, position)
    last = len(layers) - 1
    v = layers[last][VALUES] * task.stride
    parameter = load(lane, state.rates, LOSS_PARAMETER)
    if measured:
        measure(
            lane, task, task.weighted, scored, True, work.values, v, rows, row,
            y, y0, y_unit, y_row, w, w0, parameter, work.sums,
        )  # fmt: skip
    output_values(lane, task.output, work.values, work.deltas, v, task.stride, task.outputs, rows)
    if measured:
        measure(
            lane, task, task.weighted, scored, False, work.values, v, rows, row,
            y, y0, y_unit, y_row, w, w0, parameter, work.sums,
        )  # fmt: skip
    output_deltas(
        lane, task.output, task.loss, parameter, work.values, work.deltas, v, task.stride,
        task.outputs, rows, y, y0, y_unit, y_row,
    )  # fmt: skip
    limit = load(lane, state.rates, CLIP_DELTA)
    if task.clips_deltas:
        clip_deltas(lane, limit, 0, w, w0, work.deltas, v, task.stride, task.outputs, rows)
    if task.weighted:
        weigh_deltas(lane, w, w0, work.deltas, v, task.stride, task.outputs, rows)
    for k in range(last, 0, -1):
        layer, lower = layers[k], layers[k - 1]
        v, below = layer[VALUES] * task.stride, lower[VALUES] * task.stride
        deltas_layer(
            lane, state.params, layer[WEIGHTS], layer[INPUTS], layer[UNITS],
            work.deltas, v, below, task.stride, 0, layer[INPUTS], rows,
        )  # fmt: skip
        if task.clips_deltas:
            clip_deltas(
                lane, limit, task.weighted, w, w0, work.deltas, below, task.stride, lower[UNITS],
                rows,
            )  # fmt: skip
        _layer_back(lane, task, lower, state, work, rows, batch_rows, at_once, scale)
        _layer_gradient(
            lane, task, layer, work.values, below, task.stride, 1,
            state, work, row, rows, batch_rows, at_once, scale,
        )  # fmt: skip
    _layer_gradient(
        lane, task, layers[0], x, x0, x_unit, x_row,
        state, work, row, rows, batch_rows, at_once, scale,
    )  # fmt: skip


@device_function(inline="never")
def finish_batch(lane, task, layers, state, work, batch_rows, scale):
    """A step of all parameters, from the sums of a batch of several tiles."""
    sums = work.total if batch_rows > CHUNK else work.gradient
    if task.clips_norm:
        for k in range(len(layers)):
            layer = layers[k]
            p, count = layer[WEIGHTS], layer[INPUTS] * layer[UNITS]
            end = layers[k + 1][WEIGHTS] if k + 1 < len(layers) else task.parameters
            if task.penalised:
                penalise(lane, state.rates, state.params, p, sums, p, count, scale)
            else:
                rescale(lane, sums, p, count, scale)
            rescale(lane, sums, p + count, end - p - count, scale)
        scale = norm_factor(lane, state.rates, sums, task.parameters, work.partials)
    for k in range(len(layers)):
        layer = layers[k]
        p, count = layer[WEIGHTS], layer[INPUTS] * layer[UNITS]
        end = layers[k + 1][WEIGHTS] if k + 1 < len(layers) else task.parameters
        if task.penalised and not task.clips_norm:
            penalise(lane, state.rates, state.params, p, sums, p, count, scale)
        if task.decays:
            decay(lane, state.rates, state.params, p, count)
        factor = splat(lane, 1.0) if task.penalised and not task.clips_norm else scale
        update(
            lane, task.optimizer, state.rates, work.step, state.params, p, sums, p,
            state.moments, task.parameters, count, factor,
        )  # fmt: skip
        p += count
        update(
            lane, task.optimizer, state.rates, work.step, state.params, p, sums, p,
            state.moments, task.parameters, end - p, scale,
        )  # fmt: skip


@device_function
def add_weights(lane, w, w0, row, rows, sums):
    """Add the row weights of a tile to the batch's partial sums."""
    for s in range(rows):
        k = ROW_WEIGHTS + (row + s) % PARTIALS
        store(lane, sums, k, load(lane, sums, k) + fetch(lane, w, w0 + s))


@device_function
def finish_weights(lane, sums):
    """Sum of a batch's row weights, added to the epoch's."""
    total = combine(lane, sums, ROW_WEIGHTS)
    store(lane, sums, BATCH_WEIGHT, total)
    store(lane, sums, EPOCH_WEIGHT, load(lane, sums, EPOCH_WEIGHT) + total)


@device_function
def batch_scale(lane, task, batch_rows, sums):
    """What the reduction multiplies a batch's gradient by."""
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    if not task.mean:
        return one
    if task.weighted:
        total = load(lane, sums, BATCH_WEIGHT)
        return select(total > zero, one / total, zero)
    return one / like(zero, batch_rows)
