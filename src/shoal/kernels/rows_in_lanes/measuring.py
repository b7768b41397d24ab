"""Losses and scores of the rows of one net, which are in lanes."""

from ..code.compilation import device_function
from ..lanes.access import load, store
from ..lanes.shapes import in_lanes, net_of, rows_per_vector
from ..lanes.views import Units, from_row, moved
from ..layout import LOSSES, PARTIALS, SCORE_FIELDS, SCORES
from ..step.forward import units_of
from ..step.losses import Outputs
from ..step.scores import measure
from .transposes import vectors_of


@device_function
def outputs_of(lane, task, layers, work, slot, weighted, row, rows):
    """The output layer of the tile in a slot; its rows are vectors. row, rows : numbers of rows."""
    stride, weights = task.stride, Units(work.lane_weights, slot.weights, 0)
    targets = Units(work.lane_targets, slot.targets, stride)
    return Outputs(
        task.output, task.loss, task.outputs, units_of(task, layers[len(layers) - 1], work.values),
        work.deltas, from_row(targets, 0), weights, weighted, task.whole_losses,
        vectors_of(lane, rows), row // rows_per_vector(lane),
    )  # fmt: skip


@device_function
def _vectors(outputs, start, count):
    """So many vectors of the rows of an output layer, from vector ``start`` on."""
    values, weights = outputs.values, outputs.weights
    return Outputs(
        outputs.activation, outputs.loss, outputs.units,
        Units(values.array, values.start + start, values.step), outputs.deltas,
        moved(outputs.targets, 0, start), Units(weights.array, weights.start + start, 0),
        outputs.weighted, outputs.clipped, count, outputs.row + start,
    )  # fmt: skip


@device_function(inline="never")
def measure_rows(lane, task, scored, before, parameter, outputs, rows, work):
    """`measure` of the rows of a tile; lanes behind the last row are not added.

    outputs : of `outputs_of`.
    """
    net, L = net_of(lane), rows_per_vector(lane)
    whole, left = rows // L, rows % L
    measure(
        lane, task.score, scored, before, parameter, _vectors(outputs, 0, whole),
        in_lanes(lane, work.sums),
    )  # fmt: skip
    if left > 0:
        tail = work.own.tail_sums
        for k in range(len(work.sums)):
            store(net, tail, k, load(net, work.sums, k))
        measure(
            lane, task.score, scored, before, parameter, _vectors(outputs, whole, 1),
            in_lanes(lane, tail),
        )  # fmt: skip
        p = (outputs.row + whole) * L % PARTIALS
        for q in range(p, p + left):
            store(net, work.sums, LOSSES + q, load(net, tail, LOSSES + q))
            if scored:
                end = SCORES + q + task.counts * SCORE_FIELDS
                for k in range(SCORES + q, end, SCORE_FIELDS):
                    store(net, work.sums, k, load(net, tail, k))
