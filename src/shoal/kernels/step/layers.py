"""Products of a layer: weighted sums, deltas passed back, gradients.

All three are one contraction, summed in ascending order of k:
``total[u, r] += sum_k a[k, u] * b[k, r]``, in register tiles of units by rows (or by inputs).

A layer's weights are unit-major: that of input i into unit u is parameter ``w + u * inputs + i``.
Values and deltas are unit-major too. The data's rows are shared and row-major, or loaded into lanes
like values: a `View` says which.
"""

from ..code.compilation import device_function
from ..codes import RELU
from ..lanes.access import load, load_tile, load_vectors, store, store_tile
from ..lanes.primitives import broadcast, is_positive, outer_fma, product, rectified, repeat
from ..lanes.shapes import row_extent, unit_extent
from ..lanes.views import across, from_row, from_unit, moved, transposed
from .activations import activate

# Sums whose activations follow together: enough to be worth a call, and still in the L1 cache.
_ACTIVATED_TOGETHER = 64


@device_function
def contract(lane, height, width, total, a, b, count):
    """``total[i, j] + sum_k a[k, i] * b[k, j]``, over k below ``count``.

    total : register tile of ``height`` x ``width``. a, b : View.
    """
    p, q = a.start, b.start
    for _ in range(count):
        x = load_vectors(lane, a.array, p, a.stride, height)
        y = load_vectors(lane, b.array, q, b.stride, width)
        total = outer_fma(x, y, total)
        p += a.step
        q += b.step
    return total


@device_function
def _first_terms(lane, params, biases, height, zeros):
    """What the sums of a few units start from: their biases, or +0."""
    if biases >= 0:
        return load_vectors(lane, params, biases, 1, height)
    return zeros


@device_function
def _weighted_sums(
    lane, height, x, weights, biases, inputs, rectifies, values, slopes, rows
):  # fmt: skip
    """Weighted sums of the units of a register tile for all rows, or right away what RELU makes of
    them: two stores a vector instead of three."""
    one, width = (0,), row_extent(lane)
    start = _first_terms(
        lane, weights.array, biases, height, repeat((broadcast(lane, 0.0),), height)
    )
    s = 0
    while s + len(width) <= rows:
        total = contract(
            lane, height, width, repeat(start, width), across(weights), moved(x, 0, s), inputs
        )
        p = values.start + s
        if rectifies:
            store_tile(lane, slopes, p, values.step, 1, height, width, is_positive(total))
            total = rectified(total)
        store_tile(lane, values.array, p, values.step, 1, height, width, total)
        s += len(width)
    while s < rows:
        total = contract(lane, height, one, start, across(weights), moved(x, 0, s), inputs)
        p = values.start + s
        if rectifies:
            store_tile(lane, slopes, p, values.step, 1, height, one, is_positive(total))
            total = rectified(total)
        store_tile(lane, values.array, p, values.step, 1, height, one, total)
        s += 1


@device_function(inline="always")
def forward_layer(lane, x, weights, biases, inputs, units, code, values, slopes, rows):
    """One layer of a tile of rows: values, and each activation's slope where the delta will be.

    Parameters
    ----------
    x : View
        The layer's inputs: k is an input, j a row.
    weights : Units of (P, L)
        A line of inputs for each unit.
    biases : int
        The first unit's bias in the same array, or -1.
    values : Units of (positions, L)
    slopes : (positions, L), at the same positions
    """
    one, height, rectifies = (0,), unit_extent(lane), code == RELU
    u = done = 0
    while u < units:
        of_units, to = from_unit(weights, u), from_unit(values, u)
        b = biases + u if biases >= 0 else -1
        if units - u >= len(height):
            _weighted_sums(lane, height, x, of_units, b, inputs, rectifies, to, slopes, rows)
            u += len(height)
        else:
            _weighted_sums(lane, one, x, of_units, b, inputs, rectifies, to, slopes, rows)
            u += 1
        if not rectifies and (u == units or (u - done) * rows >= _ACTIVATED_TOGETHER):
            activate(lane, code, from_unit(values, done), slopes, u - done, rows)
            done = u


@device_function
def _deltas_below(lane, height, weights, i, units, deltas, below, rows):
    """Deltas of a few of a layer's inputs, from input i on, from the deltas of its units."""
    one, width = (0,), row_extent(lane)
    zeros, of_inputs = repeat((broadcast(lane, 0.0),), height), from_row(weights, i)
    s = 0
    while s + len(width) <= rows:
        total = contract(
            lane, height, width, repeat(zeros, width), of_inputs, from_row(deltas, s), units
        )
        p = below.start + s
        slope = load_tile(lane, below.array, p, below.step, 1, height, width)
        total = product(total, slope)
        store_tile(lane, below.array, p, below.step, 1, height, width, total)
        s += len(width)
    while s < rows:
        total = contract(lane, height, one, zeros, of_inputs, from_row(deltas, s), units)
        p = below.start + s
        slope = load_tile(lane, below.array, p, below.step, 1, height, one)
        store_tile(lane, below.array, p, below.step, 1, height, one, product(total, slope))
        s += 1


@device_function(inline="always")
def deltas_layer(lane, weights, units, deltas, below, start, stop, rows):
    """Pass a layer's deltas back to units ``start`` to ``stop`` of the layer below.

    Parameters
    ----------
    weights : Units of (P, L)
        A line of inputs for each unit.
    deltas : Units of (positions, L)
        Of the layer's units.
    below : Units of (positions, L)
        Slopes of the layer below, which become its deltas.
    """
    one, height = (0,), unit_extent(lane)
    i = start
    while i + len(height) <= stop:
        _deltas_below(lane, height, weights, i, units, deltas, from_unit(below, i), rows)
        i += len(height)
    while i < stop:
        _deltas_below(lane, one, weights, i, units, deltas, from_unit(below, i), rows)
        i += 1


@device_function
def weights_gradient(lane, height, x, inputs, deltas, rows, gradient, g, fresh):
    """Gradient of the weights into a few units, added to what the block holds unless fresh.

    x : View of the layer's inputs. deltas : Units. gradient : (positions, L), from g on.
    """
    one, width = (0,), row_extent(lane)
    zeros = repeat((broadcast(lane, 0.0),), height)
    by_row = across(deltas)
    i = 0
    while i + len(width) <= inputs:
        total = repeat(zeros, width)
        if not fresh:
            total = load_tile(lane, gradient, g + i, inputs, 1, height, width)
        total = contract(lane, height, width, total, by_row, transposed(moved(x, i, 0)), rows)
        store_tile(lane, gradient, g + i, inputs, 1, height, width, total)
        i += len(width)
    while i < inputs:
        total = zeros
        if not fresh:
            total = load_tile(lane, gradient, g + i, inputs, 1, height, one)
        total = contract(lane, height, one, total, by_row, transposed(moved(x, i, 0)), rows)
        store_tile(lane, gradient, g + i, inputs, 1, height, one, total)
        i += 1


@device_function
def biases_gradient(lane, units, deltas, rows, gradient, g, fresh):
    """Gradient of ``units`` biases: the sum of their deltas in ascending order of rows.

    deltas : Units of (positions, L). gradient : (positions, L), from g on.
    """
    zero = broadcast(lane, 0.0)
    for u in range(units):
        total = zero if fresh else load(lane, gradient, g + u)
        start = deltas.start + u * deltas.step
        for p in range(start, start + rows):
            total = total + load(lane, deltas.array, p)
        store(lane, gradient, g + u, total)
