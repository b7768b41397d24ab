"""Brings the rows of a tile to where it computes: one copy for all lanes, or each lane its own."""

from .jit import body, outlined_body
from .lanes import (
    fetch,
    fetch_own,
    fetch_rows,
    fetch_some,
    half_extent,
    lane_extent,
    lane_range,
    quarter_extent,
    store,
    store_some,
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
def _gather(lane, source, width, rows_of_lanes, rows, a, stride):
    """Each lane's own rows of ``source`` (n * width,): element i of row s into a[i * stride + s].

    rows_of_lanes : (tile, L) int32. a : (positions, L).
    """
    narrow, wide = quarter_extent(lane), half_extent(lane)
    for s in range(rows):
        i = 0
        if width == 1:
            store(lane, a, s, fetch_own(lane, source, width, rows_of_lanes, s, 0))
            i = 1
        while i + len(narrow) < width:
            values = fetch_rows(lane, source, width, rows_of_lanes, s, i, width - i, wide)
            store_some(lane, a, i * stride + s, stride, width - i, values)
            i += len(wide)
        if i < width:
            values = fetch_rows(lane, source, width, rows_of_lanes, s, i, width - i, narrow)
            store_some(lane, a, i * stride + s, stride, width - i, values)


@outlined_body
def _note_rows(lane, order, first, rows, rows_of_lanes):
    """Note the rows of a tile side by side. order : (L, n). rows_of_lanes : (tile, L)."""
    for q in lane_range(lane, rows_of_lanes):
        for s in range(rows):
            rows_of_lanes[s, q] = order[q, first + s]


@body
def gather_own(lane, task, data, order, first, rows, work):
    """Each lane's own rows into it, unit-major. order : (L, n)."""
    own, stride = work.own.rows_of_lanes, task.stride
    _note_rows(lane, order, first, rows, own)
    _gather(lane, data.X, task.inputs, own, rows, work.lane_inputs, stride)
    _gather(lane, data.y, task.outputs, own, rows, work.lane_targets, stride)
    if task.weighted:
        _gather(lane, data.weights, 1, own, rows, work.lane_weights, stride)
