"""The slow oracle of bits: the one order of arithmetic, in plain loops over one net.

Every sum is a loop over scalars in the order that ``shoal.kernels`` promises; there are no lanes,
tiles, strips or launches. What it shares with the kernels is the elementary functions and `fma`,
in their scalar meaning. `shoal.reference` is the oracle of meaning; this one is of the last bit.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from shoal import reference
from shoal.kernels.elementary import (
    exp,
    expm1,
    log,
    log1p_unit,
    normal_cdf_density,
    sigmoid,
    softplus,
    tanh,
)
from shoal.kernels.lanes import fma, like

NAMES = (
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus",
    "exp",
)  # fmt: skip
IDENTITY, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, SELU, GELU, SILU, SOFTPLUS, EXP = range(11)
CHUNK, PARTIALS = 256, 16

compiled = njit(error_model="numpy")


class Trained(NamedTuple):
    """What has become of one net."""

    weights: list
    biases: list | None
    losses: np.ndarray  # of the recorded epochs
    status: str
    epochs: int  # that it finished


# ------------------------------------------------------------------------------- element by element


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
def _activate(code, z, slopes):
    a = np.empty_like(z)
    for s in range(z.shape[0]):
        for u in range(z.shape[1]):
            a[s, u], slopes[s, u] = _activation(code, z[s, u])
    return a


@compiled
def _largest(z, s):
    largest = z[s, 0]
    for o in range(1, z.shape[1]):
        if z[s, o] > largest:
            largest = z[s, o]
    return largest


@compiled
def _softmax(z):
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


# --------------------------------------------------------------------------------------------- sums


@compiled
def _weighted_sums(x, w, b, biased):
    """x (n, I), w (I, O), b (O,): from the bias or +0, inputs ascending."""
    z = np.empty((x.shape[0], w.shape[1]), x.dtype)
    for s in range(x.shape[0]):
        for u in range(w.shape[1]):
            total = b[u] if biased else like(b[u], 0.0)
            for i in range(w.shape[0]):
                total = fma(x[s, i], w[i, u], total)
            z[s, u] = total
    return z


@compiled
def _passed_back(delta, w, slopes):
    """delta (n, O), w (I, O), slopes (n, I): units ascending from +0, then times the slope."""
    below = np.empty_like(slopes)
    for s in range(delta.shape[0]):
        for i in range(w.shape[0]):
            total = like(w[i, 0], 0.0)
            for u in range(w.shape[1]):
                total = fma(delta[s, u], w[i, u], total)
            below[s, i] = total * slopes[s, i]
    return below


@compiled
def _gradients(x, delta):
    """Of weights (I, O) and biases (O,): rows ascending from +0 in chunks, chunks in order."""
    zero = like(x[0, 0], 0.0)
    gw = np.zeros((x.shape[1], delta.shape[1]), x.dtype)
    gb = np.zeros(delta.shape[1], x.dtype)
    for first in range(0, x.shape[0], CHUNK):
        end = min(first + CHUNK, x.shape[0])
        for u in range(delta.shape[1]):
            for i in range(x.shape[1]):
                total = zero
                for s in range(first, end):
                    total = fma(x[s, i], delta[s, u], total)
                gw[i, u] = total if first == 0 else gw[i, u] + total
            total = zero
            for s in range(first, end):
                total = total + delta[s, u]
            gb[u] = total if first == 0 else gb[u] + total
    return gw, gb


@compiled
def _output_delta(a, slopes, y, cross_entropy, softmax):
    delta = np.empty_like(a)
    for s in range(a.shape[0]):
        mean = like(a[s, 0], 0.0)
        for o in range(a.shape[1]):
            mean = fma(a[s, o] - y[s, o], a[s, o], mean)
        for o in range(a.shape[1]):
            error = a[s, o] - y[s, o]
            if cross_entropy:
                delta[s, o] = error
            elif softmax:
                delta[s, o] = a[s, o] * (error - mean)
            else:
                delta[s, o] = error * slopes[s, o]
    return delta


@compiled
def _batch_loss(z, a, y, cross_entropy, softmax):
    """Rows go round 16 partial sums, which are combined pairwise."""
    zero, half = like(z[0, 0], 0.0), like(z[0, 0], 0.5)
    partials = np.zeros(PARTIALS, z.dtype)
    for s in range(z.shape[0]):
        loss = zero
        if not cross_entropy:
            for o in range(z.shape[1]):
                error = a[s, o] - y[s, o]
                loss = fma(half * error, error, loss)
        elif softmax:
            largest, total = _largest(z, s), zero
            for o in range(z.shape[1]):
                total = total + exp(z[s, o] - largest)
            for o in range(z.shape[1]):
                loss = fma(y[s, o], log(total) - (z[s, o] - largest), loss)
        else:
            for o in range(z.shape[1]):
                positive = zero if z[s, o] < zero else z[s, o]
                rest = log1p_unit(exp(-abs(z[s, o])))
                loss = loss + (fma(-y[s, o], z[s, o], positive) + rest)
        partials[s % PARTIALS] = partials[s % PARTIALS] + loss
    width = PARTIALS // 2
    while width:
        for k in range(width):
            partials[k] = partials[k] + partials[k + width]
        width //= 2
    return partials[0]


# --------------------------------------------------------------------------------------- optimizers


@compiled
def _sgd(w, g, scale, rate):
    for p in range(w.size):
        w[p] = fma(-rate, g[p] * scale, w[p])


@compiled
def _momentum(w, g, scale, velocity, rate, momentum, nesterov):
    for p in range(w.size):
        grad = g[p] * scale
        velocity[p] = fma(momentum, velocity[p], -(rate * grad))
        if nesterov:
            w[p] = fma(momentum, velocity[p], fma(-rate, grad, w[p]))
        else:
            w[p] = w[p] + velocity[p]


@compiled
def _correction(beta, before):
    """1 - beta**t from that of the step before."""
    return fma(beta, before, like(beta, 1.0) - beta)


@compiled
def _adam(w, g, scale, first, second, rate, beta_1, beta_2, epsilon, correction_1, correction_2):
    one = like(rate, 1.0)
    size, root = rate / correction_1, one / np.sqrt(correction_2)
    for p in range(w.size):
        grad = g[p] * scale
        first[p] = fma(beta_1, first[p], (one - beta_1) * grad)
        second[p] = fma(beta_2, second[p], ((one - beta_2) * grad) * grad)
        change = first[p] / fma(np.sqrt(second[p]), root, epsilon)
        w[p] = fma(-size, change, w[p])


# ------------------------------------------------------------------------------------------ one net


def forward(X, weights, biases, activations, output):
    """(weighted sums of the outputs, values of each layer from X on, slopes of each layer)."""
    values, slopes = [X], []
    for k, w in enumerate(weights):
        biased = biases is not None
        z = _weighted_sums(values[-1], w, biases[k] if biased else w[0], biased)
        name = activations[k] if k + 1 < len(weights) else output
        slopes.append(np.ones_like(z))
        values.append(
            _softmax(z) if name == "softmax" else _activate(NAMES.index(name), z, slopes[-1])
        )
    return z, values, slopes


def outputs(X, weights, biases, activations, output):
    """Outputs (n, O) of a net for rows X."""
    return forward(X, weights, biases, activations, output)[1][-1]


def mean_loss(X, y, weights, biases, activations, output, loss):
    """Mean loss of all rows, as one batch."""
    z, values, _ = forward(X, weights, biases, activations, output)
    total = _batch_loss(z, values[-1], y, loss == "cross_entropy", output == "softmax")
    return total / X.dtype.type(len(X))


def train(
    X, y, weights, biases=None, *, activation, output, loss, epochs, batch_size, shuffle,
    shuffle_seed, reduction, optimizer, learning_rate, momentum, nesterov, beta_1, beta_2, epsilon,
    record_every=None,
):  # fmt: skip
    """Train one net from these weights, which stay as they are. y : (n, O)."""
    scalar, n = X.dtype.type, len(X)
    weights = [np.array(w, X.dtype, order="C") for w in weights]
    biases = None if biases is None else [np.array(b, X.dtype) for b in biases]
    parameters = [w.ravel() for w in weights] + (biases or [])  # views
    rate, momentum, beta_1, beta_2, epsilon = map(
        scalar, (learning_rate, momentum, beta_1, beta_2, epsilon)
    )
    firsts, seconds = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    correction_1 = correction_2 = scalar(0)
    cross_entropy, softmax = loss == "cross_entropy", output == "softmax"
    batch = n if batch_size is None else min(batch_size, n)
    every = record_every or max(1, -(-epochs // 100))
    recorded = [e for e in range(epochs) if e % every == 0 or e == epochs - 1]
    losses = np.full(len(recorded), np.nan, X.dtype)
    for epoch in range(epochs):
        before = [p.copy() for p in parameters]
        shuffled = shuffle and batch < n
        order = reference.row_order(shuffle_seed, epoch, n) if shuffled else np.arange(n)
        total = scalar(0)
        for start in range(0, n, batch):
            rows = order[start : start + batch]
            z, values, slopes = forward(X[rows], weights, biases, activation, output)
            with np.errstate(over="ignore", invalid="ignore"):
                total = total + _batch_loss(z, values[-1], y[rows], cross_entropy, softmax)
            delta = _output_delta(values[-1], slopes[-1], y[rows], cross_entropy, softmax)
            gradients = []
            for k in range(len(weights) - 1, -1, -1):
                gradients.insert(0, _gradients(values[k], delta))
                if k:
                    delta = _passed_back(delta, weights[k], slopes[k - 1])
            scale = scalar(1) / scalar(len(rows)) if reduction == "mean" else scalar(1)
            if optimizer == "adam":
                correction_1 = scalar(_correction(beta_1, correction_1))
                correction_2 = scalar(_correction(beta_2, correction_2))
            found = [g.ravel() for g, _ in gradients] + [g for _, g in gradients]
            for p, g, first, second in zip(parameters, found, firsts, seconds, strict=False):
                if optimizer == "adam":
                    _adam(p, g, scale, first, second, rate, beta_1, beta_2, epsilon,
                          correction_1, correction_2)  # fmt: skip
                elif momentum == 0:
                    _sgd(p, g, scale, rate)
                else:
                    _momentum(p, g, scale, first, rate, momentum, nesterov)
        if not all(np.isfinite(p).all() for p in parameters):
            for p, kept in zip(parameters, before, strict=True):
                p[:] = kept
            return Trained(weights, biases, losses, "diverged", epoch)
        if epoch in recorded:
            with np.errstate(over="ignore", invalid="ignore"):
                mean = total / scalar(n)
            losses[recorded.index(epoch)] = np.nan if np.isnan(mean) else mean  # the canonical one
    return Trained(weights, biases, losses, "finished", epochs)


_FROM_SETTINGS = (
    "activation", "output", "loss", "epochs", "batch_size", "shuffle", "reduction", "optimizer",
    "learning_rate", "momentum", "nesterov", "beta_1", "beta_2", "epsilon", "record_every",
)  # fmt: skip


def start_of(settings, inputs, units):
    """Initial (weights, biases or None) of the net with these settings, by the reference."""
    widths = (inputs, *settings["hidden"], units)
    weights, biases = reference.initial_weights(
        widths, settings["init"], settings["seed"], settings["dtype"], settings["activation"]
    )
    return weights, biases if settings["bias"] else None


def train_as(settings, X, y, start=None):
    """Train the net with all these settings, as `Model.settings` has them. y : (n, O)."""
    X, y = np.asarray(X, settings["dtype"]), np.asarray(y, settings["dtype"])
    own = settings["shuffle_seed"]
    return train(
        X, y, *(start or start_of(settings, X.shape[1], y.shape[1])),
        shuffle_seed=settings["seed"] if own is None else own,
        **{name: settings[name] for name in _FROM_SETTINGS},
    )  # fmt: skip


# ------------------------------------------------------------------------- data, and comparing bits


def problem(n, inputs, outputs, dtype, seed=0):
    """X (n, I), y (n, O) that suits every output and loss: each row of y is a distribution."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, inputs))
    y = generator.dirichlet(np.ones(outputs), n) if outputs > 1 else generator.uniform(size=(n, 1))
    return X.astype(dtype), y.astype(dtype)


def bits(array):
    """The bits of an array of floats, as integers: NaN equals itself, -0 is not +0."""
    array = np.ascontiguousarray(array)
    return array.view(f"u{array.itemsize}")


def same_bits(a, b):
    """Whether two arrays, or two lists of arrays, have the same dtype, shape and bits."""
    if a is None or b is None:
        return a is b
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same_bits, a, b))
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(bits(a), bits(b))


def assert_same_bits(model, trained, told=""):
    """A Model has every bit of what the oracle (or another Model) says."""
    assert same_bits(model.weights, trained.weights), f"weights {told}"
    assert same_bits(model.biases, trained.biases), f"biases {told}"
    losses = trained.losses if isinstance(trained, Trained) else trained.history.loss
    assert same_bits(model.history.loss, losses), f"losses {told}"
    assert model.status == trained.status, told
