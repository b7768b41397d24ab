"""Losses, and the deltas of the outputs.

Sums within a row ascend over the outputs, from +0. Where lanes are rows, "row" means as many rows
as there are lanes.
"""

from typing import Any, NamedTuple

from ..code.compilation import device_function
from ..codes import ABSOLUTE_ERROR, CROSS_ENTROPY, HUBER, POISSON, QUANTILE, SOFTMAX, SQUARED_ERROR
from ..lanes.access import load, store
from ..lanes.elementary import exp, log, log1p_unit, sign
from ..lanes.primitives import absolute, broadcast, by_dtype, clamp, fma, like, maximum, select
from ..lanes.views import Units, View
from .activations import activate
from .sums import add_partial, partials_of

LARGEST_SINGLE, LARGEST_DOUBLE = 3.4028234663852886e38, 1.7976931348623157e308
_EPS_SINGLE, _EPS_DOUBLE = 2.0**-23, 2.0**-52  # between 1 and the next number


class Outputs(NamedTuple):
    """The output layer of a tile's rows, and what it should be."""

    activation: int  # a code
    loss: int  # a code
    units: int
    values: Units  # of (positions, L)
    deltas: Any  # (positions, L): at the same positions the slopes, later the deltas
    targets: View  # of (positions, L), or of shared (positions,)
    weights: Units  # likewise, one number a row
    weighted: int  # whether rows have weights
    clipped: int  # whether log losses are those of probabilities clipped to [eps, 1 - eps]
    rows: int
    row: int  # the first row's number in its batch


@device_function
def target_of(lane, outputs, o, s):
    """Target of output o in row s."""
    targets = outputs.targets
    return load(lane, targets.array, targets.start + o * targets.step + s * targets.stride)


@device_function
def weight_of(lane, weights, s):
    """Weight of row s. weights : Units."""
    return load(lane, weights.array, weights.start + s)


@device_function
def _largest(lane, values, p, units):
    """The largest output of the row at p. values : Units."""
    largest = load(lane, values.array, p)
    for o in range(1, units):
        largest = maximum(largest, load(lane, values.array, p + o * values.step))
    return largest


@device_function(inline="never")
def _softmax(lane, values, units, rows):
    """Softmax in place; the largest output is taken off first, so that nothing overflows."""
    zero, one = broadcast(lane, 0.0), broadcast(lane, 1.0)
    array, step = values.array, values.step
    for p in range(values.start, values.start + rows):
        largest = _largest(lane, values, p, units)
        total = zero
        for o in range(units):
            e = exp(load(lane, array, p + o * step) - largest)
            store(lane, array, p + o * step, e)
            total = total + e
        factor = one / total
        for o in range(units):
            store(lane, array, p + o * step, load(lane, array, p + o * step) * factor)


@device_function
def output_values(lane, outputs):
    """Weighted sums of the output layer become outputs (and slopes, where they have one each)."""
    if outputs.activation == SOFTMAX:
        _softmax(lane, outputs.values, outputs.units, outputs.rows)
    else:
        activate(
            lane, outputs.activation, outputs.values, outputs.deltas, outputs.units, outputs.rows
        )


@device_function
def _derivative(loss, parameter, error):
    """Of the loss by an output; ``error`` is output - target. Cross entropy and poisson: by the
    weighted sum, as their outputs are the canonical ones."""
    if loss == ABSOLUTE_ERROR:
        return sign(error)
    if loss == HUBER:
        return clamp(error, -parameter, parameter)
    if loss == QUANTILE:
        zero, one = like(error, 0.0), like(error, 1.0)
        return select(error > zero, one - parameter, select(error < zero, -parameter, error))
    return error


@device_function(inline="never")
def _softmax_deltas(lane, parameter, outputs):
    """delta_o = a_o (d_o - sum_k d_k a_k) with d the loss's derivative by the outputs: the
    softmax's full Jacobian."""
    array, step, loss = outputs.values.array, outputs.values.step, outputs.loss
    for s in range(outputs.rows):
        p = outputs.values.start + s
        mean = broadcast(lane, 0.0)
        for o in range(outputs.units):
            a = load(lane, array, p + o * step)
            error = a - target_of(lane, outputs, o, s)
            mean = fma(_derivative(loss, parameter, error), a, mean)
        for o in range(outputs.units):
            a = load(lane, array, p + o * step)
            error = a - target_of(lane, outputs, o, s)
            delta = a * (_derivative(loss, parameter, error) - mean)
            store(lane, outputs.deltas, p + o * step, delta)


@device_function
def output_deltas(lane, parameter, outputs):
    """Deltas of the output layer: the loss's derivative by the weighted sums.

    parameter : vector, huber's delta or the quantile.
    """
    loss = outputs.loss
    canonical = loss == CROSS_ENTROPY or loss == POISSON
    if outputs.activation == SOFTMAX and not canonical:
        _softmax_deltas(lane, parameter, outputs)
    else:
        values, deltas = outputs.values, outputs.deltas
        for o in range(outputs.units):
            for s in range(outputs.rows):
                p = values.start + o * values.step + s
                error = load(lane, values.array, p) - target_of(lane, outputs, o, s)
                if not canonical:
                    error = _derivative(loss, parameter, error) * load(lane, deltas, p)
                store(lane, deltas, p, error)


@device_function(inline="never")
def clip_deltas(lane, limit, weighted, weights, deltas, units, rows):
    """Limit each delta to [-limit, limit], times the row's weight where rows have one.

    weights, deltas : Units.
    """
    for u in range(units):
        start = deltas.start + u * deltas.step
        for s in range(rows):
            end = limit
            if weighted:
                end = limit * weight_of(lane, weights, s)
            delta = clamp(load(lane, deltas.array, start + s), -end, end)
            store(lane, deltas.array, start + s, delta)


@device_function(inline="never")
def weigh_deltas(lane, weights, deltas, units, rows):
    """Multiply each row's deltas by its weight. weights, deltas : Units."""
    for u in range(units):
        start = deltas.start + u * deltas.step
        for s in range(rows):
            delta = load(lane, deltas.array, start + s) * weight_of(lane, weights, s)
            store(lane, deltas.array, start + s, delta)


@device_function
def add_row(lane, sums, k, number, outputs, s):
    """Add a number of row s to partial sum k, times the row's weight where rows have one."""
    if outputs.weighted:
        weight = weight_of(lane, outputs.weights, s)
        store(lane, sums, k, fma(weight, number, load(lane, sums, k)))
    else:
        add_partial(lane, sums, k, number)


@device_function
def _clip(p):
    """A probability in [eps, 1 - eps], eps being the dtype's."""
    eps = like(p, by_dtype(p, _EPS_SINGLE, _EPS_DOUBLE))
    return clamp(p, eps, like(p, 1.0) - eps)


@device_function
def _clipped_loss(z, target):
    """Log loss of a sigmoid that is rounded, then clipped: near 1 it differs from the exact one."""
    one = like(z, 1.0)
    p = _clip(one / (one + exp(-z)))
    return -log(select(target > like(z, 0.5), p, one - p))


@device_function
def _softmax_loss(lane, outputs, s):
    """Cross entropy of a row. A difference of logits that overflows is the largest number, so that
    a target of 0 takes no notice of it."""
    zero, values = broadcast(lane, 0.0), outputs.values
    p = values.start + s
    lowest = like(zero, by_dtype(zero, -LARGEST_SINGLE, -LARGEST_DOUBLE))
    largest = _largest(lane, values, p, outputs.units)
    exponentials = zero
    for o in range(outputs.units):
        z = maximum(load(lane, values.array, p + o * values.step) - largest, lowest)
        exponentials = exponentials + exp(z)
    normaliser = log(exponentials)
    total = zero
    for o in range(outputs.units):
        z = maximum(load(lane, values.array, p + o * values.step) - largest, lowest)
        loss = normaliser - z
        if outputs.clipped:
            loss = -log(_clip(exp(-loss)))
        total = fma(target_of(lane, outputs, o, s), loss, total)
    return total


@device_function(inline="never")
def add_logit_losses(lane, outputs, sums):
    """Add each row's loss, from the weighted sums, to partial sum ``row % 16``.

    sums : (16 or more, L).
    """
    zero = broadcast(lane, 0.0)
    array, step = outputs.values.array, outputs.values.step
    for s in range(outputs.rows):
        p, total = outputs.values.start + s, zero
        if outputs.loss == POISSON:
            # half the deviance: y (log y - z) + (exp z - y)
            for o in range(outputs.units):
                z, target = load(lane, array, p + o * step), target_of(lane, outputs, o, s)
                a = exp(z)
                term = fma(target, log(target) - z, a - target)
                total = total + select(target > zero, term, a)
        elif outputs.activation == SOFTMAX:
            total = _softmax_loss(lane, outputs, s)
        else:
            for o in range(outputs.units):
                z = load(lane, array, p + o * step)
                rest = log1p_unit(exp(-absolute(z)))
                target = target_of(lane, outputs, o, s)
                wrong = fma(-target, z, maximum(z, zero))
                loss = wrong + rest
                if outputs.clipped:
                    loss = _clipped_loss(z, target)
                total = total + loss
        add_row(lane, sums, (outputs.row + s) % partials_of(lane), total, outputs, s)


@device_function(inline="never")
def add_output_losses(lane, parameter, outputs, sums):
    """Add each row's loss, from the outputs, to partial sum ``row % 16``."""
    zero, one = broadcast(lane, 0.0), broadcast(lane, 1.0)
    half, loss = like(zero, 0.5), outputs.loss
    array, step = outputs.values.array, outputs.values.step
    for s in range(outputs.rows):
        p, total = outputs.values.start + s, zero
        for o in range(outputs.units):
            error = load(lane, array, p + o * step) - target_of(lane, outputs, o, s)
            if loss == SQUARED_ERROR:
                total = fma(half * error, error, total)
            elif loss == ABSOLUTE_ERROR:
                total = total + absolute(error)
            elif loss == HUBER:
                size = absolute(error)
                near = fma(half * error, error, total)
                far = fma(parameter, fma(-half, parameter, size), total)
                total = select(size > parameter, far, near)
            else:
                short = -error
                slope = select(short > zero, parameter, parameter - one)
                total = fma(slope, short, total)
        add_row(lane, sums, (outputs.row + s) % partials_of(lane), total, outputs, s)
