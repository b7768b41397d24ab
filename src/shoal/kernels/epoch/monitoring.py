"""After an epoch: which nets have diverged, which are done, which have the best weights so far."""

from ..code.compilation import device_function
from ..lanes.primitives import fma, lane_range, load, select, splat, store
from ..layout import (
    ADAPTED,
    BEST,
    DIVERGED,
    EPOCHS,
    FINISHED,
    LIMIT,
    LOWER,
    PATIENCE,
    RUNNING,
    SOUND,
    STALE,
    STATUS,
    STOPPED,
    TOLERANCE,
    WAITED,
    WATCHED,
)

WAIT = 2  # epochs without improvement, until the adaptive rate falls
FALL = 5.0  # what it is divided by


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

    progress : (PROGRESS_ROWS, L).
    """
    found = -1
    for q in lane_range(lane, progress):
        limit = progress[LIMIT, q]
        if progress[STATUS, q] == RUNNING and limit > epoch and (found < 0 or limit < found):
            found = limit
    return found


@device_function(inline="never")
def keep(lane, state, work, running_alone):
    """Remember parameters and moments as of now: of all nets, or of those alone that run."""
    one = splat(lane, 1.0)
    running = load(lane, state.alive, 0) == one
    for p in range(len(state.params)):
        value = load(lane, state.params, p)
        if running_alone:
            value = select(running, value, load(lane, work.kept, p))
        store(lane, work.kept, p, value)
    start = len(state.params)
    for m in range(len(state.moments)):
        value = load(lane, state.moments, m)
        if running_alone:
            value = select(running, value, load(lane, work.kept, start + m))
        store(lane, work.kept, start + m, value)


@device_function(inline="never")
def restore(lane, state, work, stopped_alone):
    """Back to what was kept: all nets, or those alone that have stopped."""
    one = splat(lane, 1.0)
    running = load(lane, state.alive, 0) == one
    for p in range(len(state.params)):
        value = load(lane, work.kept, p)
        if stopped_alone:
            value = select(running, load(lane, state.params, p), value)
        store(lane, state.params, p, value)
    start = len(state.params)
    for m in range(len(state.moments)):
        value = load(lane, work.kept, start + m)
        if stopped_alone:
            value = select(running, load(lane, state.moments, m), value)
        store(lane, state.moments, m, value)


@device_function
def finite(lane, params):
    """Mask of the nets whose parameters are all finite. params : (P and statistics, L)."""
    zero = splat(lane, 0.0)
    total = zero
    for p in range(len(params)):
        total = fma(load(lane, params, p), zero, total)
    return total == zero


@device_function
def _keep_one(state, work, q):
    """Remember net q as it is: it is done."""
    start = len(state.params)
    for p in range(start):
        work.kept[p, q] = state.params[p, q]
    for m in range(len(state.moments)):
        work.kept[start + m, q] = state.moments[m, q]


@device_function
def _erase_records(task, state, q, epoch):
    """The records of net q from an epoch on: it diverged, and what was run again did not count."""
    nan = float("nan")
    for record in range(record_of(task, epoch), len(state.losses)):
        state.losses[record, q] = nan
        state.scores[record, q] = nan
        if len(state.val_losses) > 0:
            state.val_losses[record, q] = nan
        if len(state.learning_rates) > 0:
            state.learning_rates[record, q] = nan


@device_function
def _watch(state, work, q):
    """What an epoch's watched loss means for net q."""
    watch = state.watch
    loss = float(work.marks[WATCHED, q])
    improved = loss < watch[BEST, q] - watch[TOLERANCE, q]
    if loss < watch[BEST, q]:
        watch[BEST, q] = loss
        work.marks[LOWER, q] = 1
    watch[WAITED, q] = 0 if improved else watch[WAITED, q] + 1
    watch[STALE, q] = 0 if improved else watch[STALE, q] + 1
    if watch[STALE, q] >= WAIT:
        watch[STALE, q] = 0
        watch[ADAPTED, q] /= FALL
    if watch[WAITED, q] >= watch[PATIENCE, q]:
        state.progress[STATUS, q] = STOPPED


@device_function(inline="never")
def settle(lane, task, state, work, epoch):
    """After the epochs before ``epoch``: mark nets that diverged or are done, and keep them."""
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    store(lane, work.marks, SOUND, select(finite(lane, state.params), one, zero))
    store(lane, work.marks, LOWER, zero)
    progress, lower = state.progress, False
    for q in lane_range(lane, progress):
        if progress[STATUS, q] == RUNNING:
            if work.marks[SOUND, q] == 1:
                progress[EPOCHS, q] = epoch
                if task.watched:
                    _watch(state, work, q)
                    lower = lower or work.marks[LOWER, q] == 1
                if epoch == progress[LIMIT, q] and progress[STATUS, q] == RUNNING:
                    progress[STATUS, q] = FINISHED
                if progress[STATUS, q] != RUNNING:
                    state.alive[0, q] = 0
                    _keep_one(state, work, q)
            else:
                progress[STATUS, q] = DIVERGED
                progress[EPOCHS, q] = epoch - 1
                state.alive[0, q] = 0
                _erase_records(task, state, q, epoch - 1)
    if lower:
        marked = load(lane, work.marks, LOWER) == one
        for p in range(len(state.best)):
            value = select(marked, load(lane, state.params, p), load(lane, state.best, p))
            store(lane, state.best, p, value)
