"""Rows of one net come to where they are computed: row by row and in lanes."""

from typing import NamedTuple

from ..code.compilation import device_function
from ..lanes.access import load, store
from ..lanes.copying import copy
from ..lanes.shapes import flat, net_of, rows_per_vector
from ..layout import ACCUMULATION_BLOCK, IN_PLACE
from .transposes import rows_to_lanes, vectors_of

# Outputs from which on targets are transposed in squares, not loaded one by one: with 10 outputs
# and 32 rows that took a thirtieth of a step less.
_TRANSPOSED = 4


class Slot(NamedTuple):
    """The vectors from which on a tile's rows are stored in the workspace."""

    rows: int  # inputs, row by row
    inputs: int
    targets: int
    weights: int


@device_function
def slot_number(work, row):
    """Where a tile is stored: where a full batch has several blocks, each may have a slot."""
    return row // ACCUMULATION_BLOCK if len(work.own.loaded) > 1 else 0


@device_function
def slot_of(work, number):
    """The slot of this number."""
    if number == 0:
        return Slot(0, 0, 0, 0)
    slots = len(work.own.loaded)
    rows, inputs = len(work.own.input_rows) // slots, len(work.lane_inputs) // slots
    targets, weights = len(work.lane_targets) // slots, len(work.lane_weights) // slots
    return Slot(number * rows, number * inputs, number * targets, number * weights)


@device_function
def must_load(task, ordering, work, number, position):
    """Whether the tile that begins with this row is to be loaded; noted that its slot has it."""
    loads = work.own.loaded[number] != position
    stays = ordering == IN_PLACE and not task.drops_inputs
    work.own.loaded[number] = position if stays else -1
    return loads


@device_function
def load_inputs(lane, task, X, ordering, position, rows, work, slot):
    """Inputs of the rows of a tile, row by row and in lanes; or where they begin, for panels.

    X : (n * I,). slot : Slot.
    """
    L, inputs, padded = rows_per_vector(lane), task.inputs, flat(work.own.input_rows)
    width = vectors_of(lane, inputs)
    # Squares of 16 rows that are transposed as they are read, and the next tile's rows asked for
    # ahead, gained nothing at 784-128-10 without panels, where a step spent a tenth of its time
    # here.
    for s in range(rows):
        row = position + s
        if ordering != IN_PLACE:
            row = work.order[0, position + s]
        if task.panels:
            work.own.starts[s] = row * inputs
        else:
            copy(lane, X, row * inputs, padded, (slot.rows + s * width) * L, inputs)
    if not task.panels:
        rows_to_lanes(
            lane, padded, slot.rows * L, width * L, inputs, work.lane_inputs, task.stride,
            slot.inputs, slot.inputs + vectors_of(lane, rows),
        )  # fmt: skip


@device_function
def load_targets(lane, task, samples, weighted, ordering, position, rows, work, slot):
    """Targets and weights of the rows of a tile, in lanes. samples : Samples. slot : Slot."""
    net, L, outputs = net_of(lane), rows_per_vector(lane), task.outputs
    targets, weights = flat(work.lane_targets), flat(work.lane_weights)
    width, padded = vectors_of(lane, outputs), flat(work.own.target_rows)
    for s in range(rows):
        row = position + s
        if ordering != IN_PLACE:
            row = work.order[0, position + s]
        if outputs >= _TRANSPOSED:
            copy(lane, samples.y, row * outputs, padded, s * width * L, outputs)
        else:
            for o in range(outputs):
                target = load(net, samples.y, row * outputs + o)
                store(net, targets, (slot.targets + o * task.stride) * L + s, target)
        if weighted:
            store(net, weights, slot.weights * L + s, load(net, samples.weights, row))
    if outputs >= _TRANSPOSED:
        rows_to_lanes(
            lane, padded, 0, width * L, outputs, work.lane_targets, task.stride, slot.targets,
            slot.targets + vectors_of(lane, rows),
        )  # fmt: skip


@device_function
def load_consecutive(lane, task, X, start, rows, work):
    """Inputs of rows that follow each other in the data, in lanes: transposed as they are read,
    where they fill the lanes."""
    L, inputs = rows_per_vector(lane), task.inputs
    width, whole = vectors_of(lane, inputs) * L, rows // L if inputs >= L else 0
    rows_to_lanes(
        lane, X, start * inputs, inputs, inputs, work.lane_inputs, task.stride, 0, whole
    )  # fmt: skip
    padded = flat(work.own.input_rows)
    for s in range(whole * L, rows):
        copy(lane, X, (start + s) * inputs, padded, s * width, inputs)
    rows_to_lanes(
        lane, padded, whole * L * width, width, inputs, work.lane_inputs, task.stride, whole,
        vectors_of(lane, rows),
    )  # fmt: skip
