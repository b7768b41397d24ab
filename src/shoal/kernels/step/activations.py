"""Activations, each with its slope."""

from ..code.compilation import device_function
from ..codes import (
    ELU,
    EXP,
    GELU,
    IDENTITY,
    LEAKY_RELU,
    RELU,
    SELU,
    SIGMOID,
    SILU,
    SOFTPLUS,
    TANH,
)  # fmt: skip
from ..lanes.access import load, store
from ..lanes.elementary import (
    exp,
    expm1,
    normal_cdf_density,
    sigmoid,
    softplus,
    tanh,
)
from ..lanes.primitives import broadcast, fma, like, select

LEAKY_SLOPE = 0.01
# Klambauer et al. 2017, equation 14
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@device_function
def activate(lane, code, values, slopes, units, rows):
    """Weighted sums become activations; their slopes are stored beside.

    values : Units of a (positions, L) array. slopes : (positions, L), at the same positions.
    """
    zero, one = broadcast(lane, 0.0), broadcast(lane, 1.0)
    array = values.array
    for u in range(units):
        p = values.start + u * values.step
        end = p + rows
        if code == RELU:
            while p < end:
                z = load(lane, array, p)
                positive = z > zero
                # NaN is not positive, and a bad net must show: it stays
                store(lane, array, p, select(z < zero, zero, z))
                store(lane, slopes, p, select(positive, one, zero))
                p += 1
        elif code == SIGMOID:
            while p < end:
                a = sigmoid(load(lane, array, p))
                store(lane, array, p, a)
                store(lane, slopes, p, a * (one - a))
                p += 1
        elif code == TANH:
            while p < end:
                a = tanh(load(lane, array, p))
                store(lane, array, p, a)
                store(lane, slopes, p, fma(-a, a, one))
                p += 1
        elif code == LEAKY_RELU:
            slope = like(zero, LEAKY_SLOPE)
            while p < end:
                z = load(lane, array, p)
                steep = select(z > zero, one, slope)
                store(lane, array, p, z * steep)
                store(lane, slopes, p, steep)
                p += 1
        elif code == ELU or code == SELU:
            scale = like(zero, SELU_SCALE) if code == SELU else one
            alpha = like(zero, SELU_SCALE * SELU_ALPHA) if code == SELU else one
            while p < end:
                z = load(lane, array, p)
                low = expm1(select(z > zero, zero, z))
                store(lane, array, p, select(z > zero, scale * z, alpha * low))
                store(lane, slopes, p, select(z > zero, scale, fma(alpha, low, alpha)))
                p += 1
        elif code == GELU:
            while p < end:
                z = load(lane, array, p)
                cdf, density = normal_cdf_density(z)
                store(lane, array, p, z * cdf)
                store(lane, slopes, p, fma(z, density, cdf))
                p += 1
        elif code == SILU:
            while p < end:
                z = load(lane, array, p)
                a = sigmoid(z)
                silu = z * a
                store(lane, array, p, silu)
                store(lane, slopes, p, fma(silu, one - a, a))
                p += 1
        elif code == SOFTPLUS:
            while p < end:
                z = load(lane, array, p)
                store(lane, array, p, softplus(z))
                store(lane, slopes, p, sigmoid(z))
                p += 1
        elif code == EXP:
            while p < end:
                a = exp(load(lane, array, p))
                store(lane, array, p, a)
                store(lane, slopes, p, a)
                p += 1
        elif code == IDENTITY:
            while p < end:
                store(lane, slopes, p, one)
                p += 1
