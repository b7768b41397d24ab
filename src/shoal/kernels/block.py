"""One group of nets: epochs, batches, tiles of rows, stopping. Written once for every engine.

A group is L nets of one shape side by side. Training is a sequence of *tiles*: rows of a batch
that go forward and back together. A batch is cut into tiles of ``task.tile`` rows, an epoch into
batches;
the tiles of a whole training are numbered through, and a launch runs those from ``start`` to
``stop``. Where it is cut changes no bit: all state is in arrays.
"""

from typing import Any, NamedTuple

from .jit import body, inlined_body
from .lanes import (
    any_lane,
    fetch,
    fetch_rows,
    fma,
    lane_extent,
    lane_range,
    like,
    load,
    select,
    splat,
    store,
    store_tile,
    unit_extent,
)
from .layers import IDENTITY, bias_gradient, deltas_layer, forward_layer, gradient_strip
from .losses import (
    CROSS_ENTROPY,
    PARTIALS,
    SQUARED_ERROR,
    add_logit_losses,
    add_scores,
    add_squared_losses,
    combine,
    output_deltas,
    output_values,
)
from .optimizers import begin_step, update
from .random import shuffle_group

CHUNK = 256  # rows of a gradient's partial sums; a tile never crosses a chunk's end

# columns of `layers`
INPUTS, UNITS, WEIGHTS, BIASES, CODE, VALUES, COLUMNS = range(7)
# how rows are ordered
IN_PLACE, SHARED_ORDER, OWN_ORDER = range(3)
# rows of `progress`
STATUS, EPOCHS, PROGRESS_ROWS = range(3)
# what a net has come to
RUNNING, FINISHED, STOPPED, DIVERGED, INTERRUPTED = range(5)


class Task(NamedTuple):
    """Numbers that all nets of a block share."""

    rows: int  # n
    inputs: int  # I
    outputs: int  # O
    parameters: int  # P
    batch: int  # rows of a full batch
    tile: int  # rows of a full tile
    stride: int  # from unit to unit in values; at least `tile`
    epochs: int
    record_every: int
    mean: int  # 1 where gradients are averaged over the batch
    output: int  # code of the output
    loss: int
    optimizer: int


class Workspace(NamedTuple):
    """Scratch arrays of one thread, for one group at a time."""

    values: Any  # (units * stride, L)
    deltas: Any  # (units * stride, L)
    gradient: Any  # (P or the largest strip, L): sums of a chunk
    total: Any  # (P, L) where a batch has several chunks
    sums: Any  # (PARTIALS + 1, L): partial sums of a batch's loss, and the epoch's
    kept: Any  # (P + state rows, L): parameters and moments as of the last look
    step: Any  # (STEP_ROWS, L)
    order: Any  # (1, n) or (L, n) int32
    shared_inputs: Any  # (tile * I,)
    shared_targets: Any  # (tile * O,)
    lane_inputs: Any  # (I * stride, L)
    lane_targets: Any  # (O * stride, L)


class State(NamedTuple):
    """What nets carry from launch to launch: a group's, or with a leading axis a block's."""

    params: Any  # (P, L)
    moments: Any  # (state rows, L)
    rates: Any  # (RATES, L)
    seeds: Any  # (L,) uint64, of the row order
    alive: Any  # (1, L): 1 while a net runs, else 0
    losses: Any  # (records, L)
    progress: Any  # (PROGRESS_ROWS, L) int64


@body
def tiles_of_batch(task):
    """Tiles of a full batch."""
    return (task.batch + task.tile - 1) // task.tile


@body
def tiles_of_epoch(task):
    """Tiles of an epoch, whose last batch may be short."""
    last = task.rows % task.batch
    return task.rows // task.batch * tiles_of_batch(task) + (last + task.tile - 1) // task.tile


@body
def is_recorded(task, epoch):
    """Whether this epoch's loss is recorded: every so many, and the last."""
    return epoch % task.record_every == 0 or epoch == task.epochs - 1


@body
def record_of(task, epoch):
    """Number of the record of a recorded epoch."""
    return (epoch + task.record_every - 1) // task.record_every


@inlined_body
def forward(lane, task, layers, x, x0, unit_step, row_step, params, work, rows):
    """All layers of a tile; the output layer's weighted sums are left as they are."""
    for k in range(len(layers)):
        layer = layers[k]
        code = layer[CODE] if k + 1 < len(layers) else IDENTITY
        v = layer[VALUES] * task.stride
        if k == 0:
            forward_layer(
                lane, x, x0, unit_step, row_step, params, layer[WEIGHTS], layer[BIASES],
                layer[INPUTS], layer[UNITS], code, work.values, work.deltas, v, task.stride, rows,
            )  # fmt: skip
        else:
            below = layers[k - 1][VALUES] * task.stride
            forward_layer(
                lane, work.values, below, task.stride, 1, params, layer[WEIGHTS], layer[BIASES],
                layer[INPUTS], layer[UNITS], code, work.values, work.deltas, v, task.stride, rows,
            )  # fmt: skip


@inlined_body
def _layer_gradient(
    lane, task, layer, x, x0, unit_step, row_step, state, work, rows, fresh, at_once, scale
):
    """Gradient of one layer, strip by strip; where a batch is one tile, the update follows at once,
    while the strip is in the L1 cache."""
    one, extent = (0,), unit_extent(lane)
    inputs, units = layer[INPUTS], layer[UNITS]
    u = 0
    while u < units:
        p = layer[WEIGHTS] + u * inputs
        v = (layer[VALUES] + u) * task.stride
        g = 0 if at_once else p
        if units - u >= len(extent):
            count = len(extent)
            gradient_strip(
                lane, extent, x, x0, unit_step, row_step, inputs, work.deltas, v, task.stride,
                rows, work.gradient, g, fresh,
            )  # fmt: skip
        else:
            count = 1
            gradient_strip(
                lane, one, x, x0, unit_step, row_step, inputs, work.deltas, v, task.stride,
                rows, work.gradient, g, fresh,
            )  # fmt: skip
        if at_once:
            update(
                lane, task.optimizer, state.rates, work.step, state.params, p, work.gradient, 0,
                state.moments, task.parameters, count * inputs, scale,
            )  # fmt: skip
        u += count
    if layer[BIASES] >= 0:
        p, v = layer[BIASES], layer[VALUES] * task.stride
        g = 0 if at_once else p
        bias_gradient(lane, units, work.deltas, v, task.stride, rows, work.gradient, g, fresh)
        if at_once:
            update(
                lane, task.optimizer, state.rates, work.step, state.params, p, work.gradient, 0,
                state.moments, task.parameters, units, scale,
            )  # fmt: skip


@inlined_body
def train_tile(
    lane, task, layers, x, x0, x_unit, x_row, y, y0, y_unit, y_row,
    state, work, row, rows, recorded, fresh, at_once, scale,
):  # fmt: skip
    """Forward and back over a tile of rows that starts at ``row`` of its batch.

    x, y : (positions, L), or shared (positions,).
    """
    forward(lane, task, layers, x, x0, x_unit, x_row, state.params, work, rows)
    last = len(layers) - 1
    v = layers[last][VALUES] * task.stride
    if recorded and task.loss == CROSS_ENTROPY:
        add_logit_losses(
            lane, task.output, work.values, v, task.stride, task.outputs, rows, row,
            y, y0, y_unit, y_row, work.sums,
        )  # fmt: skip
    output_values(lane, task.output, work.values, work.deltas, v, task.stride, task.outputs, rows)
    if recorded and task.loss == SQUARED_ERROR:
        add_squared_losses(
            lane, work.values, v, task.stride, task.outputs, rows, row,
            y, y0, y_unit, y_row, work.sums,
        )  # fmt: skip
    output_deltas(
        lane, task.output, task.loss, work.values, work.deltas, v, task.stride, task.outputs, rows,
        y, y0, y_unit, y_row,
    )  # fmt: skip
    for k in range(last, 0, -1):
        layer = layers[k]
        v, below = layer[VALUES] * task.stride, layers[k - 1][VALUES] * task.stride
        deltas_layer(
            lane, state.params, layer[WEIGHTS], layer[INPUTS], layer[UNITS],
            work.deltas, v, below, task.stride, rows,
        )  # fmt: skip
        _layer_gradient(
            lane, task, layer, work.values, below, task.stride, 1,
            state, work, rows, fresh, at_once, scale,
        )  # fmt: skip
    _layer_gradient(
        lane, task, layers[0], x, x0, x_unit, x_row,
        state, work, rows, fresh, at_once, scale,
    )  # fmt: skip


@body
def _copy_shared(task, X, y, order, first, rows, work):
    """Rows in a shared order, row-major. X (n * I,), y (n * O,), order (1, n)."""
    for s in range(rows):
        row = order[0, first + s]
        for i in range(task.inputs):
            work.shared_inputs[s * task.inputs + i] = X[row * task.inputs + i]
        for o in range(task.outputs):
            work.shared_targets[s * task.outputs + o] = y[row * task.outputs + o]


@body
def _gather(lane, source, width, order, column, a, p, stride):
    """Each lane's own row of ``source`` (n * width,) into a[p], a[p + stride], ...

    order : (L, n). a : (positions, L). In squares of as many elements as lanes, transposed in
    registers: element by element it took 1.5 of 5.7 us a 64-32-10 step.
    """
    extent = lane_extent(lane)
    i = 0
    while i + len(extent) <= width:
        row = fetch_rows(lane, source, width, order, column, i)
        store_tile(lane, a, p + i * stride, stride, 0, extent, (0,), row)
        i += len(extent)
        if i < width and i + len(extent) > width:
            i = width - len(extent)  # the last square overlaps the one before
    if i < width:
        for q in lane_range(lane, a):
            for k in range(width):
                store(q, a, p + k * stride, fetch(q, source, order[q, column] * width + k))


@body
def _gather_own(lane, task, X, y, order, first, rows, work, targets):
    """Each lane's own rows into it, unit-major. X (n * I,), y (n * O,), order (L, n)."""
    for s in range(rows):
        _gather(lane, X, task.inputs, order, first + s, work.lane_inputs, s, task.stride)
        if targets:
            _gather(lane, y, task.outputs, order, first + s, work.lane_targets, s, task.stride)


@body
def _finish_batch(lane, task, state, work, batch_rows, scale):
    """Update from the sums of a batch of several tiles."""
    sums = work.total if batch_rows > CHUNK else work.gradient
    update(
        lane, task.optimizer, state.rates, work.step, state.params, 0, sums, 0,
        state.moments, task.parameters, task.parameters, scale,
    )  # fmt: skip


@body
def _finish_chunk(lane, task, work, first):
    """Add a chunk's gradient sums to the batch's."""
    for p in range(task.parameters):
        value = load(lane, work.gradient, p)
        if not first:
            value = load(lane, work.total, p) + value
        store(lane, work.total, p, value)


@body
def _finish_epoch(lane, task, state, work, epoch):
    """Record the mean loss of the nets that still run; NaN for the others."""
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    mean = load(lane, work.sums, PARTIALS) / like(zero, task.rows)
    nan = like(zero, float("nan"))
    shown = (load(lane, state.alive, 0) == one) & (mean == mean)
    store(lane, state.losses, record_of(task, epoch), select(shown, mean, nan))
    store(lane, work.sums, PARTIALS, zero)


@body
def run_tiles(lane, task, layers, ordering, X, y, state, work, start, stop):
    """Train through tiles ``start`` to ``stop``.

    X : (n * I,). y : (n * O,). layers : (layers, COLUMNS).
    """
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    per_epoch, per_batch = tiles_of_epoch(task), tiles_of_batch(task)
    epoch, tile = start // per_epoch, start % per_epoch
    batch_start = tile // per_batch * task.batch
    row = tile % per_batch * task.tile
    at_once = per_batch == 1
    recorded = is_recorded(task, epoch)
    if ordering != IN_PLACE and (batch_start > 0 or row > 0):
        shuffle_group(lane, work.order, state.seeds, epoch, state.params)
    for _ in range(start, stop):
        batch_rows = min(task.batch, task.rows - batch_start)
        rows = min(task.tile, batch_rows - row)
        first = batch_start + row
        if first == 0:
            recorded = is_recorded(task, epoch)
            if ordering != IN_PLACE:
                shuffle_group(lane, work.order, state.seeds, epoch, state.params)
        if row == 0:
            begin_step(lane, task.optimizer, state.rates, state.moments, task.parameters, work.step)
        scale = one / like(zero, batch_rows) if task.mean else one
        fresh = row % CHUNK == 0
        if ordering == OWN_ORDER:
            _gather_own(lane, task, X, y, work.order, first, rows, work, True)
            train_tile(
                lane, task, layers, work.lane_inputs, 0, task.stride, 1,
                work.lane_targets, 0, task.stride, 1,
                state, work, row, rows, recorded, fresh, at_once, scale,
            )  # fmt: skip
        else:
            x_rows, y_rows, x0, y0 = X, y, first * task.inputs, first * task.outputs
            if ordering == SHARED_ORDER:
                _copy_shared(task, X, y, work.order, first, rows, work)
                x_rows, y_rows, x0, y0 = work.shared_inputs, work.shared_targets, 0, 0
            train_tile(
                lane, task, layers, x_rows, x0, 1, task.inputs,
                y_rows, y0, 1, task.outputs,
                state, work, row, rows, recorded, fresh, at_once, scale,
            )  # fmt: skip
        row += rows
        if batch_rows > CHUNK and (row % CHUNK == 0 or row == batch_rows):
            _finish_chunk(lane, task, work, row <= CHUNK)
        if row == batch_rows:
            if not at_once:
                _finish_batch(lane, task, state, work, batch_rows, scale)
            if recorded:
                store(
                    lane, work.sums, PARTIALS,
                    load(lane, work.sums, PARTIALS) + combine(lane, work.sums, 0),
                )  # fmt: skip
            row = 0
            batch_start += batch_rows
            if batch_start == task.rows:
                if recorded:
                    _finish_epoch(lane, task, state, work, epoch)
                batch_start = 0
                epoch += 1


@body
def _keep(lane, task, state, work):
    """Remember parameters and moments as of now."""
    for p in range(task.parameters):
        store(lane, work.kept, p, load(lane, state.params, p))
    for m in range(len(state.moments)):
        store(lane, work.kept, task.parameters + m, load(lane, state.moments, m))


@body
def _restore(lane, task, state, work, stopped_alone):
    """Back to what was kept: all nets, or those alone that have stopped."""
    one = splat(lane, 1.0)
    running = load(lane, state.alive, 0) == one
    for p in range(task.parameters):
        value = load(lane, work.kept, p)
        if stopped_alone:
            value = select(running, load(lane, state.params, p), value)
        store(lane, state.params, p, value)
    for m in range(len(state.moments)):
        value = load(lane, work.kept, task.parameters + m)
        if stopped_alone:
            value = select(running, load(lane, state.moments, m), value)
        store(lane, state.moments, m, value)


@body
def _finite(lane, task, state):
    """Mask of the nets whose parameters are all finite."""
    zero = splat(lane, 0.0)
    total = zero
    for p in range(task.parameters):
        total = fma(load(lane, state.params, p), zero, total)
    return total == zero


@body
def _settle(lane, task, state, work, epoch):
    """After the epochs before ``epoch``: mark nets that diverged, put stopped nets back."""
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    alive = load(lane, state.alive, 0)
    alive = select(_finite(lane, task, state), alive, zero)
    store(lane, state.alive, 0, alive)
    stopped = any_lane(alive != one)
    for q in lane_range(lane, state.progress):
        if state.progress[STATUS, q] == RUNNING:
            if state.alive[0, q] == 1:
                state.progress[EPOCHS, q] = epoch
                if epoch == task.epochs:
                    state.progress[STATUS, q] = FINISHED
            else:
                state.progress[STATUS, q] = DIVERGED
                state.progress[EPOCHS, q] = epoch - 1
                if is_recorded(task, epoch - 1):
                    state.losses[record_of(task, epoch - 1), q] = float("nan")
    if stopped:
        _restore(lane, task, state, work, True)


@body
def train_group(lane, task, layers, ordering, X, y, state, work, start, stop):
    """Train a group through tiles ``start`` to ``stop``: whole epochs, or a part of one.

    A net has diverged when a parameter is not finite at the end of an epoch. The look comes at the
    end of the launch; where it finds such a net, the launch's epochs are run again with a look
    after each, so that the epoch and the last finite parameters are exact wherever the launches
    were cut.
    """
    one = splat(lane, 1.0)
    per_epoch = tiles_of_epoch(task)
    if start % per_epoch == 0:
        _keep(lane, task, state, work)
    run_tiles(lane, task, layers, ordering, X, y, state, work, start, stop)
    if stop % per_epoch == 0:
        first, end = start // per_epoch, stop // per_epoch
        running = load(lane, state.alive, 0) == one
        diverged = any_lane(running & (_finite(lane, task, state) ^ (one == one)))
        if diverged and end - first > 1:
            _restore(lane, task, state, work, False)
            for epoch in range(first, end):
                _keep(lane, task, state, work)
                run_tiles(
                    lane, task, layers, ordering, X, y, state, work,
                    epoch * per_epoch, (epoch + 1) * per_epoch,
                )  # fmt: skip
                _settle(lane, task, state, work, epoch + 1)
        else:
            _settle(lane, task, state, work, end)


@body
def evaluate_group(lane, task, layers, score, X, y, params, work, sums, losses, scores):
    """Loss and score of a group over shared rows, in tiles.

    X : (n * I,). y : (n * O,). params : (P, L). sums : (PARTIALS * (O + 1), L), zero before and
    after. losses : (1, L), the mean loss. scores : (1 or O, L), counts or summed squares.
    """
    zero = splat(lane, 0.0)
    v = layers[len(layers) - 1][VALUES] * task.stride
    outputs = task.outputs
    first = 0
    while first < task.rows:
        rows = min(task.tile, task.rows - first)
        x0, y0 = first * task.inputs, first * outputs
        forward(lane, task, layers, X, x0, 1, task.inputs, params, work, rows)
        if task.loss == CROSS_ENTROPY:
            add_logit_losses(
                lane, task.output, work.values, v, task.stride, outputs, rows, first,
                y, y0, 1, outputs, sums,
            )  # fmt: skip
        output_values(lane, task.output, work.values, work.deltas, v, task.stride, outputs, rows)
        if task.loss == SQUARED_ERROR:
            add_squared_losses(
                lane, work.values, v, task.stride, outputs, rows, first, y, y0, 1, outputs, sums
            )
        add_scores(
            lane, score, work.values, v, task.stride, outputs, rows, first,
            y, y0, 1, outputs, PARTIALS, sums,
        )  # fmt: skip
        first += rows
    mean = combine(lane, sums, 0) / like(zero, task.rows)
    store(lane, losses, 0, select(mean == mean, mean, like(zero, float("nan"))))
    for o in range(len(scores)):
        store(lane, scores, o, combine(lane, sums, (o + 1) * PARTIALS))


@body
def predict_rows(lane, task, layers, X, params, work, outputs, first, last):
    """Outputs of one net for rows ``first`` to ``last``, which stand in lanes, tile by tile.

    X : (n * I,). params : shared (P,). outputs : (n * O,). work.order : (L, tile).
    """
    zero = splat(lane, 0.0)
    v = layers[len(layers) - 1][VALUES] * task.stride
    lanes = len(work.order)
    start = first
    while start < last:
        tile = min(task.tile, (last - start + lanes - 1) // lanes)
        for q in lane_range(lane, work.lane_inputs):
            for s in range(tile):
                work.order[q, s] = min(start + s * lanes + q, last - 1)
        _gather_own(lane, task, X, X, work.order, 0, tile, work, False)
        forward(lane, task, layers, work.lane_inputs, 0, task.stride, 1, params, work, tile)
        output_values(
            lane, task.output, work.values, work.deltas, v, task.stride, task.outputs, tile
        )
        for o in range(task.outputs):
            for p in range(v + o * task.stride, v + o * task.stride + tile):
                a = load(lane, work.values, p)
                store(lane, work.values, p, select(a == a, a, like(zero, float("nan"))))
        for q in lane_range(lane, work.lane_inputs):
            for s in range(tile):
                row = work.order[q, s]
                for o in range(task.outputs):
                    outputs[row * task.outputs + o] = work.values[v + o * task.stride + s, q]
        start += tile * lanes
