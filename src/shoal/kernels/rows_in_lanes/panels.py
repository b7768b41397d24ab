"""A first layer of many inputs, in the dense engine: its units stand in lanes.

Its weights stand in panels of L units, input by input: that of input i into unit u is parameter
``(u // L * inputs + i) * L + u % L``. So both products of a step take inputs one by one, from where
the data has them, and no row is copied or turned; what is turned are sums and deltas, which are
fewer. Each sum has the terms that it has elsewhere, in the same order.

Sums and deltas stand in panels too, row by row, ``height`` rows in each. (One behind the other in
a row, of 128 units, they fell on few sets of the L1 cache: the gradient took a tenth longer.)

One thread's time of a step with panels, in that without: 0.95 at 64-32-10 with 32 rows, 0.9 with 8,
0.8 with 1; 0.95 at 784-128-10 with 64 rows, 0.6 with 1; 0.85 at 1024-64-10.
"""

from ..code.compilation import device_function
from ..lanes.primitives import (
    fetch,
    fetch_each,
    fetch_strip,
    flat,
    in_lanes,
    load,
    outer_fma,
    row_extent,
    rows_of,
    splat,
    spread,
    store_tile,
    store_tile_across,
    unit_extent,
)
from ..layout import BIASES, INPUTS, VALUES
from ..step.layers import activate
from .team import STEP, share
from .transposes import lanes_to_rows, rows_to_lanes, values_of

# Weights whose gradient is taken before their step: they are still in the L1 cache then.
AT_ONCE = 4096


@device_function
def share_of_units(lane, units, part, parts):
    """(first, last) of a thread's share of the units: whole panels."""
    return share(part, parts, units, max(STEP, rows_of(lane)))


@device_function
def _sums(lane, panels, rows, X, starts, s, params, inputs, p, b, height, sums, q):
    """Weighted sums of a strip of panels for a few rows.

    X : (n * I,). params : (P / L, L). sums : (panels * height, L).
    """
    total = spread((splat(lane, 0.0),), panels)
    if b >= 0:
        total = fetch_strip(lane, params, b, 1, panels)
    total = spread(total, rows)
    for i in range(inputs):
        weights = fetch_strip(lane, params, p + i, inputs, panels)
        values = fetch_each(lane, X, starts, s, i, rows)
        total = outer_fma(weights, values, total)
    store_tile(lane, sums, q, height, 1, panels, rows, total)


@device_function
def _sums_of_rows(lane, rows, X, work, s, params, layer, first, last, height, sums):
    """Weighted sums of panels ``first`` to ``last`` for a few rows."""
    one, extent, inputs = (0,), row_extent(lane), layer[INPUTS]
    biases = values_of(lane, layer[BIASES]) if layer[BIASES] >= 0 else -1
    starts = work.own.starts
    u = first
    while u < last:
        b, p, to = biases + u if biases >= 0 else -1, u * inputs, u * height + s
        if u + len(extent) <= last:
            _sums(lane, extent, rows, X, starts, s, params, inputs, p, b, height, sums, to)
            u += len(extent)
        else:
            _sums(lane, one, rows, X, starts, s, params, inputs, p, b, height, sums, to)
            u += 1


@device_function(inline="never")
def values_by_panels(lane, task, layer, code, X, params, work, first, last, rows):
    """Values of units ``first`` to ``last``, multiples of L, for ``rows`` rows of a tile.

    X : (n * I,). params : (P, 1).
    """
    one, extent, L = (0,), unit_extent(lane), rows_of(lane)
    weights, height, sums = in_lanes(lane, params), task.stride * L, work.own.value_rows
    u, end, s = first // L, last // L, 0
    while s + len(extent) <= rows:
        _sums_of_rows(lane, extent, X, work, s, weights, layer, u, end, height, sums)
        s += len(extent)
    while s < rows:
        _sums_of_rows(lane, one, X, work, s, weights, layer, u, end, height, sums)
        s += 1
    v, values = (layer[VALUES] + first) * task.stride, values_of(lane, rows)
    for panel in range(u, end):
        rows_to_lanes(
            lane, flat(sums), panel * height * L, L, L, work.values, task.stride,
            v + (panel - u) * L * task.stride, v + (panel - u) * L * task.stride + values,
        )  # fmt: skip
    activate(lane, code, work.values, work.deltas, v, task.stride, last - first, values)


@device_function
def turn_to_panels(lane, task, layer, first, last, rows, work):
    """Turn deltas of units ``first`` to ``last``, multiples of L, to stand in panels."""
    L, height = rows_of(lane), task.stride * rows_of(lane)
    for u in range(first, last, L):
        v = (layer[VALUES] + u) * task.stride
        lanes_to_rows(
            lane, work.deltas, v, task.stride, L, work.own.delta_rows, u // L * height, rows
        )


@device_function
def _gradient(
    lane, panels, inputs, X, starts, first, i, deltas, r, height, rows, gradient, g, step
):
    """Gradient of the weights out of a few inputs into a strip of panels.

    deltas : (panels * height, L). gradient : shared; from panel to panel ``step`` numbers.
    """
    total = spread(spread((splat(lane, 0.0),), panels), inputs)
    for s in range(rows):
        units = fetch_strip(lane, deltas, r + s, height, panels)
        at = fetch(0, starts, first + s) + i
        values = fetch_strip(lane, X, at, 1, inputs)
        total = outer_fma(units, values, total)
    count = len(inputs) * rows_of(lane)
    store_tile_across(lane, gradient, g, step, len(panels), count, panels, inputs, total)


@device_function
def gradient_by_panels(
    lane, panels, X, work, first, r, height, rows, start, stop, gradient, g, step
):
    """Gradient of the weights out of inputs ``start`` to ``stop`` into a strip of panels.

    It is of ``rows`` rows of the tile, from ``first`` on; their deltas stand from value r on.
    gradient, g, step : like above.
    """
    one, extent, L = (0,), unit_extent(lane), rows_of(lane)
    starts, deltas = work.own.starts, work.own.delta_rows
    i = start
    while i < stop:
        q = g + (i - start) * L
        if i + len(extent) <= stop:
            _gradient(
                lane, panels, extent, X, starts, first, i, deltas, r, height, rows, gradient, q,
                step,
            )  # fmt: skip
            i += len(extent)
        else:
            _gradient(
                lane, panels, one, X, starts, first, i, deltas, r, height, rows, gradient, q, step
            )
            i += 1


@device_function
def biases_by_panels(lane, deltas, r, height, first, last, rows, gradient, g):
    """Gradient of the biases of panels ``first`` to ``last``.

    deltas : (panels * height, L), of the rows from value r of each panel on. gradient : shared.
    """
    one, L = (0,), rows_of(lane)
    for panel in range(first, last):
        total = splat(lane, 0.0)
        for s in range(rows):
            total = total + load(lane, deltas, r + panel * height + s)
        at = g + (panel - first) * L
        store_tile_across(lane, gradient, at, 0, 1, L, one, one, (total,))
