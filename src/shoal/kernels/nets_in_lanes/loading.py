"""Rows of a tile come to where it computes: in one order for all lanes."""

from ..code.compilation import device_function
from ..lanes.access import load, store
from ..lanes.copying import copy
from ..layout import SHARED_ORDER


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
def broadcast_shared(lane, task, samples, ordering, order, position, rows, work):
    """Rows in a shared order into each lane, unit-major, where lanes are to drop inputs of their
    own. samples : Samples. order : (1, n)."""
    for s in range(rows):
        row = position + s
        if ordering == SHARED_ORDER:
            row = order[0, position + s]
        for i in range(task.inputs):
            number = load(lane, samples.X, row * task.inputs + i)
            store(lane, work.lane_inputs, i * task.stride + s, number)
        for o in range(task.outputs):
            number = load(lane, samples.y, row * task.outputs + o)
            store(lane, work.lane_targets, o * task.stride + s, number)
        if task.weighted:
            store(lane, work.lane_weights, s, load(lane, samples.weights, row))
