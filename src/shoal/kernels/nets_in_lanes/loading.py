"""Rows of a tile come to where it computes: in one order for all lanes."""

import numpy as np

from ..code.compilation import device_function
from ..lanes.access import load, store
from ..lanes.copying import copy
from ..layout import IN_PLACE


@device_function
def copy_shared(lane, task, samples, order, position, rows, work):
    """Rows in a shared order, row-major. samples : Samples. order : (1, n)."""
    inputs, outputs = task.inputs, task.outputs
    for s in range(rows):
        row = order[0, position + s]
        copy(lane, samples.X, row * inputs, work.own.shared_inputs, s * inputs, inputs)
        copy(lane, samples.y, row * outputs, work.own.shared_targets, s * outputs, outputs)
        if task.weighted:
            copy(lane, samples.weights, row, work.own.shared_weights, s, 1)


@device_function(inline="never")
def broadcast_shared(lane, task, samples, ordering, order, tile, work):
    """Rows of a tile into each lane, unit-major: where lanes are to drop inputs of their own, and
    of a thread that has its lane to itself. samples : Samples. order : (1, n), or (epochs, n), of
    which that of epoch e is row e modulo their number."""
    for s in range(tile.rows):
        row = tile.position + s
        if ordering != IN_PLACE:
            row = np.int64(order[tile.epoch % len(order), row])
        for i in range(task.inputs):
            number = load(lane, samples.X, row * task.inputs + i)
            store(lane, work.lane_inputs, i * task.stride + s, number)
        for o in range(task.outputs):
            number = load(lane, samples.y, row * task.outputs + o)
            store(lane, work.lane_targets, o * task.stride + s, number)
        if task.weighted:
            store(lane, work.lane_weights, s, load(lane, samples.weights, row))
