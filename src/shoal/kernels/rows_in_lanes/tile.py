"""Lanes are rows: a tile of rows of one net, whose parameters are shared by the lanes.

A value holds L rows of a unit, so that a layer of any number of units fills the registers. What
runs along rows (forward, back, losses) is the code of `step`, `layers` and `losses`; "rows" there
are values of L rows. Gradients are in `dense_weights`, a wide first layer in `panels`. What runs
along parameters, and batch norm, is the code of one lane, over arrays of one lane: (positions, 1).

A tile is a whole chunk of a gradient, or a whole batch; so its sums begin from +0.
"""

from ..code.compilation import device_function
from ..lanes.copying import copy
from ..lanes.elementary import canonical
from ..lanes.primitives import (
    fetch,
    flat,
    in_lanes,
    load,
    net_of,
    rows_of,
    splat,
    store,
)
from ..layout import (
    BIASES,
    CHUNK,
    CODE,
    IN_PLACE,
    INPUTS,
    LOSSES,
    SCALES,
    SCORE_ROWS,
    SCORES,
    UNITS,
    VALUES,
    WEIGHTS,
)
from ..step.batch_norm import normalise_back, normalise_batch
from ..step.layers import IDENTITY, activate, deltas_layer
from ..step.losses import (
    RESIDUALS,
    clip_deltas,
    output_deltas,
    output_values,
    weigh_deltas,
)
from ..step.optimizers import CLIP_DELTA, LOSS_PARAMETER, SCALE
from ..step.random import drop
from ..step.sums import PARTIALS
from ..step.tile import (
    add_chunk,
    add_weights,
    batch_scale,
    finish_batch,
    finish_values,
    finish_weights,
    forward,
    layer_values,
    measure,
)
from .gradients import is_along_inputs, steps_at_once, turned, weights_part
from .loading import (
    bring,
    bring_in_place,
    bring_targets,
    is_to_bring,
    place_of,
    standing,
)
from .panels import share_of_units, turn_to_panels, values_by_panels
from .team import (
    BATCH_ROWS,
    BRINGS,
    DONE,
    EPOCH,
    FIRST,
    PARTS,
    ROW,
    ROWS,
    SLOTS,
    STEP,
    meet,
    parts_of,
    share,
)
from .transposes import lanes_to_rows, values_of


@device_function
def _measure_values(
    lane, task, weighted, scored, before, v, first, row, rows, parameter, work, at, sums
):
    """`measure` of ``rows`` values of rows, from value ``first`` of the tile on."""
    _, _, y, w = at
    measure(
        lane, task, weighted, scored, before, work.values, v + first, rows, row + first,
        work.lane_targets, y + first, task.stride, 1, work.lane_weights, w + first, parameter,
        in_lanes(lane, sums),
    )  # fmt: skip


@device_function(inline="never")
def _measure_rows(lane, task, weighted, scored, before, v, row, rows, parameter, work, at):
    """Losses and scores of a tile, added to the partial sums; lanes behind the last row are not."""
    net = net_of(lane)
    L = rows_of(lane)
    whole, left, start = rows // L, rows % L, row // L
    _measure_values(
        lane, task, weighted, scored, before, v, 0, start, whole, parameter, work, at, work.sums
    )
    if left > 0:
        for k in range(len(work.sums)):
            store(net, work.own.tail_sums, k, load(net, work.sums, k))
        _measure_values(
            lane, task, weighted, scored, before, v, whole, start, 1, parameter, work, at,
            work.own.tail_sums,
        )  # fmt: skip
        p = (start + whole) * L % PARTIALS
        counts = task.outputs if task.score == RESIDUALS else 1
        for q in range(p, p + left):
            store(net, work.sums, LOSSES + q, load(net, work.own.tail_sums, LOSSES + q))
            if scored:
                for k in range(SCORES + q, SCORES + q + counts * SCORE_ROWS, SCORE_ROWS):
                    store(net, work.sums, k, load(net, work.own.tail_sums, k))


@device_function(inline="never")
def _normalise(lane, task, layer, params, work, stride, rows):
    """Batch norm of a layer in training."""
    net = net_of(lane)
    normalise_batch(
        net, layer, params, in_lanes(net, work.values), in_lanes(net, work.normalised),
        work.deviations, work.partials, stride, rows,
    )  # fmt: skip


@device_function
def _values_by_panels(lane, task, layers, X, params, work, first, last, rows):
    """Values of units of a first layer in panels; weighted sums, where batch norm is to come."""
    layer = layers[0]
    hidden = len(layers) > 1 and layer[SCALES] < 0
    code = layer[CODE] if hidden else IDENTITY
    values_by_panels(lane, task, layer, code, X, params, work, first, last, rows)


@device_function(inline="always")
def _forward(lane, task, layers, data, state, work, at, epoch, position, rows, part, parts):
    """A part of the units of each layer, with batch norm by the tile and with dropout."""
    values, (_, x, _, _) = values_of(lane, rows), at
    for k in range(len(layers)):
        layer = layers[k]
        v = layer[VALUES] * task.stride
        u, end = share(part, parts, layer[UNITS], STEP)
        if k == 0 and task.panels:
            u, end = share_of_units(lane, layer[UNITS], part, parts)
            _values_by_panels(lane, task, layers, data.X, state.params, work, u, end, rows)
        else:
            layer_values(
                lane, task, layers, k, work.lane_inputs, x, task.stride, 1, flat(state.params),
                work, u, end, values,
            )  # fmt: skip
        if layer[SCALES] >= 0:
            _normalise(lane, task, layer, state.params, work, task.stride * rows_of(lane), rows)
            activate(
                lane, layer[CODE], work.values, work.deltas, v, task.stride, layer[UNITS], values
            )
        if task.drops and k + 1 < len(layers):
            drop(
                lane, flat(state.dropout), k + 1, state.seeds, epoch, position, True,
                work.values, work.deltas, v, task.stride, u, end, values,
            )  # fmt: skip
        if parts > 1:
            meet(work.own.team, part)


@device_function(inline="always")
def _outputs(lane, task, layers, state, work, at, row, rows, measured, scored):
    """Outputs, their losses and their deltas."""
    net, values, (_, _, y, w) = net_of(lane), values_of(lane, rows), at
    v = layers[len(layers) - 1, VALUES] * task.stride
    parameter = splat(lane, load(net, state.rates, LOSS_PARAMETER))
    if measured:
        _measure_rows(lane, task, task.weighted, scored, True, v, row, rows, parameter, work, at)
    output_values(lane, task.output, work.values, work.deltas, v, task.stride, task.outputs, values)
    if measured:
        _measure_rows(lane, task, task.weighted, scored, False, v, row, rows, parameter, work, at)
    output_deltas(
        lane, task.output, task.loss, parameter, work.values, work.deltas, v, task.stride,
        task.outputs, values, work.lane_targets, y, task.stride, 1,
    )  # fmt: skip
    if task.clips_deltas:
        limit = splat(lane, load(net, state.rates, CLIP_DELTA))
        clip_deltas(
            lane, limit, 0, work.lane_weights, w, work.deltas, v, task.stride, task.outputs,
            values,
        )  # fmt: skip
    if task.weighted:
        weigh_deltas(lane, work.lane_weights, w, work.deltas, v, task.stride, task.outputs, values)


@device_function(inline="always")
def _back(lane, task, layers, state, work, at, rows, batch_rows, part, parts):
    """Deltas, from the outputs' to those of the first layer, of a part of each layer's units."""
    net, values, (_, _, _, w) = net_of(lane), values_of(lane, rows), at
    limit = splat(lane, load(net, state.rates, CLIP_DELTA))
    for k in range(len(layers) - 1, 0, -1):
        layer, lower = layers[k], layers[k - 1]
        below = lower[VALUES] * task.stride
        u, end = share(part, parts, lower[UNITS], STEP)
        deltas_layer(
            lane, flat(state.params), layer[WEIGHTS], layer[INPUTS], layer[UNITS],
            work.deltas, layer[VALUES] * task.stride, below, task.stride, u, end, values,
        )  # fmt: skip
        if task.clips_deltas:
            clip_deltas(
                lane, limit, task.weighted, work.lane_weights, w, work.deltas,
                below + u * task.stride, task.stride, end - u, values,
            )  # fmt: skip
        if lower[SCALES] >= 0:
            sums = work.total if batch_rows > CHUNK else work.gradient
            normalise_back(
                net, lower, state.params, in_lanes(net, work.deltas),
                in_lanes(net, work.normalised), work.deviations, task.stride * rows_of(lane),
                rows, sums, lower[SCALES],
            )  # fmt: skip
        if parts > 1:
            meet(work.own.team, part)


@device_function(inline="always")
def _turn(lane, task, layers, work, rows, part, parts):
    """What gradients read row by row."""
    for k in range(len(layers)):
        layer = layers[k]
        along_inputs = is_along_inputs(lane, task, layers, k)
        if k == 0 and task.panels:
            u, end = share_of_units(lane, layer[UNITS], part, parts)
            turn_to_panels(lane, task, layer, u, end, rows, work)
        elif layer[BIASES] >= 0 or not along_inputs:
            lanes_to_rows(
                lane, work.deltas, layer[VALUES] * task.stride, task.stride, layer[UNITS],
                work.own.delta_rows, turned(lane, layers, k, task.stride), rows,
            )  # fmt: skip
        if k > 0 and along_inputs:
            lanes_to_rows(
                lane, work.values, layers[k - 1, VALUES] * task.stride, task.stride,
                layer[INPUTS], work.own.value_rows, turned(lane, layers, k - 1, task.stride), rows,
            )  # fmt: skip


@device_function(inline="always")
def _part(
    lane, task, layers, ordering, data, state, work, epoch, first, row, rows, batch_rows, place,
    brings, measured, scored, adds, slot, part, parts,
):  # fmt: skip
    """A thread's part of a tile: forward, back, gradients, and where a batch is one tile the step.

    Each thread brings and turns for itself what it reads. slot : where its gradients begin.
    """
    at = standing(work, place)
    r, x, _, _ = at
    if brings:
        bring(lane, task, data.X, ordering, work.order, first, rows, work, at)
        bring_targets(
            lane, task, data.y, data.weights, task.weighted, ordering, work.order, first, rows,
            work, at,
        )  # fmt: skip
    if task.drops_inputs:
        drop(
            lane, flat(state.dropout), 0, state.seeds, epoch, first, False, work.lane_inputs,
            work.lane_inputs, 0, task.stride, 0, task.inputs, values_of(lane, rows),
        )  # fmt: skip
        lanes_to_rows(
            lane, work.lane_inputs, 0, task.stride, task.inputs, work.own.input_rows, 0, rows
        )
    _forward(lane, task, layers, data, state, work, at, epoch, first, rows, part, parts)
    if part == 0:
        _outputs(lane, task, layers, state, work, at, row, rows, measured, scored)
    if parts > 1:
        meet(work.own.team, part)
    _back(lane, task, layers, state, work, at, rows, batch_rows, part, parts)
    _turn(lane, task, layers, work, rows, part, parts)
    weights_part(lane, task, layers, data, state, work, x, r, row, rows, adds, slot, part, parts)
    if parts > 1:
        meet(work.own.team, part)


@device_function
def _chunks_of_round(team, batch_rows, row):
    """How many chunks a team takes at once: some each, or what is left of the batch."""
    return min(team[SLOTS], (batch_rows - row + CHUNK - 1) // CHUNK)


@device_function(inline="never")
def _add_parts(task, net, work, is_first, count, part, parts):
    """Add the gradients of ``count`` chunks in order, a part of the parameters."""
    p, end = share(part, parts, task.parameters, 16)
    for c in range(count):
        add_chunk(
            net, work.gradient, c * task.parameters + p, work.total, p, end - p,
            is_first and c == 0,
        )  # fmt: skip


@device_function
def _weigh(lane, task, data, ordering, work, first, row, rows, batch_rows):
    """What the gradients of a batch are multiplied by; known where its last tile has come.

    Of weighted rows the tile's weights are told here, to where they stand once it is brought.
    """
    net = net_of(lane)
    if task.weighted:
        weights, (_, _, _, w) = flat(work.lane_weights), standing(work, place_of(work, row))
        w *= rows_of(lane)
        for s in range(rows):
            at = first + s
            if ordering != IN_PLACE:
                at = work.order[0, first + s]
            store(net, weights, w + s, fetch(net, data.weights, at))
        add_weights(net, in_lanes(net, work.lane_weights), w, row, rows, work.sums)
        if row + rows == batch_rows:
            finish_weights(net, work.sums)
    store(net, work.step, SCALE, batch_scale(net, task, batch_rows, work.sums))


@device_function(inline="never")
def _tell(team, epoch, first, row, rows, batch_rows, brings):
    """Tell the followers of a tile, and begin."""
    team[EPOCH], team[FIRST], team[ROW], team[ROWS] = epoch, first, row, rows
    team[BATCH_ROWS], team[BRINGS] = batch_rows, int(brings)
    meet(team, 0)


@device_function(inline="always")
def train_rows(
    lane, task, layers, ordering, data, state, work, epoch, first, row, rows, batch_rows, measured,
    scored,
):  # fmt: skip
    """Train on a tile of rows, from ``first`` of the epoch's order and ``row`` of its batch on.

    Where the batch ends, with its step.
    """
    net, team, parts = net_of(lane), work.own.team, parts_of(work.own.team)
    if row == 0:
        team[DONE] = 0
    _weigh(lane, task, data, ordering, work, first, row, rows, batch_rows)
    chunked, divides_chunks = batch_rows > CHUNK, task.batch > CHUNK
    divides_units = parts > 1 and not divides_chunks
    # a round: each thread some chunks; losses are added in order, and a short batch is one chunk
    in_rounds = parts > 1 and divides_chunks and chunked and not measured
    if row >= team[DONE]:  # else it was a part of a round
        count = _chunks_of_round(team, batch_rows, row) if in_rounds else 1
        brings = divides_units and is_to_bring(task, ordering, work, 0, first)
        if in_rounds or divides_units:
            _tell(team, epoch, first, row, rows, batch_rows, brings)
        for c in range(0, count, parts):
            away = c * CHUNK
            place = place_of(work, row + away)
            if not divides_units:
                brings = is_to_bring(task, ordering, work, place, first + away)
            here = min(CHUNK, batch_rows - row - away) if in_rounds else rows
            _part(
                lane, task, layers, ordering, data, state, work, epoch, first + away, row + away,
                here, batch_rows, place, brings, measured, scored, chunked and not in_rounds,
                c * task.parameters, 0, parts if divides_units else 1,
            )  # fmt: skip
        if in_rounds:
            team[DONE] = row + count * CHUNK
            meet(team, 0)
            _add_parts(task, net, work, row == 0, count, 0, parts)
            meet(team, 0)
    if row + rows == batch_rows and not steps_at_once(task):
        scale = load(net, work.step, SCALE)
        finish_batch(net, task, layers, state, work, batch_rows, scale)


@device_function
def follow(lane, task, layers, ordering, data, state, work, part):
    """Take a part of each tile of a net that another thread trains, until the team is stopped."""
    net, team = net_of(lane), work.own.team
    parts, in_rounds = team[PARTS], task.batch > CHUNK
    while meet(team, part):
        first, row, rows = team[FIRST], team[ROW], team[ROWS]
        batch_rows, brings = team[BATCH_ROWS], team[BRINGS] == 1
        begin, count = (part, _chunks_of_round(team, batch_rows, row)) if in_rounds else (0, 1)
        for c in range(begin, count, parts):
            away = c * CHUNK
            place = place_of(work, row + away)
            if in_rounds:
                rows = min(CHUNK, batch_rows - row - away)
                brings = is_to_bring(task, ordering, work, place, first + away)
            _part(
                lane, task, layers, ordering, data, state, work, team[EPOCH], first + away,
                row + away, rows, batch_rows, place, brings, False, False, False,
                c * task.parameters, 0 if in_rounds else part, 1 if in_rounds else parts,
            )  # fmt: skip
        if in_rounds:
            meet(team, part)
            _add_parts(task, net, work, row == 0, count, part, parts)
            meet(team, part)


@device_function(inline="never")
def validate_rows(lane, task, layers, X, y, w, weighted, params, parameter, first, rows, work):
    """Losses and scores of rows ``first`` to ``first + rows``, added to the partial sums."""
    net, values = net_of(lane), values_of(lane, rows)
    work.own.brought[0] = -1
    at = standing(work, 0)
    bring_targets(lane, task, y, w, weighted, IN_PLACE, work.order, first, rows, work, at)
    if task.panels:
        bring(lane, task, X, IN_PLACE, work.order, first, rows, work, at)
        _values_by_panels(lane, task, layers, X, params, work, 0, layers[0, UNITS], rows)
        finish_values(lane, task, layers[0], flat(params), work, values)
    else:
        bring_in_place(lane, task, X, first, rows, work)
    forward(
        lane, task, layers, task.panels, work.lane_inputs, 0, task.stride, 1, flat(params), work,
        values,
    )  # fmt: skip
    v, p = layers[len(layers) - 1, VALUES] * task.stride, splat(lane, parameter)
    _measure_rows(lane, task, weighted, True, True, v, first, rows, p, work, at)
    output_values(lane, task.output, work.values, work.deltas, v, task.stride, task.outputs, values)
    _measure_rows(lane, task, weighted, True, False, v, first, rows, p, work, at)
    if weighted:
        add_weights(net, in_lanes(net, work.lane_weights), 0, first, rows, work.sums)


@device_function(inline="never")
def predict_rows(lane, task, layers, X, params, work, outputs, first, last):
    """Outputs of one net for rows ``first`` to ``last``, tile by tile.

    X : (n * I,). params : shared (P and statistics,). outputs : (n * O,).
    """
    count, v = task.outputs, layers[len(layers) - 1, VALUES] * task.stride
    turned_rows, width = flat(work.own.value_rows), values_of(lane, count) * rows_of(lane)
    while first < last:
        rows = min(task.tile, last - first)
        values = values_of(lane, rows)
        bring_in_place(lane, task, X, first, rows, work)
        forward(lane, task, layers, 0, work.lane_inputs, 0, task.stride, 1, params, work, values)
        output_values(lane, task.output, work.values, work.deltas, v, task.stride, count, values)
        for o in range(count):
            for p in range(v + o * task.stride, v + o * task.stride + values):
                store(lane, work.values, p, canonical(load(lane, work.values, p)))
        lanes_to_rows(lane, work.values, v, task.stride, count, work.own.value_rows, 0, rows)
        for s in range(rows):
            copy(lane, turned_rows, s * width, outputs, (first + s) * count, count)
        first += rows
