"""Gradients of one net, whose rows are in lanes: sums over rows, which must not cross lanes.

So they run along a layer's inputs or along its units, whichever wastes less, over copies of inputs
or deltas that are row by row. Threads divide the weights, never a sum.
"""

from typing import NamedTuple

from ..code.compilation import device_function
from ..lanes.access import load, load_square, store_some, store_tile, store_tile_across
from ..lanes.primitives import broadcast, repeat
from ..lanes.shapes import flat, lane_extent, row_extent, rows_per_vector, unit_extent
from ..lanes.views import Units, across, from_row, from_unit
from ..layout import ACCUMULATION_BLOCK, BIASES, INPUTS, SCALE, UNITS, VALUES, WEIGHTS
from ..step.gradients import add_block
from ..step.layers import contract
from ..step.optimizers import flat_trainable, step_others, step_weights
from .panels import FUSED_WEIGHTS, biases_by_panels, gradient_by_panels, panels_of
from .team import Share, share_of
from .transposes import vectors_of


class Block(NamedTuple):
    """Rows of a tile that are an accumulation block, and what becomes of their gradient."""

    start: int  # the first row's number in the tile
    rows: int
    is_first: bool  # of its batch
    added: bool  # whether its sums are added to the batch's
    gradient: int  # where the gradient of parameter 0 is stored, unless it is fused


class LayerInputs(NamedTuple):
    """Inputs of a layer for the rows of a tile."""

    in_lanes: Units  # of (positions, L)
    by_row: Units  # of (positions, L): a line of vectors of inputs for each row


@device_function
def is_along_inputs(lane, task, layers, k):
    """Whether the gradient of layer k takes less time along its inputs than along its units.

    In multiply-adds of vectors: a square that is transposed takes about as long as 64 of them.
    """
    layer, rows = layers[k], task.tile
    inputs, units = layer[INPUTS], layer[UNITS]
    of_inputs, of_units = vectors_of(lane, inputs), vectors_of(lane, units)
    squares = vectors_of(lane, rows)
    along_inputs = units * of_inputs * rows
    if k > 0:  # the values below are transposed
        along_inputs += 64 * of_inputs * squares
    # the gradient is transposed
    along_units = inputs * of_units * rows + 64 * of_inputs * of_units
    if layer[BIASES] < 0:  # which take the transposed deltas in any case
        along_units += 64 * of_units * squares
    return along_inputs <= along_units


@device_function
def row_by_row(lane, layers, k, stride):
    """Where the units of layer k are row by row: a vector of `value_rows` and of `delta_rows`."""
    before = 0
    for j in range(k):
        before += vectors_of(lane, layers[j, UNITS])
    return before * stride * rows_per_vector(lane)


@device_function
def _few_units_along_inputs(lane, height, deltas, below, inputs, rows, gradient, g):
    """Gradient of the weights into a few units, inputs in lanes.

    deltas : Units of a shared array. below : Units, a line of vectors of inputs for each row.
    gradient : shared, from g on.
    """
    one, width = (0,), row_extent(lane)
    zeros, units = repeat((broadcast(lane, 0.0),), height), len(height)
    L, i, vectors = rows_per_vector(lane), 0, below.step
    while i + len(width) <= vectors:
        total = contract(
            lane, height, width, repeat(zeros, width), across(deltas), from_row(below, i), rows
        )
        store_tile_across(
            lane, gradient, g + i * L, inputs, units, inputs - i * L, height, width, total
        )
        i += len(width)
    while i < vectors:
        total = contract(lane, height, one, zeros, across(deltas), from_row(below, i), rows)
        store_tile_across(
            lane, gradient, g + i * L, inputs, units, inputs - i * L, height, one, total
        )
        i += 1


@device_function
def _along_inputs(lane, task, layer, below, work, block, start, stop, g):
    """Gradient of the weights into units ``start`` to ``stop``, inputs in lanes."""
    height, inputs, step = unit_extent(lane), layer[INPUTS], task.stride * rows_per_vector(lane)
    gradient, numbers = flat(work.gradient), flat(work.deltas)
    rows_below = from_unit(below, block.start)
    u = start
    while u < stop:
        deltas = Units(numbers, (layer[VALUES] + u) * step + block.start, step)
        if u + len(height) <= stop:
            _few_units_along_inputs(
                lane, height, deltas, rows_below, inputs, block.rows, gradient, g
            )
            u += len(height)
            g += len(height) * inputs
        else:
            _few_units_along_inputs(lane, (0,), deltas, rows_below, inputs, block.rows, gradient, g)
            u += 1
            g += inputs


@device_function
def _few_inputs_along_units(lane, height, below, deltas, start, stop, rows, target, p):
    """Gradient of the weights out of a few inputs, units in lanes: into the units of vectors
    ``start`` to ``stop``.

    below : Units of a shared array. deltas : Units of (positions, L), a line of vectors of units
    for each row. target : (inputs * vectors, L).
    """
    one, width = (0,), row_extent(lane)
    zeros, u, vectors = repeat((broadcast(lane, 0.0),), height), start, deltas.step
    while u + len(width) <= stop:
        total = contract(
            lane, height, width, repeat(zeros, width), across(below), from_row(deltas, u), rows
        )
        store_tile(lane, target, p + u, vectors, 1, height, width, total)
        u += len(width)
    while u < stop:
        total = contract(lane, height, one, zeros, across(below), from_row(deltas, u), rows)
        store_tile(lane, target, p + u, vectors, 1, height, one, total)
        u += 1


@device_function
def _along_units(lane, layer, below, deltas, work, block, start, stop, g):
    """Gradient of the weights into units ``start`` to ``stop``, multiples of L, units in lanes.

    below : Units of (positions, L). deltas : Units, a line of vectors of units for each row.
    """
    height, L, inputs = unit_extent(lane), rows_per_vector(lane), layer[INPUTS]
    numbers, step, target = flat(below.array), below.step * L, work.own.transposed_gradient
    first, end, vectors = start // L, vectors_of(lane, stop), deltas.step
    of_rows = from_unit(deltas, block.start)
    i = 0
    while i < inputs:
        of_inputs = Units(numbers, (below.start + i * below.step) * L + block.start, step)
        p = i * vectors
        if i + len(height) <= inputs:
            _few_inputs_along_units(
                lane, height, of_inputs, of_rows, first, end, block.rows, target, p
            )
            i += len(height)
        else:
            _few_inputs_along_units(
                lane, (0,), of_inputs, of_rows, first, end, block.rows, target, p
            )
            i += 1
    _transpose_gradient(lane, layer, work, start, stop, g)


@device_function
def _transpose_gradient(lane, layer, work, start, stop, g):
    """The gradient that was summed input-major to where it belongs, unit-major from g on."""
    inputs, units, L = layer[INPUTS], layer[UNITS], rows_per_vector(lane)
    numbers, gradient = flat(work.own.transposed_gradient), flat(work.gradient)
    width, extent = vectors_of(lane, units), lane_extent(lane)
    for i in range(0, inputs, L):
        for u in range(start, stop, L):
            square = load_square(lane, numbers, i * width * L + u, width * L)
            store_tile_across(
                lane, gradient, g + (u - start) * inputs + i, inputs, units - u, inputs - i,
                extent, (0,), square,
            )  # fmt: skip


@device_function
def _biases(lane, units, deltas, rows, gradient, g):
    """Gradient of ``units`` biases.

    deltas : Units of (positions, L), a line of vectors of units for each row. gradient : shared.
    """
    L, width = rows_per_vector(lane), deltas.step
    for u in range(width):
        total = broadcast(lane, 0.0)
        for s in range(rows):
            total = total + load(lane, deltas.array, deltas.start + s * width + u)
        store_some(lane, gradient, g + u * L, units - u * L, total)


@device_function
def _place_of(task, block, p):
    """Where the gradient of parameters from p on is stored."""
    return 0 if task.fused else block.gradient + p


@device_function(inline="always")
def _finish(lane, group, block, p, g, count, is_weights):
    """After a gradient of ``count`` parameters: their step, or the sum of the blocks."""
    task, work, gradient = group.task, group.work, flat(group.work.gradient)
    if task.fused:
        nets = flat_trainable(task, group.state, work)
        scale = load(lane, nets.step, SCALE)
        if is_weights:
            step_weights(lane, task, nets, p, gradient, g, count, scale)
        else:
            step_others(lane, nets, p, gradient, g, count, scale)
    elif block.added:
        add_block(lane, gradient, p, flat(work.total), p, count, block.is_first)


@device_function(inline="always")
def _panels_part(lane, group, block, share):
    """A part of a first layer in panels, over an accumulation block."""
    one, extent, L = (0,), row_extent(lane), rows_per_vector(lane)
    task, work, layer, X = group.task, group.work, group.layers[0], group.data.training.X
    inputs, height, gradient = layer[INPUTS], task.stride * L, flat(work.gradient)
    starts, rows = work.own.starts, block.rows
    u, stop = panels_of(lane, share, layer[UNITS])
    if u < stop and layer[BIASES] >= 0:
        p = layer[BIASES] + u
        g = _place_of(task, block, p)
        deltas = Units(work.own.delta_rows, block.start, height)
        biases_by_panels(lane, deltas, u // L, stop // L, rows, gradient, g)
        _finish(lane, group, block, p, g, stop - u, False)
    u, stop = u // L, stop // L
    size = FUSED_WEIGHTS // (len(extent) * L) if task.fused else inputs
    while u < stop:
        count = len(extent) if u + len(extent) <= stop else 1
        deltas = Units(work.own.delta_rows, u * height + block.start, height)
        for start in range(0, inputs, size):
            end = min(start + size, inputs)
            p = layer[WEIGHTS] + (u * inputs + start) * L
            g, step = _place_of(task, block, p), inputs * L
            if task.fused:
                step = (end - start) * L
            to = Units(gradient, g, step)
            if count > 1:
                gradient_by_panels(
                    lane, extent, X, starts, block.start, start, end, deltas, rows, to
                )
            else:
                gradient_by_panels(lane, one, X, starts, block.start, start, end, deltas, rows, to)
            for k in range(count):
                _finish(
                    lane, group, block, p + k * inputs * L, g + k * step, (end - start) * L, True
                )
        u += count


@device_function(inline="always")
def _layer_part(lane, group, k, below, block, share):
    """A part of a layer's weights over an accumulation block. below : LayerInputs."""
    task, work, layer, L = group.task, group.work, group.layers[k], rows_per_vector(lane)
    if k == 0 and task.panels:
        _panels_part(lane, group, block, share)
        return
    inputs, units = layer[INPUTS], layer[UNITS]
    width = vectors_of(lane, units)
    by_row = row_by_row(lane, group.layers, k, task.stride)
    deltas = Units(work.own.delta_rows, by_row, width)
    if is_along_inputs(lane, task, group.layers, k):
        step = len(unit_extent(lane))
        u, stop = share_of(share, units, step)
        size = units
        if units * inputs > FUSED_WEIGHTS:
            size = max(step, FUSED_WEIGHTS // inputs // step * step)
        while u < stop:
            end, p = min(u + size, stop), layer[WEIGHTS] + u * inputs
            g = _place_of(task, block, p)
            _along_inputs(lane, task, layer, below.by_row, work, block, u, end, g)
            _finish(lane, group, block, p, g, (end - u) * inputs, True)
            u = end
    else:
        u, stop = share_of(Share(share.parts - 1 - share.part, share.parts), units, L)
        if u < stop:
            p = layer[WEIGHTS] + u * inputs
            g = _place_of(task, block, p)
            _along_units(lane, layer, below.in_lanes, deltas, work, block, u, stop, g)
            _finish(lane, group, block, p, g, (stop - u) * inputs, True)
    if layer[BIASES] >= 0 and (share.parts == 1 or k % share.parts == share.part):
        p = layer[BIASES]
        g = _place_of(task, block, p)
        of_rows = from_unit(deltas, block.start)
        _biases(lane, units, of_rows, block.rows, flat(work.gradient), g)
        _finish(lane, group, block, p, g, units, False)


@device_function(inline="always", over_layers=True)
def weights_part(lane, group, tile, slot, share, added, gradient):
    """A thread's part of all weights: gradient sums block by block, added to the batch's where
    ``added``; and where they are fused the step.

    slot : Slot, of the net's inputs. gradient : where that of parameter 0 is stored.
    """
    layers, work, stride = group.layers, group.work, group.task.stride
    for k in range(len(layers)):
        width = vectors_of(lane, layers[k, INPUTS])
        # several blocks where batch norm makes a batch one tile
        for start in range(0, tile.rows, ACCUMULATION_BLOCK):
            rows = min(ACCUMULATION_BLOCK, tile.rows - start)
            block = Block(start, rows, tile.row + start == 0, added, gradient)
            below = LayerInputs(
                Units(work.lane_inputs, slot.inputs, stride),
                Units(work.own.input_rows, slot.rows, width),
            )
            if k > 0:
                below = LayerInputs(
                    Units(work.values, layers[k - 1, VALUES] * stride, stride),
                    Units(work.own.value_rows, row_by_row(lane, layers, k - 1, stride), width),
                )
            _layer_part(lane, group, k, below, block, share)
