"""Batch normalisation of a layer's weighted sums: Ioffe & Szegedy, ICML 2015.

A tile is a whole batch. Statistics are stored behind the parameters: running means, then variances.
"""

from ..code.compilation import device_function
from ..lanes.access import load, store
from ..lanes.primitives import broadcast, fma, like, square_root
from ..layout import ACCUMULATION_BLOCK, PARTIALS, SCALES, STATISTICS, UNITS, VALUES
from .sums import add_partial, combine

EPSILON = 1e-5  # added to a variance
MOMENTUM = 0.1  # of the running statistics


@device_function(inline="never")
def normalise_batch(lane, layer, params, values, normalised, deviations, partials, stride, rows):
    """By the batch's own mean and variance; the running ones move towards them.

    params : (parameters and statistics, L). values, normalised : (units * stride, L).
    deviations : (units, L). partials : (PARTIALS, L), zero.
    """
    one = broadcast(lane, 1.0)
    share, epsilon = one / like(one, rows), like(one, EPSILON)
    momentum = like(one, MOMENTUM)
    rest, unbiased = one - momentum, like(one, rows) / like(one, rows - 1)
    units = layer[UNITS]
    for u in range(units):
        v = (layer[VALUES] + u) * stride
        for s in range(rows):
            add_partial(lane, partials, s % PARTIALS, load(lane, values, v + s))
        total = combine(lane, partials, 0)
        for s in range(rows):
            distance, k = fma(-total, share, load(lane, values, v + s)), s % PARTIALS
            store(lane, partials, k, fma(distance, distance, load(lane, partials, k)))
        variance = combine(lane, partials, 0) * share
        deviation = one / square_root(variance + epsilon)
        store(lane, deviations, layer[VALUES] + u, deviation)
        scale = load(lane, params, layer[SCALES] + u)
        shift = load(lane, params, layer[SCALES] + units + u)
        for s in range(rows):
            normal = fma(-total, share, load(lane, values, v + s)) * deviation
            store(lane, normalised, v + s, normal)
            store(lane, values, v + s, fma(scale, normal, shift))
        p = layer[STATISTICS] + u
        store(lane, params, p, fma(momentum, total * share, rest * load(lane, params, p)))
        p += units
        running = fma(momentum, variance * unbiased, rest * load(lane, params, p))
        store(lane, params, p, running)


@device_function(inline="never")
def normalise_running(lane, layer, params, values, stride, rows):
    """By the running mean and variance. params : like above, or shared. values : (positions, L)."""
    one = broadcast(lane, 1.0)
    epsilon, units = like(one, EPSILON), layer[UNITS]
    for u in range(units):
        p, v = layer[STATISTICS] + u, (layer[VALUES] + u) * stride
        mean = load(lane, params, p)
        deviation = one / square_root(load(lane, params, p + units) + epsilon)
        scale = load(lane, params, layer[SCALES] + u)
        shift = load(lane, params, layer[SCALES] + units + u)
        for s in range(v, v + rows):
            normal = (load(lane, values, s) - mean) * deviation
            store(lane, values, s, fma(scale, normal, shift))


@device_function(inline="never")
def normalise_back(lane, layer, params, deltas, normalised, deviations, stride, rows, gradient, g):
    """Deltas of the normalised sums become those of the sums; gradients of the scales are
    stored from ``g`` on, of the shifts behind them.

    deltas, normalised : (units * stride, L). deviations : (units, L). gradient : (positions, L).
    """
    one = broadcast(lane, 1.0)
    share, units = one / like(one, rows), layer[UNITS]
    zero = broadcast(lane, 0.0)
    for u in range(units):
        v = (layer[VALUES] + u) * stride
        of_scale, of_shift = zero, zero
        for first in range(0, rows, ACCUMULATION_BLOCK):
            scale_sum, shift_sum = zero, zero
            for s in range(v + first, v + min(first + ACCUMULATION_BLOCK, rows)):
                delta = load(lane, deltas, s)
                scale_sum = fma(delta, load(lane, normalised, s), scale_sum)
                shift_sum = shift_sum + delta
            if first == 0:
                of_scale, of_shift = scale_sum, shift_sum
            else:
                of_scale, of_shift = of_scale + scale_sum, of_shift + shift_sum
        store(lane, gradient, g + u, of_scale)
        store(lane, gradient, g + units + u, of_shift)
        factor = load(lane, params, layer[SCALES] + u) * load(lane, deviations, layer[VALUES] + u)
        along = of_scale * share
        for s in range(v, v + rows):
            away = fma(-of_shift, share, load(lane, deltas, s))
            store(lane, deltas, s, factor * fma(-load(lane, normalised, s), along, away))
