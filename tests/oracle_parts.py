"""The parts of a step in the one order of arithmetic, in plain loops: what `oracle` is made of.

Weights of a layer are unit-major here, (units, inputs), as the kernels have them. What a net lacks
(biases, scales, shifts, row weights) is an array of no elements. Rows s, units u, inputs i, outputs
o, parameters p.
"""

import numpy as np
from numba import njit

from shoal.kernels.lanes.elementary import (
    circle,
    exp,
    expm1,
    log,
    log1p_unit,
    normal_cdf_density,
    sigmoid,
    softplus,
    tanh,
)
from shoal.kernels.lanes.primitives import fma, like

NAMES = (
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus",
    "exp",
)  # fmt: skip
IDENTITY, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, SELU, GELU, SILU, SOFTPLUS, EXP = range(11)
LOSSES = ("squared_error", "cross_entropy", "absolute_error", "huber", "poisson", "quantile")
SQUARED_ERROR, CROSS_ENTROPY, ABSOLUTE_ERROR, HUBER, POISSON, QUANTILE = range(6)
SCORES = ("largest", "sides", "residuals")
LARGEST, SIDES, RESIDUALS = range(3)
SCHEDULES = ("constant", "step", "exponential", "cosine", "invscaling", "adaptive")
CONSTANT, STEP, EXPONENTIAL, COSINE, INVSCALING, ADAPTIVE = range(6)
BLOCK, PARTIALS = 256, 16

compiled = njit(error_model="numpy")


@compiled
def sign(x):
    """1, -1, or x itself: +0, -0 or NaN."""
    one = like(x, 1.0)
    return one if x > like(x, 0.0) else -one if x < like(x, 0.0) else x


@compiled
def clamp(x, low, high):
    return low if x < low else high if x > high else x


@compiled
def combine(partials):
    """Sum of 16 partial sums, pairwise: 0 + 8, 1 + 9, ..., then 0 + 4, ..."""
    width = PARTIALS // 2
    while width:
        for k in range(width):
            partials[k] = partials[k] + partials[k + width]
        width //= 2
    return partials[0]


# ------------------------------------------------------------------------------------------ forward


@compiled
def weighted_sums(x, w, b):
    """x (n, I): from the bias or +0, inputs ascending."""
    z = np.empty((x.shape[0], w.shape[0]), x.dtype)
    for s in range(x.shape[0]):
        for u in range(w.shape[0]):
            total = b[u] if len(b) else like(w[u, 0], 0.0)
            for i in range(w.shape[1]):
                total = fma(x[s, i], w[u, i], total)
            z[s, u] = total
    return z


@compiled
def _sum(z, u):
    partials = np.zeros(PARTIALS, z.dtype)
    for s in range(z.shape[0]):
        partials[s % PARTIALS] = partials[s % PARTIALS] + z[s, u]
    return combine(partials)


@compiled
def _sum_of_squares(z, u):
    partials = np.zeros(PARTIALS, z.dtype)
    for s in range(z.shape[0]):
        partials[s % PARTIALS] = fma(z[s, u], z[s, u], partials[s % PARTIALS])
    return combine(partials)


@compiled
def normalize(z, scales, shifts, means, variances, training):
    """(batch norm of z, z normalized, 1 / standard deviation of each unit).

    In training with the batch's statistics, which move the running means and variances.
    """
    out, normal, roots = np.empty_like(z), np.empty_like(z), np.empty_like(scales)
    for u in range(z.shape[1]):
        one = like(z[0, u], 1.0)
        if training:
            momentum, rows = like(one, 0.1), like(one, z.shape[0])
            keep, inverse, total = one - momentum, one / rows, _sum(z, u)
            for s in range(z.shape[0]):
                normal[s, u] = fma(-total, inverse, z[s, u])
            variance = _sum_of_squares(normal, u) * inverse
            means[u] = fma(momentum, total * inverse, keep * means[u])
            unbiased = variance * (rows / (rows - one))
            variances[u] = fma(momentum, unbiased, keep * variances[u])
        else:
            variance = variances[u]
            for s in range(z.shape[0]):
                normal[s, u] = z[s, u] - means[u]
        roots[u] = one / np.sqrt(variance + like(one, 1e-5))
        for s in range(z.shape[0]):
            normal[s, u] = normal[s, u] * roots[u]
            out[s, u] = fma(scales[u], normal[s, u], shifts[u])
    return out, normal, roots


@compiled
def _activation(code, z):
    """(activation, slope) of one weighted sum."""
    zero, one = like(z, 0.0), like(z, 1.0)
    if code == SIGMOID:
        a = sigmoid(z)
        return a, a * (one - a)
    if code == TANH:
        a = tanh(z)
        return a, fma(-a, a, one)
    if code == RELU:
        return (zero if z < zero else z), (one if z > zero else zero)
    if code == LEAKY_RELU:
        slope = one if z > zero else like(z, 0.01)
        return z * slope, slope
    if code == ELU:
        if z > zero:
            return z, one
        low = expm1(z)
        return low, low + one
    if code == SELU:
        alpha = like(z, 1.0507009873554805 * 1.6732632423543772)
        if z > zero:
            return like(z, 1.0507009873554805) * z, like(z, 1.0507009873554805)
        low = expm1(z)
        return alpha * low, fma(alpha, low, alpha)
    if code == GELU:
        cdf, density = normal_cdf_density(z)
        return z * cdf, fma(z, density, cdf)
    if code == SILU:
        s = sigmoid(z)
        a = z * s
        return a, fma(a, one - s, s)
    if code == SOFTPLUS:
        return softplus(z), sigmoid(z)
    if code == EXP:
        a = exp(z)
        return a, a
    return z, one


@compiled
def activate(code, z, slopes):
    a = np.empty_like(z)
    for s in range(z.shape[0]):
        for u in range(z.shape[1]):
            a[s, u], slopes[s, u] = _activation(code, z[s, u])
    return a


@compiled
def drop_out(a, slopes, uniform, rate):
    """Inverted dropout of values and slopes, in place; kept where the uniform number >= rate."""
    zero, one = like(rate, 0.0), like(rate, 1.0)
    factor = one / (one - rate)
    for s in range(a.shape[0]):
        for u in range(a.shape[1]):
            kept = uniform[s, u] >= rate
            a[s, u] = a[s, u] * factor if kept else zero
            slopes[s, u] = slopes[s, u] * factor if kept else zero


@compiled
def _largest(z, s):
    largest = z[s, 0]
    for o in range(1, z.shape[1]):
        if z[s, o] > largest:
            largest = z[s, o]
    return largest


@compiled
def softmax(z):
    a = np.empty_like(z)
    for s in range(z.shape[0]):
        largest, total = _largest(z, s), like(z[s, 0], 0.0)
        for o in range(z.shape[1]):
            a[s, o] = exp(z[s, o] - largest)
            total = total + a[s, o]
        factor = like(total, 1.0) / total
        for o in range(z.shape[1]):
            a[s, o] = a[s, o] * factor
    return a


# ----------------------------------------------------------------------------------------- backward


@compiled
def _loss_slope(loss, parameter, e):
    """dL/da of an error. parameter: huber's delta, or the quantile."""
    zero = like(e, 0.0)
    if loss == ABSOLUTE_ERROR:
        return sign(e)
    if loss == HUBER:
        return clamp(e, -parameter, parameter)
    if loss == QUANTILE:
        return like(e, 1.0) - parameter if e > zero else -parameter if e < zero else e
    return e


@compiled
def output_delta(a, slopes, y, loss, parameter, of_softmax):
    delta = np.empty_like(a)
    for s in range(a.shape[0]):
        mean = like(a[s, 0], 0.0)
        for o in range(a.shape[1]):
            mean = fma(_loss_slope(loss, parameter, a[s, o] - y[s, o]), a[s, o], mean)
        for o in range(a.shape[1]):
            slope = _loss_slope(loss, parameter, a[s, o] - y[s, o])
            if loss in (CROSS_ENTROPY, POISSON):
                delta[s, o] = slope
            elif of_softmax:
                delta[s, o] = a[s, o] * (slope - mean)
            else:
                delta[s, o] = slope * slopes[s, o]
    return delta


@compiled
def clip_delta(delta, limit, row_weights):
    """In place, to +-limit, times the row's weight where rows have weights."""
    for s in range(delta.shape[0]):
        most = limit * row_weights[s] if len(row_weights) else limit
        for u in range(delta.shape[1]):
            delta[s, u] = clamp(delta[s, u], -most, most)


@compiled
def weight_rows(delta, row_weights):
    for s in range(delta.shape[0]):
        for u in range(delta.shape[1]):
            delta[s, u] = delta[s, u] * row_weights[s]


@compiled
def passed_back(delta, w, slopes):
    """delta (n, units), slopes (n, I): units ascending from +0, then times the slope."""
    below = np.empty_like(slopes)
    for s in range(delta.shape[0]):
        for i in range(w.shape[1]):
            total = like(w[0, i], 0.0)
            for u in range(w.shape[0]):
                total = fma(delta[s, u], w[u, i], total)
            below[s, i] = total * slopes[s, i]
    return below


@compiled
def normalized_back(delta, normal, roots, scales, scale_gradients, shift_gradients):
    """Delta before batch norm from that after it. Gradients: rows in blocks, as in `gradients`."""
    below = np.empty_like(delta)
    for u in range(delta.shape[1]):
        inverse = like(delta[0, u], 1.0) / like(delta[0, u], delta.shape[0])
        for first in range(0, delta.shape[0], BLOCK):
            shift = scale = like(inverse, 0.0)
            for s in range(first, min(first + BLOCK, delta.shape[0])):
                shift = shift + delta[s, u]
                scale = fma(delta[s, u], normal[s, u], scale)
            shift_gradients[u] = shift if first == 0 else shift_gradients[u] + shift
            scale_gradients[u] = scale if first == 0 else scale_gradients[u] + scale
        along = scale_gradients[u] * inverse
        factor = scales[u] * roots[u]
        for s in range(delta.shape[0]):
            away = fma(-shift_gradients[u], inverse, delta[s, u])
            below[s, u] = factor * fma(-normal[s, u], along, away)
    return below


@compiled
def gradients(x, delta, gw, gb):
    """Of weights (units, I) and biases: rows ascending from +0 in blocks, blocks in order."""
    zero = like(x[0, 0], 0.0)
    for first in range(0, x.shape[0], BLOCK):
        end = min(first + BLOCK, x.shape[0])
        for u in range(delta.shape[1]):
            for i in range(x.shape[1]):
                total = zero
                for s in range(first, end):
                    total = fma(x[s, i], delta[s, u], total)
                gw[u, i] = total if first == 0 else gw[u, i] + total
            if len(gb):
                total = zero
                for s in range(first, end):
                    total = total + delta[s, u]
                gb[u] = total if first == 0 else gb[u] + total


# ------------------------------------------------------------------------------- losses, and scores


@compiled
def _row_loss(z, a, y, s, loss, parameter, of_softmax, most):
    """Of row s, outputs ascending from +0. most: the largest finite number."""
    zero, half, one = like(most, 0.0), like(most, 0.5), like(most, 1.0)
    total = zero
    if loss == CROSS_ENTROPY and of_softmax:
        largest, exponentials = _largest(z, s), zero
        for o in range(z.shape[1]):
            below = z[s, o] - largest
            exponentials = exponentials + exp(-most if below < -most else below)
        normalizer = log(exponentials)
        for o in range(z.shape[1]):
            below = z[s, o] - largest
            total = fma(y[s, o], normalizer - (-most if below < -most else below), total)
        return total
    for o in range(z.shape[1]):
        e = a[s, o] - y[s, o]
        if loss == CROSS_ENTROPY:
            positive = zero if z[s, o] < zero else z[s, o]
            rest = log1p_unit(exp(-abs(z[s, o])))
            total = total + (fma(-y[s, o], z[s, o], positive) + rest)
        elif loss == ABSOLUTE_ERROR:
            total = total + abs(e)
        elif loss == HUBER and not abs(e) <= parameter:
            total = fma(parameter, fma(-half, parameter, abs(e)), total)
        elif loss == POISSON:
            above = y[s, o] > zero
            term = fma(y[s, o], log(y[s, o]) - z[s, o], a[s, o] - y[s, o]) if above else a[s, o]
            total = total + term
        elif loss == QUANTILE:
            short = y[s, o] - a[s, o]
            total = fma(parameter if short > zero else parameter - one, short, total)
        else:
            total = fma(half * e, e, total)
    return total


@compiled
def batch_loss(z, a, y, loss, parameter, of_softmax, most, row_weights):
    """Rows go round 16 partial sums."""
    partials = np.zeros(PARTIALS, z.dtype)
    for s in range(z.shape[0]):
        k, value = s % PARTIALS, _row_loss(z, a, y, s, loss, parameter, of_softmax, most)
        if len(row_weights):
            partials[k] = fma(row_weights[s], value, partials[k])
        else:
            partials[k] = partials[k] + value
    return combine(partials)


@compiled
def batch_weight(row_weights):
    """Sum of the rows' weights, in 16 partial sums."""
    partials = np.zeros(PARTIALS, row_weights.dtype)
    for s in range(len(row_weights)):
        partials[s % PARTIALS] = partials[s % PARTIALS] + row_weights[s]
    return combine(partials)


@compiled
def _hit(score, a, y, s):
    half = like(a[s, 0], 0.5)
    if score == LARGEST:
        best = 0
        for o in range(1, a.shape[1]):
            if a[s, o] > a[s, best]:
                best = o
        return y[s, best] > half
    for o in range(a.shape[1]):
        if (a[s, o] > half) != (y[s, o] > half):
            return False
    return True


@compiled
def batch_scores(a, y, score, row_weights):
    """Right rows (1,), or squared residuals of each output (O,), in 16 partial sums each."""
    one, zero = like(a[0, 0], 1.0), like(a[0, 0], 0.0)
    sums = np.empty(a.shape[1] if score == RESIDUALS else 1, a.dtype)
    for o in range(len(sums)):
        partials = np.zeros(PARTIALS, a.dtype)
        for s in range(a.shape[0]):
            k = s % PARTIALS
            if score == RESIDUALS:
                e = a[s, o] - y[s, o]
                first = row_weights[s] * e if len(row_weights) else e
                partials[k] = fma(first, e, partials[k])
            else:
                hit = one if _hit(score, a, y, s) else zero
                first = row_weights[s] if len(row_weights) else one
                partials[k] = fma(first, hit, partials[k])
        sums[o] = combine(partials)
    return sums


@compiled
def r_squared(residuals, variation):
    """Mean over the outputs; one that does not vary counts 1 where it is met exactly, else 0."""
    zero, one = like(residuals[0], 0.0), like(residuals[0], 1.0)
    total = zero
    for o in range(len(residuals)):
        if variation[o] > zero:
            total = total + (one - residuals[o] / variation[o])
        else:
            total = total + (one if residuals[o] == zero else zero)
    return total / like(total, len(residuals))


# ---------------------------------------------------------------------------- steps, learning rates


@compiled
def penalize(w, g, is_weight, l1, l2):
    for p in range(w.size):
        if is_weight[p]:
            g[p] = fma(l1, sign(w[p]), fma(l2, w[p], g[p]))


@compiled
def clip_norm(g, most):
    """In place; the norm's 16 partial sums go by the parameters' numbers."""
    partials = np.zeros(PARTIALS, g.dtype)
    for p in range(g.size):
        partials[p % PARTIALS] = fma(g[p], g[p], partials[p % PARTIALS])
    coefficient = most / (np.sqrt(combine(partials)) + like(most, 1e-6))
    if coefficient > like(most, 1.0):
        coefficient = like(most, 1.0)
    for p in range(g.size):
        g[p] = g[p] * coefficient


@compiled
def decay_weights(w, is_weight, rate, decay):
    for p in range(w.size):
        if is_weight[p]:
            w[p] = w[p] * fma(-rate, decay, like(rate, 1.0))


@compiled
def sgd(w, g, rate):
    for p in range(w.size):
        w[p] = fma(-rate, g[p], w[p])


@compiled
def momentum_sgd(w, g, velocity, rate, momentum, nesterov):
    for p in range(w.size):
        velocity[p] = fma(momentum, velocity[p], -(rate * g[p]))
        if nesterov:
            w[p] = fma(momentum, velocity[p], fma(-rate, g[p], w[p]))
        else:
            w[p] = w[p] + velocity[p]


@compiled
def rmsprop(w, g, second, rate, rho, epsilon):
    one = like(rate, 1.0)
    for p in range(w.size):
        second[p] = fma(rho, second[p], ((one - rho) * g[p]) * g[p])
        w[p] = fma(-rate, g[p] / (np.sqrt(second[p]) + epsilon), w[p])


@compiled
def adagrad(w, g, second, rate, epsilon):
    for p in range(w.size):
        second[p] = fma(g[p], g[p], second[p])
        w[p] = fma(-rate, g[p] / (np.sqrt(second[p]) + epsilon), w[p])


@compiled
def correction(beta, before):
    """1 - beta**t from that of the step before."""
    return fma(beta, before, like(beta, 1.0) - beta)


@compiled
def adam(w, g, first, second, rate, beta_1, beta_2, epsilon, correction_1, correction_2):
    one = like(rate, 1.0)
    size, root = rate / correction_1, one / np.sqrt(correction_2)
    for p in range(w.size):
        first[p] = fma(beta_1, first[p], (one - beta_1) * g[p])
        second[p] = fma(beta_2, second[p], ((one - beta_2) * g[p]) * g[p])
        change = first[p] / fma(np.sqrt(second[p]), root, epsilon)
        w[p] = fma(-size, change, w[p])


@compiled
def rprop(w, g, steps, previous):
    for p in range(w.size):
        zero, one = like(g[p], 0.0), like(g[p], 1.0)
        s = sign(g[p]) * sign(previous[p])
        factor = like(s, 1.2) if s > zero else like(s, 0.5) if s < zero else one
        steps[p] = clamp(steps[p] * factor, like(s, 1e-6), like(s, 50.0))
        previous[p] = zero if s < zero else g[p]
        w[p] = fma(-sign(previous[p]), steps[p], w[p])


@compiled
def _power(factor, k):
    result = 1.0
    while k:
        if k & 1:
            result *= factor
        factor *= factor
        k >>= 1
    return result


@compiled
def learning_rate(schedule, base, t, total, n, step_size, gamma, minimum, power):
    """Of epoch t after the warm-up, in float64. total: epochs after the warm-up; n: rows."""
    if schedule == STEP:
        return base * _power(gamma, t // step_size)
    if schedule == EXPONENTIAL:
        return base * _power(gamma, t)
    if schedule == COSINE:
        cosine, _ = circle(t / (2 * total))
        return fma(base - minimum, fma(0.5, cosine, 0.5), minimum)
    if schedule == INVSCALING:
        return base * exp(-power * log(1.0 + t * n))
    return base
