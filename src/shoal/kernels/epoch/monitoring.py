"""After an epoch: which nets have diverged, which are done, which have the best weights so far."""

from ..code.compilation import device_function
from ..lanes.access import load, store
from ..lanes.primitives import broadcast, fma, select
from ..lanes.shapes import lane_range
from ..layout import (
    ADAPTED,
    BEST,
    DIVERGED,
    EPOCHS,
    FINISHED,
    FINITE,
    FLOOR,
    LIMIT,
    LOWEST,
    MONITORED,
    PATIENCE,
    RUNNING,
    STALE,
    STATUS,
    STOPPED,
    TOLERANCE,
    WAIT,
    WAITED,
)

FALL = 5.0  # what the adaptive rate is divided by


@device_function
def is_recorded(task, epoch):
    """Whether this epoch is recorded for all nets that run."""
    return epoch % task.record_every == 0


@device_function
def record_of(task, epoch):
    """Number of the record of a recorded epoch: every so many, and a net's last."""
    return (epoch + task.record_every - 1) // task.record_every


@device_function(inline="never")
def next_limit(lane, progress, epoch):
    """The first number of epochs above ``epoch`` at which a running net is done; -1 for none.

    progress : (PROGRESS_FIELDS, L).
    """
    found = -1
    for q in lane_range(lane, progress):
        limit = progress[LIMIT, q]
        if progress[STATUS, q] == RUNNING and limit > epoch and (found < 0 or limit < found):
            found = limit
    return found


@device_function
def _running(lane, state):
    """Mask of the nets that run."""
    return load(lane, state.alive, 0) == broadcast(lane, 1.0)


@device_function
def _copy(lane, source, p, target, q, count, masked, mask):
    """Copy ``count`` numbers of each net, or where ``masked`` of those alone that ``mask`` says.

    source, target : (positions, L).
    """
    for k in range(count):
        vector = load(lane, source, p + k)
        if masked:
            vector = select(mask, vector, load(lane, target, q + k))
        store(lane, target, q + k, vector)


@device_function(inline="never")
def take_snapshot(lane, state, work, running_alone):
    """Snapshot of parameters and optimizer state: of all nets, or of those alone that run."""
    running, size, kept = _running(lane, state), len(state.params), len(state.optimizer_state)
    _copy(lane, state.params, 0, work.snapshot, 0, size, running_alone, running)
    _copy(lane, state.optimizer_state, 0, work.snapshot, size, kept, running_alone, running)


@device_function(inline="never")
def roll_back(lane, state, work, stopped_alone):
    """Back to the snapshot: all nets, or those alone that have stopped."""
    running, size, kept = _running(lane, state), len(state.params), len(state.optimizer_state)
    one = broadcast(lane, 1.0)
    stopped = running ^ (one == one)
    _copy(lane, work.snapshot, 0, state.params, 0, size, stopped_alone, stopped)
    _copy(lane, work.snapshot, size, state.optimizer_state, 0, kept, stopped_alone, stopped)


@device_function
def finite(lane, params):
    """Mask of the nets whose parameters are all finite. params : (P and statistics, L)."""
    zero = broadcast(lane, 0.0)
    total = zero
    for p in range(len(params)):
        total = fma(load(lane, params, p), zero, total)
    return total == zero


@device_function
def _snapshot_one(state, work, q):
    """Snapshot of net q: it is done."""
    start = len(state.params)
    for p in range(start):
        work.snapshot[p, q] = state.params[p, q]
    for m in range(len(state.optimizer_state)):
        work.snapshot[start + m, q] = state.optimizer_state[m, q]


@device_function
def _erase_records(task, state, q, epoch):
    """The records of net q from an epoch on: it diverged."""
    nan = float("nan")
    for record in range(record_of(task, epoch), len(state.losses)):
        state.losses[record, q] = nan
        state.scores[record, q] = nan
        if len(state.val_losses) > 0:
            state.val_losses[record, q] = nan
        if len(state.learning_rates) > 0:
            state.learning_rates[record, q] = nan


@device_function
def _monitor(task, state, work, q):
    """What an epoch's monitored loss means for net q."""
    monitor, schedule = state.monitor, state.schedule
    loss = float(work.marks[MONITORED, q])
    bound = monitor[BEST, q] - monitor[TOLERANCE, q]
    improved = not loss > bound if task.ties_improve else loss < bound
    if loss < monitor[BEST, q]:
        monitor[BEST, q] = loss
        work.marks[LOWEST, q] = 1
    monitor[WAITED, q] = 0 if improved else monitor[WAITED, q] + 1
    monitor[STALE, q] = 0 if improved else monitor[STALE, q] + 1
    if monitor[STALE, q] >= schedule[WAIT, q]:
        if monitor[ADAPTED, q] <= schedule[FLOOR, q]:
            state.progress[STATUS, q] = STOPPED
        else:
            monitor[STALE, q] = 0
            monitor[ADAPTED, q] /= FALL
    if monitor[WAITED, q] >= monitor[PATIENCE, q]:
        state.progress[STATUS, q] = STOPPED


@device_function(inline="never")
def update_status(lane, task, state, work, epoch):
    """After the epochs before ``epoch``: mark nets that diverged or are done, with a snapshot."""
    zero, one = broadcast(lane, 0.0), broadcast(lane, 1.0)
    store(lane, work.marks, FINITE, select(finite(lane, state.params), one, zero))
    store(lane, work.marks, LOWEST, zero)
    progress, lower = state.progress, False
    for q in lane_range(lane, progress):
        if progress[STATUS, q] == RUNNING:
            if work.marks[FINITE, q] == 1:
                progress[EPOCHS, q] = epoch
                if task.monitored:
                    _monitor(task, state, work, q)
                    lower = lower or work.marks[LOWEST, q] == 1
                if epoch == progress[LIMIT, q] and progress[STATUS, q] == RUNNING:
                    progress[STATUS, q] = FINISHED
                if progress[STATUS, q] != RUNNING:
                    state.alive[0, q] = 0
                    _snapshot_one(state, work, q)
            else:
                progress[STATUS, q] = DIVERGED
                progress[EPOCHS, q] = epoch - 1
                state.alive[0, q] = 0
                _erase_records(task, state, q, epoch - 1)
    if lower:
        marked = load(lane, work.marks, LOWEST) == one
        for p in range(len(state.best)):
            value = select(marked, load(lane, state.params, p), load(lane, state.best, p))
            store(lane, state.best, p, value)
