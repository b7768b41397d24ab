"""One group of nets: epochs, batches, tiles of rows, stopping. Written once for both engines.

An engine is ``engine``, the lanes that a tile is computed in, and two functions, ``train_rows`` and
``validate_rows``: those of `nets`, where the lanes are the group's nets, or of `dense`, where they
are rows of the group's one net. What stands for a whole net is computed in ``lane``.

A group is L nets of one shape side by side. Training is a sequence of *tiles*: rows of a batch
that go forward and back together. A batch is cut into tiles of ``task.tile`` rows, an epoch into
batches, and the validation rows that follow it into tiles of their own; the tiles of a whole
training are numbered through, and a launch runs those from ``start`` to ``stop``. Where it is cut
changes no bit: all state is in arrays.
"""

from ..code.compilation import device_function
from ..lanes.elementary import canonical
from ..lanes.primitives import (
    any_lane,
    fetch,
    lane_range,
    like,
    load,
    select,
    splat,
    store,
)
from ..layout import (
    EPOCH_WEIGHT,
    IN_PLACE,
    LIMIT,
    LOSS,
    LOSSES,
    MINE,
    SCORE_ROWS,
    SCORES,
    WATCHED,
)
from ..step.losses import RESIDUALS
from ..step.optimizers import LOSS_PARAMETER, RATE, begin_step
from ..step.random import shuffle_group
from ..step.schedules import set_rates
from ..step.sums import PARTIALS, combine
from ..step.tile import finish_weights
from .monitoring import (
    finite,
    is_recorded,
    keep,
    next_limit,
    record_of,
    restore,
    settle,
)


@device_function
def tiles_of_batch(task):
    """Tiles of a full batch."""
    return (task.batch + task.tile - 1) // task.tile


@device_function
def training_tiles(task):
    """Tiles of an epoch's training rows; the last batch may be short."""
    last = task.rows % task.batch
    return task.rows // task.batch * tiles_of_batch(task) + (last + task.tile - 1) // task.tile


@device_function
def tiles_of_epoch(task):
    """Tiles of an epoch, with those of the validation rows."""
    if task.validation_rows == 0:
        return training_tiles(task)
    validation = (task.validation_rows + task.validation_tile - 1) // task.validation_tile
    return training_tiles(task) + validation


@device_function
def _counts(task):
    """How many numbers a score counts."""
    return task.outputs if task.score == RESIDUALS else 1


@device_function(inline="never")
def _finish_measure(lane, task, scored, sums):
    """Add a batch's loss, and what its score counts, to the epoch's."""
    store(lane, sums, LOSS, load(lane, sums, LOSS) + combine(lane, sums, LOSSES))
    if scored:
        for k in range(_counts(task)):
            p = SCORES + k * SCORE_ROWS
            total = load(lane, sums, p + PARTIALS) + combine(lane, sums, p)
            store(lane, sums, p + PARTIALS, total)


@device_function(inline="never")
def _score(lane, task, variation, weight, sums):
    """The score: a share of right rows, or R squared, of an output that is constant 1 or 0."""
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    if task.score != RESIDUALS:
        return load(lane, sums, SCORES + PARTIALS) / weight
    total = zero
    for o in range(task.outputs):
        residual = load(lane, sums, SCORES + o * SCORE_ROWS + PARTIALS)
        about = fetch(lane, variation, o)
        constant = select(residual == zero, one, zero)
        total = total + select(about > zero, one - residual / about, constant)
    return total / like(zero, task.outputs)


@device_function
def _write(lane, records, record, mine, value):
    """Set a record of the nets that it belongs to. records : (records, L)."""
    old = load(lane, records, record)
    store(lane, records, record, select(mine, canonical(value), old))


@device_function
def _forget(lane, task, sums):
    """Set the epoch's sums to +0 again."""
    zero = splat(lane, 0.0)
    store(lane, sums, LOSS, zero)
    store(lane, sums, EPOCH_WEIGHT, zero)
    for k in range(_counts(task)):
        store(lane, sums, SCORES + k * SCORE_ROWS + PARTIALS, zero)


@device_function
def _mark_mine(lane, task, state, work, epoch):
    """Mark the nets that this epoch is recorded for: of those that run all, or those it ends."""
    if is_recorded(task, epoch):
        store(lane, work.marks, MINE, load(lane, state.alive, 0))
    else:
        for q in lane_range(lane, state.progress):
            last = state.progress[LIMIT, q] == epoch + 1
            work.marks[MINE, q] = state.alive[0, q] if last else 0


@device_function(inline="never")
def _finish_training(lane, task, data, state, work, epoch, recorded, scored):
    """After an epoch's training rows: their loss and score, and the epoch's learning rate."""
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    weight = like(zero, task.rows)
    if task.weighted:
        weight = load(lane, work.sums, EPOCH_WEIGHT)
    mean = load(lane, work.sums, LOSS) / weight
    store(lane, work.marks, WATCHED, mean)
    if recorded:
        _mark_mine(lane, task, state, work, epoch)
        mine, record = load(lane, work.marks, MINE) == one, record_of(task, epoch)
        _write(lane, state.losses, record, mine, mean)
        if scored:
            score = _score(lane, task, data.variation, weight, work.sums)
            _write(lane, state.scores, record, mine, score)
        if len(state.learning_rates) > 0:
            _write(lane, state.learning_rates, record, mine, load(lane, state.rates, RATE))
    _forget(lane, task, work.sums)


@device_function
def _finish_validation(lane, task, rows, weighted, sums):
    """(loss, weight) of the rows that were validated as one batch."""
    _finish_measure(lane, task, True, sums)
    weight = like(load(lane, sums, LOSS), rows)
    if weighted:
        finish_weights(lane, sums)
        weight = load(lane, sums, EPOCH_WEIGHT)
    return load(lane, sums, LOSS) / weight, weight


@device_function
def _validate(lane, engine, validate_rows, task, layers, data, state, work, epoch, first, recorded):
    """A tile of validation rows after an epoch; behind the last their loss and score."""
    one = splat(lane, 1.0)
    rows = min(task.validation_tile, task.validation_rows - first)
    validate_rows(
        engine, task, layers, data.validation_X, data.validation_y, data.validation_weights,
        data.validation_weighted, state.params, load(lane, state.rates, LOSS_PARAMETER),
        first, rows, work,
    )  # fmt: skip
    if first + rows == task.validation_rows:
        loss, weight = _finish_validation(
            lane, task, task.validation_rows, data.validation_weighted, work.sums
        )
        store(lane, work.marks, WATCHED, loss)
        if recorded:
            mine, record = load(lane, work.marks, MINE) == one, record_of(task, epoch)
            _write(lane, state.val_losses, record, mine, loss)
            score = _score(lane, task, data.variation, weight, work.sums)
            _write(lane, state.scores, record, mine, score)
        _forget(lane, task, work.sums)


@device_function
def _begin_epoch(lane, task, ordering, state, work, epoch):
    if task.scheduled:
        set_rates(lane, state.rates, state.schedule, state.watch, epoch, task.rows)
    if ordering != IN_PLACE:
        shuffle_group(lane, work.order, state.order_seeds, epoch, work.words, state.params)


@device_function
def run_tiles(
    lane, engine, train_rows, validate_rows, task, layers, ordering, data, state, work, start, stop
):
    """Train through tiles ``start`` to ``stop``. layers : (layers, COLUMNS)."""
    per_epoch, per_batch, trained = (
        tiles_of_epoch(task),
        tiles_of_batch(task),
        training_tiles(task),
    )
    epoch, tile = start // per_epoch, start % per_epoch
    batch_start = tile // per_batch * task.batch
    row = tile % per_batch * task.tile
    limit = next_limit(lane, state.progress, epoch)
    recorded = is_recorded(task, epoch) or epoch + 1 == limit
    scored = task.validation_rows == 0
    if ordering != IN_PLACE and 0 < tile < trained:
        shuffle_group(lane, work.order, state.order_seeds, epoch, work.words, state.params)
    for _ in range(start, stop):
        measured = recorded or task.watched
        if tile < trained:
            batch_rows = min(task.batch, task.rows - batch_start)
            rows = min(task.tile, batch_rows - row)
            first = batch_start + row
            if first == 0:
                _begin_epoch(lane, task, ordering, state, work, epoch)
            if row == 0:
                begin_step(
                    lane, task.optimizer, state.rates, state.moments, task.parameters, work.step
                )
            last = row + rows == batch_rows
            train_rows(
                engine, task, layers, ordering, data, state, work, epoch, first, row, rows,
                batch_rows, measured, scored and recorded,
            )  # fmt: skip
            row += rows
            if last:
                if measured:
                    _finish_measure(lane, task, scored and recorded, work.sums)
                row = 0
                batch_start += batch_rows
                if batch_start == task.rows and (measured or task.weighted):
                    _finish_training(lane, task, data, state, work, epoch, recorded, scored)
        elif measured:
            first = (tile - trained) * task.validation_tile
            _validate(
                lane, engine, validate_rows, task, layers, data, state, work, epoch, first,
                recorded,
            )  # fmt: skip
        tile += 1
        if tile == per_epoch:
            tile, batch_start = 0, 0
            epoch += 1
            recorded = is_recorded(task, epoch) or epoch + 1 == limit


@device_function
def _run_epochs(
    lane, engine, train_rows, validate_rows, task, layers, ordering, data, state, work, start, stop
):
    """Tiles up to the end of an epoch, with the look at what has become of the nets.

    A net has diverged when a parameter is not finite at the end of an epoch. The look comes at the
    end; where it finds such a net, these epochs are run again with a look after each, so that the
    epoch and the last finite parameters are exact wherever the launches were cut.
    """
    one = splat(lane, 1.0)
    per_epoch = tiles_of_epoch(task)
    run_tiles(
        lane, engine, train_rows, validate_rows, task, layers, ordering, data, state, work, start,
        stop,
    )  # fmt: skip
    if stop % per_epoch == 0:
        first, end = start // per_epoch, stop // per_epoch
        running = load(lane, state.alive, 0) == one
        diverged = any_lane(running & (finite(lane, state.params) ^ (one == one)))
        if diverged and end - first > 1:
            restore(lane, state, work, False)
            for epoch in range(first, end):
                keep(lane, state, work, True)
                run_tiles(
                    lane, engine, train_rows, validate_rows, task, layers, ordering, data, state,
                    work, epoch * per_epoch, (epoch + 1) * per_epoch,
                )  # fmt: skip
                settle(lane, task, state, work, epoch + 1)
        else:
            settle(lane, task, state, work, end)


@device_function
def train_group(
    lane, engine, train_rows, validate_rows, task, layers, ordering, data, state, work, start, stop
):
    """Train a group through tiles ``start`` to ``stop``: whole epochs, or a part of one.

    It looks at the nets where one of them is done, where they are watched after every epoch, and
    at the end of the launch.
    """
    one = splat(lane, 1.0)
    per_epoch = tiles_of_epoch(task)
    position = start
    while position < stop and any_lane(load(lane, state.alive, 0) == one):
        epoch, end = position // per_epoch, stop
        if task.watched:
            end = min(stop, (epoch + 1) * per_epoch)
        else:
            limit = next_limit(lane, state.progress, epoch)
            if limit > 0:
                end = min(stop, limit * per_epoch)
        if position % per_epoch == 0:
            keep(lane, state, work, position > start)
        _run_epochs(
            lane, engine, train_rows, validate_rows, task, layers, ordering, data, state, work,
            position, end,
        )  # fmt: skip
        position = end
    # of a group that was done before, ``work`` has not been told what to keep
    trained = position > start and position % per_epoch == 0
    if trained and any_lane(load(lane, state.alive, 0) != one):
        restore(lane, state, work, True)


@device_function
def evaluate_group(lane, engine, validate_rows, task, layers, data, state, work):
    """Loss and score of a group on all rows, in tiles.

    state.losses : (1, L), the mean loss. state.scores : (counts + 1, L), what the score counts, and
    the sum of the row weights.
    """
    parameter = load(lane, state.rates, LOSS_PARAMETER)
    first = 0
    while first < task.rows:
        rows = min(task.tile, task.rows - first)
        validate_rows(
            engine, task, layers, data.X, data.y, data.weights, task.weighted, state.params,
            parameter, first, rows, work,
        )  # fmt: skip
        first += rows
    loss, weight = _finish_validation(lane, task, task.rows, task.weighted, work.sums)
    store(lane, state.losses, 0, canonical(loss))
    for k in range(_counts(task)):
        store(lane, state.scores, k, load(lane, work.sums, SCORES + k * SCORE_ROWS + PARTIALS))
    store(lane, state.scores, _counts(task), weight)
    _forget(lane, task, work.sums)
