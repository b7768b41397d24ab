"""Brings the rows of a tile to where it computes: in one order for all lanes."""

from ..code.compilation import device_function
from ..lanes.copying import copy
from ..lanes.primitives import (
    fetch,
    store,
)
from ..layout import SHARED_ORDER


@device_function
def copy_shared(lane, task, data, order, first, rows, work):
    """Rows in a shared order, row-major. order : (1, n)."""
    inputs, outputs = task.inputs, task.outputs
    for s in range(rows):
        row = order[0, first + s]
        copy(lane, data.X, row * inputs, work.own.shared_inputs, s * inputs, inputs)
        copy(lane, data.y, row * outputs, work.own.shared_targets, s * outputs, outputs)
        if task.weighted:
            copy(lane, data.weights, row, work.own.shared_weights, s, 1)


@device_function(inline="never")
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
