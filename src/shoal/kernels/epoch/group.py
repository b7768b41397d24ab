"""One group of nets: epochs, batches, tiles of rows, stopping. Written once for both meanings of
the lanes.

``tile_lane`` is the lanes that a tile is computed in, ``train_rows`` and ``validate_rows`` are what
computes it: those of `nets_in_lanes`, or of `rows_in_lanes`, where the lanes are rows of the one
net of a group. What is of a whole net is computed in ``lane``.

A group is L nets of one architecture side by side. Training is a sequence of *tiles*: rows of a
batch that go forward and back together. A batch is cut into tiles of ``task.tile`` rows, an epoch
into batches, and the validation rows that follow it into tiles of their own; the tiles of a whole
training are numbered through, and a launch runs those from ``start`` to ``stop``. Where it is cut
changes no bit: all state is in arrays.
"""

from ..arguments import Tile
from ..code.compilation import device_function
from ..codes import RESIDUALS, SQUARED_ERROR, TRAINING_LOSS, VALIDATION_SCORE
from ..lanes.access import load, store
from ..lanes.elementary import canonical
from ..lanes.primitives import any_lane, broadcast, fma, like, select
from ..lanes.shapes import lane_range
from ..layout import (
    BATCH_WEIGHT,
    EPOCH_WEIGHT,
    L2,
    LIMIT,
    LOSS,
    LOSS_PARAMETER,
    LOSSES,
    MONITORED,
    OWN_ORDER,
    PARTIALS,
    RATE,
    RECORDS,
    SCORE_FIELDS,
    SCORES,
    SHARED_ORDER,
    SQUARES,
)
from ..step.batch import finish_weights
from ..step.optimizers import begin_step, trainable
from ..step.random import copy_orders, shuffle_group
from ..step.schedules import set_rates
from ..step.sums import combine
from .monitoring import (
    finite,
    is_recorded,
    next_limit,
    record_of,
    roll_back,
    take_snapshot,
    update_status,
)


@device_function(inline="never")
def _finish_measure(lane, task, loss, scored, sums):
    """Add a batch's loss, and what its score counts, to the epoch's."""
    store(lane, sums, LOSS, load(lane, sums, LOSS) + loss)
    if scored:
        for k in range(task.counts):
            p = SCORES + k * SCORE_FIELDS
            total = load(lane, sums, p + PARTIALS) + combine(lane, sums, p)
            store(lane, sums, p + PARTIALS, total)


@device_function(inline="never")
def _whole_loss(lane, task, rates, batch_rows, sums):
    """The loss of a batch times its rows: with its penalty, squared errors averaged over outputs.

    As the gradients' is, the weight that it is divided by is that of the batch.
    """
    loss = combine(lane, sums, LOSSES)
    if task.loss == SQUARED_ERROR:
        loss = loss / like(loss, task.outputs)
    half = like(loss, 0.5) * load(lane, rates, L2)
    loss = fma(half, combine(lane, sums, SQUARES), loss)
    if task.weighted:
        loss = loss * (like(loss, batch_rows) / load(lane, sums, BATCH_WEIGHT))
    return loss


@device_function(inline="never")
def _score(lane, task, variation, weight, sums):
    """The score: a share of right rows, or R squared, of an output that is constant 1 or 0."""
    zero, one = broadcast(lane, 0.0), broadcast(lane, 1.0)
    if task.score != RESIDUALS:
        return load(lane, sums, SCORES + PARTIALS) / weight
    total = zero
    for o in range(task.outputs):
        residual = load(lane, sums, SCORES + o * SCORE_FIELDS + PARTIALS)
        about = load(lane, variation, o)
        constant = select(residual == zero, one, zero)
        total = total + select(about > zero, one - residual / about, constant)
    return total / like(zero, task.outputs)


@device_function
def _write(lane, array, record, records, number):
    """Set a record of the nets where ``records`` is true. array : (records, L)."""
    old = load(lane, array, record)
    store(lane, array, record, select(records, canonical(number), old))


@device_function
def _forget(lane, task, sums):
    """Set the epoch's sums to +0 again."""
    zero = broadcast(lane, 0.0)
    store(lane, sums, LOSS, zero)
    store(lane, sums, EPOCH_WEIGHT, zero)
    for k in range(task.counts):
        store(lane, sums, SCORES + k * SCORE_FIELDS + PARTIALS, zero)


@device_function
def _mark_records(lane, task, state, work, epoch):
    """Mark the nets that this epoch is recorded for: of those that run all, or those it ends."""
    if is_recorded(task, epoch):
        store(lane, work.marks, RECORDS, load(lane, state.alive, 0))
    else:
        for q in lane_range(lane, state.progress):
            last = state.progress[LIMIT, q] == epoch + 1
            work.marks[RECORDS, q] = state.alive[0, q] if last else 0


@device_function(inline="never")
def _finish_training(lane, task, data, state, work, epoch, recorded, scored):
    """After an epoch's training rows: their loss and score, and the epoch's learning rate."""
    zero, one = broadcast(lane, 0.0), broadcast(lane, 1.0)
    rows = like(zero, task.rows)
    weight = load(lane, work.sums, EPOCH_WEIGHT) if task.weighted else rows
    mean = load(lane, work.sums, LOSS) / (rows if task.whole_losses else weight)
    store(lane, work.marks, MONITORED, mean)
    if recorded:
        _mark_records(lane, task, state, work, epoch)
        records, record = load(lane, work.marks, RECORDS) == one, record_of(task, epoch)
        _write(lane, state.losses, record, records, mean)
        if scored:
            score = _score(lane, task, data.variation, weight, work.sums)
            _write(lane, state.scores, record, records, score)
        if len(state.learning_rates) > 0:
            _write(lane, state.learning_rates, record, records, load(lane, state.rates, RATE))
    _forget(lane, task, work.sums)


@device_function
def _finish_validation(lane, task, rows, weighted, sums):
    """(loss, weight) of the rows that were validated as one batch."""
    _finish_measure(lane, task, combine(lane, sums, LOSSES), True, sums)
    weight = like(load(lane, sums, LOSS), rows)
    if weighted:
        finish_weights(lane, sums)
        weight = load(lane, sums, EPOCH_WEIGHT)
    return load(lane, sums, LOSS) / weight, weight


@device_function
def _validate(lane, tile_lane, validate_rows, group, epoch, start, recorded):
    """A tile of validation rows after an epoch; behind the last their loss and score."""
    one, task, data, state, work = (
        broadcast(lane, 1.0), group.task, group.data, group.state, group.work,
    )  # fmt: skip
    rows = min(task.validation_tile, task.validation_rows - start)
    validate_rows(
        tile_lane, task, group.layers, data.validation, data.validation_weighted, state.params,
        load(lane, state.rates, LOSS_PARAMETER), start, rows, work,
    )  # fmt: skip
    if start + rows == task.validation_rows:
        loss, weight = _finish_validation(
            lane, task, task.validation_rows, data.validation_weighted, work.sums
        )
        score = _score(lane, task, data.variation, weight, work.sums)
        if task.watched != TRAINING_LOSS:
            store(lane, work.marks, MONITORED, -score if task.watched == VALIDATION_SCORE else loss)
        if recorded:
            records, record = load(lane, work.marks, RECORDS) == one, record_of(task, epoch)
            _write(lane, state.val_losses, record, records, loss)
            _write(lane, state.scores, record, records, score)
        _forget(lane, task, work.sums)


@device_function
def _order_rows(lane, group, epoch):
    """The row orders of an epoch: drawn, or those that are given."""
    data, state, work = group.data, group.state, group.work
    if data.order_epochs > 0:
        copy_orders(lane, work.order, state.order_seeds, data, epoch, state.params)
    else:
        shuffle_group(lane, work.order, state.order_seeds, epoch, work.words, state.params)


@device_function
def _begin_epoch(lane, group, epoch):
    task, state = group.task, group.state
    if task.scheduled:
        set_rates(lane, state.rates, state.schedule, state.monitor, epoch, task.rows)
    if group.ordering in (SHARED_ORDER, OWN_ORDER):
        _order_rows(lane, group, epoch)


@device_function
def run_tiles(lane, tile_lane, train_rows, validate_rows, group, start, stop):
    """Train through tiles ``start`` to ``stop``."""
    task, state, work = group.task, group.state, group.work
    epoch, number = start // task.epoch_tiles, start % task.epoch_tiles
    batch_start = number // task.batch_tiles * task.batch
    row = number % task.batch_tiles * task.tile
    limit = next_limit(lane, state.progress, epoch)
    due = record_of(task, epoch) * task.record_every  # the next recorded epoch, without a division
    recorded = epoch == due or epoch + 1 == limit
    scored = task.validation_rows == 0
    even = task.rows % task.batch == 0 and task.batch % task.tile == 0  # all tiles are full ones
    shuffled = group.ordering in (SHARED_ORDER, OWN_ORDER)
    if shuffled and 0 < number < task.training_tiles:
        _order_rows(lane, group, epoch)
    for _ in range(start, stop):
        measured = recorded or task.monitored
        if number < task.training_tiles:
            rows, batch_rows, position = task.tile, task.batch, batch_start + row
            if not even:
                batch_rows = task.rows - batch_start
                if batch_rows > task.longest_batch:
                    batch_rows = task.batch
                rows = min(task.tile, batch_rows - row)
            if position == 0:
                _begin_epoch(lane, group, epoch)
            if row == 0:
                begin_step(lane, trainable(task, state, work))
            train_rows(
                tile_lane, group,
                Tile(epoch, position, row, rows, batch_rows, measured, scored and recorded),
            )  # fmt: skip
            row += rows
            if row == batch_rows:
                if measured:
                    if task.whole_losses:
                        loss = _whole_loss(lane, task, state.rates, batch_rows, work.sums)
                    else:
                        loss = combine(lane, work.sums, LOSSES)
                    _finish_measure(lane, task, loss, scored and recorded, work.sums)
                row = 0
                batch_start += batch_rows
                if batch_start == task.rows and (measured or task.weighted):
                    _finish_training(lane, task, group.data, state, work, epoch, recorded, scored)
        elif measured:
            first = (number - task.training_tiles) * task.validation_tile
            _validate(lane, tile_lane, validate_rows, group, epoch, first, recorded)
        number += 1
        if number == task.epoch_tiles:
            number, batch_start = 0, 0
            epoch += 1
            if epoch > due:
                due += task.record_every
            recorded = epoch == due or epoch + 1 == limit


@device_function
def _run_epochs(lane, tile_lane, train_rows, validate_rows, group, start, stop):
    """Tiles up to the end of an epoch, and what has become of the nets then.

    A net has diverged when a parameter is not finite at the end of an epoch. That is tested at the
    end; where there is such a net, these epochs are run again with a test after each, so that the
    epoch and the last finite parameters are exact wherever the launches were cut.
    """
    one, task, state, work = broadcast(lane, 1.0), group.task, group.state, group.work
    tiles, again, position, length = task.epoch_tiles, False, start, stop - start
    while position < stop:
        if again:
            take_snapshot(lane, state, work, True)
        end = position + length
        run_tiles(lane, tile_lane, train_rows, validate_rows, group, position, end)
        position = end
        if stop % tiles == 0:
            running = load(lane, state.alive, 0) == one
            diverged = any_lane(running & (finite(lane, state.params) ^ (one == one)))
            if diverged and not again and length > tiles:
                roll_back(lane, state, work, False)
                again, position, length = True, start, tiles
            else:
                update_status(lane, task, state, work, end // tiles)


@device_function
def train_group(lane, tile_lane, train_rows, validate_rows, group, start, stop):
    """Train a group through tiles ``start`` to ``stop``: whole epochs, or a part of one.

    The nets' statuses are updated where one of them is done, after every epoch where they are
    monitored, and at the end of the launch.
    """
    one, task, state, work = broadcast(lane, 1.0), group.task, group.state, group.work
    tiles, position = task.epoch_tiles, start
    while position < stop and any_lane(load(lane, state.alive, 0) == one):
        epoch, end = position // tiles, stop
        if task.monitored:
            end = min(stop, (epoch + 1) * tiles)
        else:
            limit = next_limit(lane, state.progress, epoch)
            if limit > 0:
                end = min(stop, limit * tiles)
        if position % tiles == 0:
            take_snapshot(lane, state, work, position > start)
        _run_epochs(lane, tile_lane, train_rows, validate_rows, group, position, end)
        position = end
    # of a group that was done before, the workspace has no snapshot
    trained = position > start and position % tiles == 0
    if trained and any_lane(load(lane, state.alive, 0) != one):
        roll_back(lane, state, work, True)


@device_function
def evaluate_group(lane, tile_lane, validate_rows, group):
    """Loss and score of a group on all rows, in tiles.

    state.losses : (1, L), the mean loss. state.scores : (counts + 1, L), what the score counts, and
    the sum of the row weights.
    """
    task, state, work = group.task, group.state, group.work
    parameter = load(lane, state.rates, LOSS_PARAMETER)
    start = 0
    while start < task.rows:
        rows = min(task.tile, task.rows - start)
        validate_rows(
            tile_lane, task, group.layers, group.data.training, task.weighted, state.params,
            parameter, start, rows, work,
        )  # fmt: skip
        start += rows
    loss, weight = _finish_validation(lane, task, task.rows, task.weighted, work.sums)
    store(lane, state.losses, 0, canonical(loss))
    for k in range(task.counts):
        store(lane, state.scores, k, load(lane, work.sums, SCORES + k * SCORE_FIELDS + PARTIALS))
    store(lane, state.scores, task.counts, weight)
    _forget(lane, task, work.sums)
