"""Rows of one net come to where they are computed: row by row and in lanes."""

from ..code.compilation import device_function
from ..lanes.copying import copy
from ..lanes.primitives import fetch, flat, net_of, rows_of, store
from ..layout import CHUNK, IN_PLACE
from .transposes import rows_to_lanes, values_of

# Outputs from which on targets are turned in squares, not brought one by one: with 10 outputs and
# 32 rows that took a thirtieth of a step less.
_TURNED = 4


@device_function
def is_to_bring(task, ordering, work, place, first):
    """Whether the tile that begins with this row is to be brought; noted that it stands then."""
    brings = work.own.brought[place] != first
    work.own.brought[place] = first if ordering == IN_PLACE and not task.drops_inputs else -1
    return brings


@device_function
def place_of(work, row):
    """Where a tile stands: where a full batch has several chunks, each may have its place."""
    return row // CHUNK if len(work.own.brought) > 1 else 0


@device_function
def standing(work, place):
    """The values from which on its rows, inputs in lanes, targets and weights stand."""
    if place == 0:
        return 0, 0, 0, 0
    places = len(work.own.brought)
    r, x = len(work.own.input_rows) // places, len(work.lane_inputs) // places
    y, w = len(work.lane_targets) // places, len(work.lane_weights) // places
    return place * r, place * x, place * y, place * w


@device_function
def bring(lane, task, X, ordering, order, first, rows, work, at):
    """Inputs of the rows of a tile, row by row and in lanes; or where they begin, for panels.

    X : (n * I,). order : (1, n). at : of `standing`.
    """
    L, inputs, padded = rows_of(lane), task.inputs, flat(work.own.input_rows)
    width, (r, x, _, _) = values_of(lane, inputs), at
    # Squares of 16 rows that are turned as they are read, and the next tile's rows asked for ahead,
    # gained nothing at 784-128-10 without panels, where a step spent a tenth of its time here.
    for s in range(rows):
        row = first + s
        if ordering != IN_PLACE:
            row = order[0, first + s]
        if task.panels:
            work.own.starts[s] = row * inputs
        else:
            copy(lane, X, row * inputs, padded, (r + s * width) * L, inputs)
    if not task.panels:
        rows_to_lanes(
            lane, padded, r * L, width * L, inputs, work.lane_inputs, task.stride, x,
            x + values_of(lane, rows),
        )  # fmt: skip


@device_function
def bring_targets(lane, task, y, w, weighted, ordering, order, first, rows, work, at):
    """Targets and weights of the rows of a tile, in lanes.

    y : (n * O,). w : (n,). order : (1, n). at : of `standing`.
    """
    net, L, outputs = net_of(lane), rows_of(lane), task.outputs
    targets, weights = flat(work.lane_targets), flat(work.lane_weights)
    width, padded, (_, _, t, u) = values_of(lane, outputs), flat(work.own.target_rows), at
    for s in range(rows):
        row = first + s
        if ordering != IN_PLACE:
            row = order[0, first + s]
        if outputs >= _TURNED:
            copy(lane, y, row * outputs, padded, s * width * L, outputs)
        else:
            for o in range(outputs):
                target = fetch(net, y, row * outputs + o)
                store(net, targets, (t + o * task.stride) * L + s, target)
        if weighted:
            store(net, weights, u * L + s, fetch(net, w, row))
    if outputs >= _TURNED:
        rows_to_lanes(
            lane, padded, 0, width * L, outputs, work.lane_targets, task.stride, t,
            t + values_of(lane, rows),
        )  # fmt: skip


@device_function
def bring_in_place(lane, task, X, first, rows, work):
    """Inputs of rows that stand one after the other, in lanes: turned as they are read, where they
    fill the lanes."""
    L, inputs, width = rows_of(lane), task.inputs, values_of(lane, task.inputs) * rows_of(lane)
    whole = rows // L if inputs >= L else 0
    rows_to_lanes(
        lane, X, first * inputs, inputs, inputs, work.lane_inputs, task.stride, 0, whole
    )  # fmt: skip
    padded = flat(work.own.input_rows)
    for s in range(whole * L, rows):
        copy(lane, X, (first + s) * inputs, padded, s * width, inputs)
    rows_to_lanes(
        lane, padded, whole * L * width, width, inputs, work.lane_inputs, task.stride, whole,
        values_of(lane, rows),
    )  # fmt: skip
