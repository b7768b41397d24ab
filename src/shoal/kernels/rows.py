"""Brings the rows of a tile to where it computes: one copy for all lanes, or each lane its own."""

from .jit import body, outlined_body
from .lanes import (
    fetch,
    fetch_rows,
    fetch_some,
    lane_extent,
    lane_range,
    store,
    store_tile,
    store_tile_across,
)
from .layout import SHARED_ORDER


@body
def copy(lane, source, p, target, q, count):
    """Copy ``count`` numbers. source, target : shared."""
    one, L = (0,), len(lane_extent(lane))
    for k in range(0, count, L):
        value = fetch_some(lane, source, p + k, count - k)
        store_tile_across(lane, target, q + k, 0, 1, count - k, one, one, (value,))


@body
def copy_shared(lane, task, data, order, first, rows, work):
    """Rows in a shared order, row-major. order : (1, n)."""
    inputs, outputs = task.inputs, task.outputs
    for s in range(rows):
        row = order[0, first + s]
        copy(lane, data.X, row * inputs, work.own.shared_inputs, s * inputs, inputs)
        copy(lane, data.y, row * outputs, work.own.shared_targets, s * outputs, outputs)
        if task.weighted:
            copy(lane, data.weights, row, work.own.shared_weights, s, 1)


@outlined_body
def spread_shared(lane, task, data, ordering, order, first, rows, work):
    """Rows in a shared order into each lane, unit-major, where lanes are to drop inputs of their
    own. order : (1, n)."""
    for s in range(rows):
        row = first + s
        if ordering == SHARED_ORDER:
            row = order[0, first + s]
        for i in range(task.inputs):
            value = fetch(lane, data.X, row * task.inputs + i)
            store(lane, work.lane_inputs, i * task.stride + s, value)
        for o in range(task.outputs):
            value = fetch(lane, data.y, row * task.outputs + o)
            store(lane, work.lane_targets, o * task.stride + s, value)
        if task.weighted:
            store(lane, work.lane_weights, s, fetch(lane, data.weights, row))


@outlined_body
def _gather(lane, source, width, order, column, a, p, stride):
    """Each lane's own row of ``source`` (n * width,) into a[p], a[p + stride], ...

    order : (L, n). a : (positions, L). In squares of as many elements as lanes, transposed in
    registers: element by element it took 1.5 of 5.7 us a 64-32-10 step.
    """
    extent = lane_extent(lane)
    i = 0
    while i + len(extent) <= width:
        row = fetch_rows(lane, source, width, order, column, i)
        store_tile(lane, a, p + i * stride, stride, 0, extent, (0,), row)
        i += len(extent)
        if i < width and i + len(extent) > width:
            i = width - len(extent)  # the last square overlaps the one before
    if i < width:
        for q in lane_range(lane, a):
            for k in range(width):
                store(q, a, p + k * stride, fetch(q, source, order[q, column] * width + k))


@body
def gather_own(lane, task, data, order, first, rows, work):
    """Each lane's own rows into it, unit-major. order : (L, n)."""
    for s in range(rows):
        _gather(lane, data.X, task.inputs, order, first + s, work.lane_inputs, s, task.stride)
        _gather(lane, data.y, task.outputs, order, first + s, work.lane_targets, s, task.stride)
        if task.weighted:
            _gather(lane, data.weights, 1, order, first + s, work.lane_weights, s, task.stride)
