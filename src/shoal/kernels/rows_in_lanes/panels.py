"""A first layer of many inputs, where lanes are rows: its units are in lanes.

Its weights are packed in panels of L units, input by input: that of input i into unit u is
parameter ``(u // L * inputs + i) * L + u % L``. So both products of a step take inputs one by one,
from where the data has them, and no row is copied or transposed; what is transposed are sums and
deltas, which are fewer. Each sum has the terms that it has elsewhere, in the same order.

Sums and deltas are in panels too, row by row, ``height`` rows in each. (One behind the other in a
row, of 128 units, they fell on few sets of the L1 cache: the gradient took a tenth longer.)

One thread's time of a step with panels, in that without: 0.95 at 64-32-10 with 32 rows, 0.9 with 8,
0.8 with 1; 0.95 at 784-128-10 with 64 rows, 0.6 with 1; 0.85 at 1024-64-10.
"""

from ..code.compilation import device_function
from ..lanes.access import gather, load, load_vectors, store_some, store_tile, store_tile_across
from ..lanes.primitives import broadcast, outer_fma, repeat
from ..lanes.shapes import flat, in_lanes, row_extent, rows_per_vector, unit_extent
from ..lanes.views import Units, View
from ..layout import BIASES, INPUTS, VALUES
from ..step.activations import activate
from .team import UNITS_OF_A_SHARE, share_of
from .transposes import lanes_to_rows, rows_to_lanes, vectors_of

# Weights whose gradient is taken before their step: they are still in the L1 cache then.
FUSED_WEIGHTS = 4096


@device_function
def panels_of(lane, share, units):
    """(start, stop) of a thread's share of the units: whole panels."""
    return share_of(share, units, max(UNITS_OF_A_SHARE, rows_per_vector(lane)))


@device_function
def _weighted_sums(lane, panels, rows, X, starts, s, weights, biases, inputs, sums):
    """Weighted sums of a few panels for a few rows, from row s of the tile on.

    X : (n * I,). starts : (tile,). weights : View of (P / L, L): k is an input, j a panel.
    biases : vector of the first panel's, or -1. sums : Units of (panels * height, L): a panel each.
    """
    total = repeat((broadcast(lane, 0.0),), panels)
    if biases >= 0:
        total = load_vectors(lane, weights.array, biases, 1, panels)
    total = repeat(total, rows)
    for i in range(inputs):
        of_units = load_vectors(lane, weights.array, weights.start + i, weights.stride, panels)
        of_rows = gather(lane, X, starts, s, i, rows)
        total = outer_fma(of_units, of_rows, total)
    store_tile(lane, sums.array, sums.start, sums.step, 1, panels, rows, total)


@device_function
def _sums_of_rows(lane, rows, X, starts, s, params, layer, start, stop, sums):
    """Weighted sums of panels ``start`` to ``stop`` for a few rows. params : (P / L, L)."""
    one, extent, inputs = (0,), row_extent(lane), layer[INPUTS]
    biases = vectors_of(lane, layer[BIASES]) if layer[BIASES] >= 0 else -1
    u = start
    while u < stop:
        b = biases + u if biases >= 0 else -1
        weights = View(params, u * inputs, 1, inputs)
        to = Units(sums.array, u * sums.step + s, sums.step)
        if u + len(extent) <= stop:
            _weighted_sums(lane, extent, rows, X, starts, s, weights, b, inputs, to)
            u += len(extent)
        else:
            _weighted_sums(lane, one, rows, X, starts, s, weights, b, inputs, to)
            u += 1


@device_function(inline="never")
def values_by_panels(lane, task, layer, code, X, params, work, start, stop, rows):
    """Values of units ``start`` to ``stop``, multiples of L, for ``rows`` rows of a tile.

    X : (n * I,). params : (P, 1).
    """
    one, extent, L = (0,), unit_extent(lane), rows_per_vector(lane)
    weights, height, starts = in_lanes(lane, params), task.stride * L, work.own.starts
    sums = Units(work.own.value_rows, 0, height)
    u, end, s = start // L, stop // L, 0
    while s + len(extent) <= rows:
        _sums_of_rows(lane, extent, X, starts, s, weights, layer, u, end, sums)
        s += len(extent)
    while s < rows:
        _sums_of_rows(lane, one, X, starts, s, weights, layer, u, end, sums)
        s += 1
    v, vectors = (layer[VALUES] + start) * task.stride, vectors_of(lane, rows)
    for panel in range(u, end):
        to = v + (panel - u) * L * task.stride
        rows_to_lanes(
            lane, flat(sums.array), panel * height * L, L, L, work.values, task.stride, to,
            to + vectors,
        )  # fmt: skip
    values = Units(work.values, v, task.stride)
    activate(lane, code, values, work.deltas, stop - start, vectors)


@device_function
def deltas_to_panels(lane, task, layer, start, stop, rows, work):
    """Transpose deltas of units ``start`` to ``stop``, multiples of L, into panels."""
    L, height = rows_per_vector(lane), task.stride * rows_per_vector(lane)
    for u in range(start, stop, L):
        deltas = Units(work.deltas, (layer[VALUES] + u) * task.stride, task.stride)
        lanes_to_rows(lane, deltas, L, work.own.delta_rows, u // L * height, rows)


@device_function
def _gradient(lane, panels, inputs, X, starts, s, i, deltas, rows, gradient):
    """Gradient of the weights out of a few inputs, from input i on, into a few panels.

    It is of ``rows`` rows of the tile, from row s on. deltas : Units of (panels * height, L), a
    panel each. gradient : Units of a shared array, a panel each.
    """
    total = repeat(repeat((broadcast(lane, 0.0),), panels), inputs)
    for r in range(rows):
        of_units = load_vectors(lane, deltas.array, deltas.start + r, deltas.step, panels)
        at = load(0, starts, s + r) + i
        of_inputs = load_vectors(lane, X, at, 1, inputs)
        total = outer_fma(of_units, of_inputs, total)
    count = len(inputs) * rows_per_vector(lane)
    store_tile_across(
        lane, gradient.array, gradient.start, gradient.step, len(panels), count, panels, inputs,
        total,
    )  # fmt: skip


@device_function
def gradient_by_panels(lane, panels, X, starts, s, start, stop, deltas, rows, gradient):
    """Gradient of the weights out of inputs ``start`` to ``stop`` into a few panels: see above."""
    one, extent, L = (0,), unit_extent(lane), rows_per_vector(lane)
    i = start
    while i < stop:
        to = Units(gradient.array, gradient.start + (i - start) * L, gradient.step)
        if i + len(extent) <= stop:
            _gradient(lane, panels, extent, X, starts, s, i, deltas, rows, to)
            i += len(extent)
        else:
            _gradient(lane, panels, one, X, starts, s, i, deltas, rows, to)
            i += 1


@device_function
def biases_by_panels(lane, deltas, start, stop, rows, gradient, g):
    """Gradient of the biases of panels ``start`` to ``stop``.

    deltas : Units of (panels * height, L), a panel each. gradient : shared, from g on.
    """
    L = rows_per_vector(lane)
    for panel in range(start, stop):
        total = broadcast(lane, 0.0)
        p = deltas.start + panel * deltas.step
        for s in range(rows):
            total = total + load(lane, deltas.array, p + s)
        at = g + (panel - start) * L
        store_some(lane, gradient, at, L, total)
