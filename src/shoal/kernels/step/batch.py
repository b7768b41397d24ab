"""A batch: the weights of its rows, and the step at its end."""

from ..code.compilation import device_function
from ..lanes.access import load, store
from ..lanes.primitives import broadcast, like, select
from ..layout import (
    BATCH_WEIGHT,
    EPOCH_WEIGHT,
    INPUTS,
    PARTIALS,
    ROW_WEIGHTS,
    UNITS,
    WEIGHTS,
)
from .optimizers import add_squares, norm_factor, penalise, rescale, step_others, step_weights
from .sums import combine


@device_function
def add_weights(lane, weights, row, rows, sums):
    """Add the row weights of a tile to the batch's partial sums. weights : Units."""
    for s in range(rows):
        k = ROW_WEIGHTS + (row + s) % PARTIALS
        weight = load(lane, weights.array, weights.start + s)
        store(lane, sums, k, load(lane, sums, k) + weight)


@device_function
def finish_weights(lane, sums):
    """Sum of a batch's row weights, added to the epoch's."""
    total = combine(lane, sums, ROW_WEIGHTS)
    store(lane, sums, BATCH_WEIGHT, total)
    store(lane, sums, EPOCH_WEIGHT, load(lane, sums, EPOCH_WEIGHT) + total)


@device_function(inline="never", over_layers=True)
def add_penalty(lane, layers, params, sums):
    """Add the squares of all weights to a batch's partial sums, before its step.

    params : (P and statistics, L), or shared; sums likewise.
    """
    for k in range(len(layers)):
        add_squares(lane, params, layers[k][WEIGHTS], layers[k][INPUTS] * layers[k][UNITS], sums)


@device_function
def batch_scale(lane, task, batch_rows, sums):
    """What the reduction multiplies a batch's gradient by."""
    zero, one = broadcast(lane, 0.0), broadcast(lane, 1.0)
    if not task.mean:
        return one
    if task.weighted:
        total = load(lane, sums, BATCH_WEIGHT)
        return select(total > zero, one / total, zero)
    return one / like(zero, batch_rows)


@device_function
def _end_of(task, layers, k):
    """Where the parameters of layer k end."""
    return layers[k + 1][WEIGHTS] if k + 1 < len(layers) else task.parameters


@device_function(inline="never", over_layers=True)
def finish_batch(lane, net, task, layers, nets, sums, partials, scale):
    """A step of all parameters, from the sums of a batch that was not fused, times ``scale``.

    net : the lane of whole nets, which where lanes are parameters is another one. nets : Trainable.
    sums : (P, L), or shared where lanes are parameters. partials : (PARTIALS, L), zero.
    """
    if task.clips_norm:
        for k in range(len(layers)):
            p, count = layers[k][WEIGHTS], layers[k][INPUTS] * layers[k][UNITS]
            if task.penalised:
                penalise(
                    lane, task.penalty_by_batch, nets.rates, nets.params, p, sums, p, count, scale
                )
            else:
                rescale(lane, sums, p, count, scale)
            rescale(lane, sums, p + count, _end_of(task, layers, k) - p - count, scale)
        scale = broadcast(lane, norm_factor(net, nets.rates, sums, task.parameters, partials))
    for k in range(len(layers)):
        p, count = layers[k][WEIGHTS], layers[k][INPUTS] * layers[k][UNITS]
        step_weights(lane, task, nets, p, sums, p, count, scale)
        p += count
        step_others(lane, nets, p, sums, p, _end_of(task, layers, k) - p, scale)
