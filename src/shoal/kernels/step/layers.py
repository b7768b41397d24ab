"""Layers: weighted sums, deltas passed back, gradients, and the activations.

Positions. A layer's weights are unit-major: the weight of input i into unit u is parameter
``w + u * inputs + i``. Values and deltas are unit-major too: unit u of row s is
``v + u * stride + s``. The data's rows are shared and row-major, or gathered into lanes like
values; ``unit_step`` and ``row_step`` say which.

All three products of a step are one contraction, summed in ascending order of k:
``total[u, r] += sum_k a[k, u] * b[k, r]``.
"""

from ..code.compilation import device_function
from ..lanes.elementary import (
    exp,
    expm1,
    normal_cdf_density,
    sigmoid,
    softplus,
    tanh,
)
from ..lanes.primitives import (
    fetch,
    fetch_strip,
    fetch_tile,
    fma,
    is_positive,
    like,
    load,
    outer_fma,
    product,
    rectified,
    row_extent,
    select,
    splat,
    spread,
    store,
    store_tile,
    unit_extent,
)

# Codes of the activations. Outputs have the last two besides.
(IDENTITY, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, SELU, GELU, SILU, SOFTPLUS, EXP, SOFTMAX) = range(
    12
)

LEAKY_SLOPE = 0.01
# Klambauer et al. 2017, equation 14
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

# Sums whose activations follow at once: enough to be worth a call, and still in the L1 cache.
_AT_ONCE = 64


@device_function
def contract(lane, first, second, total, a, a0, a_step, a_stride, b, b0, b_step, b_stride, count):
    """``total[u, r] + sum_k a[a0 + k a_step + u a_stride] * b[b0 + k b_step + r b_stride]``.

    ``a``, ``b``: (positions, L) or shared (positions,). ``total``: tile of ``first`` x ``second``.
    """
    for _ in range(count):
        x = fetch_strip(lane, a, a0, a_stride, first)
        y = fetch_strip(lane, b, b0, b_stride, second)
        total = outer_fma(x, y, total)
        a0 += a_step
        b0 += b_step
    return total


@device_function
def _starts(lane, params, b, first, zeros):
    """Where the sums of a strip of units start: their biases, or +0."""
    if b >= 0:
        return fetch_strip(lane, params, b, 1, first)
    return zeros


@device_function
def _sums_strip(
    lane, first, x, x0, unit_step, row_step, params, w, b, inputs, rectifies, values, slopes, v,
    stride, rows,
):  # fmt: skip
    """Weighted sums of a strip of units for all rows of the tile, or at once what RELU makes of
    them: two stores a value instead of three."""
    zero = splat(lane, 0.0)
    one, extent = (0,), row_extent(lane)
    start = _starts(lane, params, b, first, spread((zero,), first))
    s = 0
    while s + len(extent) <= rows:
        total = contract(
            lane, first, extent, spread(start, extent),
            params, w, 1, inputs, x, x0 + s * row_step, unit_step, row_step, inputs,
        )  # fmt: skip
        if rectifies:
            store_tile(lane, slopes, v + s, stride, 1, first, extent, is_positive(total))
            total = rectified(total)
        store_tile(lane, values, v + s, stride, 1, first, extent, total)
        s += len(extent)
    while s < rows:
        total = contract(
            lane, first, one, start,
            params, w, 1, inputs, x, x0 + s * row_step, unit_step, row_step, inputs,
        )  # fmt: skip
        if rectifies:
            store_tile(lane, slopes, v + s, stride, 1, first, one, is_positive(total))
            total = rectified(total)
        store_tile(lane, values, v + s, stride, 1, first, one, total)
        s += 1


@device_function(inline="always")
def forward_layer(
    lane, x, x0, unit_step, row_step, params, w, b, inputs, units, code,
    values, slopes, v, stride, rows,
):  # fmt: skip
    """One layer of a tile of rows: values, and each activation's slope where the delta will stand.

    x : (positions, L) or shared (positions,), the layer's inputs.
    params : (P, L). values, slopes : (positions, L).
    """
    one, extent, rectifies = (0,), unit_extent(lane), code == RELU
    u = done = 0
    while u < units:
        weights, biases, strip = w + u * inputs, b + u if b >= 0 else -1, v + u * stride
        if units - u >= len(extent):
            _sums_strip(
                lane, extent, x, x0, unit_step, row_step, params, weights, biases, inputs,
                rectifies, values, slopes, strip, stride, rows,
            )  # fmt: skip
            u += len(extent)
        else:
            _sums_strip(
                lane, one, x, x0, unit_step, row_step, params, weights, biases, inputs,
                rectifies, values, slopes, strip, stride, rows,
            )  # fmt: skip
            u += 1
        if not rectifies and (u == units or (u - done) * rows >= _AT_ONCE):
            activate(lane, code, values, slopes, v + done * stride, stride, u - done, rows)
            done = u


@device_function
def activate(lane, code, values, slopes, v, stride, units, rows):
    """Weighted sums become activations; their slopes are stored beside.

    values, slopes : (positions, L).
    """
    zero, one = splat(lane, 0.0), splat(lane, 1.0)
    for u in range(units):
        p, end = v + u * stride, v + u * stride + rows
        if code == RELU:
            while p < end:
                z = load(lane, values, p)
                positive = z > zero
                # NaN is not positive, and a bad net must show: keep it
                store(lane, values, p, select(z < zero, zero, z))
                store(lane, slopes, p, select(positive, one, zero))
                p += 1
        elif code == SIGMOID:
            while p < end:
                a = sigmoid(load(lane, values, p))
                store(lane, values, p, a)
                store(lane, slopes, p, a * (one - a))
                p += 1
        elif code == TANH:
            while p < end:
                a = tanh(load(lane, values, p))
                store(lane, values, p, a)
                store(lane, slopes, p, fma(-a, a, one))
                p += 1
        elif code == LEAKY_RELU:
            slope = like(zero, LEAKY_SLOPE)
            while p < end:
                z = load(lane, values, p)
                steep = select(z > zero, one, slope)
                store(lane, values, p, z * steep)
                store(lane, slopes, p, steep)
                p += 1
        elif code == ELU or code == SELU:
            scale = like(zero, SELU_SCALE) if code == SELU else one
            alpha = like(zero, SELU_SCALE * SELU_ALPHA) if code == SELU else one
            while p < end:
                z = load(lane, values, p)
                low = expm1(select(z > zero, zero, z))
                store(lane, values, p, select(z > zero, scale * z, alpha * low))
                store(lane, slopes, p, select(z > zero, scale, fma(alpha, low, alpha)))
                p += 1
        elif code == GELU:
            while p < end:
                z = load(lane, values, p)
                cdf, density = normal_cdf_density(z)
                store(lane, values, p, z * cdf)
                store(lane, slopes, p, fma(z, density, cdf))
                p += 1
        elif code == SILU:
            while p < end:
                z = load(lane, values, p)
                a = sigmoid(z)
                silu = z * a
                store(lane, values, p, silu)
                store(lane, slopes, p, fma(silu, one - a, a))
                p += 1
        elif code == SOFTPLUS:
            while p < end:
                z = load(lane, values, p)
                store(lane, values, p, softplus(z))
                store(lane, slopes, p, sigmoid(z))
                p += 1
        elif code == EXP:
            while p < end:
                a = exp(load(lane, values, p))
                store(lane, values, p, a)
                store(lane, slopes, p, a)
                p += 1
        elif code == IDENTITY:
            while p < end:
                store(lane, slopes, p, one)
                p += 1


@device_function
def _deltas_strip(lane, first, params, w, inputs, units, deltas, v, below, stride, rows):
    """Deltas of a strip of a layer's inputs, from the deltas of its units."""
    zero = splat(lane, 0.0)
    one, extent = (0,), row_extent(lane)
    zeros = spread((zero,), first)
    s = 0
    while s + len(extent) <= rows:
        total = contract(
            lane, first, extent, spread(zeros, extent),
            params, w, inputs, 1, deltas, v + s, stride, 1, units,
        )  # fmt: skip
        slope = fetch_tile(lane, deltas, below + s, stride, 1, first, extent)
        store_tile(lane, deltas, below + s, stride, 1, first, extent, product(total, slope))
        s += len(extent)
    while s < rows:
        total = contract(
            lane, first, one, zeros,
            params, w, inputs, 1, deltas, v + s, stride, 1, units,
        )  # fmt: skip
        slope = fetch_tile(lane, deltas, below + s, stride, 1, first, one)
        store_tile(lane, deltas, below + s, stride, 1, first, one, product(total, slope))
        s += 1


@device_function(inline="always")
def deltas_layer(lane, params, w, inputs, units, deltas, v, below, stride, first, last, rows):
    """Pass a layer's deltas (at v) back to units ``first`` to ``last`` of the layer below, whose
    slopes stand at ``below``.

    params : (P, L). deltas : (positions, L).
    """
    one, extent = (0,), unit_extent(lane)
    i = first
    while i + len(extent) <= last:
        _deltas_strip(
            lane, extent, params, w + i, inputs, units, deltas, v, below + i * stride, stride, rows
        )
        i += len(extent)
    while i < last:
        _deltas_strip(
            lane, one, params, w + i, inputs, units, deltas, v, below + i * stride, stride, rows
        )
        i += 1


@device_function
def gradient_strip(
    lane, first, x, x0, unit_step, row_step, inputs, deltas, v, stride, rows, gradient, g, fresh
):
    """Gradient of the weights into a strip of units, added to what the chunk holds unless fresh.

    x : (positions, L) or shared (positions,). deltas, gradient : (positions, L).
    """
    zero = splat(lane, 0.0)
    one, extent = (0,), row_extent(lane)
    zeros = spread((zero,), first)
    i = 0
    while i + len(extent) <= inputs:
        total = spread(zeros, extent)
        if not fresh:
            total = fetch_tile(lane, gradient, g + i, inputs, 1, first, extent)
        total = contract(
            lane, first, extent, total,
            deltas, v, 1, stride, x, x0 + i * unit_step, row_step, unit_step, rows,
        )  # fmt: skip
        store_tile(lane, gradient, g + i, inputs, 1, first, extent, total)
        i += len(extent)
    while i < inputs:
        total = zeros
        if not fresh:
            total = fetch_tile(lane, gradient, g + i, inputs, 1, first, one)
        total = contract(
            lane, first, one, total,
            deltas, v, 1, stride, x, x0 + i * unit_step, row_step, unit_step, rows,
        )  # fmt: skip
        store_tile(lane, gradient, g + i, inputs, 1, first, one, total)
        i += 1


@device_function
def bias_gradient(lane, units, deltas, v, stride, rows, gradient, g, fresh):
    """Gradient of ``units`` biases: the sum of their deltas in ascending order of rows.

    deltas, gradient : (positions, L).
    """
    zero = splat(lane, 0.0)
    for u in range(units):
        total = zero if fresh else load(lane, gradient, g + u)
        for p in range(v + u * stride, v + u * stride + rows):
            total = total + fetch(lane, deltas, p)
        store(lane, gradient, g + u, total)
