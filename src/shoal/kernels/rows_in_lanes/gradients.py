"""Gradients of one net, whose rows stand in lanes: sums over rows, which must not cross lanes.

So they run along a layer's inputs or along its units, whichever wastes less, over copies of inputs
or deltas that stand row by row. Threads divide the weights, never a sum.
"""

from ..code.compilation import device_function
from ..lanes.primitives import (
    fetch_square,
    flat,
    lane_extent,
    load,
    net_of,
    row_extent,
    rows_of,
    splat,
    spread,
    store_tile,
    store_tile_across,
    unit_extent,
)
from ..layout import BIASES, CHUNK, INPUTS, UNITS, VALUES, WEIGHTS
from ..step.layers import contract
from ..step.optimizers import SCALE
from ..step.tile import add_chunk, step_parameters
from .panels import AT_ONCE, biases_by_panels, gradient_by_panels, share_of_units
from .team import share
from .transposes import values_of


@device_function
def is_along_inputs(lane, task, layers, k):
    """Whether the gradient of layer k takes less time along its inputs than along its units.

    In multiply-adds of values: a square that is turned takes about as long as 64 of them.
    """
    layer, rows = layers[k], task.tile
    inputs, units = layer[INPUTS], layer[UNITS]
    of_inputs, of_units = values_of(lane, inputs), values_of(lane, units)
    squares = values_of(lane, rows)
    along_inputs = units * of_inputs * rows
    if k > 0:  # the values below are turned
        along_inputs += 64 * of_inputs * squares
    along_units = inputs * of_units * rows + 64 * of_inputs * of_units  # the gradient is turned
    if layer[BIASES] < 0:  # which take the turned deltas in any case
        along_units += 64 * of_units * squares
    return along_inputs <= along_units


@device_function
def turned(lane, layers, k, stride):
    """Where the units of layer k stand row by row."""
    before = 0
    for j in range(k):
        before += values_of(lane, layers[j, UNITS])
    return before * stride * rows_of(lane)


@device_function
def _along_inputs(lane, first, deltas, d, unit, below, r, width, inputs, rows, gradient, g):
    """Gradient of the weights into a strip of units, inputs in lanes.

    deltas, gradient : shared. below : (rows * width, L).
    """
    one, extent = (0,), row_extent(lane)
    zeros, units = spread((splat(lane, 0.0),), first), len(first)
    L, i = rows_of(lane), 0
    while i + len(extent) <= width:
        total = contract(
            lane, first, extent, spread(zeros, extent),
            deltas, d, 1, unit, below, r + i, width, 1, rows,
        )  # fmt: skip
        store_tile_across(
            lane, gradient, g + i * L, inputs, units, inputs - i * L, first, extent, total
        )
        i += len(extent)
    while i < width:
        total = contract(lane, first, one, zeros, deltas, d, 1, unit, below, r + i, width, 1, rows)
        store_tile_across(
            lane, gradient, g + i * L, inputs, units, inputs - i * L, first, one, total
        )
        i += 1


@device_function
def _units_along_inputs(lane, layer, stride, below, r, work, first, rows, start, stop, g):
    """Gradient of the weights into units ``start`` to ``stop``."""
    extent, L, inputs = unit_extent(lane), rows_of(lane), layer[INPUTS]
    deltas, gradient, width = flat(work.deltas), flat(work.gradient), values_of(lane, inputs)
    r += first * width
    u = start
    while u < stop:
        d = (layer[VALUES] + u) * stride * L + first
        if u + len(extent) <= stop:
            _along_inputs(
                lane, extent, deltas, d, stride * L, below, r, width, inputs, rows, gradient, g
            )
            u += len(extent)
            g += len(extent) * inputs
        else:
            _along_inputs(
                lane, (0,), deltas, d, stride * L, below, r, width, inputs, rows, gradient, g
            )
            u += 1
            g += inputs


@device_function
def _along_units(lane, first, below, x, unit, deltas, r, width, start, stop, rows, strip, p):
    """Gradient of the weights out of a strip of inputs, units in lanes.

    They go into units of values ``start`` to ``stop``, of ``width``.

    below : shared. deltas : (rows * width, L). strip : (inputs * width, L).
    """
    one, extent = (0,), row_extent(lane)
    zeros, u = spread((splat(lane, 0.0),), first), start
    while u + len(extent) <= stop:
        total = contract(
            lane, first, extent, spread(zeros, extent),
            below, x, 1, unit, deltas, r + u, width, 1, rows,
        )  # fmt: skip
        store_tile(lane, strip, p + u, width, 1, first, extent, total)
        u += len(extent)
    while u < stop:
        total = contract(lane, first, one, zeros, below, x, 1, unit, deltas, r + u, width, 1, rows)
        store_tile(lane, strip, p + u, width, 1, first, one, total)
        u += 1


@device_function
def _inputs_along_units(lane, layer, stride, below, x, r, work, first, rows, start, stop, g):
    """Gradient of the weights into units ``start`` to ``stop``, multiples of L."""
    extent, L, inputs, units = unit_extent(lane), rows_of(lane), layer[INPUTS], layer[UNITS]
    values, width = flat(below), values_of(lane, units)
    u0, u1 = start // L, values_of(lane, stop)
    r += first * width
    i = 0
    while i < inputs:
        p = (x + i * stride) * L + first
        if i + len(extent) <= inputs:
            _along_units(
                lane, extent, values, p, stride * L, work.own.delta_rows, r, width, u0, u1, rows,
                work.own.strip, i * width,
            )  # fmt: skip
            i += len(extent)
        else:
            _along_units(
                lane, (0,), values, p, stride * L, work.own.delta_rows, r, width, u0, u1, rows,
                work.own.strip, i * width,
            )  # fmt: skip
            i += 1
    numbers, gradient, extent = flat(work.own.strip), flat(work.gradient), lane_extent(lane)
    for i in range(0, inputs, L):
        for u in range(start, stop, L):
            square = fetch_square(lane, numbers, i * width * L + u, width * L)
            store_tile_across(
                lane, gradient, g + (u - start) * inputs + i, inputs, units - u, inputs - i,
                extent, (0,), square,
            )  # fmt: skip


@device_function
def _biases(lane, units, deltas, r, rows, gradient, g):
    """Gradient of ``units`` biases. deltas : (rows * width, L). gradient : shared."""
    one, L, width = (0,), rows_of(lane), values_of(lane, units)
    for u in range(width):
        total = splat(lane, 0.0)
        for s in range(rows):
            total = total + load(lane, deltas, r + s * width + u)
        store_tile_across(lane, gradient, g + u * L, 0, 1, units - u * L, one, one, (total,))


@device_function(inline="always")
def _finish(lane, task, state, work, p, g, count, at_once, chunked, is_first, weights):
    """After a gradient of ``count`` parameters: their step, or the sum of the chunks."""
    net = net_of(lane)
    if at_once:
        step_parameters(
            net, task, state.rates, work.step, state.params, p, work.gradient, g, state.moments,
            count, load(net, work.step, SCALE), weights,
        )  # fmt: skip
    elif chunked:
        add_chunk(net, work.gradient, p, work.total, p, count, is_first)


@device_function(inline="always")
def _panels_part(
    lane, task, layer, X, state, work, first, rows, at_once, chunked, is_first, slot, part, parts
):
    """A part of a first layer in panels, over a chunk as in `_layer_part`."""
    one, extent, L = (0,), row_extent(lane), rows_of(lane)
    inputs, height, gradient = layer[INPUTS], task.stride * L, flat(work.gradient)
    u, stop = share_of_units(lane, layer[UNITS], part, parts)
    if u < stop and layer[BIASES] >= 0:
        p = layer[BIASES] + u
        g = 0 if at_once else slot + p
        biases_by_panels(
            lane, work.own.delta_rows, first, height, u // L, stop // L, rows, gradient, g
        )
        _finish(lane, task, state, work, p, g, stop - u, at_once, chunked, is_first, False)
    u, stop = u // L, stop // L
    size = AT_ONCE // (len(extent) * L) if at_once else inputs
    while u < stop:
        count, r = len(extent) if u + len(extent) <= stop else 1, u * height + first
        for start in range(0, inputs, size):
            end = min(start + size, inputs)
            p = layer[WEIGHTS] + (u * inputs + start) * L
            g, step = slot + p, inputs * L
            if at_once:
                g, step = 0, (end - start) * L
            if count > 1:
                gradient_by_panels(
                    lane, extent, X, work, first, r, height, rows, start, end, gradient, g, step
                )
            else:
                gradient_by_panels(
                    lane, one, X, work, first, r, height, rows, start, end, gradient, g, step
                )
            for k in range(count):
                _finish(
                    lane, task, state, work, p + k * inputs * L, g + k * step,
                    (end - start) * L, at_once, chunked, is_first, True,
                )  # fmt: skip
        u += count


@device_function(inline="always")
def _layer_part(
    lane, task, layers, k, data, below, x, rows_below, r, state, work, first, rows, at_once,
    chunked, is_first, slot, part, parts,
):  # fmt: skip
    """A part of a layer's weights over a chunk: ``rows`` rows of the tile from ``first`` on.

    below : the layer's inputs in lanes, from value x on. rows_below : the same row by row, from
    value r on.
    """
    layer, L, stride = layers[k], rows_of(lane), task.stride
    inputs, units = layer[INPUTS], layer[UNITS]
    deltas = turned(lane, layers, k, stride)
    if k == 0 and task.panels:
        _panels_part(
            lane, task, layer, data.X, state, work, first, rows, at_once, chunked, is_first, slot,
            part, parts,
        )  # fmt: skip
        return
    if is_along_inputs(lane, task, layers, k):
        step = len(unit_extent(lane))
        u, stop = share(part, parts, units, step)
        size = units
        if units * inputs > AT_ONCE:
            size = max(step, AT_ONCE // inputs // step * step)
        while u < stop:
            end, p = min(u + size, stop), layer[WEIGHTS] + u * inputs
            g = 0 if at_once else slot + p
            _units_along_inputs(lane, layer, stride, rows_below, r, work, first, rows, u, end, g)
            _finish(
                lane, task, state, work, p, g, (end - u) * inputs, at_once, chunked, is_first, True
            )
            u = end
    else:
        u, stop = share(parts - 1 - part, parts, units, L)
        if u < stop:
            p = layer[WEIGHTS] + u * inputs
            g = 0 if at_once else slot + p
            _inputs_along_units(
                lane, layer, stride, below, x, deltas, work, first, rows, u, stop, g
            )
            _finish(
                lane, task, state, work, p, g, (stop - u) * inputs, at_once, chunked, is_first,
                True,
            )  # fmt: skip
    if layer[BIASES] >= 0 and (parts == 1 or k % parts == part):
        p = layer[BIASES]
        g = 0 if at_once else slot + p
        values = deltas + first * values_of(lane, units)
        _biases(lane, units, work.own.delta_rows, values, rows, flat(work.gradient), g)
        _finish(lane, task, state, work, p, g, units, at_once, chunked, is_first, False)


@device_function(inline="always")
def weights_part(
    lane, task, layers, data, state, work, x_inputs, r_inputs, row, rows, adds, slot, part, parts
):
    """A thread's part of all weights: gradient sums chunk by chunk, added to the batch's where
    ``adds``; and where a batch is one chunk the step.

    Inputs stand from value x_inputs on, row by row from r_inputs on. slot : where gradients begin.
    """
    at_once = steps_at_once(task)
    for k in range(len(layers)):
        for first in range(0, rows, CHUNK):  # several where batch norm makes a batch one tile
            count, is_first = min(CHUNK, rows - first), row + first == 0
            below, rows_below, x, r = work.lane_inputs, work.own.input_rows, x_inputs, r_inputs
            if k > 0:
                below, rows_below = work.values, work.own.value_rows
                x = layers[k - 1, VALUES] * task.stride
                r = turned(lane, layers, k - 1, task.stride)
            _layer_part(
                lane, task, layers, k, data, below, x, rows_below, r, state, work, first, count,
                at_once, adds, is_first, slot, part, parts,
            )  # fmt: skip


@device_function
def steps_at_once(task):
    """Whether parameters take their step as soon as their gradient is known."""
    return task.batch <= min(task.tile, CHUNK) and not task.clips_norm and not task.batch_norm
