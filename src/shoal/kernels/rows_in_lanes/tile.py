"""Lanes are rows: a tile of rows of one net, whose parameters are shared by the lanes.

A vector holds L rows of a unit, so that a layer of any number of units fills the registers. What
runs along rows (forward, back, losses) is the code of `step`; "rows" there are vectors of L rows.
Gradients are in `gradients`, a wide first layer in `panels`. What runs along parameters, and batch
norm, is the code of one lane, over arrays of one lane: (positions, 1).

A tile is a whole accumulation block of a gradient, or a whole batch; so its sums begin from +0.
"""

from ..arguments import Tile
from ..code.compilation import device_function
from ..lanes.access import load, store
from ..lanes.copying import copy
from ..lanes.elementary import canonical
from ..lanes.primitives import broadcast
from ..lanes.shapes import flat, in_lanes, net_of, rows_per_vector
from ..lanes.views import Units, View
from ..layout import ACCUMULATION_BLOCK, IN_PLACE, SCALE, UNITS
from ..step.batch import add_penalty, add_weights, batch_scale, finish_batch, finish_weights
from ..step.forward import finish_values, forward
from ..step.gradients import add_block
from ..step.losses import output_values
from ..step.optimizers import flat_trainable
from ..teams import BATCH_ROWS, BLOCKS, DONE, EPOCH, LOADS, PARTS, POSITION, ROW, ROWS
from .loading import (
    Slot,
    load_consecutive,
    load_inputs,
    load_targets,
    must_load,
    slot_number,
    slot_of,
)
from .measuring import measure_rows, outputs_of
from .part import first_values_by_panels, take_part
from .team import Share, barrier, parts_of, share_of
from .transposes import lanes_to_rows, vectors_of


@device_function
def _blocks_of_round(team, batch_rows, row):
    """How many blocks a team takes in a round: some each, or what is left of the batch."""
    left = (batch_rows - row + ACCUMULATION_BLOCK - 1) // ACCUMULATION_BLOCK
    return min(team[BLOCKS], left)


@device_function
def _block_of_round(tile, block, rows):
    """The tile that is a block of a round, counted from the tile on."""
    start = block * ACCUMULATION_BLOCK
    return Tile(
        tile.epoch, tile.position + start, tile.row + start, rows, tile.batch_rows, tile.measured,
        tile.scored,
    )  # fmt: skip


@device_function
def _rows_of_block(tile, block):
    """Rows of a block of a round; the batch's last may be short."""
    return min(ACCUMULATION_BLOCK, tile.batch_rows - tile.row - block * ACCUMULATION_BLOCK)


@device_function(inline="never")
def _add_blocks(lane, task, work, is_first, count, share):
    """Add the gradients of ``count`` blocks in order, a share of the parameters."""
    p, stop = share_of(share, task.parameters, 16)
    for k in range(count):
        add_block(
            lane, flat(work.gradient), k * task.parameters + p, flat(work.total), p, stop - p,
            is_first and k == 0,
        )  # fmt: skip


@device_function
def _weigh(lane, group, tile):
    """What the gradients of a batch are multiplied by; known where its last tile has come.

    The weights of the tile's rows are stored where they will be once it is loaded.
    """
    net, task, work = net_of(lane), group.task, group.work
    if task.weighted:
        weights, slot = flat(work.lane_weights), slot_of(work, slot_number(work, tile.row))
        w = slot.weights * rows_per_vector(lane)
        for s in range(tile.rows):
            at = tile.position + s
            if group.ordering != IN_PLACE:
                at = work.order[0, tile.position + s]
            store(net, weights, w + s, load(net, group.data.training.weights, at))
        of_rows = Units(in_lanes(net, work.lane_weights), w, 0)
        add_weights(net, of_rows, tile.row, tile.rows, work.sums)
        if tile.row + tile.rows == tile.batch_rows:
            finish_weights(net, work.sums)
    store(net, work.step, SCALE, batch_scale(net, task, tile.batch_rows, work.sums))


@device_function(inline="never")
def _announce(team, tile, loads):
    """Tell the followers of a tile, and begin."""
    team[EPOCH], team[POSITION], team[ROW], team[ROWS] = (
        tile.epoch, tile.position, tile.row, tile.rows,
    )  # fmt: skip
    team[BATCH_ROWS], team[LOADS] = tile.batch_rows, int(loads)
    barrier(team, 0)


@device_function(inline="always")
def train_rows(lane, group, tile):
    """Train on a tile of rows; where the batch ends, with its step."""
    task, work = group.task, group.work
    net, team, parts = net_of(lane), work.own.team, parts_of(work.own.team)
    if tile.row == 0:
        team[DONE] = 0
    _weigh(lane, group, tile)
    if task.whole_losses and tile.measured and tile.row == 0:
        add_penalty(lane, group.layers, flat(group.state.params), flat(work.sums))
    in_blocks, divides_blocks = (
        tile.batch_rows > ACCUMULATION_BLOCK,
        task.longest_batch > ACCUMULATION_BLOCK,
    )
    divides_units = parts > 1 and not divides_blocks
    # a round: each thread some blocks; losses are added in order, and a short batch is one block
    in_rounds = parts > 1 and divides_blocks and in_blocks and not tile.measured
    if tile.row >= team[DONE]:  # else it was a part of a round
        count = _blocks_of_round(team, tile.batch_rows, tile.row) if in_rounds else 1
        loads = divides_units and must_load(task, group.ordering, work, 0, tile.position)
        if in_rounds or divides_units:
            _announce(team, tile, loads)
        for k in range(0, count, parts):
            block = _block_of_round(tile, k, _rows_of_block(tile, k) if in_rounds else tile.rows)
            number = slot_number(work, block.row)
            if not divides_units:
                loads = must_load(task, group.ordering, work, number, block.position)
            take_part(
                lane, group, block, slot_of(work, number), loads,
                Share(0, parts if divides_units else 1), in_blocks and not in_rounds,
                k * task.parameters,
            )  # fmt: skip
        if in_rounds:
            team[DONE] = tile.row + count * ACCUMULATION_BLOCK
            barrier(team, 0)
            _add_blocks(lane, task, work, tile.row == 0, count, Share(0, parts))
            barrier(team, 0)
    if tile.row + tile.rows == tile.batch_rows and not task.fused:
        nets = flat_trainable(task, group.state, work)
        sums = work.total if in_blocks else work.gradient
        finish_batch(
            lane, net, task, group.layers, nets, flat(sums), work.partials,
            load(lane, nets.step, SCALE),
        )  # fmt: skip


@device_function
def follow(lane, group, part):
    """Take a part of each tile of a net that another thread trains, until the team is stopped."""
    task, work, team = group.task, group.work, group.work.own.team
    parts, in_rounds = team[PARTS], task.longest_batch > ACCUMULATION_BLOCK
    while barrier(team, part):
        tile = Tile(
            team[EPOCH], team[POSITION], team[ROW], team[ROWS], team[BATCH_ROWS], False, False
        )
        loads, start, count = team[LOADS] == 1, 0, 1
        if in_rounds:
            start, count = part, _blocks_of_round(team, tile.batch_rows, tile.row)
        for k in range(start, count, parts):
            block = _block_of_round(tile, k, _rows_of_block(tile, k) if in_rounds else tile.rows)
            number = slot_number(work, block.row)
            if in_rounds:
                loads = must_load(task, group.ordering, work, number, block.position)
            share = Share(0, 1) if in_rounds else Share(part, parts)
            take_part(
                lane, group, block, slot_of(work, number), loads, share, False,
                k * task.parameters,
            )  # fmt: skip
        if in_rounds:
            barrier(team, part)
            _add_blocks(lane, task, work, tile.row == 0, count, Share(part, parts))
            barrier(team, part)


@device_function(inline="never")
def validate_rows(lane, task, layers, samples, weighted, params, parameter, start, rows, work):
    """Losses and scores of ``rows`` rows from ``start`` on, added to the partial sums.

    samples : Samples. params : (P and statistics, 1). parameter : number, of the loss.
    """
    net, vectors, slot = net_of(lane), vectors_of(lane, rows), Slot(0, 0, 0, 0)
    work.own.loaded[0] = -1
    load_targets(lane, task, samples, weighted, IN_PLACE, start, rows, work, slot)
    if task.panels:
        load_inputs(lane, task, samples.X, IN_PLACE, start, rows, work, slot)
        first_values_by_panels(
            lane, task, layers, samples.X, params, work, 0, layers[0, UNITS], rows
        )
        finish_values(lane, task, layers[0], flat(params), work, vectors)
    else:
        load_consecutive(lane, task, samples.X, start, rows, work)
    inputs = View(work.lane_inputs, 0, task.stride, 1)
    forward(lane, task, layers, task.panels, inputs, flat(params), work, vectors)
    outputs = outputs_of(lane, task, layers, work, slot, weighted, start, rows)
    p = broadcast(lane, parameter)
    measure_rows(lane, task, True, True, p, outputs, rows, work)
    output_values(lane, outputs)
    measure_rows(lane, task, True, False, p, outputs, rows, work)
    if weighted:
        add_weights(net, Units(in_lanes(net, work.lane_weights), 0, 0), start, rows, work.sums)


@device_function(inline="never")
def predict_rows(lane, task, layers, X, params, work, predictions, start, stop):
    """Outputs of one net for rows ``start`` to ``stop``, tile by tile.

    X : (n * I,). params : shared (P and statistics,). predictions : (n * O,).
    """
    count, by_row = task.outputs, flat(work.own.value_rows)
    width = vectors_of(lane, count) * rows_per_vector(lane)
    inputs = View(work.lane_inputs, 0, task.stride, 1)
    while start < stop:
        rows = min(task.tile, stop - start)
        vectors = vectors_of(lane, rows)
        load_consecutive(lane, task, X, start, rows, work)
        forward(lane, task, layers, 0, inputs, params, work, vectors)
        outputs = outputs_of(lane, task, layers, work, Slot(0, 0, 0, 0), False, 0, rows)
        output_values(lane, outputs)
        values = outputs.values
        for o in range(count):
            first = values.start + o * values.step
            for p in range(first, first + vectors):
                store(lane, work.values, p, canonical(load(lane, work.values, p)))
        lanes_to_rows(lane, values, count, work.own.value_rows, 0, rows)
        for s in range(rows):
            copy(lane, by_row, s * width, predictions, (start + s) * count, count)
        start += rows
