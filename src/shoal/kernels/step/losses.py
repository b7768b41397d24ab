"""Losses, the deltas of the outputs, and scores.

Sums within a row ascend over the outputs, from +0. A layer's outputs of a tile stand unit-major:
output o of row s is ``v + o * stride + s``. Targets and row weights are shared and row-major, or
gathered into lanes: ``unit_step`` and ``row_step`` say which; a row's weight is ``w0 + s``. Where
lanes are rows, "row" means as many rows as there are lanes.
"""

from ..code.compilation import device_function
from ..lanes.elementary import exp, log, log1p_unit, sign
from ..lanes.primitives import (
    absolute,
    by_dtype,
    clamp,
    fetch,
    fma,
    like,
    load,
    maximum,
    select,
    splat,
    store,
)
from .layers import SOFTMAX, activate
from .sums import add_partial, partials_of

SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, QUANTILE, CROSS_ENTROPY, POISSON = range(6)
# What a score counts: right largest outputs, outputs on the right side of 1/2, squared residuals.
LARGEST, SIDES, RESIDUALS = range(3)

LARGEST_SINGLE, LARGEST_DOUBLE = 3.4028234663852886e38, 1.7976931348623157e308


@device_function
def _largest(lane, values, p, stride, outputs):
    largest = load(lane, values, p)
    for o in range(1, outputs):
        largest = maximum(largest, load(lane, values, p + o * stride))
    return largest


@device_function(inline="never")
def _softmax(lane, values, v, stride, outputs, rows):
    """Softmax in place; the largest output is taken off first, so that nothing overflows."""
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    for p in range(v, v + rows):
        largest = _largest(lane, values, p, stride, outputs)
        total = zero
        for o in range(outputs):
            e = exp(load(lane, values, p + o * stride) - largest)
            store(lane, values, p + o * stride, e)
            total = total + e
        factor = one / total
        for o in range(outputs):
            store(lane, values, p + o * stride, load(lane, values, p + o * stride) * factor)


@device_function
def output_values(lane, output, values, slopes, v, stride, outputs, rows):
    """Weighted sums of the output layer become outputs (and slopes, where they have one each).

    values, slopes : (positions, L).
    """
    if output == SOFTMAX:
        _softmax(lane, values, v, stride, outputs, rows)
    else:
        activate(lane, output, values, slopes, v, stride, outputs, rows)


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
def _softmax_deltas(
    lane, loss, parameter, values, deltas, v, stride, outputs, rows, y, y0, unit_step, row_step
):
    """delta_o = a_o (d_o - sum_k d_k a_k) with d the loss's derivative by the outputs: the
    softmax's full Jacobian."""
    for s in range(rows):
        p, t = v + s, y0 + s * row_step
        mean = splat(lane, 0.0)
        for o in range(outputs):
            a = load(lane, values, p + o * stride)
            error = a - fetch(lane, y, t + o * unit_step)
            mean = fma(_derivative(loss, parameter, error), a, mean)
        for o in range(outputs):
            a = load(lane, values, p + o * stride)
            error = a - fetch(lane, y, t + o * unit_step)
            store(lane, deltas, p + o * stride, a * (_derivative(loss, parameter, error) - mean))


@device_function
def output_deltas(
    lane, output, loss, parameter, values, deltas, v, stride, outputs, rows,
    y, y0, unit_step, row_step,
):  # fmt: skip
    """Deltas of the output layer: the loss's derivative by the weighted sums.

    parameter : value a lane, huber's delta or the quantile. values, deltas : (positions, L).
    y : (positions, L) or shared (positions,).
    """
    canonical = loss == CROSS_ENTROPY or loss == POISSON
    if output == SOFTMAX and not canonical:
        _softmax_deltas(
            lane, loss, parameter, values, deltas, v, stride, outputs, rows,
            y, y0, unit_step, row_step,
        )  # fmt: skip
    else:
        for o in range(outputs):
            for s in range(rows):
                p = v + o * stride + s
                error = load(lane, values, p) - fetch(lane, y, y0 + o * unit_step + s * row_step)
                if not canonical:
                    error = _derivative(loss, parameter, error) * load(lane, deltas, p)
                store(lane, deltas, p, error)


@device_function(inline="never")
def clip_deltas(lane, limit, weighted, w, w0, deltas, v, stride, units, rows):
    """Limit each delta to [-limit, limit], times the row's weight where rows have one."""
    for u in range(units):
        for s in range(rows):
            p = v + u * stride + s
            end = limit
            if weighted:
                end = limit * fetch(lane, w, w0 + s)
            store(lane, deltas, p, clamp(load(lane, deltas, p), -end, end))


@device_function(inline="never")
def weigh_deltas(lane, w, w0, deltas, v, stride, units, rows):
    """Multiply each row's deltas by its weight."""
    for u in range(units):
        for s in range(rows):
            p = v + u * stride + s
            store(lane, deltas, p, load(lane, deltas, p) * fetch(lane, w, w0 + s))


@device_function
def _add_row(lane, sums, k, value, weighted, w, at):
    """Add a row's value to partial sum k, times the row's weight where rows have one."""
    if weighted:
        store(lane, sums, k, fma(fetch(lane, w, at), value, load(lane, sums, k)))
    else:
        add_partial(lane, sums, k, value)


@device_function
def _softmax_loss(lane, values, p, stride, outputs, y, t, unit_step):
    """Cross entropy of a row. A difference of logits that overflows is the largest number, so that
    a target of 0 takes no notice of it."""
    zero = splat(lane, 0.0)
    lowest = like(zero, by_dtype(zero, -LARGEST_SINGLE, -LARGEST_DOUBLE))
    largest = _largest(lane, values, p, stride, outputs)
    exponentials = zero
    for o in range(outputs):
        z = maximum(load(lane, values, p + o * stride) - largest, lowest)
        exponentials = exponentials + exp(z)
    normaliser = log(exponentials)
    total = zero
    for o in range(outputs):
        z = maximum(load(lane, values, p + o * stride) - largest, lowest)
        total = fma(fetch(lane, y, t + o * unit_step), normaliser - z, total)
    return total


@device_function(inline="never")
def add_logit_losses(
    lane, output, loss, values, v, stride, outputs, rows, row, y, y0, unit_step, row_step,
    weighted, w, w0, sums,
):  # fmt: skip
    """Add each row's loss, from the weighted sums, to partial sum ``row % 16``.

    values : (positions, L). y : (positions, L) or shared (positions,). sums : (16 or more, L).
    """
    zero = splat(lane, 0.0)
    for s in range(rows):
        p, t = v + s, y0 + s * row_step
        total = zero
        if loss == POISSON:
            # half the deviance: y (log y - z) + (exp z - y)
            for o in range(outputs):
                z, target = (load(lane, values, p + o * stride), fetch(lane, y, t + o * unit_step))
                a = exp(z)
                term = fma(target, log(target) - z, a - target)
                total = total + select(target > zero, term, a)
        elif output == SOFTMAX:
            total = _softmax_loss(lane, values, p, stride, outputs, y, t, unit_step)
        else:
            for o in range(outputs):
                z = load(lane, values, p + o * stride)
                rest = log1p_unit(exp(-absolute(z)))
                wrong = fma(-fetch(lane, y, t + o * unit_step), z, maximum(z, zero))
                total = total + (wrong + rest)
        _add_row(lane, sums, (row + s) % partials_of(lane), total, weighted, w, w0 + s)


@device_function(inline="never")
def add_value_losses(
    lane, loss, parameter, values, v, stride, outputs, rows, row, y, y0, unit_step, row_step,
    weighted, w, w0, sums,
):  # fmt: skip
    """Add each row's loss, from the outputs, to partial sum ``row % 16``."""
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    half = like(zero, 0.5)
    for s in range(rows):
        p, t = v + s, y0 + s * row_step
        total = zero
        for o in range(outputs):
            error = load(lane, values, p + o * stride) - fetch(lane, y, t + o * unit_step)
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
        _add_row(lane, sums, (row + s) % partials_of(lane), total, weighted, w, w0 + s)


@device_function(inline="never")
def add_scores(
    lane, score, values, v, stride, outputs, rows, row, y, y0, unit_step, row_step,
    weighted, w, w0, start, step, sums,
):  # fmt: skip
    """Count the tile's right rows, or add up its squared residuals output by output.

    sums : the partial sums of count k stand from ``start + k * step`` on; one count, or one an
    output for residuals.
    """
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    half = like(zero, 0.5)
    for s in range(rows):
        p, t = v + s, y0 + s * row_step
        k = start + (row + s) % partials_of(lane)
        if score == RESIDUALS:
            for o in range(outputs):
                error = load(lane, values, p + o * stride) - fetch(lane, y, t + o * unit_step)
                q = o * step + k
                if weighted:
                    product = fetch(lane, w, w0 + s) * error
                    store(lane, sums, q, fma(product, error, load(lane, sums, q)))
                else:
                    store(lane, sums, q, fma(error, error, load(lane, sums, q)))
        elif score == LARGEST:
            best, hit = load(lane, values, p), fetch(lane, y, t)
            for o in range(1, outputs):
                a = load(lane, values, p + o * stride)
                hit = select(a > best, fetch(lane, y, t + o * unit_step), hit)
                best = maximum(best, a)
            _add_row(lane, sums, k, select(hit > half, one, zero), weighted, w, w0 + s)
        else:
            right = one
            for o in range(outputs):
                guess = load(lane, values, p + o * stride) > half
                truth = fetch(lane, y, t + o * unit_step) > half
                right = select(guess ^ truth, zero, right)
            _add_row(lane, sums, k, right, weighted, w, w0 + s)
