"""Losses, the deltas of the outputs, and scores.

Sums within a row ascend over the outputs, from +0. A layer's outputs of a tile stand unit-major:
output o of row s is ``v + o * stride + s``. Targets are shared and row-major, or gathered into
lanes: ``unit_step`` and ``row_step`` say which.
"""

from .elementary import exp, log, log1p_unit
from .jit import body
from .lanes import absolute, fetch, fma, like, load, maximum, select, splat, store
from .layers import SOFTMAX, activate

SQUARED_ERROR, CROSS_ENTROPY = range(2)
# What a score counts: right largest outputs, outputs on the right side of 1/2, squared residuals.
LARGEST, SIDES, RESIDUALS = range(3)

PARTIALS = 16  # interleaved partial sums of a long sum


@body
def _largest(lane, values, p, stride, outputs):
    largest = load(lane, values, p)
    for o in range(1, outputs):
        largest = maximum(largest, load(lane, values, p + o * stride))
    return largest


@body
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


@body
def output_values(lane, output, values, slopes, v, stride, outputs, rows):
    """Weighted sums of the output layer become outputs (and slopes, where they have one each).

    values, slopes : (positions, L).
    """
    if output == SOFTMAX:
        _softmax(lane, values, v, stride, outputs, rows)
    else:
        activate(lane, output, values, slopes, v, stride, outputs, rows)


@body
def _softmax_squared_deltas(
    lane, values, deltas, v, stride, outputs, rows, y, y0, unit_step, row_step
):
    """delta_o = a_o (e_o - sum_k e_k a_k) with e = a - y: the softmax's full Jacobian."""
    for s in range(rows):
        p, t = v + s, y0 + s * row_step
        mean = splat(lane, 0.0)
        for o in range(outputs):
            a = load(lane, values, p + o * stride)
            mean = fma(a - fetch(lane, y, t + o * unit_step), a, mean)
        for o in range(outputs):
            a = load(lane, values, p + o * stride)
            error = a - fetch(lane, y, t + o * unit_step)
            store(lane, deltas, p + o * stride, a * (error - mean))


@body
def output_deltas(
    lane, output, loss, values, deltas, v, stride, outputs, rows, y, y0, unit_step, row_step
):
    """Deltas of the output layer: the loss's derivative by the weighted sums.

    values, deltas : (positions, L). y : (positions, L) or shared (positions,).
    """
    if loss == SQUARED_ERROR and output == SOFTMAX:
        _softmax_squared_deltas(
            lane, values, deltas, v, stride, outputs, rows, y, y0, unit_step, row_step
        )
    else:
        for o in range(outputs):
            for s in range(rows):
                p = v + o * stride + s
                error = load(lane, values, p) - fetch(lane, y, y0 + o * unit_step + s * row_step)
                if loss == SQUARED_ERROR:
                    error = error * load(lane, deltas, p)
                store(lane, deltas, p, error)


@body
def _add_partial(lane, sums, k, value):
    store(lane, sums, k, load(lane, sums, k) + value)


@body
def add_logit_losses(
    lane, output, values, v, stride, outputs, rows, row, y, y0, unit_step, row_step, sums
):
    """Add each row's cross entropy, from the weighted sums, to partial sum ``row % 16``.

    values : (positions, L). y : (positions, L) or shared (positions,). sums : (16 or more, L).
    """
    zero = splat(lane, 0.0)
    for s in range(rows):
        p, t = v + s, y0 + s * row_step
        total = zero
        if output == SOFTMAX:
            largest = _largest(lane, values, p, stride, outputs)
            exponentials = zero
            for o in range(outputs):
                exponentials = exponentials + exp(load(lane, values, p + o * stride) - largest)
            normaliser = log(exponentials)
            for o in range(outputs):
                z = load(lane, values, p + o * stride) - largest
                total = fma(fetch(lane, y, t + o * unit_step), normaliser - z, total)
        else:
            for o in range(outputs):
                z = load(lane, values, p + o * stride)
                rest = log1p_unit(exp(-absolute(z)))
                wrong = fma(-fetch(lane, y, t + o * unit_step), z, maximum(z, zero))
                total = total + (wrong + rest)
        _add_partial(lane, sums, (row + s) % PARTIALS, total)


@body
def add_squared_losses(
    lane, values, v, stride, outputs, rows, row, y, y0, unit_step, row_step, sums
):
    """Add each row's half squared error, from the outputs, to partial sum ``row % 16``."""
    zero = splat(lane, 0.0)
    half = like(zero, 0.5)
    for s in range(rows):
        p, t = v + s, y0 + s * row_step
        total = zero
        for o in range(outputs):
            error = load(lane, values, p + o * stride) - fetch(lane, y, t + o * unit_step)
            total = fma(half * error, error, total)
        _add_partial(lane, sums, (row + s) % PARTIALS, total)


@body
def combine(lane, sums, first):
    """Sum of the 16 partial sums from ``first``, combined pairwise; they are set to +0 again."""
    width = PARTIALS // 2
    while width > 0:
        for k in range(first, first + width):
            store(lane, sums, k, load(lane, sums, k) + load(lane, sums, k + width))
        width //= 2
    total = load(lane, sums, first)
    zero = splat(lane, 0.0)
    for k in range(first, first + PARTIALS):
        store(lane, sums, k, zero)
    return total


@body
def add_scores(
    lane, score, values, v, stride, outputs, rows, row, y, y0, unit_step, row_step, start, sums
):
    """Count the tile's right rows, or add up its squared residuals output by output.

    sums : (start + 16 a count, L): one count, or one an output for residuals.
    """
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    half = like(zero, 0.5)
    for s in range(rows):
        p, t = v + s, y0 + s * row_step
        k = start + (row + s) % PARTIALS
        if score == RESIDUALS:
            for o in range(outputs):
                error = load(lane, values, p + o * stride) - fetch(lane, y, t + o * unit_step)
                q = o * PARTIALS + k
                store(lane, sums, q, fma(error, error, load(lane, sums, q)))
        elif score == LARGEST:
            best, hit = load(lane, values, p), fetch(lane, y, t)
            for o in range(1, outputs):
                a = load(lane, values, p + o * stride)
                hit = select(a > best, fetch(lane, y, t + o * unit_step), hit)
                best = maximum(best, a)
            _add_partial(lane, sums, k, select(hit > half, one, zero))
        else:
            right = one
            for o in range(outputs):
                guess = load(lane, values, p + o * stride) > half
                truth = fetch(lane, y, t + o * unit_step) > half
                right = select(guess ^ truth, zero, right)
            _add_partial(lane, sums, k, right)
